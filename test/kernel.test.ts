/** The interpreter and the printer of fused kernels, on kernels that use every kind of step. */
import { expect, test } from 'vitest';
import { affine, axisAt, fixed } from '../compiler/ir/affine.ts';
import { executeKernel } from '../compiler/ir/evaluate.ts';
import { printKernel, printNest } from '../compiler/ir/kernel-text.ts';
import { apply, constant, guard, load, type Scalar } from '../compiler/ir/nest.ts';
import type { Kernel } from '../compiler/ir/program.ts';
import type { Tensor } from '../compiler/ops/define.ts';

const tensor = (shape: readonly number[], ...data: readonly number[]): Tensor => ({ dtype: 'f32', shape, data: Float64Array.from(data) });
const local = (number: number): Scalar => ({ kind: 'local', local: number });

test('a softmax with its sum as second output', () => {
  const exponential = apply('exp', apply('sub', load(0, [axisAt(0), axisAt(1)]), local(0)));
  const kernel: Kernel = {
    name: 'softmax', space: [2], host: false, flops: 0,
    operands: [{ name: 'x', dtype: 'f32', shape: [2, 3] }],
    outputs: [{ name: 'y', dtype: 'f32', shape: [2, 3] }, { name: 'total', dtype: 'f32', shape: [2] }],
    steps: [
      { kind: 'reduce', local: 0, axes: [3], combine: 'max', body: load(0, [axisAt(0), axisAt(1)]) },
      { kind: 'reduce', local: 1, axes: [3], combine: 'add', body: exponential },
      { kind: 'store', output: 1, axes: [], at: [axisAt(0)], body: local(1), accumulate: false, joined: false },
      // Reads back what the step before stored.
      { kind: 'store', output: 0, axes: [3], at: [axisAt(0), axisAt(1)], body: apply('div', exponential, load(2, [axisAt(0)])), accumulate: false, joined: false },
    ],
  };
  const [y, total] = executeKernel(kernel, [tensor([2, 3], 0, Math.log(2), Math.log(5), 1, 1, 1)]);
  [0.125, 0.25, 0.625, 1 / 3, 1 / 3, 1 / 3].forEach((value, i) => expect(y!.data[i]).toBeCloseTo(value, 14));
  expect(total!.data[1]).toBe(3);
  expect(printKernel(kernel)).toMatchInlineSnapshot(`
    "softmax[i0 < 2] (x: f32[2, 3]) -> (y: f32[2, 3], total: f32[2])
      t0 = max[i1 < 3] x[i0, i1]
      t1 = add[i1 < 3] exp(x[i0, i1] - t0)
      total[i0] = t1
      for i1 < 3: y[i0, i1] = exp(x[i0, i1] - t0) / total[i0]"
  `);
});

test('a scatter clears its output, then adds', () => {
  const kernel: Kernel = {
    name: 'scatter', space: [], host: true, flops: 0,
    operands: [{ name: 'index', dtype: 'i32', shape: [4] }, { name: 'x', dtype: 'f32', shape: [4] }],
    outputs: [{ name: 'y', dtype: 'f32', shape: [3] }],
    steps: [
      { kind: 'clear', output: 0 },
      { kind: 'store', output: 0, axes: [4], at: [{ gathered: load(0, [axisAt(0)]) }], body: load(1, [axisAt(0)]), accumulate: true, joined: false },
    ],
  };
  const y = tensor([3], 7, 7, 7);
  executeKernel(kernel, [{ ...tensor([4], 2, 0, 2, 2), dtype: 'i32' }, tensor([4], 1, 2, 3, 4)], [y]);
  expect([...y.data]).toEqual([2, 0, 8]);
  expect(printKernel(kernel)).toMatchInlineSnapshot(`
    "scatter[] (index: i32[4], x: f32[4]) -> (y: f32[3]) on the host
      y[…] = 0
      for i0 < 4: y[index[i0]] += x[i0]"
  `);
});

test('nests print as one line', () => {
  const shifted = affine([{ axis: 0, times: 1 }], -1);
  expect(printNest({ space: [2, 3], reduce: [5], combine: 'add', body: apply('mul', load(0, [axisAt(0), axisAt(2)]), load(1, [axisAt(2), axisAt(1)])) }))
    .toBe('out[i0 < 2, i1 < 3] = add[i2 < 5] a[i0, i2] * b[i2, i1]');
  expect(printNest({ space: [4], reduce: [], combine: null, body: guard([{ index: shifted, extent: 2 }], load(0, [shifted, fixed(0)]), constant(0)) }, ['x']))
    .toBe('out[i0 < 4] = (i0 - 1 in 0..2 ? x[i0 - 1, 0] : 0)');
  expect(printNest({ space: [6], reduce: [], combine: null, body: load(0, [axisAt(0)]), reinterpret: [[6]] })).toBe('out[i0 < 6] = a as [6][i0]');
  expect(printNest({ space: [4], reduce: [], combine: null, body: load(1, [axisAt(0)]), scatter: { shape: [3], at: [{ gathered: load(0, [axisAt(0)]) }] } }))
    .toBe('out: [3]; for i0 < 4: out[a[i0]] += b[i0]');
});

test('a load outside its operand and a local not yet computed are errors', () => {
  const kernel = (body: Scalar): Kernel => ({
    name: 'wrong', space: [2], host: false, flops: 0, operands: [{ name: 'x', dtype: 'f32', shape: [1] }], outputs: [{ name: 'y', dtype: 'f32', shape: [2] }],
    steps: [{ kind: 'store', output: 0, axes: [], at: [axisAt(0)], body, accumulate: false, joined: false }],
  });
  expect(() => executeKernel(kernel(load(0, [axisAt(0)])), [tensor([1], 1)])).toThrow('position 1 is outside dimension 0 of extent 1');
  expect(() => executeKernel(kernel(local(0)), [tensor([1], 1)])).toThrow('local 0 is read before it is computed');
  expect(() => executeKernel(kernel(load(0, [affine([{ axis: 0, times: 1 }], 0, 2)])), [tensor([1], 1)])).toThrow('index 0.5 does not exist');
});
