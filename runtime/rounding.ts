/** Rounding to half-precision floats, to nearest with ties to even, straight from double precision; and their bit patterns. */

/** The nearest IEEE 754 binary16 value: 11 significant bits, largest 65504. */
export function roundToHalf(x: number): number {
  const magnitude = Math.abs(x);
  if (!(magnitude < 65520)) return x * Infinity;
  // Adding 1.5 · 2^52 units in the last place makes the addition itself round to whole units, ties to even.
  const exponent = Math.max(31 - Math.clz32(magnitude * 16384), 0);
  const shift = (1 << exponent) * 402653184;
  const rounded = x + shift - shift;
  return rounded === 0 ? x * 0 : rounded;
}

/** The nearest bfloat16 value: 8 significant bits, the exponents of binary32. */
export function roundToBfloat16(x: number): number {
  const magnitude = Math.abs(x);
  if (magnitude < 1.1754943508222875e-38) {
    const shift = 1.5 * 2 ** -81;
    const rounded = x + shift - shift;
    return rounded === 0 ? x * 0 : rounded;
  }
  bfloat16Value[0] = x;
  const low = bfloat16Words[0]!;
  const high = bfloat16Words[1]! | (low !== 0 ? 1 : 0);
  if (!(magnitude < Infinity)) return x;
  bfloat16Words[0] = 0;
  bfloat16Words[1] = (high + 0xfff + ((high >>> 13) & 1)) & 0xffffe000;
  const rounded = bfloat16Value[0]!;
  return Math.abs(rounded) > 3.4e38 ? x * Infinity : rounded;
}

/** Where `roundToBfloat16` looks at the bits of a double. */
export const bfloat16Value = new Float64Array(1);
export const bfloat16Words = new Uint32Array(bfloat16Value.buffer);

/** The value of a binary16 bit pattern. */
export function halfFromBits(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25));
}

/** The binary16 bit pattern of a value that `roundToHalf` gave. */
export function halfToBits(value: number): number {
  const magnitude = Math.abs(value);
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  if (Number.isNaN(value)) return 0x7e00;
  if (magnitude === Infinity) return sign | 0x7c00;
  if (magnitude < 2 ** -14) return sign | (magnitude * 2 ** 24);
  const exponent = 31 - Math.clz32(magnitude * 16384);
  return sign | (((exponent + 1) << 10) + magnitude / 2 ** (exponent - 24) - 1024);
}

/** The value of a bfloat16 bit pattern. */
export function bfloat16FromBits(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 7) & 255;
  const fraction = bits & 127;
  if (exponent === 255) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (exponent === 0 ? fraction * 2 ** -133 : (128 + fraction) * 2 ** (exponent - 134));
}
