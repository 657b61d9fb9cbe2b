/** The reference models in TensorFlow.js, on whichever backend is set. Works in Node and in pages. */
import * as tf from '@tensorflow/tfjs';
import type { Input, Weight } from './batch-tensors.ts';

interface Peer {
  /** The mean loss of a batch. */
  readonly loss: (input: tf.Tensor, target: tf.Tensor) => tf.Scalar;
  readonly inputs: readonly [string, string];
  readonly optimizer: tf.Optimizer;
  /** Weights that lose a part of themselves in every step, as AdamW has it: no optimizer of TensorFlow.js does that. */
  readonly decay?: { readonly variables: readonly tf.Variable[]; readonly part: number };
}

type Read = (name: string) => tf.Tensor;

/** Trains a model from the given weights; every call is a step and gives its loss once it is done. */
export function tfjsStep(model: string, stored: readonly Weight[], inputOf: (name: string) => Input): () => Promise<number> {
  const weights = new Map(stored.map(({ name, shape, values }) => [name, tf.tensor(values, [...shape])]));
  const { loss, inputs, optimizer, decay } = peer(model, name => {
    const weight = weights.get(name);
    if (weight === undefined) throw new Error(`there are no weights \`${name}\``);
    return weight;
  });
  const [input, target] = inputs.map(name => {
    const { shape, values } = inputOf(name);
    return tf.tensor(values, [...shape], 'int32');
  }) as [tf.Tensor, tf.Tensor];
  return async () => {
    const value = tf.tidy(() => {
      const lost = decay?.variables.map(variable => [variable, variable.mul(decay.part)] as const) ?? [];
      const value = optimizer.minimize(() => loss(input, target), true)!;
      for (const [variable, part] of lost) variable.assign(variable.sub(part));
      return value;
    });
    const [number] = await value.data();
    value.dispose();
    return number!;
  };
}

function peer(model: string, read: Read): Peer {
  switch (model) {
    case 'mlp': return mlp(read);
    case 'lenet': return lenet(read);
    case 'alexnet-1': return alexnet(read);
    case 'lstm': return lstm(read);
    case 'gpt': return gpt(read);
    default: throw new Error(`there is no model \`${model}\` in TensorFlow.js`);
  }
}

/** models/mlp.model. */
function mlp(read: Read): Peer {
  const [first, second, third] = [0, 1, 2].map(i => dense(read, `linear.${i}`));
  return { ...digits(image => third!(second!(first!(image).relu()).relu())), optimizer: adam() };
}

/** models/lenet.model, with the channels last, as TensorFlow.js has them. */
function lenet(read: Read): Peer {
  const [one, two] = [convolution(read, 'conv2d.0', 'same'), convolution(read, 'conv2d.1', 'valid')];
  const [first, second, third] = [dense(read, 'linear.0', channelsLast(16, 5)), dense(read, 'linear.1'), dense(read, 'linear.2')];
  const pooled = (x: tf.Tensor4D): tf.Tensor4D => tf.avgPool(x.tanh(), 2, 2, 'valid');
  const forward = (image: tf.Tensor): tf.Tensor2D => {
    const features = pooled(two(pooled(one(image.expandDims(3))))).reshape([-1, 400]);
    return third(second(first(features).tanh()).tanh());
  };
  return { ...digits(forward), optimizer: tf.train.momentum(0.05, 0.9) };
}

/** models/alexnet.model without its dropout, with the channels last. */
function alexnet(read: Read): Peer {
  const [one, two, ...others] = [0, 1, 2, 3, 4].map(i => convolution(read, `conv2d.${i}`, 'same'));
  const [first, second, third] = [dense(read, 'linear.0', channelsLast(256, 4)), dense(read, 'linear.1'), dense(read, 'linear.2')];
  const pooled = (x: tf.Tensor4D): tf.Tensor4D => tf.maxPool(x, 2, 2, 'valid');
  const forward = (image: tf.Tensor): tf.Tensor2D => {
    const start = pooled(two!(pooled(one!(image.transpose([0, 2, 3, 1])).relu())).relu());
    const features = pooled(others.reduce<tf.Tensor4D>((x, convolved) => convolved(x).relu(), start)).reshape([-1, 4096]);
    return third(second(first(features).relu()).relu());
  };
  return { ...digits(forward), optimizer: tf.train.momentum(1e-5, 0.9) };
}

/** models/lstm.model, its steps unrolled; only the products of inputs with their weights are one for all of them. */
function lstm(read: Read): Peer {
  const [width, length] = [128, 64];
  const embed = tf.variable(read('embed.weight'));
  const [inputWeight, carryWeight] = ['lstm.weight_ih_l0', 'lstm.weight_hh_l0'].map(name => tf.variable(read(name).transpose()));
  const [inputBias, carryBias] = ['lstm.bias_ih_l0', 'lstm.bias_hh_l0'].map(name => tf.variable(read(name)));
  const head = dense(read, 'head');
  const logits = (text: tf.Tensor): tf.Tensor2D => {
    const rows = text.shape[0]!;
    const x = tf.matMul(lookedUp(text, embed), inputWeight!).add(inputBias!).add(carryBias!).reshape([rows, length, 4 * width]);
    let [h, c] = [tf.zeros([rows, width]), tf.zeros([rows, width])];
    const outputs = tf.unstack(x, 1).map(gates => {
      const [input, forget, cell, output] = tf.split(gates.add(tf.matMul(h, carryWeight!)), 4, 1) as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];
      c = tf.add(forget.sigmoid().mul(c), input.sigmoid().mul(cell.tanh()));
      h = output.sigmoid().mul(c.tanh());
      return h;
    });
    return head(tf.stack(outputs, 1).reshape([rows * length, width]));
  };
  return { ...characters(logits), optimizer: adam() };
}

/** models/gpt.model. */
function gpt(read: Read): Peer {
  const [heads, layers, width, length] = [4, 4, 128, 64];
  const [embed, position] = ['embed.weight', 'position.weight'].map(name => tf.variable(read(name))) as [tf.Variable, tf.Variable];
  const norm = (name: string): ((x: tf.Tensor) => tf.Tensor) => {
    const [weight, bias] = ['weight', 'bias'].map(part => tf.variable(read(`${name}.${part}`))) as [tf.Variable, tf.Variable];
    return x => {
      const centred = x.sub(x.mean(-1, true));
      return centred.mul(centred.square().mean(-1, true).add(1e-5).rsqrt()).mul(weight).add(bias);
    };
  };
  const blocks = Array.from({ length: layers }, (_, i) => {
    const at = (name: string): string => `block.${i}.${name}`;
    const [query, key, value, out] = ['query', 'key', 'value', 'out'].map(name => dense(read, at(`attention.${name}`))) as [Dense, Dense, Dense, Dense];
    return { norms: [norm(at('layer_norm.0')), norm(at('layer_norm.1'))] as const, query, key, value, out, up: dense(read, at('linear.0')), down: dense(read, at('linear.1')) };
  });
  const last = norm('layer_norm');
  const later = tf.linalg.bandPart(tf.ones([length, length]), -1, 0).sub(1).mul(1e9);
  const logits = (text: tf.Tensor): tf.Tensor2D => {
    const rows = text.shape[0]!;
    let h: tf.Tensor = lookedUp(text, embed).reshape([rows, length, width]).add(position).reshape([rows * length, width]);
    for (const { norms: [before, between], query, key, value, out, up, down } of blocks) {
      const x = before(h) as tf.Tensor2D;
      const [q, k, v] = [query, key, value].map(part => part(x).reshape([rows, length, heads, width / heads]).transpose([0, 2, 1, 3])) as [tf.Tensor, tf.Tensor, tf.Tensor];
      const scores = tf.softmax(tf.matMul(q, k, false, true).mul(Math.sqrt(heads / width)).add(later));
      h = h.add(out(tf.matMul(scores, v).transpose([0, 2, 1, 3]).reshape([rows * length, width])));
      const inner = up(between(h));
      h = h.add(down(inner.mul(inner.mul(Math.SQRT1_2).erf().add(1)).mul(0.5)));
    }
    return tf.matMul(last(h), embed, false, true) as tf.Tensor2D;
  };
  // Before the optimizer makes variables of its own.
  const variables = Object.values(tf.engine().registeredVariables);
  return { ...characters(logits), optimizer: adam(), decay: { variables, part: 1e-4 } };
}

/** The loss of logits of digits in images. */
const digits = (forward: (image: tf.Tensor) => tf.Tensor2D): Pick<Peer, 'inputs' | 'loss'> =>
  ({ inputs: ['image', 'digit'], loss: (image, digit) => tf.losses.softmaxCrossEntropy(tf.oneHot(digit as tf.Tensor1D, 10), forward(image.div(255))) });

/** The loss of logits of the next characters, position by position. */
const characters = (logits: (text: tf.Tensor) => tf.Tensor2D): Pick<Peer, 'inputs' | 'loss'> =>
  ({ inputs: ['text', 'next'], loss: (text, next) => tf.losses.softmaxCrossEntropy(tf.oneHot(next.flatten().toInt(), vocabulary), logits(text)) });

const vocabulary = 65;

/** Rows of a table by a product, since WebAssembly has no gradient of `gather`. */
const lookedUp = (text: tf.Tensor, table: tf.Tensor): tf.Tensor => tf.matMul(tf.oneHot(text.flatten().toInt(), vocabulary).toFloat(), table);

const adam = (): tf.Optimizer => tf.train.adam(1e-3, 0.9, 0.999, 1e-8);

type Dense = (x: tf.Tensor) => tf.Tensor2D;

type Convolution = (x: tf.Tensor) => tf.Tensor4D;

/** A convolution with a bias, in steps of one. */
function convolution(read: Read, name: string, padding: 'same' | 'valid'): Convolution {
  const weight = tf.variable(read(`${name}.weight`).transpose([2, 3, 1, 0])) as unknown as tf.Tensor4D;
  const bias = tf.variable(read(`${name}.bias`));
  return x => tf.conv2d(x as tf.Tensor4D, weight, 1, padding).add(bias);
}

/** Arranges a weight of features that were square images with the channels first. */
const channelsLast = (channels: number, side: number) => (weight: tf.Tensor): tf.Tensor =>
  weight.reshape([-1, channels, side, side]).transpose([0, 2, 3, 1]).reshape([weight.shape[0]!, -1]);

/** x · weight + bias, the weight laid out [in, out], as a dense layer of TensorFlow.js has it. */
function dense(read: Read, name: string, arrange: (weight: tf.Tensor) => tf.Tensor = weight => weight): Dense {
  const weight = tf.variable(arrange(read(`${name}.weight`)).transpose());
  const bias = tf.variable(read(`${name}.bias`));
  return x => tf.matMul(x, weight).add(bias) as tf.Tensor2D;
}
