/** The rows of a program's `data` block, for training and for tests, out of the bytes of its files. Works on any platform. */
import type { ByteSource } from './bytes.ts';
import { DataError } from './data-error.ts';
import type { CompiledProgram, DataSettings, DataSource } from './program.ts';
import { permute, splitStream } from './random.ts';
import type { ProgramData, RowSet } from './row-set.ts';
import { checkColumns, rowSetOf } from './row-set.ts';
import type { Column } from './stored-tensor.ts';
import type { Classes } from './table.ts';

/** Where data files come from. */
export interface DataFolder {
  /** The bytes of a file. */
  readonly load: (file: string) => ByteSource;
  /** The names in a folder, sorted; those of folders end in `/`. */
  readonly list: (folder: string) => readonly string[];
  /** Bytes up to which data is held in memory. */
  readonly limit: number;
}

/**
 * Nothing when the model has no `data` block. `classes` comes to hold the texts of categorical fields, by input; `synthetic` has the
 * columns of sources that have no files.
 */
export function rowsOfSources(
  program: CompiledProgram, folder: DataFolder, classes: Map<string, Classes>, synthetic: ReadonlyMap<string, readonly Column[]> = new Map(),
): ProgramData {
  const { data } = program;
  if (data === null) return { train: null, test: null };
  const open = (name: string): RowSet | null => {
    const source = data.sources.find(other => other.name === name);
    if (source === undefined) return null;
    const columns = synthetic.get(name) ?? openSource(program, source, folder, classes);
    checkColumns(columns, program.inputs, program.batched);
    return rowSetOf(columns);
  };
  // Training rows first: they number the classes of texts for both.
  const train = open('train');
  const test = open('test');
  return train === null || test !== null ? { train, test } : splitRows(train, data);
}

/** Fields of one file share its bytes. */
export function openSource(program: CompiledProgram, source: DataSource, folder: DataFolder, classes: Map<string, Classes>): Column[] {
  if (source.fields.length === 0) throw new DataError('the data has no fields');
  const files = new Map<string, ByteSource>();
  const open = (file: string): ByteSource => {
    const bytes = files.get(file) ?? folder.load(file);
    files.set(file, bytes);
    return bytes;
  };
  const { tokenizers, pictures } = program;
  return program.readers[source.format as Exclude<DataSource['format'], 'synthetic'>]!(source, { ...folder, open, whole: !program.batched, classes, tokenizers, pictures });
}

/**
 * Test rows out of the training rows: the last ones (`hold_out`), or a share chosen at random (`split`). The choice depends on the
 * seed in the model's file alone, so that an evaluation never meets rows that a run with another `--seed` was trained on. Of windows of
 * a sequence the last ones are the test rows in both cases, and those before that reach into them are in neither part.
 */
export function splitRows(rows: RowSet, data: DataSettings): ProgramData {
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
  if (data.holdOut === null && data.shuffle && overlap === null) permute(order, data.seed, splitStream, 0);
  const trained = kept - (overlap ?? 0);
  return {
    train: { columns: rows.columns, count: trained, selection: order.slice(0, trained) },
    test: { columns: rows.columns, count: rows.count - kept, selection: order.slice(kept) },
  };
}
