/** The same elements in row-major order under another shape. */
import { affine, fixed, identity, type Affine, type Term } from '../ir/affine.ts';
import { load } from '../ir/nest.ts';
import { dim, isFloat, shapeOf, size, tensor, type Dim, type Shape } from '../ir/type.ts';
import { definePrimitive, type Op } from './define.ts';
import { attribute, printDims } from './shared.ts';

const reshapeAttrs = { dims: attribute('dims', 'The new dimensions; one of them may be −1, which then takes what is left.') };

export const reshape: Op<readonly ['x'], typeof reshapeAttrs> = definePrimitive({
  name: 'reshape',
  doc: 'The elements of x in row-major order under another shape. One dimension may be −1 and takes what is left.',
  operands: ['x'],
  attrs: reshapeAttrs,
  constraints: { C1: 'both shapes have the same number of elements', C2: 'dimensions are positive, but for at most one −1' },
  shape: ([x], { dims }, require) => {
    const open = dims.filter(d => d.extent === -1).length;
    require('C2', open <= 1 && dims.every(d => d.extent > 0 || d.extent === -1), () => printDims(dims));
    const count = size(shapeOf(x));
    const known = size(dims.filter(d => d.extent !== -1).map(d => d.extent));
    const holds = open === 1 ? count % known === 0 : count === known;
    require('C1', holds, () => `${printDims(x.dims)} has ${count} elements, ${printDims(dims)} ${open === 1 ? `a multiple of ${known}` : known}`);
    return tensor(x.dtype, dims.map((d): Dim => (d.extent === -1 ? dim(count / known, d.name) : d)));
  },
  gradient: ({ operands: [x], grad }) => [isFloat(x.type.dtype) ? reshape(grad, { dims: x.type.dims }) : null],
  lower: ([x], _, out) => {
    const space = shapeOf(out);
    const split = splitMap(shapeOf(x), space);
    const nest = { space, reduce: [], combine: null };
    return split ? { ...nest, body: load(0, split) } : { ...nest, body: load(0, identity(space.length)), reinterpret: [space] };
  },
  flops: () => 0,
  reference: ([x], { dims }) => {
    const known = size(dims.map(d => d.extent).filter(extent => extent !== -1));
    return { ...x, shape: dims.map(d => (d.extent === -1 ? x.data.length / known : d.extent)) };
  },
  samples: [
    { operands: ['[2, 3, 4]'], attrs: { dims: [dim(6), dim(4)] } },
    { operands: ['[2, 12]'], attrs: { dims: [dim(2), dim(1), dim(4), dim(3)] } },
    { operands: ['[4, 6]'], attrs: { dims: [dim(3), dim(-1)] } },
    { operands: ['[1]'], attrs: { dims: [] } },
  ],
  rejects: {
    C1: { operands: ['[2, 3]'], attrs: { dims: [dim(5)] } },
    C2: { operands: ['[2, 3]'], attrs: { dims: [dim(-1), dim(-1)] } },
  },
});

/**
 * When `to` only splits dimensions of `from` and adds or drops ones: the index of each dimension of `from`, Σ stride·axis over the
 * axes of `to` that it was split into. Null when dimensions are merged, which no affine index expresses.
 */
export function splitMap(from: Shape, to: Shape): readonly Affine[] | null {
  const map: Affine[] = [];
  let next = 0;
  for (const extent of from) {
    const first = next;
    let covered = 1;
    while (covered < extent && next < to.length) covered *= to[next++]!;
    if (covered !== extent) return null;
    const terms: Term[] = [];
    for (let axis = first, stride = extent; axis < next; axis++) {
      stride /= to[axis]!;
      if (to[axis]! > 1) terms.push({ axis, times: stride });
    }
    map.push(terms.length === 0 ? fixed(0) : affine(terms));
  }
  return to.slice(next).every(extent => extent === 1) ? map : null;
}
