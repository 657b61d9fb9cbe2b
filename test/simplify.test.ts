/** Rules that only show in what a graph costs: that they apply where they should, told by what kernels compute. */
import { expect, test } from 'vitest';
import { simplify } from '../compiler/4-simplify/simplify.ts';
import { compile, type Levels } from '../compiler/index.ts';
import { printKernel } from '../compiler/ir/kernel-text.ts';

function levelsOf(body: string, input = 'f32[B, 6]'): Levels {
  const text = `model Rules {\n  input x: ${input}\n${body}\n  loss = mean(y * y)\n}\ntrain {\n  batch 4\n  optimizer sgd(lr: 0.1)\n}\n`;
  const { levels, diagnostics } = compile({ path: 'rules.model', text, library: false }, 'schedule', { verify: true });
  expect(diagnostics.map(diagnostic => diagnostic.message)).toEqual([]);
  return levels;
}
const trainKernels = ({ program }: Levels): readonly string[] =>
  program!.entries.find(entry => entry.name === 'train')!.calls.map(call => printKernel(program!.kernels[call.kernel]!));

test.each([
  ['the library\'s softmax', '  y = softmax(linear(5)(x)) @ ones([5, 3])'],
  ['a softmax written out', '  e = exp(linear(5)(x))\n  y = (e / sum(e, axis: -1, keep: true)) @ ones([5, 3])'],
])('the gradient of %s reads the quotient alone', (_, body) => {
  const levels = levelsOf(body);
  expect(simplify(levels.gradient!).applied.get('through-quotient')).toBe(1);
  const backward = trainKernels(levels).filter(text => /backward/.test(text.split('[')[0]!));
  expect(backward.length).toBeGreaterThan(0);
  for (const text of backward) expect(text).not.toMatch(/exp|\//);
});

test('the gradient of a padded convolution is not computed where it is cut off', () => {
  const levels = levelsOf('  y = conv2d(3, 3, padding: 1)(conv2d(2, 3, padding: 1)(x))', 'f32[B, 1, 8, 8]');
  expect(simplify(levels.gradient!).applied.get('crop-contract')).toBe(1);
  expect(trainKernels(levels).filter(text => /^conv2d_backward\w*\[.*< 10/.test(text) && /add\[/.test(text))).toEqual([]);
});

test('a sum that something else reads too is not cropped: it would be computed twice', () => {
  const levels = levelsOf('  h = linear(6)(x)\n  y = h[:, 1:4] * h[:, 2:5]');
  expect(simplify(levels.gradient!).applied.get('crop-contract') ?? 0).toBe(0);
});

test('long sums with few results are taken in parts, with what is left over', () => {
  const kernels = (input: string): readonly string[] => levelsOf('  y = x * mean(linear(1)(ones([1, 2])))', input).program!.kernels.map(printKernel);
  const parts = kernels('f32[B, 40001]');
  expect(parts.some(kernel => /\[i0 < 4, i1 < 64\].*\n {2}t0 = add\[i2 < 625\] \(x\[i0, 625\*i1 \+ i2\]/.test(kernel))).toBe(true);
  expect(parts.some(kernel => /t0 = add\[i0 < 4, i1 < 64\].*\n {2}t1 = add\[i0 < 4, i1 < 1\] \(x\[i0, i1 \+ 40000\]/.test(kernel))).toBe(true);
  expect(kernels('f32[B, 50, 800]').some(kernel => /\[i0 < 4, i1 < 50\].*\n {2}t0 = add\[i2 < 800\]/.test(kernel))).toBe(true);
  expect(kernels('f32[B, 400]').some(kernel => kernel.includes('add[i0 < 4, i1 < 400] (x'))).toBe(true);
});
