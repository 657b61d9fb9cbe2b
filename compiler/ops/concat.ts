/** Tensors one after the other along an axis. */
import { affine, axisAt } from '../ir/affine.ts';
import { constant, guard, load } from '../ir/nest.ts';
import { dim, isFloat, printTypeLong, shapeOf, tensor, type TensorType } from '../ir/type.ts';
import { definePrimitive, type Op } from './define.ts';
import { attribute, commonDims, elementAt, tabulate } from './shared.ts';
import { view } from './view.ts';

const concatAttrs = { axis: attribute('axis', 'The axis along which they stand one after the other.') };

export const concat: Op<readonly ['...xs'], typeof concatAttrs> = definePrimitive({
  name: 'concat',
  doc: 'Its operands one after the other along an axis.',
  operands: ['...xs'],
  attrs: concatAttrs,
  constraints: {
    C1: 'there is an operand, and the axis is one of its axes',
    C2: 'operands have one type of element and agree in all dimensions but the axis',
  },
  shape: (xs, { axis }, require) => {
    const types = (): string => xs.map(printTypeLong).join(', ');
    require('C1', xs.length > 0 && axis >= 0 && axis < xs[0]!.dims.length, () => `axis ${axis} of ${types() || 'no operand'}`);
    const first = xs[0]!;
    const agrees = (x: TensorType): boolean =>
      x.dtype === first.dtype && x.dims.length === first.dims.length && x.dims.every((d, i) => i === axis || d.extent === first.dims[i]!.extent);
    require('C2', xs.every(agrees), types);
    const total = xs.reduce((sum, x) => sum + x.dims[axis]!.extent, 0);
    return tensor(first.dtype, commonDims(xs).map((d, i) => (i !== axis || xs.length === 1 ? d : dim(total))));
  },
  gradient: ({ operands: xs, grad, attrs: { axis } }) => {
    let start = 0;
    return xs.map(x => {
      const map = x.type.dims.map((_, i) => (i === axis ? affine([{ axis: i, times: 1 }], start) : axisAt(i)));
      start += x.type.dims[axis]!.extent;
      return isFloat(x.type.dtype) ? view(grad, { dims: x.type.dims, map, fill: null }) : null;
    });
  },
  lower: (xs, { axis }, out) => {
    let start = shapeOf(out)[axis]!;
    const body = xs.reduceRight((rest, x, k) => {
      start -= x.dims[axis]!.extent;
      const index = affine([{ axis, times: 1 }], -start);
      return guard([{ index, extent: x.dims[axis]!.extent }], load(k, x.dims.map((_, i) => (i === axis ? index : axisAt(i)))), rest);
    }, constant(0, out.dtype));
    return { space: shapeOf(out), reduce: [], combine: null, body };
  },
  flops: () => 0,
  reference: (xs, { axis }) => {
    const total = xs.reduce((sum, x) => sum + x.shape[axis]!, 0);
    return tabulate(xs[0]!.dtype, xs[0]!.shape.map((extent, i) => (i === axis ? total : extent)), position => {
      let at = position[axis]!;
      for (const x of xs) {
        if (at < x.shape[axis]!) return elementAt(x, position.map((p, i) => (i === axis ? at : p)));
        at -= x.shape[axis]!;
      }
      return 0;
    });
  },
  samples: [
    { operands: ['[2, 3]', '[2, 5]', '[2, 1]'], attrs: { axis: 1 } },
    { operands: ['i32[4]', 'i32[3]'], attrs: { axis: 0 } },
    { operands: ['[2, 3]'], attrs: { axis: 0 } },
  ],
  rejects: {
    C1: { operands: ['[2, 3]', '[2, 3]'], attrs: { axis: 2 } },
    C2: { operands: ['[2, 3]', '[4, 5]'], attrs: { axis: 1 } },
  },
});
