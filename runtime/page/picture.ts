/** Pictures as rows of an input: which inputs are pictures, where things lie in them, and drawings made alike. Works on any platform. */
import type { TensorArray } from '../tensor.ts';
import { elementCount } from '../tensor.ts';
import type { PictureFacts, Placement } from './messages.ts';

/** Rows hold one channel after the other, each row by row. */
export interface PictureShape {
  readonly channels: 1 | 3;
  readonly height: number;
  readonly width: number;
}

/** The picture that a row of this shape is; null for what is none. Bytes in one dimension are a square picture if they fill one. */
export function pictureShapeOf(rowShape: readonly number[], dtype: string): PictureShape | null {
  const shape = rowShape.length === 3 && (rowShape[0] === 1 || rowShape[0] === 3) ? rowShape.slice(1) : rowShape;
  const channels = shape.length < rowShape.length && rowShape[0] === 3 ? 3 : 1;
  if (shape.length === 2 && shape.every(extent => extent >= 8)) return { channels, height: shape[0]!, width: shape[1]! };
  const side = Math.sqrt(elementCount(rowShape));
  return rowShape.length === 1 && dtype === 'u8' && side >= 8 && Number.isInteger(side) ? { channels: 1, height: side, width: side } : null;
}

/** What the first rows of the data say. A placement is there where things stand on an empty ground, all of about the same size and centre. */
export function pictureFacts(rows: readonly TensorArray[], shape: PictureShape): PictureFacts {
  let [low, high, borderSum, borderCount] = [Infinity, -Infinity, 0, 0];
  for (const row of rows) {
    row.forEach((value, i) => {
      low = Math.min(low, value);
      high = Math.max(high, value);
      const [x, y] = [i % shape.width, Math.floor(i / shape.width) % shape.height];
      if (x > 0 && y > 0 && x < shape.width - 1 && y < shape.height - 1) return;
      borderSum += value;
      borderCount++;
    });
  }
  const border = borderSum / borderCount;
  const things = shape.channels === 1 && border - low < 0.02 * (high - low)
    ? rows.flatMap(row => boundsOf(Float64Array.from(row, value => (value - low) / (high - low)), shape) ?? []) : [];
  const spread = (values: readonly number[]): number => Math.sqrt(mean(values.map(value => (value - mean(values)) ** 2)));
  const [sides, xs, ys] = [things.map(({ side }) => side), things.map(({ x }) => x), things.map(({ y }) => y)] as const;
  const alike = things.length >= 16 && spread(sides) < 0.1 * mean(sides) && spread(xs) < 0.05 * shape.width && spread(ys) < 0.05 * shape.height;
  return { low, high, border, placement: alike ? { side: mean(sides), x: mean(xs), y: mean(ys) } : null };
}

export const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

export interface PictureBounds extends Placement {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

/** Of what is brighter than the ground; null where all is ground. The centre is that of mass. */
export function boundsOf(values: ArrayLike<number>, { width, height }: { readonly width: number; readonly height: number }): PictureBounds | null {
  let [left, top, right, bottom, mass, x, y] = [width, height, -1, -1, 0, 0, 0];
  for (let i = 0; i < width * height; i++) {
    const value = values[i]!;
    if (value < 0.1) continue;
    const [column, row] = [i % width, Math.floor(i / width)];
    [left, right] = [Math.min(left, column), Math.max(right, column)];
    [top, bottom] = [Math.min(top, row), Math.max(bottom, row)];
    mass += value;
    x += value * (column + 0.5);
    y += value * (row + 0.5);
  }
  return mass === 0 ? null : { left, top, right, bottom, side: Math.max(right - left, bottom - top) + 1, x: x / mass, y: y / mass };
}
