/** Functions that neither the op table nor the library can express: shapes looked at, tensors cut in parts, random numbers. */
import { dtypes, type Dim } from '../ir/type.ts';
import type { Formal, Given } from './call.ts';
import { fail, limits, Reported, type Context } from './context.ts';
import { derivative } from './derivative.ts';
import { toDim } from './dims.ts';
import { describe, list, number, tensorItem, type Item, type TensorItem } from './item.ts';
import { uniformTensor } from './random.ts';
import { build, full, quoteDim, resolveAxis, toTensor } from './tensors.ts';
import { spanText } from '../source/text.ts';

export interface Builtin {
  readonly signature: string;
  readonly doc: string;
  readonly parameters: readonly Formal[];
  readonly run: (context: Context, given: ReadonlyMap<string, Given>) => Item;
}

const required = (name: string): Formal => ({ name, required: true });
const optional = (name: string): Formal => ({ name, required: false });

const table: readonly (readonly [string, Builtin])[] = [
  ['rank', {
    signature: 'rank(x)', doc: 'The number of dimensions of a tensor; 0 for a number.',
    parameters: [required('x')],
    run: (context, given) => number(tensorOf(context, given.get('x')!)?.value.type.dims.length ?? 0),
  }],
  ['shape', {
    signature: 'shape(x)', doc: 'The dimensions of a tensor, as a list of numbers that keep their names.',
    parameters: [required('x')],
    run: (context, given) => list((tensorOf(context, given.get('x')!)?.value.type.dims ?? []).map(d => number(d.extent, d))),
  }],
  ['size', {
    signature: 'size(x, axis = none)', doc: 'The extent of one axis, or the number of elements.',
    parameters: [required('x'), optional('axis')],
    run: (context, given) => {
      const dims = tensorOf(context, given.get('x')!)?.value.type.dims ?? [];
      const axis = given.get('axis');
      if (axis === undefined || axis.item.kind === 'none') return number(dims.reduce((product, d) => product * d.extent, 1));
      const d = dims[resolveAxis(context, axis.item, dims, spanText(axis.span))]!;
      return number(d.extent, d);
    },
  }],
  ['dtype', {
    signature: 'dtype(x)', doc: 'The type of the elements, to be compared: `dtype(x) == i32`.',
    parameters: [required('x')],
    run: (context, given) => ({ kind: 'dtype', dtype: toTensor(context, given.get('x')!.item).type.dtype }),
  }],
  ['length', {
    signature: 'length(list)', doc: 'The number of elements of a list.',
    parameters: [required('list')],
    run: (context, given) => {
      const { item, span } = given.get('list')!;
      return item.kind === 'list' ? number(item.elements.length) : fail(context, {
        code: 'type.argument', message: `\`length\` takes a list, found ${describe(item)}`, span,
      });
    },
  }],
  ['repeat', {
    signature: 'repeat(value, count)', doc: 'A list of `count` times the value; a list that has that length already stays as it is.',
    parameters: [required('value'), required('count')],
    run: (context, given) => {
      const { item, span } = given.get('value')!;
      const count = numberOf(context, given.get('count')!);
      if (!Number.isInteger(count) || count < 0 || count > limits.list) fail(context, {
        code: 'type.size', message: `a list has between 0 and ${limits.list.toLocaleString('en')} elements, not ${count}`,
      });
      if (item.kind !== 'list') return list(Array.from({ length: count }, () => item));
      return item.elements.length === count ? item : fail(context, {
        code: 'type.argument', message: `expected one number or a list of ${count}, found ${describe(item)}`, span,
      });
    },
  }],
  ['other_axes', {
    signature: 'other_axes(x, axis)', doc: 'Every axis of a tensor but one, as a list.',
    parameters: [required('x'), required('axis')],
    run: (context, given) => {
      const { dims } = toTensor(context, given.get('x')!.item).type;
      const axis = given.get('axis')!;
      const left = resolveAxis(context, axis.item, dims, spanText(axis.span));
      return list(dims.flatMap((_, i) => (i === left ? [] : [number(i)])));
    },
  }],
  ['full', {
    signature: 'full(value, dims, dtype = f32)', doc: 'A tensor with one number everywhere.',
    parameters: [required('value'), required('dims'), optional('dtype')],
    run: (context, given) => {
      const value = numberOf(context, given.get('value')!);
      const dims = given.get('dims')!;
      const dtype = given.get('dtype')?.item ?? { kind: 'dtype', dtype: 'f32' as const };
      if (dtype.kind !== 'dtype') return fail(context, {
        code: 'type.argument', message: `\`dtype\` is one of ${dtypes.join(', ')}, found ${describe(dtype)}`,
      });
      return tensorItem(full(context, value, dtype.dtype, dimsOf(context, dims)));
    },
  }],
  ['full_like', {
    signature: 'full_like(x, value)', doc: 'A tensor with the shape and type of `x` and one number everywhere.',
    parameters: [required('x'), required('value')],
    run: (context, given) => {
      const { type } = toTensor(context, given.get('x')!.item);
      return tensorItem(full(context, numberOf(context, given.get('value')!), type.dtype, type.dims));
    },
  }],
  ['split', {
    signature: 'split(x, parts, axis = -1)', doc: 'A tensor cut along an axis into equal parts: `a, b = split(x, 2)`.',
    parameters: [required('x'), required('parts'), optional('axis')],
    run: (context, given) => {
      const x = toTensor(context, given.get('x')!.item);
      const parts = numberOf(context, given.get('parts')!);
      const axisGiven = given.get('axis');
      const axis = resolveAxis(context, axisGiven?.item ?? number(-1), x.type.dims, axisGiven ? spanText(axisGiven.span) : '-1');
      const whole = x.type.dims[axis]!;
      if (!Number.isInteger(parts) || parts < 1 || whole.extent % parts !== 0) {
        return fail(context, { code: 'type.split', message: `${quoteDim(whole)} is not divisible into ${parts} equal parts` });
      }
      const extent = whole.extent / parts;
      const bounds = (value: number): number[] => x.type.dims.map((d, i) => (i === axis ? value : d.extent));
      return list(Array.from({ length: parts }, (_, i) => tensorItem(build(context, 'slice', [x], {
        starts: x.type.dims.map((_, d) => (d === axis ? i * extent : 0)), stops: bounds((i + 1) * extent), steps: x.type.dims.map(() => 1),
      }))));
    },
  }],
  ['grad', {
    signature: 'grad(y, x)', doc: 'The derivative of the sum of `y` by a tensor that it is computed from, of the shape of `x`; by a list of tensors, a list.',
    parameters: [required('y'), required('x')],
    run: (context, given) => derivative(context, given.get('y')!, given.get('x')!),
  }],
  ['vocabulary', {
    signature: 'vocabulary(input)', doc: 'The number of different tokens of the texts that the data block feeds to an input.',
    parameters: [required('input')],
    run: (context, given) => {
      const { item, span } = given.get('input')!;
      const name = item.kind === 'tensor' && item.value.leaf?.role === 'input' ? item.value.leaf.name : null;
      const found = name === null ? undefined : context.registry.vocabularies.get(name);
      if (found === null) throw new Reported();
      if (found !== undefined) return number(found.vocabulary.size);
      return fail(context, {
        code: 'data.vocabulary', span,
        message: name === null ? `\`vocabulary\` takes an input of the model, found ${describe(item)}` : `the data block feeds no texts to the input \`${name}\``,
        help: name === null ? null : 'write the number itself, or read a text: `train = text("book.txt", …)`',
      });
    },
  }],
  ['random_uniform', {
    signature: 'random_uniform(dims = none)',
    doc: 'Uniform random numbers in [0, 1) of a shape; without `dims`, of the shape of the parameter whose initial value they are, and one number in a row of a source.',
    parameters: [optional('dims')],
    run: (context, given) => {
      const dims = given.get('dims');
      if (dims !== undefined && dims.item.kind !== 'none') return tensorItem(uniformTensor(context, dimsOf(context, dims)));
      if (context.initialiser === null && context.source === null) return fail(context, {
        code: 'name.initialiser', message: '`random_uniform` without a shape is known only in initial values and in sources of data',
        help: 'give the shape, `random_uniform([B, 4])`, or use `uniform_like(x)`',
      });
      return tensorItem(uniformTensor(context, context.initialiser?.type.dims ?? []));
    },
  }],
  ['initial_shape', {
    signature: 'initial_shape()', doc: 'In the initial value of a parameter: its dimensions.',
    parameters: [],
    run: context => {
      if (context.initialiser === null) return fail(context, {
        code: 'name.initialiser', message: '`initial_shape` is known only in the initial value of a parameter',
        help: 'use `shape(x)` elsewhere',
      });
      return list(context.initialiser.type.dims.map(d => number(d.extent, d)));
    },
  }],
  ['uniform_like', {
    signature: 'uniform_like(x)', doc: 'Uniform random numbers in [0, 1) of the shape of `x`, new at every step.',
    parameters: [required('x')],
    run: (context, given) => tensorItem(uniformTensor(context, toTensor(context, given.get('x')!.item).type.dims)),
  }],
];

export const builtins: ReadonlyMap<string, Builtin> = new Map(table);

/** The tensor given, or null for a number, which has no dimensions. */
function tensorOf(context: Context, given: Given): TensorItem | null {
  context.shapeRead = true;
  if (given.item.kind === 'number') return null;
  return given.item.kind === 'tensor' ? given.item : tensorItem(toTensor(context, given.item));
}

/** A shape: a list of dimensions, or a single one. */
const dimsOf = (context: Context, { item, span }: Given): Dim[] =>
  (item.kind === 'list' ? item.elements : [item]).map(element => toDim(context, element, spanText(span)));

function numberOf(context: Context, given: Given): number {
  return given.item.kind === 'number' ? given.item.value : fail(context, {
    code: 'type.argument', message: `expected a number, found ${describe(given.item)}`, span: given.span,
  });
}
