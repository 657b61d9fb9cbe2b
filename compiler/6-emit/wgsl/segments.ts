/**
 * The arena for a GPU: cut into segments, each of which one binding can hold. Where the schedule's layout has stretches that cannot be
 * cut and are longer than a binding, tensors get other places, such that none lies on both sides of a cut.
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
  /** Bytes from the start of the arena. */
  readonly start: number;
  readonly bytes: number;
}

/** A stretch that cannot be cut and is longer than the limit is a segment by itself. */
export function segmentsOf(program: Program, limit: number): readonly Segment[] {
  const segments: Segment[] = [];
  let start = 0;
  let end = 0;
  for (const next of cuts(program.buffers)) {
    if (next - start > limit && end > start) {
      segments.push({ start, bytes: end - start });
      start = end;
    }
    end = next;
  }
  return [...segments, { start, bytes: Math.max(program.arenaBytes, end) - start }];
}

/** Where the arena can be cut: the ends, rounded up to where buffers may begin, of stretches that overlapping buffers cover. */
function cuts(buffers: readonly Buffer[]): readonly number[] {
  const sorted = [...buffers].sort((a, b) => a.offset - b.offset);
  const ends: number[] = [];
  let end = 0;
  for (const buffer of sorted) {
    if (buffer.offset >= end && end > 0) ends.push(buffer.offset);
    end = Math.max(end, buffer.offset + buffer.bytes);
  }
  return [...ends, aligned(end)];
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

/** The program as it is where its segments fit the limit; else with other places for all tensors. */
export function laidOut(program: Program, limit: number): Program {
  const longest = ({ start, bytes }: Segment): number =>
    Math.max(limit, ...program.buffers.filter(buffer => start <= buffer.offset && buffer.offset < start + bytes).map(buffer => aligned(buffer.bytes)));
  return segmentsOf(program, limit).every(segment => segment.bytes <= longest(segment)) ? program : relocated(program, limit);
}

interface Bin {
  bytes: number;
}

interface Placed {
  readonly lifetime: readonly [number, number];
  readonly start: number;
  readonly end: number;
}

/** Places within bins that are no longer than the limit, or than the one tensor that is longer. Transients of different entries share bins. */
function relocated(program: Program, limit: number): Program {
  const persistent: Bin[] = [];
  const places = new Map<number, { readonly bin: Bin; readonly at: number }>();
  program.buffers.forEach((buffer, index) => {
    if (buffer.lifetime !== null) return;
    const bin = persistent.find(each => aligned(each.bytes) + buffer.bytes <= limit) ?? added(persistent);
    places.set(index, { bin, at: aligned(bin.bytes) });
    bin.bytes = aligned(bin.bytes) + buffer.bytes;
  });
  const transient: Bin[] = [];
  const plans = plannedTogether(program.entries).map(entries => ({ entries, own: [...new Set(entries.flatMap(entry => buffersOf(program, entry)))] }));
  const ownOf = new Map(plans.flatMap(({ entries, own }) => entries.map(entry => [entry, own] as const)));
  for (const { own } of plans) {
    const placed = new Map<Bin, Placed[]>();
    const order = [...own].sort((a, b) => program.buffers[b]!.bytes - program.buffers[a]!.bytes);
    for (const index of order) {
      const { bytes, lifetime } = program.buffers[index]!;
      const start = (bin: Bin): number => lowest(placed.get(bin) ?? [], bytes, lifetime!);
      const bin = transient.find(each => start(each) + bytes <= limit) ?? added(transient);
      const at = start(bin);
      places.set(index, { bin, at });
      placed.set(bin, [...(placed.get(bin) ?? []), { lifetime: lifetime!, start: at, end: at + bytes }]);
      bin.bytes = Math.max(bin.bytes, at + bytes);
    }
  }
  let end = 0;
  const starts = new Map([...persistent, ...transient].map(bin => {
    const start = end;
    end = aligned(end + bin.bytes);
    return [bin, start] as const;
  }));
  const offsetOf = (index: number): number => {
    const place = places.get(index);
    return place === undefined ? 0 : starts.get(place.bin)! + place.at;
  };
  const moved = (place: TensorPlace, among: readonly number[]): TensorPlace => {
    const holding = among.filter(index => holds(program.buffers[index]!, place.offset));
    // Of those that share the byte, the one that is alive at the end.
    const [first, ...others] = holding as [number, ...number[]];
    const last = others.reduce((best, index) => (lastOf(program.buffers[index]!) > lastOf(program.buffers[best]!) ? index : best), first);
    return { ...place, offset: place.offset - program.buffers[last]!.offset + offsetOf(last) };
  };
  const lasting = program.buffers.flatMap((buffer, index) => (buffer.lifetime === null ? [index] : []));
  const list = (own: readonly TensorPlace[]): readonly TensorPlace[] => own.map(place => moved(place, lasting));
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
      results: entry.results.map(place => moved(place, [...ownOf.get(entry)!, ...lasting])),
    })),
    arenaBytes: aligned(end),
    inputs: list(program.inputs), parameters: list(program.parameters), gradients: list(program.gradients), states: list(program.states),
    scalars: list(program.scalars),
    generation: program.generation && { ...program.generation, sequence: moved(program.generation.sequence, lasting) },
  };
}

const aligned = (bytes: number): number => Math.ceil(bytes / 64) * 64;
const holds = (buffer: Buffer, byte: number): boolean => buffer.offset <= byte && byte < buffer.offset + Math.max(1, buffer.bytes);
const lastOf = (buffer: Buffer): number => buffer.lifetime?.[1] ?? Infinity;

function added(bins: Bin[]): Bin {
  const bin = { bytes: 0 };
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
