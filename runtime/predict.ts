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
  if (predict === null) throw new DataError(`the model \`${stage.model}\` has no output to predict: add \`output name = …\` to it`);
  const load = set === null ? null : rowLoader(program, set, predict.inputs);
  const rows = set === null ? predict.rows : set.count;
  const rowSizes = predict.results.map(result => outputRowSize(stage, predict, result.shape));
  const collected = predict.results.map((result, i) => newTensorArray(result.dtype, rows * rowSizes[i]!));
  const batchViews = predict.results.map(result => viewOf(program.memory, result));
  const rowViews = predictRow === null ? [] : predictRow.results.map(result => viewOf(program.memory, result));
  const runOn = (entry: Entry, from: number): void => {
    if (load !== null) for (let slot = 0; slot < entry.rows; slot++) load(from + slot, slot);
    entry.run();
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
  return Object.fromEntries(predict.results.map((result, i) => [result.name, collected[i]!]));
}

/** Values of one row of an output, whose first dimension is the batch. */
export function outputRowSize(stage: Stage, predict: Entry, shape: readonly number[]): number {
  if (stage.batched && shape[0] !== predict.rows) {
    throw new DataError(`an output of the shape [${shape.join(', ')}] has no value for each of the ${predict.rows} rows of a batch: `
      + 'make the batch its first dimension');
  }
  return elementCount(rowShapeOf({ shape }, stage.batched));
}
