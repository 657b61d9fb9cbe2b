/**
 * Recomputation in loops: what a loop keeps of its steps for a loop that runs backwards is not kept; each step of that one computes the
 * step of the first once more, from the carried values before it, which are there for every step.
 */
import { plainAxis } from '../ir/affine.ts';
import { entryRoots, replace, topological, type Entry, type Value } from '../ir/graph.ts';
import { isGathered } from '../ir/nest.ts';
import { insideOf, scanOf, scanResultOf, withYields, type Scan } from '../ir/scan.ts';
import { isLate } from './draft.ts';
import { hasNest, type Lowering, type Nests } from './lower.ts';

/** A sequence that only loops after the forward pass read, in each step the row of the step. */
export interface StepValues {
  readonly scan: Scan;
  readonly sequence: Value;
  /** Of a step: the row. */
  readonly yielded: Value;
  /** Something else reads it, too: the loop that reads its rows has to yield them. */
  readonly isReadAsWhole: boolean;
}

/** The sequences of loops that need not be kept, since the steps that read their rows can compute them. */
export function findStepValues({ entry, values, nest, scans, inside, around }: Lowering): ReadonlyMap<Value, StepValues> {
  if (scans.length === 0) return new Map();
  const users = new Map<Value, Value[]>();
  for (const value of values) for (const operand of new Set(value.operands)) users.set(operand, [...(users.get(operand) ?? []), value]);
  const needs = new Map<Value, ReadonlySet<Value>>();
  const waitsFor = (loop: Value, other: Value): boolean => {
    if (!needs.has(loop)) needs.set(loop, new Set(topological([loop])));
    return needs.get(loop)!.has(other);
  };
  const given = new Set(entryRoots(entry));
  const result = new Map<Value, StepValues>();
  for (const value of values) {
    const sequence = scanResultOf(value);
    const scan = sequence?.part === 'sequence' ? scanOf(sequence.scan) : null;
    if (scan === null || inside.has(value) || isLate(scan.value) || given.has(value)) continue;
    const readers = users.get(value) ?? [];
    const loopOf = (user: Value): Value | null => around(user).find(({ counter }) => rowOf(user, nest)?.at === counter)?.value ?? null;
    const loops = new Set(readers.flatMap(user => loopOf(user) ?? []));
    const others = readers.filter(user => loopOf(user) === null);
    const [loop] = loops;
    if (loop === undefined || ![...loops, ...readers].every(isLate)) continue;
    if (others.length > 0 && (loops.size > 1 || inside.has(loop) || others.some(user => inside.has(user) || waitsFor(loop, user)))) continue;
    result.set(value, { scan, sequence: value, yielded: scan.yields[sequence!.which]!, isReadAsWhole: others.length > 0 });
  }
  return result;
}

/** The table and the position of a value that is one row of a table. */
function rowOf(value: Value, nest: Nests['nest']): { readonly table: Value; readonly at: Value } | null {
  if (!hasNest(value) || value.operands.length !== 2) return null;
  const { body, combine, scatter } = nest(value);
  if (combine !== null || scatter || body.kind !== 'load') return null;
  const [first, ...rest] = body.at;
  if (!first || !isGathered(first) || first.gathered.kind !== 'load' || first.gathered.at.length > 0) return null;
  const isWhole = rest.length === value.type.dims.length && rest.every((index, axis) => !isGathered(index) && plainAxis(index) === axis);
  return isWhole ? { table: value.operands[body.operand]!, at: value.operands[first.gathered.operand]! } : null;
}

/**
 * The entry with the rows of some sequences computed where they are read. `again` has the second computations of what is not there any
 * more when these loops run, loops among them.
 */
export function recomputeInSteps(entry: Entry, sequences: readonly StepValues[], again: ReadonlyMap<Value, Value>, nest: Nests['nest']): Entry {
  let roots = entryRoots(entry);
  // The last loop first: what the others are computed from, and its second computation, stays what it is until then.
  for (const loop of topological(roots).reverse()) {
    const own = sequences.filter(({ scan }) => scan.value === loop);
    if (own.length === 0) continue;
    roots = withoutStepValues(roots, own, again, nest);
    const copy = again.get(loop);
    if (copy !== undefined) roots = withoutStepValues(roots, own.map(each => ({ ...each, scan: scanOf(copy)!, yielded: again.get(each.yielded)! })), again, nest);
  }
  roots = withoutUnread(roots);
  const { results, updates } = entry;
  return {
    ...entry,
    results: results.map(({ name }, i) => ({ name, value: roots[i]! })),
    updates: updates.map(({ leaf }, i) => ({ leaf, value: roots[results.length + i]! })),
  };
}

function withoutStepValues(
  roots: readonly Value[], sequences: readonly StepValues[], again: ReadonlyMap<Value, Value>, nest: Nests['nest'],
): readonly Value[] {
  const { scan, sequence: like } = sequences[0]!;
  const values = topological(roots);
  const dropped = new Set(sequences.map(({ yielded }) => yielded));
  const yieldOf = (value: Value): Value | null => {
    const result = scanResultOf(value);
    return result?.scan === scan.value && result.part === 'sequence' ? scan.yields[result.which]! : null;
  };
  const isDropped = (value: Value): boolean => dropped.has(yieldOf(value)!);
  const forward = withYields(scan, [...scan.yields.filter(value => !dropped.has(value)), ...scan.carries]);
  const replacements = new Map(values.filter(value => scanResultOf(value)?.scan === scan.value && !isDropped(value)).map(value => [value, forward.result(value)]));
  /** The body of the loop at the positions of others, and the position at which the rows of a yield are read. */
  const bodies = new Map<Value, ReadonlyMap<Value, Value>>();
  const positions = new Map<Value, Value>();
  for (const value of values) {
    const row = rowOf(value, nest);
    if (row === null || row.at.leaf?.role !== 'counter' || !isDropped(row.table)) continue;
    const before = (carry: Value): Value =>
      ({ ...value, operands: value.operands.map(operand => (operand === row.table ? forward.sequence(carry, like) : operand)), type: carry.type });
    if (!bodies.has(row.at)) bodies.set(row.at, bodyAt(scan, row.at, before, again));
    positions.set(yieldOf(row.table)!, row.at);
    replacements.set(value, bodies.get(row.at)!.get(yieldOf(row.table)!)!);
  }
  let rewritten: readonly Value[] = replace(roots, replacements);
  for (const [at, body] of bodies)
    rewritten = yieldedAgain(rewritten, at, value => (isDropped(value) && positions.get(yieldOf(value)!) === at ? body.get(yieldOf(value)!)! : null));
  return rewritten;
}

/** Sequences that are still read, as what the loop with this counter yields: `rowOfStep` tells a sequence's row in a step of it. */
function yieldedAgain(roots: readonly Value[], counter: Value, rowOfStep: (sequence: Value) => Value | null): readonly Value[] {
  const values = topological(roots);
  const rows = new Map(values.flatMap(value => { const row = rowOfStep(value); return row === null ? [] : [[value, row] as const]; }));
  if (rows.size === 0) return roots;
  const loop = values.flatMap(value => scanOf(value) ?? []).find(scan => scan.counter === counter)!;
  const backward = withYields(loop, [...loop.yields, ...rows.values()]);
  const replacements = new Map(values.filter(value => scanResultOf(value)?.scan === loop.value).map(value => [value, backward.result(value)]));
  for (const [sequence, row] of rows) replacements.set(sequence, { ...backward.sequence(row, sequence), origin: sequence.origin });
  return replace(roots, replacements);
}

/** What no value reads, loops do not yield. */
function withoutUnread(roots: readonly Value[]): readonly Value[] {
  const loops = topological(roots).filter(value => scanOf(value) !== null).map(value => scanOf(value)!.counter);
  return loops.reverse().reduce((rest, counter) => {
    const values = topological(rest);
    const scan = values.flatMap(value => scanOf(value) ?? []).find(each => each.counter === counter);
    if (scan === undefined) return rest;
    const results = values.filter(value => scanResultOf(value)?.scan === scan.value);
    const read = new Set(results.flatMap(value => (scanResultOf(value)!.part === 'sequence' ? [scan.yields[scanResultOf(value)!.which]!] : [])));
    if (scan.yields.every(value => read.has(value))) return rest;
    const made = withYields(scan, [...read]);
    return replace(rest, new Map(results.map(value => [value, made.result(value)])));
  }, roots);
}

/** What a loop computes in a step, once more for the position `at`; `before` gives carried values before it. */
function bodyAt(scan: Scan, at: Value, before: (carry: Value) => Value, again: ReadonlyMap<Value, Value>): ReadonlyMap<Value, Value> {
  const inside = insideOf(scan);
  const body = new Map<Value, Value>([[scan.counter, at], ...scan.carries.map((carry): [Value, Value] => [carry, recomputed(before(carry))])]);
  // Loops in the body become loops of their own.
  for (const loop of inside.flatMap(value => scanOf(value) ?? [])) for (const leaf of [loop.counter, ...loop.carries]) body.set(leaf, recomputed(leaf));
  for (const value of inside)
    body.set(value, recomputed({ ...value, operands: value.operands.map(operand => body.get(operand) ?? again.get(operand) ?? operand) }));
  return body;
}

/** A value as one of the second computation. */
export const recomputed = (value: Value): Value => ({ ...value, origin: { span: null, scope: [], ...value.origin, phase: 'recompute' } });
