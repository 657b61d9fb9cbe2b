/**
 * Where the values of a loop over steps live. A carried value has memory for its whole sequence: the initial value in slot 0, what the
 * step at position t reads in slot t, what it leaves in slot t + 1; in a reversed loop the slots run the other way. So nothing is copied
 * from step to step, the slot at the other end is the final value, and the values before or after each step are parts of it. What is
 * yielded has a slot for each position.
 */
import type { Value } from '../ir/graph.ts';
import { scanResultOf, type Scan } from '../ir/scan.ts';
import { dim, elements, shapeOf, tensor, type DType, type Shape } from '../ir/type.ts';
import type { Home } from './build.ts';
import type { Draft } from './draft.ts';

/** A value that has to be copied to a place, because it cannot be computed there. */
export interface Move {
  readonly value: Value;
  readonly to: { readonly root: Value; readonly offset: number; readonly shape: Shape; readonly dtype: DType; readonly along?: readonly number[] };
}

export interface LoopPlaces {
  /** For each carried value what holds its sequence, and what is computed in the first slot of it; null where that is copied. */
  readonly tracks: readonly Value[];
  readonly begins: readonly (Value | null)[];
  /** Copies before the loop, and in each of its steps. */
  readonly before: readonly Move[];
  readonly inside: readonly Move[];
}

/**
 * Gives the values of a scan their homes. `outer` is the loop around it. `baseOf` tells the value to compute in place of another one,
 * inside of the loop or outside; null where it has a place already. `take` records a home.
 */
export function placeLoop(
  scan: Scan,
  outer: Scan | undefined,
  depth: number,
  values: readonly Value[],
  baseOf: (value: Value, loop: Scan | undefined) => Value | null,
  take: (value: Value, home: Home) => void,
  homes: ReadonlyMap<Value, Home>,
): LoopPlaces {
  const { carries, initials, nexts, yields, length, reversed } = scan;
  const steps = length.extent;
  const before: Move[] = [];
  const inside: Move[] = [];
  const tracks = carries.map(({ type }, k): Value => ({
    ...scan.value, attrs: { ...scan.value.attrs, track: k }, type: tensor(type.dtype, [dim(steps + 1), ...type.dims]),
  }));
  const place = (value: Value, home: Home, copies: Move[]): Value | null => {
    const base = baseOf(value, copies === inside ? scan : outer);
    if (base !== null) take(base, home);
    if (base !== null) return base;
    const along = home.along === undefined ? {} : { along: [...Array.from({ length: depth }, () => 0), home.along.times] };
    copies.push({ value, to: { root: home.root, offset: home.offset, shape: shapeOf(value.type), dtype: value.type.dtype, ...along } });
    return null;
  };
  const begins = carries.map((leaf, k) => {
    const root = tracks[k]!;
    const size = elements(leaf.type);
    take(leaf, { root, offset: reversed ? size : 0, along: { scan, times: size } });
    const begin = place(initials[k]!, { root, offset: reversed ? steps * size : 0 }, before);
    place(nexts[k]!, { root, offset: reversed ? 0 : size, along: { scan, times: size } }, inside);
    return begin;
  });
  for (const result of values) {
    const { scan: of, part, which } = scanResultOf(result) ?? {};
    if (of !== scan.value) continue;
    if (part === 'final') {
      take(result, { root: tracks[which!]!, offset: reversed ? 0 : steps * elements(result.type) });
      continue;
    }
    const value = yields[which!]!;
    const size = elements(value.type);
    // What is carried, or yielded twice, is there for every step already.
    const home = homes.get(value);
    const isWhole = home?.along?.scan === scan && home.along.times === size && (tracks.includes(home.root) || scanResultOf(home.root)?.scan === scan.value);
    if (isWhole) take(result, { root: home.root, offset: home.offset });
    else place(value, { root: result, offset: 0, along: { scan, times: size } }, inside);
  }
  return { tracks, begins, before, inside };
}

/** The kernels of a loop as one draft. `isWithin` tells whether a value belongs to one of its steps. */
export function loopDraft(
  scan: Scan, { tracks }: LoopPlaces, members: readonly Draft[], values: readonly Value[], homes: ReadonlyMap<Value, Home>,
  isWithin: (value: Value, scan: Scan) => boolean,
): Draft {
  const counter = scan.counter;
  const outlives = (value: Value): boolean => !isWithin(holder(value), scan);
  const holder = (value: Value): Value => {
    const home = homes.get(value);
    return home === undefined ? value : holder(home.root);
  };
  const written = members.flatMap(member => member.outputs.map(output => output.root));
  const made = new Set(written);
  const own = (value: Value) => ({ root: value, offset: 0, shape: shapeOf(value.type), dtype: value.type.dtype });
  const read = new Set(members.flatMap(member => member.sources.map(source => source.root)).filter(root => root !== counter && !made.has(root)));
  const results = values.filter(value => scanResultOf(value)?.scan === scan.value);
  return {
    space: [],
    sources: [...new Set([...read, ...tracks])].map(own),
    outputs: [...new Set([...written.filter(outlives), ...results])].map(own),
    steps: [],
    values: members.flatMap(member => member.values),
    host: false,
    blocks: {
      axes: [scan.length.extent],
      independent: 0,
      members,
      inside: new Map(written.filter(value => !outlives(value)).map(holder).map(value => [value, elements(value.type)])),
      counters: [members.some(member => member.sources.some(source => source.root === counter)) ? counter : null],
    },
  };
}
