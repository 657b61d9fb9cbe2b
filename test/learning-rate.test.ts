/**
 * The factor of the learning rate, which a run sets: twice the rate of the file gives the same bits as a file with twice the rate, on
 * every target; checkpoints keep it; what cannot be is refused.
 */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { emit, type Target } from '../compiler/6-emit/emit.ts';
import { compile } from '../compiler/index.ts';
import type { CompiledProgram } from '../runtime/program.ts';
import { arrayRows, type ProgramData } from '../runtime/row-set.ts';
import { setLearningRateFactor } from '../runtime/stages.ts';
import { viewOf } from '../runtime/tensor.ts';
import { trainProgram } from '../runtime/train.ts';
import { silentReporter } from '../runtime/training.ts';
import { linearRows } from './runtime-fixture.ts';
import { folderOfTest } from './support/folder.ts';
import { emitOptions, importEmitted, type EmittedModule } from './support/run-program.ts';

folderOfTest({ enter: true });

const optimizers = {
  'plain descent': (rate: number) => `optimizer sgd(lr: ${rate}, momentum: 0.9)`,
  'a schedule, and a rate of its own': (rate: number) => `optimizer adamw(lr: cosine(peak: ${rate}, warmup: 3)) except "*.bias" (lr: ${rate / 4})`,
  'a rule that looks at shapes': (rate: number) => `optimizer normed(lr: ${rate})`,
  'several losses': (rate: number) => `minimize loss over linear.0.* with sgd(lr: ${rate})\n  minimize loss over linear.1.* with adam(lr: ${rate})`,
} as const;
/** Sign descent without anything called `lr`. */
const rateless = 'optimizer signs()';

async function moduleOf(optimizer: string, target: Target = 'wasm'): Promise<EmittedModule> {
  const text = [
    'optimizer normed(lr) (p, g) {', '  where lr > 0', '  return p - lr * g / sqrt(sum(g * g) + 1e-8)', '}',
    'optimizer signs() (p, g) {', '  return p - 0.01 * sign(g)', '}',
    'model Guess {', '  input x: f32[B, 3]', '  input y: f32[B]', '  guess = x |> linear(5) |> tanh() |> linear(1)', '  loss = mse(guess[:, 0], y)', '}',
    'train {', '  batch 8', '  steps 10', `  ${optimizer}`, '}', '',
  ].join('\n');
  const { levels, diagnostics } = compile({ path: 'guess.model', text, library: false }, 'schedule', { verify: true });
  expect(diagnostics.map(diagnostic => diagnostic.message)).toEqual([]);
  return importEmitted(emit(levels, emitOptions(target)));
}
const programOf = async (optimizer: string): Promise<CompiledProgram> => (await moduleOf(optimizer)).program;
const dataFor = (program: CompiledProgram): ProgramData => ({ train: arrayRows(program, linearRows(30)), test: null });

/** The learning rate of each step, and the parameters in the end. */
async function trained({ program, train }: EmittedModule, learningRateFactor?: number): Promise<readonly [number[], number[]]> {
  const rates: number[] = [];
  const step = (_: unknown, __: unknown, { lr }: Readonly<Record<string, number>>): void => void rates.push(lr!);
  const settings = learningRateFactor === undefined ? {} : { learningRateFactor };
  await train!({ data: { train: linearRows(30) }, reporter: { step }, ...settings });
  return [rates, program.parameters.flatMap(place => [...viewOf(program.memory, place)])];
}

test.each([
  ...Object.keys(optimizers).map(name => [name, 'wasm'] as const), ['a schedule, and a rate of its own', 'typescript'] as const,
])('twice the rate: %s, in %s', async (name, target) => {
  const optimizer = optimizers[name as keyof typeof optimizers];
  const made = await moduleOf(optimizer(0.02), target);
  const [once, plain] = await trained(made);
  const [twice, doubled] = await trained(made, 2);
  expect(twice).toEqual(once.map(rate => 2 * rate));
  expect([twice, doubled]).toEqual(await trained(await moduleOf(optimizer(0.04), target)));
  expect(doubled).not.toEqual(plain);
});

test('a checkpoint keeps the factor, and a run that goes on may have another', async () => {
  const optimizer = optimizers['a schedule, and a rate of its own'](0.02);
  const run = async (save: string, log: string, options: Parameters<typeof trainProgram>[1]): Promise<void> => {
    const program = await programOf(optimizer);
    await trainProgram(program, { data: dataFor(program), save, log, ...options });
  };
  const interruptedAt = (step: number): { readonly interrupted: () => boolean } => {
    let steps = 0;
    return { interrupted: () => ++steps === step };
  };
  const rates = (log: string): number[] => readFileSync(log, 'utf8').trim().split('\n').map(line => (JSON.parse(line) as { readonly lr: number }).lr);
  await run('usual', 'usual.jsonl', {});
  await run('whole', 'whole.jsonl', { learningRateFactor: 0.5 });
  await run('parts', 'parts.jsonl', { learningRateFactor: 0.5, ...interruptedAt(4) });
  await run('parts', 'parts.jsonl', { resume: true });
  expect(readFileSync('parts').equals(readFileSync('whole'))).toBe(true);
  expect(rates('parts.jsonl')).toEqual(rates('usual.jsonl').map(rate => rate / 2));
  await run('parts', 'parts.jsonl', { learningRateFactor: 0.5, ...interruptedAt(4) });
  await run('parts', 'parts.jsonl', { resume: true, learningRateFactor: 2 });
  expect(rates('parts.jsonl')).toEqual(rates('usual.jsonl').map((rate, step) => (step < 4 ? rate / 2 : 2 * rate)));
});

test('a factor that is set while training runs counts from the next step on', async () => {
  const program = await programOf(optimizers['plain descent'](0.02));
  const rates: number[] = [];
  await trainProgram(program, {
    data: dataFor(program),
    reporter: { ...silentReporter, step: (_, { step }, { lr }) => {
      rates.push(lr!);
      if (step === 3) setLearningRateFactor(program, 4);
    } },
  });
  expect(rates).toEqual(rates.map((_, step) => Math.fround(step < 3 ? 0.02 : 0.08)));
});

test('what is no factor is refused, and one that nothing reads', async () => {
  const program = await programOf(optimizers['plain descent'](0.02));
  for (const factor of [0, -1, NaN, Infinity, 1e-60]) {
    await expect(trainProgram(program, { data: dataFor(program), learningRateFactor: factor })).rejects.toThrow(`the learning rate cannot be multiplied by ${factor}: give a number above 0`);
  }
  const without = await programOf(rateless);
  expect(without.scalars.learningRateFactor).toBe(null);
  await expect(trainProgram(without, { data: dataFor(without), learningRateFactor: 2 })).rejects.toThrow('no optimizer of the model `guess` takes a learning rate `lr`');
  expect(await trainProgram(without, { data: dataFor(without), learningRateFactor: 1 })).toMatchObject({ step: 10 });
});
