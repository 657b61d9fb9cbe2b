/**
 * One entry's values as loop nests, and which of them get memory: results, what is reduced or scattered, and what would be
 * computed over and again if it were not stored. The rest is computed where it is used.
 */
import { axisAt, plainAxis } from '../ir/affine.ts';
import { entryRoots, loopScalars, topological, type Entry, type PlacementAt, type Value } from '../ir/graph.ts';
import { isGathered, parts, type Instruction, type Nest, type Scalar } from '../ir/nest.ts';
import { enclosingScans, scanOf, scanResultOf, scansAround, type Scan } from '../ir/scan.ts';
import { elements, sameShape, shapeOf, size } from '../ir/type.ts';
import { isPrimitive } from '../ops/define.ts';
import { mapScalar } from './draft.ts';
import { placeOf } from './expand.ts';
import { evenPosition } from './steps.ts';

/** How values are computed from their operands, each found once: entries share values, and one may be planned more than once. */
export interface Nests {
  readonly nest: (value: Value) => Nest;
  /** Instructions of its body, slow ones counted several times, and whether one draws a random number. */
  readonly effort: (value: Value) => { readonly instructions: number; readonly isRandom: boolean };
}

export interface Lowering extends Nests {
  readonly entry: Entry;
  /** In topological order, leaves included. */
  readonly values: readonly Value[];
  /** Loops, inner ones first, and for each value inside of one the innermost loop that it is in. */
  readonly scans: readonly Scan[];
  readonly inside: ReadonlyMap<Value, Scan>;
  /** All loops around a value, the outermost first. */
  readonly around: (value: Value) => readonly Scan[];
  /** Scalars that depend on nothing but `seed`, `step` and `steps`: the host computes them, in double precision. */
  readonly host: ReadonlySet<Value>;
  /** Leaves are not among them; they have their memory anyway. Grows while kernels are built. */
  readonly stored: Set<Value>;
  /** The named tensor that lies somewhere in a leaf. */
  readonly placementAt: PlacementAt;
}

/** Chains of operations longer than this are cut: a kernel stays readable, and small enough for an engine to optimise. */
const longestChain = 64;
/** Values cheaper than this (instructions and loads) are computed again rather than stored, for a few uses. */
const cheap = 4;
const fewUses = 4;

export function newNests(): Nests {
  const known = new Map<Value, { readonly nest: Nest; readonly instructions: number; readonly isRandom: boolean }>();
  const find = (value: Value): { readonly nest: Nest; readonly instructions: number; readonly isRandom: boolean } => {
    const before = known.get(value);
    if (before) return before;
    const definition = value.op!.definition;
    if (!isPrimitive(definition)) throw new Error(`composite \`${definition.name}\` in a graph`);
    const nest = definition.lower(value.operands.map(operand => operand.type), value.attrs, value.type);
    const made = { nest, instructions: work(nest.body), isRandom: usesRandom(nest.body) };
    known.set(value, made);
    return made;
  };
  return { nest: value => find(value).nest, effort: find };
}

export function lower(entry: Entry, placementAt: PlacementAt, nests: Nests): Lowering {
  const { nest } = nests;
  const roots = entryRoots(entry);
  const values = topological(roots);
  const host = hostValues(values, nest);
  const scans = values.flatMap(value => scanOf(value) ?? []);
  const inside = enclosingScans(scans);
  const lowering: Lowering = { ...nests, entry, values, scans, inside, around: value => scansAround(value, inside), host, stored: new Set(), placementAt };
  for (const value of values) if (scanResultOf(value) !== null) lowering.stored.add(value);
  for (const value of values) {
    if (!hasNest(value) || host.has(value)) continue;
    if (nest(value).combine !== null || nest(value).scatter || partition(nest(value)) !== null) lowering.stored.add(value);
  }
  // What a loop begins with, carries on and yields has its place in memory like a result.
  const ofLoops = scans.flatMap(scan => [...scan.initials, ...scan.nexts, ...scan.yields]);
  for (const root of [...roots, ...ofLoops]) if (root.op !== null && placeOf(root, lowering) === null) lowering.stored.add(root);
  for (const { value } of entry.updates) {
    const place = placeOf(value, lowering);
    // A part of something, or a view of a leaf, is not computed where it belongs by computing that.
    if (place !== null && !host.has(value) && (place.root.op === null || elements(place.root.type) !== elements(value.type)))
      lowering.stored.add(value);
  }
  const readByKernels = new Set(values.flatMap(value => (host.has(value) ? [] : value.operands)));
  for (const value of host) if (roots.includes(value) || readByKernels.has(value)) lowering.stored.add(value);
  storeWhatIsExpensive(lowering);
  // Only what is in memory can be read as another shape. To find that out while kernels are built would be to build all of them anew.
  for (const value of values) {
    if (!hasNest(value) || host.has(value)) continue;
    nest(value).reinterpret?.forEach((shape, i) => {
      const operand = value.operands[i]!;
      if (shape !== null && !sameShape(shape, shapeOf(operand.type)) && placeOf(operand, lowering) === null) lowering.stored.add(operand);
    });
  }
  return lowering;
}

export const hasNest = ({ op }: Value): boolean => op !== null && isPrimitive(op.definition);

function hostValues(values: readonly Value[], nest: Nests['nest']): Set<Value> {
  const host = new Set<Value>();
  const scalars = new Set<string>(loopScalars);
  for (const value of values) {
    if (
      value.op === null
        ? scalars.has(value.leaf!.role)
        : value.type.dims.length === 0 &&
          value.operands.length > 0 &&
          value.operands.every(operand => host.has(operand) || isConstant(operand, nest))
    )
      host.add(value);
  }
  return new Set([...host].filter(value => value.op !== null));
}

const isConstant = (value: Value, nest: Nests['nest']): boolean =>
  hasNest(value) && value.operands.length === 0 && nest(value).body.kind === 'constant';

/** From the results backwards: how often an element would be computed if its value were not stored, against what that costs. */
function storeWhatIsExpensive(lowering: Lowering): void {
  const { values, nest, effort, around, host, stored } = lowering;
  const turns = new Map(values.map(value => [value, size(around(value).map(({ length }) => length.extent))]));
  const demand = new Map<Value, number>();
  const costs = new Map<Value, Cost>();
  const cost = (value: Value): Cost => {
    if (!hasNest(value) || stored.has(value)) return { work: 0, loads: elements(value.type) > 1 ? 1 : 0, chain: 0, random: false, fixed: false };
    const known = costs.get(value);
    if (known) return known;
    const { instructions, isRandom } = effort(value);
    const inner = value.operands.map(cost);
    const own = {
      work: instructions + inner.reduce((sum, c) => sum + c.work, 0),
      loads: inner.reduce((sum, c) => sum + c.loads, 0),
      chain: 1 + Math.max(0, ...inner.map(c => c.chain)),
      random: isRandom || inner.some(c => c.random),
      fixed: inner.every(c => c.fixed),
    };
    costs.set(value, own);
    return own;
  };
  for (const value of values) {
    if (!hasNest(value) || stored.has(value) || host.has(value)) continue;
    if (cost(value).chain > longestChain) stored.add(value);
    // What is guarded cannot share parts with the outside, so only little is computed there.
    if (nest(value).body.kind === 'guard')
      for (const operand of value.operands)
        if (operand.op !== null && !host.has(operand) && cost(operand).work > cheap) stored.add(operand);
  }
  costs.clear();
  const positions = evenPositions(lowering);
  /** Elements of a value, over all steps of the loops that it is in. */
  const all = (value: Value): number => elements(value.type) * turns.get(value)!;
  const isCheap = (value: Value): boolean => {
    const { work: instructions, loads, random, fixed } = cost(value);
    const times = demand.get(value)! / all(value);
    return (instructions + loads <= cheap && (times <= fewUses || fixed)) || (instructions === 0 && !looksUp(value, nest)) || (random && loads === 0);
  };
  const expensive: Value[] = [];
  // Users come after operands, so that backwards every user is settled before its operands.
  for (const value of [...values].reverse()) {
    if (!hasNest(value) || host.has(value)) continue;
    const own = demand.get(value) ?? 0;
    // A plain view is an index, not work: whether to store is a question to what it views.
    const { body, combine, space, reduce } = nest(value);
    const isView = body.kind === 'load' && combine === null && !looksUp(value, nest);
    if (!stored.has(value) && !isView && !positions.has(value) && own > all(value)) {
      if (!isCheap(value)) {
        stored.add(value);
        expensive.push(value);
      }
    }
    const evaluations = stored.has(value) ? size(space) * size(reduce) * turns.get(value)! : own;
    for (const operand of value.operands) demand.set(operand, (demand.get(operand) ?? 0) + evaluations);
  }
  // What was expensive may be cheap from operands that turned out to be stored, too: operands come first here.
  costs.clear();
  for (const value of expensive.reverse()) {
    stored.delete(value);
    if (!isCheap(value)) stored.add(value);
  }
}

/** Positions that move evenly with the step of a loop: places are told by them, so they have none themselves. */
function evenPositions({ values, nest, scans, inside }: Lowering): ReadonlySet<Value> {
  const counters = new Set(scans.map(scan => scan.counter));
  const even = new Set<Value>();
  for (const value of values) {
    if (!inside.has(value) || !hasNest(value) || value.type.dims.length > 0) continue;
    const isEven = (operand: Value): boolean => counters.has(operand) || even.has(operand) || isConstant(operand, nest);
    const ofOneIndex = mapScalar(nest(value).body, part => (part.kind === 'load' ? { kind: 'index', index: axisAt(0) } : part));
    if (value.operands.every(isEven) && evenPosition(ofOneIndex) !== null) even.add(value);
  }
  return even;
}

/** Whether each element is looked up in a table: a product would look it up again for each of its rows. Slices at a step are views. */
const looksUp = (value: Value, nest: Nests['nest']): boolean => {
  const { body } = nest(value);
  return body.kind === 'load' && body.at.some(isGathered) && value.operands.every(operand => operand.type.dims.length > 0);
};

interface Cost {
  readonly work: number;
  readonly loads: number;
  readonly chain: number;
  readonly random: boolean;
  /** Made of indices and constants alone, as masks of positions are. */
  readonly fixed: boolean;
}

const slow: Partial<Record<Instruction, number>> = {
  exp: 8,
  log: 8,
  tanh: 8,
  erf: 12,
  sin: 8,
  cos: 8,
  pow: 12,
  random: 30,
  div: 2,
  sqrt: 2,
  mod: 4,
  to_f32: 0,
  to_i32: 0,
  to_u8: 0,
  to_f16: 8,
  to_bf16: 4,
};

/** Instructions of one evaluation, slow ones counted several times. */
export function work(scalar: Scalar): number {
  const own = scalar.kind === 'apply' ? (slow[scalar.instruction] ?? 1) : scalar.kind === 'guard' ? 2 : 0;
  return parts(scalar).reduce((sum, part) => sum + work(part), own);
}

const usesRandom = (scalar: Scalar): boolean =>
  (scalar.kind === 'apply' && scalar.instruction === 'random') || parts(scalar).some(usesRandom);

/**
 * When a nest is nothing but its operands one after the other along the first axis: the first row of each. Then each operand can be
 * computed where it belongs, and putting them together takes no kernel.
 */
export function partition(nest: Nest): readonly { readonly operand: number; readonly start: number }[] | null {
  if (nest.combine !== null || nest.scatter || nest.space.length === 0) return null;
  const pieces: { operand: number; start: number }[] = [];
  let rest = nest.body;
  let covered = 0;
  while (rest.kind === 'guard') {
    const [check] = rest.at;
    const { then } = rest;
    if (rest.at.length !== 1 || then.kind !== 'load') return null;
    const { index, extent } = check!;
    const leads =
      index.divisor === 1 &&
      index.terms.length === 1 &&
      index.terms[0]!.axis === 0 &&
      index.terms[0]!.times === 1 &&
      index.offset === -covered;
    const straight = then.at.every(
      (at, d) =>
        !('gathered' in at) &&
        (d === 0
          ? at.offset === -covered && at.terms.length === 1 && at.terms[0]!.axis === 0 && at.terms[0]!.times === 1 && at.divisor === 1
          : plainAxis(at) === d),
    );
    if (!leads || !straight) return null;
    pieces.push({ operand: then.operand, start: covered });
    covered += extent;
    rest = rest.otherwise;
  }
  return pieces.length > 0 && covered === nest.space[0] ? pieces : null;
}
