/**
 * Tensors as files hold them: element kinds, byte order, shape. Gives their rows as columns for inputs, converted and checked,
 * without allocating for each row. Works on any platform.
 */
import type { ByteSource } from './bytes.ts';
import { readBytes, truncated } from './bytes.ts';
import { DataError } from './data-error.ts';
import type { DType } from './program.ts';
import { bfloat16FromBits, halfFromBits, roundToBfloat16, roundToHalf } from './rounding.ts';
import type { TensorArray } from './tensor.ts';
import { elementCount, showShape } from './tensor.ts';

export type ElementKind = 'u8' | 'i8' | 'i16' | 'i32' | 'i64' | 'f16' | 'bf16' | 'f32' | 'f64' | 'bool';

export const elementBytes = {
  u8: 1, i8: 1, i16: 2, i32: 4, i64: 8, f16: 2, bf16: 2, f32: 4, f64: 8, bool: 1,
} as const satisfies Record<ElementKind, number>;

export interface StoredTensor {
  /** The name that messages use: the file, and the tensor in it. */
  readonly place: string;
  readonly bytes: ByteSource;
  /** Where the elements start. */
  readonly offset: number;
  readonly kind: ElementKind;
  readonly bigEndian: boolean;
  readonly shape: readonly number[];
}

/** What an input takes: of each row, without the batch dimension. */
export interface RowType {
  readonly input: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly below: number | null;
}

/** Rows for one input. */
export interface Column {
  readonly input: string;
  readonly place: string;
  readonly rows: number;
  /** Copies row `row` to `target`, from element `at` on; a value that does not fit is a `DataError`. */
  readonly read: (row: number, target: TensorArray, at: number) => void;
  /** Some value may still turn out not to fit. */
  readonly unchecked: boolean;
  /** All bytes are in memory. */
  readonly inMemory: boolean;
  /** Rows are windows of one sequence, in order, and share values with so many rows after them; null where each stands for itself. */
  readonly overlap: number | null;
}

/** Elements `0 … count-1` of the piece that was loaded last. */
export type ElementAt = (index: number) => number;

/** The rows of a tensor whose first dimension counts rows; `whole` takes all of it as one row. */
export function tensorColumn(stored: StoredTensor, type: RowType, whole: boolean): Column {
  const { place, bytes, kind, offset } = stored;
  if (!whole && stored.shape.length === 0) throw new DataError(`\`${place}\` is a single value, but \`${type.input}\` needs rows`);
  const rows = whole ? 1 : stored.shape[0]!;
  const rowShape = whole ? stored.shape : stored.shape.slice(1);
  if (rows === 0) throw new DataError(`\`${place}\` is empty: it has no rows for \`${type.input}\``);
  if (!flattensTo(rowShape, type.shape)) {
    throw new DataError(`\`${place}\` has ${whole ? 'the shape' : 'rows of'} ${showShape(rowShape)} (${elementCount(rowShape)} values), `
      + `but \`${type.input}\` takes ${showShape(type.shape)} (${elementCount(type.shape)} values)`);
  }
  checkKind(kind, type, place);
  const count = elementCount(rowShape);
  const width = elementBytes[kind];
  const end = offset + rows * count * width;
  if (end > bytes.size) throw truncated(place, end, bytes.size);
  const inMemory = bytes.memory !== null;
  const piece = inMemory ? alignedBytes(bytes.memory!, offset, end - offset, width, stored.bigEndian) : new Uint8Array(count * width);
  const load = (row: number): number => {
    if (inMemory) return row * count;
    bytes.read(offset + row * count * width, piece);
    if (stored.bigEndian) reverseElements(piece, width);
    return 0;
  };
  const common = { input: type.input, place, rows, inMemory, overlap: null };
  const checks = type.below !== null || !isAlwaysFitting(kind, type.dtype);
  if (!checks && kind === 'f32' && type.dtype === 'f32') {
    const values = new Float32Array(piece.buffer, piece.byteOffset, piece.length / 4);
    return { ...common, unchecked: false, read: (row, target, at) => copyFloats(values, load(row), target as Float32Array, at, count) };
  }
  if (!checks && width === 1 && (type.dtype === 'u8' || type.dtype === 'bool')) {
    const copy = byteCopier(piece, count);
    return { ...common, unchecked: false, read: (row, target, at) => copy(load(row), target as Uint8Array, at) };
  }
  const elementAt = elementReader(kind, piece);
  const convert = converter(type.dtype);
  return {
    ...common,
    unchecked: checks,
    read: (row, target, at) => {
      const from = load(row);
      for (let i = 0; i < count; i++) {
        const value = elementAt(from + i);
        const problem = checks ? valueProblem(value, type) : null;
        if (problem !== null) throw new DataError(`\`${place}\`, row ${row}: ${problem}`);
        target[at + i] = convert(value);
      }
    },
  };
}

/** All elements of a stored tensor as numbers of `dtype`: for weights, where floats of any width convert into each other. */
export function readTensor(stored: StoredTensor, target: TensorArray, dtype: DType): void {
  const width = elementBytes[stored.kind];
  const count = elementCount(stored.shape);
  const piece = readBytes(stored.bytes, stored.offset, count * width);
  if (stored.bigEndian) reverseElements(piece, width);
  const elementAt = elementReader(stored.kind, piece);
  const convert = converter(dtype);
  for (let i = 0; i < count; i++) target[i] = convert(elementAt(i));
}

export const isFloatKind = (kind: string): boolean => kind === 'f16' || kind === 'bf16' || kind === 'f32' || kind === 'f64';

/** Equal but for dimensions of 1, or one of them the other flattened: 28 × 28 pixels are a row of 784. */
export function flattensTo(found: readonly number[], wanted: readonly number[]): boolean {
  const a = found.filter(extent => extent !== 1);
  const b = wanted.filter(extent => extent !== 1);
  if (a.length === b.length) return a.every((extent, i) => extent === b[i]);
  return (a.length <= 1 || b.length <= 1) && elementCount(a) === elementCount(b);
}

/** Floats may not become whole numbers, and only truth values and bytes become truth values. */
export function checkKind(kind: ElementKind, type: RowType, place: string): void {
  const fits = isFloatKind(type.dtype) || (type.dtype === 'bool' ? kind === 'bool' || kind === 'u8' : !isFloatKind(kind));
  if (fits) return;
  throw new DataError(`\`${place}\` holds ${kind} values, but \`${type.input}\` takes ${type.dtype}: `
    + 'convert the file, or change the type of the input');
}

/** No value of the kind needs a look before it becomes a `dtype`. */
export function isAlwaysFitting(kind: ElementKind, dtype: DType): boolean {
  if (isFloatKind(dtype)) return kind !== 'i32' && kind !== 'i64';
  if (dtype === 'i32') return kind !== 'i64';
  return kind === 'bool' || (kind === 'u8' && dtype === 'u8');
}

/** What is wrong with a value: not below the limit of its input, out of the range of its dtype, or not exact in it; else null. */
export function valueProblem(value: number, type: RowType): string | null {
  const { input, dtype, below } = type;
  if (below !== null && !(value >= 0 && value < below)) return `\`${input}\` is ${value}, but must be at least 0 and below ${below}`;
  if (isFloatKind(dtype)) {
    const exact = !Number.isInteger(value) || Math.abs(value) <= 16777216 || Math.fround(value) === value;
    return exact ? null : `the whole number ${value} is not exact as ${dtype} in \`${input}\``;
  }
  const low = dtype === 'i32' ? -2147483648 : 0;
  const high = dtype === 'i32' ? 2147483647 : dtype === 'u8' ? 255 : 1;
  const fits = value >= low && value <= high && Number.isInteger(value);
  return fits ? null : `${value} does not fit \`${input}\` (${dtype}: whole numbers from ${low} to ${high})`;
}

/** What storing a number in memory does to it. */
export function converter(dtype: DType): (value: number) => number {
  if (dtype === 'f16') return roundToHalf;
  return dtype === 'bf16' ? roundToBfloat16 : value => value;
}

export function copyFloats(from: Float32Array, start: number, to: Float32Array, at: number, count: number): void {
  for (let i = 0; i < count; i++) to[at + i] = from[start + i]!;
}

/** Copies `count` bytes of `from`; four at a time where all places are multiples of four, which takes a quarter of the time. */
export function byteCopier(from: Uint8Array, count: number): (start: number, to: Uint8Array, at: number) => void {
  const copyBytes = (start: number, to: Uint8Array, at: number): void => {
    for (let i = 0; i < count; i++) to[at + i] = from[start + i]!;
  };
  if (count % 4 !== 0 || from.byteOffset % 4 !== 0) return copyBytes;
  const words = new Uint32Array(from.buffer, from.byteOffset, from.length >> 2);
  let target: Uint8Array | null = null;
  let targetWords = words;
  return (start, to, at) => {
    if (to.byteOffset % 4 !== 0 || at % 4 !== 0) return copyBytes(start, to, at);
    if (to !== target) {
      target = to;
      targetWords = new Uint32Array(to.buffer, to.byteOffset, to.length >> 2);
    }
    for (let i = 0, source = start / 4, place = at / 4; i < count / 4; i++) targetWords[place + i] = words[source + i]!;
  };
}

/** Bytes that a typed array of `width` may lie over, in the platform's (little-endian) order: a copy only where one is needed. */
export function alignedBytes(memory: Uint8Array, offset: number, size: number, width: number, bigEndian: boolean): Uint8Array {
  const part = memory.subarray(offset, offset + size);
  if (width === 1 || (!bigEndian && part.byteOffset % width === 0)) return part;
  const copy = new Uint8Array(part);
  if (bigEndian) reverseElements(copy, width);
  return copy;
}

export function reverseElements(bytes: Uint8Array, width: number): void {
  for (let start = 0; start < bytes.length; start += width) {
    for (let i = start, j = start + width - 1; i < j; i++, j--) {
      const other = bytes[i]!;
      bytes[i] = bytes[j]!;
      bytes[j] = other;
    }
  }
}

/** Reads elements out of `piece`, whatever it holds at the time. */
export function elementReader(kind: ElementKind, piece: Uint8Array): ElementAt {
  const { buffer, byteOffset } = piece;
  const count = piece.length / elementBytes[kind];
  switch (kind) {
    case 'u8':
    case 'bool':
      return index => piece[index]!;
    case 'i8': {
      const values = new Int8Array(buffer, byteOffset, count);
      return index => values[index]!;
    }
    case 'i16': {
      const values = new Int16Array(buffer, byteOffset, count);
      return index => values[index]!;
    }
    case 'i32': {
      const values = new Int32Array(buffer, byteOffset, count);
      return index => values[index]!;
    }
    case 'i64': {
      const words = new Int32Array(buffer, byteOffset, count * 2);
      return index => words[2 * index + 1]! * 4294967296 + (words[2 * index]! >>> 0);
    }
    case 'f16': {
      const values = new Uint16Array(buffer, byteOffset, count);
      return index => halfFromBits(values[index]!);
    }
    case 'bf16': {
      const values = new Uint16Array(buffer, byteOffset, count);
      return index => bfloat16FromBits(values[index]!);
    }
    case 'f32': {
      const values = new Float32Array(buffer, byteOffset, count);
      return index => values[index]!;
    }
    case 'f64': {
      const values = new Float64Array(buffer, byteOffset, count);
      return index => values[index]!;
    }
    default:
      return kind satisfies never;
  }
}
