/** A machine against what PyTorch computed for a model. Throws at the first difference; works in any process. */
import type { Tensor } from '../../compiler/ops/define.ts';
import type { Fixture } from './fixture.ts';
import type { RemoteMachine } from './gpu.ts';
import type { Machine } from './machine.ts';

/** `tolerance` is relative to the largest element of a tensor, or to a thousandth of the largest of its group, if that is more. */
export async function compareFixture(machine: Machine | RemoteMachine, fixture: Fixture, steps: number, tolerance: number): Promise<void> {
  const scalar = (name: string, value: number): void => machine.write('scalar', name, [value]);
  const feed = (batch: number): void => fixture.rows(batch).forEach((data, input) => machine.write('input', input, data));
  const compareGroup = async (title: string, actual: (name: string) => Float64Array | Promise<Float64Array>): Promise<void> => {
    const group = fixture.group(title);
    const floor = Math.max(...[...group.values()].map(largest)) / 1000;
    for (const [name, expected] of group) requireBelow(error(await actual(name), expected, floor), tolerance, `${title} ${name}`);
  };
  scalar('seed', 0);
  scalar('step', 0);
  scalar('steps', 10);
  await machine.run(fixture.entry('initialise'));
  const weights = fixture.group('weights');
  const [names, expectedNames] = [machine.names('parameter'), [...weights.keys()]].map(list => list.toSorted().join());
  if (names !== expectedNames) throw new Error(`the parameters are ${names} instead of ${expectedNames}`);
  weights.forEach((data, parameter) => {
    machine.write('parameter', parameter, data);
    if (machine.names('state').includes(`ema.${parameter}`)) machine.write('state', `ema.${parameter}`, data);
  });
  const compareOutputs = async (when: 'before' | 'after'): Promise<void> => {
    feed(0);
    const has = (name: string): boolean => fixture.levels.program!.entries.some(entry => entry.name === fixture.entry(name));
    const results = new Map<string, Tensor>();
    for (const entry of ['predict', 'predict_once'].filter(has)) for (const [output, tensor] of await machine.run(fixture.entry(entry))) results.set(output, tensor);
    await compareGroup(when, output => results.get(output)!.data);
    // The first row of the batch alone.
    for (const [output, { data }] of has('predict_row') ? await machine.run(fixture.entry('predict_row')) : [])
      requireBelow(error(data, results.get(output)!.data.subarray(0, data.length)), Math.max(tolerance, 1e-5), output);
  };
  await compareOutputs('before');
  for (let step = 1; step <= steps; step++) {
    scalar('step', step);
    feed(step - 1);
    const loss = (await machine.run(fixture.entry('train'))).get('loss')!.data;
    requireBelow(error(loss, fixture.losses.subarray(step - 1, step)), tolerance, `loss of step ${step}`);
    if (step === 1) await compareGroup('gradients', parameter => machine.read('gradient', parameter));
  }
  if (steps < 10) return;
  await compareGroup('trained', name => machine.read(weights.has(name) ? 'parameter' : 'state', name));
  await compareOutputs('after');
}

function requireBelow(found: number, limit: number, what: string): void {
  if (!(found < limit)) throw new Error(`${what} is off by ${found}, allowed is ${limit}`);
}

const largest = (data: Float64Array): number => data.reduce((most, value) => Math.max(most, Math.abs(value)), 0);

const error = (actual: Float64Array, expected: Float64Array, floor = 0): number =>
  largest(expected.map((value, i) => actual[i]! - value)) / Math.max(largest(expected), floor);
