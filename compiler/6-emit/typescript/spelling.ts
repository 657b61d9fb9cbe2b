/** How each scalar instruction is written in TypeScript, with as few parentheses as precedence allows. */
import type { Instruction } from '../../ir/nest.ts';

export interface Text {
  readonly text: string;
  /** Of JavaScript's operator table; 20 needs no parentheses anywhere. */
  readonly precedence: number;
  /** A JavaScript boolean rather than a number. */
  readonly boolean: boolean;
}

export const atom = (text: string, boolean = false): Text => ({ text, precedence: 20, boolean });

/** A number as source text. */
export const numeral = (value: number): Text => {
  const text = Number.isNaN(value) ? 'NaN' : Object.is(value, -0) ? '-0' : String(value);
  return { text, precedence: text.startsWith('-') ? 14 : 20, boolean: false };
};

const wrap = (part: Text, least: number): string => (part.precedence < least ? `(${part.text})` : part.text);
const call =
  (name: string) =>
  (...args: readonly Text[]): Text =>
    atom(`${name}(${args.map(arg => arg.text).join(', ')})`);
const infix =
  (operator: string, precedence: number, boolean = false) =>
  (a: Text, b: Text): Text => ({ text: `${wrap(a, precedence)} ${operator} ${wrap(b, precedence + 1)}`, precedence, boolean });
const truth = (part: Text): Text => (part.boolean ? part : { text: `${wrap(part, 11)} !== 0`, precedence: 10, boolean: true });
const logical =
  (operator: string, precedence: number) =>
  (a: Text, b: Text): Text =>
    infix(operator, precedence, true)(truth(a), truth(b));
/** Conversions take booleans to 0 and 1. */
export const asNumber = (part: Text): Text => (part.boolean ? { text: `${wrap(part, 4)} ? 1 : 0`, precedence: 3, boolean: false } : part);

const spellings = {
  neg: x => ({ text: `-${wrap(x, 15)}`, precedence: 14, boolean: false }),
  abs: call('Math.abs'),
  exp: call('Math.exp'),
  log: call('Math.log'),
  sqrt: call('Math.sqrt'),
  tanh: call('Math.tanh'),
  erf: call('erf'),
  sin: call('Math.sin'),
  cos: call('Math.cos'),
  floor: call('Math.floor'),
  not: x =>
    x.boolean
      ? { text: `!${wrap(x, 14)}`, precedence: 14, boolean: true }
      : { text: `${wrap(x, 11)} === 0`, precedence: 10, boolean: true },
  to_i32: x => (x.boolean ? asNumber(x) : call('Math.trunc')(x)),
  to_u8: x => (x.boolean ? asNumber(x) : call('Math.trunc')(x)),
  to_f32: asNumber,
  to_bool: truth,
  to_f16: call('roundToHalf'),
  to_bf16: call('roundToBfloat16'),
  add: infix('+', 11),
  sub: infix('-', 11),
  mul: infix('*', 12),
  div: infix('/', 12),
  mod: (a, b) => ({
    text: `${wrap(a, 11)} - Math.floor(${wrap(a, 12)} / ${wrap(b, 13)}) * ${wrap(b, 13)}`,
    precedence: 11,
    boolean: false,
  }),
  pow: call('Math.pow'),
  max: call('Math.max'),
  min: call('Math.min'),
  lt: infix('<', 9, true),
  le: infix('<=', 9, true),
  eq: infix('===', 8, true),
  and: logical('&&', 5),
  or: logical('||', 4),
  select: (condition, a, b) => ({
    text: `${wrap(condition, 4)} ? ${wrap(a, 4)} : ${wrap(b, 3)}`,
    precedence: 3,
    boolean: a.boolean && b.boolean,
  }),
  random: call('random'),
} satisfies Record<Instruction, (...args: [Text, Text, Text, Text]) => Text>;

export function spell(instruction: Instruction, args: readonly Text[]): Text {
  // Only logic and conversions take booleans; everything else computes with numbers.
  const takesBooleans = ['and', 'or', 'not', 'to_bool', 'to_i32', 'to_u8', 'to_f32', 'select'].includes(instruction);
  const given = takesBooleans ? args : args.map(asNumber);
  const balanced =
    instruction === 'select' && given[1]!.boolean !== given[2]!.boolean ? [given[0]!, asNumber(given[1]!), asNumber(given[2]!)] : given;
  return (spellings[instruction] as (...parts: readonly Text[]) => Text)(...balanced);
}
export const sum = infix('+', 11);
export const difference = infix('-', 11);
export const product = infix('*', 12);
export const quotient = infix('/', 12);
export const conjunction = logical('&&', 5);
