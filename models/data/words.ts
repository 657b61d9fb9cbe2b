/**
 * Makes what `word2vec.model` trains on, beside this file: `node models/data/words.ts`. Of Moby Dick's 5000 most frequent words it gives
 * pairs of words that stand near each other, each with five that were drawn; the same files come out on every machine.
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { generator, mobyDick } from './texts.ts';

const kept = 5000;
const widest = 5;
const drawn = 5;
/** Of words with a share above this, some occurrences are left out (equation 5 of the paper). */
const frequent = 1e-3;

/** The words, most frequent first, and the pairs by their numbers: `contexts` has for each of `words` its neighbour and those drawn. */
export function skipGrams(): { readonly vocabulary: readonly string[]; readonly words: Int32Array; readonly contexts: Int32Array } {
  const { novel, plays } = mobyDick();
  const text = `${novel} ${plays}`.toLowerCase().match(/[a-z]+(?:'[a-z]+)?/g)!;
  const counts = new Map<string, number>();
  for (const word of text) counts.set(word, (counts.get(word) ?? 0) + 1);
  const vocabulary = [...counts.keys()].sort((a, b) => counts.get(b)! - counts.get(a)! || (a < b ? -1 : 1)).slice(0, kept);
  const numbers = new Map(vocabulary.map((word, i) => [word, i]));
  const next = generator(1);
  const uniform = (): number => next(2 ** 30) / 2 ** 30;
  const sentence = text.flatMap(word => {
    const number = numbers.get(word);
    const share = counts.get(word)! / text.length;
    return number === undefined || uniform() >= Math.sqrt(frequent / share) ? [] : [number];
  });
  // Drawn in proportion to the 3/4th power of how often they occur, as in the paper.
  const table = vocabulary.flatMap((word, i) => Array.from({ length: Math.ceil(counts.get(word)! ** 0.75) }, () => i));
  const words: number[] = [];
  const contexts: number[] = [];
  for (const [at, word] of sentence.entries()) {
    const width = 1 + next(widest);
    for (let near = Math.max(0, at - width); near <= Math.min(sentence.length - 1, at + width); near++) {
      if (near === at) continue;
      words.push(word);
      contexts.push(sentence[near]!, ...Array.from({ length: drawn }, () => table[next(table.length)]!));
    }
  }
  return { vocabulary, words: Int32Array.from(words), contexts: Int32Array.from(contexts) };
}

/** The bytes of a `.npy` file. */
function npy(values: Int32Array, shape: readonly number[]): Uint8Array {
  const text = `{'descr': '<i4', 'fortran_order': False, 'shape': (${shape.join(', ')},), }`;
  const header = `${text.padEnd(Math.ceil((text.length + 11) / 64) * 64 - 11)}\n`;
  const start = Uint8Array.of(0x93, ...new TextEncoder().encode('NUMPY'), 1, 0, header.length & 255, header.length >> 8);
  return Buffer.concat([start, new TextEncoder().encode(header), new Uint8Array(values.buffer)]);
}

if (import.meta.main) {
  const file = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
  const { vocabulary, words, contexts } = skipGrams();
  writeFileSync(file('words.txt'), `${vocabulary.join('\n')}\n`);
  writeFileSync(file('words.npy'), npy(words, [words.length]));
  writeFileSync(file('contexts.npy'), npy(contexts, [words.length, 1 + drawn]));
}
