/** Small models of attention, and programs whose kernels run in small blocks. */
import { schedule } from '../../compiler/5-schedule/schedule.ts';
import { compile, type Levels } from '../../compiler/index.ts';
import { verifyProgram } from '../../compiler/ir/verify-program.ts';

/** Two rows, two heads and `tokens` tokens of two features each. */
const attention = (definitions: string, call: string, tokens = 32): string => `
rows = 2
${definitions}
model Attention {
  input x: f32[B, ${tokens}, 4]
  h = x + ${call}
  loss = mean((h |> linear(1)) ** 2)
  output y = h
}
train {
  batch rows
  steps 4
  optimizer sgd(0.01)
}
`;
const heads = 'fn heads(x: f32[B, T, D]) = transpose(reshape(x, [B, T, 2, D / 2]), [0, 2, 1, 3])\nfn joined(x: f32[B, H, T, D]) = reshape(transpose(x, [0, 2, 1, 3]), [B, T, H * D])';
const own = (weights: string): string => `${heads}
layer own() (x: f32[B, T, D]) -> f32[B, T, D] {
  q = heads(x |> linear(D))
  k = heads(x |> linear(D))
  v = heads(x |> linear(D))
  s = q @ k.T
  return joined((${weights}) @ v)
}`;
export const attentions: Readonly<Record<string, string>> = {
  plain: attention('', 'multi_head_attention(2)(x)'),
  causal: attention('', 'multi_head_attention(2, causal: true)(x)'),
  'with dropout': attention('', 'multi_head_attention(2, causal: true, dropout_rate: 0.5)(x)'),
  'a prime number of tokens': attention('', 'multi_head_attention(2, causal: true)(x)', 13),
  'without a softmax': attention(own('relu(s) ** 2 / T'), 'own()(x)'),
  'with a bias of its own': attention(own('softmax(s + 0.1 * (range(T)[:, none] - range(T)))'), 'own()(x)'),
  'of sigmoids': attention(own('sigmoid(s)'), 'own()(x)'),
};

/** The levels of a text; whatever has at least so many elements runs in blocks of as many, if it can. */
export function inBlocks(text: string, elements = 512): Levels {
  const { levels, diagnostics } = compile({ path: 'blocks.model', text, library: false }, 'simplify', { verify: true });
  if (levels.simplified === undefined) throw new Error(`${diagnostics.map(d => `${d.code}: ${d.message}`).join('\n')}\n${text}`);
  const { program, graph } = schedule(levels.simplified, levels.model!.inputs, null, { fewestElements: elements, blockElements: elements, fewestRows: 16 });
  const wrong = verifyProgram(program);
  if (wrong.length > 0) throw new Error(wrong.join('\n'));
  return { ...levels, scheduled: graph, program };
}
