/**
 * The memory limit: programs fit it and compute exactly what they compute without it, on random models and on deep ones; what cannot
 * fit is told. `SEED=n` tries other random models, `RUNS=n` more of them.
 */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isRecomputed } from '../compiler/5-schedule/draft.ts';
import { emit } from '../compiler/6-emit/emit.ts';
import { costSheet } from '../compiler/cli/cost.ts';
import { compile, type Diagnostic, type Levels } from '../compiler/index.ts';
import { entryRoots, topological } from '../compiler/ir/graph.ts';
import type { Program } from '../compiler/ir/program.ts';
import { shapeOf, size } from '../compiler/ir/type.ts';
import { programMachine, type Machine } from './support/machine.ts';
import { recurrences, recurrent } from './support/recurrent.ts';
import { emitOptions, emittedMachine, importEmitted } from './support/run-program.ts';
import { generator } from './support/tensors.ts';
import { wasmMachine } from './support/wasm.ts';

const seed = Number(process.env['SEED'] ?? 1);
const runs = (usual: number): number => Number(process.env['RUNS'] ?? usual);

const compiled = (text: string): { readonly levels: Levels; readonly diagnostics: readonly Diagnostic[] } =>
  compile({ path: 'memory.model', text, library: false }, 'schedule', { verify: true });
const withLimit = (text: string, bytes: number): string => text.replace(/^train \{/m, `train {\n  memory ${bytes}B`);

/** Bytes of all that lives within an entry only, and of everything else. */
function parts({ arenaBytes, buffers }: Program): { readonly persistent: number; readonly transient: number } {
  const within = buffers.filter(buffer => buffer.role === 'transient');
  const transient = Math.max(0, ...within.map(buffer => buffer.offset + buffer.bytes)) - Math.min(...within.map(buffer => buffer.offset));
  return { persistent: arenaBytes - transient, transient };
}

/** Results, gradients, parameters and states of two steps from the same start. */
function trace(machine: Machine, { model }: Levels, input: (count: number) => readonly number[]): ReadonlyMap<string, Float64Array> {
  const seen = new Map<string, Float64Array>();
  for (const [name, value] of [['seed', 7], ['step', 0], ['steps', 4]] as const) machine.write('scalar', name, [value]);
  machine.run('initialise');
  for (let step = 1; step <= 2; step++) {
    machine.write('scalar', 'step', [step]);
    for (const { leaf, type } of model!.inputs) machine.write('input', leaf!.name, input(size(shapeOf(type))));
    machine.run('train').forEach(({ data }, name) => seen.set(`${name} of step ${step}`, data));
    for (const role of ['gradient', 'parameter', 'state'] as const) {
      for (const name of machine.names(role)) seen.set(`${role} ${name} of step ${step}`, machine.read(role, name));
    }
  }
  return seen;
}

const same = (levels: Levels, unlimited: Levels): void => {
  const next = generator(seed);
  const x = Array.from({ length: 64 }, () => Math.fround(2 * next() - 1));
  const expected = trace(programMachine(unlimited.program!), unlimited, () => x);
  const actual = trace(programMachine(levels.program!), levels, () => x);
  expect([...actual.keys()]).toEqual([...expected.keys()]);
  expected.forEach((values, name) => {
    const at = values.findIndex((value, i) => !Object.is(value, actual.get(name)![i]));
    if (at >= 0) throw new Error(`${name}: element ${at} is ${actual.get(name)![at]} instead of ${values[at]}`);
  });
};

/** Chains of layers with connections back to earlier ones: every value matters to the loss. `X` is the last, `Y` an earlier one. */
const links = [
  'X |> linear(8)', 'X |> linear(8) |> tanh', 'X |> linear(8, bias: false) |> layer_norm(eps: 0.1) |> relu', 'X |> layer_norm(eps: 0.1)',
  'X |> batch_norm(eps: 0.1)', 'gelu(X)', 'softmax(X) * 4', 'X |> dropout(0.3)', 'X |> dropout(0.3) |> linear(8)', 'X + Y', 'tanh(X) * Y',
  'X + linear(8)(tanh(Y))', '0.5 * (X @ (tanh(Y).T @ X)) / 8', 'concat([tanh(X)[:, 0:3], Y[:, 3:8]], axis: 1)',
  'reshape(reshape(X, [8, 2, 4]) |> conv1d(2, 3, padding: 1) |> max_pool(3, stride: 1, padding: 1), [8, 8])',
  'X[:, ::-1] * sigmoid(Y)', 'X - mean(X, axis: 0, keep: true)', 'tanh(tanh(tanh(X) + 0.1) + Y)',
] as const;

const chains = fc.tuple(
  fc.array(fc.tuple(fc.nat(links.length - 1), fc.nat(1000)), { minLength: 4, maxLength: 16, size: 'max' }),
  fc.constantFrom('seed 3', 'clip_norm 0.5', 'precision bf16'),
).map(([list, setting]) => [
  'model Chain {', '  input x: f32[8, 8]', '  v0 = x |> linear(8)',
  ...list.map(([kind, from], i) => `  v${i + 1} = ${links[kind]!.replaceAll('X', `v${i}`).replaceAll('Y', `v${from % (i + 1)}`)}`),
  `  loss = mean(square(v${list.length} - 0.1))`, '}', 'train {', `  ${setting}`, '  optimizer adam(lr: 0.01, eps: 1e-3)', '}', '',
].join('\n'));

test('random chains compute exactly the same within a limit', () => {
  let recomputed = 0;
  fc.assert(fc.property(chains, fc.constantFrom(0.3, 0.6, 0.8), (text, share) => {
    const unlimited = compiled(text).levels;
    const { persistent, transient } = parts(unlimited.program!);
    const limit = Math.floor(persistent + share * transient);
    const { levels, diagnostics } = compiled(withLimit(text, limit));
    if (levels.program!.arenaBytes > limit) expect(diagnostics.map(({ code }) => code)).toEqual(['train.memory']);
    else expect(diagnostics).toEqual([]);
    expect(levels.program!.arenaBytes).toBeLessThanOrEqual(unlimited.program!.arenaBytes);
    expectPreparation(levels.program!);
    if (costSheet(levels).recomputed!.values > 0) recomputed++;
    same(levels, unlimited);
  }), { seed, numRuns: runs(30), reporter: details => {
    if (!details.failed) return;
    const [text, share] = details.counterexample ?? [];
    throw new Error(`seed ${details.seed}: ${String(details.errorInstance)}\n${share} of\n${text}`);
  } });
  expect(recomputed).toBeGreaterThan(runs(30) / 2);
}, 120_000);

/** What only recomputes runs in a row right before the call that needs it. */
function expectPreparation(program: Program): void {
  const { calls } = program.entries.find(({ name }) => name === 'train')!;
  const prepares = calls.map(({ origins }) => origins.length > 0 && origins.every(({ phase }) => phase === 'recompute'));
  calls.forEach((call, i) => {
    if (!prepares[i]) return;
    const end = prepares.indexOf(false, i);
    expect(calls.slice(i + 1, end + 1).some(later => later.reads.some(buffer => call.writes.includes(buffer)))).toBe(true);
  });
}

const stack = (layers: number): string => `
model Deep() {
  input x: f32[B, 16]
  input y: f32[B, 16]
  h = x
  for i in 0..${layers} { h = h |> linear(16) |> layer_norm() |> relu }
  loss = mse(h, y)
}
train {
  batch 1024
  optimizer sgd(lr: 0.01)
}
`;

test('a deep stack trains in half of the memory, for less than another forward pass', () => {
  const text = stack(24);
  const unlimited = compiled(text).levels;
  const { persistent, transient } = parts(unlimited.program!);
  const limit = Math.floor(persistent + 0.45 * transient);
  const { levels, diagnostics } = compiled(withLimit(text, limit));
  expect(diagnostics).toEqual([]);
  expect(levels.program!.arenaBytes).toBeLessThanOrEqual(limit);
  const { recomputed, total } = costSheet(levels);
  expect(recomputed.flops).toBeGreaterThan(0);
  expect(recomputed.flops).toBeLessThan(total.forwardFlops);
  expect(total.backwardFlops).toBe(costSheet(unlimited).total.backwardFlops + recomputed.flops);
  // A limit that takes little is cheap: of each layer what no product is needed for.
  const generous = costSheet(compiled(withLimit(text, Math.floor(persistent + 0.8 * transient))).levels).recomputed;
  expect(generous.flops).toBeLessThan(0.25 * recomputed.flops);
});

test('what is needed at least grows with the root of the depth, and is told', () => {
  const needed = (layers: number): number => {
    const { levels, diagnostics: [diagnostic] } = compiled(withLimit(stack(layers), 1));
    expect(diagnostic!.code).toBe('train.memory');
    const told = /`memory ([\d.]+[KM]B)`/.exec(diagnostic!.help!)![1]!;
    const again = compiled(stack(layers).replace(/^train \{/m, `train {\n  memory ${told}`));
    expect(again.diagnostics).toEqual([]);
    expect(again.levels.program!.arenaBytes).toBeLessThanOrEqual(levels.program!.arenaBytes);
    return parts(levels.program!).transient;
  };
  const [shallow, deep] = [needed(9), needed(36)];
  expect(deep).toBeLessThan(2.5 * shallow);
  expect(deep).toBeLessThan(0.3 * parts(compiled(stack(36)).levels.program!).transient);
});

test('an emitted program fits its limit and trains alike', async () => {
  const text = stack(12).replace('batch 1024', 'batch 32');
  const unlimited = compiled(text).levels;
  const { persistent, transient } = parts(unlimited.program!);
  const limited = compiled(withLimit(text, Math.floor(persistent + 0.6 * transient))).levels;
  const { program } = await importEmitted(emit(limited, emitOptions('typescript')));
  expect(program.memory.byteLength).toBeLessThanOrEqual(persistent + 0.6 * transient);
  const input = (count: number): readonly number[] => Array.from({ length: count }, (_, i) => Math.sin(i));
  const expected = trace(await emittedMachine(unlimited), unlimited, input);
  // Values that are not stored are not rounded to f32, and others are stored now.
  trace(await emittedMachine(limited), limited, input).forEach((values, name) => {
    values.forEach((value, i) => expect(value).toBeCloseTo(expected.get(name)![i]!, 5));
  });
});

test.each(Object.entries(recurrences))('loops compute exactly the same within a limit: %s', (_, [body, share]) => {
  const text = recurrent(body);
  const unlimited = compiled(text).levels;
  const { persistent, transient } = parts(unlimited.program!);
  const amounts: number[] = [];
  for (const part of [0.85, share, 0]) {
    const { levels, diagnostics } = compiled(withLimit(text, Math.max(1, Math.floor(persistent + part * transient))));
    expect(levels.program!.arenaBytes > persistent + part * transient).toBe(diagnostics.length > 0);
    if (part === share) expect(diagnostics).toEqual([]);
    amounts.push(costSheet(levels).recomputed!.flops);
    same(levels, unlimited);
  }
  expect(Math.min(...amounts.slice(1))).toBeGreaterThan(0);
});

test('two LSTM layers train in half of the memory, for at most another forward pass, in a program that is as long for any number of steps', async () => {
  const text = (steps: number): string => recurrent('lstm(8) |> lstm(8)', { steps, batch: 8 });
  const halved = [64, 256].map(steps => {
    const unlimited = compiled(text(steps)).levels;
    const { persistent, transient } = parts(unlimited.program!);
    const { levels, diagnostics } = compiled(withLimit(text(steps), Math.floor(persistent + 0.52 * transient)));
    expect(diagnostics).toEqual([]);
    const { recomputed, total } = costSheet(levels);
    expect(recomputed.flops).toBeLessThanOrEqual(total.forwardFlops);
    return { unlimited, levels };
  });
  const [few, many] = halved.map(({ levels }) => levels.program!.entries.find(({ name }) => name === 'train')!.calls.length);
  expect(few).toBe(many);
  const input = (count: number): readonly number[] => Array.from({ length: count }, (_, i) => Math.sin(i));
  const { unlimited, levels } = halved[0]!;
  const expected = trace(wasmMachine(unlimited.program!), unlimited, input);
  for (const machine of [wasmMachine(levels.program!), await emittedMachine(levels)])
    trace(machine, levels, input).forEach((values, name) => values.forEach((value, i) => expect(value).toBeCloseTo(expected.get(name)![i]!, 5)));
});

test('a limit that is no limit changes nothing', () => {
  const [limited, unlimited] = [withLimit(stack(3), 1e9), stack(3)].map(text => compiled(text).levels);
  expect(limited!.program!.kernels).toEqual(unlimited!.program!.kernels);
  expect(limited!.scheduled!.entries).toEqual(limited!.simplified!.entries);
  expect(costSheet(limited!).recomputed).toEqual({ limitBytes: 1e9, values: 0, flops: 0 });
  expect(costSheet(unlimited!).recomputed).toEqual({ limitBytes: null, values: 0, flops: 0 });
});

test.each([
  ['1000B', 1000], ['2KB', 2000], ['1.5MB', 1.5e6], ['3GB', 3e9], ['1KiB', 1024], ['2MiB', 2 ** 21], ['0.5GiB', 2 ** 29],
])('`memory %s` is %d bytes', (amount, bytes) => {
  expect(compiled(stack(1).replace(/^train \{/m, `train {\n  memory ${amount}`)).levels.model!.stages[0]!.settings.memory!.bytes).toBe(bytes);
});

test('without a limit, only the entry that needs most computes anything again, and only where that wins a twentieth', () => {
  const recomputing = (path: string): readonly string[] => {
    const { levels } = compile({ path, text: readFileSync(path, 'utf8'), library: false }, 'schedule');
    return levels.scheduled!.entries.filter(entry => topological(entryRoots(entry)).some(isRecomputed)).map(entry => entry.name);
  };
  expect(recomputing('models/resnet.model')).toEqual(['train']);
  // Its autoencoder could do with a third less; its transformer needs five times as much in any case.
  expect(recomputing('models/dalle.model')).toEqual(['Dalle.train']);
  expect(recomputing('models/diffusion.model')).toEqual([]);
});
