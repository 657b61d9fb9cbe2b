/** Tensors made of nothing: one constant everywhere, the whole numbers from 0, uniform random numbers. Nothing flows back. */
import { affine, axisAt } from '../ir/affine.ts';
import { uniform } from '../ir/arithmetic.ts';
import type { Value } from '../ir/graph.ts';
import { apply, constant, index, load } from '../ir/nest.ts';
import { dim, elements, printTypeLong, shapeOf, strides, tensor, type Dim, type DType } from '../ir/type.ts';
import { definePrimitive, internal, type Op } from './define.ts';
import { attribute, tabulate } from './shared.ts';

const fullAttrs = {
  value: internal<number>('The value of every element.'),
  dims: internal<readonly Dim[]>('The dimensions.'),
  dtype: internal<DType>('The type of the elements.'),
};

export const full: Op<readonly [], typeof fullAttrs> = definePrimitive({
  name: 'full',
  doc: 'A tensor with one value everywhere.',
  operands: [],
  attrs: fullAttrs,
  constraints: {},
  shape: (_, { dims, dtype }) => tensor(dtype, dims),
  gradient: 'none',
  lower: (_, { value, dtype }, out) => ({ space: shapeOf(out), reduce: [], combine: null, body: constant(value, dtype) }),
  flops: () => 0,
  reference: (_, { value, dims, dtype }) => tabulate(dtype, dims.map(d => d.extent), () => value),
  label: (_, { value }) => String(value),
  samples: [
    { operands: [], attrs: { value: 1.5, dims: [dim(2), dim(3)], dtype: 'f32' } },
    { operands: [], attrs: { value: -2, dims: [], dtype: 'i32' } },
  ],
  rejects: {},
});

/** A constant of the type of `x`. */
export const fullLike = (x: Value, value: number): Value => full({ value, dims: x.type.dims, dtype: x.type.dtype });

const rangeAttrs = { n: attribute('integer', 'How many numbers.') };

export const range: Op<readonly [], typeof rangeAttrs> = definePrimitive({
  name: 'range',
  doc: 'The whole numbers 0 … n − 1 as i32.',
  operands: [],
  attrs: rangeAttrs,
  constraints: { C1: 'there is at least one number' },
  shape: (_, { n }, require) => {
    require('C1', n >= 1, () => `n is ${n}`);
    return tensor('i32', [dim(n)]);
  },
  gradient: 'none',
  lower: (_, { n }) => ({ space: [n], reduce: [], combine: null, body: index(axisAt(0)) }),
  flops: () => 0,
  reference: (_, { n }) => tabulate('i32', [n], ([i]) => i!),
  samples: [{ operands: [], attrs: { n: 5 } }],
  rejects: { C1: { operands: [], attrs: { n: 0 } } },
});

const randomAttrs = {
  dims: internal<readonly Dim[]>('The dimensions.'),
  stream: internal<number>('Different for every use in a program, so that no two draw the same numbers.'),
};

export const random: Op<readonly ['seed', 'step'], typeof randomAttrs> = definePrimitive({
  name: 'random',
  doc: 'Uniform random numbers in [0, 1), a function of seed, stream, step and position alone (Threefry-2x32, 20 rounds).',
  operands: ['seed', 'step'],
  attrs: randomAttrs,
  constraints: { C1: 'seed and step are i32 scalars' },
  shape: (operands, { dims }, require) => {
    require('C1', operands.every(type => type.dtype === 'i32' && type.dims.length === 0), () => operands.map(printTypeLong).join(' and '));
    return tensor('f32', dims);
  },
  gradient: 'none',
  lower: (_, { stream }, out) => {
    const shape = shapeOf(out);
    const position = index(affine(strides(shape).map((times, axis) => ({ axis, times }))));
    return { space: shape, reduce: [], combine: null, body: apply('random', load(0, []), constant(stream, 'i32'), load(1, []), position) };
  },
  flops: (_, __, out) => elements(out),
  reference: ([seed, step], { dims, stream }) =>
    tabulate('f32', dims.map(d => d.extent), (_, flat) => uniform(seed.data[0]!, stream, step.data[0]!, flat)),
  samples: [{ operands: ['i32[]', 'i32[]'], attrs: { dims: [dim(3), dim(5)], stream: 3 }, domain: [0, 1000] }],
  rejects: { C1: { operands: ['f32[]', 'i32[]'], attrs: { dims: [dim(3)], stream: 0 } } },
});
