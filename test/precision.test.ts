/**
 * Mixed precision: factors of products are rounded, each once, and nothing else; against products of rounded numbers written out here,
 * on the graph and on the kernels, and on emitted programs by whether they learn.
 */
import { expect, test } from 'vitest';
import { contractionFactors } from '../compiler/5-schedule/fuse.ts';
import { compile, type Levels } from '../compiler/index.ts';
import { entryRoots, topological, type Entry, type Value } from '../compiler/ir/graph.ts';
import { roundToBfloat16, roundToHalf } from '../runtime/rounding.ts';
import { graphMachine, programMachine } from './support/machine.ts';
import { emittedMachine } from './support/run-program.ts';
import { generator } from './support/tensors.ts';

const levelsOf = (text: string): Levels => {
  const { levels, diagnostics } = compile({ path: 'precision.model', text, library: false }, 'schedule', { verify: true });
  if (levels.program === undefined) throw new Error(diagnostics.map(d => `${d.code}: ${d.message}`).join('\n'));
  return levels;
};

const twoProducts = (precision: string, optimizer = 'sgd(lr: 0.5)', definitions = ''): Levels => levelsOf(`${definitions}
model Two {
  input x: f32[B, 5]
  input y: f32[B, 3]
  z = x |> linear(4, bias: false) |> linear(3, bias: false)
  loss = sum(square(z - y))
  output result = z
}
train {
  batch 6
  precision ${precision}
  optimizer ${optimizer}
}
`);

type Matrix = readonly (readonly number[])[];
const matrix = (flat: ArrayLike<number>, columns: number): Matrix =>
  Array.from({ length: flat.length / columns }, (_, i) => Array.from({ length: columns }, (_, j) => flat[i * columns + j]!));
const transposed = (a: Matrix): Matrix => a[0]!.map((_, j) => a.map(row => row[j]!));
const product = (a: Matrix, b: Matrix): Matrix => a.map(row => transposed(b).map(column => row.reduce((sum, x, k) => sum + x * column[k]!, 0)));
const mapped = (a: Matrix, f: (x: number, i: number, j: number) => number): Matrix => a.map((row, i) => row.map((x, j) => f(x, i, j)));
const casts = (entry: Entry): readonly Value[] => topological(entryRoots(entry)).filter(value => value.op?.definition.name === 'cast');

test.each([['bf16', roundToBfloat16], ['f16', roundToHalf]] as const)('%s: products of rounded factors with exact sums, forward and backward', (precision, round) => {
  const levels = twoProducts(precision);
  const next = generator(3);
  const filled = (count: number): number[] => Array.from({ length: count }, () => Math.fround(2 * next() - 1));
  const given = { x: filled(30), y: filled(18), first: filled(20), second: filled(12) };

  const r = (a: Matrix): Matrix => mapped(a, round);
  const [x, y, first, second] = [matrix(given.x, 5), matrix(given.y, 3), matrix(given.first, 5), matrix(given.second, 4)];
  const h = product(r(x), transposed(r(first)));
  const z = product(r(h), transposed(r(second)));
  const dz = mapped(z, (value, i, j) => 2 * (value - y[i]![j]!));
  const dh = product(r(dz), r(second));
  const expected = {
    loss: z.flatMap((row, i) => row.map((value, j) => (value - y[i]![j]!) ** 2)).reduce((a, b) => a + b),
    'linear.0.weight': product(transposed(r(dh)), r(x)).flat(),
    'linear.1.weight': product(transposed(r(dz)), r(h)).flat(),
  };
  for (const machine of [graphMachine(levels.simplified!), programMachine(levels.program!)]) {
    machine.write('input', 'x', given.x);
    machine.write('input', 'y', given.y);
    machine.write('parameter', 'linear.0.weight', given.first);
    machine.write('parameter', 'linear.1.weight', given.second);
    const predicted = machine.run('predict').get('result')!.data;
    const loss = machine.run('train').get('loss')!.data[0]!;
    expect(loss).toBeCloseTo(expected.loss, 10);
    z.flat().forEach((value, i) => expect(predicted[i]).toBeCloseTo(value, 12));
    for (const name of ['linear.0.weight', 'linear.1.weight'] as const) {
      expected[name].forEach((value, i) => expect(machine.read('gradient', name)[i]).toBeCloseTo(value, 10));
    }
    // The parameter itself keeps all its digits.
    given.first.forEach((value, i) => expect(machine.read('parameter', 'linear.0.weight')[i]).toBeCloseTo(value - 0.5 * expected['linear.0.weight'][i]!, 10));
  }
});

test('a factor of several products is rounded once, in every entry, and kernels of products are still known as such', () => {
  const { simplified, program } = twoProducts('bf16');
  const rounded = new Map(simplified!.entries.map(entry => [entry.name, casts(entry).length]));
  // x, both weights, h, and the gradients by z and by h; without gradients, the first four.
  expect(Object.fromEntries(rounded)).toEqual({ initialise: 0, train: 6, gradient_norm: 0, evaluate: 4, evaluate_row: 4, predict: 4, predict_row: 4 });
  const products = program!.entries.find(entry => entry.name === 'train')!.calls.flatMap(call => program!.kernels[call.kernel]!.steps)
    .filter(step => step.kind === 'reduce' && contractionFactors(step.body) !== null && step.axes.length === 1);
  expect(products).toHaveLength(5);
  expect(casts(twoProducts('f32').simplified!.entries.find(entry => entry.name === 'train')!)).toEqual([]);
});

test('a single row, whose weights are rounded as they are read, is still a product', () => {
  const { program } = twoProducts('f16');
  const steps = program!.entries.find(entry => entry.name === 'predict_row')!.calls.flatMap(call => program!.kernels[call.kernel]!.steps);
  const bodies = steps.flatMap(step => (step.kind === 'reduce' ? [step.body] : []));
  expect(bodies.map(body => contractionFactors(body)?.length)).toEqual([2, 2]);
});

test('products of an optimizer stay in f32', () => {
  const definition = 'optimizer turned(lr) (p, g) {\n  return p - lr * (g @ (g.T @ p))\n}';
  const { simplified } = twoProducts('bf16', 'turned(lr: 0.1)', definition);
  const values = topological(entryRoots(simplified!.entries.find(entry => entry.name === 'train')!));
  const inUpdate = values.filter(value => value.origin?.phase === 'update' && value.op?.definition.name === 'contract' && value.operands.length > 1);
  expect(inUpdate.length).toBeGreaterThan(0);
  for (const { operands } of inUpdate) expect(operands.map(operand => operand.type.dtype)).toEqual(['f32', 'f32']);
});

test.each(['bf16', 'f16'])('a convolution and a perceptron learn in %s', async precision => {
  const levels = levelsOf(`
model Learner {
  input x: f32[B, 1, 6, 6]
  input y: f32[B, 1]
  z = x |> conv2d(4, 3, padding: 1) |> tanh |> flatten |> linear(8) |> tanh |> linear(1)
  loss = mse(z, y)
}
train {
  batch 8
  precision ${precision}
  optimizer adam(lr: 0.02)
}
`);
  const machine = await emittedMachine(levels);
  const next = generator(5);
  machine.write('scalar', 'seed', [1]);
  machine.write('scalar', 'step', [0]);
  machine.run('initialise');
  machine.write('input', 'x', Array.from({ length: 8 * 36 }, () => 2 * next() - 1));
  machine.write('input', 'y', Array.from({ length: 8 }, () => 2 * next() - 1));
  const losses = Array.from({ length: 80 }, (_, step) => {
    machine.write('scalar', 'step', [step + 1]);
    return machine.run('train').get('loss')!.data[0]!;
  });
  expect(losses.at(-1)!).toBeLessThan(0.01 * losses[0]!);
});
