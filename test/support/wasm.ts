/** Runs what the WebAssembly target makes of nests and programs, in this process, on one thread or as several would. */
import { assemble } from '../../compiler/6-emit/wasm/module.ts';
import { encode } from '../../compiler/6-emit/wasm/encode.ts';
import { axisAt } from '../../compiler/ir/affine.ts';
import { executeKernel, type RunNest } from '../../compiler/ir/evaluate.ts';
import { scalarType, type Nest } from '../../compiler/ir/nest.ts';
import type { Access, Buffer, Kernel, Program, Step, TensorPlace } from '../../compiler/ir/program.ts';
import { elementBytes, isFloat, size, type DType, type Shape } from '../../compiler/ir/type.ts';
import type { Tensor } from '../../compiler/ops/define.ts';
import { webAssembly } from '../../runtime/webassembly.ts';
import { usualScalars, type Machine, type Role } from './machine.ts';

const viewAt = (memory: ArrayBuffer, dtype: DType, shape: Shape, offset: number): Float32Array | Int32Array | Uint8Array =>
  new (isFloat(dtype) ? Float32Array : dtype === 'i32' ? Int32Array : Uint8Array)(memory, offset, size(shape));

/** The exported `run(entry)` and the arena, which is a memory of its own where `wide` says so. */
export function instantiate(program: Program, wide: boolean): { readonly memory: ArrayBuffer; readonly run: (entry: number) => void } {
  const { Memory, Module, Instance } = webAssembly();
  const assembly = assemble(program, { deterministic: false, inspected: false, wide });
  const pages = assembly.module.minimumPages;
  const memory = new Memory({ initial: pages, maximum: pages, shared: true });
  const arenaPages = BigInt(assembly.module.arena?.minimumPages ?? 0);
  const arena = wide ? new Memory({ address: 'i64', initial: arenaPages, maximum: arenaPages, shared: true }) : memory;
  const instance = new Instance(new Module(encode(assembly.module)), { env: { memory, arena } });
  new Int32Array(memory.buffer, assembly.threadsAt, 1)[0] = 1;
  return { memory: arena.buffer, run: instance.exports['run']! };
}

/** A scheduled program. Host scalars are interpreted. */
export function wasmMachine(program: Program, wide = false): Machine {
  const { memory, run } = instantiate(program, wide);
  const places = { input: [...program.inputs, ...(program.generation ? [program.generation.sequence] : [])], parameter: program.parameters, gradient: program.gradients, state: program.states, scalar: program.scalars } as const satisfies Record<Role, unknown>;
  const placeOf = (role: Role, name: string): TensorPlace => {
    const found = places[role].find(place => place.name === name);
    if (found === undefined) throw new Error(`there is no ${role} ${name}`);
    return found;
  };
  const view = (place: TensorPlace): Float32Array | Int32Array | Uint8Array => viewAt(memory, place.dtype, place.shape, place.offset);
  for (const place of program.scalars) view(place).fill(usualScalars.get(place.name) ?? 0);
  return {
    write: (role, name, data) => view(placeOf(role, name)).set(data),
    read: (role, name) => Float64Array.from(view(placeOf(role, name))),
    run: name => {
      const number = program.entries.findIndex(entry => entry.name === name);
      const entry = program.entries[number]!;
      for (const call of entry.calls) {
        const kernel = program.kernels[call.kernel]!;
        if (!kernel.host) continue;
        const views = [...kernel.operands, ...kernel.outputs].map((access, i) => viewAt(memory, access.dtype, access.shape, call.offsets[i]! * elementBytes(access.dtype)));
        const tensors = views.map((data, i): Tensor => ({ ...[...kernel.operands, ...kernel.outputs][i]!, data: Float64Array.from(data) }));
        executeKernel(kernel, tensors.slice(0, kernel.operands.length), tensors.slice(kernel.operands.length));
        kernel.outputs.forEach((_, i) => views[kernel.operands.length + i]!.set(tensors[kernel.operands.length + i]!.data));
      }
      run(number);
      return new Map(entry.results.map(place => [place.name, { dtype: place.dtype, shape: place.shape, data: Float64Array.from(view(place)) }]));
    },
    names: role => places[role].map(place => place.name),
  };
}

/** A nest as a kernel of its own. */
export function kernelOf(nest: Nest, operands: readonly Tensor[]): Kernel {
  const bodyType = scalarType(nest.body, operands.map(operand => operand.dtype));
  const out: Access = { name: 'out', dtype: nest.combine?.startsWith('arg') ? 'i32' : bodyType, shape: nest.scatter?.shape ?? nest.space };
  return {
    name: 'nest', host: false, flops: 0, space: nest.scatter ? [] : nest.space,
    operands: operands.map((operand, k) => ({ name: `x${k}`, dtype: operand.dtype, shape: nest.reinterpret?.[k] ?? operand.shape })),
    outputs: [out],
    steps: stepsOf(nest),
  };
}

/** Each nest as a program of one kernel. */
export const runNestOnWasm: RunNest = (nest, operands) => runNest(nest, operands, false);
/** The same with 64-bit addresses, the last operand at the end of a memory of whole pages: what reads too far behind it traps. */
export const runNestOnWideWasm: RunNest = (nest, operands) => runNest(nest, operands, true);

function runNest(nest: Nest, operands: readonly Tensor[], wide: boolean): Tensor {
  const kernel = kernelOf(nest, operands);
  const [out] = kernel.outputs as readonly [Access];
  const accesses = [...kernel.operands, out];
  const bytesOf = (access: Access): number => Math.ceil(elementBytes(access.dtype) * size(access.shape) / 64) * 64;
  const end = Math.ceil((64 + accesses.reduce((sum, access) => sum + bytesOf(access), 0)) / 65536) * 65536;
  let at = end;
  const offsets = [out, ...kernel.operands].reverse().map(access => (at -= bytesOf(access))).reverse();
  offsets.push(offsets.shift()!);
  const buffers = accesses.map((access, i): Buffer => ({ ...access, offset: offsets[i]!, bytes: size(access.shape) * elementBytes(access.dtype), role: 'transient', lifetime: null, origin: null }));
  const program: Program = {
    buffers, kernels: [kernel], arenaBytes: end, inputs: [], parameters: [], gradients: [], states: [], scalars: [], generation: null,
    entries: [{ name: 'run', first: 0, results: [], calls: [{ kernel: 0, offsets: offsets.map((at, i) => at / elementBytes(accesses[i]!.dtype)), reads: operands.map((_, i) => i), writes: [operands.length], origins: [], loops: [], moves: [] }] }],
  };
  const { memory, run } = instantiate(program, wide);
  operands.forEach((operand, i) => viewAt(memory, operand.dtype, operand.shape, offsets[i]!).set(operand.data));
  run(0);
  return { dtype: out.dtype, shape: out.shape, data: Float64Array.from(viewAt(memory, out.dtype, out.shape, offsets.at(-1)!)) };
}

function stepsOf(nest: Nest): readonly Step[] {
  const { space, reduce, body, combine, scatter } = nest;
  const at = space.map((_, axis) => axisAt(axis));
  if (scatter)
    return [
      { kind: 'clear', output: 0 },
      { kind: 'store', output: 0, axes: space, at: scatter.at, body, accumulate: true, joined: false },
    ];
  if (combine === null) return [{ kind: 'store', output: 0, axes: [], at, body, accumulate: false, joined: false }];
  return [
    { kind: 'reduce', local: 0, axes: reduce, combine, body },
    { kind: 'store', output: 0, axes: [], at, body: { kind: 'local', local: 0 }, accumulate: false, joined: false },
  ];
}
