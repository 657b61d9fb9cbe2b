/** The matrix product, batched: one contraction. */
import { axisAt, type Affine } from '../ir/affine.ts';
import { printTypeLong, type Dim } from '../ir/type.ts';
import { contract } from './contract.ts';
import { defineComposite, type Op } from './define.ts';
import { broadcastDims, elementAt, named, printDim, printDims, tabulate } from './shared.ts';
import { broadcastIndex } from './view.ts';

export const matmul: Op<readonly ['a', 'b'], {}> = defineComposite({
  name: 'matmul',
  doc: 'The matrix product over the last axis of a and the last but one of b, leading axes broadcast; '
    + 'a vector is a row on the left and a column on the right.',
  operands: ['a', 'b'],
  attrs: {},
  constraints: { C1: 'operands have at least one axis', C2: 'inner dimensions agree', C3: 'leading dimensions broadcast' },
  compose: ([a, b], _, require) => {
    const left = a.type.dims;
    const right = b.type.dims;
    require('C1', left.length > 0 && right.length > 0, () => `a is ${printTypeLong(a.type)}, b is ${printTypeLong(b.type)}`);
    const inner = [left.at(-1)!, right.at(right.length > 1 ? -2 : -1)!] as const;
    require('C2', inner[0].extent === inner[1].extent, () => `${printDim(inner[0])} and ${printDim(inner[1])}`);
    const batch = broadcastDims(left.slice(0, -2), right.slice(0, -2));
    require('C3', batch !== null, () => `${printDims(left.slice(0, -2))} and ${printDims(right.slice(0, -2))}`);
    const dims = [...batch!, ...(left.length > 1 ? [left.at(-2)!] : []), ...(right.length > 1 ? [right.at(-1)!] : [])];
    const k = axisAt(dims.length);
    const leading = (own: readonly Dim[]): readonly Affine[] =>
      own.slice(0, -2).map((d, i) => broadcastIndex(d, batch!.length - (own.length - 2) + i));
    return contract([a, b], {
      dims,
      reduce: [named(...inner)],
      maps: [
        [...leading(left), ...(left.length > 1 ? [axisAt(batch!.length)] : []), k],
        [...leading(right), k, ...(right.length > 1 ? [axisAt(dims.length - 1)] : [])],
      ],
    });
  },
  reference: ([a, b]) => {
    const matrices = [a.shape.length === 1 ? [1, ...a.shape] : a.shape, b.shape.length === 1 ? [...b.shape, 1] : b.shape] as const;
    const [left, right] = [{ ...a, shape: matrices[0] }, { ...b, shape: matrices[1] }];
    const rank = Math.max(left.shape.length, right.shape.length);
    const aligned = (shape: readonly number[]): readonly number[] => [...new Array<number>(rank - shape.length).fill(1), ...shape];
    const batch = aligned(left.shape).slice(0, -2).map((extent, i) => Math.max(extent, aligned(right.shape)[i]!));
    const [rows, inner, columns] = [left.shape.at(-2)!, left.shape.at(-1)!, right.shape.at(-1)!];
    const leading = (shape: readonly number[], position: readonly number[]): readonly number[] =>
      shape.slice(0, -2).map((extent, i) => (extent === 1 ? 0 : position[rank - shape.length + i]!));
    const result = tabulate('f32', [...batch, rows, columns], position => {
      let sum = 0;
      for (let k = 0; k < inner; k++) {
        const factor = elementAt(left, [...leading(left.shape, position), position[rank - 2]!, k]);
        sum += factor * elementAt(right, [...leading(right.shape, position), k, position[rank - 1]!]);
      }
      return sum;
    });
    return { ...result, shape: [...batch, ...(a.shape.length > 1 ? [rows] : []), ...(b.shape.length > 1 ? [columns] : [])] };
  },
  samples: [
    { operands: ['[2, 5]', '[5, 3]'], attrs: {} },
    { operands: ['[4, 1, 2, 5]', '[6, 5, 3]'], attrs: {} },
    { operands: ['[2, 4, 3]', '[3]'], attrs: {} },
    { operands: ['[3]', '[2, 3, 4]'], attrs: {} },
    { operands: ['[7]', '[7]'], attrs: {} },
  ],
  rejects: {
    C1: { operands: ['[]', '[2]'], attrs: {} },
    C2: { operands: ['[2, 3]', '[4, 5]'], attrs: {} },
    C3: { operands: ['[2, 4, 5]', '[3, 5, 6]'], attrs: {} },
  },
});
