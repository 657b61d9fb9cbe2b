/**
 * Values of a kernel as text of a shader. Each value is named once, in the innermost loop that it depends on, or written where it is
 * needed when that is the only place. A frame may compute four neighbouring iterations at once: then values that differ between them
 * are vectors.
 */
import { affine, type Affine } from '../../ir/affine.ts';
import { elementBytes, isFloat, type DType } from '../../ir/type.ts';
import { dtypeOf, partsOf, rootsOf, timesOf, type Address, type Floored, type LinearKernel, type Value } from '../linear.ts';
import { levelOf, numberOf } from '../values.ts';
import { converted, kindOf, numeral, spell, typeOf, widened, type Kind, type Text } from './spelling.ts';

interface Level {
  readonly lines: string[];
  /** What has a name here, by its text or its number; `loads` where it would change when memory does. */
  readonly known: Map<string, { readonly text: Text; readonly loads: boolean }>;
}

interface Binding {
  readonly name: string;
  readonly level: number;
  /** Neighbouring lanes are neighbouring positions of this axis; the name is the first. */
  readonly lanes: boolean;
}

/** How an array of the memory is declared. */
export type Elements = Word | 'atomic<u32>' | `vec4<${Word}>`;
type Word = 'f32' | 'i32' | 'u32' | 'half';
const wordOf = (elements: Elements): Word => (['f32', 'i32', 'half'] as const).find(word => elements.includes(word)) ?? 'u32';

export interface Frame {
  readonly kernel: LinearKernel;
  /** Of each access: the array that it lies in. */
  readonly arrays: readonly string[];
  /** Of each array. */
  readonly elements: ReadonlyMap<string, Elements>;
  readonly levels: Level[];
  readonly axes: Map<number, Binding>;
  readonly locals: Map<number, { readonly text: Text; readonly level: number }>;
  readonly numbers: Map<string, number>;
  readonly numberOf: Map<Value, number>;
  /** How often a value of this number stands in the kernel. */
  readonly uses: Map<number, number>;
  readonly taken: Set<string>;
}

export function newFrame(kernel: LinearKernel, arrays: readonly string[], elements: ReadonlyMap<string, Elements>): Frame {
  const frame: Frame = {
    kernel, arrays, elements, levels: [newLevel()], axes: new Map(), locals: new Map(), numbers: new Map(), numberOf: new Map(),
    uses: new Map(), taken: new Set(),
  };
  const seen = new Set<number>();
  const count = (value: Value): void => {
    const number = numberOf(frame, value);
    frame.uses.set(number, (frame.uses.get(number) ?? 0) + 1);
    if (seen.has(number)) return;
    seen.add(number);
    partsOf(value).forEach(count);
  };
  for (const step of kernel.steps) rootsOf(step).forEach(count);
  return frame;
}

const newLevel = (): Level => ({ lines: [], known: new Map() });

export const here = (frame: Frame): number => frame.levels.length - 1;
/** Appends a statement to the innermost loop, or to the loop at `level`. */
export const emit = (frame: Frame, text: string, level = here(frame)): void => void frame.levels[level]!.lines.push(text);

/** A name that nothing else has. */
export function fresh(frame: Frame, hint: string): string {
  let name = hint;
  for (let i = 2; frame.taken.has(name); i++) name = `${hint}_${i}`;
  frame.taken.add(name);
  return name;
}

/** A name for the text. */
export function keep(frame: Frame, hint: string, text: string, level = here(frame)): string {
  const name = fresh(frame, hint);
  emit(frame, `let ${name} = ${text};`, level);
  return name;
}

/** Statements as a block of their own, in which what is named is forgotten afterwards. */
export function nested(frame: Frame, make: () => void): readonly string[] {
  frame.levels.push(newLevel());
  make();
  return frame.levels.pop()!.lines.map(line => `  ${line}`);
}

/** A block with a head, such as a loop or a condition. */
export function block(frame: Frame, head: string, make: () => void): void {
  const lines = nested(frame, make);
  emit(frame, `${head} {`);
  for (const line of lines) emit(frame, line);
  emit(frame, '}');
}

/** A loop over an axis from 0 to its extent. */
export function loop(frame: Frame, axis: number, extent: number, make: () => void): void {
  const name = fresh(frame, `k${axis}`);
  block(frame, `for (var ${name} = 0; ${name} < ${extent}; ${name}++)`, () => {
    bind(frame, axis, name);
    make();
    frame.axes.delete(axis);
  });
}

/** Binds an axis to a name of the innermost loop. */
export const bind = (frame: Frame, axis: number, name: string, lanes = false): void =>
  void frame.axes.set(axis, { name, level: here(frame), lanes });

/** Binds several axes to the parts of a flat position, given as an unsigned number, in the innermost loop. */
export function bindFlat(frame: Frame, axes: readonly number[], extents: readonly number[], flat: string, hint = 'i'): void {
  let stride = extents.reduce((product, extent) => product * extent, 1);
  axes.forEach((axis, i) => {
    const extent = extents[i]!;
    stride /= extent;
    const whole = stride === 1 ? flat : `${flat} / ${stride}u`;
    const part = i === 0 || extent === 1 ? whole : `${stride === 1 ? whole : `(${whole})`} % ${extent}u`;
    bind(frame, axis, keep(frame, `${hint}${axis}`, extent === 1 && i > 0 ? '0' : `i32(${part})`));
  });
}

/** Memory has changed: what was loaded before must be loaded again. */
export function forgetLoads(frame: Frame): void {
  for (const { known } of frame.levels) for (const [key, { loads }] of known) if (loads) known.delete(key);
}

const lanesAxis = (frame: Frame): number | null => {
  for (const [axis, binding] of frame.axes) if (binding.lanes) return axis;
  return null;
};

const readsMemory = (value: Value): boolean => value.kind === 'load' || partsOf(value).some(readsMemory);

/** The value as an expression; what is used more than once, or changes in fewer loops, is named where it is known first. */
export function evaluate(frame: Frame, value: Value): Text {
  if (value.kind === 'constant') {
    const kind = value.dtype === 'f16' ? 'half' : kindOf(value.dtype);
    return { text: numeral(value.value, kind), kind, wide: false };
  }
  if (value.kind === 'local') return frame.locals.get(value.local)!.text;
  const level = levelOf(frame, value);
  const number = numberOf(frame, value);
  const known = frame.levels[level]!.known.get(`#${number}`);
  if (known) return known.text;
  const made = compute(frame, value, level);
  if (level === here(frame) && frame.uses.get(number) === 1) return made;
  const text = { ...made, text: keep(frame, hints[value.kind], made.text, level) };
  frame.levels[level]!.known.set(`#${number}`, { text, loads: readsMemory(value) });
  return text;
}

/** The value as what is computed with. */
export const operand = (frame: Frame, value: Value): Text => converted(evaluate(frame, value), kindOfValue(value));

const hints = { index: 'at', load: 'x', apply: 'v', guard: 'g' } as const;

function compute(frame: Frame, value: Exclude<Value, { kind: 'constant' | 'local' }>, level: number): Text {
  switch (value.kind) {
    case 'index': return { text: indexText(frame, value.index, value.floored, level, true), kind: 'int', wide: movesLanes(frame, value.index, value.floored) };
    case 'load': return load(frame, value.access, value.address, level);
    case 'apply': return spell(value.instruction, value.arguments.map(part => evaluate(frame, part)));
    case 'guard': {
      // Outside the guard the load gives any element of the memory, which is then not taken.
      const then = evaluate(frame, value.then);
      const otherwise = converted(evaluate(frame, value.otherwise), then.kind);
      const inside = insideText(frame, value.at, level);
      const wide = then.wide || otherwise.wide || inside.wide;
      const as = (text: Text): string => (wide ? widened(text) : text).text;
      return { text: `select(${as(otherwise)}, ${as(then)}, ${as(inside)})`, kind: then.kind, wide };
    }
    default: return value satisfies never;
  }
}

const movesLanes = (frame: Frame, index: Affine, floored: readonly Floored[] = []): boolean => {
  const axis = lanesAxis(frame);
  return axis !== null && (timesOf(index, axis) !== 0 || floored.some(part => part.axis === axis));
};

/** Whether every check holds. */
function insideText(frame: Frame, checks: readonly { readonly index: Affine; readonly extent: number }[], level: number): Text {
  const texts = checks.map(({ index, extent }): Text => {
    const numerator = affine(index.terms, index.offset);
    const wide = movesLanes(frame, index);
    const key = `inside ${JSON.stringify(index)} ${extent}`;
    const known = frame.levels[level]!.known.get(key);
    if (known) return known.text;
    const at = keep(frame, 'at', indexText(frame, numerator, [], level, true), level);
    const splat = (value: number): string => (wide ? `vec4<i32>(${value})` : String(value));
    const parts = [`${at} >= ${splat(0)}`, `${at} < ${splat(extent * index.divisor)}`, ...(index.divisor === 1 ? [] : [`${at} % ${splat(index.divisor)} == ${splat(0)}`])];
    const text: Text = { text: keep(frame, 'inside', parts.map(part => `(${part})`).join(' & '), level), kind: 'mask', wide };
    frame.levels[level]!.known.set(key, { text, loads: false });
    return text;
  });
  const wide = texts.some(text => text.wide);
  return { text: texts.map(text => (wide ? widened(text) : text).text).join(' & '), kind: 'mask', wide };
}

const times = (name: string, factor: number): string => (factor === 1 ? name : `${factor} * ${name}`);

/** offset + Σ times·axis + Σ times·⌊axis / by⌋, what changes in outer loops named there. With `eachLane`, at each lane's own position. */
function indexText(frame: Frame, index: Affine, floored: readonly Floored[], level: number, eachLane: boolean, base: string | null = null): string {
  const lanes = lanesAxis(frame);
  const name = (axis: number): string => {
    const binding = frame.axes.get(axis)!;
    return eachLane && axis === lanes ? `(vec4<i32>(${binding.name}) + vec4<i32>(0, 1, 2, 3))` : binding.name;
  };
  const parts = [
    ...index.terms.map(term => ({ level: frame.axes.get(term.axis)!.level, text: times(name(term.axis), term.times) })),
    ...floored.map(part => ({ level: frame.axes.get(part.axis)!.level, text: times(`(${name(part.axis)} / ${eachLane && part.axis === lanes ? `vec4<i32>(${part.by})` : part.by})`, part.times) })),
  ].sort((a, b) => a.level - b.level);
  let sum = base;
  parts.forEach((part, i) => {
    sum = sum === null ? part.text : `${sum} + ${part.text}`;
    // One name for each loop that contributes.
    if (part.level === level || parts[i + 1]?.level === part.level || /^\w+$/.test(sum)) return;
    sum = known(frame, part.level, sum);
  });
  if (index.offset === 0 && sum !== null) return sum;
  return sum === null ? String(index.offset) : `${sum} ${index.offset < 0 ? '-' : '+'} ${Math.abs(index.offset)}`;
}

function known(frame: Frame, level: number, text: string): string {
  const before = frame.levels[level]!.known.get(text);
  if (before) return before.text.text;
  const name = keep(frame, 'at', text, level);
  frame.levels[level]!.known.set(text, { text: { text: name, kind: 'int', wide: false }, loads: false });
  return name;
}

/** Elements from the start of the array: of the first lane, where an axis has lanes. */
export function addressText(frame: Frame, access: number, address: Address, level: number): string {
  const whole = indexText(frame, address.flat, address.floored, level, false, `base${access}`);
  const extra = [
    ...address.gathered.map(part => times(evaluate(frame, part.value).text, part.stride)),
    ...address.divided.map(part => times(`((${indexText(frame, affine(part.index.terms, part.index.offset), [], level, false)}) / ${part.index.divisor})`, part.stride)),
  ];
  return [whole, ...extra].join(' + ');
}

/** Whether a value differs between the lanes of a frame. */
export function isWide(frame: Frame, value: Value): boolean {
  switch (value.kind) {
    case 'constant': return false;
    case 'local': return frame.locals.get(value.local)!.text.wide;
    case 'index': return movesLanes(frame, value.index, value.floored);
    case 'load': return layoutOf(frame, value.address) !== 'same';
    case 'apply': return value.arguments.some(part => isWide(frame, part));
    case 'guard': return value.at.some(check => movesLanes(frame, check.index)) || isWide(frame, value.then) || isWide(frame, value.otherwise);
    default: return value satisfies never;
  }
}

/** How an access lies for the lanes of a frame: the same element for all, four neighbours, or anywhere. */
export function layoutOf(frame: Frame, address: Address): 'same' | 'dense' | 'apart' {
  const axis = lanesAxis(frame);
  if (axis === null) return 'same';
  if (address.floored.some(part => part.axis === axis) || address.divided.some(part => movesLanes(frame, part.index))) return 'apart';
  if (address.gathered.some(part => isWide(frame, part.value))) return 'apart';
  const step = timesOf(address.flat, axis);
  return step === 0 ? 'same' : step === 1 ? 'dense' : 'apart';
}

/** Whether an access whose lanes are neighbours along an axis begins with a whole vector at every position of the other axes. */
export const isWholeAccess = (aligned: boolean, { flat, floored, gathered, divided }: Address, lanes: number): boolean =>
  aligned &&
  flat.offset % 4 === 0 &&
  flat.terms.every(term => term.axis === lanes || term.times % 4 === 0) &&
  floored.every(part => part.times % 4 === 0) &&
  gathered.every(part => part.stride % 4 === 0) &&
  divided.every(part => part.stride % 4 === 0);

function load(frame: Frame, access: number, address: Address, level: number): Text {
  const dtype = frame.kernel.dtypes[access]!;
  const at = addressText(frame, access, address, level);
  const array = frame.arrays[access]!;
  const elements = frame.elements.get(array)!;
  const kind = kindOf(dtype);
  if (elements.startsWith('vec4')) {
    if (layoutOf(frame, address) === 'dense') return read(`${array}[(${at}) >> 2u]`, elements, kind, true);
    const place = /^\w+$/.test(at) ? at : keep(frame, 'at', at, level);
    return read(`${array}[${place} >> 2u][${place} & 3]`, wordOf(elements), kind, false);
  }
  const word = (place: string): string => (elements === 'atomic<u32>' ? `atomicLoad(&${array}[${place}])` : `${array}[${place}]`);
  if (elementBytes(dtype) === 4) return read(word(at), elements === 'atomic<u32>' ? 'u32' : elements, kind, false);
  const place = /^\w+$/.test(at) ? at : keep(frame, 'at', at, level);
  const byte = `(${word(`${place} >> 2u`)} >> (u32(${place} & 3) * 8u)) & 255u`;
  return kind === 'mask' ? { text: `((${byte}) != 0u)`, kind, wide: false } : { text: `i32(${byte})`, kind, wide: false };
}

/** A word of the memory as a value. */
function read(text: string, elements: Elements, kind: Kind, wide: boolean): Text {
  const own = wordOf(elements);
  if (own === 'half') return { text, kind: 'half', wide };
  const wanted = kind === 'float' ? 'f32' : 'i32';
  return { text: own === wanted ? text : `bitcast<${typeOf({ kind: kind === 'float' ? 'float' : 'int', wide })}>(${text})`, kind, wide };
}

/** The value as the access holds it, but for its type. */
export function stored(frame: Frame, access: number, value: Text): Text {
  const dtype = frame.kernel.dtypes[access]!;
  if (dtype === 'f16' || dtype === 'bf16') return spell(dtype === 'f16' ? 'to_f16' : 'to_bf16', [value]);
  return converted(value, kindOf(dtype));
}

/** Writes a value that `stored` gave. */
export function store(frame: Frame, access: number, address: Address, value: Text, accumulate: boolean): void {
  const dtype: DType = frame.kernel.dtypes[access]!;
  const array = frame.arrays[access]!;
  const elements = frame.elements.get(array)!;
  const at = addressText(frame, access, address, here(frame));
  const written = (given: Text): string => {
    const own = wordOf(elements);
    if (own === 'half') return converted(given, 'half').text;
    const text = isFloat(dtype) ? converted(given, 'float') : given;
    const type = isFloat(dtype) ? 'f32' : 'i32';
    return own === type ? text.text : `bitcast<${text.wide ? `vec4<${own}>` : own}>(${text.text})`;
  };
  const added = (before: Text): Text => ({ ...before, text: `${before.text} + ${converted(value, before.kind).text}` });
  if (elements.startsWith('vec4')) {
    emit(frame, `${array}[(${at}) >> 2u] = ${written(widened(value))};`);
    return;
  }
  if (elementBytes(dtype) === 1) {
    // Other invocations may write the other bytes of the word: each clears and sets its own, and in which order does not matter.
    const place = keep(frame, 'at', at);
    const shift = keep(frame, 'shift', `u32(${place} & 3) * 8u`);
    const old = `((atomicLoad(&${array}[${place} >> 2u]) >> ${shift}) & 255u)`;
    const byte = keep(frame, 'byte', dtype === 'bool'
      ? `select(0u, 1u, ${value.text})`
      : `bitcast<u32>(${value.text}${accumulate ? ` + i32(${old})` : ''}) & 255u`);
    emit(frame, `atomicAnd(&${array}[${place} >> 2u], ~(255u << ${shift}));`);
    emit(frame, `atomicOr(&${array}[${place} >> 2u], ${byte} << ${shift});`);
    return;
  }
  if (elements === 'atomic<u32>') {
    const place = keep(frame, 'at', at);
    const before = read(`atomicLoad(&${array}[${place}])`, 'u32', kindOf(dtype), false);
    emit(frame, `atomicStore(&${array}[${place}], ${written(accumulate ? added(before) : value)});`);
    return;
  }
  if (!accumulate) {
    emit(frame, `${array}[${at}] = ${written(value)};`);
    return;
  }
  const place = keep(frame, 'at', at);
  emit(frame, `${array}[${place}] = ${written(added(read(`${array}[${place}]`, elements, kindOf(dtype), false)))};`);
}

/** The kind in which a value is combined and stored. */
export const kindOfValue = (value: Value): Kind => kindOf(dtypeOf(value));
