/**
 * Sums of products of affine loads, the one primitive behind sums, matrix products, einsums and convolutions, and behind the
 * gradients of all of them. Every index is affine and inside for all iterations, so nests of it need no guards.
 */
import { alwaysInside, affine, axisAt, printAffine, type Affine } from '../ir/affine.ts';
import { apply, load, type Scalar } from '../ir/nest.ts';
import { dim, isFloat, shapeOf, size, tensor, type Dim } from '../ir/type.ts';
import { definePrimitive, internal, type Op } from './define.ts';
import { linearGradient } from './linear.ts';
import { axisLetters, eachPosition, elementAt, tabulate } from './shared.ts';

const contractAttrs = {
  dims: internal<readonly Dim[]>('The dimensions of the result: the space axes.'),
  reduce: internal<readonly Dim[]>('The axes summed over, numbered after the space axes.'),
  maps: internal<readonly (readonly Affine[])[]>('For each operand an index for each of its dimensions, over space and reduce axes.'),
};

export const contract: Op<readonly ['...factors'], typeof contractAttrs> = definePrimitive({
  name: 'contract',
  doc: 'The sum over the reduce axes of the product of its operands, each read at affine indices. '
    + 'Operands of other types are converted; the result is f32.',
  operands: ['...factors'],
  attrs: contractAttrs,
  constraints: {
    C1: 'there is one index for each dimension of each operand',
    C2: 'every position that is read is inside its operand',
  },
  shape: (factors, { dims, reduce, maps }, require) => {
    require('C1', factors.length > 0 && factors.length === maps.length && factors.every((type, k) => type.dims.length === maps[k]!.length),
      () => `ranks ${factors.map(type => type.dims.length).join(', ')} and ${maps.map(map => map.length).join(', ')} indices`);
    const extents = [...dims, ...reduce].map(d => d.extent);
    const outside = factors.flatMap((type, k) => maps[k]!.flatMap((index, d) => (alwaysInside(index, extents, type.dims[d]!.extent) ? [] : [{ index, extent: type.dims[d]!.extent }])));
    require('C2', outside.length === 0, () => {
      const names = axisLetters([...dims, ...reduce]);
      return outside.map(({ index, extent }) => `${printAffine(index, names)} leaves 0 … ${extent - 1}`).join(' and ');
    });
    return tensor('f32', dims);
  },
  gradient: ({ operands, grad, attrs: { dims, reduce, maps } }) => operands.map((operand, k) => {
    if (!isFloat(operand.type.dtype)) return null;
    const factors = operands.map((value, i) => ({ value, at: maps[i]! })).filter((_, i) => i !== k);
    return linearGradient({ operand: operand.type, at: maps[k]!, space: dims, reduce, grad, factors });
  }),
  lower: (factors, { reduce, maps }, out) => {
    const loads: readonly Scalar[] = factors.map((type, k) => (type.dtype === 'f32' ? load(k, maps[k]!) : apply('to_f32', load(k, maps[k]!))));
    return {
      space: shapeOf(out),
      reduce: reduce.map(d => d.extent),
      combine: reduce.length > 0 ? 'add' : null,
      body: loads.reduce((left, right) => apply('mul', left, right)),
    };
  },
  flops: (factors, { reduce }, out) => size(shapeOf(out)) * size(reduce.map(d => d.extent)) * (factors.length - 1 + (reduce.length > 0 ? 1 : 0)),
  reference: (factors, { dims, reduce, maps }) => tabulate('f32', dims.map(d => d.extent), position => {
    let sum = 0;
    eachPosition(reduce.map(d => d.extent), inner => {
      const axes = [...position, ...inner];
      const where = (index: Affine): number => index.terms.reduce((at, term) => at + term.times * axes[term.axis]!, index.offset);
      sum += factors.reduce((product, factor, k) => product * elementAt(factor, maps[k]!.map(where)), 1);
    });
    return sum;
  }),
  label: (factors, { dims, reduce, maps }) => {
    const names = axisLetters([...dims, ...reduce]);
    const indices = (map: readonly Affine[]): string => map.map(index => printAffine(index, names)).join(', ');
    const loads = factors.map((_, k) => `${String.fromCharCode(65 + k)}[${indices(maps[k]!)}]`);
    return `${reduce.length > 0 ? `Σ ${names.slice(dims.length).join(',')}  ` : ''}${loads.join(' · ')}`;
  },
  samples: [
    // A matrix product.
    {
      operands: ['[2, 5]', '[5, 3]'],
      attrs: { dims: [dim(2), dim(3)], reduce: [dim(5)], maps: [[axisAt(0), axisAt(2)], [axisAt(2), axisAt(1)]] },
    },
    // A convolution with stride 2 and dilation 3: out[i] = Σ_u x[2i + 3u] w[u].
    {
      operands: ['[12]', '[3]'],
      attrs: { dims: [dim(2)], reduce: [dim(3)], maps: [[affine([{ axis: 0, times: 2 }, { axis: 1, times: 3 }])], [axisAt(1)]] },
    },
    // Every second element, backwards, with weights that see the sum's axis only through a sum of axes.
    {
      operands: ['[9]', '[7]'],
      attrs: { dims: [dim(3)], reduce: [dim(4)], maps: [[affine([{ axis: 1, times: -2 }], 8)], [affine([{ axis: 0, times: 1 }, { axis: 1, times: 1 }])]] },
    },
    // A weighted trace, and a sum of every third element: nothing but the gradient can guard these.
    { operands: ['[4, 3]', '[3]'], attrs: { dims: [], reduce: [dim(3)], maps: [[axisAt(0), axisAt(0)], [axisAt(0)]] } },
    { operands: ['[8]'], attrs: { dims: [dim(2)], reduce: [dim(3)], maps: [[affine([{ axis: 1, times: 3 }], 1)]] } },
    // A factor longer than the axis, which cannot guard it: out = Σ_i x[2i] w[i].
    { operands: ['[9]', '[5]'], attrs: { dims: [], reduce: [dim(3)], maps: [[affine([{ axis: 0, times: 2 }])], [axisAt(0)]] } },
    // Indices that share axes: out[i] = Σ_uv x[2i + u, 3i + v, 1].
    {
      operands: ['[5, 8, 2]'],
      attrs: {
        dims: [dim(3)], reduce: [dim(1), dim(2)],
        maps: [[affine([{ axis: 0, times: 2 }, { axis: 1, times: 1 }]), affine([{ axis: 0, times: 3 }, { axis: 2, times: 1 }]), affine([], 1)]],
      },
    },
    // Only some of the rows, scaled axes on both sides: out[j] = Σ_i x[2i, 3i] y[4i + j].
    {
      operands: ['[6, 7]', '[11]'],
      attrs: {
        dims: [dim(2)], reduce: [dim(3)],
        maps: [[affine([{ axis: 1, times: 2 }]), affine([{ axis: 1, times: 3 }])], [affine([{ axis: 0, times: 1 }, { axis: 1, times: 4 }])]],
      },
    },
    // An outer product of three, one of them of whole numbers.
    {
      operands: ['[2]', '[3]', 'u8[4]'],
      attrs: { dims: [dim(4), dim(2), dim(3)], reduce: [], maps: [[axisAt(1)], [axisAt(2)], [axisAt(0)]] },
      domain: [0, 3],
    },
  ],
  rejects: {
    C1: { operands: ['[2, 3]'], attrs: { dims: [dim(2)], reduce: [], maps: [[axisAt(0)]] } },
    C2: { operands: ['[2]'], attrs: { dims: [dim(3)], reduce: [], maps: [[axisAt(0)]] } },
  },
});
