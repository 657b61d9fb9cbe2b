/** Predictions: any number of rows through a program's batches, the last ones one by one. Works on any platform. */
import { DataError } from './data-error.ts';
import type { CompiledProgram, Entry, Stage } from './program.ts';
import type { RowSet } from './row-set.ts';
import { arrayRows, rowLoader, rowShapeOf } from './row-set.ts';
import type { TensorArray } from './tensor.ts';
import { elementCount, newTensorArray, viewOf } from './tensor.ts';

/** The outputs for rows in typed arrays, `length / row size` of them each. */
export async function predictRows(program: CompiledProgram, stage: Stage, inputs: Readonly<Record<string, TensorArray>>): Promise<Record<string, TensorArray>> {
  return predictSet(program, stage, arrayRows(program, inputs));
}

/** The outputs for every row of `set`, by name, rows one after another. Without a device all is computed before it returns. */
export async function predictSet(program: CompiledProgram, stage: Stage, set: RowSet | null): Promise<Record<string, TensorArray>> {
  const { device } = program;
  const { predict, predictRow } = stage;
  if (predict === null) throw new DataError(`the model \`${stage.model}\` has no output that depends on rows: add \`output name = …\` to it`);
  const load = set === null ? null : rowLoader(program, set, predict.inputs);
  const rows = set === null ? predict.rows : set.count;
  const step = new Int32Array(program.memory, program.scalars.step, 1);
  const stepBefore = step[0]!;
  const rowSizes = predict.results.map(result => outputRowSize(stage, predict, result.shape));
  const collected = predict.results.map((result, i) => newTensorArray(result.dtype, rows * rowSizes[i]!));
  const batchViews = predict.results.map(result => viewOf(program.memory, result));
  const rowViews = predictRow === null ? [] : predictRow.results.map(result => viewOf(program.memory, result));
  const runOn = (entry: Entry, from: number): void => {
    if (load !== null) for (let slot = 0; slot < entry.rows; slot++) load(from + slot, slot);
    entry.run();
    // The next run draws other random numbers.
    step[0]!++;
  };
  const collect = (views: typeof batchViews, from: number): void => {
    for (let i = 0; i < collected.length; i++) collected[i]!.set(views[i]!, from * rowSizes[i]!);
  };
  if (device !== null) await device.open();
  let row = 0;
  for (; row + predict.rows <= rows; row += predict.rows) {
    runOn(predict, row);
    if (device !== null) await device.fetch(predict.results);
    collect(batchViews, row);
  }
  if (row < rows && predictRow === null) {
    throw new DataError(`${rows} rows cannot be predicted in batches of ${predict.rows}: give a multiple of ${predict.rows} rows`);
  }
  for (; row < rows; row++) {
    runOn(predictRow!, row);
    if (device !== null) await device.fetch(predictRow!.results);
    collect(rowViews, row);
  }
  step[0] = stepBefore;
  return Object.fromEntries(predict.results.map((result, i) => [result.name, collected[i]!]));
}

/** The outputs that depend on no input, with the random numbers of a seed. */
export async function predictWithoutRows(program: CompiledProgram, { predictOnce, model, settings }: Stage, seed: number = settings.seed): Promise<Record<string, TensorArray>> {
  const { device, memory, scalars } = program;
  if (predictOnce === null) throw new DataError(`every output of the model \`${model}\` depends on rows: give some`);
  const seedScalar = new Int32Array(memory, scalars.seed, 1);
  const seedBefore = seedScalar[0]!;
  if (device !== null) await device.open();
  seedScalar[0] = seed;
  predictOnce.run();
  seedScalar[0] = seedBefore;
  if (device !== null) await device.fetch(predictOnce.results);
  return Object.fromEntries(predictOnce.results.map(result => [result.name, viewOf(memory, result).slice()]));
}

/** Values of one row of an output, whose first dimension is the batch. */
export function outputRowSize(stage: Stage, predict: Entry, shape: readonly number[]): number {
  if (stage.batched && shape[0] !== predict.rows) {
    throw new DataError(`an output of the shape [${shape.join(', ')}] has no value for each of the ${predict.rows} rows of a batch: `
      + 'make the batch its first dimension');
  }
  return elementCount(rowShapeOf({ shape }, stage.batched));
}
