/**
 * Random and awkward models at every level: the graph by the references of its ops is the truth for the simplified graph, for the scheduled
 * kernels over one arena, and for the emitted program. `SEED=n` tries other models, `RUNS=n` more of them.
 */
import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { test } from 'vitest';
import type { Levels } from '../compiler/index.ts';
import { graphMachine, programMachine, type Machine } from './support/machine.ts';
import { programPlan, programText } from './support/random-program.ts';
import { emittedMachine } from './support/run-program.ts';
import { compare, levelsOf, trace, type Trace } from './support/trace.ts';
import { wasmMachine } from './support/wasm.ts';

const seed = Number(process.env['SEED'] ?? 1);
const runs = (usual: number): number => Number(process.env['RUNS'] ?? usual);

const traced = (machine: Machine, levels: Levels): Promise<Trace> => trace(machine, levels, seed);
const programs = programPlan.map(programText);
const reporting = { reporter: (details: fc.RunDetails<[string]>): void => {
  if (details.failed) throw new Error(`seed ${details.seed}: ${String(details.errorInstance)}\n${details.counterexample?.[0] ?? ''}`);
} };

test('simplified graphs and kernels compute what the graph says', async () => {
  await fc.assert(fc.asyncProperty(programs, async text => {
    const levels = levelsOf(text);
    const truth = await traced(graphMachine(levels.gradient!), levels);
    compare(await traced(graphMachine(levels.simplified!), levels), truth, 1e-9, 'simplified');
    compare(await traced(programMachine(levels.program!), levels), truth, 1e-9, 'kernels');
  }), { seed, numRuns: runs(40), ...reporting });
}, 120_000);

test('emitted programs compute what the graph says', async () => {
  await fc.assert(fc.asyncProperty(programs, async text => {
    const levels = levelsOf(text);
    compare(await traced(await emittedMachine(levels), levels), await traced(graphMachine(levels.simplified!), levels), 2e-5, 'emitted');
    const wasm = await traced(wasmMachine(levels.program!), levels);
    compare(wasm, await traced(graphMachine(levels.simplified!), levels), 2e-5, 'WebAssembly');
    compare(await traced(wasmMachine(levels.program!, true), levels), wasm, 0, 'WebAssembly with 64-bit addresses');
  }), { seed: seed + 1, numRuns: runs(16), ...reporting });
}, 120_000);

const awkward = new URL('models/levels/', import.meta.url);
test.each(readdirSync(awkward))('%s at every level', async file => {
  const levels = levelsOf(readFileSync(new URL(file, awkward), 'utf8'));
  const truth = await traced(graphMachine(levels.gradient!), levels);
  compare(await traced(graphMachine(levels.simplified!), levels), truth, 1e-9, 'simplified');
  compare(await traced(programMachine(levels.program!), levels), truth, 1e-9, 'kernels');
  compare(await traced(await emittedMachine(levels), levels), truth, 2e-5, 'emitted');
  const wasm = await traced(wasmMachine(levels.program!), levels);
  compare(wasm, truth, 2e-5, 'WebAssembly');
  compare(await traced(wasmMachine(levels.program!, true), levels), wasm, 0, 'WebAssembly with 64-bit addresses');
}, 60_000);
