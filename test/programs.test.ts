/**
 * Random and awkward models at every level: the graph by the references of its ops is the truth for the simplified graph, for the scheduled
 * kernels over one arena, and for the emitted program. `SEED=n` tries other models, `RUNS=n` more of them.
 */
import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { compile, type Levels } from '../compiler/index.ts';
import { shapeOf, size } from '../compiler/ir/type.ts';
import { graphMachine, programMachine, type Machine } from './support/machine.ts';
import { programPlan, programText } from './support/random-program.ts';
import { emittedMachine } from './support/run-program.ts';
import { wasmMachine } from './support/wasm.ts';
import { generator } from './support/tensors.ts';

const seed = Number(process.env['SEED'] ?? 1);
const runs = (usual: number): number => Number(process.env['RUNS'] ?? usual);

const programs = programPlan.map(programText);
const reporting = { reporter: (details: fc.RunDetails<[string]>): void => {
  if (details.failed) throw new Error(`seed ${details.seed}: ${String(details.errorInstance)}\n${details.counterexample?.[0] ?? ''}`);
} };

test('simplified graphs and kernels compute what the graph says', () => {
  fc.assert(fc.property(programs, text => {
    const levels = levelsOf(text);
    const truth = trace(graphMachine(levels.gradient!), levels);
    compare(trace(graphMachine(levels.simplified!), levels), truth, 1e-9, 'simplified');
    compare(trace(programMachine(levels.program!), levels), truth, 1e-9, 'kernels');
  }), { seed, numRuns: runs(40), ...reporting });
}, 120_000);

test('emitted programs compute what the graph says', async () => {
  await fc.assert(fc.asyncProperty(programs, async text => {
    const levels = levelsOf(text);
    compare(trace(await emittedMachine(levels), levels), trace(graphMachine(levels.simplified!), levels), 2e-5, 'emitted');
    compare(trace(wasmMachine(levels.program!), levels), trace(graphMachine(levels.simplified!), levels), 2e-5, 'WebAssembly');
  }), { seed: seed + 1, numRuns: runs(16), ...reporting });
}, 120_000);

const awkward = new URL('models/levels/', import.meta.url);
test.each(readdirSync(awkward))('%s at every level', async file => {
  const levels = levelsOf(readFileSync(new URL(file, awkward), 'utf8'));
  const truth = trace(graphMachine(levels.gradient!), levels);
  compare(trace(graphMachine(levels.simplified!), levels), truth, 1e-9, 'simplified');
  compare(trace(programMachine(levels.program!), levels), truth, 1e-9, 'kernels');
  compare(trace(await emittedMachine(levels), levels), truth, 2e-5, 'emitted');
  compare(trace(wasmMachine(levels.program!), levels), truth, 2e-5, 'WebAssembly');
}, 60_000);

function levelsOf(text: string): Levels {
  const { levels, diagnostics } = compile({ path: 'random.model', text, library: false }, 'schedule', { verify: true });
  if (levels.program === undefined) throw new Error(`${diagnostics.map(d => `${d.code}: ${d.message}`).join('\n')}\n${text}`);
  return levels;
}

type Trace = ReadonlyMap<string, Float64Array>;

/** Everything that a machine gives for two steps of training and a prediction, from the same start. */
function trace(machine: Machine, { model }: Levels): Trace {
  const seen = new Map<string, Float64Array>();
  const next = generator(seed);
  const filled = (count: number): number[] => Array.from({ length: count }, () => Math.fround(2 * next() - 1));
  machine.write('scalar', 'seed', [7]);
  machine.write('scalar', 'step', [0]);
  machine.write('scalar', 'steps', [4]);
  machine.run('initialise');
  for (const name of machine.names('parameter')) seen.set(`initial ${name}`, machine.read('parameter', name));
  for (const { leaf: { leaf, type } } of model!.parameters) machine.write('parameter', leaf!.name, filled(size(shapeOf(type))));
  const fill = (): void => {
    for (const { leaf, type } of model!.inputs) machine.write('input', leaf!.name, leaf!.name === 'index' ? [1, 0, 1] : filled(size(shapeOf(type))));
  };
  const { accumulate } = model!.settings;
  for (let step = 1; step <= 2; step++) {
    for (let batch = (step - 1) * accumulate + 1; accumulate > 1 && batch <= step * accumulate; batch++) {
      machine.write('scalar', 'step', [batch]);
      fill();
      machine.run('accumulate').forEach(({ data }, name) => seen.set(`${name} of batch ${batch}`, data));
    }
    machine.write('scalar', 'step', [step]);
    if (accumulate === 1) fill();
    machine.run('train').forEach(({ data }, name) => seen.set(`${name} of step ${step}`, data));
    for (const role of ['gradient', 'parameter', 'state'] as const) for (const name of machine.names(role)) seen.set(`${role} ${name} of step ${step}`, machine.read(role, name));
  }
  machine.run('predict').forEach(({ data }, name) => seen.set(`output ${name}`, data));
  machine.run('evaluate').forEach(({ data }, name) => seen.set(`evaluated ${name}`, data));
  return seen;
}

/** `tolerance` is relative to the largest element and to 1. */
function compare(actual: Trace, truth: Trace, tolerance: number, level: string): void {
  expect([...actual.keys()].sort()).toEqual([...truth.keys()].sort());
  truth.forEach((expected, name) => {
    const scale = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
    const at = expected.findIndex((value, i) => !(Math.abs(actual.get(name)![i]! - value) <= tolerance * scale));
    if (at >= 0) throw new Error(`${level}: ${name}: element ${at} is ${actual.get(name)![at]!} instead of ${expected[at]!}`);
  });
}
