/** The reference models in TensorFlow.js, on whichever backend is set. Works in Node and in pages. */
import * as tf from '@tensorflow/tfjs';
import type { Input, Weight } from './batch-tensors.ts';

interface Peer {
  /** Logits of a batch of images. */
  readonly forward: (image: tf.Tensor) => tf.Tensor2D;
  readonly optimizer: tf.Optimizer;
}

type Read = (name: string) => tf.Tensor;

/** Trains a model from the given weights; every call is a step and gives its loss once it is done. */
export function tfjsStep(model: string, stored: readonly Weight[], inputOf: (name: string) => Input): () => Promise<number> {
  const weights = new Map(stored.map(({ name, shape, values }) => [name, tf.tensor(values, [...shape])]));
  const { forward, optimizer } = peer(model, name => {
    const weight = weights.get(name);
    if (weight === undefined) throw new Error(`there are no weights \`${name}\``);
    return weight;
  });
  const [image, digit] = ['image', 'digit'].map(name => {
    const { shape, values } = inputOf(name);
    return tf.tensor(values, [...shape], 'int32');
  }) as [tf.Tensor, tf.Tensor1D];
  const loss = (): tf.Scalar => tf.losses.softmaxCrossEntropy(tf.oneHot(digit, 10), forward(image.div(255)));
  return async () => {
    const value = tf.tidy(() => optimizer.minimize(loss, true)!);
    const [number] = await value.data();
    value.dispose();
    return number!;
  };
}

function peer(model: string, read: Read): Peer {
  switch (model) {
    case 'mlp': return mlp(read);
    case 'lenet': return lenet(read);
    default: throw new Error(`there is no model \`${model}\` in TensorFlow.js`);
  }
}

/** models/mlp.model. */
function mlp(read: Read): Peer {
  const [first, second, third] = [0, 1, 2].map(i => dense(read, `linear.${i}`));
  return { forward: image => third!(second!(first!(image).relu()).relu()), optimizer: tf.train.adam(1e-3, 0.9, 0.999, 1e-8) };
}

/** models/lenet.model, with the channels last, as TensorFlow.js has them. */
function lenet(read: Read): Peer {
  const convolutions = [0, 1].map(i => ({
    weight: tf.variable(read(`conv2d.${i}.weight`).transpose([2, 3, 1, 0])) as unknown as tf.Tensor4D,
    bias: tf.variable(read(`conv2d.${i}.bias`)),
  }));
  const pooledConvolution = (x: tf.Tensor4D, i: number, padding: 'same' | 'valid'): tf.Tensor4D =>
    tf.avgPool(tf.conv2d(x, convolutions[i]!.weight, 1, padding).add<tf.Tensor4D>(convolutions[i]!.bias).tanh(), 2, 2, 'valid');
  const channelsLast = (weight: tf.Tensor): tf.Tensor => weight.reshape([120, 16, 5, 5]).transpose([0, 2, 3, 1]).reshape([120, 400]);
  const [first, second, third] = [dense(read, 'linear.0', channelsLast), dense(read, 'linear.1'), dense(read, 'linear.2')];
  const forward = (image: tf.Tensor): tf.Tensor2D => {
    const features = pooledConvolution(pooledConvolution(image.expandDims(3), 0, 'same'), 1, 'valid').reshape([-1, 400]);
    return third(second(first(features).tanh()).tanh());
  };
  return { forward, optimizer: tf.train.momentum(0.05, 0.9) };
}

/** x · weight + bias, the weight laid out [in, out], as a dense layer of TensorFlow.js has it. */
function dense(read: Read, name: string, arrange: (weight: tf.Tensor) => tf.Tensor = weight => weight): (x: tf.Tensor) => tf.Tensor2D {
  const weight = tf.variable(arrange(read(`${name}.weight`)).transpose());
  const bias = tf.variable(read(`${name}.bias`));
  return x => tf.matMul(x, weight).add(bias) as tf.Tensor2D;
}
