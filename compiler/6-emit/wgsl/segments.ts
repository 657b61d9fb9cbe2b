/**
 * The arena for a GPU: cut into segments, each of which one binding can hold. Where the schedule's layout has stretches that cannot be
 * cut and are longer than a binding, tensors get other places, such that none lies on both sides of a cut. So they do where some of them
 * may be of halves, which then have segments of their own.
 */
import type { Buffer, Call, Program, ProgramEntry, TensorPlace } from '../../ir/program.ts';
import { elementBytes } from '../../ir/type.ts';
import type { Diagnostic } from '../../source/diagnostic.ts';
import type { Span } from '../../source/text.ts';

/** Bytes that every GPU can bind at once. */
export const usualBinding = 128 * 2 ** 20;
/** The most that GPUs can. */
export const largestBinding = 2 ** 31 - 4;

export interface Segment {
  /** Bytes from the start of the arena, in which every f16 value has four. */
  readonly start: number;
  readonly bytes: number;
  /** Whether it holds f16 values alone, which the host never sees: a GPU with f16 has half of these bytes. */
  readonly halves: boolean;
}

/** A program whose arena is cut for a GPU. */
export interface SegmentedProgram extends Program {
  readonly segments: readonly Segment[];
}

/** The number of the segment in which a byte of the arena lies. */
export const segmentAt = (segments: readonly Segment[], byte: number): number => segments.findLastIndex(({ start }) => start <= byte);

/** A stretch that cannot be cut and is longer than the limit is a segment by itself. */
function segmentsOf(program: Program, limit: number, halves: ReadonlySet<number>): readonly Segment[] {
  const segments: Segment[] = [];
  let start = 0;
  let last: Stretch | null = null;
  for (const next of stretches(program.buffers, halves)) {
    if (last !== null && (next.end - start > limit || next.halves !== last.halves)) {
      segments.push({ start, bytes: last.end - start, halves: last.halves });
      start = last.end;
    }
    last = next;
  }
  return [...segments, { start, bytes: Math.max(program.arenaBytes, last?.end ?? 0) - start, halves: last?.halves ?? false }];
}

/** What overlapping buffers cover: all of them are of halves, or none is. */
interface Stretch {
  /** Rounded up to where buffers may begin. */
  readonly end: number;
  readonly halves: boolean;
}

/** Between them the arena can be cut. */
function stretches(buffers: readonly Buffer[], halves: ReadonlySet<number>): readonly Stretch[] {
  const sorted = buffers.map((buffer, index) => ({ ...buffer, halves: halves.has(index) })).sort((a, b) => a.offset - b.offset);
  const result: Stretch[] = [];
  let end = 0;
  sorted.forEach((buffer, i) => {
    if (buffer.offset >= end && end > 0) result.push({ end: buffer.offset, halves: sorted[i - 1]!.halves });
    end = Math.max(end, buffer.offset + buffer.bytes);
  });
  return [...result, { end: aligned(end), halves: sorted.at(-1)?.halves ?? false }];
}

/**
 * Buffers that a GPU with f16 can hold as such: all that is ever written and read there is f16, nothing is added up in them, for sums are
 * f32 on the way, and the host never looks at them.
 */
function halvesOf(program: Program): ReadonlySet<number> {
  const used = new Set<number>();
  const others = new Set<number>();
  for (const { calls } of program.entries)
    for (const { kernel: number, reads, writes, loops } of calls) {
      const { host, operands, outputs, steps } = program.kernels[number]!;
      const isSum = (output: number): boolean => steps.some(step => step.kind === 'store' && step.accumulate && step.output === output);
      const isHalf = [...operands.map(({ dtype }) => dtype === 'f16' && !host), ...outputs.map(({ dtype }, i) => dtype === 'f16' && !host && !isSum(i))];
      [...reads, ...writes].forEach((index, i) => (isHalf[i] ? used : others).add(index));
      for (const index of loops.flatMap(loop => loop.counters)) if (index !== null) others.add(index);
    }
  const ownOf = transientsOf(program);
  for (const entry of program.entries) for (const place of entry.results) others.add(holder(program, place, ownOf.get(entry)!));
  return new Set([...used].filter(index => !others.has(index) && program.buffers[index]!.lifetime !== null));
}

/** Tensors that no GPU can bind. */
export function bindingProblems(program: Program, model: Span): readonly Diagnostic[] {
  return program.buffers.filter(buffer => buffer.bytes > largestBinding).map((buffer): Diagnostic => ({
    code: 'webgpu.binding',
    message: `\`${buffer.name}\` takes ${buffer.bytes} bytes, and WebGPU gives a kernel at most ${largestBinding} at once`,
    span: buffer.origin?.span ?? model,
    help: 'make it smaller, for example with a smaller batch, or take `--target wasm`',
  }));
}

/** The program as it is where it has no halves and its segments fit the limit; else with other places for all tensors. */
export function laidOut(program: Program, limit: number): SegmentedProgram {
  const halves = halvesOf(program);
  const segments = segmentsOf(program, limit, new Set());
  const longest = ({ start, bytes }: Segment): number =>
    Math.max(limit, ...program.buffers.filter(buffer => start <= buffer.offset && buffer.offset < start + bytes).map(buffer => aligned(buffer.bytes)));
  if (halves.size === 0 && segments.every(segment => segment.bytes <= longest(segment))) return { ...program, segments };
  const moved = relocated(program, limit, halves);
  return { ...moved, segments: segmentsOf(moved, limit, halves) };
}

interface Bin {
  bytes: number;
  readonly halves: boolean;
}

interface Placed {
  readonly lifetime: readonly [number, number];
  readonly start: number;
  readonly end: number;
}

/**
 * Places within bins that are no longer than the limit, or than the one tensor that is longer, each of halves or of none. Transients of
 * different entries share bins.
 */
function relocated(program: Program, limit: number, halves: ReadonlySet<number>): Program {
  const persistent: Bin[] = [];
  const places = new Map<number, { readonly bin: Bin; readonly at: number }>();
  program.buffers.forEach((buffer, index) => {
    if (buffer.lifetime !== null) return;
    const bin = persistent.find(each => aligned(each.bytes) + buffer.bytes <= limit) ?? added(persistent, false);
    places.set(index, { bin, at: aligned(bin.bytes) });
    bin.bytes = aligned(bin.bytes) + buffer.bytes;
  });
  const transient: Bin[] = [];
  const ownOf = transientsOf(program);
  for (const own of new Set(ownOf.values())) {
    const placed = new Map<Bin, Placed[]>();
    const order = [...own].sort((a, b) => program.buffers[b]!.bytes - program.buffers[a]!.bytes);
    for (const index of order) {
      const { bytes, lifetime } = program.buffers[index]!;
      const start = (bin: Bin): number => lowest(placed.get(bin) ?? [], bytes, lifetime!);
      const isHalf = halves.has(index);
      const bin = transient.find(each => each.halves === isHalf && start(each) + bytes <= limit) ?? added(transient, isHalf);
      const at = start(bin);
      places.set(index, { bin, at });
      placed.set(bin, [...(placed.get(bin) ?? []), { lifetime: lifetime!, start: at, end: at + bytes }]);
      bin.bytes = Math.max(bin.bytes, at + bytes);
    }
  }
  let end = 0;
  const starts = new Map([...persistent, ...transient.filter(bin => !bin.halves), ...transient.filter(bin => bin.halves)].map(bin => {
    const start = end;
    end = aligned(end + bin.bytes);
    return [bin, start] as const;
  }));
  const offsetOf = (index: number): number => {
    const place = places.get(index);
    return place === undefined ? 0 : starts.get(place.bin)! + place.at;
  };
  const moved = (place: TensorPlace, among: readonly number[]): TensorPlace => {
    const index = holder(program, place, among);
    return { ...place, offset: place.offset - program.buffers[index]!.offset + offsetOf(index) };
  };
  const list = (own: readonly TensorPlace[]): readonly TensorPlace[] => own.map(place => moved(place, []));
  const called = (call: Call): Call => {
    const kernel = program.kernels[call.kernel]!;
    const accesses = [...kernel.operands, ...kernel.outputs];
    const offsets = [...call.reads, ...call.writes].map((index, i) =>
      call.offsets[i]! + (offsetOf(index) - program.buffers[index]!.offset) / elementBytes(accesses[i]!.dtype));
    return { ...call, offsets };
  };
  return {
    ...program,
    buffers: program.buffers.map((buffer, index) => ({ ...buffer, offset: offsetOf(index) })),
    entries: program.entries.map(entry => ({
      ...entry,
      calls: entry.calls.map(called),
      results: entry.results.map(place => moved(place, ownOf.get(entry)!)),
    })),
    arenaBytes: aligned(end),
    inputs: list(program.inputs), parameters: list(program.parameters), gradients: list(program.gradients), states: list(program.states),
    scalars: list(program.scalars),
    generation: program.generation && { ...program.generation, sequence: moved(program.generation.sequence, []) },
  };
}

const aligned = (bytes: number): number => Math.ceil(bytes / 64) * 64;
const holds = (buffer: Buffer, byte: number): boolean => buffer.offset <= byte && byte < buffer.offset + Math.max(1, buffer.bytes);
const lastOf = (buffer: Buffer): number => buffer.lifetime?.[1] ?? Infinity;

/** The buffer in which a tensor lies at the end of an entry that has such transients. */
function holder({ buffers }: Program, { offset }: TensorPlace, transients: readonly number[]): number {
  const lasting = buffers.flatMap((buffer, index) => (buffer.lifetime === null ? [index] : []));
  // Of those that share the byte, the one that is alive at the end.
  const [first, ...others] = [...transients, ...lasting].filter(index => holds(buffers[index]!, offset)) as [number, ...number[]];
  return others.reduce((best, index) => (lastOf(buffers[index]!) > lastOf(buffers[best]!) ? index : best), first);
}

function added(bins: Bin[], halves: boolean): Bin {
  const bin = { bytes: 0, halves };
  bins.push(bin);
  return bin;
}

/** Entries that run one after the other share a plan: the first begins it. */
function plannedTogether(entries: readonly ProgramEntry[]): readonly (readonly ProgramEntry[])[] {
  const plans: ProgramEntry[][] = [];
  for (const entry of entries) {
    if (entry.first === 0) plans.push([entry]);
    else plans.at(-1)!.push(entry);
  }
  return plans;
}

/** What lives within each entry, or within those that share its plan. */
const transientsOf = (program: Program): ReadonlyMap<ProgramEntry, readonly number[]> =>
  new Map(plannedTogether(program.entries).flatMap(entries => {
    const own = [...new Set(entries.flatMap(entry => buffersOf(program, entry)))];
    return entries.map(entry => [entry, own] as const);
  }));

/** What lives within an entry. */
const buffersOf = (program: Program, entry: ProgramEntry): readonly number[] =>
  [...new Set(entry.calls.flatMap(call => [...call.reads, ...call.writes, ...call.loops.flatMap(loop => loop.counters).filter(index => index !== null)]))]
    .filter(index => program.buffers[index]!.lifetime !== null);

/** The lowest place that is free for as long as a tensor lives. */
function lowest(placed: readonly Placed[], bytes: number, [first, last]: readonly [number, number]): number {
  const busy = placed.filter(({ lifetime }) => lifetime[0] <= last && first <= lifetime[1]).sort((a, b) => a.start - b.start);
  let start = 0;
  for (const other of busy) {
    if (start + bytes <= other.start) break;
    start = Math.max(start, aligned(other.end));
  }
  return start;
}
