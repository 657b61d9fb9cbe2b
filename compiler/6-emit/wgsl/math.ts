/**
 * Functions that WGSL lacks, or has only to a few digits, as text: for single values, and under names that end in `_4` for vectors of
 * four. Polynomials and errors are those of docs/numerics.md; nothing here relies on NaN, on Infinity or on the order of a sum.
 */

interface MathFunction {
  /** The text, in which T, I, U and B stand for the types of floats, whole numbers, unsigned numbers and truth values. */
  readonly text: string;
  /** Other functions that it calls. */
  readonly calls: readonly string[];
}

/** Σ coefficients[i]·xⁱ. */
const horner = (x: string, coefficients: readonly number[]): string =>
  coefficients.map(value => `T(${literal(value)})`).reduceRight((sum, coefficient) => `fma(${x}, ${sum}, ${coefficient})`);
const literal = (value: number): string => `${/[.e]/.test(String(value)) ? String(value).replace('e+', 'e') : `${value}.0`}f`;

const functions: Readonly<Record<string, MathFunction>> = {
  // log x = e·ln 2 + log(1 + v) where x = 2ᵉ·(1 + v) and √½ ≤ 1 + v < √2.
  log_of: {
    calls: [],
    text: `fn log_of(x: T) -> T {
  let small = x < T(1.1754944e-38f);
  let bits = bitcast<I>(select(x, x * T(8388608.0f), small));
  let exponent = (bits - I(0x3f3504f3)) >> U(23u);
  let v = bitcast<T>(bits - (exponent << U(23u))) - T(1.0f);
  let e = T(exponent) - select(T(0.0f), T(23.0f), small);
  let square = v * v;
  let tail = square * v * ${horner('v', [0.333333313, -0.250008196, 0.200012282, -0.166233599, 0.142017469, -0.131601512, 0.127616331, -0.076346375])};
  let rest = fma(e, T(-2.12194440e-4f), tail) - square * T(0.5f);
  let finite = fma(e, T(0.693359375f), v + rest);
  return select(select(finite, log(x), x > T(3.4028234e38f)), T(-3.4028234e38f), x <= T(0.0f));
}`,
  },
  // x + x³·P(x²) near 0, else 1 − 2 / (e²ᵃ + 1) for a = |x|.
  tanh_of: {
    calls: [],
    text: `fn tanh_of(x: T) -> T {
  let a = min(abs(x), T(9.02f));
  let z = a * a;
  let near = fma(a * z, ${horner('z', [-0.333332807, 0.133313835, -0.0537340045, 0.0206181351, -0.00567931682])}, a);
  let far = T(1.0f) - T(2.0f) / (exp(a + a) + T(1.0f));
  return select(far, near, a < T(0.625f)) * sign(x);
}`,
  },
  // x + x·P(x²) near 0, else 1 − exp(Q(a)) for a = |x|.
  erf_of: {
    calls: [],
    text: `fn erf_of(x: T) -> T {
  let a = min(abs(x), T(3.93f));
  let z = a * a;
  let near = fma(a, ${horner('z', [0.128379151, -0.376125574, 0.112825245, -0.0267939549, 0.00503587164, -0.000622241932])}, a);
  let far = T(1.0f) - exp(${horner('a', [-0.00165324344, -1.12101364, -0.649578154, -0.0919294581, 0.0158571526, -0.00128822646])});
  return select(far, near, a < T(0.875f)) * sign(x);
}`,
  },
  // x = n·π/2 + r with |r| ≤ π/4, π/2 in three parts; the last two bits of n + turn tell between ±sin r and ±cos r.
  wave: {
    calls: [],
    text: `fn wave(x: T, turn: I) -> T {
  let n = round(x * T(0.63661977f));
  let r = fma(n, T(-7.5497894e-8f), fma(n, T(-4.8375130e-4f), fma(n, T(-1.5703125f), x)));
  let z = r * r;
  let sine = fma(r * z, ${horner('z', [-0.16666666, 0.0083333294, -0.00019839329, 2.7182555e-6])}, r);
  let cosine = fma(z, ${horner('z', [-0.5, 0.041666622, -0.0013886758, 2.4389834e-5])}, T(1.0f));
  let quadrant = I(n) + turn;
  let value = select(sine, cosine, (quadrant & I(1)) == I(1));
  return select(value, -value, (quadrant & I(2)) == I(2));
}`,
  },
  sin_of: { calls: ['wave'], text: 'fn sin_of(x: T) -> T {\n  return wave(x, I(0));\n}' },
  cos_of: { calls: ['wave'], text: 'fn cos_of(x: T) -> T {\n  return wave(x, I(1));\n}' },
  // The power of |x|; minus that where x is negative and y odd. Zeros and exponents of 0 apart.
  pow_of: {
    calls: [],
    text: `fn pow_of(x: T, y: T) -> T {
  let a = abs(x);
  let power = pow(max(a, T(1.1754944e-38f)), y);
  let half = y * T(0.5f);
  let odd = (floor(y) == y) & (floor(half) != half);
  let signed = select(power, -power, (x < T(0.0f)) & odd);
  let zero = select(T(3.4028234e38f), T(0.0f), y > T(0.0f));
  return select(select(signed, zero, a == T(0.0f)), T(1.0f), y == T(0.0f));
}`,
  },
  // The remainder with the sign of the divisor; a quotient that was rounded to the next whole number is corrected.
  mod_of: {
    calls: [],
    text: `fn mod_of(a: T, b: T) -> T {
  let r = fma(-floor(a / b), b, a);
  let wrong = (r != T(0.0f)) & ((r < T(0.0f)) != (b < T(0.0f)));
  return select(r, r + b, wrong);
}`,
  },
  mod_of_whole: {
    calls: [],
    text: `fn mod_of_whole(a: I, b: I) -> I {
  let r = a % b;
  let wrong = (r != I(0)) & ((r < I(0)) != (b < I(0)));
  return select(r, r + b, wrong);
}`,
  },
  // To nearest, ties to even: 11 significant bits, below 2⁻¹⁴ in units of 2⁻²⁴.
  to_f16: {
    calls: [],
    text: `fn to_f16(x: T) -> T {
  let bits = bitcast<U>(x);
  let rounded = bitcast<T>((bits + U(0xfffu) + ((bits >> U(13u)) & U(1u))) & U(0xffffe000u));
  return select(rounded, round(x * T(16777216.0f)) * T(5.9604645e-8f), abs(x) < T(6.1035156e-5f));
}`,
  },
  to_bf16: {
    calls: [],
    text: `fn to_bf16(x: T) -> T {
  let bits = bitcast<U>(x);
  return bitcast<T>((bits + U(0x7fffu) + ((bits >> U(16u)) & U(1u))) & U(0xffff0000u));
}`,
  },
  // The first word of Threefry-2x32-20 with key (seed, stream) and counter (index, step), its upper 24 bits as a float in [0, 1).
  random: { calls: [], text: threefry() },
};

function threefry(): string {
  const rotations = [13, 15, 26, 6, 17, 29, 16, 24];
  const keys = ['k0', 'k1', 'k2'];
  const lines = [
    'let k0 = bitcast<U>(seed);', 'let k1 = bitcast<U>(stream);', 'let k2 = k0 ^ k1 ^ U(0x1bd11bdau);',
    'var a = bitcast<U>(index) + k0;', 'var b = bitcast<U>(step) + k1;',
  ];
  for (let round = 0; round < 20; round++) {
    const rotation = rotations[round % 8]!;
    lines.push(`a += b; b = ((b << U(${rotation}u)) | (b >> U(${32 - rotation}u))) ^ a;`);
    if (round % 4 !== 3) continue;
    const turn = (round + 1) / 4;
    lines.push(`a += ${keys[turn % 3]!}; b += ${keys[(turn + 1) % 3]!} + U(${turn}u);`);
  }
  return `fn random(seed: I, stream: I, step: I, index: I) -> T {\n${lines.map(text => `  ${text}`).join('\n')}\n  return T(a >> U(8u)) * T(5.9604645e-8f);\n}`;
}

/** The functions that a text calls, and those that they call in turn. */
export function mathIn(text: string): readonly string[] {
  const names = new Set<string>();
  const visit = (name: string): void => {
    const plain = name.replace(/_4$/, '');
    if (!Object.hasOwn(functions, plain) || names.has(name)) return;
    for (const callee of functions[plain]!.calls) visit(`${callee}${name === plain ? '' : '_4'}`);
    names.add(name);
  };
  for (const [, name] of text.matchAll(/\b(\w+)\(/g)) visit(name!);
  return [...names].map(name => {
    const plain = name.replace(/_4$/, '');
    const wide = name !== plain;
    const types: Readonly<Record<string, string>> = { T: 'f32', I: 'i32', U: 'u32', B: 'bool' };
    const { text: body, calls } = functions[plain]!;
    const typed = body.replaceAll(/\b[TIUB]\b/g, letter => (wide ? `vec4<${types[letter]!}>` : types[letter]!));
    return wide ? [plain, ...calls].reduce((text, callee) => text.replaceAll(new RegExp(`\\b${callee}\\(`, 'g'), `${callee}_4(`), typed) : typed;
  });
}
