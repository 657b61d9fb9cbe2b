/**
 * UTF-8 text of a file, piece by piece, so that files of any size can be read; what is no UTF-8 is told with its place. Works on any
 * platform.
 */
import type { ByteSource } from './bytes.ts';
import { DataError } from './data-error.ts';

/** Bytes that are decoded at once. */
export const textPiece = 2 ** 20;

/** Calls `take` for pieces of the text in order, none of which ends inside a character, with the offset of the byte where each begins. */
export function eachTextPiece(bytes: ByteSource, take: (text: string, offset: number, isLast: boolean) => void): void {
  const buffer = new Uint8Array(Math.min(textPiece, bytes.size));
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  for (let offset = 0; offset < bytes.size;) {
    const part = buffer.subarray(0, Math.min(buffer.length, bytes.size - offset));
    bytes.read(offset, part);
    const isLast = offset + part.length === bytes.size;
    const whole = isLast ? part : part.subarray(0, wholeCharacters(part));
    let text: string;
    try {
      text = decoder.decode(whole);
    } catch {
      throw notUtf8(bytes, offset, whole);
    }
    // A byte order mark is no part of the text.
    take(offset === 0 && text.startsWith('\ufeff') ? text.slice(1) : text, offset, isLast);
    offset += whole.length;
  }
}

/** How many bytes there are before a character that the end cuts. */
export function wholeCharacters(bytes: Uint8Array): number {
  for (let back = 1; back <= 4 && back <= bytes.length; back++) {
    const byte = bytes[bytes.length - back]!;
    if (byte < 0x80) return bytes.length;
    if (byte >= 0xc0) return bytes.length - back;
  }
  return bytes.length;
}

/** Where a piece stops being UTF-8, by halving: text up to there decodes, and no further. */
export function notUtf8(bytes: ByteSource, offset: number, piece: Uint8Array): DataError {
  const decodes = (length: number): boolean => {
    try {
      // As a stream, since the end may cut a character.
      new TextDecoder('utf-8', { fatal: true }).decode(piece.subarray(0, length), { stream: true });
      return true;
    } catch {
      return false;
    }
  };
  let [good, bad] = [0, piece.length + 1];
  while (bad - good > 1) {
    const middle = (good + bad) >> 1;
    if (decodes(middle)) good = middle;
    else bad = middle;
  }
  const at = offset + Math.min(good, piece.length - 1);
  const shown = piece[at - offset]!.toString(16).padStart(2, '0');
  return new DataError(`\`${bytes.place}\`, line ${lineAt(bytes, at)}: byte ${at} (${shown}) is not UTF-8: `
    + 'convert the file, as with `iconv -t UTF-8`, or read it as `bytes`');
}

/** The line that a byte stands in, from 1. */
export function lineAt(bytes: ByteSource, at: number): number {
  const buffer = new Uint8Array(Math.min(textPiece, bytes.size));
  let line = 1;
  for (let offset = 0; offset < at; offset += buffer.length) {
    const part = buffer.subarray(0, Math.min(buffer.length, at - offset));
    bytes.read(offset, part);
    for (const byte of part) if (byte === 10) line++;
  }
  return line;
}
