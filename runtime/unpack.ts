/** Data files that came packed by gzip, unpacked by what the engine brings for that. Works on any platform. */
import { DataError, messageOf } from './data-error.ts';
import { inflatedLimit } from './inflate.ts';

/** The file as it is, unless it is packed. */
export async function unpackedFile(file: string, bytes: Uint8Array): Promise<Uint8Array> {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  const pieces: Uint8Array[] = [];
  let size = 0;
  try {
    const reader = new Blob([bytes as Uint8Array<ArrayBuffer>]).stream().pipeThrough(new DecompressionStream('gzip')).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      pieces.push(value);
      size += value.length;
      if (size > inflatedLimit) throw new Error(`it unpacks to more than ${inflatedLimit} bytes`);
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
