/**
 * Reverse-mode differentiation of a graph: one walk from the result to what it depends on, adding up each value's
 * contributions (Griewank & Walther 2008, §3.2). It calls every op's own gradient and knows none by name, and since a gradient
 * is built of ops, the result can be differentiated again. A loop is one value on the way, whose gradient is another loop.
 */
import { stamp, topological, type Origin, type Phase, type Value } from '../ir/graph.ts';
import { scanOf, scanResultOf } from '../ir/scan.ts';
import { isPrimitive } from './define.ts';
import { add } from './elementwise.ts';
import { scanGradient, type ResultGradients } from './scan-gradient.ts';

/**
 * d(Σ root·seed)/d(each of `wrt`), each of the type of what it is the gradient of; null where root does not depend on it
 * through differentiable ops. `seed` has the root's shape. What is made belongs to `phase`: a derivative in a model to its forward pass.
 */
export function gradients(root: Value, seed: Value, wrt: readonly Value[], phase: Phase = 'backward'): (Value | null)[] {
  const wanted = new Set(wrt);
  const order = topological([root]);
  const dependent = new Set<Value>();
  for (const value of order) if (wanted.has(value) || value.operands.some(operand => dependent.has(operand))) dependent.add(value);
  const gradient = new Map<Value, Value>();
  gradient.set(root, seed);
  reverseWalk(order, gradient, dependent, (from, target, contribution) => {
    const earlier = gradient.get(target);
    const total = earlier ? add(earlier, contribution) : contribution;
    stamp(total, originIn(phase, from));
    gradient.set(target, total);
  }, phase);
  return wrt.map(value => gradient.get(value) ?? null);
}

/** Takes what a value gives to one that it depends on. */
export type Give = (from: Value, target: Value, contribution: Value) => void;

/**
 * The walk itself: backwards through `order`, from the gradients in `gradient`, to which `give` may add. `intercept` may take a value's
 * gradient instead of the value's own rule.
 */
export function reverseWalk(
  order: readonly Value[], gradient: ReadonlyMap<Value, Value>, dependent: ReadonlySet<Value>, give: Give, phase: Phase,
  intercept: (value: Value, grad: Value) => boolean = () => false,
): void {
  const ofResults = new Map<Value, ResultGradients>();
  for (const value of [...order].reverse()) {
    if (value.op === null || !dependent.has(value)) continue;
    const scan = scanOf(value);
    if (scan !== null) {
      const given = ofResults.get(value);
      if (given !== undefined) scanGradient({ scan, given, dependent, give: (target, contribution) => give(value, target, contribution), phase, walk: reverseWalk });
      continue;
    }
    const grad = gradient.get(value);
    if (grad === undefined) continue;
    const result = scanResultOf(value);
    if (result !== null) {
      const given = ofResults.get(result.scan) ?? { final: new Map(), sequence: new Map() };
      ofResults.set(result.scan, given);
      // The same result may stand in a graph several times.
      const earlier = given[result.part].get(result.which);
      given[result.part].set(result.which, earlier ? add(earlier, grad) : grad);
      continue;
    }
    if (intercept(value, grad)) continue;
    const { definition } = value.op;
    if (!isPrimitive(definition)) throw new Error(`composite \`${definition.name}\` in a graph`);
    if (definition.gradient === 'none') continue;
    const contributions: readonly (Value | null)[] = definition.gradient({ operands: value.operands, out: value, grad, attrs: value.attrs });
    value.operands.forEach((operand, i) => {
      const contribution = contributions[i];
      if (contribution && dependent.has(operand)) give(value, operand, contribution);
    });
  }
}

const originIn = (phase: Phase, { origin }: Value): Origin => ({ span: origin?.span ?? null, scope: origin?.scope ?? [], phase });
