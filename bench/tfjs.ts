/**
 * Trains a reference model in TensorFlow.js: `node tfjs.ts BACKEND MODEL FOLDER WARM_UP STEPS`, with the batch and the first weights
 * that lie in the folder. Prints one line of JSON. Backends are `wasm`, which has no gradient of convolutions, and `cpu`, plain JavaScript.
 */
import { join, sep } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import { measureSteps, readInput, readWeights } from './read-batch.ts';
import { tfjsStep } from './tfjs-models.ts';

const [, , backend, model, folder, warmUp, steps] = process.argv;
setWasmPaths(join(import.meta.dirname, 'node_modules/@tensorflow/tfjs-backend-wasm/dist') + sep);
await tf.setBackend(backend!);
const weights = readWeights(folder!);
const parameters = weights.reduce((sum, { values }) => sum + values.length, 0);
const step = tfjsStep(model!, weights, name => readInput(folder!, name));
process.stdout.write(`${JSON.stringify(await measureSteps({ version: tf.version.tfjs, parameters }, step, Number(warmUp), Number(steps)))}\n`);
