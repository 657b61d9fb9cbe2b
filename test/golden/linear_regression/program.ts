/**
 * LinearRegression: A line through points, by least squares.
 *
 * Written by nabla from source.model (sha256 09a669b66a93eac4…). Start it to train: `node <this file>`, `--help` for more.
 * Batch 16; 346 floating-point operations a step; 896 bytes of memory in all, none allocated while training.
 * 4 parameters:
 *   linear.weight  f32[1, 3]
 *   linear.bias    f32[1]
 */

import { accessSync, closeSync, constants, copyFileSync, existsSync, fstatSync, fsyncSync, openSync, readFileSync, readSync, readdirSync, realpathSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { deflateRawSync, deflateSync, gunzipSync } from 'node:zlib';

// ── Memory ──────────────────────────────────────────────────────────────────────────────────────────────────────────────
const memory = new ArrayBuffer(896);
const f32 = new Float32Array(memory);
const i32 = new Int32Array(memory);

// Where each buffer begins, counted in its own elements. Buffers that are never needed at once share places.
const at_parameters = 0; // parameter
const at_gradients = 16; // state
const at_x = 32; // input
const at_y = 80; // input
const at_seed = 96; // scalar
const at_learning_rate_factor = 112; // scalar
const at_mul_update = 160;
const at_sub = 128;
const at_add_backward = 144;
const at_mul = 176;
const at_sqrt_update = 128;
const at_sub_2 = 128;
const at_mul_2 = 144;
const at_linear_add = 128;
const at_contract = 128;
const at_linear_add_2 = 128;

// ── Kernels ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** source.model:5  prediction = x |> linear(1) */
function initialise(seed: number, out: number): void {
  const seed_value = i32[seed];
  for (let i = 0; i < 3; i++) {
    f32[out + i] = -0.5773502691896258 + 1.1547005383792517 * random(seed_value, 1213060306, 0, i);
  }
}

/** source.model:5  prediction = x |> linear(1) */
function initialise_2(seed: number, out: number): void {
  f32[out] = -0.5773502691896258 + 1.1547005383792517 * random(i32[seed], 1428609551, 0, 0);
}

/** source.model:18  optimizer sgd(lr: 0.1) */
function scalars(learning_rate_factor: number, out: number): void {
  f32[out] = 0.1 * f32[learning_rate_factor];
}

/**
 * source.model:5  prediction = x |> linear(1)
 * source.model:6  loss = mse(prediction, y)
 */
function linear_forward(x: number, weight: number, bias: number, y: number, out: number, out_2: number): void {
  const bias_value = f32[bias];
  for (let i = 0; i < 16; i += 4) {
    let sum = 0;
    let sum2 = 0;
    let sum3 = 0;
    let sum4 = 0;
    const x_row = x + i * 3;
    const x_row2 = x + i * 3 + 3;
    const x_row3 = x + i * 3 + 6;
    const x_row4 = x + i * 3 + 9;
    for (let j = 0; j < 3; j++) {
      const weight_value = f32[weight + j];
      sum += f32[x_row + j] * weight_value;
      sum2 += f32[x_row2 + j] * weight_value;
      sum3 += f32[x_row3 + j] * weight_value;
      sum4 += f32[x_row4 + j] * weight_value;
    }
    const sub_value = sum + bias_value - f32[y + i];
    const sub_value2 = sum2 + bias_value - f32[y + i + 1];
    const sub_value3 = sum3 + bias_value - f32[y + i + 2];
    const sub_value4 = sum4 + bias_value - f32[y + i + 3];
    const mul_value = 0.0625 * sub_value;
    const mul_value2 = 0.0625 * sub_value2;
    const mul_value3 = 0.0625 * sub_value3;
    const mul_value4 = 0.0625 * sub_value4;
    const value = mul_value + mul_value;
    const value2 = mul_value2 + mul_value2;
    const value3 = mul_value3 + mul_value3;
    const value4 = mul_value4 + mul_value4;
    f32[out + i] = sub_value;
    f32[out + i + 1] = sub_value2;
    f32[out + i + 2] = sub_value3;
    f32[out + i + 3] = sub_value4;
    f32[out_2 + i] = value;
    f32[out_2 + i + 1] = value2;
    f32[out_2 + i + 2] = value3;
    f32[out_2 + i + 3] = value4;
  }
}

/** source.model:6  loss = mse(prediction, y) */
function contract_forward(x: number, out: number): void {
  let sum = 0;
  for (let i = 0; i < 16; i++) {
    const x_value = f32[x + i];
    sum += x_value * x_value;
  }
  f32[out] = sum * 0.0625;
}

/** source.model:5  prediction = x |> linear(1) */
function linear_backward(gradient: number, x: number, out: number): void {
  for (let i = 0; i < 3; i += 3) {
    let sum = 0;
    let sum2 = 0;
    let sum3 = 0;
    const x_row = x + i;
    const x_row2 = x + i + 1;
    const x_row3 = x + i + 2;
    for (let j = 0; j < 16; j++) {
      const gradient_value = f32[gradient + j];
      sum += gradient_value * f32[x_row + j * 3];
      sum2 += gradient_value * f32[x_row2 + j * 3];
      sum3 += gradient_value * f32[x_row3 + j * 3];
    }
    f32[out + i] = sum;
    f32[out + i + 1] = sum2;
    f32[out + i + 2] = sum3;
  }
}

/** source.model:5  prediction = x |> linear(1) */
function linear_backward_2(gradient: number, out: number): void {
  let sum = 0;
  for (let i = 0; i < 16; i++) {
    sum += f32[gradient + i];
  }
  f32[out] = sum;
}

/** source.model:18  optimizer sgd(lr: 0.1) */
function update(parameters: number, scalar: number, gradient: number, out: number): void {
  const scalar_value = f32[scalar];
  for (let i = 0; i < 4; i++) {
    f32[out + i] = f32[parameters + i] - scalar_value * f32[gradient + i];
  }
}

/** Written by the compiler: nothing in the model names it. */
function update_2(gradients: number, out: number): void {
  let sum = 0;
  for (let i = 0; i < 4; i++) {
    const gradients_value = f32[gradients + i];
    sum += gradients_value * gradients_value;
  }
  f32[out] = Math.sqrt(sum);
}

/**
 * source.model:5  prediction = x |> linear(1)
 * source.model:6  loss = mse(prediction, y)
 */
function linear_forward_2(x: number, weight: number, bias: number, y: number, out: number): void {
  const bias_value = f32[bias];
  for (let i = 0; i < 16; i += 4) {
    let sum = 0;
    let sum2 = 0;
    let sum3 = 0;
    let sum4 = 0;
    const x_row = x + i * 3;
    const x_row2 = x + i * 3 + 3;
    const x_row3 = x + i * 3 + 6;
    const x_row4 = x + i * 3 + 9;
    for (let j = 0; j < 3; j++) {
      const weight_value = f32[weight + j];
      sum += f32[x_row + j] * weight_value;
      sum2 += f32[x_row2 + j] * weight_value;
      sum3 += f32[x_row3 + j] * weight_value;
      sum4 += f32[x_row4 + j] * weight_value;
    }
    f32[out + i] = sum + bias_value - f32[y + i];
    f32[out + i + 1] = sum2 + bias_value - f32[y + i + 1];
    f32[out + i + 2] = sum3 + bias_value - f32[y + i + 2];
    f32[out + i + 3] = sum4 + bias_value - f32[y + i + 3];
  }
}

/** source.model:5  prediction = x |> linear(1) */
function linear_forward_3(x: number, weight: number, bias: number, out: number): void {
  const bias_value = f32[bias];
  for (let i = 0; i < 16; i += 4) {
    let sum = 0;
    let sum2 = 0;
    let sum3 = 0;
    let sum4 = 0;
    const x_row = x + i * 3;
    const x_row2 = x + i * 3 + 3;
    const x_row3 = x + i * 3 + 6;
    const x_row4 = x + i * 3 + 9;
    for (let j = 0; j < 3; j++) {
      const weight_value = f32[weight + j];
      sum += f32[x_row + j] * weight_value;
      sum2 += f32[x_row2 + j] * weight_value;
      sum3 += f32[x_row3 + j] * weight_value;
      sum4 += f32[x_row4 + j] * weight_value;
    }
    f32[out + i] = sum + bias_value;
    f32[out + i + 1] = sum2 + bias_value;
    f32[out + i + 2] = sum3 + bias_value;
    f32[out + i + 3] = sum4 + bias_value;
  }
}

/**
 * source.model:5  prediction = x |> linear(1)
 * source.model:6  loss = mse(prediction, y)
 */
function linear_forward_4(x: number, weight: number, bias: number, y: number, out: number): void {
  let sum = 0;
  for (let i = 0; i < 3; i++) {
    sum += f32[x + i] * f32[weight + i];
  }
  const sub_value = sum + f32[bias] - f32[y];
  f32[out] = sub_value * sub_value;
}

/** source.model:5  prediction = x |> linear(1) */
function linear_forward_5(x: number, weight: number, bias: number, out: number): void {
  let sum = 0;
  for (let i = 0; i < 3; i++) {
    sum += f32[x + i] * f32[weight + i];
  }
  f32[out] = sum + f32[bias];
}

// ── Entries: what is called in which order ──────────────────────────────────────────────────────────────────────────────

function initialiseEntry(): void {
  initialise(at_seed, at_parameters);
  initialise_2(at_seed, at_parameters + 3);
}

function trainEntry(): void {
  scalars(at_learning_rate_factor, at_mul_update);
  linear_forward(at_x, at_parameters, at_parameters + 3, at_y, at_sub, at_add_backward);
  contract_forward(at_sub, at_mul);
  linear_backward(at_add_backward, at_x, at_gradients);
  linear_backward_2(at_add_backward, at_gradients + 3);
  update(at_parameters, at_mul_update, at_gradients, at_parameters);
}

function gradientNormEntry(): void {
  update_2(at_gradients, at_sqrt_update);
}

function evaluateEntry(): void {
  linear_forward_2(at_x, at_parameters, at_parameters + 3, at_y, at_sub_2);
  contract_forward(at_sub_2, at_mul_2);
}

function predictEntry(): void {
  linear_forward_3(at_x, at_parameters, at_parameters + 3, at_linear_add);
}

function evaluateRowEntry(): void {
  linear_forward_4(at_x, at_parameters, at_parameters + 3, at_y, at_contract);
}

function predictRowEntry(): void {
  linear_forward_5(at_x, at_parameters, at_parameters + 3, at_linear_add_2);
}

// ── The program ─────────────────────────────────────────────────────────────────────────────────────────────────────────
const program: CompiledProgram = {
  name: "linearregression",
  source: '0599bdd8c7a20340bca5f60be9225f8d',
  memory,
  device: null,
  threads: null,
  batched: true,
  inputs: [
    { name: "x", dtype: 'f32', shape: [16, 3], offset: 128, below: null },
    { name: "y", dtype: 'f32', shape: [16, 1], offset: 320, below: null },
  ],
  parameters: [
    { name: "linear.weight", dtype: 'f32', shape: [1, 3], offset: 0 },
    { name: "linear.bias", dtype: 'f32', shape: [1], offset: 12 },
  ],
  states: [],
  scalars: { seed: 384, step: 768, steps: 832, learningRateFactor: 448 },
  stages: [{
    name: "LinearRegression",
    model: "LinearRegression",
    batched: true,
    inputs: ["x", "y"],
    gradients: [
      { name: "linear.weight", dtype: 'f32', shape: [1, 3], offset: 64 },
      { name: "linear.bias", dtype: 'f32', shape: [1], offset: 76 },
    ],
    initialise: initialiseEntry,
    accumulate: null,
    train: {
      run: trainEntry,
      number: 1,
      inputs: ["x", "y"],
      results: [
        { name: "loss", dtype: 'f32', shape: [], offset: 704 },
        { name: "lr", dtype: 'f32', shape: [], offset: 640 },
      ],
      rows: 16,
    },
    gradientNorm: {
      run: gradientNormEntry,
      number: 2,
      inputs: [],
      results: [
        { name: "grad_norm", dtype: 'f32', shape: [], offset: 512 },
      ],
      rows: 16,
    },
    evaluate: {
      run: evaluateEntry,
      number: 3,
      inputs: ["x", "y"],
      results: [
        { name: "loss", dtype: 'f32', shape: [], offset: 576 },
      ],
      rows: 16,
    },
    evaluateRow: {
      run: evaluateRowEntry,
      number: 5,
      inputs: ["x", "y"],
      results: [
        { name: "loss", dtype: 'f32', shape: [], offset: 512 },
      ],
      rows: 1,
    },
    predict: {
      run: predictEntry,
      number: 4,
      inputs: ["x"],
      results: [
        { name: "prediction", dtype: 'f32', shape: [16, 1], offset: 512 },
      ],
      rows: 16,
    },
    predictRow: {
      run: predictRowEntry,
      number: 6,
      inputs: ["x"],
      results: [
        { name: "prediction", dtype: 'f32', shape: [1, 1], offset: 512 },
      ],
      rows: 1,
    },
    predictOnce: null,
    generator: null,
    settings: {"epochs":10,"steps":null,"seed":0,"clipNorm":null,"accumulate":1,"ema":null,"precision":"f32","memory":null,"evaluateEvery":null,"checkpointEvery":null,"checkpointKeep":1,"earlyStop":null},
    flopsPerStep: 346,
  }],
  data: {"sources":[{"name":"train","separator":",","header":true,"stride":null,"format":"csv","fields":[{"input":"x","dtype":"f32","shape":[3],"below":null,"file":"points.csv","columns":["a","b","c"],"categorical":false,"picture":false,"tokens":null},{"input":"y","dtype":"f32","shape":[1],"below":null,"file":"points.csv","columns":["y"],"categorical":false,"picture":false,"tokens":null}]}],"shuffle":true,"split":0.8,"holdOut":null,"seed":0},
  readers: { csv: csvColumns },
  synthetic: null,
  tokenizers: [],
  pictures: null,
};

// ── Interface ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Any number of rows at once, one after the other in each array; `x`: 3 a row. */
export async function predict(rows: { x: Float32Array }): Promise<{ prediction: Float32Array }> {
  return await predictRows(program, program.stages.at(-1)!, rows) as { prediction: Float32Array };
}

/** Trains as the `train` block says, from new parameters; options replace its settings. */
export async function train(options: TrainOptions<{ x: Float32Array; y: Float32Array }> = {}): Promise<TrainReport> {
  return trainModel(program, options);
}

/** Loss and metrics over the given rows. */
export async function evaluate(rows: { x: Float32Array; y: Float32Array }): Promise<Results> {
  return evaluateRows(program, program.stages.at(-1)!, rows);
}

/** Takes the weights out of the bytes of a safetensors file. */
export async function load(weights: Uint8Array): Promise<void> {
  await loadBytes(program, weights);
}

/** The weights as the bytes of a safetensors file. */
export async function save(): Promise<Uint8Array> {
  return savedBytes(program);
}

