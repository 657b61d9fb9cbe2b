/**
 * Byte-pair encoding (Sennrich et al. 2016) over bytes, as GPT-2 has it: a text is cut into pieces by a pattern, and in each piece
 * the pair of neighbours that was merged first in training is merged again until no pair is left. Works on any platform.
 */
import { DataError } from './data-error.ts';
import type { PutToken, Tokenizer } from './tokenizer.ts';

/** What the compiler has read of a tokenizer's file. */
export interface BytePairs {
  /** What cuts a text into pieces, as a regular expression with the flags `gu`. */
  readonly pattern: string;
  /** The token of each byte. */
  readonly bytes: readonly number[];
  /** Two tokens for each merge, the first merge first. */
  readonly pairs: readonly number[];
  /** The tokens that merges make, as runs: a number and how many count on from it. */
  readonly merged: readonly number[];
  /** Tokens that stand for themselves, such as `<|endoftext|>`. They are written, never read from a text. */
  readonly special: readonly (readonly [text: string, token: number])[];
  readonly size: number;
  readonly end: number | null;
}

/** Longer pieces without a place to cut are no text that anyone wrote. */
export const longestPiece = 2 ** 20;

/** Tables are made when the first text comes: a program that only computes needs none. */
export function bytePairTokenizer(vocabulary: BytePairs): Tokenizer {
  let tables: BytePairTables | null = null;
  const ready = (): BytePairTables => (tables ??= bytePairTables(vocabulary));
  return {
    size: vocabulary.size,
    end: vocabulary.end,
    raw: false,
    encode: (text, isLast, put) => {
      const { pattern, tokensOf } = ready();
      return encodePieces(text, isLast, pattern, (piece, at) => putAll(tokensOf(piece), at, put));
    },
    bytesOf: token => ready().texts.get(token) ?? new Uint8Array(0),
  };
}

export interface BytePairTables {
  readonly pattern: RegExp;
  readonly tokensOf: (piece: string) => readonly number[];
  /** The bytes that each token stands for. */
  readonly texts: ReadonlyMap<number, Uint8Array>;
}

export function bytePairTables(vocabulary: BytePairs): BytePairTables {
  const utf8 = new TextEncoder();
  const merges = mergeTable(vocabulary);
  const known = new Map<string, readonly number[]>();
  const tokensOf = (piece: string): readonly number[] => {
    const found = known.get(piece);
    if (found !== undefined) return found;
    const tokens = mergePiece(Array.from(utf8.encode(piece), byte => vocabulary.bytes[byte]!), merges);
    // Words of a language come again and again, numbers and names may never end.
    if (known.size > 100_000) known.clear();
    if (piece.length <= 64) known.set(piece, tokens);
    return tokens;
  };
  return { pattern: new RegExp(vocabulary.pattern, 'gu'), tokensOf, texts: tokenBytes(vocabulary, merges) };
}

export function putAll(tokens: readonly number[], at: number, put: PutToken): void {
  for (let i = 0; i < tokens.length; i++) put(tokens[i]!, at);
}

/**
 * Calls `take` for the pieces of a text. More text may make the last piece longer and join it with the one before (`'` and `l`
 * become `'ll`), so these two are left for the next call unless the text is the last.
 */
export function encodePieces(text: string, isLast: boolean, pattern: RegExp, take: (piece: string, at: number) => void): number {
  let [previous, last] = [0, 0];
  let pending: string[] = [];
  for (const { 0: piece, index } of text.matchAll(pattern)) {
    if (pending.length === 2) take(pending.shift()!, previous);
    if (piece.length > longestPiece) throw tooLong(piece);
    [previous, last] = [pending.length === 0 ? index : last, index];
    pending.push(piece);
  }
  if (!isLast) {
    if (text.length - previous > 4 * longestPiece) throw tooLong(text.slice(previous));
    return pending.length === 0 ? 0 : previous;
  }
  pending.forEach((piece, i) => take(piece, i === 0 ? previous : last));
  return text.length;
}

export const tooLong = (piece: string): DataError =>
  new DataError(`the text has a word of more than ${longestPiece} characters, beginning with \`${piece.slice(0, 20)}\`: `
    + 'break it up, or read the file as `bytes`');

/** Rank and result of each pair, by left · 2²⁶ + right. */
export type MergeTable = ReadonlyMap<number, { readonly rank: number; readonly token: number }>;

export const pairKey = (left: number, right: number): number => left * 2 ** 26 + right;

export function mergeTable({ pairs, merged }: BytePairs): MergeTable {
  const table = new Map<number, { readonly rank: number; readonly token: number }>();
  let run = 0;
  let inRun = 0;
  for (let rank = 0; rank < pairs.length / 2; rank++) {
    if (inRun === merged[run + 1]) [run, inRun] = [run + 2, 0];
    const key = pairKey(pairs[2 * rank]!, pairs[2 * rank + 1]!);
    if (!table.has(key)) table.set(key, { rank, token: merged[run]! + inRun });
    inRun++;
  }
  return table;
}

export function tokenBytes(vocabulary: BytePairs, merges: MergeTable): ReadonlyMap<number, Uint8Array> {
  const texts = new Map<number, Uint8Array>(vocabulary.bytes.map((token, byte) => [token, Uint8Array.of(byte)]));
  const { pairs } = vocabulary;
  for (let i = 0; i < pairs.length; i += 2) {
    const [left, right] = [texts.get(pairs[i]!)!, texts.get(pairs[i + 1]!)!];
    const text = new Uint8Array(left.length + right.length);
    text.set(left);
    text.set(right, left.length);
    texts.set(merges.get(pairKey(pairs[i]!, pairs[i + 1]!))!.token, text);
  }
  for (const [text, token] of vocabulary.special) texts.set(token, new TextEncoder().encode(text));
  return texts;
}

/**
 * Merges a piece's tokens: of all pairs the one of least rank, wherever it stands, from left to right; again until none is left.
 * Tokens are a linked list, pairs wait in a heap by rank and place, so that a piece of n bytes takes n log n steps.
 */
export function mergePiece(tokens: number[], merges: MergeTable): readonly number[] {
  const count = tokens.length;
  if (count < 2) return tokens;
  const next = Int32Array.from({ length: count }, (_, i) => i + 1);
  const before = Int32Array.from({ length: count }, (_, i) => i - 1);
  const heap: number[] = [];
  // A pair that has changed since it was put into the heap has another rank, or none, and is left out when it comes up.
  const rankAt = (at: number): number => (at < 0 || next[at]! >= count || tokens[at]! < 0
    ? -1 : merges.get(pairKey(tokens[at]!, tokens[next[at]!]!))?.rank ?? -1);
  const enqueue = (at: number): void => {
    const rank = rankAt(at);
    if (rank >= 0) pushHeap(heap, rank * longestPiece * 4 + at);
  };
  for (let at = 0; at + 1 < count; at++) enqueue(at);
  while (heap.length > 0) {
    const rank = Math.floor(heap[0]! / (longestPiece * 4));
    const changed: number[] = [];
    while (heap.length > 0 && Math.floor(heap[0]! / (longestPiece * 4)) === rank) {
      const at = popHeap(heap) % (longestPiece * 4);
      if (rankAt(at) !== rank) continue;
      const right = next[at]!;
      tokens[at] = merges.get(pairKey(tokens[at]!, tokens[right]!))!.token;
      tokens[right] = -1;
      next[at] = next[right]!;
      if (next[at]! < count) before[next[at]!] = at;
      changed.push(at);
    }
    for (const at of changed) {
      if (tokens[at]! < 0) continue;
      enqueue(before[at]!);
      enqueue(at);
    }
  }
  return tokens.filter(token => token >= 0);
}

/** A binary heap with the least number first. */
export function pushHeap(heap: number[], value: number): void {
  let at = heap.push(value) - 1;
  for (let parent = (at - 1) >> 1; at > 0 && heap[parent]! > value; parent = (at - 1) >> 1) {
    heap[at] = heap[parent]!;
    at = parent;
  }
  heap[at] = value;
}

export function popHeap(heap: number[]): number {
  const least = heap[0]!;
  const value = heap.pop()!;
  if (heap.length === 0) return least;
  let at = 0;
  for (let child = 1; child < heap.length; child = 2 * at + 1) {
    if (child + 1 < heap.length && heap[child + 1]! < heap[child]!) child++;
    if (heap[child]! >= value) break;
    heap[at] = heap[child]!;
    at = child;
  }
  heap[at] = value;
  return least;
}
