/**
 * A program for a GPU: the arena as segments that a binding can hold, a shader for each kernel and each way in which its tensors lie in
 * segments, and for each entry the dispatches in order. Places of a call's tensors are numbers that a shader reads, so that equal
 * kernels share their shader.
 */
import { axesOfCall, partsOf, type Call, type Kernel, type Loop, type Part, type Program } from '../../ir/program.ts';
import { elementBytes, type Shape } from '../../ir/type.ts';
import { linearKernel } from '../linear.ts';
import { shadersOf } from './kernel.ts';
import { segmentAt, usualBinding, type Segment, type SegmentedProgram } from './segments.ts';
import { counterShader, type Shader } from './shader.ts';

export interface GpuModule {
  readonly segments: readonly Segment[];
  readonly shaders: readonly ModuleShader[];
  /** In the order of the program's entries. */
  readonly entries: readonly GpuEntry[];
  /** Bytes of the memory in which a call's dispatches leave something for one another. */
  readonly scratchBytes: number;
}

export interface ModuleShader extends Shader {
  readonly name: string;
  /** Null where it belongs to no kernel. */
  readonly kernel: number | null;
}

export interface GpuEntry {
  readonly name: string;
  readonly parts: readonly GpuPart[];
}

/** Dispatches and loops inside, in order; in a loop at each position of its axes, the last axis fastest. */
export interface GpuPart {
  readonly axes: Shape;
  /** Where the host gives the position: the first at which they run; null in a loop that runs. */
  readonly first: number | null;
  readonly dispatches: readonly (Dispatch | GpuPart)[];
}

export interface Dispatch {
  readonly shader: number;
  /** Segments that it binds, in order. */
  readonly segments: readonly number[];
  /** Numbers that the shader reads: the first element of each access, counted in its own elements from the start of its segment. */
  readonly places: readonly number[];
  /** For each axis of the loops around, the outermost first: by how much each number grows with the position. */
  readonly moves: readonly (readonly number[])[];
}

export interface GpuOptions {
  /** Products with fewer multiplications are not tiled: what a workgroup shares costs more than it saves. */
  readonly fewestProducts: number;
  /** Shorter rows are left to one invocation each. */
  readonly shortestRow: number;
  /** Workgroups that keep a GPU busy: with fewer, tiles of products are smaller and sums are cut. */
  readonly enoughWorkgroups: number;
  /** Whether adapters in software get shaders of their own, without barriers. */
  readonly software: boolean;
  /** Bytes of a segment, unless a single tensor needs more. */
  readonly bindingBytes: number;
}

export const defaultGpuOptions: GpuOptions = { fewestProducts: 32768, shortestRow: 128, enoughWorkgroups: 64, software: true, bindingBytes: usualBinding };

export function gpuModule(program: SegmentedProgram, options: GpuOptions): GpuModule {
  const { segments } = program;
  const shaders: ModuleShader[] = [];
  const made = new Map<string, readonly number[]>();
  const aligned = alignedAccesses(program);
  const ends = endsOfAccesses(program);
  const shadersFor = (key: string, make: () => readonly ModuleShader[]): readonly number[] => {
    const known = made.get(key);
    if (known) return known;
    const first = shaders.length;
    shaders.push(...make());
    const numbers = shaders.slice(first).map((_, i) => first + i);
    made.set(key, numbers);
    return numbers;
  };
  const dispatchesOf = (call: Call): readonly Dispatch[] => {
    const kernel = program.kernels[call.kernel]!;
    if (kernel.host) return [];
    const accesses = [...kernel.operands, ...kernel.outputs];
    const starts = accesses.map((access, i) => call.offsets[i]! * elementBytes(access.dtype));
    const own = starts.map(byte => segmentAt(segments, byte));
    const bound = [...new Set(own)];
    const arrays = own.map(segment => bound.indexOf(segment));
    const halves = bound.map(segment => segments[segment]!.halves);
    const numbers = shadersFor(JSON.stringify([call.kernel, arrays, halves]), () => {
      const texts = shadersOf(linearKernel(kernel), { arrays, halves, aligned: aligned[call.kernel]!, ends: ends[call.kernel]! }, options);
      return texts.map((shader, i) => ({ ...shader, name: nameOf(kernel, call.kernel, texts.length > 1 ? i : null), kernel: call.kernel }));
    });
    const places = starts.map((start, i) => (start - segments[own[i]!]!.start) / elementBytes(accesses[i]!.dtype));
    const moves = axesOfCall(call).map((_, axis) => call.moves.map(own => own[axis]!));
    return numbers.map(shader => ({ shader, segments: bound, places, moves }));
  };
  /** Writes the position of an axis, of so many, where the calls of a loop read it. */
  const counting = (buffer: number, axis: number, count: number): Dispatch => {
    const { offset } = program.buffers[buffer]!;
    const segment = segmentAt(segments, offset);
    const [shader] = shadersFor('counter', () => [{ ...counterShader, name: 'counter', kernel: null }]);
    return { shader: shader!, segments: [segment], places: [(offset - segments[segment]!.start) / 4, 0], moves: Array.from({ length: count }, (_, own) => [0, own === axis ? 1 : 0]) };
  };
  const inLoop = ({ axes, given, counters }: Loop, body: readonly Part[], around: number): GpuPart => {
    const counts = counters.flatMap((buffer, axis) => (buffer === null ? [] : [counting(buffer, around + axis, around + axes.length)]));
    const inner = body.flatMap(({ loop, calls, body: parts }): readonly (Dispatch | GpuPart)[] =>
      (loop === null ? calls.flatMap(dispatchesOf) : [inLoop(loop, parts, around + axes.length)]));
    return { axes, first: given?.first ?? null, dispatches: [...counts, ...inner] };
  };
  const entries = program.entries.map(({ name, calls }): GpuEntry => {
    const parts: GpuPart[] = [];
    for (const { loop, calls: own, body } of partsOf(calls)) {
      const part = loop === null ? { axes: [], first: null, dispatches: own.flatMap(dispatchesOf) } : inLoop(loop, body, 0);
      const last = parts.at(-1);
      if (loop === null && last?.axes.length === 0) parts[parts.length - 1] = { axes: [], first: null, dispatches: [...last.dispatches, ...part.dispatches] };
      else if (part.dispatches.length > 0) parts.push(part);
    }
    return { name, parts };
  });
  return { segments, shaders, entries, scratchBytes: Math.max(0, ...shaders.map(shader => shader.scratchBytes)) };
}

const nameOf = (kernel: Kernel, number: number, part: number | null): string => `${kernel.name}.${number}${part === null ? '' : `.${part + 1}`}`;

/** Of each kernel the accesses that begin at a multiple of four elements in all of its calls. Segments begin at multiples of that. */
function alignedAccesses(program: Program): readonly (readonly boolean[])[] {
  const result = program.kernels.map(kernel => [...kernel.operands, ...kernel.outputs].map(() => true));
  for (const entry of program.entries)
    for (const call of entry.calls) call.offsets.forEach((offset, access) => {
      if ([offset, ...(call.moves[access] ?? [])].some(number => number % 4 !== 0)) result[call.kernel]![access] = false;
    });
  return result;
}

/** Of each kernel the elements from the start of an access to the end of its buffer; null where they are not the same in all of its calls. */
function endsOfAccesses(program: Program): readonly (readonly (number | null)[])[] {
  const found = program.kernels.map(kernel => [...kernel.operands, ...kernel.outputs].map(() => new Set<number | null>()));
  for (const entry of program.entries)
    for (const call of entry.calls) {
      const { operands, outputs } = program.kernels[call.kernel]!;
      const buffers = [...call.reads, ...call.writes];
      [...operands, ...outputs].forEach(({ dtype }, access) => {
        const { offset, bytes } = program.buffers[buffers[access]!]!;
        const stays = (call.moves[access] ?? []).every(number => number === 0);
        found[call.kernel]![access]!.add(stays ? (offset + bytes) / elementBytes(dtype) - call.offsets[access]! : null);
      });
    }
  return found.map(accesses => accesses.map(ends => (ends.size === 1 ? [...ends][0]! : null)));
}
