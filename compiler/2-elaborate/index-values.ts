/**
 * Elements as tensors, once the extents of their indices are known: each becomes a tensor with one axis for each index that it depends
 * on. A sum of products becomes one contraction that reads its factors where they are; the rest becomes views, elementwise
 * operations and reductions, as the operators and functions of the language make them.
 */
import { affine, axisAt, type Affine } from '../ir/affine.ts';
import type { Value } from '../ir/graph.ts';
import { dim, isFloat, size, type Dim, type DType } from '../ir/type.ts';
import { isInvertible } from '../ops/linear.ts';
import { fail, Reported, type Context } from './context.ts';
import { atElement, type AffineIndex, type Element, type Index } from './element.ts';
import { describe, tensorItem, type Item } from './item.ts';
import { nearest } from './nearest-positions.ts';
import { build, cast, full, reshape, toTensor } from './tensors.ts';

/** What the tensors of one statement share. */
export interface Making {
  readonly context: Context;
  readonly extents: ReadonlyMap<Index, Dim>;
  readonly made: Map<Element, Value>;
  /** Of products seen so far: how many factors they have, and their types. Elements may be shared in any number of places. */
  readonly lengths: Map<Element, number>;
  readonly dtypes: Map<Element, DType>;
}

/** Factors of one contraction; what has more is multiplied before it is summed. */
const mostFactors = 16;

/** The item with an axis for each of `indices`, in this order. */
export function tensorOver(making: Making, item: Item, indices: readonly Index[]): Value {
  const { context } = making;
  if (item.kind === 'element') return spread(making, valueOf(making, item.element), item.element.free, indices);
  return spread(making, toTensor(context, item, 'a number'), [], indices);
}

/** The element with an axis for each index that it depends on, in their order. */
function valueOf(making: Making, element: Element): Value {
  const known = making.made.get(element);
  if (known !== undefined) return known;
  const value = atElement(making.context, element, () => makeValue(making, element));
  making.made.set(element, value);
  return value;
}

function makeValue(making: Making, element: Element): Value {
  switch (element.kind) {
    case 'index': return numbers(making, element);
    case 'load': {
      const { value, positions } = ungathered(making, element);
      return loaded(making, value, positions.map(position => affineOver(position, element.free)), element.free);
    }
    case 'apply': {
      const items = element.arguments.map(item => (item.kind === 'element' ? tensorItem(tensorOver(making, item, element.free)) : item));
      const result = element.compute(items);
      if (result.kind === 'poison') throw new Reported();
      if (result.kind === 'tensor' && result.value.type.dims.length === element.free.length) return result.value;
      throw new Error(`an operation on elements gave ${describe(result)}`);
    }
    case 'reduce': return reduced(making, element);
    default: return element satisfies never;
  }
}

const extentsOf = (making: Making, indices: readonly Index[]): readonly Dim[] => indices.map(index => making.extents.get(index)!);

/** Repeats a value over `own` along the other axes of `indices`. */
function spread(making: Making, value: Value, own: readonly Index[], indices: readonly Index[]): Value {
  if (own.length === indices.length && own.every((index, i) => index === indices[i])) return value;
  const map = own.map(index => axisAt(indices.indexOf(index)));
  return build(making.context, 'view', [value], { dims: extentsOf(making, indices), map, fill: null });
}

const affineOver = ({ terms, offset }: AffineIndex, axes: readonly Index[]): Affine =>
  affine([...terms].map(([index, times]) => ({ axis: axes.indexOf(index), times })), offset);

/** Σ times · index + offset as whole numbers. */
function numbers(making: Making, { terms, offset, free }: Extract<Element, { kind: 'index' }>): Value {
  const { context } = making;
  const dims = extentsOf(making, free);
  const constant = (value: number): Value => full(context, value, 'i32', dims);
  const addends = free.map((index, axis) => {
    const along = build(context, 'range', [], { n: dims[axis]!.extent });
    const spread = build(context, 'view', [along], { dims, map: [axisAt(axis)], fill: null });
    const times = terms.get(index)!;
    return times === 1 ? spread : build(context, 'mul', [spread, constant(times)]);
  });
  if (offset !== 0 || addends.length === 0) addends.push(constant(offset));
  return addends.reduce((left, right) => build(context, 'add', [left, right]));
}

/** A tensor and an affine position for each of its dimensions. */
interface Load {
  readonly value: Value;
  readonly positions: readonly AffineIndex[];
}

/**
 * A load whose positions are all affine: dimensions at positions that are themselves elements are gathered one after the other. Before
 * a gather the rest is read at its affine positions, so that the table has, in this order, the axes that it shares with the
 * position's element, the dimension gathered from, its other axes.
 */
function ungathered(making: Making, element: Extract<Element, { kind: 'load' }>): Load {
  const { context } = making;
  let { value } = element;
  /** For each dimension of `value` its position; an element where it has still to be gathered. */
  let positions: readonly Element[] = element.positions;
  for (let at = positions.findIndex(isGathered); at >= 0; at = positions.findIndex(isGathered)) {
    const chosen = positions[at]!;
    const later = positions.flatMap((position, d) => (d !== at && isGathered(position) ? [d] : []));
    const read = positions.flatMap(position => (isGathered(position) ? [] : [...position.terms.keys()]));
    const axes = [...new Set(read)].sort((a, b) => a.order - b.order);
    const shared = axes.filter(index => chosen.free.includes(index));
    const own = axes.filter(index => !shared.includes(index));
    const alone = chosen.free.filter(index => !shared.includes(index));
    const tableDims = [...extentsOf(making, shared), value.type.dims[at]!, ...later.map(d => value.type.dims[d]!), ...extentsOf(making, own)];
    const axisOf = (index: Index): number => (shared.includes(index) ? shared.indexOf(index) : shared.length + 1 + later.length + own.indexOf(index));
    const map = positions.map((position, d) => {
      if (d === at) return axisAt(shared.length);
      if (isGathered(position)) return axisAt(shared.length + 1 + later.indexOf(d));
      return affine([...position.terms].map(([index, times]) => ({ axis: axisOf(index), times })), position.offset);
    });
    const table = viewed(context, value, tableDims, map);
    const index = tensorOver(making, { kind: 'element', element: chosen }, [...shared, ...alone]);
    if (index.type.dtype !== 'i32' && index.type.dtype !== 'u8') fail(context, {
      code: 'type.subscript', message: `positions are whole numbers, found ${index.type.dtype}`,
      span: element.spans[element.positions.indexOf(chosen)]!,
      help: 'convert them with `cast(…, i32)`',
    });
    value = nearest(context, build(context, 'gather', [table, cast(context, index, 'i32')], { batch: shared.length }));
    const plain = (one: Index): Element => ({ ...chosen, kind: 'index', terms: new Map([[one, 1]]), offset: 0, free: [one] });
    positions = [...[...shared, ...alone].map(plain), ...later.map(d => positions[d]!), ...own.map(plain)];
  }
  return { value, positions: positions as readonly Extract<Element, { kind: 'index' }>[] };
}

const isGathered = (position: Element): position is Exclude<Element, { kind: 'index' }> => position.kind !== 'index';

const loaded = (making: Making, value: Value, map: readonly Affine[], free: readonly Index[]): Value =>
  viewed(making.context, value, extentsOf(making, free), map);

/** value[map]: a view, or where an axis stands in several positions a contraction of nothing, or a view of the elements in a row. */
function viewed(context: Context, value: Value, dims: readonly Dim[], map: readonly Affine[]): Value {
  if (isInvertible(map)) return build(context, 'view', [value], { dims, map, fill: null });
  if (value.type.dtype === 'f32') return build(context, 'contract', [value], { dims, reduce: [], maps: [map] });
  const extents = value.type.dims.map(d => d.extent);
  const strides = extents.map((_, d) => size(extents.slice(d + 1)));
  const terms = map.flatMap((index, d) => index.terms.map(({ axis, times }) => ({ axis, times: times * strides[d]! })));
  const offset = map.reduce((sum, index, d) => sum + index.offset * strides[d]!, 0);
  return build(context, 'view', [reshape(context, value, [dim(size(extents))])], { dims, map: [affine(terms, offset)], fill: null });
}

function reduced(making: Making, { how, indices, body, free }: Extract<Element, { kind: 'reduce' }>): Value {
  const { context } = making;
  const count = extentsOf(making, indices).reduce((product, d) => product * d.extent, 1);
  if (how === 'sum') return summed(making, body, indices, free, 1);
  if (how === 'mean') return summed(making, body, indices, free, 1 / count);
  const all = [...free, ...indices].sort((a, b) => a.order - b.order);
  const value = tensorOver(making, body, all);
  const operand = isFloat(value.type.dtype) ? value : cast(context, value, 'i32');
  return build(context, how, [operand], { axes: indices.map(index => all.indexOf(index)).sort((a, b) => a - b), keep: false });
}

/** scale · Σ body, as one contraction over the factors of the body. */
function summed(making: Making, body: Item, indices: readonly Index[], free: readonly Index[], scale: number): Value {
  const { context } = making;
  const product = body.kind === 'element' ? factorsOf(making, body.element) : whole(toTensor(context, body, 'a number'));
  const axes = [...free, ...indices];
  const total = build(context, 'contract', product.factors.map(factor => factor.value), {
    dims: extentsOf(making, free), reduce: extentsOf(making, indices),
    maps: product.factors.map(factor => factor.positions.map(position => affineOver(position, axes))),
  });
  const factor = scale * product.scale;
  return factor === 1 ? total : build(context, 'mul', [total, full(context, factor, 'f32', total.type.dims)]);
}

interface Product {
  readonly scale: number;
  readonly factors: readonly Load[];
}

/** An element as a number times loads. What is multiplied as whole numbers or in half precision stays one factor. */
function factorsOf(making: Making, element: Element): Product {
  if (element.kind === 'load') return { scale: 1, factors: [ungathered(making, element)] };
  if (isProduct(making, element) && lengthOf(making, element) <= mostFactors) {
    const [left, right] = element.arguments;
    const parts = element.arguments.map((item): Product => {
      if (item.kind === 'element') return factorsOf(making, item.element);
      return item.kind === 'number' ? { scale: item.value, factors: [] } : whole(toTensor(making.context, item));
    });
    if (element.role === 'negation') return scaled(parts[0]!, -1);
    if (element.role === 'quotient') return scaled(parts[0]!, 1 / parts[1]!.scale);
    if (left !== undefined && right !== undefined) return { scale: parts[0]!.scale * parts[1]!.scale, factors: parts.flatMap(part => part.factors) };
  }
  const plain = (index: Index): AffineIndex => ({ terms: new Map([[index, 1]]), offset: 0 });
  return { scale: 1, factors: [{ value: valueOf(making, element), positions: element.free.map(plain) }] };
}

/** A scalar as it is. */
const whole = (value: Value): Product => ({ scale: 1, factors: [{ value, positions: [] }] });
const scaled = (product: Product, by: number): Product => ({ ...product, scale: product.scale * by });

type Applied = Extract<Element, { kind: 'apply' }>;

/** Whether a sum looks through an element: a product in f32, or an f32 element with its sign turned or divided by a number. */
function isProduct(making: Making, element: Element): element is Applied {
  if (element.kind !== 'apply' || element.role === null) return false;
  const [left, right] = element.arguments.map(item => (item.kind === 'number' ? 'number' : dtypeOf(making, item)));
  switch (element.role) {
    case 'negation': return left === 'f32';
    case 'quotient': return left === 'f32' && right === 'number' && Number.isFinite(1 / (element.arguments[1] as { readonly value: number }).value);
    case 'product': return (left === 'f32' && isMultiplied(right)) || (right === 'f32' && isMultiplied(left));
    default: return element.role satisfies never;
  }
}

/** What f32 is multiplied with in f32. */
const isMultiplied = (type: DType | 'number' | null | undefined): boolean => type === 'number' || ['f32', 'i32', 'u8', 'bool'].includes(type ?? '');

/** How many loads a product has. */
function lengthOf(making: Making, element: Element): number {
  const known = making.lengths.get(element);
  if (known !== undefined) return known;
  const length = isProduct(making, element)
    ? element.arguments.map(item => (item.kind === 'element' ? lengthOf(making, item.element) : item.kind === 'number' ? 0 : 1)).reduce((a, b) => a + b)
    : 1;
  making.lengths.set(element, length);
  return length;
}

/** The type of an item; null for a constant. What a sum reads where it is, is not made a tensor for it. */
function dtypeOf(making: Making, item: Item): DType | null {
  if (item.kind === 'tensor') return item.value.type.dtype;
  if (item.kind !== 'element') return null;
  const { element } = item;
  const known = making.dtypes.get(element);
  if (known !== undefined) return known;
  const inF32 = element.kind === 'apply' && element.role !== null && element.arguments.some(argument => dtypeOf(making, argument) === 'f32');
  const dtype = inF32 ? 'f32' : element.kind === 'load' ? element.value.type.dtype : valueOf(making, element).type.dtype;
  making.dtypes.set(element, dtype);
  return dtype;
}
