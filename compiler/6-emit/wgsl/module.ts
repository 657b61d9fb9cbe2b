/**
 * A program for a GPU: the arena as segments that a binding can hold, a shader for each kernel and each way in which its tensors lie in
 * segments, and for each entry the dispatches in order. Places of a call's tensors are numbers that a shader reads, so that equal
 * kernels share their shader.
 */
import type { Call, Kernel, Program, ProgramEntry } from '../../ir/program.ts';
import { elementBytes } from '../../ir/type.ts';
import { linearKernel } from '../wasm/linear.ts';
import { shadersOf } from './kernel.ts';
import { segmentsOf, type Segment } from './segments.ts';
import type { Shader } from './shader.ts';

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
  readonly kernel: number;
}

export interface GpuEntry {
  readonly name: string;
  readonly dispatches: readonly Dispatch[];
}

export interface Dispatch {
  readonly shader: number;
  /** Segments that it binds, in order. */
  readonly segments: readonly number[];
  /** The first element of each access, counted in its own elements from the start of its segment. */
  readonly places: readonly number[];
  /** The number of the call in its entry. */
  readonly call: number;
}

/** Largest binding that every device offers. */
export const bindingBytes = 128 * 2 ** 20;

export interface GpuOptions {
  /** Products with fewer multiplications are not tiled: what a workgroup shares costs more than it saves. */
  readonly fewestProducts: number;
  /** Shorter rows are left to one invocation each. */
  readonly shortestRow: number;
}

export const defaultGpuOptions: GpuOptions = { fewestProducts: 32768, shortestRow: 128 };

export function gpuModule(program: Program, options: GpuOptions): GpuModule {
  const segments = segmentsOf(program, bindingBytes);
  const shaders: ModuleShader[] = [];
  const made = new Map<string, readonly number[]>();
  const aligned = alignedAccesses(program);
  const dispatchesOf = (each: Call, call: number): readonly Dispatch[] => {
    const kernel = program.kernels[each.kernel]!;
    if (kernel.host) return [];
    const accesses = [...kernel.operands, ...kernel.outputs];
    const starts = accesses.map((access, i) => each.offsets[i]! * elementBytes(access.dtype));
    const own = starts.map(start => segments.findLastIndex(segment => segment.start <= start));
    const bound = [...new Set(own)];
    const arrays = own.map(segment => bound.indexOf(segment));
    const key = JSON.stringify([each.kernel, arrays]);
    if (!made.has(key)) {
      const first = shaders.length;
      const texts = shadersOf(linearKernel(kernel), { arrays, aligned: aligned[each.kernel]! }, options);
      shaders.push(...texts.map((shader, i): ModuleShader => ({ ...shader, name: nameOf(kernel, each.kernel, texts.length > 1 ? i : null), kernel: each.kernel })));
      made.set(key, texts.map((_, i) => first + i));
    }
    const places = starts.map((start, i) => (start - segments[own[i]!]!.start) / elementBytes(accesses[i]!.dtype));
    return made.get(key)!.map(shader => ({ shader, segments: bound, places, call }));
  };
  const entries = program.entries.map((entry): GpuEntry => ({ name: entry.name, dispatches: callsOf(entry).flatMap(dispatchesOf) }));
  return { segments, shaders, entries, scratchBytes: Math.max(0, ...shaders.map(shader => shader.scratchBytes)) };
}

/** The calls of an entry, in the order in which they run. */
const callsOf = (entry: ProgramEntry): readonly Call[] => entry.calls;

const nameOf = (kernel: Kernel, number: number, part: number | null): string => `${kernel.name}.${number}${part === null ? '' : `.${part + 1}`}`;

/** Of each kernel the accesses that begin at a multiple of four elements in all of its calls. Segments begin at multiples of that. */
function alignedAccesses(program: Program): readonly (readonly boolean[])[] {
  const result = program.kernels.map(kernel => [...kernel.operands, ...kernel.outputs].map(() => true));
  for (const entry of program.entries)
    for (const call of callsOf(entry)) call.offsets.forEach((offset, access) => {
      if (offset % 4 !== 0) result[call.kernel]![access] = false;
    });
  return result;
}
