/**
 * The readers of data sources, one for each format. A program holds those that its data block uses, so that it carries no others.
 * Works on any platform.
 */
import type { ByteSource } from './bytes.ts';
import type { Classes, CsvTable } from './csv.ts';
import { csvClasses, csvColumn, csvPositions, readCsv } from './csv.ts';
import { DataError, suggestion } from './data-error.ts';
import { readIdx } from './idx.ts';
import { inflateRaw } from './unpack.ts';
import { readNpy } from './npy.ts';
import type { DataSource } from './program.ts';
import { readSafetensors, safetensorOf } from './safetensors.ts';
import type { Column, StoredTensor } from './stored-tensor.ts';
import { tensorColumn } from './stored-tensor.ts';
import { zipMemberBytes, zipMembers } from './zip.ts';

/**
 * The columns of a source, one for each field. `open` gives a file's bytes; with `whole` a tensor is one row; `classes` keeps the
 * texts of categorical fields from one source to the next.
 */
export type SourceReader = (source: DataSource, open: (file: string) => ByteSource, whole: boolean, classes: Map<string, Classes>) => Column[];

export function idxColumns(source: DataSource, open: (file: string) => ByteSource, whole: boolean): Column[] {
  return source.fields.map(field => tensorColumn(readIdx(open(field.file)), field, whole));
}

export function npyColumns(source: DataSource, open: (file: string) => ByteSource, whole: boolean): Column[] {
  return source.fields.map(field => tensorColumn(readNpy(open(field.file)), field, whole));
}

export function npzColumns(source: DataSource, open: (file: string) => ByteSource, whole: boolean): Column[] {
  return source.fields.map(field => tensorColumn(npzTensor(open(field.file), field.columns[0] ?? field.input), field, whole));
}

export function safetensorsColumns(source: DataSource, open: (file: string) => ByteSource, whole: boolean): Column[] {
  return source.fields.map(field => {
    const bytes = open(field.file);
    return tensorColumn(safetensorOf(readSafetensors(bytes), bytes.place, field.columns[0] ?? field.input), field, whole);
  });
}

/** Fields of one file share its table. */
export function csvColumns(source: DataSource, open: (file: string) => ByteSource, _whole: boolean, classes: Map<string, Classes>): Column[] {
  const tables = new Map<string, CsvTable>();
  return source.fields.map(field => {
    const table = tables.get(field.file) ?? readCsv(open(field.file), source.separator, source.header);
    tables.set(field.file, table);
    const positions = csvPositions(table, field.columns);
    if (field.categorical && !classes.has(field.input)) classes.set(field.input, csvClasses(table, positions));
    return csvColumn(table, field, positions, field.categorical ? classes.get(field.input)! : null);
  });
}

/** The array that `numpy.savez` stored under that name. */
export function npzTensor(bytes: ByteSource, name: string): StoredTensor {
  const members = zipMembers(bytes);
  const member = members.find(other => other.name === `${name}.npy`);
  if (member !== undefined) return readNpy(zipMemberBytes(bytes, member, inflateRaw));
  const names = members.map(other => other.name.replace(/\.npy$/, ''));
  throw new DataError(`\`${bytes.place}\` has no array \`${name}\`${suggestion(name, names, 'it has')}`);
}
