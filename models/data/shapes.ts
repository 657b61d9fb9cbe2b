/**
 * Draws coloured shapes with captions, the data of `models/dalle.model`: `node models/data/shapes.ts FOLDER` writes `train.jsonl` and
 * `test.jsonl` there, the same bytes every time. Eight of the forty pairs of a colour and a shape are in the test alone.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const size = 16;
const colours = {
  red: [235, 45, 45], green: [50, 205, 75], blue: [55, 95, 245], yellow: [245, 220, 50], purple: [175, 60, 215], white: [235, 235, 235],
  orange: [245, 140, 30], cyan: [40, 215, 225],
} as const;
const places = { left: [5, 8], right: [11, 8], top: [8, 5], bottom: [8, 11], middle: [8, 8] } as const;
const radii = { small: 3, large: 5 } as const;

/** Whether a point is inside of a shape of radius 1 around the origin. */
const shapes: Readonly<Record<string, (x: number, y: number) => boolean>> = {
  circle: (x, y) => x * x + y * y <= 1,
  square: (x, y) => Math.max(Math.abs(x), Math.abs(y)) <= 0.85,
  triangle: (x, y) => y <= 0.8 && y >= 2 * Math.abs(x) - 1,
  cross: (x, y) => Math.min(Math.abs(x), Math.abs(y)) <= 0.3 && Math.max(Math.abs(x), Math.abs(y)) <= 1,
  ring: (x, y) => x * x + y * y <= 1 && x * x + y * y >= 0.3,
};

const namesOf = <K extends string>(table: Readonly<Record<K, unknown>>): K[] => Object.keys(table) as K[];

/** The n-th colour is never seen with the n-th shape, counted around. */
const isHeldOut = (colour: number, shape: number): boolean => shape === colour % namesOf(shapes).length;

/** Numbers in [0, 1) (Tommy Ettinger's mulberry32). */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** One line of JSON: the picture as [channel][row][column], its caption, and the numbers of its colour and shape. */
function lineOf(colour: number, shape: number, next: () => number): string {
  const pick = <T>(list: readonly T[]): T => list[Math.floor(next() * list.length)]!;
  const [extent, place] = [pick(namesOf(radii)), pick(namesOf(places))];
  const [colourName, shapeName] = [namesOf(colours)[colour]!, namesOf(shapes)[shape]!];
  const [centreX, centreY] = places[place].map(at => at + next() - 0.5) as [number, number];
  const radius = radii[extent] * (0.95 + 0.1 * next());
  // The share of each pixel that the shape covers, by 4 × 4 points in it.
  const covered = (row: number, column: number): number => {
    let inside = 0;
    for (let i = 0; i < 16; i++) {
      const [x, y] = [column + (i % 4 + 0.5) / 4, row + (Math.floor(i / 4) + 0.5) / 4];
      if (shapes[shapeName]!((x - centreX) / radius, (y - centreY) / radius)) inside++;
    }
    return inside / 16;
  };
  const shares = Array.from({ length: size }, (_, row) => Array.from({ length: size }, (__, column) => covered(row, column)));
  const picture = colours[colourName].map(light => shares.map(line => line.map(share => Math.round(share * light))));
  return JSON.stringify({ caption: `${extent} ${colourName} ${shapeName} ${place}`, colour, shape, picture });
}

function linesOf(count: number, heldOut: boolean, seed: number): string {
  const next = generator(seed);
  const pairs = namesOf(colours).flatMap((_, colour) => namesOf(shapes).map((__, shape) => [colour, shape] as const))
    .filter(([colour, shape]) => isHeldOut(colour, shape) === heldOut);
  return Array.from({ length: count }, (_, i) => `${lineOf(...pairs[i % pairs.length]!, next)}\n`).join('');
}

const [folder = '.'] = process.argv.slice(2);
mkdirSync(folder, { recursive: true });
writeFileSync(join(folder, 'train.jsonl'), linesOf(12000, false, 1));
writeFileSync(join(folder, 'test.jsonl'), linesOf(300, true, 2));
