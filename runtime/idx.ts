/** The idx format of the MNIST files: two zero bytes, an element kind, the number of dimensions, their extents, big-endian elements. */
import type { ByteSource } from './bytes.ts';
import { dataViewOf, readBytes } from './bytes.ts';
import { DataError } from './data-error.ts';
import type { ElementKind, StoredTensor } from './stored-tensor.ts';

export const idxKinds: Readonly<Record<number, ElementKind>> = { 8: 'u8', 9: 'i8', 11: 'i16', 12: 'i32', 13: 'f32', 14: 'f64' };

export function readIdx(bytes: ByteSource): StoredTensor {
  const magic = readBytes(bytes, 0, 4);
  const kind = idxKinds[magic[2]!];
  if (magic[0] !== 0 || magic[1] !== 0 || kind === undefined) {
    const found = Array.from(magic, byte => byte.toString(16).padStart(2, '0')).join(' ');
    throw new DataError(`\`${bytes.place}\` is not an idx file: it starts with ${found}, expected 00 00, an element kind (08 to 0e) `
      + 'and the number of dimensions');
  }
  const rank = magic[3]!;
  const header = dataViewOf(readBytes(bytes, 4, 4 * rank));
  const shape = Array.from({ length: rank }, (_, i) => header.getUint32(4 * i));
  return { place: bytes.place, bytes, offset: 4 + 4 * rank, kind, bigEndian: true, shape };
}
