/**
 * Ops of the table called by name: operands by position or name, then attributes. Operands are broadcast and converted as the
 * operators do; on constants alone an elementwise op is evaluated at compile time by its own reference.
 */
import type { Value } from '../ir/graph.ts';
import { dtypes, isFloat, type Dim } from '../ir/type.ts';
import { ConstraintViolation, type AnyOp, type AttributeKinds, type Attributes, type Tensor } from '../ops/define.ts';
import { spanText } from '../source/text.ts';
import { select } from './arithmetic.ts';
import { bindArguments, type Given } from './call.ts';
import { fail, Reported, within, type Context } from './context.ts';
import { toDim } from './dims.ts';
import { applied, reductions } from './element.ts';
import { boolean, describe, number, tensorItem, type Item } from './item.ts';
import { nearest } from './nearest-positions.ts';
import { adopt, buildOp, buildUnary, cast, coerce, isElementwise, isNumeric, resolveAxis, toTensor, type Mode } from './tensors.ts';

/** Whether the language can call an op: one with an attribute that only the compiler sets is made by other means. */
export const callable = (op: AnyOp): boolean => Object.values(op.definition.attrs as Attributes).every(attribute => attribute.kind !== 'internal');

export function callOp(context: Context, op: AnyOp, given: readonly Given[]): Item {
  const { definition } = op;
  const attributes = definition.attrs as Attributes;
  const variadic = (definition.operands as readonly string[])[0]?.startsWith('...') ?? false;
  const names = variadic ? [(definition.operands as readonly string[])[0]!.slice(3)] : (definition.operands as readonly string[]);
  const formals = [
    ...names.map(name => ({ name, required: true })),
    ...Object.entries(attributes).map(([name, attribute]) => ({ name: spelled(name, attribute.kind), required: attribute.default === undefined })),
  ];
  const usual = (i: number): string => showDefault(Object.values(attributes)[i - names.length]!.default);
  const shown = (): string => `${definition.name}(${formals.map((formal, i) => (formal.required ? formal.name : `${formal.name} = ${usual(i)}`)).join(', ')})`;
  const bound = bindArguments(context, definition.name, shown, formals, given);
  if (given.some(argument => argument.item.kind === 'element')) return onElements(context, op, given);
  const operands = variadic ? elementsOf(context, bound.get(names[0]!)!) : names.map(name => bound.get(name)!.item);
  if (!variadic && isElementwise(op)) return elementwise(context, op, operands);
  if (definition.name === 'select') return select(context, operands[0]!, operands[1]!, operands[2]!);
  const values = operands.map(item => toTensor(context, item, `a tensor for \`${definition.name}\``));
  const attrs: Record<string, unknown> = {};
  for (const [name, attribute] of Object.entries(attributes)) {
    const argument = bound.get(spelled(name, attribute.kind));
    const what = `\`${spelled(name, attribute.kind)}\` of \`${definition.name}\``;
    attrs[name] = argument === undefined ? attribute.default
      : within(context, argument.span, () => convert(context, argument, attribute.kind, values[0]?.type.dims ?? [], what));
  }
  return tensorItem(nearest(context, buildConverted(context, op, values, attrs)));
}

/** An op that works element by element, applied to elements: those become tensors first. */
function onElements(context: Context, op: AnyOp, given: readonly Given[]): Item {
  const { name } = op.definition;
  if (name !== 'select' && name !== 'cast' && !isElementwise(op)) fail(context, {
    code: 'type.tensor', message: `\`${name}\` takes a whole tensor, found an element under indices`,
    help: reductions.some(reduction => reduction === name) ? `name what it reduces over: \`${name}[i](…)\`` : 'apply it before the element is taken',
  });
  return applied(context, given.map(argument => argument.item), items => callOp(context, op, given.map((argument, i) => ({ ...argument, item: items[i]! }))));
}

/** Attributes that hold axes are written `axis` in the language, be it one or several. */
export const spelled = (name: string, kind: keyof AttributeKinds): string => (kind === 'axes' ? 'axis' : name);
const showDefault = (value: unknown): string => (Array.isArray(value) && value.length === 1 ? String(value[0]) : JSON.stringify(value));

function elementsOf(context: Context, argument: Given): readonly Item[] {
  if (argument.item.kind !== 'list' || argument.item.elements.length === 0) fail(context, {
    code: 'type.argument', message: `expected a list of tensors, found ${describe(argument.item)}`, span: argument.span,
  });
  const wrong = argument.item.elements.find(element => element.kind === 'poison');
  if (wrong) throw new Reported();
  return argument.item.elements;
}

function elementwise(context: Context, op: AnyOp, operands: readonly Item[]): Item {
  if (operands.some(item => item.kind === 'poison')) throw new Reported();
  if (operands.every(item => item.kind === 'number' || item.kind === 'boolean')) return fold(context, op, operands.map(item => Number(item.value)));
  if (operands.length === 1) return tensorItem(buildUnary(context, op, toTensor(context, operands[0]!)));
  let first: ConstraintViolation | null = null;
  for (const mode of ['choice', 'arithmetic', 'division'] satisfies Mode[]) {
    const values = coerce(context, operands.map(item => (isNumeric(item) ? item : tensorItem(toTensor(context, item)))), mode);
    try {
      return tensorItem(adopt(context, op.build(values, {})));
    } catch (error) {
      if (!(error instanceof ConstraintViolation)) throw error;
      first ??= error;
    }
  }
  return violated(context, first!);
}

/** The op's reference on scalars. Results that are no finite number are an error where they are written, not at run time. */
function fold(context: Context, op: AnyOp, values: readonly number[]): Item {
  const { definition } = op;
  const dtype = values.every(Number.isInteger) ? 'i32' : 'f32';
  const scalar = (value: number): Tensor => ({ dtype, shape: [], data: Float64Array.of(value) });
  const result = definition.reference(values.map(scalar), {});
  if (result.dtype === 'bool') return boolean(result.data[0] !== 0);
  const value = result.data[0]!;
  if (!Number.isFinite(value)) fail(context, {
    code: 'type.number', message: `\`${definition.name}(${values.join(', ')})\` is not a finite number`,
  });
  return number(value);
}

/** Applies an op to operands as they are, then with small integers as i32, then all as floating point, until its constraints hold. */
function buildConverted(context: Context, op: AnyOp, values: readonly Value[], attrs: Readonly<Record<string, unknown>>): Value {
  const attempts = [
    (value: Value) => value,
    (value: Value) => (value.type.dtype === 'u8' || value.type.dtype === 'bool' ? cast(context, value, 'i32') : value),
    (value: Value) => (isFloat(value.type.dtype) ? value : cast(context, value, 'f32')),
  ];
  let first: ConstraintViolation | null = null;
  if (values.every(value => isFloat(value.type.dtype))) return buildOp(context, op, values, attrs);
  for (const attemptAt of attempts) {
    try {
      return adopt(context, op.build(values.map(attemptAt), attrs));
    } catch (error) {
      if (!(error instanceof ConstraintViolation)) throw error;
      first ??= error;
    }
  }
  return violated(context, first!);
}

function violated(context: Context, error: ConstraintViolation): never {
  return fail(context, {
    code: error.code, message: `\`${error.code.slice(0, error.code.indexOf('.'))}\` requires that ${error.rule}: ${error.detail}`,
  });
}

function convert(context: Context, argument: Given, kind: keyof AttributeKinds, dims: readonly Dim[], what: string): unknown {
  const { item, span } = argument;
  const wrong = (expected: string): never => fail(context, {
    code: 'type.argument', message: `${what} must be ${expected}, found ${describe(item)}`, span,
  });
  const text = spanText(span);
  const integer = (element: Item): number => (element.kind === 'number' && Number.isInteger(element.value) ? element.value : wrong('a whole number'));
  const elements = item.kind === 'list' ? item.elements : [item];
  switch (kind) {
    case 'axis': return resolveAxis(context, item, dims, text);
    case 'axes': {
      if (item.kind === 'none') return 'all';
      return elements.map(element => resolveAxis(context, element, dims, text)).sort((a, b) => a - b);
    }
    case 'permutation': return elements.map(element => resolveAxis(context, element, dims, text));
    case 'integer': return integer(item);
    case 'integers': return elements.map(integer);
    case 'number': return item.kind === 'number' ? item.value : wrong('a number');
    case 'boolean': return item.kind === 'boolean' ? item.value : wrong('`true` or `false`');
    case 'dtype': return item.kind === 'dtype' ? item.dtype : wrong(`one of ${dtypes.join(', ')}`);
    case 'dims': return elements.map(element => (element.kind === 'number' && element.value === -1 ? { extent: -1, name: null } : toDim(context, element, text)));
    case 'internal': throw new Error(`${what} is internal`);
    default: return kind satisfies never;
  }
}
