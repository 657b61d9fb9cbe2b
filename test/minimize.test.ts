/** Training over parts: losses over parameters of their own, one after the other, and what `freeze` takes out of a program. */
import { expect, test } from 'vitest';
import { costSheet } from '../compiler/cli/cost.ts';
import { compile, type Levels } from '../compiler/index.ts';
import { graphMachine, programMachine } from './support/machine.ts';

function levelsOf(text: string): Levels {
  const { levels, diagnostics } = compile({ path: 'parts.model', text, library: false }, 'schedule', { verify: true });
  expect(diagnostics.map(({ code, message }) => `${code}: ${message}`)).toEqual([]);
  return levels;
}

const game = (train: string): Levels => levelsOf(`model Game {
  param a: f32[] = 0
  param b: f32[] = 0
  loss first = a * a * b
  loss second = a * b * b * b
  metric sum = a + b
}
train {
  ${train}
}`);

test('each minimization starts from what those before have left', () => {
  const { gradient, program } = game('minimize first over a with sgd(lr: 0.1)\n  minimize second over b with sgd(lr: 0.01)');
  for (const machine of [graphMachine(gradient!), programMachine(program!)]) {
    machine.write('parameter', 'a', [2]);
    machine.write('parameter', 'b', [3]);
    const results = machine.run('train');
    // Losses and metrics are those of the parameters before the step, as they are with one loss.
    expect([...results].map(([name, { data }]) => [name, data[0]])).toEqual([['loss', 2 * 2 * 3 + 2 * 27], ['first', 12], ['second', 54], ['sum', 5], ['lr', 0.1]]);
    const a = 2 - 0.1 * (2 * 2 * 3);
    expect(machine.read('parameter', 'a')[0]).toBeCloseTo(a, 12);
    expect(machine.read('gradient', 'b')[0]).toBeCloseTo(a * 3 * 9, 12);
    expect(machine.read('parameter', 'b')[0]).toBeCloseTo(3 - 0.01 * a * 3 * 9, 12);
  }
});

test('the order of lines is the order of minimizations', () => {
  const machine = graphMachine(game('minimize second over b with sgd(lr: 0.01)\n  minimize first over a with sgd(lr: 0.1)').gradient!);
  machine.write('parameter', 'a', [2]);
  machine.write('parameter', 'b', [3]);
  machine.run('train');
  const b = 3 - 0.01 * 2 * 3 * 9;
  expect(machine.read('parameter', 'b')[0]).toBeCloseTo(b, 12);
  expect(machine.read('parameter', 'a')[0]).toBeCloseTo(2 - 0.1 * 2 * 2 * b, 12);
});

test('each is clipped by its own norm; the norm told is that of all', () => {
  const machine = graphMachine(game('minimize first over a with sgd(lr: 1)\n  minimize second over b with sgd(lr: 1)\n  clip_norm 0.5').gradient!);
  machine.write('parameter', 'a', [2]);
  machine.write('parameter', 'b', [3]);
  const results = machine.run('train');
  expect(machine.read('parameter', 'a')[0]).toBeCloseTo(1.5, 6);
  expect(machine.read('parameter', 'b')[0]).toBeCloseTo(2.5, 6);
  expect(results.get('grad_norm')!.data[0]).toBeCloseTo(Math.hypot(12, 1.5 * 27), 5);
});

test('one loss by its name over everything is the short form', () => {
  const text = (train: string, loss: string): string =>
    `model M {\n  input x: f32[B, 3]\n  ${loss} = mean(square(x |> linear(2) |> tanh |> linear(1)))\n}\ntrain {\n  ${train}\n}`;
  const kernels = (levels: Levels): string => JSON.stringify(levels.program!.entries.map(({ name, calls, results }) => [name, calls.map(call => call.kernel), results]));
  expect(kernels(levelsOf(text('minimize loss with adam(lr: 0.1)', 'loss')))).toBe(kernels(levelsOf(text('optimizer adam(lr: 0.1)', 'loss'))));
  expect(kernels(levelsOf(text('minimize total with adam(lr: 0.1)', 'loss total')))).toBe(kernels(levelsOf(text('optimizer adam(lr: 0.1)', 'loss total'))));
});

test('what is frozen costs no gradient', () => {
  const text = (train: string): string => `layer block(width) (x) {
  return x |> linear(width) |> tanh
}
model M {
  input x: f32[B, 8]
  below = block(16)
  above = block(16)
  loss = mean(square(x |> below |> above |> linear(1)))
}
train {
  optimizer adam(lr: 0.1)
  ${train}
}`;
  const [whole, frozen] = [levelsOf(text('')), levelsOf(text('freeze below.*'))];
  const backward = (levels: Levels, layer: string): number => costSheet(levels).layers.filter(cost => cost.layer.startsWith(layer)).reduce((sum, cost) => sum + cost.backwardFlops, 0);
  expect(backward(whole, 'below')).toBeGreaterThan(0);
  expect(backward(frozen, 'below')).toBe(0);
  expect(backward(frozen, 'above')).toBeLessThan(backward(whole, 'above'));
  const names = (levels: Levels, role: 'gradient' | 'state'): readonly string[] => programMachine(levels.program!).names(role).filter(name => name.includes('below'));
  expect(names(whole, 'gradient')).not.toEqual([]);
  expect([...names(frozen, 'gradient'), ...names(frozen, 'state')]).toEqual([]);
});
