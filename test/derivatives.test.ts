/** Derivatives as expressions of the language: closed forms to third order, and losses made of derivatives against finite differences. */
import { expect, test } from 'vitest';
import { compareGradients } from '../compiler/cli/gradcheck.ts';
import { difference, draw, generator, readType } from './support/tensors.ts';
import { elaborateText, evaluateNamed, modelOf, vector } from './support/model.ts';

const points = vector([-1.3, -0.4, 0.2, 0.9, 1.6]);

/** The value of an expression of `x: f32[5]`. */
function valueAt(statements: string): Float64Array {
  const model = modelOf(`model M {\n  input x: f32[5]\n${statements}\n  output out = out\n}`);
  return evaluateNamed([model.stages[0]!.training.outputs[0]!.value], { x: points })[0]!.data;
}

test.each([
  ['a power', '  out = grad(x ** 4, x)', (x: number) => 4 * x ** 3],
  ['twice', '  out = grad(grad(x ** 4, x), x)', (x: number) => 12 * x ** 2],
  ['three times', '  out = grad(grad(grad(sin(2 * x), x), x), x)', (x: number) => -8 * Math.cos(2 * x)],
  ['a sum, which is a scalar', '  out = grad(sum(x * x), x)', (x: number) => 2 * x],
  ['by a value on the way', '  h = x * x\n  out = grad(exp(h), h)', (x: number) => Math.exp(x * x)],
  ['by a value on the way, which others depend on too', '  h = x * x\n  y = h * h * x\n  out = grad(y, h)', (x: number) => 2 * x ** 3],
  ['by itself', '  out = grad(x, x)', () => 1],
  ['of what gradients do not pass', '  out = grad(stop_gradient(x) * x + floor(x), x)', (x: number) => x],
  ['of a list', '  h = x + 1\n  a, b = grad(x * h * h, [x, h])\n  out = a - b', (x: number) => (x + 1) ** 2 + 2 * x * (x + 1) - 2 * x * (x + 1)],
  ['under indices', '  y[i] = x[i] * x[4 - i]\n  g = grad(y, x)\n  out[i] = g[i] / 2', (_: number, i: number) => points.data[4 - i]!],
] as const)('%s', (_, statements, expected) => {
  const values = valueAt(statements);
  points.data.forEach((x, i) => expect(values[i]).toBeCloseTo(expected(x, i), 9));
});

test.each([
  ['a differential equation', `  input x: f32[6, 2]
  u = x |> linear(5) |> tanh |> linear(4) |> tanh |> linear(1)
  slope = grad(u, x)
  curvature = grad(slope[:, 0], x)[:, 0]
  loss = mean(square(slope[:, 1] - curvature + u[:, 0]))`],
  ['a penalty on the slope through a convolution and normalisation', `  input x: f32[3, 1, 5, 5]
  y = x |> conv2d(2, 3, padding: 1) |> group_norm(2) |> silu |> flatten |> linear(1)
  slope = grad(y, x)
  loss = mean(square(sum(slope * slope, axis: [1, 2, 3]) - 1))`],
  ['a step of gradient descent inside the model', `  input x: f32[4, 3]
  param w: f32[3] = normal(0, 1)
  inner = mean(square(tanh(x @ w) - 0.5))
  moved = w - 0.5 * grad(inner, w)
  loss = mean(square(x @ moved - 1))`],
  ['attention by its input', `  input x: f32[1, 4, 6]
  y = multi_head_attention(2)(x)
  loss = sum(square(grad(y, x))) + mean(y)`],
] as const)('a loss made of derivatives has the gradient that finite differences find: %s', (_, body) => {
  const compared = compareGradients(modelOf(`model M {\n${body}\n}`), 3);
  expect(compared.filter(({ used }) => used).length).toBeGreaterThan(0);
  for (const { parameter, error } of compared) expect([parameter.leaf!.name, error <= 1e-4]).toEqual([parameter.leaf!.name, true]);
});

const functions = `
fn rounded(x) { return floor(x + 0.5) } derivative (g) { return g }
/// As x ** 3, said otherwise.
fn cubed(x) { return stop_gradient(x ** 3) } derivative (g) { return 3 * square_of(x) * g }
fn square_of(x) { return stop_gradient(x * x) } derivative (g) { return 2 * x * g }
fn scaled(x, by, factor = 1) { return stop_gradient(x * by * factor) } derivative (g) { return [g * by * factor, sum(g * x) * factor, none] }
fn reversed(x) { return x } derivative (g) { return -g }
fn honest(x) { return x ** 3 } derivative (g) { return 3 * x * x * g }
fn zero(x) { return x * x } derivative (g) { return 0 }
`;

test.each([
  ['the identity declared of a rounding', 'grad(rounded(x), x)', () => 1],
  ['inside a chain', 'grad(tanh(rounded(x)) * x, x)', (x: number) => (1 - Math.tanh(Math.round(x)) ** 2) * x + Math.tanh(Math.round(x))],
  ['once', 'grad(cubed(x), x)', (x: number) => 3 * x * x],
  ['twice', 'grad(grad(cubed(x), x), x)', (x: number) => 6 * x],
  ['three times, by a derivative that declares its own', 'grad(grad(grad(cubed(sin(x)), x), x), x)',
    (x: number) => 6 * Math.cos(x) ** 3 - 21 * Math.sin(x) ** 2 * Math.cos(x)],
  ['of two parameters, by the first', 'grad(scaled(x, mean(x * x), factor: 3), x)', (x: number) => 3 * mean(x0 => x0 * x0) + 3 * sum(x0 => x0) * 2 * x / 5],
  ['of two parameters, where one is a number', 'grad(scaled(x, 2), x)', () => 2],
  ['with the sign turned', 'grad(reversed(x) * x, x)', (x: number) => x - x],
  ['a number for all elements', 'grad(zero(x) + x, x)', () => 1],
] as const)('a derivative of one\'s own: %s', (_, expression, expected) => {
  const model = modelOf(`${functions}\nmodel M {\n  input x: f32[5]\n  output out = ${expression}\n}`);
  const values = evaluateNamed([model.stages[0]!.training.outputs[0]!.value], { x: points })[0]!.data;
  points.data.forEach((x, i) => expect(values[i]).toBeCloseTo(expected(x), 9));
});

const sum = (f: (x: number) => number): number => points.data.reduce((total, x) => total + f(x), 0);
const mean = (f: (x: number) => number): number => sum(f) / 5;

test('the gradient check tells what is declared, and holds the rest against finite differences', () => {
  const compared = compareGradients(modelOf(`${functions}\nmodel M {
  input x: f32[4, 3]
  h = x |> linear(3)
  y = rounded(h) |> linear(2)
  loss = mean(y * y) + mean(honest(x |> linear(1)))
}`), 1);
  const told = new Map(compared.map(({ parameter, error, declared }) => [parameter.leaf!.name, [declared.join(), error <= 1e-4]]));
  expect(told.get('linear.0.weight')).toEqual(['rounded', false]);
  expect(told.get('linear.1.weight')).toEqual(['', true]);
  // What is declared here is what follows from the body.
  expect(told.get('linear.2.weight')).toEqual(['honest', true]);
});

test('a derivative by a parameter of a layer', () => {
  const model = modelOf('model M {\n  input x: f32[3, 2]\n  layer1 = linear(2, bias: false)\n  y = layer1(x)\n  output out = grad(y, layer1.weight)\n}');
  const [x, weight] = [draw(readType('f32[3, 2]'), [-1, 1], generator(1)), draw(readType('f32[2, 2]'), [-1, 1], generator(2))];
  const [out] = evaluateNamed([model.stages[0]!.training.outputs[0]!.value], { x, 'layer1.weight': weight });
  const column = (i: number): number => x.data[i]! + x.data[2 + i]! + x.data[4 + i]!;
  expect(difference(out!, { dtype: 'f32', shape: [2, 2], data: Float64Array.of(column(0), column(1), column(0), column(1)) }, 1e-9)).toBeNull();
});

test('derivatives of derivatives without end are told, not computed', () => {
  const { diagnostics } = elaborateText('model M {\n  input x: f32[4]\n  y = sin(x) * exp(x)\n  for i in 0..60 {\n    y = grad(y * y, x)\n  }\n  loss = mean(y)\n}');
  expect(diagnostics.map(({ code }) => code)).toEqual(['type.size']);
}, 60_000);
