/**
 * Running kernels in blocks: models whose scores would fill memory compute the same as their graph on every target, and no value of the
 * size of all scores is left. Sizes are small here so that everything that may run in blocks does.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { usualSizes } from '../compiler/5-schedule/blocks.ts';
import { compile } from '../compiler/index.ts';
import { partsOf, type Loop, type Program } from '../compiler/ir/program.ts';
import { attentions, inBlocks } from './support/attention.ts';
import { graphMachine, programMachine } from './support/machine.ts';
import { programPlan, programText } from './support/random-program.ts';
import { emittedMachine } from './support/run-program.ts';
import { compare, trace } from './support/trace.ts';
import { wasmMachine } from './support/wasm.ts';

const seed = Number(process.env['SEED'] ?? 1);

test.each(Object.entries(attentions))('attention %s', async (_, text) => {
  const levels = inBlocks(text);
  const { program } = levels;
  const train = program!.entries.find(({ name }) => name === 'train')!;
  const loops = partsOf(train.calls).filter(part => part.loop !== null);
  // One forward, one backward.
  expect(loops.map(part => part.calls.length > 1)).toEqual([true, true]);
  const scores = Math.min(...program!.inputs.map(input => input.shape[1] ?? Infinity)) ** 2 * 4;
  expect(program!.buffers.filter(buffer => buffer.role !== 'private' && buffer.shape.reduce((a, b) => a * b, 1) >= scores)).toEqual([]);
  const truth = await trace(graphMachine(levels.gradient!), levels, seed);
  compare(await trace(programMachine(program!), levels, seed), truth, 1e-9, 'kernels');
  compare(await trace(await emittedMachine(levels), levels, seed), truth, 2e-5, 'emitted');
  compare(await trace(wasmMachine(program!), levels, seed), truth, 2e-5, 'WebAssembly');
}, 60_000);

test('sums over blocks of rows add up, with a kernel for each', () => {
  const { program } = inBlocks(attentions['causal']!);
  const loops = loopsOf(program!);
  expect(loops.some(loop => loop.independent < loop.axes.length && loop.counters.at(-1) !== null)).toBe(true);
  expect(loops.some(loop => loop.independent === loop.axes.length)).toBe(true);
});

test('random models in blocks compute what their graph says', async () => {
  let blocks = 0;
  await fc.assert(fc.asyncProperty(programPlan.map(programText), async text => {
    const levels = inBlocks(text, 2);
    blocks += loopsOf(levels.program!).length;
    compare(await trace(programMachine(levels.program!), levels, seed), await trace(graphMachine(levels.simplified!), levels, seed), 1e-9, 'kernels');
    compare(await trace(wasmMachine(levels.program!), levels, seed), await trace(graphMachine(levels.simplified!), levels, seed), 2e-5, 'WebAssembly');
  }), { seed, numRuns: Number(process.env['RUNS'] ?? 24) });
  expect(blocks).toBeGreaterThan(0);
}, 120_000);

test('what fits in the caches runs as before', () => {
  const { levels } = compile({ path: 'small.model', text: attentions['causal']!, library: false }, 'schedule');
  expect(loopsOf(levels.program!)).toEqual([]);
  expect(usualSizes.fewestElements).toBeGreaterThan(4 * 32 * 32);
});

const loopsOf = (program: Program): readonly Loop[] =>
  program.entries.flatMap(entry => partsOf(entry.calls)).flatMap(part => (part.loop === null ? [] : [part.loop]));
