/** Sliding windows, and convolution as the contraction of windows that are never stored. */
import { affine, alwaysInside, axisAt, type Affine } from '../ir/affine.ts';
import { dim, printTypeLong, type Dim } from '../ir/type.ts';
import { contract } from './contract.ts';
import { defineComposite, type Op } from './define.ts';
import { reshape } from './reshape.ts';
import { attribute, eachPosition, elementAt, named, printDim, tabulate } from './shared.ts';
import { pad, view } from './view.ts';

const geometryAttrs = {
  stride: attribute('integers', 'The step from one window to the next: one number, or one for each spatial axis.', [1]),
  padding: attribute('integers', 'How far windows reach over both edges.', [0]),
  dilation: attribute('integers', 'The step between elements of one window.', [1]),
};
const geometryConstraints = {
  C1: 'stride, padding and dilation are one number or one for each spatial axis; strides and dilations are positive, paddings not negative',
  C2: 'a window fits into the padded extent',
};

/** How windows lie along one axis. */
interface Geometry {
  readonly input: Dim;
  readonly size: number;
  readonly stride: number;
  readonly padding: number;
  readonly dilation: number;
  readonly output: Dim;
}

const windowAttrs = {
  size: attribute('integers', 'The extents of a window: one for each of the last axes of x.'),
  ...geometryAttrs,
  fill: attribute('number', 'What windows see beyond the edges.', 0),
};

export const window: Op<readonly ['x'], typeof windowAttrs> = defineComposite({
  name: 'window',
  doc: 'All windows along the last axes of x: from [.., H, W] to [.., windows down, windows across, height, width]. '
    + 'Pooling reduces the last axes.',
  operands: ['x'],
  attrs: windowAttrs,
  constraints: { ...geometryConstraints, C3: 'x has an axis for each extent of the window' },
  compose: ([x], { size, fill, ...given }, require) => {
    const { dims } = x.type;
    require('C3', size.length > 0 && size.length <= dims.length, () => `window ${size.join(' × ')} on ${printTypeLong(x.type)}`);
    const leading = dims.length - size.length;
    const windows = geometry(dims.slice(leading), size, given, require);
    const result = [...dims.slice(0, leading), ...windows.map(w => w.output), ...size.map(extent => dim(extent))];
    const map = dims.map((_, i) => (i < leading ? axisAt(i) : windowIndex(windows[i - leading]!, i, i + size.length, true)));
    const inside = map.every((index, i) => alwaysInside(index, result.map(d => d.extent), dims[i]!.extent));
    return view(x, { dims: result, map, fill: inside ? null : fill });
  },
  reference: ([x], { size, fill, ...given }) => {
    const leading = x.shape.length - size.length;
    const { stride, padding, dilation } = eachAxis(given, size.length);
    const counts = size.map((extent, i) => countWindows(x.shape[leading + i]!, extent, stride[i]!, padding[i]!, dilation[i]!));
    return tabulate(x.dtype, [...x.shape.slice(0, leading), ...counts, ...size], position => {
      const inWindow = size.map((_, i) => position[leading + i]! * stride[i]! + position[leading + size.length + i]! * dilation[i]! - padding[i]!);
      const at = [...position.slice(0, leading), ...inWindow];
      return at.every((p, i) => p >= 0 && p < x.shape[i]!) ? elementAt(x, at) : fill;
    });
  },
  samples: [
    { operands: ['[2, 4, 6]'], attrs: { size: [2, 3], stride: [2, 3], padding: [0], dilation: [1], fill: 0 } },
    { operands: ['[3, 9]'], attrs: { size: [4], stride: [2], padding: [1], dilation: [2], fill: -5 } },
  ],
  rejects: {
    C1: { operands: ['[2, 8]'], attrs: { size: [2], stride: [0], padding: [0], dilation: [1], fill: 0 } },
    C2: { operands: ['[2, 3]'], attrs: { size: [4], stride: [1], padding: [0], dilation: [1], fill: 0 } },
    C3: { operands: ['[8]'], attrs: { size: [2, 2], stride: [1], padding: [0], dilation: [1], fill: 0 } },
  },
});

const convolutionAttrs = {
  ...geometryAttrs,
  groups: attribute('integer', 'Channels are divided into so many groups that do not see each other.', 1),
};

export const convolution: Op<readonly ['x', 'weight'], typeof convolutionAttrs> = defineComposite({
  name: 'convolution',
  doc: 'Cross-correlation of x: [B, C, spatial…] with weight: [O, C / groups, window…], over one to three spatial axes, '
    + 'laid out as PyTorch does.',
  operands: ['x', 'weight'],
  attrs: convolutionAttrs,
  constraints: {
    ...geometryConstraints,
    C3: 'x and weight have the same rank, 3 to 5',
    C4: 'groups divide the channels of x and of the result',
    C5: 'the weight has as many input channels as a group of x',
  },
  compose: ([x, weight], { groups, ...given }, require) => {
    const [batch, channels, ...spatial] = x.type.dims;
    const [outputs, inner, ...size] = weight.type.dims;
    const rank = x.type.dims.length;
    const types = (): string => `x is ${printTypeLong(x.type)}, weight is ${printTypeLong(weight.type)}`;
    require('C3', rank === weight.type.dims.length && rank >= 3 && rank <= 5, types);
    const divides = groups >= 1 && channels!.extent % groups === 0 && outputs!.extent % groups === 0;
    require('C4', divides, () => `${printDim(channels!)} and ${printDim(outputs!)} in ${groups} groups`);
    require('C5', inner!.extent * groups === channels!.extent, () => `${printDim(inner!)}${groups > 1 ? ` · ${groups} groups` : ''} and ${printDim(channels!)}`);
    const windows = geometry(spatial, size.map(d => d.extent), given, require);

    const low = [0, 0, ...windows.map(w => w.padding)];
    const padded = pad(x, { low, high: low, value: 0 });
    const n = spatial.length;
    const group = groups > 1 ? [dim(groups)] : [];
    const perGroup = dim(outputs!.extent / groups);
    const grouped = groups > 1 ? reshape(padded, { dims: [batch!, ...group, inner!, ...padded.type.dims.slice(2)] }) : padded;
    const kernel = groups > 1 ? reshape(weight, { dims: [...group, perGroup, inner!, ...size] }) : weight;
    // Axes: batch, group if any, output channel, window positions; then input channel and positions in the window.
    const g = group.length;
    const position = g + 2;
    const c = position + n;
    const groupAxis = group.map(() => axisAt(1));
    const result = contract([grouped, kernel], {
      dims: [batch!, ...group, groups > 1 ? perGroup : outputs!, ...windows.map(w => w.output)],
      reduce: [groups > 1 ? inner! : named(channels!, inner!), ...size],
      maps: [
        [axisAt(0), ...groupAxis, axisAt(c), ...windows.map((w, i) => windowIndex(w, position + i, c + 1 + i, false))],
        [...groupAxis, axisAt(g + 1), axisAt(c), ...windows.map((_, i) => axisAt(c + 1 + i))],
      ],
    });
    return groups > 1 ? reshape(result, { dims: [batch!, outputs!, ...windows.map(w => w.output)] }) : result;
  },
  reference: ([x, weight], { groups, ...given }) => {
    const size = weight.shape.slice(2);
    const { stride, padding, dilation } = eachAxis(given, size.length);
    const counts = size.map((extent, i) => countWindows(x.shape[2 + i]!, extent, stride[i]!, padding[i]!, dilation[i]!));
    const [outputs, inner] = [weight.shape[0]!, weight.shape[1]!];
    return tabulate('f32', [x.shape[0]!, outputs, ...counts], ([b, o, ...out]) => {
      const first = Math.floor(o! / (outputs / groups)) * inner;
      let sum = 0;
      eachPosition([inner, ...size], ([c, ...in_]) => {
        const at = in_.map((u, i) => out[i]! * stride[i]! + u * dilation[i]! - padding[i]!);
        const inside = at.every((p, i) => p >= 0 && p < x.shape[2 + i]!);
        if (inside) sum += elementAt(x, [b!, first + c!, ...at]) * elementAt(weight, [o!, c!, ...in_]);
      });
      return sum;
    });
  },
  samples: [
    { operands: ['[2, 3, 9]', '[4, 3, 5]'], attrs: { stride: [1], padding: [0], dilation: [1], groups: 1 } },
    { operands: ['[1, 2, 8, 9]', '[5, 2, 4, 3]'], attrs: { stride: [2, 1], padding: [1, 0], dilation: [1, 3], groups: 1 } },
    { operands: ['[2, 6, 7]', '[4, 3, 2]'], attrs: { stride: [3], padding: [2], dilation: [2], groups: 2 } },
    { operands: ['[1, 2, 3, 4, 5]', '[1, 2, 3, 1, 4]'], attrs: { stride: [1, 2, 3], padding: [1], dilation: [1], groups: 1 } },
  ],
  rejects: {
    C1: { operands: ['[2, 3, 9]', '[4, 3, 5]'], attrs: { stride: [1, 1], padding: [0], dilation: [1], groups: 1 } },
    C2: { operands: ['[2, 3, 4]', '[4, 3, 5]'], attrs: { stride: [1], padding: [0], dilation: [1], groups: 1 } },
    C3: { operands: ['[2, 3, 9]', '[4, 3]'], attrs: { stride: [1], padding: [0], dilation: [1], groups: 1 } },
    C4: { operands: ['[2, 3, 9]', '[4, 1, 5]'], attrs: { stride: [1], padding: [0], dilation: [1], groups: 2 } },
    C5: { operands: ['[2, 3, 9]', '[4, 2, 5]'], attrs: { stride: [1], padding: [0], dilation: [1], groups: 1 } },
  },
});

interface Given {
  readonly stride: readonly number[];
  readonly padding: readonly number[];
  readonly dilation: readonly number[];
}

function geometry(
  inputs: readonly Dim[], size: readonly number[], given: Given,
  require: (label: 'C1' | 'C2', holds: boolean, detail: () => string) => void,
): readonly Geometry[] {
  const lists = [given.stride, given.padding, given.dilation];
  const valid = lists.every(list => list.length === 1 || list.length === size.length)
    && given.stride.every(s => s > 0) && given.padding.every(p => p >= 0) && given.dilation.every(d => d > 0);
  require('C1', valid, () => `stride ${given.stride.join(', ')}, padding ${given.padding.join(', ')}, dilation ${given.dilation.join(', ')} for ${size.length} axes`);
  return inputs.map((input, i) => {
    const at = (list: readonly number[]): number => list[list.length === 1 ? 0 : i]!;
    const along = { input, size: size[i]!, stride: at(given.stride), padding: at(given.padding), dilation: at(given.dilation) };
    const reach = along.dilation * (along.size - 1) + 1;
    const span = input.extent + 2 * along.padding;
    require('C2', reach >= 1 && reach <= span, () => `window ${reach} in ${printDim(input)}${along.padding > 0 ? ` + 2 · ${along.padding}` : ''}`);
    const extent = Math.floor((span - reach) / along.stride) + 1;
    return { ...along, output: extent === input.extent ? input : dim(extent) };
  });
}

/** stride·position + dilation·inside, less the padding when x is not padded. */
const windowIndex = (w: Geometry, position: number, inside: number, unpadded: boolean): Affine =>
  affine([{ axis: position, times: w.stride }, { axis: inside, times: w.dilation }], unpadded ? -w.padding : 0);

/** For the references: what is given once, for every axis. */
function eachAxis({ stride, padding, dilation }: Given, count: number): Given {
  const spread = (list: readonly number[]): readonly number[] => Array.from({ length: count }, (_, i) => list[i % list.length]!);
  return { stride: spread(stride), padding: spread(padding), dilation: spread(dilation) };
}

/** The number of windows along an axis, counted one by one. */
function countWindows(extent: number, size: number, stride: number, padding: number, dilation: number): number {
  let count = 0;
  while (count * stride + dilation * (size - 1) < extent + 2 * padding) count++;
  return count;
}
