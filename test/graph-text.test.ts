/** Graphs as text: what is printed reads back to the same text and the same numbers, for every op and its gradient; and the verifier. */
import { describe, expect, test } from 'vitest';
import { gradients } from '../compiler/ops/gradients.ts';
import { leaf, stamp, type Graph, type Value } from '../compiler/ir/graph.ts';
import { printGraph, readGraph } from '../compiler/ir/text.ts';
import { dim, isFloat, tensor } from '../compiler/ir/type.ts';
import { verifyGraph } from '../compiler/ir/verify.ts';
import type { Sample } from '../compiler/ops/define.ts';
import { mul } from '../compiler/ops/elementwise.ts';
import { fullLike } from '../compiler/ops/full.ts';
import { opTable } from '../compiler/ops/index.ts';
import { sum } from '../compiler/ops/sum.ts';
import { broadcast } from '../compiler/ops/view.ts';
import { readType } from './support/tensors.ts';

describe.each([...opTable.keys()])('%s', name => {
  const op = opTable.get(name)!;
  const samples = op.definition.samples as readonly Sample<readonly string[], Readonly<Record<string, unknown>>>[];

  test.each(samples)('of $operands with its gradient is sound and reads back', sample => {
    const inputs = sample.operands.map((text, i) => leaf('input', `x${i}`, readType(text)));
    const out = op.build(inputs, sample.attrs);
    const backward = isFloat(out.type.dtype) ? gradients(out, fullLike(out, 1), inputs).filter(gradient => gradient !== null) : [];
    const results = [out, ...backward].map((value, i) => ({ name: `result ${i}`, value }));
    const graph: Graph = { entries: [{ name: 'run', results, updates: [] }], placements: [] };
    expect(verifyGraph(graph)).toEqual([]);
    const text = printGraph(graph);
    const again = readGraph(text, opTable);
    expect(printGraph(again)).toBe(text);
    // The rule of a declared gradient is not in the text: it has no meaning where everything is differentiated.
    if (name !== 'declared') expect(verifyGraph(again)).toEqual([]);
  });
});

test('a graph with leaves, updates, placements, names and origins reads back', () => {
  const text = printGraph(example());
  expect(text).toMatchInlineSnapshot(`
    "%0: f32[B=2, 1] = parameter "scale" ; forward encoder/block.0 @ models/a b@c.model:2
    %1: f32[B=2, 3] = view(%0) {dims: [B=2, _=3], map: [<i0>, <0>], fill: null} ; forward encoder/block.0 @ models/a b@c.model:2
    %2: f32[B=2, 3] = input "x" ; forward encoder/block.0 @ models/a b@c.model:2
    %3: f32[B=2, 3] = mul(%1, %2) ; forward encoder/block.0 @ models/a b@c.model:2
    %4: f32[] = contract(%3) {dims: [], reduce: [B=2, _=3], maps: [[<i0>, <i1>]]} ; forward encoder/block.0 @ models/a b@c.model:2
    %5: f32[B=2, 1] = contract(%3) {dims: [B=2, _=1], reduce: [_=3], maps: [[<i0>, <i2>]]} ; update
    entry "run"
      "loss" = %4
      %0 <- %5
    parameter "scale": f32[B=2, 1] at %0 + 0
    "
  `);
  expect(printGraph(readGraph(text, opTable))).toBe(text.replaceAll(/ @ .*$/gm, ''));
});

const broken: readonly (readonly [change: readonly [from: string, to: string], problem: RegExp])[] = [
  [['f32[B=2, 3] = mul', 'f32[B=2, 4] = mul'], /`mul` gives f32\[B=2, 3\], the value has f32\[B=2, 4\]/],
  [['mul(%1, %2)', 'less(%1, %2)'], /`less` gives bool/],
  [['i0>', 'i0 + 1>'], /`view.C3` does not hold/],
  [['"run"\n', '"run"\n  "loss" = %0\n'], /result `loss` twice/],
  [['at %0 + 0', 'at %0 + 1'], /`scale` leaves its leaf/],
  [['%0 <- %5', '%0 <- %4'], /updates `scale` of type/],
];

test.each(broken)('the verifier finds what %j breaks', ([from, to], problem) => {
  const text = printGraph(example()).replace(from, to);
  expect(text).not.toBe(printGraph(example()));
  expect(verifyGraph(readGraph(text, opTable)).join('\n')).toMatch(problem);
});

test.each(['%0: f32[2 = input "x"', '%0: f32[2] = inverse(%1)', '%0: f32[2] = neg(%0)', '  "loss" = %0', 'entry run', '%1: f32[2] = input "x"'])('%s is not a graph', text => {
  expect(() => readGraph(text, opTable)).toThrow(/^line 1: /);
});

/** Σ x · scale, with an update of the scale. */
function example(): Graph {
  const batch = dim(2, 'B');
  const x = leaf('input', 'x', tensor('f32', [batch, dim(3)]));
  const scale = leaf('parameter', 'scale', tensor('f32', [batch, dim(1)]));
  const product = mul(broadcast(scale, { dims: x.type.dims }), x);
  const loss = sum(product, { axes: 'all', keep: false });
  const updated: Value = sum(product, { axes: [1], keep: true });
  const file = { path: 'models/a b@c.model', text: 'first\nsecond', library: false };
  stamp(loss, { span: { file, start: 8, end: 9 }, scope: ['encoder', 'block.0'], phase: 'forward' });
  stamp(updated, { span: null, scope: [], phase: 'update' });
  return {
    entries: [{ name: 'run', results: [{ name: 'loss', value: loss }], updates: [{ leaf: scale, value: updated }] }],
    placements: [{ role: 'parameter', name: 'scale', type: scale.type, leaf: scale, offset: 0 }],
  };
}
