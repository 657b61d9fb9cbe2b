/**
 * `node bench/language.ts [gpt|llama] [STEPS]`: trains `models/gpt.model`, or `llama.model`, and the same model in PyTorch from the same
 * weights on the same batches, and prints what both lose on the test rows. The texts are those that `node models/data/texts.ts` makes.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { evaluateStage } from '../runtime/evaluate.ts';
import { writeWhole } from '../runtime/files.ts';
import { npyBytes } from '../runtime/npy.ts';
import { openData } from '../runtime/open-data.ts';
import type { CompiledProgram } from '../runtime/program.ts';
import { arrayRows, rowLoader, trainingOrder, type RowSet } from '../runtime/row-set.ts';
import { initialiseProgram } from '../runtime/stages.ts';
import { viewOf } from '../runtime/tensor.ts';
import { trainProgram } from '../runtime/train.ts';
import { saveWeights } from '../runtime/weights-file.ts';
import { weightsFile } from './batch.ts';
import { build, writeImported } from './nabla.ts';
import { python } from './peers.ts';
import { lastLine, start } from './processes.ts';

const cores = 2;
const here = import.meta.dirname;
const [name = 'gpt', length = '1500'] = process.argv.slice(2);
const steps = Number(length);
if (!['gpt', 'llama'].includes(name) || !(steps >= 1)) throw new Error('node bench/language.ts [gpt|llama] [STEPS]');
/** Of the windows to test on every fourth: these do not overlap. */
const apart = 4;
const folder = mkdtempSync(join(tmpdir(), 'nabla-language-'));
try {
  const path = writeImported(build(`models/${name}.model`), folder);
  const { program } = await import(pathToFileURL(path).href) as { readonly program: CompiledProgram };
  const data = await openData(program, join(here, '../models'));
  const stage = program.stages[0]!;
  const { seed } = stage.settings;
  initialiseProgram(program, seed);
  await saveWeights(program, join(folder, weightsFile));
  const order = trainingOrder(data.train!.count, seed, true);
  writeRows(program, data.train!, 'train', Array.from({ length: steps * stage.train!.rows }, (_, i) => order(i)));
  const test = writeRows(program, data.test!, 'test', Array.from({ length: Math.floor(data.test!.count / apart) }, (_, i) => i * apart));
  const torch = lastLine<{ readonly test: number }>(start(python, [join(here, 'language.py'), name, folder, String(steps), String(stage.train!.rows)], cores, {
    environment: { ...process.env, OMP_NUM_THREADS: String(cores) },
  }).stdout);
  await trainProgram(program, { steps, data: { train: data.train, test: null }, save: join(folder, 'trained.safetensors'), threads: cores });
  const { loss } = await evaluateStage(program, stage, arrayRows(program, test));
  process.stdout.write(`${name}, after ${steps} steps on the same batches, test loss: nabla ${loss!.toFixed(4)}, PyTorch ${torch.test.toFixed(4)}, `
    + `${(100 * (loss! / torch.test - 1)).toFixed(2)} % apart\n`);
  program.threads?.stop();
} finally {
  rmSync(folder, { recursive: true });
}

/** Rows in an order, each input in a file of its own; gives them too. */
function writeRows(program: CompiledProgram, rows: RowSet, name: string, order: readonly number[]): Readonly<Record<string, Int32Array>> {
  const load = rowLoader(program, rows, program.inputs.map(input => input.name));
  return Object.fromEntries(program.inputs.map(input => {
    const [, T] = input.shape as readonly [number, number];
    const view = viewOf(program.memory, input);
    const values = new Int32Array(order.length * T);
    order.forEach((row, i) => {
      load(row, 0);
      values.set(view.subarray(0, T), i * T);
    });
    writeWhole(join(folder, `${name}-${input.name}.npy`), [npyBytes(values, 'i32', [order.length, T])]);
    return [input.name, values];
  }));
}
