/**
 * Elementwise ops, one table row each: operands of one shape and one dtype (elaboration inserts broadcasts and conversions), one
 * scalar instruction. Gradients reuse the result where that spares keeping an operand, and are finite where the function is.
 */
import { identity } from '../ir/affine.ts';
import { convert, erf as errorFunction } from '../ir/arithmetic.ts';
import type { Value } from '../ir/graph.ts';
import { apply, load, type BinaryInstruction, type Scalar, type UnaryInstruction } from '../ir/nest.ts';
import { elements, isFloat, printTypeLong, sameShape, shapeOf, tensor, type DType, type TensorType } from '../ir/type.ts';
import { definePrimitive, type Op } from './define.ts';
import { fullLike } from './full.ts';
import { attribute, commonDims, isNumber, tabulate } from './shared.ts';

/** Which dtypes an op takes. */
type Kind = 'float' | 'number' | 'comparable' | 'bool';
const accepts: Readonly<Record<Kind, (dtype: DType) => boolean>> = {
  float: isFloat,
  number: isNumber,
  comparable: dtype => dtype !== 'bool',
  bool: dtype => dtype === 'bool',
};
const kindRule: Readonly<Record<Kind, string>> = {
  float: 'operands are floating-point numbers',
  number: 'operands are numbers, i32 or floating-point',
  comparable: 'operands are numbers of any type, not truth values',
  bool: 'operands are truth values (bool)',
};
const unsuitable: Readonly<Record<Kind, string>> = { float: 'i32[2]', number: 'bool[2]', comparable: 'bool[2]', bool: 'f32[2]' };

type Unary = Op<readonly ['x'], {}>;

interface UnaryRow {
  readonly name: string;
  readonly doc: string;
  readonly kind: 'float' | 'number' | 'bool';
  readonly instruction: UnaryInstruction;
  readonly reference: (x: number) => number;
  readonly gradient: (g: { readonly x: Value; readonly out: Value; readonly grad: Value }) => Value | null;
  readonly domain?: readonly [number, number];
}

export const neg: Unary = unary({
  name: 'neg', doc: 'The negative, −x.', kind: 'number', instruction: 'neg',
  reference: x => -x,
  gradient: ({ grad }) => neg(grad),
});

export const abs: Unary = unary({
  name: 'abs', doc: 'The absolute value; its derivative at 0 is 0.', kind: 'number', instruction: 'abs', domain: [0.2, 2],
  reference: x => Math.abs(x),
  gradient: ({ x, grad }) => select(less(fullLike(x, 0), x), grad, select(less(x, fullLike(x, 0)), neg(grad), fullLike(grad, 0))),
});

export const exp: Unary = unary({
  name: 'exp', doc: 'The exponential, eˣ.', kind: 'float', instruction: 'exp',
  reference: x => Math.exp(x),
  gradient: ({ out, grad }) => mul(grad, out),
});

export const log: Unary = unary({
  name: 'log', doc: 'The natural logarithm.', kind: 'float', instruction: 'log', domain: [0.5, 3],
  reference: x => Math.log(x),
  gradient: ({ x, grad }) => div(grad, x),
});

export const sqrt: Unary = unary({
  name: 'sqrt', doc: 'The square root.', kind: 'float', instruction: 'sqrt', domain: [0.5, 3],
  reference: x => Math.sqrt(x),
  gradient: ({ out, grad }) => div(mul(grad, fullLike(out, 0.5)), out),
});

export const tanh: Unary = unary({
  name: 'tanh', doc: 'The hyperbolic tangent.', kind: 'float', instruction: 'tanh',
  reference: x => Math.tanh(x),
  gradient: ({ out, grad }) => mul(grad, sub(fullLike(out, 1), mul(out, out))),
});

export const erf: Unary = unary({
  name: 'erf', doc: 'The error function, 2/√π · ∫₀ˣ exp(−t²) dt.', kind: 'float', instruction: 'erf',
  reference: errorFunction,
  gradient: ({ x, grad }) => mul(grad, mul(fullLike(x, 2 / Math.sqrt(Math.PI)), exp(neg(mul(x, x))))),
});

export const sin: Unary = unary({
  name: 'sin', doc: 'The sine of an angle in radians.', kind: 'float', instruction: 'sin',
  reference: x => Math.sin(x),
  gradient: ({ x, grad }) => mul(grad, cos(x)),
});

export const cos: Unary = unary({
  name: 'cos', doc: 'The cosine of an angle in radians.', kind: 'float', instruction: 'cos',
  reference: x => Math.cos(x),
  gradient: ({ x, grad }) => neg(mul(grad, sin(x))),
});

export const floor: Unary = unary({
  name: 'floor', doc: 'The largest whole number not above x; its derivative is 0.', kind: 'float', instruction: 'floor', domain: [0.1, 0.9],
  reference: x => Math.floor(x),
  gradient: () => null,
});

export const logical_not: Unary = unary({
  name: 'logical_not', doc: 'True where x is false.', kind: 'bool', instruction: 'not', domain: [0, 1],
  reference: x => (x === 0 ? 1 : 0),
  gradient: () => null,
});

function unary(row: UnaryRow): Unary {
  return definePrimitive({
    name: row.name,
    doc: row.doc,
    operands: ['x'],
    attrs: {},
    constraints: { C1: kindRule[row.kind] },
    shape: ([x], _, require) => {
      require('C1', accepts[row.kind](x.dtype), () => `x is ${printTypeLong(x)}`);
      return x;
    },
    gradient: ({ operands: [x], out, grad }): readonly [Value | null] => [isFloat(x.type.dtype) ? row.gradient({ x, out, grad }) : null],
    lower: ([x]) => ({ ...everywhere(x), body: apply(row.instruction, here(0, x)) }),
    flops: ([x]) => elements(x),
    reference: ([x]) => tabulate(x.dtype, x.shape, (_, flat) => row.reference(x.data[flat]!)),
    samples: [
      { operands: [row.kind === 'bool' ? 'bool[2, 3]' : '[2, 3]'], attrs: {}, ...(row.domain ? { domain: row.domain } : {}) },
      ...(row.kind === 'number' ? [{ operands: ['i32[5]'] as const, attrs: {}, domain: [-9, 9] as const }] : []),
    ],
    rejects: { C1: { operands: [unsuitable[row.kind]], attrs: {} } },
  });
}

type Binary = Op<readonly ['a', 'b'], {}>;

type Pair = readonly [Value | null, Value | null];

interface BinaryRow {
  readonly name: string;
  readonly doc: string;
  readonly kind: Kind;
  readonly instruction: BinaryInstruction;
  /** Comparisons give bool; everything else gives the operands' type. */
  readonly compares?: true;
  readonly reference: (a: number, b: number) => number;
  readonly gradient: (g: { readonly a: Value; readonly b: Value; readonly out: Value; readonly grad: Value }) => Pair;
  readonly domain?: readonly [number, number] | readonly (readonly [number, number])[];
}

export const add: Binary = binary({
  name: 'add', doc: 'The sum, a + b.', kind: 'number', instruction: 'add',
  reference: (a, b) => a + b,
  gradient: ({ grad }) => [grad, grad],
});

export const sub: Binary = binary({
  name: 'sub', doc: 'The difference, a − b.', kind: 'number', instruction: 'sub',
  reference: (a, b) => a - b,
  gradient: ({ grad }) => [grad, neg(grad)],
});

export const mul: Binary = binary({
  name: 'mul', doc: 'The product, a · b, element by element.', kind: 'number', instruction: 'mul',
  reference: (a, b) => a * b,
  gradient: ({ a, b, grad }) => [mul(grad, b), mul(grad, a)],
});

export const div: Binary = binary({
  name: 'div', doc: 'The quotient, a / b, of floating-point numbers.', kind: 'float', instruction: 'div', domain: [0.5, 3],
  reference: (a, b) => a / b,
  // −g·out/b needs a/b, which is at hand, instead of a.
  gradient: ({ b, out, grad }) => [div(grad, b), neg(div(mul(grad, out), b))],
});

export const mod: Binary = binary({
  name: 'mod', doc: 'The remainder of a / b with the sign of b, as in Python.', kind: 'number', instruction: 'mod',
  domain: [[-3.9, -3.1], [1.5, 1.9]],
  reference: (a, b) => a - Math.floor(a / b) * b,
  gradient: ({ a, b, grad }) => [grad, neg(mul(grad, floor(div(a, b))))],
});

export const pow: Binary = binary({
  name: 'pow', doc: 'The power aᵇ; the derivative by the exponent counts as 0 where a is not positive.', kind: 'float', instruction: 'pow',
  domain: [0.5, 2],
  reference: (a, b) => a ** b,
  gradient: ({ a, b, out, grad }) => {
    const zero = fullLike(a, 0);
    const one = fullLike(a, 1);
    // b·aᵇ⁻¹ with the exponent 1 where b = 0, because 0·0⁻¹ is not a number; inside the logarithm likewise.
    const before = pow(a, select(equal(b, zero), one, sub(b, one)));
    const positive = less(zero, a);
    return [mul(grad, mul(b, before)), select(positive, mul(grad, mul(out, log(select(positive, a, one)))), fullLike(grad, 0))];
  },
});

export const maximum: Binary = binary({
  name: 'maximum', doc: 'The larger of a and b; where they are equal, the gradient flows to b.', kind: 'number', instruction: 'max',
  reference: (a, b) => Math.max(a, b),
  // By the result, so that relu(x) = maximum(x, 0) need not keep x.
  gradient: ({ b, out, grad }) => toLarger(less(b, out), grad),
});

export const minimum: Binary = binary({
  name: 'minimum', doc: 'The smaller of a and b; where they are equal, the gradient flows to b.', kind: 'number', instruction: 'min',
  reference: (a, b) => Math.min(a, b),
  gradient: ({ b, out, grad }) => toLarger(less(out, b), grad),
});

export const equal: Binary = binary({
  name: 'equal', doc: 'True where a = b.', kind: 'comparable', instruction: 'eq', compares: true,
  reference: (a, b) => (a === b ? 1 : 0),
  gradient: () => [null, null],
});

export const less: Binary = binary({
  name: 'less', doc: 'True where a < b.', kind: 'comparable', instruction: 'lt', compares: true,
  reference: (a, b) => (a < b ? 1 : 0),
  gradient: () => [null, null],
});

export const less_equal: Binary = binary({
  name: 'less_equal', doc: 'True where a ≤ b.', kind: 'comparable', instruction: 'le', compares: true,
  reference: (a, b) => (a <= b ? 1 : 0),
  gradient: () => [null, null],
});

export const logical_and: Binary = binary({
  name: 'logical_and', doc: 'True where both are true.', kind: 'bool', instruction: 'and', domain: [0, 1],
  reference: (a, b) => (a !== 0 && b !== 0 ? 1 : 0),
  gradient: () => [null, null],
});

export const logical_or: Binary = binary({
  name: 'logical_or', doc: 'True where either is true.', kind: 'bool', instruction: 'or', domain: [0, 1],
  reference: (a, b) => (a !== 0 || b !== 0 ? 1 : 0),
  gradient: () => [null, null],
});

const toLarger = (first: Value, grad: Value): Pair =>
  [select(first, grad, fullLike(grad, 0)), select(first, fullLike(grad, 0), grad)];

function binary(row: BinaryRow): Binary {
  const suitable = row.kind === 'bool' ? 'bool[2, 3]' : '[2, 3]';
  const wrong = unsuitable[row.kind];
  return definePrimitive({
    name: row.name,
    doc: row.doc,
    operands: ['a', 'b'],
    attrs: {},
    constraints: { C1: 'operands have one shape', C2: 'operands have one type of element', C3: kindRule[row.kind] },
    shape: ([a, b], _, require) => {
      require('C1', sameShape(shapeOf(a), shapeOf(b)), () => `a is ${printTypeLong(a)}, b is ${printTypeLong(b)}`);
      require('C2', a.dtype === b.dtype, () => `a is ${printTypeLong(a)}, b is ${printTypeLong(b)}`);
      require('C3', accepts[row.kind](a.dtype), () => `a is ${printTypeLong(a)}`);
      return tensor(row.compares ? 'bool' : a.dtype, commonDims([a, b]));
    },
    gradient: ({ operands: [a, b], out, grad }): Pair => (isFloat(a.type.dtype) ? row.gradient({ a, b, out, grad }) : [null, null]),
    lower: ([a, b]) => ({ ...everywhere(a), body: apply(row.instruction, here(0, a), here(1, b)) }),
    flops: ([a]) => elements(a),
    reference: ([a, b]) => tabulate(row.compares ? 'bool' : a.dtype, a.shape, (_, flat) => row.reference(a.data[flat]!, b.data[flat]!)),
    samples: [
      { operands: [suitable, suitable], attrs: {}, ...(row.domain ? { domain: row.domain } : {}) },
      ...(accepts[row.kind]('i32') ? [{ operands: ['i32[5]', 'i32[5]'] as const, attrs: {}, domain: [1, 4] as const }] : []),
    ],
    rejects: {
      C1: { operands: [suitable, suitable.replace('3', '5')], attrs: {} },
      C2: { operands: ['f32[2]', 'i32[2]'], attrs: {} },
      C3: { operands: [wrong, wrong], attrs: {} },
    },
  });
}

export const select: Op<readonly ['condition', 'a', 'b'], {}> = definePrimitive({
  name: 'select',
  doc: 'Element by element a where the condition is true, else b.',
  operands: ['condition', 'a', 'b'],
  attrs: {},
  constraints: { C1: 'operands have one shape', C2: 'a and b have one type of element', C3: 'the condition is of truth values (bool)' },
  shape: ([condition, a, b], _, require) => {
    require('C1', sameShape(shapeOf(a), shapeOf(b)) && sameShape(shapeOf(a), shapeOf(condition)),
      () => `condition is ${printTypeLong(condition)}, a is ${printTypeLong(a)}, b is ${printTypeLong(b)}`);
    require('C2', a.dtype === b.dtype, () => `a is ${printTypeLong(a)}, b is ${printTypeLong(b)}`);
    require('C3', condition.dtype === 'bool', () => `condition is ${printTypeLong(condition)}`);
    return tensor(a.dtype, commonDims([a, b, condition]));
  },
  gradient: ({ operands: [condition, a], grad }) =>
    isFloat(a.type.dtype) ? [null, select(condition, grad, fullLike(grad, 0)), select(condition, fullLike(grad, 0), grad)] : [null, null, null],
  lower: ([condition, a, b]) => ({ ...everywhere(a), body: apply('select', here(0, condition), here(1, a), here(2, b)) }),
  flops: ([, a]) => elements(a),
  reference: ([condition, a, b]) => tabulate(a.dtype, a.shape, (_, flat) => (condition.data[flat] !== 0 ? a : b).data[flat]!),
  samples: [{ operands: ['bool[2, 3]', '[2, 3]', '[2, 3]'], attrs: {}, domain: [[0, 1], [-2, 2], [-2, 2]] }],
  rejects: {
    C1: { operands: ['bool[2, 3]', '[2, 3]', '[2, 5]'], attrs: {} },
    C2: { operands: ['bool[2]', 'f32[2]', 'i32[2]'], attrs: {} },
    C3: { operands: ['i32[2]', 'f32[2]', 'f32[2]'], attrs: {} },
  },
});

export const stop_gradient: Unary = definePrimitive({
  name: 'stop_gradient',
  doc: 'The value itself, through which no gradient flows.',
  operands: ['x'],
  attrs: {},
  constraints: {},
  shape: ([x]) => x,
  gradient: 'none',
  lower: ([x]) => ({ ...everywhere(x), body: here(0, x) }),
  flops: () => 0,
  reference: ([x]) => x,
  samples: [{ operands: ['[2, 3]'], attrs: {} }],
  rejects: {},
});

const castAttrs = { dtype: attribute('dtype', 'The type to convert to.') };
const conversions = {
  f32: 'to_f32', f16: 'to_f16', bf16: 'to_bf16', i32: 'to_i32', u8: 'to_u8', bool: 'to_bool',
} as const satisfies Record<DType, UnaryInstruction>;

export const cast: Op<readonly ['x'], typeof castAttrs> = definePrimitive({
  name: 'cast',
  doc: 'Converts elements to another type: towards zero to whole numbers, to the nearest f16 or bf16, and all but 0 is true.',
  operands: ['x'],
  attrs: castAttrs,
  constraints: {},
  shape: ([x], { dtype }) => tensor(dtype, x.dims),
  gradient: ({ operands: [x], out, grad }) => [isFloat(x.type.dtype) && isFloat(out.type.dtype) ? castTo(grad, x.type.dtype) : null],
  lower: ([x], { dtype }) => ({ ...everywhere(x), body: x.dtype === dtype ? here(0, x) : apply(conversions[dtype], here(0, x)) }),
  flops: () => 0,
  reference: ([x], { dtype }) => tabulate(dtype, x.shape, (_, flat) => convert(x.data[flat]!, dtype)),
  samples: [
    { operands: ['[2, 3]'], attrs: { dtype: 'i32' }, domain: [-4, 4] },
    { operands: ['u8[2, 3]'], attrs: { dtype: 'f32' }, domain: [0, 255] },
    { operands: ['i32[7]'], attrs: { dtype: 'bool' }, domain: [-1, 1] },
    { operands: ['[5]'], attrs: { dtype: 'f32' } },
  ],
  rejects: {},
});

/** `x` as it is when it has the type already. */
export const castTo = (x: Value, dtype: DType): Value => (x.type.dtype === dtype ? x : cast(x, { dtype }));

const here = (operand: number, type: TensorType): Scalar => load(operand, identity(type.dims.length));
const everywhere = (type: TensorType): { readonly space: readonly number[]; readonly reduce: readonly number[]; readonly combine: null } =>
  ({ space: shapeOf(type), reduce: [], combine: null });
