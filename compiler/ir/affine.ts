/**
 * Index arithmetic: (offset + Σ times·axis) / divisor. With a divisor above one the position exists only where the division
 * is exact; elsewhere a load gives its fill. This closed form covers transposes, slices, strides, padding, dilation, pooling
 * windows and the transposes of all of them, so views and contractions differentiate into views and contractions.
 */
import type { Shape } from './type.ts';

export interface Term {
  readonly axis: number;
  readonly times: number;
}

export interface Affine {
  readonly terms: readonly Term[];
  readonly offset: number;
  readonly divisor: number;
}

export const affine = (terms: readonly Term[], offset = 0, divisor = 1): Affine => normalise({ terms, offset, divisor });
export const axisAt = (axis: number): Affine => ({ terms: [{ axis, times: 1 }], offset: 0, divisor: 1 });
export const fixed = (offset: number): Affine => ({ terms: [], offset, divisor: 1 });
/** The axes 0 … rank-1 themselves. */
export const identity = (rank: number): readonly Affine[] => Array.from({ length: rank }, (_, axis) => axisAt(axis));

/** The one axis that the index is, or null. */
export const plainAxis = (index: Affine): number | null =>
  index.divisor === 1 && index.offset === 0 && index.terms.length === 1 && index.terms[0]!.times === 1 ? index.terms[0]!.axis : null;

/** One term for each axis, none of them zero, by axis. Most come so: nothing is made then. */
function merged(terms: readonly Term[]): readonly Term[] {
  if (terms.every(({ axis, times }, i) => times !== 0 && (i === 0 || terms[i - 1]!.axis < axis))) return terms;
  const sums = new Map<number, number>();
  for (const { axis, times } of terms) sums.set(axis, (sums.get(axis) ?? 0) + times);
  return [...sums].filter(([, times]) => times !== 0).sort(([a], [b]) => a - b).map(([axis, times]) => ({ axis, times }));
}

/** Merges terms, and divides out a divisor that divides everything. */
function normalise(index: Affine): Affine {
  const { offset, divisor } = index;
  const terms = merged(index.terms);
  if (divisor > 1 && offset % divisor === 0 && terms.every(term => term.times % divisor === 0)) {
    return { terms: terms.map(term => ({ axis: term.axis, times: term.times / divisor })), offset: offset / divisor, divisor: 1 };
  }
  return { terms, offset, divisor };
}

/** Smallest and largest numerator over axes that run from 0 to extent − 1. */
export function numeratorRange(index: Affine, extents: Shape): readonly [number, number] {
  let low = index.offset;
  let high = index.offset;
  for (const { axis, times } of index.terms) {
    const reach = times * (extents[axis]! - 1);
    if (reach < 0) low += reach;
    else high += reach;
  }
  return [low, high];
}

/** Whether every position exists and lies in 0 … extent − 1. */
export function alwaysInside(index: Affine, extents: Shape, extent: number): boolean {
  const [low, high] = numeratorRange(index, extents);
  return index.divisor === 1 && low >= 0 && high < extent;
}

/** `index` with each axis replaced. Null when a divided axis is scaled by something its divisor leaves unequal (no single division expresses it). */
export function substitute(index: Affine, axes: readonly Affine[]): Affine | null {
  const divisor = index.terms.reduce((d, term) => leastCommonMultiple(d, axes[term.axis]!.divisor), 1);
  // A divided axis means "exists only where exact". A sum of two divided axes would demand two exactness checks at once.
  const divided = index.terms.filter(term => axes[term.axis]!.divisor > 1);
  if (divided.length > 1 || (divided.length === 1 && (Math.abs(divided[0]!.times) !== 1 || index.divisor > 1))) return null;
  const terms: Term[] = [];
  let offset = index.offset * divisor;
  for (const term of index.terms) {
    const by = axes[term.axis]!;
    const scale = term.times * (divisor / by.divisor);
    for (const inner of by.terms) terms.push({ axis: inner.axis, times: inner.times * scale });
    offset += by.offset * scale;
  }
  return normalise({ terms, offset, divisor: divisor * index.divisor });
}

export const sameAffine = (a: Affine, b: Affine): boolean =>
  a.offset === b.offset && a.divisor === b.divisor && a.terms.length === b.terms.length &&
  a.terms.every((term, i) => term.axis === b.terms[i]!.axis && term.times === b.terms[i]!.times);

/** `(i + 2*u - 1)/2` with the given axis names. */
export function printAffine(index: Affine, names: readonly string[]): string {
  let text = '';
  for (const { axis, times } of index.terms) {
    const factor = Math.abs(times) === 1 ? names[axis]! : `${Math.abs(times)}*${names[axis]!}`;
    text += text === '' ? (times < 0 ? `-${factor}` : factor) : times < 0 ? ` - ${factor}` : ` + ${factor}`;
  }
  if (index.offset !== 0 || text === '') text += text === '' ? String(index.offset) : index.offset < 0 ? ` - ${-index.offset}` : ` + ${index.offset}`;
  return index.divisor === 1 ? text : `(${text})/${index.divisor}`;
}

const greatestCommonDivisor = (a: number, b: number): number => (b === 0 ? a : greatestCommonDivisor(b, a % b));
const leastCommonMultiple = (a: number, b: number): number => (a / greatestCommonDivisor(a, b)) * b;
