/**
 * One way to look at every level of a compilation as something that runs: the graph by the references of its ops, and the
 * scheduled program by interpretation of its kernels over one arena, both in double precision.
 */
import { evaluateGraph, executeKernel } from '../../compiler/ir/evaluate.ts';
import { entryRoots, topological, type Graph, type Value } from '../../compiler/ir/graph.ts';
import { runCalls, type Access, type Call, type Program, type TensorPlace } from '../../compiler/ir/program.ts';
import { elementBytes, elements, shapeOf, size, type DType, type Shape } from '../../compiler/ir/type.ts';
import type { Tensor } from '../../compiler/ops/define.ts';

export type Role = 'input' | 'parameter' | 'gradient' | 'state' | 'scalar';

/** Tensors by role and name, and entries that compute on them. An input may be given more elements than an entry reads. */
export interface Machine {
  readonly write: (role: Role, name: string, data: ArrayLike<number>) => void;
  readonly read: (role: Role, name: string) => Float64Array;
  readonly run: (entry: string) => ReadonlyMap<string, Tensor>;
  readonly names: (role: Role) => readonly string[];
}

/** What the training loop sets unless a run asks for something else. */
export const usualScalars = new Map([['learning_rate_factor', 1]]);

/** A graph, unsimplified or simplified. */
export function graphMachine(graph: Graph): Machine {
  const memory = new Map<string, Float64Array>();
  const cells = (value: Value): Float64Array => {
    const { role, name } = value.leaf!;
    const key = `${role} ${name}`;
    if ((memory.get(key)?.length ?? -1) < elements(value.type)) memory.set(key, Float64Array.from({ length: elements(value.type) }, (_, i) => memory.get(key)?.[i] ?? usualScalars.get(role) ?? 0));
    return memory.get(key)!.subarray(0, elements(value.type));
  };
  const placed = (role: Role, name: string): Float64Array => {
    const found = graph.placements.find(placement => placement.role === role && placement.name === name);
    if (found === undefined) throw new Error(`there is no ${role} ${name}`);
    return cells(found.leaf).subarray(found.offset, found.offset + elements(found.type));
  };
  return {
    write: (role, name, data) => {
      if (role === 'input') memory.set(`input ${name}`, Float64Array.from(data));
      else if (role === 'scalar') memory.set(`${name} ${name}`, Float64Array.from(data));
      else placed(role, name).set(data);
    },
    read: (role, name) => placed(role, name).slice(),
    run: name => {
      const entry = graph.entries.find(other => other.name === name)!;
      const roots = entryRoots(entry);
      const leaves = topological(roots).filter(value => value.leaf !== null);
      const values = evaluateGraph(roots, new Map(leaves.map(value => [value, { dtype: value.type.dtype, shape: shapeOf(value.type), data: cells(value).slice() }])));
      for (const update of entry.updates) cells(update.leaf).set(values.get(update.value)!.data);
      return new Map(entry.results.map(result => [result.name, values.get(result.value)!]));
    },
    names: role => graph.placements.filter(placement => placement.role === role).map(placement => placement.name),
  };
}

/** A scheduled program. Its arena holds one double for each four bytes, and another for each byte, for elements of one byte. */
export function programMachine(program: Program): Machine {
  const words = new Float64Array(program.arenaBytes / 4);
  const bytes = new Float64Array(program.arenaBytes);
  const cells = (dtype: DType, shape: Shape, at: number): Float64Array => (elementBytes(dtype) === 1 ? bytes : words).subarray(at, at + size(shape));
  const atPlace = (place: TensorPlace): Float64Array => cells(place.dtype, place.shape, place.offset / elementBytes(place.dtype));
  const places = { input: [...program.inputs, ...(program.generation ? [program.generation.sequence] : [])], parameter: program.parameters, gradient: program.gradients, state: program.states, scalar: program.scalars } as const satisfies Record<Role, unknown>;
  const placeOf = (role: Role, name: string): TensorPlace => {
    const found = places[role].find(place => place.name === name);
    if (found === undefined) throw new Error(`there is no ${role} ${name}`);
    return found;
  };
  for (const place of program.scalars) atPlace(place).fill(usualScalars.get(place.name) ?? 0);
  return {
    write: (role, name, data) => atPlace(placeOf(role, name)).set(data),
    read: (role, name) => atPlace(placeOf(role, name)).slice(),
    run: name => {
      const entry = program.entries.find(other => other.name === name)!;
      const run = (call: Call, offsets: readonly number[]): void => {
        const kernel = program.kernels[call.kernel]!;
        const tensors = [...kernel.operands, ...kernel.outputs].map((access: Access, i): Tensor => ({ dtype: access.dtype, shape: access.shape, data: cells(access.dtype, access.shape, offsets[i]!) }));
        executeKernel(kernel, tensors.slice(0, kernel.operands.length), tensors.slice(kernel.operands.length));
      };
      runCalls(entry.calls, run, (buffer, position) => void (words[program.buffers[buffer]!.offset / 4] = position), () => atPlace(placeOf('scalar', 'position'))[0]!);
      return new Map(entry.results.map(place => [place.name, { dtype: place.dtype, shape: place.shape, data: atPlace(place).slice() }]));
    },
    names: role => places[role].map(place => place.name),
  };
}
