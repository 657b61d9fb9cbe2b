/**
 * Loops over steps: what they compute, forwards and backwards, is the same on the graph, in kernels and on every target; their gradients
 * agree with finite differences to second order; the program is as long for many steps as for few.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { emit } from '../compiler/6-emit/emit.ts';
import { compareGradients } from '../compiler/cli/gradcheck.ts';
import { compile, type Levels } from '../compiler/index.ts';
import { partsOf, type Part } from '../compiler/ir/program.ts';
import { graphMachine, programMachine } from './support/machine.ts';
import { modelOf } from './support/model.ts';
import { emitOptions, emittedMachine } from './support/run-program.ts';
import { compare, trace } from './support/trace.ts';
import { wasmMachine } from './support/wasm.ts';

const seed = Number(process.env['SEED'] ?? 1);
const runs = Number(process.env['RUNS'] ?? 12);

/** A model around a loop; `x` is [rows, 5, 3], `w` [3, 3], `h0` a row. */
const around = (body: string, result = 'y'): string => `
rows = 2
layer part() (x: f32[B, T, D]) {
  param w: f32[D, D] = uniform(0.7)
  param v: f32[D] = uniform(0.7)
${body.replace(/^/gm, '  ')}
  return ${result}
}
model Loop {
  input x: f32[B, 5, 3]
  y = x |> part()
  loss = mean(y ** 2)
  output y = y
}
train {
  batch rows
  steps 4
  optimizer sgd(0.1)
}
`;

const bodies: Readonly<Record<string, readonly [body: string, result?: string]>> = {
  'a plain recurrence': ['y = scan t along T from h = zeros_like(x[:, 0]) {\n  h = tanh(x[:, t] + h @ w)\n  yield h\n}'],
  'backwards': ['y = scan t along T reversed from h = 0.5 * x[:, 0] {\n  h = tanh(x[:, t] @ w + h * v)\n  yield h\n}'],
  'a parameter to begin with': ['y = scan t along T from h = v {\n  h = tanh(h * v + mean(x[:, t], axis: B))\n  yield h\n}'],
  'its last values only': ['scan t along T from h = zeros_like(x[:, 0]), s = 0 {\n  h = tanh(x[:, t] + h @ w)\n  s = s + sum(h * v)\n}', 'h + s'],
  'values that change places': ['scan t along T from a = x[:, 0], b = x[:, 1] * v {\n  c = a\n  a = b\n  b = c @ w + x[:, t]\n}', 'a * b'],
  'several yields': ['a, b, c = scan t along T from h = x[:, 1] {\n  yield h\n  h = h @ w * 0.5 + v\n  yield h\n  yield sum(h, axis: -1)\n}', 'a * b + c[..., none]'],
  'the number of the step': ['y = scan t along T from h = zeros_like(x[:, 0]) {\n  h = h * 0.5 + (cast(t, f32) + 1) * x[:, t] * (t % 2 == 0 ? v : -v)\n  yield h\n}'],
  'two slices of one tensor': ['y = scan t along T - 2 from h = zeros_like(x[:, 0]) {\n  h = tanh(x[:, t] * x[:, t + 2] + h @ w)\n  yield h\n}'],
  'steps along the last axis': ['z = x @ w.T\ny = scan t along D from h = zeros_like(x[..., 0]) {\n  h = h + tanh(x[..., t] * z[:, :, t] * h + 1) * v[t]\n  yield h\n}'],
  'nothing carried': ['y = scan t along T {\n  yield tanh(x[:, t] @ w) * v\n}'],
  'only one step': ['y = scan t along 1 from h = x[:, 0] {\n  h = tanh(h @ w) * v\n  yield h\n}'],
  'a reduction, a softmax and a concatenation': ['y = scan t along T from h = x[:, 0] {\n  p = softmax(h @ w)\n  q = concat([p[:, :1], h[:, 1:] * v[1:]], axis: 1)\n  h = q - max(q, axis: -1, keep: true) + x[:, t]\n  yield h\n}'],
  'a concatenation of rows': ['y = scan t along T from h = x[:, 0] {\n  h = concat([tanh(h[:1] @ w), h[:1] * v + x[:1, t]], axis: 0)[range(B) * 0]\n  yield h\n}'],
  'one loop after another': ['a = scan t along T from h = zeros_like(x[:, 0]) {\n  h = tanh(x[:, t] + h @ w)\n  yield h\n}\ny = scan t along T reversed from g = h {\n  g = tanh(a[:, t] * v + g @ w)\n  yield g\n}'],
  'a table': ['table = x[0]\ny = scan t along T from h = zeros_like(x[:, 0]) {\n  h = tanh(h @ w + table[(t * 3) % 5] * v)\n  yield h\n}'],
  'a yield before a row of the same size is read': ['z = x @ w\ny = scan t along T from h = x[:, 0] {\n  a = tanh(h)\n  h = a @ w + z[:, t] * 0.5\n  yield a\n}'],
  'a yield after a row of the same size is read': ['z = x @ w\ny = scan t along T from h = x[:, 0] {\n  h = tanh(h @ w + z[:, t])\n  a = h @ w\n  yield a\n}'],
  'drawn numbers': ['y = scan t along T from h = zeros_like(x[:, 0]) {\n  h = tanh(x[:, t] + h @ w + 0.1 * uniform_like(h))\n  yield h * v\n}'],
  'a derivative inside': ['y = scan t along T from h = x[:, 0] {\n  e = sum(tanh(h @ w) ** 2 * x[:, t])\n  h = h - 0.1 * grad(e, h) * v\n  yield h\n}'],
  'a loop in each step': ['y = scan t along T from h = zeros_like(x[:, 0]) {\n  scan s along 3 from g = h * v {\n    g = tanh(g @ w + x[:, t] * (cast(s, f32) + 1))\n  }\n  h = g + x[:, t]\n  yield h\n}'],
  'a loop backwards in each step, and its sequences': ['y = scan t along T from h = x[:, 0] {\n  a = scan s along D reversed from g = h * v {\n    g = tanh(g @ w + x[:, t] * x[:, s])\n    yield g * v[s]\n  }\n  h = 0.5 * h + mean(a, axis: 1)\n  yield a[:, 1] + h\n}'],
  'a loop forwards in each step of one backwards': ['y = scan t along T reversed from h = x[:, 0] {\n  scan s along D from g = h {\n    g = tanh(g * x[:, t] + v * h[:, s][:, none])\n  }\n  h = g @ w\n  yield h + g\n}'],
  'the positions of both loops': ['y = scan t along T from h = zeros_like(x[:, 0]) {\n  scan s along 2 from g = h * v {\n    g = g * 0.5 + x[:, t] * (t + 2 * s + 1) / 5 + tanh(x[:, s + 1]) * (s % 2 == 0 ? v : w[1])\n  }\n  h = g\n  yield h\n}'],
  'loops three deep': ['y = scan t along T from h = x[:, 0] {\n  scan s along 2 from g = h {\n    scan r along 2 from f = g * v {\n      f = tanh(f @ w + x[:, t] * x[:, s] + (r + s + t) / 9)\n    }\n    g = f + 0.5 * g\n  }\n  h = g\n  yield h\n}'],
  'two loops one after the other in each step': ['y = scan t along T from h = x[:, 0] {\n  a = scan s along 3 from g = h * v {\n    g = tanh(g + x[:, t])\n    yield g\n  }\n  scan s along 3 reversed from f = h {\n    f = tanh(a[s] @ w + f * v)\n  }\n  h = f + g\n  yield h\n}'],
  'an inner loop that begins the same in each step': ['y = scan t along T from h = zeros_like(x[:, 0]) {\n  scan s along 3 from g = x[:, 0] * v {\n    g = tanh(g @ w + h)\n  }\n  h = g * x[:, t]\n  yield h\n}'],
  'a recurrent layer in each step': ['cell = gru(3)\ny = scan t along T from h = x[:, 0] {\n  z = cell(x * h[:, none])\n  h = z[:, -1] * v\n  yield h @ w\n}'],
  'nothing carried inside': ['y = scan t along T from h = x[:, 0] {\n  a = scan s along D {\n    yield tanh(h @ w) * x[:, t] * v[s]\n  }\n  h = sum(a, axis: 0)\n  yield h\n}'],
  'gradients that stop in each step': ['y = scan t along T from h = x[:, 0] {\n  scan s along 2 from g = h {\n    g = tanh(g * v + stop_gradient(g @ w) * x[:, t])\n  }\n  h = g + stop_gradient(h * v) @ w\n  yield h\n}'],
  'drawn numbers in both loops': ['y = scan t along T from h = x[:, 0] {\n  scan s along 2 from g = h * v {\n    g = tanh(g @ w + 0.1 * uniform_like(g))\n  }\n  h = g + uniform_like(g)\n  yield h\n}'],
};

/** The loops of an entry, those inside of loops too. */
const loopsIn = (parts: readonly Part[]): number => parts.reduce((sum, part) => sum + (part.loop === null ? 0 : 1) + loopsIn(part.body), 0);

test.each(Object.entries(bodies))('%s', async (_, [body, result]) => {
  const levels = compiled(around(body, result));
  // One loop forwards for each in the text, and one backwards: values that are asked for twice are no second loop.
  const written = body.split('scan ').length - 1 + (body.includes('gru') ? 1 : 0);
  expect(loopsIn(partsOf(levels.program!.entries.find(({ name }) => name === 'train')!.calls))).toBe(2 * written);
  const truth = await trace(graphMachine(levels.gradient!), levels, seed);
  compare(await trace(graphMachine(levels.simplified!), levels, seed), truth, 1e-9, 'simplified');
  compare(await trace(programMachine(levels.program!), levels, seed), truth, 1e-9, 'kernels');
  compare(await trace(await emittedMachine(levels), levels, seed), truth, 2e-5, 'emitted');
  compare(await trace(wasmMachine(levels.program!), levels, seed), truth, 2e-5, 'WebAssembly');
}, 60_000);

test.each(Object.entries(bodies).filter(([name]) => !name.startsWith('drawn numbers')))('gradients of first and second order: %s', (_, [body, result]) => {
  const text = around(body, result);
  const twice = text.replace('loss = mean(y ** 2)', 'g = grad(sum(tanh(y)), x)\n  loss = mean(g ** 2) + mean(y ** 2)');
  for (const one of [text, twice])
    expect(compareGradients(modelOf(one), seed).filter(({ used, error }) => used && !(error < 1e-4)).map(({ parameter, error }) => [parameter.leaf!.name, error])).toEqual([]);
}, 60_000);

test('a kernel that yields several sequences replaces no row that it still reads', async () => {
  const body = 'y0, y1, y2 = scan t along T reversed from c0 = zeros_like(x[:, 0]), c1 = x[:, 1] * v {\n  n0 = x[:, T - 1 - t] * (x @ w)[:, t] * 0.5\n  n1 = cast(t, f32) * 0.1 + c0\n  n2 = softmax(n0) + mean((x @ w)[:, t], axis: -1, keep: true)\n  next0 = tanh(c1 + 0.1)\n  next1 = tanh(n0 + 0.1)\n  yield x[:, T - 1 - t]\n  yield n2\n  yield n1\n  c0 = next0\n  c1 = next1\n}\ny = y0 + y1 + y2 + c0[:, none]';
  const levels = compiled(around(body).replace('x |> part()', 'x |> part() |> part() |> part()').replace('rows = 2', 'rows = 7'));
  compare(await trace(programMachine(levels.program!), levels, seed), await trace(graphMachine(levels.gradient!), levels, seed), 1e-9, 'kernels');
});

/** Bodies of several carried values, made of what there is before. */
const randomBody: fc.Arbitrary<string> = fc.record({
  reversed: fc.boolean(),
  carries: fc.integer({ min: 1, max: 3 }),
  statements: fc.array(fc.tuple(fc.nat(6), fc.nat(20), fc.nat(20)), { minLength: 1, maxLength: 7 }),
  nexts: fc.array(fc.nat(20), { minLength: 3, maxLength: 3 }),
  yields: fc.array(fc.nat(20), { minLength: 1, maxLength: 3 }),
}).map(({ reversed, carries, statements, nexts, yields }) => {
  const initials = ['zeros_like(x[:, 0])', 'x[:, 1] * v', 'x[:, 2]'];
  const names = [...Array.from({ length: carries }, (_, k) => `c${k}`), 'x[:, t]', 'x[:, T - 1 - t]', '(x @ w)[:, t]'];
  const pick = (n: number): string => names[n % names.length]!;
  const lines = statements.map(([kind, i, j], n) => {
    const [a, b] = [pick(i), pick(j)];
    const inner = `scan s along 2${i % 2 === 0 ? ' reversed' : ''} from n${n} = ${a} {\n    n${n} = tanh(n${n} * v + ${b} * (s + 1))\n  }`;
    names.push(`n${n}`);
    if (kind === 6) return `  ${inner}`;
    const value = [`tanh(${a} + ${b})`, `${a} * ${b} * 0.5`, `tanh(${a} @ w)`, `${a} - v * ${b}`, `softmax(${a}) + mean(${b}, axis: -1, keep: true)`, `cast(t, f32) * 0.1 + ${a}`][kind]!;
    return `  n${n} = ${value}`;
  });
  const bound = Array.from({ length: carries }, (_, k) => `  next${k} = tanh(${pick(nexts[k]!)} + 0.1)`);
  const rebound = Array.from({ length: carries }, (_, k) => `  c${k} = next${k}`);
  const outs = yields.map(n => `  yield ${pick(n)}`);
  const left = yields.map((_, k) => `y${k}`).join(', ');
  return `${left} = scan t along T${reversed ? ' reversed' : ''} from ${Array.from({ length: carries }, (_, k) => `c${k} = ${initials[k]!}`).join(', ')} {\n  z = x[:, t]\n${[...lines, ...bound, ...outs, ...rebound].join('\n')}\n}\n`
    + `y = ${yields.map((_, k) => `y${k}`).join(' + ')} + c0[:, none]`;
});

test('random recurrences', async () => {
  await fc.assert(fc.asyncProperty(randomBody, async body => {
    const levels = compiled(around(body));
    const truth = await trace(graphMachine(levels.gradient!), levels, seed);
    compare(await trace(programMachine(levels.program!), levels, seed), truth, 1e-9, `kernels of\n${body}`);
    compare(await trace(wasmMachine(levels.program!), levels, seed), truth, 5e-5, `WebAssembly of\n${body}`);
    expect(compareGradients(modelOf(around(body)), seed).filter(({ used, error }) => used && !(error < 1e-4))).toEqual([]);
  }), { seed, numRuns: runs });
}, 300_000);

test('under a memory limit what is around loops is computed again, and the loops stay as they are', async () => {
  const dense = 'linear(16) |> tanh |> linear(16) |> tanh |> linear(16) |> tanh';
  const text = (limit: string): string => `
model Limited {
  input x: f32[B, 6, 8]
  h = x |> ${dense} |> lstm(8) |> ${dense} |> gru(8) |> ${dense}
  loss = mean((h |> linear(1)) ** 2)
  output y = h
}
train {
  batch 64
  steps 4
  optimizer sgd(0.01)
${limit}
}
`;
  const free = compiled(text(''));
  const limited = compiled(text(`  memory ${Math.round(0.85 * free.program!.arenaBytes)}B`));
  const loopsOf = ({ program }: Levels): number => partsOf(program!.entries.find(({ name }) => name === 'train')!.calls).filter(part => part.loop !== null).length;
  expect(loopsOf(limited)).toBe(loopsOf(free));
  expect(limited.program!.entries.find(({ name }) => name === 'train')!.calls.length).toBeGreaterThan(free.program!.entries.find(({ name }) => name === 'train')!.calls.length);
  compare(await trace(wasmMachine(limited.program!), limited, seed), await trace(graphMachine(free.gradient!), free, seed), 2e-5, 'WebAssembly');
}, 60_000);

test.each([
  ['of a loop', 'a plain recurrence', ''],
  ['of a loop in each step', 'a loop in each step', 'along 3'],
] as const)('a program is as long for many steps %s as for few', (_, name, inner) => {
  const lengths = [8, 512].map(steps => {
    const body = bodies[name]![0].replace(inner, inner && `along ${steps}`);
    const levels = compiled(around(body).replace('f32[B, 5, 3]', `f32[B, ${steps}, 3]`));
    return (['typescript', 'wasm', 'webgpu'] as const).map(target => emit(levels, emitOptions(target)).length);
  });
  // Sums over many steps are shared in other ways than those over few.
  lengths[0]!.forEach((few, i) => expect(Math.abs(lengths[1]![i]! / few - 1)).toBeLessThan(0.05));
});

function compiled(text: string): Levels {
  const { levels, diagnostics } = compile({ path: 'test.model', text, library: false }, 'schedule', { verify: true });
  expect(diagnostics.map(({ code, message }) => `${code}: ${message}`)).toEqual([]);
  return levels;
}
