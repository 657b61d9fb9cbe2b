/**
 * Zip archives, which npz files are: reads the directory at the end (zip64 too) and members that are stored or deflated; writes
 * archives of stored or deflated members. What packs and unpacks is passed in, so that this works on any platform.
 */
import type { ByteSource } from './bytes.ts';
import { dataViewOf, memoryBytes, partOfBytes, readBytes } from './bytes.ts';
import { DataError, messageOf } from './data-error.ts';

export interface ZipMember {
  readonly name: string;
  readonly method: number;
  readonly packedSize: number;
  readonly size: number;
  /** Of the local header. */
  readonly offset: number;
}

/** The members, by the directory at the end of the file (PKWARE's APPNOTE, 4.3). */
export function zipMembers(bytes: ByteSource): ZipMember[] {
  const { start, size, count } = zipDirectory(bytes);
  const directory = readBytes(bytes, start, size);
  const view = dataViewOf(directory);
  const members: ZipMember[] = [];
  for (let at = 0, i = 0; i < count; i++) {
    if (at + 46 > size || view.getUint32(at, true) !== 0x02014b50) throw notAZip(bytes);
    const nameLength = view.getUint16(at + 28, true);
    const extraLength = view.getUint16(at + 30, true);
    if (at + 46 + nameLength + extraLength > size) throw notAZip(bytes);
    const sizes = [view.getUint32(at + 24, true), view.getUint32(at + 20, true), view.getUint32(at + 42, true)];
    readWideSizes(view, at + 46 + nameLength, extraLength, sizes);
    members.push({
      name: new TextDecoder().decode(directory.subarray(at + 46, at + 46 + nameLength)),
      method: view.getUint16(at + 10, true),
      size: sizes[0]!,
      packedSize: sizes[1]!,
      offset: sizes[2]!,
    });
    at += 46 + nameLength + extraLength + view.getUint16(at + 32, true);
  }
  return members;
}

/** Where the directory lies. */
export function zipDirectory(bytes: ByteSource): { readonly start: number; readonly size: number; readonly count: number } {
  const length = Math.min(bytes.size, 65557);
  const tail = readBytes(bytes, bytes.size - length, length);
  const view = dataViewOf(tail);
  for (let at = length - 22; at >= 0; at--) {
    if (view.getUint32(at, true) !== 0x06054b50) continue;
    const start = view.getUint32(at + 16, true);
    const count = view.getUint16(at + 10, true);
    if (start !== 0xffffffff && count !== 0xffff) return { start, size: view.getUint32(at + 12, true), count };
    if (at < 20 || view.getUint32(at - 20, true) !== 0x07064b50) throw notAZip(bytes);
    const wide = dataViewOf(readBytes(bytes, Number(view.getBigUint64(at - 12, true)), 56));
    return { start: Number(wide.getBigUint64(48, true)), size: Number(wide.getBigUint64(40, true)), count: Number(wide.getBigUint64(32, true)) };
  }
  throw notAZip(bytes);
}

/** Replaces the sizes that do not fit 32 bits by those of the zip64 extra field, which holds only these, in this order. */
export function readWideSizes(view: DataView, start: number, length: number, sizes: number[]): void {
  for (let at = start; at + 4 <= start + length; at += 4 + view.getUint16(at + 2, true)) {
    if (view.getUint16(at, true) !== 1) continue;
    for (let i = 0, from = at + 4; i < sizes.length; i++) {
      if (sizes[i] !== 0xffffffff || from + 8 > start + length) continue;
      sizes[i] = Number(view.getBigUint64(from, true));
      from += 8;
    }
  }
}

/** The contents of a member; `inflate` undoes raw deflate. */
export function zipMemberBytes(bytes: ByteSource, member: ZipMember, inflate: (packed: Uint8Array) => Uint8Array): ByteSource {
  const place = `${bytes.place}: ${member.name}`;
  const local = dataViewOf(readBytes(bytes, member.offset, 30));
  if (local.getUint32(0, true) !== 0x04034b50) throw notAZip(bytes);
  const start = member.offset + 30 + local.getUint16(26, true) + local.getUint16(28, true);
  if (member.method === 0) return partOfBytes(bytes, place, start, member.size);
  if (member.method !== 8) throw new DataError(`\`${place}\` is packed by method ${member.method}: save it with \`numpy.savez\``);
  const packed = readBytes(bytes, start, member.packedSize);
  try {
    return memoryBytes(place, inflate(packed));
  } catch (error) {
    throw new DataError(`\`${place}\` cannot be unpacked (${messageOf(error)}): copy or download the file again`);
  }
}

export const notAZip = (bytes: ByteSource): DataError =>
  new DataError(`\`${bytes.place}\` is not an npz file, or is truncated: its directory of members is missing`);

/** A file to be packed. */
export interface ZipFile {
  readonly name: string;
  readonly contents: Uint8Array;
}

/** The pieces of an archive; `deflate` packs, members that do not shrink are stored. At most 4 GiB: more needs zip64. */
export function zipPieces(files: readonly ZipFile[], deflate: (contents: Uint8Array) => Uint8Array): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  const directory: Uint8Array[] = [];
  let offset = 0;
  for (const { name, contents } of files) {
    const deflated = deflate(contents);
    const packed = deflated.length < contents.length ? deflated : contents;
    const encoded = new TextEncoder().encode(name);
    // Shared by both headers: version, flags, method, time, date (1 January 1980), checksum, sizes, lengths of name and extra field.
    const common = new DataView(new ArrayBuffer(26));
    common.setUint16(0, 20, true);
    common.setUint16(2, 0x800, true);
    common.setUint16(4, packed === contents ? 0 : 8, true);
    common.setUint16(8, 33, true);
    common.setUint32(10, crc32(contents), true);
    common.setUint32(14, packed.length, true);
    common.setUint32(18, contents.length, true);
    common.setUint16(22, encoded.length, true);
    const shared = new Uint8Array(common.buffer);
    const central = new Uint8Array(46 + encoded.length);
    central.set([0x50, 0x4b, 1, 2, 20, 0]);
    central.set(shared, 6);
    dataViewOf(central).setUint32(42, offset, true);
    central.set(encoded, 46);
    directory.push(central);
    pieces.push(new Uint8Array([0x50, 0x4b, 3, 4, ...shared, ...encoded]), packed);
    offset += 30 + encoded.length + packed.length;
  }
  const size = directory.reduce((sum, piece) => sum + piece.length, 0);
  if (offset + size > 0xffffffff) throw new DataError('the results are larger than the 4 GiB of an npz file: predict fewer rows at a time');
  const end = new DataView(new ArrayBuffer(22));
  end.setUint32(0, 0x06054b50, true);
  end.setUint16(8, files.length, true);
  end.setUint16(10, files.length, true);
  end.setUint32(12, size, true);
  end.setUint32(16, offset, true);
  return [...pieces, ...directory, new Uint8Array(end.buffer)];
}

/** The checksum of zip archives (polynomial 0xedb88320, bits reflected). */
export function crc32(bytes: Uint8Array): number {
  const table = Int32Array.from({ length: 256 }, (_, byte) => {
    let value = byte;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
    return value;
  });
  let sum = -1;
  for (let i = 0; i < bytes.length; i++) sum = table[(sum ^ bytes[i]!) & 255]! ^ (sum >>> 8);
  return ~sum >>> 0;
}
