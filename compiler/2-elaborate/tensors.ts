/**
 * Making values: the one place where ops are applied and their constraints become diagnostics, with the conversions that the
 * language does by itself: constants to tensors, promotion of types, broadcasting.
 */
import { topological, type Attrs, type Value } from '../ir/graph.ts';
import { dim, elements, isFloat, printType, shapeOf, sameShape, tensor, type DType, type Dim } from '../ir/type.ts';
import { ConstraintViolation, isPrimitive, type AnyOp } from '../ops/define.ts';
import { broadcastDims, printDim } from '../ops/shared.ts';
import { identity, sameAffine } from '../ir/affine.ts';
import { isGathered, type Scalar } from '../ir/nest.ts';
import { exhaust, fail, limits, Reported, type Context } from './context.ts';
import { describe, tensorItem, type Item, type ListItem } from './item.ts';

/** Applies an op of the table. */
export function build(context: Context, name: string, operands: readonly Value[], attrs: Attrs = {}): Value {
  return buildOp(context, context.ops.get(name)!, operands, attrs);
}

export function buildOp(context: Context, op: AnyOp, operands: readonly Value[], attrs: Attrs = {}): Value {
  let value: Value;
  try {
    value = op.build(operands, attrs);
  } catch (error) {
    if (!(error instanceof ConstraintViolation)) throw error;
    const name = error.code.slice(0, error.code.indexOf('.'));
    const shown = operands.length === 0 || context.operator !== null || error.detail.includes('[');
    const notes = shown ? [] : [`operands: ${operands.map(operand => printType(operand.type)).join(', ')}`];
    return fail(context, { code: error.code, message: `\`${name}\` requires that ${error.rule}: ${error.detail}`, notes });
  }
  return adopt(context, value);
}

/** Gives the present origin to new values and holds them against the limits. */
export function adopt(context: Context, root: Value): Value {
  const origin = { span: context.at, scope: context.path, phase: context.phase };
  const pending = [root];
  while (pending.length > 0) {
    const value = pending.pop()!;
    if (value.origin !== null) continue;
    value.origin = origin;
    countOne(context, value);
    pending.push(...value.operands);
  }
  return root;
}

/** Holds the values below `roots` against the limits that have an origin already; those in `known` are not counted again. */
export function count(context: Context, roots: readonly Value[], known: ReadonlySet<Value>): void {
  for (const value of topological(roots, value => known.has(value))) countOne(context, value);
}

function countOne(context: Context, value: Value): void {
  checkSize(context, value.type.dims);
  if (++context.values > limits.values) exhaust(context, {
    code: 'type.size', message: `the graph has more than ${limits.values.toLocaleString('en')} values`,
    help: 'unroll fewer turns, or use larger operations',
  });
}

export function checkSize(context: Context, dims: readonly Dim[]): void {
  const count = dims.reduce((product, d) => product * d.extent, 1);
  if (dims.length > limits.rank) fail(context, {
    code: 'type.size', message: `a tensor has ${dims.length} dimensions; at most ${limits.rank} are possible`,
  });
  if (count <= limits.elements) return;
  fail(context, {
    code: 'type.size',
    message: `a tensor [${dims.map(printDim).join(', ')}] has ${count.toExponential(1)} elements; at most 2^31 are possible`,
  });
}

/** A constant as a scalar tensor. */
export const full = (context: Context, value: number, dtype: DType = 'f32', dims: readonly Dim[] = []): Value =>
  build(context, 'full', [], { value, dims, dtype });

export const cast = (context: Context, value: Value, dtype: DType): Value =>
  value.type.dtype === dtype ? value : build(context, 'cast', [value], { dtype });

export function broadcast(context: Context, value: Value, dims: readonly Dim[]): Value {
  if (sameShape(shapeOf(value.type), dims.map(d => d.extent))) return value;
  checkSize(context, dims);
  return build(context, 'broadcast', [value], { dims });
}

/** The tensor in an item; numbers and booleans become scalars. */
export function toTensor(context: Context, item: Item, what = 'a tensor'): Value {
  switch (item.kind) {
    case 'tensor': return item.value;
    case 'number': return full(context, item.value, 'f32');
    case 'boolean': return full(context, item.value ? 1 : 0, 'bool');
    case 'poison': throw new Reported();
    default:
      if (item.kind === 'list' && isNumeric(item)) return listTensor(context, item, isWhole(item) ? 'i32' : 'f32');
      return fail(context, {
        code: 'type.tensor', message: `expected ${what}, found ${describe(item)}`,
        help: item.kind === 'instance' ? 'apply the layer to its input: `layer(x)` or `x |> layer`'
          : item.kind === 'layer' ? `construct and apply the layer: \`x |> ${item.definition.name.text}(…)\`` : null,
      });
  }
}

/** Whether an item can become a tensor: lists of numbers, and lists of such lists, are vectors and matrices. */
export const isNumeric = (item: Item): boolean =>
  item.kind === 'tensor' || item.kind === 'number' || item.kind === 'boolean' ||
  (item.kind === 'list' && item.elements.length > 0 && item.elements.every(each => each.kind === 'number' || (each.kind === 'list' && isNumeric(each))));

const isWhole = (item: Item): boolean => (item.kind === 'list' ? item.elements.every(isWhole) : item.kind === 'number' && Number.isInteger(item.value));

/** The elements one after the other along a new first axis. */
function listTensor(context: Context, item: ListItem, dtype: DType): Value {
  const row = (element: Item): Value =>
    element.kind === 'list' ? listTensor(context, element, dtype) : full(context, element.kind === 'number' ? element.value : 0, dtype);
  const rows = item.elements.map(row);
  const uneven = rows.find(row => !sameShape(shapeOf(row.type), shapeOf(rows[0]!.type)));
  if (uneven) fail(context, {
    code: 'type.tensor',
    message: `the rows of a list have different shapes: ${printType(rows[0]!.type)} and ${printType(uneven.type)}`,
  });
  const stacked = rows.map(row => reshape(context, row, [dim(1), ...row.type.dims]));
  return stacked.length === 1 ? stacked[0]! : build(context, 'concat', stacked, { axis: 0 });
}

/** `arithmetic` takes u8 and bool as i32, `division` gives floating point, `logical` is of booleans, `choice` keeps equal types. */
export type Mode = 'arithmetic' | 'division' | 'logical' | 'choice';

/** Brings items of which one is a tensor to tensors of one type and one shape. */
export function coerce(context: Context, given: readonly Item[], mode: Mode): Value[] {
  const items = given.map(item => (item.kind === 'list' ? tensorItem(toTensor(context, item)) : item));
  const dtype = commonType(context, items, mode);
  const values = items.map(item => item.kind === 'number' ? full(context, item.value, dtype) : cast(context, toTensor(context, item), dtype));
  return broadcastTogether(context, values);
}

export function broadcastTogether(context: Context, values: readonly Value[]): Value[] {
  let dims: readonly Dim[] = [];
  let widest: Value | null = null;
  for (const value of values) {
    const common = broadcastDims(dims, value.type.dims);
    if (common === null) failToBroadcast(context, widest!, value);
    if (widest === null || value.type.dims.length >= dims.length) widest = value;
    dims = common;
  }
  return values.map(value => broadcast(context, value, dims));
}

function failToBroadcast(context: Context, a: Value, b: Value): never {
  const rank = Math.max(a.type.dims.length, b.type.dims.length);
  const at = (value: Value, i: number): Dim => value.type.dims[value.type.dims.length - rank + i] ?? dim(1);
  const fits = (x: number, y: number): boolean => x === y || x === 1 || y === 1;
  const wrong = Array.from({ length: rank }, (_, i) => i).filter(i => !fits(at(a, i).extent, at(b, i).extent));
  const pairs = wrong.map(i => `${quoteDim(at(a, i))} against ${quoteDim(at(b, i))}`).join(', ');
  fail(context, {
    code: 'type.broadcast', message: `shapes do not broadcast: ${pairs}`,
    notes: ['shapes are aligned at the last dimension; two extents fit when they are equal or one of them is 1'],
  });
}

/** "`D` (128)", or "128" for a dimension without a name. */
export const quoteDim = (d: Dim): string => (d.name === null ? String(d.extent) : `\`${d.name}\` (${d.extent})`);

function commonType(context: Context, items: readonly Item[], mode: Mode): DType {
  const dtypes = items.flatMap(item => (item.kind === 'tensor' ? [item.value.type.dtype] : item.kind === 'boolean' ? (['bool'] as const) : []));
  const numbers = items.flatMap(item => (item.kind === 'number' ? [item.value] : []));
  if (mode === 'logical') {
    const wrong = items.find(item => item.kind === 'number' || (item.kind === 'tensor' && item.value.type.dtype !== 'bool'));
    if (wrong) fail(context, {
      code: 'type.logical', message: `\`and\`, \`or\` and \`not\` take booleans, found ${describe(wrong)}`,
      help: 'compare it first, as in `x != 0`',
    });
    return 'bool';
  }
  const common = dtypes.reduce(promoteTwo);
  if (isFloat(common)) return common;
  const whole = numbers.every(value => Number.isInteger(value) && Math.abs(value) < 2 ** 31);
  if (mode === 'division' || !whole) return 'f32';
  return mode === 'choice' && numbers.length === 0 ? common : 'i32';
}

/** The type of a result of two types: equal ones stay, two integers give i32, anything else with a float gives f32. */
const promoteTwo = (a: DType, b: DType): DType => (a === b ? a : isFloat(a) || isFloat(b) ? 'f32' : 'i32');

/**
 * Whether an op works element by element on operands of one shape, told by its loop nest: nothing reduced or scattered, every
 * operand read at the position that is written.
 */
export function isElementwise(op: AnyOp): boolean {
  const { definition } = op;
  const operands = definition.operands as readonly string[];
  if (!isPrimitive(definition) || operands.length === 0 || Object.keys(definition.attrs).length > 0 || operands[0]!.startsWith('...')) return false;
  const probe = tensor('f32', [dim(2), dim(3)]);
  const nest = definition.lower(operands.map(() => probe), {}, probe);
  return nest.combine === null && !nest.scatter && nest.space.length === 2 && readsInPlace(nest.body, operands.map(() => 2));
}

/** Whether every load is at the iteration's own position (or of a scalar), and nothing depends on the position itself. */
export function readsInPlace(body: Scalar, ranks: readonly number[]): boolean {
  switch (body.kind) {
    case 'constant': return true;
    case 'index': case 'local': case 'guard': return false;
    case 'load': {
      const rank = ranks[body.operand]!;
      const plain = identity(rank);
      return body.at.length === rank && body.at.every((at, i) => !isGathered(at) && sameAffine(at, plain[i]!));
    }
    case 'apply': return body.instruction !== 'random' && body.arguments.every(argument => readsInPlace(argument, ranks));
    default: return body satisfies never;
  }
}

/** Applies an elementwise op of one operand; integers become floating point where the op is not defined on them. */
export function buildUnary(context: Context, op: AnyOp, operand: Value): Value {
  const { dtype } = operand.type;
  const candidates: DType[] = isFloat(dtype) ? [dtype] : dtype === 'i32' ? [dtype, 'f32'] : [dtype, 'i32', 'f32'];
  for (const candidate of candidates.slice(0, -1)) {
    try {
      return adopt(context, op.build([cast(context, operand, candidate)], {}));
    } catch (error) {
      if (!(error instanceof ConstraintViolation)) throw error;
    }
  }
  return buildOp(context, op, [cast(context, operand, candidates[candidates.length - 1]!)]);
}

/** A reshape by dimensions that are known to fit. */
export const reshape = (context: Context, value: Value, dims: readonly Dim[]): Value => {
  if (elements(value.type) !== dims.reduce((product, d) => product * d.extent, 1)) throw new Error('reshape changes the number of elements');
  return build(context, 'reshape', [value], { dims });
};

/** The axis that an item means: a named dimension of the tensor, or an integer, negative from the end. */
export function resolveAxis(context: Context, item: Item, dims: readonly Dim[], text: string): number {
  if (item.kind === 'poison') throw new Reported();
  const shown = `[${dims.map(d => d.name ?? d.extent).join(', ')}]`;
  if (item.kind !== 'number') return fail(context, {
    code: 'type.axis', message: `an axis is a dimension's name or an integer, found ${describe(item)}`,
  });
  const wanted = item.dim ?? item.label;
  if (wanted !== null) {
    const same = dims.flatMap((d, i) => (d === wanted ? [i] : []));
    const matches = same.length > 0 ? same : dims.flatMap((d, i) => (d.name !== null && d.name === wanted.name ? [i] : []));
    if (matches.length === 1) return matches[0]!;
    if (matches.length > 1) {
      return fail(context, {
        code: 'type.axis', message: `\`${text}\` is ambiguous in ${shown}: axes ${matches.join(' and ')}`,
        help: `give the axis as an integer, such as \`${matches[matches.length - 1]}\``,
      });
    }
    if (item.dim !== null) {
      const names = dims.flatMap(d => (d.name === null ? [] : [`\`${d.name}\``]));
      return fail(context, {
        code: 'type.axis', message: `\`${text}\` is no dimension of ${shown}`,
        help: names.length > 0 ? `its named dimensions are ${names.join(', ')}` : 'give the axis as an integer',
      });
    }
  }
  const axis = item.value < 0 ? item.value + dims.length : item.value;
  if (Number.isInteger(axis) && axis >= 0 && axis < dims.length) return axis;
  return fail(context, {
    code: 'type.axis', message: `axis ${item.value} does not exist in ${shown}`,
    help: dims.length === 0 ? 'a scalar has no axes' : `axes are 0 … ${dims.length - 1}, or -${dims.length} … -1 from the end`,
  });
}
