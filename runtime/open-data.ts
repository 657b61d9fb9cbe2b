/** Opens the files of a program's `data` block: rows for training and for tests, matched to the inputs. Uses node: modules. */
import type { ByteSource } from './bytes.ts';
import { DataError } from './data-error.ts';
import { dataPath, listFolder, openBytes, wholeFileLimit } from './files.ts';
import type { CompiledProgram, DataSettings, DataSource } from './program.ts';
import { permute, splitStream } from './random.ts';
import type { ProgramData, RowSet } from './row-set.ts';
import { checkColumns, rowSetOf } from './row-set.ts';
import type { Column } from './stored-tensor.ts';
import type { Classes } from './table.ts';

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
  if (source.fields.length === 0) throw new DataError('the data has no fields');
  const files = new Map<string, ByteSource>();
  const open = (file: string): ByteSource => {
    const bytes = files.get(file) ?? openBytes(dataPath(folder, file), file, limit);
    files.set(file, bytes);
    return bytes;
  };
  const { tokenizers, pictures } = program;
  return program.readers[source.format]!(source, {
    open, whole: !program.batched, classes, tokenizers, pictures, limit,
    load: file => openBytes(dataPath(folder, file), file, limit),
    list: inner => listFolder(dataPath(folder, inner), inner),
  });
}

/**
 * Test rows out of the training rows: the last ones (`hold_out`), or a share chosen at random (`split`). The choice depends on the
 * seed in the model's file alone, so that an evaluation never meets rows that a run with another `--seed` was trained on. Of windows of
 * a sequence the last ones are the test rows in both cases, and those before that reach into them are in neither part.
 */
export function splitRows(rows: RowSet, data: DataSettings, seed: number): ProgramData {
  if (data.split === null && data.holdOut === null) return { train: rows, test: null };
  const kept = data.holdOut !== null ? rows.count - data.holdOut : Math.round(rows.count * data.split!);
  if (kept < 1 || kept >= rows.count) {
    const what = data.holdOut !== null ? `\`hold_out\` (${data.holdOut})` : `\`split\` (${data.split})`;
    throw new DataError(`${what} leaves no rows for ${kept < 1 ? 'training' : 'tests'}: the data has ${rows.count} rows`);
  }
  const overlaps = rows.columns.flatMap(column => (column.overlap === null ? [] : [column.overlap]));
  const overlap = overlaps.length === 0 ? null : Math.max(...overlaps);
  if (overlap !== null && kept <= overlap) {
    throw new DataError(`the data has ${rows.count} rows, and the ${kept} for training reach into the test rows: `
      + 'use a longer text, or a larger `stride`');
  }
  const order = Uint32Array.from({ length: rows.count }, (_, row) => row);
  if (data.holdOut === null && data.shuffle && overlap === null) permute(order, seed, splitStream, 0);
  const trained = kept - (overlap ?? 0);
  return {
    train: { columns: rows.columns, count: trained, selection: order.slice(0, trained) },
    test: { columns: rows.columns, count: rows.count - kept, selection: order.slice(kept) },
  };
}
