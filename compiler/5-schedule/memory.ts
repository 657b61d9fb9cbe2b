/**
 * One static arena: leaves keep their place for good, everything else of an entry gets an offset for as long as it lives, and the
 * transients of different entries share the same bytes. A result takes the memory of an operand that dies with it, where no
 * iteration disturbs another.
 */
import type { Value } from '../ir/graph.ts';
import { bytes, elementBytes } from '../ir/type.ts';
import type { Built } from './build.ts';
import { kernelsOf, linear, loadsOf, stepBody, type Blocks, type Draft } from './draft.ts';
import type { Positions } from './positions.ts';

/** Bytes to which every buffer is aligned: a cache line, and the widest vector. */
export const alignment = 64;
export const aligned = (offset: number): number => Math.ceil(offset / alignment) * alignment;

/** The value that owns the memory in which a value lives, and how many elements into it. */
export interface Residence {
  readonly owner: Value;
  readonly offset: number;
}

export interface Lifetime {
  readonly owner: Value;
  readonly bytes: number;
  /** Of one position of a loop. */
  readonly isPrivate: boolean;
  /** Numbers of kernels, counted through the members of blocks. */
  readonly first: number;
  readonly last: number;
}

export interface EntryMemory {
  readonly residence: (value: Value) => Residence;
  /** Of everything that lives within the entry. */
  readonly lifetimes: readonly Lifetime[];
}

export function residences(built: Built, order: readonly Draft[], positions: Positions | null): EntryMemory {
  const shares = inPlace(built, order, positions?.kept ?? new Set());
  const residence = (value: Value): Residence => {
    const row = positions?.rows.get(value);
    if (row !== undefined) return residence(row);
    const home = built.homes.get(value) ?? shares.get(value);
    if (home === undefined) return { owner: value, offset: 0 };
    const outer = residence(home.root);
    return { owner: outer.owner, offset: outer.offset + home.offset };
  };
  const lifetimes = new Map<Value, Lifetime>();
  const touch = (value: Value, first: number, last: number, inside: { readonly elements: number; readonly isPrivate: boolean } | null): void => {
    const { owner } = residence(value);
    const known = lifetimes.get(owner);
    lifetimes.set(owner, {
      owner,
      bytes: inside === null ? bytes(owner.type) : inside.elements * elementBytes(owner.type.dtype),
      isPrivate: inside?.isPrivate ?? false,
      first: Math.min(known?.first ?? first, first),
      last: Math.max(known?.last ?? last, last),
    });
  };
  /** What outlives a position of a loop has to be there as long as the loop around it runs. */
  const visit = (draft: Draft, number: number, around: Blocks | null): number => {
    const last = number + kernelsOf(draft).length - 1;
    for (const { root } of [...draft.sources, ...draft.outputs]) {
      const { owner } = residence(root);
      const elements = around?.inside.get(owner);
      if (owner.op === null || (around !== null && elements === undefined)) continue;
      touch(root, number, last, elements === undefined ? null : { elements, isPrivate: around!.independent > 0 });
    }
    for (const counter of draft.blocks?.counters ?? []) if (counter !== null) touch(counter, number, last, { elements: 1, isPrivate: true });
    let next = number;
    for (const member of draft.blocks?.members ?? []) next = visit(member, next, draft.blocks!);
    return last + 1;
  };
  const number = order.reduce((next, draft) => visit(draft, next, null), 0);
  for (const value of built.results) if (residence(value).owner.op !== null) touch(value, number, number, null);
  for (const value of positions?.kept ?? []) if (residence(value).owner.op !== null) touch(value, 0, number, null);
  return { residence, lifetimes: [...lifetimes.values()] };
}

/** Values that take over the memory of an operand read for the last time where they are written. */
function inPlace(built: Built, order: readonly Draft[], kept: ReadonlySet<Value>): Map<Value, { readonly root: Value; readonly offset: number }> {
  const lastRead = new Map<Value, Draft>();
  for (const draft of order.flatMap(kernelsOf)) for (const { root } of draft.sources) lastRead.set(root, draft);
  const result = new Map<Value, { root: Value; offset: number }>();
  const taken = new Set<Value>();
  const placed = (draft: Draft, blocks: Blocks | undefined): readonly { readonly blocks: Blocks | undefined; readonly draft: Draft }[] =>
    draft.blocks?.members.flatMap(member => placed(member, draft.blocks)) ?? [{ blocks, draft }];
  for (const { blocks, draft } of order.flatMap(each => placed(each, undefined))) {
    // Other positions of a loop may still read what outlives one.
    const mayShare = (value: Value): boolean => !kept.has(value) && (blocks === undefined || blocks.inside.has(value));
    for (const output of draft.outputs) {
      if (output.root.op === null || built.homes.has(output.root) || output.offset !== 0 || bytes(output.root.type) < alignment) continue;
      if (!mayShare(output.root)) continue;
      const candidate = draft.sources.find(
        source =>
          source.root.op !== null &&
          lastRead.get(source.root) === draft &&
          mayShare(source.root) &&
          !taken.has(source.root) &&
          !built.homes.has(source.root) &&
          !built.required.has(source.root) &&
          !built.parts.has(source.root) &&
          !draft.outputs.some(other => other.root === source.root) &&
          elementBytes(source.dtype) === elementBytes(output.dtype) &&
          bytes(source.root.type) === bytes(output.root.type) &&
          readsAtStore(draft, source.root, output.root),
      );
      if (!candidate) continue;
      result.set(output.root, { root: candidate.root, offset: 0 });
      taken.add(candidate.root);
    }
  }
  return result;
}

/** Every load of `read` is, in the very step that stores `written`, at the element that is stored. */
function readsAtStore(draft: Draft, read: Value, written: Value): boolean {
  const store = draft.steps.findIndex(step => step.kind === 'store' && draft.outputs[step.output]!.root === written);
  const at = draft.steps[store];
  if (at === undefined || at.kind !== 'store' || at.accumulate) return false;
  const target = linear(draft.outputs[at.output]!, at.at);
  return draft.steps.every((step, i) => {
    const body = stepBody(step);
    return (
      body === null ||
      loadsOf(body).every(load => {
        const source = draft.sources[load.operand]!;
        if (source.root !== read) return true;
        const address = linear(source, load.at);
        return i === store && address !== null && target !== null && JSON.stringify(address) === JSON.stringify(target);
      })
    );
  });
}

/** Offsets by size, largest first, each at the lowest place that is free while it lives (Pisarchyk & Lee 2020, greedy by size). */
export function assign(lifetimes: readonly Lifetime[]): ReadonlyMap<Value, number> {
  const placed: { readonly lifetime: Lifetime; readonly start: number; readonly end: number }[] = [];
  const offsets = new Map<Value, number>();
  for (const lifetime of [...lifetimes].sort((a, b) => b.bytes - a.bytes || a.first - b.first)) {
    const busy = placed
      .filter(other => other.lifetime.first <= lifetime.last && lifetime.first <= other.lifetime.last)
      .sort((a, b) => a.start - b.start);
    let start = 0;
    for (const other of busy) {
      if (start + lifetime.bytes <= other.start) break;
      start = Math.max(start, aligned(other.end));
    }
    placed.push({ lifetime, start, end: start + lifetime.bytes });
    offsets.set(lifetime.owner, start);
  }
  return offsets;
}
