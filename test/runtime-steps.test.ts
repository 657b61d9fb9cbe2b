/**
 * Steps of several batches and moving averages of parameters, in emitted programs: what they train, what they tell, that a resumed run
 * ends in the same bytes, and what weights files make of averages.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { emit } from '../compiler/6-emit/emit.ts';
import { compile } from '../compiler/index.ts';
import { benchProgram } from '../runtime/bench.ts';
import { evaluateStage } from '../runtime/evaluate.ts';
import { openBytes, wholeFileLimit } from '../runtime/files.ts';
import { predictRows } from '../runtime/predict.ts';
import type { CompiledProgram, TensorPlace } from '../runtime/program.ts';
import { arrayRows, type ProgramData } from '../runtime/row-set.ts';
import { readSafetensors } from '../runtime/safetensors.ts';
import { viewOf } from '../runtime/tensor.ts';
import { trainProgram } from '../runtime/train.ts';
import { setScalars } from '../runtime/stages.ts';
import { planOf, silentReporter } from '../runtime/training.ts';
import { loadWeights, saveWeights, writeSafetensors } from '../runtime/weights-file.ts';
import { tensorsAt } from '../runtime/weights.ts';
import { deviceProgram, linearRows, onlyStage, withStage } from './runtime-fixture.ts';
import { folderOfTest } from './support/folder.ts';
import { emitOptions, importEmitted } from './support/run-program.ts';

folderOfTest({ enter: true });

/** The program of a model that guesses `y` from `x` by `body`, which ends with `guess = …`. */
async function programOf(body: string, settings: string): Promise<CompiledProgram> {
  const text = `model Guess {\n  input x: f32[B, 3]\n  input y: f32[B]\n${body}\n  loss = mse(guess[:, 0], y)\n  output prediction = guess\n}\ntrain {\n${settings}\n}\n`;
  const { levels, diagnostics } = compile({ path: 'guess.model', text, library: false }, 'schedule', { verify: true });
  expect(diagnostics.map(diagnostic => diagnostic.message)).toEqual([]);
  return (await importEmitted(emit(levels, emitOptions('wasm')))).program;
}

const layers = '  metric size = mean(abs(x))\n  guess = x |> linear(5) |> tanh() |> linear(1)';
const dataFor = (program: CompiledProgram, rows: number): ProgramData => ({ train: arrayRows(program, linearRows(rows)), test: arrayRows(program, linearRows(7)) });
const values = (program: CompiledProgram, places: readonly TensorPlace[]): number[] => places.flatMap(place => [...viewOf(program.memory, place)]);
const averages = (program: CompiledProgram): readonly TensorPlace[] => program.states.filter(({ name }) => name.startsWith('ema.'));

interface Logged {
  readonly step: number;
  readonly loss: number;
  readonly metrics: Readonly<Record<string, number>>;
  readonly lr: number;
  readonly grad_norm: number;
}
const logged = (path: string): Logged[] =>
  readFileSync(path, 'utf8').trim().split('\n').map(line => ({ ...(JSON.parse(line) as Logged), ms: 0 }));

function expectClose(actual: readonly number[], expected: readonly number[], tolerance: number): void {
  expect(actual).toHaveLength(expected.length);
  actual.forEach((value, i) => expect(Math.abs(value - expected[i]!), `element ${i}`).toBeLessThan(tolerance));
}

function started(program: CompiledProgram): CompiledProgram {
  setScalars(program, 7, 0, 0);
  onlyStage(program).initialise();
  return program;
}

test('every batch of an evaluation draws numbers of its own, the same in every evaluation', async () => {
  const program = started(await programOf(`${layers}\n  metric drawn = mean(uniform_like(x))\n  metric at = 1 * step`, '  batch 4\n  steps 1\n  optimizer sgd(lr: 0.1)'));
  const stage = onlyStage(program);
  const evaluated = (rows: number): Promise<Readonly<Record<string, number>>> => evaluateStage(program, stage, arrayRows(program, linearRows(rows)));
  const [one, two] = [await evaluated(4), await evaluated(8)];
  expect(Math.abs(one['drawn']! - two['drawn']!)).toBeGreaterThan(1e-4);
  expect(await evaluated(8)).toEqual(two);
  expect([one['at'], two['at']]).toEqual([0, 0]);
});

describe('accumulate', () => {
  test.each(['', 'clip_norm 0.5'])('four batches of 16 train as one of 64 %s', async clip => {
    const settings = `  steps 10\n  ${clip}\n  optimizer adam(lr: cosine(0.02)) except "*.bias" (lr: 0.01)\n`;
    const parts = await programOf(layers, `${settings}  batch 16\n  accumulate 4`);
    const whole = await programOf(layers, `${settings}  batch 64`);
    const data = dataFor(parts, 150);
    await trainProgram(parts, { data, log: 'parts.jsonl', saveGradients: 'parts.safetensors' });
    await trainProgram(whole, { data, log: 'whole.jsonl', saveGradients: 'whole.safetensors' });
    expect(planOf(parts, onlyStage(parts), data)).toEqual(planOf(whole, onlyStage(whole), data));
    expectClose(values(parts, parts.parameters), values(whole, whole.parameters), 1e-5);
    expectClose(values(parts, onlyStage(parts).gradients), values(whole, onlyStage(whole).gradients), 1e-5);
    const numbers = ({ step, loss, metrics, lr, grad_norm: norm }: Logged): number[] => [step, loss, metrics['size']!, lr, norm];
    expectClose(logged('parts.jsonl').flatMap(numbers), logged('whole.jsonl').flatMap(numbers), 1e-5);
    expect(onlyStage(parts).flopsPerStep).toBeGreaterThan(onlyStage(whole).flopsPerStep);
  });

  test('loss and metrics of a step are the means over its batches', async () => {
    const program = await programOf(layers, '  batch 4\n  accumulate 3\n  steps 1\n  optimizer sgd(lr: 0.1)');
    const data = dataFor(program, 12);
    const { loss } = await evaluateStage(started(program), onlyStage(program), data.train);
    await trainProgram(program, { data, seed: 7, log: 'log.jsonl' });
    const { x } = linearRows(12);
    expect(logged('log.jsonl')[0]!.loss).toBeCloseTo(loss!, 5);
    expect(logged('log.jsonl')[0]!.metrics['size']).toBeCloseTo(x.reduce((sum, value) => sum + Math.abs(value), 0) / x.length, 5);
  });

  test('every batch draws numbers of its own and updates states, and sees the step', async () => {
    const body = [
      '  state batches = 0', '  batches <- batches + 1', '  guess = x |> linear(1) |> dropout(0.5)',
      '  metric drawn = sum(uniform_like(x))', '  metric at = 1 * step', '  metric counted = 1 * batches',
    ].join('\n');
    const program = await programOf(body, '  batch 4\n  accumulate 3\n  steps 4\n  optimizer sgd(lr: 0.1)');
    const { count, batch } = onlyStage(program).accumulate!;
    const seen = new Map<string, number[]>(batch.results.map(({ name }) => [name, []]));
    const run = (): void => {
      batch.run();
      for (const place of batch.results) seen.get(place.name)!.push(viewOf(program.memory, place)[0]!);
    };
    await trainProgram(withStage(program, { accumulate: { count, batch: { ...batch, run } } }), { data: dataFor(program, 12) });
    expect(new Set(seen.get('drawn')).size).toBe(12);
    expect(seen.get('at')).toEqual([1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4]);
    expect(seen.get('counted')).toEqual(Array.from({ length: 12 }, (_, i) => i + 1));
  });

  test('nothing of the step before stays in the gradients', async () => {
    const program = await programOf(layers, '  batch 4\n  accumulate 2\n  steps 1\n  optimizer sgd(lr: 0.1)');
    const data = dataFor(program, 12);
    await trainProgram(program, { data });
    const expected = values(program, onlyStage(program).gradients);
    for (const place of onlyStage(program).gradients) viewOf(program.memory, place).fill(NaN);
    await trainProgram(program, { data });
    expect(values(program, onlyStage(program).gradients)).toEqual(expected);
  });

  test('a device, too, gives means over batches, and the norm where a log asks for it', async () => {
    const program = await programOf(layers, '  batch 4\n  accumulate 3\n  steps 9\n  optimizer adam(lr: cosine(0.02))');
    const data = dataFor(program, 50);
    await trainProgram(program, { data, log: 'local.jsonl' });
    await trainProgram(deviceProgram(program), { data, log: 'device.jsonl' });
    expect(logged('device.jsonl')).toEqual(logged('local.jsonl'));
    expect(logged('device.jsonl')[8]!.grad_norm).toBeGreaterThan(0);
  });

  test('bench runs whole steps', async () => {
    const program = await programOf(layers, '  batch 4\n  accumulate 2\n  optimizer sgd(lr: 0.1)');
    const runs = { batch: 0, train: 0 };
    const { count, batch } = onlyStage(program).accumulate!;
    const counted = (entry: typeof batch, name: keyof typeof runs): typeof batch => ({ ...entry, run: () => { runs[name]++; entry.run(); } });
    const watched = withStage(program, { accumulate: { count, batch: counted(batch, 'batch') }, train: counted(onlyStage(program).train!, 'train') });
    await benchProgram(watched, onlyStage(watched), { steps: 4 });
    expect(runs).toEqual({ batch: 14, train: 7 });
  });
});

describe('ema', () => {
  const average = '  batch 8\n  steps 6\n  ema 0.8\n  optimizer adam(lr: 0.05)';

  test('averages follow the parameters of each step, and predictions and evaluations are theirs', async () => {
    const program = started(await programOf('  guess = x |> linear(1)', average));
    expect(averages(program).map(({ name }) => name)).toEqual(['ema.linear.weight', 'ema.linear.bias']);
    expect(values(program, averages(program))).toEqual(values(program, program.parameters));
    expect(values(program, program.parameters).some(value => value !== 0)).toBe(true);
    let expected = values(program, program.parameters);
    const reporter = {
      ...silentReporter,
      step: () => { expected = values(program, program.parameters).map((value, i) => 0.8 * expected[i]! + 0.2 * value); },
    };
    const report = await trainProgram(program, { data: dataFor(program, 30), seed: 7, reporter });
    expectClose(values(program, averages(program)), expected, 1e-6);
    const { x, y } = linearRows(7);
    const guesses = Array.from(y, (_, i) => [0, 1, 2].reduce((sum, k) => sum + x[3 * i + k]! * expected[k]!, expected[3]!));
    expectClose([...(await predictRows(program, onlyStage(program), { x }))['prediction']!], guesses, 1e-5);
    expect(report.test!.loss).toBeCloseTo(guesses.reduce((sum, guess, i) => sum + (guess - y[i]!) ** 2, 0) / 7, 5);
  });

  test('training is what it is without, and what is not trained has no average', async () => {
    const body = '  guess = x |> linear(4) |> batch_norm() |> linear(1)';
    const program = await programOf(body, `${average}\n  freeze linear.0.*`);
    const plain = await programOf(body, `${average.replace('  ema 0.8\n', '')}\n  freeze linear.0.*`);
    for (const each of [program, plain]) await trainProgram(each, { data: dataFor(each, 30) });
    expect(values(program, program.parameters)).toEqual(values(plain, plain.parameters));
    expect(averages(program).map(({ name }) => name)).toEqual(['batch_norm.weight', 'batch_norm.bias', 'linear.1.weight', 'linear.1.bias'].map(name => `ema.${name}`));
  });

  test('weights files hold averages, which may be missing and may be of no use', async () => {
    const program = await programOf('  guess = x |> linear(1)', average);
    const { parameters } = program;
    await trainProgram(program, { data: dataFor(program, 30) });
    const [weights, means] = [values(program, parameters), values(program, averages(program))];
    expectClose(weights.map((value, i) => Math.sign(Math.abs(value - means[i]!))), [1, 1, 1, 1], 1e-9);
    expect([...readSafetensors(openBytes('guess.safetensors', 'guess.safetensors', wholeFileLimit)).tensors.keys()].sort()).toEqual(
      ['ema.linear.bias', 'ema.linear.weight', 'linear.bias', 'linear.weight']);

    const again = started(await programOf('  guess = x |> linear(1)', average));
    loadWeights(again, 'guess.safetensors');
    expect([values(again, again.parameters), values(again, averages(again))]).toEqual([weights, means]);

    const plain = started(await programOf('  guess = x |> linear(1)', '  batch 8\n  optimizer adam(lr: 0.05)'));
    loadWeights(plain, 'guess.safetensors');
    expect(values(plain, plain.parameters)).toEqual(weights);
    await saveWeights(plain, 'plain.safetensors');
    loadWeights(started(again), 'plain.safetensors');
    expect([values(again, again.parameters), values(again, averages(again))]).toEqual([weights, weights]);

    const tensors = tensorsAt(program.memory, parameters);
    writeSafetensors('extra.safetensors', [...tensors, { name: 'ema.other', dtype: 'f32', shape: [], values: new Float32Array(1) }], {});
    expect(() => loadWeights(plain, 'extra.safetensors')).toThrow('`ema.other` [] is not in the model');
  });
});

test('a run with both, interrupted and resumed, ends in the same bytes', async () => {
  const body = '  guess = x |> linear(6) |> batch_norm() |> relu() |> dropout(0.3) |> linear(1)';
  const fresh = (): Promise<CompiledProgram> => programOf(body, '  batch 4\n  accumulate 3\n  steps 14\n  ema 0.9\n  clip_norm 1\n  optimizer adam(lr: cosine(0.02))');
  const data = dataFor(await fresh(), 17);
  await trainProgram(await fresh(), { data, log: 'whole.jsonl' });
  const whole = readFileSync('guess.safetensors');
  let steps = 0;
  const first = await trainProgram(await fresh(), { data, log: 'parts.jsonl', save: 'parts.safetensors', interrupted: () => ++steps === 5 });
  expect([first.outcome, first.step]).toEqual(['interrupted', 5]);
  await trainProgram(await fresh(), { data, log: 'parts.jsonl', save: 'parts.safetensors', resume: true });
  expect(readFileSync('parts.safetensors').equals(whole)).toBe(true);
  expect(logged('parts.jsonl')).toEqual(logged('whole.jsonl'));
});
