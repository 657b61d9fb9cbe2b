/**
 * Values of a kernel as vectors of four lanes. Each value is computed once, in the innermost loop whose axis it depends on, into a
 * local. Where single elements are left over, the same code runs with one lane filled, so results never depend on where a vector
 * begins.
 */
import { affine, type Affine } from '../../ir/affine.ts';
import { elementBytes, type DType } from '../../ir/type.ts';
import {
  at,
  f32x4,
  get,
  i32,
  i32x4,
  lane,
  laneAt,
  op,
  set,
  shuffle32,
  type Builder,
  type Expression,
  type Local,
  type Type,
} from './code.ts';
import { dtypeOf, timesOf, type Address, type Check, type Floored, type LinearKernel, type Value } from '../linear.ts';
import { axisLevel, levelOf, numberOf } from '../values.ts';
import { kindOf, vector } from './vector.ts';

interface Level {
  readonly statements: Expression[];
  /** What has been computed in this loop, by its text. */
  readonly known: Map<string, Local>;
}

interface Binding {
  readonly level: number;
  readonly local: Local;
  /** How far ahead of the local: unrolled iterations. */
  readonly shift: number;
  /** Whether neighbouring lanes are neighbouring positions of this axis. */
  readonly lanes: boolean;
}

export interface Frame {
  readonly builder: Builder;
  readonly kernel: LinearKernel;
  /** Byte addresses of the accesses. */
  readonly bases: readonly Local[];
  readonly levels: Level[];
  readonly axes: Map<number, Binding>;
  /** Results of reductions, and the loop in which each is known. */
  readonly locals: Map<number, { readonly local: Local; readonly level: number }>;
  readonly numbers: Map<string, number>;
  readonly numberOf: Map<Value, number>;
}

export const newFrame = (builder: Builder, kernel: LinearKernel, bases: readonly Local[]): Frame => ({
  builder,
  kernel,
  bases,
  levels: [newLevel()],
  axes: new Map(),
  locals: new Map(),
  numbers: new Map(),
  numberOf: new Map(),
});

const newLevel = (): Level => ({ statements: [], known: new Map() });

/** Appends a statement to the innermost loop, or to the loop at `level`. */
export const emit = (frame: Frame, statement: Expression, level = frame.levels.length - 1): void =>
  void frame.levels[level]!.statements.push(statement);

/** A local that holds the value in the innermost loop, or in the loop at `level`. */
export function keep(frame: Frame, type: Type, value: Expression, level = frame.levels.length - 1): Local {
  if (value.kind === 'get') return value.local;
  const local = frame.builder.local(type);
  emit(frame, set(local, value), level);
  return local;
}

/** Statements as a block of their own, in which what is computed is forgotten afterwards. */
export function nested(frame: Frame, make: () => void): readonly Expression[] {
  frame.levels.push(newLevel());
  make();
  return frame.levels.pop()!.statements;
}

/** A local that holds the value, or the limit where that is less. */
export function limited(frame: Frame, value: Expression, limit: number): Local {
  const kept = keep(frame, 'i32', value);
  emit(frame, { kind: 'if', condition: op('i32.gt_s', get(kept), i32(limit)), then: [set(kept, i32(limit))], otherwise: [] });
  return kept;
}

export interface LoopOptions {
  readonly from: Expression;
  readonly to: Expression;
  readonly step: number;
  readonly lanes: boolean;
  /** Whether at least one iteration is certain. */
  readonly certain: boolean;
  /** Iterations side by side in one turn, `step` apart; one unless given. */
  readonly unroll?: number;
}

/** A loop that binds an axis; `body` is called for each unrolled iteration. */
export function loop(frame: Frame, axis: number, options: LoopOptions, body: (copy: number) => void): void {
  const { builder } = frame;
  const variable = builder.local('i32');
  const end = options.to.kind === 'const' ? options.to : get(keep(frame, 'i32', options.to));
  const unroll = options.unroll ?? 1;
  emit(frame, set(variable, options.from));
  const level = frame.levels.length;
  const statements: Expression[] = [];
  for (let copy = 0; copy < unroll; copy++) {
    frame.levels.push({ statements, known: new Map() });
    frame.axes.set(axis, { level, local: variable, shift: copy * options.step, lanes: options.lanes });
    body(copy);
    frame.levels.pop();
  }
  frame.axes.delete(axis);
  const again = { name: `axis_${axis}` };
  statements.push(set(variable, op('i32.add', get(variable), i32(options.step * unroll))));
  statements.push({ kind: 'br', label: again, condition: op('i32.lt_s', get(variable), end) });
  const whole: Expression = { kind: 'loop', label: again, body: statements };
  if (options.certain) emit(frame, whole);
  else emit(frame, { kind: 'if', condition: op('i32.lt_s', get(variable), end), then: [whole], otherwise: [] });
}

/**
 * A loop over an axis in which `copies` vectors are evaluated first and then written, store by store: neighbouring vectors that end in
 * neighbouring stores, with nothing between them, are what V8 turns into operations of twice the width.
 */
export function sideBySide(
  frame: Frame,
  axis: number,
  range: Pick<LoopOptions, 'from' | 'to' | 'certain'>,
  copies: number,
  stores: number,
  evaluated: (copy: number) => readonly Local[],
  write: (values: readonly Local[], store: number) => void,
): void {
  const { builder } = frame;
  const variable = builder.local('i32');
  const end = range.to.kind === 'const' ? range.to : get(keep(frame, 'i32', range.to));
  emit(frame, set(variable, range.from));
  const level = frame.levels.length;
  const statements: Expression[] = [];
  const levels = Array.from({ length: copies }, (): Level => ({ statements, known: new Map() }));
  const within = <T>(copy: number, make: () => T): T => {
    frame.levels.push(levels[copy]!);
    frame.axes.set(axis, { level, local: variable, shift: copy * 4, lanes: true });
    const made = make();
    frame.levels.pop();
    return made;
  };
  const values = levels.map((_, copy) => within(copy, () => evaluated(copy)));
  for (let number = 0; number < stores; number++) {
    // Addresses first, so that the stores follow one another.
    const writes = values.map((own, copy) =>
      within(copy, () => {
        const before = statements.length;
        write(own, number);
        return statements.splice(before);
      }),
    );
    const isStore = (statement: Expression): boolean => statement.kind === 'op' && statement.name.includes('store');
    statements.push(...writes.flat().filter(statement => !isStore(statement)), ...writes.flat().filter(isStore));
  }
  frame.axes.delete(axis);
  const again = { name: `axis_${axis}` };
  statements.push(set(variable, op('i32.add', get(variable), i32(4 * copies))), {
    kind: 'br',
    label: again,
    condition: op('i32.lt_s', get(variable), end),
  });
  const whole: Expression = { kind: 'loop', label: again, body: statements };
  emit(frame, range.certain ? whole : { kind: 'if', condition: op('i32.lt_s', get(variable), end), then: [whole], otherwise: [] });
}

/** Binds an axis to a local of the innermost loop. */
export const bind = (frame: Frame, axis: number, local: Local, lanes = false): void =>
  void frame.axes.set(axis, { level: frame.levels.length - 1, local, shift: 0, lanes });

const vectorAxis = (frame: Frame): number | null => {
  let found: number | null = null;
  frame.axes.forEach((binding, axis) => { if (binding.lanes) found ??= axis; });
  return found;
};

/** How many elements one lane is from the next. */
const laneStep = (frame: Frame, index: Affine): number => {
  const axis = vectorAxis(frame);
  return axis === null ? 0 : timesOf(index, axis);
};

/** A vector in every lane of which the value stands, in a local or as a constant. */
export function evaluate(frame: Frame, value: Value, guards: readonly Check[] = []): Expression {
  if (value.kind === 'constant') return constantVector(value.value, value.dtype);
  if (value.kind === 'local') return get(frame.locals.get(value.local)!.local);
  const level = Math.max(
    levelOf(frame, value),
    guards.length === 0 ? 0 : guards.reduce((most, check) => Math.max(most, axisLevel(frame, check.index)), 0),
  );
  const key = `${numberOf(frame, value)} ${guards.length === 0 ? '' : JSON.stringify(guards)}`;
  const known = frame.levels[level]!.known.get(key);
  if (known) return get(known);
  const local = keep(frame, 'v128', compute(frame, value, guards, level), level);
  frame.levels[level]!.known.set(key, local);
  return get(local);
}

function constantVector(value: number, dtype: DType): Expression {
  const kind = kindOf(dtype);
  return kind === 'float' ? f32x4(value) : kind === 'int' ? i32x4(value) : i32x4(value === 0 ? 0 : -1);
}

function compute(frame: Frame, value: Exclude<Value, { kind: 'constant' | 'local' }>, guards: readonly Check[], level: number): Expression {
  switch (value.kind) {
    case 'index':
      return indexVector(frame, value.index, value.floored, level);
    case 'load':
      return guards.length === 0 ? load(frame, value, level) : guardedLoad(frame, value, guards, level);
    case 'apply':
      return vector(
        value.instruction,
        value.arguments.map(part => evaluate(frame, part, guards)),
        value.arguments.map(part => kindOf(dtypeOf(part))),
      );
    case 'guard': {
      const then = evaluate(frame, value.then, [...guards, ...value.at]);
      const otherwise = evaluate(frame, value.otherwise, guards);
      return op('v128.bitselect', then, otherwise, maskOf(frame, value.at, level));
    }
    default:
      return value satisfies never;
  }
}

/** Σ times·axis + offset as an i32, its parts computed in the loops they depend on. */
export function scalarIndex(frame: Frame, index: Affine, scale: number, base: Local | null, level: number): Expression {
  const byLevel = new Map<number, { axis: number; times: number }[]>();
  let offset = index.offset * scale;
  for (const term of index.terms) {
    const binding = frame.axes.get(term.axis)!;
    offset += term.times * scale * binding.shift;
    byLevel.set(binding.level, [...(byLevel.get(binding.level) ?? []), { axis: term.axis, times: term.times * scale }]);
  }
  let sum = base && get(base);
  let key = base === null ? '' : `@${base.number}`;
  for (const [own, terms] of [...byLevel].sort(([a], [b]) => a - b)) {
    for (const { axis, times } of terms) {
      const scaled =
        times === 1
          ? get(frame.axes.get(axis)!.local)
          : known(frame, own, `${times}*${axis}`, () => multiplied(get(frame.axes.get(axis)!.local), times));
      const before = sum;
      key += `+${times}*${axis}`;
      sum = before === null ? scaled : known(frame, own, `address ${key}`, () => op('i32.add', before, scaled));
    }
  }
  if (offset === 0) return sum ?? i32(0);
  return sum === null ? i32(offset) : known(frame, level, `address ${key} ${offset}`, () => op('i32.add', sum, i32(offset)));
}

const multiplied = (value: Expression, times: number): Expression => {
  const exponent = Math.log2(times);
  return Number.isInteger(exponent) && exponent >= 0 ? op('i32.shl', value, i32(exponent)) : op('i32.mul', value, i32(times));
};

function known(frame: Frame, level: number, key: string, make: () => Expression): Expression {
  const before = frame.levels[level]!.known.get(key);
  if (before) return get(before);
  const local = keep(frame, 'i32', make(), level);
  frame.levels[level]!.known.set(key, local);
  return get(local);
}

/** An index in all lanes, each at its own position of the vectorised axis. */
function indexVector(frame: Frame, index: Affine, floored: readonly Floored[], level: number): Expression {
  const sum = (number: number): Expression => withFloors(frame, scalarIndex(frame, index, 1, null, level), floored, number, 1);
  const offsets = laneOffsets(frame, index, floored);
  const first = op('i32x4.splat', sum(0));
  if (offsets !== null) return offsets.every(offset => offset === 0) ? first : op('i32x4.add', first, i32x4(...offsets));
  const step = laneStep(frame, index);
  return [1, 2, 3].reduce(
    (vector, number) => lane('i32x4.replace_lane', number, vector, op('i32.add', sum(number), i32(number * step))),
    first,
  );
}

/** How far each lane is from the first, where that is the same for every vector: vectors begin at multiples of four. */
function laneOffsets(frame: Frame, index: Affine, floored: readonly Floored[]): readonly [number, number, number, number] | null {
  const axis = vectorAxis(frame);
  const own = floored.filter(part => part.axis === axis);
  if (own.some(part => 4 % part.by !== 0 && part.by % 4 !== 0)) return null;
  const offset = (number: number): number =>
    number * laneStep(frame, index) + own.reduce((sum, part) => sum + part.times * Math.floor(number / part.by), 0);
  return [0, offset(1), offset(2), offset(3)];
}

/** With what is floored added to it, at the position of a lane. */
function withFloors(frame: Frame, sum: Expression, floored: readonly Floored[], number: number, scale: number): Expression {
  return floored.reduce((total, { axis, by, times }) => {
    const { local, level, shift, lanes } = frame.axes.get(axis)!;
    const ahead = shift + (lanes ? number : 0);
    const whole = known(frame, level, `floor ${axis} ${by} ${ahead}`, () => {
      const position = ahead === 0 ? get(local) : op('i32.add', get(local), i32(ahead));
      const exponent = Math.log2(by);
      return Number.isInteger(exponent) ? op('i32.shr_u', position, i32(exponent)) : op('i32.div_u', position, i32(by));
    });
    return op('i32.add', total, multiplied(whole, times * scale));
  }, sum);
}

/** A byte address: an expression, and a constant that fits a memory instruction. */
interface Place {
  readonly address: Expression;
  readonly offset: number;
}

/** Where lane `number` of an access is. Gathered positions are values under the guards. */
function placeOf(frame: Frame, access: number, address: Address, number: number, level: number, guards: readonly Check[]): Place {
  const size = elementBytes(frame.kernel.dtypes[access]!);
  const { flat, floored, gathered, divided } = address;
  const offsets = laneOffsets(frame, flat, floored);
  const ofLane = offsets ? offsets[number]! : number * laneStep(frame, flat);
  const shift = flat.terms.reduce((sum, term) => sum + term.times * frame.axes.get(term.axis)!.shift, flat.offset);
  const ahead = (shift + ofLane) * size;
  // A constant in a memory instruction must not bring a negative sum back above zero.
  const apart =
    flat.terms.every(term => term.times > 0) &&
    floored.every(part => part.times > 0) &&
    gathered.length === 0 &&
    divided.length === 0 &&
    ahead >= 0 &&
    ahead < 2 ** 28;
  const constant = apart ? flat.offset - shift : flat.offset + ofLane;
  let sum = scalarIndex(frame, affine(flat.terms, constant), size, frame.bases[access]!, level);
  // Where the lanes' offsets are known, they count from the first lane's floors.
  sum = withFloors(frame, sum, floored, offsets ? 0 : number, size);
  for (const { value, stride } of gathered)
    sum = op(
      'i32.add',
      sum,
      multiplied(lane('i32x4.extract_lane', varies(frame, value) ? number : 0, evaluate(frame, value, guards)), stride * size),
    );
  for (const { index, stride } of divided) {
    const numerator = scalarIndex(frame, affine(index.terms, index.offset + number * laneStep(frame, index)), 1, null, level);
    sum = op('i32.add', sum, multiplied(op('i32.div_s', numerator, i32(index.divisor)), stride * size));
  }
  return { address: sum, offset: apart ? ahead : 0 };
}

/** Whether lanes of a value differ. */
function varies(frame: Frame, value: Value): boolean {
  const axis = vectorAxis(frame);
  return axis !== null && levelOf(frame, value) >= frame.axes.get(axis)!.level && dependsOn(frame, value, axis);
}

function dependsOn(frame: Frame, value: Value, axis: number): boolean {
  switch (value.kind) {
    case 'constant':
      return false;
    case 'local':
      return frame.locals.get(value.local)!.level >= frame.axes.get(axis)!.level;
    case 'index':
      return timesOf(value.index, axis) !== 0 || value.floored.some(part => part.axis === axis);
    case 'load':
      return (
        timesOf(value.address.flat, axis) !== 0 ||
        value.address.floored.some(part => part.axis === axis) ||
        value.address.divided.some(part => timesOf(part.index, axis) !== 0) ||
        value.address.gathered.some(part => dependsOn(frame, part.value, axis))
      );
    case 'apply':
      return value.arguments.some(part => dependsOn(frame, part, axis));
    case 'guard':
      return (
        value.at.some(check => timesOf(check.index, axis) !== 0) ||
        dependsOn(frame, value.then, axis) ||
        dependsOn(frame, value.otherwise, axis)
      );
    default:
      return value satisfies never;
  }
}

/** How the lanes of an access lie: all the same element, side by side, two neighbours twice in some order, or each somewhere. */
function layoutOf(frame: Frame, address: Address): 'same' | 'dense' | 'pair' | 'apart' {
  if (address.gathered.some(part => varies(frame, part.value))) return 'apart';
  if (address.divided.some(part => laneStep(frame, part.index) !== 0)) return 'apart';
  const offsets = laneOffsets(frame, address.flat, address.floored);
  if (offsets === null) return 'apart';
  if (offsets.every(offset => offset === 0)) return 'same';
  if (offsets.every((offset, number) => offset === number)) return 'dense';
  return offsets.every(offset => offset === 0 || offset === 1) ? 'pair' : 'apart';
}

/** One element in all lanes. */
function splatLoad(dtype: DType, place: Place): Expression {
  return elementBytes(dtype) === 4
    ? at('v128.load32_splat', place.offset, place.address)
    : truth(dtype, op('i32x4.splat', at('i32.load8_u', place.offset, place.address)));
}

/** Four neighbouring elements. */
function denseLoad(dtype: DType, place: Place): Expression {
  if (elementBytes(dtype) === 4) return at('v128.load', place.offset, place.address);
  return truth(dtype, op('i32x4.extend_low_i16x8_u', op('i16x8.extend_low_i8x16_u', at('v128.load32_zero', place.offset, place.address))));
}

/** An element into one lane of a vector; booleans as 0 and 1. */
const laneLoad = (dtype: DType, number: number, place: Place, into: Expression): Expression =>
  elementBytes(dtype) === 4
    ? laneAt('v128.load32_lane', number, place.offset, place.address, into)
    : lane('i32x4.replace_lane', number, into, at('i32.load8_u', place.offset, place.address));

/** Booleans from 0 and 1 to lanes of all zeros and all ones. */
const truth = (dtype: DType, vector: Expression): Expression => (dtype === 'bool' ? op('i32x4.ne', vector, i32x4(0)) : vector);

function load(frame: Frame, value: Value & { kind: 'load' }, level: number): Expression {
  const { access, address, dtype } = value;
  const layout = layoutOf(frame, address);
  const place = (number: number): Place => placeOf(frame, access, address, number, level, []);
  if (layout === 'same') return splatLoad(dtype, place(0));
  if (layout === 'dense') return denseLoad(dtype, place(0));
  if (layout === 'pair' && elementBytes(dtype) === 4) {
    const first = place(0);
    const two = get(keep(frame, 'v128', at('v128.load64_zero', first.offset, first.address), level));
    return shuffle32(two, two, laneOffsets(frame, address.flat, address.floored)!);
  }
  let result: Expression = elementBytes(dtype) === 4 ? splatLoad(dtype, place(0)) : splatLoad('u8', place(0));
  for (const number of [1, 2, 3]) result = laneLoad(dtype, number, place(number), result);
  return truth(dtype, result);
}

/** A load that happens only where the guards hold; zero elsewhere. */
function guardedLoad(frame: Frame, value: Value & { kind: 'load' }, guards: readonly Check[], level: number): Expression {
  const { access, address, dtype } = value;
  const mask = keep(frame, 'v128', maskOf(frame, guards, level), level);
  const layout = layoutOf(frame, address);
  const uniform = guards.every(check => laneStep(frame, check.index) === 0);
  const place = (number: number): Place => placeOf(frame, access, address, number, level, guards);
  const result = keep(frame, 'v128', i32x4(0), level);
  const lanes = (): Expression[] => {
    const places = [0, 1, 2, 3].map(place);
    return places.map((each, number): Expression => ({
      kind: 'if',
      condition: lane('i32x4.extract_lane', number, get(mask)),
      then: [set(result, laneLoad(dtype, number, each, get(result)))],
      otherwise: [],
    }));
  };
  if (uniform || vectorAxis(frame) === null) {
    const whole =
      layout === 'same' ? splatLoad(dtype, place(0)) : layout === 'dense' ? denseLoad(dtype, place(0)) : load(frame, value, level);
    emit(frame, { kind: 'if', condition: lane('i32x4.extract_lane', 0, get(mask)), then: [set(result, whole)], otherwise: [] }, level);
    return get(result);
  }
  if (layout === 'dense') {
    const whole = denseLoad(dtype, place(0));
    const single = [...lanes(), set(result, truth(dtype, get(result)))];
    emit(frame, { kind: 'if', condition: op('i32x4.all_true', get(mask)), then: [set(result, whole)], otherwise: single }, level);
    return get(result);
  }
  for (const statement of lanes()) emit(frame, statement, level);
  return truth(dtype, get(result));
}

/** All ones in the lanes where every check holds. */
function maskOf(frame: Frame, checks: readonly Check[], level: number): Expression {
  return checks
    .map(({ index, extent }): Expression => {
      const key = `inside ${JSON.stringify(index)} ${extent}`;
      const before = frame.levels[level]!.known.get(key);
      if (before) return get(before);
      const numerator = affine(index.terms, index.offset);
      const vector = keep(frame, 'v128', indexVector(frame, numerator, [], level), level);
      const inside = op('i32x4.lt_u', get(vector), i32x4(extent * index.divisor));
      const made = keep(frame, 'v128', index.divisor === 1 ? inside : op('v128.and', inside, exact(get(vector), index.divisor)), level);
      frame.levels[level]!.known.set(key, made);
      return get(made);
    })
    .reduce((a, b) => op('v128.and', a, b));
}

/** Where a division leaves no rest. */
function exact(numerator: Expression, divisor: number): Expression {
  if (Number.isInteger(Math.log2(divisor))) return op('i32x4.eq', op('v128.and', numerator, i32x4(divisor - 1)), i32x4(0));
  let rest: Expression = i32x4(0);
  for (const number of [0, 1, 2, 3])
    rest = lane('i32x4.replace_lane', number, rest, op('i32.rem_s', lane('i32x4.extract_lane', number, numerator), i32(divisor)));
  return op('i32x4.eq', rest, i32x4(0));
}

/** Writes a value, in the innermost loop: four elements where an axis is vectorised, one elsewhere. */
export function store(frame: Frame, access: number, address: Address, value: Expression, accumulate: boolean): void {
  const dtype = frame.kernel.dtypes[access]!;
  const level = frame.levels.length - 1;
  const layout = layoutOf(frame, address);
  const place = (number: number): Place => placeOf(frame, access, address, number, level, []);
  const size = elementBytes(dtype);
  const kept = keep(frame, 'v128', dtype === 'bool' ? op('v128.and', value, i32x4(1)) : value);
  const one = (number: number): void => {
    const to = place(number);
    const target = keep(frame, 'i32', to.address);
    if (!accumulate) {
      emit(
        frame,
        size === 4
          ? laneAt('v128.store32_lane', number, to.offset, get(target), get(kept))
          : at('i32.store8', to.offset, get(target), lane('i32x4.extract_lane', number, get(kept))),
      );
      return;
    }
    const sum = kindOf(dtype) === 'float' ? 'f32x4.add' : 'i32x4.add';
    const before = splatLoad(size === 4 ? dtype : 'u8', { address: get(target), offset: to.offset });
    const after = keep(frame, 'v128', op(sum, before, get(kept)));
    emit(
      frame,
      size === 4
        ? laneAt('v128.store32_lane', number, to.offset, get(target), get(after))
        : at('i32.store8', to.offset, get(target), lane('i32x4.extract_lane', number, get(after))),
    );
  };
  if (vectorAxis(frame) === null) return one(0);
  if (layout !== 'dense' || (accumulate && size !== 4)) return [0, 1, 2, 3].forEach(one);
  const to = place(0);
  if (size === 4) {
    const target = to.address.kind === 'get' ? to.address.local : keep(frame, 'i32', to.address);
    const sum = kindOf(dtype) === 'float' ? 'f32x4.add' : 'i32x4.add';
    emit(
      frame,
      at('v128.store', to.offset, get(target), accumulate ? op(sum, at('v128.load', to.offset, get(target)), get(kept)) : get(kept)),
    );
  } else {
    const words = keep(frame, 'v128', op('i16x8.narrow_i32x4_u', op('v128.and', get(kept), i32x4(255)), i32x4(0)));
    emit(frame, laneAt('v128.store32_lane', 0, to.offset, to.address, op('i8x16.narrow_i16x8_u', get(words), i32x4(0))));
  }
}
