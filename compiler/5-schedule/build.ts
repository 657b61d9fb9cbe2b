/**
 * The kernels of one entry before fusion, one for each stored value, and where stored values live when that is inside another: the
 * parts of a concatenation in the whole, a leaf's new value in the leaf's own memory.
 */
import { axisAt, fixed, sameAffine, substitute, type Affine } from '../ir/affine.ts';
import type { Update, Value } from '../ir/graph.ts';
import { constant, type Index } from '../ir/nest.ts';
import type { Step } from '../ir/program.ts';
import type { Scan } from '../ir/scan.ts';
import { elements, shapeOf, type Shape } from '../ir/type.ts';
import { linear, loadsOf, stepBody, type Draft, type Source } from './draft.ts';
import { expansion, MustStore, placeOf } from './expand.ts';
import { loopDraft, placeLoop, type Move } from './loops.ts';
import { hasNest, partition, type Lowering } from './lower.ts';
import { atStep } from './steps.ts';

/** `offset` elements into another stored value or a leaf. */
export interface Home {
  readonly root: Value;
  readonly offset: number;
  /** Of a value inside of a loop: the place is that at position 0, and moves by so many elements with the position in the loop. */
  readonly along?: { readonly scan: Scan; readonly times: number };
}

export interface Built {
  readonly drafts: readonly Draft[];
  readonly homes: ReadonlyMap<Value, Home>;
  /** What the entry gives: it stays until the entry ends. */
  readonly results: ReadonlySet<Value>;
  /** Stored values that something outside the entry's kernels reads: their stores stay. */
  readonly required: ReadonlySet<Value>;
  /** The kernels' values that together make up a concatenation. */
  readonly parts: ReadonlyMap<Value, readonly Value[]>;
}

/** Storing more values until every kernel can be written, and copying instead of updating in place where that would overwrite what is still read. */
export function build(lowering: Lowering): Built {
  const copied = new Set<Update>();
  for (;;) {
    try {
      const built = attempt(lowering, copied);
      const conflict = firstConflict(lowering, built, copied);
      if (conflict === null) return built;
      copied.add(conflict);
    } catch (error) {
      if (!(error instanceof MustStore) || lowering.stored.has(error.value)) throw error;
      lowering.stored.add(error.value);
    }
  }
}

function attempt(lowering: Lowering, copied: ReadonlySet<Update>): Built {
  const { entry, values, nest, host, stored, scans, inside, around } = lowering;
  const homes = new Map<Value, Home>();
  const copies: (Move & { readonly scan: Scan | undefined })[] = [];
  const parts = new Map<Value, Value[]>();
  const required = new Set<Value>();
  const drafts: Draft[] = [];
  const members = new Map(scans.map(scan => [scan, [] as Draft[]]));
  const alongOf = (value: Value, scan: Scan): number => {
    const home = homes.get(value);
    return home === undefined ? 0 : (home.along?.scan.value === scan.value ? home.along.times : 0) + alongOf(home.root, scan);
  };
  const outwards = (scan: Scan | undefined): readonly Scan[] => (scan === undefined ? [] : [...around(scan.value), scan]);
  const add = (made: Draft, scan: Scan | undefined): void => {
    if (scan === undefined) drafts.push(made);
    else members.get(scan)!.push(atStep(made, outwards(scan), alongOf));
  };

  for (const update of entry.updates) {
    const base = contiguousBase(update.value, lowering);
    if (!copied.has(update) && base !== null && hasNest(base) && !host.has(base) && !homes.has(base)) homes.set(base, { root: update.leaf, offset: 0 });
    else
      drafts.push(
        copy(lowering, update.value, { root: update.leaf, offset: 0, shape: shapeOf(update.leaf.type), dtype: update.leaf.type.dtype }, []),
      );
  }
  const take = (value: Value, home: Home): void => {
    if (value.op !== null) stored.add(value);
    homes.set(value, home);
  };
  /** What can be computed in the place of a value, in the loop that the place belongs to. */
  const baseIn = (value: Value, scan: Scan | undefined): Value | null => {
    const base = contiguousBase(value, lowering);
    return base !== null && hasNest(base) && !host.has(base) && !homes.has(base) && inside.get(base) === scan ? base : null;
  };
  const loops = scans.map(scan => ({ scan, outer: inside.get(scan.value), places: placeLoop(scan, inside.get(scan.value), around(scan.value).length, values, baseIn, take, homes) }));
  for (const { places } of loops) places.begins.forEach((begin, k) => parts.set(places.tracks[k]!, begin === null ? [] : [begin]));
  for (const value of [...values].reverse()) {
    const pieces = hasNest(value) && stored.has(value) && !host.has(value) ? partition(nest(value)) : null;
    if (pieces === null) continue;
    const row = elements(value.type) / value.type.dims[0]!.extent;
    const whole: Value[] = [];
    for (const { operand, start } of pieces) {
      const part = value.operands[operand]!;
      const base = baseIn(part, inside.get(value));
      if (base !== null) {
        take(base, { root: value, offset: start * row });
        whole.push(base);
      } else {
        const to = { root: value, offset: start * row, shape: shapeOf(part.type), dtype: value.type.dtype };
        copies.push({ value: part, to, scan: inside.get(value) });
      }
    }
    parts.set(value, whole);
  }
  const filled = loops.flatMap(({ places }) => [...places.before, ...places.inside].map(move => move.to.root));
  for (const value of [...homes.keys(), ...filled]) required.add(value);
  const results = new Set(entry.results.map(({ value }) => placeOf(value, lowering)?.root ?? value));
  for (const value of results) required.add(value);

  const scalars = values.filter(value => host.has(value) && stored.has(value));
  if (scalars.length > 0) drafts.push(hostDraft(lowering, scalars));
  for (const { value, to, scan } of copies) add(copy(lowering, value, to, outwards(scan)), scan);
  // What is made of nothing, such as the zeros that a loop begins with, is made for each loop: read from another, it would tie the two together.
  const apart = (value: Value): Lowering =>
    hasNest(value) && value.operands.length === 0 ? { ...lowering, stored: new Set([...stored].filter(other => other !== value)) } : lowering;
  for (const { scan, outer, places } of loops) {
    for (const { value, to } of places.before) add(copy(apart(value), value, to, outwards(outer)), outer);
    for (const { value, to } of places.inside) add(copy(apart(value), value, to, outwards(scan)), scan);
  }
  for (const value of values) {
    const scan = inside.get(value);
    if (hasNest(value) && stored.has(value) && !host.has(value) && !parts.has(value)) add(draft(lowering, value, around(value)), scan);
  }
  // Inner loops first: they are members of those around them.
  const tracks = new Map(loops.flatMap(({ scan, places }) => places.tracks.map(track => [track, scan.value] as const)));
  const isWithin = (value: Value, scan: Scan): boolean => around(tracks.get(value) ?? value).some(each => each.value === scan.value);
  for (const { scan, outer, places } of loops)
    (outer === undefined ? drafts : members.get(outer)!).push(loopDraft(scan, places, members.get(scan)!, values, homes, isWithin));
  return { drafts, homes, results, required, parts };
}

/** What a value is a plain reinterpretation of, when it covers all of it: the value to compute in place. Leaves are not. */
function contiguousBase(value: Value, lowering: Lowering): Value | null {
  let base = value;
  while (base.op !== null && !lowering.stored.has(base)) {
    const { body, combine, scatter } = lowering.nest(base);
    if (combine !== null || scatter || body.kind !== 'load') return base;
    const operand = base.operands[body.operand]!;
    if (elements(operand.type) !== elements(base.type)) return base;
    // A permuted view is computed, not reinterpreted: it is a base of its own.
    const probe = { ...lowering, stored: new Set([operand]) };
    if (placeOf(base, probe)?.root !== operand) return base;
    base = operand;
  }
  return base.op === null ? null : base;
}

function draft(lowering: Lowering, value: Value, around: readonly Scan[]): Draft {
  const nest = lowering.nest(value);
  const output: Source = { root: value, offset: 0, shape: shapeOf(value.type), dtype: value.type.dtype };
  const { axes, space, reduce } = withoutOnes(nest.space, nest.reduce);
  const { body: expand, sources } = expansion(lowering, [...space, ...reduce], around);
  const body = expand(value, nest, axes);
  const at = axes.slice(0, nest.space.length);
  const base = { sources, outputs: [output], values: [value], host: false };
  if (nest.scatter) {
    const { shape, at: target } = nest.scatter;
    const positions = target.map((index): Index =>
      'gathered' in index ? { gathered: expand(value, { ...nest, body: index.gathered }, axes) } : substitute(index, axes)!,
    );
    const steps: readonly Step[] = [
      { kind: 'clear', output: 0 },
      { kind: 'store', output: 0, axes: space, at: positions, body, accumulate: true, joined: false },
    ];
    return { ...base, space: [], outputs: [{ ...output, shape }], steps };
  }
  if (nest.combine === null || reduce.length === 0) {
    // Of one element, the sum and the extremes are the element, and the position is the first.
    const single = nest.combine?.startsWith('arg') ? constant(0, 'i32') : body;
    return { ...base, space, steps: [{ kind: 'store', output: 0, axes: [], at, body: single, accumulate: false, joined: false }] };
  }
  return {
    ...base,
    space,
    steps: [
      { kind: 'reduce', local: 0, axes: reduce, combine: nest.combine, body },
      { kind: 'store', output: 0, axes: [], at, body: { kind: 'local', local: 0 }, accumulate: false, joined: false },
    ],
  };
}

/** Axes of one iteration are no loops: what is left, and what each axis of the nest is in it. */
function withoutOnes(space: Shape, reduce: Shape): { readonly axes: readonly Affine[]; readonly space: Shape; readonly reduce: Shape } {
  let next = 0;
  const axes = [...space, ...reduce].map(extent => (extent === 1 ? fixed(0) : axisAt(next++)));
  return { axes, space: space.filter(extent => extent !== 1), reduce: reduce.filter(extent => extent !== 1) };
}

/** A kernel that computes a value straight into part of another's memory. */
function copy(lowering: Lowering, value: Value, output: Source, around: readonly Scan[]): Draft {
  const shape = shapeOf(value.type);
  const { axes: at, space } = withoutOnes(shape, []);
  const { expression, sources } = expansion(lowering, space, around);
  const body = expression(value, at);
  return {
    space,
    sources,
    outputs: [{ ...output, shape }],
    steps: [{ kind: 'store', output: 0, axes: [], at, body, accumulate: false, joined: false }],
    values: [value],
    host: false,
  };
}

function hostDraft(lowering: Lowering, scalars: readonly Value[]): Draft {
  // Nothing on the host is rounded to f32 on the way: every scalar is written out from the leaves.
  const { expression, sources } = expansion({ ...lowering, stored: new Set() }, []);
  const steps = scalars.map((value, output): Step => ({
    kind: 'store',
    output,
    axes: [],
    at: [],
    body: expression(value, []),
    accumulate: false,
    joined: output > 0,
  }));
  const outputs = scalars.map((value): Source => ({ root: value, offset: 0, shape: [], dtype: value.type.dtype }));
  return { space: [], sources, outputs, steps, values: scalars, host: true };
}

/**
 * An update in place whose leaf is still read, in its old state, by something that must come after the update, or elsewhere in the
 * same kernel. Copies come last of all: nothing has to wait for them.
 */
function firstConflict(lowering: Lowering, built: Built, copied: ReadonlySet<Update>): Update | null {
  const readers = new Map<Value, Draft[]>();
  const overwriters = new Map<Value, Draft[]>();
  for (const each of built.drafts) {
    for (const { root } of each.sources) readers.set(root, [...(readers.get(root) ?? []), each]);
    for (const { root } of each.outputs) {
      const home = built.homes.get(root);
      const leaf = home && leafOf(home, built.homes);
      if (leaf) overwriters.set(leaf, [...(overwriters.get(leaf) ?? []), each]);
    }
  }
  for (const update of lowering.entry.updates) {
    if (copied.has(update)) continue;
    const writers = overwriters.get(update.leaf) ?? [];
    const after = following(writers, built, readers, overwriters);
    for (const reader of readers.get(update.leaf) ?? []) {
      if (writers.includes(reader) ? !readsInPlace(reader, update.leaf) : after.has(reader)) return update;
    }
  }
  return null;
}

function leafOf(home: Home, homes: ReadonlyMap<Value, Home>): Value {
  const next = homes.get(home.root);
  return next ? leafOf(next, homes) : home.root;
}

/** Kernels that must come after the given ones: they read what those write, or overwrite a leaf that those read. */
function following(
  from: readonly Draft[],
  built: Built,
  readers: ReadonlyMap<Value, readonly Draft[]>,
  overwriters: ReadonlyMap<Value, readonly Draft[]>,
): Set<Draft> {
  const result = new Set<Draft>();
  const pending = [...from];
  const seen = new Set<Value>();
  const reach = (drafts: readonly Draft[]): void => {
    for (const draft of drafts) {
      if (result.has(draft)) continue;
      result.add(draft);
      pending.push(draft);
    }
  };
  const written = (value: Value): void => {
    if (seen.has(value)) return;
    seen.add(value);
    reach(readers.get(value) ?? []);
    for (const [whole, pieces] of built.parts) if (pieces.includes(value)) written(whole);
  };
  while (pending.length > 0) {
    const draft = pending.pop()!;
    for (const { root } of draft.outputs) written(root);
    for (const { root } of draft.sources) reach((overwriters.get(root) ?? []).filter(other => other !== draft));
  }
  return result;
}

/** Every load of the leaf is at the element that the kernel's store replaces. */
function readsInPlace(reader: Draft, leaf: Value): boolean {
  const store = reader.steps.find(step => step.kind === 'store')!;
  const target = linear({ ...reader.outputs[0]!, offset: 0 }, store.at);
  return reader.steps.every(step =>
    loadsOf(stepBody(step) ?? { kind: 'constant', value: 0, dtype: 'f32' }).every(load => {
      const source = reader.sources[load.operand]!;
      if (source.root !== leaf) return true;
      const address = linear(source, load.at);
      return step.kind === 'store' && address !== null && target !== null && sameAffine(address, target);
    }),
  );
}
