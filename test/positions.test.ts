/**
 * Tokens that come one at a time: after each, the scores are those that the whole row gives there, whatever stood behind it before. On
 * every target; in models like these nothing is computed anew for all positions.
 */
import { describe, expect, test } from 'vitest';
import { timesOfCall } from '../compiler/ir/program.ts';
import { compareRows, drawn, generators, whole } from './support/generation.ts';
import { programMachine } from './support/machine.ts';
import { emittedMachine } from './support/run-program.ts';
import { levelsOf } from './support/trace.ts';
import { wasmMachine } from './support/wasm.ts';

describe.each(Object.entries(generators))('%s', (_, source) => {
  const levels = levelsOf(source);
  const { program } = levels;
  test('takes a token at a time', () => {
    const calls = program!.entries.filter(entry => /^generate_(step|scores)$/.test(entry.name)).flatMap(entry => entry.calls);
    expect(calls.length).toBeGreaterThan(0);
    expect(calls.every(call => call.loops.some(loop => loop.given) && timesOfCall(call) === 1)).toBe(true);
  });
  test('kernels', async () => compareRows(await drawn(programMachine(program!), levels), whole(levels), 1e-9));
  test('WebAssembly', async () => compareRows(await drawn(wasmMachine(program!), levels), whole(levels), 2e-5));
  test('emitted', async () => compareRows(await drawn(await emittedMachine(levels), levels), whole(levels), 2e-5));
});
