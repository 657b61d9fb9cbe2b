/** Runs what the WebGPU target makes of nests and programs, in a process that finds a GPU. */
import { gpuPlan, type GpuPlan } from '../../compiler/6-emit/wgsl/plan.ts';
import { defaultGpuOptions, type GpuOptions } from '../../compiler/6-emit/wgsl/module.ts';
import { laidOut } from '../../compiler/6-emit/wgsl/segments.ts';
import { axisAt } from '../../compiler/ir/affine.ts';
import { executeKernel } from '../../compiler/ir/evaluate.ts';
import { apply, load, type Nest } from '../../compiler/ir/nest.ts';
import type { Access, Buffer, Call, Kernel, Program, ProgramEntry, TensorPlace } from '../../compiler/ir/program.ts';
import { elementBytes, size, type DType } from '../../compiler/ir/type.ts';
import type { Tensor } from '../../compiler/ops/define.ts';
import { openGpu } from '../../runtime/gpu-machine.ts';
import { viewOf } from '../../runtime/tensor.ts';
import { usualScalars, type Role } from './machine.ts';
import { kernelOf } from './wasm.ts';

/** As `Machine`, but what it gives has to be waited for. */
export interface RemoteMachine {
  readonly write: (role: Role, name: string, data: ArrayLike<number>) => void;
  readonly read: (role: Role, name: string) => Promise<Float64Array>;
  readonly run: (entry: string) => Promise<ReadonlyMap<string, Tensor>>;
  readonly names: (role: Role) => readonly string[];
}

/** As on an adapter that has no feature. */
export const withoutFeatures = (plan: GpuPlan): GpuPlan => ({ ...plan, declarations: plan.declarations.map(declaration => ({ ...declaration, feature: 'none' as typeof declaration.feature })) });

/** A scheduled program. Host scalars are interpreted. */
export async function gpuMachine(given: Program, options: GpuOptions = defaultGpuOptions, planned = (plan: GpuPlan): GpuPlan => plan): Promise<RemoteMachine> {
  const program = laidOut(given, options.bindingBytes);
  const { memory, run, device } = openGpu(planned(gpuPlan(program, options)));
  await device.open();
  const places = { input: [...program.inputs, ...(program.generation ? [program.generation.sequence] : [])], parameter: program.parameters, gradient: program.gradients, state: program.states, scalar: program.scalars } as const satisfies Record<Role, unknown>;
  const placeOf = (role: Role, name: string): TensorPlace => {
    const found = places[role].find(place => place.name === name);
    if (found === undefined) throw new Error(`there is no ${role} ${name}`);
    return found;
  };
  for (const place of program.scalars) viewOf(memory, place).fill(usualScalars.get(place.name) ?? 0);
  return {
    write: (role, name, data) => {
      viewOf(memory, placeOf(role, name)).set(data);
      if (role !== 'input' && role !== 'scalar') device.send([placeOf(role, name)]);
    },
    read: async (role, name) => {
      await device.fetch([placeOf(role, name)]);
      return Float64Array.from(viewOf(memory, placeOf(role, name)));
    },
    run: async name => {
      const number = program.entries.findIndex(entry => entry.name === name);
      const entry = program.entries[number]!;
      for (const call of entry.calls) {
        const kernel = program.kernels[call.kernel]!;
        if (!kernel.host) continue;
        const accesses = [...kernel.operands, ...kernel.outputs];
        const views = accesses.map((access, i) => viewOf(memory, { ...access, offset: call.offsets[i]! * elementBytes(access.dtype) }));
        const tensors = views.map((data, i): Tensor => ({ ...accesses[i]!, data: Float64Array.from(data) }));
        executeKernel(kernel, tensors.slice(0, kernel.operands.length), tensors.slice(kernel.operands.length));
        kernel.outputs.forEach((_, i) => views[kernel.operands.length + i]!.set(tensors[kernel.operands.length + i]!.data));
      }
      run(number);
      await device.fetch(entry.results);
      return new Map(entry.results.map(place => [place.name, { dtype: place.dtype, shape: place.shape, data: Float64Array.from(viewOf(memory, place)) }]));
    },
    names: role => places[role].map(place => place.name),
  };
}

/** A nest with operands; the kernels of many are one program. */
export interface NestRun {
  readonly nest: Nest;
  readonly operands: readonly Tensor[];
}

/** Nests as one program with an entry that runs them all, one after the other. */
export function programOfNests(runs: readonly NestRun[]): Program {
  const kernels = new Map<string, { readonly kernel: Kernel; readonly number: number }>();
  const buffers: Buffer[] = [];
  let end = 0;
  const buffer = (access: Kernel['operands'][number], role: Buffer['role']): number => {
    const bytes = size(access.shape) * elementBytes(access.dtype);
    buffers.push({ ...access, offset: end, bytes, role, lifetime: null, origin: null });
    end = Math.ceil((end + bytes) / 64) * 64;
    return buffers.length - 1;
  };
  const calls = runs.map(({ nest, operands }): Call => {
    const made = kernelOf(nest, operands);
    const key = JSON.stringify(made);
    if (!kernels.has(key)) kernels.set(key, { kernel: made, number: kernels.size });
    const reads = made.operands.map(access => buffer(access, 'input'));
    const writes = made.outputs.map(access => buffer(access, 'transient'));
    const offsets = [...reads, ...writes].map(index => buffers[index]!.offset / elementBytes(buffers[index]!.dtype));
    return { kernel: kernels.get(key)!.number, offsets, reads, writes, origins: [], loops: [], moves: [] };
  });
  const place = (index: number): TensorPlace => ({ ...buffers[index]!, name: String(index) });
  return {
    buffers, kernels: [...kernels.values()].map(each => each.kernel), arenaBytes: Math.max(64, end),
    entries: [{ name: 'run', first: 0, calls, results: calls.map(call => place(call.writes[0]!)) }],
    inputs: calls.flatMap(call => call.reads.map(place)), parameters: [], gradients: [], states: [], scalars: [], generation: null,
  };
}

/**
 * The same, with f16 operands that kernels before it have made of f32 ones, and f16 results that kernels after it make f32: what is f16 the
 * host does not see. The inputs and the results of the program are those of the nests, as f32.
 */
export function programOfHalves(runs: readonly NestRun[]): Program {
  const cast = ({ shape, data }: Omit<Tensor, 'dtype'>, from: DType, to: 'to_f16' | 'to_f32'): NestRun =>
    ({ nest: { space: shape, reduce: [], combine: null, body: apply(to, load(0, shape.map((_, axis) => axisAt(axis)))) }, operands: [{ dtype: from, shape, data }] });
  /** Which call reads, as which operand, what another one writes. */
  const links: { readonly call: number; readonly operand: number; readonly from: number }[] = [];
  const all: NestRun[] = [];
  for (const run of runs) {
    const made = run.operands.map((operand, k) => ({ operand, k })).filter(({ operand }) => operand.dtype === 'f16');
    const number = all.length + made.length;
    for (const { operand, k } of made) links.push({ call: number, operand: k, from: all.push(cast(operand, 'f32', 'to_f16')) - 1 });
    all.push(run);
    const [{ dtype, shape }] = kernelOf(run.nest, run.operands).outputs as readonly [Access];
    if (dtype !== 'f16') continue;
    links.push({ call: number + 1, operand: 0, from: number });
    all.push(cast({ shape, data: new Float64Array() }, 'f16', 'to_f32'));
  }
  const program = programOfNests(all);
  const [entry] = program.entries as readonly [ProgramEntry];
  const passed = links.map(({ from }) => entry.calls[from]!.writes[0]!);
  const unused = links.map(({ call, operand }) => entry.calls[call]!.reads[operand]!);
  const calls = entry.calls.map((call, i) => links.filter(link => link.call === i).reduce((linked, { operand, from }): Call => ({
    ...linked,
    reads: linked.reads.with(operand, entry.calls[from]!.writes[0]!),
    offsets: linked.offsets.with(operand, entry.calls[from]!.offsets.at(-1)!),
  }), call));
  return {
    ...program,
    buffers: program.buffers.map((buffer, index) => (passed.includes(index) ? { ...buffer, lifetime: [0, calls.length] } : buffer)),
    entries: [{ ...entry, calls, results: entry.results.filter(({ name }) => !passed.includes(Number(name))) }],
    inputs: program.inputs.filter(({ name }) => !unused.includes(Number(name))),
  };
}

/** What each of the nests gives. */
export async function runNestsOnGpu(runs: readonly NestRun[], options: GpuOptions = defaultGpuOptions, planned?: (plan: GpuPlan) => GpuPlan): Promise<readonly Tensor[]> {
  const program = programOfNests(runs);
  const machine = await gpuMachine(program, options, planned);
  runs.forEach(({ operands }, i) => program.entries[0]!.calls[i]!.reads.forEach((index, k) => machine.write('input', String(index), operands[k]!.data)));
  const results = await machine.run('run');
  return program.entries[0]!.calls.map(call => results.get(String(call.writes[0]!))!);
}
