/**
 * LayerNorm: Layer normalisation with a connection around it, and dropout.
 *
 * Written by nabla from source.model (sha256 48ecc0ebb5c091a1…). Start it to train: `node <this file>`, `--help` for more.
 * Batch 4; 3,248 floating-point operations a step; 1,984 bytes of memory in all, none allocated while training.
 * 54 parameters:
 *   layer_norm.weight  f32[6]
 *   layer_norm.bias    f32[6]
 *   linear.weight      f32[6, 6]
 *   linear.bias        f32[6]
 */

import { accessSync, closeSync, constants, copyFileSync, existsSync, fstatSync, fsyncSync, openSync, readFileSync, readSync, readdirSync, realpathSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { deflateRawSync, deflateSync, gunzipSync } from 'node:zlib';

// ── Memory ──────────────────────────────────────────────────────────────────────────────────────────────────────────────
const memory = new ArrayBuffer(1984);
const f32 = new Float32Array(memory);
const i32 = new Int32Array(memory);

// Where each buffer begins, counted in its own elements. Buffers that are never needed at once share places.
const at_parameters = 0; // parameter
const at_gradients = 64; // state
const at_optimizer_square_mean = 128; // state
const at_x = 192; // input
const at_seed = 224; // scalar
const at_step = 240; // scalar
const at_learning_rate_factor = 256; // scalar
const at_mul_update = 464;
const at_layer_norm_div = 272;
const at_layer_norm_add = 304;
const at_linear_add = 336;
const at_add = 368;
const at_add_2 = 400;
const at_dropout_mul_backward = 432;
const at_mul = 336;
const at_linear_contract_backward = 304;
const at_sqrt_update = 272;
const at_layer_norm_add_2 = 272;
const at_add_3 = 304;
const at_mul_2 = 272;
const at_layer_norm_add_3 = 272;
const at_add_4 = 304;
const at_layer_norm_mul = 288;
const at_layer_norm_sqrt = 304;
const at_layer_norm_add_4 = 272;
const at_add_5 = 288;
const at_mul_3 = 272;
const at_layer_norm_mul_2 = 288;
const at_layer_norm_sqrt_2 = 304;
const at_layer_norm_add_5 = 272;
const at_add_6 = 288;

// ── Kernels ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** source.model:4  y = x + (x |> layer_norm |> linear(6) |> gelu |> dropout(0.1)) */
function initialise(out: number): void {
  for (let i = 0; i < 6; i++) {
    f32[out + i] = 1;
  }
}

/** source.model:4  y = x + (x |> layer_norm |> linear(6) |> gelu |> dropout(0.1)) */
function initialise_2(out: number): void {
  for (let i = 0; i < 6; i++) {
    f32[out + i] = 0;
  }
}

/** source.model:4  y = x + (x |> layer_norm |> linear(6) |> gelu |> dropout(0.1)) */
function initialise_3(seed: number, out: number): void {
  const seed_value = i32[seed];
  for (let i = 0; i < 6; i++) {
    const out_row = out + i * 6;
    for (let j = 0; j < 6; j++) {
      f32[out_row + j] = -0.4082482904638631 + 0.8164965809277261 * random(seed_value, 1213060306, 0, i * 6 + j);
    }
  }
}

/** source.model:4  y = x + (x |> layer_norm |> linear(6) |> gelu |> dropout(0.1)) */
function initialise_4(seed: number, out: number): void {
  const seed_value = i32[seed];
  for (let i = 0; i < 6; i++) {
    f32[out + i] = -0.4082482904638631 + 0.8164965809277261 * random(seed_value, 1428609551, 0, i);
  }
}

/** source.model:11  optimizer rmsprop(lr: 0.01) */
function initialise_5(out: number): void {
  for (let i = 0; i < 54; i++) {
    f32[out + i] = 0;
  }
}

/** source.model:11  optimizer rmsprop(lr: 0.01) */
function scalars(learning_rate_factor: number, out: number): void {
  f32[out] = 0.01 * f32[learning_rate_factor];
}

/** source.model:4  y = x + (x |> layer_norm |> linear(6) |> gelu |> dropout(0.1)) */
function layer_norm_forward(x: number, weight: number, bias: number, out: number, out_2: number): void {
  for (let i = 0; i < 4; i++) {
    let sum = 0;
    const x_row = x + i * 6;
    for (let j = 0; j < 6; j++) {
      sum += f32[x_row + j];
    }
    let sum2 = 0;
    const mul_value = sum * 0.16666666666666666;
    for (let j = 0; j < 6; j++) {
      const sub_value = f32[x_row + j] - mul_value;
      sum2 += sub_value * sub_value;
    }
    const sqrt_value = Math.sqrt(sum2 * 0.16666666666666666 + 0.00001);
    const out_row = out + i * 6;
    const out_2_row = out_2 + i * 6;
    for (let j = 0; j < 6; j++) {
      const div_value = (f32[x_row + j] - mul_value) / sqrt_value;
      const value = div_value * f32[weight + j] + f32[bias + j];
      f32[out_row + j] = div_value;
      f32[out_2_row + j] = value;
    }
  }
}

/** source.model:4  y = x + (x |> layer_norm |> linear(6) |> gelu |> dropout(0.1)) */
function linear_forward(x: number, weight: number, bias: number, x_2: number, seed: number, step: number, out: number, out_2: number, out_3: number, out_4: number): void {
  const seed_value = i32[seed];
  const step_value = i32[step];
  for (let i = 0; i < 4; i += 4) {
    const x_row = x + i * 6;
    const x_row2 = x + i * 6 + 6;
    const x_row3 = x + i * 6 + 12;
    const x_row4 = x + i * 6 + 18;
    const x_2_row = x_2 + i * 6;
    const x_2_row2 = x_2 + i * 6 + 6;
    const x_2_row3 = x_2 + i * 6 + 12;
    const x_2_row4 = x_2 + i * 6 + 18;
    const out_row = out + i * 6;
    const out_row2 = out + i * 6 + 6;
    const out_row3 = out + i * 6 + 12;
    const out_row4 = out + i * 6 + 18;
    const out_2_row = out_2 + i * 6;
    const out_2_row2 = out_2 + i * 6 + 6;
    const out_2_row3 = out_2 + i * 6 + 12;
    const out_2_row4 = out_2 + i * 6 + 18;
    const out_3_row = out_3 + i * 6;
    const out_3_row2 = out_3 + i * 6 + 6;
    const out_3_row3 = out_3 + i * 6 + 12;
    const out_3_row4 = out_3 + i * 6 + 18;
    const out_4_row = out_4 + i * 6;
    const out_4_row2 = out_4 + i * 6 + 6;
    const out_4_row3 = out_4 + i * 6 + 12;
    const out_4_row4 = out_4 + i * 6 + 18;
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
      const weight_row = weight + j * 6;
      const weight_row2 = weight + j * 6 + 6;
      const weight_row3 = weight + j * 6 + 12;
      for (let k = 0; k < 6; k++) {
        const x_value = f32[x_row + k];
        const weight_value = f32[weight_row + k];
        const weight_value2 = f32[weight_row2 + k];
        const weight_value3 = f32[weight_row3 + k];
        const x_value2 = f32[x_row2 + k];
        const x_value3 = f32[x_row3 + k];
        const x_value4 = f32[x_row4 + k];
        sum += x_value * weight_value;
        sum2 += x_value * weight_value2;
        sum3 += x_value * weight_value3;
        sum4 += x_value2 * weight_value;
        sum5 += x_value2 * weight_value2;
        sum6 += x_value2 * weight_value3;
        sum7 += x_value3 * weight_value;
        sum8 += x_value3 * weight_value2;
        sum9 += x_value3 * weight_value3;
        sum10 += x_value4 * weight_value;
        sum11 += x_value4 * weight_value2;
        sum12 += x_value4 * weight_value3;
      }
      const bias_value = f32[bias + j];
      const add_value = sum + bias_value;
      const bias_value2 = f32[bias + j + 1];
      const add_value2 = sum2 + bias_value2;
      const bias_value3 = f32[bias + j + 2];
      const add_value3 = sum3 + bias_value3;
      const add_value4 = sum4 + bias_value;
      const add_value5 = sum5 + bias_value2;
      const add_value6 = sum6 + bias_value3;
      const add_value7 = sum7 + bias_value;
      const add_value8 = sum8 + bias_value2;
      const add_value9 = sum9 + bias_value3;
      const add_value10 = sum10 + bias_value;
      const add_value11 = sum11 + bias_value2;
      const add_value12 = sum12 + bias_value3;
      const add_value13 = 1 + erf(add_value * 0.7071067811865475);
      const add_value14 = 1 + erf(add_value2 * 0.7071067811865475);
      const add_value15 = 1 + erf(add_value3 * 0.7071067811865475);
      const add_value16 = 1 + erf(add_value4 * 0.7071067811865475);
      const add_value17 = 1 + erf(add_value5 * 0.7071067811865475);
      const add_value18 = 1 + erf(add_value6 * 0.7071067811865475);
      const add_value19 = 1 + erf(add_value7 * 0.7071067811865475);
      const add_value20 = 1 + erf(add_value8 * 0.7071067811865475);
      const add_value21 = 1 + erf(add_value9 * 0.7071067811865475);
      const add_value22 = 1 + erf(add_value10 * 0.7071067811865475);
      const add_value23 = 1 + erf(add_value11 * 0.7071067811865475);
      const add_value24 = 1 + erf(add_value12 * 0.7071067811865475);
      const lt_value = random(seed_value, -739917418, step_value, i * 6 + j) < 0.1;
      const add_value25 = f32[x_2_row + j] + (lt_value ? 0 : 0.5 * add_value * add_value13 * 1.1111111111111112);
      const lt_value2 = random(seed_value, -739917418, step_value, i * 6 + j + 1) < 0.1;
      const add_value26 = f32[x_2_row + j + 1] + (lt_value2 ? 0 : 0.5 * add_value2 * add_value14 * 1.1111111111111112);
      const lt_value3 = random(seed_value, -739917418, step_value, i * 6 + j + 2) < 0.1;
      const add_value27 = f32[x_2_row + j + 2] + (lt_value3 ? 0 : 0.5 * add_value3 * add_value15 * 1.1111111111111112);
      const lt_value4 = random(seed_value, -739917418, step_value, i * 6 + j + 6) < 0.1;
      const add_value28 = f32[x_2_row2 + j] + (lt_value4 ? 0 : 0.5 * add_value4 * add_value16 * 1.1111111111111112);
      const lt_value5 = random(seed_value, -739917418, step_value, i * 6 + j + 7) < 0.1;
      const add_value29 = f32[x_2_row2 + j + 1] + (lt_value5 ? 0 : 0.5 * add_value5 * add_value17 * 1.1111111111111112);
      const lt_value6 = random(seed_value, -739917418, step_value, i * 6 + j + 8) < 0.1;
      const add_value30 = f32[x_2_row2 + j + 2] + (lt_value6 ? 0 : 0.5 * add_value6 * add_value18 * 1.1111111111111112);
      const lt_value7 = random(seed_value, -739917418, step_value, i * 6 + j + 12) < 0.1;
      const add_value31 = f32[x_2_row3 + j] + (lt_value7 ? 0 : 0.5 * add_value7 * add_value19 * 1.1111111111111112);
      const lt_value8 = random(seed_value, -739917418, step_value, i * 6 + j + 13) < 0.1;
      const add_value32 = f32[x_2_row3 + j + 1] + (lt_value8 ? 0 : 0.5 * add_value8 * add_value20 * 1.1111111111111112);
      const lt_value9 = random(seed_value, -739917418, step_value, i * 6 + j + 14) < 0.1;
      const add_value33 = f32[x_2_row3 + j + 2] + (lt_value9 ? 0 : 0.5 * add_value9 * add_value21 * 1.1111111111111112);
      const lt_value10 = random(seed_value, -739917418, step_value, i * 6 + j + 18) < 0.1;
      const add_value34 = f32[x_2_row4 + j] + (lt_value10 ? 0 : 0.5 * add_value10 * add_value22 * 1.1111111111111112);
      const lt_value11 = random(seed_value, -739917418, step_value, i * 6 + j + 19) < 0.1;
      const add_value35 = f32[x_2_row4 + j + 1] + (lt_value11 ? 0 : 0.5 * add_value11 * add_value23 * 1.1111111111111112);
      const lt_value12 = random(seed_value, -739917418, step_value, i * 6 + j + 20) < 0.1;
      const add_value36 = f32[x_2_row4 + j + 2] + (lt_value12 ? 0 : 0.5 * add_value12 * add_value24 * 1.1111111111111112);
      const mul_value = 0.041666666666666664 * add_value25;
      const mul_value2 = 0.041666666666666664 * add_value26;
      const mul_value3 = 0.041666666666666664 * add_value27;
      const mul_value4 = 0.041666666666666664 * add_value28;
      const mul_value5 = 0.041666666666666664 * add_value29;
      const mul_value6 = 0.041666666666666664 * add_value30;
      const mul_value7 = 0.041666666666666664 * add_value31;
      const mul_value8 = 0.041666666666666664 * add_value32;
      const mul_value9 = 0.041666666666666664 * add_value33;
      const mul_value10 = 0.041666666666666664 * add_value34;
      const mul_value11 = 0.041666666666666664 * add_value35;
      const mul_value12 = 0.041666666666666664 * add_value36;
      const value = (lt_value ? 0 : mul_value + mul_value) * 1.1111111111111112;
      const value2 = (lt_value2 ? 0 : mul_value2 + mul_value2) * 1.1111111111111112;
      const value3 = (lt_value3 ? 0 : mul_value3 + mul_value3) * 1.1111111111111112;
      const value4 = (lt_value4 ? 0 : mul_value4 + mul_value4) * 1.1111111111111112;
      const value5 = (lt_value5 ? 0 : mul_value5 + mul_value5) * 1.1111111111111112;
      const value6 = (lt_value6 ? 0 : mul_value6 + mul_value6) * 1.1111111111111112;
      const value7 = (lt_value7 ? 0 : mul_value7 + mul_value7) * 1.1111111111111112;
      const value8 = (lt_value8 ? 0 : mul_value8 + mul_value8) * 1.1111111111111112;
      const value9 = (lt_value9 ? 0 : mul_value9 + mul_value9) * 1.1111111111111112;
      const value10 = (lt_value10 ? 0 : mul_value10 + mul_value10) * 1.1111111111111112;
      const value11 = (lt_value11 ? 0 : mul_value11 + mul_value11) * 1.1111111111111112;
      const value12 = (lt_value12 ? 0 : mul_value12 + mul_value12) * 1.1111111111111112;
      f32[out_row + j] = add_value;
      f32[out_row + j + 1] = add_value2;
      f32[out_row + j + 2] = add_value3;
      f32[out_row2 + j] = add_value4;
      f32[out_row2 + j + 1] = add_value5;
      f32[out_row2 + j + 2] = add_value6;
      f32[out_row3 + j] = add_value7;
      f32[out_row3 + j + 1] = add_value8;
      f32[out_row3 + j + 2] = add_value9;
      f32[out_row4 + j] = add_value10;
      f32[out_row4 + j + 1] = add_value11;
      f32[out_row4 + j + 2] = add_value12;
      f32[out_2_row + j] = add_value13;
      f32[out_2_row + j + 1] = add_value14;
      f32[out_2_row + j + 2] = add_value15;
      f32[out_2_row2 + j] = add_value16;
      f32[out_2_row2 + j + 1] = add_value17;
      f32[out_2_row2 + j + 2] = add_value18;
      f32[out_2_row3 + j] = add_value19;
      f32[out_2_row3 + j + 1] = add_value20;
      f32[out_2_row3 + j + 2] = add_value21;
      f32[out_2_row4 + j] = add_value22;
      f32[out_2_row4 + j + 1] = add_value23;
      f32[out_2_row4 + j + 2] = add_value24;
      f32[out_3_row + j] = add_value25;
      f32[out_3_row + j + 1] = add_value26;
      f32[out_3_row + j + 2] = add_value27;
      f32[out_3_row2 + j] = add_value28;
      f32[out_3_row2 + j + 1] = add_value29;
      f32[out_3_row2 + j + 2] = add_value30;
      f32[out_3_row3 + j] = add_value31;
      f32[out_3_row3 + j + 1] = add_value32;
      f32[out_3_row3 + j + 2] = add_value33;
      f32[out_3_row4 + j] = add_value34;
      f32[out_3_row4 + j + 1] = add_value35;
      f32[out_3_row4 + j + 2] = add_value36;
      f32[out_4_row + j] = value;
      f32[out_4_row + j + 1] = value2;
      f32[out_4_row + j + 2] = value3;
      f32[out_4_row2 + j] = value4;
      f32[out_4_row2 + j + 1] = value5;
      f32[out_4_row2 + j + 2] = value6;
      f32[out_4_row3 + j] = value7;
      f32[out_4_row3 + j + 1] = value8;
      f32[out_4_row3 + j + 2] = value9;
      f32[out_4_row4 + j] = value10;
      f32[out_4_row4 + j + 1] = value11;
      f32[out_4_row4 + j + 2] = value12;
    }
  }
}

/** source.model:4  y = x + (x |> layer_norm |> linear(6) |> gelu |> dropout(0.1)) */
function add_backward(gradient: number, x: number, x_2: number, out: number): void {
  for (let i = 0; i < 4; i++) {
    const gradient_row = gradient + i * 6;
    const x_row = x + i * 6;
    const x_2_row = x_2 + i * 6;
    const out_row = out + i * 6;
    for (let j = 0; j < 6; j++) {
      const gradient_value = f32[gradient_row + j];
      const x_value = f32[x_row + j];
      const mul_value = x_value * 0.7071067811865475;
      f32[out_row + j] = gradient_value * (0.5 * x_value) * (1.1283791670955126 * Math.exp(-(mul_value * mul_value))) * 0.7071067811865475 + gradient_value * f32[x_2_row + j] * 0.5;
    }
  }
}

/** source.model:4  y = x + (x |> layer_norm |> linear(6) |> gelu |> dropout(0.1)) */
function linear_backward(gradient: number, x: number, out: number): void {
  for (let i = 0; i < 6; i += 3) {
    const gradient_row = gradient + i;
    const gradient_row2 = gradient + i + 1;
    const gradient_row3 = gradient + i + 2;
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
      const x_row = x + j;
      const x_row2 = x + j + 1;
      const x_row3 = x + j + 2;
      for (let k = 0; k < 4; k++) {
        const gradient_value = f32[gradient_row + k * 6];
        const x_value = f32[x_row + k * 6];
        const x_value2 = f32[x_row2 + k * 6];
        const x_value3 = f32[x_row3 + k * 6];
        const gradient_value2 = f32[gradient_row2 + k * 6];
        const gradient_value3 = f32[gradient_row3 + k * 6];
        sum += gradient_value * x_value;
        sum2 += gradient_value * x_value2;
        sum3 += gradient_value * x_value3;
        sum4 += gradient_value2 * x_value;
        sum5 += gradient_value2 * x_value2;
        sum6 += gradient_value2 * x_value3;
        sum7 += gradient_value3 * x_value;
        sum8 += gradient_value3 * x_value2;
        sum9 += gradient_value3 * x_value3;
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

/** source.model:5  loss = mean(y * y) */
function contract_forward(x: number, out: number): void {
  let sum = 0;
  for (let i = 0; i < 4; i++) {
    const x_row = x + i * 6;
    for (let j = 0; j < 6; j++) {
      const x_value = f32[x_row + j];
      sum += x_value * x_value;
    }
  }
  f32[out] = sum * 0.041666666666666664;
}

/** source.model:4  y = x + (x |> layer_norm |> linear(6) |> gelu |> dropout(0.1)) */
function linear_backward_2(gradient: number, out: number): void {
  for (let i = 0; i < 6; i += 3) {
    let sum = 0;
    let sum2 = 0;
    let sum3 = 0;
    const gradient_row = gradient + i;
    const gradient_row2 = gradient + i + 1;
    const gradient_row3 = gradient + i + 2;
    for (let j = 0; j < 4; j++) {
      sum += f32[gradient_row + j * 6];
      sum2 += f32[gradient_row2 + j * 6];
      sum3 += f32[gradient_row3 + j * 6];
    }
    f32[out + i] = sum;
    f32[out + i + 1] = sum2;
    f32[out + i + 2] = sum3;
  }
}

/** source.model:4  y = x + (x |> layer_norm |> linear(6) |> gelu |> dropout(0.1)) */
function linear_backward_3(gradient: number, weight: number, out: number): void {
  for (let i = 0; i < 4; i += 4) {
    const gradient_row = gradient + i * 6;
    const gradient_row2 = gradient + i * 6 + 6;
    const gradient_row3 = gradient + i * 6 + 12;
    const gradient_row4 = gradient + i * 6 + 18;
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
      const weight_row = weight + j;
      const weight_row2 = weight + j + 1;
      const weight_row3 = weight + j + 2;
      for (let k = 0; k < 6; k++) {
        const gradient_value = f32[gradient_row + k];
        const weight_value = f32[weight_row + k * 6];
        const weight_value2 = f32[weight_row2 + k * 6];
        const weight_value3 = f32[weight_row3 + k * 6];
        const gradient_value2 = f32[gradient_row2 + k];
        const gradient_value3 = f32[gradient_row3 + k];
        const gradient_value4 = f32[gradient_row4 + k];
        sum += gradient_value * weight_value;
        sum2 += gradient_value * weight_value2;
        sum3 += gradient_value * weight_value3;
        sum4 += gradient_value2 * weight_value;
        sum5 += gradient_value2 * weight_value2;
        sum6 += gradient_value2 * weight_value3;
        sum7 += gradient_value3 * weight_value;
        sum8 += gradient_value3 * weight_value2;
        sum9 += gradient_value3 * weight_value3;
        sum10 += gradient_value4 * weight_value;
        sum11 += gradient_value4 * weight_value2;
        sum12 += gradient_value4 * weight_value3;
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

/** source.model:4  y = x + (x |> layer_norm |> linear(6) |> gelu |> dropout(0.1)) */
function layer_norm_backward(gradient: number, x: number, out: number): void {
  for (let i = 0; i < 6; i++) {
    let sum = 0;
    const gradient_row = gradient + i;
    const x_row = x + i;
    for (let j = 0; j < 4; j++) {
      sum += f32[gradient_row + j * 6] * f32[x_row + j * 6];
    }
    f32[out + i] = sum;
  }
}

/** source.model:11  optimizer rmsprop(lr: 0.01) */
function update(optimizer_square_mean: number, gradient: number, parameters: number, scalar: number, out: number, out_2: number): void {
  const scalar_value = f32[scalar];
  for (let i = 0; i < 54; i++) {
    const gradient_value = f32[gradient + i];
    const add_value = 0.99 * f32[optimizer_square_mean + i] + 0.010000000000000009 * gradient_value * gradient_value;
    const value = f32[parameters + i] - scalar_value * (gradient_value / (Math.sqrt(add_value) + 1e-8));
    f32[out + i] = add_value;
    f32[out_2 + i] = value;
  }
}

/** Written by the compiler: nothing in the model names it. */
function update_2(gradients: number, out: number): void {
  let sum = 0;
  for (let i = 0; i < 54; i++) {
    const gradients_value = f32[gradients + i];
    sum += gradients_value * gradients_value;
  }
  f32[out] = Math.sqrt(sum);
}

/** source.model:4  y = x + (x |> layer_norm |> linear(6) |> gelu |> dropout(0.1)) */
function layer_norm_forward_2(x: number, weight: number, bias: number, out: number): void {
  for (let i = 0; i < 4; i++) {
    let sum = 0;
    const x_row = x + i * 6;
    for (let j = 0; j < 6; j++) {
      sum += f32[x_row + j];
    }
    let sum2 = 0;
    const mul_value = sum * 0.16666666666666666;
    for (let j = 0; j < 6; j++) {
      const sub_value = f32[x_row + j] - mul_value;
      sum2 += sub_value * sub_value;
    }
    const sqrt_value = Math.sqrt(sum2 * 0.16666666666666666 + 0.00001);
    const out_row = out + i * 6;
    for (let j = 0; j < 6; j++) {
      f32[out_row + j] = (f32[x_row + j] - mul_value) / sqrt_value * f32[weight + j] + f32[bias + j];
    }
  }
}

/** source.model:4  y = x + (x |> layer_norm |> linear(6) |> gelu |> dropout(0.1)) */
function linear_forward_2(x: number, weight: number, x_2: number, bias: number, out: number): void {
  for (let i = 0; i < 4; i += 4) {
    const x_row = x + i * 6;
    const x_row2 = x + i * 6 + 6;
    const x_row3 = x + i * 6 + 12;
    const x_row4 = x + i * 6 + 18;
    const x_2_row = x_2 + i * 6;
    const x_2_row2 = x_2 + i * 6 + 6;
    const x_2_row3 = x_2 + i * 6 + 12;
    const x_2_row4 = x_2 + i * 6 + 18;
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
      const weight_row = weight + j * 6;
      const weight_row2 = weight + j * 6 + 6;
      const weight_row3 = weight + j * 6 + 12;
      for (let k = 0; k < 6; k++) {
        const x_value = f32[x_row + k];
        const weight_value = f32[weight_row + k];
        const weight_value2 = f32[weight_row2 + k];
        const weight_value3 = f32[weight_row3 + k];
        const x_value2 = f32[x_row2 + k];
        const x_value3 = f32[x_row3 + k];
        const x_value4 = f32[x_row4 + k];
        sum += x_value * weight_value;
        sum2 += x_value * weight_value2;
        sum3 += x_value * weight_value3;
        sum4 += x_value2 * weight_value;
        sum5 += x_value2 * weight_value2;
        sum6 += x_value2 * weight_value3;
        sum7 += x_value3 * weight_value;
        sum8 += x_value3 * weight_value2;
        sum9 += x_value3 * weight_value3;
        sum10 += x_value4 * weight_value;
        sum11 += x_value4 * weight_value2;
        sum12 += x_value4 * weight_value3;
      }
      const bias_value = f32[bias + j];
      const add_value = sum + bias_value;
      const bias_value2 = f32[bias + j + 1];
      const add_value2 = sum2 + bias_value2;
      const bias_value3 = f32[bias + j + 2];
      const add_value3 = sum3 + bias_value3;
      const add_value4 = sum4 + bias_value;
      const add_value5 = sum5 + bias_value2;
      const add_value6 = sum6 + bias_value3;
      const add_value7 = sum7 + bias_value;
      const add_value8 = sum8 + bias_value2;
      const add_value9 = sum9 + bias_value3;
      const add_value10 = sum10 + bias_value;
      const add_value11 = sum11 + bias_value2;
      const add_value12 = sum12 + bias_value3;
      f32[out_row + j] = f32[x_2_row + j] + 0.5 * add_value * (1 + erf(add_value * 0.7071067811865475));
      f32[out_row + j + 1] = f32[x_2_row + j + 1] + 0.5 * add_value2 * (1 + erf(add_value2 * 0.7071067811865475));
      f32[out_row + j + 2] = f32[x_2_row + j + 2] + 0.5 * add_value3 * (1 + erf(add_value3 * 0.7071067811865475));
      f32[out_row2 + j] = f32[x_2_row2 + j] + 0.5 * add_value4 * (1 + erf(add_value4 * 0.7071067811865475));
      f32[out_row2 + j + 1] = f32[x_2_row2 + j + 1] + 0.5 * add_value5 * (1 + erf(add_value5 * 0.7071067811865475));
      f32[out_row2 + j + 2] = f32[x_2_row2 + j + 2] + 0.5 * add_value6 * (1 + erf(add_value6 * 0.7071067811865475));
      f32[out_row3 + j] = f32[x_2_row3 + j] + 0.5 * add_value7 * (1 + erf(add_value7 * 0.7071067811865475));
      f32[out_row3 + j + 1] = f32[x_2_row3 + j + 1] + 0.5 * add_value8 * (1 + erf(add_value8 * 0.7071067811865475));
      f32[out_row3 + j + 2] = f32[x_2_row3 + j + 2] + 0.5 * add_value9 * (1 + erf(add_value9 * 0.7071067811865475));
      f32[out_row4 + j] = f32[x_2_row4 + j] + 0.5 * add_value10 * (1 + erf(add_value10 * 0.7071067811865475));
      f32[out_row4 + j + 1] = f32[x_2_row4 + j + 1] + 0.5 * add_value11 * (1 + erf(add_value11 * 0.7071067811865475));
      f32[out_row4 + j + 2] = f32[x_2_row4 + j + 2] + 0.5 * add_value12 * (1 + erf(add_value12 * 0.7071067811865475));
    }
  }
}

/** source.model:4  y = x + (x |> layer_norm |> linear(6) |> gelu |> dropout(0.1)) */
function layer_norm_forward_3(x: number, out: number, out_2: number): void {
  let sum = 0;
  for (let i = 0; i < 6; i++) {
    sum += f32[x + i];
  }
  f32[out] = sum * 0.16666666666666666;
  let sum2 = 0;
  const mul_value = sum * 0.16666666666666666;
  for (let i = 0; i < 6; i++) {
    const sub_value = f32[x + i] - mul_value;
    sum2 += sub_value * sub_value;
  }
  f32[out_2] = Math.sqrt(sum2 * 0.16666666666666666 + 0.00001);
}

/** source.model:4  y = x + (x |> layer_norm |> linear(6) |> gelu |> dropout(0.1)) */
function layer_norm_forward_4(x: number, x_2: number, x_3: number, weight: number, bias: number, out: number): void {
  const x_2_value = f32[x_2];
  const x_3_value = f32[x_3];
  for (let i = 0; i < 6; i++) {
    f32[out + i] = (f32[x + i] - x_2_value) / x_3_value * f32[weight + i] + f32[bias + i];
  }
}

/** source.model:4  y = x + (x |> layer_norm |> linear(6) |> gelu |> dropout(0.1)) */
function linear_forward_3(x: number, weight: number, x_2: number, bias: number, out: number): void {
  for (let i = 0; i < 6; i += 3) {
    let sum = 0;
    let sum2 = 0;
    let sum3 = 0;
    const weight_row = weight + i * 6;
    const weight_row2 = weight + i * 6 + 6;
    const weight_row3 = weight + i * 6 + 12;
    for (let j = 0; j < 6; j++) {
      const x_value = f32[x + j];
      sum += x_value * f32[weight_row + j];
      sum2 += x_value * f32[weight_row2 + j];
      sum3 += x_value * f32[weight_row3 + j];
    }
    const add_value = sum + f32[bias + i];
    const add_value2 = sum2 + f32[bias + i + 1];
    const add_value3 = sum3 + f32[bias + i + 2];
    f32[out + i] = f32[x_2 + i] + 0.5 * add_value * (1 + erf(add_value * 0.7071067811865475));
    f32[out + i + 1] = f32[x_2 + i + 1] + 0.5 * add_value2 * (1 + erf(add_value2 * 0.7071067811865475));
    f32[out + i + 2] = f32[x_2 + i + 2] + 0.5 * add_value3 * (1 + erf(add_value3 * 0.7071067811865475));
  }
}

/** source.model:5  loss = mean(y * y) */
function contract_forward_2(x: number, out: number): void {
  let sum = 0;
  for (let i = 0; i < 6; i++) {
    const x_value = f32[x + i];
    sum += x_value * x_value;
  }
  f32[out] = sum * 0.16666666666666666;
}

// ── Entries: what is called in which order ──────────────────────────────────────────────────────────────────────────────

function initialiseEntry(): void {
  initialise(at_parameters);
  initialise_2(at_parameters + 6);
  initialise_3(at_seed, at_parameters + 12);
  initialise_4(at_seed, at_parameters + 48);
  initialise_5(at_optimizer_square_mean);
}

function trainEntry(): void {
  scalars(at_learning_rate_factor, at_mul_update);
  layer_norm_forward(at_x, at_parameters, at_parameters + 6, at_layer_norm_div, at_layer_norm_add);
  linear_forward(at_layer_norm_add, at_parameters + 12, at_parameters + 48, at_x, at_seed, at_step, at_linear_add, at_add, at_add_2, at_dropout_mul_backward);
  add_backward(at_dropout_mul_backward, at_linear_add, at_add, at_dropout_mul_backward);
  linear_backward(at_dropout_mul_backward, at_layer_norm_add, at_gradients + 12);
  contract_forward(at_add_2, at_mul);
  linear_backward_2(at_dropout_mul_backward, at_gradients + 48);
  linear_backward_3(at_dropout_mul_backward, at_parameters + 12, at_linear_contract_backward);
  layer_norm_backward(at_linear_contract_backward, at_layer_norm_div, at_gradients);
  linear_backward_2(at_linear_contract_backward, at_gradients + 6);
  update(at_optimizer_square_mean, at_gradients, at_parameters, at_mul_update, at_optimizer_square_mean, at_parameters);
}

function gradientNormEntry(): void {
  update_2(at_gradients, at_sqrt_update);
}

function evaluateEntry(): void {
  layer_norm_forward_2(at_x, at_parameters, at_parameters + 6, at_layer_norm_add_2);
  linear_forward_2(at_layer_norm_add_2, at_parameters + 12, at_x, at_parameters + 48, at_add_3);
  contract_forward(at_add_3, at_mul_2);
}

function predictEntry(): void {
  layer_norm_forward_2(at_x, at_parameters, at_parameters + 6, at_layer_norm_add_3);
  linear_forward_2(at_layer_norm_add_3, at_parameters + 12, at_x, at_parameters + 48, at_add_4);
}

function evaluateRowEntry(): void {
  layer_norm_forward_3(at_x, at_layer_norm_mul, at_layer_norm_sqrt);
  layer_norm_forward_4(at_x, at_layer_norm_mul, at_layer_norm_sqrt, at_parameters, at_parameters + 6, at_layer_norm_add_4);
  linear_forward_3(at_layer_norm_add_4, at_parameters + 12, at_x, at_parameters + 48, at_add_5);
  contract_forward_2(at_add_5, at_mul_3);
}

function predictRowEntry(): void {
  layer_norm_forward_3(at_x, at_layer_norm_mul_2, at_layer_norm_sqrt_2);
  layer_norm_forward_4(at_x, at_layer_norm_mul_2, at_layer_norm_sqrt_2, at_parameters, at_parameters + 6, at_layer_norm_add_5);
  linear_forward_3(at_layer_norm_add_5, at_parameters + 12, at_x, at_parameters + 48, at_add_6);
}

// ── The program ─────────────────────────────────────────────────────────────────────────────────────────────────────────
const program: CompiledProgram = {
  name: "layernorm",
  source: '4f090af4c7c2f04e66dfc7828f177aa2',
  memory,
  device: null,
  threads: null,
  batched: true,
  inputs: [
    { name: "x", dtype: 'f32', shape: [4, 6], offset: 768, below: null },
  ],
  parameters: [
    { name: "layer_norm.weight", dtype: 'f32', shape: [6], offset: 0 },
    { name: "layer_norm.bias", dtype: 'f32', shape: [6], offset: 24 },
    { name: "linear.weight", dtype: 'f32', shape: [6, 6], offset: 48 },
    { name: "linear.bias", dtype: 'f32', shape: [6], offset: 192 },
  ],
  states: [
    { name: "optimizer.square_mean.layer_norm.weight", dtype: 'f32', shape: [6], offset: 512 },
    { name: "optimizer.square_mean.layer_norm.bias", dtype: 'f32', shape: [6], offset: 536 },
    { name: "optimizer.square_mean.linear.weight", dtype: 'f32', shape: [6, 6], offset: 560 },
    { name: "optimizer.square_mean.linear.bias", dtype: 'f32', shape: [6], offset: 704 },
  ],
  scalars: { seed: 896, step: 960, steps: 1920, learningRateFactor: 1024 },
  stages: [{
    name: "LayerNorm",
    model: "LayerNorm",
    batched: true,
    inputs: ["x"],
    gradients: [
      { name: "layer_norm.weight", dtype: 'f32', shape: [6], offset: 256 },
      { name: "layer_norm.bias", dtype: 'f32', shape: [6], offset: 280 },
      { name: "linear.weight", dtype: 'f32', shape: [6, 6], offset: 304 },
      { name: "linear.bias", dtype: 'f32', shape: [6], offset: 448 },
    ],
    initialise: initialiseEntry,
    accumulate: null,
    train: {
      run: trainEntry,
      number: 1,
      inputs: ["x"],
      results: [
        { name: "loss", dtype: 'f32', shape: [], offset: 1344 },
        { name: "lr", dtype: 'f32', shape: [], offset: 1856 },
      ],
      rows: 4,
    },
    gradientNorm: {
      run: gradientNormEntry,
      number: 2,
      inputs: [],
      results: [
        { name: "grad_norm", dtype: 'f32', shape: [], offset: 1088 },
      ],
      rows: 4,
    },
    evaluate: {
      run: evaluateEntry,
      number: 3,
      inputs: ["x"],
      results: [
        { name: "loss", dtype: 'f32', shape: [], offset: 1088 },
      ],
      rows: 4,
    },
    evaluateRow: {
      run: evaluateRowEntry,
      number: 5,
      inputs: ["x"],
      results: [
        { name: "loss", dtype: 'f32', shape: [], offset: 1088 },
      ],
      rows: 1,
    },
    predict: {
      run: predictEntry,
      number: 4,
      inputs: ["x"],
      results: [
        { name: "y", dtype: 'f32', shape: [4, 6], offset: 1216 },
      ],
      rows: 4,
    },
    predictRow: {
      run: predictRowEntry,
      number: 6,
      inputs: ["x"],
      results: [
        { name: "y", dtype: 'f32', shape: [1, 6], offset: 1152 },
      ],
      rows: 1,
    },
    predictOnce: null,
    generator: null,
    settings: {"epochs":null,"steps":null,"seed":0,"clipNorm":null,"accumulate":1,"ema":null,"precision":"f32","memory":null,"evaluateEvery":null,"checkpointEvery":null,"checkpointKeep":1,"earlyStop":null},
    flopsPerStep: 3248,
  }],
  data: null,
  readers: {},
  synthetic: null,
  tokenizers: [],
  pictures: null,
};

// ── Interface ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Any number of rows at once, one after the other in each array; `x`: 6 a row. */
export async function predict(rows: { x: Float32Array }): Promise<{ y: Float32Array }> {
  return await predictRows(program, program.stages.at(-1)!, rows) as { y: Float32Array };
}

/** Trains as the `train` block says, from new parameters; options replace its settings. */
export async function train(options: TrainOptions<{ x: Float32Array }> = {}): Promise<TrainReport> {
  return trainModel(program, options);
}

/** Loss and metrics over the given rows. */
export async function evaluate(rows: { x: Float32Array }): Promise<Results> {
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

