/** Rows of a table by number, or of each of several tables, and the transpose, rows added into a table: each is the other's gradient. */
import { axisAt, identity } from '../ir/affine.ts';
import type { Value } from '../ir/graph.ts';
import { load, type Index } from '../ir/nest.ts';
import { dim, elements, isFloat, printTypeLong, sameShape, shapeOf, size, tensor, type Dim, type TensorType } from '../ir/type.ts';
import { definePrimitive, internal, type Op } from './define.ts';
import { attribute, eachPosition, elementAt, tabulate } from './shared.ts';

const batchAttrs = { batch: attribute('integer', 'How many leading axes table and index share, each position with a table of its own.', 0) };

export const gather: Op<readonly ['table', 'index'], typeof batchAttrs> = definePrimitive({
  name: 'gather',
  doc: 'The rows of a table whose numbers are given: table[index[…], …]. Numbers lie in the range of the first axis, '
    + 'or with `batch` axes in common, of the one behind them: table[b, index[b, …], …]. '
    + 'Where a model computes one outside, the nearest inside is meant.',
  operands: ['table', 'index'],
  attrs: batchAttrs,
  constraints: {
    C1: 'the table has an axis to index', C2: 'the index is of whole numbers (i32)', C3: 'table and index begin with the same `batch` axes',
  },
  shape: ([table, index], { batch }, require) => {
    const types = (): string => `table is ${printTypeLong(table)}, index is ${printTypeLong(index)}`;
    require('C2', index.dtype === 'i32', () => `index is ${printTypeLong(index)}`);
    require('C3', batch >= 0 && batch <= index.dims.length && sameShape(shapeOf(table).slice(0, batch), shapeOf(index).slice(0, batch)), types);
    require('C1', table.dims.length > batch, () => `table is ${printTypeLong(table)}`);
    return tensor(table.dtype, [...index.dims, ...table.dims.slice(batch + 1)]);
  },
  gradient: ({ operands: [table, index], grad, attrs: { batch } }): readonly [Value | null, null] =>
    [isFloat(table.type.dtype) ? scatter_add(index, grad, { extent: table.type.dims[batch]!, batch }) : null, null],
  lower: ([, index], { batch }, out) => ({ space: shapeOf(out), reduce: [], combine: null, body: load(0, rowAt(1, index, out.dims.length, batch)) }),
  flops: () => 0,
  reference: ([table, index], { batch }) => {
    const rank = index.shape.length;
    return tabulate(table.dtype, [...index.shape, ...table.shape.slice(batch + 1)], position =>
      elementAt(table, [...position.slice(0, batch), elementAt(index, position.slice(0, rank)), ...position.slice(rank)]));
  },
  label: (_, { batch }) => (batch > 0 ? 'table[b, index[b, …], …]' : 'table[index[…], …]'),
  samples: [
    { operands: ['[5, 3]', 'i32[2, 4]'], attrs: { batch: 0 }, domain: [[-2, 2], [0, 4]] },
    { operands: ['[7]', 'i32[]'], attrs: { batch: 0 }, domain: [[-2, 2], [0, 6]] },
    { operands: ['i32[3]', 'i32[11]'], attrs: { batch: 0 }, domain: [[-9, 9], [0, 2]] },
    { operands: ['[2, 5, 3]', 'i32[2, 4]'], attrs: { batch: 1 }, domain: [[-2, 2], [0, 4]] },
    { operands: ['[2, 3, 4]', 'i32[2, 3]'], attrs: { batch: 2 }, domain: [[-2, 2], [0, 3]] },
  ],
  rejects: {
    C1: { operands: ['[]', 'i32[2]'], attrs: { batch: 0 } },
    C2: { operands: ['[3]', 'f32[2]'], attrs: { batch: 0 } },
    C3: { operands: ['[3, 4]', 'i32[2]'], attrs: { batch: 1 } },
  },
});

const scatterAttrs = { ...batchAttrs, extent: internal<Dim>('The dimension of the result behind the shared ones.') };

export const scatter_add: Op<readonly ['index', 'updates'], typeof scatterAttrs> = definePrimitive({
  name: 'scatter_add',
  doc: 'Zeros to which each row of the updates is added at the row whose number is given: the transpose of gather.',
  operands: ['index', 'updates'],
  attrs: scatterAttrs,
  constraints: {
    C1: 'the updates begin with the shape of the index', C2: 'the index is of whole numbers (i32), the updates are floating-point',
    C3: 'the index has the `batch` axes',
  },
  shape: ([index, updates], { extent, batch }, require) => {
    const types = (): string => `index is ${printTypeLong(index)}, updates are ${printTypeLong(updates)}`;
    require('C1', sameShape(shapeOf(index), shapeOf(updates).slice(0, index.dims.length)), types);
    require('C2', index.dtype === 'i32' && isFloat(updates.dtype), types);
    require('C3', batch >= 0 && batch <= index.dims.length, types);
    return tensor(updates.dtype, [...index.dims.slice(0, batch), extent, ...updates.dims.slice(index.dims.length)]);
  },
  gradient: ({ operands: [index], grad, attrs: { batch } }) => [null, gather(grad, index, { batch })],
  lower: ([index, updates], { batch }, out) => {
    const rank = updates.dims.length;
    const scatter = { shape: shapeOf(out), at: rowAt(0, index, rank, batch) };
    return { space: shapeOf(updates), reduce: [], combine: null, body: load(1, identity(rank)), scatter };
  },
  flops: ([, updates]) => elements(updates),
  reference: ([index, updates], { extent, batch }) => {
    const row = updates.shape.slice(index.shape.length);
    const shared = index.shape.slice(0, batch);
    const result = tabulate(updates.dtype, [...shared, extent.extent, ...row], () => 0);
    const width = size(row);
    const perTable = size(updates.shape.slice(batch));
    eachPosition(updates.shape, (_, flat) => {
      const table = Math.floor(flat / perTable) * extent.extent;
      result.data[(table + index.data[Math.floor(flat / width)]!) * width + (flat % width)]! += updates.data[flat]!;
    });
    return result;
  },
  label: (_, { batch }) => (batch > 0 ? 'out[b, index[b, …], …] += updates' : 'out[index[…], …] += updates'),
  samples: [
    { operands: ['i32[2, 4]', '[2, 4, 3]'], attrs: { extent: dim(5), batch: 0 }, domain: [[0, 4], [-2, 2]] },
    { operands: ['i32[9]', '[9]'], attrs: { extent: dim(4), batch: 0 }, domain: [[0, 3], [-2, 2]] },
    { operands: ['i32[2, 4]', '[2, 4, 3]'], attrs: { extent: dim(5), batch: 1 }, domain: [[0, 4], [-2, 2]] },
    { operands: ['i32[2, 3]', '[2, 3]'], attrs: { extent: dim(4), batch: 2 }, domain: [[0, 3], [-2, 2]] },
  ],
  rejects: {
    C1: { operands: ['i32[2]', '[3, 4]'], attrs: { extent: dim(5), batch: 0 } },
    C2: { operands: ['f32[2]', '[2, 4]'], attrs: { extent: dim(5), batch: 0 } },
    C3: { operands: ['i32[2]', '[2, 4]'], attrs: { extent: dim(5), batch: 2 } },
  },
});

/** The shared axes, row index[its axes], then the other axes up to `rank` as they are. */
const rowAt = (operand: number, index: TensorType, rank: number, batch: number): readonly Index[] => [
  ...Array.from({ length: batch }, (_, axis) => axisAt(axis)),
  { gathered: load(operand, identity(index.dims.length)) },
  ...identity(rank).slice(index.dims.length),
];
