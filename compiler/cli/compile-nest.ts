/**
 * Runs nests in double precision, fast: each nest becomes a JavaScript function of nested loops. The interpreter in `ir/` is the
 * oracle and checks every load; this is for the many evaluations of finite differences. Nothing of a user's text becomes code: a
 * nest holds numbers and instructions alone.
 */
import type { Affine } from '../ir/affine.ts';
import { convert, erf, uniform } from '../ir/arithmetic.ts';
import type { RunNest } from '../ir/evaluate.ts';
import {
  isGathered, scalarType, type BinaryInstruction, type Combine, type Index, type Nest, type Scalar, type UnaryInstruction,
} from '../ir/nest.ts';
import { size, strides, type Shape } from '../ir/type.ts';
import type { Tensor } from '../ops/define.ts';

/** A way to run nests for `evaluateLowered`. Nests of equal text share one function, for as long as the runner lives. */
export function newNestRunner(): RunNest {
  const compiled = new Map<string, Body>();
  return (nest, operands) => {
    const shapes = operands.map((operand, k) => nest.reinterpret?.[k] ?? operand.shape);
    const text = nestText(nest, shapes);
    const body = compiled.get(text) ?? (new Function('x', 'out', 'helpers', text) as Body);
    compiled.set(text, body);
    const bodyType = scalarType(nest.body, operands.map(operand => operand.dtype));
    const shape = nest.scatter?.shape ?? nest.space;
    const out: Tensor = { dtype: nest.combine?.startsWith('arg') ? 'i32' : bodyType, shape, data: new Float64Array(size(shape)) };
    body(operands.map(operand => operand.data), out.data, helpers);
    return out;
  };
}

type Body = (x: readonly Float64Array[], out: Float64Array, given: typeof helpers) => void;

/** `((a mod b) + b) mod b` would round twice. */
const mod = (a: number, b: number): number => {
  const rest = a % b;
  return rest !== 0 && rest < 0 !== b < 0 ? rest + b : rest;
};
const helpers = { erf, convert, uniform, mod };

function nestText({ space, reduce, combine, body, scatter }: Nest, shapes: readonly Shape[]): string {
  const value = scalarText(body, shapes);
  const loops = (axes: Shape, from: number): string =>
    axes.map((extent, i) => `for (let i${from + i} = 0; i${from + i} < ${extent}; i${from + i}++) `).join('');
  if (scatter) return `${prologue(shapes)}${loops(space, 0)}out[${placeText(scatter.at, scatter.shape, shapes)}] += ${value};`;
  if (combine === null) return `${prologue(shapes)}let n = 0;\n${loops(space, 0)}out[n++] = ${value};`;
  const { start, step, result } = combines[combine];
  return `${prologue(shapes)}let n = 0;\n${loops(space, 0)}{\n  let total = ${start}, at = 0, best = 0;\n`
    + `  ${loops(reduce, space.length)}{ const v = ${value}; ${step} at++; }\n  out[n++] = ${result};\n}`;
}

const prologue = (shapes: readonly Shape[]): string =>
  `const { erf, convert, uniform, mod } = helpers;\n${shapes.map((_, k) => `const x${k} = x[${k}];\n`).join('')}`;

const combines = {
  add: { start: '0', step: 'total += v;', result: 'total' },
  mul: { start: '1', step: 'total *= v;', result: 'total' },
  max: { start: '-Infinity', step: 'total = Math.max(total, v);', result: 'total' },
  min: { start: 'Infinity', step: 'total = Math.min(total, v);', result: 'total' },
  argmax: { start: '0', step: 'if (at === 0 || v > total) { total = v; best = at; }', result: 'best' },
  argmin: { start: '0', step: 'if (at === 0 || v < total) { total = v; best = at; }', result: 'best' },
} satisfies Record<Combine, { readonly start: string; readonly step: string; readonly result: string }>;

function scalarText(scalar: Scalar, shapes: readonly Shape[]): string {
  switch (scalar.kind) {
    case 'constant': return Object.is(scalar.value, -0) ? '-0' : `(${scalar.value})`;
    case 'index': return quotient(scalar.index);
    case 'load': return `x${scalar.operand}[${placeText(scalar.at, shapes[scalar.operand]!, shapes)}]`;
    case 'local': throw new Error('a nest has no locals');
    case 'guard': {
      const inside = scalar.at.flatMap(({ index, extent }) => [
        ...(index.divisor === 1 ? [] : [`${numerator(index)} % ${index.divisor} === 0`]), `${quotient(index)} >= 0`, `${quotient(index)} < ${extent}`,
      ]);
      return `(${inside.join(' && ')} ? ${scalarText(scalar.then, shapes)} : ${scalarText(scalar.otherwise, shapes)})`;
    }
    case 'apply': {
      const [a = '', b = '', c = '', d = ''] = scalar.arguments.map(argument => scalarText(argument, shapes));
      if (scalar.instruction === 'select') return `(${a} !== 0 ? ${b} : ${c})`;
      if (scalar.instruction === 'random') return `uniform(${a}, ${b}, ${c}, ${d})`;
      if (scalar.instruction in unary) return unary[scalar.instruction as UnaryInstruction](a);
      return binary[scalar.instruction as BinaryInstruction](a, b);
    }
    default: return scalar satisfies never;
  }
}

const unary = {
  neg: a => `(-${a})`, abs: a => `Math.abs(${a})`, exp: a => `Math.exp(${a})`, log: a => `Math.log(${a})`, sqrt: a => `Math.sqrt(${a})`,
  tanh: a => `Math.tanh(${a})`, erf: a => `erf(${a})`, sin: a => `Math.sin(${a})`, cos: a => `Math.cos(${a})`, floor: a => `Math.floor(${a})`,
  not: a => `(${a} === 0 ? 1 : 0)`, to_i32: a => `convert(${a}, 'i32')`, to_u8: a => `convert(${a}, 'u8')`, to_f32: a => `convert(${a}, 'f32')`,
  to_bool: a => `convert(${a}, 'bool')`, to_f16: a => `convert(${a}, 'f16')`, to_bf16: a => `convert(${a}, 'bf16')`,
} satisfies Record<UnaryInstruction, (a: string) => string>;

const binary = {
  add: (a, b) => `(${a} + ${b})`, sub: (a, b) => `(${a} - ${b})`, mul: (a, b) => `(${a} * ${b})`, div: (a, b) => `(${a} / ${b})`,
  mod: (a, b) => `mod(${a}, ${b})`, pow: (a, b) => `Math.pow(${a}, ${b})`,
  max: (a, b) => `Math.max(${a}, ${b})`, min: (a, b) => `Math.min(${a}, ${b})`,
  lt: (a, b) => `Number(${a} < ${b})`, le: (a, b) => `Number(${a} <= ${b})`, eq: (a, b) => `Number(${a} === ${b})`,
  and: (a, b) => `Number(${a} !== 0 && ${b} !== 0)`, or: (a, b) => `Number(${a} !== 0 || ${b} !== 0)`,
} satisfies Record<BinaryInstruction, (a: string, b: string) => string>;

/** The offset of a position in row-major data. */
function placeText(at: readonly Index[], shape: Shape, shapes: readonly Shape[]): string {
  const steps = strides(shape);
  return at.map((index, d) => `${steps[d]!} * ${isGathered(index) ? scalarText(index.gathered, shapes) : quotient(index)}`).join(' + ') || '0';
}

const numerator = ({ terms, offset }: Affine): string =>
  `(${[...terms.map(({ axis, times }) => `${times} * i${axis}`), String(offset)].join(' + ')})`;
const quotient = (index: Affine): string => (index.divisor === 1 ? numerator(index) : `(${numerator(index)} / ${index.divisor})`);
