/**
 * Kernels that are sums of products: matrix products, convolutions, einsums and the gradients of all of them. Of
 * `out[space] = f(Σ over reduce of X · Y)` the axes that only X depends on are one side of a matrix, those of Y the other.
 */
import type { Affine } from '../ir/affine.ts';
import { isFloat } from '../ir/type.ts';
import { dtypeOf, valuesIn, type LinearKernel, type Reduce, type Store, type Value } from './linear.ts';

export interface SumOfProducts {
  readonly reduce: Reduce;
  /** What is done with the sums. */
  readonly stores: readonly Store[];
  /** Each with the axes of the space that it alone depends on. */
  readonly factors: readonly [Factor, Factor];
}

export interface Factor {
  readonly value: Value;
  readonly axes: readonly number[];
}

/** Null where a kernel is anything else. */
export function sumOfProducts(kernel: LinearKernel): SumOfProducts | null {
  const [reduce, ...stores] = kernel.steps;
  if (reduce?.kind !== 'reduce' || reduce.combine !== 'add' || reduce.axes.length === 0 || stores.length === 0) return null;
  if (!stores.every((step): step is Store => step.kind === 'store' && step.axes.length === 0 && !step.accumulate)) return null;
  const { body } = reduce;
  if (body.kind !== 'apply' || body.instruction !== 'mul' || !isFloat(body.dtype)) return null;
  const [x, y] = body.arguments as [Value, Value];
  if (![x, y].every(factor => isFloat(dtypeOf(factor)))) return null;
  const [usesX, usesY] = [axesOf(x), axesOf(y)];
  const alone = (uses: ReadonlySet<number>, others: ReadonlySet<number>): readonly number[] =>
    kernel.space.flatMap((_, axis) => (uses.has(axis) && !others.has(axis) ? [axis] : []));
  return { reduce, stores, factors: [{ value: x, axes: alone(usesX, usesY) }, { value: y, axes: alone(usesY, usesX) }] };
}

/** The axes that a value depends on. */
export function axesOf(value: Value): ReadonlySet<number> {
  const axes = new Set<number>();
  const add = (index: Affine): void => index.terms.forEach(term => axes.add(term.axis));
  for (const part of valuesIn([value])) {
    if (part.kind === 'index') {
      add(part.index);
      part.floored.forEach(each => axes.add(each.axis));
    }
    if (part.kind === 'guard') part.at.forEach(check => add(check.index));
    if (part.kind !== 'load') continue;
    add(part.address.flat);
    part.address.floored.forEach(each => axes.add(each.axis));
    part.address.divided.forEach(each => add(each.index));
  }
  return axes;
}
