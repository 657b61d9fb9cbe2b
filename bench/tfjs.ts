/**
 * Trains a reference model in TensorFlow.js on its plain JavaScript backend: `node tfjs.ts MODEL FOLDER WARM_UP STEPS`, with the batch
 * and the first weights that lie in the folder. Prints one line of JSON: the loss of every step, and ms per step after the warm-up.
 */
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { openBytes, wholeFileLimit } from '../runtime/files.ts';
import { readNpy } from '../runtime/npy.ts';
import { readSafetensors } from '../runtime/safetensors.ts';
import { readTensor } from '../runtime/stored-tensor.ts';
import { elementCount } from '../runtime/tensor.ts';
import { weightsFile } from './batch.ts';
import { spread, type Spread } from './statistics.ts';

export interface TfjsReport {
  readonly version: string;
  readonly losses: readonly number[];
  readonly ms_per_step: Spread;
}

interface Rival {
  /** Logits of a batch of images. */
  readonly forward: (image: tf.Tensor) => tf.Tensor2D;
  readonly optimizer: tf.Optimizer;
}

type Read = (name: string) => tf.Tensor;

const [, , model, folder, warmUp, steps] = process.argv;
await tf.setBackend('cpu');
process.stdout.write(`${JSON.stringify(measure(model!, folder!, Number(warmUp), Number(steps)))}\n`);

function measure(model: string, folder: string, warmUp: number, steps: number): TfjsReport {
  const weights = readSafetensors(openBytes(join(folder, weightsFile), weightsFile, wholeFileLimit)).tensors;
  const { forward, optimizer } = rival(model, name => {
    const stored = weights.get(name);
    if (stored === undefined) throw new Error(`there are no weights \`${name}\``);
    const values = new Float32Array(elementCount(stored.shape));
    readTensor(stored, values, 'f32');
    return tf.tensor(values, [...stored.shape]);
  });
  const image = readInput(folder, 'image');
  const digit = readInput(folder, 'digit') as tf.Tensor1D;
  const loss = (): tf.Scalar => tf.losses.softmaxCrossEntropy(tf.oneHot(digit, 10), forward(image.div(255)));
  const losses: number[] = [];
  const times: number[] = [];
  for (let i = 0; i < warmUp + steps; i++) {
    const started = performance.now();
    losses.push(tf.tidy(() => optimizer.minimize(loss, true)!.dataSync()[0]!));
    if (i >= warmUp) times.push(performance.now() - started);
  }
  return { version: tf.version.tfjs, losses, ms_per_step: spread(times) };
}

function readInput(folder: string, name: string): tf.Tensor {
  const stored = readNpy(openBytes(join(folder, `${name}.npy`), name, wholeFileLimit));
  const values = new Int32Array(elementCount(stored.shape));
  readTensor(stored, values, 'i32');
  return tf.tensor(values, [...stored.shape], 'int32');
}

function rival(model: string, read: Read): Rival {
  switch (model) {
    case 'mlp': return mlp(read);
    case 'lenet': return lenet(read);
    default: throw new Error(`there is no model \`${model}\` in TensorFlow.js`);
  }
}

/** bench/models/mlp.model. */
function mlp(read: Read): Rival {
  const [first, second, third] = [0, 1, 2].map(i => dense(read, `linear.${i}`));
  return { forward: image => third!(second!(first!(image).relu()).relu()), optimizer: tf.train.adam(1e-3, 0.9, 0.999, 1e-8) };
}

/** bench/models/lenet.model, with the channels last, as TensorFlow.js has them. */
function lenet(read: Read): Rival {
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
