/**
 * Embedding: Words looked up in a table and averaged, classified with the table of classes' own.
 *
 * Written by nabla from source.model (sha256 d4e47b897913d074…). Start it to train: `node <this file>`, `--help` for more.
 * Batch 3; 1,586 floating-point operations a step; 1,920 bytes of memory in all, none allocated while training.
 * 78 parameters:
 *   embedding.weight  f32[9, 6]
 *   linear.weight     f32[4, 6]
 */

import { accessSync, closeSync, constants, copyFileSync, existsSync, fstatSync, fsyncSync, openSync, readFileSync, readSync, readdirSync, realpathSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { deflateRawSync, deflateSync, gunzipSync } from 'node:zlib';

// ── Memory ──────────────────────────────────────────────────────────────────────────────────────────────────────────────
const memory = new ArrayBuffer(1920);
const f32 = new Float32Array(memory);
const i32 = new Int32Array(memory);

// Where each buffer begins, counted in its own elements. Buffers that are never needed at once share places.
const at_parameters = 0; // parameter
const at_gradients = 80; // state
const at_optimizer_total = 160; // state
const at_word = 240; // input
const at_label = 256; // input
const at_seed = 272; // scalar
const at_learning_rate_factor = 288; // scalar
const at_mul_update = 432;
const at_contract_backward = 368;
const at_mul = 304;
const at_linear_contract = 336;
const at_max = 384;
const at_exp = 352;
const at_contract = 400;
const at_contract_2 = 416;
const at_add_backward = 336;
const at_mul_2 = 352;
const at_mul_backward = 304;
const at_sqrt_update = 304;
const at_contract_3 = 304;
const at_linear_contract_2 = 336;
const at_contract_4 = 304;
const at_mul_3 = 320;
const at_contract_5 = 304;
const at_linear_contract_3 = 336;
const at_argmax = 304;
const at_contract_6 = 304;
const at_linear_contract_4 = 320;
const at_contract_7 = 304;
const at_contract_8 = 304;
const at_linear_contract_5 = 320;
const at_argmax_2 = 304;

// ── Kernels ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** source.model:5  h = mean(word |> embedding(9, 6), axis: 1) */
function initialise(seed: number, out: number): void {
  const seed_value = i32[seed];
  for (let i = 0; i < 9; i++) {
    const out_row = out + i * 6;
    for (let j = 0; j < 6; j++) {
      const position = i * 6 + j;
      f32[out_row + j] = Math.sqrt(-2 * Math.log(1 - random(seed_value, -1826457308, 0, position))) * Math.cos(6.283185307179586 * random(seed_value, -237026340, 0, position));
    }
  }
}

/** source.model:6  logits = h |> linear(4, bias: false) */
function initialise_2(seed: number, out: number): void {
  const seed_value = i32[seed];
  for (let i = 0; i < 4; i++) {
    const out_row = out + i * 6;
    for (let j = 0; j < 6; j++) {
      f32[out_row + j] = -0.4082482904638631 + 0.8164965809277261 * random(seed_value, 1213060306, 0, i * 6 + j);
    }
  }
}

/** source.model:13  optimizer adagrad(lr: 0.1) */
function initialise_3(out: number): void {
  for (let i = 0; i < 78; i++) {
    f32[out + i] = 0;
  }
}

/** source.model:13  optimizer adagrad(lr: 0.1) */
function scalars(learning_rate_factor: number, out: number): void {
  f32[out] = 0.1 * f32[learning_rate_factor];
}

/** source.model:7  loss = cross_entropy(logits, label) */
function contract_backward(label: number, out: number): void {
  for (let i = 0; i < 3; i++) {
    let sum = 0;
    const label_value = i32[label + i];
    for (let j = 0; j < 4; j++) {
      sum += -(-0.3333333333333333 * (label_value === j ? 1 : 0));
    }
    f32[out + i] = sum;
  }
}

/** source.model:5  h = mean(word |> embedding(9, 6), axis: 1) */
function contract_forward(word: number, weight: number, out: number): void {
  for (let i = 0; i < 3; i += 3) {
    const word_row = word + i * 5;
    const word_row2 = word + i * 5 + 5;
    const word_row3 = word + i * 5 + 10;
    const out_row = out + i * 6;
    const out_row2 = out + i * 6 + 6;
    const out_row3 = out + i * 6 + 12;
    for (let j = 0; j < 6; j += 3) {
      let sum = 0;
      let sum2 = 0;
      let sum3 = 0;
      let sum4 = 0;
      let sum5 = 0;
      let sum6 = 0;
      let sum7 = 0;
      let sum8 = 0;
      let sum9 = 0;
      const weight_row = weight + j;
      const weight_row2 = weight + j + 1;
      const weight_row3 = weight + j + 2;
      for (let k = 0; k < 5; k++) {
        const word_value = i32[word_row + k];
        const word_value2 = i32[word_row2 + k];
        const word_value3 = i32[word_row3 + k];
        sum += f32[weight_row + word_value * 6];
        sum2 += f32[weight_row2 + word_value * 6];
        sum3 += f32[weight_row3 + word_value * 6];
        sum4 += f32[weight_row + word_value2 * 6];
        sum5 += f32[weight_row2 + word_value2 * 6];
        sum6 += f32[weight_row3 + word_value2 * 6];
        sum7 += f32[weight_row + word_value3 * 6];
        sum8 += f32[weight_row2 + word_value3 * 6];
        sum9 += f32[weight_row3 + word_value3 * 6];
      }
      f32[out_row + j] = sum * 0.2;
      f32[out_row + j + 1] = sum2 * 0.2;
      f32[out_row + j + 2] = sum3 * 0.2;
      f32[out_row2 + j] = sum4 * 0.2;
      f32[out_row2 + j + 1] = sum5 * 0.2;
      f32[out_row2 + j + 2] = sum6 * 0.2;
      f32[out_row3 + j] = sum7 * 0.2;
      f32[out_row3 + j + 1] = sum8 * 0.2;
      f32[out_row3 + j + 2] = sum9 * 0.2;
    }
  }
}

/** source.model:6  logits = h |> linear(4, bias: false) */
function linear_forward(x: number, weight: number, out: number): void {
  for (let i = 0; i < 3; i += 3) {
    const x_row = x + i * 6;
    const x_row2 = x + i * 6 + 6;
    const x_row3 = x + i * 6 + 12;
    const out_row = out + i * 4;
    const out_row2 = out + i * 4 + 4;
    const out_row3 = out + i * 4 + 8;
    for (let j = 0; j < 4; j += 4) {
      let sum = 0;
      let sum2 = 0;
      let sum3 = 0;
      let sum4 = 0;
      let sum5 = 0;
      let sum6 = 0;
      let sum7 = 0;
      let sum8 = 0;
      let sum9 = 0;
      let sum10 = 0;
      let sum11 = 0;
      let sum12 = 0;
      const weight_row = weight + j * 6;
      const weight_row2 = weight + j * 6 + 6;
      const weight_row3 = weight + j * 6 + 12;
      const weight_row4 = weight + j * 6 + 18;
      for (let k = 0; k < 6; k++) {
        const x_value = f32[x_row + k];
        const weight_value = f32[weight_row + k];
        const weight_value2 = f32[weight_row2 + k];
        const weight_value3 = f32[weight_row3 + k];
        const weight_value4 = f32[weight_row4 + k];
        const x_value2 = f32[x_row2 + k];
        const x_value3 = f32[x_row3 + k];
        sum += x_value * weight_value;
        sum2 += x_value * weight_value2;
        sum3 += x_value * weight_value3;
        sum4 += x_value * weight_value4;
        sum5 += x_value2 * weight_value;
        sum6 += x_value2 * weight_value2;
        sum7 += x_value2 * weight_value3;
        sum8 += x_value2 * weight_value4;
        sum9 += x_value3 * weight_value;
        sum10 += x_value3 * weight_value2;
        sum11 += x_value3 * weight_value3;
        sum12 += x_value3 * weight_value4;
      }
      f32[out_row + j] = sum;
      f32[out_row + j + 1] = sum2;
      f32[out_row + j + 2] = sum3;
      f32[out_row + j + 3] = sum4;
      f32[out_row2 + j] = sum5;
      f32[out_row2 + j + 1] = sum6;
      f32[out_row2 + j + 2] = sum7;
      f32[out_row2 + j + 3] = sum8;
      f32[out_row3 + j] = sum9;
      f32[out_row3 + j + 1] = sum10;
      f32[out_row3 + j + 2] = sum11;
      f32[out_row3 + j + 3] = sum12;
    }
  }
}

/** source.model:7  loss = cross_entropy(logits, label) */
function max_forward(x: number, out: number): void {
  for (let i = 0; i < 3; i++) {
    let largest = -Infinity;
    const x_row = x + i * 4;
    for (let j = 0; j < 4; j++) {
      largest = Math.max(largest, f32[x_row + j]);
    }
    f32[out + i] = largest;
  }
}

/** source.model:7  loss = cross_entropy(logits, label) */
function exp_forward(x: number, x_2: number, out: number): void {
  for (let i = 0; i < 3; i++) {
    const x_row = x + i * 4;
    const x_2_value = f32[x_2 + i];
    const out_row = out + i * 4;
    for (let j = 0; j < 4; j++) {
      f32[out_row + j] = Math.exp(f32[x_row + j] - x_2_value);
    }
  }
}

/** source.model:7  loss = cross_entropy(logits, label) */
function contract_forward_2(x: number, label: number, x_2: number, x_3: number, out: number, out_2: number): void {
  for (let i = 0; i < 3; i++) {
    let sum = 0;
    const x_row = x + i * 4;
    for (let j = 0; j < 4; j++) {
      sum += f32[x_row + j];
    }
    f32[out + i] = sum;
    let sum2 = 0;
    const label_value = i32[label + i];
    const x_2_row = x_2 + i * 4;
    const x_3_value = f32[x_3 + i];
    const log_value = Math.log(sum);
    for (let j = 0; j < 4; j++) {
      sum2 += (label_value === j ? 1 : 0) * (f32[x_2_row + j] - x_3_value - log_value);
    }
    f32[out_2 + i] = sum2;
  }
}

/** source.model:7  loss = cross_entropy(logits, label) */
function add_backward(label: number, gradient: number, x: number, x_2: number, out: number): void {
  for (let i = 0; i < 3; i++) {
    const label_value = i32[label + i];
    const div_value = f32[gradient + i] / f32[x + i];
    const x_2_row = x_2 + i * 4;
    const out_row = out + i * 4;
    for (let j = 0; j < 4; j++) {
      f32[out_row + j] = -0.3333333333333333 * (label_value === j ? 1 : 0) + div_value * f32[x_2_row + j];
    }
  }
}

/** source.model:6  logits = h |> linear(4, bias: false) */
function linear_backward(gradient: number, x: number, out: number): void {
  for (let i = 0; i < 4; i += 4) {
    const gradient_row = gradient + i;
    const gradient_row2 = gradient + i + 1;
    const gradient_row3 = gradient + i + 2;
    const gradient_row4 = gradient + i + 3;
    const out_row = out + i * 6;
    const out_row2 = out + i * 6 + 6;
    const out_row3 = out + i * 6 + 12;
    const out_row4 = out + i * 6 + 18;
    for (let j = 0; j < 6; j += 3) {
      let sum = 0;
      let sum2 = 0;
      let sum3 = 0;
      let sum4 = 0;
      let sum5 = 0;
      let sum6 = 0;
      let sum7 = 0;
      let sum8 = 0;
      let sum9 = 0;
      let sum10 = 0;
      let sum11 = 0;
      let sum12 = 0;
      const x_row = x + j;
      const x_row2 = x + j + 1;
      const x_row3 = x + j + 2;
      for (let k = 0; k < 3; k++) {
        const gradient_value = f32[gradient_row + k * 4];
        const x_value = f32[x_row + k * 6];
        const x_value2 = f32[x_row2 + k * 6];
        const x_value3 = f32[x_row3 + k * 6];
        const gradient_value2 = f32[gradient_row2 + k * 4];
        const gradient_value3 = f32[gradient_row3 + k * 4];
        const gradient_value4 = f32[gradient_row4 + k * 4];
        sum += gradient_value * x_value;
        sum2 += gradient_value * x_value2;
        sum3 += gradient_value * x_value3;
        sum4 += gradient_value2 * x_value;
        sum5 += gradient_value2 * x_value2;
        sum6 += gradient_value2 * x_value3;
        sum7 += gradient_value3 * x_value;
        sum8 += gradient_value3 * x_value2;
        sum9 += gradient_value3 * x_value3;
        sum10 += gradient_value4 * x_value;
        sum11 += gradient_value4 * x_value2;
        sum12 += gradient_value4 * x_value3;
      }
      f32[out_row + j] = sum;
      f32[out_row + j + 1] = sum2;
      f32[out_row + j + 2] = sum3;
      f32[out_row2 + j] = sum4;
      f32[out_row2 + j + 1] = sum5;
      f32[out_row2 + j + 2] = sum6;
      f32[out_row3 + j] = sum7;
      f32[out_row3 + j + 1] = sum8;
      f32[out_row3 + j + 2] = sum9;
      f32[out_row4 + j] = sum10;
      f32[out_row4 + j + 1] = sum11;
      f32[out_row4 + j + 2] = sum12;
    }
  }
}

/** source.model:7  loss = cross_entropy(logits, label) */
function contract_forward_3(x: number, out: number): void {
  let sum = 0;
  for (let i = 0; i < 3; i++) {
    sum += -f32[x + i];
  }
  f32[out] = sum * 0.3333333333333333;
}

/**
 * source.model:6  logits = h |> linear(4, bias: false)
 * source.model:5  h = mean(word |> embedding(9, 6), axis: 1)
 */
function linear_backward_2(gradient: number, weight: number, out: number): void {
  for (let i = 0; i < 3; i += 3) {
    const gradient_row = gradient + i * 4;
    const gradient_row2 = gradient + i * 4 + 4;
    const gradient_row3 = gradient + i * 4 + 8;
    const out_row = out + i * 6;
    const out_row2 = out + i * 6 + 6;
    const out_row3 = out + i * 6 + 12;
    for (let j = 0; j < 6; j += 3) {
      let sum = 0;
      let sum2 = 0;
      let sum3 = 0;
      let sum4 = 0;
      let sum5 = 0;
      let sum6 = 0;
      let sum7 = 0;
      let sum8 = 0;
      let sum9 = 0;
      const weight_row = weight + j;
      const weight_row2 = weight + j + 1;
      const weight_row3 = weight + j + 2;
      for (let k = 0; k < 4; k++) {
        const gradient_value = f32[gradient_row + k];
        const weight_value = f32[weight_row + k * 6];
        const weight_value2 = f32[weight_row2 + k * 6];
        const weight_value3 = f32[weight_row3 + k * 6];
        const gradient_value2 = f32[gradient_row2 + k];
        const gradient_value3 = f32[gradient_row3 + k];
        sum += gradient_value * weight_value;
        sum2 += gradient_value * weight_value2;
        sum3 += gradient_value * weight_value3;
        sum4 += gradient_value2 * weight_value;
        sum5 += gradient_value2 * weight_value2;
        sum6 += gradient_value2 * weight_value3;
        sum7 += gradient_value3 * weight_value;
        sum8 += gradient_value3 * weight_value2;
        sum9 += gradient_value3 * weight_value3;
      }
      f32[out_row + j] = sum * 0.2;
      f32[out_row + j + 1] = sum2 * 0.2;
      f32[out_row + j + 2] = sum3 * 0.2;
      f32[out_row2 + j] = sum4 * 0.2;
      f32[out_row2 + j + 1] = sum5 * 0.2;
      f32[out_row2 + j + 2] = sum6 * 0.2;
      f32[out_row3 + j] = sum7 * 0.2;
      f32[out_row3 + j + 1] = sum8 * 0.2;
      f32[out_row3 + j + 2] = sum9 * 0.2;
    }
  }
}

/** source.model:5  h = mean(word |> embedding(9, 6), axis: 1) */
function embedding_backward(gradient: number, word: number, out: number): void {
  f32.fill(0, out, out + 54);
  for (let i = 0; i < 3; i++) {
    const gradient_row = gradient + i * 6;
    const word_row = word + i * 5;
    for (let j = 0; j < 5; j++) {
      const word_value = i32[word_row + j];
      for (let k = 0; k < 6; k++) {
        f32[out + k + word_value * 6] += f32[gradient_row + k];
      }
    }
  }
}

/** source.model:13  optimizer adagrad(lr: 0.1) */
function update(optimizer_total: number, gradient: number, parameters: number, scalar: number, out: number, out_2: number): void {
  const scalar_value = f32[scalar];
  for (let i = 0; i < 78; i++) {
    const gradient_value = f32[gradient + i];
    const add_value = f32[optimizer_total + i] + gradient_value * gradient_value;
    const value = f32[parameters + i] - scalar_value * gradient_value / (Math.sqrt(add_value) + 1e-10);
    f32[out + i] = add_value;
    f32[out_2 + i] = value;
  }
}

/** Written by the compiler: nothing in the model names it. */
function update_2(gradients: number, out: number): void {
  let sum = 0;
  for (let i = 0; i < 78; i++) {
    const gradients_value = f32[gradients + i];
    sum += gradients_value * gradients_value;
  }
  f32[out] = Math.sqrt(sum);
}

/** source.model:5  h = mean(word |> embedding(9, 6), axis: 1) */
function contract_forward_4(word: number, weight: number, out: number): void {
  for (let i = 0; i < 3; i += 3) {
    const word_row = word + i * 5;
    const word_row2 = word + i * 5 + 5;
    const word_row3 = word + i * 5 + 10;
    const out_row = out + i * 6;
    const out_row2 = out + i * 6 + 6;
    const out_row3 = out + i * 6 + 12;
    for (let j = 0; j < 6; j += 3) {
      let sum = 0;
      let sum2 = 0;
      let sum3 = 0;
      let sum4 = 0;
      let sum5 = 0;
      let sum6 = 0;
      let sum7 = 0;
      let sum8 = 0;
      let sum9 = 0;
      const weight_row = weight + j;
      const weight_row2 = weight + j + 1;
      const weight_row3 = weight + j + 2;
      for (let k = 0; k < 5; k++) {
        const word_value = i32[word_row + k];
        const word_value2 = i32[word_row2 + k];
        const word_value3 = i32[word_row3 + k];
        sum += f32[weight_row + word_value * 6];
        sum2 += f32[weight_row2 + word_value * 6];
        sum3 += f32[weight_row3 + word_value * 6];
        sum4 += f32[weight_row + word_value2 * 6];
        sum5 += f32[weight_row2 + word_value2 * 6];
        sum6 += f32[weight_row3 + word_value2 * 6];
        sum7 += f32[weight_row + word_value3 * 6];
        sum8 += f32[weight_row2 + word_value3 * 6];
        sum9 += f32[weight_row3 + word_value3 * 6];
      }
      f32[out_row + j] = sum;
      f32[out_row + j + 1] = sum2;
      f32[out_row + j + 2] = sum3;
      f32[out_row2 + j] = sum4;
      f32[out_row2 + j + 1] = sum5;
      f32[out_row2 + j + 2] = sum6;
      f32[out_row3 + j] = sum7;
      f32[out_row3 + j + 1] = sum8;
      f32[out_row3 + j + 2] = sum9;
    }
  }
}

/** source.model:6  logits = h |> linear(4, bias: false) */
function linear_forward_2(x: number, weight: number, out: number): void {
  for (let i = 0; i < 3; i += 3) {
    const x_row = x + i * 6;
    const x_row2 = x + i * 6 + 6;
    const x_row3 = x + i * 6 + 12;
    const out_row = out + i * 4;
    const out_row2 = out + i * 4 + 4;
    const out_row3 = out + i * 4 + 8;
    for (let j = 0; j < 4; j += 4) {
      let sum = 0;
      let sum2 = 0;
      let sum3 = 0;
      let sum4 = 0;
      let sum5 = 0;
      let sum6 = 0;
      let sum7 = 0;
      let sum8 = 0;
      let sum9 = 0;
      let sum10 = 0;
      let sum11 = 0;
      let sum12 = 0;
      const weight_row = weight + j * 6;
      const weight_row2 = weight + j * 6 + 6;
      const weight_row3 = weight + j * 6 + 12;
      const weight_row4 = weight + j * 6 + 18;
      for (let k = 0; k < 6; k++) {
        const mul_value = f32[x_row + k] * 0.2;
        const weight_value = f32[weight_row + k];
        const weight_value2 = f32[weight_row2 + k];
        const weight_value3 = f32[weight_row3 + k];
        const weight_value4 = f32[weight_row4 + k];
        const mul_value2 = f32[x_row2 + k] * 0.2;
        const mul_value3 = f32[x_row3 + k] * 0.2;
        sum += mul_value * weight_value;
        sum2 += mul_value * weight_value2;
        sum3 += mul_value * weight_value3;
        sum4 += mul_value * weight_value4;
        sum5 += mul_value2 * weight_value;
        sum6 += mul_value2 * weight_value2;
        sum7 += mul_value2 * weight_value3;
        sum8 += mul_value2 * weight_value4;
        sum9 += mul_value3 * weight_value;
        sum10 += mul_value3 * weight_value2;
        sum11 += mul_value3 * weight_value3;
        sum12 += mul_value3 * weight_value4;
      }
      f32[out_row + j] = sum;
      f32[out_row + j + 1] = sum2;
      f32[out_row + j + 2] = sum3;
      f32[out_row + j + 3] = sum4;
      f32[out_row2 + j] = sum5;
      f32[out_row2 + j + 1] = sum6;
      f32[out_row2 + j + 2] = sum7;
      f32[out_row2 + j + 3] = sum8;
      f32[out_row3 + j] = sum9;
      f32[out_row3 + j + 1] = sum10;
      f32[out_row3 + j + 2] = sum11;
      f32[out_row3 + j + 3] = sum12;
    }
  }
}

/** source.model:7  loss = cross_entropy(logits, label) */
function max_forward_2(x: number, label: number, out: number): void {
  for (let i = 0; i < 3; i++) {
    let largest = -Infinity;
    const x_row = x + i * 4;
    for (let j = 0; j < 4; j++) {
      largest = Math.max(largest, f32[x_row + j]);
    }
    let sum = 0;
    for (let j = 0; j < 4; j++) {
      sum += Math.exp(f32[x_row + j] - largest);
    }
    let sum2 = 0;
    const label_value = i32[label + i];
    const log_value = Math.log(sum);
    for (let j = 0; j < 4; j++) {
      sum2 += (label_value === j ? 1 : 0) * (f32[x_row + j] - largest - log_value);
    }
    f32[out + i] = sum2;
  }
}

/** source.model:8  output class = argmax(logits) */
function argmax_forward(x: number, out: number): void {
  for (let i = 0; i < 3; i++) {
    let position = 0;
    let best = -Infinity;
    const x_row = x + i * 4;
    for (let j = 0; j < 4; j++) {
      const value = f32[x_row + j];
      if (value > best) {
        best = value;
        position = j;
      }
    }
    i32[out + i] = position;
  }
}

/** source.model:5  h = mean(word |> embedding(9, 6), axis: 1) */
function contract_forward_5(word: number, weight: number, out: number): void {
  for (let i = 0; i < 6; i += 3) {
    let sum = 0;
    let sum2 = 0;
    let sum3 = 0;
    const weight_row = weight + i;
    const weight_row2 = weight + i + 1;
    const weight_row3 = weight + i + 2;
    for (let j = 0; j < 5; j++) {
      const word_value = i32[word + j];
      sum += f32[weight_row + word_value * 6];
      sum2 += f32[weight_row2 + word_value * 6];
      sum3 += f32[weight_row3 + word_value * 6];
    }
    f32[out + i] = sum;
    f32[out + i + 1] = sum2;
    f32[out + i + 2] = sum3;
  }
}

/** source.model:6  logits = h |> linear(4, bias: false) */
function linear_forward_3(x: number, weight: number, out: number): void {
  for (let i = 0; i < 4; i += 4) {
    let sum = 0;
    let sum2 = 0;
    let sum3 = 0;
    let sum4 = 0;
    const weight_row = weight + i * 6;
    const weight_row2 = weight + i * 6 + 6;
    const weight_row3 = weight + i * 6 + 12;
    const weight_row4 = weight + i * 6 + 18;
    for (let j = 0; j < 6; j++) {
      const mul_value = f32[x + j] * 0.2;
      sum += mul_value * f32[weight_row + j];
      sum2 += mul_value * f32[weight_row2 + j];
      sum3 += mul_value * f32[weight_row3 + j];
      sum4 += mul_value * f32[weight_row4 + j];
    }
    f32[out + i] = sum;
    f32[out + i + 1] = sum2;
    f32[out + i + 2] = sum3;
    f32[out + i + 3] = sum4;
  }
}

/** source.model:7  loss = cross_entropy(logits, label) */
function max_forward_3(x: number, label: number, out: number): void {
  let largest = -Infinity;
  for (let i = 0; i < 4; i++) {
    largest = Math.max(largest, f32[x + i]);
  }
  let sum = 0;
  for (let i = 0; i < 4; i++) {
    sum += Math.exp(f32[x + i] - largest);
  }
  let sum2 = 0;
  const label_value = i32[label];
  const log_value = Math.log(sum);
  for (let i = 0; i < 4; i++) {
    sum2 += (label_value === i ? 1 : 0) * (f32[x + i] - largest - log_value);
  }
  f32[out] = -sum2;
}

/** source.model:8  output class = argmax(logits) */
function argmax_forward_2(x: number, out: number): void {
  let position = 0;
  let best = -Infinity;
  for (let i = 0; i < 4; i++) {
    const value = f32[x + i];
    if (value > best) {
      best = value;
      position = i;
    }
  }
  i32[out] = position;
}

// ── Entries: what is called in which order ──────────────────────────────────────────────────────────────────────────────

function initialiseEntry(): void {
  initialise(at_seed, at_parameters);
  initialise_2(at_seed, at_parameters + 54);
  initialise_3(at_optimizer_total);
}

function trainEntry(): void {
  scalars(at_learning_rate_factor, at_mul_update);
  contract_backward(at_label, at_contract_backward);
  contract_forward(at_word, at_parameters, at_mul);
  linear_forward(at_mul, at_parameters + 54, at_linear_contract);
  max_forward(at_linear_contract, at_max);
  exp_forward(at_linear_contract, at_max, at_exp);
  contract_forward_2(at_exp, at_label, at_linear_contract, at_max, at_contract, at_contract_2);
  add_backward(at_label, at_contract_backward, at_contract, at_exp, at_add_backward);
  linear_backward(at_add_backward, at_mul, at_gradients + 54);
  contract_forward_3(at_contract_2, at_mul_2);
  linear_backward_2(at_add_backward, at_parameters + 54, at_mul_backward);
  embedding_backward(at_mul_backward, at_word, at_gradients);
  update(at_optimizer_total, at_gradients, at_parameters, at_mul_update, at_optimizer_total, at_parameters);
}

function gradientNormEntry(): void {
  update_2(at_gradients, at_sqrt_update);
}

function evaluateEntry(): void {
  contract_forward_4(at_word, at_parameters, at_contract_3);
  linear_forward_2(at_contract_3, at_parameters + 54, at_linear_contract_2);
  max_forward_2(at_linear_contract_2, at_label, at_contract_4);
  contract_forward_3(at_contract_4, at_mul_3);
}

function predictEntry(): void {
  contract_forward_4(at_word, at_parameters, at_contract_5);
  linear_forward_2(at_contract_5, at_parameters + 54, at_linear_contract_3);
  argmax_forward(at_linear_contract_3, at_argmax);
}

function evaluateRowEntry(): void {
  contract_forward_5(at_word, at_parameters, at_contract_6);
  linear_forward_3(at_contract_6, at_parameters + 54, at_linear_contract_4);
  max_forward_3(at_linear_contract_4, at_label, at_contract_7);
}

function predictRowEntry(): void {
  contract_forward_5(at_word, at_parameters, at_contract_8);
  linear_forward_3(at_contract_8, at_parameters + 54, at_linear_contract_5);
  argmax_forward_2(at_linear_contract_5, at_argmax_2);
}

// ── The program ─────────────────────────────────────────────────────────────────────────────────────────────────────────
const program: CompiledProgram = {
  name: "embedding",
  source: '537af0d9cfefb51b91763d84d5996ab8',
  memory,
  device: null,
  threads: null,
  batched: true,
  inputs: [
    { name: "word", dtype: 'i32', shape: [3, 5], offset: 960, below: 9 },
    { name: "label", dtype: 'i32', shape: [3], offset: 1024, below: 4 },
  ],
  parameters: [
    { name: "embedding.weight", dtype: 'f32', shape: [9, 6], offset: 0 },
    { name: "linear.weight", dtype: 'f32', shape: [4, 6], offset: 216 },
  ],
  states: [
    { name: "optimizer.total.embedding.weight", dtype: 'f32', shape: [9, 6], offset: 640 },
    { name: "optimizer.total.linear.weight", dtype: 'f32', shape: [4, 6], offset: 856 },
  ],
  scalars: { seed: 1088, step: 1792, steps: 1856, learningRateFactor: 1152 },
  stages: [{
    name: "Embedding",
    model: "Embedding",
    batched: true,
    inputs: ["word", "label"],
    gradients: [
      { name: "embedding.weight", dtype: 'f32', shape: [9, 6], offset: 320 },
      { name: "linear.weight", dtype: 'f32', shape: [4, 6], offset: 536 },
    ],
    initialise: initialiseEntry,
    accumulate: null,
    train: {
      run: trainEntry,
      number: 1,
      inputs: ["word", "label"],
      results: [
        { name: "loss", dtype: 'f32', shape: [], offset: 1408 },
        { name: "lr", dtype: 'f32', shape: [], offset: 1728 },
      ],
      rows: 3,
    },
    gradientNorm: {
      run: gradientNormEntry,
      number: 2,
      inputs: [],
      results: [
        { name: "grad_norm", dtype: 'f32', shape: [], offset: 1216 },
      ],
      rows: 3,
    },
    evaluate: {
      run: evaluateEntry,
      number: 3,
      inputs: ["word", "label"],
      results: [
        { name: "loss", dtype: 'f32', shape: [], offset: 1280 },
      ],
      rows: 3,
    },
    evaluateRow: {
      run: evaluateRowEntry,
      number: 5,
      inputs: ["word", "label"],
      results: [
        { name: "loss", dtype: 'f32', shape: [], offset: 1216 },
      ],
      rows: 1,
    },
    predict: {
      run: predictEntry,
      number: 4,
      inputs: ["word"],
      results: [
        { name: "class", dtype: 'i32', shape: [3], offset: 1216 },
      ],
      rows: 3,
    },
    predictRow: {
      run: predictRowEntry,
      number: 6,
      inputs: ["word"],
      results: [
        { name: "class", dtype: 'i32', shape: [1], offset: 1216 },
      ],
      rows: 1,
    },
    predictOnce: null,
    generator: null,
    settings: {"epochs":null,"steps":null,"seed":0,"clipNorm":null,"accumulate":1,"ema":null,"precision":"f32","memory":null,"evaluateEvery":null,"checkpointEvery":null,"checkpointKeep":1,"earlyStop":null},
    flopsPerStep: 1586,
  }],
  data: null,
  readers: {},
  synthetic: null,
  tokenizers: [],
  pictures: null,
};

// ── Interface ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Any number of rows at once, one after the other in each array; `word`: 5 a row. */
export async function predict(rows: { word: Int32Array }): Promise<{ class: Int32Array }> {
  return await predictRows(program, program.stages.at(-1)!, rows) as { class: Int32Array };
}

/** Trains as the `train` block says, from new parameters; options replace its settings. */
export async function train(options: TrainOptions<{ word: Int32Array; label: Int32Array }> = {}): Promise<TrainReport> {
  return trainModel(program, options);
}

/** Loss and metrics over the given rows. */
export async function evaluate(rows: { word: Int32Array; label: Int32Array }): Promise<Results> {
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

