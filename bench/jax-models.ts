/**
 * The reference models in jax-js, on whichever device is its default: a whole training step is one compiled function, as jax-js wants it.
 * Works in Node and in pages.
 */
import { blockUntilReady, jit, nn, numpy as np, valueAndGrad, lax } from '@jax-js/jax';
import type { Input, Weight } from './batch-tensors.ts';

type Weights = Record<string, np.Array>;

interface Peer {
  readonly inputs: readonly [string, string];
  readonly loss: (weights: Weights, input: np.Array, target: np.Array) => np.Array;
  readonly optimizer: Optimizer;
}

interface Optimizer {
  /** Tensors that it keeps for every weight. */
  readonly states: number;
  /** What depends on the number of the step alone, computed outside of the compiled function: inside, it is computed for every element. */
  readonly scalars: (step: number) => readonly number[];
  /** Takes a weight, its gradient, its states and the scalars; gives the new weight and states. */
  readonly update: (weight: np.Array, gradient: np.Array, states: np.Array[], scalars: np.Array[]) => [np.Array, np.Array[]];
}

/** Trains a model from the given weights; every call is a step and gives its loss once it is done. */
export function jaxStep(name: string, stored: readonly Weight[], inputOf: (name: string) => Input): () => Promise<number> {
  const { inputs, loss, optimizer } = peer(name);
  let weights: Weights = Object.fromEntries(stored.map(weight => [weight.name, weightArray(weight)]));
  let states: Record<string, np.Array[]> = Object.fromEntries(Object.entries(weights).map(([name, { shape }]) =>
    [name, Array.from({ length: optimizer.states }, () => np.zeros(shape))]));
  const [input, target] = inputs.map(name => {
    const { shape, values } = inputOf(name);
    return np.array(values, { shape: [...shape], dtype: np.int32 });
  }) as [np.Array, np.Array];
  const train = jit((weights: Weights, states: Record<string, np.Array[]>, scalars: np.Array[], input: np.Array, target: np.Array) => {
    const kept = Object.fromEntries(Object.entries(weights).map(([name, weight]) => [name, weight.ref]));
    const [value, gradients] = valueAndGrad(loss)(weights, input, target) as [np.Array, Weights];
    const updated = Object.keys(kept).map(name => [name, optimizer.update(kept[name]!, gradients[name]!, states[name]!, scalars.map(scalar => scalar.ref))] as const);
    scalars.forEach(scalar => scalar.dispose());
    return [
      value,
      Object.fromEntries(updated.map(([name, [weight]]) => [name, weight])),
      Object.fromEntries(updated.map(([name, [, own]]) => [name, own])),
    ] as [np.Array, Weights, Record<string, np.Array[]>];
  });
  let count = 0;
  return async () => {
    let value: np.Array;
    [value, weights, states] = train(weights, states, optimizer.scalars(++count).map(scalar => np.array(scalar)), input.ref, target.ref);
    // Asked for first: with `blockUntilReady` alone, kernels wait for one another across promises, and memory doubles.
    const [loss] = await value.data();
    await blockUntilReady([weights, states]);
    return loss!;
  };
}

function peer(name: string): Peer {
  switch (name) {
    case 'mlp': return { inputs: ['image', 'digit'], loss: mlpLoss, optimizer: adam(1e-3, 0) };
    case 'lenet': return { inputs: ['image', 'digit'], loss: lenetLoss, optimizer: momentum(0.05, 0.9) };
    case 'alexnet-1': return { inputs: ['image', 'digit'], loss: alexnetLoss, optimizer: momentum(1e-5, 0.9) };
    case 'lstm': return { inputs: ['text', 'next'], loss: lstmLoss, optimizer: adam(1e-3, 0) };
    case 'gpt': return { inputs: ['text', 'next'], loss: gptLoss, optimizer: adam(1e-3, 0.1) };
    default: throw new Error(`there is no model \`${name}\` in jax-js`);
  }
}

/** models/mlp.model. */
function mlpLoss(weights: Weights, image: np.Array, digit: np.Array): np.Array {
  const first = nn.relu(linear(weights, 'linear.0', image.astype(np.float32).div(255)));
  const second = nn.relu(linear(weights, 'linear.1', first));
  return crossEntropy(linear(weights, 'linear.2', second), digit, 10);
}

/** models/lenet.model. */
function lenetLoss(weights: Weights, image: np.Array, digit: np.Array): np.Array {
  const convolution = (x: np.Array, name: string, padding: 'SAME' | 'VALID'): np.Array => {
    const bias = weights[`${name}.bias`]!;
    const y = np.tanh(lax.conv(x, weights[`${name}.weight`]!, [1, 1], padding).add(bias.reshape([-1, 1, 1])));
    const [batch, channels, height, width] = y.shape as [number, number, number, number];
    return y.reshape([batch, channels, height / 2, 2, width / 2, 2]).mean([3, 5]);
  };
  const rows = image.shape[0]!;
  const pixels = image.astype(np.float32).div(255).reshape([rows, 1, 28, 28]);
  const features = convolution(convolution(pixels, 'conv2d.0', 'SAME'), 'conv2d.1', 'VALID').reshape([rows, 400]);
  const hidden = np.tanh(linear(weights, 'linear.1', np.tanh(linear(weights, 'linear.0', features))));
  return crossEntropy(linear(weights, 'linear.2', hidden), digit, 10);
}

/** models/alexnet.model without its dropout. */
function alexnetLoss(weights: Weights, image: np.Array, digit: np.Array): np.Array {
  const rows = image.shape[0]!;
  const convolution = (x: np.Array, i: number): np.Array =>
    nn.relu(lax.conv(x, weights[`conv2d.${i}.weight`]!, [1, 1], 'SAME').add(weights[`conv2d.${i}.bias`]!.reshape([-1, 1, 1])));
  const pooled = (x: np.Array): np.Array => {
    const [batch, channels, height, width] = x.shape as [number, number, number, number];
    return x.reshape([batch, channels, height / 2, 2, width / 2, 2]).max([3, 5]);
  };
  const first = pooled(convolution(image.astype(np.float32).div(255), 0));
  const second = pooled(convolution(first, 1));
  const features = pooled([2, 3, 4].reduce(convolution, second)).reshape([rows, 4096]);
  const hidden = nn.relu(linear(weights, 'linear.1', nn.relu(linear(weights, 'linear.0', features))));
  return crossEntropy(linear(weights, 'linear.2', hidden), digit, 10);
}

/**
 * models/lstm.model. jax-js has no `lax.scan`: the steps are unrolled, and only the products of inputs with their weights are one for all
 * of them. Tokens are looked up by a product, since 0.1.25 cannot compile the gradient of `take` in front of a product inside `jit`
 * (`routine primitive scatter input is not imm`).
 */
function lstmLoss(weights: Weights, text: np.Array, next: np.Array): np.Array {
  const batch = text.shape[0]!;
  const [width, vocabulary] = [128, 65];
  const x = np.matmul(nn.oneHot(text, vocabulary), weights['embed.weight']!);
  const bias = weights['lstm.bias_ih_l0']!.add(weights['lstm.bias_hh_l0']!);
  const gates = np.unstack(np.matmul(x, weights['lstm.weight_ih_l0']!).add(bias), 1);
  let h = np.zeros([batch, width]);
  let c = np.zeros([batch, width]);
  const outputs = gates.map(inputGates => {
    const all = inputGates.add(np.matmul(h, weights['lstm.weight_hh_l0']!.ref));
    const [input, forget, cell, output] = np.split(all, 4, 1) as [np.Array, np.Array, np.Array, np.Array];
    c = nn.sigmoid(forget).mul(c).add(nn.sigmoid(input).mul(np.tanh(cell)));
    h = nn.sigmoid(output).mul(np.tanh(c.ref));
    return h.ref;
  });
  [h, c, weights['lstm.weight_hh_l0']!].forEach(value => value.dispose());
  return crossEntropy(linear(weights, 'head', np.stack(outputs, 1)), next, vocabulary);
}

/** models/gpt.model. */
function gptLoss(weights: Weights, text: np.Array, next: np.Array): np.Array {
  const [batch, length] = text.shape as [number, number];
  const [heads, layers, width, vocabulary] = [4, 4, 128, 65];
  const table = weights['embed.weight']!;
  let h = np.take(table.ref, text, 0).add(weights['position.weight']!);
  const norm = (name: string, x: np.Array): np.Array => nn.standardize(x, -1, { epsilon: 1e-5 }).mul(weights[`${name}.weight`]!).add(weights[`${name}.bias`]!);
  for (let i = 0; i < layers; i++) {
    const at = (name: string): string => `block.${i}.${name}`;
    const x = norm(at('layer_norm.0'), h.ref);
    const [q, k, v] = ['query', 'key', 'value'].map(name =>
      linear(weights, at(`attention.${name}`), x.ref).reshape([batch, length, heads, width / heads])) as [np.Array, np.Array, np.Array];
    x.dispose();
    const attended = nn.dotProductAttention(q, k, v, { isCausal: true }).reshape([batch, length, width]);
    h = h.add(linear(weights, at('attention.out'), attended));
    const inner = nn.gelu(linear(weights, at('linear.0'), norm(at('layer_norm.1'), h.ref)), { approximate: false });
    h = h.add(linear(weights, at('linear.1'), inner));
  }
  const logits = np.matmul(norm('layer_norm', h), table.transpose());
  return crossEntropy(logits, next, vocabulary);
}

/** Weights of linear and recurrent layers are laid out [in, out], as is usual in JAX. */
function weightArray({ name, shape, values }: Weight): np.Array {
  if (shape.length !== 2 || !/linear|attention|head|lstm/.test(name)) return np.array(values, { shape: [...shape] });
  const [rows, columns] = shape as readonly [number, number];
  const transposed = values.map((_, i) => values[(i % rows) * columns + Math.floor(i / rows)]!);
  return np.array(transposed, { shape: [columns, rows] });
}

function linear(weights: Weights, name: string, x: np.Array): np.Array {
  return np.matmul(x, weights[`${name}.weight`]!).add(weights[`${name}.bias`]!);
}

/** The mean over all rows, classes being the last axis. */
function crossEntropy(logits: np.Array, target: np.Array, classes: number): np.Array {
  const rows = target.size;
  return nn.logSoftmax(logits, -1).mul(nn.oneHot(target, classes)).sum().div(-rows);
}

/** Adam; a weight decay is taken from the weight itself, as in AdamW. */
function adam(rate: number, decay: number): Optimizer {
  const [beta1, beta2, eps] = [0.9, 0.999, 1e-8];
  return {
    states: 2,
    scalars: step => [rate / (1 - beta1 ** step), 1 / (1 - beta2 ** step)],
    update: (weight, gradient, [m, v], [meanFactor, squareFactor]) => {
      const mean = m!.mul(beta1).add(gradient.ref.mul(1 - beta1));
      const square = v!.mul(beta2).add(gradient.ref.mul(gradient).mul(1 - beta2));
      const change = mean.ref.mul(meanFactor!).div(np.sqrt(square.ref.mul(squareFactor!)).add(eps));
      return [weight.mul(1 - rate * decay).sub(change), [mean, square]];
    },
  };
}

function momentum(rate: number, momentum: number): Optimizer {
  return {
    states: 1,
    scalars: () => [],
    update: (weight, gradient, [velocity]) => {
      const next = velocity!.mul(momentum).add(gradient);
      return [weight.sub(next.ref.mul(rate)), [next]];
    },
  };
}
