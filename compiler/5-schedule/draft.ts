/**
 * Kernels while they are being put together: like those of `program.ts`, but what they read and write are stored values, not yet
 * places in memory.
 */
import { affine, type Affine, type Term } from '../ir/affine.ts';
import type { Value } from '../ir/graph.ts';
import { isGathered, parts, type Index, type Load, type Scalar } from '../ir/nest.ts';
import type { Step } from '../ir/program.ts';
import { strides, type DType, type Shape } from '../ir/type.ts';

/** Contiguous elements of a stored value, from `offset` on, seen under a shape. */
export interface Source {
  readonly root: Value;
  readonly offset: number;
  readonly shape: Shape;
  readonly dtype: DType;
}

export interface Draft {
  readonly space: Shape;
  readonly sources: readonly Source[];
  readonly outputs: readonly Source[];
  readonly steps: readonly Step[];
  /** What it computes, in order; the last gives the kernel its name. */
  readonly values: readonly Value[];
  readonly host: boolean;
}

export const stepAxes = (step: Step): Shape => (step.kind === 'clear' ? [] : step.axes);
export const stepBody = (step: Step): Scalar | null => (step.kind === 'clear' ? null : step.body);

/** The element that an access touches as one affine index, relative to the root's start; null when gathered or divided. */
export function linear(source: Source, at: readonly Index[]): Affine | null {
  const by = strides(source.shape);
  const terms: Term[] = [];
  let offset = source.offset;
  for (const [d, position] of at.entries()) {
    if (isGathered(position) || position.divisor !== 1) return null;
    offset += position.offset * by[d]!;
    for (const term of position.terms) terms.push({ axis: term.axis, times: term.times * by[d]! });
  }
  return affine(terms, offset);
}

/** Every load in a scalar, each once, in order of first meeting. Bodies are graphs: shared parts are met once. */
export function loadsOf(scalar: Scalar): readonly Load[] {
  const found: Load[] = [];
  const seen = new Set<Scalar>();
  const pending = [scalar];
  while (pending.length > 0) {
    const next = pending.pop()!;
    if (seen.has(next)) continue;
    seen.add(next);
    if (next.kind === 'load') found.push(next);
    pending.push(...parts(next));
  }
  return found;
}

/** A scalar with its parts replaced, sharing kept: `change` sees a scalar whose parts are already changed. */
export function mapScalar(scalar: Scalar, change: (scalar: Scalar) => Scalar, done = new Map<Scalar, Scalar>()): Scalar {
  const known = done.get(scalar);
  if (known) return known;
  const inner = (part: Scalar): Scalar => mapScalar(part, change, done);
  const result = change(rebuild(scalar, inner));
  done.set(scalar, result);
  return result;
}

function rebuild(scalar: Scalar, inner: (part: Scalar) => Scalar): Scalar {
  switch (scalar.kind) {
    case 'constant': case 'index': case 'local': return scalar;
    case 'load': return scalar.at.some(isGathered) ? { ...scalar, at: scalar.at.map(at => (isGathered(at) ? { gathered: inner(at.gathered) } : at)) } : scalar;
    case 'apply': return { ...scalar, arguments: scalar.arguments.map(inner) };
    case 'guard': return { ...scalar, then: inner(scalar.then), otherwise: inner(scalar.otherwise) };
    default: return scalar satisfies never;
  }
}

/** The steps with every body changed. */
export const mapSteps = (steps: readonly Step[], change: (body: Scalar, step: Step) => Scalar): Step[] =>
  steps.map(step => (step.kind === 'clear' ? step : { ...step, body: change(step.body, step) }));
