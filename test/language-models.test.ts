/** The models of texts learn: small ones, for a few seconds each on parts of their texts. `bench/models.ts` has the whole runs. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { emit } from '../compiler/6-emit/emit.ts';
import { importReader } from '../compiler/cli/read-source.ts';
import { compile } from '../compiler/index.ts';
import { dates, mobyDick, names } from '../models/data/texts.ts';
import { savedBytes, trainModel } from '../runtime/application.ts';
import type { CompiledProgram } from '../runtime/program.ts';
import { emitOptions, importEmitted } from './support/run-program.ts';

const { novel, plays } = mobyDick();
const { train, test: heldOut } = dates();
const files: Readonly<Record<string, string>> = {
  'data/moby-dick.txt': novel.slice(0, 100_000), 'data/moby-dick-plays.txt': plays.slice(0, 20_000).toUpperCase(), 'data/names.jsonl': names(),
  'data/dates-train.jsonl': train, 'data/dates-test.jsonl': heldOut.split('\n').slice(0, 200).join('\n'),
};
const data = (file: string): Uint8Array => Buffer.from(files[file]!);

async function programOf(name: string, settings: Readonly<Record<string, string>>): Promise<CompiledProgram> {
  const path = `models/${name}.model`;
  // The transformer's warm-up is longer than its run here.
  const text = readFileSync(path, 'utf8').replace('warmup: 300', 'warmup: 150');
  const { levels, diagnostics } = compile({ path, text, library: false }, 'schedule', {
    settings: new Map(Object.entries(settings)), readImport: importReader(path),
  });
  expect(diagnostics).toEqual([]);
  return (await importEmitted(emit(levels, emitOptions('wasm')))).program;
}

const small = { T: '32', dim: '64' };

// By how often it occurs, a letter costs 3.1 in Moby Dick and 3.2 in names; a digit, by those before it and none of the words, 1.52.
test.each([
  ['gpt', { ...small, layers: '2' }, 120, 2.7],
  ['llama', { ...small, depth: '2' }, 120, 2.5],
  ['lstm', { width: '64' }, 150, 2.4],
  ['gru', { width: '64' }, 150, 2.4],
  ['transformer', { dim: '32', depth: '1', drop: '0' }, 300, 1.5],
] as const)('%s', async (name, settings, steps, most) => {
  const { test: results } = await trainModel(await programOf(name, settings), { data, steps });
  expect(results!.loss).toBeLessThan(most);
}, 60_000);

test('lora adapts a trained gpt to a text in capitals', async () => {
  const settings = { ...small, layers: '2' };
  const base = await programOf('gpt', settings);
  await trainModel(base, { data, steps: 100 });
  const init = await savedBytes(base);
  const adapted = await programOf('lora', settings);
  const lossAfter = async (steps: number): Promise<number> => (await trainModel(adapted, { data, steps, init })).test!.loss!;
  expect(await lossAfter(50)).toBeLessThan(await lossAfter(1) - 1);
}, 60_000);
