/**
 * Comma-separated values (RFC 4180): quotes, a header, any one-character separator; records are found once and parsed when read, or
 * all at once when the file is in memory. A missing value or text where a number belongs is an error with line and column.
 */
import type { ByteSource } from './bytes.ts';
import { DataError, suggestion } from './data-error.ts';
import type { DataField } from './program.ts';
import type { Cells, Table } from './table.ts';
import { missingValue } from './table.ts';
import { elementCount } from './tensor.ts';

export interface CsvTable extends Table {
  /** Names of the columns; null without a header. */
  readonly names: readonly string[] | null;
  readonly width: number;
  /** The cells of a row; valid until the next row is read. */
  readonly cells: (row: number) => readonly string[];
  /** The line of the file where a row starts, from 1. */
  readonly line: (row: number) => number;
}

export function readCsv(bytes: ByteSource, separator: string, header: boolean): CsvTable {
  const { place } = bytes;
  const { starts, lines, count } = csvRecords(bytes);
  const decoder = new TextDecoder();
  const cellsOf = (record: number): string[] =>
    splitRecord(recordText(bytes, starts[record]!, starts[record + 1]!, part => decoder.decode(part)), separator, place, lines[record]!);
  const first = header ? 1 : 0;
  if (count <= first) throw new DataError(`\`${place}\` is empty: it has ${header && count === 1 ? 'a header, but ' : ''}no rows`);
  const top = cellsOf(0);
  const width = top.length;
  let parsed = -1;
  let cells: readonly string[] = [];
  return {
    place,
    inMemory: bytes.memory !== null,
    names: header ? top.map(name => name.trim()) : null,
    width,
    rows: count - first,
    line: row => lines[row + first]!,
    cells: row => {
      if (row === parsed) return cells;
      cells = cellsOf(row + first);
      parsed = row;
      if (cells.length !== width) {
        throw new DataError(`\`${place}\`, line ${lines[row + first]}: expected ${width} columns, found ${cells.length}`);
      }
      return cells;
    },
  };
}

/** Byte offsets and lines of all records that are not blank, and the end of the last. Line breaks inside quotes do not end a record. */
export function csvRecords(bytes: ByteSource): { readonly starts: Float64Array; readonly lines: Float64Array; readonly count: number } {
  let starts = new Float64Array(1024);
  let lines = new Float64Array(1024);
  let count = 0;
  let quoted = false;
  let blank = true;
  let start = 0;
  let line = 1;
  let startLine = 1;
  const close = (end: number): void => {
    if (!blank) {
      if (count + 1 >= starts.length) {
        [starts, lines] = [grown(starts), grown(lines)];
      }
      starts[count] = start;
      lines[count++] = startLine;
    }
    start = end;
    startLine = line;
    blank = true;
  };
  const piece = bytes.memory ?? new Uint8Array(1 << 20);
  for (let offset = 0; offset < bytes.size; offset += piece.length) {
    const part = piece.subarray(0, Math.min(piece.length, bytes.size - offset));
    if (bytes.memory === null) bytes.read(offset, part);
    for (let i = 0; i < part.length; i++) {
      const byte = part[i]!;
      if (byte === 10) {
        line++;
        if (!quoted) close(offset + i + 1);
      } else if (byte !== 13) {
        blank = false;
        if (byte === 34) quoted = !quoted;
      }
    }
  }
  if (quoted) throw new DataError(`\`${bytes.place}\`, line ${startLine}: a quote is opened and never closed`);
  close(bytes.size);
  starts[count] = start;
  return { starts, lines, count };
}

export function grown(array: Float64Array<ArrayBuffer>): Float64Array<ArrayBuffer> {
  const larger = new Float64Array(array.length * 2);
  larger.set(array);
  return larger;
}

export function recordText(bytes: ByteSource, start: number, end: number, decode: (part: Uint8Array) => string): string {
  let part: Uint8Array;
  if (bytes.memory !== null) part = bytes.memory.subarray(start, end);
  else bytes.read(start, (part = new Uint8Array(end - start)));
  // A byte order mark is dropped by the decoder.
  const text = decode(part);
  let length = text.length;
  while (text[length - 1] === '\n' || text[length - 1] === '\r') length--;
  return text.slice(0, length);
}

export function splitRecord(text: string, separator: string, place: string, line: number): string[] {
  if (!text.includes('"')) return text.split(separator);
  const cells: string[] = [];
  for (let at = 0; at <= text.length;) {
    if (text[at] === '"') {
      let cell = '';
      let end = text.indexOf('"', at + 1);
      while (end >= 0 && text[end + 1] === '"') {
        cell += text.slice(at + 1, end + 1);
        at = end + 1;
        end = text.indexOf('"', at + 1);
      }
      if (end < 0) throw new DataError(`\`${place}\`, line ${line}: a quote is opened and never closed`);
      cells.push(cell + text.slice(at + 1, end));
      if (end + 1 < text.length && text[end + 1] !== separator) {
        throw new DataError(`\`${place}\`, line ${line}, column ${cells.length}: expected \`${separator}\` after the closing quote`);
      }
      at = end + 2;
    } else {
      const end = text.indexOf(separator, at);
      cells.push(text.slice(at, end < 0 ? text.length : end));
      at = end < 0 ? text.length + 1 : end + 1;
    }
  }
  return cells;
}

/** Positions of the columns that a field names. */
export function csvPositions(table: CsvTable, names: readonly string[]): number[] {
  return names.map(name => {
    const byName = table.names === null ? -1 : table.names.indexOf(name);
    if (byName >= 0 && table.names!.indexOf(name, byName + 1) >= 0) {
      throw new DataError(`\`${table.place}\` has several columns \`${name}\`: rename all but one in its header`);
    }
    if (byName >= 0) return byName;
    if (/^\d+$/.test(name) && Number(name) < table.width) return Number(name);
    const known = table.names ?? Array.from({ length: table.width }, (_, i) => String(i));
    throw new DataError(`\`${table.place}\` has no column \`${name}\`${suggestion(name, known, 'its columns are')}`);
  });
}

/** The cells of a field. */
export function csvCells(table: CsvTable, field: DataField): Cells {
  const positions = csvPositions(table, field.columns);
  const wanted = field.picture || field.tokens !== null ? 1 : elementCount(field.shape);
  if (positions.length !== wanted) {
    throw new DataError(`\`${field.input}\` takes ${wanted} values a row, but ${positions.length} columns of \`${table.place}\` are given for it`);
  }
  const where = (row: number, i: number): string =>
    `\`${table.place}\`, line ${table.line(row)}, column \`${table.names?.[positions[i]!] ?? positions[i]!}\``;
  return {
    text: (row, i) => table.cells(row)[positions[i]!]!,
    where,
    numbers: (row, into) => {
      const cells = table.cells(row);
      for (let i = 0; i < into.length; i++) {
        const text = cells[positions[i]!]!.trim();
        const value = decimal(text);
        if (text === '') throw missingValue(where(row, i));
        if (Number.isNaN(value)) {
          throw new DataError(`${where(row, i)}: expected a number, found \`${text}\`; `
            + 'if its texts are classes, write `categories(…)` around the column in the model');
        }
        into[i] = value;
      }
    },
  };
}

/** A number as people and tables write it; NaN for anything else, hexadecimal and infinite values included. */
export const decimal = (text: string): number => (/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : NaN);
