/**
 * The safetensors format: eight bytes with the length of a JSON header, the header, then the elements, little-endian. Written with
 * the tensors in the order of their names, so that equal contents are equal bytes. Works on any platform.
 */
import type { ByteSource } from './bytes.ts';
import { dataViewOf, readBytes } from './bytes.ts';
import { DataError, suggestion } from './data-error.ts';
import type { DType } from './program.ts';
import { halfToBits } from './rounding.ts';
import type { ElementKind, StoredTensor } from './stored-tensor.ts';
import { elementBytes } from './stored-tensor.ts';
import type { TensorArray } from './tensor.ts';
import { elementCount } from './tensor.ts';

export interface Safetensors {
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  readonly metadata: Readonly<Record<string, string>>;
}

/** A tensor to be written, as memory holds it. */
export interface NamedTensor {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly values: TensorArray;
}

export const safetensorsKinds: Readonly<Record<string, ElementKind>> = {
  F32: 'f32', F64: 'f64', F16: 'f16', BF16: 'bf16', I8: 'i8', I16: 'i16', I32: 'i32', I64: 'i64', U8: 'u8', BOOL: 'bool',
};

export const safetensorsNames = { f32: 'F32', f16: 'F16', bf16: 'BF16', i32: 'I32', u8: 'U8', bool: 'BOOL' } as const satisfies Record<DType, string>;

export function readSafetensors(bytes: ByteSource): Safetensors {
  const { place } = bytes;
  const length = Number(dataViewOf(readBytes(bytes, 0, 8)).getBigUint64(0, true));
  if (length < 2 || length > bytes.size - 8) {
    throw new DataError(`\`${place}\` is not a safetensors file, or is truncated: its header would have ${length} bytes, the file has ${bytes.size}`);
  }
  const tensors = new Map<string, StoredTensor>();
  let metadata: Record<string, string> = {};
  for (const [name, entry] of Object.entries(parseObject(new TextDecoder().decode(readBytes(bytes, 8, length)), place))) {
    if (name === '__metadata__') metadata = Object(entry) as Record<string, string>;
    else tensors.set(name, storedTensor(bytes, name, entry, 8 + length));
  }
  return { tensors, metadata };
}

export function parseObject(text: string, place: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // Told below: what JSON says about the place in the header helps nobody.
  }
  throw new DataError(`\`${place}\` is not a safetensors file: its header is not a JSON object`);
}

export function storedTensor(bytes: ByteSource, name: string, entry: unknown, start: number): StoredTensor {
  const place = `${bytes.place}: ${name}`;
  const { dtype, shape, data_offsets: offsets } = (entry ?? {}) as { dtype?: unknown; shape?: unknown; data_offsets?: unknown };
  const kind = typeof dtype === 'string' ? safetensorsKinds[dtype] : undefined;
  if (kind === undefined) {
    throw new DataError(`\`${place}\` has the dtype ${String(dtype)}: convert it to one of ${Object.keys(safetensorsKinds).join(', ')}`);
  }
  if (!isWholeNumbers(shape) || !isWholeNumbers(offsets) || offsets.length !== 2) {
    throw new DataError(`\`${place}\` has a broken header entry: expected a shape and two data_offsets`);
  }
  const [from, to] = [offsets[0]!, offsets[1]!];
  const size = elementCount(shape) * elementBytes[kind];
  if (to - from !== size || start + to > bytes.size) {
    throw new DataError(`\`${place}\` is truncated or broken: expected ${size} bytes at ${start + from}, but the header gives it ${to - from} `
      + `and the file has ${bytes.size}`);
  }
  return { place, bytes, offset: start + from, kind, bigEndian: false, shape };
}

export const isWholeNumbers = (value: unknown): value is readonly number[] =>
  Array.isArray(value) && value.every(item => Number.isSafeInteger(item) && item >= 0);

/** The tensor of that name. */
export function safetensorOf(file: Safetensors, place: string, name: string): StoredTensor {
  const tensor = file.tensors.get(name);
  if (tensor !== undefined) return tensor;
  const names = [...file.tensors.keys()];
  throw new DataError(`\`${place}\` has no tensor \`${name}\`${suggestion(name, names, 'it has')}`);
}

/**
 * The pieces of a safetensors file, one after another: wider elements first, so that every tensor is aligned, the header in the
 * order of names. Half-precision values, rounded in memory, take two bytes.
 */
export function safetensorsPieces(tensors: readonly NamedTensor[], metadata: Readonly<Record<string, string>>): Uint8Array[] {
  const byName = [...tensors].sort((a, b) => (a.name < b.name ? -1 : 1));
  const byWidth = [...byName].sort((a, b) => elementBytes[b.dtype] - elementBytes[a.dtype]);
  const offsets = new Map<string, readonly [number, number]>();
  const pieces: Uint8Array[] = [];
  let offset = 0;
  for (const { name, dtype, values } of byWidth) {
    const piece = fileBytes(values, dtype);
    pieces.push(piece);
    offsets.set(name, [offset, offset + piece.length]);
    offset += piece.length;
  }
  const header = Object.fromEntries<unknown>([
    ['__metadata__', metadata],
    ...byName.map(({ name, dtype, shape }) => [name, { dtype: safetensorsNames[dtype], shape, data_offsets: offsets.get(name) }] as const),
  ]);
  const text = new TextEncoder().encode(JSON.stringify(header));
  const head = new Uint8Array(8 + Math.ceil(text.length / 8) * 8).fill(0x20);
  head.set(text, 8);
  dataViewOf(head).setBigUint64(0, BigInt(head.length - 8), true);
  return [head, ...pieces];
}

export function fileBytes(values: TensorArray, dtype: DType): Uint8Array {
  if (dtype !== 'f16' && dtype !== 'bf16') return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  const words = new Uint16Array(values.length);
  const patterns = new Uint32Array(values.buffer, values.byteOffset, values.length);
  for (let i = 0; i < values.length; i++) words[i] = dtype === 'f16' ? halfToBits(values[i]!) : patterns[i]! >>> 16;
  return new Uint8Array(words.buffer);
}
