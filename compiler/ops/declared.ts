/** A value whose gradient is declared instead of derived: the identity, with a rule of its own for what flows back to each operand. */
import { leaf, topological, withOperands, type Value } from '../ir/graph.ts';
import { identity } from '../ir/affine.ts';
import { load } from '../ir/nest.ts';
import { printTypeLong, sameShape, shapeOf, tensor, dim, type TensorType } from '../ir/type.ts';
import { definePrimitive, internal, type Op } from './define.ts';

/** Gradients as graphs over stand-ins, which differentiation replaces: so a rule differentiates again like anything else. */
export interface DeclaredRule {
  /** What declares it, for people. */
  readonly shown: string;
  /** Stands for the gradient of the result. */
  readonly gradient: Value;
  /** One for each operand. */
  readonly operands: readonly Value[];
  /** For each operand what flows back to it; null where nothing does. */
  readonly results: readonly (Value | null)[];
}

const declaredAttrs = { rule: internal<DeclaredRule>('What flows back to each operand.') };

export const declared: Op<readonly ['...values'], typeof declaredAttrs> = definePrimitive({
  name: 'declared',
  doc: 'The first operand. What flows back to it and to the others is declared, by `fn … derivative` in the language.',
  operands: ['...values'],
  attrs: declaredAttrs,
  constraints: { C1: 'the rule gives each operand a gradient of its own type, or none' },
  shape: (types, { rule }, require) => {
    const fits = types.length > 0 && rule.results.length === types.length && types.every((type, i) => {
      const result = rule.results[i];
      return !result || (result.type.dtype === type.dtype && sameShape(shapeOf(result.type), shapeOf(type)));
    });
    require('C1', fits, () => `${types.map(printTypeLong).join(', ')} and gradients ${rule.results.map(result => (result ? printTypeLong(result.type) : 'none')).join(', ')}`);
    return types[0]!;
  },
  gradient: ({ operands, grad, attrs: { rule } }) => applied(rule, operands, grad),
  lower: ([type]) => ({ space: shapeOf(type!), reduce: [], combine: null, body: load(0, identity(type!.dims.length)) }),
  flops: () => 0,
  reference: ([first]) => first!,
  label: (_, { rule }) => rule.shown,
  samples: [{ operands: ['[2, 3]', '[4]'], attrs: { rule: passing(tensor('f32', [dim(2), dim(3)]), tensor('f32', [dim(4)])) } }],
  rejects: { C1: { operands: ['[2, 3]', '[4]'], attrs: { rule: passing(tensor('f32', [dim(3)]), tensor('f32', [dim(4)])) } } },
});

/** The rule's gradients with the real operands and gradient in the place of the stand-ins. */
function applied(rule: DeclaredRule, operands: readonly Value[], grad: Value): readonly (Value | null)[] {
  const mapped = new Map<Value, Value>([[rule.gradient, grad], ...rule.operands.map((stand, i) => [stand, operands[i]!] as const)]);
  for (const value of topological(rule.results.filter(result => result !== null))) {
    if (mapped.has(value)) continue;
    const made = withOperands(value, operand => mapped.get(operand)!);
    // Without an origin, so that it belongs to the phase in which it is used.
    mapped.set(value, made === value ? value : { ...made, origin: null });
  }
  return rule.results.map(result => (result === null ? null : mapped.get(result)!));
}

/** Everything flows to the first operand, as through the identity. */
function passing(type: TensorType, other: TensorType): DeclaredRule {
  const gradient = leaf('input', 'gradient', type);
  return { shown: 'identity', gradient, operands: [leaf('input', 'first', type), leaf('input', 'other', other)], results: [gradient, null] };
}
