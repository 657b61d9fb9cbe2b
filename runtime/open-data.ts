/** Opens the files of a program's `data` block: rows for training and for tests, matched to the inputs. Uses node: modules. */
import { inflateRawSync } from 'node:zlib';
import type { ByteSource } from './bytes.ts';
import type { Classes, CsvTable } from './csv.ts';
import { csvClasses, csvColumn, csvPositions, readCsv } from './csv.ts';
import { DataError, suggestion } from './data-error.ts';
import { dataPath, openBytes, unpackLimit, wholeFileLimit } from './files.ts';
import { readIdx } from './idx.ts';
import { readNpy } from './npy.ts';
import type { CompiledProgram, DataField, DataSettings, DataSource } from './program.ts';
import { permute, splitStream } from './random.ts';
import { readSafetensors, safetensorOf } from './safetensors.ts';
import type { ProgramData, RowSet } from './row-set.ts';
import { checkColumns, rowSetOf } from './row-set.ts';
import type { Column, StoredTensor } from './stored-tensor.ts';
import { tensorColumn } from './stored-tensor.ts';
import { zipMemberBytes, zipMembers } from './zip.ts';

/** The data in `folder`; nothing when the model has no `data` block. Files larger than `limit` are not read whole, but row by row. */
export function openData(program: CompiledProgram, folder: string, limit: number = wholeFileLimit): ProgramData {
  const { data } = program;
  if (data === null) return { train: null, test: null };
  const classes = new Map<string, Classes>();
  const open = (name: string): RowSet | null => {
    const source = data.sources.find(other => other.name === name);
    if (source === undefined) return null;
    const columns = openSource(source, folder, limit, !program.batched, classes);
    checkColumns(columns, program.inputs, program.batched);
    return rowSetOf(columns);
  };
  // Training rows first: they number the classes of texts for both.
  const train = open('train');
  const test = open('test');
  return train === null || test !== null ? { train, test } : splitRows(train, data, program.settings.seed);
}

/** One file for each field; fields of one file share it. */
export function openSource(source: DataSource, folder: string, limit: number, whole: boolean, classes: Map<string, Classes>): Column[] {
  const files = new Map<string, ByteSource>();
  const tables = new Map<string, CsvTable>();
  return source.fields.map(field => {
    const bytes = files.get(field.file) ?? openBytes(dataPath(folder, field.file), field.file, limit);
    files.set(field.file, bytes);
    if (source.format !== 'csv') return tensorColumn(fieldTensor(source.format, bytes, field), field, whole);
    const table = tables.get(field.file) ?? readCsv(bytes, source.separator, source.header);
    tables.set(field.file, table);
    const positions = csvPositions(table, field.columns);
    if (field.categorical && !classes.has(field.input)) classes.set(field.input, csvClasses(table, positions));
    return csvColumn(table, field, positions, field.categorical ? classes.get(field.input)! : null);
  });
}

export function fieldTensor(format: Exclude<DataSource['format'], 'csv'>, bytes: ByteSource, field: DataField): StoredTensor {
  switch (format) {
    case 'idx':
      return readIdx(bytes);
    case 'npy':
      return readNpy(bytes);
    case 'npz':
      return npzTensor(bytes, field.columns[0] ?? field.input);
    case 'safetensors':
      return safetensorOf(readSafetensors(bytes), bytes.place, field.columns[0] ?? field.input);
    default:
      return format satisfies never;
  }
}

/** The array that `numpy.savez` stored under that name. */
export function npzTensor(bytes: ByteSource, name: string): StoredTensor {
  const members = zipMembers(bytes);
  const member = members.find(other => other.name === `${name}.npy`);
  if (member !== undefined) return readNpy(zipMemberBytes(bytes, member, packed => inflateRawSync(packed, { maxOutputLength: unpackLimit })));
  const names = members.map(other => other.name.replace(/\.npy$/, ''));
  throw new DataError(`\`${bytes.place}\` has no array \`${name}\`${suggestion(name, names, 'it has')}`);
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
