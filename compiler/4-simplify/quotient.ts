/**
 * Where a value `e / S` exists already, with S constant along some axes, `a · e` for an `a` that is itself something over S becomes
 * `(a·S) · (e / S)`: the numerator is read no more, and the divisions by S are gone. The gradient of `exp(x) / Σ exp(x)` comes out as
 * `(g − Σ g·y) · y` so, from its structure, however the softmax was written.
 */
import { plainAxis, sameAffine, type Affine } from '../ir/affine.ts';
import type { Value } from '../ir/graph.ts';
import { shapeOf, type Dim } from '../ir/type.ts';
import { contract } from '../ops/contract.ts';
import { add, div, mul, neg, sub } from '../ops/elementwise.ts';
import { view } from '../ops/view.ts';

/** `base`, read at an affine index for each of its dimensions; the divisor of a quotient, as seen from some space. */
interface Divisor {
  readonly base: Value;
  readonly map: readonly Affine[];
}

/** `a · e` through a quotient of `e`, given those; null where that is not possible. A plain quotient stays: `d/S · e` is no worse than `d · e/S`. */
export function throughQuotient(a: Value, quotients: readonly Value[]): Value | null {
  if (a.op === div) return null;
  for (const quotient of quotients) {
    const divisor = divisorOf(quotient.operands[1]!);
    const numerator = divisor && times(a, divisor);
    if (numerator) return mul(numerator, quotient);
  }
  return null;
}

function divisorOf(value: Value): Divisor | null {
  if (value.op !== view || value.attrs['fill'] !== null) return null;
  return { base: value.operands[0]!, map: value.attrs['map'] as readonly Affine[] };
}

const sameDivisor = (a: Divisor, b: Divisor): boolean =>
  a.base === b.base && a.map.length === b.map.length && a.map.every((index, d) => sameAffine(index, b.map[d]!));

/** `value · S` where the value is something over S throughout, without the division; null elsewhere. */
function times(value: Value, by: Divisor): Value | null {
  const [x, y] = value.operands;
  if (value.op === div) {
    const own = divisorOf(y!);
    return own && sameDivisor(own, by) ? x! : null;
  }
  if (value.op === neg) {
    const inner = times(x!, by);
    return inner && neg(inner);
  }
  if (value.op === add || value.op === sub) {
    const left = times(x!, by);
    const right = left && times(y!, by);
    return left && right && (value.op as typeof add)(left, right);
  }
  if (value.op === view && value.attrs['fill'] === null) {
    const map = value.attrs['map'] as readonly Affine[];
    const moved = seenFrom(by, map);
    const inner = moved && times(x!, moved);
    return inner && view(inner, { dims: value.type.dims, map, fill: null });
  }
  if (value.op === contract && value.operands.length === 1) {
    const maps = value.attrs['maps'] as readonly (readonly Affine[])[];
    const moved = seenFrom(by, maps[0]!);
    const inner = moved && times(x!, moved);
    return inner && contract([inner], { dims: value.type.dims, reduce: value.attrs['reduce'] as readonly Dim[], maps });
  }
  return null;
}

/** The divisor in the axes of an operand that is read at these indices: each of its axes must be one of the operand's. */
function seenFrom(by: Divisor, at: readonly Affine[]): Divisor | null {
  const positions = new Map(at.flatMap((index, d): (readonly [number, number])[] => {
    const axis = plainAxis(index);
    return axis === null ? [] : [[axis, d]];
  }));
  const map = by.map.map(index => {
    const terms = index.terms.map(term => ({ axis: positions.get(term.axis), times: term.times }));
    return terms.every(term => term.axis !== undefined) ? { ...index, terms: terms.map(term => ({ axis: term.axis!, times: term.times })).sort((p, q) => p.axis - q.axis) } : null;
  });
  return map.every(index => index !== null) ? { base: by.base, map } : null;
}

/** Whether a value is a quotient of whole tensors by a part that is constant along some axes. */
export const isQuotient = (value: Value): boolean =>
  value.op === div && divisorOf(value.operands[1]!) !== null && shapeOf(value.operands[1]!.operands[0]!.type).join() !== shapeOf(value.type).join();
