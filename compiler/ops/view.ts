/**
 * Data movement along affine indices. One primitive, `view`, and the names under which the language and the compiler use it:
 * transposes, broadcasts, slices, padding, windows.
 */
import { affine, alwaysInside, axisAt, fixed, printAffine, type Affine } from '../ir/affine.ts';
import { constant, guard, load } from '../ir/nest.ts';
import { dim, isFloat, printTypeLong, sameShape, shapeOf, tensor, type Dim } from '../ir/type.ts';
import { defineComposite, definePrimitive, internal, type Op } from './define.ts';
import { isInvertible, linearGradient } from './linear.ts';
import { areAxes, attribute, axisLetters, broadcastDims, elementAt, printDim, printDims, tabulate } from './shared.ts';

const viewAttrs = {
  dims: internal<readonly Dim[]>('The dimensions of the result.'),
  map: internal<readonly Affine[]>('For each dimension of x an index over the axes of the result.'),
  fill: internal<number | null>('What stands where an index does not exist or is outside; null promises that there is no such place.'),
};

export const view: Op<readonly ['x'], typeof viewAttrs> = definePrimitive({
  name: 'view',
  doc: 'The elements of x at affine indices: transposed, broadcast, sliced, padded, spread out or as windows.',
  operands: ['x'],
  attrs: viewAttrs,
  constraints: {
    C1: 'there is one index for each dimension of x',
    C2: 'each axis occurs in at most one index',
    C3: 'every position is inside, or there is a fill',
    C4: 'extents are positive',
  },
  shape: ([x], { dims, map, fill }, require) => {
    require('C1', x.dims.length === map.length, () => `${map.length} indices for rank ${x.dims.length}`);
    require('C4', dims.every(d => d.extent > 0), () => printDims(dims));
    const printed = (index: Affine): string => printAffine(index, axisLetters(dims));
    require('C2', isInvertible(map), () => map.map(printed).join(', '));
    const extents = dims.map(d => d.extent);
    const isInside = (index: Affine, d: number): boolean => alwaysInside(index, extents, x.dims[d]!.extent);
    require('C3', fill !== null || map.every(isInside),
      () => map.flatMap((index, d) => (isInside(index, d) ? [] : [`${printed(index)} leaves ${printDim(x.dims[d]!)}`])).join(' and '));
    return tensor(x.dtype, dims);
  },
  gradient: ({ operands: [x], grad, attrs: { dims, map } }) =>
    [isFloat(x.type.dtype) ? linearGradient({ operand: x.type, at: map, space: dims, reduce: [], grad, factors: [] }) : null],
  lower: ([x], { map, fill }, out) => {
    const space = shapeOf(out);
    const checks = map.flatMap((index, d) => {
      const { extent } = x.dims[d]!;
      return alwaysInside(index, space, extent) ? [] : [{ index, extent }];
    });
    return { space, reduce: [], combine: null, body: guard(checks, load(0, map), constant(fill ?? 0, x.dtype)) };
  },
  flops: () => 0,
  reference: ([x], { dims, map, fill }) => tabulate(x.dtype, dims.map(d => d.extent), position => {
    const where = map.map(({ terms, offset, divisor }) => terms.reduce((at, term) => at + term.times * position[term.axis]!, offset) / divisor);
    return where.every((at, d) => Number.isInteger(at) && at >= 0 && at < x.shape[d]!) ? elementAt(x, where) : fill!;
  }),
  label: (_, { dims, map }) => `x[${map.map(index => printAffine(index, axisLetters(dims))).join(', ')}]`,
  samples: [
    // A transpose with a broadcast axis in the middle and an element picked.
    { operands: ['[2, 3, 4]'], attrs: { dims: [dim(3), dim(5), dim(2)], map: [axisAt(2), axisAt(0), fixed(1)], fill: null } },
    // Padding of one side, every second element backwards.
    {
      operands: ['[4, 9]'],
      attrs: { dims: [dim(6), dim(5)], map: [affine([{ axis: 0, times: 1 }], -1), affine([{ axis: 1, times: -2 }], 8)], fill: 0.5 },
    },
    // Spread out with gaps of two: elements only at multiples of three.
    { operands: ['[3]'], attrs: { dims: [dim(8)], map: [affine([{ axis: 0, times: 1 }], -1, 3)], fill: 0 } },
    // Windows of three with step 2, dilation 3 and padding 2.
    {
      operands: ['[2, 10]'],
      attrs: { dims: [dim(2), dim(5), dim(3)], map: [axisAt(0), affine([{ axis: 1, times: 2 }, { axis: 2, times: 3 }], -2)], fill: -1 },
    },
    { operands: ['i32[2, 3]'], attrs: { dims: [dim(3), dim(2)], map: [axisAt(1), axisAt(0)], fill: null } },
  ],
  rejects: {
    C1: { operands: ['[2, 3]'], attrs: { dims: [dim(2)], map: [axisAt(0)], fill: null } },
    C2: { operands: ['[3, 4]'], attrs: { dims: [dim(3)], map: [axisAt(0), axisAt(0)], fill: null } },
    C3: { operands: ['[3]'], attrs: { dims: [dim(4)], map: [axisAt(0)], fill: null } },
    C4: { operands: ['[3]'], attrs: { dims: [dim(0)], map: [axisAt(0)], fill: 0 } },
  },
});

const transposeAttrs = { axes: attribute('permutation', 'Where each axis of the result comes from.') };

export const transpose: Op<readonly ['x'], typeof transposeAttrs> = defineComposite({
  name: 'transpose',
  doc: 'The axes of x in another order.',
  operands: ['x'],
  attrs: transposeAttrs,
  constraints: { C1: 'the axes are a permutation of the axes of x' },
  compose: ([x], { axes }, require) => {
    const { dims } = x.type;
    require('C1', axes.length === dims.length && areAxes(axes, dims.length), () => `axes ${axes.join(', ')} for ${printTypeLong(x.type)}`);
    return view(x, { dims: axes.map(axis => dims[axis]!), map: dims.map((_, axis) => axisAt(axes.indexOf(axis))), fill: null });
  },
  reference: ([x], { axes }) => tabulate(x.dtype, axes.map(axis => x.shape[axis]!), position => {
    const from = new Array<number>(axes.length);
    axes.forEach((axis, i) => (from[axis] = position[i]!));
    return elementAt(x, from);
  }),
  samples: [{ operands: ['[2, 3, 4]'], attrs: { axes: [2, 0, 1] } }, { operands: ['[2, 3]'], attrs: { axes: [1, 0] } }],
  rejects: { C1: { operands: ['[2, 3]'], attrs: { axes: [0, 0] } } },
});

const broadcastAttrs = { dims: attribute('dims', 'The dimensions of the result.') };

export const broadcast: Op<readonly ['x'], typeof broadcastAttrs> = defineComposite({
  name: 'broadcast',
  doc: 'Repeats x along new leading axes and along axes of extent 1, as NumPy does.',
  operands: ['x'],
  attrs: broadcastAttrs,
  constraints: { C1: 'the shape of x broadcasts to the shape given' },
  compose: ([x], { dims }, require) => {
    const common = broadcastDims(dims, x.type.dims);
    const holds = common !== null && common.length === dims.length && common.every((d, i) => d.extent === dims[i]!.extent);
    require('C1', holds, () => `${printDims(x.type.dims)} and ${printDims(dims)}`);
    if (sameShape(shapeOf(x.type), dims.map(d => d.extent))) return x;
    return view(x, { dims: common!, map: x.type.dims.map((d, i) => broadcastIndex(d, dims.length - x.type.dims.length + i)), fill: null });
  },
  reference: ([x], { dims }) => tabulate(x.dtype, dims.map(d => d.extent), position =>
    elementAt(x, x.shape.map((extent, i) => (extent === 1 ? 0 : position[dims.length - x.shape.length + i]!)))),
  samples: [{ operands: ['[3, 1]'], attrs: { dims: [dim(2), dim(3), dim(4)] } }, { operands: ['[]'], attrs: { dims: [dim(2), dim(3)] } }],
  rejects: { C1: { operands: ['[3]'], attrs: { dims: [dim(3), dim(2)] } } },
});

/** The index of a dimension that is read along an axis, or repeated when it has extent 1. */
export const broadcastIndex = (d: Dim, axis: number): Affine => (d.extent === 1 ? fixed(0) : axisAt(axis));

const sliceAttrs = {
  starts: internal<readonly number[]>('The first position of each axis.'),
  stops: internal<readonly number[]>('The position before which each axis ends, in the direction of its step.'),
  steps: internal<readonly number[]>('The step of each axis; negative ones run backwards.'),
};

export const slice: Op<readonly ['x'], typeof sliceAttrs> = defineComposite({
  name: 'slice',
  doc: 'Every step-th element from start up to but not including stop, along each axis.',
  operands: ['x'],
  attrs: sliceAttrs,
  constraints: {
    C1: 'there is a start, a stop and a step other than 0 for each axis',
    C2: 'the slice holds at least one element and lies inside x',
  },
  compose: ([x], { starts, stops, steps }, require) => {
    const { dims } = x.type;
    const complete = [starts, stops, steps].every(list => list.length === dims.length) && steps.every(step => step !== 0);
    require('C1', complete, () => `steps ${steps.join(', ')} for rank ${dims.length}`);
    const extents = dims.map((_, i) => Math.ceil((stops[i]! - starts[i]!) / steps[i]!));
    dims.forEach((d, i) => {
      const ends = [starts[i]!, starts[i]! + (extents[i]! - 1) * steps[i]!];
      const inside = extents[i]! > 0 && ends.every(end => end >= 0 && end < d.extent);
      require('C2', inside, () => `${starts[i]!}:${stops[i]!}:${steps[i]!} of ${printDim(d)}`);
    });
    return view(x, {
      dims: dims.map((d, i) => (d.extent === extents[i]! ? d : dim(extents[i]!))),
      map: dims.map((_, i) => affine([{ axis: i, times: steps[i]! }], starts[i]!)),
      fill: null,
    });
  },
  reference: ([x], { starts, stops, steps }) => tabulate(x.dtype, x.shape.map((_, i) => Math.ceil((stops[i]! - starts[i]!) / steps[i]!)), position =>
    elementAt(x, position.map((at, i) => starts[i]! + at * steps[i]!))),
  samples: [
    { operands: ['[5, 7, 3]'], attrs: { starts: [1, 6, 0], stops: [4, -1, 3], steps: [1, -2, 1] } },
    { operands: ['[9]'], attrs: { starts: [1], stops: [9], steps: [5] } },
  ],
  rejects: {
    C1: { operands: ['[5]'], attrs: { starts: [0], stops: [5], steps: [0] } },
    C2: { operands: ['[5]'], attrs: { starts: [2], stops: [6], steps: [1] } },
  },
});

const padAttrs = {
  low: attribute('integers', 'Elements to add before the first, for each axis.'),
  high: attribute('integers', 'Elements to add after the last, for each axis.'),
  value: attribute('number', 'What they hold.', 0),
};

export const pad: Op<readonly ['x'], typeof padAttrs> = defineComposite({
  name: 'pad',
  doc: 'Adds elements of one value at the ends of each axis; negative numbers cut off instead.',
  operands: ['x'],
  attrs: padAttrs,
  constraints: { C1: 'low and high have one number for each axis', C2: 'something is left of each axis' },
  compose: ([x], { low, high, value }, require) => {
    const { dims } = x.type;
    require('C1', low.length === dims.length && high.length === dims.length, () => `${low.length} and ${high.length} for ${printTypeLong(x.type)}`);
    const padded = dims.map((d, i) => (low[i] === 0 && high[i] === 0 ? d : dim(d.extent + low[i]! + high[i]!)));
    padded.forEach((d, i) => require('C2', d.extent > 0, () => `${printDim(dims[i]!)} with ${low[i]!} and ${high[i]!}`));
    if ([...low, ...high].every(count => count === 0)) return x;
    return view(x, {
      dims: padded,
      map: dims.map((_, i) => affine([{ axis: i, times: 1 }], -low[i]!)),
      fill: [...low, ...high].every(count => count <= 0) ? null : value,
    });
  },
  reference: ([x], { low, high, value }) => tabulate(x.dtype, x.shape.map((extent, i) => extent + low[i]! + high[i]!), position => {
    const from = position.map((at, i) => at - low[i]!);
    return from.every((at, i) => at >= 0 && at < x.shape[i]!) ? elementAt(x, from) : value;
  }),
  samples: [
    { operands: ['[2, 3, 4]'], attrs: { low: [0, 1, -1], high: [0, 3, 2], value: -2 } },
    { operands: ['[7, 2]'], attrs: { low: [-1, 0], high: [-2, 0], value: 0 } },
  ],
  rejects: {
    C1: { operands: ['[2, 3]'], attrs: { low: [1], high: [1], value: 0 } },
    C2: { operands: ['[3]'], attrs: { low: [-1], high: [-2], value: 0 } },
  },
});

const unsqueezeAttrs = { axis: attribute('integer', 'Where the new axis stands in the result; negative from the end.') };

export const unsqueeze: Op<readonly ['x'], typeof unsqueezeAttrs> = defineComposite({
  name: 'unsqueeze',
  doc: 'Adds an axis of extent 1.',
  operands: ['x'],
  attrs: unsqueezeAttrs,
  constraints: { C1: 'the axis exists in the result' },
  compose: ([x], { axis }, require) => {
    const { dims } = x.type;
    const at = axis < 0 ? axis + dims.length + 1 : axis;
    require('C1', areAxes([at], dims.length + 1), () => `axis ${axis} for ${printTypeLong(x.type)}`);
    return view(x, { dims: [...dims.slice(0, at), dim(1), ...dims.slice(at)], map: dims.map((_, i) => axisAt(i < at ? i : i + 1)), fill: null });
  },
  reference: ([x], { axis }) => {
    const shape = [...x.shape];
    shape.splice(axis < 0 ? axis + shape.length + 1 : axis, 0, 1);
    return { ...x, shape };
  },
  samples: [{ operands: ['[2, 3]'], attrs: { axis: 1 } }, { operands: ['[2, 3]'], attrs: { axis: -1 } }],
  rejects: { C1: { operands: ['[2, 3]'], attrs: { axis: 3 } } },
});

const squeezeAttrs = { axis: attribute('axis', 'The axis to drop.') };

export const squeeze: Op<readonly ['x'], typeof squeezeAttrs> = defineComposite({
  name: 'squeeze',
  doc: 'Drops an axis of extent 1.',
  operands: ['x'],
  attrs: squeezeAttrs,
  constraints: { C1: 'the axis has extent 1' },
  compose: ([x], { axis }, require) => {
    const { dims } = x.type;
    require('C1', dims[axis]?.extent === 1, () => `axis ${axis} of ${printTypeLong(x.type)}`);
    const map = dims.map((_, i) => (i === axis ? fixed(0) : axisAt(i < axis ? i : i - 1)));
    return view(x, { dims: dims.filter((_, i) => i !== axis), map, fill: null });
  },
  reference: ([x], { axis }) => ({ ...x, shape: x.shape.filter((_, i) => i !== axis) }),
  samples: [{ operands: ['[2, 1, 3]'], attrs: { axis: 1 } }],
  rejects: { C1: { operands: ['[2, 3]'], attrs: { axis: 1 } } },
});
