/**
 * PNG pictures (ISO/IEC 15948): reads grey, colour or palette with up to 8 bits a sample, with or without transparency, all filters, no
 * interlacing; writes pictures as they are in memory. Packing and unpacking are the caller's, so that this works on any platform.
 */
import { dataViewOf } from './bytes.ts';
import { DataError } from './data-error.ts';
import type { Picture } from './picture.ts';
import { crc32 } from './zip.ts';

/** What the header says. */
export interface PngHeader {
  readonly width: number;
  readonly height: number;
  readonly depth: number;
  readonly kind: PngKind;
}

/** 0 grey, 2 colour, 3 palette, 4 grey and alpha, 6 colour and alpha. */
export type PngKind = 0 | 2 | 3 | 4 | 6;

/** The first bytes of every file. */
export const pngSignature = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a] as const;

/** Samples of a pixel. */
export const pngSamples = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 } as const satisfies Record<PngKind, number>;

export function decodePng(bytes: Uint8Array, place: string, limit: number, inflate: (packed: Uint8Array, size: number) => Uint8Array): Picture {
  const { header, palette, transparent, packed } = pngChunks(bytes, place);
  const { width, height, depth, kind } = header;
  const samples = pngSamples[kind];
  const stride = Math.ceil((width * samples * depth) / 8);
  const size = height * (stride + 1);
  if (size > limit || width * height * 4 > limit) {
    throw new DataError(`\`${place}\` is ${width} wide and ${height} high, which is too large: make it smaller`);
  }
  const lines = inflate(packed, size);
  if (lines.length !== size) {
    throw new DataError(`\`${place}\` is truncated: its pixels need ${size} bytes, found ${lines.length}; copy or download it again`);
  }
  unfilter(lines, height, stride, Math.max(1, (samples * depth) / 8), place);
  const values = new Uint8Array(width * height * samples);
  for (let row = 0; row < height; row++) unpackSamples(lines, row * (stride + 1) + 1, depth, values, row * width * samples, width * samples);
  if (kind === 3) return { width, height, ...paletteColours(values, palette, transparent, place) };
  // Grey levels of fewer bits are spread over all 8.
  if (depth < 8) for (let i = 0; i < values.length; i++) values[i] = values[i]! * (255 / (2 ** depth - 1));
  if (transparent !== null && (kind === 0 || kind === 2)) {
    throw new DataError(`\`${place}\` makes one colour transparent: save it with an alpha channel, or without transparency`);
  }
  return { width, height, channels: samples, pixels: values };
}

/** The pieces of a file; `deflate` packs in the format of zlib. */
export function pngPieces({ width, height, channels, pixels }: Picture, deflate: (lines: Uint8Array) => Uint8Array): Uint8Array[] {
  const stride = width * channels;
  // Each line begins with its filter: none.
  const lines = new Uint8Array(height * (stride + 1));
  for (let row = 0; row < height; row++) lines.set(pixels.subarray(row * stride, (row + 1) * stride), row * (stride + 1) + 1);
  const header = new Uint8Array(13);
  dataViewOf(header).setUint32(0, width);
  dataViewOf(header).setUint32(4, height);
  header.set([8, { 1: 0, 2: 4, 3: 2, 4: 6 }[channels]], 8);
  return [Uint8Array.of(...pngSignature), pngChunk('IHDR', header), pngChunk('IDAT', deflate(lines)), pngChunk('IEND', new Uint8Array(0))];
}

/** Length, name, data, and the checksum of the last two. */
export function pngChunk(name: string, data: Uint8Array): Uint8Array {
  const chunk = new Uint8Array(data.length + 12);
  chunk.set(new TextEncoder().encode(name), 4);
  chunk.set(data, 8);
  const view = dataViewOf(chunk);
  view.setUint32(0, data.length);
  view.setUint32(data.length + 8, crc32(chunk.subarray(4, data.length + 8)));
  return chunk;
}

export interface PngChunks {
  readonly header: PngHeader;
  readonly palette: Uint8Array | null;
  readonly transparent: Uint8Array | null;
  readonly packed: Uint8Array;
}

/** What the chunks of a file hold, each checked by its sum. */
export function pngChunks(bytes: Uint8Array, place: string): PngChunks {
  const broken = (what: string): DataError => new DataError(`\`${place}\` is a broken PNG file (${what}): copy or download it again`);
  const view = dataViewOf(bytes);
  let header: PngHeader | null = null;
  let palette: Uint8Array | null = null;
  let transparent: Uint8Array | null = null;
  const parts: Uint8Array[] = [];
  if (pngSignature.some((byte, i) => bytes[i] !== byte)) throw broken('its first 8 bytes are wrong');
  for (let at = 8, name = ''; name !== 'IEND';) {
    if (at + 12 > bytes.length) throw broken(`it ends at byte ${bytes.length}, before its last chunk`);
    const size = view.getUint32(at);
    if (at + 12 + size > bytes.length) throw broken(`it ends at byte ${bytes.length}, inside the chunk at byte ${at}`);
    name = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    const sum = crc32(bytes.subarray(at + 4, at + 8 + size));
    if (sum !== view.getUint32(at + 8 + size)) throw broken(`the checksum of the chunk at byte ${at} is wrong`);
    const data = bytes.subarray(at + 8, at + 8 + size);
    if (name === 'IHDR') header = pngHeader(data, place);
    if (name === 'PLTE') palette = data;
    if (name === 'tRNS') transparent = data;
    if (name === 'IDAT') parts.push(data);
    at += 12 + size;
  }
  if (header === null) throw broken('it has no header');
  const packed = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let filled = 0;
  for (const part of parts) {
    packed.set(part, filled);
    filled += part.length;
  }
  return { header, palette, transparent, packed };
}

export function pngHeader(data: Uint8Array, place: string): PngHeader {
  const view = dataViewOf(data);
  const kind = data[9];
  const depth = data[8]!;
  const known = kind === 0 || kind === 2 || kind === 3 || kind === 4 || kind === 6;
  if (data.length !== 13 || !known || ![1, 2, 4, 8, 16].includes(depth)) {
    throw new DataError(`\`${place}\` is a broken PNG file (its header is wrong): save it again`);
  }
  const [width, height] = [view.getUint32(0), view.getUint32(4)];
  if (width === 0 || height === 0) throw new DataError(`\`${place}\` is ${width} wide and ${height} high: a picture has pixels`);
  if (data[12] !== 0) {
    throw new DataError(`\`${place}\` is interlaced: save it without interlacing, as with \`magick ${place} -interlace none picture.png\``);
  }
  if (depth === 16 || (depth < 8 && kind !== 0 && kind !== 3)) {
    throw new DataError(`\`${place}\` has ${depth} bits a sample: save it with 8, as with \`magick ${place} -depth 8 picture.png\``);
  }
  return { width, height, depth, kind };
}

/** Undoes the filters in place: each line says which of five differences its bytes are. */
export function unfilter(lines: Uint8Array, height: number, stride: number, width: number, place: string): void {
  for (let row = 0; row < height; row++) {
    const start = row * (stride + 1) + 1;
    const filter = lines[start - 1]!;
    if (filter > 4) throw new DataError(`\`${place}\` is a broken PNG file (line ${row} has the filter ${filter}): copy or download it again`);
    for (let i = 0; i < stride; i++) {
      const left = i < width ? 0 : lines[start + i - width]!;
      const up = row === 0 ? 0 : lines[start + i - stride - 1]!;
      if (filter === 1) lines[start + i]! += left;
      else if (filter === 2) lines[start + i]! += up;
      else if (filter === 3) lines[start + i]! += (left + up) >> 1;
      else if (filter === 4) lines[start + i]! += paeth(left, up, row === 0 || i < width ? 0 : lines[start + i - stride - 1 - width]!);
    }
  }
}

/** The neighbour that is nearest to left + up − upLeft. */
export function paeth(left: number, up: number, upLeft: number): number {
  const guess = left + up - upLeft;
  const [a, b, c] = [Math.abs(guess - left), Math.abs(guess - up), Math.abs(guess - upLeft)];
  if (a <= b && a <= c) return left;
  return b <= c ? up : upLeft;
}

/** Samples of fewer than 8 bits lie side by side in a byte, the first in the highest bits. */
export function unpackSamples(lines: Uint8Array, from: number, depth: number, into: Uint8Array, at: number, count: number): void {
  for (let i = 0; i < count; i++) {
    const bit = i * depth;
    into[at + i] = (lines[from + (bit >> 3)]! >> (8 - depth - (bit & 7))) & (2 ** depth - 1);
  }
}

export function paletteColours(
  values: Uint8Array, palette: Uint8Array | null, transparent: Uint8Array | null, place: string,
): { readonly channels: 3 | 4; readonly pixels: Uint8Array } {
  const channels = transparent === null ? 3 : 4;
  const pixels = new Uint8Array(values.length * channels);
  for (let i = 0; i < values.length; i++) {
    const colour = values[i]!;
    if (palette === null || 3 * colour + 3 > palette.length) {
      throw new DataError(`\`${place}\` is a broken PNG file (its palette has no colour ${colour}): save it again`);
    }
    for (let channel = 0; channel < 3; channel++) pixels[i * channels + channel] = palette[3 * colour + channel]!;
    if (channels === 4) pixels[i * channels + 3] = transparent![colour] ?? 255;
  }
  return { channels, pixels };
}
