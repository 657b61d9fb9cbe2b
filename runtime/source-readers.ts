/**
 * The readers of data sources, one for each format. A program holds those that its data block uses, so that it carries no others.
 * Works on any platform.
 */
import type { ByteSource } from './bytes.ts';
import { csvCells, readCsv } from './csv.ts';
import { DataError, suggestion } from './data-error.ts';
import { readIdx } from './idx.ts';
import { inflate } from './inflate.ts';
import { jsonlCells, readJsonl } from './jsonl.ts';
import { readNpy } from './npy.ts';
import { pictureCells, pictureFiles } from './picture-folder.ts';
import type { DataField, DataSource } from './program.ts';
import { readSafetensors, safetensorOf } from './safetensors.ts';
import type { Column, StoredTensor } from './stored-tensor.ts';
import { tensorColumn } from './stored-tensor.ts';
import type { Classes, ReadField } from './table.ts';
import { tableColumn } from './table.ts';
import type { Tokenizer } from './tokenizer.ts';
import { zipMemberBytes, zipMembers } from './zip.ts';

/** What readers find besides the source. */
export interface SourceContext {
  /** A file of the data folder. It stays open for the other fields. */
  readonly open: (file: string) => ByteSource;
  /** A file of the data folder that is read once. */
  readonly load: (file: string) => ByteSource;
  /** The names in a folder of the data folder, sorted; those of folders end in `/`. */
  readonly list: (folder: string) => readonly string[];
  /** A tensor is one row. */
  readonly whole: boolean;
  /** Texts of categorical fields, by input, kept from one source to the next. */
  readonly classes: Map<string, Classes>;
  readonly tokenizers: readonly Tokenizer[];
  /** Reads the pictures whose files `path` names and whose places `where` tells; null where no field holds any. */
  readonly pictures:
    ((field: DataField, path: (row: number) => string, where: (row: number) => string, context: SourceContext) => ReadField) | null;
  /** Bytes up to which data is held in memory. */
  readonly limit: number;
}

/** The columns of a source, one for each field. */
export type SourceReader = (source: DataSource, context: SourceContext) => Column[];

export function idxColumns(source: DataSource, { open, whole }: SourceContext): Column[] {
  return source.fields.map(field => tensorColumn(readIdx(open(field.file)), field, whole));
}

export function npyColumns(source: DataSource, { open, whole }: SourceContext): Column[] {
  return source.fields.map(field => tensorColumn(readNpy(open(field.file)), field, whole));
}

export function npzColumns(source: DataSource, { open, whole }: SourceContext): Column[] {
  return source.fields.map(field => tensorColumn(npzTensor(open(field.file), field.columns[0] ?? field.input), field, whole));
}

export function safetensorsColumns(source: DataSource, { open, whole }: SourceContext): Column[] {
  return source.fields.map(field => {
    const bytes = open(field.file);
    return tensorColumn(safetensorOf(readSafetensors(bytes), bytes.place, field.columns[0] ?? field.input), field, whole);
  });
}

export function csvColumns(source: DataSource, context: SourceContext): Column[] {
  const { separator, header, fields } = source;
  const table = readCsv(context.open(fields[0]!.file), separator, header);
  return fields.map(field => tableColumn(table, field, csvCells(table, field), context));
}

export function jsonlColumns({ fields }: DataSource, context: SourceContext): Column[] {
  const table = readJsonl(context.open(fields[0]!.file));
  return fields.map(field => tableColumn(table, field, jsonlCells(table, field), context));
}

export function imagesColumns({ fields }: DataSource, context: SourceContext): Column[] {
  const pictures = pictureFiles(fields[0]!.file, fields.some(field => field.categorical), context.list);
  return fields.map(field => tableColumn(pictures, field, pictureCells(pictures, field), context));
}

/** The array that `numpy.savez` stored under that name. */
export function npzTensor(bytes: ByteSource, name: string): StoredTensor {
  const members = zipMembers(bytes);
  const member = members.find(other => other.name === `${name}.npy`);
  if (member !== undefined) return readNpy(zipMemberBytes(bytes, member, packed => inflate(packed, member.size)));
  const names = members.map(other => other.name.replace(/\.npy$/, ''));
  throw new DataError(`\`${bytes.place}\` has no array \`${name}\`${suggestion(name, names, 'it has')}`);
}
