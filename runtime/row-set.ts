/** Rows of data for a program's inputs: which rows there are, in which order training sees them, and how they get into memory. */
import { DataError, suggestion } from './data-error.ts';
import type { CompiledProgram, InputPlace } from './program.ts';
import { permute, shuffleStream } from './random.ts';
import type { Column } from './stored-tensor.ts';
import type { TensorArray } from './tensor.ts';
import { elementCount, newTensorArray, viewOf } from './tensor.ts';

/** A selection of the rows that all columns share. */
export interface RowSet {
  readonly columns: readonly Column[];
  readonly count: number;
  /** The rows of the columns, in order; null for all. */
  readonly selection: Uint32Array | null;
}

export interface ProgramData {
  readonly train: RowSet | null;
  readonly test: RowSet | null;
}

/** All rows of columns that must agree in number. */
export function rowSetOf(columns: readonly Column[]): RowSet {
  const first = columns[0];
  if (first === undefined) throw new DataError('the data has no fields');
  for (const column of columns) {
    if (column.rows === first.rows) continue;
    throw new DataError(`\`${first.input}\` has ${first.rows} rows (\`${first.place}\`), `
      + `but \`${column.input}\` has ${column.rows} (\`${column.place}\`): the fields of a source need equally many`);
  }
  return { columns, count: first.rows, selection: null };
}

/** Reads every row of the columns that are in memory and may hold a value that does not fit. */
export function checkColumns(columns: readonly Column[], inputs: readonly InputPlace[], batched: boolean): void {
  for (const column of columns) {
    const input = inputs.find(other => other.name === column.input);
    if (input === undefined || !column.unchecked || !column.inMemory) continue;
    const scratch = newTensorArray(input.dtype, elementCount(rowShapeOf(input, batched)));
    for (let row = 0; row < column.rows; row++) column.read(row, scratch, 0);
  }
}

/** The shape of one data row of an input. */
export const rowShapeOf = (input: { readonly shape: readonly number[] }, batched: boolean): readonly number[] =>
  batched ? input.shape.slice(1) : input.shape;

/** Copies data row `row` to place `slot` of the batch in memory. */
export type LoadRow = (row: number, slot: number) => void;

/** A loader of the rows of `set` into the inputs called `names`. Allocates here, and nothing when it loads. */
export function rowLoader(program: CompiledProgram, set: RowSet, names: readonly string[]): LoadRow {
  const reads: Column['read'][] = [];
  const views: TensorArray[] = [];
  const lengths: number[] = [];
  for (const name of names) {
    const input = program.inputs.find(other => other.name === name)!;
    const column = set.columns.find(other => other.input === name);
    if (column === undefined) throw new DataError(`the data has no field for the input \`${name}\`: add it to the \`data\` block`);
    reads.push(column.read);
    views.push(viewOf(program.memory, input));
    lengths.push(elementCount(rowShapeOf(input, program.batched)));
  }
  const { selection } = set;
  return (row, slot) => {
    const source = selection === null ? row : selection[row]!;
    for (let i = 0; i < reads.length; i++) reads[i]!(source, views[i]!, slot * lengths[i]!);
  };
}

/**
 * The row that training sees at a position of its endless sequence: one permutation after another, each a function of the seed and
 * the epoch's number. A batch that does not divide the rows runs on into the next epoch.
 */
export function trainingOrder(count: number, seed: number, shuffle: boolean): (position: number) => number {
  if (!shuffle) return position => position % count;
  const order = new Uint32Array(count);
  let epoch = -1;
  return position => {
    const current = Math.floor(position / count);
    if (current !== epoch) {
      permute(order, seed, shuffleStream, current);
      epoch = current;
    }
    return order[position - current * count]!;
  };
}

/** Rows that are typed arrays already, `length / row size` of them, by name of the input. */
export function arrayRows(program: CompiledProgram, arrays: Readonly<Record<string, TensorArray>>): RowSet {
  const columns = Object.entries(arrays).map(([name, values]): Column => {
    const input = program.inputs.find(other => other.name === name);
    if (input === undefined) {
      const names = program.inputs.map(other => other.name);
      throw new DataError(`there is no input \`${name}\`${suggestion(name, names, 'the inputs are')}`);
    }
    return arrayColumn(input, values, program.batched);
  });
  checkColumns(columns, program.inputs, program.batched);
  return rowSetOf(columns);
}

export function arrayColumn(input: InputPlace, values: TensorArray, batched: boolean): Column {
  const { name, below, dtype } = input;
  const size = elementCount(rowShapeOf(input, batched));
  const rows = values.length / size;
  if (!(values instanceof (newTensorArray(dtype, 0).constructor as new (length: number) => TensorArray))) {
    throw new DataError(`\`${name}\` is ${dtype}: pass a ${newTensorArray(dtype, 0).constructor.name}, not a ${values.constructor.name}`);
  }
  if (!Number.isInteger(rows) || rows === 0) {
    throw new DataError(`\`${name}\` has ${values.length} values, expected a multiple of ${size}, the values of a row`);
  }
  return {
    input: name,
    place: name,
    rows,
    inMemory: true,
    overlap: null,
    unchecked: below !== null,
    read: (row, target, at) => {
      for (let i = 0, from = row * size; i < size; i++) {
        const value = values[from + i]!;
        if (below !== null && !(value >= 0 && value < below)) {
          throw new DataError(`row ${row}: \`${name}\` is ${value}, but must be at least 0 and below ${below}`);
        }
        target[at + i] = value;
      }
    },
  };
}
