/**
 * How each scalar instruction is computed on four lanes: floats and whole numbers of 32 bits, truth values as masks of ones or zeros.
 * A lane's result depends on that lane alone. Functions that are called are those of `math.ts`.
 */
import type { Instruction } from '../../ir/nest.ts';
import { isFloat, type DType } from '../../ir/type.ts';
import { call, f32x4, i32x4, op, type Expression, type Opcode } from './code.ts';

/** What a vector holds. */
export type Kind = 'float' | 'int' | 'mask';
export const kindOf = (dtype: DType): Kind => (isFloat(dtype) ? 'float' : dtype === 'bool' ? 'mask' : 'int');

/**
 * A scalar instruction on vectors of these kinds; each argument stands in the result once. Arithmetic takes truth values as 0 and 1, and
 * whole numbers beside floats, or where only floats are computed with, as floats; logic takes all but 0 as true.
 */
export const vector = (instruction: Instruction, args: readonly Expression[], kinds: readonly Kind[]): Expression =>
  table[instruction](args, kinds);

/** The same values in a vector of another kind: towards zero to whole numbers, and all but 0 is true. */
export function converted(value: Expression, from: Kind, to: Kind): Expression {
  if (from === to) return value;
  switch (to) {
    case 'float': return from === 'int' ? op('f32x4.convert_i32x4_s', value) : op('v128.and', value, f32x4(1));
    case 'int': return op(from === 'float' ? 'i32x4.trunc_sat_f32x4_s' : 'i32x4.neg', value);
    case 'mask': return from === 'float' ? op('f32x4.ne', value, f32x4(0)) : op('i32x4.ne', value, i32x4(0));
    default: return to satisfies never;
  }
}

type Row = (args: readonly Expression[], kinds: readonly Kind[]) => Expression;

/** All arguments in one kind, whole numbers only if none is a float. */
const numeric = (kinds: readonly Kind[]): 'float' | 'int' => (kinds.includes('float') ? 'float' : 'int');
const all = (args: readonly Expression[], kinds: readonly Kind[], to: Kind): readonly Expression[] =>
  args.map((arg, i) => converted(arg, kinds[i]!, to));

const floats = (name: Opcode): Row => (args, kinds) => op(name, ...all(args, kinds, 'float'));
const called = (name: string, of: Kind = 'float'): Row => (args, kinds) => call(name, ...all(args, kinds, of));
const logical = (name: Opcode): Row => (args, kinds) => op(name, ...all(args, kinds, 'mask'));
const conversion = (to: Kind): Row => ([x], [from]) => converted(x!, from!, to);
/** Arithmetic and comparisons. */
const either = (float: Opcode, int: Opcode): Row => (args, kinds) => {
  const kind = numeric(kinds);
  return op(kind === 'float' ? float : int, ...all(args, kinds, kind));
};

/**
 * NaN comes through, as with Math.max. `pmax` and `pmin`, one machine instruction where `max` and `min` are several, give the first
 * argument where either is NaN: that will do where the second is a constant. They may give 0 of either sign.
 */
const extreme = (general: Opcode, simple: Opcode, int: Opcode): Row => (args, kinds) => {
  if (numeric(kinds) === 'int') return op(int, ...all(args, kinds, 'int'));
  const [a, b] = all(args, kinds, 'float');
  if (isNumber(b!)) return op(simple, a!, b!);
  return isNumber(a!) ? op(simple, b!, a!) : op(general, a!, b!);
};

/** Whether it is a constant without NaN. */
const isNumber = (value: Expression): boolean =>
  value.kind === 'lanes' && new Float32Array(Uint8Array.from(value.bytes).buffer).every(lane => !Number.isNaN(lane));

const table = {
  neg: either('f32x4.neg', 'i32x4.neg'),
  abs: either('f32x4.abs', 'i32x4.abs'),
  exp: called('exp'),
  log: called('log'),
  sqrt: floats('f32x4.sqrt'),
  tanh: called('tanh'),
  erf: called('erf'),
  sin: called('sin'),
  cos: called('cos'),
  floor: floats('f32x4.floor'),
  not: logical('v128.not'),
  to_i32: conversion('int'),
  to_u8: ([x], [from]) => op('v128.and', converted(x!, from!, 'int'), i32x4(255)),
  to_f32: conversion('float'),
  to_bool: conversion('mask'),
  to_f16: called('to_f16'),
  to_bf16: called('to_bf16'),
  add: either('f32x4.add', 'i32x4.add'),
  sub: either('f32x4.sub', 'i32x4.sub'),
  mul: either('f32x4.mul', 'i32x4.mul'),
  div: floats('f32x4.div'),
  mod: (args, kinds) => called(numeric(kinds) === 'float' ? 'mod' : 'mod_i32', numeric(kinds))(args, kinds),
  pow: called('pow'),
  max: extreme('f32x4.max', 'f32x4.pmax', 'i32x4.max_s'),
  min: extreme('f32x4.min', 'f32x4.pmin', 'i32x4.min_s'),
  lt: either('f32x4.lt', 'i32x4.lt_s'),
  le: either('f32x4.le', 'i32x4.le_s'),
  eq: either('f32x4.eq', 'i32x4.eq'),
  and: logical('v128.and'),
  or: logical('v128.or'),
  select: ([condition, ...branches], [truth, ...kinds]) => {
    const to = kinds[0] === kinds[1] ? kinds[0]! : numeric(kinds);
    return op('v128.bitselect', ...all(branches, kinds, to), converted(condition!, truth!, 'mask'));
  },
  random: called('random', 'int'),
} satisfies Record<Instruction, Row>;
