/** Views of a program's memory as typed arrays, and the arithmetic of shapes. Works on any platform. */
import type { DType, TensorPlace } from './program.ts';

export type TensorArray = Float32Array | Int32Array | Uint8Array;

export const elementCount = (shape: readonly number[]): number => shape.reduce((product, extent) => product * extent, 1);

export const showShape = (shape: readonly number[]): string => `[${shape.slice(0, 16).join(', ')}${shape.length > 16 ? ', …' : ''}]`;

export const sameShape = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((extent, i) => extent === b[i]);

/** The elements of a tensor, not a copy. */
export function viewOf(memory: ArrayBuffer, place: TensorPlace): TensorArray {
  const count = elementCount(place.shape);
  switch (place.dtype) {
    case 'u8':
    case 'bool':
      return new Uint8Array(memory, place.offset, count);
    case 'i32':
      return new Int32Array(memory, place.offset, count);
    case 'f32':
    case 'f16':
    case 'bf16':
      return new Float32Array(memory, place.offset, count);
    default:
      return place.dtype satisfies never;
  }
}

/** An array of the kind in which tensors of this dtype are held. */
export function newTensorArray(dtype: DType, count: number): TensorArray {
  if (dtype === 'u8' || dtype === 'bool') return new Uint8Array(count);
  return dtype === 'i32' ? new Int32Array(count) : new Float32Array(count);
}
