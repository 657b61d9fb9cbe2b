/**
 * JSON lines: an object on each line, fields by name. A field is a number, truth value or nested list of them as large as a row of the
 * input, or a text. Lines are found once and parsed when they are read. Works on any platform.
 */
import type { ByteSource } from './bytes.ts';
import { DataError, messageOf, suggestion } from './data-error.ts';
import { grown } from './csv.ts';
import type { DataField } from './program.ts';
import { flattensTo } from './stored-tensor.ts';
import type { Cells, Table } from './table.ts';
import { missingValue } from './table.ts';
import { elementCount, showShape } from './tensor.ts';

export interface JsonTable extends Table {
  /** The object of a row; valid until the next row is read. */
  readonly object: (row: number) => Readonly<Record<string, unknown>>;
  /** The line of the file that a row is, from 1. */
  readonly line: (row: number) => number;
}

/** A longer line is no row that a batch is made of. */
export const longestLine = 2 ** 26;

/** Dimensions that a list of lists may have. */
export const deepestList = 16;

export function readJsonl(bytes: ByteSource): JsonTable {
  const { place } = bytes;
  const { starts, ends, lines, count } = jsonLines(bytes);
  if (count === 0) throw new DataError(`\`${place}\` is empty: it has no lines`);
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let parsed = -1;
  let object: Readonly<Record<string, unknown>> = {};
  return {
    place,
    rows: count,
    inMemory: bytes.memory !== null,
    line: row => lines[row]!,
    object: row => {
      if (row === parsed) return object;
      const where = `\`${place}\`, line ${lines[row]!}`;
      if (ends[row]! - starts[row]! > longestLine) {
        throw new DataError(`${where}: the line is longer than ${longestLine} bytes: a line holds one row`);
      }
      const part = new Uint8Array(ends[row]! - starts[row]!);
      bytes.read(starts[row]!, part);
      let value: unknown;
      try {
        value = JSON.parse(decoder.decode(part));
      } catch (error) {
        const reason = error instanceof SyntaxError ? `not JSON (${messageOf(error)})` : 'not UTF-8';
        throw new DataError(`${where}: the line is ${reason}: write one object on each line`);
      }
      if (typeof value !== 'object' || value === null || Array.isArray(value)) {
        throw new DataError(`${where}: expected an object with the fields of a row, as in {"x": 1}, found ${jsonKind(value)}`);
      }
      parsed = row;
      object = value as Readonly<Record<string, unknown>>;
      return object;
    },
  };
}

/** Where the lines that are not blank begin and end. */
export function jsonLines(bytes: ByteSource): {
  readonly starts: Float64Array; readonly ends: Float64Array; readonly lines: Float64Array; readonly count: number;
} {
  let [starts, ends, lines] = [new Float64Array(1024), new Float64Array(1024), new Float64Array(1024)];
  let count = 0;
  let [start, line, blank] = [0, 1, true];
  const close = (end: number): void => {
    if (!blank) {
      if (count === starts.length) [starts, ends, lines] = [grown(starts), grown(ends), grown(lines)];
      [starts[count], ends[count], lines[count]] = [start, end, line];
      count++;
    }
    [start, blank] = [end + 1, true];
    line++;
  };
  const piece = new Uint8Array(Math.min(bytes.size, 1 << 20));
  for (let offset = 0; offset < bytes.size; offset += piece.length) {
    const part = piece.subarray(0, Math.min(piece.length, bytes.size - offset));
    bytes.read(offset, part);
    for (let i = 0; i < part.length; i++) {
      if (part[i] === 10) close(offset + i);
      else if (part[i] !== 32 && part[i] !== 13 && part[i] !== 9) blank = false;
    }
  }
  close(bytes.size);
  return { starts, ends, lines, count };
}

export function jsonlCells(table: JsonTable, field: DataField): Cells {
  const name = field.columns[0]!;
  const where = (row: number): string => `\`${table.place}\`, line ${table.line(row)}, field \`${name}\``;
  const valueOf = (row: number): unknown => {
    const object = table.object(row);
    if (!Object.hasOwn(object, name)) {
      const near = suggestion(name, Object.keys(object), 'its fields are');
      throw new DataError(`\`${table.place}\`, line ${table.line(row)}: there is no field \`${name}\`${near}`);
    }
    if (object[name] === null) throw missingValue(where(row));
    return object[name];
  };
  return {
    where,
    text: (row, i) => {
      const value = valueOf(row);
      const text = Array.isArray(value) ? value[i] as unknown : value;
      if (typeof text !== 'string') throw new DataError(`${where(row)}: expected a text, found ${jsonKind(text)}`);
      const wanted = field.categorical ? elementCount(field.shape) : 1;
      const found = Array.isArray(value) ? value.length : 1;
      if (found !== wanted) throw new DataError(`${where(row)}: expected ${wanted === 1 ? 'one text' : `${wanted} texts`}, found ${found}`);
      return text;
    },
    numbers: (row, into) => {
      const value = valueOf(row);
      const shape = jsonShape(value);
      if (!flattensTo(shape, field.shape)) {
        throw new DataError(`${where(row)}: the value has the shape ${showShape(shape)}, but \`${field.input}\` takes ${showShape(field.shape)}`);
      }
      const count = jsonNumbers(value, shape, into, 0, where(row));
      if (count !== into.length) throw new DataError(`${where(row)}: expected ${into.length} numbers, found ${count}`);
    },
  };
}

/** The shape of a list of lists by the first of each. */
export function jsonShape(value: unknown): number[] {
  const shape: number[] = [];
  for (let at = value; Array.isArray(at) && shape.length < deepestList; at = at[0] as unknown) shape.push(at.length);
  return shape;
}

/** Flattens a list of lists that must have that shape, from place `at` on; the place after it comes back. */
export function jsonNumbers(value: unknown, shape: readonly number[], into: Float64Array, at: number, where: string): number {
  if (shape.length > 0) {
    const [extent, ...inner] = shape;
    if (!Array.isArray(value) || value.length !== extent) {
      throw new DataError(`${where}: its lists are not equally long: one has ${extent} elements, another is ${jsonKind(value)}`);
    }
    return value.reduce<number>((place, element) => jsonNumbers(element, inner, into, place, where), at);
  }
  if (typeof value !== 'number' && typeof value !== 'boolean') {
    const advice = typeof value === 'string' ? '; if its texts are classes, write `categories(…)` around the field in the model' : '';
    throw new DataError(`${where}: expected a number, found ${jsonKind(value)}${advice}`);
  }
  if (!Number.isFinite(Number(value))) throw new DataError(`${where}: the number is too large`);
  into[at] = Number(value);
  return at + 1;
}

/** What a value is, in a message. */
export function jsonKind(value: unknown): string {
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === 'string') return `the text \`${value.length > 40 ? `${value.slice(0, 39)}…` : value}\``;
  if (value === undefined) return 'nothing';
  return typeof value === 'object' && value !== null ? 'an object' : `\`${String(value)}\``;
}
