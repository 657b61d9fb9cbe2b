/** `node bench/captions.ts`: the first captions of `shapes/test.jsonl`, as tokens in `caption.npy`, for `models/dalle.model` to draw. */
import { readFileSync, writeFileSync } from 'node:fs';
import { npyBytes } from '../runtime/npy.ts';

const [count, length, alphabet] = [24, 32, ' abcdefghijklmnopqrstuvwxyz'];
const lines = readFileSync('shapes/test.jsonl', 'utf8').split('\n').slice(0, count);
const captions = lines.map(line => (JSON.parse(line) as { readonly caption: string }).caption);
// A caption is followed by the token of its end, which comes after the alphabet's.
const tokens = captions.flatMap(caption => Array.from({ length }, (_, i) => (i < caption.length ? alphabet.indexOf(caption[i]!) : alphabet.length)));
writeFileSync('caption.npy', npyBytes(Int32Array.from(tokens), 'i32', [count, length]));
