/** Evaluation of a program on rows of data: the mean of the loss and of each metric over all rows. Works on any platform. */
import { DataError } from './data-error.ts';
import type { CompiledProgram, Entry } from './program.ts';
import type { RowSet } from './row-set.ts';
import { rowLoader } from './row-set.ts';
import { viewOf } from './tensor.ts';

export type Results = Record<string, number>;

/** The mean of every result over the rows of `set`; null for a model without inputs. */
export const evaluateProgram = (program: CompiledProgram, set: RowSet | null): Results => evaluator(program, set)();

/** A function that evaluates all rows of `set`: whole batches, then the remaining rows one by one, each result weighted by its rows. */
export function evaluator(program: CompiledProgram, set: RowSet | null): () => Results {
  const { evaluate, evaluateRow } = program;
  if (evaluate === null) throw new DataError(`the model \`${program.name}\` has no loss to evaluate: add \`loss = …\` to it`);
  const names = evaluate.results.map(result => result.name);
  const sums = new Float64Array(names.length);
  const load = set === null ? null : rowLoader(program, set, evaluate.inputs);
  const rows = set === null ? evaluate.rows : set.count;
  const batchViews = evaluate.results.map(result => viewOf(program.memory, result));
  const rowViews = evaluateRow === null ? [] : evaluateRow.results.map(result => viewOf(program.memory, result));
  const runOn = (entry: Entry, views: typeof batchViews, from: number): void => {
    if (load !== null) for (let slot = 0; slot < entry.rows; slot++) load(from + slot, slot);
    entry.run();
    for (let i = 0; i < names.length; i++) sums[i]! += views[i]![0]! * entry.rows;
  };
  return () => {
    sums.fill(0);
    let row = 0;
    for (; row + evaluate.rows <= rows; row += evaluate.rows) runOn(evaluate, batchViews, row);
    if (row < rows && evaluateRow === null) {
      throw new DataError(`${rows} rows cannot be evaluated in batches of ${evaluate.rows}: use a multiple of ${evaluate.rows} rows`);
    }
    for (; row < rows; row++) runOn(evaluateRow!, rowViews, row);
    return Object.fromEntries(names.map((name, i) => [name, sums[i]! / rows]));
  };
}
