/**
 * Kernels while they are being put together: like those of `program.ts`, but what they read and write are stored values, not yet
 * places in memory.
 */
import { affine, type Affine, type Term } from '../ir/affine.ts';
import type { Value } from '../ir/graph.ts';
import { eachMapped } from '../ir/lists.ts';
import { isGathered, parts, type Index, type Load, type Scalar } from '../ir/nest.ts';
import type { Step } from '../ir/program.ts';
import { strides, type DType, type Shape } from '../ir/type.ts';

/** Contiguous elements of a stored value, from `offset` on, seen under a shape. */
export interface Source {
  readonly root: Value;
  readonly offset: number;
  readonly shape: Shape;
  readonly dtype: DType;
  /** In a kernel that stands in loops: by how many elements it moves with the position in each axis of them, the outermost first. */
  readonly along?: readonly number[];
}

export interface Draft {
  readonly space: Shape;
  readonly sources: readonly Source[];
  readonly outputs: readonly Source[];
  readonly steps: readonly Step[];
  /** What it computes, in order; the last gives the kernel its name. */
  readonly values: readonly Value[];
  readonly host: boolean;
  /** Several kernels that run in a loop, which stand as one for all that is around: then there are no steps. */
  readonly blocks?: Blocks;
  /** It runs at one position, which the host gives, if that is from `first` on and before `end`. Accesses move along it. */
  readonly given?: { readonly first: number; readonly end: number };
}

/**
 * Kernels that run one after the other at every position of some loops around them: blocks of rows, whose positions threads share, or
 * the steps of a scan, at each of which threads share the kernels.
 */
export interface Blocks {
  /** Extents, outermost first. */
  readonly axes: Shape;
  /** Positions of the first so many axes do not depend on one another. */
  readonly independent: number;
  readonly members: readonly Draft[];
  /** Values that are there for one position at a time, each with the number of its elements then. */
  readonly inside: ReadonlyMap<Value, number>;
  /** For each axis a value that holds its position, where a member reads it. */
  readonly counters: readonly (Value | null)[];
}

/** The kernels that a draft stands for, through loops inside of loops. */
export const kernelsOf = (draft: Draft): readonly Draft[] => draft.blocks?.members.flatMap(kernelsOf) ?? [draft];

/** Whether a value comes after the forward pass of a training step. */
export const isLate = (value: Value): boolean =>
  value.origin?.phase === 'backward' || value.origin?.phase === 'update' || isRecomputed(value);
export const isRecomputed = ({ origin }: Value): boolean => origin?.phase === 'recompute';

export const stepAxes = (step: Step): Shape => (step.kind === 'clear' ? [] : step.axes);
export const stepBody = (step: Step): Scalar | null => (step.kind === 'clear' ? null : step.body);

/** The element that an access touches as one affine index, relative to the root's start; null when gathered or divided. */
export function linear(source: Source, at: readonly Index[]): Affine | null {
  const by = strides(source.shape);
  const terms: Term[] = [];
  let offset = source.offset;
  for (let d = 0; d < at.length; d++) {
    const position = at[d]!;
    if (isGathered(position) || position.divisor !== 1) return null;
    offset += position.offset * by[d]!;
    for (const term of position.terms) terms.push({ axis: term.axis, times: term.times * by[d]! });
  }
  return affine(terms, offset);
}

/** A scalar and everything inside, each once, in order of first meeting. Bodies are graphs: shared parts are met once. */
function distinct(scalar: Scalar): ReadonlySet<Scalar> {
  const seen = new Set<Scalar>();
  const pending = [scalar];
  while (pending.length > 0) {
    const next = pending.pop()!;
    if (seen.has(next)) continue;
    seen.add(next);
    pending.push(...parts(next));
  }
  return seen;
}

/** Every load in a scalar, each once. */
export const loadsOf = (scalar: Scalar): readonly Load[] =>
  (isPlainLoad(scalar) ? [scalar] : [...distinct(scalar)].filter(part => part.kind === 'load'));

const isPlainLoad = (scalar: Scalar): scalar is Load => scalar.kind === 'load' && !scalar.at.some(isGathered);

/** Arithmetic instructions in a body, each shared part counted once. */
export const distinctInstructions = (body: Scalar): number =>
  [...distinct(body)].filter(part => part.kind === 'apply' && !part.instruction.startsWith('to_')).length;

/** Steps as text that is equal for equal steps, no longer than the steps are large: shared parts are written once. */
export function stepsKey(steps: readonly Step[]): string {
  const numbers = new Map<Scalar, number>();
  const known = new Map<string, number>();
  const number = (scalar: Scalar): number => {
    const before = numbers.get(scalar);
    if (before !== undefined) return before;
    const at = (index: Index): unknown => (isGathered(index) ? number(index.gathered) : index);
    const key = JSON.stringify(
      scalar.kind === 'apply'
        ? [scalar.instruction, ...scalar.arguments.map(number)]
        : scalar.kind === 'guard'
          ? ['guard', scalar.at, number(scalar.then), number(scalar.otherwise)]
          : scalar.kind === 'load'
            ? ['load', scalar.operand, scalar.at.map(at)]
            : scalar.kind === 'constant'
              ? ['constant', String(scalar.value), Object.is(scalar.value, -0), scalar.dtype]
              : scalar,
    );
    const result = known.get(key) ?? known.size;
    known.set(key, result);
    numbers.set(scalar, result);
    return result;
  };
  const text = steps
    .map(step =>
      JSON.stringify(
        step.kind === 'clear'
          ? step
          : {
              ...step,
              body: number(step.body),
              ...(step.kind === 'store' ? { at: step.at.map(at => (isGathered(at) ? number(at.gathered) : at)) } : {}),
            },
      ),
    )
    .join();
  return `${text}${[...known.keys()].join()}`;
}

/**
 * A scalar with its parts replaced: `change` sees a scalar whose parts are already changed. What does not change stays the same
 * object, and with one `done` for several bodies they go on sharing what they share; without sharing, bodies grow exponentially.
 */
export function mapScalar(scalar: Scalar, change: (scalar: Scalar) => Scalar, done = new Map<Scalar, Scalar>()): Scalar {
  const known = done.get(scalar);
  if (known) return known;
  const result = change(rebuild(scalar, part => mapScalar(part, change, done)));
  done.set(scalar, result);
  return result;
}

function rebuild(scalar: Scalar, inner: (part: Scalar) => Scalar): Scalar {
  switch (scalar.kind) {
    case 'constant':
    case 'index':
    case 'local':
      return scalar;
    case 'load': {
      const at = eachMapped(scalar.at, position => {
        if (!isGathered(position)) return position;
        const gathered = inner(position.gathered);
        return gathered === position.gathered ? position : { gathered };
      });
      return at === scalar.at ? scalar : { ...scalar, at };
    }
    case 'apply': {
      const args = eachMapped(scalar.arguments, inner);
      return args === scalar.arguments ? scalar : { ...scalar, arguments: args };
    }
    case 'guard': {
      const [then, otherwise] = [inner(scalar.then), inner(scalar.otherwise)];
      return then === scalar.then && otherwise === scalar.otherwise ? scalar : { ...scalar, then, otherwise };
    }
    default:
      return scalar satisfies never;
  }
}

/** The steps with every body changed. */
export const mapSteps = (steps: readonly Step[], change: (body: Scalar, step: Step) => Scalar): Step[] =>
  steps.map(step => (step.kind === 'clear' ? step : { ...step, body: change(step.body, step) }));
