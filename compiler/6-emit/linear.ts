/**
 * Kernels with every access as one address: element offsets that are affine in the axes, besides gathered and divided parts. In
 * this form axes that always move together merge into one, so that a tensor seen as [64, 6, 28, 28] is again one long loop.
 */
import { affine, type Affine, type Term } from '../ir/affine.ts';
import { isGathered, scalarType, type Combine, type Index, type Instruction, type Scalar } from '../ir/nest.ts';
import type { Kernel } from '../ir/program.ts';
import { strides, type DType, type Shape } from '../ir/type.ts';

/** times · ⌊axis / by⌋ */
export interface Floored {
  readonly axis: number;
  readonly by: number;
  readonly times: number;
}

/** Elements from the start of an access. */
export interface Address {
  readonly flat: Affine;
  readonly floored: readonly Floored[];
  readonly gathered: readonly { readonly value: Value; readonly stride: number }[];
  /** Only inside a guard that checks that the division is exact. */
  readonly divided: readonly { readonly index: Affine; readonly stride: number }[];
}

export interface Check {
  readonly index: Affine;
  readonly extent: number;
}

export type Value =
  | { readonly kind: 'constant'; readonly value: number; readonly dtype: DType }
  | { readonly kind: 'index'; readonly index: Affine; readonly floored: readonly Floored[] }
  | { readonly kind: 'load'; readonly access: number; readonly address: Address; readonly dtype: DType }
  | { readonly kind: 'apply'; readonly instruction: Instruction; readonly arguments: readonly Value[]; readonly dtype: DType }
  | { readonly kind: 'guard'; readonly at: readonly Check[]; readonly then: Value; readonly otherwise: Value; readonly dtype: DType }
  | { readonly kind: 'local'; readonly local: number; readonly dtype: DType };

export interface Reduce {
  readonly kind: 'reduce';
  readonly local: number;
  readonly axes: Shape;
  readonly combine: Combine;
  readonly body: Value;
}

export interface Store {
  readonly kind: 'store';
  readonly access: number;
  readonly axes: Shape;
  readonly address: Address;
  readonly body: Value;
  readonly accumulate: boolean;
  readonly joined: boolean;
}

export interface Clear {
  readonly kind: 'clear';
  readonly access: number;
  readonly elements: number;
}

/** Accesses are the kernel's operands, then its outputs. Axes are numbered as in `Kernel`. */
export interface LinearKernel {
  readonly name: string;
  readonly space: Shape;
  readonly dtypes: readonly DType[];
  readonly steps: readonly (Reduce | Store | Clear)[];
}

export function linearKernel(kernel: Kernel): LinearKernel {
  const accesses = [...kernel.operands, ...kernel.outputs];
  const operandTypes = kernel.operands.map(operand => operand.dtype);
  const locals: DType[] = [];
  const known = new Map<Scalar, Value>();
  const value = (scalar: Scalar): Value => {
    const before = known.get(scalar);
    if (before) return before;
    const made = convert(scalar);
    known.set(scalar, made);
    return made;
  };
  const addressOf = (shape: Shape, positions: readonly Index[]): Address => {
    const by = strides(shape);
    const terms: Term[] = [];
    let offset = 0;
    const gathered: { value: Value; stride: number }[] = [];
    const divided: { index: Affine; stride: number }[] = [];
    for (const [d, index] of positions.entries()) {
      if (isGathered(index)) gathered.push({ value: value(index.gathered), stride: by[d]! });
      else if (index.divisor !== 1) divided.push({ index, stride: by[d]! });
      else {
        offset += index.offset * by[d]!;
        for (const term of index.terms) terms.push({ axis: term.axis, times: term.times * by[d]! });
      }
    }
    return { flat: affine(terms, offset), floored: [], gathered, divided };
  };
  const convert = (scalar: Scalar): Value => {
    switch (scalar.kind) {
      case 'constant':
        return scalar;
      case 'index':
        return { ...scalar, floored: [] };
      case 'load': {
        const access = accesses[scalar.operand]!;
        return { kind: 'load', access: scalar.operand, address: addressOf(access.shape, scalar.at), dtype: access.dtype };
      }
      case 'apply':
        return {
          kind: 'apply',
          instruction: scalar.instruction,
          arguments: scalar.arguments.map(value),
          dtype: scalarType(scalar, operandTypes, locals),
        };
      case 'guard': {
        const then = value(scalar.then);
        return { kind: 'guard', at: scalar.at, then, otherwise: value(scalar.otherwise), dtype: dtypeOf(then) };
      }
      case 'local':
        return { kind: 'local', local: scalar.local, dtype: locals[scalar.local]! };
      default:
        return scalar satisfies never;
    }
  };
  const steps = kernel.steps.map((step): Reduce | Store | Clear => {
    if (step.kind === 'clear') {
      const { shape } = kernel.outputs[step.output]!;
      return { kind: 'clear', access: kernel.operands.length + step.output, elements: shape.reduce((a, b) => a * b, 1) };
    }
    const body = value(step.body);
    if (step.kind === 'reduce') {
      locals[step.local] = step.combine.startsWith('arg') ? 'i32' : dtypeOf(body);
      return { kind: 'reduce', local: step.local, axes: step.axes, combine: step.combine, body };
    }
    const output = kernel.outputs[step.output]!;
    return {
      kind: 'store',
      access: kernel.operands.length + step.output,
      axes: step.axes,
      address: addressOf(output.shape, step.at),
      body,
      accumulate: step.accumulate,
      joined: step.joined,
    };
  });
  return { name: kernel.name, space: kernel.space, dtypes: accesses.map(access => access.dtype), steps };
}

export const dtypeOf = (value: Value): DType => (value.kind === 'index' ? 'i32' : value.dtype);

export function partsOf(value: Value): readonly Value[] {
  switch (value.kind) {
    case 'constant':
    case 'index':
    case 'local':
      return [];
    case 'load':
      return value.address.gathered.map(part => part.value);
    case 'apply':
      return value.arguments;
    case 'guard':
      return [value.then, value.otherwise];
    default:
      return value satisfies never;
  }
}

/** Everything in some values, each part once. */
export function valuesIn(roots: readonly Value[]): readonly Value[] {
  const seen = new Set(roots);
  for (const value of seen) for (const part of partsOf(value)) seen.add(part);
  return [...seen];
}

/** What a step evaluates: its body, and gathered parts of where it stores. */
export const rootsOf = (step: Reduce | Store | Clear): readonly Value[] =>
  step.kind === 'clear' ? [] : step.kind === 'reduce' ? [step.body] : [step.body, ...step.address.gathered.map(part => part.value)];

/** Every affine index in a step, of addresses, checks and index values. */
function indicesOf(step: Reduce | Store | Clear): readonly Affine[] {
  const own = (address: Address): readonly Affine[] => [address.flat, ...address.divided.map(part => part.index)];
  return [
    ...(step.kind === 'store' ? own(step.address) : []),
    ...valuesIn(rootsOf(step)).flatMap(value =>
      value.kind === 'index'
        ? [value.index]
        : value.kind === 'load'
          ? own(value.address)
          : value.kind === 'guard'
            ? value.at.map(check => check.index)
            : [],
    ),
  ];
}

const flooredIn = (step: Reduce | Store | Clear): readonly Floored[] => [
  ...(step.kind === 'store' ? step.address.floored : []),
  ...valuesIn(rootsOf(step)).flatMap(value =>
    value.kind === 'index' ? value.floored : value.kind === 'load' ? value.address.floored : [],
  ),
];

/** A step with every affine index replaced by `change` of it. */
export function mapIndices<S extends Reduce | Store | Clear>(
  step: S,
  change: (index: Affine) => Affine,
  renumber: (axis: number) => number = axis => axis,
): S {
  if (step.kind === 'clear') return step;
  const done = new Map<Value, Value>();
  const address = (at: Address): Address => ({
    flat: change(at.flat),
    floored: at.floored.map(each => ({ ...each, axis: renumber(each.axis) })),
    gathered: at.gathered.map(part => ({ value: value(part.value), stride: part.stride })),
    divided: at.divided.map(part => ({ index: change(part.index), stride: part.stride })),
  });
  const value = (old: Value): Value => {
    const known = done.get(old);
    if (known) return known;
    const made = ((): Value => {
      switch (old.kind) {
        case 'constant':
        case 'local':
          return old;
        case 'index':
          return { ...old, index: change(old.index), floored: old.floored.map(each => ({ ...each, axis: renumber(each.axis) })) };
        case 'load':
          return { ...old, address: address(old.address) };
        case 'apply':
          return { ...old, arguments: old.arguments.map(value) };
        case 'guard':
          return {
            ...old,
            at: old.at.map(check => ({ ...check, index: change(check.index) })),
            then: value(old.then),
            otherwise: value(old.otherwise),
          };
        default:
          return old satisfies never;
      }
    })();
    done.set(old, made);
    return made;
  };
  const body = value(step.body);
  return step.kind === 'store' ? { ...step, body, address: address(step.address) } : { ...step, body };
}

export const timesOf = (index: Affine, axis: number): number => index.terms.find(term => term.axis === axis)?.times ?? 0;

/** Neighbouring axes that every index moves along as along one become one; axes keep their order. */
export function mergeAxes(kernel: LinearKernel): LinearKernel {
  const space = mergeRun(0, kernel.space, kernel.steps);
  const steps = space.steps.map(step => {
    if (step.kind === 'clear' || step.axes.length < 2) return step;
    // Joined stores share their loop, so all of them must agree.
    if (step.kind === 'store' && (step.joined || kernel.steps.some(other => other.kind === 'store' && other.joined))) return step;
    const merged = mergeRun(space.axes.length, step.axes, [step]);
    return { ...merged.steps[0]!, axes: merged.axes };
  });
  return { ...kernel, space: space.axes, steps };
}

/** Merges within a run of axes that starts at number `first`, in the given steps; axes after the run are renumbered. */
function mergeRun<S extends Reduce | Store | Clear>(
  first: number,
  extents: Shape,
  steps: readonly S[],
): { readonly axes: Shape; readonly steps: readonly S[] } {
  let axes = [...extents];
  let current = [...steps];
  for (let i = axes.length - 2; i >= 0; i--) {
    const inner = axes[i + 1]!;
    const [a, b] = [first + i, first + i + 1];
    const together = current.every(step =>
      indicesOf(step).every(index => index.divisor === 1 && timesOf(index, a) === inner * timesOf(index, b)),
    );
    const guarded = current.some(step =>
      valuesIn(rootsOf(step)).some(
        value => value.kind === 'guard' && value.at.some(check => timesOf(check.index, a) !== 0 || timesOf(check.index, b) !== 0),
      ),
    );
    const floored = current.some(step => flooredIn(step).some(each => each.axis === a || each.axis === b));
    if (!together || guarded || floored) continue;
    axes = axes.toSpliced(i, 2, axes[i]! * inner);
    current = current.map(step =>
      mapIndices(
        step,
        index =>
          affine(
            index.terms.filter(term => term.axis !== a).map(term => ({ ...term, axis: term.axis > a ? term.axis - 1 : term.axis })),
            index.offset,
            index.divisor,
          ),
        axis => (axis > a ? axis - 1 : axis),
      ),
    );
  }
  return { axes, steps: current };
}

/**
 * Sums over windows that do not overlap, as gradients of pooling have them: of Σ_u [(a − u)/s is whole] f((a − u)/s, u) with u below s
 * only u = a − s·⌊a/s⌋ counts, so the sum is f(⌊a/s⌋, a − s·⌊a/s⌋), without a loop and without a guard.
 */
export function withoutWindows(kernel: LinearKernel): LinearKernel {
  const rank = kernel.space.length;
  return {
    ...kernel,
    steps: kernel.steps.map(step => (step.kind === 'reduce' && step.combine === 'add' ? withoutWindow(step, kernel.space, rank) : step)),
  };
}

function withoutWindow(step: Reduce, space: Shape, rank: number): Reduce {
  for (const [i, extent] of step.axes.entries()) {
    const u = rank + i;
    const values = valuesIn([step.body]);
    const checks = values.flatMap(value => (value.kind === 'guard' ? value.at : [])).filter(check => timesOf(check.index, u) !== 0);
    const [first] = checks;
    const axis = first?.index.terms.find(term => term.axis < rank)?.axis;
    if (first === undefined || axis === undefined) continue;
    const isWindow = ({ index, extent: limit }: Check): boolean =>
      index.divisor === extent &&
      index.offset === 0 &&
      index.terms.length === 2 &&
      timesOf(index, axis) === 1 &&
      timesOf(index, u) === -1 &&
      space[axis]! <= extent * limit;
    const divisions = values
      .flatMap(value => (value.kind === 'load' ? value.address.divided.map(part => part.index) : []))
      .filter(index => timesOf(index, u) !== 0);
    if (
      !checks.every(isWindow) ||
      !divisions.every(
        index =>
          index.divisor === extent &&
          index.offset === 0 &&
          index.terms.length === 2 &&
          timesOf(index, axis) === 1 &&
          timesOf(index, u) === -1,
      )
    )
      continue;
    // Outside the guard the value must not count: the guard's other branch is 0.
    const guards = values.filter(value => value.kind === 'guard' && value.at.some(check => timesOf(check.index, u) !== 0));
    if (
      step.body.kind !== 'guard' ||
      guards.length !== 1 ||
      guards[0] !== step.body ||
      step.body.otherwise.kind !== 'constant' ||
      step.body.otherwise.value !== 0
    )
      continue;
    const floor = (times: number): Floored => ({ axis: renumbered(axis), by: extent, times });
    const renumbered = (old: number): number => (old > u ? old - 1 : old);
    const without = (index: Affine): Affine =>
      affine(
        index.terms.map(term => (term.axis === u ? { axis, times: term.times } : { axis: renumbered(term.axis), times: term.times })),
        index.offset,
        index.divisor,
      );
    const floors = (index: Affine): readonly Floored[] => (timesOf(index, u) === 0 ? [] : [floor(-extent * timesOf(index, u))]);
    const done = new Map<Value, Value>();
    const value = (old: Value): Value => {
      const known = done.get(old);
      if (known) return known;
      const made = ((): Value => {
        switch (old.kind) {
          case 'constant':
          case 'local':
            return old;
          case 'index':
            return { ...old, index: without(old.index), floored: [...old.floored, ...floors(old.index)] };
          case 'load': {
            const { flat, floored, gathered, divided } = old.address;
            const mine = divided.filter(part => timesOf(part.index, u) !== 0);
            return {
              ...old,
              address: {
                flat: without(flat),
                floored: [...floored, ...floors(flat), ...mine.map(part => floor(part.stride))],
                gathered: gathered.map(part => ({ ...part, value: value(part.value) })),
                divided: divided.filter(part => !mine.includes(part)).map(part => ({ ...part, index: without(part.index) })),
              },
            };
          }
          case 'apply':
            return { ...old, arguments: old.arguments.map(value) };
          case 'guard': {
            const at = old.at.filter(check => timesOf(check.index, u) === 0).map(check => ({ ...check, index: without(check.index) }));
            return at.length === 0 ? value(old.then) : { ...old, at, then: value(old.then), otherwise: value(old.otherwise) };
          }
          default:
            return old satisfies never;
        }
      })();
      done.set(old, made);
      return made;
    };
    return withoutWindow({ ...step, axes: step.axes.toSpliced(i, 1), body: value(step.body) }, space, rank);
  }
  return step;
}
