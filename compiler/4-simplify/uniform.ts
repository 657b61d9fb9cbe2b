/** Evaluates a nest whose operands each hold one number throughout: then so does its result, unless its body depends on the position. */
import type { Instruction, Nest, Scalar } from '../ir/nest.ts';
import { size } from '../ir/type.ts';

/** The number that every element of the result is, or null where elements may differ or the instruction is left to run time. */
export function evaluateUniform(nest: Nest, operands: readonly number[]): number | null {
  if (nest.scatter) return null;
  const body = evaluate(nest.body, operands);
  if (body === null || Number.isNaN(body)) return null;
  switch (nest.combine) {
    case null:
    case 'max':
    case 'min':
      return body;
    case 'add':
      return body * size(nest.reduce);
    case 'mul':
      return body ** size(nest.reduce);
    case 'argmax':
    case 'argmin':
      return 0;
    default:
      return nest.combine satisfies never;
  }
}

function evaluate(scalar: Scalar, operands: readonly number[]): number | null {
  switch (scalar.kind) {
    case 'constant':
      return scalar.value;
    case 'load':
      return operands[scalar.operand]!;
    case 'index':
    case 'local':
      return null;
    case 'guard': {
      const [inside, outside] = [evaluate(scalar.then, operands), evaluate(scalar.otherwise, operands)];
      return inside === outside ? inside : null;
    }
    case 'apply': {
      const args = scalar.arguments.map(argument => evaluate(argument, operands));
      const run = computed[scalar.instruction];
      return run === null || args.some(argument => argument === null) ? null : Number(run(args[0]!, args[1]!, args[2]!));
    }
    default:
      return scalar satisfies never;
  }
}

/** Null: not worth knowing at compile time, or a matter of the target's rounding. */
const computed = {
  neg: x => -x,
  abs: Math.abs,
  exp: Math.exp,
  log: Math.log,
  sqrt: Math.sqrt,
  tanh: Math.tanh,
  erf: null,
  sin: Math.sin,
  cos: Math.cos,
  floor: Math.floor,
  not: x => x === 0,
  to_i32: Math.trunc,
  to_u8: Math.trunc,
  to_f32: x => x,
  to_bool: x => x !== 0,
  to_f16: null,
  to_bf16: null,
  add: (x, y) => x + y,
  sub: (x, y) => x - y,
  mul: (x, y) => x * y,
  div: (x, y) => x / y,
  mod: (x, y) => x - Math.floor(x / y) * y,
  pow: (x, y) => x ** y,
  max: Math.max,
  min: Math.min,
  lt: (x, y) => x < y,
  le: (x, y) => x <= y,
  eq: (x, y) => x === y,
  and: (x, y) => x !== 0 && y !== 0,
  or: (x, y) => x !== 0 || y !== 0,
  select: (condition, x, y) => (condition !== 0 ? x : y),
  random: null,
} satisfies Record<Instruction, ((x: number, y: number, z: number) => number | boolean) | null>;
