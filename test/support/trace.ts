/** What models give over some steps of training, by every machine that runs them, and where two such records differ. Works in any process. */
import { compile, type Levels } from '../../compiler/index.ts';
import { isFloat, shapeOf, size } from '../../compiler/ir/type.ts';
import type { RemoteMachine } from './gpu.ts';
import type { Machine } from './machine.ts';
import { generator } from './tensors.ts';

export function levelsOf(text: string): Levels {
  const { levels, diagnostics } = compile({ path: 'random.model', text, library: false }, 'schedule', { verify: true });
  if (levels.program === undefined) throw new Error(`${diagnostics.map(d => `${d.code}: ${d.message}`).join('\n')}\n${text}`);
  return levels;
}

export type Trace = ReadonlyMap<string, Float64Array>;

/** Everything that a machine gives for some steps of training and a prediction, from the same start. */
export async function trace(machine: Machine | RemoteMachine, { model, program }: Levels, seed: number, steps = 2): Promise<Trace> {
  const seen = new Map<string, Float64Array>();
  const next = generator(seed);
  const filled = (count: number): number[] => Array.from({ length: count }, () => Math.fround(2 * next() - 1));
  machine.write('scalar', 'seed', [7]);
  machine.write('scalar', 'step', [0]);
  machine.write('scalar', 'steps', [4]);
  if (program!.scalars.some(({ name }) => name === 'learning_rate_factor')) machine.write('scalar', 'learning_rate_factor', [0.5]);
  await machine.run('initialise');
  for (const name of machine.names('parameter')) seen.set(`initial ${name}`, await machine.read('parameter', name));
  for (const { leaf: { leaf, type } } of model!.stages[0]!.parameters) machine.write('parameter', leaf!.name, filled(size(shapeOf(type))));
  const whole = (count: number): number[] => filled(count).map(value => (value > 0 ? 1 : 0));
  const fill = (): void => {
    for (const { leaf, type } of model!.inputs)
      machine.write('input', leaf!.name, leaf!.name === 'index' ? [1, 0, 1] : (isFloat(type.dtype) ? filled : whole)(size(shapeOf(type))));
  };
  const { accumulate } = model!.stages[0]!.settings;
  for (let step = 1; step <= steps; step++) {
    for (let batch = (step - 1) * accumulate + 1; accumulate > 1 && batch <= step * accumulate; batch++) {
      machine.write('scalar', 'step', [batch]);
      fill();
      (await machine.run('accumulate')).forEach(({ data }, name) => seen.set(`${name} of batch ${batch}`, data));
    }
    machine.write('scalar', 'step', [step]);
    if (accumulate === 1) fill();
    (await machine.run('train')).forEach(({ data }, name) => seen.set(`${name} of step ${step}`, data));
    for (const role of ['gradient', 'parameter', 'state'] as const) for (const name of machine.names(role)) seen.set(`${role} ${name} of step ${step}`, await machine.read(role, name));
  }
  // What depends on no input is an entry of its own.
  for (const entry of ['predict', 'predict_once'].filter(name => program!.entries.some(other => other.name === name)))
    (await machine.run(entry)).forEach(({ data }, name) => seen.set(`output ${name}`, data));
  (await machine.run('evaluate')).forEach(({ data }, name) => seen.set(`evaluated ${name}`, data));
  for (const { name: source, synthetic } of model!.data?.sources ?? [])
    for (const row of synthetic === null ? [] : [0, 13]) {
      machine.write('scalar', 'step', [row]);
      (await machine.run(`${source}_rows`)).forEach(({ data }, name) => seen.set(`${name} of ${source} rows from ${row}`, data));
    }
  return seen;
}

/** Throws where they differ. `tolerance` is relative to the largest element and to 1. */
export function compare(actual: Trace, truth: Trace, tolerance: number, level: string): void {
  const [names, expectedNames] = [actual, truth].map(each => [...each.keys()].sort().join());
  if (names !== expectedNames) throw new Error(`${level}: ${names} instead of ${expectedNames}`);
  truth.forEach((expected, name) => {
    const scale = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
    const at = expected.findIndex((value, i) => !(Math.abs(actual.get(name)![i]! - value) <= tolerance * scale));
    if (at >= 0) throw new Error(`${level}: ${name}: element ${at} is ${actual.get(name)![at]!} instead of ${expected[at]!}`);
  });
}
