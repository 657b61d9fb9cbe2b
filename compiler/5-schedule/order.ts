/**
 * What must come before what: a kernel after those that write what it reads, and one that overwrites a leaf after every other that
 * still reads the leaf. Kept up to date while kernels are joined, and put in an order that keeps little memory alive.
 */
import type { Value } from '../ir/graph.ts';
import { bytes } from '../ir/type.ts';
import type { Built } from './build.ts';
import { isRecomputed, type Draft, type Source } from './draft.ts';

export interface Successors {
  /** Kernels that are left, every one after what it needs. */
  readonly inOrder: () => readonly Draft[];
  readonly alive: (draft: Draft) => boolean;
  /** Kernels that write what this one reads, and nothing else. */
  readonly producers: (draft: Draft) => readonly Draft[];
  /** Whether some other kernel has to run after the first and before the second. */
  readonly pathBetween: (first: Draft, second: Draft) => boolean;
  readonly readOnlyBy: (value: Value, first: Draft, second: Draft) => boolean;
  readonly writersOf: (value: Value) => readonly Draft[];
  readonly readersOf: (value: Value) => readonly Draft[];
  /** Kernels that can run one after the other with no other kernel between them, none at first; `take` adds some if that stays so. */
  readonly newRun: () => { readonly take: (drafts: readonly Draft[]) => boolean };
  readonly replace: (drafts: readonly Draft[], by: readonly Draft[]) => void;
}

export function successors(built: Built): Successors {
  const live = new Set(built.drafts);
  const writers = new Map<Value, Set<Draft>>();
  const readers = new Map<Value, Set<Draft>>();
  const overwritten = (value: Value): Value => {
    const home = built.homes.get(value);
    return home ? overwritten(home.root) : value;
  };
  const register = (draft: Draft): void => {
    for (const { root } of draft.sources) put(readers, root, draft);
    for (const { root } of draft.outputs) put(writers, root, draft);
  };
  for (const draft of live) register(draft);
  const writersOf = (value: Value): readonly Draft[] => {
    const parts = built.parts.get(value);
    if (value.op === null) return [];
    return [...(writers.get(value) ?? []), ...(parts ?? []).flatMap(writersOf)];
  };
  const producers = (draft: Draft): readonly Draft[] => [...new Set(draft.sources.flatMap(source => writersOf(source.root)))];
  const findBefore = (draft: Draft): readonly Draft[] => {
    const result = new Set(producers(draft));
    for (const { root } of draft.outputs) {
      const leaf = overwritten(root);
      if (leaf.op === null) for (const reader of readers.get(leaf) ?? []) result.add(reader);
    }
    result.delete(draft);
    return [...result];
  };
  // All of these are asked many times between two changes.
  let arranged: readonly Draft[] | null = null;
  let related: Relations | null = null;
  const known = new Map<Draft, readonly Draft[]>();
  /** Whose list each kernel is in. */
  const listed = new Map<Draft, Draft[]>();
  const before = (draft: Draft): readonly Draft[] => {
    const earlier = known.get(draft);
    if (earlier !== undefined) return earlier;
    const found = findBefore(draft);
    known.set(draft, found);
    for (const other of found) append(listed, other, draft);
    return found;
  };
  const inOrder = (): readonly Draft[] => arranged ??= arrange([...live], before, built);
  return {
    inOrder,
    alive: draft => live.has(draft),
    producers,
    pathBetween: (first, second) => {
      const seen = new Set<Draft>([first]);
      const pending = before(second).filter(draft => draft !== first);
      while (pending.length > 0) {
        const draft = pending.pop()!;
        if (seen.has(draft)) continue;
        seen.add(draft);
        for (const earlier of before(draft)) {
          if (earlier === first) return true;
          pending.push(earlier);
        }
      }
      return false;
    },
    readOnlyBy: (value, first, second) => {
      for (const reader of readers.get(value) ?? []) if (reader !== first && reader !== second) return false;
      return true;
    },
    writersOf,
    readersOf: value => [...(readers.get(value) ?? [])],
    newRun: () => {
      const { numbers, words, earlier, later } = related ??= relationsOf(inOrder(), before);
      let [own, ahead, behind] = [0, 1, 2].map(() => new Uint32Array(words)) as [Uint32Array, Uint32Array, Uint32Array];
      const take = (drafts: readonly Draft[]): boolean => {
        const [nextOwn, nextAhead, nextBehind] = [own.slice(), ahead.slice(), behind.slice()];
        for (const draft of drafts) {
          const number = numbers.get(draft)!;
          nextOwn[number >> 5]! |= 1 << (number & 31);
          for (let word = 0; word < words; word++) {
            nextAhead[word]! |= earlier[number * words + word]!;
            nextBehind[word]! |= later[number * words + word]!;
          }
        }
        if (nextOwn.some((bits, word) => (nextAhead[word]! & nextBehind[word]! & ~bits) !== 0)) return false;
        [own, ahead, behind] = [nextOwn, nextAhead, nextBehind];
        return true;
      };
      return { take };
    },
    replace: (drafts, by) => {
      arranged = related = null;
      // Whatever comes after what is new came after something that it replaces.
      for (const draft of drafts) {
        for (const other of listed.get(draft) ?? []) known.delete(other);
        listed.delete(draft);
        known.delete(draft);
        live.delete(draft);
        for (const { root } of draft.sources) readers.get(root)!.delete(draft);
        for (const { root } of draft.outputs) writers.get(root)!.delete(draft);
      }
      for (const draft of by) {
        live.add(draft);
        register(draft);
      }
    },
  };
}

/** Kernels by their numbers in an order, and for each of them a bit for every kernel, in so many words: what must run before it, and after it. */
interface Relations {
  readonly numbers: ReadonlyMap<Draft, number>;
  readonly words: number;
  readonly earlier: Uint32Array;
  readonly later: Uint32Array;
}

function relationsOf(order: readonly Draft[], before: (draft: Draft) => readonly Draft[]): Relations {
  const numbers = new Map(order.map((draft, i) => [draft, i]));
  const words = Math.ceil(order.length / 32);
  const [earlier, later] = [new Uint32Array(order.length * words), new Uint32Array(order.length * words)];
  const include = (bits: Uint32Array, to: number, from: number): void => {
    for (let word = 0; word < words; word++) bits[to * words + word]! |= bits[from * words + word]!;
    bits[to * words + (from >> 5)]! |= 1 << (from & 31);
  };
  const lists = order.map(draft => before(draft).map(other => numbers.get(other)!));
  for (let i = 0; i < order.length; i++) for (const other of lists[i]!) include(earlier, i, other);
  for (let i = order.length - 1; i >= 0; i--) for (const other of lists[i]!) include(later, other, i);
  return { numbers, words, earlier, later };
}

function append<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}

function put(map: Map<Value, Set<Draft>>, key: Value, draft: Draft): void {
  map.set(key, (map.get(key) ?? new Set()).add(draft));
}

/**
 * List scheduling: of the kernels that may run, the one that leaves the least memory alive; ties in the order of the graph. A kernel
 * that only recomputes never runs by itself but right before the first that needs it, and counts as part of that one. So does one that
 * reads nothing, as what fills the first slot of a carried value.
 */
function arrange(drafts: readonly Draft[], before: (draft: Draft) => readonly Draft[], built: Built): Draft[] {
  // Kernels by their numbers in the graph's order.
  const numbers = new Map(drafts.map((draft, i) => [draft, i]));
  const earlier = drafts.map(draft => before(draft).map(other => numbers.get(other)!));
  const needed = new Set(earlier.flat());
  const holder = (value: Value): Value => (built.homes.has(value) ? holder(built.homes.get(value)!.root) : value);
  const outlives = (value: Value): boolean => holder(value).op === null || built.results.has(holder(value));
  const isPreparation = (draft: Draft, i: number): boolean =>
    !draft.host && needed.has(i) && (draft.sources.length === 0 || draft.outputs.every(output => isRecomputed(output.root))) &&
    !draft.outputs.some(output => outlives(output.root));
  const prepares = new Set(drafts.flatMap((draft, i) => (isPreparation(draft, i) ? [i] : [])));
  const preparations = earlier.map(list => (prepares.size === 0 ? [] : list.filter(other => prepares.has(other))));
  const reads = drafts.map(draft => distinctRoots(draft.sources));
  const followers = drafts.map((): number[] => []);
  /** How many kernels each still waits for. */
  const waiting = drafts.map((_, i) => {
    if (prepares.has(i)) return 0;
    const awaits = awaited(i, earlier, prepares);
    for (const other of awaits) followers[other]!.push(i);
    return awaits.length;
  });
  const transient = (value: Value): boolean => value.op !== null && !built.required.has(value) && !built.parts.has(value);
  const readers = new Map<Value, number[]>();
  reads.forEach((roots, i) => roots.forEach(root => append(readers, root, i)));
  const uses = new Map([...readers].map(([root, list]) => [root, list.length]));
  const done = new Uint8Array(drafts.length);
  const unprepared = (i: number): readonly number[] => preparations[i]!.filter(other => done[other] === 0);
  const known: (number | undefined)[] = [];
  const ownGrowth = (i: number): number => {
    const draft = drafts[i]!;
    // Targets may compute the host's scalars before anything else, so nothing comes before them.
    if (draft.host) return -Infinity;
    const made = draft.outputs.reduce((sum, output) => sum + (transient(output.root) ? bytes(output.root.type) : 0), 0);
    const freed = reads[i]!.reduce((sum, root) => sum + (transient(root) && uses.get(root) === 1 ? bytes(root.type) : 0), 0);
    return made - freed;
  };
  const growth = (i: number): number => {
    if (unprepared(i).length === 0) return known[i] ??= ownGrowth(i);
    const together = new Set([i]);
    for (const each of together) for (const other of unprepared(each)) together.add(other);
    return [...together].reduce((sum, each) => sum + (known[each] ??= ownGrowth(each)), 0);
  };
  const ready = drafts.flatMap((_, i) => (waiting[i] === 0 && !prepares.has(i) ? [i] : []));
  const order: Draft[] = [];
  const run = (i: number): void => {
    for (const other of unprepared(i)) if (done[other] === 0) run(other);
    done[i] = 1;
    order.push(drafts[i]!);
    for (const root of reads[i]!) {
      uses.set(root, uses.get(root)! - 1);
      if (uses.get(root) === 1) for (const reader of readers.get(root)!) known[reader] = undefined;
    }
  };
  while (ready.length > 0) {
    let best = 0;
    let least = growth(ready[0]!);
    for (let at = 1; at < ready.length; at++) {
      const own = growth(ready[at]!);
      if (own < least || (own === least && ready[at]! < ready[best]!)) {
        best = at;
        least = own;
      }
    }
    const [next] = ready.splice(best, 1);
    run(next!);
    for (const follower of followers[next!]!) if (--waiting[follower]! === 0) ready.push(follower);
  }
  if (order.length !== drafts.length) throw new Error('kernels wait for each other');
  return order;
}

function distinctRoots(sources: readonly Source[]): readonly Value[] {
  const roots: Value[] = [];
  for (const { root } of sources) if (!roots.includes(root)) roots.push(root);
  return roots;
}

/** What must have run before a kernel and what prepares it can run. */
function awaited(kernel: number, earlier: readonly (readonly number[])[], prepares: ReadonlySet<number>): readonly number[] {
  if (prepares.size === 0) return earlier[kernel]!;
  const result = new Set<number>();
  const pending = new Set([kernel]);
  for (const each of pending) for (const other of earlier[each]!) (prepares.has(other) ? pending : result).add(other);
  return [...result];
}
