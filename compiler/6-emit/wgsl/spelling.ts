/**
 * How each scalar instruction is written in WGSL, on single values and on vectors of four alike. Arithmetic takes truth values as 0 and 1,
 * and whole numbers beside floats, or where only floats are computed with, as floats; logic takes all but 0 as true.
 */
import { convert } from '../../ir/arithmetic.ts';
import type { Instruction } from '../../ir/nest.ts';
import { isFloat, type DType } from '../../ir/type.ts';

/**
 * What a value is in a shader: `f32`, `i32` or `bool`, or of the type `half`, which a shader declares: f16 where the adapter has it, else
 * f32. A half is always rounded to f16, and nothing computes with it: it is stored, or becomes a float.
 */
export type Kind = 'float' | 'int' | 'mask' | 'half';
/** What values of a type are computed as. */
export const kindOf = (dtype: DType): Kind => (isFloat(dtype) ? 'float' : dtype === 'bool' ? 'mask' : 'int');

export interface Text {
  readonly text: string;
  readonly kind: Kind;
  /** Four values, of neighbouring iterations. */
  readonly wide: boolean;
}

const scalarTypes = { float: 'f32', int: 'i32', mask: 'bool', half: 'half' } as const satisfies Record<Kind, string>;
export const typeOf = ({ kind, wide }: Pick<Text, 'kind' | 'wide'>): string => (wide ? `vec4<${scalarTypes[kind]}>` : scalarTypes[kind]);

/** The largest float; stands for Infinity, which WGSL has no constant for and promises nothing about. */
export const largest = 3.4028234663852886e38;

/** The largest half, which stands for Infinity there. */
const largestHalf = 65504;

/** A constant. */
export function numeral(value: number, kind: Kind): string {
  if (kind === 'half') return `half(${numeral(Math.max(-largestHalf, Math.min(largestHalf, convert(value, 'f16'))), 'float')})`;
  if (kind === 'mask') return value === 0 ? 'false' : 'true';
  if (kind === 'int') return value === -(2 ** 31) ? 'i32(-2147483648)' : String(value);
  const rounded = Math.fround(Math.max(-largest, Math.min(largest, Number.isNaN(value) ? 0 : value)));
  const text = Object.is(rounded, -0) ? '-0' : String(rounded);
  return `${/[.e]/.test(text) ? text.replace('e+', 'e') : `${text}.0`}f`;
}

export const widened = (value: Text): Text => (value.wide ? value : { text: `${typeOf({ ...value, wide: true })}(${value.text})`, kind: value.kind, wide: true });

/**
 * The same values as another kind: towards zero to whole numbers, all but 0 is true, and halves are rounded, always by `to_f16`. What that
 * gives, f16 holds exactly, so that it does not matter how an adapter rounds, nor whether it leaves out a conversion there and back.
 */
export function converted(value: Text, to: Kind): Text {
  const { text, kind, wide } = value;
  if (kind === to) return value;
  const type = typeOf({ kind: to, wide });
  if (to === 'half') return { text: `${type}(${toHalf([value]).text})`, kind: to, wide };
  return { text: `${type}(${text})`, kind: to, wide };
}

type Row = (args: readonly Text[]) => Text;

/** Whole numbers only if none is a float. */
const numeric = (args: readonly Text[]): 'float' | 'int' => (args.some(arg => arg.kind === 'float' || arg.kind === 'half') ? 'float' : 'int');
/** All arguments as one kind, and wide if one of them is. */
function all(args: readonly Text[], kind: Kind): { readonly texts: readonly string[]; readonly wide: boolean } {
  const wide = args.some(arg => arg.wide);
  return { texts: args.map(arg => converted(arg, kind)).map(arg => (wide ? widened(arg) : arg).text), wide };
}

const infix = (operator: string, of: Kind | 'numeric', to?: Kind): Row => args => {
  const kind = of === 'numeric' ? numeric(args) : of;
  const { texts, wide } = all(args, kind);
  return { text: `(${texts.join(` ${operator} `)})`, kind: to ?? kind, wide };
};
const prefix = (operator: string, of: Kind | 'numeric'): Row => args => {
  const kind = of === 'numeric' ? numeric(args) : of;
  const { texts, wide } = all(args, kind);
  return { text: `${operator}(${texts[0]!})`, kind, wide };
};
const builtin = (name: string, of: Kind | 'numeric'): Row => args => {
  const kind = of === 'numeric' ? numeric(args) : of;
  const { texts, wide } = all(args, kind);
  return { text: `${name}(${texts.join(', ')})`, kind, wide };
};
/** A function of `math.ts`, which has one for single values and one for vectors. */
const called = (name: string, of: 'float' | 'int' | 'numeric', to?: Kind): Row => args => {
  const kind = of === 'numeric' ? numeric(args) : of;
  const { texts, wide } = all(args, kind);
  const whole = of === 'numeric' && kind === 'int' ? '_whole' : '';
  return { text: `${name}${whole}${wide ? '_4' : ''}(${texts.join(', ')})`, kind: to ?? kind, wide };
};
const toHalf = called('to_f16', 'float');
const conversion = (to: Kind): Row => ([x]) => converted(x!, to);

const table = {
  neg: prefix('-', 'numeric'),
  abs: builtin('abs', 'numeric'),
  exp: builtin('exp', 'float'),
  log: called('log_of', 'float'),
  sqrt: builtin('sqrt', 'float'),
  tanh: called('tanh_of', 'float'),
  erf: called('erf_of', 'float'),
  sin: called('sin_of', 'float'),
  cos: called('cos_of', 'float'),
  floor: builtin('floor', 'float'),
  not: prefix('!', 'mask'),
  to_i32: conversion('int'),
  to_u8: ([x]) => {
    const whole = converted(x!, 'int');
    return { ...whole, text: `(${whole.text} & ${whole.wide ? 'vec4<i32>(255)' : '255'})` };
  },
  to_f32: conversion('float'),
  to_bool: conversion('mask'),
  to_f16: conversion('half'),
  to_bf16: called('to_bf16', 'float'),
  add: infix('+', 'numeric'),
  sub: infix('-', 'numeric'),
  mul: infix('*', 'numeric'),
  div: infix('/', 'float'),
  mod: called('mod_of', 'numeric'),
  pow: called('pow_of', 'float'),
  max: builtin('max', 'numeric'),
  min: builtin('min', 'numeric'),
  lt: infix('<', 'numeric', 'mask'),
  le: infix('<=', 'numeric', 'mask'),
  eq: infix('==', 'numeric', 'mask'),
  and: infix('&', 'mask'),
  or: infix('|', 'mask'),
  select: ([condition, ...branches]) => {
    const kind = branches[0]!.kind === branches[1]!.kind ? branches[0]!.kind : numeric(branches);
    const truth = converted(condition!, 'mask');
    const wide = truth.wide || branches.some(branch => branch.wide);
    const [then, otherwise] = branches.map(branch => converted(branch, kind)).map(branch => (wide ? widened(branch) : branch));
    return { text: `select(${otherwise!.text}, ${then!.text}, ${(wide ? widened(truth) : truth).text})`, kind, wide };
  },
  random: called('random', 'int', 'float'),
} satisfies Record<Instruction, Row>;

export const spell = (instruction: Instruction, args: readonly Text[]): Text => (table[instruction] as Row)(args);
