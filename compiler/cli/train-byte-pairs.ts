/**
 * Training of byte-pair encodings (Sennrich et al. 2016): the pair of neighbouring tokens that occurs most often becomes a token, again
 * and again. Of pairs that occur equally often the one with the smaller tokens is taken, so that a text has one result.
 */

export interface TrainedPairs {
  /** Two tokens for each merge; tokens from 256 on are the merges in order. */
  readonly pairs: readonly (readonly [left: number, right: number])[];
}

interface Word {
  readonly count: number;
  tokens: number[];
}

interface Pair {
  readonly left: number;
  readonly right: number;
  count: number;
  /** Words that hold it, and some that did. */
  readonly words: Set<Word>;
}

/**
 * At most `merges` merges of the pieces, which are given as tokens of their bytes with how often each occurs. Counts of pairs are kept
 * up to date: a merge looks only at the words that hold its pair. Ends early where no pair occurs twice.
 */
export function trainBytePairs(pieces: Iterable<readonly [tokens: readonly number[], count: number]>, merges: number): TrainedPairs {
  const pairs = new Map<number, Pair>();
  const count = (word: Word, change: number): void => {
    for (let i = 0; i + 1 < word.tokens.length; i++) {
      const [left, right] = [word.tokens[i]!, word.tokens[i + 1]!];
      const key = left * 2 ** 26 + right;
      let pair = pairs.get(key);
      if (pair === undefined) pairs.set(key, (pair = { left, right, count: 0, words: new Set() }));
      pair.count += change * word.count;
      pair.words.add(word);
    }
  };
  for (const [tokens, times] of pieces) count({ count: times, tokens: [...tokens] }, 1);
  // Counts in the heap are at least the true ones: they are put right when they come up.
  const heap: Candidate[] = [];
  for (const pair of pairs.values()) push(heap, { pair, count: pair.count });
  const found: (readonly [number, number])[] = [];
  while (found.length < merges && heap.length > 0) {
    const { pair, count: believed } = pop(heap);
    if (pair.count < 2) continue;
    if (pair.count < believed) {
      push(heap, { pair, count: pair.count });
      continue;
    }
    const token = 256 + found.length;
    found.push([pair.left, pair.right]);
    const before = new Set<number>();
    for (const word of pair.words) {
      count(word, -1);
      word.tokens = merged(word.tokens, pair.left, pair.right, token);
      count(word, 1);
      for (let i = 0; i + 1 < word.tokens.length; i++) {
        if (word.tokens[i] === token || word.tokens[i + 1] === token) before.add(word.tokens[i]! * 2 ** 26 + word.tokens[i + 1]!);
      }
    }
    for (const key of before) push(heap, { pair: pairs.get(key)!, count: pairs.get(key)!.count });
    pairs.delete(pair.left * 2 ** 26 + pair.right);
  }
  return { pairs: found };
}

function merged(tokens: readonly number[], left: number, right: number, token: number): number[] {
  const result: number[] = [];
  for (let i = 0; i < tokens.length; i++) {
    if (tokens[i] === left && tokens[i + 1] === right) {
      result.push(token);
      i++;
    } else result.push(tokens[i]!);
  }
  return result;
}

interface Candidate {
  readonly pair: Pair;
  /** When it was put into the heap. */
  readonly count: number;
}

const comesFirst = (a: Candidate, b: Candidate): boolean =>
  a.count > b.count || (a.count === b.count && (a.pair.left < b.pair.left || (a.pair.left === b.pair.left && a.pair.right < b.pair.right)));

function push(heap: Candidate[], value: Candidate): void {
  let at = heap.push(value) - 1;
  for (let parent = (at - 1) >> 1; at > 0 && comesFirst(value, heap[parent]!); parent = (at - 1) >> 1) {
    heap[at] = heap[parent]!;
    at = parent;
  }
  heap[at] = value;
}

function pop(heap: Candidate[]): Candidate {
  const first = heap[0]!;
  const value = heap.pop()!;
  if (heap.length === 0) return first;
  let at = 0;
  for (let child = 1; child < heap.length; child = 2 * at + 1) {
    if (child + 1 < heap.length && comesFirst(heap[child + 1]!, heap[child]!)) child++;
    if (!comesFirst(heap[child]!, value)) break;
    heap[at] = heap[child]!;
    at = child;
  }
  heap[at] = value;
  return first;
}
