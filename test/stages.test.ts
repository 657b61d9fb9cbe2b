/**
 * Several models and train blocks in a file: a file of several blocks trains as files of one block do, each from the weights of the one
 * before; what a model holds gives what it gives by itself and stays as it is; runs go on in the stage in which they were interrupted.
 */
import { existsSync, readFileSync } from 'node:fs';
import { beforeEach, describe, expect, test } from 'vitest';
import { emit } from '../compiler/6-emit/emit.ts';
import { compile, type Levels } from '../compiler/index.ts';
import { entryRoots, topological } from '../compiler/ir/graph.ts';
import type { CompiledProgram, Stage, TensorPlace } from '../runtime/program.ts';
import { evaluateStage } from '../runtime/evaluate.ts';
import { predictRows } from '../runtime/predict.ts';
import { arrayRows, type ProgramData } from '../runtime/row-set.ts';
import { stageNamed } from '../runtime/stages.ts';
import { viewOf } from '../runtime/tensor.ts';
import { trainProgram } from '../runtime/train.ts';
import { deviceProgram, linearRows } from './runtime-fixture.ts';
import { folderOfTest } from './support/folder.ts';
import { emitOptions, importEmitted } from './support/run-program.ts';

folderOfTest({ enter: true });

function levelsOf(text: string): Levels {
  const { levels, diagnostics } = compile({ path: 'several.model', text, library: false }, 'schedule', { verify: true });
  expect(diagnostics.map(diagnostic => diagnostic.message)).toEqual([]);
  return levels;
}
const programOf = async (text: string): Promise<CompiledProgram> => (await importEmitted(emit(levelsOf(text), emitOptions('wasm')))).program;
const valuesOf = ({ memory }: CompiledProgram, places: readonly TensorPlace[]): ReadonlyMap<string, number[]> =>
  new Map(places.map(place => [place.name, [...viewOf(memory, place)]]));
/** Parameters, layers' states and averages. */
const weightsOf = (program: CompiledProgram): ReadonlyMap<string, number[]> =>
  valuesOf(program, [...program.parameters, ...program.states.filter(({ name }) => !name.startsWith('optimizer.'))]);
const dataFor = (program: CompiledProgram, rows: number): ProgramData => ({ train: arrayRows(program, linearRows(rows)), test: arrayRows(program, linearRows(7)) });

function expectClose(actual: ReadonlyMap<string, number[]>, expected: ReadonlyMap<string, number[]>): void {
  expect([...actual.keys()].sort()).toEqual([...expected.keys()].sort());
  for (const [name, values] of expected) values.forEach((value, i) => expect(Math.abs(actual.get(name)![i]! - value), `${name}, element ${i}`).toBeLessThan(1e-5));
}

const net = `optimizer normed(lr) (p, g) {
  return p - lr * g / sqrt(sum(g * g) + 1e-8)
}
model Net {
  input x: f32[B, 3]
  input y: f32[B]
  guess = x |> linear(5) |> batch_norm() |> tanh() |> linear(4) |> tanh() |> linear(1)
  loss = mse(guess[:, 0], y)
  output prediction = guess
}
`;
const blocks = {
  all: '  batch 8\n  steps 12\n  optimizer adam(lr: cosine(0.02)) except "*.bias" (lr: 0.01)',
  part: '  batch 4\n  steps 9\n  seed 5\n  freeze linear.0.* *.bias\n  accumulate 2\n  clip_norm 1\n  optimizer sgd(lr: 0.05, momentum: 0.9)',
  averages: '  batch 8\n  steps 7\n  ema 0.8\n  optimizer adam(lr: 0.01)',
  one_by_one: '  batch 8\n  steps 5\n  freeze linear.1.*\n  optimizer normed(lr: 0.01)',
  rows: '  batch 16\n  steps 4\n  minimize loss over linear.* with sgd(lr: 0.1)\n  freeze batch_norm.*',
} as const;
type Block = keyof typeof blocks;

describe('blocks of one model', () => {
  test.each<readonly (readonly Block[])[]>([
    [['all', 'part']], [['part', 'all', 'averages']], [['all', 'one_by_one', 'averages']], [['averages', 'rows', 'averages']], [['one_by_one', 'part']],
  ])('%s, one after the other, train as files of their own', async order => {
    const several = await programOf(net + order.map((block, i) => `train ${block}_${i} {\n  model Net\n${blocks[block]}\n}\n`).join(''));
    const data = dataFor(several, 50);
    await trainProgram(several, { data, save: 'several' });
    let last: CompiledProgram | null = null;
    for (const block of order) {
      const alone = await programOf(`${net}train {\n${blocks[block]}\n}\n`);
      await trainProgram(alone, { data, save: 'alone', ...(last === null ? {} : { init: 'alone' }) });
      last = alone;
    }
    // Averages that only an earlier file has are not in the last one.
    const expected = weightsOf(last!);
    expectClose(new Map([...weightsOf(several)].filter(([name]) => expected.has(name))), expected);
  });

  test('each has its own state of the optimizer, and parameters that all train alike lie together', () => {
    const { program, model } = levelsOf(`${net}train first {\n${blocks.all}\n}\ntrain second {\n${blocks.averages}\n}\n`);
    expect(model!.stages.map(stage => stage.minimizations.flatMap(({ groups }) => groups.map(group => group.parameters.length)))).toEqual([[4, 4], [4, 4]]);
    const ofBias = program!.states.map(({ name }) => name).filter(name => name.endsWith('linear.2.bias'));
    expect(ofBias.sort()).toEqual(['ema', 'optimizer.first.m', 'optimizer.first.v', 'optimizer.second.m', 'optimizer.second.v'].map(state => `${state}.linear.2.bias`));
  });
});

const two = `model Auto(width = 2) {
  input x: f32[B, 3]
  encoder = linear(width)
  decoder = linear(3)
  h = encoder(x)
  code = h |> batch_norm() |> dropout(0.5)
  loss = mse(decoder(code), x)
  output code = code
  output back = decoder(code)
}
model Guess {
  input y: f32[B]
  input x: f32[B, 3]
  freeze auto = Auto()
  seen = auto(x)
  guess = concat([seen.code, seen.back, auto.decoder(0.5 * seen.code)], axis: 1) |> linear(1)
  loss = mse(guess[:, 0], y)
  metric width = auto.width * mean(square(auto.encoder.weight))
  output code = seen.code
  output encoded = auto.encoder(x)
  output prediction = guess
}
model Show {
  input x: f32[B, 3]
  freeze guess = Guess()
  output shown = guess(x: x).prediction
}
`;
const trainAuto = 'train Auto {\n  batch 8\n  steps 15\n  ema 0.9\n  optimizer adam(lr: 0.02)\n}\n';
const trainGuess = 'train Guess {\n  batch 4\n  steps 25\n  seed 3\n  optimizer adam(lr: cosine(0.02))\n}\n';

describe('a model that holds another', () => {
  test('gives what that gives by itself, whole batches and rows alike', async () => {
    const program = await programOf(two + trainAuto + trainGuess);
    await trainProgram(program, { data: dataFor(program, 40) });
    expect(program.stages.map(({ name }) => name)).toEqual(['Auto', 'Guess', 'Show']);
    const { x } = linearRows(21);
    const of = async (model: string): Promise<ReadonlyMap<string, readonly number[]>> =>
      new Map(Object.entries(await predictRows(program, stageNamed(program, model), { x })).map(([name, values]) => [name, [...values]]));
    const [auto, guess, show] = [await of('Auto'), await of('Guess'), await of('Show')];
    expect(guess.get('code')).toEqual(auto.get('code'));
    expect(show.get('shown')).toEqual(guess.get('prediction'));
    const weight = valuesOf(program, program.states).get('ema.Auto.encoder.weight')!;
    const bias = valuesOf(program, program.states).get('ema.Auto.encoder.bias')!;
    guess.get('encoded')!.forEach((value, i) => {
      const row = Math.floor(i / 2);
      const expected = [0, 1, 2].reduce((sum, k) => sum + x[3 * row + k]! * weight[3 * (i % 2) + k]!, bias[i % 2]!);
      expect(value).toBeCloseTo(expected, 5);
    });
  });

  test('does not change it, and asks for none of its gradients', async () => {
    const program = await programOf(two + trainAuto + trainGuess);
    const data = dataFor(program, 40);
    await trainProgram(program, { data, only: 'Auto', save: 'auto' });
    const auto = new Map([...weightsOf(program)].filter(([name]) => /^(ema\.)?Auto\./.test(name)));
    const before = weightsOf(program);
    await trainProgram(program, { data, only: 'Guess', init: 'auto' });
    const after = weightsOf(program);
    for (const [name, values] of auto) expect(after.get(name), name).toEqual(values);
    expect(after.get('Guess.linear.weight')).not.toEqual(before.get('Guess.linear.weight'));
    expect(stageNamed(program, 'Guess').gradients.map(({ name }) => name)).toEqual(['Guess.linear.weight', 'Guess.linear.bias']);
    const { gradient } = levelsOf(two + trainAuto + trainGuess);
    const train = gradient!.entries.find(({ name }) => name === 'Guess.train')!;
    expect(topological(entryRoots(train)).some(value => value.origin?.phase === 'backward' && value.origin.scope[0] === 'Auto')).toBe(false);
    expect(gradient!.entries.map(({ name }) => name)).toContain('Show.predict_row');
  });

  test('trains the same in one run, in two, and on a device', async () => {
    const fresh = (): Promise<CompiledProgram> => programOf(two + trainAuto + trainGuess);
    const whole = await fresh();
    const data = dataFor(whole, 40);
    await trainProgram(whole, { data });
    const apart = await fresh();
    await trainProgram(apart, { data, only: 'Auto', save: 'auto' });
    await trainProgram(apart, { data, only: 'Guess', init: 'auto' });
    expect(weightsOf(apart)).toEqual(weightsOf(whole));
    const device = deviceProgram(await fresh());
    await trainProgram(device, { data, save: 'device' });
    expect(readFileSync('device').equals(readFileSync('several.safetensors'))).toBe(true);
    expect(await evaluateStage(device, stageNamed(device, 'Guess'), data.test)).toEqual(await evaluateStage(whole, stageNamed(whole, 'Guess'), data.test));
  });
});

interface Logged {
  readonly stage: string;
  readonly step: number;
}
const logged = (path: string): Logged[] => readFileSync(path, 'utf8').trim().split('\n').map(line => ({ ...(JSON.parse(line) as Logged), ms: 0 }));

describe('a run that is interrupted', () => {
  const fresh = (): Promise<CompiledProgram> => programOf(two + trainAuto + trainGuess);
  let data: ProgramData;
  beforeEach(async () => {
    data = dataFor(await fresh(), 17);
  });

  test.each([5, 15, 21])('after %s steps ends in the same bytes', async at => {
    await trainProgram(await fresh(), { data, log: 'whole.jsonl', save: 'whole' });
    expect(['several.Auto.svg', 'several.Guess.svg'].map(existsSync)).toEqual([true, true]);
    let steps = 0;
    const first = await trainProgram(await fresh(), { data, log: 'parts.jsonl', save: 'parts', interrupted: () => ++steps === at });
    if (at !== 15) {
      expect([first.outcome, first.step]).toEqual(['interrupted', at > 15 ? at - 15 : at]);
      await trainProgram(await fresh(), { data, log: 'parts.jsonl', save: 'parts', resume: true });
    }
    expect(readFileSync('parts').equals(readFileSync('whole'))).toBe(true);
    expect(logged('parts.jsonl')).toEqual(logged('whole.jsonl'));
    expect(logged('whole.jsonl').map(({ stage, step }) => `${stage} ${step}`).slice(13, 17)).toEqual(['Auto 14', 'Auto 15', 'Guess 1', 'Guess 2']);
  });

  test('goes on in its stage alone where it ran alone', async () => {
    const train = async (options: Parameters<typeof trainProgram>[1]): ReturnType<typeof trainProgram> => trainProgram(await fresh(), { data, ...options });
    await train({ only: 'Auto', interrupted: () => true });
    await expect(train({ only: 'Guess', resume: true })).rejects.toThrow('the checkpoint is of `Auto`: resume without `--only`, or with `--only Auto`');
    expect((await train({ only: 'Auto', resume: true })).step).toBe(15);
    await expect(train({ only: 'Gues' })).rejects.toThrow('no train block is called `Gues`, did you mean `Guess`?');
    expect(() => stageNamed({ stages: [{ name: 'A', model: 'A' }] as readonly Partial<Stage>[] } as CompiledProgram, 'B')).toThrow('there is no model `B`');
  });
});
