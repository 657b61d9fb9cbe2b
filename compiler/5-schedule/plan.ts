/** One entry from values to kernels in order, each stored value with its place among what lives within the entry. */
import type { Entry, PlacementAt, Value } from '../ir/graph.ts';
import { formBlocks, type BlockSizes } from './blocks.ts';
import { build, type Built } from './build.ts';
import type { Draft } from './draft.ts';
import { placeOf } from './expand.ts';
import { fuse } from './fuse.ts';
import { splitLongSums } from './long-sums.ts';
import { lower, type Lowering, type Nests } from './lower.ts';
import { assign, residences, type EntryMemory } from './memory.ts';
import { successors } from './order.ts';
import { formPositions, type Positions } from './positions.ts';

export interface Plan {
  readonly lowering: Lowering;
  readonly sizes: BlockSizes;
  readonly built: Built;
  readonly order: readonly Draft[];
  readonly memory: EntryMemory;
  /** Bytes from the start of the transient region, by owner of the memory. */
  readonly offsets: ReadonlyMap<Value, number>;
  /** The size of the transient region that the entry needs. */
  readonly transientBytes: number;
  /** Of an entry whose tokens come one at a time; null for all others. */
  readonly positions: Positions | null;
}

export function planEntry(entry: Entry, placementAt: PlacementAt, sizes: BlockSizes, nests: Nests): Plan {
  const lowering = lower(entry, placementAt, nests);
  const built = build(lowering);
  const state = successors(built);
  fuse(state, built);
  const positions = entry.sequence === undefined ? null : formPositions(state.inOrder(), built, entry.sequence, scoresOf(entry, lowering));
  if (positions === null) {
    splitLongSums(state, built);
    formBlocks(state, built, sizes);
  }
  const order = positions === null ? state.inOrder() : [...positions.start, ...positions.step, ...positions.result];
  const memory = residences(built, order, positions);
  const offsets = assign(memory.lifetimes);
  const transientBytes = memory.lifetimes.reduce((most, { owner, bytes }) => Math.max(most, offsets.get(owner)! + bytes), 0);
  return { lowering, sizes, built, order, memory, offsets, transientBytes, positions };
}

function scoresOf({ results }: Entry, lowering: Lowering): Parameters<typeof formPositions>[3] {
  const { value } = results[0]!;
  const { root: result, offset } = placeOf(value, lowering) ?? { root: value, offset: 0 };
  return { result, offset, width: value.type.dims.at(-1)!.extent };
}
