/**
 * Comma-separated values (RFC 4180): quotes, a header, any one-character separator; records are found once and parsed when read, or
 * all at once when the file is in memory. A missing value or text where a number belongs is an error with line and column.
 */
import type { ByteSource } from './bytes.ts';
import { DataError, suggestion } from './data-error.ts';
import type { Column, RowType } from './stored-tensor.ts';
import { converter, valueProblem } from './stored-tensor.ts';
import { elementCount, newTensorArray } from './tensor.ts';

export interface CsvTable {
  readonly place: string;
  readonly bytes: ByteSource;
  readonly separator: string;
  /** Names of the columns; null without a header. */
  readonly names: readonly string[] | null;
  readonly width: number;
  readonly rows: number;
  /** The cells of a row; valid until the next row is read. */
  readonly cells: (row: number) => readonly string[];
  /** The line of the file where a row starts, from 1. */
  readonly line: (row: number) => number;
}

/** Text values of each column of a field, in order: the position of a value is its class. */
export type Classes = readonly (readonly string[])[];

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
    bytes,
    separator,
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

/** The distinct texts of each column, sorted. */
export function csvClasses(table: CsvTable, positions: readonly number[]): Classes {
  const sets = positions.map(() => new Set<string>());
  for (let row = 0; row < table.rows; row++) {
    const cells = table.cells(row);
    for (let i = 0; i < sets.length; i++) sets[i]!.add(cells[positions[i]!]!.trim());
  }
  return sets.map(set => [...set].sort());
}

/** The rows of a field. `classes` numbers the texts of a categorical field, null for numbers. */
export function csvColumn(table: CsvTable, type: RowType, positions: readonly number[], classes: Classes | null): Column {
  const count = elementCount(type.shape);
  if (positions.length !== count) {
    throw new DataError(`\`${type.input}\` takes ${count} values a row, but ${positions.length} columns of \`${table.place}\` are given for it`);
  }
  const inMemory = table.bytes.memory !== null;
  const convert = converter(type.dtype);
  const numbers = classes?.map(texts => new Map(texts.map((text, i) => [text, i]))) ?? null;
  const parse = (row: number, target: { [index: number]: number }, at: number): void => {
    const cells = table.cells(row);
    for (let i = 0; i < count; i++) {
      const text = cells[positions[i]!]!.trim();
      const value = numbers === null ? decimal(text) : numbers[i]!.get(text) ?? NaN;
      if (text === '' || Number.isNaN(value)) throw badCell(table, row, positions[i]!, text, numbers !== null);
      const problem = valueProblem(value, type);
      if (problem !== null) throw new DataError(`${cellPlace(table, row, positions[i]!)}: ${problem}`);
      target[at + i] = convert(value);
    }
  };
  const common = { input: type.input, place: table.place, rows: table.rows, inMemory };
  if (!inMemory) return { ...common, unchecked: true, read: parse };
  const values = newTensorArray(type.dtype, table.rows * count);
  for (let row = 0; row < table.rows; row++) parse(row, values, row * count);
  return {
    ...common,
    unchecked: false,
    read: (row, target, at) => {
      for (let i = 0, from = row * count; i < count; i++) target[at + i] = values[from + i]!;
    },
  };
}

/** A number as people and tables write it; NaN for anything else, hexadecimal and infinite values included. */
export const decimal = (text: string): number => (/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : NaN);

export const cellPlace = (table: CsvTable, row: number, position: number): string =>
  `\`${table.place}\`, line ${table.line(row)}, column \`${table.names?.[position] ?? position}\``;

export function badCell(table: CsvTable, row: number, position: number, text: string, categorical: boolean): DataError {
  const where = cellPlace(table, row, position);
  if (text === '') return new DataError(`${where}: the value is missing; fill it in or drop the row`);
  return new DataError(categorical
    ? `${where}: the class \`${text}\` does not occur in the training data`
    : `${where}: expected a number, found \`${text}\`; if its texts are classes, write \`categories(…)\` around the column in the model`);
}
