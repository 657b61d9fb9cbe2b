/** `grad(y, x)`: the derivative of a tensor of the model as an expression, by the reverse walk that also makes the gradients of the loss. */
import { topological, type Value } from '../ir/graph.ts';
import { isFloat } from '../ir/type.ts';
import { gradients } from '../ops/gradients.ts';
import { spanText } from '../source/text.ts';
import type { Given } from './call.ts';
import { fail, type Context } from './context.ts';
import { describe, list, tensorItem, type Item } from './item.ts';
import { count, full } from './tensors.ts';

/** d(Σ y)/dx, of the type of x; of a list of tensors the list of derivatives. Zero where y reaches x only through what has no derivative. */
export function derivative(context: Context, y: Given, x: Given): Item {
  const root = operand(context, y.item, y);
  const by = (x.item.kind === 'list' ? x.item.elements : [x.item]).map(item => operand(context, item, x));
  const order = topological([root]);
  // A walk takes time for everything that y is computed from.
  context.work += order.length;
  const reached = new Set(order);
  for (const value of by) {
    if (reached.has(value)) continue;
    fail(context, {
      code: 'grad.independent', message: `\`${spanText(y.span)}\` is not computed from \`${spanText(x.span)}\``, span: x.span,
      help: 'differentiate by the tensor that it is computed from: a name that was bound anew stands for another one',
    });
  }
  const seed = full(context, 1, root.type.dtype, root.type.dims);
  const found = gradients(root, seed, by, context.phase);
  count(context, found.filter(gradient => gradient !== null), reached);
  const items = by.map((value, i) => tensorItem(found[i] ?? full(context, 0, value.type.dtype, value.type.dims)));
  return x.item.kind === 'list' ? list(items) : items[0]!;
}

function operand(context: Context, item: Item, { span }: Given): Value {
  if (item.kind === 'tensor' && isFloat(item.value.type.dtype)) return item.value;
  return fail(context, {
    code: 'grad.operand', message: `\`grad\` takes tensors of floating-point numbers, found ${describe(item)}`, span,
    help: item.kind === 'tensor' ? 'compute from `cast(…, f32)` of it, and differentiate by that' : null,
  });
}
