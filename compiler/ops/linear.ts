/**
 * The transpose of linear indexing: what a view or a contraction gives back to an operand is again a contraction, of views. Both
 * ops differentiate by this one rule, so they are closed under differentiation to any order.
 */
import { affine, alwaysInside, fixed, identity, numeratorRange, plainAxis, type Affine, type Term } from '../ir/affine.ts';
import type { Value } from '../ir/graph.ts';
import { dim, shapeOf, type Dim, type TensorType } from '../ir/type.ts';
import { contract } from './contract.ts';
import { castTo } from './elementwise.ts';
import { view } from './view.ts';

/** An operand of a sum of products, and the index of each of its dimensions over the axes space ++ reduce. */
export interface Factor {
  readonly value: Value;
  readonly at: readonly Affine[];
}

/** One operand of a sum of products, with its type and indices, among the others; `grad` is that of the result. */
export interface LinearIndexing {
  readonly operand: TensorType;
  readonly at: readonly Affine[];
  readonly space: readonly Dim[];
  readonly reduce: readonly Dim[];
  readonly grad: Value;
  readonly factors: readonly Factor[];
}

/**
 * Of out[space] = Σ_reduce x[at] · Π factors, the gradient by x: dx[p] = Σ grad[space] · Π factors over all axes with at = p.
 *
 * Each equation at_d = p_d is solved for one axis, a = (…)/t, which is put in its place everywhere; the axes left over are summed.
 * An axis so solved takes values that it never had, outside its extent or fractional; those must count as zero. So every such axis
 * has a guard: a factor with a dimension indexed by that axis alone, read through a view that gives zero there. An equation without
 * an axis left to solve for (a constant index, a diagonal) gets a new axis z of extent 1: at_d + z = p_d.
 */
export function linearGradient({ operand, at, space, reduce, grad, factors }: LinearIndexing): Value {
  const rank = operand.dims.length;
  const { axes, solved } = solve(operand, at, [...space, ...reduce], space.length);
  const rest = [...axes.keys()].filter(axis => !solved.has(axis) && axes[axis]!.extent > 1);
  // New axes: p, then those left over. `solved` speaks of p and of rank + axis for those left over.
  const renumbered = Array.from({ length: rank + axes.length }, (_, axis) => (axis < rank ? affine([{ axis, times: 1 }]) : fixed(0)));
  rest.forEach((axis, i) => (renumbered[rank + axis] = affine([{ axis: rank + i, times: 1 }])));
  const placed = axes.map((_, axis) => compose(solved.get(axis) ?? affine([{ axis: rank + axis, times: 1 }]), renumbered));
  const extents = [...shapeOf(operand), ...rest.map(axis => axes[axis]!.extent)];

  // The gradient guards its own axes, and is spread along those that nothing else guards.
  const guards = ({ value, at: indices }: Factor, axis: number): boolean =>
    indices.some((index, d) => plainAxis(index) === axis && value.type.dims[d]!.extent === axes[axis]!.extent);
  const spread = [...axes.keys()].slice(space.length).filter(axis =>
    !alwaysInside(placed[axis]!, extents, axes[axis]!.extent) && !factors.some(factor => guards(factor, axis)));
  const spreadGrad = spread.length === 0 ? grad
    : view(grad, { dims: [...space, ...spread.map(axis => axes[axis]!)], map: identity(space.length), fill: null });
  const gradAt = [...space.keys(), ...spread].map(axis => affine([{ axis, times: 1 }]));

  const moved = [{ value: spreadGrad, at: gradAt }, ...factors]
    .map(({ value, at: old }) => ({ value, at: old.map(index => compose(index, placed)) }));
  return castTo(product(operand.dims, rest.map(axis => axes[axis]!), moved, extents), operand.dtype);
}

/** Solves at = p one dimension after the other. Gives the axes, with those added, and the solutions over p and rank + axis. */
function solve(
  operand: TensorType, at: readonly Affine[], given: readonly Dim[], spaceRank: number,
): { readonly axes: readonly Dim[]; readonly solved: ReadonlyMap<number, Affine> } {
  const rank = operand.dims.length;
  const axes = [...given];
  const solved = new Map<number, Affine>();
  const current = (index: Affine): Affine =>
    compose(index, axes.map((_, axis) => solved.get(axis) ?? affine([{ axis: rank + axis, times: 1 }])));
  const open = (index: Affine): readonly Term[] => index.terms.filter(term => term.axis >= rank);
  const add = (axis: number, solution: Affine): void => {
    solved.set(axis, solution);
    const replaced = Array.from({ length: rank + axes.length }, (_, k) => (k === rank + axis ? solution : affine([{ axis: k, times: 1 }])));
    for (const [other, earlier] of solved) solved.set(other, compose(earlier, replaced));
  };
  const pending = new Set(operand.dims.keys());
  while (pending.size > 0) {
    // Fewest unknowns first: the equations of a pooling window are triangular.
    const d = [...pending].reduce((best, next) => (open(current(at[next]!)).length < open(current(at[best]!)).length ? next : best));
    pending.delete(d);
    const index = current(at[d]!);
    // The largest axis leaves the least to sum; a space axis needs no extra guard; a factor of one needs no division.
    const preference = ({ axis, times }: Term): number => axes[axis]!.extent * 4 + (axis < spaceRank ? 2 : 0) + (Math.abs(times) === 1 ? 1 : 0);
    const choices = open(index).map(term => ({ axis: term.axis - rank, times: term.times }));
    if (choices.length > 0) {
      const { axis, times } = choices.reduce((best, next) => (preference(next) > preference(best) ? next : best));
      add(axis, solution(index, rank + axis, times, d));
    } else if (operand.dims[d]!.extent > 1 || index.terms.length > 0 || index.offset !== 0) {
      axes.push(dim(1));
      add(axes.length - 1, solution(index, rank + axes.length - 1, index.divisor, d));
    }
  }
  return { axes, solved };
}

/** (offset + times·axis + Σ others) / divisor = p_d solved for the axis: (divisor·p_d − offset − Σ others) / times. */
function solution(index: Affine, axis: number, times: number, d: number): Affine {
  const sign = Math.sign(times);
  const others = index.terms.filter(term => term.axis !== axis).map(term => ({ axis: term.axis, times: -sign * term.times }));
  return reduced([{ axis: d, times: sign * index.divisor }, ...others], -sign * index.offset, Math.abs(times));
}

/**
 * `index` with each axis replaced, as rational arithmetic. Where every replacement exists, so does the result; where one does not,
 * its guard is zero, so it does not matter that the result may exist all the same.
 */
function compose(index: Affine, axes: readonly Affine[]): Affine {
  const common = index.terms.reduce((all, term) => leastCommonMultiple(all, axes[term.axis]!.divisor), 1);
  const scaled = index.terms.map(term => ({ by: axes[term.axis]!, scale: (term.times * common) / axes[term.axis]!.divisor }));
  return reduced(
    scaled.flatMap(({ by, scale }) => by.terms.map(term => ({ axis: term.axis, times: term.times * scale }))),
    scaled.reduce((offset, { by, scale }) => offset + by.offset * scale, index.offset * common),
    common * index.divisor,
  );
}

/** In lowest terms. */
function reduced(terms: readonly Term[], offset: number, divisor: number): Affine {
  const merged = affine(terms, offset, divisor);
  const factor = [merged.offset, ...merged.terms.map(term => term.times)]
    .reduce((all, part) => greatestCommonDivisor(all, Math.abs(part)), merged.divisor);
  return affine(merged.terms.map(term => ({ axis: term.axis, times: term.times / factor })), merged.offset / factor, merged.divisor / factor);
}

/** Σ over `rest` of the product of factors, with zero where an index does not exist: as one view where that is enough. */
function product(dims: readonly Dim[], rest: readonly Dim[], factors: readonly Factor[], extents: readonly number[]): Value {
  const [first] = factors;
  if (factors.length === 1 && rest.length === 0 && isInvertible(first!.at)) {
    const inside = first!.at.every((index, d) => alwaysInside(index, extents, first!.value.type.dims[d]!.extent));
    return view(first!.value, { dims, map: first!.at, fill: inside ? null : 0 });
  }
  const confined = factors.map(factor => confine(factor, extents));
  return contract(confined.map(factor => factor.value), { dims, reduce: rest, maps: confined.map(factor => factor.at) });
}

/** The factor behind a zero-filled view, shifted so that the new index is a plain affine one that is always inside. */
function confine({ value, at }: Factor, extents: readonly number[]): Factor {
  const inside = at.map((index, d) => alwaysInside(index, extents, value.type.dims[d]!.extent));
  if (inside.every(Boolean)) return { value, at };
  const dims = at.map((index, d) => {
    const [low, high] = numeratorRange(index, extents);
    return inside[d] ? value.type.dims[d]! : dim(high - low + 1);
  });
  const map = at.map((index, d) => affine([{ axis: d, times: 1 }], ...(inside[d] ? [] : [numeratorRange(index, extents)[0], index.divisor])));
  return {
    value: view(value, { dims, map, fill: 0 }),
    at: at.map((index, d) => (inside[d] ? index : affine(index.terms, index.offset - numeratorRange(index, extents)[0]))),
  };
}

/** Whether each axis occurs in one index only, as a view demands. */
export const isInvertible = (map: readonly Affine[]): boolean => {
  const axes = map.flatMap(index => index.terms.map(term => term.axis));
  return new Set(axes).size === axes.length;
};

const greatestCommonDivisor = (a: number, b: number): number => (b === 0 ? a : greatestCommonDivisor(b, a % b));
const leastCommonMultiple = (a: number, b: number): number => (a / greatestCommonDivisor(a, b)) * b;
