/** Models that draw tokens, what their scores are for a whole sequence, and what they are when its tokens come one at a time. */
import type { Levels } from '../../compiler/index.ts';
import { elements, size } from '../../compiler/ir/type.ts';
import type { RemoteMachine } from './gpu.ts';
import { graphMachine, type Machine } from './machine.ts';
import { generator } from './tensors.ts';

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

export const generators: Readonly<Record<string, string>> = {
  'a transformer': text(`
  x = embedding(11, 8)(text) + embedding(T, 8)(range(T))
  for i in 0..2 { x = block(2)(x) }
  logits = x |> layer_norm |> linear(11)`, block),
  'tied weights': text(`
  embed = embedding(11, 8)
  logits = block(4)(embed(text)) @ embed.weight.T`, block),
  'attention written out': text(`
  x = embedding(11, 6)(text)
  q = linear(6)(x)
  k = linear(6)(x)
  s[b, i, j] = sum[c](q[b, i, c] * k[b, j, c]) - abs(i - j)
  w = softmax(range(T)[:, none] >= range(T) ? s : -1e30)
  logits = linear(11)(w @ x)`),
  'a convolution that looks back': text(`
  x = embedding(11, 6)(text)
  h = pad(x, [0, 3, 0], [0, 0, 0])
  y[b, t, c] = sum[u in 0..4](h[b, t + u, c])
  logits = linear(11)(tanh(y))`),
  'an input of the name of the position': `
model Placed(T = 7) {
  input position: i32[B, T]
  input text: i32[B, T]
  x = embedding(11, 6)(text) + embedding(4, 6)(position)
  logits = linear(11)(x + multi_head_attention(2, causal: true)(x))
  output all = logits
}
generate {
  sample text from logits
}
`,
  'an LSTM': text(`
  logits = embedding(11, 6)(text) |> lstm(5) |> linear(11)`),
  'two recurrences and attention': text(`
  h = embedding(11, 6)(text) |> gru(8) |> rnn(8)
  logits = linear(11)(block(2)(h))`, block),
  'what comes before': `
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
`,
  'an encoder': `
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
`,
};

const tokens = (count: number, below: number, seed: number): number[] => {
  const next = generator(seed);
  return Array.from({ length: count }, () => Math.floor(next() * below));
};

function filled(machine: Machine | RemoteMachine, { model, program }: Levels): void {
  const next = generator(3);
  machine.write('scalar', 'seed', [7]);
  for (const { leaf: { leaf, type } } of model!.stages[0]!.parameters) machine.write('parameter', leaf!.name, Array.from({ length: elements(type) }, () => Math.fround(2 * next() - 1)));
  for (const name of model!.stages[0]!.generation!.given) {
    const place = program!.inputs.find(input => input.name === name)!;
    machine.write('input', name, tokens(size(place.shape.slice(1)), 4, 5));
  }
}

/** Rows of scores as the graph gives them for the whole sequence, one after the other. */
export function whole(levels: Levels): readonly (readonly number[])[] {
  const machine = graphMachine(levels.gradient!);
  const { sequence, scores } = levels.model!.stages[0]!.generation!;
  filled(machine, levels);
  machine.write('input', sequence.leaf!.name, tokens(elements(sequence.type), 7, 1));
  const { data } = machine.run('generate').get('scores')!;
  const width = scores.type.dims[2]!.extent;
  return Array.from({ length: data.length / width }, (_, row) => [...data.subarray(row * width, (row + 1) * width)]);
}

/** The same rows, of tokens that are written one at a time, after a first round with others. */
export async function drawn(machine: Machine | RemoteMachine, levels: Levels): Promise<(number[] | null)[]> {
  const { sequence, before, lag } = levels.program!.generation!;
  const count = size(sequence.shape);
  filled(machine, levels);
  const rows: (number[] | null)[] = [];
  for (const seed of [2, 1]) {
    const row = tokens(count, 7, seed);
    rows.length = 0;
    machine.write('input', sequence.name, Array.from({ length: count }, () => 0));
    await machine.run('generate_start');
    for (let position = Math.min(0, before); position < count + before; position++) {
      const k = position - before;
      machine.write('scalar', 'position', [position]);
      if (k >= 0) machine.write('input', sequence.name, [...row.slice(0, k + 1), ...Array.from({ length: count - k - 1 }, () => 0)]);
      await machine.run('generate_step');
      if (k + lag >= 0 && k + lag < count) rows[k + lag] = [...(await machine.run('generate_scores')).get('scores')!.data];
    }
  }
  return rows;
}

/** Throws where a row differs. Rows before the first token may not be there. */
export function compareRows(actual: readonly (readonly number[] | null)[], expected: readonly (readonly number[])[], tolerance: number): void {
  if (actual.length !== expected.length) throw new Error(`${actual.length} rows instead of ${expected.length}`);
  actual.forEach((row, r) => {
    const error = row === null ? 0 : Math.max(...row.map((value, i) => Math.abs(value - expected[r]![i]!)));
    if (!(error <= tolerance * Math.max(1, ...expected[r]!.map(Math.abs)))) throw new Error(`row ${r} is off by ${error}`);
  });
}
