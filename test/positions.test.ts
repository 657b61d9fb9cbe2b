/**
 * Tokens that come one at a time: after each, the scores are those that the whole row gives there, whatever stood behind it before. On
 * every target; with a cache wherever a model allows one, and nothing of the length of all positions computed anew.
 */
import { describe, expect, test } from 'vitest';
import type { Levels } from '../compiler/index.ts';
import { timesOfCall } from '../compiler/ir/program.ts';
import { elements, size } from '../compiler/ir/type.ts';
import { graphMachine, programMachine, type Machine } from './support/machine.ts';
import { emittedMachine } from './support/run-program.ts';
import { generator } from './support/tensors.ts';
import { levelsOf } from './support/trace.ts';
import { wasmMachine } from './support/wasm.ts';

const text = (body: string, definitions = '', T = 9): string => `
${definitions}
model Text(T = ${T}) {
  input text: i32[B, T]
${body}
  output all = logits
}
generate {
  sample text from logits
}
`;
const block = `
layer block(heads) (x: f32[B, T, D]) -> f32[B, T, D] {
  x = x + (x |> layer_norm |> multi_head_attention(heads, causal: true))
  return x + (x |> layer_norm |> linear(4 * D) |> gelu |> linear(D))
}`;

/** With how many kernels that are computed anew for all positions. */
const models: Readonly<Record<string, readonly [string, number]>> = {
  'a transformer': [text(`
  x = embedding(11, 8)(text) + embedding(T, 8)(range(T))
  for i in 0..2 { x = block(2)(x) }
  logits = x |> layer_norm |> linear(11)`, block), 0],
  'tied weights': [text(`
  embed = embedding(11, 8)
  logits = block(4)(embed(text)) @ embed.weight.T`, block), 0],
  'attention written out': [text(`
  x = embedding(11, 6)(text)
  q = linear(6)(x)
  k = linear(6)(x)
  s[b, i, j] = sum[c](q[b, i, c] * k[b, j, c]) - abs(i - j)
  w = softmax(range(T)[:, none] >= range(T) ? s : -1e30)
  logits = linear(11)(w @ x)`), 0],
  'a convolution that looks back': [text(`
  x = embedding(11, 6)(text)
  h = pad(x, [0, 3, 0], [0, 0, 0])
  y[b, t, c] = sum[u in 0..4](h[b, t + u, c])
  logits = linear(11)(tanh(y))`), 0],
  'an LSTM': [text(`
  logits = embedding(11, 6)(text) |> lstm(5) |> linear(11)`), 0],
  'two recurrences and attention': [text(`
  h = embedding(11, 6)(text) |> gru(8) |> rnn(8)
  logits = linear(11)(block(2)(h))`, block), 0],
  'what comes before': [`
${block}
model Painter(T = 5, N = 6) {
  input caption: i32[B, T]
  input picture: f32[B, N]
  codes = argmax(picture[:, :, none] * full(1.0, [7]))
  x = concat([embedding(4, 8)(caption), embedding(7, 8)(codes)], axis: 1) + embedding(T + N, 8)(range(T + N))
  for i in 0..2 { x = block(2)(x) }
  logits = linear(7)(x[:, T - 1:-1])
  output all = logits
}
generate {
  sample codes from logits
}
`, 0],
  'an encoder': [`
${block}
layer cross(heads) (x: f32[B, T, D], m: f32[B, S, D]) -> f32[B, T, D] {
  q = linear(D)(x)
  k = linear(D)(m)
  v = linear(D)(m)
  return x + softmax(q @ k.T) @ v
}
model Translator(T = 6, S = 5) {
  input source: i32[B, S]
  input text: i32[B, T]
  m = embedding(9, 8)(source)
  m = m + (m |> layer_norm |> multi_head_attention(2))
  logits = linear(11)(cross(2)(block(2)(embedding(11, 8)(text)), m))
  output all = logits
}
generate {
  sample text from logits
}
`, 0],
};

describe.each(Object.entries(models))('%s', (_, [source, anew]) => {
  const levels = levelsOf(source);
  const { program } = levels;
  test('takes a token at a time', () => {
    const calls = program!.entries.filter(entry => /^generate_(step|scores)$/.test(entry.name)).flatMap(entry => entry.calls);
    expect(calls.filter(call => call.loop?.given === undefined || call.loop.given === null)).toHaveLength(anew);
    expect(calls.every(call => timesOfCall(call) === 1)).toBe(true);
  });
  test('kernels', async () => compareSteps(await drawn(programMachine(program!), levels), await whole(levels), 1e-9));
  test('WebAssembly', async () => compareSteps(await drawn(wasmMachine(program!), levels), await whole(levels), 2e-5));
  test('emitted', async () => compareSteps(await drawn(await emittedMachine(levels), levels), await whole(levels), 2e-5));
});

const tokens = (count: number, below: number, seed: number): number[] => {
  const next = generator(seed);
  return Array.from({ length: count }, () => Math.floor(next() * below));
};

function filled(machine: Machine, { model, program }: Levels): void {
  const next = generator(3);
  machine.write('scalar', 'seed', [7]);
  for (const { leaf: { leaf, type } } of model!.parameters) machine.write('parameter', leaf!.name, Array.from({ length: elements(type) }, () => Math.fround(2 * next() - 1)));
  for (const name of model!.generation!.given) {
    const place = program!.inputs.find(input => input.name === name)!;
    machine.write('input', name, tokens(size(place.shape.slice(1)), 4, 5));
  }
}

/** Rows of scores as the graph gives them for the whole sequence, one after the other. */
async function whole(levels: Levels): Promise<number[][]> {
  const machine = graphMachine(levels.gradient!);
  const { sequence, scores } = levels.model!.generation!;
  filled(machine, levels);
  machine.write('input', sequence.leaf!.name, tokens(elements(sequence.type), 7, 1));
  const { data } = machine.run('generate').get('scores')!;
  const width = scores.type.dims[2]!.extent;
  return Array.from({ length: data.length / width }, (_, row) => [...data.subarray(row * width, (row + 1) * width)]);
}

/** The same rows, of tokens that are written one at a time, after a first round with others. */
async function drawn(machine: Machine, levels: Levels): Promise<(number[] | null)[]> {
  const { sequence, before, lag } = levels.program!.generation!;
  const count = size(sequence.shape);
  filled(machine, levels);
  const rows: (number[] | null)[] = [];
  for (const seed of [2, 1]) {
    const row = tokens(count, 7, seed);
    rows.length = 0;
    machine.write('input', sequence.name, Array.from({ length: count }, () => 0));
    machine.run('generate_start');
    for (let position = Math.min(0, before); position < count + before; position++) {
      const k = position - before;
      machine.write('scalar', 'position', [position]);
      if (k >= 0) machine.write('input', sequence.name, [...row.slice(0, k + 1), ...Array.from({ length: count - k - 1 }, () => 0)]);
      machine.run('generate_step');
      if (k + lag >= 0 && k + lag < count) rows[k + lag] = [...machine.run('generate_scores').get('scores')!.data];
    }
  }
  return rows;
}

function compareSteps(actual: readonly (number[] | null)[], expected: readonly number[][], tolerance: number): void {
  expect(actual.length).toBe(expected.length);
  actual.forEach((row, r) => {
    const error = row === null ? 0 : Math.max(...row.map((value, i) => Math.abs(value - expected[r]![i]!)));
    expect(error, `row ${r}`).toBeLessThanOrEqual(tolerance * Math.max(1, ...expected[r]!.map(Math.abs)));
  });
}

