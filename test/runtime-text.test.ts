/** Texts as rows: windows of a file whole and in pieces, parts that share nothing, texts in columns of csv and jsonl, and what is said where they do not fit. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { memoryBytes, type ByteSource } from '../runtime/bytes.ts';
import { DataError } from '../runtime/data-error.ts';
import { openRows } from '../runtime/open-data.ts';
import type { DataField, DataSettings, DataSource } from '../runtime/program.ts';
import type { ProgramData } from '../runtime/row-set.ts';
import { newTensorArray } from '../runtime/tensor.ts';
import { byteTokenizer, characterTokenizer, type Tokenizer } from '../runtime/tokenizer.ts';
import { eachTextPiece, textPiece } from '../runtime/utf8.ts';
import { linearProgram } from './runtime-fixture.ts';
import { folderOfTest } from './support/folder.ts';

const folder = folderOfTest({ enter: false });
const write = (file: string, contents: string | Uint8Array): void => writeFileSync(join(folder(), file), contents);

const letters = characterTokenizer(' \nabcdefghijklmnopqrstuvwxyzé😀', false);
const endingLetters = characterTokenizer('abcdefghijklmnopqrstuvwxyz ', true);
/** Alphabets of more characters than two bytes and one byte number. */
const wide = Array.from({ length: 70_000 }, (_, i) => String.fromCodePoint(0x10000 + i));
const many = Array.from({ length: 300 }, (_, i) => String.fromCodePoint(0x4e00 + i));

const field = (input: string, length: number, more: Partial<DataField>): DataField =>
  ({ input, dtype: 'i32', shape: [length], file: 'file', columns: [], categorical: false, picture: false, tokens: null, below: null, ...more });
const window = (input: string, length: number, shift: number, more: Partial<DataField> = {}): DataField =>
  field(input, length, { tokens: { vocabulary: 0, shift }, ...more });
const column = (input: string, length: number, shift: number, more: Partial<DataField> = {}): DataField =>
  field(input, length, { tokens: { vocabulary: 0, shift }, columns: ['text'], ...more });

interface Opening {
  readonly tokenizer?: Tokenizer;
  readonly stride?: number;
  readonly limit?: number | undefined;
  readonly format?: DataSource['format'];
  readonly settings?: Partial<DataSettings>;
}

function open(fields: readonly DataField[], { tokenizer = letters, stride, limit, format = 'text', settings = {} }: Opening = {}): ProgramData {
  const data: DataSettings = {
    sources: [{ name: 'train', format, fields, separator: ',', header: true, stride: stride ?? null }], shuffle: true, split: null, holdOut: null, seed: 7, ...settings,
  };
  const inputs = fields.map(({ input, dtype, shape, below }) => ({ name: input, dtype, shape: [4, ...shape], offset: 0, below }));
  return openRows({ ...linearProgram({}, data), inputs, tokenizers: [tokenizer] }, folder(), limit);
}

/** The tokens of a row. */
function row(data: ProgramData, number: number, input = 'x', set: 'train' | 'test' = 'train'): number[] {
  const rows = data[set]!;
  const found = rows.columns.find(other => other.input === input)!;
  const length = 40;
  const target = newTensorArray('i32', length).fill(-9);
  found.read(rows.selection?.[number] ?? number, target, 3);
  return [...target].filter(token => token !== -9);
}

const spelled = (tokenizer: Tokenizer, tokens: readonly number[]): string =>
  tokens.map(token => (token === tokenizer.end ? '.' : new TextDecoder().decode(tokenizer.bytesOf(token)))).join('');

test.each([undefined, 10])('windows at every multiple of the stride, and what follows them (limit %s)', limit => {
  write('file', 'hello wörld'.replace('ö', 'é'));
  const data = open([window('x', 4, 0), window('y', 4, 1)], { limit });
  expect(data.train!.count).toBe(2);
  expect([0, 1].map(i => [row(data, i), row(data, i, 'y')].map(tokens => spelled(letters, tokens)))).toEqual([['hell', 'ello'], ['o wé', ' wér']]);
  const close = open([window('x', 4, 0), window('y', 2, 4)], { limit, stride: 2 });
  expect([0, 1, 2].map(i => spelled(letters, [...row(close, i), ...row(close, i, 'y')]))).toEqual(['hello ', 'llo wé', 'o wérl']);
  expect(close.train!.count).toBe(3);
});

test.each([undefined, 10])('bytes are tokens as they stand (limit %s)', limit => {
  write('file', Uint8Array.of(0, 255, 195, 169, 10, 200, 201));
  const data = open([window('x', 3, 0, { dtype: 'u8' })], { tokenizer: byteTokenizer(false), limit });
  expect([data.train!.count, row(data, 0), row(data, 1)]).toEqual([2, [0, 255, 195], [169, 10, 200]]);
});

test('a packed text, and one with a byte order mark', () => {
  write('file.gz', gzipSync('\ufeffabc'));
  expect(spelled(letters, row(open([window('x', 3, 0)]), 0))).toBe('abc');
});

test.each([{ alphabet: wide, count: textPiece / 3 }, { alphabet: many, count: textPiece / 2 }, { alphabet: [...'abc'], count: textPiece + 99 }])(
  'texts longer than a piece, in tokens of any width: $count', ({ alphabet, count }) => {
    const token = (i: number): number => (i * i + 3) % alphabet.length;
    const rows = Math.floor(count) - 4;
    write('file', Array.from({ length: rows + 4 }, (_, i) => alphabet[token(i)]!).join(''));
    const data = open([window('x', 5, 0)], { tokenizer: characterTokenizer(alphabet.join(''), false), stride: 1 });
    expect(data.train!.count).toBe(rows);
    for (const i of [0, 77, textPiece / 4, textPiece - 2, textPiece, rows - 1].filter(i => i < rows)) expect(row(data, i)).toEqual([0, 1, 2, 3, 4].map(j => token(i + j)));
  });

test('pieces of a text end between characters', () => {
  fc.assert(fc.property(fc.integer({ min: 0, max: 4 }), fc.constantFrom('é', '漢', '😀', 'a'), (shift, character) => {
    const text = `${'a'.repeat(textPiece - shift)}${character.repeat(5)}end`;
    const pieces: string[] = [];
    const offsets: number[] = [];
    eachTextPiece(memoryBytes('f', Buffer.from(text)), (piece, offset) => {
      pieces.push(piece);
      offsets.push(offset);
    });
    expect(pieces.join('') === text).toBe(true);
    expect(pieces.slice(0, -1).reduce((sum, piece) => sum + Buffer.byteLength(piece), 0)).toBe(offsets.at(-1));
  }), { numRuns: 30 });
});

test.each([{ split: 0.8 }, { holdOut: 20 }])('the last part of a text is for tests, and training shares nothing with it: %o', settings => {
  write('file', 'abcdefghij'.repeat(41));
  for (const stride of [1, 3, 4, 9]) {
    const data = open([window('x', 4, 0), window('y', 4, 1)], { settings, stride });
    const { train, test: held } = data;
    const last = train!.selection!.at(-1)! * stride + 4;
    const first = held!.selection![0]! * stride;
    expect(last).toBeLessThan(first);
    // Nor is more left out than has to be.
    expect(last + stride).toBeGreaterThanOrEqual(first);
    expect([...held!.selection!].every((value, i) => value === held!.selection![0]! + i)).toBe(true);
  }
  expect(() => open([window('x', 4, 0)], { settings: { holdOut: 406 }, stride: 1 })).toThrow('the data has 407 rows, and the 1 for training reach into the test rows');
});

test.each([undefined, 10])('texts in columns: ended, filled up, shifted (limit %s)', limit => {
  const fields = [column('x', 5, -1), column('y', 5, 0), column('z', 3, 1)];
  write('table', 'text,other\nemma,1\n"a b",2\n,3\n');
  const csv = open(fields.map(other => ({ ...other, file: 'table' })), { tokenizer: endingLetters, format: 'csv', limit });
  write('file', '{"text": "emma"}\n\n{"text": "a\\u0020b", "other": {}}\r\n{"text":""}');
  const jsonl = open(fields, { tokenizer: endingLetters, format: 'jsonl', limit });
  for (const data of [csv, jsonl]) {
    expect([0, 1, 2].map(i => ['x', 'y', 'z'].map(input => spelled(endingLetters, row(data, i, input))))).toEqual(
      [['.emma', 'emma.', 'mma'], ['.a b.', 'a b..', ' b.'], ['.....', '.....', '...']]);
  }
});

test.each([undefined, 10])('jsonl: numbers, lists, truth values, classes (limit %s)', limit => {
  write('file', '{"n": 1.5, "v": [1, 2, 3, 4], "m": [[1, 2], [3, -4]], "b": true, "k": "dog", "ks": ["u", "v"]}\n'
    + '{"k": "cat", "ks": ["v", "u"], "n": -2e-1, "v": [0, 0, 0, 1], "m": [[0, 0], [0, 0]], "b": false}\n');
  const data = open([
    field('n', 1, { columns: ['n'], dtype: 'f32', shape: [] }), field('v', 4, { columns: ['v'], shape: [2, 2] }), field('m', 4, { columns: ['m'] }),
    field('b', 1, { columns: ['b'], dtype: 'bool', shape: [] }), field('k', 1, { columns: ['k'], categorical: true, shape: [] }), field('ks', 2, { columns: ['ks'], categorical: true }),
  ], { format: 'jsonl', limit });
  expect(['v', 'm', 'b', 'k', 'ks'].map(input => [row(data, 0, input), row(data, 1, input)])).toEqual(
    [[[1, 2, 3, 4], [0, 0, 0, 1]], [[1, 2, 3, -4], [0, 0, 0, 0]], [[1], [0]], [[1], [0]], [[0, 1], [1, 0]]]);
  const value = newTensorArray('f32', 1);
  data.train!.columns[0]!.read(1, value, 0);
  expect(value[0]).toBe(Math.fround(-0.2));
});

const numbers = (length: number, more: Partial<DataField> = {}): DataField => field('x', length, { columns: ['x'], ...more });
const wrong: readonly [string, string | Uint8Array, readonly DataField[], Opening, string][] = [
  ['short', 'abc', [window('x', 4, 0)], {}, '`file` has 3 tokens, but a row takes 4: use a longer text'],
  ['unknown', 'ab\nabXc', [window('x', 4, 0)], {}, '`file`, line 2: the character `X` (U+0058) is not in the vocabulary'],
  ['not UTF-8', Uint8Array.of(97, 10, 98, 0xff, 99), [window('x', 4, 0)], {}, '`file`, line 2: byte 3 (ff) is not UTF-8'],
  ['cut character', Uint8Array.of(97, 98, 0xf0, 0x9f, 0x98), [window('x', 1, 0)], {}, '`file`, line 1: byte 4 (98) is not UTF-8'],
  ['large token', 'abz', [window('x', 3, 0, { below: 5 })], {}, '`file`, token 2: `x` is 27, but must be at least 0 and below 5'],
  ['long', '{"text": "abcdef"}', [column('x', 4, 1)], { tokenizer: endingLetters, format: 'jsonl' }, '`file`, line 1, field `text`: the text has 6 tokens, but `x` has room for 5'],
  ['long csv', 'text\nab\nabcdef\n', [column('x', 5, 0)], { tokenizer: endingLetters, format: 'csv' }, '`file`, line 3, column `text`: the text has 6 tokens, but `x` has room for 5'],
  ['unknown in a column', 'text\nab\naB\n', [column('x', 5, 0)], { tokenizer: endingLetters, format: 'csv' }, '`file`, line 3, column `text`: the character `B` (U+0042)'],
  ['token in a column', 'text\nab\nad\n', [column('x', 2, 0, { below: 3 })], { tokenizer: endingLetters, format: 'csv' }, '`file`, line 3, column `text`: `x` is 3, but must be'],
  ['no text', '{"text": 1}', [column('x', 4, 0)], { tokenizer: endingLetters, format: 'jsonl' }, '`file`, line 1, field `text`: expected a text, found `1`'],
  ['broken line', '{"x": 1}\n\n{"x": \n', [numbers(1)], { format: 'jsonl' }, '`file`, line 3: the line is not JSON'],
  ['line of bytes', Uint8Array.of(123, 255, 125), [numbers(1)], { format: 'jsonl' }, '`file`, line 1: the line is not UTF-8'],
  ['no object', '[1]', [numbers(1)], { format: 'jsonl' }, '`file`, line 1: expected an object with the fields of a row, as in {"x": 1}, found a list of 1'],
  ['blank', '\n \n', [numbers(1)], { format: 'jsonl' }, '`file` is empty: it has no lines'],
  ['no field', '{"x": 1}\n{"xx": 1}', [numbers(1)], { format: 'jsonl' }, '`file`, line 2: there is no field `x`, did you mean `xx`?'],
  ['null', '{"x": null}', [numbers(1)], { format: 'jsonl' }, '`file`, line 1, field `x`: the value is missing'],
  ['text for a number', '{"x": "dog"}', [numbers(1)], { format: 'jsonl' }, '`file`, line 1, field `x`: expected a number, found the text `dog`; if its texts are classes'],
  ['shape', '{"x": [1, 2]}', [numbers(3)], { format: 'jsonl' }, '`file`, line 1, field `x`: the value has the shape [2], but `x` takes [3]'],
  ['ragged', '{"x": [[1, 2], [3]]}', [numbers(4)], { format: 'jsonl' }, '`file`, line 1, field `x`: its lists are not equally long'],
  ['infinite', '{"x": 1e999}', [numbers(1, { dtype: 'f32' })], { format: 'jsonl' }, '`file`, line 1, field `x`: the number is too large'],
  ['fraction', '{"x": 1.5}', [numbers(1)], { format: 'jsonl' }, '`file`, line 1, field `x`: 1.5 does not fit `x`'],
  ['classes', '{"x": ["a", "b"]}', [numbers(1, { categorical: true, shape: [] })], { format: 'jsonl' }, '`file`, line 1, field `x`: expected one text, found 2'],
];

test.each(wrong)('wrong texts: %s', (_, contents, fields, opening, message) => {
  write('file', contents);
  expect(() => open(fields, opening)).toThrow(message);
});

/** Good files with some bytes changed, cut off or put in. */
const broken = (good: string): fc.Arbitrary<Uint8Array> => fc.array(
  fc.tuple(fc.constantFrom('change', 'cut', 'insert'), fc.nat(good.length - 1), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 4 },
).map(changes => changes.reduce((bytes, [kind, at, value]) => {
  if (kind === 'cut') return bytes.subarray(0, at + 1);
  return Buffer.concat([bytes.subarray(0, at), Uint8Array.of(value), bytes.subarray(kind === 'change' ? at + 1 : at)]);
}, Buffer.from(good) as Uint8Array));

test('bytes of any kind are read or told, whole and in pieces alike', () => {
  const cases: readonly [string, readonly DataField[], Opening][] = [
    ['abc déf ghi 😀 jkl\n mno\n', [window('x', 3, 0), window('y', 3, 1)], {}],
    ['{"text": "abc", "x": [1, 2]}\n{"text": "d f", "x": [3, 4]}\n', [column('y', 4, 0), numbers(2)], { format: 'jsonl', tokenizer: endingLetters }],
    ['text,x\nabc,1\n"d e",2\n', [column('y', 4, 0), numbers(1)], { format: 'csv', tokenizer: endingLetters }],
  ];
  const outcome = (fields: readonly DataField[], opening: Opening): unknown => {
    try {
      const data = open(fields, opening);
      return Array.from({ length: data.train!.count }, (_, i) => fields.map(({ input }) => row(data, i, input)));
    } catch (error) {
      // Which mistake is met first depends on the order of reading.
      if (error instanceof DataError) return 'told';
      throw error;
    }
  };
  for (const [good, fields, opening] of cases) {
    fc.assert(fc.property(broken(good), bytes => {
      write('file', bytes);
      expect(outcome(fields, { ...opening, limit: 5 })).toEqual(outcome(fields, opening));
    }), { numRuns: 150 });
  }
});

test('a text that is larger than what is held in memory is read in pieces', () => {
  let most = 0;
  const size = 2 ** 23;
  const source: ByteSource = {
    place: 'large', size, memory: null,
    read: (offset, target) => {
      most = Math.max(most, target.length);
      for (let i = 0; i < target.length; i++) target[i] = 97 + ((offset + i) % 26);
    },
  };
  let seen = 0;
  eachTextPiece(source, text => (seen += text.length));
  expect([seen, most]).toEqual([size, textPiece]);
});
