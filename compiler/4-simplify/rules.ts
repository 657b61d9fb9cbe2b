/**
 * The rewrite rules, each with its name and equation, tried in this order on a value whose operands are settled. A rule gives a
 * value of the same type, or null where it does not apply. Rules only ever make a graph smaller or its values cheaper.
 */
import { alwaysInside, axisAt, plainAxis, substitute, type Affine } from '../ir/affine.ts';
import type { Value } from '../ir/graph.ts';
import { shapeOf, size, type Dim } from '../ir/type.ts';
import { contract } from '../ops/contract.ts';
import { declared } from '../ops/declared.ts';
import { isPrimitive, type AnyOp } from '../ops/define.ts';
import { add, cast, div, mul, neg, select, stop_gradient, sub } from '../ops/elementwise.ts';
import { full } from '../ops/full.ts';
import { gather } from '../ops/gather.ts';
import { reshape } from '../ops/reshape.ts';
import { view } from '../ops/view.ts';
import { throughQuotient } from './quotient.ts';
import { evaluateUniform } from './uniform.ts';

/** What a rule may ask of the graph around a value. */
export interface Around {
  /** How many values read an operand; infinite where it is not known. */
  readonly uses: (operand: Value) => number;
  /** Values there are already that divide this one by something constant along some axes. */
  readonly quotients: (numerator: Value) => readonly Value[];
}

export interface Rule {
  readonly name: string;
  readonly equation: string;
  /** What values it is tried on; null for all. */
  readonly op: AnyOp | null;
  readonly apply: (value: Value, around: Around) => Value | null;
}

const is = (value: Value, op: AnyOp): boolean => value.op === op;
/** The number that every element is, or null. */
const uniform = (value: Value): number | null => (is(value, full) ? (value.attrs['value'] as number) : null);
const uniformLike = (value: Value, number: number): Value => full({ value: number, dims: value.type.dims, dtype: value.type.dtype });

const viewAttrs = (value: Value): { readonly dims: readonly Dim[]; readonly map: readonly Affine[]; readonly fill: number | null } =>
  value.attrs as never;
const contractAttrs = (
  value: Value,
): { readonly dims: readonly Dim[]; readonly reduce: readonly Dim[]; readonly maps: readonly (readonly Affine[])[] } =>
  value.attrs as never;

/** A rule on one op; `x`, `y`, `z` are its operands. */
const on = (op: AnyOp, name: string, equation: string, rewrite: (value: Value, x: Value, y: Value, z: Value, around: Around) => Value | null): Rule => ({
  name,
  equation,
  op,
  apply: (value, around) => rewrite(value, value.operands[0]!, value.operands[1]!, value.operands[2]!, around),
});

export const rules: readonly Rule[] = [
  {
    name: 'fold-uniform',
    equation: 'f(c, d) = f(c, d) computed now',
    op: null,
    apply: value => {
      if (value.op === null || is(value, full) || !isPrimitive(value.op.definition) || value.operands.length === 0) return null;
      if (!value.operands.every(operand => uniform(operand) !== null)) return null;
      const nest = value.op.definition.lower(
        value.operands.map(operand => operand.type),
        value.attrs,
        value.type,
      );
      const result = evaluateUniform(
        nest,
        value.operands.map(operand => uniform(operand)!),
      );
      return result === null ? null : uniformLike(value, result);
    },
  },
  on(stop_gradient, 'stop-gradient', 'stop_gradient(x) = x, once differentiated', (_, x) => x),
  on(declared, 'declared-gradient', 'declared(y, x) = y, once differentiated', (_, y) => y),
  on(add, 'add-zero', 'x + 0 = x', (_, x, y) => (uniform(y) === 0 ? x : uniform(x) === 0 ? y : null)),
  on(add, 'add-negative', 'x + (−y) = x − y', (_, x, y) =>
    is(y, neg) ? sub(x, y.operands[0]!) : is(x, neg) ? sub(y, x.operands[0]!) : null,
  ),
  on(sub, 'subtract-zero', 'x − 0 = x', (_, x, y) => (uniform(y) === 0 ? x : null)),
  on(sub, 'subtract-from-zero', '0 − x = −x', (_, x, y) => (uniform(x) === 0 ? neg(y) : null)),
  on(sub, 'subtract-negative', 'x − (−y) = x + y', (_, x, y) => (is(y, neg) ? add(x, y.operands[0]!) : null)),
  on(mul, 'multiply-one', 'x · 1 = x', (_, x, y) => (uniform(y) === 1 ? x : uniform(x) === 1 ? y : null)),
  on(mul, 'multiply-zero', 'x · 0 = 0 (x finite)', (value, x, y) => (uniform(x) === 0 || uniform(y) === 0 ? uniformLike(value, 0) : null)),
  on(mul, 'multiply-minus-one', 'x · −1 = −x', (_, x, y) => (uniform(y) === -1 ? neg(x) : uniform(x) === -1 ? neg(y) : null)),
  on(mul, 'through-quotient', 'b/S · e = b · (e/S), where e/S exists', (_value, x, y, _z, { quotients }) =>
    throughQuotient(x, quotients(y)) ?? throughQuotient(y, quotients(x)),
  ),
  on(div, 'divide-by-one', 'x / 1 = x', (_, x, y) => (uniform(y) === 1 ? x : null)),
  on(div, 'divide-by-constant', 'x / c = x · (1/c)', (_, x, y) => {
    const by = uniform(y);
    // Where the reciprocal is a normal number: a division takes several times as long as a product.
    return by !== null && Math.abs(by) > 1e-37 && Math.abs(by) < 1e37 ? mul(x, uniformLike(y, 1 / by)) : null;
  }),
  on(div, 'divide-zero', '0 / x = 0 (x not zero)', (value, x) => (uniform(x) === 0 ? uniformLike(value, 0) : null)),
  on(neg, 'double-negation', '−(−x) = x', (_, x) => (is(x, neg) ? x.operands[0]! : null)),
  on(neg, 'negate-difference', '−(x − y) = y − x', (_, x) => (is(x, sub) ? sub(x.operands[1]!, x.operands[0]!) : null)),
  on(select, 'select-known', 'select(true, x, y) = x', (_, condition, x, y) => {
    const known = uniform(condition);
    return known === null ? null : known !== 0 ? x : y;
  }),
  on(select, 'select-same', 'select(c, x, x) = x', (_, _condition, x, y) => (x === y ? x : null)),
  on(cast, 'cast-same', 'cast(x, type of x) = x', (value, x) => (x.type.dtype === value.type.dtype ? x : null)),
  on(reshape, 'reshape-same', 'reshape(x, shape of x) = x', (value, x) =>
    shapeOf(value.type).join() === shapeOf(x.type).join() ? x : null,
  ),
  on(reshape, 'reshape-twice', 'reshape(reshape(x)) = reshape(x)', (value, x) =>
    is(x, reshape) ? reshape(x.operands[0]!, { dims: value.type.dims }) : null,
  ),
  on(view, 'view-same', 'x[i, j] at every i, j = x', (value, x) => {
    const { map } = viewAttrs(value);
    return shapeOf(value.type).join() === shapeOf(x.type).join() && map.every((index, axis) => plainAxis(index) === axis) ? x : null;
  }),
  on(view, 'view-twice', 'x[f][g] = x[f ∘ g]', (value, x) => {
    if (!is(x, view)) return null;
    const outer = viewAttrs(value);
    const inner = viewAttrs(x);
    // With an outer fill, positions outside the inner view would have to stay distinguishable from positions inside it.
    if (outer.fill !== null || (inner.fill !== null && outer.map.some(index => index.divisor > 1))) return null;
    const map = inner.map.map(index => substitute(index, outer.map));
    return map.every(index => index !== null) && disjoint(map)
      ? view(x.operands[0]!, { dims: value.type.dims, map, fill: inner.fill })
      : null;
  }),
  on(view, 'permute-contract', '(Σ x · y)[g] = Σ x[g] · y[g], g a permutation', (value, x) => {
    if (!is(x, contract)) return null;
    const { dims, map } = viewAttrs(value);
    const order = map.map(plainAxis);
    if (
      order.some(axis => axis === null) ||
      new Set(order).size !== dims.length ||
      dims.some((d, axis) => d.extent !== x.type.dims[order.indexOf(axis)]?.extent)
    )
      return null;
    const { reduce, maps } = contractAttrs(x);
    const axes = [...map, ...reduce.map((_, i) => axisAt(dims.length + i))];
    return contract(x.operands, { dims, reduce, maps: maps.map(indices => indices.map(index => substitute(index, axes)!)) });
  }),
  on(view, 'crop-contract', '(Σ x · y)[i + c] = Σ x[i + c] · y[i + c], where nothing else reads the sum', (value, x, _y, _z, { uses }) => {
    if (!is(x, contract) || uses(x) !== 1) return null;
    const { dims, map } = viewAttrs(value);
    const axes = map.map(index => plainAxis({ ...index, offset: 0 }));
    // Within the sum everywhere, and each axis once: nothing is computed twice, and nothing that is not read.
    if (
      axes.some(axis => axis === null) ||
      new Set(axes).size !== dims.length ||
      map.some((index, d) => !alwaysInside(index, shapeOf(value.type), x.type.dims[d]!.extent))
    )
      return null;
    const { reduce, maps } = contractAttrs(x);
    const moved = [...map, ...reduce.map((_, i) => axisAt(dims.length + i))];
    return contract(x.operands, { dims, reduce, maps: maps.map(indices => indices.map(index => substitute(index, moved)!)) });
  }),
  on(gather, 'slice-permuted', '(x + y)[g][t] = (x[g] + y[g])[t], g a permutation', (value, x) => {
    // So that a product before a loop is computed in the order in which the loop reads it.
    const isSum = (inner: Value): boolean => is(inner, add) || is(inner, sub);
    if (value.operands[1]!.type.dims.length > 0 || !is(x, view) || !isSum(x.operands[0]!)) return null;
    const { dims, map, fill } = viewAttrs(x);
    const axes = map.map(plainAxis);
    if (fill !== null || axes.some(axis => axis === null) || new Set(axes).size !== dims.length) return null;
    const permuted = (inner: Value): Value => {
      if (!isSum(inner)) return view(inner, { dims, map, fill });
      const [a, b] = inner.operands.map(permuted);
      return is(inner, add) ? add(a!, b!) : sub(a!, b!);
    };
    return gather(permuted(x.operands[0]!), value.operands[1]!, { batch: 0 });
  }),
  on(contract, 'contract-views', 'Σ x[f][g] · y = Σ x[f ∘ g] · y', value => {
    const { maps } = contractAttrs(value);
    const at = value.operands.findIndex(operand => is(operand, view) && viewAttrs(operand).fill === null);
    if (at < 0) return null;
    const operand = value.operands[at]!;
    const map = viewAttrs(operand).map.map(index => substitute(index, maps[at]!));
    if (!map.every(index => index !== null)) return null;
    return contract(value.operands.with(at, operand.operands[0]!), { ...contractAttrs(value), maps: maps.with(at, map) });
  }),
  on(contract, 'contract-sum', 'Σ_i Σ_j x = Σ_ij x', value => {
    const inner = value.operands[0]!;
    // A sum of products stays apart: others may use it, and it is computed once for all of them.
    if (value.operands.length !== 1 || !is(inner, contract) || inner.operands.length !== 1) return null;
    const outer = contractAttrs(value);
    const within = contractAttrs(inner);
    if (!outer.maps[0]!.every(index => plainAxis(index) !== null) || !sameSet(outer)) return null;
    const axes = [...outer.dims, ...outer.reduce].length;
    const moved = [...outer.maps[0]!, ...within.reduce.map((_, i) => ({ terms: [{ axis: axes + i, times: 1 }], offset: 0, divisor: 1 }))];
    const maps = within.maps.map(map => map.map(index => substitute(index, moved)!));
    return contract(inner.operands, { dims: outer.dims, reduce: [...outer.reduce, ...within.reduce], maps });
  }),
  on(contract, 'contract-nothing', 'Σ over nothing of x[f] = x[f]', value => {
    const { dims, reduce, maps } = contractAttrs(value);
    const bound = new Set(maps[0]!.flatMap(index => index.terms.map(term => term.axis)));
    if (
      value.operands.length !== 1 ||
      size(reduce.map(d => d.extent)) !== 1 ||
      !disjoint(maps[0]!) ||
      [...bound].some(axis => axis >= dims.length)
    )
      return null;
    return view(value.operands[0]!, { dims, map: maps[0]!, fill: null });
  }),
];

/** No axis occurs in two dimensions. */
function disjoint(map: readonly Affine[]): boolean {
  const axes = map.flatMap(index => index.terms.map(term => term.axis));
  return new Set(axes).size === axes.length;
}

/** Every axis of the sum occurs: nothing is merely counted. */
const sameSet = ({ dims, reduce, maps }: ReturnType<typeof contractAttrs>): boolean =>
  new Set(maps[0]!.map(plainAxis)).size === maps[0]!.length && maps[0]!.length === dims.length + reduce.length;
