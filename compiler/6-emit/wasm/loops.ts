/**
 * A kernel as a function of loops over vectors. Either neighbouring iterations of one axis of the space fill the lanes, or, for
 * rows, neighbouring elements within each step; a small estimate of loads decides. The iterations are shared out among threads.
 */
import type { Combine } from '../../ir/nest.ts';
import { elementBytes, size } from '../../ir/type.ts';
import { build, f32x4, get, i32, i32x4, op, set, shuffle32, type Expression, type Func, type Local } from './code.ts';
import { bind, emit, evaluate, keep, limited, loop, newFrame, sideBySide, store, type Frame } from './lanes.ts';
import { dtypeOf, timesOf, valuesIn, rootsOf, type Address, type LinearKernel, type Reduce, type Store, type Value } from '../linear.ts';
import { kindOf, vector, type Kind } from './vector.ts';

/** Iterations that are enough to keep several threads equally busy. */
const enoughUnits = 64;
/** Elements that a thread takes at least, so that no two write one cache line. */
const elementsPerUnit = 16;
/** Element evaluations below which sharing costs more than it saves. */
const worthSharing = 4096;

/** Parameters: the byte address of each access, this thread's number, how many threads there are. */
export function kernelFunction(kernel: LinearKernel): Func {
  const builder = build(kernel.name, [...kernel.dtypes.map(() => 'i32' as const), 'i32', 'i32']);
  const bases = builder.parameters.slice(0, kernel.dtypes.length);
  const [thread, threads] = builder.parameters.slice(-2) as [Local, Local];
  const frame = newFrame(builder, kernel, bases);
  const lanes = vectorisedAxis(kernel);
  const outer = kernel.space.map((_, axis) => axis).filter(axis => axis !== lanes);
  const shared = sharedAxes(kernel, outer, lanes);
  if (shared === null) {
    emit(frame, { kind: 'if', condition: get(thread), then: [op('return')], otherwise: [] });
    emitSpace(frame, outer, lanes, null);
  } else if (shared === 'lanes') {
    const extent = kernel.space[lanes!]!;
    const units = Math.ceil(extent / elementsPerUnit);
    const bound = (number: Expression): Expression => op('i32.mul', unitOf(units, number, threads), i32(elementsPerUnit));
    const begin = keep(frame, 'i32', bound(get(thread)));
    const end = limited(frame, bound(op('i32.add', get(thread), i32(1))), extent);
    emitSpace(frame, outer, lanes, { begin, end });
  } else {
    const units = size(shared.map(axis => kernel.space[axis]!));
    const begin = keep(frame, 'i32', unitOf(units, get(thread), threads));
    const end = keep(frame, 'i32', unitOf(units, op('i32.add', get(thread), i32(1)), threads));
    const [first, ...others] = shared;
    if (others.length === 0)
      loop(frame, first!, { from: get(begin), to: get(end), step: 1, lanes: false, certain: false }, () =>
        emitSpace(frame, outer.slice(1), lanes, null),
      );
    else {
      // A number of its own, from which the axes are taken apart.
      loop(frame, flatAxis, { from: get(begin), to: get(end), step: 1, lanes: false, certain: false }, () => {
        const flat = frame.axes.get(flatAxis)!.local;
        let stride = units;
        for (const axis of shared) {
          const extent = kernel.space[axis]!;
          stride /= extent;
          const whole = stride === 1 ? get(flat) : op('i32.div_u', get(flat), i32(stride));
          bind(frame, axis, keep(frame, 'i32', axis === first ? whole : op('i32.rem_u', whole, i32(extent))));
        }
        emitSpace(frame, outer.slice(shared.length), lanes, null);
        for (const axis of shared) frame.axes.delete(axis);
      });
    }
  }
  for (const statement of frame.levels[0]!.statements) builder.emit(statement);
  return builder.finish();
}

const flatAxis = -1;

/** `units·number / threads`, rounded down: where a thread's share begins. */
export const unitOf = (units: number, number: Expression, threads: Local): Expression =>
  op(
    'i32.wrap_i64',
    op(
      'i64.div_u',
      op('i64.mul', { kind: 'const64', value: BigInt(units) }, op('i64.extend_i32_u', number)),
      op('i64.extend_i32_u', get(threads)),
    ),
  );

/** Whose iterations the threads share: the leading axes, the vectorised one, or none of a kernel that is small or in order. */
function sharedAxes(kernel: LinearKernel, outer: readonly number[], lanes: number | null): readonly number[] | 'lanes' | null {
  if (kernel.space.length === 0) return null;
  const work = size(kernel.space) * Math.max(1, ...kernel.steps.map(step => (step.kind === 'clear' ? 1 : size(step.axes))));
  if (work < worthSharing) return null;
  const shared: number[] = [];
  for (const axis of outer) {
    if (size(shared.map(own => kernel.space[own]!)) >= enoughUnits) break;
    shared.push(axis);
  }
  const units = size(shared.map(axis => kernel.space[axis]!));
  if (lanes !== null && (shared.length === 0 || units < 16) && kernel.space[lanes]! >= 4 * elementsPerUnit) return 'lanes';
  return units > 1 ? shared : null;
}

/** The axis of the space whose neighbours fill the lanes, or null where each step's own last axis does. */
function vectorisedAxis(kernel: LinearKernel): number | null {
  let best: number | null = null;
  let least = costOfRows(kernel);
  kernel.space.forEach((extent, axis) => {
    const vectors = Math.floor(extent / 4) + (extent % 4);
    const cost =
      kernel.steps.reduce((sum, step) => sum + (step.kind === 'clear' ? 0 : size(step.axes) * costOf(step, axis)), 0) *
      vectors *
      (size(kernel.space) / extent);
    if (cost < least || (cost === least && best !== null)) {
      best = axis;
      least = cost;
    }
  });
  return best;
}

function costOfRows(kernel: LinearKernel): number {
  return (
    size(kernel.space) *
    kernel.steps.reduce((sum, step) => {
      if (step.kind === 'clear') return sum;
      const last = step.axes.at(-1);
      if (last === undefined) return sum + costOf(step, -1);
      if (step.kind === 'reduce' && step.combine.startsWith('arg')) return sum + size(step.axes) * costOf(step, -1);
      const vectors = Math.floor(last / 4) + (last % 4);
      return sum + (size(step.axes) / last) * vectors * costOf(step, kernel.space.length + step.axes.length - 1) + 4;
    }, 0)
  );
}

/** Of one vector: arithmetic, loads, and loads of each lane apart. */
function costOf(step: Reduce | Store, axis: number): number {
  const access = (address: Address): number => {
    const floors = address.floored.filter(part => part.axis === axis);
    if (floors.length > 0) return floors.every(part => 4 % part.by === 0 || part.by % 4 === 0) ? 2 : 12;
    const times = timesOf(address.flat, axis);
    return address.gathered.some(part =>
      valuesIn([part.value]).some(value => value.kind === 'load' && timesOf(value.address.flat, axis) !== 0),
    ) || address.divided.length > 0
      ? 12
      : times === 0
        ? 1
        : times === 1
          ? 1
          : 5;
  };
  return valuesIn(rootsOf(step)).reduce(
    (sum, value) => sum + (value.kind === 'load' ? access(value.address) : value.kind === 'apply' ? 1 : value.kind === 'guard' ? 3 : 0),
    step.kind === 'store' ? access(step.address) : 1,
  );
}

/** Loops over the outer axes, then over the vectorised one, then the steps. */
function emitSpace(
  frame: Frame,
  outer: readonly number[],
  lanes: number | null,
  range: { readonly begin: Local; readonly end: Local } | null,
): void {
  const [axis, ...rest] = outer;
  if (axis !== undefined) {
    loop(frame, axis, { from: i32(0), to: i32(frame.kernel.space[axis]!), step: 1, lanes: false, certain: true }, () =>
      emitSpace(frame, rest, lanes, range),
    );
    return;
  }
  if (lanes === null) return emitSteps(frame, true);
  const extent = frame.kernel.space[lanes]!;
  const { steps } = frame.kernel;
  const stores = steps.filter((step): step is Store => step.kind === 'store');
  // Elementwise throughout: pairs of vectors.
  if (
    stores.length === steps.length &&
    stores.every(step => step.axes.length === 0 && !step.accumulate) &&
    stores.slice(1).every(step => step.joined)
  ) {
    const evaluated = (): readonly Local[] => stores.map(step => keep(frame, 'v128', stored(frame, step)));
    const write = (values: readonly Local[], number: number): void =>
      store(frame, stores[number]!.access, stores[number]!.address, get(values[number]!), false);
    const paired = (from: Expression, to: Expression, certain: boolean): void =>
      sideBySide(frame, lanes, { from, to, certain }, 2, stores.length, evaluated, write);
    if (range === null) {
      const whole = extent - (extent % 8);
      if (whole > 0) paired(i32(0), i32(whole), true);
      vectors(frame, lanes, extent, null, 1, () => emitSteps(frame, false), whole);
    } else {
      // Shares begin at multiples of sixteen.
      const whole = keep(frame, 'i32', op('i32.and', get(range.end), i32(-8)));
      paired(get(range.begin), get(whole), false);
      if (extent % 8 !== 0) vectors(frame, lanes, extent, { begin: whole, end: range.end }, 1, () => emitSteps(frame, false));
    }
    return;
  }
  vectors(frame, lanes, extent, range, 1, () => emitSteps(frame, false));
}

/** A loop over an axis in vectors of four, then over what is left one by one. */
function vectors(
  frame: Frame,
  axis: number,
  extent: number,
  range: { readonly begin: Local; readonly end: Local } | null,
  unroll: number,
  body: (single: boolean, copy: number) => void,
  first = 0,
): void {
  if (range !== null) {
    // Shares begin at multiples of four.
    const whole = keep(frame, 'i32', op('i32.and', get(range.end), i32(-4)));
    loop(frame, axis, { from: get(range.begin), to: get(whole), step: 4, lanes: true, certain: false }, () => body(false, 0));
    if (extent % 4 !== 0)
      loop(frame, axis, { from: get(whole), to: get(range.end), step: 1, lanes: false, certain: false }, () => body(true, 0));
    return;
  }
  const block = 4 * unroll;
  const blocks = unroll > 1 ? extent - (extent % block) : first;
  const whole = extent - (extent % 4);
  if (unroll > 1 && blocks > 0)
    loop(frame, axis, { from: i32(0), to: i32(blocks), step: 4, lanes: true, certain: true, unroll }, copy => body(false, copy));
  if (whole > blocks) loop(frame, axis, { from: i32(blocks), to: i32(whole), step: 4, lanes: true, certain: true }, () => body(false, 0));
  if (extent > whole) loop(frame, axis, { from: i32(whole), to: i32(extent), step: 1, lanes: false, certain: true }, () => body(true, 0));
}

/** The steps of one iteration; joined stores share a loop. In rows, each step's last axis fills the lanes. */
function emitSteps(frame: Frame, rows: boolean): void {
  const { steps } = frame.kernel;
  const rank = frame.kernel.space.length;
  for (let next = 0; next < steps.length;) {
    const first = steps[next]!;
    const group = [first];
    while (first.kind === 'store' && next + group.length < steps.length) {
      const other = steps[next + group.length]!;
      if (other.kind !== 'store' || !other.joined) break;
      group.push(other);
    }
    next += group.length;
    if (first.kind === 'clear')
      emit(
        frame,
        op('memory.fill', get(frame.bases[first.access]!), i32(0), i32(first.elements * elementBytes(frame.kernel.dtypes[first.access]!))),
      );
    else if (first.kind === 'store') withAxes(frame, first.axes, rank, rows, 1, () => emitStores(frame, group as Store[]));
    else emitReduce(frame, first, rank, rows);
  }
}

function withAxes(
  frame: Frame,
  axes: readonly number[],
  first: number,
  rows: boolean,
  unroll: number,
  body: (single: boolean, copy: number) => void,
): void {
  const [extent, ...rest] = axes;
  if (extent === undefined) return body(true, 0);
  if (rest.length === 0 && rows) return vectors(frame, first, extent, null, unroll, body);
  loop(frame, first, { from: i32(0), to: i32(extent), step: 1, lanes: false, certain: true }, () =>
    withAxes(frame, rest, first + 1, rows, unroll, body),
  );
}

function emitStores(frame: Frame, group: readonly Store[]): void {
  // All bodies are evaluated before the first store: one may read what another replaces.
  const values = group.map(step => keep(frame, 'v128', stored(frame, step)));
  group.forEach((step, i) => store(frame, step.access, step.address, get(values[i]!), step.accumulate));
}

/** The body in the form in which the access holds it. */
export function stored(frame: Frame, step: { readonly access: number; readonly body: Value }): Expression {
  const dtype = frame.kernel.dtypes[step.access]!;
  const from = kindOf(dtypeOf(step.body));
  const value = evaluate(frame, step.body);
  if (dtype === 'f16' || dtype === 'bf16') return vector(dtype === 'f16' ? 'to_f16' : 'to_bf16', [value], [from]);
  if (kindOf(dtype) === from) return value;
  return vector(dtype === 'bool' ? 'to_bool' : kindOf(dtype) === 'int' ? 'to_i32' : 'to_f32', [value], [from]);
}

/** Vectors of a long sum are added up side by side, so that none waits for the one before. */
const partialSums = 4;
/**
 * Elements, a power of two, after which the partial sums of a very long sum are put aside and begin again: a float that has added up
 * millions of terms takes no notice of the next.
 */
const longSum = 16384;

function emitReduce(frame: Frame, step: Reduce, rank: number, rows: boolean): void {
  const level = frame.levels.length - 1;
  if (step.combine === 'argmax' || step.combine === 'argmin') return emitArg(frame, step, rank);
  const kind = kindOf(dtypeOf(step.body));
  const last = step.axes.at(-1) ?? 1;
  const simple = valuesIn([step.body]).length <= 16;
  const copies = rows && simple && last >= 8 * partialSums ? partialSums : 1;
  const identity = identityOf(step.combine, kind);
  const sums = Array.from({ length: copies }, () => frame.builder.local('v128'));
  for (const sum of sums) emit(frame, set(sum, identity));
  const aside = copies > 1 && step.combine === 'add' && kind === 'float' && last > longSum ? sums.map(() => keep(frame, 'v128', identity)) : [];
  withAxes(frame, step.axes, rank, rows, copies, (single, copy) => {
    const value = evaluate(frame, step.body);
    // A single element is in all lanes: of a row's sums it counts once.
    const counted = rows && single ? op('v128.bitselect', value, identity, i32x4(-1, 0, 0, 0)) : value;
    emit(frame, set(sums[copy]!, combine(step.combine, kind, get(sums[copy]!), counted)));
    if (aside.length === 0 || single || copy < copies - 1) return;
    const { local } = frame.axes.get(rank + step.axes.length - 1)!;
    emit(frame, {
      kind: 'if',
      condition: op('i32.eqz', op('i32.and', get(local), i32(longSum - 1))),
      then: aside.flatMap((total, i) => [set(total, combine('add', kind, get(total), get(sums[i]!))), set(sums[i]!, identity)]),
      otherwise: [],
    });
  });
  aside.forEach((total, i) => emit(frame, set(sums[i]!, combine('add', kind, get(total), get(sums[i]!)))));
  const [first, ...others] = sums;
  for (const other of others) emit(frame, set(first!, combine(step.combine, kind, get(first!), get(other))));
  if (rows) {
    for (const lanes of [
      [2, 3, 0, 1],
      [1, 0, 3, 2],
    ] as const)
      emit(frame, set(first!, combine(step.combine, kind, get(first!), shuffle32(get(first!), get(first!), lanes))));
  }
  frame.locals.set(step.local, { local: first!, level });
}

function identityOf(combine: Combine, kind: Kind): Expression {
  if (kind === 'mask') return i32x4(combine === 'mul' || combine === 'min' ? -1 : 0);
  const value = { add: 0, mul: 1, max: -Infinity, min: Infinity, argmax: 0, argmin: 0 }[combine];
  if (kind === 'float') return f32x4(value);
  return i32x4(value === -Infinity ? -(2 ** 31) : value === Infinity ? 2 ** 31 - 1 : value);
}

function combine(by: Combine, kind: Kind, a: Expression, b: Expression): Expression {
  if (kind === 'mask') return op(by === 'mul' || by === 'min' ? 'v128.and' : 'v128.or', a, b);
  return vector(by as 'add' | 'mul' | 'max' | 'min', [a, b], [kind, kind]);
}

/** The position of the first extreme: one element after the other, in every lane. */
function emitArg(frame: Frame, step: Reduce, rank: number): void {
  const level = frame.levels.length - 1;
  const kind = kindOf(dtypeOf(step.body));
  const largest = step.combine === 'argmax';
  const best = keep(frame, 'v128', identityOf(largest ? 'max' : 'min', kind));
  const position = keep(frame, 'v128', i32x4(0));
  const count = keep(frame, 'v128', i32x4(0));
  withAxes(frame, step.axes, rank, false, 1, () => {
    const value = keep(frame, 'v128', evaluate(frame, step.body));
    const [a, b] = largest ? [best, value] : [value, best];
    const better = keep(frame, 'v128', vector('lt', [get(a), get(b)], [kind, kind]));
    emit(frame, set(best, op('v128.bitselect', get(value), get(best), get(better))));
    emit(frame, set(position, op('v128.bitselect', get(count), get(position), get(better))));
    emit(frame, set(count, op('i32x4.add', get(count), i32x4(1))));
  });
  frame.locals.set(step.local, { local: position, level });
}
