/**
 * Expressions evaluated to items. An expression in error gives poison, so that every independent error of a file is found and
 * nothing that merely follows from one is told.
 */
import type { ConstantItem, Expression } from '../1-parse/ast.ts';
import { dtypes, printTypeLong, type DType } from '../ir/type.ts';
import { suggest } from '../source/suggest.ts';
import { binary, negate, not, select } from './arithmetic.ts';
import { builtins } from './builtins.ts';
import { call, pipe } from './call.ts';
import { didYouMean, exhaust, fail, isTraining, limits, report, Reported, within, type Context } from './context.ts';
import { heldMember, outputNamed } from './held-model.ts';
import { boolean, describe, list, none, number, poison, tensorItem, type Item } from './item.ts';
import { callable } from './op-call.ts';
import { evaluateScan } from './scan.ts';
import { definedNames, findDefinition, newScope, type Module, type Scope } from './scope.ts';
import { subscript } from './subscript.ts';
import { build } from './tensors.ts';

/** The item an expression stands for; poison when it was reported. */
export function evaluate(context: Context, expression: Expression, scope: Scope): Item {
  return within(context, expression.span, () => {
    try {
      if (++context.nesting > limits.nesting) fail(context, {
        code: 'call.depth', message: `expressions are nested more than ${limits.nesting} deep, over all open calls`,
        help: 'does something call itself without end?',
      });
      if (++context.work > limits.work) exhaust(context, {
        code: 'call.work', message: `elaboration takes more than ${limits.work.toLocaleString('en')} steps`,
        help: 'unroll fewer turns, or recurse less',
      });
      return evaluateKind(context, expression, scope);
    } catch (error) {
      if (error instanceof Reported) return poison;
      throw error;
    } finally {
      context.nesting--;
    }
  });
}

/** As `evaluate`, for where poison would only be passed on. */
export function need(context: Context, expression: Expression, scope: Scope): Item {
  const item = evaluate(context, expression, scope);
  if (item.kind === 'poison') throw new Reported();
  return item;
}

function evaluateKind(context: Context, expression: Expression, scope: Scope): Item {
  switch (expression.kind) {
    case 'number': return Number.isFinite(expression.value) ? number(expression.value) : fail(context, {
      code: 'type.number', message: 'the number is too large: the largest is about 1.8e308', span: expression.span,
    });
    case 'string': return { kind: 'string', value: expression.value };
    case 'boolean': return boolean(expression.value);
    case 'list': return list(expression.elements.map(element => evaluate(context, element, scope)));
    case 'name': return resolveName(context, expression.text, scope) ?? unknownName(context, expression.text, scope);
    case 'member': return member(context, need(context, expression.object, scope), expression.member.text);
    case 'call': return call(context, expression, scope);
    case 'subscript': return subscript(context, need(context, expression.object, scope), expression.subscripts, scope);
    case 'unary': {
      const operand = need(context, expression.operand, scope);
      return expression.operator === '-' ? negate(context, operand) : not(context, operand);
    }
    case 'binary': return binaryChain(context, expression, scope);
    case 'conditional': return conditional(context, expression, scope);
    case 'pipe': return pipeChain(context, expression, scope);
    case 'scan': return evaluateScan(context, expression, scope);
    case 'missing': return poison;
    default: return expression satisfies never;
  }
}

/** Long chains of operators lean left; walking down their spine in a loop keeps the stack flat. */
function binaryChain(context: Context, expression: Extract<Expression, { kind: 'binary' }>, scope: Scope): Item {
  const spine = [expression];
  while (spine[spine.length - 1]!.left.kind === 'binary') spine.push(spine[spine.length - 1]!.left as typeof expression);
  let left = evaluate(context, spine[spine.length - 1]!.left, scope);
  for (const node of spine.reverse()) {
    if (left.kind === 'boolean' && (node.operator === 'and' || node.operator === 'or') && left.value === (node.operator === 'or')) continue;
    const right = evaluate(context, node.right, scope);
    const operand = left;
    left = within(context, node.span, () => {
      const { operator } = context;
      context.operator = {
        span: node.span,
        left: { span: node.left.span, text: shownOperand(operand) },
        right: { span: node.right.span, text: shownOperand(right) },
      };
      try {
        return binary(context, node.operator, operand, right);
      } catch (error) {
        if (error instanceof Reported) return poison;
        throw error;
      } finally {
        context.operator = operator;
      }
    });
  }
  return left;
}

const shownOperand = (item: Item): string => (item.kind === 'tensor' ? printTypeLong(item.value.type) : describe(item));

function pipeChain(context: Context, expression: Extract<Expression, { kind: 'pipe' }>, scope: Scope): Item {
  const spine = [expression];
  while (spine[spine.length - 1]!.input.kind === 'pipe') spine.push(spine[spine.length - 1]!.input as typeof expression);
  let input = evaluate(context, spine[spine.length - 1]!.input, scope);
  for (const node of spine.reverse()) {
    const operand = input;
    input = within(context, node.target.span, () => {
      try {
        return pipe(context, operand, node.input.span, node.target, scope);
      } catch (error) {
        if (error instanceof Reported) return poison;
        throw error;
      }
    });
  }
  return input;
}

/** A constant condition chooses at compile time and the other branch is not looked at; a tensor chooses element by element. */
function conditional(context: Context, expression: Extract<Expression, { kind: 'conditional' }>, scope: Scope): Item {
  const condition = need(context, expression.condition, scope);
  if (condition.kind === 'boolean') return evaluate(context, condition.value ? expression.then : expression.otherwise, scope);
  if (condition.kind !== 'tensor' && condition.kind !== 'element') fail(context, {
    code: 'type.logical', message: `a condition is a boolean, found ${describe(condition)}`, span: expression.condition.span,
  });
  const then = evaluate(context, expression.then, scope);
  const otherwise = evaluate(context, expression.otherwise, scope);
  if (then.kind === 'poison' || otherwise.kind === 'poison') throw new Reported();
  return select(context, condition, then, otherwise);
}

/** What a name stands for, or null when nothing has it. */
export function resolveName(context: Context, name: string, scope: Scope): Item | null {
  const local = scope.names.get(name);
  if (local !== undefined) return local;
  const found = findDefinition(scope.module, name);
  if (found !== null) {
    const { definition, module } = found;
    switch (definition.kind) {
      case 'constant': return constantValue(context, definition, module);
      case 'fn': return { kind: 'fn', definition, module };
      case 'layer': return { kind: 'layer', definition, module };
      case 'optimizer': return { kind: 'optimizer', definition, module };
      default: return definition satisfies never;
    }
  }
  const op = context.ops.get(name);
  if (op !== undefined && callable(op)) return { kind: 'op', op };
  if (builtins.has(name)) return { kind: 'builtin', name, builtin: builtins.get(name)! };
  if (dtypes.includes(name as DType)) return { kind: 'dtype', dtype: name as DType };
  return standing(context, name);
}

/** Names that stand for a value by themselves. */
function standing(context: Context, name: string): Item | null {
  const { step, steps } = context.registry.scalars;
  switch (name) {
    case 'none': return none;
    case 'pi': return number(Math.PI);
    case 'training': return boolean(isTraining(context));
    case 'step': case 'steps':
      if (context.source !== null) return fail(context, {
        code: 'data.synthetic', message: `\`${name}\` means nothing in a source of data`, help: 'the number of the row is `row`, from 0',
      });
      return tensorItem(build(context, 'cast', [name === 'step' ? step : steps], { dtype: 'f32' }));
    case 'fan_in': case 'fan_out': return fan(context, name);
    default: return null;
  }
}
const standingNames = ['none', 'pi', 'training', 'step', 'steps', 'fan_in', 'fan_out'];

/**
 * Connections into and out of one unit of the parameter being initialised, by its layout [out, in, kernel…]: the products of
 * the kernel's extents with `in` and with `out` (PyTorch's `_calculate_fan_in_and_fan_out`).
 */
function fan(context: Context, name: 'fan_in' | 'fan_out'): Item {
  const target = context.initialiser?.type;
  if (target === undefined) return fail(context, {
    code: 'name.initialiser', message: `\`${name}\` is known only in the initial value of a parameter`,
  });
  const extents = target.dims.map(d => d.extent);
  if (extents.length < 2) return fail(context, {
    code: 'type.fan', message: `\`${name}\` needs a parameter of at least two dimensions`, help: 'give the bound as a number',
  });
  const kernel = extents.slice(2).reduce((a, b) => a * b, 1);
  return number(kernel * (name === 'fan_in' ? extents[1]! : extents[0]!));
}

function constantValue(context: Context, definition: ConstantItem, module: Module): Item {
  const name = definition.name.text;
  const known = module.constants.get(name);
  if (known === null) return fail(context, {
    code: 'name.cycle', message: `the constant \`${name}\` is defined by itself`, span: definition.name.span,
  });
  if (known !== undefined) return known;
  module.constants.set(name, null);
  const item = evaluate(context, definition.value, newScope(module, { kind: 'constant' }));
  const value = item.kind === 'tensor' ? poison : labelled(item, name, definition.span.file.library);
  module.constants.set(name, value);
  if (item.kind === 'tensor') fail(context, {
    code: 'type.constant', message: `the constant \`${name}\` must be known at compile time, found ${describe(item)}`,
    span: definition.value.span,
  });
  return value;
}

/** A whole number bound to a name in a user's file gives that name to the dimensions made of it. */
export function labelled(item: Item, name: string, library: boolean): Item {
  if (item.kind !== 'number' || library || item.dim !== null || item.label !== null || !Number.isInteger(item.value) || item.value < 1) return item;
  return number(item.value, null, { extent: item.value, name });
}

/** Names that stand for something in every module though no body binds them and no module defines them. */
export const knownNames = (context: Context): ReadonlySet<string> =>
  new Set([...builtins.keys(), ...standingNames, ...dtypes, ...[...context.ops].flatMap(([name, op]) => (callable(op) ? [name] : []))]);

export function reportUnknown(context: Context, name: string, local: Iterable<string>, module: Module): void {
  const hopeless = name.length < 2 || context.diagnostics.length > limits.suggestions;
  if (context.registry.models.has(name)) return report(context, {
    code: 'model.freeze', message: `\`${name}\` is a model, which another one holds as it is`, help: `hold it first, with \`freeze ${name.toLowerCase()} = ${name}()\``,
  });
  const near = hopeless ? null : suggest(name, [...local, ...definedNames(module), ...knownNames(context)]);
  report(context, {
    code: 'name.unknown', message: `nothing is called \`${name}\` here`, help: didYouMean(near),
  });
}

function unknownName(context: Context, name: string, scope: Scope): never {
  reportUnknown(context, name, scope.names.keys(), scope.module);
  throw new Reported();
}

function member(context: Context, object: Item, name: string): Item {
  if (object.kind === 'tensor') {
    if (name !== 'T') {
      return fail(context, {
        code: 'name.member', message: `a tensor has no \`.${name}\``,
        help: name.toLowerCase() === 't' ? 'its transpose is `.T`' : '`.T` is its transpose; operations are functions, as in `mean(x)`',
      });
    }
    const rank = object.value.type.dims.length;
    if (rank < 2) return fail(context, {
      code: 'type.rank', message: `\`.T\` swaps the last two dimensions, but this is ${describe(object)}`,
    });
    const axes = Array.from({ length: rank }, (_, i) => (i === rank - 1 ? rank - 2 : i === rank - 2 ? rank - 1 : i));
    return tensorItem(build(context, 'transpose', [object.value], { axes }));
  }
  if (object.kind === 'model') return heldMember(context, object.model, name);
  if (object.kind === 'outputs') return outputNamed(context, object.model, object.values, name);
  if (object.kind !== 'instance') return fail(context, { code: 'name.member', message: `${describe(object)} has no members` });
  const { members, definition, arguments: given } = object.instance;
  const found = members.get(name) ?? given.get(name);
  if (found !== undefined) return found;
  const near = suggest(name, [...members.keys(), ...given.keys()]);
  const declared = members.size === 0 && definition.body.length > 0;
  return fail(context, {
    code: 'name.member', message: `the layer \`${definition.name.text}\` has no \`${name}\`${declared ? ' yet' : ''}`,
    help: near !== null ? `did you mean \`${near}\`?` : declared ? 'parameters are made when a layer is first applied: apply it before' : null,
  });
}
