/**
 * From a graph to a program: each entry's values become kernels, kernels are joined and put in order, every stored value gets its
 * bytes in one arena, and equal kernels become one template that is called with different offsets.
 */
import { placementFinder, type Graph, type Leaf, type Value } from '../ir/graph.ts';
import type { MemoryLimit } from '../ir/model.ts';
import type { Access, Buffer, Call, Generation, Kernel, Loop, Program, ProgramEntry, Step, TensorPlace } from '../ir/program.ts';
import { bytes, elementBytes, shapeOf, size, type Shape } from '../ir/type.ts';
import type { Diagnostic } from '../source/diagnostic.ts';
import { usualSizes } from './blocks.ts';
import { distinctInstructions, kernelsOf, stepBody, stepsKey, type Blocks, type Draft, type Source } from './draft.ts';
import { placeOf } from './expand.ts';
import { newNests, type Lowering } from './lower.ts';
import { aligned, alignment } from './memory.ts';
import { accessNames, bufferName, kernelName, uniqueNames } from './names.ts';
import { planEntry, type Plan } from './plan.ts';
import { positionLeaf } from './positions.ts';
import { fit, spare } from './recompute.ts';
import { shortage } from './shortage.ts';

/** What the host writes before each run, whether or not the model reads it. */
const scalarRoles = ['seed', 'step', 'steps'] as const;

/** What it writes where an entry reads it. */
const readScalarRoles = ['learning_rate_factor', 'position'] as const;

export interface Scheduled {
  readonly program: Program;
  /** What the program computes: the graph, with what is computed twice standing there twice. */
  readonly graph: Graph;
  readonly diagnostics: readonly Diagnostic[];
}

/**
 * `inputs` are the model's, in the order in which a program lists them; their leaves give the extents of a whole batch. With a limit,
 * entries that go beyond it recompute activations; where that does not suffice, a diagnostic tells what is missing.
 */
export function schedule(graph: Graph, inputs: readonly Value[], limit: MemoryLimit | null, sizes = usualSizes): Scheduled {
  const nests = newNests();
  const placementAt = placementFinder(graph.placements);
  const planned = graph.entries.map(entry => planEntry(entry, placementAt, sizes, nests));

  const buffers: Buffer[] = [];
  const unique = uniqueNames();
  let end = 0;
  const allocate = (name: string, value: Value, role: Buffer['role']): number => {
    const offset = aligned(end);
    end = offset + bytes(value.type);
    buffers.push({
      name: unique(name),
      dtype: value.type.dtype,
      shape: shapeOf(value.type),
      offset,
      bytes: bytes(value.type),
      role,
      lifetime: null,
      origin: value.origin,
    });
    return buffers.length - 1;
  };
  // Leaves are told apart by role and name: entries have input leaves of their own, the first of which is the largest.
  const leafBuffers = new Map<string, number>();
  const leafBuffer = (value: Value): number => {
    const key = `${value.leaf!.role} ${value.leaf!.name}`;
    if (!leafBuffers.has(key)) leafBuffers.set(key, allocate(value.leaf!.name, value, leafRole(value.leaf!)));
    return leafBuffers.get(key)!;
  };
  for (const placement of graph.placements) leafBuffer(placement.leaf);
  for (const input of inputs) leafBuffer(input);
  for (const { lowering } of planned) for (const value of lowering.values) if (value.op === null && value.leaf!.role !== 'counter' && value.leaf!.role !== 'carry') leafBuffer(value);
  for (const { lowering } of planned) for (const update of lowering.entry.updates) leafBuffer(update.leaf);
  if (planned.some(plan => plan.positions !== null)) leafBuffer(positionLeaf);

  const persistent = aligned(end);
  const unread = scalarRoles.filter(role => !leafBuffers.has(`${role} ${role}`)).length * alignment;
  const room = limit === null ? Infinity : limit.bytes - persistent - unread;
  const plans = spareLargest(planned, room).map(plan => fit(plan, room));
  const templates = new Map<string, number>();
  const kernels: Kernel[] = [];
  const kernelNames = uniqueNames();
  const programEntries = plans.flatMap(({ lowering, order, memory, offsets, positions }): readonly ProgramEntry[] => {
    const owned = new Map<Value, number>();
    for (const { owner, bytes: length, isPrivate, first, last } of memory.lifetimes) {
      const offset = persistent + offsets.get(owner)!;
      end = Math.max(end, offset + length);
      buffers.push({
        name: unique(owner.leaf ? owner.leaf.name : bufferName(owner)),
        dtype: owner.type.dtype,
        shape: isPrivate ? [length / elementBytes(owner.type.dtype)] : shapeOf(owner.type),
        offset,
        bytes: length,
        role: isPrivate ? 'private' : 'transient',
        lifetime: [first, last],
        origin: owner.origin,
      });
      owned.set(owner, buffers.length - 1);
    }
    const locate = (source: Source): { readonly buffer: number; readonly offset: number } => {
      const { owner, offset } = memory.residence(source.root);
      const buffer = owned.get(owner) ?? leafBuffer(owner);
      return { buffer, offset: buffers[buffer]!.offset / elementBytes(source.dtype) + offset + source.offset };
    };
    const callOf = (draft: Draft, loops: readonly Loop[]): Call => {
      const names = accessNames(draft, placementAt);
      const access = (source: Source, i: number): Access => ({ name: names[i]!, dtype: source.dtype, shape: source.shape });
      const accesses = [...draft.sources, ...draft.outputs].map(access);
      const operands = accesses.slice(0, draft.sources.length);
      const outputs = accesses.slice(draft.sources.length);
      const plain = ({ dtype, shape }: Access): object => ({ dtype, shape });
      const key = JSON.stringify([draft.space, operands.map(plain), outputs.map(plain), draft.host]) + stepsKey(draft.steps);
      if (!templates.has(key)) {
        templates.set(key, kernels.length);
        kernels.push({
          name: kernelNames(kernelName(draft)),
          space: draft.space,
          operands,
          outputs,
          steps: draft.steps,
          host: draft.host,
          flops: flops(draft),
        });
      }
      const places = [...draft.sources, ...draft.outputs].map(locate);
      return {
        kernel: templates.get(key)!,
        offsets: places.map(place => place.offset),
        reads: places.slice(0, draft.sources.length).map(place => place.buffer),
        writes: places.slice(draft.sources.length).map(place => place.buffer),
        origins: draft.values.flatMap(value => (value.origin ? [value.origin] : [])),
        loops,
        moves: loops.length === 0 ? [] : [...draft.sources, ...draft.outputs].map(source => source.along ?? loops.flatMap(({ axes }) => axes.map(() => 0))),
      };
    };
    const loopOf = ({ axes, independent, counters }: Blocks): Loop => ({
      axes,
      given: null,
      independent,
      counters: counters.map(counter => (counter === null ? null : locate({ root: counter, offset: 0, shape: [], dtype: 'i32' }).buffer)),
    });
    const callsOf = (draft: Draft, around: readonly Loop[]): readonly Call[] => {
      if (draft.blocks === undefined) return [callOf(draft, draft.given ? [...around, givenLoop(draft.given)] : around)];
      const loops = [...around, loopOf(draft.blocks)];
      return draft.blocks.members.flatMap(member => callsOf(member, loops));
    };
    const calls = order.flatMap(draft => callsOf(draft, []));
    const results = (): readonly TensorPlace[] => lowering.entry.results.map(({ name, value }) => ({ name, ...result(value, lowering, locate) }));
    if (positions === null) return [{ name: lowering.entry.name, first: 0, calls, results: results() }];
    const [start, step] = [positions.start, positions.step].map(drafts => drafts.flatMap(kernelsOf).length) as [number, number];
    const part = (name: string, from: number, to?: number): ProgramEntry =>
      ({ name: `${lowering.entry.name}${name}`, first: from, calls: calls.slice(from, to), results: [] });
    // Of scores that are there one row at a time, that row.
    const scores = lowering.entry.results.map(({ name, value }) => {
      const root = placeOf(value, lowering)?.root ?? value;
      const row = positions.rows.get(root);
      if (row === undefined) return { name, ...result(value, lowering, locate) };
      const { buffer } = locate({ root, offset: 0, shape: [], dtype: row.type.dtype });
      return { name, dtype: row.type.dtype, shape: shapeOf(row.type), offset: buffers[buffer]!.offset };
    });
    return [part('_start', 0, start), part('_step', start, start + step), { ...part('_scores', start + step), results: scores }];
  });

  const placed = (role: 'parameter' | 'gradient' | 'state'): TensorPlace[] =>
    graph.placements
      .filter(placement => placement.role === role)
      .map(({ name, type, leaf, offset }) => ({
        name,
        dtype: type.dtype,
        shape: shapeOf(type),
        offset: buffers[leafBuffer(leaf)]!.offset + offset * elementBytes(type.dtype),
      }));
  const scalar = (role: (typeof scalarRoles)[number]): TensorPlace => {
    const leaf: Value = { op: null, leaf: { role, name: role }, operands: [], attrs: {}, type: { dtype: 'i32', dims: [] }, origin: null };
    const known = leafBuffers.get(`${role} ${role}`) ?? leafBuffer(leaf);
    return { name: role, dtype: 'i32', shape: [], offset: buffers[known]!.offset };
  };
  const readScalars = readScalarRoles.flatMap((role): readonly TensorPlace[] => {
    const known = leafBuffers.get(`${role} ${role}`);
    return known === undefined ? [] : [{ name: role, dtype: buffers[known]!.dtype, shape: [], offset: buffers[known]!.offset }];
  });
  const scalars = [...scalarRoles.map(scalar), ...readScalars];
  const program: Program = {
    buffers,
    kernels,
    entries: programEntries,
    arenaBytes: aligned(end),
    inputs: inputs.map(input => ({
      name: input.leaf!.name,
      dtype: input.type.dtype,
      shape: shapeOf(input.type),
      offset: buffers[leafBuffer(input)]!.offset,
    })),
    parameters: placed('parameter'),
    gradients: placed('gradient'),
    states: placed('state'),
    scalars,
    generation: generationOf(plans, inputs, value => buffers[leafBuffer(value)]!.offset),
  };
  return {
    program,
    graph: { ...graph, entries: plans.map(plan => plan.lowering.entry) },
    diagnostics: limit !== null && program.arenaBytes > limit.bytes ? [shortage(program, limit)] : [],
  };
}

/** The plans, spared where that makes the transient region smaller, which is as large as the largest needs, or where they go beyond the room. */
function spareLargest(plans: readonly Plan[], room: number): readonly Plan[] {
  const spared = new Map<Plan, Plan>();
  let most = 0;
  for (const plan of plans.toSorted((a, b) => b.transientBytes - a.transientBytes)) {
    if (plan.transientBytes <= Math.min(most, room)) break;
    const made = spare(plan);
    spared.set(plan, made);
    most = Math.max(most, made.transientBytes);
  }
  return plans.map(plan => spared.get(plan) ?? plan);
}

function result(
  value: Value,
  lowering: Lowering,
  locate: (source: Source) => { readonly buffer: number; readonly offset: number },
): Omit<TensorPlace, 'name'> {
  const place = placeOf(value, lowering) ?? { root: value, offset: 0 };
  const { offset } = locate({ ...place, shape: shapeOf(value.type), dtype: value.type.dtype });
  return { dtype: value.type.dtype, shape: shapeOf(value.type), offset: offset * elementBytes(value.type.dtype) };
}

/** Arithmetic of one call: every step's body and combination over all its iterations, shared parts counted once. */
function flops(draft: Draft): number {
  const outer = size(draft.space);
  return draft.steps.reduce((sum, step) => {
    const body = stepBody(step);
    if (body === null) return sum;
    const combined = step.kind === 'reduce' || (step.kind === 'store' && step.accumulate) ? 1 : 0;
    return sum + outer * size(iterated(step)) * (distinctInstructions(body) + combined);
  }, 0);
}

const iterated = (step: Step): Shape => (step.kind === 'clear' ? [] : step.axes);

function generationOf(plans: readonly Plan[], inputs: readonly Value[], offsetOf: (leaf: Value) => number): Generation | null {
  for (const { lowering: { entry: { sequence } }, positions } of plans) {
    if (sequence === undefined || positions === null) continue;
    const place = { name: sequence.leaf!.name, dtype: sequence.type.dtype, shape: shapeOf(sequence.type), offset: offsetOf(sequence) };
    // Of scores that are computed anew it is what it usually is: those of a sequence that the model computes itself tell its own tokens.
    const usual = inputs.some(input => input.leaf!.name === place.name) ? 0 : 1;
    return { sequence: place, before: positions.before, lag: positions.lag ?? usual };
  }
  return null;
}

const givenLoop = ({ first, end }: { readonly first: number; readonly end: number }): Loop =>
  ({ axes: [end], given: { first }, independent: 0, counters: [null] });

const leafRole = (leaf: Leaf): Buffer['role'] =>
  leaf.role === 'input' || leaf.role === 'parameter' ? leaf.role : leaf.role === 'gradient' || leaf.role === 'state' ? 'state' : 'scalar';
