/** The library against PyTorch: functions, losses, layers, optimizers and schedules on stored inputs (`fixtures/library.py` makes them). */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Tensor } from '../compiler/ops/define.ts';
import type { DType } from '../compiler/ir/type.ts';
import { evaluateNamed, modelOf, scalarTensor, vector } from './support/model.ts';
import { difference } from './support/tensors.ts';

interface Stored { readonly shape: readonly number[]; readonly data: readonly number[]; readonly dtype: DType }
type Tensors = Readonly<Record<string, Stored>>;
interface Fixtures {
  readonly cases: readonly { readonly name: string; readonly expression: string; readonly inputs: Tensors; readonly expected: Stored; readonly parameters: Tensors; readonly training: boolean; readonly states: Tensors; readonly statesAfter: Tensors }[];
  readonly optimizers: readonly { readonly name: string; readonly text: string; readonly start: readonly number[]; readonly gradients: readonly (readonly number[])[]; readonly after: readonly (readonly number[])[] }[];
  readonly schedules: readonly { readonly name: string; readonly text: string; readonly steps: number; readonly values: readonly number[] }[];
}
const fixtures = JSON.parse(readFileSync(new URL('fixtures/library.json', import.meta.url), 'utf8')) as Fixtures;
const tensorOf = (stored: Stored): Tensor => ({ ...stored, data: Float64Array.from(stored.data) });
const tensorsOf = (stored: Tensors): Record<string, Tensor> => Object.fromEntries(Object.entries(stored).map(([name, t]) => [name, tensorOf(t)]));

/** Single-precision approximations in the library: relative error allowed. */
const tolerances: Readonly<Record<string, number>> = { erf_inverse: 3e-7 };

describe('functions and layers', () => {
  for (const { name, expression, inputs, expected, parameters, training, states, statesAfter } of fixtures.cases) {
    it(name, () => {
      const declared = Object.entries(inputs).map(([input, { dtype, shape }]) => `  input ${input}: ${dtype}[${shape.join(', ')}]\n`).join('');
      const model = modelOf(`model M {\n${declared}  output result = ${expression}\n}`);
      const forward = training ? model.stages[0]!.training : model.stages[0]!.evaluation;
      expect(model.stages[0]!.parameters.map(parameter => parameter.leaf.leaf!.name).sort()).toEqual(Object.keys(parameters).sort());
      const updates = forward.updates.filter(update => statesAfter[update.leaf.leaf!.name] !== undefined);
      expect(updates).toHaveLength(Object.keys(statesAfter).length);
      const [result, ...updated] = evaluateNamed([forward.outputs[0]!.value, ...updates.map(update => update.value)], { ...tensorsOf(inputs), ...tensorsOf(parameters), ...tensorsOf(states) });
      expect(difference(result!, { ...tensorOf(expected), dtype: result!.dtype }, tolerances[name] ?? 1e-9)).toBeNull();
      updates.forEach((update, i) => expect(difference(updated[i]!, tensorOf(statesAfter[update.leaf.leaf!.name]!), 1e-9)).toBeNull());
    });
  }
});

describe('optimizers', () => {
  for (const { name, text, start, gradients, after } of fixtures.optimizers) {
    it(name, () => {
      const model = modelOf(`model M {\n  input x: f32[B]\n  param w: f32[4] = 0\n  loss = mean(x) * sum(w)\n}\ntrain { optimizer ${text} }`);
      const [group] = model.stages[0]!.minimizations[0]!.groups;
      expect(group!.flat).toBe(true);
      const [rule] = group!.rules;
      let p = vector(start);
      let states = rule!.states.map(() => vector([0, 0, 0, 0]));
      gradients.forEach((g, i) => {
        const step: Tensor = { dtype: 'i32', shape: [], data: Float64Array.of(i + 1) };
        const feeds = { p, g: vector(g), step, learning_rate_factor: scalarTensor(1), ...Object.fromEntries(rule!.states.map((state, s) => [state.leaf.leaf!.name, states[s]!])) };
        [p, ...states] = evaluateNamed([rule!.updated, ...rule!.states.map(state => state.updated)], feeds) as [Tensor, ...Tensor[]];
        expect(difference(p, vector(after[i]!), 1e-9)).toBeNull();
      });
    });
  }
});

describe('schedules', () => {
  for (const { name, text, steps, values } of fixtures.schedules) {
    it(name, () => {
      const model = modelOf(`model M {\n  input x: f32[B]\n  param w: f32[] = 0\n  loss = mean(x) * w\n}\ntrain { optimizer sgd(lr: ${text}) }`);
      const lr = model.stages[0]!.minimizations[0]!.groups[0]!.rules[0]!.learningRate!;
      values.forEach((value, i) => {
        const at = (n: number): Tensor => ({ dtype: 'i32', shape: [], data: Float64Array.of(n) });
        const [actual] = evaluateNamed([lr], { step: at(i + 1), steps: at(steps), learning_rate_factor: scalarTensor(1) });
        expect(difference(actual!, scalarTensor(value), 1e-9)).toBeNull();
      });
    });
  }
});

describe('initial values', () => {
  const count = 64 * 48;
  const draw = (initial: string): Float64Array => {
    const model = modelOf(`model M {\n  input x: f32[B]\n  param w: f32[64, 48] = ${initial}\n  loss = mean(x) * sum(w)\n}`);
    return evaluateNamed([model.stages[0]!.parameters[0]!.initial], {})[0]!.data;
  };
  const mean = (data: Float64Array): number => data.reduce((a, b) => a + b, 0) / data.length;
  const deviation = (data: Float64Array): number => Math.sqrt(mean(data.map(v => v * v)) - mean(data) ** 2);
  const uniform = (bound: number): number => bound / Math.sqrt(3);
  const expected: Readonly<Record<string, number>> = {
    'uniform(0.3)': uniform(0.3), 'normal(0, 0.5)': 0.5, 'glorot_uniform()': uniform(Math.sqrt(6 / 112)), 'glorot_normal()': Math.sqrt(2 / 112),
    'kaiming_uniform()': uniform(Math.sqrt(6 / 48)), 'he_normal()': Math.sqrt(2 / 48), 'lecun_normal()': Math.sqrt(1 / 48), 'lecun_uniform()': uniform(Math.sqrt(3 / 48)),
    // A standard normal cut at two deviations.
    'truncated_normal()': 0.8796,
  };
  for (const [initial, std] of Object.entries(expected)) {
    it(initial, () => {
      const data = draw(initial);
      expect(data).toHaveLength(count);
      expect(Math.abs(mean(data))).toBeLessThan(4 * std / Math.sqrt(count));
      expect(Math.abs(deviation(data) / std - 1)).toBeLessThan(0.05);
      expect(new Set(data).size).toBeGreaterThan(count * 0.99);
    });
  }
  it('constants', () => {
    expect(new Set(draw('0.25'))).toEqual(new Set([0.25]));
    expect(mean(draw('ones()'))).toBe(1);
    expect(mean(draw('identity()'))).toBeCloseTo(48 / count);
  });
});
