/** A GPU module as the data from which `runtime/gpu-machine.ts` makes its machine. */
import type { Program, TensorPlace } from '../../ir/program.ts';
import { size, type Shape } from '../../ir/type.ts';
import { place } from '../../source/text.ts';
import { modelLines, originsOfKernels } from '../model-lines.ts';
import type { Declaration } from './shader.ts';
import { gpuModule, type GpuOptions, type GpuPart, type ModuleShader } from './module.ts';
import { segmentAt, type Segment, type SegmentedProgram } from './segments.ts';

/** See `runtime/gpu-machine.ts`. */
export interface GpuPlan {
  readonly bytes: number;
  readonly segments: readonly Pick<Segment, 'start' | 'halves'>[];
  readonly scratchBytes: number;
  readonly software: boolean;
  readonly declarations: readonly Declaration[];
  readonly shaders: readonly (Pick<ModuleShader, 'name' | 'code' | 'workgroups' | 'adapters'> & {
    readonly line: string; readonly scratch: boolean; readonly declarations: readonly number[];
  })[];
  readonly entries: readonly {
    readonly parts: readonly GpuPartPlan[];
    readonly uploads: readonly TensorPlace[];
    readonly results: readonly TensorPlace[];
  }[];
  readonly largest: string;
  readonly position: number | null;
}

interface GpuPartPlan {
  readonly axes: Shape;
  readonly first: number | null;
  readonly dispatches: readonly (readonly [number, readonly number[], readonly number[], readonly (readonly number[])[]] | GpuPartPlan)[];
}

export function gpuPlan(program: SegmentedProgram, options: GpuOptions): GpuPlan {
  const module = gpuModule(program, options);
  const origins = originsOfKernels(program);
  const declarations = [...new Map(module.shaders.flatMap(shader => shader.declarations.map(declaration => [declaration.name, declaration] as const))).values()];
  const entries = program.entries.map((entry, i) => ({ parts: module.entries[i]!.parts.map(partPlan), uploads: uploadsOf(program, entry), results: entry.results }));
  const { inputs, parameters, gradients, states, scalars, generation } = program;
  for (const { name, offset } of [
    ...inputs, ...parameters, ...gradients, ...states, ...scalars, ...(generation ? [generation.sequence] : []), ...entries.flatMap(({ uploads, results }) => [...uploads, ...results]),
  ]) if (module.segments[segmentAt(module.segments, offset)]!.halves) throw new Error(`the host reads or writes \`${name}\`, which lies among halves`);
  return {
    bytes: program.arenaBytes,
    segments: module.segments.map(({ start, halves }) => ({ start, halves })),
    scratchBytes: module.scratchBytes,
    software: options.software,
    declarations,
    shaders: module.shaders.map(({ name, kernel, code, workgroups, scratchBytes, adapters, declarations: own }) => {
      const [line = 'nothing that the model names'] = modelLines(kernel === null ? [] : origins.get(kernel) ?? []);
      const mentioned = own.map(declaration => declarations.findIndex(other => other.name === declaration.name));
      return { name, line, code, workgroups, scratch: scratchBytes > 0, adapters, declarations: mentioned };
    }),
    entries,
    position: program.scalars.find(scalar => scalar.name === 'position')?.offset ?? null,
    largest: largestTensor(program),
  };
}

const partPlan = ({ axes, first, dispatches }: GpuPart): GpuPartPlan => ({
  axes,
  first,
  dispatches: dispatches.map(each => ('axes' in each ? partPlan(each) : [each.shader, each.segments, each.places, each.moves])),
});

/** With its line; of tensors that lie together as one, such as all parameters, the name of the largest among them. */
function largestTensor({ buffers, parameters, gradients, states }: Program): string {
  const biggest = buffers.reduce((largest, buffer) => (buffer.bytes > largest.bytes ? buffer : largest));
  if (biggest.origin?.span) return `${biggest.name}, ${place(biggest.origin.span)}`;
  const [most] = [...parameters, ...gradients, ...states]
    .filter(({ offset, name }) => offset >= biggest.offset && offset < biggest.offset + biggest.bytes && name !== biggest.name)
    .sort((a, b) => size(b.shape) - size(a.shape));
  return most === undefined ? biggest.name : `${biggest.name}, most of it ${most.name}`;
}

/** What the host has to write before a run: the inputs and scalars that the entry reads, and what the host computes. */
function uploadsOf(program: Program, entry: Program['entries'][number]): readonly TensorPlace[] {
  const uploads = new Map<number, TensorPlace>();
  const placed = (index: number): void => {
    const { name, dtype, shape, offset } = program.buffers[index]!;
    uploads.set(index, { name, dtype, shape, offset });
  };
  for (const call of entry.calls) {
    const { host } = program.kernels[call.kernel]!;
    if (host) call.writes.forEach(placed);
    else call.reads.filter(index => ['input', 'scalar'].includes(program.buffers[index]!.role)).forEach(placed);
  }
  return [...uploads.values()];
}

