/**
 * Pictures as data: PNG files of every kind against what was put in, JPEG files against what libjpeg makes of them (`test/pictures/`
 * holds both), folders as classes, and what is said of files that do not fit or are broken.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { memoryBytes } from '../runtime/bytes.ts';
import { DataError } from '../runtime/data-error.ts';
import { openRows } from '../runtime/open-data.ts';
import { decodePicture, readPictures, type Picture } from '../runtime/picture.ts';
import { pngSamples, type PngKind } from '../runtime/png.ts';
import type { DataField, DataSource } from '../runtime/program.ts';
import type { ProgramData } from '../runtime/row-set.ts';
import { newTensorArray } from '../runtime/tensor.ts';
import { crc32 } from '../runtime/zip.ts';
import { linearProgram } from './runtime-fixture.ts';
import { folderOfTest } from './support/folder.ts';

const folder = folderOfTest({ enter: false });
const stored = (name: string): Uint8Array => readFileSync(join(import.meta.dirname, 'pictures', name));
const decode = (bytes: Uint8Array): Picture => decodePicture(memoryBytes('file', bytes));

function chunk(name: string, data: Uint8Array): Uint8Array {
  const body = Buffer.concat([Buffer.from(name), data]);
  const [size, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
  size.writeUInt32BE(data.length);
  sum.writeUInt32BE(crc32(body));
  return Buffer.concat([size, body, sum]);
}

interface Png {
  readonly width: number;
  readonly height: number;
  readonly depth: number;
  readonly kind: PngKind;
  /** Below 2^depth, in order. */
  readonly samples: readonly number[];
  /** Of each line. */
  readonly filters: readonly number[];
}

const signature = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
const header = ({ width, height, depth, kind }: Png, interlaced = 0): Uint8Array => {
  const data = Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, depth, kind, 0, 0, interlaced]);
  data.writeUInt32BE(width, 0);
  data.writeUInt32BE(height, 4);
  return chunk('IHDR', data);
};

/** Of left, up and upper left, in this order, the one that is nearest to left + up − upper left. */
const nearest = (...neighbours: readonly [number, number, number]): number => {
  const guess = neighbours[0] + neighbours[1] - neighbours[2];
  return [...neighbours].sort((a, b) => Math.abs(guess - a) - Math.abs(guess - b))[0]!;
};

/** Lines of packed samples, each with the difference that its filter says, by the definition. */
function filtered({ width, height, depth, kind, samples, filters }: Png): Uint8Array {
  const perLine = width * pngSamples[kind];
  const stride = Math.ceil((perLine * depth) / 8);
  const pixel = Math.max(1, (pngSamples[kind] * depth) / 8);
  const plain = Array.from({ length: height }, (_, y) => {
    const bits = samples.slice(y * perLine, (y + 1) * perLine).map(sample => sample.toString(2).padStart(depth, '0')).join('').padEnd(stride * 8, '0');
    return Array.from({ length: stride }, (_, i) => Number.parseInt(bits.slice(8 * i, 8 * i + 8), 2));
  });
  return Uint8Array.from(plain.flatMap((line, y) => {
    const at = (row: number, i: number): number => (i < 0 ? 0 : plain[row]?.[i] ?? 0);
    return [filters[y]!, ...line.map((value, i) => {
      const [left, up, upLeft] = [at(y, i - pixel), at(y - 1, i), at(y - 1, i - pixel)];
      return (value - [0, left, up, Math.floor((left + up) / 2), nearest(left, up, upLeft)][filters[y]!]!) & 255;
    })];
  }));
}

const palette = Uint8Array.from({ length: 256 * 3 }, (_, i) => (i * 7) & 255);
const png = (image: Png, more: readonly Uint8Array[] = []): Uint8Array => {
  const packed = deflateSync(filtered(image));
  const parts = [packed.subarray(0, packed.length >> 1), packed.subarray(packed.length >> 1)].map(part => chunk('IDAT', part));
  return Buffer.concat([signature, header(image), ...(image.kind === 3 ? [chunk('PLTE', palette)] : []), ...more, ...parts, chunk('IEND', new Uint8Array(0))]);
};

const images: fc.Arbitrary<Png> = fc.record({
  width: fc.integer({ min: 1, max: 12 }), height: fc.integer({ min: 1, max: 6 }), form: fc.constantFrom(
    { kind: 0, depth: 1 }, { kind: 0, depth: 2 }, { kind: 0, depth: 4 }, { kind: 0, depth: 8 }, { kind: 2, depth: 8 }, { kind: 3, depth: 1 },
    { kind: 3, depth: 2 }, { kind: 3, depth: 4 }, { kind: 3, depth: 8 }, { kind: 4, depth: 8 }, { kind: 6, depth: 8 }),
}).chain(({ width, height, form }) => fc.record({
  width: fc.constant(width), height: fc.constant(height), depth: fc.constant(form.depth), kind: fc.constant(form.kind as PngKind),
  samples: fc.array(fc.integer({ min: 0, max: 2 ** form.depth - 1 }), { minLength: width * height * pngSamples[form.kind as PngKind], maxLength: width * height * pngSamples[form.kind as PngKind] }),
  filters: fc.array(fc.integer({ min: 0, max: 4 }), { minLength: height, maxLength: height }),
}));

test('PNG: every kind, depth and filter', () => {
  fc.assert(fc.property(images, image => {
    const { width, height, channels, pixels } = decode(png(image));
    const expected = image.kind === 3
      ? image.samples.flatMap(colour => [...palette.subarray(3 * colour, 3 * colour + 3)])
      : image.samples.map(sample => (sample * 255) / (2 ** image.depth - 1));
    expect([width, height, channels, [...pixels]]).toEqual([image.width, image.height, image.kind === 3 ? 3 : pngSamples[image.kind], expected]);
  }), { numRuns: 200 });
  const transparent = decode(png({ width: 2, height: 1, depth: 8, kind: 3, samples: [1, 2], filters: [0] }, [chunk('tRNS', Uint8Array.of(9, 8))]));
  expect([transparent.channels, [...transparent.pixels]]).toEqual([4, [21, 28, 35, 8, 42, 49, 56, 255]]);
});

test.each(['grey', 'colour', 'halved', 'quartered'])('JPEG: %s, as libjpeg decodes it but for rounding', name => {
  const [found, expected] = [decode(stored(`${name}.jpg`)), decode(stored(`${name}.png`))];
  expect([found.width, found.height, found.channels]).toEqual([expected.width, expected.height, expected.channels]);
  const differences = Array.from(found.pixels, (value, i) => Math.abs(value - expected.pixels[i]!));
  expect(Math.max(...differences)).toBeLessThanOrEqual(2);
  expect(differences.reduce((sum, value) => sum + value, 0) / differences.length).toBeLessThan(0.5);
});

const field = (input: string, shape: readonly number[], more: Partial<DataField>): DataField =>
  ({ input, dtype: 'u8', shape, file: 'all', columns: ['picture'], categorical: false, picture: true, tokens: null, below: null, ...more });
const kind = field('kind', [], { dtype: 'i32', columns: ['folder'], categorical: true, picture: false });

function open(fields: readonly DataField[], format: DataSource['format'] = 'images', limit?: number): ProgramData {
  const sources = [{ name: 'train', format, fields, separator: ',', header: true, stride: null }];
  const program = linearProgram({}, { sources, shuffle: true, split: null, holdOut: null, seed: 7 });
  const inputs = fields.map(({ input, dtype, shape, below }) => ({ name: input, dtype, shape: [4, ...shape], offset: 0, below }));
  return openRows({ ...program, inputs, pictures: readPictures }, folder(), limit);
}

function read(data: ProgramData, input: string, row: number, size: number): number[] {
  const target = newTensorArray('i32', size);
  data.train!.columns.find(other => other.input === input)!.read(row, target, 0);
  return [...target];
}

const two = (kindOf: PngKind, samples: readonly number[]): Uint8Array => png({ width: 2, height: 1, depth: 8, kind: kindOf, samples, filters: [0] });
function write(path: string, bytes: Uint8Array | string): void {
  mkdirSync(join(folder(), path, '..'), { recursive: true });
  writeFileSync(join(folder(), path), bytes);
}

test.each([undefined, 3])('folders are classes; channels come one after the other (limit %s)', limit => {
  write('all/dog/b.png', two(2, [1, 2, 3, 4, 5, 6]));
  write('all/cat/z.png', two(0, [7, 8]));
  write('all/cat/.hidden', 'no picture');
  write('all/dog/a.png', two(6, [9, 9, 9, 255, 8, 8, 8, 255]));
  const data = open([field('image', [3, 1, 2], {}), kind], 'images', limit);
  expect([0, 1, 2].map(row => [read(data, 'image', row, 6), read(data, 'kind', row, 1)])).toEqual(
    [[[7, 8, 7, 8, 7, 8], [0]], [[9, 8, 9, 8, 9, 8], [1]], [[1, 4, 2, 5, 3, 6], [1]]]);
});

test('pictures that a table names', () => {
  write('pictures/a.png', two(2, [1, 1, 1, 2, 2, 2]));
  write('pictures/b.png', two(4, [3, 255, 4, 255]));
  write('all', 'file,kind\npictures/b.png,1\npictures/a.png,0\n');
  const csv = open([field('image', [1, 2], { columns: ['file'] })], 'csv');
  write('all', '{"file": "pictures/b.png"}\n{"file": "pictures/a.png"}\n');
  const jsonl = open([field('image', [1, 1, 2], { columns: ['file'] })], 'jsonl');
  for (const data of [csv, jsonl]) expect([read(data, 'image', 0, 2), read(data, 'image', 1, 2)]).toEqual([[3, 4], [1, 2]]);
  const alpha = open([field('image', [4, 1, 2], { columns: ['file'] })], 'jsonl');
  expect(read(alpha, 'image', 1, 8)).toEqual([1, 2, 1, 2, 1, 2, 255, 255]);
});

const grey: Png = { width: 2, height: 1, depth: 8, kind: 0, samples: [1, 2], filters: [0] };
const changed = (bytes: Uint8Array, at: number, value: number): Uint8Array => bytes.map((byte, i) => (i === at ? value : byte));
const wrong: readonly [string, Uint8Array | string, readonly number[], string][] = [
  ['size', two(0, [1, 2]), [2, 2], '`all/a.png` is 2 wide and 1 high, but `image` takes pictures 2 wide and 2 high'],
  ['colours', two(2, [1, 1, 1, 1, 2, 1]), [1, 2], '`all/a.png` has colours, but `image` takes grey pictures'],
  ['transparent', two(4, [1, 255, 1, 254]), [3, 1, 2], '`all/a.png` is transparent, but `image` has no channel for it'],
  ['text', 'hello', [1, 2], '`all/a.png` is neither a PNG nor a JPEG file'],
  ['interlaced', Buffer.concat([signature, header(grey, 1), png(grey).subarray(33)]), [1, 2], '`all/a.png` is interlaced'],
  ['16 bits', Buffer.concat([signature, header({ ...grey, depth: 16 }), png(grey).subarray(33)]), [1, 2], '`all/a.png` has 16 bits a sample'],
  ['no pixels', Buffer.concat([signature, header({ ...grey, width: 0 }), png(grey).subarray(33)]), [1, 2], '`all/a.png` is 0 wide and 1 high'],
  ['huge', Buffer.concat([signature, header({ ...grey, width: 2 ** 31 - 1, height: 2 ** 20 }), png(grey).subarray(33)]), [1, 2], 'which is too large'],
  ['more pixels', Buffer.concat([signature, header({ ...grey, height: 2 }), png(grey).subarray(33)]), [1, 2], '`all/a.png` is truncated: its pixels need 6 bytes, found 3'],
  ['fewer pixels', Buffer.concat([signature, header({ ...grey, width: 1 }), png(grey).subarray(33)]), [1, 2], '`all/a.png` cannot be unpacked'],
  ['one colour transparent', png(grey, [chunk('tRNS', Uint8Array.of(0, 1))]), [1, 2], '`all/a.png` makes one colour transparent'],
  ['palette', Buffer.concat([signature, header({ ...grey, kind: 3 }), png(grey).subarray(33)]), [3, 1, 2], 'its palette has no colour 1'],
  ['filter', png({ ...grey, filters: [5] }), [1, 2], '`all/a.png` is a broken PNG file (line 0 has the filter 5)'],
  ['checksum', changed(png(grey), 45, 77), [1, 2], '`all/a.png` is a broken PNG file (the checksum of the chunk at byte 33 is wrong)'],
  ['signature', changed(png(grey), 4, 77), [1, 2], '`all/a.png` is a broken PNG file (its first 8 bytes are wrong)'],
  ['cut', png(grey).subarray(0, 40), [1, 2], '`all/a.png` is a broken PNG file (it ends at byte 40'],
  ['progressive', stored('progressive.jpg'), [3, 30, 19], '`all/a.png` is a progressive or otherwise uncommon JPEG file'],
  ['four colours', stored('four.jpg'), [3, 9, 9], '`all/a.png` has 4 colours'],
  ['cut JPEG', stored('colour.jpg').subarray(0, 700), [3, 30, 19], '`all/a.png` is a broken JPEG file'],
  ['empty JPEG', Uint8Array.of(0xff, 0xd8, 0xff, 0xd9, 0, 0), [1, 2], '`all/a.png` is a broken JPEG file (it holds no pixels)'],
];

test.each(wrong)('wrong pictures: %s', (_, bytes, shape, message) => {
  write('all/a.png', bytes);
  const fields = [field('image', shape, {})];
  expect(() => open(fields)).toThrow(message);
  // What is not read at once is told when it is read.
  const later = open(fields, 'images', 1);
  expect(() => read(later, 'image', 0, shape.reduce((a, b) => a * b, 1))).toThrow(message);
});

test('wrong folders', () => {
  write('all/a.png', two(0, [1, 2]));
  expect(() => open([field('image', [1, 2], {}), kind])).toThrow('`all/a.png` is a file between the folders of the classes');
  expect(() => open([field('image', [1, 2], { file: 'all/a.png' })])).toThrow('`all/a.png` cannot be read as a folder');
  expect(() => open([field('image', [1, 2], { file: 'none' })])).toThrow('the data file `none` is missing');
  write('deep/dog/more/a.png', two(0, [1, 2]));
  expect(() => open([field('image', [1, 2], { file: 'deep' })])).toThrow('`deep/dog/` is a folder between the pictures');
  expect(() => open([field('image', [1, 2], { file: 'deep' }), { ...kind, file: 'deep' }])).toThrow('`deep/dog/more/` is a folder inside a class');
  mkdirSync(join(folder(), 'empty'));
  expect(() => open([field('image', [1, 2], { file: 'empty' })])).toThrow('`empty` is empty: it holds no pictures');
});

test('a table with names of pictures that are not there', () => {
  write('all', 'file,n\n,1\n');
  expect(() => open([field('image', [1, 2], { columns: ['file'] })], 'csv')).toThrow('`all`, line 2, column `file`: the value is missing');
  write('all', 'file,n\n../secret.png,1\n');
  expect(() => open([field('image', [1, 2], { columns: ['file'] })], 'csv')).toThrow('the data file `../secret.png` lies outside of the data folder');
});

test('broken files of any kind are read or told', () => {
  const good = [png({ ...grey, width: 1, kind: 2, samples: [1, 2, 3] }), stored('quartered.jpg'), stored('grey.jpg'), stored('halved.png')];
  fc.assert(fc.property(fc.constantFrom(...good), fc.array(fc.tuple(fc.boolean(), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 3 }), (bytes, changes) => {
    const broken = changes.reduce((all, [cut, share, value]) => {
      const at = Math.floor(share * all.length);
      return cut ? all.subarray(0, Math.max(2, at)) : changed(all, at, value);
    }, bytes);
    try {
      decode(broken);
    } catch (error) {
      if (!(error instanceof DataError)) throw error;
    }
  }), { numRuns: 1000 });
});
