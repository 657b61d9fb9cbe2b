/** Elaboration: names of parameters, sharing, states, groups of the optimizer, settings, imports, and limits on hostile files. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { topological, type Value } from '../compiler/ir/graph.ts';
import type { Minimization, Model } from '../compiler/ir/model.ts';
import { printType } from '../compiler/ir/type.ts';
import { matchesPattern } from '../compiler/2-elaborate/pattern.ts';
import { elaborateText, evaluateNamed, modelOf, scalarTensor, vector } from './support/model.ts';

const paths = (model: Model): string[] => model.stages[0]!.parameters.map(parameter => parameter.leaf.leaf!.name);
const codesOf = (text: string, options = {}): string[] => elaborateText(text, options).diagnostics.map(d => d.code);
const layered = (body: string, definitions = ''): Model => modelOf(`${definitions}\nmodel M(dim = 4) {\n  input x: f32[B, 4]\n${body}\n  loss = mean(x)\n}`);

describe('the complete example', () => {
  const model = modelOf(readFileSync(new URL('../models/mnist.model', import.meta.url), 'utf8'));
  it('has its parameters, by name and layout', () => {
    expect(model.stages[0]!.parameters.map(p => `${p.leaf.leaf!.name}: ${printType(p.leaf.type)}`)).toEqual([
      'linear.0.weight: f32[hidden, 784]', 'linear.0.bias: f32[hidden]', 'linear.1.weight: f32[128, hidden]', 'linear.1.bias: f32[128]',
      'linear.2.weight: f32[10, 128]', 'linear.2.bias: f32[10]',
    ]);
  });
  it('has one flat group with a schedule', () => {
    const [{ groups }] = model.stages[0]!.minimizations as [Minimization];
    expect(groups).toHaveLength(1);
    expect(groups[0]).toMatchObject({ flat: true });
    expect(groups[0]!.rules[0]!.states.map(state => state.leaf.leaf!.name)).toEqual(['m', 'v']);
    const [half] = evaluateNamed([groups[0]!.rules[0]!.learningRate!], { step: { dtype: 'i32', shape: [], data: Float64Array.of(100) }, steps: { dtype: 'i32', shape: [], data: Float64Array.of(1000) } });
    expect(half!.data[0]).toBeCloseTo(0.5e-3, 12);
  });
  it('has its settings and its data', () => {
    expect(model.stages[0]!.settings).toMatchObject({ epochs: 5, steps: null, clipNorm: 1, seed: 7 });
    expect(model.data!.sources.map(source => source.fields.map(field => [field.input, field.dtype, field.shape, field.below]))).toEqual(
      Array(2).fill([['image', 'u8', [784], null], ['digit', 'i32', [], 10]]));
  });
  it('has a single row, over the same parameters', () => {
    expect(model.stages[0]).toMatchObject({ batch: 64, batchName: 'B' });
    expect(printType(model.stages[0]!.single!.outputs[0]!.value.type)).toBe('f32[B, 10]');
    expect(model.stages[0]!.single!.inputs[0]!.type.dims[0]!.extent).toBe(1);
    const leaves = (root: Value): Value[] => topological([root]).filter(value => value.leaf?.role === 'parameter');
    expect(new Set(leaves(model.stages[0]!.single!.loss!))).toEqual(new Set(leaves(model.stages[0]!.training.loss!)));
  });
  it('tells every value its place', () => {
    for (const value of topological([model.stages[0]!.training.loss!])) expect(value.origin?.span?.file.path ?? 'none').toBe('test.model');
  });
});

describe('paths', () => {
  it('take the name of a binding, else of the layer, numbered where there are several', () => {
    expect(paths(layered('  query = linear(4)\n  x = query(x) |> linear(4, bias: false)'))).toEqual(['query.weight', 'query.bias', 'linear.weight']);
    expect(paths(layered('  x = x |> linear(4, bias: false) |> linear(4, bias: false)'))).toEqual(['linear.0.weight', 'linear.1.weight']);
    expect(paths(layered('  for i in 0..2 { x = x |> linear(4, bias: false) }'))).toEqual(['linear.0.weight', 'linear.1.weight']);
  });
  it('take the name of a binding when a parameter says which layer it is, or that it is none', () => {
    const block = 'layer block(make, scale) (x) {\n  first = make(4)\n  second = scale(x)\n  return first(second) |> make(4)\n}\nfn twice(x) = 2 * x\nlayer plain(out) (x) { return x |> linear(out, bias: false) }';
    expect(paths(layered('  x = block(plain, twice)(x)', block))).toEqual(['block.first.linear.weight', 'block.plain.0.linear.weight']);
  });
  it('join with dots', () => {
    const block = 'layer block() (x) {\n  norm = layer_norm(bias: false)\n  return norm(x) |> linear(4, bias: false)\n}';
    expect(paths(layered('  for i in 0..2 { x = block()(x) }', block))).toEqual(['block.0.norm.weight', 'block.0.linear.weight', 'block.1.norm.weight', 'block.1.linear.weight']);
  });
  it('are the same in training and evaluation where only one constructs a layer', () => {
    const model = layered('  if training { x = x |> linear(4, bias: false) }\n  x = x |> linear(4, bias: false)');
    const used = topological([model.stages[0]!.evaluation.loss!]).flatMap(value => (value.leaf?.role === 'parameter' ? [value.leaf.name] : []));
    expect(used).toEqual(['linear.1.weight']);
  });
  it('are shared by an instance that is applied twice', () => {
    expect(paths(layered('  shared = linear(4)\n  x = shared(shared(x))'))).toEqual(['shared.weight', 'shared.bias']);
  });
});

describe('values', () => {
  it('ties weights', () => {
    const model = modelOf('model M {\n  input i: i32[B]\n  table = embedding(7, 3)\n  h = table(i)\n  output y = h @ table.weight.T\n}');
    expect(paths(model)).toEqual(['table.weight']);
    expect(printType(model.stages[0]!.training.outputs[0]!.value.type)).toBe('f32[B, 7]');
  });
  it('takes lists of numbers for tensors', () => {
    const model = modelOf('model M {\n  input x: f32[2]\n  param w: f32[2] = [3, 4]\n  output y = (x - [1, 2]) @ [[1, 0.5], [2, 1]] + w\n}');
    expect([...evaluateNamed([model.stages[0]!.training.outputs[0]!.value], { x: vector([3, 4]), w: vector([3, 4]) })[0]!.data]).toEqual([9, 7]);
    expect([...evaluateNamed([model.stages[0]!.parameters[0]!.initial], {})[0]!.data]).toEqual([3, 4]);
  });
  it('sees an updated state after its update, when training', () => {
    const counter = 'layer counter() (x) {\n  state total: f32[] = 5\n  total <- total + 1\n  return x * total\n}';
    const model = modelOf(`${counter}\nmodel M {\n  input x: f32[2]\n  count = counter()\n  output y = count(count(x))\n}`);
    const y = (value: Value): number => evaluateNamed([value], { x: vector([1, 1]), 'count.total': scalarTensor(5) })[0]!.data[0]!;
    expect(y(model.stages[0]!.training.outputs[0]!.value)).toBe(42);
    expect(y(model.stages[0]!.evaluation.outputs[0]!.value)).toBe(25);
    expect(model.stages[0]!.training.updates).toHaveLength(1);
    expect(model.stages[0]!.evaluation.updates).toHaveLength(0);
  });
  it('draws other random numbers at every place, and none in evaluation', () => {
    const model = layered('  x = x |> dropout(0.5) |> dropout(0.5)');
    const streams = topological([model.stages[0]!.training.loss!]).flatMap(value => (value.op?.definition.name === 'random' ? [value.attrs['stream']] : []));
    expect(new Set(streams).size).toBe(2);
    expect(topological([model.stages[0]!.evaluation.loss!]).some(value => value.op?.definition.name === 'random')).toBe(false);
  });
  it('promotes types', () => {
    const model = modelOf('model M {\n  input a: u8[3]\n  input b: i32[3]\n  input c: f32[3]\n  output o1 = a + a\n  output o2 = a * 2\n  output o3 = b / 2\n  output o4 = b * 0.5\n  output o5 = b + c\n  output o6 = a == b\n  output o7 = a ** 2\n  output o8 = exp(a)\n}');
    expect(model.stages[0]!.training.outputs.map(output => output.value.type.dtype)).toEqual(['i32', 'i32', 'f32', 'f32', 'f32', 'bool', 'i32', 'f32']);
  });
});

describe('the optimizer', () => {
  const train = (settings: string, definitions = ''): Model =>
    modelOf(`${definitions}\nmodel M {\n  input x: f32[B, 4]\n  h = x |> linear(3) |> layer_norm()\n  loss = mean(h |> linear(2))\n}\ntrain {\n${settings}\n}`);
  const groups = (model: Model): string[][] => model.stages[0]!.minimizations[0]!.groups.map(group => group.parameters.map(parameter => parameter.leaf.leaf!.name));
  it('takes several batches a step and averages', () => {
    expect(train('  optimizer sgd(lr: 1)').stages[0]!.settings).toMatchObject({ accumulate: 1, ema: null });
    expect(train('  accumulate 4\n  ema 0.99\n  optimizer sgd(lr: 1)').stages[0]!.settings).toMatchObject({ accumulate: 4, ema: 0.99 });
  });
  it('has a group for each exception', () => {
    expect(groups(train('  optimizer adamw(lr: 1e-3) except "*.bias", "*norm*" (weight_decay: 0)'))).toEqual([
      ['linear.0.weight', 'linear.1.weight'], ['linear.0.bias', 'layer_norm.weight', 'layer_norm.bias', 'linear.1.bias'],
    ]);
  });
  it('leaves frozen parameters out', () => {
    const model = train('  freeze linear.0.*\n  optimizer sgd(lr: 1)');
    expect(groups(model)).toEqual([['layer_norm.weight', 'layer_norm.bias', 'linear.1.weight', 'linear.1.bias']]);
    expect(model.stages[0]!.parameters.filter(parameter => !parameter.trainable)).toHaveLength(2);
  });
  it('is elaborated for each parameter when it is not elementwise', () => {
    const normed = 'optimizer normed(lr) (p, g) {\n  return p - lr * g / sqrt(sum(g * g) + 1e-8)\n}';
    const sized = 'optimizer sized(lr) (p, g) {\n  return p - lr * g / size(p)\n}';
    for (const [name, definition] of [['normed', normed], ['sized', sized]] as const) {
      const [group] = train(`  optimizer ${name}(lr: 0.1)`, definition).stages[0]!.minimizations[0]!.groups;
      expect(group!.flat).toBe(false);
      expect(group!.rules.map(rule => printType(rule.parameter.type))).toEqual(group!.parameters.map(parameter => printType(parameter.leaf.type)));
    }
  });
});

describe('files and settings', () => {
  const text = 'width = 4\nmodel M(hidden = 8, wide = false, rates = [1, 2]) {\n  input x: f32[B, width]\n  output y = x |> linear(wide ? 2 * hidden : hidden) |> linear(rates[1])\n}';
  const shapes = (settings: Record<string, string>): string => printType(modelOf(text, { settings }).stages[0]!.parameters[0]!.leaf.type) + ' ' + modelOf(text, { settings }).stages[0]!.parameters.map(p => p.leaf.type.dims.map(d => d.extent).join('x')).join(' ');
  it('takes values from the command line', () => {
    expect(shapes({})).toBe('f32[hidden, width] 8x4 8 2x8 2');
    expect(shapes({ hidden: '16', width: '5', rates: '3,7' })).toBe('f32[hidden, width] 16x5 16 7x16 7');
    expect(shapes({ wide: 'true' })).toContain('16x4');
  });
  it('refuses other ones', () => {
    expect(codesOf(text, { settings: { hiden: '16' } })).toEqual(['set.unknown']);
    expect(codesOf(text, { settings: { hidden: 'many' } })).toEqual(['set.value']);
    expect(codesOf('model M(hidden) { input x: f32[B, hidden] }')).toEqual(['set.missing']);
  });
  it('sets a name in all models that have it, or in one', () => {
    const both = ['First', 'Second'].map(name => `model ${name}(width = 4, ${name.toLowerCase()} = 1) {\n  input x: f32[B, 2]\n  output ${name.toLowerCase()} = x |> linear(width)\n}`).join('\n');
    const widths = (settings: Record<string, string>): number[] => modelOf(both, { settings }).stages.map(({ parameters }) => parameters[0]!.leaf.type.dims[0]!.extent);
    expect(widths({ width: '8' })).toEqual([8, 8]);
    expect(widths({ 'Second.width': '8' })).toEqual([4, 8]);
    expect(widths({ 'Second.width': '8', width: '6' })).toEqual([6, 8]);
    expect(widths({ 'First.first': '3' })).toEqual([4, 4]);
    const refused = (name: string): readonly (string | undefined)[] => elaborateText(both, { settings: { [name]: '8' } }).diagnostics.map(({ help }) => help);
    expect(refused('Secnd.width')).toEqual(['did you mean `Second.width`?']);
    expect(refused('Second.wide')).toEqual(['did you mean `Second.width`?']);
    expect(refused('widht')).toEqual(['did you mean `width`?']);
    expect(refused('Third.something')).toEqual(['this file has `First.width`, `first`, `Second.width`, `second`']);
  });
  it('imports definitions', () => {
    const files = { 'layers/block.model': 'width = 6\nlayer block() (x) { return x |> linear(width) }' };
    const model = modelOf('import "layers/block.model"\nmodel M {\n  input x: f32[B, 4]\n  output y = x |> block()\n}', { files });
    expect(paths(model)).toEqual(['block.linear.weight', 'block.linear.bias']);
    expect(codesOf('import "a.model"', { files: { 'a.model': 'import "b.model"', 'b.model': 'import "a.model"' } })).toEqual(['import.cycle']);
  });
  it('gives no model and no error for a file of definitions', () => {
    expect(elaborateText('fn double(x) = 2 * x')).toEqual({ model: null, diagnostics: [] });
  });
  it('knows the limits of indices and the columns of tables', () => {
    const model = modelOf('model M {\n  input word: i32[B]\n  input features: f32[B, 2]\n  loss = mean(word |> embedding(9, 2)) + mean(features)\n}\ndata {\n  train = csv("t.csv", word: categories("w"), features: ["a", 3], separator: ";")\n}');
    expect(model.data!.sources[0]).toMatchObject({
      format: 'csv', separator: ';', header: true,
      fields: [{ input: 'word', file: 't.csv', columns: ['w'], categorical: true, below: 9 }, { input: 'features', columns: ['a', '3'], categorical: false, below: null }],
    });
  });
  it('knows the limits of indices without data, and where only evaluation looks', () => {
    const looked = 'layer looked() (i, w) {\n  if training {\n    return w[0] + i\n  }\n  return w[i]\n}\n';
    const model = modelOf(`${looked}model M {\n  input word: i32[B]\n  input place: i32[B]\n  input other: i32[B]\n  param w: f32[7] = 1\n`
      + '  loss = mean(word |> embedding(9, 2))\n  metric found = mean(looked()(place, w) + w[other - 1])\n}');
    expect([...model.limits]).toEqual([['word', 9], ['place', 7]]);
  });
});

describe('patterns', () => {
  it('match any characters with *', () => {
    expect(['*.bias', 'encoder.*', '*.norm.*', 'a.b', '*'].map(pattern => matchesPattern('encoder.norm.bias', pattern))).toEqual([true, true, true, false, true]);
    expect(matchesPattern('ab', 'ab*b')).toBe(false);
  });
});

describe('hostile files', () => {
  const inModel = (body: string, definitions = ''): string[] => codesOf(`${definitions}\nmodel M {\n  input x: f32[B, 4]\n${body}\n  loss = mean(x)\n}`);
  it('end with a diagnostic', () => {
    expect(inModel('  y = f(50)', 'fn f(n) = n == 0 ? 1 : f(n - 1) + f(n - 1)')).toEqual(['call.work']);
    expect(inModel('  for i in 0..1000 { for j in 0..1000 { x = x + 1 } }')).toEqual(['type.size']);
    expect(inModel('  x = x |> l()', 'layer l() (x) { return x |> l() }')).toEqual(['call.depth']);
    const deep = Array.from({ length: 60 }, (_, i) => `fn f${i + 1}(x) = ${'relu('.repeat(90)}f${i}(x)${')'.repeat(90)}`).join('\n');
    expect(inModel('  x = f60(x)', `fn f0(x) = x\n${deep}`)).toEqual(['call.depth']);
  }, 60_000);
});
