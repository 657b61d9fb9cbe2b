/**
 * Whole models against PyTorch from the same weights on the same rows: outputs before and after, the loss of each of ten training
 * steps, the gradients of the first, parameters and states after the last. At every level of the compiler.
 */
import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { readFixture, type Fixture } from './support/fixture.ts';
import { graphMachine, programMachine, type Machine } from './support/machine.ts';
import { emittedMachine } from './support/run-program.ts';
import { wasmMachine } from './support/wasm.ts';

const names = readdirSync(new URL('fixtures/', import.meta.url)).filter(name => name.endsWith('.safetensors')).map(name => name.replace('.safetensors', ''));

/** The interpreters are slow: of these models they run the kernels alone, and one step. */
const large = ['mnist', 'lenet', 'alexnet'];

describe.each(names)('%s', name => {
  const fixture = readFixture(name);
  // Expected values are stored in single precision, in which the emitted program computes.
  const [double, single] = [2e-7, 1e-5];
  if (!large.includes(name)) {
    it('graph', () => compare(graphMachine(fixture.levels.gradient!), fixture, 10, double));
    it('simplified', () => compare(graphMachine(fixture.levels.simplified!), fixture, 10, double));
  }
  it('kernels', () => compare(programMachine(fixture.levels.program!), fixture, large.includes(name) ? 1 : 10, double), 60_000);
  it('WebAssembly', () => compare(wasmMachine(fixture.levels.program!), fixture, 10, single));
  it('emitted', async () => compare(await emittedMachine(fixture.levels), fixture, 10, single), 60_000);
});

/** `tolerance` is relative to the largest element of a tensor, or to a thousandth of the largest of its group, if that is more. */
function compare(machine: Machine, fixture: Fixture, steps: number, tolerance: number): void {
  const scalar = (name: string, value: number): void => machine.write('scalar', name, [value]);
  const feed = (batch: number): void => fixture.rows(batch).forEach((data, input) => machine.write('input', input, data));
  const compareGroup = (title: string, actual: (name: string) => Float64Array): void => {
    const group = fixture.group(title);
    const floor = Math.max(...[...group.values()].map(largest)) / 1000;
    group.forEach((expected, name) => expect(error(actual(name), expected, floor), `${title} ${name}`).toBeLessThan(tolerance));
  };
  scalar('seed', 0);
  scalar('step', 0);
  scalar('steps', 10);
  machine.run('initialise');
  const weights = fixture.group('weights');
  expect(machine.names('parameter').toSorted()).toEqual([...weights.keys()].toSorted());
  weights.forEach((data, parameter) => machine.write('parameter', parameter, data));
  const compareOutputs = (when: 'before' | 'after'): void => {
    feed(0);
    const results = machine.run('predict');
    compareGroup(when, output => results.get(output)!.data);
    // The first row of the batch alone.
    machine.run('predict_row').forEach(({ data }, output) => expect(error(data, results.get(output)!.data.subarray(0, data.length)), output).toBeLessThan(1e-5));
  };
  compareOutputs('before');
  for (let step = 1; step <= steps; step++) {
    scalar('step', step);
    feed(step - 1);
    const loss = machine.run('train').get('loss')!.data;
    expect(error(loss, fixture.losses.subarray(step - 1, step)), `loss of step ${step}`).toBeLessThan(tolerance);
    if (step === 1) compareGroup('gradients', parameter => machine.read('gradient', parameter));
  }
  if (steps < 10) return;
  compareGroup('trained', name => machine.read(weights.has(name) ? 'parameter' : 'state', name));
  compareOutputs('after');
}

const largest = (data: Float64Array): number => data.reduce((most, value) => Math.max(most, Math.abs(value)), 0);

const error = (actual: Float64Array, expected: Float64Array, floor = 0): number =>
  largest(expected.map((value, i) => actual[i]! - value)) / Math.max(largest(expected), floor);
