/** Sums and means: contractions of one operand. */
import { axisAt } from '../ir/affine.ts';
import { contract } from './contract.ts';
import { defineComposite, type Op } from './define.ts';
import { mul } from './elementwise.ts';
import { fullLike } from './full.ts';
import { reduceAttrs, reduceMap, reducedDims, reductionConstraint, sliceAlong } from './reduce.ts';
import { areAxes, countAlong, resolveAxes } from './shared.ts';

export const sum: Op<readonly ['x'], typeof reduceAttrs> = defineComposite({
  name: 'sum',
  doc: 'The sum over axes, as f32; truth values count as 0 and 1.',
  operands: ['x'],
  attrs: reduceAttrs,
  constraints: { C1: reductionConstraint },
  compose: ([x], { axes: given, keep }, require) => {
    const { dims } = x.type;
    const axes = resolveAxes(given, dims.length);
    require('C1', areAxes(axes, dims.length), () => `axes ${axes.join(', ')} of rank ${dims.length}`);
    const maps = [reduceMap(dims.length, axes, keep).map(axisAt)];
    return contract([x], { dims: reducedDims(dims, axes, keep), reduce: axes.map(axis => dims[axis]!), maps });
  },
  reference: ([x], { axes, keep }) => sliceAlong(x, axes, keep, 'f32', values => values.reduce((a, b) => a + b, 0)),
  samples: [
    { operands: ['[2, 3, 4]'], attrs: { axes: [0, 2], keep: false } },
    { operands: ['[2, 3, 4]'], attrs: { axes: [1], keep: true } },
    { operands: ['bool[5, 3]'], attrs: { axes: 'all', keep: false }, domain: [0, 1] },
  ],
  rejects: { C1: { operands: ['[2, 3]'], attrs: { axes: [2], keep: false } } },
});

export const mean: Op<readonly ['x'], typeof reduceAttrs> = defineComposite({
  name: 'mean',
  doc: 'The arithmetic mean over axes, as f32; of truth values the share that is true.',
  operands: ['x'],
  attrs: reduceAttrs,
  constraints: { C1: reductionConstraint },
  compose: ([x], { axes: given, keep }, require) => {
    const axes = resolveAxes(given, x.type.dims.length);
    require('C1', areAxes(axes, x.type.dims.length), () => `axes ${axes.join(', ')} of rank ${x.type.dims.length}`);
    const total = sum(x, { axes, keep });
    return mul(total, fullLike(total, 1 / countAlong(x.type, axes)));
  },
  reference: ([x], { axes, keep }) => sliceAlong(x, axes, keep, 'f32', values => values.reduce((a, b) => a + b, 0) / values.length),
  samples: [
    { operands: ['[2, 3, 4]'], attrs: { axes: [1], keep: false } },
    { operands: ['i32[2, 3]'], attrs: { axes: 'all', keep: true } },
  ],
  rejects: { C1: { operands: ['[2, 3]'], attrs: { axes: [2], keep: false } } },
});
