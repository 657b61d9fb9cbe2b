/**
 * `nabla tokenize`: makes a byte-pair tokenizer from a text, in the format of Hugging Face's tokenizers. Tokens are numbered as
 * GPT-2's are: bytes in the order of the characters that stand for them, then merges, then the token that ends a text.
 */
import { byteCharacters, endOfText, piecePattern } from '../2-elaborate/byte-pairs.ts';
import { eachPiece } from './data-files.ts';
import { Failure, fileFailure } from './failure.ts';
import { trainBytePairs } from './train-byte-pairs.ts';
import { writeOutput } from './write-output.ts';

export interface TokenizeFlags {
  readonly vocabulary: string;
  readonly out: string;
}

/** Bytes and the end of a text. */
const least = 257;

export function runTokenize(path: string, { vocabulary, out }: TokenizeFlags): number {
  const wanted = Number(vocabulary);
  if (wanted < least) {
    throw new Failure(`a vocabulary has at least ${least} tokens, one for each byte and one for the end of a text: \`--vocabulary\` is ${wanted}`, 2);
  }
  const { text, tokens } = tokenizerFile(countPieces(path), wanted);
  writeOutput(out, text);
  if (tokens < wanted) process.stderr.write(`note: no pair occurs twice after ${tokens} tokens, so there are no more\n`);
  if (out !== '-') process.stdout.write(`saved ${out} (${tokens} tokens)\n`);
  return 0;
}

/** How often each piece of a text occurs. */
export function countPieces(path: string): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  const pattern = new RegExp(piecePattern, 'gu');
  const count = (piece: string): void => void counts.set(piece, (counts.get(piece) ?? 0) + 1);
  let pending = '';
  const take = (text: string): void => {
    const found = [...(pending + text).matchAll(pattern)].map(([piece]) => piece);
    // More text may change the last two.
    pending = found.splice(-2).join('');
    found.forEach(count);
  };
  try {
    eachPiece(path, take);
  } catch (error) {
    throw fileFailure(error, path);
  }
  for (const [piece] of pending.matchAll(pattern)) count(piece);
  if (counts.size === 0) throw new Failure(`\`${path}\` is empty: give a text to make tokens from`);
  return counts;
}

/** The file of a tokenizer with at most `size` tokens. */
export function tokenizerFile(counts: ReadonlyMap<string, number>, size: number): { readonly text: string; readonly tokens: number } {
  // Bytes are numbered by the characters that stand for them.
  const order = byteCharacters.map((character, byte) => ({ character, byte })).sort((a, b) => (a.character < b.character ? -1 : 1));
  const tokenOf = new Uint8Array(256);
  order.forEach(({ byte }, token) => (tokenOf[byte] = token));
  const utf8 = new TextEncoder();
  const pieces = Array.from(counts, ([piece, count]) => [Array.from(utf8.encode(piece), byte => tokenOf[byte]!), count] as const);
  const { pairs } = trainBytePairs(pieces, size - least);
  const texts = order.map(({ character }) => character);
  for (const [left, right] of pairs) texts.push(texts[left]! + texts[right]!);
  const merges = pairs.map(([left, right]) => `${texts[left]!} ${texts[right]!}`);
  texts.push(endOfText);
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
  const file = {
    version: '1.0', truncation: null, padding: null,
    added_tokens: [{ id: texts.length - 1, content: endOfText, ...flags }],
    normalizer: null, pre_tokenizer: byteLevel, post_processor: null, decoder: byteLevel,
    model: {
      type: 'BPE', dropout: null, unk_token: null, continuing_subword_prefix: null, end_of_word_suffix: null, fuse_unk: false, byte_fallback: false,
      ignore_merges: false, vocab: Object.fromEntries(texts.map((text, token) => [text, token])), merges,
    },
  };
  return { text: `${JSON.stringify(file, null, 1)}\n`, tokens: texts.length };
}
