/**
 * Data files from disk, for what a model takes from them when it is compiled. They are found as programs find them: inside the data
 * folder, under their names or packed as `.gz`; texts of any size are read piece by piece.
 */
import { closeSync, existsSync, openSync, readFileSync, readSync, realpathSync, statSync } from 'node:fs';
import { resolve, sep } from 'node:path';
import { gunzipSync } from 'node:zlib';
import type { DataFiles } from '../index.ts';
import { Failure, fileFailure } from './failure.ts';

/** Of what is unpacked in memory, and of a tokenizer's file. */
const largest = 2 ** 30;
const largestTokenizer = 2 ** 27;

export const dataFilesOf = (folder: string): DataFiles => ({
  characters: file => {
    const seen = new Uint8Array(0x110000);
    return tried(folder, file, path => {
      eachPiece(path, text => {
        for (let at = 0; at < text.length; at++) {
          const point = text.codePointAt(at)!;
          seen[point] = 1;
          if (point > 0xffff) at++;
        }
      });
      const characters = Array.from(seen, (present, point) => (present === 1 ? String.fromCodePoint(point) : '')).join('');
      return characters === '' ? { reason: 'it is empty' } : { characters };
    });
  },
  text: file => tried(folder, file, path => {
    if (statSync(path).size > largestTokenizer) return { reason: 'it is too large for a tokenizer' };
    const pieces: string[] = [];
    eachPiece(path, text => pieces.push(text));
    return { text: pieces.join('') };
  }),
});

function tried<T>(folder: string, file: string, action: (path: string) => T): T | { readonly reason: string } {
  try {
    const wanted = resolve(folder, file);
    const found = existsSync(wanted) ? wanted : `${wanted}.gz`;
    if (!existsSync(found)) return { reason: `it is missing in the data folder \`${folder}\`` };
    const root = realpathSync(folder);
    if (!realpathSync(found).startsWith(root.endsWith(sep) ? root : root + sep)) {
      return { reason: `it is a link that leads outside of the data folder \`${folder}\`` };
    }
    return action(found);
  } catch (error) {
    const failure = fileFailure(error, file);
    if (failure instanceof Failure) return { reason: failure.message };
    throw error;
  }
}

/** Calls `take` for pieces of a UTF-8 text, without a byte order mark. */
export function eachPiece(path: string, take: (text: string) => void): void {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  try {
    const packed = path.endsWith('.gz');
    for (const bytes of packed ? [gunzipSync(readFileSync(path), { maxOutputLength: largest })] : pieces(path)) take(decoder.decode(bytes, { stream: true }));
    take(decoder.decode());
  } catch (error) {
    if (error instanceof TypeError) throw new Failure(`\`${path}\` is not UTF-8 text: convert it, as with \`iconv -t UTF-8\``);
    const ofPacking = error instanceof Error && 'code' in error && String(error.code).startsWith('Z_');
    if (error instanceof RangeError || ofPacking) throw new Failure(`\`${path}\` cannot be unpacked: unpack it on the disk`);
    throw error;
  }
}

function* pieces(path: string): Generator<Uint8Array> {
  if (!statSync(path).isFile()) throw new Failure(`\`${path}\` is not a file`);
  const file = openSync(path, 'r');
  try {
    const buffer = new Uint8Array(2 ** 20);
    for (let count = readSync(file, buffer); count > 0; count = readSync(file, buffer)) yield buffer.subarray(0, count);
  } finally {
    closeSync(file);
  }
}
