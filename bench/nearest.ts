/** `node bench/nearest.ts WORD…`: the words whose vectors are most like those of some, by `word2vec.safetensors` of `models/word2vec.model`. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

interface Word2vec {
  readonly load: (weights: Uint8Array) => Promise<void>;
  readonly predict: (rows: { readonly word: Int32Array }) => Promise<{ readonly nearest: Int32Array }>;
}

execFileSync(process.execPath, ['compiler/cli/nabla.js', 'build', 'models/word2vec.model', '--module', '-o', 'word2vec.ts']);
const words = readFileSync('models/data/words.txt', 'utf8').trimEnd().split('\n');
const { load, predict } = await import(resolve('word2vec.ts')) as Word2vec;
await load(readFileSync('word2vec.safetensors'));
const asked = process.argv.slice(2);
const { nearest } = await predict({ word: Int32Array.from(asked, word => words.indexOf(word)) });
const each = nearest.length / asked.length;
// The first is the word itself.
asked.forEach((word, i) => process.stdout.write(`${word}: ${[...nearest.subarray(i * each + 1, (i + 1) * each)].map(other => words[other]).join(', ')}\n`));
