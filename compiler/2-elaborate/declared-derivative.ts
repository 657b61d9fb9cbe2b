/**
 * `fn f(x) { … } derivative (g) { … }`: the result of a call, with the derivative that the function declares in the place of the one
 * that follows from its body. The clause is elaborated on stand-ins for the arguments and for the gradient that arrives.
 */
import type { FunctionItem } from '../1-parse/ast.ts';
import { leaf, type Value } from '../ir/graph.ts';
import { isFloat, printType, sameShape, shapeOf, type TensorType } from '../ir/type.ts';
import type { DeclaredRule } from '../ops/declared.ts';
import { execute } from './body.ts';
import { bindParameters } from './call.ts';
import { fail, Reported, within, type Context } from './context.ts';
import { describe, tensorItem, type Item } from './item.ts';
import { newScope, type Module } from './scope.ts';
import { build, cast, full } from './tensors.ts';

/** `result`, through which gradients flow to the arguments as the clause says. */
export function withDerivative(context: Context, definition: FunctionItem, module: Module, given: readonly Item[], result: Item): Item {
  const name = definition.name.text;
  if ([...given, result].some(item => item.kind === 'element')) return fail(context, {
    code: 'type.tensor', message: `\`${name}\` declares its derivative and takes whole tensors, found an element under indices`,
    help: 'apply it before the element is taken',
  });
  const tensors = given.filter(isReal);
  if (tensors.length === 0) return result;
  if (!isReal(result)) return fail(context, {
    code: 'derivative.result', span: definition.name.span,
    message: `a function with a derivative gives one tensor of floating-point numbers, but \`${name}\` gives ${describe(result)}`,
  });
  const rule = ruleOf(context, definition, module, given, result.value.type);
  return tensorItem(build(context, 'declared', [result.value, ...tensors.map(item => item.value)], { rule }));
}

const isReal = (item: Item): item is Extract<Item, { kind: 'tensor' }> => item.kind === 'tensor' && isFloat(item.value.type.dtype);

function ruleOf(context: Context, definition: FunctionItem, module: Module, given: readonly Item[], type: TensorType): DeclaredRule {
  const { parameters, derivative } = definition;
  const name = definition.name.text;
  const { gradient: gradientName, body, span } = derivative!;
  const head = { ...span, end: gradientName.span.end + 1 };
  const stands = given.map((item, i) => (isReal(item) ? tensorItem(leaf('input', parameters[i]!.name.text, item.value.type)) : item));
  const gradient = leaf('input', gradientName.text, type);
  const scope = newScope(module, { kind: 'fn', name });
  bindParameters(context, name, parameters, stands.map((item, i) => ({ name: null, item, span: parameters[i]!.span })), scope);
  scope.names.set(gradientName.text, tensorItem(gradient));
  const returned = execute(context, body, scope);
  if (returned === null) return fail(context, {
    code: 'call.return', message: `the derivative of \`${name}\` returns nothing`, span: head, help: 'end it with `return …`',
  });
  if (returned.kind === 'poison') throw new Reported();
  const listed = returned.kind === 'list' ? returned.elements : [returned];
  if (listed.length !== parameters.length) fail(context, {
    code: 'derivative.count', span: head,
    message: `the derivative of \`${name}\` gives ${listed.length} ${listed.length === 1 ? 'gradient' : 'gradients'} for ${parameters.length} parameters`,
    help: 'return a list with one for each parameter, `none` where there is none',
  });
  const results = given.flatMap((item, i): (Value | null)[] =>
    (isReal(item) ? [within(context, head, () => gradientFor(context, name, parameters[i]!.name.text, listed[i]!, item.value.type))] : []));
  const operands = [leaf('input', 'result', type), ...stands.filter(isReal).map(item => item.value)];
  return { shown: name, gradient, operands, results: [null, ...results] };
}

/** The gradient of one parameter: of its shape, or a number for all its elements, or none. */
function gradientFor(context: Context, name: string, parameter: string, item: Item, type: TensorType): Value | null {
  if (item.kind === 'none') return null;
  if (item.kind === 'poison') throw new Reported();
  if (item.kind === 'number') return full(context, item.value, type.dtype, type.dims);
  if (isReal(item) && sameShape(shapeOf(item.value.type), shapeOf(type))) return cast(context, item.value, type.dtype);
  return fail(context, {
    code: 'derivative.shape', message: `the derivative of \`${name}\` by \`${parameter}\` must be ${printType(type)}, but is ${describe(item)}`,
    help: 'it has the shape of the parameter: sum over what was broadcast',
  });
}
