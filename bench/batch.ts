/**
 * One batch and first weights for a program, written as files that every peer reads: random numbers that depend on nothing but
 * their place, so that all of them train the same model from the same start on the same rows.
 */
import { join } from 'node:path';
import type { Model } from '../compiler/ir/model.ts';
import type { Program } from '../compiler/ir/program.ts';
import { writeWhole } from '../runtime/files.ts';
import { npyBytes } from '../runtime/npy.ts';
import { benchStream, random } from '../runtime/random.ts';
import { elementCount, newTensorArray } from '../runtime/tensor.ts';
import { writeSafetensors } from '../runtime/weights-file.ts';

/** The seed in the models of this folder. */
const seed = 1;
/** The runtime and models use none near it. */
const weightStream = 0x7ffffe00;

/** The file of initial weights; each input has a file of its own, `<input>.npy`. */
export const weightsFile = 'weights.safetensors';

/** Whole numbers as a program's own measurement fills them in: bytes, or classes below their number. */
export function writeBatch(model: Model, program: Program, folder: string): void {
  const fields = model.data!.sources.flatMap(source => source.fields);
  program.inputs.forEach(({ name, dtype, shape }, stream) => {
    const limit = fields.find(field => field.input === name)?.below ?? 256;
    const values = newTensorArray(dtype, elementCount(shape));
    for (let i = 0; i < values.length; i++) values[i] = Math.floor(random(seed, benchStream + stream, 0, i) * limit);
    writeWhole(join(folder, `${name}.npy`), [npyBytes(values, dtype, shape)]);
  });
}

/** Uniform within 0.1 around 0, or around 1 where a normalisation multiplies by them. */
export function writeFirstWeights(program: Program, folder: string): void {
  const weights = program.parameters.map(({ name, shape }, stream) => {
    const middle = /norm(\.\d+)?\.weight$/.test(name) ? 1 : 0;
    const values = new Float32Array(elementCount(shape));
    for (let i = 0; i < values.length; i++) values[i] = middle + 0.2 * random(seed, weightStream + stream, 0, i) - 0.1;
    return { name, dtype: 'f32' as const, shape, values };
  });
  writeSafetensors(join(folder, weightsFile), weights, { format: 'pt' });
}
