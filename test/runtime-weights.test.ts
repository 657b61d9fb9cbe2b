/** Weights and checkpoints on disk: round trips, what is said about files that do not fit, predictions, bench. */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { benchProgram } from '../runtime/bench.ts';
import { evaluateStage } from '../runtime/evaluate.ts';
import { predictRows } from '../runtime/predict.ts';
import { arrayRows } from '../runtime/row-set.ts';
import { trainProgram } from '../runtime/train.ts';
import { setScalars } from '../runtime/stages.ts';
import { loadInitialWeights, loadWeights, saveWeights, writeSafetensors } from '../runtime/weights-file.ts';
import { tensorsAt } from '../runtime/weights.ts';
import { linearProgram, linearRows, onlyStage } from './runtime-fixture.ts';
import { folderOfTest } from './support/folder.ts';

folderOfTest({ enter: true });

const parameters = (program: ReturnType<typeof linearProgram>): number[] =>
  program.parameters.flatMap(({ offset, shape }) => [...new Float32Array(program.memory, offset, shape[0] ?? 1)]);

test('weights survive a round trip, equal contents are equal bytes, the header is sorted and aligned', async () => {
  const program = linearProgram();
  setScalars(program, 3, 0, 0);
  onlyStage(program).initialise();
  await saveWeights(program, 'a.safetensors');
  const other = linearProgram();
  loadWeights(other, 'a.safetensors');
  expect(parameters(other)).toEqual(parameters(program));
  await saveWeights(other, 'b.safetensors');
  const bytes = readFileSync('a.safetensors');
  expect(bytes.equals(readFileSync('b.safetensors'))).toBe(true);
  const length = Number(bytes.readBigUInt64LE(0));
  expect(length % 8).toBe(0);
  expect(Object.keys(JSON.parse(bytes.toString('utf8', 8, 8 + length)) as object)).toEqual(['__metadata__', 'b', 'w']);
  expect(readdirSync('.')).toEqual(['a.safetensors', 'b.safetensors']);
});

test('every missing, extra and misshapen tensor is named', () => {
  writeSafetensors('a.safetensors', [
    { name: 'w', dtype: 'f32', shape: [2], values: new Float32Array(2) }, { name: 'weight', dtype: 'f32', shape: [], values: new Float32Array(1) },
  ], {});
  expect(() => loadWeights(linearProgram(), 'a.safetensors')).toThrow(['`a.safetensors` does not fit the model:',
    '  `w` has the shape [2], the model has [3]', '  `b` [] is missing', '  `weight` [] is not in the model'].join('\n'));
  expect(() => loadWeights(linearProgram(), 'none.safetensors')).toThrow('`none.safetensors` cannot be opened');
});

test('weights to start from: what is there by name, the rest stays and is told', () => {
  const file = (name: string, shape: readonly number[]): void => writeSafetensors('a.safetensors', [
    { name, dtype: 'f32', shape, values: new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(5) },
    { name: 'head', dtype: 'f32', shape: [], values: Float32Array.of(1) },
  ], {});
  const program = linearProgram();
  onlyStage(program).initialise();
  const [, , , b] = parameters(program);
  file('w', [3]);
  expect(loadInitialWeights(program, 'a.safetensors')).toEqual([
    'new, since `a.safetensors` does not have them: `b`', 'left out of `a.safetensors`, since the model does not have them: `head`']);
  expect(parameters(program)).toEqual([5, 5, 5, b]);
  file('w', [2]);
  expect(() => loadInitialWeights(program, 'a.safetensors')).toThrow('`w` has the shape [2], the model has [3]');
  file('weight', [3]);
  expect(() => loadInitialWeights(program, 'a.safetensors')).toThrow('`w` [3] is missing');
});

test('masks and counters of published files are no weights, nor are what an optimizer keeps, biases are', () => {
  const tensor = (name: string, shape: readonly number[]) =>
    ({ name, dtype: 'f32', shape, values: new Float32Array(shape.reduce((a, b) => a * b, 1)) }) as const;
  const own = [tensor('w', [3]), tensor('b', [])];
  const buffers = [tensor('h.0.attn.bias', [1, 1, 4, 4]), tensor('h.0.attn.masked_bias', []), tensor('bn1.num_batches_tracked', []), tensor('optimizer.m', [4])];
  writeSafetensors('a.safetensors', [...own, ...buffers], {});
  loadWeights(linearProgram(), 'a.safetensors');
  writeSafetensors('a.safetensors', [...own, tensor('h.0.attn.bias', [4])], {});
  expect(() => loadWeights(linearProgram(), 'a.safetensors')).toThrow('`h.0.attn.bias` [4] is not in the model');
});

test('half-precision weights are converted', () => {
  writeSafetensors('a.safetensors', [
    { name: 'w', dtype: 'bf16', shape: [3], values: Float32Array.of(1, -0.5, 3) }, { name: 'b', dtype: 'f16', shape: [], values: Float32Array.of(0.25) },
  ], {});
  const program = linearProgram();
  loadWeights(program, 'a.safetensors');
  expect(parameters(program)).toEqual([1, -0.5, 3, 0.25]);
});

test('predictions and evaluation cover whole batches and the rows that are left', async () => {
  const program = linearProgram();
  setScalars(program, 3, 0, 0);
  onlyStage(program).initialise();
  const { x, y } = linearRows(11);
  const [w0, w1, w2, b] = parameters(program);
  const expected = Array.from(y, (_, i) => Math.fround(x[3 * i]! * w0! + x[3 * i + 1]! * w1! + x[3 * i + 2]! * w2! + b!));
  expect([...(await predictRows(program, onlyStage(program), { x }))['prediction']!]).toEqual(expected);
  const { loss } = await evaluateStage(program, onlyStage(program), arrayRows(program, { x, y }));
  expect(loss).toBeCloseTo(expected.reduce((sum, guess, i) => sum + (guess - y[i]!) ** 2, 0) / 11, 5);
  await expect(predictRows(program, onlyStage(program), { x: new Float32Array(4) })).rejects.toThrow('`x` has 4 values, expected a multiple of 3');
  await expect(predictRows(program, onlyStage(program), { z: x })).rejects.toThrow('there is no input `z`, did you mean `x`?');
});

test('checkpoints rotate, a changed model is refused', async () => {
  const rows = arrayRows(linearProgram(), linearRows(8));
  const data = { train: rows, test: null };
  const settings = { checkpointEvery: { count: 10, unit: 'steps' }, checkpointKeep: 3 } as const;
  await trainProgram(linearProgram(settings), { data });
  expect(readdirSync('.').filter(name => name.includes('checkpoint'))).toEqual(
    ['Linear.checkpoint.1.safetensors', 'Linear.checkpoint.2.safetensors', 'Linear.checkpoint.safetensors']);
  await expect(trainProgram({ ...linearProgram(), source: 'other' }, { data, resume: true })).rejects.toThrow('of another version of the model');
  const renamed = linearProgram();
  const states = renamed.states.map(state => ({ ...state, name: state.name.replace('.m.', '.v.') }));
  await expect(trainProgram({ ...renamed, states }, { data, resume: true })).rejects.toThrow('`optimizer.v.w` [3] is missing');
  await expect(trainProgram(linearProgram(), { data, resume: true, seed: 1 })).rejects.toThrow('was trained with `--seed 7`');
  const tensors = tensorsAt(linearProgram().memory, [...linearProgram().parameters, ...linearProgram().states]);
  writeSafetensors('Broken.checkpoint.safetensors', tensors, { source: linearProgram().source, progress: '{"step":1}' });
  await expect(trainProgram({ ...linearProgram(), name: 'Broken' }, { data, resume: true })).rejects.toThrow('the progress in `Broken.checkpoint.safetensors` is broken');
  await expect(trainProgram({ ...linearProgram(), name: 'Other' }, { data, resume: true })).rejects.toThrow('there is no checkpoint `Other.checkpoint.safetensors`');
});

test('training stops early without improvement', async () => {
  const program = linearProgram({ earlyStop: 2, steps: 1000 });
  const train = arrayRows(program, linearRows(8));
  const rows = linearRows(8);
  const report = await trainProgram(program, { data: { train, test: arrayRows(program, { x: rows.x, y: rows.y.map(value => -value) }) } });
  expect([report.outcome, report.step < 200, existsSync('Linear.safetensors')]).toEqual(['stopped early', true, true]);
});

test('bench reports one object', async () => {
  const program = linearProgram();
  const report = await benchProgram(program, onlyStage(program), { steps: 5 });
  expect(report).toMatchObject({ model: 'Linear', steps: 5, threads: 1, arena_bytes: 4096 });
  expect(report.ms_per_step.median).toBeGreaterThanOrEqual(report.ms_per_step.min);
});
