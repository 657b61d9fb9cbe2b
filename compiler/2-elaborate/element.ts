/**
 * Elements: what an expression under indices stands for, a number for each position of the indices. An element is kept as a small
 * tree of loads, operations and reductions until the extents of its indices are known; then `index-values.ts` makes tensors of it.
 */
import type { Value } from '../ir/graph.ts';
import type { Dim } from '../ir/type.ts';
import type { Span } from '../source/text.ts';
import { fail, type Context } from './context.ts';
import { describe, type Item } from './item.ts';

/** A name that runs over whole numbers, from 0 by itself; one that begins elsewhere is this plus a number. */
export interface Index {
  readonly name: string;
  readonly span: Span;
  /** How many indices were open where this one was introduced: the order of axes. */
  readonly order: number;
  /** What `i in 0..n` says; null where the extent follows from what the index subscripts. */
  readonly range: Dim | null;
}

/** Σ times · index + offset. */
export interface AffineIndex {
  readonly terms: ReadonlyMap<Index, number>;
  readonly offset: number;
}

export const reductions = ['sum', 'mean', 'max', 'min', 'prod'] as const;
export type Reduction = (typeof reductions)[number];

interface Common {
  /** The indices that it depends on, in their order. */
  readonly free: readonly Index[];
  /** Where it stands, for what is told once it becomes a tensor. */
  readonly at: Span;
  readonly libraryAt: Span | null;
  /** Operations on the longest path below. */
  readonly height: number;
  /** Made of indices and constants alone. */
  readonly counted: boolean;
}

export type Element = Common & (
  | ({ readonly kind: 'index' } & AffineIndex)
  /** A tensor at one position for each dimension: an affine index, or an element whose value is the position. */
  | { readonly kind: 'load'; readonly value: Value; readonly positions: readonly Element[]; readonly spans: readonly Span[] }
  /** An operation, applied to tensors of one shape in the place of the elements among its arguments. */
  | { readonly kind: 'apply'; readonly arguments: readonly Item[]; readonly compute: (items: readonly Item[]) => Item; readonly role: Role }
  | { readonly kind: 'reduce'; readonly how: Reduction; readonly indices: readonly Index[]; readonly body: Item }
);

/** What a sum of products looks through. */
export type Role = 'product' | 'quotient' | 'negation' | null;

/** Operations on one path through an element: the passes over it recurse. */
const highest = 1000;

export const elementItem = (element: Element): Item => ({ kind: 'element', element });

export function affineElement(context: Context, terms: ReadonlyMap<Index, number>, offset: number): Element {
  const used = new Map([...terms].filter(([, times]) => times !== 0));
  return { kind: 'index', terms: used, offset, ...common(context, [...used.keys()], [], true) };
}

export const loadElement = (context: Context, value: Value, positions: readonly Element[], spans: readonly Span[]): Element =>
  ({ kind: 'load', value, positions, spans, ...common(context, freeOf(positions), positions, false) });

/** An operation on items of which one is an element. Whole tensors among the others have no place there. */
export function applied(context: Context, items: readonly Item[], compute: (items: readonly Item[]) => Item, role: Role = null): Item {
  for (const item of items) requireElement(context, item);
  const elements = elementsIn(items);
  const counted = elements.every(element => element.counted) && !items.some(item => item.kind === 'tensor');
  return elementItem({ kind: 'apply', arguments: items, compute, role, ...common(context, freeOf(elements), elements, counted) });
}

export function reduceElement(context: Context, how: Reduction, indices: readonly Index[], body: Item): Element {
  requireElement(context, body);
  const elements = elementsIn([body]);
  const free = freeOf(elements).filter(index => !indices.includes(index));
  return { kind: 'reduce', how, indices, body, ...common(context, free, elements, false) };
}

/** Reports a tensor that stands as a whole where one number is meant. */
export function requireElement(context: Context, item: Item): void {
  if (item.kind === 'tensor' && item.value.type.dims.length > 0) fail(context, {
    code: 'index.whole', message: `an expression under indices is about single elements, found ${describe(item)}`,
    help: 'give it a subscript for each of its dimensions',
  });
}

export const elementsIn = (items: readonly Item[]): readonly Element[] => items.flatMap(item => (item.kind === 'element' ? [item.element] : []));

/** The elements directly inside one. */
export function elementParts(element: Element): readonly Element[] {
  switch (element.kind) {
    case 'index': return [];
    case 'load': return element.positions;
    case 'apply': return elementsIn(element.arguments);
    case 'reduce': return elementsIn([element.body]);
    default: return element satisfies never;
  }
}

const freeOf = (elements: readonly Element[]): readonly Index[] => [...new Set(elements.flatMap(element => element.free))];

function common(context: Context, free: readonly Index[], inside: readonly Element[], counted: boolean): Common {
  const height = 1 + inside.reduce((most, element) => Math.max(most, element.height), 0);
  if (height > highest) fail(context, {
    code: 'call.depth', message: `an expression under indices is more than ${highest.toLocaleString('en')} operations deep`,
    help: 'bind parts of it to names',
  });
  return { free: [...free].sort((a, b) => a.order - b.order), at: context.at, libraryAt: context.libraryAt, height, counted };
}

/** Runs `action` where the element stands. */
export function atElement<T>(context: Context, element: Element, action: () => T): T {
  const { at, libraryAt } = context;
  context.at = element.at;
  context.libraryAt = element.libraryAt;
  try {
    return action();
  } finally {
    context.at = at;
    context.libraryAt = libraryAt;
  }
}

/** The affine index `left operator right`, or null where it is none. */
export function affineArithmetic(context: Context, operator: string, left: Item, right: Item): Item | null {
  const [a, b] = [affineOf(left), affineOf(right)];
  if (a === null || b === null) return null;
  const made = (terms: ReadonlyMap<Index, number>, offset: number): Item | null =>
    [...terms.values(), offset].every(value => Number.isSafeInteger(value)) ? elementItem(affineElement(context, terms, offset)) : null;
  switch (operator) {
    case '+': return made(combined(a, b, 1), a.offset + b.offset);
    case '-': return made(combined(a, b, -1), a.offset - b.offset);
    case '*': {
      const [factor, index] = a.terms.size === 0 ? [a.offset, b] : [b.offset, a];
      if (a.terms.size > 0 && b.terms.size > 0) return null;
      return made(new Map([...index.terms].map(([axis, times]) => [axis, times * factor])), index.offset * factor);
    }
    default: return null;
  }
}

function affineOf(item: Item): AffineIndex | null {
  if (item.kind === 'number') return Number.isSafeInteger(item.value) ? { terms: new Map(), offset: item.value } : null;
  return item.kind === 'element' && item.element.kind === 'index' ? item.element : null;
}

function combined(a: AffineIndex, b: AffineIndex, sign: 1 | -1): ReadonlyMap<Index, number> {
  const terms = new Map(a.terms);
  for (const [index, times] of b.terms) terms.set(index, (terms.get(index) ?? 0) + sign * times);
  return terms;
}
