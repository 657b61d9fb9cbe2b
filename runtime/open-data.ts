/** Opens the files of a program's `data` block: rows for training and for tests, matched to the inputs. Uses node: modules. */
import type { ByteSource } from './bytes.ts';
import type { Classes } from './csv.ts';
import { DataError } from './data-error.ts';
import { dataPath, openBytes, wholeFileLimit } from './files.ts';
import type { CompiledProgram, DataSettings, DataSource } from './program.ts';
import { permute, splitStream } from './random.ts';
import type { ProgramData, RowSet } from './row-set.ts';
import { checkColumns, rowSetOf } from './row-set.ts';
import type { Column } from './stored-tensor.ts';

/** The data in `folder`; nothing when the model has no `data` block. Files larger than `limit` are not read whole, but row by row. */
export function openData(program: CompiledProgram, folder: string, limit: number = wholeFileLimit): ProgramData {
  const { data } = program;
  if (data === null) return { train: null, test: null };
  const classes = new Map<string, Classes>();
  const open = (name: string): RowSet | null => {
    const source = data.sources.find(other => other.name === name);
    if (source === undefined) return null;
    const columns = openSource(program, source, folder, limit, classes);
    checkColumns(columns, program.inputs, program.batched);
    return rowSetOf(columns);
  };
  // Training rows first: they number the classes of texts for both.
  const train = open('train');
  const test = open('test');
  return train === null || test !== null ? { train, test } : splitRows(train, data, program.settings.seed);
}

/** Fields of one file share its bytes. */
export function openSource(program: CompiledProgram, source: DataSource, folder: string, limit: number, classes: Map<string, Classes>): Column[] {
  const files = new Map<string, ByteSource>();
  const open = (file: string): ByteSource => {
    const bytes = files.get(file) ?? openBytes(dataPath(folder, file), file, limit);
    files.set(file, bytes);
    return bytes;
  };
  return program.readers[source.format]!(source, open, !program.batched, classes);
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
