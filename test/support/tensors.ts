/** Tensors for tests: types read from a sample's text, values drawn reproducibly, comparison with a message that tells the place. */
import type { Tensor } from '../../compiler/ops/define.ts';
import { dim, dtypes, isFloat, shapeOf, size, tensor, type DType, type TensorType } from '../../compiler/ir/type.ts';

/** `f32[2, 3]`, `i32[4]`, `bool[]`, or `[2, 3]` for f32. */
export function readType(text: string): TensorType {
  const match = /^(\w*)\[([\d, ]*)\]$/.exec(text);
  const dtype = (match?.[1] || 'f32') as DType;
  if (match === null || !dtypes.includes(dtype)) throw new Error(`not a type: ${text}`);
  return tensor(dtype, match[2]!.split(',').filter(part => part.trim() !== '').map(part => dim(Number(part))));
}

/** Uniform in [0, 1), the same sequence for the same seed (mulberry32). */
export function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Drawn from a domain; whole numbers, both ends included, for what is not floating-point. */
export function draw(type: TensorType, [low, high]: readonly [number, number], next: () => number): Tensor {
  const shape = shapeOf(type);
  const value = (): number => (isFloat(type.dtype) ? low + (high - low) * next() : Math.floor(low + (high - low + 1) * next()));
  return { dtype: type.dtype, shape, data: Float64Array.from({ length: size(shape) }, value) };
}

/** The first place where two tensors differ by more than `tolerance`, relative to the values and to 1; null when there is none. */
export function difference(actual: Tensor, expected: Tensor, tolerance: number): string | null {
  if (actual.dtype !== expected.dtype || actual.shape.join() !== expected.shape.join()) {
    return `${actual.dtype}[${actual.shape.join(', ')}] instead of ${expected.dtype}[${expected.shape.join(', ')}]`;
  }
  const at = expected.data.findIndex((value, i) => !(Math.abs(actual.data[i]! - value) <= tolerance * (1 + Math.abs(value))) && !Object.is(actual.data[i], value));
  return at < 0 ? null : `element ${at} is ${actual.data[at]!} instead of ${expected.data[at]!}`;
}
