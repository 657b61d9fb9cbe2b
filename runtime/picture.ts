/**
 * Pictures as data: files decoded to rows of bytes, [channels, height, width], as inputs take them. What an input has no place for must
 * hold nothing: a coloured picture is no grey one, a transparent one not opaque. Works on any platform.
 */
import type { ByteSource } from './bytes.ts';
import { readBytes } from './bytes.ts';
import { DataError, messageOf } from './data-error.ts';
import { inflateZlib } from './inflate.ts';
import { decodeJpeg } from './jpeg.ts';
import { decodePng } from './png.ts';
import type { DataField } from './program.ts';
import type { SourceContext } from './source-readers.ts';
import type { ReadField } from './table.ts';
import { missingValue } from './table.ts';
import type { TensorArray } from './tensor.ts';

export interface Picture {
  readonly width: number;
  readonly height: number;
  /** Grey, grey and alpha, red-green-blue, or these and alpha. */
  readonly channels: 1 | 2 | 3 | 4;
  /** One byte for each channel of each pixel, row by row. */
  readonly pixels: Uint8Array;
}

/** Larger files and pictures are refused: they are no rows of a batch. */
export const largestPicture = 2 ** 28;

/** Reads the pictures of a field, whose files `path` names and whose places `where` tells. */
export function readPictures(field: DataField, path: (row: number) => string, where: (row: number) => string, { load }: SourceContext): ReadField {
  return (row, target, at) => {
    const file = path(row);
    if (file === '') throw missingValue(where(row));
    placePicture(decodePicture(load(file)), field, file, target, at);
  };
}

/** Picks the decoder by the first bytes. */
export function decodePicture(bytes: ByteSource): Picture {
  const { place } = bytes;
  if (bytes.size > largestPicture) throw new DataError(`\`${place}\` is larger than ${largestPicture} bytes: make the picture smaller`);
  const all = readBytes(bytes, 0, bytes.size);
  if (all[0] === 0x89 && all[1] === 0x50) return decodePng(all, place, largestPicture, (packed, size) => inflated(packed, size, place));
  if (all[0] === 0xff && all[1] === 0xd8) return decodeJpeg(all, place, largestPicture);
  throw new DataError(`\`${place}\` is neither a PNG nor a JPEG file: convert it, as with \`magick ${place} picture.png\``);
}

export function inflated(packed: Uint8Array, size: number, place: string): Uint8Array {
  try {
    return inflateZlib(packed, size);
  } catch (error) {
    throw new DataError(`\`${place}\` cannot be unpacked (${messageOf(error)}): copy or download it again`);
  }
}

/** Copies a picture to where an input takes it, one channel after the other. */
export function placePicture(picture: Picture, field: DataField, place: string, target: TensorArray, at: number): void {
  const { width, height, channels, pixels } = picture;
  const [wantedHeight, wantedWidth] = field.shape.slice(-2);
  const wanted = field.shape.length === 3 ? field.shape[0]! : 1;
  if (height !== wantedHeight || width !== wantedWidth) {
    throw new DataError(`\`${place}\` is ${width} wide and ${height} high, `
      + `but \`${field.input}\` takes pictures ${wantedWidth} wide and ${wantedHeight} high: bring all pictures to one size first`);
  }
  const [colours, hasAlpha] = [channels < 3 ? 1 : 3, channels % 2 === 0];
  const area = width * height;
  for (let pixel = 0; pixel < area; pixel++) {
    const from = pixel * channels;
    if (wanted === 1 && colours === 3 && (pixels[from] !== pixels[from + 1] || pixels[from] !== pixels[from + 2])) {
      throw new DataError(`\`${place}\` has colours, but \`${field.input}\` takes grey pictures: make it grey, or give the input 3 channels`);
    }
    const alpha = hasAlpha ? pixels[from + colours]! : 255;
    if (wanted < 4 && alpha < 255) {
      throw new DataError(`\`${place}\` is transparent, but \`${field.input}\` has no channel for it: `
        + 'lay it on a background, or give the input 4 channels');
    }
    for (let channel = 0; channel < wanted; channel++) {
      target[at + channel * area + pixel] = channel === 3 ? alpha : pixels[from + (colours === 3 ? channel : 0)]!;
    }
  }
}
