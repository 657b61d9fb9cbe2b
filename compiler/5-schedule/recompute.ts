/**
 * Recomputation: under a memory limit some activations of the forward pass are not kept for the backward pass but computed again just
 * before it needs them (Chen et al. 2016, "Training deep nets with sublinear memory cost"). Takes the plan of an entry, gives one that
 * needs less memory and computes the same.
 */
import { topological, withOperands, type Entry, type Value } from '../ir/graph.ts';
import { scanOf, scanResultOf, withYields, type Scan } from '../ir/scan.ts';
import { bytes, elements, size } from '../ir/type.ts';
import { isPrimitive } from '../ops/define.ts';
import { keepsRowsApart } from './blocks.ts';
import { isLate, type Draft } from './draft.ts';
import { placeOf } from './expand.ts';
import { hasNest, lower } from './lower.ts';
import { planEntry, type Plan } from './plan.ts';
import { findStepValues, recomputed, recomputeInSteps, type StepValues } from './recompute-loops.ts';

/** Plans that are tried: what an estimate has promised, fusion and the places in memory may not quite keep. */
const mostTries = 4;
/** How far above the least estimate the smallest plan is looked for. */
const slacks = [1, 1.1, 1.25];

/** A plan that needs at most `room` bytes for what lives within the entry, at little cost; the smallest one found if that is larger. */
export function fit(plan: Plan, room: number): Plan {
  if (plan.transientBytes <= room) return plan;
  const activations = findActivations(plan);
  const choices = choose(activations);
  const without = ({ dropped }: Choice): Plan =>
    dropped.size === 0 ? plan : planEntry(recompute(activations, dropped).entry, plan.lowering.placementAt, plan.sizes, plan.lowering);
  // The estimate knows of no memory taken over in place; the difference is about the same with recomputation.
  let target = room + estimate(activations, new Set()).peak - plan.transientBytes;
  for (let tries = 0; tries < mostTries; tries++) {
    const choice = choices(target);
    if (choice.peak > target) break;
    const tried = without(choice);
    if (tried.transientBytes <= room) return tried;
    target = choice.peak - (tried.transientBytes - room);
  }
  const least = choices(0).peak;
  const candidates = new Set(slacks.map(slack => choices(slack * least)));
  return [...candidates].map(without).reduce((a, b) => (b.transientBytes < a.transientBytes ? b : a), plan);
}

/** What is kept for the backward pass though it is at least so many times as large as what it is computed from. */
const growth = 2;
/** FLOPs and bytes moved for each byte, in having it again. */
const mostCost = 100;
/** Instructions for an element, slow ones counted several times, where it is computed again within each kernel that reads it. */
const mostInPlace = 8;
/** What is left of the memory, at most, for the second computation to be worth its time. */
const mostLeft = 0.95;

/**
 * A plan that does not keep such values where their second computation needs no memory either, since it runs in blocks: attention's
 * weights, for one. The same plan where there is nothing of that kind, or little is won.
 */
export function spare(plan: Plan): Plan {
  const activations = findActivations(plan);
  let dropped = new Set<Value>();
  // Operands come first: what is computed from something large that is dropped is computed from what that is computed from.
  for (const each of activations.byValue.values()) if (isLargeAndCheap(each, plan, dropped)) dropped.add(each.value);
  const readers = plan.order.filter(draft => draft.blocks === undefined && draft.values.some(isLate));
  const mayRunInBlocks = (value: Value): boolean => readers.every(draft => draft.sources.every(({ root }) => root !== value) || keepsRowsApart(draft, value));
  const writtenInBlocks = new Set(plan.order.flatMap(draft => (draft.blocks === undefined ? [] : draft.outputs.map(({ root }) => root))));
  const isDear = (value: Value): boolean => !writtenInBlocks.has(value) && instructionsOf(value, activations) > mostInPlace;
  while (dropped.size > 0) {
    const { entry, again } = recompute(activations, dropped);
    // A plan takes long: what would be stored again outside of blocks, or be dear where it is read, is kept before there is one.
    const { stored } = lower(entry, plan.lowering.placementAt, plan.lowering);
    const likely = new Set([...dropped].filter(value => (stored.has(again.get(value)!) ? mayRunInBlocks(value) : !isDear(value))));
    if (likely.size < dropped.size) {
      dropped = likely;
      continue;
    }
    const spared = planEntry(entry, plan.lowering.placementAt, plan.sizes, plan.lowering);
    const inside = new Set(spared.order.flatMap(draft => [...(draft.blocks?.inside.keys() ?? [])]));
    const isFree = (value: Value): boolean => inside.has(again.get(value)!) || !spared.lowering.stored.has(again.get(value)!);
    const free = new Set([...dropped].filter(isFree));
    if (free.size === dropped.size) return spared.transientBytes <= mostLeft * plan.transientBytes ? spared : plan;
    dropped = free;
  }
  return plan;
}

/** Instructions for an element of a value, from what has memory. */
function instructionsOf(root: Value, { plan, holder }: Activations): number {
  const { nest, effort } = plan.lowering;
  const parts = topological([root], part => part !== root && (holder(part) !== null || !hasNest(part)));
  return parts.reduce((sum, part) => sum + effort(part).instructions * size(nest(part).space) * size(nest(part).reduce), 0) / elements(root.type);
}

function isLargeAndCheap(activation: Activation, { built, sizes }: Plan, dropped: ReadonlySet<Value>): boolean {
  const { value, isKept } = activation;
  if (!isKept || !hasNest(value) || built.required.has(value) || elements(value.type) < sizes.fewestElements) return false;
  const { cost, from } = again(activation, dropped);
  return cost <= mostCost * activation.bytes && growth * from <= activation.bytes;
}

/** A stored value of the forward pass, or a loop with all that it keeps. */
interface Activation {
  readonly value: Value;
  /** The values whose memory it is: of a loop its carried values and what it yields. */
  readonly cells: readonly Value[];
  readonly bytes: number;
  /** Whether the steps of the loop that reads it can compute it, instead of a kernel or a loop before that. */
  readonly inSteps: boolean;
  /** Of its second computation. */
  readonly bytesAgain: number;
  /** Something after the forward pass reads it, so that it is there until then, unless it is dropped. */
  readonly isKept: boolean;
  /** The activations that it is computed from. */
  readonly sources: readonly Activation[];
  /** Bytes of inputs and parameters that it is computed from besides. */
  readonly leafBytes: number;
  /** FLOPs of computing it from these, and bytes read and written on the way, counted alike. */
  readonly cost: number;
}

/** A call of a kernel, or a loop. */
interface Run {
  readonly isLate: boolean;
  readonly isLoop: boolean;
  readonly reads: readonly Value[];
  readonly writes: readonly Value[];
}

interface Activations {
  readonly plan: Plan;
  /** What memory holds, by the value that has it: several of a loop. */
  readonly byValue: ReadonlyMap<Value, Activation>;
  /** Loops of the forward pass that are in no other. */
  readonly loops: ReadonlyMap<Value, Activation>;
  readonly stepValues: ReadonlyMap<Value, StepValues>;
  readonly runs: readonly Run[];
  /** The value in whose memory a value lives; null for what has none, or lives in a leaf. */
  readonly holder: (value: Value) => Value | null;
}

function findActivations(plan: Plan): Activations {
  const { lowering, built, order } = plan;
  const turns = (value: Value): number => size(lowering.around(value).map(({ length }) => length.extent));
  const outermost = (value: Value): Value => {
    const home = built.homes.get(value);
    return home ? outermost(home.root) : value;
  };
  const held = (values: readonly Value[]): Value[] => [...new Set(values.map(outermost))].filter(value => value.op !== null);
  const runs = order.map(
    (draft: Draft): Run => ({
      isLate: draft.values.some(isLate),
      isLoop: draft.blocks !== undefined,
      reads: held(draft.sources.map(source => source.root)),
      writes: held(draft.outputs.map(output => output.root)),
    }),
  );
  const stored = new Set(runs.flatMap(run => [...run.reads, ...run.writes]));
  const readLate = new Set(runs.filter(run => run.isLate).flatMap(run => run.reads));
  const holder = (value: Value): Value | null => (stored.has(outermost(value)) ? outermost(value) : null);

  const byValue = new Map<Value, Activation>();
  const loops = new Map<Value, Activation>();
  const stepValues = findStepValues(lowering);
  const activation = (value: Value, cells: readonly Value[], roots: readonly Value[], scan: Scan | null): Activation => {
    const isStep = (part: Value): boolean => scan !== null && lowering.inside.has(part);
    const sources = new Map<Value, Activation>();
    const seen = new Set<Value>();
    const pending = [...roots];
    const total = cells.reduce((sum, cell) => sum + bytes(cell.type), 0);
    let cost = total;
    let leafBytes = 0;
    while (pending.length > 0) {
      const part = pending.pop()!;
      if (seen.has(part)) continue;
      seen.add(part);
      const from = isStep(part) ? null : holder(part);
      const source = from === null || cells.includes(from) ? undefined : byValue.get(from);
      if (source !== undefined && !sources.has(source.value)) {
        sources.set(source.value, source);
        cost += source.bytes;
      }
      if (part.op === null || (from !== null && !cells.includes(from))) continue;
      cost += flops(part) * turns(part);
      pending.push(...part.operands);
      // A part of a flat leaf is seen through a view that is no larger.
      for (const { op, leaf, type } of part.operands)
        if (op === null && leaf!.role !== 'counter' && leaf!.role !== 'carry') leafBytes += Math.min(bytes(type), bytes(part.type));
    }
    const isRead = (cell: Value): boolean => readLate.has(cell) || (scan === null ? built.required : built.results).has(cell);
    const inSteps = stepValues.has(value);
    const rows = cells.filter(cell => inSteps && !stepValues.get(cell)!.isReadAsWhole);
    const bytesAgain = rows.reduce((rest, cell) => rest - bytes(cell.type) + bytes(cell.type) / cell.type.dims[0]!.extent, total);
    return { value, cells, bytes: total, inSteps, bytesAgain, isKept: cells.some(isRead), sources: [...sources.values()], leafBytes, cost };
  };
  for (const value of lowering.values) {
    if (isLate(value) || lowering.host.has(value) || lowering.inside.has(value)) continue;
    const scan = scanOf(value);
    if (scan === null) {
      if (holder(value) === value && hasNest(value)) byValue.set(value, activation(value, [value], [value], null));
      continue;
    }
    const results = lowering.values.filter(other => scanResultOf(other)?.scan === value);
    const inSteps = results.filter(result => holder(result) === result && stepValues.has(result));
    const cells = [...new Set([...scan.carries, ...results].map(each => holder(each)!))].filter(cell => !inSteps.includes(cell));
    const loop = activation(value, cells, [...scan.initials, ...scan.nexts, ...scan.yields], scan);
    // What the steps are computed from is kept with what is kept of them.
    loops.set(value, { ...loop, isKept: loop.isKept || inSteps.length > 0 });
    for (const cell of cells) byValue.set(cell, loops.get(value)!);
    if (inSteps.length === 0) continue;
    const steps = activation(inSteps[0]!, inSteps, inSteps.map(result => stepValues.get(result)!.yielded), scan);
    for (const cell of inSteps) byValue.set(cell, steps);
  }
  return { plan, byValue, loops, stepValues, runs, holder };
}

function flops({ op, operands, attrs, type }: Value): number {
  const definition = op!.definition;
  return isPrimitive(definition)
    ? definition.flops(
        operands.map(operand => operand.type),
        attrs,
        type,
      )
    : 0;
}

interface Choice {
  readonly dropped: ReadonlySet<Value>;
  /** Estimated with these dropped. */
  readonly peak: number;
}

/**
 * Which activations to drop so that the estimated peak falls to a target, or as low as it goes: always the one that costs least for
 * each of its bytes among those that lie idle at the peak. What it costs is all that has to run to have it again from what is kept, so
 * that of a chain first every second value is dropped, then every second of the rest: stretches stay short.
 */
function choose(activations: Activations): (target: number) => Choice {
  const dropped = new Set<Value>();
  let { peak, idle } = estimate(activations, dropped);
  const found: Choice[] = [{ dropped: new Set(), peak }];
  return target => {
    while (idle.length > 0 && found.every(choice => choice.peak > target)) {
      const left = new Set(idle);
      // An estimate after each would be slow where they are thousands.
      for (let picks = Math.ceil(idle.length / 100); picks > 0; picks--) {
        const next = cheapest(left, dropped);
        left.delete(next);
        dropped.add(next.value);
      }
      ({ peak, idle } = estimate(activations, dropped));
      found.push({ dropped: new Set(dropped), peak });
    }
    return found.find(choice => choice.peak <= target) ?? found.reduce((a, b) => (b.peak < a.peak ? b : a));
  };
}

function cheapest(activations: Iterable<Activation>, dropped: ReadonlySet<Value>): Activation {
  let best: { readonly activation: Activation; readonly price: number } | null = null;
  for (const activation of activations) {
    const price = again(activation, dropped).cost / activation.bytes;
    if (best === null || price < best.price) best = { activation, price };
  }
  return best!.activation;
}

const isDropped = (activation: Activation | undefined, dropped: ReadonlySet<Value>): activation is Activation =>
  activation !== undefined && dropped.has(activation.value);
const mustRunAgain = (activation: Activation, dropped: ReadonlySet<Value>): boolean => !activation.isKept || dropped.has(activation.value);

/** What it costs to have an activation once more, and the bytes of what is there for that. */
function again(activation: Activation, dropped: ReadonlySet<Value>): { readonly cost: number; readonly from: number } {
  const seen = new Set<Activation>();
  const pending = [activation];
  let [cost, from] = [0, 0];
  while (pending.length > 0) {
    const next = pending.pop()!;
    if (seen.has(next)) continue;
    seen.add(next);
    if (next !== activation && !mustRunAgain(next, dropped)) from += next.bytes;
    else {
      cost += next.cost;
      from += next.leafBytes;
      pending.push(...next.sources);
    }
  }
  return { cost, from };
}

/** Memory of a value, or of its second computation. */
interface Cell {
  readonly bytes: number;
  /** Null for what is never dropped: gradients, second computations. */
  readonly activation: Activation | null;
  first: number;
  last: number;
  /** The last use that stays with the first computation. */
  lastEarly: number;
}

/**
 * The most bytes alive at once when every kernel runs in its present place and what is dropped is computed again right before the
 * kernel that reads it; and what is alive there without being used, and could be had again later.
 */
function estimate({ plan, byValue, runs, holder }: Activations, dropped: ReadonlySet<Value>): { readonly peak: number; readonly idle: readonly Activation[] } {
  const originals = new Map<Value, Cell>();
  const again = new Map<Activation, Cell>();
  const newCell = (size: number, activation: Activation | null): Cell =>
    ({ bytes: size, activation, first: Infinity, last: -1, lastEarly: -1 });
  const original = (value: Value): Cell => {
    if (!originals.has(value)) originals.set(value, newCell(bytes(value.type), byValue.get(value) ?? null));
    return originals.get(value)!;
  };
  let time = 0;
  const touch = (cell: Cell, isEarly: boolean): void => {
    cell.first = Math.min(cell.first, time);
    cell.last = time;
    if (isEarly) cell.lastEarly = time;
  };
  const used: (readonly Cell[])[] = [];
  const loops: number[] = [];
  const run = (cells: readonly Cell[], isEarly: boolean): void => {
    for (const cell of cells) touch(cell, isEarly);
    used.push(cells);
    time++;
  };
  const readAgain = (activation: Activation): readonly Cell[] =>
    activation.sources.flatMap(source => (mustRunAgain(source, dropped) ? [computeAgain(source)] : source.cells.map(original)));
  const computeAgain = (activation: Activation): Cell => {
    const known = again.get(activation);
    if (known) return known;
    const cell = newCell(activation.bytesAgain, null);
    again.set(activation, cell);
    const reads = readAgain(activation);
    // What is computed in steps is part of the run that reads it.
    if (!activation.inSteps) run([...reads, cell], false);
    return cell;
  };
  for (const { isLate: late, isLoop, reads, writes } of runs) {
    const cells = reads.flatMap(value => {
      const activation = byValue.get(value);
      if (!late || !isDropped(activation, dropped)) return [original(value)];
      return [computeAgain(activation), ...(activation.inSteps && isLoop ? readAgain(activation) : [])];
    });
    // What is computed in steps the forward pass leaves out.
    const made = writes.filter(value => !byValue.get(value)?.inSteps || !isDropped(byValue.get(value), dropped));
    if (isLoop) loops.push(time);
    run([...cells, ...made.map(original)], !late);
  }
  for (const value of plan.built.results) {
    const cell = originals.get(holder(value) ?? value);
    if (cell !== undefined) touch(cell, true);
  }

  const change = new Array<number>(time + 2).fill(0);
  const cells = [...originals.values(), ...again.values()];
  for (const cell of cells) {
    change[cell.first]! += cell.bytes;
    change[cell.last + 1]! -= cell.bytes;
  }
  // What a loop yields may take the place of a sequence that nothing else reads.
  for (const loop of loops) {
    const born = used[loop]!.filter(cell => cell.first === loop).map(cell => cell.bytes);
    for (const cell of new Set(used[loop])) {
      if (cell.last !== loop || cell.first === loop || !born.includes(cell.bytes)) continue;
      born.splice(born.indexOf(cell.bytes), 1);
      change[loop]! -= cell.bytes;
      change[loop + 1]! += cell.bytes;
    }
  }
  let [peak, at, alive] = [0, 0, 0];
  for (let i = 0; i < time; i++) {
    alive += change[i]!;
    if (alive > peak) [peak, at] = [alive, i];
  }
  const idle = new Set(cells.flatMap(cell => {
    const { activation, first, last, lastEarly } = cell;
    if (activation === null || dropped.has(activation.value)) return [];
    const isUsed = used[at]!.includes(cell);
    // What is computed in steps is not there as a whole, not even while it is used.
    if (activation.inSteps) return first <= at && at <= last && (!isUsed || activation.bytesAgain < activation.bytes) ? [activation] : [];
    return first < at && lastEarly < at && last > at && !isUsed ? [activation] : [];
  }));
  return { peak, idle: [...idle] };
}

/**
 * The entry with everything after the forward pass reading second computations in place of the dropped values. These start from what
 * is kept; what has no memory of its own in between is written out again, so that nothing of it is kept either.
 */
function recompute(
  { plan, byValue, loops, stepValues, holder }: Activations,
  dropped: ReadonlySet<Value>,
): { readonly entry: Entry; readonly again: ReadonlyMap<Value, Value> } {
  const { lowering } = plan;
  const { entry, host, values, nest, scans, around } = lowering;
  const again = new Map<Value, Value>();
  /** What is dropped, and what has no memory and comes from that: after the forward pass only the second computation may be read. */
  const isGone = new Set<Value>();
  /** What is not kept anyway: a reader that ran together with the forward pass may stay there, one that reads what is gone does not. */
  const isUnkept = new Set<Value>();
  const rewritten = new Map<Value, Value>();
  const loopOf = (value: Value): Activation | undefined => loops.get(around(value)[0]?.value ?? scanResultOf(value)?.scan ?? value);
  const heldBy = (value: Value): Activation | undefined => byValue.get(holder(value) ?? value);
  const isThere = (value: Value): boolean => {
    const activation = heldBy(value);
    return activation === undefined ? holder(value) !== null || placeOf(value, lowering)?.root.op === null : !mustRunAgain(activation, dropped);
  };
  const computedAgain = (value: Value): Value => recomputed({ ...value, operands: value.operands.map(operand => again.get(operand) ?? operand) });
  /** A loop that runs again yields what nobody has kept. */
  const withoutKept = (loop: Value): ReturnType<typeof withYields> => {
    const scan = scanOf(loop)!;
    const missing = values.flatMap(value => {
      const result = scanResultOf(value);
      return result?.scan === loop && result.part === 'sequence' && !isThere(value) ? [scan.yields[result.which]!] : [];
    });
    return withYields(scan, [...new Set(missing)]);
  };
  const running = new Map<Activation, ReturnType<typeof withYields>>();
  // A loop that runs again is a loop of its own, and so are those inside of it.
  for (const { value, counter, carries } of scans) {
    const loop = loopOf(value);
    if (loop !== undefined && mustRunAgain(loop, dropped)) for (const leaf of [counter, ...carries]) again.set(leaf, recomputed(leaf));
  }
  for (const value of values) {
    if (value.operands.length === 0) continue;
    const loop = loopOf(value);
    if (loop !== undefined) {
      if (!mustRunAgain(loop, dropped)) continue;
      if (value === loop.value) {
        running.set(loop, withoutKept(value));
        again.set(value, computedAgain(running.get(loop)!.value));
      } else if (scanResultOf(value)?.scan !== loop.value) again.set(value, computedAgain(value));
      else if (!isThere(value)) {
        (isDropped(heldBy(value), dropped) ? isGone : isUnkept).add(value);
        again.set(value, recomputed({ ...running.get(loop)!.result(value), operands: [again.get(loop.value)!] }));
      }
      continue;
    }
    if (isLate(value)) {
      const comesLater = value.operands.some(operand => isGone.has(operand));
      const made = withOperands(value, operand =>
        isGone.has(operand) || (comesLater && isUnkept.has(operand)) ? again.get(operand)! : (rewritten.get(operand) ?? operand),
      );
      if (made !== value) rewritten.set(value, made);
      continue;
    }
    if (isThere(value) || host.has(value)) continue;
    if (isDropped(heldBy(value), dropped) || value.operands.some(operand => isGone.has(operand))) isGone.add(value);
    else if (holder(value) !== null || value.operands.some(operand => isUnkept.has(operand))) isUnkept.add(value);
    again.set(value, computedAgain(value));
  }
  const inSteps = [...stepValues.values()].filter(({ sequence }) => byValue.get(sequence)?.inSteps && isDropped(byValue.get(sequence), dropped));
  const made: Entry = {
    name: entry.name,
    results: entry.results.map(({ name, value }) => ({ name, value: rewritten.get(value) ?? value })),
    updates: entry.updates.map(({ leaf, value }) => ({ leaf, value: rewritten.get(value) ?? value })),
  };
  return { entry: recomputeInSteps(made, inSteps, again, nest), again };
}
