/** Scalar instructions on four lanes: functions against double precision in units in the last place, the rest against the interpreter. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { at, build, call, f32x4, get, i32, op, set, type Expression, type Func } from '../compiler/6-emit/wasm/code.ts';
import { encode } from '../compiler/6-emit/wasm/encode.ts';
import { calledIn, mathFunctions, reachedMath } from '../compiler/6-emit/wasm/math.ts';
import { inlined, withTable } from '../compiler/6-emit/wasm/refine.ts';
import { kindOf, vector, type Kind } from '../compiler/6-emit/wasm/vector.ts';
import { axisAt } from '../compiler/ir/affine.ts';
import { evaluateNest } from '../compiler/ir/evaluate.ts';
import { apply, load, scalarType, type Instruction } from '../compiler/ir/nest.ts';
import type { DType } from '../compiler/ir/type.ts';
import { engine } from '../runtime/engine.ts';
import { erf } from '../runtime/erf.ts';
import { random } from '../runtime/random.ts';
import { roundToBfloat16, roundToHalf } from '../runtime/rounding.ts';
import { webAssembly } from '../runtime/webassembly.ts';

// Programs ask V8 for operations of 256 bits, so that is what is tested.
engine().askForSpeed();

type Lanes = Float32Array | Int32Array;

/** The most elements of an operand of `compiled`. */
const capacity = 1 << 18;

/**
 * A function that maps an expression of vectors over arrays, and gives the bits of what comes out. Pairs of vectors are computed with
 * functions written out and constants from a table, as in kernels, so that the engine may join them; unless `apart`.
 */
function compiled(
  arity: number, body: (args: readonly Expression[]) => Expression, withFusion = false, apart = false,
): (...operands: readonly Lanes[]) => Int32Array {
  const builder = build('run', ['i32']);
  const end = builder.parameters[0]!;
  const address = builder.local('i32');
  builder.emit(set(address, i32(0)));
  const shifts = apart ? [0] : [0, 16];
  builder.loop(again => {
    const place = (k: number, shift: number): Expression => at('v128.load', k * capacity * 4 + shift, get(address));
    const values = shifts.map(shift => builder.keep('v128', body(Array.from({ length: arity }, (_, k) => place(k + 1, shift)))));
    values.forEach((value, i) => builder.emit(at('v128.store', shifts[i]!, get(address), get(value))));
    builder.emit(set(address, op('i32.add', get(address), i32(16 * shifts.length))));
    builder.branch(again, op('i32.lt_u', get(address), get(end)));
  });
  const run = builder.finish(true);
  const tableAt = (arity + 1) * capacity * 4;
  const pages = tableAt / 65536 + 1;
  const { Memory, Module, Instance } = webAssembly();
  const memory = new Memory({ initial: pages, maximum: pages, shared: true });
  const math = (func: Func): readonly Func[] => reachedMath(calledIn(func), withFusion);
  const small = new Map(math(run).filter(func => calledIn(func).size === 0).map(func => [func.name, func]));
  const joined = inlined(run, small);
  const { functions, table } = apart ? { functions: [run, ...math(run)], table: [] } : withTable([joined, ...math(joined)], tableAt);
  const bytes = encode({ imports: [], functions, minimumPages: pages, maximumPages: pages, arena: null, data: { at: tableAt, bytes: table } });
  const instance = new Instance(new Module(bytes), { env: { memory } });
  return (...operands) => {
    for (const [k, operand] of operands.entries()) {
      const bits = new Int32Array(operand.buffer, operand.byteOffset, operand.length);
      new Int32Array(memory.buffer, (k + 1) * capacity * 4, capacity).set(bits);
    }
    instance.exports['run']!(Math.ceil(operands[0]!.length / 4) * 16);
    return new Int32Array(memory.buffer, 0, operands[0]!.length).slice();
  };
}

const functionOf = (name: string, withFusion = false, apart = false): ((...operands: readonly Lanes[]) => Float32Array) => {
  const run = compiled(mathFunctions[name]!().parameters.length, args => call(name, ...args), withFusion, apart);
  return (...operands) => new Float32Array(run(...operands).buffer);
};

/** Every k-th bit pattern, and the neighbourhoods of special points. */
function sweep(points: readonly number[], step = 21481): Float32Array {
  const bits: number[] = [];
  for (let pattern = 0; pattern < 2 ** 32; pattern += step) bits.push(pattern);
  const value = new Float32Array(1);
  const pattern = new Int32Array(value.buffer);
  for (const point of [...points, 0, 2 ** -149, 2 ** -126, 1, 2 ** 24, 3.4028234663852886e38, Infinity, NaN]) {
    for (const signed of [point, -point]) {
      value[0] = signed;
      for (let near = -20; near <= 20; near++) bits.push(pattern[0]! + near);
    }
  }
  return new Float32Array(Uint32Array.from(bits).buffer);
}

/** Evenly spaced. */
const dense = (low: number, high: number, count = 200_000): Float32Array =>
  Float32Array.from({ length: count }, (_, i) => low + ((high - low) * i) / count);

/** The distance in units in the last place of a float at `exact`; infinite where only one of them is NaN. */
function ulps(value: number, exact: number): number {
  if (Number.isNaN(value) || Number.isNaN(exact)) return Number.isNaN(value) && Number.isNaN(exact) ? 0 : Infinity;
  const bounded = (x: number): number => Math.max(-(2 ** 128), Math.min(x, 2 ** 128));
  const magnitude = Math.min(Math.abs(exact), 3.4028234663852886e38);
  const exponent = magnitude === 0 ? -126 : Math.max(Math.floor(Math.log2(magnitude)), -126);
  return Math.abs(bounded(value) - bounded(exact)) / 2 ** (exponent - 23);
}

/** The largest error of values against what they should be, and where it is. */
function worst(values: Float32Array, exact: (i: number) => number): { readonly error: number; readonly at: number } {
  let found = { error: 0, at: 0 };
  for (const [i, value] of values.entries()) {
    const error = ulps(value, exact(i));
    if (error > found.error) found = { error, at: i };
  }
  return found;
}

/** Bounds in units in the last place, which `docs/numerics.md` states too; for |x| up to `reach`. */
interface Row {
  readonly name: string;
  readonly exact: (x: number) => number;
  readonly bound: number;
  readonly reach: number;
  readonly special: readonly number[];
  readonly range: readonly [number, number];
}
const { PI } = Math;
const wave = { bound: 0.51, reach: 2 ** 31, special: [PI / 4, PI / 2, PI, 1e6 * PI, 2 ** 30], range: [-20, 20] } as const;
const powers = [88.7228, 87.3365, 103.972, 104, 176, Math.LN2 / 2, 5.1986141];
const rows: readonly Row[] = [
  { name: 'exp', exact: Math.exp, bound: 1.01, reach: Infinity, special: powers, range: [-105, 89] },
  { name: 'log', exact: Math.log, bound: 0.9, reach: Infinity, special: [Math.SQRT1_2, Math.SQRT2, 2, 1.4008914], range: [0, 4] },
  { name: 'tanh', exact: Math.tanh, bound: 1.35, reach: Infinity, special: [0.625, 0.63104421, 9.02], range: [-10, 10] },
  { name: 'erf', exact: erf, bound: 1.75, reach: Infinity, special: [0.875, 0.93278182, 3.93], range: [-4.5, 4.5] },
  { name: 'sin', exact: Math.sin, ...wave },
  { name: 'cos', exact: Math.cos, ...wave },
];

test.each(rows)('$name is within $bound ulp, with fused multiply-adds and without', ({ name, exact, bound, reach, special, range }) => {
  for (const withFusion of [false, true]) {
    const run = functionOf(name, withFusion);
    const alone = functionOf(name, withFusion, true);
    for (const points of [sweep(special).filter(x => !(Math.abs(x) > reach)), dense(...range)]) {
      const values = run(points);
      const { error, at } = worst(values, i => exact(points[i]!));
      expect(error, `at ${points[at]}`).toBeLessThanOrEqual(bound);
      const single = alone(points);
      expect(values.findIndex((value, i) => !Object.is(value, single[i])), 'called, one vector at a time').toBe(-1);
    }
  }
});

test('the page of errors has these bounds', () => {
  const page = readFileSync('docs/numerics.md', 'utf8');
  const stated = [...page.matchAll(/^\| `(\w+)` \| .* \| ([\d.]+) \|$/gm)].map(([, name, bound]) => [name, Number(bound)]);
  expect(stated).toEqual([...rows.map(row => [row.name, row.bound]), ['pow', powBound], ['mod', 0.5]]);
});

test('sin and cos of very large numbers lie between −1 and 1, of Infinity they are NaN', () => {
  const large = sweep([], 99_991).filter(x => Math.abs(x) > 2 ** 31 && Math.abs(x) < Infinity);
  for (const name of ['sin', 'cos']) {
    const run = functionOf(name);
    expect(run(large).every(value => Math.abs(value) <= 1)).toBe(true);
    expect([...run(Float32Array.of(Infinity, -Infinity, NaN))]).toEqual([NaN, NaN, NaN]);
  }
  expect([...functionOf('sin')(Float32Array.of(-0, 0))]).toEqual([-0, 0]);
});

const powBound = 0.51;
test(`pow is within ${powBound} ulp`, () => {
  const run = functionOf('pow');
  const scattered = (step: number): Float32Array =>
    new Float32Array(Uint32Array.from({ length: 200_000 }, (_, i) => Math.imul(i + 1, step)).buffer);
  const mixed = (points: Float32Array): Float32Array => points.map((_, i) => points[(i * 7919) % points.length]!);
  const pairs: readonly (readonly [Float32Array, Float32Array])[] = [
    [dense(0, 10), mixed(dense(-30, 30))],
    [scattered(0x9e3779b1).map(Math.abs), dense(-4, 4)],
    [dense(0.99, 1.01), mixed(dense(-8000, 8000))],
    [dense(-10, 0), mixed(dense(-30, 30)).map(Math.round)],
    [scattered(0x85ebca6b), scattered(0xc2b2ae35)],
  ];
  for (const [x, y] of pairs) {
    const { error, at } = worst(run(x, y), i => Math.pow(x[i]!, y[i]!));
    expect(error, `at ${x[at]} and ${y[at]}`).toBeLessThanOrEqual(powBound);
  }
});

test('mod is that of double precision, rounded', () => {
  const a = dense(-1000, 1000);
  const b = dense(-7, 7).map((_, i, all) => all[(i * 7919) % all.length]!);
  const values = functionOf('mod')(a, b);
  const wrong = values.findIndex((value, i) => !Object.is(value, Math.fround(a[i]! - Math.floor(a[i]! / b[i]!) * b[i]!)));
  expect(wrong, `${a[wrong]} mod ${b[wrong]}`).toBe(-1);
});

test('special cases of pow are those of Math.pow', () => {
  const special = [0, 0.5, 1, 1.5, 2, 3, 16777215, 16777216, 1e-45, 1e-30, 1e30, Infinity].flatMap(x => [x, -x]).concat(NaN);
  const x = Float32Array.from(special.flatMap(a => special.map(() => a)));
  const y = Float32Array.from(special.flatMap(() => special));
  const values = functionOf('pow')(x, y);
  for (const [i, value] of values.entries()) {
    const exact = Math.pow(x[i]!, y[i]!);
    const near = value * exact > 0 && Math.abs(value) < Infinity && ulps(value, exact) <= powBound;
    expect(near || Object.is(value, Math.fround(exact)), `${x[i]} to the power ${y[i]} is ${value}`).toBe(true);
  }
});

test('functions keep the sign of zero, and saturate', () => {
  expect([...functionOf('tanh')(Float32Array.of(-0, 0, -20, 20))]).toEqual([-0, 0, -1, 1]);
  expect([...functionOf('erf')(Float32Array.of(-0, 0, -20, 20))]).toEqual([-0, 0, -1, 1]);
  expect([...functionOf('exp')(Float32Array.of(-0, 0, -Infinity, Infinity, -1e9))]).toEqual([1, 1, 0, Infinity, 0]);
  expect([...functionOf('log')(Float32Array.of(-0, 0, -1, Infinity, 1))]).toEqual([-Infinity, -Infinity, NaN, Infinity, 0]);
});

test('rounding to half precision is that of the runtime', () => {
  const points = sweep([65504, 65519.996, 65520, 65536, 2 ** -14, 2 ** -24, 2 ** -25, 3.3895313892515355e38, 2 ** -133, 2 ** -134], 16411);
  for (const [name, exact] of [['to_f16', roundToHalf], ['to_bf16', roundToBfloat16]] as const) {
    const run = functionOf(name);
    for (let start = 0; start < points.length; start += capacity) {
      const part = points.slice(start, start + capacity);
      const values = run(part);
      const wrong = values.findIndex((value, i) => !Object.is(value, exact(part[i]!)));
      expect(wrong, `${name} of ${part[wrong]}`).toBe(-1);
    }
  }
});

test('random numbers are those of the runtime', () => {
  const words = (seed: number): Int32Array => Int32Array.from({ length: 10_000 }, (_, i) => Math.imul(i + 1, seed));
  const [seed, stream, step, index] = [words(0x9e3779b1), words(0x85ebca6b), words(0xc2b2ae35), words(0x27d4eb2f)];
  const values = functionOf('random')(seed, stream, step, index);
  expect([...values]).toEqual([...seed.keys()].map(i => random(seed[i]!, stream[i]!, step[i]!, index[i]!)));
});

test('the result of a lane depends on no other and not on its place', () => {
  for (const [name, make] of Object.entries(mathFunctions)) {
    // Those of double precision have two lanes.
    if (name.endsWith('_half')) continue;
    const run = functionOf(name);
    const operands = make().parameters.map((_, k) => sweep([0.5, 2, 3], 999_983 + 2 * k));
    const length = Math.min(...operands.map(operand => operand.length));
    const forwards = new Int32Array(run(...operands.map(operand => operand.slice(0, length))).buffer);
    for (const moved of [1, 2, 3]) {
      const backwards = new Int32Array(run(...operands.map(operand => operand.slice(0, length - moved).reverse())).buffer).reverse();
      const different = backwards.findIndex((bits, i) => bits !== forwards[i] && !isNaNBits(bits));
      expect(different, name).toBe(-1);
    }
  }
});
const isNaNBits = (bits: number): boolean => (bits & 0x7fffffff) > 0x7f800000;

const numbers = [0, -0, 1, -1, 0.5, -2.5, 3, 7.25, -7.25, 100.75, -3.999, 1e-3, 255, 2, 4, 6] as const;
const wholes = [0, 1, -1, 2, -2, 3, 7, -7, 100, 255, 256, -300, 65537, 12, 5, -6] as const;
const samples: Readonly<Record<Kind, readonly number[]>> = { float: numbers, int: wholes, mask: [0, 1, 1, 0, 1, 0, 0, 1] };
/** Every pair of samples for the first two operands. */
const inputs = (dtype: DType, operand: number, length: number): number[] => {
  const values = samples[kindOf(dtype)];
  return Array.from({ length }, (_, i) => values[(operand === 0 ? i : Math.floor(i / 16 ** operand) + i * (operand - 1)) % values.length]!);
};
const packed = (dtype: DType, values: readonly number[]): Lanes => {
  const kind = kindOf(dtype);
  return kind === 'float' ? Float32Array.from(values) : Int32Array.from(values, value => (kind === 'mask' ? -value : value));
};

const cases: readonly (readonly [Instruction, readonly DType[]])[] = [
  ...(['neg', 'abs', 'exp', 'log', 'sqrt', 'tanh', 'erf', 'sin', 'cos', 'floor', 'not'] as const).map(name => [name, ['f32']] as const),
  ...(['to_i32', 'to_u8', 'to_f32', 'to_bool', 'to_f16', 'to_bf16'] as const).map(name => [name, ['f32']] as const),
  ...(['neg', 'abs', 'to_i32', 'to_u8', 'to_f32', 'to_bool', 'to_f16', 'not'] as const).map(name => [name, ['i32']] as const),
  ...(['to_i32', 'to_u8', 'to_f32', 'to_bool', 'to_bf16', 'not'] as const).map(name => [name, ['bool']] as const),
  ...(['add', 'sub', 'mul', 'div', 'mod', 'pow', 'max', 'min', 'lt', 'le', 'eq', 'and', 'or'] as const)
    .map(name => [name, ['f32', 'f32']] as const),
  ...(['add', 'sub', 'mul', 'mod', 'max', 'min', 'lt', 'le', 'eq', 'and', 'or'] as const).map(name => [name, ['i32', 'i32']] as const),
  ...(['and', 'or', 'eq'] as const).map(name => [name, ['bool', 'bool']] as const),
  ['mul', ['f32', 'bool']], ['add', ['f32', 'i32']], ['sub', ['i32', 'bool']],
  ['select', ['bool', 'f32', 'f32']], ['select', ['bool', 'i32', 'i32']], ['select', ['bool', 'bool', 'bool']],
  ['select', ['f32', 'f32', 'i32']], ['select', ['i32', 'f32', 'bool']],
  ['random', ['i32', 'i32', 'i32', 'i32']],
];

test.each(cases)('%s of %j is what the interpreter gives', (instruction, dtypes) => {
  const length = 256;
  const values = dtypes.map((dtype, k) => inputs(dtype, k, length));
  const kinds = dtypes.map(kindOf);
  const lanes = dtypes.map((dtype, k) => packed(dtype, values[k]!));
  const bits = compiled(dtypes.length, args => vector(instruction, args, kinds))(...lanes);
  const floats = new Float32Array(bits.buffer);
  const body = apply(instruction, ...dtypes.map((_, k) => load(k, [axisAt(0)])));
  const exact = evaluateNest(
    { space: [length], reduce: [], combine: null, body },
    dtypes.map((dtype, k) => ({ dtype, shape: [length], data: Float64Array.from(kinds[k] === 'float' ? lanes[k]! : values[k]!) })),
  );
  const kind = kindOf(scalarType(body, dtypes));
  for (const [i, want] of exact.data.entries()) {
    const what = `${instruction}(${values.map(each => each[i]).join(', ')})`;
    // The interpreter has no whole numbers of its own: x mod 0 is NaN there.
    if (kind === 'int') expect(bits[i], what).toBe(want | 0);
    else if (kind === 'mask') expect(bits[i], what).toBe(want === 0 ? 0 : -1);
    else expect(ulps(floats[i]!, want), `${what} is ${floats[i]}, not ${want}`).toBeLessThanOrEqual(2);
  }
});

test('NaN comes through max and min, constants or not', () => {
  const points = Float32Array.of(NaN, 2, -2, -Infinity);
  const zero = f32x4(0);
  for (const [name, exact] of [['max', Math.max], ['min', Math.min]] as const) {
    const kinds = ['float', 'float'] as const;
    const bodies = [
      (x: Expression, y: Expression) => vector(name, [x, y], kinds),
      (x: Expression) => vector(name, [x, zero], kinds),
      (x: Expression) => vector(name, [zero, x], kinds),
    ];
    for (const body of bodies) {
      const run = compiled(2, ([x, y]) => body(x!, y!));
      expect([...new Float32Array(run(points, new Float32Array(4)).buffer)]).toEqual([...points].map(x => exact(x, 0)));
    }
    const other = compiled(2, ([x, y]) => vector(name, [x!, y!], kinds));
    expect([...new Float32Array(other(new Float32Array(4), points).buffer)]).toEqual([...points].map(x => exact(0, x)));
  }
});

test('a module of all functions is valid', async () => {
  const { default: binaryen } = await import('binaryen');
  const functions: readonly Func[] = reachedMath(Object.keys(mathFunctions), true).map(each => ({ ...each, exported: true }));
  const module = binaryen.readBinary(encode({ imports: [], functions, minimumPages: 1, maximumPages: 1, arena: null }));
  module.setFeatures(binaryen.Features.All);
  expect(module.validate()).toBe(1);
  module.dispose();
});

test('without fusion no function has an instruction that engines may round differently', () => {
  const text = (withFusion: boolean): string => JSON.stringify(reachedMath(Object.keys(mathFunctions), withFusion));
  expect(text(false)).not.toContain('relaxed');
  expect(text(true)).toContain('relaxed_madd');
  expect(text(true)).toContain('relaxed_nmadd');
});

test('a module carries only what it calls', () => {
  expect(reachedMath(['exp', 'exp', 'kernel_1'], false).map(each => each.name)).toEqual(['exp']);
});
