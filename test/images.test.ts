/**
 * Outputs as images: PNG files against what was put in, grids by their definition, and programs that write them when they predict
 * and when they have trained, with rows and without, with new random numbers for each batch and each seed.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { emit } from '../compiler/6-emit/emit.ts';
import { compile } from '../compiler/index.ts';
import { memoryBytes } from '../runtime/bytes.ts';
import { gridGround, imageGrid } from '../runtime/image-grid.ts';
import { npyBytes } from '../runtime/npy.ts';
import { decodePicture, type Picture } from '../runtime/picture.ts';
import { pngPieces } from '../runtime/png.ts';
import { joined } from '../runtime/unpack.ts';
import { folderOfTest } from './support/folder.ts';
import { emitOptions, importEmitted } from './support/run-program.ts';

const folder = folderOfTest({ enter: false });

test('a picture is in its file', () => {
  fc.assert(fc.property(fc.constantFrom(1, 2, 3, 4), fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 20 }), fc.infiniteStream(fc.nat(255)), (channels, width, height, stream) => {
    const pixels = Uint8Array.from({ length: channels * width * height }, () => stream.next().value as number);
    const picture: Picture = { channels: channels as 1, width, height, pixels };
    expect(decodePicture(memoryBytes('file', joined(pngPieces(picture, deflateSync))))).toEqual(picture);
  }));
});

test('grids are near-square, and every pixel is where it belongs', () => {
  const sizes = fc.integer({ min: 1, max: 7 });
  fc.assert(fc.property(fc.integer({ min: 1, max: 30 }), fc.constantFrom(1 as const, 3 as const), sizes, sizes, fc.boolean(), fc.boolean(), (count, channels, height, width, channelsLast, bytes) => {
    const values = Array.from({ length: count * channels * height * width }, (_, i) => (37 * i) % 256);
    const given = bytes ? Uint8Array.from(values) : Float32Array.from(values, value => value / 255);
    const grid = imageGrid(given, { channels, height, width, channelsLast });
    const columns = (grid.width + 1) / (width + 1);
    const rows = (grid.height + 1) / (height + 1);
    expect(columns * rows).toBeGreaterThanOrEqual(count);
    expect(columns * (rows - 1)).toBeLessThan(count);
    expect(Math.abs(columns * width - rows * height)).toBeLessThanOrEqual(width + height + columns);
    const at = (x: number, y: number, channel: number): number => grid.pixels[(y * grid.width + x) * channels + channel]!;
    let i = 0;
    for (let n = 0; n < count; n++) {
      const place = (x: number, y: number, channel: number): number => at((n % columns) * (width + 1) + x, Math.floor(n / columns) * (height + 1) + y, channel);
      if (channelsLast) for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) for (let c = 0; c < channels; c++) expect(place(x, y, c)).toBe(values[i++]);
      else for (let c = 0; c < channels; c++) for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) expect(place(x, y, c)).toBe(values[i++]);
    }
    for (let y = 0; y < grid.height && columns > 1; y++) expect(at(width, y, 0)).toBe(gridGround);
  }));
});

test('floats are cut at black and white', () => {
  expect([...imageGrid(Float32Array.of(-1, 0.5, 2, NaN), { channels: 1, height: 1, width: 4, channelsLast: false }).pixels]).toEqual([0, 128, 255, 0]);
});

const model = `
model Pictures {
  input x: f32[B, 4]
  y = x |> linear(4)
  loss = mse(y, x)
  output twice = 2 * y
  output seen = reshape(sigmoid(y), [B, 2, 2]) as image
  output noise = uniform_like(zeros([5, 3, 2, 2])) as image
  output drawn = reshape(0 * y, [B, 2, 2]) + uniform_like(zeros([B, 2, 2])) as image
}

data {
  train = npy(x: "x.npy")
  test = npy(x: "x.npy")
}

train {
  batch 4
  steps 3
  optimizer sgd(lr: 0.1)
}`;

test.each(['wasm', 'typescript'] as const)('%s: programs write pictures', target => {
  const { levels, diagnostics } = compile({ path: 'pictures.model', text: model, library: false }, 'schedule', { verify: true });
  expect(diagnostics).toEqual([]);
  writeFileSync(join(folder(), 'program.ts'), emit(levels, emitOptions(target)));
  writeFileSync(join(folder(), 'x.npy'), npyBytes(Float32Array.from({ length: 40 }, (_, i) => Math.sin(i)), 'f32', [10, 4]));
  const run = (...args: readonly string[]): string => execFileSync(process.execPath, ['program.ts', ...args], { cwd: folder(), encoding: 'utf8' });
  const picture = (name: string): Picture => decodePicture(memoryBytes(name, readFileSync(join(folder(), `pictures.${name}.png`))));

  expect(run('--data', '.')).toMatch(/saved pictures.safetensors, pictures.svg, pictures.seen.png, pictures.drawn.png and pictures.noise.png\n$/);
  expect(picture('seen')).toMatchObject({ channels: 1, width: 4 * 3 - 1, height: 3 * 3 - 1 });
  expect(picture('noise')).toMatchObject({ channels: 3, width: 3 * 3 - 1, height: 2 * 3 - 1 });
  const trained = picture('noise');
  for (const name of ['seen', 'drawn']) rmSync(join(folder(), `pictures.${name}.png`));

  expect(run('predict')).toBe('noise f32[5, 3, 2, 2]\nsaved pictures.npz and pictures.noise.png\n');
  const first = picture('noise');
  run('predict');
  expect(picture('noise')).toEqual(first);
  run('predict', '--seed', '9');
  expect(picture('noise')).not.toEqual(first);
  expect(trained).not.toEqual(first);
  expect(existsSync(join(folder(), 'pictures.seen.png'))).toBe(false);

  expect(run('predict', '--input', 'x=x.npy', '-o', './out.npz'))
    .toBe('twice f32[10, 4]\nseen f32[10, 2, 2]\ndrawn f32[10, 2, 2]\nnoise f32[5, 3, 2, 2]\nsaved ./out.npz, pictures.seen.png, pictures.drawn.png and pictures.noise.png\n');
  // Two batches and two single rows: no two rows are the same numbers.
  const { pixels, width } = picture('drawn');
  const rows = Array.from({ length: 10 }, (_, i) => [0, 1, width, width + 1].map(at => pixels[Math.floor(i / 4) * 3 * width + (i % 4) * 3 + at]!).join());
  expect(new Set(rows).size).toBe(10);
}, 60_000);

test('applications ask for what depends on no input, by a seed', async () => {
  const { levels } = compile({ path: 'pictures.model', text: model, library: false }, 'schedule', { verify: true });
  const { predictOnce } = await importEmitted(emit(levels, { ...emitOptions('wasm'), form: 'module' }));
  const [first, again, other] = [await predictOnce!({}), await predictOnce!({ seed: 0 }), await predictOnce!({ seed: 1 })];
  expect(Object.keys(first)).toEqual(['noise']);
  expect(first['noise']).toHaveLength(5 * 3 * 2 * 2);
  expect(again).toEqual(first);
  expect(other).not.toEqual(first);
});
