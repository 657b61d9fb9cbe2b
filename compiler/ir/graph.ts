/**
 * The tensor graph: immutable values, each an op applied to operands, or a leaf. Identity of objects is identity of values.
 * Every value carries its origin through all later levels, so that a kernel, a NaN or a large buffer is told by `.model` line.
 */
import type { GraphOp } from '../ops/define.ts';
import type { Span } from '../source/text.ts';
import { eachMapped } from './lists.ts';
import { elements, type TensorType } from './type.ts';

/** Where a value comes from. */
export interface Origin {
  /** The user's expression; for values made inside a library layer, the innermost expression in a file of the user's. */
  readonly span: Span | null;
  /** The path of layer instances it was made in: ['encoder', 'block.0', 'linear']. */
  readonly scope: readonly string[];
  readonly phase: Phase;
}
/** `recompute`: a value of the forward pass once more, for the backward pass, since memory is limited. */
export type Phase = 'forward' | 'recompute' | 'backward' | 'update' | 'initialise';

/** Scalars that the training loop sets. */
export const loopScalars = ['seed', 'step', 'steps', 'learning_rate_factor'] as const;
export type LoopScalar = (typeof loopScalars)[number];

/**
 * What a graph starts from. `seed`, `step` (from 1), `steps` (their planned number) and `learning_rate_factor` (usually 1) are scalars that the
 * training loop sets; in the entry `accumulate` `step` is the number of the batch, from 1 in the first step on. A `gradient` is kept after a step so that it can be saved and measured.
 * `position` is that of the token that comes next where tokens come one at a time. A `counter` holds the position of a loop, a `carry` what the step before has left; both have a meaning only inside their loop.
 */
export interface Leaf {
  readonly role: 'input' | 'parameter' | 'gradient' | 'state' | LoopScalar | 'position' | 'counter' | 'carry';
  /** The path that names it in a weights file; for inputs, the input's name. */
  readonly name: string;
}

export interface Value {
  /** Null for a leaf. */
  readonly op: GraphOp | null;
  readonly leaf: Leaf | null;
  readonly operands: readonly Value[];
  readonly attrs: Attrs;
  readonly type: TensorType;
  /** Set once, by `stamp`, right after the value was made. */
  origin: Origin | null;
}
export type Attrs = Readonly<Record<string, unknown>>;

export const leaf = (role: Leaf['role'], name: string, type: TensorType, origin: Origin | null = null): Value =>
  ({ op: null, leaf: { role, name }, operands: [], attrs: {}, type, origin });

/** Gives `origin` to every value reachable from `root` that has none yet. */
export function stamp(root: Value, origin: Origin): void {
  if (root.origin !== null) return;
  const pending = [root];
  while (pending.length > 0) {
    const value = pending.pop()!;
    if (value.origin !== null) continue;
    value.origin = origin;
    pending.push(...value.operands);
  }
}

/** Values reachable from `roots`, operands before users, without recursion: graphs may be deep. Does not enter where `stop` says so. */
export function topological(roots: readonly Value[], stop: (value: Value) => boolean = () => false): Value[] {
  const order: Value[] = [];
  const isDone = new Map<Value, boolean>();
  const pending = [...roots].reverse();
  while (pending.length > 0) {
    const value = pending[pending.length - 1]!;
    const done = isDone.get(value);
    if (done === undefined && !stop(value)) {
      isDone.set(value, false);
      for (let i = value.operands.length - 1; i >= 0; i--) if (!isDone.has(value.operands[i]!)) pending.push(value.operands[i]!);
      continue;
    }
    pending.pop();
    if (done === true) continue;
    isDone.set(value, true);
    if (done === false) order.push(value);
  }
  return order;
}

/** The value with its operands changed; itself where none of them changes. */
export function withOperands(value: Value, change: (operand: Value) => Value): Value {
  const operands = eachMapped(value.operands, change);
  return operands === value.operands ? value : { ...value, operands };
}

/** The same graph with some values replaced; everything that does not reach a replaced value keeps its identity. */
export function replace(roots: readonly Value[], replacements: ReadonlyMap<Value, Value>): Value[] {
  const mapped = new Map<Value, Value>(replacements);
  for (const value of topological(roots)) {
    if (mapped.has(value)) continue;
    mapped.set(value, withOperands(value, operand => mapped.get(operand) ?? operand));
  }
  return roots.map(root => mapped.get(root)!);
}

export interface Named {
  readonly name: string;
  readonly value: Value;
}

/** After every run of an entry the leaf holds the value. */
export interface Update {
  readonly leaf: Value;
  readonly value: Value;
}

/** One thing that a program can do: initialise, train a step, evaluate a batch, predict. */
export interface Entry {
  readonly name: string;
  readonly results: readonly Named[];
  readonly updates: readonly Update[];
  /** An input of one row whose elements come one at a time: then the one result is computed for each as it comes. */
  readonly sequence?: Value;
}

export interface Graph {
  readonly entries: readonly Entry[];
  /** Every named tensor that outlives a step, by the part of a leaf that it is. */
  readonly placements: readonly Placement[];
}

/** `name` is the elements from `offset` on of a leaf: the parameters of a group share one flat leaf, each state another. */
export interface Placement {
  readonly role: 'parameter' | 'gradient' | 'state';
  readonly name: string;
  readonly type: TensorType;
  readonly leaf: Value;
  readonly offset: number;
}

/** The placement that elements `from` up to, not including, `to` of a leaf lie in. */
export type PlacementAt = (leaf: Value, from: number, to: number) => Placement | undefined;

export function placementFinder(placements: readonly Placement[]): PlacementAt {
  const byLeaf = Map.groupBy(placements, placement => placement.leaf);
  return (leaf, from, to) => byLeaf.get(leaf)?.find(({ offset, type }) => offset <= from && to <= offset + elements(type));
}

export const entryRoots = (entry: Entry): readonly Value[] => [...entry.results.map(r => r.value), ...entry.updates.map(u => u.value)];
