/**
 * Sources whose rows hold texts: csv, jsonl, folders of pictures. What a field makes of them is the same for all: numbers, classes,
 * tokens, pictures, each checked and told with its place. Works on any platform.
 */
import { DataError } from './data-error.ts';
import type { DataField } from './program.ts';
import type { SourceContext } from './source-readers.ts';
import type { Column } from './stored-tensor.ts';
import { converter, valueProblem } from './stored-tensor.ts';
import type { TensorArray } from './tensor.ts';
import { elementCount, newTensorArray } from './tensor.ts';
import { unknownCharacter } from './tokenizer.ts';

export interface Table {
  readonly place: string;
  readonly rows: number;
  readonly inMemory: boolean;
}

/** What a table has for a field; `i` counts the field's columns. */
export interface Cells {
  readonly text: (row: number, i: number) => string;
  /** Fills an array with the numbers of a row, in order. */
  readonly numbers: (row: number, into: Float64Array) => void;
  /** File, line and column, for messages. */
  readonly where: (row: number, i: number) => string;
}

/** Text values of each column of a field, in order: the position of a value is its class. */
export type Classes = readonly (readonly string[])[];

/** Copies a row of a field, from element `at` of the target on. */
export type ReadField = (row: number, target: TensorArray, at: number) => void;

/** The column of a field. Of a table in memory it is read at once, so that what is wrong is told before training starts. */
export function tableColumn(table: Table, field: DataField, cells: Cells, context: SourceContext): Column {
  const { place, rows } = table;
  const count = elementCount(field.shape);
  const read = fieldReader(table, field, cells, context);
  // Pictures are many times larger than the table that names them.
  const inMemory = table.inMemory && (!field.picture || rows * count <= context.limit);
  const common = { input: field.input, place, rows, inMemory, overlap: null };
  if (!inMemory) return { ...common, unchecked: true, read };
  const values = newTensorArray(field.dtype, rows * count);
  for (let row = 0; row < rows; row++) read(row, values, row * count);
  return {
    ...common,
    unchecked: false,
    read: (row, target, at) => {
      for (let i = 0, from = row * count; i < count; i++) target[at + i] = values[from + i]!;
    },
  };
}

export function fieldReader(table: Table, field: DataField, cells: Cells, context: SourceContext): ReadField {
  if (field.tokens !== null) return tokenReader(field, cells, context);
  if (field.picture) return context.pictures!(field, row => cells.text(row, 0), row => cells.where(row, 0), context);
  const values = new Float64Array(elementCount(field.shape));
  const numbers = field.categorical ? classNumbers(table, field, cells, context) : cells.numbers;
  const convert = converter(field.dtype);
  return (row, target, at) => {
    numbers(row, values);
    for (let i = 0; i < values.length; i++) {
      const problem = valueProblem(values[i]!, field);
      if (problem !== null) throw new DataError(`${cells.where(row, i)}: ${problem}`);
      target[at + i] = convert(values[i]!);
    }
  };
}

/** Numbers the texts of each column as the training rows have them. */
export function classNumbers(table: Table, field: DataField, { text, where }: Cells, { classes }: SourceContext): Cells['numbers'] {
  const known = classes.get(field.input) ?? classesOf(table, elementCount(field.shape), text);
  classes.set(field.input, known);
  const numbers = known.map(texts => new Map(texts.map((value, i) => [value, i])));
  return (row, into) => {
    for (let i = 0; i < into.length; i++) {
      const value = text(row, i).trim();
      const number = numbers[i]!.get(value);
      if (value === '') throw missingValue(where(row, i));
      if (number === undefined) throw new DataError(`${where(row, i)}: the class \`${value}\` does not occur in the training data`);
      if (field.below !== null && number >= field.below) {
        throw new DataError(`${where(row, i)}: \`${value}\` is one of ${known[i]!.length} different texts, but \`${field.input}\` has room for ${field.below} in the model`);
      }
      into[i] = number;
    }
  };
}

/** The distinct texts of each column, sorted. */
export function classesOf(table: Table, count: number, text: Cells['text']): Classes {
  const sets = Array.from({ length: count }, () => new Set<string>());
  for (let row = 0; row < table.rows; row++) sets.forEach((set, i) => set.add(text(row, i).trim()));
  return sets.map(set => [...set].sort());
}

export const missingValue = (where: string): DataError => new DataError(`${where}: the value is missing; fill it in or drop the row`);

/**
 * Reads texts as tokens. After its last token a text has the one that ends it, to the end of the row; with a shift below 0 also before
 * its first. A text that does not fit is an error.
 */
export function tokenReader(field: DataField, { text, where }: Omit<Cells, 'numbers'>, { tokenizers }: Pick<SourceContext, 'tokenizers'>): ReadField {
  const { vocabulary, shift } = field.tokens!;
  const tokenizer = tokenizers[vocabulary]!;
  const length = elementCount(field.shape);
  return (row, target, at) => {
    const value = text(row, 0);
    for (let i = 0; i < length; i++) target[at + i] = tokenizer.end!;
    let position = -shift;
    tokenizer.encode(value, true, (token, from) => {
      if (token < 0) throw unknownCharacter(value, from, where(row, 0));
      if (position >= 0 && position < length) target[at + position] = token;
      position++;
    });
    if (position > length) {
      throw new DataError(`${where(row, 0)}: the text has ${position + shift} tokens, but \`${field.input}\` has room for ${length + shift}: `
        + 'shorten it, or make the input longer');
    }
    if (field.below === null || tokenizer.size <= field.below) return;
    for (let i = 0; i < length; i++) {
      const problem = valueProblem(target[at + i]!, field);
      if (problem !== null) throw new DataError(`${where(row, 0)}: ${problem}`);
    }
  };
}
