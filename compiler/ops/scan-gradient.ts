/**
 * The gradient of a loop is a loop that runs backwards: it carries the gradients of what the loop carries, and in each step walks back
 * through the body. What it reads of the forward steps becomes further results of the forward loop, which keeps its leaves and its
 * body; simplification makes the two one. What flows to values outside leaves the loop as a sequence, and is put together there:
 * of a product that is one product with the steps as one more axis to sum over.
 */
import { affine, alwaysInside, identity, type Affine } from '../ir/affine.ts';
import { leaf, stamp, topological, type Phase, type Value } from '../ir/graph.ts';
import { instructionCount, parts, type Instruction, type Scalar } from '../ir/nest.ts';
import { dependenceOn, insideOf, openLeaves, scanResultOf, type Scan } from '../ir/scan.ts';
import { isFloat, shapeOf, type Dim } from '../ir/type.ts';
import { contract } from './contract.ts';
import { isPrimitive } from './define.ts';
import { add, castTo, neg } from './elementwise.ts';
import { fullLike } from './full.ts';
import { gather } from './gather.ts';
import type { reverseWalk } from './gradients.ts';
import { reshape } from './reshape.ts';
import { finalOf, scanValue, sequenceOf } from './scan.ts';
import { stepSlice, type StepIndex } from './step-index.ts';
import { view } from './view.ts';

/** Gradients of a scan's results, by their numbers. */
export interface ResultGradients {
  readonly final: Map<number, Value>;
  readonly sequence: Map<number, Value>;
}

interface Task {
  readonly scan: Scan;
  readonly given: ResultGradients;
  /** What gradients are wanted of, and what depends on it. */
  readonly dependent: ReadonlySet<Value>;
  /** Takes a contribution to a value outside. */
  readonly give: (target: Value, contribution: Value) => void;
  readonly phase: Phase;
  readonly walk: typeof reverseWalk;
}

/** Gives what flows back from a scan's results to the values outside that it is computed from. */
export function scanGradient({ scan, given, dependent, give, phase, walk }: Task): void {
  const { length, reversed, counter, carries, initials, nexts, yields } = scan;
  const inside = insideOf(scan);
  const isInside = new Set(inside);
  const { active, reached } = findActive(scan, inside, isInside, dependent);
  if (active.length === 0 && ![...given.sequence.keys()].some(j => reached.has(yields[j]!))) return;

  const step = leaf('counter', `${counter.leaf!.name}.back`, counter.type);
  const carried = active.map(k => leaf('carry', `${carries[k]!.leaf!.name}.gradient`, carries[k]!.type));

  // The body, backwards.
  const gradient = new Map<Value, Value>();
  const toOutside: { readonly target: Value; readonly contribution: Value }[] = [];
  const toSlices: { readonly table: Value; readonly at: StepIndex; readonly contribution: Value }[] = [];
  const leaves = new Set(active.map(k => carries[k]!));
  const receive = (target: Value, contribution: Value): void => {
    if (!reached.has(target)) return;
    if (!isInside.has(target) && !leaves.has(target)) return void toOutside.push({ target, contribution });
    const earlier = gradient.get(target);
    gradient.set(target, earlier ? add(earlier, contribution) : contribution);
  };
  active.forEach((k, i) => receive(nexts[k]!, carried[i]!));
  for (const [j, grad] of given.sequence) receive(yields[j]!, gather(grad, step, { batch: 0 }));
  walk(inside, gradient, reached, (_, target, contribution) => receive(target, contribution), phase, (value, grad) => {
    const slice = stepSlice(value, counter, table => !isInside.has(table));
    if (slice !== null) toSlices.push({ ...slice, contribution: grad });
    return slice !== null;
  });

  // What leaves the loop, as sequences of the forward loop or of the backward one.
  const kept: Value[] = [...yields];
  const left: Value[] = [];
  const numberIn = (list: Value[], value: Value): number => (list.includes(value) ? list.indexOf(value) : list.push(value) - 1);
  const forwardNumber = (value: Value): number => numberIn(kept, value);
  const changes = dependenceOn([counter, step, ...carries, ...carried]);
  const isBackward = dependenceOn([step, ...carried]);
  const overSteps = (value: Value): OverSteps => {
    if (!changes(value)) return { sequence: () => value, at: null };
    const forward = stepSlice(value, counter, table => !changes(table));
    if (forward !== null) return { sequence: () => forward.table, at: forward.at };
    const backward = stepSlice(value, step, table => !changes(table));
    if (backward !== null) return { sequence: () => backward.table, at: backward.at };
    if (isInside.has(value) || carries.includes(value) || (scanResultOf(value) !== null && !isBackward(value))) {
      const number = forwardNumber(value);
      return { sequence: ({ forward: of }) => sequenceOf(of, number), at: { times: 1, offset: 0 } };
    }
    const number = numberIn(left, value);
    return { sequence: ({ backward: of }) => sequenceOf(of, number), at: { times: 1, offset: 0 } };
  };
  const summed = toOutside.map(({ target, contribution }) => ({ target, make: summedOverSteps(contribution, length, overSteps) }));
  const sliced = toSlices.map(({ table, at, contribution }) => ({ table, at, number: numberIn(left, contribution) }));

  // The loops.
  const next = active.map((k, i) => gradient.get(carries[k]!) ?? fullLike(carried[i]!, 0));
  const needed = neededOf([...next, ...left], scan, inside);
  for (const value of needed) forwardNumber(value);
  if (scan.value.origin !== null) for (const value of kept) stamp(value, scan.value.origin);
  const initial = active.map((k, i) => given.final.get(k) ?? fullLike(carried[i]!, 0));
  const same = carries.map((each, k) => ({ leaf: each, initial: initials[k]!, next: nexts[k]! }));
  const forward = kept.length === yields.length ? scan.value
    : { ...scanValue({ length, reversed, counter, carries: same, yields: kept }), origin: scan.value.origin };
  const inReverse = substituted([...next, ...left], dependenceOn([counter, ...carries]), new Map<Value, Value>([
    [counter, step],
    ...[...needed].map(value => [value, gather(sequenceOf(forward, forwardNumber(value)), step, { batch: 0 })] as const),
  ]));
  const backward = scanValue({
    length,
    reversed: !reversed,
    counter: step,
    carries: carried.map((each, i) => ({ leaf: each, initial: initial[i]!, next: inReverse[i]! })),
    yields: inReverse.slice(active.length),
  });
  const loops = { forward, backward };
  active.forEach((k, i) => dependent.has(initials[k]!) && give(initials[k]!, finalOf(backward, i)));
  for (const { target, make } of summed) give(target, castTo(make(loops), target.type.dtype));
  for (const { table, at, number } of sliced) give(table, placed(sequenceOf(backward, number), at, table, length.extent));
}

interface Loops {
  readonly forward: Value;
  readonly backward: Value;
}

/** A value inside as a sequence outside, and where in it the value of a position is; null where it is the same at all positions. */
interface OverSteps {
  readonly sequence: (loops: Loops) => Value;
  readonly at: StepIndex | null;
}

/** The carried values that pass gradients on, and all that they and the wanted values outside reach. */
function findActive(
  { carries, initials, nexts, yields }: Scan, inside: readonly Value[], isInside: ReadonlySet<Value>, dependent: ReadonlySet<Value>,
): { readonly active: readonly number[]; readonly reached: ReadonlySet<Value> } {
  const read = [...inside.flatMap(value => value.operands), ...nexts, ...yields];
  const outside = new Set(read.filter(value => !isInside.has(value) && dependent.has(value)));
  const active = new Set([...carries.keys()].filter(k => isFloat(carries[k]!.type.dtype) && dependent.has(initials[k]!)));
  for (;;) {
    const reached = new Set([...outside, ...[...active].map(k => carries[k]!)]);
    for (const value of inside) if (value.operands.some(operand => reached.has(operand))) reached.add(value);
    const more = [...carries.keys()].filter(k => !active.has(k) && isFloat(carries[k]!.type.dtype) && reached.has(nexts[k]!));
    if (more.length === 0) return { active: [...active].sort((a, b) => a - b), reached };
    for (const k of more) active.add(k);
  }
}

/**
 * Σ over the steps of a contribution, computed outside of the loop. A contraction takes the steps as an axis more; what is linear in a
 * contraction is applied to its sum; anything else leaves the loop and is summed.
 */
function summedOverSteps(contribution: Value, length: Dim, overSteps: (value: Value) => OverSteps): (loops: Loops) => Value {
  if (isLinear(contribution)) {
    const inner = summedOverSteps(contribution.operands[0]!, length, overSteps);
    return loops => ({ ...contribution, operands: [inner(loops)], origin: null });
  }
  interface Axes { readonly dims: readonly Dim[]; readonly reduce: readonly Dim[]; readonly maps: readonly (readonly Affine[])[] }
  const { dims, reduce, maps }: Axes = contribution.op === contract ? (contribution.attrs as never)
    : { dims: contribution.type.dims, reduce: [], maps: [identity(contribution.type.dims.length)] };
  const factors = (contribution.op === contract ? contribution.operands : [contribution]).map(overSteps);
  // The axis of the steps stands before those that are summed anyway.
  const moved = (index: Affine): Affine =>
    affine(index.terms.map(({ axis, times }) => ({ axis: axis < dims.length ? axis : axis + 1, times })), index.offset, index.divisor);
  const steps = ({ times, offset }: StepIndex): Affine => affine([{ axis: dims.length, times }], offset);
  return loops =>
    contract(factors.map(factor => factor.sequence(loops)), {
      dims,
      reduce: [length, ...reduce],
      maps: factors.map(({ at }, k) => [...(at === null ? [] : [steps(at)]), ...maps[k]!.map(moved)]),
    });
}

/** What commutes with sums, and has a contraction below it. */
function isLinear({ op, operands, attrs }: Value): boolean {
  const isUnary = op === neg || op === reshape || (op === view && (attrs['fill'] === null || attrs['fill'] === 0));
  return isUnary && (operands[0]!.op === contract || isLinear(operands[0]!));
}

/** The sequence of what flows to x[at(t)], for each t, as what flows to x. */
function placed(sequence: Value, { times, offset }: StepIndex, table: Value, length: number): Value {
  const { dims } = table.type;
  const sign = Math.sign(times);
  // p = times · t + offset, solved for t.
  const position = affine([{ axis: 0, times: sign }], -sign * offset, Math.abs(times));
  const rest = identity(dims.length).slice(1);
  const fill = alwaysInside(position, shapeOf(table.type), length) ? null : 0;
  return view(sequence, { dims, map: [position, ...rest], fill });
}

/** Cheaper than to be kept for every step. */
const cheap = 4;
const slow: ReadonlySet<Instruction> = new Set(['exp', 'log', 'sqrt', 'tanh', 'erf', 'sin', 'cos', 'pow', 'random', 'mod']);

/** The forward values that have to be kept so that `roots` can be computed backwards; the others are computed again from these. */
function neededOf(roots: readonly Value[], { value: loop, counter, carries }: Scan, inside: readonly Value[]): ReadonlySet<Value> {
  const isInside = new Set(inside);
  const isForward = dependenceOn([counter, ...carries]);
  const isCarried = dependenceOn(carries);
  const isSlice = (value: Value): boolean => stepSlice(value, counter, table => !isForward(table)) !== null;
  const isFree = (value: Value): boolean =>
    value === counter || !isForward(value) || isSlice(value) || (value.type.dims.length === 0 && !isFloat(value.type.dtype) && !isCarried(value));
  // What belongs to the steps of the backward loop, or of a loop inside of either, has no meaning in those of the forward loop.
  const open = openLeaves(topological([...roots, loop]));
  const ofStep = new Set([counter, ...carries, ...open.get(loop)!]);
  const isOfStep = (value: Value): boolean => [...open.get(value)!].every(each => ofStep.has(each));
  const canBeKept = (value: Value): boolean => carries.includes(value) || isInside.has(value) || (scanResultOf(value) !== null && isOfStep(value));
  const needed = new Set<Value>();
  topological(roots, value => {
    if (!isForward(value)) return true;
    if (isFree(value) || !canBeKept(value)) return false;
    needed.add(value);
    return true;
  });
  const cost = (value: Value): number => {
    if (needed.has(value) || isFree(value)) return 0;
    if (value.op === null || !isPrimitive(value.op.definition)) return Infinity;
    const nest = value.op.definition.lower(value.operands.map(operand => operand.type), value.attrs, value.type);
    if (nest.combine !== null || nest.scatter || usesSlow(nest.body)) return Infinity;
    return value.operands.reduce((sum, operand) => sum + cost(operand), instructionCount(nest.body));
  };
  for (const value of inside) {
    if (!needed.delete(value)) continue;
    if (cost(value) > cheap) needed.add(value);
  }
  return needed;
}

const usesSlow = (scalar: Scalar): boolean => (scalar.kind === 'apply' && slow.has(scalar.instruction)) || parts(scalar).some(usesSlow);

/** The values with replacements put in for what of the forward body they are made of; what is made anew gets the origin of where it is used. */
function substituted(roots: readonly Value[], isForward: (value: Value) => boolean, replacements: ReadonlyMap<Value, Value>): Value[] {
  const mapped = new Map<Value, Value>(replacements);
  for (const value of topological(roots, value => replacements.has(value) || !isForward(value)))
    mapped.set(value, { ...value, operands: value.operands.map(operand => mapped.get(operand) ?? operand), origin: null });
  return roots.map(root => mapped.get(root) ?? root);
}
