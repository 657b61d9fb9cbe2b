/**
 * Files of byte-pair tokenizers: the one JSON file that `nabla tokenize` writes and Hugging Face's tokenizers have, and the two of
 * GPT-2, `vocab.json` and `merges.txt`. Gives the vocabulary, or one sentence about what is wrong.
 */
import type { BytePairs, Vocabulary } from '../ir/model.ts';

/**
 * GPT-2's cut of a text into pieces (Radford et al. 2019): English contractions, then words, numbers and marks with the space before
 * them, then white space. `\p{White_Space}` is what other regular expressions call `\s`.
 */
export const piecePattern = [
  String.raw`'(?:[sdmt]|ll|ve|re)`, String.raw` ?\p{L}+`, String.raw` ?\p{N}+`, String.raw` ?[^\p{White_Space}\p{L}\p{N}]+`,
  String.raw`\p{White_Space}+(?!\P{White_Space})`, String.raw`\p{White_Space}+`,
].join('|');

/** The token that ends a text. */
export const endOfText = '<|endoftext|>';

const largest = 2 ** 20;

/**
 * The character that stands for each byte in these files, all of them visible: bytes that print are themselves, the others are
 * numbered from U+0100 on.
 */
export const byteCharacters: readonly string[] = byteCharactersInOrder();

function byteCharactersInOrder(): readonly string[] {
  const prints = (byte: number): boolean => (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || (byte >= 174 && byte <= 255);
  let hidden = 0;
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(prints(byte) ? byte : 256 + hidden++));
}

export type ReadTokens = { readonly vocabulary: BytePairs & Vocabulary } | { readonly reason: string };

/** The texts of the files: one, or two of which the second holds the merges. */
export function readBytePairs(texts: readonly string[]): ReadTokens {
  let json: unknown;
  try {
    json = JSON.parse(texts[0]!);
  } catch (error) {
    return { reason: `it is not JSON (${error instanceof Error ? error.message : String(error)})` };
  }
  if (!isRecord(json)) return { reason: 'it holds no object' };
  if (texts.length === 2) {
    const lines = texts[1]!.split(/\r?\n/).filter((line, i) => line !== '' && !(i === 0 && line.startsWith('#version')));
    return vocabularyOf(json, lines, {});
  }
  const model = json['model'];
  if (!isRecord(model) || model['type'] !== 'BPE' || !isRecord(model['vocab']) || !Array.isArray(model['merges'])) {
    return { reason: 'it holds no byte pairs: `model` with `type` "BPE", `vocab` and `merges` (of GPT-2, give `vocab.json` and `merges.txt`)' };
  }
  const other = unlikeGpt2(json, model);
  if (other !== null) return { reason: `it works otherwise than GPT-2's does: ${other}` };
  const added = Array.isArray(json['added_tokens']) ? json['added_tokens'] : [];
  const special: Record<string, unknown> = Object.fromEntries(
    added.flatMap(one => (isRecord(one) && typeof one['content'] === 'string' ? [[one['content'], one['id']]] : [])));
  return vocabularyOf(model['vocab'], model['merges'], special);
}

/** What of a Hugging Face file would give other tokens. */
function unlikeGpt2(json: Readonly<Record<string, unknown>>, model: Readonly<Record<string, unknown>>): string | null {
  const before = json['pre_tokenizer'];
  if (json['normalizer'] != null) return 'it normalises texts first (`normalizer`)';
  if (!isRecord(before) || before['type'] !== 'ByteLevel' || before['use_regex'] === false) return 'texts are cut in another way (`pre_tokenizer`)';
  if (before['add_prefix_space'] === true) return 'a space is put before texts (`add_prefix_space`)';
  for (const option of ['continuing_subword_prefix', 'end_of_word_suffix']) if (model[option]) return `its tokens are marked (\`${option}\`)`;
  return model['ignore_merges'] === true ? 'words are looked up whole first (`ignore_merges`)' : null;
}

function vocabularyOf(numbers: Readonly<Record<string, unknown>>, merges: readonly unknown[], added: Readonly<Record<string, unknown>>): ReadTokens {
  const tokens = new Map<string, number>();
  for (const [text, token] of [...Object.entries(numbers), ...Object.entries(added)]) {
    if (typeof token !== 'number' || !Number.isInteger(token) || token < 0 || token >= largest) {
      return { reason: `its token ${shown(text)} has no number from 0 to ${largest - 1}` };
    }
    tokens.set(text, token);
  }
  const lacking = byteCharacters.findIndex(character => !tokens.has(character));
  if (lacking >= 0) return { reason: `it has no token for the byte ${lacking}, which it writes ${shown(byteCharacters[lacking]!)}` };
  const pairs: number[] = [];
  const merged: number[] = [];
  const made = new Set(byteCharacters);
  for (const [i, merge] of merges.entries()) {
    const [left, right, ...more] = typeof merge === 'string' ? merge.split(' ') : Array.isArray(merge) ? merge as unknown[] : [];
    if (typeof left !== 'string' || typeof right !== 'string' || more.length > 0) return { reason: `its merge ${i + 1} is not two texts` };
    const part = made.has(left) ? right : left;
    if (!made.has(part)) return { reason: `its merge ${i + 1} joins ${shown(part)}, which no merge before it makes` };
    const token = tokens.get(left + right);
    if (token === undefined) return { reason: `it has no token ${shown(left + right)}, which its merge ${i + 1} makes` };
    made.add(left + right);
    pairs.push(tokens.get(left)!, tokens.get(right)!);
    const run = merged.length - 2;
    if (run >= 0 && merged[run]! + merged[run + 1]! === token) merged[run + 1]!++;
    else merged.push(token, 1);
  }
  const special = [...tokens].filter(([text]) => !made.has(text));
  // A number that two tokens share would be read as one and written as the other.
  if (new Set(tokens.values()).size < tokens.size) return { reason: 'two of its tokens have one number' };
  const size = [...tokens.values()].reduce((most, token) => Math.max(most, token), 0) + 1;
  const end = tokens.get(endOfText) ?? null;
  const bytes = byteCharacters.map(character => tokens.get(character)!);
  return { vocabulary: { kind: 'tokens', pattern: piecePattern, bytes, pairs, merged, special, size, end } };
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === 'object' && value !== null && !Array.isArray(value);

const shown = (text: string): string => `\`${text.length > 40 ? `${text.slice(0, 39)}…` : text}\``;
