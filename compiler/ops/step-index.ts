/** Positions that move evenly with the counter of a loop: what slices like `x[t]` and `x[T − 1 − t]` are told by. */
import type { Value } from '../ir/graph.ts';
import { add, mul, neg, sub } from './elementwise.ts';
import { full } from './full.ts';
import { gather } from './gather.ts';

/** offset + times · counter. */
export interface StepIndex {
  readonly times: number;
  readonly offset: number;
}

/** A scalar of whole numbers as a function of a counter; null where it is not of that form. */
export function stepIndex(value: Value, counter: Value): StepIndex | null {
  if (value === counter) return { times: 1, offset: 0 };
  if (value.op === full && value.type.dims.length === 0) return { times: 0, offset: value.attrs['value'] as number };
  const parts = value.operands.map(operand => stepIndex(operand, counter));
  if (parts.some(part => part === null)) return null;
  const [a, b] = parts as [StepIndex, StepIndex];
  switch (value.op) {
    case add: return { times: a.times + b.times, offset: a.offset + b.offset };
    case sub: return { times: a.times - b.times, offset: a.offset - b.offset };
    case neg: return { times: -a.times, offset: -a.offset };
    case mul: return a.times !== 0 && b.times !== 0 ? null : { times: a.times * b.offset + b.times * a.offset, offset: a.offset * b.offset };
    default: return null;
  }
}

/** When a value is x[position] of an x for which `isOutside` holds: that x, and the position. */
export function stepSlice(
  value: Value, counter: Value, isOutside: (value: Value) => boolean,
): { readonly table: Value; readonly at: StepIndex } | null {
  if (value.op !== gather || value.attrs['batch'] !== 0 || !isOutside(value.operands[0]!)) return null;
  const at = value.operands[1]!.type.dims.length === 0 ? stepIndex(value.operands[1]!, counter) : null;
  return at === null || at.times === 0 ? null : { table: value.operands[0]!, at };
}
