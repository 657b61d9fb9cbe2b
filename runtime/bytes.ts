/** Bytes of a file, whole in memory or read piece by piece: what the readers of formats work on, on any platform. */
import { DataError } from './data-error.ts';

export interface ByteSource {
  /** The name that messages use. */
  readonly place: string;
  readonly size: number;
  /** All bytes, when they are in memory. */
  readonly memory: Uint8Array | null;
  /** Fills `target` with the bytes from `offset` on. */
  readonly read: (offset: number, target: Uint8Array) => void;
}

export function memoryBytes(place: string, memory: Uint8Array): ByteSource {
  return {
    place,
    size: memory.length,
    memory,
    read: (offset, target) => {
      if (offset + target.length > memory.length) throw truncated(place, offset + target.length, memory.length);
      target.set(memory.subarray(offset, offset + target.length));
    },
  };
}

/** A part of a source, as a source of its own. */
export function partOfBytes(source: ByteSource, place: string, offset: number, size: number): ByteSource {
  if (source.memory !== null) return memoryBytes(place, source.memory.subarray(offset, offset + size));
  return { place, size, memory: null, read: (from, target) => source.read(offset + from, target) };
}

/** A copy of some bytes, for headers. */
export function readBytes(source: ByteSource, offset: number, count: number): Uint8Array {
  if (offset + count > source.size) throw truncated(source.place, offset + count, source.size);
  const bytes = new Uint8Array(count);
  source.read(offset, bytes);
  return bytes;
}

export const truncated = (place: string, expected: number, found: number): DataError =>
  new DataError(`\`${place}\` is truncated: expected at least ${expected} bytes, found ${found}; copy or download it again`);

export const dataViewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
