/**
 * Random and awkward models at every level: the graph by the references of its ops is the truth for the simplified graph, for the scheduled
 * kernels over one arena, and for the emitted program. `SEED=n` tries other models, `RUNS=n` more of them.
 */
import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { test } from 'vitest';
import { compile, type Levels } from '../compiler/index.ts';
import { graphMachine, programMachine } from './support/machine.ts';
import { programPlan, programText } from './support/random-program.ts';
import { emittedMachine } from './support/run-program.ts';
import { wasmMachine } from './support/wasm.ts';
import { compare, trace } from './support/trace.ts';

const seed = Number(process.env['SEED'] ?? 1);
const runs = (usual: number): number => Number(process.env['RUNS'] ?? usual);

const programs = programPlan.map(programText);
const reporting = { reporter: (details: fc.RunDetails<[string]>): void => {
  if (details.failed) throw new Error(`seed ${details.seed}: ${String(details.errorInstance)}\n${details.counterexample?.[0] ?? ''}`);
} };

test('simplified graphs and kernels compute what the graph says', () => {
  fc.assert(fc.property(programs, text => {
    const levels = levelsOf(text);
    const truth = trace(graphMachine(levels.gradient!), levels, seed);
    compare(trace(graphMachine(levels.simplified!), levels, seed), truth, 1e-9, 'simplified');
    compare(trace(programMachine(levels.program!), levels, seed), truth, 1e-9, 'kernels');
  }), { seed, numRuns: runs(40), ...reporting });
}, 120_000);

test('emitted programs compute what the graph says', async () => {
  await fc.assert(fc.asyncProperty(programs, async text => {
    const levels = levelsOf(text);
    compare(trace(await emittedMachine(levels), levels, seed), trace(graphMachine(levels.simplified!), levels, seed), 2e-5, 'emitted');
    compare(trace(wasmMachine(levels.program!), levels, seed), trace(graphMachine(levels.simplified!), levels, seed), 2e-5, 'WebAssembly');
  }), { seed: seed + 1, numRuns: runs(16), ...reporting });
}, 120_000);

const awkward = new URL('models/levels/', import.meta.url);
test.each(readdirSync(awkward))('%s at every level', async file => {
  const levels = levelsOf(readFileSync(new URL(file, awkward), 'utf8'));
  const truth = trace(graphMachine(levels.gradient!), levels, seed);
  compare(trace(graphMachine(levels.simplified!), levels, seed), truth, 1e-9, 'simplified');
  compare(trace(programMachine(levels.program!), levels, seed), truth, 1e-9, 'kernels');
  compare(trace(await emittedMachine(levels), levels, seed), truth, 2e-5, 'emitted');
  compare(trace(wasmMachine(levels.program!), levels, seed), truth, 2e-5, 'WebAssembly');
}, 60_000);

function levelsOf(text: string): Levels {
  const { levels, diagnostics } = compile({ path: 'random.model', text, library: false }, 'schedule', { verify: true });
  if (levels.program === undefined) throw new Error(`${diagnostics.map(d => `${d.code}: ${d.message}`).join('\n')}\n${text}`);
  return levels;
}
