/**
 * Index notation: random expressions under indices against a direct evaluation by nested loops, their gradients against finite
 * differences, and built-in operators written out in it against the built-in's own simplified graph.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { compareGradients } from '../compiler/cli/gradcheck.ts';
import { compile, type Levels } from '../compiler/index.ts';
import { topological } from '../compiler/ir/graph.ts';
import { printGraph } from '../compiler/ir/text.ts';
import type { Tensor } from '../compiler/ops/define.ts';
import { maximum, minimum } from '../compiler/ops/elementwise.ts';
import { elaborateText, evaluateNamed, modelOf } from './support/model.ts';
import { difference, draw, generator, readType } from './support/tensors.ts';

const seed = Number(process.env['SEED'] ?? 1);
const runs = (usual: number): number => Number(process.env['RUNS'] ?? usual);

/** An expression as text, and its value where indices have values. */
interface Random {
  readonly text: string;
  readonly value: (at: Readonly<Record<string, number>>) => number;
}

/** A statement `y[…] = …` with the tensors that it reads. */
interface Program {
  readonly text: string;
  readonly shape: readonly number[];
  readonly feeds: Readonly<Record<string, Tensor>>;
  readonly value: (position: readonly number[]) => number;
}

/** A program from random numbers: `next` gives those below a bound. */
function randomProgram(next: (below: number) => number): Program {
  const uniform = generator(next(1_000_000));
  const extents: Record<string, number> = {};
  const declarations: string[] = [];
  const feeds: Record<string, Tensor> = {};
  const plain = new Set<string>();
  const choose = <T>(list: readonly T[]): T => list[next(list.length)]!;

  const input = (type: string, domain: readonly [number, number]): string => {
    const name = `x${declarations.length}`;
    declarations.push(type.startsWith('f32') ? `  param ${name}: ${type} = uniform(1)` : `  input ${name}: ${type}`);
    feeds[name] = draw(readType(type), domain, uniform);
    return name;
  };
  const at = (name: string, position: readonly number[]): number => {
    const { shape, data } = feeds[name]!;
    expect(position.every((p, d) => p >= 0 && p < shape[d]!)).toBe(true);
    return data[position.reduce((flat, p, d) => flat * shape[d]! + p, 0)]!;
  };

  /** Σ times · index + offset that is never negative, and one more than the largest that it can be. */
  const position = (open: readonly string[]): Random & { readonly extent: number } => {
    if (open.length > 0 && next(3) > 0) {
      const index = choose(open);
      plain.add(index);
      return { text: index, value: values => values[index]!, extent: extents[index]! };
    }
    const terms = open.filter(() => next(2) === 0).slice(0, 2).map(index => ({ index, times: choose([-2, -1, 1, 2, 3]) }));
    const low = terms.reduce((sum, { index, times }) => sum + Math.min(0, times * (extents[index]! - 1)), 0);
    const offset = next(2) - low;
    const high = terms.reduce((sum, { index, times }) => sum + Math.max(0, times * (extents[index]! - 1)), 0) + offset;
    const text = [...terms.map(({ index, times }) => (next(2) === 0 ? `${index} * ${times}` : `${times} * ${index}`)), String(offset)].join(' + ').replaceAll('+ -', '- ');
    // Such as `1 * i + 0`: an index by itself, which tells its extent.
    const bare = terms.length === 1 && terms[0]!.times === 1 && offset === 0;
    return { text, value: values => terms.reduce((sum, { index, times }) => sum + times * values[index]!, offset), extent: high + 1 + (terms.length > 0 && !bare ? next(2) : 0) };
  };

  const load = (open: readonly string[]): Random => {
    const positions = Array.from({ length: next(4) }, () => position(open));
    const dims = positions.map(one => one.extent);
    const parts: Random[] = [...positions];
    const values: number[] = dims;
    if (next(3) === 0) {
      const inner = Array.from({ length: next(3) }, () => position(open));
      const rows = 2 + next(3);
      const ids = input(`${choose(['i32', 'u8'])}[${inner.map(one => one.extent).join(', ')}]`, [0, rows - 1]);
      const place = next(parts.length + 1);
      parts.splice(place, 0, {
        text: inner.length > 0 ? `${ids}[${inner.map(one => one.text).join(', ')}]` : ids, value: where => at(ids, inner.map(one => one.value(where))),
      });
      values.splice(place, 0, rows);
    }
    const name = input(`f32[${values.join(', ')}]`, [-1.5, 1.5]);
    return { text: parts.length > 0 ? `${name}[${parts.map(part => part.text).join(', ')}]` : name, value: where => at(name, parts.map(part => part.value(where))) };
  };

  const expression = (open: readonly string[], depth: number): Random => {
    if (depth === 0) return open.length > 0 && next(5) === 0 ? counted(open) : load(open);
    const inner = (): Random => expression(open, depth - 1);
    switch (next(11)) {
      case 0: return joined(inner(), inner(), '+', (x, y) => x + y);
      case 1: return joined(inner(), inner(), '-', (x, y) => x - y);
      case 2: case 3: case 4: return joined(inner(), inner(), '*', (x, y) => x * y);
      case 5: return mapped(inner(), 'tanh(X)', Math.tanh);
      case 6: return next(2) === 0 ? mapped(inner(), '-X', x => -x) : mapped(inner(), '(X / 4)', x => x / 4);
      case 7: {
        if (open.length === 0) return joined(inner(), inner(), '*', (x, y) => x * y);
        const [left, right, then, otherwise] = [counted(open), choose([counted(open), { text: '1', value: () => 1 }]), inner(), inner()];
        return {
          text: `(${left.text} <= ${right.text} ? ${then.text} : ${otherwise.text})`,
          value: where => (left.value(where) <= right.value(where) ? then.value(where) : otherwise.value(where)),
        };
      }
      case 8: return { text: '0.5', value: () => 0.5 };
      default: return reduced(open, depth);
    }
  };
  const joined = (a: Random, b: Random, operator: string, f: (a: number, b: number) => number): Random =>
    ({ text: `(${a.text} ${operator} ${b.text})`, value: where => f(a.value(where), b.value(where)) });
  const mapped = (a: Random, form: string, f: (a: number) => number): Random => ({ text: form.replace('X', a.text), value: where => f(a.value(where)) });
  const counted = (open: readonly string[]): Random => {
    const index = choose(open);
    return next(2) === 0 ? { text: index, value: where => where[index]! } : { text: `(2 * ${index} - 1)`, value: where => 2 * where[index]! - 1 };
  };

  const reduced = (open: readonly string[], depth: number): Random => {
    const names = Array.from({ length: 1 + next(2) }, () => `r${Object.keys(extents).length}`).map((name, i) => `${name}_${i}`);
    for (const name of names) extents[name] = 1 + next(3);
    const how = choose(['sum', 'sum', 'mean', 'max', 'min', 'prod'] as const);
    const body = expression([...open, ...names], depth - 1);
    const f = {
      sum: (list: readonly number[]) => list.reduce((a, b) => a + b, 0), mean: (list: readonly number[]) => list.reduce((a, b) => a + b, 0) / list.length,
      max: (list: readonly number[]) => Math.max(...list), min: (list: readonly number[]) => Math.min(...list), prod: (list: readonly number[]) => list.reduce((a, b) => a * b, 1),
    }[how];
    return {
      text: `${how}[${names.map(introduced).join(', ')}](${body.text})`,
      value: where => f(positionsOf(names.map(name => extents[name]!)).map(p => body.value({ ...where, ...Object.fromEntries(names.map((name, i) => [name, p[i]!])) }))),
    };
  };
  /** Once the body is made: by name alone where something tells the extent. */
  const introduced = (name: string): string => (plain.has(name) && next(2) === 0 ? name : `${name} in 0..${extents[name]!}`);

  const left = ['a', 'b', 'c'].slice(0, 1 + next(3));
  for (const name of left) extents[name] = 1 + next(4);
  const body = expression(left, 1 + next(4));
  return {
    text: ['model Random {', ...declarations, `  y[${left.map(introduced).join(', ')}] = ${body.text}`, '  loss = mean(y * y)', '  output y = y', '}', ''].join('\n'),
    shape: left.map(name => extents[name]!), feeds, value: p => body.value(Object.fromEntries(left.map((name, i) => [name, p[i]!]))),
  };
}

function positionsOf(shape: readonly number[]): readonly (readonly number[])[] {
  return shape.reduce<readonly (readonly number[])[]>((all, extent) => all.flatMap(p => Array.from({ length: extent }, (_, i) => [...p, i])), [[]]);
}

const plan = fc.array(fc.nat(1_000_000), { minLength: 60, maxLength: 60 }).map(numbers => {
  let used = 0;
  return randomProgram(below => numbers[used++ % numbers.length]! % below);
});

test('random expressions are what nested loops compute', () => {
  fc.assert(fc.property(plan, ({ text, shape, feeds, value }) => {
    const { model, diagnostics } = elaborateText(text);
    if (model === null) throw new Error(`${diagnostics.map(d => `${d.code}: ${d.message}`).join('\n')}\n${text}`);
    const [actual] = evaluateNamed([model.stages[0]!.training.outputs[0]!.value], feeds);
    const expected = { dtype: actual!.dtype, shape, data: Float64Array.from(positionsOf(shape), value) };
    const wrong = difference(actual!, expected, 1e-9);
    if (wrong !== null) throw new Error(`${wrong}\n${text}`);
  }), { seed, numRuns: runs(400) });
}, 120_000);

test('random expressions have the gradients that finite differences find', () => {
  fc.assert(fc.property(plan, ({ text }) => {
    if (!text.includes('param')) return;
    const wrong = compareGradients(modelOf(text), seed).filter(({ error }) => !(error <= 1e-4));
    if (wrong.length > 0) throw new Error(`${wrong.map(({ parameter, error }) => `${parameter.leaf!.name}: ${error}`).join(', ')}\n${text}`);
  }), { seed, numRuns: runs(150) });
}, 120_000);

function levelsOf(body: string): Levels {
  const text = `model M {\n${body}\n}\ntrain {\n  batch 3\n  optimizer sgd(lr: 0.1)\n}\n`;
  const { levels, diagnostics } = compile({ path: 'm.model', text, library: false }, 'schedule', { verify: true });
  expect(diagnostics.map(({ code, message }) => `${code}: ${message}`)).toEqual([]);
  return levels;
}

const image = '  input x: f32[B, 3, 9, 11]\n  param w: f32[4, 3, 3, 2] = uniform(1)\n';
const heads = '  input x: f32[B, 2, 5, 4]\n  param w: f32[2, 5, 4] = uniform(1)\n';

test.each([
  ['a matrix product', '  input x: f32[B, 4]\n  param w: f32[3, 4] = uniform(1)\n', 'y = x @ w.T', 'y[b, o] = sum[i](x[b, i] * w[o, i])'],
  ['a convolution', image, 'y = convolution(x, w)', 'y[b, o, i, j] = sum[c, u, v](x[b, c, i + u, j + v] * w[o, c, u, v])'],
  ['a strided, dilated convolution', image, 'y = convolution(x, w, stride: 2, dilation: [2, 3])',
    'y[b, o, i, j] = sum[c, u, v](x[b, c, 2 * i + 2 * u, 2 * j + 3 * v] * w[o, c, u, v])'],
  ['scores of attention', heads, 'y = x @ w.T / sqrt(4)', 'y[b, h, t, s] = sum[d](x[b, h, t, d] * w[h, s, d]) / sqrt(4)'],
  ['attention', heads, 'q = x + w\n  y = attention(q, x, q)',
    'q = x + w\n  s[b, h, t, k] = sum[d](q[b, h, t, d] * x[b, h, k, d]) / sqrt(4)\n  p = softmax(s)\n  y[b, h, t, d] = sum[k](p[b, h, t, k] * q[b, h, k, d])'],
  ['rows of a table', '  input x: i32[B, 5]\n  param w: f32[7, 4] = uniform(1)\n', 'y = w[x]', 'y[b, t, d] = w[x[b, t], d]'],
  ['a mean', '  input x: f32[B, 4]\n  param w: f32[4] = uniform(1)\n', 'y = mean(x * w, axis: -1)', 'y[b] = mean[i](x[b, i] * w[i])'],
] as const)('%s written out has the simplified graph of the built-in', (name, inputs, builtIn, indexed) => {
  const graphOf = (statement: string): string => {
    const { entries } = levelsOf(`${inputs}  ${statement}\n  loss = mean(y * y)`).simplified!;
    // Of a single row, which a built-in reads as one that broadcasts.
    const batches = entries.filter(entry => !entry.name.endsWith('_row'));
    return printGraph({ entries: batches, placements: [] }).replace(/ ; .*$/gm, '').replace(/\b\w+=(\d+)/g, '$1');
  };
  if (name === 'a mean') expect(graphOf(indexed).match(/= contract/g)).toHaveLength(graphOf(builtIn).match(/= contract/g)!.length);
  else expect(graphOf(indexed)).toBe(graphOf(builtIn));
});

test.each([
  ['an index of a compound subscript takes all that fits', 'y[i] = x[2 * i + 1]', 5],
  ['backwards too', 'y[i] = x[9 - 3 * i]', 4],
  ['beside an index whose extent is known', 'y[i] = sum[u](x[i + u] * w[u])', 8],
  ['from the outside in', 'y[i] = w[i] * sum[u](x[i + u])', 3],
  ['by the tightest of several', 'y[i] = x[2 * i] + x[3 * i]', 4],
  ['a range counts more than a dimension', 'y[i in 0..4] = x[i]', 4],
] as const)('%s', (_, statement, extent) => {
  const model = modelOf(`model M {\n  input x: f32[10]\n  input w: f32[3]\n  ${statement}\n  output y = y\n}`);
  expect(model.stages[0]!.training.outputs[0]!.value.type.dims.map(d => d.extent)).toEqual([extent]);
});

test.each([
  ['an input as it is', 'id', 0],
  ['the place of the largest', 'argmax(x)', 0],
  ['whole numbers that are counted', 'range(6)', 0],
  ['a remainder', '(id + 3) % 6', 0],
  ['what a model brings inside itself', 'minimum(maximum(id - 1, 0), 5)', 2],
  ['the place of the largest of more', 'argmax(concat([x, x], axis: 1))', 1],
  ['a byte and one', 'byte + 1', 1],
  ['a difference', 'id - 1', 2],
  ['a number of the program', 'cast(2 * x, i32)', 2],
] as const)('a position is bounded unless it is known to be inside: %s', (_, position, bounds) => {
  const bounded = (form: string): number => {
    const model = modelOf(`model M {\n  input id: i32[B]\n  input byte: u8[B]\n  input x: f32[B, 6]\n  param w: f32[6] = 1\n  p = ${position}\n  output y = ${form}\n}`);
    return topological([model.stages[0]!.training.outputs[0]!.value]).filter(({ op }) => op === minimum || op === maximum).length;
  };
  expect([bounded('w[p]'), bounded('gather(w, p)')]).toEqual([bounds, bounds]);
  if (!position.includes('2 * x')) expect(bounded('sum[b](w[p[b]])')).toBe(bounds);
});

test('names of dimensions travel', () => {
  const model = modelOf('model M(T = 6, D = 4) {\n  input x: f32[B, T, D]\n  y[d, b] = sum[t](x[b, t, d] * x[b, 0, d])\n  output y = y\n}');
  expect(model.stages[0]!.training.outputs[0]!.value.type.dims.map(d => d.name)).toEqual(['D', 'B']);
});

test.each([
  ['elements that are shared at every step', 'fn f(x) {\n  y = x\n  for i in 0..200 {\n    y = y * y\n  }\n  return y\n}', 'c[b] = sum[i](f(x[b, i]))', []],
  ['an element that is too deep', 'fn f(x) {\n  y = x\n  for i in 0..5000 {\n    y = y * x + 1\n  }\n  return y\n}', 'c[b, i] = f(x[b, i])', ['call.depth']],
  ['a long sum and a long product', '', `c[b] = sum[i](${Array(400).fill('x[b, i]').join(' * ')}) + sum[i](${Array(400).fill('x[b, i]').join(' + ')})`, []],
  ['a range without end', '', 'c = sum[i in 1..9007199254740991](x[0, 0])', ['type.size']],
] as const)('%s costs no time without end', (_, definitions, statement, codes) => {
  const { diagnostics } = elaborateText(`${definitions}\nmodel M {\n  input x: f32[B, 4]\n  ${statement}\n  output c = c\n}`);
  expect(diagnostics.map(({ code }) => code)).toEqual(codes);
}, 20_000);
