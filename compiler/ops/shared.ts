/**
 * What several families of ops share: attribute declarations, reading of axes, dimensions that keep their names, and access to
 * the tensors of references. Nothing here knows an op.
 */
import type { Dim, DType, Shape, TensorType } from '../ir/type.ts';
import { isFloat, shapeOf, size, strides } from '../ir/type.ts';
import type { Attribute, AttributeKinds, Tensor } from './define.ts';

/** Declares an attribute; without a default it must be given. */
export const attribute = <K extends keyof AttributeKinds>(kind: K, doc: string, fallback?: AttributeKinds[K]): Attribute<K> =>
  ({ kind, doc, ...(fallback === undefined ? {} : { default: fallback }) }) as Attribute<K>;

/** The axes meant, ascending; negative ones count from the end. */
export function resolveAxes(axes: readonly number[] | 'all', rank: number): readonly number[] {
  if (axes === 'all') return Array.from({ length: rank }, (_, axis) => axis);
  return axes.map(axis => (axis < 0 ? axis + rank : axis)).sort((a, b) => a - b);
}

/** Whether these are different axes of a tensor of that rank. */
export const areAxes = (axes: readonly number[], rank: number): boolean =>
  new Set(axes).size === axes.length && axes.every(axis => Number.isInteger(axis) && axis >= 0 && axis < rank);

/** Of two dimensions of one extent, the one that people can read. */
export const named = (a: Dim, b: Dim): Dim => (a.name === null ? b : a);

/** The common dimensions of types of one shape, each with a name where any has one. */
export const commonDims = (types: readonly TensorType[]): readonly Dim[] =>
  types.slice(1).reduce((dims, type) => dims.map((d, i) => named(d, type.dims[i]!)), types[0]!.dims);

/** The dimensions that two lists broadcast to, aligned at the end as in NumPy; null when they do not. */
export function broadcastDims(a: readonly Dim[], b: readonly Dim[]): readonly Dim[] | null {
  const rank = Math.max(a.length, b.length);
  const result: Dim[] = [];
  for (let i = 0; i < rank; i++) {
    const left = a[a.length - rank + i];
    const right = b[b.length - rank + i];
    if (left === undefined || right === undefined) result.push((left ?? right)!);
    else if (left.extent === right.extent) result.push(named(left, right));
    else if (left.extent === 1 || right.extent === 1) result.push(left.extent === 1 ? right : left);
    else return null;
  }
  return result;
}

/** `K (128)`, or `128` without a name. */
export const printDim = (d: Dim): string => (d.name === null ? String(d.extent) : `${d.name} (${d.extent})`);
/** `[B (64), 784]`. */
export const printDims = (dims: readonly Dim[]): string => `[${dims.map(printDim).join(', ')}]`;

/** What arithmetic is defined on: i32 and the floating-point types. u8 and bool are converted first. */
export const isNumber = (dtype: DType): boolean => isFloat(dtype) || dtype === 'i32';

/** One letter for each dimension, from its name where it has one, else i, j, k …; no letter twice. */
export function axisLetters(dims: readonly Dim[]): readonly string[] {
  const taken = new Set<string>();
  const take = (candidates: readonly string[]): string => {
    const letter = candidates.find(candidate => !taken.has(candidate))!;
    taken.add(letter);
    return letter;
  };
  const numbered = (letter: string): string[] => Array.from({ length: dims.length + 1 }, (_, i) => (i === 0 ? letter : `${letter}${i}`));
  const spare = [...'ijklmnpqrstuvwxyz'];
  const letters = new Array<string>(dims.length);
  dims.forEach((d, i) => {
    const initial = d.name?.match(/[A-Za-z]/)?.[0]?.toLowerCase();
    if (initial !== undefined) letters[i] = take(numbered(initial));
  });
  dims.forEach((_, i) => (letters[i] ??= take([...spare, ...numbered('i')])));
  return letters;
}

/** Calls `visit` with each position of a shape in row-major order; the array is reused. */
export function eachPosition(shape: Shape, visit: (position: readonly number[], flat: number) => void): void {
  const position = new Array<number>(shape.length).fill(0);
  const count = size(shape);
  for (let flat = 0; flat < count; flat++) {
    visit(position, flat);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      position[axis]!++;
      if (position[axis]! < shape[axis]!) break;
      position[axis] = 0;
    }
  }
}

/** A tensor computed position by position. */
export function tabulate(dtype: DType, shape: Shape, value: (position: readonly number[], flat: number) => number): Tensor {
  const data = new Float64Array(size(shape));
  eachPosition(shape, (position, flat) => (data[flat] = value(position, flat)));
  return { dtype, shape, data };
}

/** The element at a position. */
export const elementAt = (tensor: Tensor, position: readonly number[]): number => {
  const steps = strides(tensor.shape);
  return tensor.data[position.reduce((offset, at, axis) => offset + at * steps[axis]!, 0)]!;
};

/** The number of elements along some axes. */
export const countAlong = (type: TensorType, axes: readonly number[]): number => size(axes.map(axis => shapeOf(type)[axis]!));
