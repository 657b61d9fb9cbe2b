/**
 * Recurrences: a loop over steps as one value of the graph, and its results. None of them is a nest; what they mean is said by
 * `ir/scan.ts`, their gradient by `scan-gradient.ts`.
 */
import type { Value } from '../ir/graph.ts';
import { dim, printTypeLong, sameShape, shapeOf, tensor, type Dim, type TensorType } from '../ir/type.ts';
import { defineStructural, internal } from './define.ts';

const scanAttrs = {
  length: internal<Dim>('The number of steps.'),
  reversed: internal<boolean>('Whether positions run from the last to the first.'),
  carries: internal<number>('How many values are carried from step to step.'),
  yields: internal<number>('How many values are kept of every step.'),
};

/** Operands: the counter's leaf, the carried values' leaves, their initial values, their next values, what is yielded. */
export const scan = defineStructural({
  name: 'scan',
  structure: 'scan',
  operands: ['...operands'],
  attrs: scanAttrs,
  shape: (types, { length, carries, yields }) => {
    if (types.length !== 1 + 3 * carries + yields) throw new Error(`${types.length} operands for ${carries} carried values and ${yields} yields`);
    if (length.extent < 1) throw new Error(`${length.extent} steps`);
    for (let k = 1; k <= carries; k++) {
      const [leaf, initial, next] = [types[k]!, types[k + carries]!, types[k + 2 * carries]!];
      for (const other of [initial, next])
        if (!sameType(leaf, other)) throw new Error(`a carried value is ${printTypeLong(leaf)} and becomes ${printTypeLong(other)}`);
    }
    // It has no elements of its own: only its results have.
    return tensor('i32', [dim(0)]);
  },
});

const resultAttrs = { which: internal<number>('Which of them.'), type: internal<TensorType>('Its type.') };

export const scan_final = defineStructural({
  name: 'scan_final',
  structure: 'final',
  operands: ['scan'],
  attrs: resultAttrs,
  shape: (_, { type }) => type,
});

export const scan_sequence = defineStructural({
  name: 'scan_sequence',
  structure: 'sequence',
  operands: ['scan'],
  attrs: resultAttrs,
  shape: (_, { type }) => type,
});

/** A loop before it is a value. */
export interface Loop {
  readonly length: Dim;
  readonly reversed: boolean;
  readonly counter: Value;
  readonly carries: readonly { readonly leaf: Value; readonly initial: Value; readonly next: Value }[];
  readonly yields: readonly Value[];
}

/** The value of a loop. */
export function scanValue({ length, reversed, counter, carries, yields }: Loop): Value {
  const each = (part: 'leaf' | 'initial' | 'next'): readonly Value[] => carries.map(carry => carry[part]);
  const operands = [counter, ...each('leaf'), ...each('initial'), ...each('next'), ...yields];
  return scan(operands, { length, reversed, carries: carries.length, yields: yields.length });
}

/** A carried value of a scan after the last step. */
export const finalOf = (of: Value, which: number): Value => scan_final(of, { which, type: of.operands[1 + which]!.type });

/** What a scan yields, all steps along a new first dimension. */
export function sequenceOf(of: Value, which: number): Value {
  const { length, carries } = of.attrs as { readonly length: Dim; readonly carries: number };
  const { dtype, dims } = of.operands[1 + 3 * carries + which]!.type;
  return scan_sequence(of, { which, type: tensor(dtype, [length, ...dims]) });
}

const sameType = (a: TensorType, b: TensorType): boolean => a.dtype === b.dtype && sameShape(shapeOf(a), shapeOf(b));
