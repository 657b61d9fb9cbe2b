/**
 * Random numbers without state: Threefry-2x32 with 20 rounds (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as
 * 1, 2, 3", 2011) maps (seed, stream, step, index) to 32 bits. The same numbers come out on every target and in every order of
 * evaluation, so that a backward pass computes a dropout mask again instead of storing it.
 */

/** Uniform in [0, 1), a multiple of 2^-24: exact as a 4-byte float. */
export function random(seed: number, stream: number, step: number, index: number): number {
  return (randomBits(seed, stream, step, index) >>> 8) * 5.9604644775390625e-8;
}

/**
 * The first word of Threefry-2x32-20 with key (seed, stream) and counter (index, step), as a signed whole number of 32 bits. Four
 * rounds a turn: twenty in a row are too long for engines to inline.
 */
export function randomBits(seed: number, stream: number, step: number, index: number): number {
  let key = seed | 0;
  let next = stream | 0;
  let last = 0x1bd11bda ^ seed ^ stream;
  let a = (index + key) | 0;
  let b = (step + next) | 0;
  for (let turn = 1; turn <= 5; turn++) {
    if ((turn & 1) === 1) {
      a = (a + b) | 0; b = ((b << 13) | (b >>> 19)) ^ a;
      a = (a + b) | 0; b = ((b << 15) | (b >>> 17)) ^ a;
      a = (a + b) | 0; b = ((b << 26) | (b >>> 6)) ^ a;
      a = (a + b) | 0; b = ((b << 6) | (b >>> 26)) ^ a;
    } else {
      a = (a + b) | 0; b = ((b << 17) | (b >>> 15)) ^ a;
      a = (a + b) | 0; b = ((b << 29) | (b >>> 3)) ^ a;
      a = (a + b) | 0; b = ((b << 16) | (b >>> 16)) ^ a;
      a = (a + b) | 0; b = ((b << 24) | (b >>> 8)) ^ a;
    }
    a = (a + next) | 0;
    b = (b + last + turn) | 0;
    const first = key;
    key = next;
    next = last;
    last = first;
  }
  return a;
}

/** Streams of the runtime itself; those of a model's operators are hashes of their paths. */
export const shuffleStream = 0x7fffff01;
export const splitStream = 0x7fffff02;
export const benchStream = 0x7fffff03;
export const generateStream = 0x7fffff04;

/** Fills `order` with a permutation of 0 … length-1 (Fisher and Yates), a function of (seed, stream, turn) alone. */
export function permute(order: Uint32Array, seed: number, stream: number, turn: number): void {
  for (let i = 0; i < order.length; i++) order[i] = i;
  for (let i = order.length - 1; i > 0; i--) {
    const j = Math.floor(((randomBits(seed, stream, turn, i) >>> 0) / 4294967296) * (i + 1));
    const other = order[j]!;
    order[j] = order[i]!;
    order[i] = other;
  }
}
