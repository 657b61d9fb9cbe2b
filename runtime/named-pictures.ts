/** Which picture files a data source takes: those of its folder, or those that its table names. Works on any platform. */
import { csvCells, readCsv } from './csv.ts';
import { jsonlCells, readJsonl } from './jsonl.ts';
import { pictureFiles } from './picture-folder.ts';
import type { DataSource } from './program.ts';
import type { DataFolder } from './source-rows.ts';
import type { Cells } from './table.ts';

/** Their paths from the data folder. */
export function namedPictures({ format, fields, separator, header }: DataSource, { load, list }: DataFolder): readonly string[] {
  if (format === 'images') return pictureFiles(fields[0]!.file, fields.some(field => field.categorical), list).files;
  const pictures = fields.filter(field => field.picture);
  if (pictures.length === 0) return [];
  const named = (rows: number, cells: readonly Cells[]): readonly string[] =>
    cells.flatMap(({ text }) => Array.from({ length: rows }, (_, row) => text(row, 0))).filter(path => path !== '');
  const bytes = load(pictures[0]!.file);
  if (format === 'csv') {
    const table = readCsv(bytes, separator, header);
    return named(table.rows, pictures.map(field => csvCells(table, field)));
  }
  const table = readJsonl(bytes);
  return named(table.rows, pictures.map(field => jsonlCells(table, field)));
}
