/**
 * Everything that the op table claims, checked op by op from the table itself: references agree with lowered nests on every way to
 * run a nest, shapes with the references' shapes, gradients with finite differences to second order, declared with counted work,
 * and each constraint rejects its sample. There is no test of a single op here.
 */
import { describe, expect, test } from 'vitest';
import { newNestRunner } from '../compiler/cli/compile-nest.ts';
import { gradients } from '../compiler/ops/gradients.ts';
import { threefry } from '../compiler/ir/arithmetic.ts';
import { evaluateGraph, evaluateLowered, evaluateNest, type RunNest } from '../compiler/ir/evaluate.ts';
import { leaf, topological, type Value } from '../compiler/ir/graph.ts';
import { nestFlops } from '../compiler/ir/nest.ts';
import { isFloat, shapeOf, size } from '../compiler/ir/type.ts';
import { ConstraintViolation, isPrimitive, type AnyOp, type Attributes, type Tensor } from '../compiler/ops/define.ts';
import { add } from '../compiler/ops/elementwise.ts';
import { fullLike } from '../compiler/ops/full.ts';
import { opTable } from '../compiler/ops/index.ts';
import { differentiable, drawAll, leaves, project, type AnySample } from './support/op-samples.ts';
import { difference, generator, readType } from './support/tensors.ts';
import { runNestOnWasm, runNestOnWideWasm } from './support/wasm.ts';

/** Each must give what the references give; `exact` ways compute in double precision. */
const waysToRun: readonly { readonly name: string; readonly run: RunNest; readonly exact: boolean }[] = [
  { name: 'the f64 interpreter', run: evaluateNest, exact: true },
  { name: 'functions in f64', run: newNestRunner(), exact: true },
  { name: 'WebAssembly', run: runNestOnWasm, exact: false },
  { name: 'WebAssembly with 64-bit addresses', run: runNestOnWideWasm, exact: false },
];

describe.each([...opTable.keys()])('%s', name => {
  const op = opTable.get(name)!;
  const { definition } = op;
  const samples = definition.samples as readonly AnySample[];

  test('is described', () => {
    expect(definition.name).toMatch(/^[a-z][a-z_]*$/);
    expect(definition.doc).toMatch(/^[A-Z].*\.$/s);
    for (const attribute of Object.values(definition.attrs as Attributes)) expect(attribute.doc).toMatch(/^[A-Z].*\.$/s);
    for (const rule of Object.values(definition.constraints as Record<string, string>)) expect(rule).toMatch(/[^.]$/);
  });

  test.each(Object.keys(definition.constraints))('%s rejects its sample', label => {
    const reject = (definition.rejects as Record<string, AnySample>)[label]!;
    expect(codeOf(() => op.build(leaves(reject), reject.attrs))).toBe(`${name}.${label}`);
  });

  describe.each(samples.map(sample => ({ sample, title: `(${sample.operands.join(', ')}) ${JSON.stringify(sample.attrs)}` })))('$title', ({ sample }) => {
    const inputs = leaves(sample);
    const feeds = drawAll(inputs, sample, 1);
    const out = op.build(inputs, sample.attrs);
    const expected = definition.reference(inputs.map(input => feeds.get(input)!), sample.attrs);

    test('has extents that tell axes apart', () => {
      for (const input of inputs) {
        const extents = shapeOf(input.type).filter(extent => extent > 1);
        expect(new Set(extents).size, 'extents pairwise different').toBe(extents.length);
      }
    });

    test('has the type that the reference gives', () => {
      expect(out.type.dtype).toBe(expected.dtype);
      expect(shapeOf(out.type)).toEqual(expected.shape);
    });

    test('has a graph that computes what the reference does', () => {
      expect(difference(evaluateGraph([out], feeds).get(out)!, expected, 1e-12)).toBeNull();
    });

    test.each(waysToRun)('is what its nests compute on $name', ({ run, exact }) => {
      const actual = evaluateLowered([out], feeds, run).get(out)!;
      expect(difference(actual, expected, exact ? 1e-12 : (definition.tolerance ?? 1e-5))).toBeNull();
    });

    test('declares the work that it does', () => {
      for (const value of topological([out])) expectDeclaredFlops(value);
    });

    if (differentiable(op, inputs, out)) {
      test('has a gradient that agrees with finite differences', () => {
        expectGradient(op, sample, 1);
      });
      test('has a gradient of the gradient that agrees with finite differences', () => {
        expectGradient(op, sample, 2);
      });
    }
  });
});

/** Where finite differences say nothing: at kinks, at ties, and where a partial derivative does not exist. Gradients of the sum. */
const atKinks: readonly (readonly [name: string, operands: readonly (readonly number[])[], attrs: object, gradients: readonly (readonly number[])[]])[] = [
  ['abs', [[-1, 0, 1]], {}, [[-1, 0, 1]]],
  ['pow', [[0, 0, 0, -2, 2], [0, 1, 2, 3, 3]], {}, [[0, 1, 0, 12, 12], [0, 0, 0, 0, 8 * Math.log(2)]]],
  ['maximum', [[-1, 0, 1], [0, 0, 0]], {}, [[0, 0, 1], [1, 1, 0]]],
  ['minimum', [[-1, 0, 1], [0, 0, 0]], {}, [[1, 0, 0], [0, 1, 1]]],
  ['max', [[1, 3, 3, 2]], { axes: 'all', keep: false }, [[0, 1, 0, 0]]],
  ['min', [[2, 1, 3, 1]], { axes: 'all', keep: false }, [[0, 1, 0, 0]]],
  ['prod', [[2, 0, 3]], { axes: 'all', keep: false }, [[0, 6, 0]]],
];

test.each(atKinks)('%s at its kinks: %j', (name, operands, attrs, expected) => {
  const inputs = operands.map((data, i) => leaf('input', String(i), readType(`[${data.length}]`)));
  const feeds = new Map(inputs.map((input, i) => [input, { dtype: 'f32', shape: shapeOf(input.type), data: Float64Array.from(operands[i]!) } satisfies Tensor]));
  const out = opTable.get(name)!.build(inputs, { ...attrs });
  const found = gradients(out, fullLike(out, 1), inputs);
  found.forEach((gradient, i) => {
    const want = { dtype: 'f32', shape: [expected[i]!.length], data: Float64Array.from(expected[i]!) } satisfies Tensor;
    expect(difference(evaluateGraph([gradient!], feeds).get(gradient!)!, want, 1e-12), `operand ${i}`).toBeNull();
  });
});

test('threefry gives the published known answers', () => {
  const answer = (key: readonly [number, number], counter: readonly [number, number]): string =>
    threefry(key, counter).map(word => word.toString(16).padStart(8, '0')).join(' ');
  expect(answer([0, 0], [0, 0])).toBe('6b200159 99ba4efe');
  expect(answer([0xffffffff, 0xffffffff], [0xffffffff, 0xffffffff])).toBe('1cb996fc bb002be7');
  expect(answer([0x13198a2e, 0x03707344], [0x243f6a88, 0x85a308d3])).toBe('c4923a9c 483df7a0');
});

function codeOf(build: () => unknown): string | null {
  try {
    build();
    return null;
  } catch (error) {
    if (error instanceof ConstraintViolation) return error.code;
    throw error;
  }
}

function expectDeclaredFlops(value: Value): void {
  if (value.op === null) return;
  const { definition } = value.op;
  if (!isPrimitive(definition)) throw new Error(`composite ${definition.name} in a graph`);
  const types = value.operands.map(operand => operand.type);
  expect(definition.flops(types, value.attrs, value.type), definition.name).toBe(nestFlops(definition.lower(types, value.attrs, value.type)));
}

/** Compares the gradient of a projection of the op, or of a projection of its gradient, with central differences in every element. */
function expectGradient(op: AnyOp, sample: AnySample, order: 1 | 2): void {
  const next = generator(2);
  const inputs = leaves(sample);
  const reals = inputs.filter(input => isFloat(input.type.dtype));
  const feeds = drawAll(inputs, sample, 1);
  const one = leaf('input', 'one', readType('f32[]'));
  feeds.set(one, { dtype: 'f32', shape: [], data: Float64Array.of(1) });

  let target = project(op.build(inputs, sample.attrs), feeds, next);
  for (let i = 1; i < order; i++) {
    const below = gradients(target, one, reals).filter(gradient => gradient !== null);
    if (below.length === 0) return;
    target = below.map(gradient => project(gradient, feeds, next)).reduce((a, b) => add(a, b));
  }
  const found = gradients(target, one, reals);
  found.forEach((gradient, i) => {
    const input = reals[i]!;
    const expected = centralDifferences(target, input, feeds);
    const title = `order ${order}, operand ${inputs.indexOf(input)}`;
    if (gradient === null) {
      expect(expected.data.every(value => Math.abs(value) < 1e-6), `${title}: no gradient, though there is one`).toBe(true);
      return;
    }
    expect(shapeOf(gradient.type), title).toEqual(shapeOf(input.type));
    for (const value of topological([gradient])) expectDeclaredFlops(value);
    const byReference = evaluateGraph([gradient], feeds).get(gradient)!;
    expect(difference(byReference, expected, 1e-6), `${title} by references`).toBeNull();
    for (const way of waysToRun) {
      const byNests = evaluateLowered([gradient], feeds, way.run).get(gradient)!;
      expect(difference(byNests, byReference, way.exact ? 1e-12 : 1e-4), `${title} by nests on ${way.name}`).toBeNull();
    }
  });
}

function centralDifferences(target: Value, input: Value, feeds: ReadonlyMap<Value, Tensor>): Tensor {
  const step = 1e-5;
  const tensor = feeds.get(input)!;
  const data = new Float64Array(size(tensor.shape));
  const at = (element: number, change: number): number => {
    const moved = tensor.data.slice();
    moved[element]! += change;
    return evaluateGraph([target], new Map(feeds).set(input, { ...tensor, data: moved })).get(target)!.data[0]!;
  };
  for (let element = 0; element < data.length; element++) data[element] = (at(element, step) - at(element, -step)) / (2 * step);
  return { ...tensor, data };
}
