/**
 * What is packed inside of data files, by what the engine brings for that. Uses node: modules, but imports none.
 */
import { memoryBytes } from './bytes.ts';
import { DataError, messageOf } from './data-error.ts';
import { nodeProcess } from './engine.ts';
import { zipMemberBytes, zipMembers, zipPieces } from './zip.ts';

/** The most that is unpacked: a few kilobytes can claim to hold any number of bytes. */
export const unpackedLimit = 2 ** 30;

/** Undoes raw deflate. Only Node does that without waiting: elsewhere files go through `unpackedFile` first. */
export function inflateRaw(packed: Uint8Array): Uint8Array {
  const process = nodeProcess();
  if (process === null) throw new DataError('this engine unpacks whole files only');
  return process.getBuiltinModule('node:zlib').inflateRawSync(packed, { maxOutputLength: unpackedLimit });
}

/** A data file, unpacked if it is packed by gzip, and with all members stored if it is a zip archive, as npz files are. */
export async function unpackedFile(file: string, bytes: Uint8Array): Promise<Uint8Array> {
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) return decompressed(file, bytes, 'gzip');
  if (bytes[0] !== 0x50 || bytes[1] !== 0x4b) return bytes;
  const source = memoryBytes(file, bytes);
  const files: { name: string; contents: Uint8Array }[] = [];
  for (const member of zipMembers(source)) {
    const packed = zipMemberBytes(source, { ...member, size: member.packedSize, method: 0 }, contents => contents).memory!;
    files.push({ name: member.name, contents: member.method === 8 ? await decompressed(file, packed, 'deflate-raw') : packed });
  }
  return joined(zipPieces(files, contents => contents));
}

export async function decompressed(file: string, bytes: Uint8Array, format: 'gzip' | 'deflate-raw'): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  try {
    const reader = new Blob([bytes as Uint8Array<ArrayBuffer>]).stream().pipeThrough(new DecompressionStream(format)).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      pieces.push(value);
      size += value.length;
      if (size > unpackedLimit) throw new Error(`it unpacks to more than ${unpackedLimit} bytes`);
    }
  } catch (error) {
    throw new DataError(`\`${file}\` cannot be unpacked (${messageOf(error)}): copy or download it again`);
  }
  return joined(pieces);
}

export function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
