/** Drawing tokens: what is drawn from scores, where texts begin and end, and what a program says that has nothing to draw from. */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { emit } from '../compiler/6-emit/emit.ts';
import { compile } from '../compiler/index.ts';
import { newTextWriter, pick, type GenerateOptions, type Generated } from '../runtime/generate.ts';
import type { GenerateSettings } from '../runtime/program.ts';
import { characterTokenizer } from '../runtime/tokenizer.ts';
import { folderOfFile } from './support/folder.ts';
import { dataFilesOf } from './support/model.ts';
import { emitOptions, importEmitted } from './support/run-program.ts';

const plain: GenerateSettings = { prompt: null, length: null, temperature: 1, topK: null, topP: null, stop: [] };
const shares = (scores: readonly number[], settings: Partial<GenerateSettings>): number[] => {
  const counts = scores.map(() => 0);
  for (let i = 0; i < 10_000; i++) counts[pick(Float32Array.from(scores), scores.length, { ...plain, ...settings }, (i + 0.5) / 10_000)]!++;
  return counts.map(count => count / 10_000);
};

test('a token is drawn with the probability of its score', () => {
  const scores = [Math.log(1), Math.log(2), Math.log(4), Math.log(3)];
  expect(shares(scores, {})).toEqual([0.1, 0.2, 0.4, 0.3]);
  expect(shares(scores, { temperature: 0.5 }).map(share => Math.round(share * 30))).toEqual([1, 4, 16, 9]);
  expect(shares(scores, { temperature: 0 })).toEqual([0, 0, 1, 0]);
  expect(shares(scores, { topK: 1 })).toEqual([0, 0, 1, 0]);
  expect(shares(scores, { topK: 2 }).map(share => Math.round(share * 7))).toEqual([0, 0, 4, 3]);
  expect(shares(scores, { topP: 0.69 }).map(share => Math.round(share * 7))).toEqual([0, 0, 4, 3]);
  expect(shares(scores, { topP: 0.71 }).map(share => Math.round(share * 9))).toEqual([0, 2, 4, 3]);
  expect(shares(scores, { topP: 1 })).toEqual([0.1, 0.2, 0.4, 0.3]);
  expect(shares([0, NaN, -Infinity, 0], {})).toEqual([0.5, 0, 0, 0.5]);
  expect(() => shares([NaN, NaN], {})).toThrow('no numbers');
});

test('a text ends before what stops it, and nothing of that is passed on', () => {
  const alphabet = 'ab.!é';
  const tokenizer = characterTokenizer(alphabet, false);
  const through = (text: string, stop: readonly string[]): readonly [string, string | null] => {
    let passed = '';
    const writer = newTextWriter(tokenizer, stop, piece => passed += piece);
    for (const character of text) if (!writer.hasStopped()) writer.put(alphabet.indexOf(character));
    const whole = writer.end();
    return [passed, whole];
  };
  expect(through('ab.ab', ['.'])).toEqual(['ab', 'ab']);
  expect(through('a.!.b', ['.!b', '!.'])).toEqual(['a.', 'a.']);
  expect(through('ab..', ['..!'])).toEqual(['ab..', 'ab..']);
  expect(through('é.é', [])).toEqual(['é.é', 'é.é']);
});

type Generate = (options?: GenerateOptions) => Promise<Generated>;
interface Drawing {
  readonly generate: Generate;
  readonly train: (options: object) => Promise<unknown>;
}

const loop = 'abcdef.'.repeat(40);
async function moduleOf(text: string, data: Readonly<Record<string, string>> = {}): Promise<Drawing> {
  const { levels, diagnostics } = compile({ path: 'text.model', text, library: false }, 'schedule', { dataFiles: dataFilesOf(data), verify: true });
  if (levels.program === undefined) throw new Error(diagnostics.map(d => d.message).join('\n'));
  return await importEmitted(emit(levels, emitOptions('wasm'))) as unknown as Drawing;
}
const letters = (kind: string): string => `
model Letters(T = 8) {
  input text: i32[B, T]
  input next: i32[B, T]
  V = vocabulary(text)
  logits = (embedding(V, 16)(text) ${kind}) |> linear(V)
  loss = cross_entropy(logits, next)
}
data { train = text("loop.txt", text: 0, next: 1) }
train {
  batch 8
  steps 200
  optimizer adam(0.02)
}
generate {
  sample text from logits
  prompt "ab"
  length 20
  temperature 0.1
}
`;

test.each([['a transformer', '+ (embedding(V, 16)(text) |> multi_head_attention(2, causal: true))'], ['an LSTM', '|> lstm(16)']])('%s goes on in a text, beyond its positions', async (_, kind) => {
  const { generate, train } = await moduleOf(letters(kind), { 'loop.txt': loop });
  await train({ data: () => new TextEncoder().encode(loop) });
  const pieces: string[] = [];
  const { text, tokens } = await generate({ write: piece => pieces.push(piece) });
  expect(text).toBe('cdef.abcdef.abcdef.a');
  expect(pieces.join('')).toBe(text);
  expect(tokens).toHaveLength(20);
  expect((await generate({ prompt: 'f', stop: ['ef', '.'] })).text).toBe('');
  expect((await generate({ prompt: '.', stop: ['ef'] })).text).toBe('abcd');
  expect((await generate({ prompt: 'c', length: 3 })).text).toBe('def');
  const wild = (seed: number): Promise<Generated> => generate({ temperature: 50, length: 30, seed });
  expect((await wild(1)).text).toBe((await wild(1)).text);
  expect((await wild(1)).text).not.toBe((await wild(2)).text);
  await expect(generate({ prompt: 'aé' })).rejects.toThrow('`é` (U+00E9) is not in the vocabulary');
  await expect(generate({ prompt: '' })).rejects.toThrow('give a prompt');
  await expect(generate({ prompt: 'abcdef.ab' })).rejects.toThrow('the prompt has 9 tokens, but there is room for 8');
  await expect(generate({ rows: { other: new Int32Array(1) } })).rejects.toThrow('`other` is no input that is given');
}, 60_000);

test.each([['attention to what comes', '|> multi_head_attention(2)'], ['a mean over all', '+ mean(embedding(V, 16)(text), axis: 1)[:, none]']])('%s is told', async (_, kind) => {
  const { generate, train } = await moduleOf(letters(kind), { 'loop.txt': loop });
  await train({ data: () => new TextEncoder().encode(loop), steps: 1 });
  await expect(generate()).rejects.toThrow('depend on later tokens');
}, 60_000);

test('tokens that the model computes take their place, from a row that is given, with what is computed from them', async () => {
  const { generate, train } = await moduleOf(`
model Painter(N = 4) {
  input caption: i32[B, 2]
  input picture: i32[B, N]
  codes = picture * 2 % 7
  x = concat([embedding(4, 16)(caption), embedding(7, 16)(codes)], axis: 1)
  logits = x |> lstm(24) |> linear(7)
  logits = logits[:, 1:-1]
  loss = cross_entropy(logits, codes)
  output doubled = 2 * codes
  output both = picture + codes
}
train {
  batch 4
  steps 150
  optimizer adam(0.02)
}
generate {
  sample codes from logits
  temperature 0
}
`);
  // The caption tells where the picture begins, and how it goes on.
  const captions = [[0, 1], [3, 0], [1, 1], [2, 3]];
  const rows = captions.map(([a, b]) => [0, 1, 2, 3].map(i => (a! + i * b!) % 4));
  await train({ data: { train: { caption: Int32Array.from(captions.flat()), picture: Int32Array.from(rows.flat()) } } });
  for (const [i, caption] of captions.entries()) {
    const { tokens, text, outputs } = await generate({ rows: { caption: Int32Array.from(caption) } });
    expect([...tokens]).toEqual(rows[i]!.map(value => (2 * value) % 7));
    expect(text).toBe(null);
    expect(Object.keys(outputs)).toEqual(['doubled']);
    expect([...outputs['doubled']!]).toEqual([...tokens].map(token => 2 * token));
  }
  await expect(generate()).rejects.toThrow('nothing is given for `caption`');
  await expect(generate({ prompt: 'a' })).rejects.toThrow('no input of the model is read from a text');
  await expect(generate({ rows: { caption: new Int32Array(3) } })).rejects.toThrow('`caption` has 3 values, but a row has 2');
}, 60_000);

test('nabla generate writes the text as it comes, behind its prompt', () => {
  const folder = folderOfFile();
  writeFileSync(join(folder, 'loop.txt'), loop);
  writeFileSync(join(folder, 'letters.model'), letters('|> lstm(16)'));
  const nabla = (...args: readonly string[]): readonly [number | null, string, string] => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [resolve('compiler/cli/nabla.js'), ...args, '--data', '.'], { cwd: folder, encoding: 'utf8' });
    return [status, stdout, stderr];
  };
  expect(nabla('train', 'letters.model')[0]).toBe(0);
  expect(nabla('generate', 'letters.model')).toEqual([0, 'abcdef.abcdef.abcdef.a\n', '']);
  expect(nabla('generate', 'letters.model', '--prompt', 'f', '--length', '9', '--temperature', '0', '--stop', 'cd')).toEqual([0, 'f.ab\n', '']);
  expect(nabla('generate', 'letters.model', '--prompt', 'x').slice(0, 2)).toEqual([1, '']);
  expect(nabla('generate', 'letters.model', '--top-p', '2')[2]).toContain('must be a number from 0 to 1');
  expect(nabla('generate', 'letters.model', '--input', 'nxet=x.npy')[2]).toContain('names no input of the model');
  expect(nabla('generate', 'letters.model', '--weights', 'none.safetensors')[2]).toContain('none.safetensors');
}, 120_000);
