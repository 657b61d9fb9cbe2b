/**
 * Computed positions: one that a program may compute outside of its dimension counts as the nearest one inside, so that no target reads
 * or adds to what lies beside a tensor. Inputs that are positions as they are keep theirs: data is held against `index-limits.ts`.
 */
import { numeratorRange } from '../ir/affine.ts';
import type { Value } from '../ir/graph.ts';
import { isGathered, type Nest, type Scalar } from '../ir/nest.ts';
import { size } from '../ir/type.ts';
import type { Context } from './context.ts';
import { loaded, nestOf, source } from './index-limits.ts';
import { build, full } from './tensors.ts';

/** A value just built; where its nest gathers, with positions that are inside. */
export function nearest(context: Context, value: Value): Value {
  const body = nestOf(value)?.body;
  if (body?.kind !== 'load') return value;
  const operands = [...value.operands];
  body.at.forEach((at, d) => {
    const index = isGathered(at) ? loaded(at.gathered) : null;
    if (index) operands[index.operand] = inside(context, operands[index.operand]!, value.operands[body.operand]!.type.dims[d]!.extent);
  });
  return operands.every((operand, i) => operand === value.operands[i]) ? value : build(context, value.op!.definition.name, operands, value.attrs);
}

function inside(context: Context, index: Value, extent: number): Value {
  if (source(index).leaf?.role === 'input') return index;
  const [low, high] = rangeOf(index, deepest);
  const constant = (value: number): Value => full(context, value, 'i32', index.type.dims);
  const raised = low >= 0 ? index : build(context, 'maximum', [index, constant(0)]);
  return high < extent ? raised : build(context, 'minimum', [raised, constant(extent - 1)]);
}

/** The least and the largest whole number that something can be. */
type Range = readonly [number, number];
const anything: Range = [-(2 ** 31), 2 ** 31 - 1];

/** How many values one after the other are looked at; what lies behind may be anything of its type. */
const deepest = 24;

function rangeOf(value: Value, depth: number): Range {
  const { dtype } = value.type;
  if (dtype === 'bool') return [0, 1];
  if (dtype === 'u8') return [0, 255];
  const nest = nestOf(value);
  if (dtype !== 'i32' || nest === null || nest.scatter || depth === 0) return anything;
  switch (nest.combine) {
    case 'argmax': case 'argmin': return [0, size(nest.reduce) - 1];
    case 'add': case 'mul': return anything;
    case 'max': case 'min': case null: return rangeOfScalar(nest.body, nest, value.operands, depth);
    default: return nest.combine satisfies never;
  }
}

function rangeOfScalar(scalar: Scalar, nest: Nest, operands: readonly Value[], depth: number): Range {
  const range = (part: Scalar): Range => rangeOfScalar(part, nest, operands, depth);
  switch (scalar.kind) {
    case 'constant': return [scalar.value, scalar.value];
    case 'index': return numeratorRange(scalar.index, [...nest.space, ...nest.reduce]);
    case 'load': return rangeOf(operands[scalar.operand]!, depth - 1);
    case 'guard': return either(range(scalar.then), range(scalar.otherwise));
    case 'local': return anything;
    case 'apply': {
      const [a, b, c] = scalar.arguments.map(range) as [Range, Range, Range];
      switch (scalar.instruction) {
        case 'add': return wrapped([a[0] + b[0], a[1] + b[1]]);
        case 'sub': return wrapped([a[0] - b[1], a[1] - b[0]]);
        case 'neg': return wrapped([-a[1], -a[0]]);
        case 'max': return [Math.max(a[0], b[0]), Math.max(a[1], b[1])];
        case 'min': return [Math.min(a[0], b[0]), Math.min(a[1], b[1])];
        case 'mod': return b[0] > 0 ? [0, b[1] - 1] : anything;
        case 'select': return either(b, c);
        case 'to_i32': return a;
        default: return anything;
      }
    }
    default: return scalar satisfies never;
  }
}

/** What is too large begins again at the other end. */
const wrapped = ([low, high]: Range): Range => (low < anything[0] || high > anything[1] ? anything : [low, high]);

const either = (a: Range, b: Range): Range => [Math.min(a[0], b[0]), Math.max(a[1], b[1])];
