/**
 * Mathematical functions on four lanes, as WebAssembly functions of plain SIMD, which give the same bits on every machine unless
 * they are fused (`refine.ts`). A lane's result depends on that lane alone. Errors and edge cases are those of docs/numerics.md.
 * Polynomials are minimax fits of the named function on the named interval, found by the algorithm of Remez.
 */
import {
  build, call, f32x4, f64x2, get, i32, i32x4, op, shuffle32, walk, type Builder, type Expression, type Func, type Local, type Opcode,
} from './code.ts';
import { fused } from './refine.ts';

/** The functions by name. Parameters and results are vectors. */
export const mathFunctions: Readonly<Record<string, () => Func>> = {
  exp, log, tanh, erf,
  sin: () => wave('sin', 0n),
  cos: () => wave('cos', 1n),
  wave_half: waveHalf,
  pow,
  pow_half: powHalf,
  mod,
  mod_i32: modWhole,
  to_f16: toHalf,
  to_bf16: toBfloat16,
  random,
};

/**
 * The functions among `names`, and those that they call in turn; each once. Other names are passed over. `withFusion` multiplies and adds
 * floats with one rounding where the processor can.
 */
export function reachedMath(names: Iterable<string>, withFusion: boolean): readonly Func[] {
  const reached = new Map<string, Func>();
  const visit = (name: string): void => {
    const make = Object.hasOwn(mathFunctions, name) ? mathFunctions[name] : undefined;
    if (!make || reached.has(name)) return;
    const func = withFusion ? fused(make()) : make();
    reached.set(name, func);
    calledIn(func).forEach(visit);
  };
  for (const name of names) visit(name);
  return [...reached.values()];
}

/** Names of the functions that a function calls. */
export function calledIn(func: Func): ReadonlySet<string> {
  const names = new Set<string>();
  walk(func.body, expression => {
    if (expression.kind === 'call') names.add(expression.to);
  });
  return names;
}

const add = (a: Expression, b: Expression): Expression => op('f32x4.add', a, b);
const sub = (a: Expression, b: Expression): Expression => op('f32x4.sub', a, b);
const mul = (a: Expression, b: Expression): Expression => op('f32x4.mul', a, b);
const and = (a: Expression, b: Expression): Expression => op('v128.and', a, b);
const or = (a: Expression, b: Expression): Expression => op('v128.or', a, b);
const choose = (condition: Expression, then: Expression, otherwise: Expression): Expression =>
  op('v128.bitselect', then, otherwise, condition);
const shifted = (name: Opcode, a: Expression, bits: number): Expression => op(name, a, i32(bits));
const signBit = (x: Local): Expression => and(get(x), i32x4(-0x80000000));

/** A function of vectors whose value is the expression that `body` returns. */
function define(
  name: string, arity: number, body: (builder: Builder, ...parameters: readonly [Local, Local, Local, Local]) => Expression,
): Func {
  const builder = build(name, new Array<'v128'>(arity).fill('v128'), 'v128');
  const [a, b, c, d] = builder.parameters;
  builder.emit(body(builder, a!, b!, c!, d!));
  return builder.finish();
}

/** Σ coefficients[i]·xⁱ, by Horner's rule in x² over pairs of terms: as many operations as in x, half as long a chain. */
function polynomial(x: Local, square: Local, coefficients: readonly number[]): Expression {
  const pairs: Expression[] = [];
  for (let i = 0; i < coefficients.length; i += 2) {
    const next = coefficients[i + 1];
    pairs.push(next === undefined ? f32x4(coefficients[i]!) : add(f32x4(coefficients[i]!), mul(f32x4(next), get(x))));
  }
  return pairs.reduceRight((sum, pair) => add(pair, mul(get(square), sum)));
}

/** Σ coefficients[i]·xⁱ by Horner's rule. */
const horner = (x: Local, coefficients: readonly number[]): Expression =>
  coefficients.map(f32x4).reduceRight((sum, coefficient) => add(coefficient, mul(get(x), sum)));

// ln 2 in two parts: the first has 9 significant bits, so that its products with whole numbers of up to 15 bits are exact.
const ln2High = 0.693359375;
const ln2Low = -2.12194440e-4;

/**
 * x = n·ln 2 + r with |r| ≤ ln 2 / 2, and eʳ. The low 9 bits of `power` are n + bias: 1.5·2²³ is added and taken away again, which
 * leaves the nearest whole number both as a float and in the bits of the sum.
 */
function exponential(builder: Builder, x: Local, bias: number): { readonly power: Local; readonly rest: Expression } {
  const shift = 12582912 + bias;
  const power = builder.keep('v128', add(mul(get(x), f32x4(Math.LOG2E)), f32x4(shift)));
  const n = builder.keep('v128', sub(get(power), f32x4(shift)));
  const r = builder.keep('v128', sub(sub(get(x), mul(get(n), f32x4(ln2High))), mul(get(n), f32x4(ln2Low))));
  const square = builder.keep('v128', mul(get(r), get(r)));
  // (eʳ − 1 − r) / r² on ±ln 2 / 2.
  const tail = polynomial(r, square, [0.49999994, 0.166665196, 0.0416684002, 0.00836885162, 0.00138143299]);
  return { power, rest: add(f32x4(1), add(get(r), mul(get(square), tail))) };
}

/**
 * eˣ = 2ⁿ·eʳ. The power is applied in two halves, for it may be below the smallest normal number or be 2¹²⁸. Where x ≤ −176 the
 * bits of the first half are all zero: such lanes, −Infinity of a mask among them, meet no slow subnormal product.
 */
function exp(): Func {
  return define('exp', 1, (builder, x) => {
    const bounded = builder.keep('v128', op('f32x4.pmax', op('f32x4.pmin', get(x), f32x4(89)), f32x4(-176)));
    const { power, rest } = exponential(builder, bounded, 254);
    const half = builder.keep('v128', shifted('i32x4.shr_s', get(power), 1));
    const first = shifted('i32x4.shl', get(half), 23);
    const second = shifted('i32x4.shl', op('i32x4.sub', get(power), get(half)), 23);
    return mul(mul(rest, first), second);
  });
}

/** log x = e·ln 2 + log(1 + v) where x = 2ᵉ·(1 + v) and √½ ≤ 1 + v < √2. */
function log(): Func {
  return define('log', 1, (builder, x) => {
    const subnormal = builder.keep('v128', op('f32x4.lt', get(x), f32x4(2 ** -126)));
    const bits = builder.keep('v128', choose(get(subnormal), mul(get(x), f32x4(2 ** 23)), get(x)));
    const exponent = builder.keep('v128', shifted('i32x4.shr_s', op('i32x4.sub', get(bits), i32x4(0x3f3504f3)), 23));
    const mantissa = op('i32x4.sub', get(bits), shifted('i32x4.shl', get(exponent), 23));
    const v = builder.keep('v128', sub(mantissa, f32x4(1)));
    const square = builder.keep('v128', mul(get(v), get(v)));
    const e = builder.keep('v128', sub(op('f32x4.convert_i32x4_s', get(exponent)), and(get(subnormal), f32x4(23))));
    // (log(1 + v) − v + v²/2) / v³ on √½ − 1 … √2 − 1.
    const tail = mul(mul(get(square), get(v)), polynomial(v, square,
      [0.333333313, -0.250008196, 0.200012282, -0.166233599, 0.142017469, -0.131601512, 0.127616331, -0.076346375]));
    const small = sub(add(tail, mul(get(e), f32x4(ln2Low))), mul(get(square), f32x4(0.5)));
    const finite = add(add(get(v), small), mul(get(e), f32x4(ln2High)));
    // Infinity is added where x is; ones in every bit, a NaN, join where x is negative or NaN.
    const upper = add(finite, and(get(x), op('f32x4.eq', get(x), f32x4(Infinity))));
    const lower = or(upper, op('v128.not', op('f32x4.ge', get(x), f32x4(0))));
    return choose(op('f32x4.eq', get(x), f32x4(0)), f32x4(-Infinity), lower);
  });
}

/** x + x³·P(x²) near 0, else 1 − 2 / (e²ᵃ + 1) for a = |x|, which is 1 from 9.02 on. */
function tanh(): Func {
  return define('tanh', 1, (builder, x) => {
    const a = builder.keep('v128', op('f32x4.pmin', op('f32x4.abs', get(x)), f32x4(9.02)));
    const z = builder.keep('v128', mul(get(a), get(a)));
    // (tanh √z / √z − 1) / z on 0 … 0.63².
    const near = add(get(a), mul(get(a), mul(get(z), horner(z,
      [-0.333332807, 0.133313835, -0.0537340045, 0.0206181351, -0.00567931682]))));
    const twice = builder.keep('v128', add(get(a), get(a)));
    const { power, rest } = exponential(builder, twice, 127);
    const grown = mul(rest, shifted('i32x4.shl', get(power), 23));
    const far = sub(f32x4(1), op('f32x4.div', f32x4(2), add(grown, f32x4(1))));
    return or(choose(op('f32x4.lt', get(a), f32x4(0.625)), near, far), signBit(x));
  });
}

/** x + x·P(x²) near 0, else 1 − exp(Q(a)) for a = |x|, which is 1 from 3.93 on. */
function erf(): Func {
  return define('erf', 1, (builder, x) => {
    const a = builder.keep('v128', op('f32x4.pmin', op('f32x4.abs', get(x)), f32x4(3.93)));
    const z = builder.keep('v128', mul(get(a), get(a)));
    // erf √z / √z − 1 on 0 … 0.875².
    const near = add(get(a), mul(get(a), horner(z,
      [0.128379151, -0.376125574, 0.112825245, -0.0267939549, 0.00503587164, -0.000622241932])));
    // log(1 − erf a) on 0.875 … 3.93.
    const exponent = builder.keep('v128', polynomial(a, z,
      [-0.00165324344, -1.12101364, -0.649578154, -0.0919294581, 0.0158571526, -0.00128822646]));
    const { power, rest } = exponential(builder, exponent, 127);
    const far = sub(f32x4(1), mul(rest, shifted('i32x4.shl', get(power), 23)));
    return or(choose(op('f32x4.lt', get(a), f32x4(0.875)), near, far), signBit(x));
  });
}

const lowHalf = (x: Local): Expression => op('f64x2.promote_low_f32x4', get(x));
const highHalf = (x: Local): Expression => op('f64x2.promote_low_f32x4', shuffle32(get(x), get(x), [2, 3, 2, 3]));
const joined = (low: Expression, high: Expression): Expression =>
  shuffle32(op('f32x4.demote_f64x2_zero', low), op('f32x4.demote_f64x2_zero', high), [0, 1, 4, 5]);

const i64x2 = (value: bigint): Expression => ({ kind: 'lanes', bytes: [...new Uint8Array(new BigInt64Array([value, value]).buffer)] });

/** Σ coefficients[i]·xⁱ in double precision. */
const horner64 = (x: Local, coefficients: readonly number[]): Expression =>
  coefficients.map(f64x2).reduceRight((sum, coefficient) => op('f64x2.add', coefficient, op('f64x2.mul', get(x), sum)));

// π/2 in three parts: the first two have 22 significant bits, so that their products with whole numbers of up to 31 bits are exact.
const halfPi = [1.570796012878418, 3.139164164167596e-07, 6.223372171896613e-14] as const;

/** sin(x + turn·π/2), in double precision. */
function wave(name: string, turn: bigint): Func {
  return define(name, 1, (_, x) => joined(call('wave_half', lowHalf(x), i64x2(turn)), call('wave_half', highHalf(x), i64x2(turn))));
}

/** x = n·π/2 + r with |r| ≤ π/4: the last two bits of n + turn tell between ±sin r and ±cos r. */
function waveHalf(): Func {
  return define('wave_half', 2, (builder, x, turn) => {
    const keep = (value: Expression): Local => builder.keep('v128', value);
    const shift = f64x2(1.5 * 2 ** 52);
    const quarters = keep(op('f64x2.add', op('f64x2.mul', get(x), f64x2(2 / Math.PI)), shift));
    const n = keep(op('f64x2.sub', get(quarters), shift));
    const rest = halfPi.reduce((sum, part) => op('f64x2.sub', sum, op('f64x2.mul', get(n), f64x2(part))), get(x));
    // Where |x| is so large that the rest has no right digit, it stays in the interval all the same.
    const r = keep(op('f64x2.pmax', op('f64x2.pmin', rest, f64x2(0.7854)), f64x2(-0.7854)));
    const z = keep(op('f64x2.mul', get(r), get(r)));
    // (sin √z / √z − 1) / z and (cos √z − 1) / z on 0 … (π/4)².
    const sine = horner64(z, [-0.16666666641604383, 0.008333329375267038, -0.00019839329939446985, 2.718255572255978e-06]);
    const cosine = horner64(z, [-0.4999999972486161, 0.04166662320730397, -0.0013886758404504825, 2.438983537858497e-05]);
    const ofSine = op('f64x2.mul', get(r), op('f64x2.add', f64x2(1), op('f64x2.mul', get(z), sine)));
    const ofCosine = op('f64x2.add', f64x2(1), op('f64x2.mul', get(z), cosine));
    const quadrant = keep(op('i64x2.add', get(quarters), get(turn)));
    const odd = op('i64x2.sub', i64x2(0n), and(get(quadrant), i64x2(1n)));
    const sign = and(shifted('i64x2.shl', get(quadrant), 62), i64x2(-(2n ** 63n)));
    return op('v128.xor', choose(odd, ofCosine, ofSine), sign);
  });
}

/** xʸ: the power of |x| in double precision; minus that where x is negative and y odd, NaN where x is negative and y not whole. */
function pow(): Func {
  return define('pow', 2, (builder, x, y) => {
    const keep = (value: Expression): Local => builder.keep('v128', value);
    const magnitude = keep(op('f32x4.abs', get(x)));
    const power = joined(call('pow_half', lowHalf(magnitude), lowHalf(y)), call('pow_half', highHalf(magnitude), highHalf(y)));
    const whole = keep(op('f32x4.eq', op('f32x4.trunc', get(y)), get(y)));
    const half = keep(mul(get(y), f32x4(0.5)));
    const odd = and(get(whole), op('f32x4.ne', op('f32x4.trunc', get(half)), get(half)));
    const signed = op('v128.xor', power, and(odd, signBit(x)));
    const finite = and(op('f32x4.lt', get(x), f32x4(0)), op('f32x4.gt', get(x), f32x4(-Infinity)));
    const invalid = op('v128.andnot', finite, get(whole));
    return choose(op('f32x4.eq', get(y), f32x4(0)), f32x4(1), or(signed, invalid));
  });
}

/**
 * 2^(y·log₂ x) for x ≥ 0. x = 2ᵉ·m with √½ ≤ m < √2, log₂ m a series in s = (m − 1) / (m + 1). The exponents of floats are far
 * inside those of doubles, so that only the last rounding, to a float, may overflow or be subnormal.
 */
function powHalf(): Func {
  return define('pow_half', 2, (builder, x, y) => {
    const keep = (value: Expression): Local => builder.keep('v128', value);
    const lowest = 0x3fe6a09en << 32n;
    const one = 1023n << 52n;
    const biased = keep(op('i64x2.add', get(x), i64x2(one - lowest)));
    const mantissa = keep(op('i64x2.add', and(get(biased), i64x2(2n ** 52n - 1n)), i64x2(lowest)));
    // A small whole number under the exponent of 2⁵² is that number above 2⁵².
    const e = op('f64x2.sub', or(shifted('i64x2.shr_u', get(biased), 52), f64x2(2 ** 52)), f64x2(2 ** 52 + 1023));
    const s = keep(op('f64x2.div', op('f64x2.sub', get(mantissa), f64x2(1)), op('f64x2.add', get(mantissa), f64x2(1))));
    const z = keep(op('f64x2.mul', get(s), get(s)));
    // log₂((1 + √z) / (1 − √z)) / √z on 0 … 0.02945.
    const series = horner64(z, [
      2.8853900817778495, 0.9617966941143672, 0.5770779420690592, 0.41220928213723723, 0.3199044786203951, 0.2829175692319344,
    ]);
    const finite = op('f64x2.add', e, op('f64x2.mul', get(s), series));
    // Infinity and NaN are their own logarithms.
    const special = choose(op('f64x2.eq', get(x), f64x2(0)), f64x2(-Infinity), get(x));
    const ordinary = and(op('f64x2.gt', get(x), f64x2(0)), op('f64x2.lt', get(x), f64x2(Infinity)));
    const logarithm = choose(ordinary, finite, special);
    const exponent = keep(op('f64x2.pmax', op('f64x2.pmin', op('f64x2.mul', get(y), logarithm), f64x2(300)), f64x2(-300)));
    const shift = f64x2(1.5 * 2 ** 52 + 1023);
    const nearest = keep(op('f64x2.add', get(exponent), shift));
    const f = keep(op('f64x2.sub', get(exponent), op('f64x2.sub', get(nearest), shift)));
    // 2^f on ±½.
    const root = horner64(f, [
      0.9999999999616122, 0.693147180728601, 0.24022651198808506, 0.055504103531116546,
      0.009618027167329872, 0.001333392266693399, 0.00015469318718002917, 1.5201939479003599e-05,
    ]);
    return op('f64x2.mul', root, shifted('i64x2.shl', get(nearest), 52));
  });
}

/** a − ⌊a/b⌋·b in double precision. */
function floored(builder: Builder, a: Expression, b: Expression): Expression {
  const dividend = builder.keep('v128', a);
  const divisor = builder.keep('v128', b);
  const quotient = op('f64x2.floor', op('f64x2.div', get(dividend), get(divisor)));
  return op('f64x2.sub', get(dividend), op('f64x2.mul', quotient, get(divisor)));
}

/** The remainder with the sign of the divisor, of floats. */
function mod(): Func {
  return define('mod', 2, (builder, a, b) => joined(floored(builder, lowHalf(a), lowHalf(b)), floored(builder, highHalf(a), highHalf(b))));
}

/** The same of whole numbers; 0 where the divisor is. */
function modWhole(): Func {
  const low = (x: Local): Expression => op('f64x2.convert_low_i32x4_s', get(x));
  const high = (x: Local): Expression => op('f64x2.convert_low_i32x4_s', shuffle32(get(x), get(x), [2, 3, 2, 3]));
  const whole = (x: Expression): Expression => op('i32x4.trunc_sat_f64x2_s_zero', x);
  return define('mod_i32', 2, (builder, a, b) =>
    shuffle32(whole(floored(builder, low(a), low(b))), whole(floored(builder, high(a), high(b))), [0, 1, 4, 5]));
}

/**
 * To the nearest binary16 number, ties to even: adding 1.5·2¹³ times the power of two in x, at least 2⁻¹⁴, makes the addition
 * itself round to 11 significant bits.
 */
function toHalf(): Func {
  return define('to_f16', 1, (builder, x) => {
    const exponent = op('i32x4.min_s', op('i32x4.max_s', and(get(x), i32x4(0x7f800000)), i32x4(0x38800000)), i32x4(0x47800000));
    const shift = builder.keep('v128', or(op('i32x4.add', exponent, i32x4(13 << 23)), i32x4(0x00400000)));
    const rounded = or(sub(add(get(x), get(shift)), get(shift)), signBit(x));
    return choose(op('f32x4.ge', op('f32x4.abs', get(x)), f32x4(65520)), mul(get(x), f32x4(Infinity)), rounded);
  });
}

/** To the nearest bfloat16 number, ties to even: the upper half of the bits, which a carry brings to the next number or to Infinity. */
function toBfloat16(): Func {
  return define('to_bf16', 1, (_, x) => {
    const odd = and(shifted('i32x4.shr_u', get(x), 16), i32x4(1));
    const rounded = and(op('i32x4.add', get(x), op('i32x4.add', odd, i32x4(0x7fff))), i32x4(-0x10000));
    return choose(op('f32x4.eq', get(x), get(x)), rounded, get(x));
  });
}

/**
 * random(seed, stream, step, index): the first word of Threefry-2x32-20 with key (seed, stream) and counter (index, step), its upper
 * 24 bits as a float in [0, 1); the numbers of `runtime/random.ts`.
 */
function random(): Func {
  const plus = (a: Expression, b: Expression): Expression => op('i32x4.add', a, b);
  return define('random', 4, (builder, seed, stream, step, index) => {
    const keep = (value: Expression): Local => builder.keep('v128', value);
    const keys = [seed, stream, keep(op('v128.xor', op('v128.xor', get(seed), get(stream)), i32x4(0x1bd11bda)))] as const;
    let a = keep(plus(get(index), get(seed)));
    let b = keep(plus(get(step), get(stream)));
    for (let round = 0; round < 20; round++) {
      a = keep(plus(get(a), get(b)));
      b = keep(op('v128.xor', rotated(b, rotations[round % 8]!), get(a)));
      if (round % 4 !== 3) continue;
      const turn = (round + 1) / 4;
      a = keep(plus(get(a), get(keys[turn % 3]!)));
      b = keep(plus(plus(get(b), get(keys[(turn + 1) % 3]!)), i32x4(turn)));
    }
    return mul(op('f32x4.convert_i32x4_s', shifted('i32x4.shr_u', get(a), 8)), f32x4(2 ** -24));
  });
}

const rotations = [13, 15, 26, 6, 17, 29, 16, 24] as const;

/** Bits of each lane turned to the left; by whole bytes in one instruction. */
function rotated(x: Local, bits: number): Expression {
  if (bits % 8 !== 0) return or(shifted('i32x4.shl', get(x), bits), shifted('i32x4.shr_u', get(x), 32 - bits));
  const bytes = [0, 1, 2, 3].flatMap(number => [0, 1, 2, 3].map(byte => number * 4 + ((byte + 4 - bits / 8) % 4)));
  return { kind: 'shuffle', bytes, operands: [get(x), get(x)] };
}
