/**
 * The last level before text: kernels, one static arena with an offset for every buffer, and for each entry the calls in order.
 * Equal kernels of different layers are one template called with different offsets.
 */
import type { Origin } from './graph.ts';
import type { Combine, Index, Scalar } from './nest.ts';
import { size, type DType, type Shape } from './type.ts';

/**
 * A fused loop nest. The iterations over `space` are independent of each other; within one, the steps run in order. Axes are
 * numbered: 0 … n−1 are `space`, n … are the step's own. A load may read what an earlier step of the same iteration stored.
 */
export interface Kernel {
  readonly name: string;
  readonly space: Shape;
  readonly operands: readonly Access[];
  readonly outputs: readonly Access[];
  readonly steps: readonly Step[];
  /** Computed by the host in double precision: scalars that depend on what the training loop sets alone. */
  readonly host: boolean;
  readonly flops: number;
}

/** Contiguous row-major data at a base offset that each call gives. */
export interface Access {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
}

export type Step =
  /** local := combine over the axes of body. */
  | { readonly kind: 'reduce'; readonly local: number; readonly axes: Shape; readonly combine: Combine; readonly body: Scalar }
  /**
   * outputs[output][at] := body, or += body, for every position of the axes. A joined store shares the loop of the store before it,
   * and in each iteration all bodies are evaluated before any of the joined stores takes effect: they may read what the others replace.
   */
  | {
    readonly kind: 'store'; readonly output: number; readonly axes: Shape; readonly at: readonly Index[]; readonly body: Scalar;
    readonly accumulate: boolean; readonly joined: boolean;
  }
  /** outputs[output] := 0, before a scatter; only with an empty space. */
  | { readonly kind: 'clear'; readonly output: number };

/** A tensor's place in the arena. */
export interface Buffer {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
  /** Bytes from the start of the arena; a multiple of 64. */
  readonly offset: number;
  readonly bytes: number;
  /** What is `private` belongs to one position of a loop: threads that run several positions at once need one each. */
  readonly role: 'parameter' | 'state' | 'input' | 'scalar' | 'transient' | 'private';
  /** First and last call that needs it, in its entry; null for what outlives an entry. */
  readonly lifetime: readonly [number, number] | null;
  readonly origin: Origin | null;
}

export interface Call {
  readonly kernel: number;
  /** Element offsets from the start of the arena, in units of each access's own element size: operands first, then outputs. */
  readonly offsets: readonly number[];
  /** The same places as buffers, for pictures. */
  readonly reads: readonly number[];
  readonly writes: readonly number[];
  readonly origins: readonly Origin[];
  /** The loops that it is in, outermost first. Neighbouring calls with the same one are the body of one loop. */
  readonly loops: readonly Loop[];
  /** In loops: for each access and each axis of the loops, by how many elements the offset moves with the position. */
  readonly moves: readonly (readonly number[])[];
}

/** Its calls run one after the other at each position of the axes; positions in order, the last axis fastest. */
export interface Loop {
  /** Where the host gives the position, one axis. */
  readonly axes: Shape;
  /**
   * Null for a loop that runs. Otherwise its calls run once in each run of the entry, at the position that the host has written into the
   * scalar `position`, if that is from `first` on and before the end of the axis.
   */
  readonly given: { readonly first: number } | null;
  /** Positions of the first so many axes do not depend on one another. */
  readonly independent: number;
  /** For each axis the private buffer into which its position is written, as an i32; null where nothing reads it. */
  readonly counters: readonly (number | null)[];
}

export interface ProgramEntry {
  readonly name: string;
  /** What its first call counts as in the lifetimes of buffers: entries that run one after the other share a plan of memory. */
  readonly first: number;
  readonly calls: readonly Call[];
  readonly results: readonly TensorPlace[];
}

/** A named tensor in the arena, as the runtime sees it. */
export interface TensorPlace {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
  /** Bytes from the start of the arena. */
  readonly offset: number;
}

export interface Program {
  readonly buffers: readonly Buffer[];
  readonly kernels: readonly Kernel[];
  readonly entries: readonly ProgramEntry[];
  readonly arenaBytes: number;
  readonly inputs: readonly TensorPlace[];
  readonly parameters: readonly TensorPlace[];
  /** By parameter name; valid after a training step. */
  readonly gradients: readonly TensorPlace[];
  readonly states: readonly TensorPlace[];
  /** Where the host writes `seed`, `step` and `steps`, and what else it writes where an entry reads it. */
  readonly scalars: readonly TensorPlace[];
  /** For the entries `generate_start`, `generate_step` and `generate_scores`; null without them. */
  readonly generation: Generation | null;
}

/**
 * Tokens that come one at a time. `generate_start` runs once; then, at each position, the newest token is written and `generate_step`
 * runs; after that `generate_scores` gives the scores of the token that comes next.
 */
export interface Generation {
  /** Where tokens go. */
  readonly sequence: TensorPlace;
  /** Token k is the newest at position k + before; at the positions below, there is none yet. */
  readonly before: number;
  /** The row of scores that token k completes is k + lag; it tells token k + 1. */
  readonly lag: number;
}

/** What runs in an entry, in order: a call by itself, or a loop with its body. */
export interface Part {
  readonly loop: Loop | null;
  /** Number of the first of its calls in the entry. */
  readonly first: number;
  /** All calls in it. */
  readonly calls: readonly Call[];
  /** What a loop runs at each position; nothing for a call. */
  readonly body: readonly Part[];
}

/** The parts of neighbouring calls that have so many loops around all of them. */
export function partsOf(calls: readonly Call[], depth = 0, first = 0): readonly Part[] {
  const parts: Part[] = [];
  for (let start = 0; start < calls.length;) {
    const loop = calls[start]!.loops[depth] ?? null;
    let end = start + 1;
    while (loop !== null && end < calls.length && calls[end]!.loops[depth] === loop) end++;
    const own = calls.slice(start, end);
    parts.push({ loop, first: first + start, calls: own, body: loop === null ? [] : partsOf(own, depth + 1, first + start) });
    start = end;
  }
  return parts;
}

/** The axes of all loops that a call is in. */
export const axesOfCall = ({ loops }: Call): Shape => loops.flatMap(loop => loop.axes);

/** How often a call runs in its entry. */
export const timesOfCall = ({ loops }: Call): number => size(loops.flatMap(({ given, axes }) => (given === null ? axes : [])));

/** The elements that an access of a call touches, over all positions of its loops, from the start of the arena. */
export function reachOfCall(kernel: Kernel, call: Call, access: number): { readonly from: number; readonly to: number } {
  const { shape } = kernel.operands[access] ?? kernel.outputs[access - kernel.operands.length]!;
  const from = call.offsets[access]!;
  if (call.loops.length === 0) return { from, to: from + size(shape) };
  const firsts = call.loops.flatMap(({ given, axes }) => axes.map(() => given?.first ?? 0));
  const moved = axesOfCall(call).map((extent, axis) => [firsts[axis]!, extent - 1].map(position => position * call.moves[access]![axis]!));
  const sum = (some: (...distances: number[]) => number): number => moved.reduce((total, distances) => total + some(...distances), 0);
  return { from: from + sum(Math.min), to: from + sum(Math.max) + size(shape) };
}

/**
 * Runs an entry's calls: `run` gets each one with its offsets at the present position, `count` the position of an axis for the buffer it
 * is read from. `given` is the position that the host gives.
 */
export function runCalls(
  calls: readonly Call[], run: (call: Call, offsets: readonly number[]) => void, count: (buffer: number, position: number) => void, given: () => number,
): void {
  const runParts = (parts: readonly Part[], around: readonly number[]): void => {
    for (const { loop, calls: [call], body } of parts) {
      if (loop === null) {
        run(call!, call!.offsets.map((offset, k) => around.reduce((sum, at, axis) => sum + at * call!.moves[k]![axis]!, offset)));
        continue;
      }
      const { axes, counters } = loop;
      if (loop.given !== null) {
        if (given() >= loop.given.first && given() < axes[0]!) runParts(body, [...around, given()]);
        continue;
      }
      const position = axes.map(() => 0);
      for (let left = size(axes); left > 0; left--) {
        counters.forEach((buffer, axis) => buffer !== null && count(buffer, position[axis]!));
        runParts(body, [...around, ...position]);
        for (let axis = axes.length - 1; axis >= 0 && ++position[axis]! === axes[axis]; axis--) position[axis] = 0;
      }
    }
  };
  runParts(partsOf(calls), []);
}
