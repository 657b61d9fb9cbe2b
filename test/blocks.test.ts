/**
 * Running kernels in blocks: models whose scores would fill memory compute the same as their graph on every target, and no value of the
 * size of all scores is left. Sizes are small here so that everything that may run in blocks does.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { usualSizes } from '../compiler/5-schedule/blocks.ts';
import { schedule } from '../compiler/5-schedule/schedule.ts';
import { compile, type Levels } from '../compiler/index.ts';
import { partsOf, type Program } from '../compiler/ir/program.ts';
import { verifyProgram } from '../compiler/ir/verify-program.ts';
import { graphMachine, programMachine } from './support/machine.ts';
import { programPlan, programText } from './support/random-program.ts';
import { emittedMachine } from './support/run-program.ts';
import { compare, trace } from './support/trace.ts';
import { wasmMachine } from './support/wasm.ts';

const seed = Number(process.env['SEED'] ?? 1);

/** Two rows, two heads and `tokens` tokens of two features each. */
const attention = (definitions: string, call: string, tokens = 32): string => `
rows = 2
${definitions}
model Attention {
  input x: f32[B, ${tokens}, 4]
  h = x + ${call}
  loss = mean((h |> linear(1)) ** 2)
  output y = h
}
train {
  batch rows
  steps 4
  optimizer sgd(0.01)
}
`;
const heads = 'fn heads(x: f32[B, T, D]) = transpose(reshape(x, [B, T, 2, D / 2]), [0, 2, 1, 3])\nfn joined(x: f32[B, H, T, D]) = reshape(transpose(x, [0, 2, 1, 3]), [B, T, H * D])';
const own = (weights: string): string => `${heads}
layer own() (x: f32[B, T, D]) -> f32[B, T, D] {
  q = heads(x |> linear(D))
  k = heads(x |> linear(D))
  v = heads(x |> linear(D))
  s = q @ k.T
  return joined((${weights}) @ v)
}`;
const models: Readonly<Record<string, string>> = {
  plain: attention('', 'multi_head_attention(2)(x)'),
  causal: attention('', 'multi_head_attention(2, causal: true)(x)'),
  'with dropout': attention('', 'multi_head_attention(2, causal: true, dropout_rate: 0.5)(x)'),
  'a prime number of tokens': attention('', 'multi_head_attention(2, causal: true)(x)', 13),
  'without a softmax': attention(own('relu(s) ** 2 / T'), 'own()(x)'),
  'with a bias of its own': attention(own('softmax(s + 0.1 * (range(T)[:, none] - range(T)))'), 'own()(x)'),
  'of sigmoids': attention(own('sigmoid(s)'), 'own()(x)'),
};

test.each(Object.entries(models))('attention %s', async (_, text) => {
  const levels = inBlocks(text);
  const { program } = levels;
  const train = program!.entries.find(({ name }) => name === 'train')!;
  const loops = partsOf(train.calls).filter(part => part.loop !== null);
  // One forward, one backward.
  expect(loops.map(part => part.calls.length > 1)).toEqual([true, true]);
  const scores = Math.min(...program!.inputs.map(input => input.shape[1] ?? Infinity)) ** 2 * 4;
  expect(program!.buffers.filter(buffer => buffer.role !== 'private' && buffer.shape.reduce((a, b) => a * b, 1) >= scores)).toEqual([]);
  const truth = trace(graphMachine(levels.gradient!), levels, seed);
  compare(trace(programMachine(program!), levels, seed), truth, 1e-9, 'kernels');
  compare(trace(await emittedMachine(levels), levels, seed), truth, 2e-5, 'emitted');
  compare(trace(wasmMachine(program!), levels, seed), truth, 2e-5, 'WebAssembly');
}, 60_000);

test('sums over blocks of rows add up, with a kernel for each', () => {
  const { program } = inBlocks(models['causal']!);
  const loops = loopsOf(program!);
  expect(loops.some(loop => loop.independent < loop.axes.length && loop.counters.at(-1) !== null)).toBe(true);
  expect(loops.some(loop => loop.independent === loop.axes.length)).toBe(true);
});

test('random models in blocks compute what their graph says', () => {
  let blocks = 0;
  fc.assert(fc.property(programPlan.map(programText), text => {
    const levels = inBlocks(text, 2);
    blocks += loopsOf(levels.program!).length;
    compare(trace(programMachine(levels.program!), levels, seed), trace(graphMachine(levels.simplified!), levels, seed), 1e-9, 'kernels');
    compare(trace(wasmMachine(levels.program!), levels, seed), trace(graphMachine(levels.simplified!), levels, seed), 2e-5, 'WebAssembly');
  }), { seed, numRuns: Number(process.env['RUNS'] ?? 24) });
  expect(blocks).toBeGreaterThan(0);
}, 120_000);

test('what fits in the caches runs as before', () => {
  const { levels } = compile({ path: 'small.model', text: models['causal']!, library: false }, 'schedule');
  expect(loopsOf(levels.program!)).toEqual([]);
  expect(usualSizes.fewestElements).toBeGreaterThan(4 * 32 * 32);
});

const loopsOf = (program: Program): readonly NonNullable<Program['entries'][number]['calls'][number]['loop']>[] =>
  program.entries.flatMap(entry => partsOf(entry.calls)).flatMap(part => (part.loop === null ? [] : [part.loop]));

function inBlocks(text: string, elements = 512): Levels {
  const { levels, diagnostics } = compile({ path: 'blocks.model', text, library: false }, 'simplify', { verify: true });
  if (levels.simplified === undefined) throw new Error(`${diagnostics.map(d => `${d.code}: ${d.message}`).join('\n')}\n${text}`);
  const { program, graph } = schedule(levels.simplified, levels.model!.inputs, null, { fewestElements: elements, blockElements: elements, fewestRows: 16 });
  expect(verifyProgram(program)).toEqual([]);
  return { ...levels, scheduled: graph, program };
}
