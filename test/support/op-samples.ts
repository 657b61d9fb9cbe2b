/** Samples of the op table as values with drawn operands, and scalars of values whose gradients tell everything about them. */
import { leaf, type Value } from '../../compiler/ir/graph.ts';
import { isFloat } from '../../compiler/ir/type.ts';
import { isPrimitive, type AnyOp, type Sample, type Tensor } from '../../compiler/ops/define.ts';
import { mul } from '../../compiler/ops/elementwise.ts';
import { sum } from '../../compiler/ops/sum.ts';
import { draw, generator, readType } from './tensors.ts';

export type AnySample = Sample<readonly string[], Readonly<Record<string, unknown>>>;

export const leaves = (sample: AnySample): Value[] => sample.operands.map((text, i) => leaf('input', String(i), readType(text)));

export function drawAll(inputs: readonly Value[], sample: AnySample, seed: number): Map<Value, Tensor> {
  const next = generator(seed);
  const domain = (i: number): readonly [number, number] => {
    if (sample.domain === undefined) return [-2, 2];
    return typeof sample.domain[0] === 'number' ? (sample.domain as readonly [number, number]) : (sample.domain as readonly (readonly [number, number])[])[i]!;
  };
  return new Map(inputs.map((input, i) => [input, draw(input.type, domain(i), next)]));
}

/** Whether a gradient is to be expected: the result and an operand are real, and no op on the way stops it. */
export function differentiable(op: AnyOp, inputs: readonly Value[], out: Value): boolean {
  if (!isFloat(out.type.dtype) || !inputs.some(input => isFloat(input.type.dtype))) return false;
  return !isPrimitive(op.definition) || op.definition.gradient !== 'none';
}

/** A scalar of a value: its elements weighted by random numbers, so that no two changes cancel. */
export function project(value: Value, weights: Map<Value, Tensor>, next: () => number): Value {
  const weight = leaf('input', 'weight', value.type);
  weights.set(weight, draw(value.type, [0.5, 1.5], next));
  return sum(mul(value, weight), { axes: 'all', keep: false });
}
