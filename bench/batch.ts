/**
 * One batch and first weights for a program, written as files that every rival reads: random numbers that depend on nothing but
 * their place, so that all of them train the same model from the same start on the same rows.
 */
import { join } from 'node:path';
import type { Program } from '../compiler/ir/program.ts';
import { writeWhole } from '../runtime/files.ts';
import { npyBytes } from '../runtime/npy.ts';
import { benchStream, random } from '../runtime/random.ts';
import { elementCount, newTensorArray } from '../runtime/tensor.ts';
import { writeSafetensors } from '../runtime/weights.ts';

/** The seed in the models of this folder. */
const seed = 1;
/** The runtime and models use none near it. */
const weightStream = 0x7ffffe00;

/** What the models' inputs of i32 count. */
const classes = 10;

/** The file of initial weights; each input has a file of its own, `<input>.npy`. */
export const weightsFile = 'weights.safetensors';

/** Inputs are those that a program's own measurement fills in; weights are uniform from -0.1 to 0.1. */
export function writeBatch(program: Program, folder: string): void {
  program.inputs.forEach(({ name, dtype, shape }, stream) => {
    const limit = dtype === 'u8' ? 256 : classes;
    const values = newTensorArray(dtype, elementCount(shape));
    for (let i = 0; i < values.length; i++) values[i] = Math.floor(random(seed, benchStream + stream, 0, i) * limit);
    writeWhole(join(folder, `${name}.npy`), [npyBytes(values, dtype, shape)]);
  });
  const weights = program.parameters.map(({ name, shape }, stream) => {
    const values = new Float32Array(elementCount(shape));
    for (let i = 0; i < values.length; i++) values[i] = 0.2 * random(seed, weightStream + stream, 0, i) - 0.1;
    return { name, dtype: 'f32' as const, shape, values };
  });
  writeSafetensors(join(folder, weightsFile), weights, { format: 'pt' });
}
