/**
 * Reverse-mode differentiation of a graph: one walk from the result to what it depends on, adding up each value's
 * contributions (Griewank & Walther 2008, §3.2). It calls every op's own gradient and knows none by name, and since a gradient
 * is built of ops, the result can be differentiated again.
 */
import { stamp, topological, type Origin, type Phase, type Value } from '../ir/graph.ts';
import { isPrimitive } from './define.ts';
import { add } from './elementwise.ts';

/**
 * d(Σ root·seed)/d(each of `wrt`), each of the type of what it is the gradient of; null where root does not depend on it
 * through differentiable ops. `seed` has the root's shape. What is made belongs to `phase`: a derivative in a model to its forward pass.
 */
export function gradients(root: Value, seed: Value, wrt: readonly Value[], phase: Phase = 'backward'): (Value | null)[] {
  const order = topological([root]);
  const wanted = new Set(wrt);
  const dependent = new Set<Value>();
  for (const value of order) if (wanted.has(value) || value.operands.some(operand => dependent.has(operand))) dependent.add(value);

  const gradient = new Map<Value, Value>([[root, seed]]);
  for (const value of order.reverse()) {
    const grad = gradient.get(value);
    if (grad === undefined || value.op === null || !dependent.has(value)) continue;
    const { definition } = value.op;
    if (!isPrimitive(definition)) throw new Error(`composite \`${definition.name}\` in a graph`);
    if (definition.gradient === 'none') continue;
    const origin: Origin = { span: value.origin?.span ?? null, scope: value.origin?.scope ?? [], phase };
    const contributions: readonly (Value | null)[] = definition.gradient({
      operands: value.operands,
      out: value,
      grad,
      attrs: value.attrs,
    });
    value.operands.forEach((operand, i) => {
      const contribution = contributions[i];
      if (!contribution || !dependent.has(operand)) return;
      const earlier = gradient.get(operand);
      const total = earlier ? add(earlier, contribution) : contribution;
      stamp(total, origin);
      gradient.set(operand, total);
    });
  }
  return wrt.map(value => gradient.get(value) ?? null);
}
