/** Models of recurrent layers, for what a memory limit does to loops. Works in any process. */

/** Layers whose loops yield what no step carries, and that have a loop in each step. */
const layers = `
layer scaled(units) (x: f32[B, T, D]) {
  param w: f32[D, units] = uniform(0.7)
  param u: f32[units, units] = uniform(0.7)
  param v: f32[units] = uniform(0.7)
  all = scan t along T from h = zeros([B, units]), s = 0.5 * v {
    a = tanh(x[:, t] @ w + h @ u)
    s = s * 0.5 + mean(a, axis: B)
    h = tanh(s * a) * sigmoid(a)
    yield h * sigmoid(a)
  }
  return all + h[:, none]
}
layer nested(units) (x: f32[B, T, D]) {
  param w: f32[D, units] = uniform(0.7)
  param u: f32[units, units] = uniform(0.7)
  return scan t along T from h = zeros([B, units]) {
    scan s along 3 from g = x[:, t] @ w {
      g = tanh(g @ u + h * sigmoid(g) + 0.1 * uniform_like(g))
    }
    h = g + 0.5 * h
    yield h
  }
}
`;

/** A model of such layers on `steps` steps, with further settings. */
export const recurrent = (body: string, { steps = 6, batch = 4, features = 3, settings = '' } = {}): string => `${layers}
model Recurrent {
  input x: f32[B, ${steps}, ${features}]
  loss = mean(square(x |> ${body} |> linear(1)))
}
train {
  batch ${batch}
  steps 4
  optimizer adam(lr: 0.01, eps: 1e-3)
  ${settings}
}
`;

/** By title, and with the part of what lives within a step that suffices. */
export const recurrences: Readonly<Record<string, readonly [body: string, share: number]>> = {
  'two LSTM layers': ['lstm(4) |> lstm(4)', 0.6],
  'sequences that the steps and a product read': ['gru(4) |> gru(5)', 0.7],
  'yields that nothing carries, and an initial value that is learned': ['scaled(4) |> lstm(3) |> scaled(4)', 0.95],
  'loops in loops': ['nested(4) |> gru(4) |> nested(3)', 0.6],
  'layers around loops': ['linear(4) |> tanh |> lstm(4) |> layer_norm(eps: 0.1) |> nested(4) |> gelu', 0.7],
  'layers that keep what they carry alone': ['rnn(4) |> rnn(4) |> rnn(4) |> rnn(4)', 0.9],
  'a deep stack': ['lstm(3) |> lstm(4) |> lstm(3) |> lstm(4) |> lstm(4) |> lstm(3)', 0.45],
};
