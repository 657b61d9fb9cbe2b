/** Rows of a table by number, and its transpose, rows added into a table: each is the other's gradient. */
import { identity } from '../ir/affine.ts';
import type { Value } from '../ir/graph.ts';
import { load, type Index } from '../ir/nest.ts';
import { dim, elements, isFloat, printTypeLong, sameShape, shapeOf, tensor, type Dim, type TensorType } from '../ir/type.ts';
import { definePrimitive, internal, type Op } from './define.ts';
import { eachPosition, elementAt, tabulate } from './shared.ts';

export const gather: Op<readonly ['table', 'index'], {}> = definePrimitive({
  name: 'gather',
  doc: 'The rows of a table whose numbers are given: table[index[…], …]. Numbers lie in the range of the first axis.',
  operands: ['table', 'index'],
  attrs: {},
  constraints: { C1: 'the table has an axis to index', C2: 'the index is of whole numbers (i32)' },
  shape: ([table, index], _, require) => {
    require('C1', table.dims.length > 0, `table is ${printTypeLong(table)}`);
    require('C2', index.dtype === 'i32', `index is ${printTypeLong(index)}`);
    return tensor(table.dtype, [...index.dims, ...table.dims.slice(1)]);
  },
  gradient: ({ operands: [table, index], grad }): readonly [Value | null, null] =>
    [isFloat(table.type.dtype) ? scatter_add(index, grad, { extent: table.type.dims[0]! }) : null, null],
  lower: ([, index], _, out) => ({ space: shapeOf(out), reduce: [], combine: null, body: load(0, rowAt(1, index, out.dims.length)) }),
  flops: () => 0,
  reference: ([table, index]) => {
    const rank = index.shape.length;
    return tabulate(table.dtype, [...index.shape, ...table.shape.slice(1)], position =>
      elementAt(table, [elementAt(index, position.slice(0, rank)), ...position.slice(rank)]));
  },
  label: () => 'table[index[…], …]',
  samples: [
    { operands: ['[5, 3]', 'i32[2, 4]'], attrs: {}, domain: [[-2, 2], [0, 4]] },
    { operands: ['[7]', 'i32[]'], attrs: {}, domain: [[-2, 2], [0, 6]] },
    { operands: ['i32[3]', 'i32[11]'], attrs: {}, domain: [[-9, 9], [0, 2]] },
  ],
  rejects: { C1: { operands: ['[]', 'i32[2]'], attrs: {} }, C2: { operands: ['[3]', 'f32[2]'], attrs: {} } },
});

const scatterAttrs = { extent: internal<Dim>('The first dimension of the result.') };

export const scatter_add: Op<readonly ['index', 'updates'], typeof scatterAttrs> = definePrimitive({
  name: 'scatter_add',
  doc: 'Zeros to which each row of the updates is added at the row whose number is given: the transpose of gather.',
  operands: ['index', 'updates'],
  attrs: scatterAttrs,
  constraints: { C1: 'the updates begin with the shape of the index', C2: 'the index is of whole numbers (i32), the updates are floating-point' },
  shape: ([index, updates], { extent }, require) => {
    const types = `index is ${printTypeLong(index)}, updates are ${printTypeLong(updates)}`;
    require('C1', sameShape(shapeOf(index), shapeOf(updates).slice(0, index.dims.length)), types);
    require('C2', index.dtype === 'i32' && isFloat(updates.dtype), types);
    return tensor(updates.dtype, [extent, ...updates.dims.slice(index.dims.length)]);
  },
  gradient: ({ operands: [index], grad }) => [null, gather(grad, index)],
  lower: ([index, updates], _, out) => {
    const rank = updates.dims.length;
    const scatter = { shape: shapeOf(out), at: rowAt(0, index, rank) };
    return { space: shapeOf(updates), reduce: [], combine: null, body: load(1, identity(rank)), scatter };
  },
  flops: ([, updates]) => elements(updates),
  reference: ([index, updates], { extent }) => {
    const row = updates.shape.slice(index.shape.length);
    const result = tabulate(updates.dtype, [extent.extent, ...row], () => 0);
    const width = row.reduce((a, b) => a * b, 1);
    eachPosition(updates.shape, (_, flat) => (result.data[index.data[Math.floor(flat / width)]! * width + (flat % width)]! += updates.data[flat]!));
    return result;
  },
  label: () => 'out[index[…], …] += updates',
  samples: [
    { operands: ['i32[2, 4]', '[2, 4, 3]'], attrs: { extent: dim(5) }, domain: [[0, 4], [-2, 2]] },
    { operands: ['i32[9]', '[9]'], attrs: { extent: dim(4) }, domain: [[0, 3], [-2, 2]] },
  ],
  rejects: {
    C1: { operands: ['i32[2]', '[3, 4]'], attrs: { extent: dim(5) } },
    C2: { operands: ['f32[2]', '[2, 4]'], attrs: { extent: dim(5) } },
  },
});

/** Row index[first axes], then the other axes up to `rank` as they are. */
const rowAt = (operand: number, index: TensorType, rank: number): readonly Index[] =>
  [{ gathered: load(operand, identity(index.dims.length)) }, ...identity(rank).slice(index.dims.length)];
