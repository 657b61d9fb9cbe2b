/** The rows of a program's `data` block, for training and for tests, out of the bytes of its files. Works on any platform. */
import type { ByteSource } from './bytes.ts';
import type { Classes } from './csv.ts';
import { DataError } from './data-error.ts';
import type { CompiledProgram, DataSettings } from './program.ts';
import { permute, splitStream } from './random.ts';
import type { ProgramData, RowSet } from './row-set.ts';
import { checkColumns, rowSetOf } from './row-set.ts';

/**
 * Nothing when the model has no `data` block. `open` gives a file's bytes; fields of one file share them. `classes` comes to hold the
 * texts of categorical fields, by input.
 */
export function rowsOfSources(program: CompiledProgram, open: (file: string) => ByteSource, classes: Map<string, Classes>): ProgramData {
  const { data } = program;
  if (data === null) return { train: null, test: null };
  const rowsOf = (name: string): RowSet | null => {
    const source = data.sources.find(other => other.name === name);
    if (source === undefined) return null;
    const files = new Map<string, ByteSource>();
    const openOnce = (file: string): ByteSource => {
      const bytes = files.get(file) ?? open(file);
      files.set(file, bytes);
      return bytes;
    };
    const columns = program.readers[source.format]!(source, openOnce, !program.batched, classes);
    checkColumns(columns, program.inputs, program.batched);
    return rowSetOf(columns);
  };
  // Training rows first: they number the classes of texts for both.
  const train = rowsOf('train');
  const test = rowsOf('test');
  return train === null || test !== null ? { train, test } : splitRows(train, data, program.settings.seed);
}

/**
 * Test rows out of the training rows: the last ones (`hold_out`), or a share chosen at random (`split`). The choice depends on the
 * seed in the model's file alone, so that an evaluation never meets rows that a run with another `--seed` was trained on.
 */
export function splitRows(rows: RowSet, data: DataSettings, seed: number): ProgramData {
  if (data.split === null && data.holdOut === null) return { train: rows, test: null };
  const kept = data.holdOut !== null ? rows.count - data.holdOut : Math.round(rows.count * data.split!);
  if (kept < 1 || kept >= rows.count) {
    const what = data.holdOut !== null ? `\`hold_out\` (${data.holdOut})` : `\`split\` (${data.split})`;
    throw new DataError(`${what} leaves no rows for ${kept < 1 ? 'training' : 'tests'}: the data has ${rows.count} rows`);
  }
  const order = Uint32Array.from({ length: rows.count }, (_, row) => row);
  if (data.holdOut === null && data.shuffle) permute(order, seed, splitStream, 0);
  return {
    train: { columns: rows.columns, count: kept, selection: order.slice(0, kept) },
    test: { columns: rows.columns, count: rows.count - kept, selection: order.slice(kept) },
  };
}
