/**
 * Fusion by substitution: the expression of a value at given indices, in terms of stored values alone. A view composes its index
 * map, an elementwise value its body; what cannot be written so is reported as a value that has to be stored.
 */
import { affine, alwaysInside, axisAt, numeratorRange, plainAxis, substitute, type Affine } from '../ir/affine.ts';
import type { Value } from '../ir/graph.ts';
import { apply, guard, isGathered, load, type Index, type Nest, type Scalar } from '../ir/nest.ts';
import type { Scan } from '../ir/scan.ts';
import { elements, shapeOf, type Shape } from '../ir/type.ts';
import { linear, type Source } from './draft.ts';
import { hasNest, type Lowering } from './lower.ts';
import { evenPosition } from './steps.ts';

/** Thrown inside a schedule only: this value needs memory of its own. */
export class MustStore extends Error {
  readonly value: Value;
  constructor(value: Value) {
    super('a value has to be stored');
    this.value = value;
  }
}

/** The contiguous elements of a stored value that a value is, if it is that: reshapes and leading slices take no kernel. */
export function placeOf(value: Value, lowering: Lowering): { readonly root: Value; readonly offset: number } | null {
  if (value.op === null || lowering.stored.has(value)) return { root: value, offset: 0 };
  if (!hasNest(value)) return null;
  const nest = lowering.nest(value);
  const { body } = nest;
  if (nest.combine !== null || nest.scatter || body.kind !== 'load') return null;
  const operand = value.operands[body.operand]!;
  const address = linear({ root: operand, offset: 0, shape: readShape(nest, body.operand, operand), dtype: operand.type.dtype }, body.at);
  if (address === null || !isContiguous(address, nest.space)) return null;
  const inner = placeOf(operand, lowering);
  return inner && { root: inner.root, offset: inner.offset + address.offset };
}

export const readShape = (nest: Nest, operand: number, value: Value): Shape => nest.reinterpret?.[operand] ?? shapeOf(value.type);

/** Whether an address runs through memory in row-major order of the space, without gaps. */
function isContiguous(address: Affine, space: Shape): boolean {
  const times = new Map(address.terms.map(term => [term.axis, term.times]));
  let stride = 1;
  for (let axis = space.length - 1; axis >= 0; axis--) {
    if (space[axis] !== 1 && times.get(axis) !== stride) return false;
    stride *= space[axis]!;
  }
  return true;
}

export interface Expansion {
  /** The value at indices over the kernel's axes. */
  readonly expression: (value: Value, at: readonly Index[]) => Scalar;
  /** A nest's body, with its axes standing for the kernel's own. */
  readonly body: (value: Value, nest: Nest, axes: readonly Index[]) => Scalar;
  /** What was loaded, numbered as the loads are. */
  readonly sources: readonly Source[];
}

/**
 * A load from a flat leaf at a constant distance is a load from the named tensor there: then layers that differ only in where their
 * parameters lie are the same kernel.
 */
function withinPlacement(
  source: Source,
  at: readonly Index[],
  extents: Shape,
  { placementAt }: Lowering,
): { readonly source: Source; readonly at: readonly Index[] } {
  const [index] = at;
  if (source.root.op !== null || source.shape.length !== 1 || isGathered(index!) || index!.divisor !== 1) return { source, at };
  const [low, high] = numeratorRange(index!, extents);
  const placement = placementAt(source.root, source.offset + low, source.offset + high + 1);
  if (placement === undefined || elements(placement.type) === source.shape[0]) return { source, at };
  const moved = placement.offset - source.offset;
  return {
    source: { ...source, offset: placement.offset, shape: [elements(placement.type)] },
    at: [affine(index!.terms, index!.offset - moved)],
  };
}

/**
 * For one kernel whose axes have the given extents. In the body of loops one more axis for each, behind all others, stands for the step:
 * what is read at a position that moves evenly with it is read at an index like any other.
 */
export function expansion(lowering: Lowering, axesOf: Shape, around: readonly Scan[] = []): Expansion {
  const extents = [...axesOf, ...around.map(({ length }) => length.extent)];
  const stepOf = new Map(around.map((scan, k) => [scan.counter, axisAt(axesOf.length + k)]));
  const sources: Source[] = [];
  const known = new Map<Value, Map<string, Scalar>>();

  const source = (wanted: Source): number => {
    const at = sources.findIndex(s => s.root === wanted.root && s.offset === wanted.offset && s.shape.join() === wanted.shape.join());
    return at >= 0 ? at : sources.push(wanted) - 1;
  };
  const expression = (value: Value, at: readonly Index[], shape: Shape = shapeOf(value.type)): Scalar => {
    const step = stepOf.get(value);
    if (step !== undefined) return { kind: 'index', index: step };
    const place = placeOf(value, lowering);
    if (place) {
      const narrowed = withinPlacement({ ...place, shape, dtype: value.type.dtype }, at, extents, lowering);
      return load(source(narrowed.source), narrowed.at);
    }
    if (shape.join() !== shapeOf(value.type).join()) throw new MustStore(value);
    const key = JSON.stringify(at);
    const earlier = known.get(value)?.get(key);
    if (earlier) return earlier;
    if (!hasNest(value)) throw new MustStore(value);
    const nest = lowering.nest(value);
    if (nest.combine !== null || nest.scatter) throw new MustStore(value);
    const result = body(value, nest, at);
    known.set(value, (known.get(value) ?? new Map<string, Scalar>()).set(key, result));
    return result;
  };
  const body = (value: Value, nest: Nest, axes: readonly Index[]): Scalar => {
    const at = (index: Index): Index => {
      if (isGathered(index)) {
        const gathered = change(index.gathered);
        return around.length === 0 ? { gathered } : (evenPosition(gathered) ?? { gathered });
      }
      const plain = plainAxis(index);
      if (plain !== null) return axes[plain]!;
      return composed(index);
    };
    const composed = (index: Affine): Affine => {
      if (index.terms.some(term => isGathered(axes[term.axis]!))) throw new MustStore(value);
      const result = substitute(index, axes as readonly Affine[]);
      if (result === null) throw new MustStore(value);
      return result;
    };
    const change = (scalar: Scalar): Scalar => {
      switch (scalar.kind) {
        case 'constant':
        case 'local':
          return scalar;
        case 'index': {
          const result = at(scalar.index);
          if (isGathered(result)) return result.gathered;
          if (result.divisor !== 1) throw new MustStore(value);
          return { kind: 'index', index: result };
        }
        case 'load': {
          const operand = value.operands[scalar.operand]!;
          const positions = scalar.at.map(at);
          // A gathered index needs memory that it can point into.
          if (positions.some(isGathered) && placeOf(operand, lowering) === null) throw new MustStore(operand);
          return expression(operand, positions, readShape(nest, scalar.operand, operand));
        }
        case 'apply': {
          const args = scalar.arguments.map(change);
          return apply(scalar.instruction, ...args);
        }
        case 'guard': {
          const checks = scalar.at
            .map(check => ({ index: composed(check.index), extent: check.extent }))
            .filter(check => !alwaysInside(check.index, extents, check.extent));
          // Which elements exist does not change from step to step in a kernel.
          if (checks.some(check => check.index.terms.some(term => term.axis >= axesOf.length))) throw new MustStore(value);
          return guard(checks, change(scalar.then), change(scalar.otherwise));
        }
        default:
          return scalar satisfies never;
      }
    };
    return change(nest.body);
  };
  return { expression, body, sources };
}
