/** The weights and inputs of a batch that batch.ts wrote, out of the bytes of its files. Works in Node and in pages. */
import type { ByteSource } from '../runtime/bytes.ts';
import { readNpy } from '../runtime/npy.ts';
import { readSafetensors } from '../runtime/safetensors.ts';
import { readTensor } from '../runtime/stored-tensor.ts';
import { elementCount } from '../runtime/tensor.ts';

export interface Weight {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: Float32Array<ArrayBuffer>;
}

export interface Input {
  readonly shape: readonly number[];
  readonly values: Int32Array<ArrayBuffer>;
}

export function weightsOf(bytes: ByteSource): readonly Weight[] {
  return [...readSafetensors(bytes).tensors].map(([name, stored]) => {
    const values = new Float32Array(elementCount(stored.shape));
    readTensor(stored, values, 'f32');
    return { name, shape: stored.shape, values };
  });
}

export function inputOf(bytes: ByteSource): Input {
  const stored = readNpy(bytes);
  const values = new Int32Array(elementCount(stored.shape));
  readTensor(stored, values, 'i32');
  return { shape: stored.shape, values };
}
