/** Products in tiles, at extents that leave edges everywhere, against the interpreter; both micro-kernels give the same sums. */
import { expect, test } from 'vitest';
import { contraction } from '../compiler/6-emit/wasm/contraction.ts';
import { encode } from '../compiler/6-emit/wasm/encode.ts';
import { linearKernel } from '../compiler/6-emit/linear.ts';
import { microKernel, packedRows, tileColumns, tileRows } from '../compiler/6-emit/wasm/micro-kernel.ts';
import { affine, axisAt, type Affine } from '../compiler/ir/affine.ts';
import { evaluateNest } from '../compiler/ir/evaluate.ts';
import { apply, load, type Nest } from '../compiler/ir/nest.ts';
import type { Shape } from '../compiler/ir/type.ts';
import type { Tensor } from '../compiler/ops/define.ts';
import { webAssembly } from '../runtime/webassembly.ts';
import { difference } from './support/tensors.ts';
import { kernelOf, runNestOnWasm, runNestOnWideWasm } from './support/wasm.ts';

const drawn = (shape: Shape, seed: number): Tensor => ({
  dtype: 'f32', shape, data: Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.fround(Math.sin(i * 12.9898 + seed) * Math.cos(i * 0.31))),
});

function expectTiled(nest: Nest, operands: readonly Tensor[]): void {
  expect(contraction(linearKernel(kernelOf(nest, operands))), 'is treated as a product').not.toBeNull();
  const result = runNestOnWasm(nest, operands);
  expect(difference(result, evaluateNest(nest, operands), 1e-4)).toBeNull();
  expect(runNestOnWideWasm(nest, operands), 'with 64-bit addresses').toEqual(result);
}

const extents = [[64, 32, 16], [64, 33, 17], [70, 100, 700], [5, 20, 333], [300, 300, 8], [2, 4, 1030], [129, 17, 321], [3, 700, 5]] as const;
const orders = [[false, false], [true, false], [false, true], [true, true]] as const;
test.each(extents.flatMap(size => orders.map(order => [...size, ...order] as const)))('%d × %d over %d, transposed %s %s', (rows, columns, inner, left, right) => {
  const nest: Nest = {
    space: [rows, columns], reduce: [inner], combine: 'add',
    body: apply('mul', load(0, left ? [axisAt(2), axisAt(0)] : [axisAt(0), axisAt(2)]), load(1, right ? [axisAt(1), axisAt(2)] : [axisAt(2), axisAt(1)])),
  };
  expectTiled(nest, [drawn(left ? [inner, rows] : [rows, inner], 1), drawn(right ? [columns, inner] : [inner, columns], 2)]);
});

test.each([[3, 5, 7, 11, 3, 1, 1], [2, 9, 6, 10, 2, 2, 1], [4, 3, 20, 9, 3, 1, 2], [1, 17, 33, 14, 5, 1, 1], [5, 6, 4, 28, 5, 1, 1]] as const)(
  'a convolution of %d images, %d to %d channels of extent %d, window %d, stride %d, dilation %d', (images, from, to, extent, window, stride, dilation) => {
    const out = Math.floor((extent - dilation * (window - 1) - 1) / stride) + 1;
    const at = (position: number, offset: number): Affine => affine([{ axis: position, times: stride }, { axis: offset, times: dilation }]);
    const nest: Nest = {
      space: [images, to, out, out], reduce: [from, window, window], combine: 'add',
      body: apply('mul', load(0, [axisAt(0), axisAt(4), at(2, 5), at(3, 6)]), load(1, [axisAt(1), axisAt(4), axisAt(5), axisAt(6)])),
    };
    expectTiled(nest, [drawn([images, from, extent, extent], 3), drawn([to, from, window, window], 4)]);
    // Its gradient by the weights: sums over images and positions.
    const gradient: Nest = {
      space: [to, from, window, window], reduce: [images, out, out], combine: 'add',
      body: apply('mul', load(0, [axisAt(4), axisAt(0), axisAt(5), axisAt(6)]), load(1, [axisAt(4), axisAt(1), at(5, 2), at(6, 3)])),
    };
    expectTiled(gradient, [drawn([images, to, out, out], 5), drawn([images, from, extent, extent], 6)]);
  });

test('batches, and a factor that is computed while it is packed', () => {
  const [batch, heads, rows, columns, inner] = [3, 2, 21, 19, 40] as const;
  const nest: Nest = {
    space: [batch, heads, rows, columns], reduce: [inner], combine: 'add',
    body: apply('mul', apply('to_f32', load(0, [axisAt(0), axisAt(2), axisAt(1), axisAt(4)])), load(1, [axisAt(0), axisAt(3), axisAt(1), axisAt(4)])),
  };
  const bytes = drawn([batch, rows, heads, inner], 7);
  expectTiled(nest, [{ ...bytes, dtype: 'u8', data: bytes.data.map(value => Math.floor(Math.abs(value) * 200)) }, drawn([batch, columns, heads, inner], 8)]);
});

test.each([[8, 17, 5000], [7, 16, 6001]] as const)('%d × %d over %d: what is read beyond the end of a factor is there, and no more', (rows, columns, inner) => {
  const [left, right] = [drawn([rows, inner], 11), drawn([columns, inner], 12)];
  for (const operands of [[left, right], [right, left]] as const) {
    const [x, y] = operands[0] === left ? [0, 1] : [1, 0];
    const nest: Nest = { space: [rows, columns], reduce: [inner], combine: 'add', body: apply('mul', load(x, [axisAt(0), axisAt(2)]), load(y, [axisAt(1), axisAt(2)])) };
    const { overreach } = contraction(linearKernel(kernelOf(nest, operands)))!;
    // Tiles are 6 rows or 16 columns wide, and are read in whole vectors.
    expect(Math.max(...overreach.values())).toBeGreaterThan(0);
    expect([...overreach].every(([access, elements]) => elements <= (tileColumns - 1) * inner && access < 2)).toBe(true);
    expect(difference(runNestOnWideWasm(nest, operands), evaluateNest(nest, operands), 1e-4)).toBeNull();
  }
});

test('both micro-kernels give the same bits, fused or not', () => {
  const { Memory, Module, Instance } = webAssembly();
  const memory = new Memory({ initial: 2, maximum: 2, shared: true });
  const functions = [true, false].flatMap(fused => ([16, 8] as const).map(columns => microKernel(`${fused ? 'fused' : 'plain'}.${columns}`, columns, fused)));
  const { exports } = new Instance(new Module(encode({ imports: [], functions, minimumPages: 1, maximumPages: 65536, arena: null })), { env: { memory } });
  const values = new Float32Array(memory.buffer);
  const [left, right, tile] = [0, 16384, 81920];
  for (const count of [1, 2, 3, 64, 255]) {
    const sums = (name: string, fresh: number): number[] => {
      for (let i = 0; i < tile / 4; i++) values[i] = Math.sin(i * 7.7);
      values.fill(0.5, tile / 4, tile / 4 + tileRows * tileColumns);
      exports[name]!(left, right, tile, count, fresh);
      return [...values.subarray(tile / 4, tile / 4 + tileRows * tileColumns)];
    };
    for (const fresh of [0, 1]) {
      expect(sums('fused.16', fresh)).toEqual(sums('fused.8', fresh));
      expect(sums('plain.16', fresh)).toEqual(sums('plain.8', fresh));
      const expected = Array.from({ length: tileRows * tileColumns }, (_, i) => {
        const [row, column] = [Math.floor(i / tileColumns), i % tileColumns];
        let sum = fresh === 1 ? 0 : 0.5;
        for (let k = 0; k < count; k++) sum += Math.fround(Math.sin((k * packedRows + row) * 7.7)) * Math.fround(Math.sin((right / 4 + k * tileColumns + column) * 7.7));
        return sum;
      });
      sums('fused.16', fresh).forEach((value, i) => expect(value).toBeCloseTo(expected[i]!, 4));
    }
  }
});

test('a sum of millions of floats keeps its digits', () => {
  const count = 5_000_003;
  const nest: Nest = { space: [], reduce: [count], combine: 'add', body: load(0, [axisAt(0)]) };
  const data = Float64Array.from({ length: count }, (_, i) => Math.fround(1 + (i % 7) / 100));
  const [sum] = runNestOnWasm(nest, [{ dtype: 'f32', shape: [count], data }]).data;
  const exact = data.reduce((a, b) => a + b, 0);
  expect(Math.abs(sum! / exact - 1)).toBeLessThan(2e-6);
});
