/** The training loop: what it learns, that a resumed run ends in the same bytes, and that failures leave good files alone. */
import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { memoryBytes } from '../runtime/bytes.ts';
import { readIdx } from '../runtime/idx.ts';
import { evaluateStage } from '../runtime/evaluate.ts';
import { predictRows } from '../runtime/predict.ts';
import { arrayRows, rowSetOf, trainingOrder } from '../runtime/row-set.ts';
import { tensorColumn } from '../runtime/stored-tensor.ts';
import { trainProgram } from '../runtime/train.ts';
import { silentReporter } from '../runtime/training.ts';
import { deviceProgram, linearProgram, linearRows, onlyStage, withStage } from './runtime-fixture.ts';
import { folderOfTest } from './support/folder.ts';

folderOfTest({ enter: true });

const rows = (count: number) => {
  const program = linearProgram();
  return { train: arrayRows(program, linearRows(count)), test: arrayRows(program, linearRows(7)) };
};

test('a linear model trains on idx data in memory', async () => {
  const { x, y } = linearRows(10);
  const idx = (values: Float32Array, ...shape: number[]): Uint8Array => {
    const view = new DataView(new ArrayBuffer(4 + 4 * shape.length + values.byteLength));
    view.setUint32(0, 0x0d00 + shape.length);
    shape.forEach((extent, i) => view.setUint32(4 + 4 * i, extent));
    values.forEach((value, i) => view.setFloat32(4 + 4 * shape.length + 4 * i, value));
    return new Uint8Array(view.buffer);
  };
  const columns = [
    tensorColumn(readIdx(memoryBytes('x', idx(x, 10, 3))), { input: 'x', dtype: 'f32', shape: [3], below: null }, false),
    tensorColumn(readIdx(memoryBytes('y', idx(y, 10))), { input: 'y', dtype: 'f32', shape: [], below: null }, false),
  ];
  const set = rowSetOf(columns);
  const report = await trainProgram(linearProgram(), { data: { train: set, test: set }, steps: 300 });
  expect(report.outcome).toBe('finished');
  expect(report.test!.loss).toBeLessThan(1e-4);
  expect(report.files).toEqual(['Linear.safetensors', 'Linear.svg']);
});

test('a run interrupted and resumed ends in the same bytes', async () => {
  const data = rows(10);
  await trainProgram(linearProgram(), { data, log: 'whole.jsonl' });
  const whole = readFileSync('Linear.safetensors');
  let steps = 0;
  const first = await trainProgram(linearProgram(), { data, log: 'parts.jsonl', save: 'parts.safetensors', interrupted: () => ++steps === 13 });
  expect([first.outcome, first.step, existsSync('parts.safetensors')]).toEqual(['interrupted', 13, false]);
  const second = await trainProgram(linearProgram(), { data, log: 'parts.jsonl', save: 'parts.safetensors', resume: true });
  expect(second.step).toBe(40);
  expect(readFileSync('parts.safetensors').equals(whole)).toBe(true);
  const steady = (path: string) => readFileSync(path, 'utf8').trim().split('\n').map(line => ({ ...JSON.parse(line), ms: 0 }));
  expect(steady('parts.jsonl')).toEqual(steady('whole.jsonl'));
});

test('a program on a device ends in the same bytes, interrupted or not', async () => {
  const data = rows(10);
  const settings = { evaluateEvery: { count: 7, unit: 'steps' }, checkpointEvery: { count: 9, unit: 'steps' } } as const;
  const program = linearProgram(settings);
  await trainProgram(program, { data, log: 'local.jsonl', save: 'local', saveGradients: 'local.gradients' });
  const curve = readFileSync('Linear.svg');
  const whole = deviceProgram(linearProgram(settings));
  await trainProgram(whole, { data, log: 'whole.jsonl', save: 'whole', saveGradients: 'whole.gradients' });
  expect(readFileSync('Linear.svg').equals(curve)).toBe(true);
  let settled = 0;
  const parts = { data, log: 'parts.jsonl', save: 'parts', saveGradients: 'parts.gradients' };
  const first = await trainProgram(deviceProgram(linearProgram(settings)), { ...parts, interrupted: () => ++settled === 4 });
  expect(first.outcome).toBe('interrupted');
  expect(first.step).toBeGreaterThan(4);
  await trainProgram(deviceProgram(linearProgram(settings)), { ...parts, resume: true });
  const steady = (path: string) => readFileSync(path, 'utf8').trim().split('\n').map(line => ({ ...JSON.parse(line), ms: 0 }));
  for (const run of ['whole', 'parts']) {
    for (const file of ['', '.gradients']) expect(readFileSync(`${run}${file}`).equals(readFileSync(`local${file}`)), `${run}${file}`).toBe(true);
    expect(steady(`${run}.jsonl`)).toEqual(steady('local.jsonl'));
  }
  const { x, y } = linearRows(50);
  expect(await predictRows(whole, onlyStage(whole), { x })).toEqual(await predictRows(program, onlyStage(program), { x }));
  expect(await evaluateStage(whole, onlyStage(whole), arrayRows(whole, { x, y }))).toEqual(await evaluateStage(program, onlyStage(program), arrayRows(program, { x, y })));
  await expect(trainProgram(deviceProgram(linearProgram(settings, null, 12)), { data, save: 'bad' })).rejects.toThrow('loss is NaN at step 12 ');
});

test('resuming is exact across epochs that do not divide, with checkpoints on the way', async () => {
  const data = rows(7);
  await trainProgram(linearProgram(), { data });
  const whole = readFileSync('Linear.safetensors');
  for (let stop = 1; stop < 40; stop += 9) {
    let steps = 0;
    const settings = { checkpointEvery: { count: 2, unit: 'epochs' }, checkpointKeep: 2 } as const;
    await trainProgram(linearProgram(settings), { data, interrupted: () => ++steps === stop });
    await trainProgram(linearProgram(settings), { data, resume: true });
    expect(readFileSync('Linear.safetensors').equals(whole)).toBe(true);
  }
});

test('parameters that are not finite replace no good file', async () => {
  const program = linearProgram();
  const spoil = (): void => {
    onlyStage(program).train!.run();
    new Float32Array(program.memory, program.parameters[0]!.offset, 3)[1] = Infinity;
  };
  const spoiled = withStage(program, { train: { ...onlyStage(program).train!, run: spoil } });
  await expect(trainProgram(spoiled, { data: rows(8), steps: 1 })).rejects.toThrow('the parameter `w` is not finite (element 1) after step 1');
  expect(existsSync('Linear.safetensors')).toBe(false);
});

test('every row is seen equally often, each epoch in another order', () => {
  const order = trainingOrder(7, 1, true);
  const epochs = Array.from({ length: 20 }, (_, epoch) => Array.from({ length: 7 }, (__, i) => order(7 * epoch + i)));
  for (const epoch of epochs) expect([...epoch].sort()).toEqual([0, 1, 2, 3, 4, 5, 6]);
  expect(new Set(epochs.map(String)).size).toBeGreaterThan(15);
  expect(trainingOrder(3, 1, false)(7)).toBe(1);
});

test('a model without inputs trains without data, one without a batch is fed whole', async () => {
  const linear = linearProgram({ steps: null });
  const { train, evaluate } = onlyStage(linear);
  const idle = withStage({ ...linear, data: null, inputs: [] }, { train: { ...train!, inputs: [] }, evaluate: null });
  await expect(trainProgram(idle)).rejects.toThrow('give `steps` in the `train` block, or `--steps N`');
  await expect(trainProgram(idle, { steps: 3 })).resolves.toMatchObject({ step: 3, test: null });
  const whole = withStage({ ...linear, batched: false }, { batched: false, train: { ...train!, rows: 1 }, evaluate: { ...evaluate!, rows: 1 }, evaluateRow: null });
  const set = arrayRows(whole, linearRows(4));
  expect(set.count).toBe(1);
  const report = await trainProgram(whole, { steps: 200, data: { train: set, test: set } });
  expect(report.test!.loss).toBeLessThan(0.05);
});

test('data that is needed and not there is an error', async () => {
  await expect(trainProgram(linearProgram({}, null))).rejects.toThrow('has inputs, but no training data');
  await expect(trainProgram(linearProgram({ earlyStop: 1 }), { data: { ...rows(8), test: null } })).rejects.toThrow('`early_stop` needs test rows');
  const program = linearProgram();
  await expect(trainProgram(program, { data: { train: arrayRows(program, { x: linearRows(8).x }), test: null } })).rejects.toThrow('no field for the input `y`');
});

test('a loss that is not a number stops the run and saves nothing', async () => {
  const run = trainProgram(linearProgram({ checkpointEvery: { count: 5, unit: 'steps' } }, null, 12), { data: rows(10) });
  await expect(run).rejects.toThrow(/loss is NaN at step 12 \(batch 2 of epoch 5\).*--debug-nan/);
  expect(existsSync('Linear.safetensors')).toBe(false);
  await expect(trainProgram(linearProgram(), { data: rows(10), resume: true })).resolves.toMatchObject({ step: 40, outcome: 'finished' });
});

test('a checkpoint is never ahead of its log, and only further steps are resumed', async () => {
  const data = rows(10);
  const settings = { checkpointEvery: { count: 10, unit: 'steps' } } as const;
  let lines = 0;
  const step = (_: unknown, { step: at }: { readonly step: number }): void => {
    if (at === 21) lines = readFileSync('log', 'utf8').trim().split('\n').length;
  };
  await trainProgram(linearProgram(settings), { data, log: 'log', reporter: { ...silentReporter, step } });
  expect(lines).toBe(20);
  await expect(trainProgram(linearProgram(settings), { data, resume: true, steps: 5 })).rejects.toThrow('the checkpoint is at step 40 already');
  await expect(trainProgram(linearProgram(settings), { data, resume: true, saveGradients: 'g' })).rejects.toThrow('there are no gradients to save');
});
