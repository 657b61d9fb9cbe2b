/**
 * Kernels that pass large values along row by row run block by block: all of them for one block of rows, then for the next. What they
 * pass is then there for one block at a time and never as a whole. Attention's scores and weights are such values, forward and
 * backward (Dao et al. 2022); they are found by how they are indexed alone.
 */
import { affine, axisAt, fixed, numeratorRange, plainAxis, substitute, type Affine } from '../ir/affine.ts';
import { leaf, type Value } from '../ir/graph.ts';
import { apply, constant, isGathered, load, parts, type Index, type Load, type Scalar } from '../ir/nest.ts';
import type { Step } from '../ir/program.ts';
import { elements, shapeOf, size, type Shape } from '../ir/type.ts';
import type { Built } from './build.ts';
import { linear, loadsOf, mapScalar, stepAxes, stepBody, type Draft, type Source } from './draft.ts';
import { contractionFactors } from './fuse.ts';
import type { Successors } from './order.ts';

/** What decides between running in blocks and not. */
export interface BlockSizes {
  /** Values with fewer elements stay in the caches anyway. */
  readonly fewestElements: number;
  /** Elements of one value that a block has: a share of a core's cache. */
  readonly blockElements: number;
  /** Rows of a block that repay packing the other side of a product once more. */
  readonly fewestRows: number;
}
export const usualSizes: BlockSizes = { fewestElements: 1 << 18, blockElements: 1 << 18, fewestRows: 128 };

/** Blocks that can run at once; fewer would leave threads idle. */
const fewestIndependent = 4;

/** Puts every run of kernels that is worth it into blocks. */
export function formBlocks(state: Successors, built: Built, sizes: BlockSizes): void {
  // Of kernels that no block has taken this order stays a right one.
  const order = state.inOrder();
  for (const seed of order.flatMap(draft => draft.outputs.map(output => output.root))) {
    if (elements(seed.type) < sizes.fewestElements || !canBeInside(seed, built)) continue;
    const rank = seed.type.dims.length;
    for (let rows = rank - 1; rows > 0; rows--) {
      const group = groupOf(seed, rows, state, built, order);
      const together = group && blocksOf(group, built, sizes);
      if (!together) continue;
      state.replace([...group.members.keys()], [together]);
      break;
    }
  }
}

const canBeInside = (value: Value, built: Built): boolean =>
  value.op !== null && !built.required.has(value) && !built.homes.has(value) && !built.parts.has(value);

/** Whether a kernel may run block by block with others that pass a value along: blocks are at least one of its first dimension, and run at once. */
export function keepsRowsApart(draft: Draft, value: Value): boolean {
  const first = shapeOf(value.type).findIndex(extent => extent > 1);
  const axes = rowAxes(draft, value, first + 1);
  return axes !== null && !sumsOverAll(draft, axes);
}

interface Group {
  /** How many leading dimensions of the values inside count rows. */
  readonly extents: Shape;
  readonly inside: readonly Value[];
  /** For each kernel and each of these dimensions, the kernel's axis; null where the dimension has one position. */
  readonly members: ReadonlyMap<Draft, readonly (number | null)[]>;
}

/** The kernels that write or read a value, and those that are linked to them by further values of that size; null where blocks could not run at once. */
function groupOf(seed: Value, rows: number, state: Successors, built: Built, order: readonly Draft[]): Group | null {
  const extents = shapeOf(seed.type).slice(0, rows);
  const inside = new Set<Value>();
  const members = new Map<Draft, readonly (number | null)[]>();
  const run = state.newRun();
  const pending = [seed];
  while (pending.length > 0) {
    const value = pending.shift()!;
    const shape = shapeOf(value.type);
    if (inside.has(value) || shape.length <= rows || shape.slice(0, rows).join() !== extents.join()) continue;
    if (!canBeInside(value, built) || 2 * elements(value.type) < elements(seed.type)) continue;
    const users = [...new Set([...state.writersOf(value), ...state.readersOf(value)])];
    const axes = new Map(users.map(draft => [draft, rowAxes(draft, value, rows)]));
    const fits = users.every(draft => axes.get(draft) && (members.get(draft) ?? axes.get(draft))!.join() === axes.get(draft)!.join());
    const wouldWait = fits && users.some(draft => sumsOverAll(draft, axes.get(draft)!));
    if (!fits || (value === seed && wouldWait) || !run.take(users)) {
      if (value === seed) return null;
      continue;
    }
    if (wouldWait) return null;
    inside.add(value);
    for (const draft of users) {
      members.set(draft, axes.get(draft)!);
      pending.push(...draft.sources.map(source => source.root), ...draft.outputs.map(output => output.root));
    }
  }
  // A value that is read by its writer alone is no reason.
  return members.size < 2 ? null : { extents, inside: [...inside], members: new Map(order.flatMap(draft => (members.has(draft) ? [[draft, members.get(draft)!]] : []))) };
}

/** The axis that stands for each leading dimension wherever a kernel touches a value; null where that is not one and the same. */
function rowAxes(draft: Draft, value: Value, rows: number): readonly (number | null)[] | null {
  if (draft.host || draft.blocks || draft.steps.some(step => step.kind === 'clear' || (step.kind === 'store' && step.accumulate))) return null;
  const shape = shapeOf(value.type);
  let axes: readonly (number | null)[] | null = null;
  const agrees = (source: Source, at: readonly Index[]): boolean => {
    if (source.root !== value) return true;
    if (source.offset !== 0 || source.shape.join() !== shape.join()) return false;
    const own: (number | null)[] = [];
    for (const [d, index] of at.entries()) {
      if (isGathered(index)) return false;
      if (d >= rows && index.terms.some(term => own.includes(term.axis))) return false;
      if (d >= rows) continue;
      const axis = shape[d] === 1 ? null : plainAxis(index);
      if (shape[d] !== 1 && (axis === null || own.includes(axis))) return false;
      own.push(axis);
    }
    if (axes !== null && axes.join() !== own.join()) return false;
    axes = own;
    return true;
  };
  const isRead = draft.sources.some(source => source.root === value);
  for (const step of draft.steps) {
    if (step.kind === 'store' && !agrees(draft.outputs[step.output]!, step.at)) return null;
    if (isRead) for (const each of loadsOf(stepBody(step)!)) if (!agrees(draft.sources[each.operand]!, each.at)) return null;
  }
  return axes;
}

/** Whether a kernel sums over the rows of a block: then blocks add to its results one after the other. */
const sumsOver = (draft: Draft, axis: number | null): boolean => axis !== null && axis >= draft.space.length;

/** Whether it sums over what blocks count first, so that each would have to wait for the one before. */
const sumsOverAll = (draft: Draft, axes: readonly (number | null)[]): boolean => sumsOver(draft, axes.find(axis => axis !== null) ?? null);

function blocksOf({ extents, inside, members }: Group, built: Built, sizes: BlockSizes): Draft | null {
  const last = extents.length - 1;
  const row = elements(inside[0]!.type) / size(extents);
  for (const [draft, axes] of members) {
    // Only the rows that a block has several of may be summed over, by a kernel that only sums.
    if (axes.some((axis, d) => d < last && sumsOver(draft, axis))) return null;
    if (sumsOver(draft, axes[last]!) && !isSum(draft)) return null;
    if (axes.some((axis, d) => axis !== null && extentOf(draft, axis) !== extents[d])) return null;
  }
  const block = blockRows(extents[last]!, row, sizes);
  const count = extents[last]! / block;
  const isSummed = count > 1 && [...members].some(([draft, axes]) => sumsOver(draft, axes[last]!));
  const loops: Loops[] = extents.flatMap((extent, d) => (d < last && extent > 1 ? [{ dimension: d, extent, block: 1 }] : d === last && count > 1 ? [{ dimension: d, extent: count, block }] : []));
  const axes = loops.map(loop => loop.extent);
  const independent = isSummed ? axes.length - 1 : axes.length;
  if (size(axes.slice(0, independent)) < fewestIndependent) return null;
  if (packedAgain(members, loops, new Set(inside)) > inside.reduce((sum, value) => sum + elements(value.type), 0)) return null;

  const counters: (Value | null)[] = axes.map(() => null);
  const counter = (number: number): Value => (counters[number] ??= leaf('counter', `block_${number}`, { dtype: 'i32', dims: [] }));
  const all = new Set(inside);
  const written: Draft[] = [];
  for (const [draft, own] of members) {
    const changed = inBlock(draft, own, loops, all, counter);
    if (changed === null) return null;
    written.push(changed);
  }
  if (!positionsAreApart([...members.keys()], written, all, built)) return null;
  const outer = (sources: readonly Source[]): readonly Source[] => sources.filter(source => !all.has(source.root));
  const outputs = [...members.keys()].flatMap(draft => outer(draft.outputs));
  const made = new Set(outputs.map(output => output.root));
  return {
    space: [],
    sources: [...members.keys()].flatMap(draft => outer(draft.sources)).filter(source => !made.has(source.root)),
    outputs,
    steps: [],
    values: [...members.keys()].flatMap(draft => draft.values),
    host: false,
    blocks: { axes, independent, members: written, inside: new Map(inside.map(value => [value, (elements(value.type) / size(extents)) * block])), counters },
  };
}

/** Of values that outlive a position, kernels read only what the same position has written, and none that is overwritten meanwhile. */
function positionsAreApart(before: readonly Draft[], written: readonly Draft[], inside: ReadonlySet<Value>, built: Built): boolean {
  const overwritten = (value: Value): Value => {
    const home = built.homes.get(value);
    return home ? overwritten(home.root) : value;
  };
  const replaced = new Set(before.flatMap(draft => draft.outputs.map(output => overwritten(output.root))));
  if (before.some(draft => draft.sources.some(({ root }) => root.op === null && replaced.has(root)))) return false;
  return written.every(draft =>
    draft.outputs.every(
      output =>
        inside.has(output.root) ||
        written.every(reader =>
          reader.sources.every(source => {
            if (source.root !== output.root) return true;
            const along = output.along ?? [];
            const isSame = source.offset === output.offset && size(source.shape) === size(output.shape) && along.join() === (source.along ?? []).join();
            return isSame && (reader === draft || (along.length > 0 && along.every(times => times >= size(output.shape))));
          }),
        ),
    ),
  );
}

/** A loop around a group: over the positions of a leading dimension, or over blocks of several of them. */
interface Loops {
  readonly dimension: number;
  readonly extent: number;
  /** Positions of the dimension that one turn takes. */
  readonly block: number;
}

function blockRows(extent: number, row: number, { blockElements, fewestRows }: BlockSizes): number {
  if (extent * row <= blockElements) return extent;
  const most = Math.max(fewestRows, Math.floor(blockElements / row));
  for (let block = Math.min(most, extent); block >= fewestRows / 4; block--) if (extent % block === 0) return block;
  return extent;
}

const extentOf = (draft: Draft, axis: number): number | undefined => {
  const rank = draft.space.length;
  if (axis < rank) return draft.space[axis];
  const [step] = draft.steps;
  return step?.kind === 'reduce' ? step.axes[axis - rank] : undefined;
};

/** Nothing but a sum, and stores to which it is proportional: taken in parts, its parts add up. */
function isSum({ steps }: Draft): boolean {
  const [sum, ...stores] = steps;
  const isProportional = (body: Scalar): boolean =>
    body.kind === 'local' ||
    (body.kind === 'apply' && body.instruction === 'neg' && isProportional(body.arguments[0]!)) ||
    (body.kind === 'apply' && body.instruction === 'mul' && body.arguments.some((part, i) => isProportional(part) && !usesLocal(body.arguments[1 - i]!)));
  return sum?.kind === 'reduce' && sum.combine === 'add' && stores.every(step => step.kind === 'store' && step.axes.length === 0 && isProportional(step.body));
}

const usesLocal = (scalar: Scalar): boolean => scalar.kind === 'local' || parts(scalar).some(usesLocal);

/** Elements of factors of products that blocks pack again and again, where without blocks they would be packed once. */
function packedAgain(members: Group['members'], loops: readonly Loops[], inside: ReadonlySet<Value>): number {
  let total = 0;
  for (const [draft, axes] of members) {
    for (const step of draft.steps) {
      if (step.kind !== 'reduce' || step.combine !== 'add') continue;
      const extents = [...draft.space, ...step.axes];
      for (const factor of contractionFactors(step.body) ?? []) {
        if (inside.has(draft.sources[factor.operand]!.root)) continue;
        const used = new Set(factor.at.flatMap(index => (isGathered(index) ? [] : index.terms.map(term => term.axis))));
        const repeats = loops.reduce((product, { dimension, extent }) => (used.has(axes[dimension]!) ? product : product * extent), 1);
        total += (repeats - 1) * [...used].reduce((product, axis) => product * extents[axis]!, 1);
      }
    }
  }
  return total;
}

/** A kernel for one position of the loops; null where its indices allow none. */
function inBlock(draft: Draft, own: readonly (number | null)[], loops: readonly Loops[], inside: ReadonlySet<Value>, counter: (loop: number) => Value): Draft | null {
  const rank = draft.space.length;
  const around = loops.map(({ dimension, block }) => ({ axis: own[dimension]!, block }));
  const gone = new Set(around.flatMap(({ axis, block }) => (block === 1 ? [axis] : [])));
  const cut = around.find(({ block }) => block > 1);
  const space = draft.space.flatMap((extent, axis) => (gone.has(axis) ? [] : [axis === cut?.axis ? cut.block : extent]));
  const ownAxes = (axes: Shape): Shape => axes.map((extent, i) => (rank + i === cut?.axis ? cut.block : extent));
  const most = Math.max(0, ...draft.steps.map(step => stepAxes(step).length));
  let next = 0;
  const axes = Array.from({ length: rank + most }, (_, axis): Affine => (axis >= rank ? axisAt(axis - rank + space.length) : gone.has(axis) ? fixed(0) : axisAt(next++)));
  /** How an index moves with the loops. */
  const moved = (index: Affine): readonly number[] =>
    around.map(({ axis, block }) => block * (index.terms.find(term => term.axis === axis)?.times ?? 0));
  const isStill = (index: Affine): boolean => moved(index).every(times => times === 0);

  let possible = true;
  const sources: Source[] = [];
  const outputs: Source[] = [];
  const access = (list: Source[], source: Source, at: readonly Index[], extents: Shape): { readonly operand: number; readonly at: readonly Index[] } => {
    const place = (made: Source): number => {
      const known = list.findIndex(
        other => other.root === made.root && other.offset === made.offset && other.shape.join() === made.shape.join() && (other.along ?? []).join() === (made.along ?? []).join(),
      );
      return known >= 0 ? known : list.push(made) - 1;
    };
    const isInside = inside.has(source.root);
    if (!isInside && at.every(index => isGathered(index) || isStill(index)))
      return { operand: place(source), at: at.map(index => (isGathered(index) ? index : substitute(index, axes)!)) };
    const flat = linear(source, at);
    if (flat === null) {
      possible = false;
      return { operand: 0, at };
    }
    const rest = substitute(flat, axes)!;
    const [low, high] = numeratorRange(rest, extents);
    const along = isInside ? around.map(() => 0) : moved(flat);
    const reach = along.reduce((sum, times, l) => sum + Math.max(0, times * (loops[l]!.extent - 1)), high);
    if (along.some(times => times < 0) || low < 0 || reach >= elements(source.root.type)) possible = false;
    const made = { root: source.root, dtype: source.dtype, offset: low, shape: [high - low + 1], along };
    return { operand: place(made), at: [affine(rest.terms, rest.offset - low)] };
  };
  const read = (each: Load, extents: Shape): Scalar => {
    const { operand, at } = access(sources, draft.sources[each.operand]!, each.at, extents);
    return load(operand, at);
  };
  const position = (number: number): Scalar => {
    const { operand } = access(sources, { root: counter(number), offset: 0, shape: [], dtype: 'i32' }, [], []);
    return load(operand, []);
  };
  const body = (scalar: Scalar, step: Step): Scalar =>
    mapScalar(scalar, part => {
      if (part.kind === 'load') return read(part, [...space, ...ownAxes(stepAxes(step))]);
      if (part.kind === 'index') {
        const here: Scalar = { kind: 'index', index: substitute(part.index, axes)! };
        return moved(part.index).reduce(
          (sum: Scalar, times, number) => (times === 0 ? sum : apply('add', sum, apply('mul', position(number), constant(times, 'i32')))),
          here,
        );
      }
      if (part.kind !== 'guard') return part;
      if (!part.at.every(check => isStill(check.index))) possible = false;
      return { ...part, at: part.at.map(check => ({ ...check, index: substitute(check.index, axes)! })) };
    });
  const sums = cut !== undefined && sumsOver(draft, cut.axis);
  const steps = draft.steps.map((step): Step => {
    if (step.kind === 'clear') return step;
    const changed = body(step.body, step);
    if (step.kind === 'reduce') return { ...step, axes: ownAxes(step.axes), body: changed };
    const extents = [...space, ...ownAxes(step.axes)];
    const target = draft.outputs[step.output]!;
    const { operand: output, at } = access(outputs, target, step.at, extents);
    if (!sums) return { ...step, output, at, axes: ownAxes(step.axes), body: changed };
    const before = access(sources, target, step.at, extents);
    const isFirst = apply('eq', position(loops.length - 1), constant(0, 'i32'));
    const soFar = apply('select', isFirst, constant(0), load(before.operand, before.at));
    return { ...step, output, at, body: apply('add', soFar, changed) };
  });
  return possible ? { ...draft, space, sources, outputs, steps } : null;
}
