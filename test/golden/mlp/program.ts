/**
 * Mlp: Two layers, softmax and cross-entropy.
 *
 * Written by nabla from source.model (sha256 1efecc8e42255b58…). Start it to train: `node <this file>`, `--help` for more.
 * Batch 8; 21,167 floating-point operations a step; 7,808 bytes of memory in all, none allocated while training.
 * 317 parameters:
 *   linear.0.weight  f32[12, 20]
 *   linear.0.bias    f32[12]
 *   linear.1.weight  f32[5, 12]
 *   linear.1.bias    f32[5]
 */

import { accessSync, closeSync, constants, copyFileSync, existsSync, fstatSync, fsyncSync, openSync, readFileSync, readSync, readdirSync, realpathSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { deflateRawSync, deflateSync, gunzipSync } from 'node:zlib';

// ── Memory ──────────────────────────────────────────────────────────────────────────────────────────────────────────────
const memory = new ArrayBuffer(7808);
const f32 = new Float32Array(memory);
const i32 = new Int32Array(memory);
const u8 = new Uint8Array(memory);

// Where each buffer begins, counted in its own elements. Buffers that are never needed at once share places.
const at_parameters = 0; // parameter
const at_gradients = 320; // state
const at_optimizer_m = 640; // state
const at_optimizer_v = 960; // state
const at_x = 5120; // input
const at_label = 1328; // input
const at_seed = 1344; // scalar
const at_step = 1360; // scalar
const at_steps = 1376; // scalar
const at_learning_rate_factor = 1392; // scalar
const at_mul_update = 1872;
const at_mul_update_2 = 1888;
const at_div_update = 1904;
const at_sqrt_update = 1920;
const at_mul = 1408;
const at_maximum = 1568;
const at_linear_1_contract = 1664;
const at_argmax = 1712;
const at_mul_2 = 1936;
const at_exp = 1712;
const at_sub = 1760;
const at_contract = 1856;
const at_add_backward = 1808;
const at_mul_3 = 1664;
const at_sqrt_update_2 = 1408;
const at_minimum_update = 1424;
const at_mul_4 = 1408;
const at_maximum_2 = 1568;
const at_linear_1_contract_2 = 1408;
const at_argmax_2 = 1504;
const at_sub_2 = 1456;
const at_contract_2 = 1520;
const at_mul_5 = 1408;
const at_mul_6 = 1424;
const at_mul_7 = 1408;
const at_maximum_3 = 1568;
const at_linear_1_contract_3 = 1408;
const at_exp_2 = 1456;
const at_div = 1504;
const at_mul_8 = 1408;
const at_maximum_4 = 1440;
const at_linear_1_contract_4 = 1408;
const at_contract_3 = 1424;
const at_contract_4 = 1440;
const at_mul_9 = 1408;
const at_maximum_5 = 1440;
const at_linear_1_contract_5 = 1408;
const at_max = 1440;
const at_exp_3 = 1424;
const at_contract_5 = 1440;
const at_div_2 = 1408;

// ── Kernels ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** source.model:5  logits = x / 255 |> linear(hidden) |> relu |> linear(5) */
function initialise(seed: number, out: number): void {
  const seed_value = i32[seed];
  for (let i = 0; i < 12; i++) {
    const out_row = out + i * 20;
    for (let j = 0; j < 20; j++) {
      f32[out_row + j] = -0.22360679774997896 + 0.4472135954999579 * random(seed_value, 444220160, 0, i * 20 + j);
    }
  }
}

/** source.model:5  logits = x / 255 |> linear(hidden) |> relu |> linear(5) */
function initialise_2(seed: number, out: number): void {
  const seed_value = i32[seed];
  for (let i = 0; i < 12; i++) {
    f32[out + i] = -0.22360679774997896 + 0.4472135954999579 * random(seed_value, 525523557, 0, i);
  }
}

/** source.model:5  logits = x / 255 |> linear(hidden) |> relu |> linear(5) */
function initialise_3(seed: number, out: number): void {
  const seed_value = i32[seed];
  for (let i = 0; i < 5; i++) {
    const out_row = out + i * 12;
    for (let j = 0; j < 12; j++) {
      f32[out_row + j] = -0.2886751345948129 + 0.5773502691896258 * random(seed_value, 872165649, 0, i * 12 + j);
    }
  }
}

/** source.model:5  logits = x / 255 |> linear(hidden) |> relu |> linear(5) */
function initialise_4(seed: number, out: number): void {
  const seed_value = i32[seed];
  for (let i = 0; i < 5; i++) {
    f32[out + i] = -0.2886751345948129 + 0.5773502691896258 * random(seed_value, 455731084, 0, i);
  }
}

/** source.model:14  optimizer adamw(lr: cosine(peak: 1e-3, warmup: 10), weight_decay: 0.01) */
function initialise_5(out: number, optimizer_v: number): void {
  for (let i = 0; i < 317; i++) {
    f32[out + i] = 0;
    f32[optimizer_v + i] = 0;
  }
}

/** source.model:14  optimizer adamw(lr: cosine(peak: 1e-3, warmup: 10), weight_decay: 0.01) */
function scalars(step: number, steps: number, learning_rate_factor: number, out: number, out_2: number, out_3: number, out_4: number): void {
  const f32_value = i32[step];
  const mul_value = Math.min(f32_value * 0.1, 1) * (0.0005 * (1 + Math.cos(3.141592653589793 * Math.min(Math.max(f32_value - 1 - 10, 0) / Math.max(i32[steps] - 10, 1), 1)))) * f32[learning_rate_factor];
  const value = mul_value * 0.01;
  const value2 = mul_value / (1 - Math.pow(0.9, f32_value));
  const value3 = Math.sqrt(1 - Math.pow(0.999, f32_value));
  f32[out] = mul_value;
  f32[out_2] = value;
  f32[out_3] = value2;
  f32[out_4] = value3;
}

/** source.model:5  logits = x / 255 |> linear(hidden) |> relu |> linear(5) */
function mul_forward(x: number, out: number): void {
  for (let i = 0; i < 8; i++) {
    const x_row = x + i * 20;
    const out_row = out + i * 20;
    for (let j = 0; j < 20; j++) {
      f32[out_row + j] = u8[x_row + j] * 0.00392156862745098;
    }
  }
}

/** source.model:5  logits = x / 255 |> linear(hidden) |> relu |> linear(5) */
function linear_forward(x: number, weight: number, bias: number, out: number): void {
  for (let i = 0; i < 8; i += 4) {
    const x_row = x + i * 20;
    const x_row2 = x + i * 20 + 20;
    const x_row3 = x + i * 20 + 40;
    const x_row4 = x + i * 20 + 60;
    const out_row = out + i * 12;
    const out_row2 = out + i * 12 + 12;
    const out_row3 = out + i * 12 + 24;
    const out_row4 = out + i * 12 + 36;
    for (let j = 0; j < 12; j += 4) {
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
      let sum13 = 0;
      let sum14 = 0;
      let sum15 = 0;
      let sum16 = 0;
      const weight_row = weight + j * 20;
      const weight_row2 = weight + j * 20 + 20;
      const weight_row3 = weight + j * 20 + 40;
      const weight_row4 = weight + j * 20 + 60;
      for (let k = 0; k < 20; k++) {
        const x_value = f32[x_row + k];
        const weight_value = f32[weight_row + k];
        const weight_value2 = f32[weight_row2 + k];
        const weight_value3 = f32[weight_row3 + k];
        const weight_value4 = f32[weight_row4 + k];
        const x_value2 = f32[x_row2 + k];
        const x_value3 = f32[x_row3 + k];
        const x_value4 = f32[x_row4 + k];
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
        sum13 += x_value4 * weight_value;
        sum14 += x_value4 * weight_value2;
        sum15 += x_value4 * weight_value3;
        sum16 += x_value4 * weight_value4;
      }
      const bias_value = f32[bias + j];
      const bias_value2 = f32[bias + j + 1];
      const bias_value3 = f32[bias + j + 2];
      const bias_value4 = f32[bias + j + 3];
      f32[out_row + j] = Math.max(sum + bias_value, 0);
      f32[out_row + j + 1] = Math.max(sum2 + bias_value2, 0);
      f32[out_row + j + 2] = Math.max(sum3 + bias_value3, 0);
      f32[out_row + j + 3] = Math.max(sum4 + bias_value4, 0);
      f32[out_row2 + j] = Math.max(sum5 + bias_value, 0);
      f32[out_row2 + j + 1] = Math.max(sum6 + bias_value2, 0);
      f32[out_row2 + j + 2] = Math.max(sum7 + bias_value3, 0);
      f32[out_row2 + j + 3] = Math.max(sum8 + bias_value4, 0);
      f32[out_row3 + j] = Math.max(sum9 + bias_value, 0);
      f32[out_row3 + j + 1] = Math.max(sum10 + bias_value2, 0);
      f32[out_row3 + j + 2] = Math.max(sum11 + bias_value3, 0);
      f32[out_row3 + j + 3] = Math.max(sum12 + bias_value4, 0);
      f32[out_row4 + j] = Math.max(sum13 + bias_value, 0);
      f32[out_row4 + j + 1] = Math.max(sum14 + bias_value2, 0);
      f32[out_row4 + j + 2] = Math.max(sum15 + bias_value3, 0);
      f32[out_row4 + j + 3] = Math.max(sum16 + bias_value4, 0);
    }
  }
}

/** source.model:5  logits = x / 255 |> linear(hidden) |> relu |> linear(5) */
function linear_forward_2(x: number, weight: number, out: number): void {
  for (let i = 0; i < 8; i += 4) {
    const x_row = x + i * 12;
    const x_row2 = x + i * 12 + 12;
    const x_row3 = x + i * 12 + 24;
    const x_row4 = x + i * 12 + 36;
    const out_row = out + i * 5;
    const out_row2 = out + i * 5 + 5;
    const out_row3 = out + i * 5 + 10;
    const out_row4 = out + i * 5 + 15;
    for (let j = 0; j < 5; j += 5) {
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
      let sum13 = 0;
      let sum14 = 0;
      let sum15 = 0;
      let sum16 = 0;
      let sum17 = 0;
      let sum18 = 0;
      let sum19 = 0;
      let sum20 = 0;
      const weight_row = weight + j * 12;
      const weight_row2 = weight + j * 12 + 12;
      const weight_row3 = weight + j * 12 + 24;
      const weight_row4 = weight + j * 12 + 36;
      const weight_row5 = weight + j * 12 + 48;
      for (let k = 0; k < 12; k++) {
        const x_value = f32[x_row + k];
        const weight_value = f32[weight_row + k];
        const weight_value2 = f32[weight_row2 + k];
        const weight_value3 = f32[weight_row3 + k];
        const weight_value4 = f32[weight_row4 + k];
        const weight_value5 = f32[weight_row5 + k];
        const x_value2 = f32[x_row2 + k];
        const x_value3 = f32[x_row3 + k];
        const x_value4 = f32[x_row4 + k];
        sum += x_value * weight_value;
        sum2 += x_value * weight_value2;
        sum3 += x_value * weight_value3;
        sum4 += x_value * weight_value4;
        sum5 += x_value * weight_value5;
        sum6 += x_value2 * weight_value;
        sum7 += x_value2 * weight_value2;
        sum8 += x_value2 * weight_value3;
        sum9 += x_value2 * weight_value4;
        sum10 += x_value2 * weight_value5;
        sum11 += x_value3 * weight_value;
        sum12 += x_value3 * weight_value2;
        sum13 += x_value3 * weight_value3;
        sum14 += x_value3 * weight_value4;
        sum15 += x_value3 * weight_value5;
        sum16 += x_value4 * weight_value;
        sum17 += x_value4 * weight_value2;
        sum18 += x_value4 * weight_value3;
        sum19 += x_value4 * weight_value4;
        sum20 += x_value4 * weight_value5;
      }
      f32[out_row + j] = sum;
      f32[out_row + j + 1] = sum2;
      f32[out_row + j + 2] = sum3;
      f32[out_row + j + 3] = sum4;
      f32[out_row + j + 4] = sum5;
      f32[out_row2 + j] = sum6;
      f32[out_row2 + j + 1] = sum7;
      f32[out_row2 + j + 2] = sum8;
      f32[out_row2 + j + 3] = sum9;
      f32[out_row2 + j + 4] = sum10;
      f32[out_row3 + j] = sum11;
      f32[out_row3 + j + 1] = sum12;
      f32[out_row3 + j + 2] = sum13;
      f32[out_row3 + j + 3] = sum14;
      f32[out_row3 + j + 4] = sum15;
      f32[out_row4 + j] = sum16;
      f32[out_row4 + j + 1] = sum17;
      f32[out_row4 + j + 2] = sum18;
      f32[out_row4 + j + 3] = sum19;
      f32[out_row4 + j + 4] = sum20;
    }
  }
}

/** source.model:7  metric accuracy = mean(argmax(logits) == label) */
function argmax_forward(x: number, bias: number, out: number): void {
  for (let i = 0; i < 8; i++) {
    let position = 0;
    let best = -Infinity;
    const x_row = x + i * 5;
    for (let j = 0; j < 5; j++) {
      const value = f32[x_row + j] + f32[bias + j];
      if (value > best) {
        best = value;
        position = j;
      }
    }
    i32[out + i] = position;
  }
}

/** source.model:7  metric accuracy = mean(argmax(logits) == label) */
function contract_forward(x: number, label: number, out: number): void {
  let sum = 0;
  for (let i = 0; i < 8; i++) {
    sum += i32[x + i] === i32[label + i] ? 1 : 0;
  }
  f32[out] = sum * 0.125;
}

/** source.model:6  loss = cross_entropy(logits, label) */
function max_forward(x: number, bias: number, x_2: number, label: number, x_3: number, out: number, out_2: number, out_3: number, out_4: number): void {
  for (let i = 0; i < 8; i++) {
    let largest = -Infinity;
    const x_row = x + i * 5;
    for (let j = 0; j < 5; j++) {
      largest = Math.max(largest, f32[x_row + j] + f32[bias + j]);
    }
    const out_row = out + i * 5;
    const out_2_row = out_2 + i * 5;
    for (let j = 0; j < 5; j++) {
      const sub_value = f32[x_row + j] + f32[bias + j] - largest;
      const value = Math.exp(sub_value);
      f32[out_row + j] = sub_value;
      f32[out_2_row + j] = value;
    }
    let sum = 0;
    const x_2_row = x_2 + i * 5;
    for (let j = 0; j < 5; j++) {
      sum += f32[x_2_row + j];
    }
    let sum2 = 0;
    const label_value = i32[label + i];
    const x_3_row = x_3 + i * 5;
    const log_value = Math.log(sum);
    for (let j = 0; j < 5; j++) {
      sum2 += (label_value === j ? 1 : 0) * (f32[x_3_row + j] - log_value);
    }
    f32[out_3 + i] = sum2;
    let sum3 = 0;
    for (let j = 0; j < 5; j++) {
      sum3 += -(-0.125 * (label_value === j ? 1 : 0));
    }
    const div_value = sum3 / sum;
    const out_4_row = out_4 + i * 5;
    for (let j = 0; j < 5; j++) {
      f32[out_4_row + j] = -0.125 * (label_value === j ? 1 : 0) + div_value * f32[x_2_row + j];
    }
  }
}

/** source.model:6  loss = cross_entropy(logits, label) */
function contract_forward_2(x: number, out: number): void {
  let sum = 0;
  for (let i = 0; i < 8; i++) {
    sum += -f32[x + i];
  }
  f32[out] = sum * 0.125;
}

/** source.model:5  logits = x / 255 |> linear(hidden) |> relu |> linear(5) */
function linear_backward(gradient: number, x: number, out: number): void {
  for (let i = 0; i < 5; i += 5) {
    const gradient_row = gradient + i;
    const gradient_row2 = gradient + i + 1;
    const gradient_row3 = gradient + i + 2;
    const gradient_row4 = gradient + i + 3;
    const gradient_row5 = gradient + i + 4;
    const out_row = out + i * 12;
    const out_row2 = out + i * 12 + 12;
    const out_row3 = out + i * 12 + 24;
    const out_row4 = out + i * 12 + 36;
    const out_row5 = out + i * 12 + 48;
    for (let j = 0; j < 12; j += 4) {
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
      let sum13 = 0;
      let sum14 = 0;
      let sum15 = 0;
      let sum16 = 0;
      let sum17 = 0;
      let sum18 = 0;
      let sum19 = 0;
      let sum20 = 0;
      const x_row = x + j;
      const x_row2 = x + j + 1;
      const x_row3 = x + j + 2;
      const x_row4 = x + j + 3;
      for (let k = 0; k < 8; k++) {
        const gradient_value = f32[gradient_row + k * 5];
        const x_value = f32[x_row + k * 12];
        const x_value2 = f32[x_row2 + k * 12];
        const x_value3 = f32[x_row3 + k * 12];
        const x_value4 = f32[x_row4 + k * 12];
        const gradient_value2 = f32[gradient_row2 + k * 5];
        const gradient_value3 = f32[gradient_row3 + k * 5];
        const gradient_value4 = f32[gradient_row4 + k * 5];
        const gradient_value5 = f32[gradient_row5 + k * 5];
        sum += gradient_value * x_value;
        sum2 += gradient_value * x_value2;
        sum3 += gradient_value * x_value3;
        sum4 += gradient_value * x_value4;
        sum5 += gradient_value2 * x_value;
        sum6 += gradient_value2 * x_value2;
        sum7 += gradient_value2 * x_value3;
        sum8 += gradient_value2 * x_value4;
        sum9 += gradient_value3 * x_value;
        sum10 += gradient_value3 * x_value2;
        sum11 += gradient_value3 * x_value3;
        sum12 += gradient_value3 * x_value4;
        sum13 += gradient_value4 * x_value;
        sum14 += gradient_value4 * x_value2;
        sum15 += gradient_value4 * x_value3;
        sum16 += gradient_value4 * x_value4;
        sum17 += gradient_value5 * x_value;
        sum18 += gradient_value5 * x_value2;
        sum19 += gradient_value5 * x_value3;
        sum20 += gradient_value5 * x_value4;
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
      f32[out_row4 + j] = sum13;
      f32[out_row4 + j + 1] = sum14;
      f32[out_row4 + j + 2] = sum15;
      f32[out_row4 + j + 3] = sum16;
      f32[out_row5 + j] = sum17;
      f32[out_row5 + j + 1] = sum18;
      f32[out_row5 + j + 2] = sum19;
      f32[out_row5 + j + 3] = sum20;
    }
  }
}

/** source.model:5  logits = x / 255 |> linear(hidden) |> relu |> linear(5) */
function linear_backward_2(gradient: number, out: number): void {
  for (let i = 0; i < 5; i += 5) {
    let sum = 0;
    let sum2 = 0;
    let sum3 = 0;
    let sum4 = 0;
    let sum5 = 0;
    const gradient_row = gradient + i;
    const gradient_row2 = gradient + i + 1;
    const gradient_row3 = gradient + i + 2;
    const gradient_row4 = gradient + i + 3;
    const gradient_row5 = gradient + i + 4;
    for (let j = 0; j < 8; j++) {
      sum += f32[gradient_row + j * 5];
      sum2 += f32[gradient_row2 + j * 5];
      sum3 += f32[gradient_row3 + j * 5];
      sum4 += f32[gradient_row4 + j * 5];
      sum5 += f32[gradient_row5 + j * 5];
    }
    f32[out + i] = sum;
    f32[out + i + 1] = sum2;
    f32[out + i + 2] = sum3;
    f32[out + i + 3] = sum4;
    f32[out + i + 4] = sum5;
  }
}

/** source.model:5  logits = x / 255 |> linear(hidden) |> relu |> linear(5) */
function linear_backward_3(gradient: number, weight: number, x: number, out: number): void {
  for (let i = 0; i < 8; i += 4) {
    const gradient_row = gradient + i * 5;
    const gradient_row2 = gradient + i * 5 + 5;
    const gradient_row3 = gradient + i * 5 + 10;
    const gradient_row4 = gradient + i * 5 + 15;
    const x_row = x + i * 12;
    const x_row2 = x + i * 12 + 12;
    const x_row3 = x + i * 12 + 24;
    const x_row4 = x + i * 12 + 36;
    const out_row = out + i * 12;
    const out_row2 = out + i * 12 + 12;
    const out_row3 = out + i * 12 + 24;
    const out_row4 = out + i * 12 + 36;
    for (let j = 0; j < 12; j += 4) {
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
      let sum13 = 0;
      let sum14 = 0;
      let sum15 = 0;
      let sum16 = 0;
      const weight_row = weight + j;
      const weight_row2 = weight + j + 1;
      const weight_row3 = weight + j + 2;
      const weight_row4 = weight + j + 3;
      for (let k = 0; k < 5; k++) {
        const gradient_value = f32[gradient_row + k];
        const weight_value = f32[weight_row + k * 12];
        const weight_value2 = f32[weight_row2 + k * 12];
        const weight_value3 = f32[weight_row3 + k * 12];
        const weight_value4 = f32[weight_row4 + k * 12];
        const gradient_value2 = f32[gradient_row2 + k];
        const gradient_value3 = f32[gradient_row3 + k];
        const gradient_value4 = f32[gradient_row4 + k];
        sum += gradient_value * weight_value;
        sum2 += gradient_value * weight_value2;
        sum3 += gradient_value * weight_value3;
        sum4 += gradient_value * weight_value4;
        sum5 += gradient_value2 * weight_value;
        sum6 += gradient_value2 * weight_value2;
        sum7 += gradient_value2 * weight_value3;
        sum8 += gradient_value2 * weight_value4;
        sum9 += gradient_value3 * weight_value;
        sum10 += gradient_value3 * weight_value2;
        sum11 += gradient_value3 * weight_value3;
        sum12 += gradient_value3 * weight_value4;
        sum13 += gradient_value4 * weight_value;
        sum14 += gradient_value4 * weight_value2;
        sum15 += gradient_value4 * weight_value3;
        sum16 += gradient_value4 * weight_value4;
      }
      f32[out_row + j] = 0 < f32[x_row + j] ? sum : 0;
      f32[out_row + j + 1] = 0 < f32[x_row + j + 1] ? sum2 : 0;
      f32[out_row + j + 2] = 0 < f32[x_row + j + 2] ? sum3 : 0;
      f32[out_row + j + 3] = 0 < f32[x_row + j + 3] ? sum4 : 0;
      f32[out_row2 + j] = 0 < f32[x_row2 + j] ? sum5 : 0;
      f32[out_row2 + j + 1] = 0 < f32[x_row2 + j + 1] ? sum6 : 0;
      f32[out_row2 + j + 2] = 0 < f32[x_row2 + j + 2] ? sum7 : 0;
      f32[out_row2 + j + 3] = 0 < f32[x_row2 + j + 3] ? sum8 : 0;
      f32[out_row3 + j] = 0 < f32[x_row3 + j] ? sum9 : 0;
      f32[out_row3 + j + 1] = 0 < f32[x_row3 + j + 1] ? sum10 : 0;
      f32[out_row3 + j + 2] = 0 < f32[x_row3 + j + 2] ? sum11 : 0;
      f32[out_row3 + j + 3] = 0 < f32[x_row3 + j + 3] ? sum12 : 0;
      f32[out_row4 + j] = 0 < f32[x_row4 + j] ? sum13 : 0;
      f32[out_row4 + j + 1] = 0 < f32[x_row4 + j + 1] ? sum14 : 0;
      f32[out_row4 + j + 2] = 0 < f32[x_row4 + j + 2] ? sum15 : 0;
      f32[out_row4 + j + 3] = 0 < f32[x_row4 + j + 3] ? sum16 : 0;
    }
  }
}

/** source.model:5  logits = x / 255 |> linear(hidden) |> relu |> linear(5) */
function linear_backward_4(gradient: number, x: number, out: number): void {
  for (let i = 0; i < 12; i += 4) {
    const gradient_row = gradient + i;
    const gradient_row2 = gradient + i + 1;
    const gradient_row3 = gradient + i + 2;
    const gradient_row4 = gradient + i + 3;
    const out_row = out + i * 20;
    const out_row2 = out + i * 20 + 20;
    const out_row3 = out + i * 20 + 40;
    const out_row4 = out + i * 20 + 60;
    for (let j = 0; j < 20; j += 4) {
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
      let sum13 = 0;
      let sum14 = 0;
      let sum15 = 0;
      let sum16 = 0;
      const x_row = x + j;
      const x_row2 = x + j + 1;
      const x_row3 = x + j + 2;
      const x_row4 = x + j + 3;
      for (let k = 0; k < 8; k++) {
        const gradient_value = f32[gradient_row + k * 12];
        const x_value = f32[x_row + k * 20];
        const x_value2 = f32[x_row2 + k * 20];
        const x_value3 = f32[x_row3 + k * 20];
        const x_value4 = f32[x_row4 + k * 20];
        const gradient_value2 = f32[gradient_row2 + k * 12];
        const gradient_value3 = f32[gradient_row3 + k * 12];
        const gradient_value4 = f32[gradient_row4 + k * 12];
        sum += gradient_value * x_value;
        sum2 += gradient_value * x_value2;
        sum3 += gradient_value * x_value3;
        sum4 += gradient_value * x_value4;
        sum5 += gradient_value2 * x_value;
        sum6 += gradient_value2 * x_value2;
        sum7 += gradient_value2 * x_value3;
        sum8 += gradient_value2 * x_value4;
        sum9 += gradient_value3 * x_value;
        sum10 += gradient_value3 * x_value2;
        sum11 += gradient_value3 * x_value3;
        sum12 += gradient_value3 * x_value4;
        sum13 += gradient_value4 * x_value;
        sum14 += gradient_value4 * x_value2;
        sum15 += gradient_value4 * x_value3;
        sum16 += gradient_value4 * x_value4;
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
      f32[out_row4 + j] = sum13;
      f32[out_row4 + j + 1] = sum14;
      f32[out_row4 + j + 2] = sum15;
      f32[out_row4 + j + 3] = sum16;
    }
  }
}

/** source.model:5  logits = x / 255 |> linear(hidden) |> relu |> linear(5) */
function linear_backward_5(gradient: number, out: number): void {
  for (let i = 0; i < 12; i += 4) {
    let sum = 0;
    let sum2 = 0;
    let sum3 = 0;
    let sum4 = 0;
    const gradient_row = gradient + i;
    const gradient_row2 = gradient + i + 1;
    const gradient_row3 = gradient + i + 2;
    const gradient_row4 = gradient + i + 3;
    for (let j = 0; j < 8; j++) {
      sum += f32[gradient_row + j * 12];
      sum2 += f32[gradient_row2 + j * 12];
      sum3 += f32[gradient_row3 + j * 12];
      sum4 += f32[gradient_row4 + j * 12];
    }
    f32[out + i] = sum;
    f32[out + i + 1] = sum2;
    f32[out + i + 2] = sum3;
    f32[out + i + 3] = sum4;
  }
}

/** Written by the compiler: nothing in the model names it. */
function update(gradient: number, out: number, out_2: number): void {
  let sum = 0;
  for (let i = 0; i < 317; i++) {
    const gradient_value = f32[gradient + i];
    sum += gradient_value * gradient_value;
  }
  const sqrt_value = Math.sqrt(sum);
  const value = Math.min(1, 1 / (sqrt_value + 0.000001));
  f32[out] = sqrt_value;
  f32[out_2] = value;
}

/** source.model:14  optimizer adamw(lr: cosine(peak: 1e-3, warmup: 10), weight_decay: 0.01) */
function update_2(optimizer_v: number, gradient: number, scalar: number, optimizer_m: number, parameters: number, scalar_2: number, scalar_3: number, scalar_4: number, out: number, out_2: number, out_3: number): void {
  const scalar_value = f32[scalar];
  const scalar_2_value = f32[scalar_2];
  const scalar_3_value = f32[scalar_3];
  const scalar_4_value = f32[scalar_4];
  for (let i = 0; i < 317; i++) {
    const mul_value = f32[gradient + i] * scalar_value;
    const add_value = 0.999 * f32[optimizer_v + i] + 0.0010000000000000009 * mul_value * mul_value;
    const add_value2 = 0.9 * f32[optimizer_m + i] + 0.09999999999999998 * mul_value;
    const parameters_value = f32[parameters + i];
    const value = parameters_value - scalar_2_value * parameters_value - scalar_3_value * add_value2 / (Math.sqrt(add_value) / scalar_4_value + 1e-8);
    f32[out + i] = add_value;
    f32[out_2 + i] = add_value2;
    f32[out_3 + i] = value;
  }
}

/** source.model:6  loss = cross_entropy(logits, label) */
function max_forward_2(x: number, bias: number, x_2: number, label: number, out: number, out_2: number): void {
  for (let i = 0; i < 8; i++) {
    let largest = -Infinity;
    const x_row = x + i * 5;
    for (let j = 0; j < 5; j++) {
      largest = Math.max(largest, f32[x_row + j] + f32[bias + j]);
    }
    const out_row = out + i * 5;
    for (let j = 0; j < 5; j++) {
      f32[out_row + j] = f32[x_row + j] + f32[bias + j] - largest;
    }
    let sum = 0;
    const x_2_row = x_2 + i * 5;
    for (let j = 0; j < 5; j++) {
      sum += Math.exp(f32[x_2_row + j]);
    }
    let sum2 = 0;
    const label_value = i32[label + i];
    const log_value = Math.log(sum);
    for (let j = 0; j < 5; j++) {
      sum2 += (label_value === j ? 1 : 0) * (f32[x_2_row + j] - log_value);
    }
    f32[out_2 + i] = sum2;
  }
}

/**
 * source.model:6  loss = cross_entropy(logits, label)
 * source.model:8  output probabilities = softmax(logits)
 */
function max_forward_3(x: number, bias: number, x_2: number, out: number, out_2: number): void {
  for (let i = 0; i < 8; i++) {
    let largest = -Infinity;
    const x_row = x + i * 5;
    for (let j = 0; j < 5; j++) {
      largest = Math.max(largest, f32[x_row + j] + f32[bias + j]);
    }
    const out_row = out + i * 5;
    for (let j = 0; j < 5; j++) {
      f32[out_row + j] = Math.exp(f32[x_row + j] + f32[bias + j] - largest);
    }
    let sum = 0;
    const x_2_row = x_2 + i * 5;
    for (let j = 0; j < 5; j++) {
      sum += f32[x_2_row + j];
    }
    const out_2_row = out_2 + i * 5;
    for (let j = 0; j < 5; j++) {
      f32[out_2_row + j] = f32[x_2_row + j] / sum;
    }
  }
}

/** source.model:5  logits = x / 255 |> linear(hidden) |> relu |> linear(5) */
function mul_forward_2(x: number, out: number): void {
  for (let i = 0; i < 20; i++) {
    f32[out + i] = u8[x + i] * 0.00392156862745098;
  }
}

/** source.model:5  logits = x / 255 |> linear(hidden) |> relu |> linear(5) */
function linear_forward_3(x: number, weight: number, bias: number, out: number): void {
  for (let i = 0; i < 12; i += 4) {
    let sum = 0;
    let sum2 = 0;
    let sum3 = 0;
    let sum4 = 0;
    const weight_row = weight + i * 20;
    const weight_row2 = weight + i * 20 + 20;
    const weight_row3 = weight + i * 20 + 40;
    const weight_row4 = weight + i * 20 + 60;
    for (let j = 0; j < 20; j++) {
      const x_value = f32[x + j];
      sum += x_value * f32[weight_row + j];
      sum2 += x_value * f32[weight_row2 + j];
      sum3 += x_value * f32[weight_row3 + j];
      sum4 += x_value * f32[weight_row4 + j];
    }
    f32[out + i] = Math.max(sum + f32[bias + i], 0);
    f32[out + i + 1] = Math.max(sum2 + f32[bias + i + 1], 0);
    f32[out + i + 2] = Math.max(sum3 + f32[bias + i + 2], 0);
    f32[out + i + 3] = Math.max(sum4 + f32[bias + i + 3], 0);
  }
}

/** source.model:5  logits = x / 255 |> linear(hidden) |> relu |> linear(5) */
function linear_forward_4(x: number, weight: number, out: number): void {
  for (let i = 0; i < 5; i += 5) {
    let sum = 0;
    let sum2 = 0;
    let sum3 = 0;
    let sum4 = 0;
    let sum5 = 0;
    const weight_row = weight + i * 12;
    const weight_row2 = weight + i * 12 + 12;
    const weight_row3 = weight + i * 12 + 24;
    const weight_row4 = weight + i * 12 + 36;
    const weight_row5 = weight + i * 12 + 48;
    for (let j = 0; j < 12; j++) {
      const x_value = f32[x + j];
      sum += x_value * f32[weight_row + j];
      sum2 += x_value * f32[weight_row2 + j];
      sum3 += x_value * f32[weight_row3 + j];
      sum4 += x_value * f32[weight_row4 + j];
      sum5 += x_value * f32[weight_row5 + j];
    }
    f32[out + i] = sum;
    f32[out + i + 1] = sum2;
    f32[out + i + 2] = sum3;
    f32[out + i + 3] = sum4;
    f32[out + i + 4] = sum5;
  }
}

/** source.model:6  loss = cross_entropy(logits, label) */
function max_forward_4(x: number, bias: number, label: number, out: number): void {
  let largest = -Infinity;
  for (let i = 0; i < 5; i++) {
    largest = Math.max(largest, f32[x + i] + f32[bias + i]);
  }
  let sum = 0;
  for (let i = 0; i < 5; i++) {
    sum += Math.exp(f32[x + i] + f32[bias + i] - largest);
  }
  let sum2 = 0;
  const label_value = i32[label];
  const log_value = Math.log(sum);
  for (let i = 0; i < 5; i++) {
    sum2 += (label_value === i ? 1 : 0) * (f32[x + i] + f32[bias + i] - largest - log_value);
  }
  f32[out] = -sum2;
}

/** source.model:7  metric accuracy = mean(argmax(logits) == label) */
function argmax_forward_2(x: number, bias: number, label: number, out: number): void {
  let position = 0;
  let best = -Infinity;
  for (let i = 0; i < 5; i++) {
    const value = f32[x + i] + f32[bias + i];
    if (value > best) {
      best = value;
      position = i;
    }
  }
  f32[out] = position === i32[label] ? 1 : 0;
}

/** source.model:6  loss = cross_entropy(logits, label) */
function max_forward_5(x: number, bias: number, out: number): void {
  let largest = -Infinity;
  for (let i = 0; i < 5; i++) {
    largest = Math.max(largest, f32[x + i] + f32[bias + i]);
  }
  f32[out] = largest;
}

/** source.model:6  loss = cross_entropy(logits, label) */
function exp_forward(x: number, bias: number, x_2: number, out: number): void {
  const x_2_value = f32[x_2];
  for (let i = 0; i < 5; i++) {
    f32[out + i] = Math.exp(f32[x + i] + f32[bias + i] - x_2_value);
  }
}

/** source.model:6  loss = cross_entropy(logits, label) */
function contract_forward_3(x: number, out: number): void {
  let sum = 0;
  for (let i = 0; i < 5; i++) {
    sum += f32[x + i];
  }
  f32[out] = sum;
}

/** source.model:8  output probabilities = softmax(logits) */
function div_forward(x: number, x_2: number, out: number): void {
  const x_2_value = f32[x_2];
  for (let i = 0; i < 5; i++) {
    f32[out + i] = f32[x + i] / x_2_value;
  }
}

// ── Entries: what is called in which order ──────────────────────────────────────────────────────────────────────────────

function initialiseEntry(): void {
  initialise(at_seed, at_parameters);
  initialise_2(at_seed, at_parameters + 240);
  initialise_3(at_seed, at_parameters + 252);
  initialise_4(at_seed, at_parameters + 312);
  initialise_5(at_optimizer_m, at_optimizer_v);
}

function trainEntry(): void {
  scalars(at_step, at_steps, at_learning_rate_factor, at_mul_update, at_mul_update_2, at_div_update, at_sqrt_update);
  mul_forward(at_x, at_mul);
  linear_forward(at_mul, at_parameters, at_parameters + 240, at_maximum);
  linear_forward_2(at_maximum, at_parameters + 252, at_linear_1_contract);
  argmax_forward(at_linear_1_contract, at_parameters + 312, at_argmax);
  contract_forward(at_argmax, at_label, at_mul_2);
  max_forward(at_linear_1_contract, at_parameters + 312, at_exp, at_label, at_sub, at_sub, at_exp, at_contract, at_add_backward);
  contract_forward_2(at_contract, at_mul_3);
  linear_backward(at_add_backward, at_maximum, at_gradients + 252);
  linear_backward_2(at_add_backward, at_gradients + 312);
  linear_backward_3(at_add_backward, at_parameters + 252, at_maximum, at_maximum);
  linear_backward_4(at_maximum, at_mul, at_gradients);
  linear_backward_5(at_maximum, at_gradients + 240);
  update(at_gradients, at_sqrt_update_2, at_minimum_update);
  update_2(at_optimizer_v, at_gradients, at_minimum_update, at_optimizer_m, at_parameters, at_mul_update_2, at_div_update, at_sqrt_update, at_optimizer_v, at_optimizer_m, at_parameters);
}

function evaluateEntry(): void {
  mul_forward(at_x, at_mul_4);
  linear_forward(at_mul_4, at_parameters, at_parameters + 240, at_maximum_2);
  linear_forward_2(at_maximum_2, at_parameters + 252, at_linear_1_contract_2);
  argmax_forward(at_linear_1_contract_2, at_parameters + 312, at_argmax_2);
  max_forward_2(at_linear_1_contract_2, at_parameters + 312, at_sub_2, at_label, at_sub_2, at_contract_2);
  contract_forward(at_argmax_2, at_label, at_mul_5);
  contract_forward_2(at_contract_2, at_mul_6);
}

function predictEntry(): void {
  mul_forward(at_x, at_mul_7);
  linear_forward(at_mul_7, at_parameters, at_parameters + 240, at_maximum_3);
  linear_forward_2(at_maximum_3, at_parameters + 252, at_linear_1_contract_3);
  max_forward_3(at_linear_1_contract_3, at_parameters + 312, at_exp_2, at_exp_2, at_div);
}

function evaluateRowEntry(): void {
  mul_forward_2(at_x, at_mul_8);
  linear_forward_3(at_mul_8, at_parameters, at_parameters + 240, at_maximum_4);
  linear_forward_4(at_maximum_4, at_parameters + 252, at_linear_1_contract_4);
  max_forward_4(at_linear_1_contract_4, at_parameters + 312, at_label, at_contract_3);
  argmax_forward_2(at_linear_1_contract_4, at_parameters + 312, at_label, at_contract_4);
}

function predictRowEntry(): void {
  mul_forward_2(at_x, at_mul_9);
  linear_forward_3(at_mul_9, at_parameters, at_parameters + 240, at_maximum_5);
  linear_forward_4(at_maximum_5, at_parameters + 252, at_linear_1_contract_5);
  max_forward_5(at_linear_1_contract_5, at_parameters + 312, at_max);
  exp_forward(at_linear_1_contract_5, at_parameters + 312, at_max, at_exp_3);
  contract_forward_3(at_exp_3, at_contract_5);
  div_forward(at_exp_3, at_contract_5, at_div_2);
}

// ── The program ─────────────────────────────────────────────────────────────────────────────────────────────────────────
const program: CompiledProgram = {
  name: "mlp",
  source: '1ca21ff74a0e02a81219dab40e4ddefc',
  memory,
  device: null,
  threads: null,
  batched: true,
  inputs: [
    { name: "x", dtype: 'u8', shape: [8, 20], offset: 5120, below: null },
    { name: "label", dtype: 'i32', shape: [8], offset: 5312, below: 5 },
  ],
  parameters: [
    { name: "linear.0.weight", dtype: 'f32', shape: [12, 20], offset: 0 },
    { name: "linear.0.bias", dtype: 'f32', shape: [12], offset: 960 },
    { name: "linear.1.weight", dtype: 'f32', shape: [5, 12], offset: 1008 },
    { name: "linear.1.bias", dtype: 'f32', shape: [5], offset: 1248 },
  ],
  states: [
    { name: "optimizer.m.linear.0.weight", dtype: 'f32', shape: [12, 20], offset: 2560 },
    { name: "optimizer.v.linear.0.weight", dtype: 'f32', shape: [12, 20], offset: 3840 },
    { name: "optimizer.m.linear.0.bias", dtype: 'f32', shape: [12], offset: 3520 },
    { name: "optimizer.v.linear.0.bias", dtype: 'f32', shape: [12], offset: 4800 },
    { name: "optimizer.m.linear.1.weight", dtype: 'f32', shape: [5, 12], offset: 3568 },
    { name: "optimizer.v.linear.1.weight", dtype: 'f32', shape: [5, 12], offset: 4848 },
    { name: "optimizer.m.linear.1.bias", dtype: 'f32', shape: [5], offset: 3808 },
    { name: "optimizer.v.linear.1.bias", dtype: 'f32', shape: [5], offset: 5088 },
  ],
  scalars: { seed: 5376, step: 5440, steps: 5504, learningRateFactor: 5568 },
  stages: [{
    name: "Mlp",
    model: "Mlp",
    batched: true,
    inputs: ["x", "label"],
    gradients: [
      { name: "linear.0.weight", dtype: 'f32', shape: [12, 20], offset: 1280 },
      { name: "linear.0.bias", dtype: 'f32', shape: [12], offset: 2240 },
      { name: "linear.1.weight", dtype: 'f32', shape: [5, 12], offset: 2288 },
      { name: "linear.1.bias", dtype: 'f32', shape: [5], offset: 2528 },
    ],
    initialise: initialiseEntry,
    accumulate: null,
    train: {
      run: trainEntry,
      number: 1,
      inputs: ["x", "label"],
      results: [
        { name: "loss", dtype: 'f32', shape: [], offset: 6656 },
        { name: "accuracy", dtype: 'f32', shape: [], offset: 7744 },
        { name: "grad_norm", dtype: 'f32', shape: [], offset: 5632 },
        { name: "lr", dtype: 'f32', shape: [], offset: 7488 },
      ],
      rows: 8,
    },
    gradientNorm: null,
    evaluate: {
      run: evaluateEntry,
      number: 2,
      inputs: ["x", "label"],
      results: [
        { name: "loss", dtype: 'f32', shape: [], offset: 5696 },
        { name: "accuracy", dtype: 'f32', shape: [], offset: 5632 },
      ],
      rows: 8,
    },
    evaluateRow: {
      run: evaluateRowEntry,
      number: 4,
      inputs: ["x", "label"],
      results: [
        { name: "loss", dtype: 'f32', shape: [], offset: 5696 },
        { name: "accuracy", dtype: 'f32', shape: [], offset: 5760 },
      ],
      rows: 1,
    },
    predict: {
      run: predictEntry,
      number: 3,
      inputs: ["x"],
      results: [
        { name: "probabilities", dtype: 'f32', shape: [8, 5], offset: 6016 },
      ],
      rows: 8,
    },
    predictRow: {
      run: predictRowEntry,
      number: 5,
      inputs: ["x"],
      results: [
        { name: "probabilities", dtype: 'f32', shape: [1, 5], offset: 5632 },
      ],
      rows: 1,
    },
    predictOnce: null,
    generator: null,
    settings: {"epochs":null,"steps":100,"seed":0,"clipNorm":1,"accumulate":1,"ema":null,"precision":"f32","memory":null,"evaluateEvery":null,"checkpointEvery":null,"checkpointKeep":1,"earlyStop":null},
    flopsPerStep: 21167,
  }],
  data: null,
  readers: {},
  synthetic: null,
  tokenizers: [],
  pictures: null,
};

// ── Interface ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Any number of rows at once, one after the other in each array; `x`: 20 a row. */
export async function predict(rows: { x: Uint8Array }): Promise<{ probabilities: Float32Array }> {
  return await predictRows(program, program.stages.at(-1)!, rows) as { probabilities: Float32Array };
}

/** Trains as the `train` block says, from new parameters; options replace its settings. */
export async function train(options: TrainOptions<{ x: Uint8Array; label: Int32Array }> = {}): Promise<TrainReport> {
  return trainModel(program, options);
}

/** Loss and metrics over the given rows. */
export async function evaluate(rows: { x: Uint8Array; label: Int32Array }): Promise<Results> {
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

