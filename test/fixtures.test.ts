/**
 * Whole models against PyTorch from the same weights on the same rows: outputs before and after, the loss of each of ten training
 * steps, the gradients of the first, parameters and states after the last. On every target, and at the levels before it, whose
 * interpreters are slow: kernels for two steps, large models on the targets alone.
 */
import { describe, it } from 'vitest';
import { compareFixture } from './support/compare-fixture.ts';
import { fixtureNames, large, readFixture, singleTolerance } from './support/fixture.ts';
import { graphMachine, programMachine } from './support/machine.ts';
import { emittedMachine } from './support/run-program.ts';
import { wasmMachine } from './support/wasm.ts';

describe.each(fixtureNames)('%s', name => {
  const fixture = readFixture(name);
  // Expected values are stored in single precision, in which the emitted program computes.
  const [double, single] = [2e-7, singleTolerance(name)];
  if (!large.includes(name)) {
    it('graph', () => compareFixture(graphMachine(fixture.levels.gradient!), fixture, 10, double));
    it('simplified', () => compareFixture(graphMachine(fixture.levels.simplified!), fixture, 10, double));
    it('kernels', () => compareFixture(programMachine(fixture.levels.program!), fixture, 2, double));
  }
  it('WebAssembly', () => compareFixture(wasmMachine(fixture.levels.program!), fixture, 10, single));
  it('emitted', async () => compareFixture(await emittedMachine(fixture.levels), fixture, 10, single));
});
