/**
 * Loops in a graph. A graph stays flat: what is inside a loop is what depends on the loop's leaves. Here is the one place that knows
 * how the operands of a scan are laid out; everything that has to look into loops reads them through it.
 */
import { topological, type Value } from './graph.ts';
import type { Dim } from './type.ts';

/** A value that runs its body once for each position 0 … length − 1, in this order or in the opposite one. */
export interface Scan {
  readonly value: Value;
  readonly length: Dim;
  readonly reversed: boolean;
  /** The leaf that holds the position. */
  readonly counter: Value;
  /** The leaves that hold the carried values from the step before. */
  readonly carries: readonly Value[];
  /** What the carried values are before the first step. */
  readonly initials: readonly Value[];
  /** What the carried values are after a step. */
  readonly nexts: readonly Value[];
  /** What is kept of every step. */
  readonly yields: readonly Value[];
}

/** A result of a scan: a carried value after the last step, or what was yielded, with the positions as first dimension. */
export interface ScanResult {
  readonly scan: Value;
  readonly part: 'final' | 'sequence';
  readonly which: number;
}

const structureOf = (value: Value): string | null =>
  value.op !== null && 'structure' in value.op.definition ? value.op.definition.structure : null;

/** A value as a scan; null where it is none. */
export function scanOf(value: Value): Scan | null {
  if (structureOf(value) !== 'scan') return null;
  const { length, reversed, carries: count } = value.attrs as { readonly length: Dim; readonly reversed: boolean; readonly carries: number };
  const part = (start: number, end?: number): readonly Value[] => value.operands.slice(start, end);
  return {
    value,
    length,
    reversed,
    counter: value.operands[0]!,
    carries: part(1, 1 + count),
    initials: part(1 + count, 1 + 2 * count),
    nexts: part(1 + 2 * count, 1 + 3 * count),
    yields: part(1 + 3 * count),
  };
}

/** A value as the result of a scan; null where it is none. */
export function scanResultOf(value: Value): ScanResult | null {
  const part = structureOf(value);
  return part === 'final' || part === 'sequence' ? { scan: value.operands[0]!, part, which: value.attrs['which'] as number } : null;
}

/** A scan with other yields; what a result of the first one becomes; and the sequence of a yield, for which `like` is any sequence of a scan. */
export function withYields({ value, length, yields: known }: Scan, yields: readonly Value[]): {
  readonly value: Value;
  readonly result: (of: Value) => Value;
  readonly sequence: (yielded: Value, like: Value) => Value;
} {
  const operands = [...value.operands.slice(0, value.operands.length - known.length), ...yields];
  const made: Value = { ...value, operands, attrs: { ...value.attrs, yields: yields.length } };
  return {
    value: made,
    result: of => {
      const { part, which } = scanResultOf(of)!;
      return { ...of, operands: [made], attrs: part === 'final' ? of.attrs : { ...of.attrs, which: yields.indexOf(known[which]!) } };
    },
    sequence: (yielded, like) => {
      const type = { dtype: yielded.type.dtype, dims: [length, ...yielded.type.dims] };
      return { ...like, operands: [made], attrs: { which: yields.indexOf(yielded), type }, type };
    },
  };
}

/**
 * The values that a scan computes in every step, operands before users: those that its results need and that depend on its leaves, and
 * all that scans among them compute.
 */
export function insideOf({ counter, carries, nexts, yields }: Scan): readonly Value[] {
  const leaves = [counter, ...carries];
  const depends = dependenceOn(leaves);
  const all = topological([...nexts, ...yields]);
  const inside = new Set(all.filter(value => depends(value) && !leaves.includes(value)));
  for (const scan of [...inside].flatMap(value => scanOf(value) ?? [])) for (const value of insideOf(scan)) inside.add(value);
  return all.filter(value => inside.has(value));
}

/** Whether a value depends on one of some leaves of loops. A loop itself does not depend on its own leaves. */
export function dependenceOn(leaves: readonly Value[]): (value: Value) => boolean {
  const known = new Map<Value, boolean>(leaves.map(each => [each, true]));
  const binds = (value: Value): boolean => known.get(scanOf(value)?.counter ?? value) === true;
  return root => {
    for (const value of topological([root], each => known.has(each)))
      known.set(value, !binds(value) && value.operands.some(operand => known.get(operand)!));
    return known.get(root)!;
  };
}

/** For each value, operands before users, the leaves of loops that it depends on and is not outside of. */
export function openLeaves(values: readonly Value[]): ReadonlyMap<Value, ReadonlySet<Value>> {
  const none: ReadonlySet<Value> = new Set();
  const open = new Map<Value, ReadonlySet<Value>>();
  for (const value of values) {
    const isLoopLeaf = value.leaf?.role === 'counter' || value.leaf?.role === 'carry';
    const ofOperands = value.operands.map(operand => open.get(operand)!).filter(leaves => leaves.size > 0);
    const scan = scanOf(value);
    const leaves = isLoopLeaf ? new Set([value]) : ofOperands.length === 0 ? none : new Set(ofOperands.flatMap(each => [...each]));
    if (scan === null) open.set(value, leaves);
    else open.set(value, new Set([...leaves].filter(leaf => leaf !== scan.counter && !scan.carries.includes(leaf))));
  }
  return open;
}

/** All scans around a value, the outermost first. */
export function scansAround(value: Value, enclosing: ReadonlyMap<Value, Scan>): readonly Scan[] {
  const innermost = enclosing.get(value);
  return innermost === undefined ? [] : [...scansAround(innermost.value, enclosing), innermost];
}

/** For each value inside a scan, the scan; of scans inside one another, the innermost. Inner ones are given first. */
export function enclosingScans(scans: readonly Scan[]): ReadonlyMap<Value, Scan> {
  const result = new Map<Value, Scan>();
  for (const scan of scans) for (const inside of insideOf(scan)) if (!result.has(inside)) result.set(inside, scan);
  return result;
}
