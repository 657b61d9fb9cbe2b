/** Evaluation of a program on rows of data: the mean of the loss and of each metric over all rows. Works on any platform. */
import { DataError } from './data-error.ts';
import { openDevice } from './device.ts';
import type { CompiledProgram, Entry, Stage } from './program.ts';
import type { RowSet } from './row-set.ts';
import { rowLoader } from './row-set.ts';
import { viewOf } from './tensor.ts';

export type Results = Record<string, number>;

/** The mean of every result over the rows of `set`; null for a model without inputs. */
export const evaluateStage = async (program: CompiledProgram, stage: Stage, set: RowSet | null): Promise<Results> => evaluator(program, stage, set)();

/** A function that evaluates all rows of `set`: whole batches, then the remaining rows one by one, each result weighted by its rows. */
export function evaluator(program: CompiledProgram, stage: Stage, set: RowSet | null): () => Promise<Results> {
  const { device } = program;
  const { evaluate, evaluateRow } = stage;
  if (evaluate === null) throw new DataError(`the model \`${stage.model}\` has no loss to evaluate: add \`loss = …\` to it`);
  const names = evaluate.results.map(result => result.name);
  const sums = new Float64Array(names.length);
  const load = set === null ? null : rowLoader(program, set, evaluate.inputs);
  const rows = set === null ? evaluate.rows : set.count;
  const batchViews = evaluate.results.map(result => viewOf(program.memory, result));
  const rowViews = evaluateRow === null ? [] : evaluateRow.results.map(result => viewOf(program.memory, result));
  const seed = new Int32Array(program.memory, program.scalars.seed, 1);
  /** Runs of a device whose results were not asked for yet. */
  let pending = 0;
  const takeRecent = async (entry: Entry): Promise<void> => {
    const values = await device!.recent(entry, pending);
    for (let i = 0; i < values.length; i++) sums[i % names.length]! += values[i]! * entry.rows;
    pending = 0;
  };
  const runOn = (entry: Entry, views: typeof batchViews, from: number): Promise<void> | null => {
    if (load !== null) for (let slot = 0; slot < entry.rows; slot++) load(from + slot, slot);
    entry.run();
    // The next run draws other random numbers; the step stays, of which a loss may be made.
    seed[0]!++;
    if (device !== null) return ++pending === device.window ? takeRecent(entry) : null;
    for (let i = 0; i < names.length; i++) sums[i]! += views[i]![0]! * entry.rows;
    return null;
  };
  return async () => {
    await openDevice(program);
    sums.fill(0);
    const seedBefore = seed[0]!;
    let row = 0;
    for (; row + evaluate.rows <= rows; row += evaluate.rows) {
      const taking = runOn(evaluate, batchViews, row);
      if (taking !== null) await taking;
    }
    if (pending > 0) await takeRecent(evaluate);
    if (row < rows && evaluateRow === null) {
      throw new DataError(`${rows} rows cannot be evaluated in batches of ${evaluate.rows}: use a multiple of ${evaluate.rows} rows`);
    }
    for (; row < rows; row++) {
      const taking = runOn(evaluateRow!, rowViews, row);
      if (taking !== null) await taking;
    }
    if (pending > 0) await takeRecent(evaluateRow!);
    seed[0] = seedBefore;
    return Object.fromEntries(names.map((name, i) => [name, sums[i]! / rows]));
  };
}
