/**
 * Views and contractions with random indices: the gradient is the adjoint, Σ grad · f(x) = Σ f*(grad) · x for every linear
 * operand, and so again for the gradient as a function of what it depends on. Exact, so that no step size hides a wrong edge.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { gradients } from '../compiler/ops/gradients.ts';
import { affine, numeratorRange, type Affine } from '../compiler/ir/affine.ts';
import { evaluateGraph, evaluateLowered } from '../compiler/ir/evaluate.ts';
import { leaf, type Value } from '../compiler/ir/graph.ts';
import { dim, tensor } from '../compiler/ir/type.ts';
import type { Tensor } from '../compiler/ops/define.ts';
import { contract } from '../compiler/ops/contract.ts';
import { view } from '../compiler/ops/view.ts';
import { difference, draw, generator } from './support/tensors.ts';

const extents = fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 3 });
const times = fc.constantFrom(-3, -2, -1, 1, 1, 1, 2, 3);
/** How an index is made once the axes are known: two picks of an axis, their factors, slack below and above. */
const indexPlan = fc.record({ picks: fc.array(fc.tuple(fc.nat(), times), { maxLength: 2 }), below: fc.nat(2), above: fc.nat(2) });
const contractionPlan = fc.record({
  extents, spaceRank: fc.nat(4),
  factors: fc.array(fc.array(indexPlan, { maxLength: 2 }), { minLength: 1, maxLength: 3 }),
  seed: fc.integer(),
});

test('a contraction with random indices has its adjoint for gradient, twice', () => {
  fc.assert(fc.property(contractionPlan, plan => {
    const spaceRank = Math.min(plan.spaceRank, plan.extents.length);
    const built = plan.factors.map(factor => factor.map(index => insideIndex(index, plan.extents)));
    const operands = built.map((indices, k) => leaf('input', `x${k}`, tensor('f32', indices.map(index => dim(index.extent)))));
    const dims = plan.extents.map(extent => dim(extent));
    const maps = built.map(indices => indices.map(index => index.index));
    const out = contract(operands, { dims: dims.slice(0, spaceRank), reduce: dims.slice(spaceRank), maps });
    expectAdjoint(out, operands, plan.seed, 2);
  }), { numRuns: 300 });
});

const viewPlan = fc.record({
  extents,
  /** For each axis the index that it goes to; to none for 3. */
  deal: fc.array(fc.nat(3), { minLength: 3, maxLength: 3 }),
  times: fc.array(times, { minLength: 3, maxLength: 3 }),
  shift: fc.integer({ min: -4, max: 4 }), divisor: fc.integer({ min: 1, max: 3 }), size: fc.integer({ min: 1, max: 5 }), seed: fc.integer(),
});

test('a view with random indices has its adjoint for gradient, twice', () => {
  fc.assert(fc.property(viewPlan, plan => {
    // Each axis goes to at most one index; what lies outside is filled with zero, which keeps the view linear.
    const map = [0, 1, 2].map(d => {
      const terms = plan.extents.flatMap((_, axis) => (plan.deal[axis] === d ? [{ axis, times: plan.times[axis]! }] : []));
      return affine(terms, plan.shift + d, plan.divisor);
    });
    const x = leaf('input', 'x', tensor('f32', map.map((_, d) => dim(plan.size + d))));
    expectAdjoint(view(x, { dims: plan.extents.map(extent => dim(extent)), map, fill: 0 }), [x], plan.seed, 2);
  }), { numRuns: 300 });
});

interface IndexPlan {
  readonly picks: readonly (readonly [number, number])[];
  readonly below: number;
  readonly above: number;
}

/** An index over the axes and an extent into which it always falls. */
function insideIndex(plan: IndexPlan, axes: readonly number[]): { readonly index: Affine; readonly extent: number } {
  const terms = plan.picks.map(([pick, factor]) => ({ axis: pick % axes.length, times: factor }));
  const [low, high] = numeratorRange(affine(terms), axes);
  return { index: affine(terms, plan.below - low), extent: high - low + 1 + plan.below + plan.above };
}

/** Checks the gradient of `out` by each operand, and to the depth given the gradients of those. `out` is linear in each operand. */
function expectAdjoint(out: Value, operands: readonly Value[], seed: number, depth: number): void {
  const next = generator(seed);
  const grad = leaf('input', 'grad', out.type);
  const leaves = [...operands, grad];
  const feeds = new Map<Value, Tensor>();
  const feedAll = (values: readonly Value[]): void => values.forEach(value => feeds.has(value) || feeds.set(value, draw(value.type, [-2, 2], next)));
  feedAll(reachable([out, grad]));
  gradients(out, grad, operands).forEach((gradient, k) => {
    const result = evaluateGraph([out, gradient!], feeds);
    const byNests = evaluateLowered([out, gradient!], feeds);
    expect(difference(byNests.get(gradient!)!, result.get(gradient!)!, 1e-12)).toBeNull();
    expect(gradient!.type.dims.map(d => d.extent)).toEqual(operands[k]!.type.dims.map(d => d.extent));
    const forward = dot(result.get(out)!, feeds.get(grad)!);
    expect(dot(result.get(gradient!)!, feeds.get(operands[k]!)!)).toBeCloseTo(forward, 8);
    // The gradient is linear in grad and in the other operands.
    if (depth > 1) expectAdjoint(gradient!, leaves.filter(value => value !== operands[k]), seed + 1, depth - 1);
  });
}

const dot = (a: Tensor, b: Tensor): number => a.data.reduce((sum, value, i) => sum + value * b.data[i]!, 0);

/** The leaves below. */
function reachable(roots: readonly Value[]): readonly Value[] {
  return roots.flatMap(root => (root.op === null ? [root] : reachable(root.operands)));
}
