/**
 * One static arena: leaves keep their place for good, everything else of an entry gets an offset for as long as it lives, and the
 * transients of different entries share the same bytes. A result takes the memory of an operand that dies with it, where no
 * iteration disturbs another.
 */
import { sameAffine } from '../ir/affine.ts';
import type { Value } from '../ir/graph.ts';
import { bytes, elementBytes, elements, size } from '../ir/type.ts';
import type { Built } from './build.ts';
import { kernelsOf, linear, loadsOf, stepBody, type Blocks, type Draft, type Source } from './draft.ts';
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
  const isOwn = (value: Value): boolean => !built.homes.has(value) && !built.required.has(value) && !built.parts.has(value) && !kept.has(value);
  // What lives in a sequence reads it, too.
  const holder = (value: Value): Value => (built.homes.has(value) ? holder(built.homes.get(value)!.root) : value);
  const lastUse = new Map<Value, Draft>();
  for (const loop of order) for (const draft of kernelsOf(loop)) for (const { root } of draft.sources) lastUse.set(holder(root), loop);
  for (const loop of order) {
    for (const { sequence, from } of rowsInPlace(loop, built.homes, isOwn)) {
      if (taken.has(from) || lastUse.get(from) !== loop) continue;
      result.set(sequence, { root: from, offset: 0 });
      taken.add(from);
    }
  }
  const placed = (draft: Draft, blocks: Blocks | undefined): readonly { readonly blocks: Blocks | undefined; readonly draft: Draft }[] =>
    draft.blocks?.members.flatMap(member => placed(member, draft.blocks)) ?? [{ blocks, draft }];
  for (const { blocks, draft } of order.flatMap(each => placed(each, undefined))) {
    // Other positions of a loop may still read what outlives one.
    const mayShare = (value: Value): boolean => !kept.has(value) && (blocks === undefined || blocks.inside.has(value));
    for (const output of draft.outputs) {
      if (output.root.op === null || built.homes.has(output.root) || result.has(output.root) || output.offset !== 0 || bytes(output.root.type) < alignment) continue;
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
          // Targets with a half type keep f16 values in memory of their own.
          (source.dtype === 'f16') === (output.dtype === 'f16') &&
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

/**
 * Sequences that a loop writes row by row where it reads the rows of another one of the same size, each before it is written. `isOwn`
 * tells what has memory of its own that nothing else needs.
 */
function rowsInPlace(
  { blocks, outputs }: Draft, homes: Built['homes'], isOwn: (value: Value) => boolean,
): readonly { readonly sequence: Value; readonly from: Value }[] {
  if (blocks === undefined || blocks.independent > 0 || blocks.axes.length > 1) return [];
  const [steps] = blocks.axes as [number];
  const owned = (access: Source): Source => {
    const home = homes.get(access.root);
    return home === undefined ? access : owned({ ...access, root: home.root, offset: access.offset + home.offset });
  };
  const kernels = blocks.members.flatMap(member =>
    kernelsOf(member).map(kernel => ({ kernel, isInner: member.blocks !== undefined, reads: kernel.sources.map(owned), writes: kernel.outputs.map(owned) })));
  /** By how many elements all accesses of a sequence move from step to step, if each stays in the row of its step. */
  const pace = (root: Value): number | null => {
    const accesses = kernels.flatMap(({ reads, writes }) => [...reads, ...writes]).filter(access => access.root === root);
    const row = elements(root.type) / steps;
    const [move] = accesses[0]?.along ?? [0];
    const first = move! < 0 ? (steps - 1) * row : 0;
    const isInRow = ({ along, offset, shape }: Source): boolean =>
      along?.[0] === move && along.slice(1).every(distance => distance === 0) && offset >= first && offset + size(shape) <= first + row;
    return Math.abs(move!) === row && accesses.every(isInRow) ? move! : null;
  };
  const places = (root: Value, of: 'reads' | 'writes'): readonly number[] => [...kernels.keys()].filter(i => kernels[i]![of].some(access => access.root === root));
  /** A kernel may replace what it reads where it stores the sequence, in that very step. */
  const readsOwnRow = (at: number, from: Value, sequence: Value): boolean => {
    const { kernel, reads, writes } = kernels[at]!;
    const isPlain = kernel.sources.every(({ root }, i) => reads[i]!.root !== from || root === from);
    return isPlain && kernel.outputs.every(({ root, offset }, i) => writes[i]!.root !== sequence || (writes[i]!.offset === offset && readsAtStore(kernel, from, root)));
  };
  const read = [...new Set(kernels.flatMap(({ reads }) => reads.map(({ root }) => root)))].filter(root => root.op !== null && isOwn(root));
  return outputs.flatMap(({ root: sequence }) => {
    const writers = places(sequence, 'writes');
    const move = isOwn(sequence) ? pace(sequence) : null;
    if (move === null || writers.some(i => kernels[i]!.isInner)) return [];
    const from = read.find(root =>
      root !== sequence && bytes(root.type) === bytes(sequence.type) && pace(root) === move && places(root, 'writes').length === 0 &&
      places(root, 'reads').every(reader => writers.every(writer => reader < writer || (reader === writer && readsOwnRow(writer, root, sequence)))));
    return from === undefined ? [] : [{ sequence, from }];
  });
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
        return i === store && address !== null && target !== null && sameAffine(address, target);
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
