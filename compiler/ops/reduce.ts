/** Reductions other than sums: extremes, their positions, products. Gradients of extremes flow to the first extreme alone. */
import { affine, axisAt, fixed, type Affine } from '../ir/affine.ts';
import type { Value } from '../ir/graph.ts';
import { load, type Combine, type Nest } from '../ir/nest.ts';
import { dim, elements, isFloat, printTypeLong, shapeOf, size, strides, tensor, type Dim, type DType, type TensorType } from '../ir/type.ts';
import { definePrimitive, type AttrsOf, type Op, type Require, type Tensor } from './define.ts';
import { equal, mul, select } from './elementwise.ts';
import { fullLike, range } from './full.ts';
import { areAxes, attribute, eachPosition, isNumber, resolveAxes, tabulate } from './shared.ts';
import { view } from './view.ts';

export const reduceAttrs = {
  axes: attribute('axes', 'The axes to reduce; all of them by default.', 'all'),
  keep: attribute('boolean', 'Whether reduced axes stay, with extent 1.', false),
};
const positionAttrs = { ...reduceAttrs, axes: attribute('axes', 'The axes to search; the last one by default.', [-1]) };

export const reductionConstraint = 'the axes are different axes of x';
const constraints = { C1: reductionConstraint, C2: 'elements are numbers, i32 or floating-point' };
const rejects = {
  C1: { operands: ['[2, 3]'], attrs: { axes: [2], keep: false } },
  C2: { operands: ['bool[2, 3]'], attrs: { axes: [1], keep: false } },
} as const;

export const max: Op<readonly ['x'], typeof reduceAttrs> = extreme('max', 'largest', values => Math.max(...values));
export const min: Op<readonly ['x'], typeof reduceAttrs> = extreme('min', 'smallest', values => Math.min(...values));
export const argmax: Op<readonly ['x'], typeof positionAttrs> = position('argmax', 'largest', values => values.indexOf(Math.max(...values)));
export const argmin: Op<readonly ['x'], typeof positionAttrs> = position('argmin', 'smallest', values => values.indexOf(Math.min(...values)));

export const prod: Op<readonly ['x'], typeof reduceAttrs> = definePrimitive({
  name: 'prod',
  doc: 'The product over axes.',
  operands: ['x'],
  attrs: reduceAttrs,
  constraints,
  shape: ([x], attrs, require) => reducedType(x, attrs, x.dtype, require),
  // The product of the others, computed and not divided out, so that it is right where elements are 0.
  gradient: ({ operands: [x], grad, attrs: { axes: given, keep } }) => {
    if (!isFloat(x.type.dtype)) return [null];
    const { dims } = x.type;
    const axes = resolveAxes(given, dims.length);
    const others = [...dims, ...axes.map(axis => dims[axis]!)];
    const along = (first: readonly number[]): Value => positions(x.type, axes, others, first);
    const map = dims.map((_, axis) => axisAt(axes.includes(axis) ? dims.length + axes.indexOf(axis) : axis));
    const spread = view(x, { dims: others, map, fill: null });
    const same = equal(along(axes), along(axes.map((_, i) => dims.length + i)));
    const product = prod(select(same, fullLike(spread, 1), spread), { axes: axes.map((_, i) => dims.length + i), keep: false });
    return [mul(spreadBack(grad, x.type, axes, keep), product)];
  },
  lower: ([x], attrs, out) => reduction(x, attrs, out, 'mul'),
  flops: ([x], { axes }) => (resolveAxes(axes, x.dims.length).length > 0 ? elements(x) : 0),
  reference: ([x], { axes, keep }) => sliceAlong(x, axes, keep, x.dtype, values => values.reduce((a, b) => a * b, 1)),
  samples: [
    { operands: ['[2, 3, 4]'], attrs: { axes: [0, 2], keep: false } },
    { operands: ['[2, 3]'], attrs: { axes: [1], keep: true } },
    { operands: ['[5]'], attrs: { axes: 'all', keep: false } },
    { operands: ['[2]'], attrs: { axes: 'all', keep: false }, domain: [0, 0] },
  ],
  rejects,
});

type Reference = (values: readonly number[]) => number;

function extreme(name: 'max' | 'min', which: string, reference: Reference): Op<readonly ['x'], typeof reduceAttrs> {
  return definePrimitive({
    name,
    doc: `The ${which} element over axes; the gradient flows to the first one of them.`,
    operands: ['x'],
    attrs: reduceAttrs,
    constraints,
    shape: ([x], attrs, require) => reducedType(x, attrs, x.dtype, require),
    gradient: ({ operands: [x], grad, attrs: { axes: given, keep } }) => {
      if (!isFloat(x.type.dtype)) return [null];
      const axes = resolveAxes(given, x.type.dims.length);
      const first = (name === 'max' ? argmax : argmin)(x, { axes, keep });
      const here = equal(positions(x.type, axes, x.type.dims, axes), spreadBack(first, x.type, axes, keep));
      const spread = spreadBack(grad, x.type, axes, keep);
      return [select(here, spread, fullLike(spread, 0))];
    },
    lower: ([x], attrs, out) => reduction(x, attrs, out, name),
    flops: ([x], { axes }) => (resolveAxes(axes, x.dims.length).length > 0 ? elements(x) : 0),
    reference: ([x], { axes, keep }) => sliceAlong(x, axes, keep, x.dtype, reference),
    samples: [
      { operands: ['[2, 3, 4]'], attrs: { axes: [0, 2], keep: false } },
      { operands: ['[2, 3]'], attrs: { axes: [1], keep: true } },
      { operands: ['i32[5, 2]'], attrs: { axes: 'all', keep: false } },
    ],
    rejects,
  });
}

function position(name: 'argmax' | 'argmin', which: string, reference: Reference): Op<readonly ['x'], typeof positionAttrs> {
  return definePrimitive({
    name,
    doc: `The position of the ${which} element along axes, as i32: of the first one where several are equal, row-major over several axes.`,
    operands: ['x'],
    attrs: positionAttrs,
    constraints: { ...constraints, C3: 'there is an axis to search' },
    shape: ([x], attrs, require) => {
      require('C3', attrs.axes === 'all' ? x.dims.length > 0 : attrs.axes.length > 0 && x.dims.length > 0, () => `${printTypeLong(x)}`);
      return reducedType(x, attrs, 'i32', require);
    },
    gradient: 'none',
    lower: ([x], attrs, out) => reduction(x, attrs, out, name),
    flops: ([x]) => elements(x),
    reference: ([x], { axes, keep }) => sliceAlong(x, axes, keep, 'i32', reference),
    samples: [
      { operands: ['[2, 3, 4]'], attrs: { axes: [0, 2], keep: false } },
      { operands: ['[2, 7]'], attrs: { axes: [-1], keep: true } },
      // Small whole numbers, so that several are equal.
      { operands: ['i32[3, 11]'], attrs: { axes: [1], keep: false }, domain: [0, 2] },
    ],
    rejects: { ...rejects, C3: { operands: ['[]'], attrs: { axes: 'all', keep: false } } },
  });
}

type ReduceAttrs = AttrsOf<typeof reduceAttrs>;

function reducedType(x: TensorType, { axes: given, keep }: ReduceAttrs, dtype: DType, require: Require<'C1' | 'C2'>): TensorType {
  const axes = resolveAxes(given, x.dims.length);
  require('C1', areAxes(axes, x.dims.length), () => `axes ${axes.join(', ')} of ${printTypeLong(x)}`);
  require('C2', isNumber(x.dtype), () => `x is ${printTypeLong(x)}`);
  return tensor(dtype, reducedDims(x.dims, axes, keep));
}

/** The dimensions that are left, with ones for those reduced when they are kept. */
export const reducedDims = (dims: readonly Dim[], axes: readonly number[], keep: boolean): readonly Dim[] =>
  keep ? dims.map((d, axis) => (axes.includes(axis) ? dim(1) : d)) : dims.filter((_, axis) => !axes.includes(axis));

/** For each dimension of the operand its axis in a nest whose space is the result's and whose reduce axes are `axes`. */
export function reduceMap(rank: number, axes: readonly number[], keep: boolean): readonly number[] {
  const space = keep ? rank : rank - axes.length;
  return Array.from({ length: rank }, (_, axis) =>
    axes.includes(axis) ? space + axes.indexOf(axis) : keep ? axis : axis - axes.filter(reduced => reduced < axis).length);
}

function reduction(x: TensorType, { axes: given, keep }: ReduceAttrs, out: TensorType, combine: Combine): Nest {
  const axes = resolveAxes(given, x.dims.length);
  return {
    space: shapeOf(out),
    reduce: axes.map(axis => x.dims[axis]!.extent),
    combine: axes.length > 0 ? combine : null,
    body: load(0, reduceMap(x.dims.length, axes, keep).map(axisAt)),
  };
}

/** A reduction's result repeated along the axes reduced. */
function spreadBack(result: Value, type: TensorType, axes: readonly number[], keep: boolean): Value {
  const all = type.dims.map((_, axis): Affine => (axes.includes(axis) ? fixed(0) : axisAt(axis)));
  return view(result, { dims: type.dims, map: keep ? all : all.filter((_, axis) => !axes.includes(axis)), fill: null });
}

/** Row-major position over `axes` of a tensor, as a tensor over `dims` in which `along` stand for them. */
function positions(type: TensorType, axes: readonly number[], dims: readonly Dim[], along: readonly number[]): Value {
  const shape = axes.map(axis => type.dims[axis]!.extent);
  const index = affine(along.map((axis, i) => ({ axis, times: strides(shape)[i]! })));
  return view(range({ n: size(shape) }), { dims, map: [index], fill: null });
}

/** A reference reduction: each result from the list of values that it stands for, row-major. */
export function sliceAlong(x: Tensor, given: readonly number[] | 'all', keep: boolean, dtype: DType, combine: (values: readonly number[]) => number): Tensor {
  const axes = resolveAxes(given, x.shape.length);
  const groups = new Map<string, number[]>();
  eachPosition(x.shape, (position, flat) => {
    const key = position.filter((_, axis) => !axes.includes(axis)).join();
    groups.set(key, [...(groups.get(key) ?? []), x.data[flat]!]);
  });
  const values = [...groups.values()];
  const shape = x.shape.flatMap((extent, axis) => (axes.includes(axis) ? (keep ? [1] : []) : [extent]));
  return tabulate(dtype, shape, (_, flat) => combine(values[flat]!));
}
