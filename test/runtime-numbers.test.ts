/** Known answers and exhaustive checks of the numeric helpers that kernels call. */
import { expect, test } from 'vitest';
import { erf } from '../runtime/erf.ts';
import { permute, random, randomBits } from '../runtime/random.ts';
import { bfloat16FromBits, halfFromBits, halfToBits, roundToBfloat16, roundToHalf } from '../runtime/rounding.ts';

test('threefry gives the known answers of Random123', () => {
  expect(randomBits(0, 0, 0, 0)).toBe(0x6b200159);
  expect(randomBits(-1, -1, -1, -1)).toBe(0x1cb996fc);
  expect(randomBits(0x13198a2e, 0x03707344, 0x85a308d3, 0x243f6a88)).toBe(0xc4923a9c | 0);
  expect(random(0, 0, 0, 0)).toBe((0x6b200159 >>> 8) / 2 ** 24);
});

test('permutations hold every row once and depend on seed and turn', () => {
  const orders = [[1, 0], [1, 1], [2, 0], [1, 0]].map(([seed, turn]) => {
    const order = new Uint32Array(100);
    permute(order, seed!, 5, turn!);
    return order;
  });
  for (const order of orders) expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, i) => i));
  expect(orders[0]).toEqual(orders[3]);
  expect(orders[0]).not.toEqual(orders[1]);
  expect(orders[0]).not.toEqual(orders[2]);
});

test('erf agrees with its power series in fixed point', () => {
  const bits = 320n;
  const twoOverRootPi = 1.1283791670955126;
  const series = (x: number): number => {
    // x is a multiple of 1/64; the constant enters last, in double precision.
    const fixed = (BigInt(x * 64) << bits) / 64n;
    const square = (fixed * fixed) >> bits;
    let power = fixed;
    let sum = 0n;
    for (let n = 0n; n < 300n; n++) {
      sum += power / (2n * n + 1n);
      power = -((power * square) >> bits) / (n + 1n);
    }
    return twoOverRootPi * (Number(sum >> (bits - 80n)) / 2 ** 80);
  };
  for (let x = -6.5; x <= 6.5; x += 1 / 64) expect(Math.abs(erf(x) - series(x))).toBeLessThan(4e-16);
  expect([erf(0), erf(Infinity), erf(-Infinity), erf(NaN), erf(-0)]).toEqual([0, 1, -1, NaN, -0]);
});

/** Nearest of two neighbours by brute force, ties to the even bit pattern. */
const nearest = (x: number, lowBits: number, value: (bits: number) => number): number => {
  const [low, high] = [value(lowBits), value(lowBits + 1)];
  if (x - low === high - x) return lowBits % 2 === 0 ? low : high;
  return x - low < high - x ? low : high;
};

test.each([
  ['half', roundToHalf, halfFromBits, 0x7bff],
  ['bfloat16', roundToBfloat16, bfloat16FromBits, 0x7f7f],
] as const)('%s: every value, every tie and both sides of it round to the nearest, ties to even', (_, round, value, largest) => {
  for (let bits = 0; bits < largest; bits++) {
    const [low, high] = [value(bits), value(bits + 1)];
    const middle = low + (high - low) / 2;
    for (const x of [low, middle, middle * (1 - 2 ** -50), middle * (1 + 2 ** -50)]) {
      if (round(x) !== nearest(x, bits, value) || round(-x) !== -nearest(x, bits, value)) throw new Error(`${x} of ${bits.toString(16)}`);
    }
  }
  const top = value(largest);
  const step = top - value(largest - 1);
  expect([round(top), round(top + step * 0.49), round(top + step / 2), round(-Infinity)]).toEqual([top, top, Infinity, -Infinity]);
  expect([round(NaN), Object.is(round(-0), -0)]).toEqual([NaN, true]);
});

test('half bit patterns survive a round trip', () => {
  for (let bits = 0; bits < 65536; bits++) {
    const value = halfFromBits(bits);
    if (!Number.isNaN(value) && halfToBits(value) !== bits) throw new Error(bits.toString(16));
  }
});
