/** Outputs as images: takes the values of an output and how its pictures lie in it, gives all of them as one picture. Works on any platform. */
import type { Picture } from './picture.ts';
import type { ImageLayout } from './program.ts';
import type { TensorArray } from './tensor.ts';

/** Between pictures, and where none is. */
export const gridGround = 128;

/** The pictures in rows, in a near-square grid with one pixel between them. */
export function imageGrid(values: TensorArray, layout: ImageLayout): Picture {
  const { channels, height, width } = layout;
  const area = height * width;
  const count = values.length / (channels * area);
  const columns = Math.min(count, Math.ceil(Math.sqrt((count * height) / width)));
  const rows = Math.ceil(count / columns);
  const grid = { channels, width: columns * (width + 1) - 1, height: rows * (height + 1) - 1 };
  const pixels = new Uint8Array(grid.width * grid.height * channels).fill(gridGround);
  for (let i = 0; i < count; i++) {
    const [left, top] = [(i % columns) * (width + 1), Math.floor(i / columns) * (height + 1)];
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const into = ((top + y) * grid.width + left + x) * channels;
        for (let channel = 0; channel < channels; channel++) pixels[into + channel] = pixelOf(values, layout, i, channel, y * width + x);
      }
    }
  }
  return { ...grid, pixels };
}

/** One channel of a pixel of picture `i` as a byte: bytes as they are, floats from 0 to 1. */
export function pixelOf(values: TensorArray, { channels, height, width, channelsLast }: ImageLayout, i: number, channel: number, pixel: number): number {
  const area = height * width;
  const value = values[i * channels * area + (channelsLast ? pixel * channels + channel : channel * area + pixel)]!;
  return values instanceof Uint8Array ? value : Math.round(255 * Math.min(1, Math.max(0, value)));
}
