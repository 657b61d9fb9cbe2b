/**
 * Scalar functions that the f64 oracles need and the platform lacks: erf, rounding to half-precision formats, and the
 * counter-based random numbers. Independent of what backends and the runtime do for the same instructions.
 */
import type { DType } from './type.ts';

/** erf(x) = 2/√π · exp(−x²) · Σ 2ⁿ x²ⁿ⁺¹ / (2n+1)!! (Abramowitz & Stegun 7.1.6); all terms have one sign, so nothing cancels. */
export function erf(x: number): number {
  if (Number.isNaN(x)) return x;
  if (Math.abs(x) > 6) return Math.sign(x);
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

/** The value that a number has after conversion to a dtype. f32 stays in double precision: the oracles are exact. */
export function convert(x: number, dtype: DType): number {
  switch (dtype) {
    case 'f32': return x;
    case 'f16': return roundToBinary(x, 11, -14, 65504);
    case 'bf16': return roundToBinary(x, 8, -126, 2 ** 127 * (2 - 2 ** -7));
    case 'i32': return Math.trunc(x) | 0;
    case 'u8': return Math.trunc(x) & 255;
    case 'bool': return x === 0 ? 0 : 1;
    default: return dtype satisfies never;
  }
}

/** Rounds to `precision` significant bits, ties to even, with gradual underflow below 2^minimum and infinity above `largest`. */
function roundToBinary(x: number, precision: number, minimum: number, largest: number): number {
  if (!Number.isFinite(x) || x === 0) return x;
  const exponent = Math.max(Math.floor(Math.log2(Math.abs(x))), minimum);
  const unit = 2 ** (exponent - precision + 1);
  const scaled = x / unit;
  const floor = Math.floor(scaled);
  const rest = scaled - floor;
  const rounded = (rest > 0.5 || (rest === 0.5 && floor % 2 !== 0) ? floor + 1 : floor) * unit;
  return Math.abs(rounded) > largest ? Math.sign(rounded) * Infinity : rounded;
}

/** Uniform in [0, 1) with 24 bits: the first word of Threefry under key (seed, stream) at counter (index, step). */
export const uniform = (seed: number, stream: number, step: number, index: number): number =>
  (threefry([seed, stream], [index, step])[0] >>> 8) * 2 ** -24;

/** Threefry-2x32 with 20 rounds (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"). Words are unsigned. */
export function threefry(key: readonly [number, number], counter: readonly [number, number]): readonly [number, number] {
  const keys = [key[0] >>> 0, key[1] >>> 0, (0x1bd11bda ^ key[0] ^ key[1]) >>> 0] as const;
  const rotations = [13, 15, 26, 6, 17, 29, 16, 24] as const;
  let x = (counter[0] + keys[0]) >>> 0;
  let y = (counter[1] + keys[1]) >>> 0;
  for (let round = 0; round < 20; round++) {
    const rotation = rotations[round % 8]!;
    x = (x + y) >>> 0;
    y = (((y << rotation) | (y >>> (32 - rotation))) ^ x) >>> 0;
    if (round % 4 !== 3) continue;
    const injection = (round + 1) / 4;
    x = (x + keys[injection % 3]!) >>> 0;
    y = (y + keys[(injection + 1) % 3]! + injection) >>> 0;
  }
  return [x, y];
}
