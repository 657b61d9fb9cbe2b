/**
 * source
 *
 * Written by nabla from source.model (sha256 dc275003bdfabcfd…). Start it to train: `node <this file>`, `--help` for more.
 * Auto: batch 8; 1,490 floating-point operations a step.
 * Classes: batch 4; 504 floating-point operations a step.
 * again: batch 8; 1,062 floating-point operations a step.
 * 1,600 bytes of memory in all, none allocated while training.
 * 41 parameters:
 *   Auto.encoder.weight    f32[2, 6]
 *   Auto.encoder.bias      f32[2]
 *   Auto.decoder.weight    f32[6, 2]
 *   Auto.decoder.bias      f32[6]
 *   Classes.linear.weight  f32[3, 2]
 *   Classes.linear.bias    f32[3]
 */

import { accessSync, closeSync, constants, copyFileSync, existsSync, fstatSync, fsyncSync, openSync, readFileSync, readSync, readdirSync, realpathSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { deflateRawSync, deflateSync, gunzipSync } from 'node:zlib';

// ── Memory ──────────────────────────────────────────────────────────────────────────────────────────────────────────────
const memory = new ArrayBuffer(1600);
const f32 = new Float32Array(memory);
const i32 = new Int32Array(memory);

// Where each buffer begins, counted in its own elements. Buffers that are never needed at once share places.
const at_parameters_0 = 0; // parameter
const at_gradients_0 = 16; // state
const at_parameters_1 = 32; // parameter
const at_gradients_1 = 64; // state
const at_parameters_2 = 96; // parameter
const at_gradients_2 = 112; // state
const at_x = 128; // input
const at_class = 176; // input
const at_seed = 192; // scalar
const at_learning_rate_factor = 208; // scalar
const at_mul_update = 336;
const at_Auto_encoder_add = 320;
const at_Auto_sub = 224;
const at_Auto_add_backward = 272;
const at_Auto_mul = 352;
const at_Auto_decoder_contract_backward = 224;
const at_contract_update = 224;
const at_sqrt_update = 240;
const at_Auto_encoder_add_2 = 272;
const at_Auto_sub_2 = 224;
const at_Auto_mul_2 = 272;
const at_Auto_encoder_add_3 = 224;
const at_Auto_encoder_add_4 = 240;
const at_Auto_sub_3 = 224;
const at_Auto_mul_3 = 240;
const at_Auto_encoder_add_5 = 224;
const at_mul_update_2 = 320;
const at_Auto_encoder_add_6 = 288;
const at_Classes_linear_contract = 224;
const at_Classes_exp = 240;
const at_Classes_sub = 256;
const at_Classes_contract = 304;
const at_Classes_add_backward = 272;
const at_Classes_mul = 224;
const at_sqrt_update_2 = 224;
const at_Auto_encoder_contract = 240;
const at_Classes_linear_contract_2 = 224;
const at_Classes_sub_2 = 240;
const at_Classes_contract_2 = 256;
const at_Classes_mul_2 = 224;
const at_Auto_encoder_contract_2 = 240;
const at_Classes_linear_contract_3 = 224;
const at_Classes_exp_2 = 240;
const at_Classes_div = 256;
const at_Auto_encoder_contract_3 = 240;
const at_Classes_linear_contract_4 = 224;
const at_Classes_contract_3 = 240;
const at_Auto_encoder_contract_4 = 240;
const at_Classes_linear_contract_5 = 224;
const at_Classes_max = 256;
const at_Classes_exp_3 = 240;
const at_Classes_contract_4 = 256;
const at_Classes_div_2 = 224;
const at_mul_update_3 = 336;
const at_Auto_encoder_add_7 = 320;
const at_Auto_sub_4 = 224;
const at_Auto_add_backward_2 = 272;
const at_Auto_mul_4 = 352;
const at_sqrt_update_3 = 224;
const at_Auto_encoder_add_8 = 272;
const at_Auto_sub_5 = 224;
const at_Auto_mul_5 = 272;
const at_Auto_encoder_add_9 = 224;
const at_Auto_encoder_add_10 = 240;
const at_Auto_sub_6 = 224;
const at_Auto_mul_6 = 240;
const at_Auto_encoder_add_11 = 224;

// ── Kernels ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** source.model:6  code    = encoder(x) */
function initialise(seed: number, out: number): void {
  const seed_value = i32[seed];
  for (let i = 0; i < 2; i++) {
    const out_row = out + i * 6;
    for (let j = 0; j < 6; j++) {
      f32[out_row + j] = -0.4082482904638631 + 0.8164965809277261 * random(seed_value, -730383038, 0, i * 6 + j);
    }
  }
}

/** source.model:6  code    = encoder(x) */
function initialise_2(seed: number, out: number): void {
  const seed_value = i32[seed];
  for (let i = 0; i < 2; i++) {
    f32[out + i] = -0.4082482904638631 + 0.8164965809277261 * random(seed_value, 783664543, 0, i);
  }
}

/** source.model:7  loss    = mse(decoder(code), x) */
function initialise_3(seed: number, out: number): void {
  const seed_value = i32[seed];
  for (let i = 0; i < 6; i++) {
    const out_row = out + i * 2;
    for (let j = 0; j < 2; j++) {
      f32[out_row + j] = -0.7071067811865475 + 1.414213562373095 * random(seed_value, -1120474822, 0, i * 2 + j);
    }
  }
}

/** source.model:7  loss    = mse(decoder(code), x) */
function initialise_4(seed: number, out: number): void {
  const seed_value = i32[seed];
  for (let i = 0; i < 6; i++) {
    f32[out + i] = -0.7071067811865475 + 1.414213562373095 * random(seed_value, -250137753, 0, i);
  }
}

/** source.model:23  optimizer sgd(lr: 0.1) */
function scalars(learning_rate_factor: number, out: number): void {
  f32[out] = 0.1 * f32[learning_rate_factor];
}

/** source.model:6  code    = encoder(x) */
function encoder_forward(x: number, weight: number, bias: number, out: number): void {
  for (let i = 0; i < 8; i += 4) {
    const x_row = x + i * 6;
    const x_row2 = x + i * 6 + 6;
    const x_row3 = x + i * 6 + 12;
    const x_row4 = x + i * 6 + 18;
    const out_row = out + i * 2;
    const out_row2 = out + i * 2 + 2;
    const out_row3 = out + i * 2 + 4;
    const out_row4 = out + i * 2 + 6;
    for (let j = 0; j < 2; j += 2) {
      let sum = 0;
      let sum2 = 0;
      let sum3 = 0;
      let sum4 = 0;
      let sum5 = 0;
      let sum6 = 0;
      let sum7 = 0;
      let sum8 = 0;
      const weight_row = weight + j * 6;
      const weight_row2 = weight + j * 6 + 6;
      for (let k = 0; k < 6; k++) {
        const x_value = f32[x_row + k];
        const weight_value = f32[weight_row + k];
        const weight_value2 = f32[weight_row2 + k];
        const x_value2 = f32[x_row2 + k];
        const x_value3 = f32[x_row3 + k];
        const x_value4 = f32[x_row4 + k];
        sum += x_value * weight_value;
        sum2 += x_value * weight_value2;
        sum3 += x_value2 * weight_value;
        sum4 += x_value2 * weight_value2;
        sum5 += x_value3 * weight_value;
        sum6 += x_value3 * weight_value2;
        sum7 += x_value4 * weight_value;
        sum8 += x_value4 * weight_value2;
      }
      const bias_value = f32[bias + j];
      const bias_value2 = f32[bias + j + 1];
      f32[out_row + j] = sum + bias_value;
      f32[out_row + j + 1] = sum2 + bias_value2;
      f32[out_row2 + j] = sum3 + bias_value;
      f32[out_row2 + j + 1] = sum4 + bias_value2;
      f32[out_row3 + j] = sum5 + bias_value;
      f32[out_row3 + j + 1] = sum6 + bias_value2;
      f32[out_row4 + j] = sum7 + bias_value;
      f32[out_row4 + j + 1] = sum8 + bias_value2;
    }
  }
}

/** source.model:7  loss    = mse(decoder(code), x) */
function decoder_forward(x: number, weight: number, bias: number, x_2: number, out: number, out_2: number): void {
  for (let i = 0; i < 8; i += 4) {
    const x_row = x + i * 2;
    const x_row2 = x + i * 2 + 2;
    const x_row3 = x + i * 2 + 4;
    const x_row4 = x + i * 2 + 6;
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
      const weight_row = weight + j * 2;
      const weight_row2 = weight + j * 2 + 2;
      const weight_row3 = weight + j * 2 + 4;
      for (let k = 0; k < 2; k++) {
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
      const sub_value = sum + bias_value - f32[x_2_row + j];
      const bias_value2 = f32[bias + j + 1];
      const sub_value2 = sum2 + bias_value2 - f32[x_2_row + j + 1];
      const bias_value3 = f32[bias + j + 2];
      const sub_value3 = sum3 + bias_value3 - f32[x_2_row + j + 2];
      const sub_value4 = sum4 + bias_value - f32[x_2_row2 + j];
      const sub_value5 = sum5 + bias_value2 - f32[x_2_row2 + j + 1];
      const sub_value6 = sum6 + bias_value3 - f32[x_2_row2 + j + 2];
      const sub_value7 = sum7 + bias_value - f32[x_2_row3 + j];
      const sub_value8 = sum8 + bias_value2 - f32[x_2_row3 + j + 1];
      const sub_value9 = sum9 + bias_value3 - f32[x_2_row3 + j + 2];
      const sub_value10 = sum10 + bias_value - f32[x_2_row4 + j];
      const sub_value11 = sum11 + bias_value2 - f32[x_2_row4 + j + 1];
      const sub_value12 = sum12 + bias_value3 - f32[x_2_row4 + j + 2];
      const mul_value = 0.020833333333333332 * sub_value;
      const mul_value2 = 0.020833333333333332 * sub_value2;
      const mul_value3 = 0.020833333333333332 * sub_value3;
      const mul_value4 = 0.020833333333333332 * sub_value4;
      const mul_value5 = 0.020833333333333332 * sub_value5;
      const mul_value6 = 0.020833333333333332 * sub_value6;
      const mul_value7 = 0.020833333333333332 * sub_value7;
      const mul_value8 = 0.020833333333333332 * sub_value8;
      const mul_value9 = 0.020833333333333332 * sub_value9;
      const mul_value10 = 0.020833333333333332 * sub_value10;
      const mul_value11 = 0.020833333333333332 * sub_value11;
      const mul_value12 = 0.020833333333333332 * sub_value12;
      const value = mul_value + mul_value;
      const value2 = mul_value2 + mul_value2;
      const value3 = mul_value3 + mul_value3;
      const value4 = mul_value4 + mul_value4;
      const value5 = mul_value5 + mul_value5;
      const value6 = mul_value6 + mul_value6;
      const value7 = mul_value7 + mul_value7;
      const value8 = mul_value8 + mul_value8;
      const value9 = mul_value9 + mul_value9;
      const value10 = mul_value10 + mul_value10;
      const value11 = mul_value11 + mul_value11;
      const value12 = mul_value12 + mul_value12;
      f32[out_row + j] = sub_value;
      f32[out_row + j + 1] = sub_value2;
      f32[out_row + j + 2] = sub_value3;
      f32[out_row2 + j] = sub_value4;
      f32[out_row2 + j + 1] = sub_value5;
      f32[out_row2 + j + 2] = sub_value6;
      f32[out_row3 + j] = sub_value7;
      f32[out_row3 + j + 1] = sub_value8;
      f32[out_row3 + j + 2] = sub_value9;
      f32[out_row4 + j] = sub_value10;
      f32[out_row4 + j + 1] = sub_value11;
      f32[out_row4 + j + 2] = sub_value12;
      f32[out_2_row + j] = value;
      f32[out_2_row + j + 1] = value2;
      f32[out_2_row + j + 2] = value3;
      f32[out_2_row2 + j] = value4;
      f32[out_2_row2 + j + 1] = value5;
      f32[out_2_row2 + j + 2] = value6;
      f32[out_2_row3 + j] = value7;
      f32[out_2_row3 + j + 1] = value8;
      f32[out_2_row3 + j + 2] = value9;
      f32[out_2_row4 + j] = value10;
      f32[out_2_row4 + j + 1] = value11;
      f32[out_2_row4 + j + 2] = value12;
    }
  }
}

/** source.model:7  loss    = mse(decoder(code), x) */
function Auto_forward(x: number, out: number): void {
  let sum = 0;
  for (let i = 0; i < 8; i++) {
    const x_row = x + i * 6;
    for (let j = 0; j < 6; j++) {
      const x_value = f32[x_row + j];
      sum += x_value * x_value;
    }
  }
  f32[out] = sum * 0.020833333333333332;
}

/** source.model:7  loss    = mse(decoder(code), x) */
function decoder_backward(gradient: number, x: number, out: number): void {
  for (let i = 0; i < 6; i += 3) {
    const gradient_row = gradient + i;
    const gradient_row2 = gradient + i + 1;
    const gradient_row3 = gradient + i + 2;
    const out_row = out + i * 2;
    const out_row2 = out + i * 2 + 2;
    const out_row3 = out + i * 2 + 4;
    for (let j = 0; j < 2; j += 2) {
      let sum = 0;
      let sum2 = 0;
      let sum3 = 0;
      let sum4 = 0;
      let sum5 = 0;
      let sum6 = 0;
      const x_row = x + j;
      const x_row2 = x + j + 1;
      for (let k = 0; k < 8; k++) {
        const gradient_value = f32[gradient_row + k * 6];
        const x_value = f32[x_row + k * 2];
        const x_value2 = f32[x_row2 + k * 2];
        const gradient_value2 = f32[gradient_row2 + k * 6];
        const gradient_value3 = f32[gradient_row3 + k * 6];
        sum += gradient_value * x_value;
        sum2 += gradient_value * x_value2;
        sum3 += gradient_value2 * x_value;
        sum4 += gradient_value2 * x_value2;
        sum5 += gradient_value3 * x_value;
        sum6 += gradient_value3 * x_value2;
      }
      f32[out_row + j] = sum;
      f32[out_row + j + 1] = sum2;
      f32[out_row2 + j] = sum3;
      f32[out_row2 + j + 1] = sum4;
      f32[out_row3 + j] = sum5;
      f32[out_row3 + j + 1] = sum6;
    }
  }
}

/** source.model:7  loss    = mse(decoder(code), x) */
function decoder_backward_2(gradient: number, out: number): void {
  for (let i = 0; i < 6; i += 3) {
    let sum = 0;
    let sum2 = 0;
    let sum3 = 0;
    const gradient_row = gradient + i;
    const gradient_row2 = gradient + i + 1;
    const gradient_row3 = gradient + i + 2;
    for (let j = 0; j < 8; j++) {
      sum += f32[gradient_row + j * 6];
      sum2 += f32[gradient_row2 + j * 6];
      sum3 += f32[gradient_row3 + j * 6];
    }
    f32[out + i] = sum;
    f32[out + i + 1] = sum2;
    f32[out + i + 2] = sum3;
  }
}

/** source.model:7  loss    = mse(decoder(code), x) */
function decoder_backward_3(gradient: number, weight: number, out: number): void {
  for (let i = 0; i < 8; i += 4) {
    const gradient_row = gradient + i * 6;
    const gradient_row2 = gradient + i * 6 + 6;
    const gradient_row3 = gradient + i * 6 + 12;
    const gradient_row4 = gradient + i * 6 + 18;
    const out_row = out + i * 2;
    const out_row2 = out + i * 2 + 2;
    const out_row3 = out + i * 2 + 4;
    const out_row4 = out + i * 2 + 6;
    for (let j = 0; j < 2; j += 2) {
      let sum = 0;
      let sum2 = 0;
      let sum3 = 0;
      let sum4 = 0;
      let sum5 = 0;
      let sum6 = 0;
      let sum7 = 0;
      let sum8 = 0;
      const weight_row = weight + j;
      const weight_row2 = weight + j + 1;
      for (let k = 0; k < 6; k++) {
        const gradient_value = f32[gradient_row + k];
        const weight_value = f32[weight_row + k * 2];
        const weight_value2 = f32[weight_row2 + k * 2];
        const gradient_value2 = f32[gradient_row2 + k];
        const gradient_value3 = f32[gradient_row3 + k];
        const gradient_value4 = f32[gradient_row4 + k];
        sum += gradient_value * weight_value;
        sum2 += gradient_value * weight_value2;
        sum3 += gradient_value2 * weight_value;
        sum4 += gradient_value2 * weight_value2;
        sum5 += gradient_value3 * weight_value;
        sum6 += gradient_value3 * weight_value2;
        sum7 += gradient_value4 * weight_value;
        sum8 += gradient_value4 * weight_value2;
      }
      f32[out_row + j] = sum;
      f32[out_row + j + 1] = sum2;
      f32[out_row2 + j] = sum3;
      f32[out_row2 + j + 1] = sum4;
      f32[out_row3 + j] = sum5;
      f32[out_row3 + j + 1] = sum6;
      f32[out_row4 + j] = sum7;
      f32[out_row4 + j + 1] = sum8;
    }
  }
}

/** source.model:6  code    = encoder(x) */
function encoder_backward(gradient: number, x: number, out: number): void {
  for (let i = 0; i < 2; i += 2) {
    const gradient_row = gradient + i;
    const gradient_row2 = gradient + i + 1;
    const out_row = out + i * 6;
    const out_row2 = out + i * 6 + 6;
    for (let j = 0; j < 6; j += 3) {
      let sum = 0;
      let sum2 = 0;
      let sum3 = 0;
      let sum4 = 0;
      let sum5 = 0;
      let sum6 = 0;
      const x_row = x + j;
      const x_row2 = x + j + 1;
      const x_row3 = x + j + 2;
      for (let k = 0; k < 8; k++) {
        const gradient_value = f32[gradient_row + k * 2];
        const x_value = f32[x_row + k * 6];
        const x_value2 = f32[x_row2 + k * 6];
        const x_value3 = f32[x_row3 + k * 6];
        const gradient_value2 = f32[gradient_row2 + k * 2];
        sum += gradient_value * x_value;
        sum2 += gradient_value * x_value2;
        sum3 += gradient_value * x_value3;
        sum4 += gradient_value2 * x_value;
        sum5 += gradient_value2 * x_value2;
        sum6 += gradient_value2 * x_value3;
      }
      f32[out_row + j] = sum;
      f32[out_row + j + 1] = sum2;
      f32[out_row + j + 2] = sum3;
      f32[out_row2 + j] = sum4;
      f32[out_row2 + j + 1] = sum5;
      f32[out_row2 + j + 2] = sum6;
    }
  }
}

/** source.model:6  code    = encoder(x) */
function encoder_backward_2(gradient: number, out: number): void {
  for (let i = 0; i < 2; i += 2) {
    let sum = 0;
    let sum2 = 0;
    const gradient_row = gradient + i;
    const gradient_row2 = gradient + i + 1;
    for (let j = 0; j < 8; j++) {
      sum += f32[gradient_row + j * 2];
      sum2 += f32[gradient_row2 + j * 2];
    }
    f32[out + i] = sum;
    f32[out + i + 1] = sum2;
  }
}

/** source.model:23  optimizer sgd(lr: 0.1) */
function update(parameters_0: number, scalar: number, gradient: number, out: number): void {
  const scalar_value = f32[scalar];
  for (let i = 0; i < 14; i++) {
    f32[out + i] = f32[parameters_0 + i] - scalar_value * f32[gradient + i];
  }
}

/**
 * source.model:23  optimizer sgd(lr: 0.1)
 * source.model:37  optimizer sgd(lr: 0.01)
 */
function update_2(parameters_1: number, scalar: number, gradient: number, out: number): void {
  const scalar_value = f32[scalar];
  for (let i = 0; i < 18; i++) {
    f32[out + i] = f32[parameters_1 + i] - scalar_value * f32[gradient + i];
  }
}

/** Written by the compiler: nothing in the model names it. */
function update_3(gradients_1: number, out: number): void {
  let sum = 0;
  for (let i = 0; i < 18; i++) {
    const gradients_1_value = f32[gradients_1 + i];
    sum += gradients_1_value * gradients_1_value;
  }
  f32[out] = sum;
}

/** Written by the compiler: nothing in the model names it. */
function update_4(gradients_0: number, scalar: number, out: number): void {
  let sum = 0;
  for (let i = 0; i < 14; i++) {
    const gradients_0_value = f32[gradients_0 + i];
    sum += gradients_0_value * gradients_0_value;
  }
  f32[out] = Math.sqrt(sum + f32[scalar]);
}

/** source.model:7  loss    = mse(decoder(code), x) */
function decoder_forward_2(x: number, weight: number, bias: number, x_2: number, out: number): void {
  for (let i = 0; i < 8; i += 4) {
    const x_row = x + i * 2;
    const x_row2 = x + i * 2 + 2;
    const x_row3 = x + i * 2 + 4;
    const x_row4 = x + i * 2 + 6;
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
      const weight_row = weight + j * 2;
      const weight_row2 = weight + j * 2 + 2;
      const weight_row3 = weight + j * 2 + 4;
      for (let k = 0; k < 2; k++) {
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
      const bias_value2 = f32[bias + j + 1];
      const bias_value3 = f32[bias + j + 2];
      f32[out_row + j] = sum + bias_value - f32[x_2_row + j];
      f32[out_row + j + 1] = sum2 + bias_value2 - f32[x_2_row + j + 1];
      f32[out_row + j + 2] = sum3 + bias_value3 - f32[x_2_row + j + 2];
      f32[out_row2 + j] = sum4 + bias_value - f32[x_2_row2 + j];
      f32[out_row2 + j + 1] = sum5 + bias_value2 - f32[x_2_row2 + j + 1];
      f32[out_row2 + j + 2] = sum6 + bias_value3 - f32[x_2_row2 + j + 2];
      f32[out_row3 + j] = sum7 + bias_value - f32[x_2_row3 + j];
      f32[out_row3 + j + 1] = sum8 + bias_value2 - f32[x_2_row3 + j + 1];
      f32[out_row3 + j + 2] = sum9 + bias_value3 - f32[x_2_row3 + j + 2];
      f32[out_row4 + j] = sum10 + bias_value - f32[x_2_row4 + j];
      f32[out_row4 + j + 1] = sum11 + bias_value2 - f32[x_2_row4 + j + 1];
      f32[out_row4 + j + 2] = sum12 + bias_value3 - f32[x_2_row4 + j + 2];
    }
  }
}

/** source.model:6  code    = encoder(x) */
function encoder_forward_2(x: number, weight: number, bias: number, out: number): void {
  for (let i = 0; i < 2; i += 2) {
    let sum = 0;
    let sum2 = 0;
    const weight_row = weight + i * 6;
    const weight_row2 = weight + i * 6 + 6;
    for (let j = 0; j < 6; j++) {
      const x_value = f32[x + j];
      sum += x_value * f32[weight_row + j];
      sum2 += x_value * f32[weight_row2 + j];
    }
    f32[out + i] = sum + f32[bias + i];
    f32[out + i + 1] = sum2 + f32[bias + i + 1];
  }
}

/** source.model:7  loss    = mse(decoder(code), x) */
function decoder_forward_3(x: number, weight: number, bias: number, x_2: number, out: number): void {
  for (let i = 0; i < 6; i += 3) {
    let sum = 0;
    let sum2 = 0;
    let sum3 = 0;
    const weight_row = weight + i * 2;
    const weight_row2 = weight + i * 2 + 2;
    const weight_row3 = weight + i * 2 + 4;
    for (let j = 0; j < 2; j++) {
      const x_value = f32[x + j];
      sum += x_value * f32[weight_row + j];
      sum2 += x_value * f32[weight_row2 + j];
      sum3 += x_value * f32[weight_row3 + j];
    }
    f32[out + i] = sum + f32[bias + i] - f32[x_2 + i];
    f32[out + i + 1] = sum2 + f32[bias + i + 1] - f32[x_2 + i + 1];
    f32[out + i + 2] = sum3 + f32[bias + i + 2] - f32[x_2 + i + 2];
  }
}

/** source.model:7  loss    = mse(decoder(code), x) */
function Auto_forward_2(x: number, out: number): void {
  let sum = 0;
  for (let i = 0; i < 6; i++) {
    const x_value = f32[x + i];
    sum += x_value * x_value;
  }
  f32[out] = sum * 0.16666666666666666;
}

/** source.model:15  logits = auto(x) |> linear(3) */
function initialise_5(seed: number, out: number): void {
  const seed_value = i32[seed];
  for (let i = 0; i < 3; i++) {
    const out_row = out + i * 2;
    for (let j = 0; j < 2; j++) {
      f32[out_row + j] = -0.7071067811865475 + 1.414213562373095 * random(seed_value, 1747903080, 0, i * 2 + j);
    }
  }
}

/** source.model:15  logits = auto(x) |> linear(3) */
function initialise_6(seed: number, out: number): void {
  const seed_value = i32[seed];
  for (let i = 0; i < 3; i++) {
    f32[out + i] = -0.7071067811865475 + 1.414213562373095 * random(seed_value, 1346446365, 0, i);
  }
}

/** source.model:6  code    = encoder(x) */
function encoder_forward_3(x: number, weight: number, bias: number, out: number): void {
  for (let i = 0; i < 4; i += 4) {
    const x_row = x + i * 6;
    const x_row2 = x + i * 6 + 6;
    const x_row3 = x + i * 6 + 12;
    const x_row4 = x + i * 6 + 18;
    const out_row = out + i * 2;
    const out_row2 = out + i * 2 + 2;
    const out_row3 = out + i * 2 + 4;
    const out_row4 = out + i * 2 + 6;
    for (let j = 0; j < 2; j += 2) {
      let sum = 0;
      let sum2 = 0;
      let sum3 = 0;
      let sum4 = 0;
      let sum5 = 0;
      let sum6 = 0;
      let sum7 = 0;
      let sum8 = 0;
      const weight_row = weight + j * 6;
      const weight_row2 = weight + j * 6 + 6;
      for (let k = 0; k < 6; k++) {
        const x_value = f32[x_row + k];
        const weight_value = f32[weight_row + k];
        const weight_value2 = f32[weight_row2 + k];
        const x_value2 = f32[x_row2 + k];
        const x_value3 = f32[x_row3 + k];
        const x_value4 = f32[x_row4 + k];
        sum += x_value * weight_value;
        sum2 += x_value * weight_value2;
        sum3 += x_value2 * weight_value;
        sum4 += x_value2 * weight_value2;
        sum5 += x_value3 * weight_value;
        sum6 += x_value3 * weight_value2;
        sum7 += x_value4 * weight_value;
        sum8 += x_value4 * weight_value2;
      }
      const bias_value = f32[bias + j];
      const bias_value2 = f32[bias + j + 1];
      f32[out_row + j] = sum + bias_value;
      f32[out_row + j + 1] = sum2 + bias_value2;
      f32[out_row2 + j] = sum3 + bias_value;
      f32[out_row2 + j + 1] = sum4 + bias_value2;
      f32[out_row3 + j] = sum5 + bias_value;
      f32[out_row3 + j + 1] = sum6 + bias_value2;
      f32[out_row4 + j] = sum7 + bias_value;
      f32[out_row4 + j + 1] = sum8 + bias_value2;
    }
  }
}

/** source.model:15  logits = auto(x) |> linear(3) */
function linear_forward(x: number, weight: number, out: number): void {
  for (let i = 0; i < 4; i += 4) {
    const x_row = x + i * 2;
    const x_row2 = x + i * 2 + 2;
    const x_row3 = x + i * 2 + 4;
    const x_row4 = x + i * 2 + 6;
    const out_row = out + i * 3;
    const out_row2 = out + i * 3 + 3;
    const out_row3 = out + i * 3 + 6;
    const out_row4 = out + i * 3 + 9;
    for (let j = 0; j < 3; j += 3) {
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
      const weight_row = weight + j * 2;
      const weight_row2 = weight + j * 2 + 2;
      const weight_row3 = weight + j * 2 + 4;
      for (let k = 0; k < 2; k++) {
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

/** source.model:16  loss   = cross_entropy(logits, class) */
function Classes_forward(x: number, bias: number, x_2: number, class2: number, x_3: number, out: number, out_2: number, out_3: number, out_4: number): void {
  for (let i = 0; i < 4; i++) {
    let largest = -Infinity;
    const x_row = x + i * 3;
    for (let j = 0; j < 3; j++) {
      largest = Math.max(largest, f32[x_row + j] + f32[bias + j]);
    }
    const out_row = out + i * 3;
    const out_2_row = out_2 + i * 3;
    for (let j = 0; j < 3; j++) {
      const sub_value = f32[x_row + j] + f32[bias + j] - largest;
      const value = Math.exp(sub_value);
      f32[out_row + j] = sub_value;
      f32[out_2_row + j] = value;
    }
    let sum = 0;
    const x_2_row = x_2 + i * 3;
    for (let j = 0; j < 3; j++) {
      sum += f32[x_2_row + j];
    }
    let sum2 = 0;
    const class2_value = i32[class2 + i];
    const x_3_row = x_3 + i * 3;
    const log_value = Math.log(sum);
    for (let j = 0; j < 3; j++) {
      sum2 += (class2_value === j ? 1 : 0) * (f32[x_3_row + j] - log_value);
    }
    f32[out_3 + i] = sum2;
    let sum3 = 0;
    for (let j = 0; j < 3; j++) {
      sum3 += -(-0.25 * (class2_value === j ? 1 : 0));
    }
    const div_value = sum3 / sum;
    const out_4_row = out_4 + i * 3;
    for (let j = 0; j < 3; j++) {
      f32[out_4_row + j] = -0.25 * (class2_value === j ? 1 : 0) + div_value * f32[x_2_row + j];
    }
  }
}

/** source.model:15  logits = auto(x) |> linear(3) */
function linear_backward(gradient: number, x: number, out: number): void {
  for (let i = 0; i < 3; i += 3) {
    const gradient_row = gradient + i;
    const gradient_row2 = gradient + i + 1;
    const gradient_row3 = gradient + i + 2;
    const out_row = out + i * 2;
    const out_row2 = out + i * 2 + 2;
    const out_row3 = out + i * 2 + 4;
    for (let j = 0; j < 2; j += 2) {
      let sum = 0;
      let sum2 = 0;
      let sum3 = 0;
      let sum4 = 0;
      let sum5 = 0;
      let sum6 = 0;
      const x_row = x + j;
      const x_row2 = x + j + 1;
      for (let k = 0; k < 4; k++) {
        const gradient_value = f32[gradient_row + k * 3];
        const x_value = f32[x_row + k * 2];
        const x_value2 = f32[x_row2 + k * 2];
        const gradient_value2 = f32[gradient_row2 + k * 3];
        const gradient_value3 = f32[gradient_row3 + k * 3];
        sum += gradient_value * x_value;
        sum2 += gradient_value * x_value2;
        sum3 += gradient_value2 * x_value;
        sum4 += gradient_value2 * x_value2;
        sum5 += gradient_value3 * x_value;
        sum6 += gradient_value3 * x_value2;
      }
      f32[out_row + j] = sum;
      f32[out_row + j + 1] = sum2;
      f32[out_row2 + j] = sum3;
      f32[out_row2 + j + 1] = sum4;
      f32[out_row3 + j] = sum5;
      f32[out_row3 + j + 1] = sum6;
    }
  }
}

/** source.model:15  logits = auto(x) |> linear(3) */
function linear_backward_2(gradient: number, out: number): void {
  for (let i = 0; i < 3; i += 3) {
    let sum = 0;
    let sum2 = 0;
    let sum3 = 0;
    const gradient_row = gradient + i;
    const gradient_row2 = gradient + i + 1;
    const gradient_row3 = gradient + i + 2;
    for (let j = 0; j < 4; j++) {
      sum += f32[gradient_row + j * 3];
      sum2 += f32[gradient_row2 + j * 3];
      sum3 += f32[gradient_row3 + j * 3];
    }
    f32[out + i] = sum;
    f32[out + i + 1] = sum2;
    f32[out + i + 2] = sum3;
  }
}

/** source.model:16  loss   = cross_entropy(logits, class) */
function Classes_forward_2(x: number, out: number): void {
  let sum = 0;
  for (let i = 0; i < 4; i++) {
    sum += -f32[x + i];
  }
  f32[out] = sum * 0.25;
}

/** source.model:29  optimizer sgd(lr: 0.1) */
function update_5(parameters_2: number, scalar: number, gradient: number, out: number): void {
  const scalar_value = f32[scalar];
  for (let i = 0; i < 9; i++) {
    f32[out + i] = f32[parameters_2 + i] - scalar_value * f32[gradient + i];
  }
}

/** Written by the compiler: nothing in the model names it. */
function update_6(gradients_2: number, out: number): void {
  let sum = 0;
  for (let i = 0; i < 9; i++) {
    const gradients_2_value = f32[gradients_2 + i];
    sum += gradients_2_value * gradients_2_value;
  }
  f32[out] = Math.sqrt(sum);
}

/** source.model:6  code    = encoder(x) */
function encoder_forward_4(x: number, weight: number, out: number): void {
  for (let i = 0; i < 4; i += 4) {
    const x_row = x + i * 6;
    const x_row2 = x + i * 6 + 6;
    const x_row3 = x + i * 6 + 12;
    const x_row4 = x + i * 6 + 18;
    const out_row = out + i * 2;
    const out_row2 = out + i * 2 + 2;
    const out_row3 = out + i * 2 + 4;
    const out_row4 = out + i * 2 + 6;
    for (let j = 0; j < 2; j += 2) {
      let sum = 0;
      let sum2 = 0;
      let sum3 = 0;
      let sum4 = 0;
      let sum5 = 0;
      let sum6 = 0;
      let sum7 = 0;
      let sum8 = 0;
      const weight_row = weight + j * 6;
      const weight_row2 = weight + j * 6 + 6;
      for (let k = 0; k < 6; k++) {
        const x_value = f32[x_row + k];
        const weight_value = f32[weight_row + k];
        const weight_value2 = f32[weight_row2 + k];
        const x_value2 = f32[x_row2 + k];
        const x_value3 = f32[x_row3 + k];
        const x_value4 = f32[x_row4 + k];
        sum += x_value * weight_value;
        sum2 += x_value * weight_value2;
        sum3 += x_value2 * weight_value;
        sum4 += x_value2 * weight_value2;
        sum5 += x_value3 * weight_value;
        sum6 += x_value3 * weight_value2;
        sum7 += x_value4 * weight_value;
        sum8 += x_value4 * weight_value2;
      }
      f32[out_row + j] = sum;
      f32[out_row + j + 1] = sum2;
      f32[out_row2 + j] = sum3;
      f32[out_row2 + j + 1] = sum4;
      f32[out_row3 + j] = sum5;
      f32[out_row3 + j + 1] = sum6;
      f32[out_row4 + j] = sum7;
      f32[out_row4 + j + 1] = sum8;
    }
  }
}

/** source.model:15  logits = auto(x) |> linear(3) */
function linear_forward_2(x: number, bias: number, weight: number, out: number): void {
  for (let i = 0; i < 4; i++) {
    const x_row = x + i * 2;
    const out_row = out + i * 3;
    for (let j = 0; j < 3; j++) {
      let sum = 0;
      const weight_row = weight + j * 2;
      for (let k = 0; k < 2; k++) {
        sum += (f32[x_row + k] + f32[bias + k]) * f32[weight_row + k];
      }
      f32[out_row + j] = sum;
    }
  }
}

/** source.model:16  loss   = cross_entropy(logits, class) */
function Classes_forward_3(x: number, bias: number, x_2: number, class2: number, out: number, out_2: number): void {
  for (let i = 0; i < 4; i++) {
    let largest = -Infinity;
    const x_row = x + i * 3;
    for (let j = 0; j < 3; j++) {
      largest = Math.max(largest, f32[x_row + j] + f32[bias + j]);
    }
    const out_row = out + i * 3;
    for (let j = 0; j < 3; j++) {
      f32[out_row + j] = f32[x_row + j] + f32[bias + j] - largest;
    }
    let sum = 0;
    const x_2_row = x_2 + i * 3;
    for (let j = 0; j < 3; j++) {
      sum += Math.exp(f32[x_2_row + j]);
    }
    let sum2 = 0;
    const class2_value = i32[class2 + i];
    const log_value = Math.log(sum);
    for (let j = 0; j < 3; j++) {
      sum2 += (class2_value === j ? 1 : 0) * (f32[x_2_row + j] - log_value);
    }
    f32[out_2 + i] = sum2;
  }
}

/**
 * source.model:16  loss   = cross_entropy(logits, class)
 * source.model:17  output probabilities = softmax(logits)
 */
function Classes_forward_4(x: number, bias: number, x_2: number, out: number, out_2: number): void {
  for (let i = 0; i < 4; i++) {
    let largest = -Infinity;
    const x_row = x + i * 3;
    for (let j = 0; j < 3; j++) {
      largest = Math.max(largest, f32[x_row + j] + f32[bias + j]);
    }
    const out_row = out + i * 3;
    for (let j = 0; j < 3; j++) {
      f32[out_row + j] = Math.exp(f32[x_row + j] + f32[bias + j] - largest);
    }
    let sum = 0;
    const x_2_row = x_2 + i * 3;
    for (let j = 0; j < 3; j++) {
      sum += f32[x_2_row + j];
    }
    const out_2_row = out_2 + i * 3;
    for (let j = 0; j < 3; j++) {
      f32[out_2_row + j] = f32[x_2_row + j] / sum;
    }
  }
}

/** source.model:6  code    = encoder(x) */
function encoder_forward_5(x: number, weight: number, out: number): void {
  for (let i = 0; i < 2; i += 2) {
    let sum = 0;
    let sum2 = 0;
    const weight_row = weight + i * 6;
    const weight_row2 = weight + i * 6 + 6;
    for (let j = 0; j < 6; j++) {
      const x_value = f32[x + j];
      sum += x_value * f32[weight_row + j];
      sum2 += x_value * f32[weight_row2 + j];
    }
    f32[out + i] = sum;
    f32[out + i + 1] = sum2;
  }
}

/** source.model:15  logits = auto(x) |> linear(3) */
function linear_forward_3(x: number, bias: number, weight: number, out: number): void {
  for (let i = 0; i < 3; i++) {
    let sum = 0;
    const weight_row = weight + i * 2;
    for (let j = 0; j < 2; j++) {
      sum += (f32[x + j] + f32[bias + j]) * f32[weight_row + j];
    }
    f32[out + i] = sum;
  }
}

/** source.model:16  loss   = cross_entropy(logits, class) */
function Classes_forward_5(x: number, bias: number, class2: number, out: number): void {
  let largest = -Infinity;
  for (let i = 0; i < 3; i++) {
    largest = Math.max(largest, f32[x + i] + f32[bias + i]);
  }
  let sum = 0;
  for (let i = 0; i < 3; i++) {
    sum += Math.exp(f32[x + i] + f32[bias + i] - largest);
  }
  let sum2 = 0;
  const class2_value = i32[class2];
  const log_value = Math.log(sum);
  for (let i = 0; i < 3; i++) {
    sum2 += (class2_value === i ? 1 : 0) * (f32[x + i] + f32[bias + i] - largest - log_value);
  }
  f32[out] = -sum2;
}

/** source.model:16  loss   = cross_entropy(logits, class) */
function Classes_forward_6(x: number, bias: number, out: number): void {
  let largest = -Infinity;
  for (let i = 0; i < 3; i++) {
    largest = Math.max(largest, f32[x + i] + f32[bias + i]);
  }
  f32[out] = largest;
}

/** source.model:16  loss   = cross_entropy(logits, class) */
function Classes_forward_7(x: number, bias: number, x_2: number, out: number): void {
  const x_2_value = f32[x_2];
  for (let i = 0; i < 3; i++) {
    f32[out + i] = Math.exp(f32[x + i] + f32[bias + i] - x_2_value);
  }
}

/** source.model:16  loss   = cross_entropy(logits, class) */
function Classes_forward_8(x: number, out: number): void {
  let sum = 0;
  for (let i = 0; i < 3; i++) {
    sum += f32[x + i];
  }
  f32[out] = sum;
}

/** source.model:17  output probabilities = softmax(logits) */
function Classes_forward_9(x: number, x_2: number, out: number): void {
  const x_2_value = f32[x_2];
  for (let i = 0; i < 3; i++) {
    f32[out + i] = f32[x + i] / x_2_value;
  }
}

/** source.model:37  optimizer sgd(lr: 0.01) */
function scalars_2(learning_rate_factor: number, out: number): void {
  f32[out] = 0.01 * f32[learning_rate_factor];
}

/** Written by the compiler: nothing in the model names it. */
function update_7(gradients_1: number, out: number): void {
  let sum = 0;
  for (let i = 0; i < 18; i++) {
    const gradients_1_value = f32[gradients_1 + i];
    sum += gradients_1_value * gradients_1_value;
  }
  f32[out] = Math.sqrt(sum);
}

// ── Entries: what is called in which order ──────────────────────────────────────────────────────────────────────────────

function initialiseEntry_Auto(): void {
  initialise(at_seed, at_parameters_0);
  initialise_2(at_seed, at_parameters_0 + 12);
  initialise_3(at_seed, at_parameters_1);
  initialise_4(at_seed, at_parameters_1 + 12);
}

function trainEntry_Auto(): void {
  scalars(at_learning_rate_factor, at_mul_update);
  encoder_forward(at_x, at_parameters_0, at_parameters_0 + 12, at_Auto_encoder_add);
  decoder_forward(at_Auto_encoder_add, at_parameters_1, at_parameters_1 + 12, at_x, at_Auto_sub, at_Auto_add_backward);
  Auto_forward(at_Auto_sub, at_Auto_mul);
  decoder_backward(at_Auto_add_backward, at_Auto_encoder_add, at_gradients_1);
  decoder_backward_2(at_Auto_add_backward, at_gradients_1 + 12);
  decoder_backward_3(at_Auto_add_backward, at_parameters_1, at_Auto_decoder_contract_backward);
  encoder_backward(at_Auto_decoder_contract_backward, at_x, at_gradients_0);
  encoder_backward_2(at_Auto_decoder_contract_backward, at_gradients_0 + 12);
  update(at_parameters_0, at_mul_update, at_gradients_0, at_parameters_0);
  update_2(at_parameters_1, at_mul_update, at_gradients_1, at_parameters_1);
}

function gradientNormEntry_Auto(): void {
  update_3(at_gradients_1, at_contract_update);
  update_4(at_gradients_0, at_contract_update, at_sqrt_update);
}

function evaluateEntry_Auto(): void {
  encoder_forward(at_x, at_parameters_0, at_parameters_0 + 12, at_Auto_encoder_add_2);
  decoder_forward_2(at_Auto_encoder_add_2, at_parameters_1, at_parameters_1 + 12, at_x, at_Auto_sub_2);
  Auto_forward(at_Auto_sub_2, at_Auto_mul_2);
}

function predictEntry_Auto(): void {
  encoder_forward(at_x, at_parameters_0, at_parameters_0 + 12, at_Auto_encoder_add_3);
}

function evaluateRowEntry_Auto(): void {
  encoder_forward_2(at_x, at_parameters_0, at_parameters_0 + 12, at_Auto_encoder_add_4);
  decoder_forward_3(at_Auto_encoder_add_4, at_parameters_1, at_parameters_1 + 12, at_x, at_Auto_sub_3);
  Auto_forward_2(at_Auto_sub_3, at_Auto_mul_3);
}

function predictRowEntry_Auto(): void {
  encoder_forward_2(at_x, at_parameters_0, at_parameters_0 + 12, at_Auto_encoder_add_5);
}

function initialiseEntry_Classes(): void {
  initialise_5(at_seed, at_parameters_2);
  initialise_6(at_seed, at_parameters_2 + 6);
}

function trainEntry_Classes(): void {
  scalars(at_learning_rate_factor, at_mul_update_2);
  encoder_forward_3(at_x, at_parameters_0, at_parameters_0 + 12, at_Auto_encoder_add_6);
  linear_forward(at_Auto_encoder_add_6, at_parameters_2, at_Classes_linear_contract);
  Classes_forward(at_Classes_linear_contract, at_parameters_2 + 6, at_Classes_exp, at_class, at_Classes_sub, at_Classes_sub, at_Classes_exp, at_Classes_contract, at_Classes_add_backward);
  linear_backward(at_Classes_add_backward, at_Auto_encoder_add_6, at_gradients_2);
  linear_backward_2(at_Classes_add_backward, at_gradients_2 + 6);
  Classes_forward_2(at_Classes_contract, at_Classes_mul);
  update_5(at_parameters_2, at_mul_update_2, at_gradients_2, at_parameters_2);
}

function gradientNormEntry_Classes(): void {
  update_6(at_gradients_2, at_sqrt_update_2);
}

function evaluateEntry_Classes(): void {
  encoder_forward_4(at_x, at_parameters_0, at_Auto_encoder_contract);
  linear_forward_2(at_Auto_encoder_contract, at_parameters_0 + 12, at_parameters_2, at_Classes_linear_contract_2);
  Classes_forward_3(at_Classes_linear_contract_2, at_parameters_2 + 6, at_Classes_sub_2, at_class, at_Classes_sub_2, at_Classes_contract_2);
  Classes_forward_2(at_Classes_contract_2, at_Classes_mul_2);
}

function predictEntry_Classes(): void {
  encoder_forward_4(at_x, at_parameters_0, at_Auto_encoder_contract_2);
  linear_forward_2(at_Auto_encoder_contract_2, at_parameters_0 + 12, at_parameters_2, at_Classes_linear_contract_3);
  Classes_forward_4(at_Classes_linear_contract_3, at_parameters_2 + 6, at_Classes_exp_2, at_Classes_exp_2, at_Classes_div);
}

function evaluateRowEntry_Classes(): void {
  encoder_forward_5(at_x, at_parameters_0, at_Auto_encoder_contract_3);
  linear_forward_3(at_Auto_encoder_contract_3, at_parameters_0 + 12, at_parameters_2, at_Classes_linear_contract_4);
  Classes_forward_5(at_Classes_linear_contract_4, at_parameters_2 + 6, at_class, at_Classes_contract_3);
}

function predictRowEntry_Classes(): void {
  encoder_forward_5(at_x, at_parameters_0, at_Auto_encoder_contract_4);
  linear_forward_3(at_Auto_encoder_contract_4, at_parameters_0 + 12, at_parameters_2, at_Classes_linear_contract_5);
  Classes_forward_6(at_Classes_linear_contract_5, at_parameters_2 + 6, at_Classes_max);
  Classes_forward_7(at_Classes_linear_contract_5, at_parameters_2 + 6, at_Classes_max, at_Classes_exp_3);
  Classes_forward_8(at_Classes_exp_3, at_Classes_contract_4);
  Classes_forward_9(at_Classes_exp_3, at_Classes_contract_4, at_Classes_div_2);
}

function initialiseEntry_again(): void {

}

function trainEntry_again(): void {
  scalars_2(at_learning_rate_factor, at_mul_update_3);
  encoder_forward(at_x, at_parameters_0, at_parameters_0 + 12, at_Auto_encoder_add_7);
  decoder_forward(at_Auto_encoder_add_7, at_parameters_1, at_parameters_1 + 12, at_x, at_Auto_sub_4, at_Auto_add_backward_2);
  Auto_forward(at_Auto_sub_4, at_Auto_mul_4);
  decoder_backward(at_Auto_add_backward_2, at_Auto_encoder_add_7, at_gradients_1);
  decoder_backward_2(at_Auto_add_backward_2, at_gradients_1 + 12);
  update_2(at_parameters_1, at_mul_update_3, at_gradients_1, at_parameters_1);
}

function gradientNormEntry_again(): void {
  update_7(at_gradients_1, at_sqrt_update_3);
}

function evaluateEntry_again(): void {
  encoder_forward(at_x, at_parameters_0, at_parameters_0 + 12, at_Auto_encoder_add_8);
  decoder_forward_2(at_Auto_encoder_add_8, at_parameters_1, at_parameters_1 + 12, at_x, at_Auto_sub_5);
  Auto_forward(at_Auto_sub_5, at_Auto_mul_5);
}

function predictEntry_again(): void {
  encoder_forward(at_x, at_parameters_0, at_parameters_0 + 12, at_Auto_encoder_add_9);
}

function evaluateRowEntry_again(): void {
  encoder_forward_2(at_x, at_parameters_0, at_parameters_0 + 12, at_Auto_encoder_add_10);
  decoder_forward_3(at_Auto_encoder_add_10, at_parameters_1, at_parameters_1 + 12, at_x, at_Auto_sub_6);
  Auto_forward_2(at_Auto_sub_6, at_Auto_mul_6);
}

function predictRowEntry_again(): void {
  encoder_forward_2(at_x, at_parameters_0, at_parameters_0 + 12, at_Auto_encoder_add_11);
}

// ── The program ─────────────────────────────────────────────────────────────────────────────────────────────────────────
const program: CompiledProgram = {
  name: "source",
  source: '0cc9e96ab64650dbab5daeebe28de5cf',
  memory,
  device: null,
  threads: null,
  batched: true,
  inputs: [
    { name: "x", dtype: 'f32', shape: [8, 6], offset: 512, below: null },
    { name: "class", dtype: 'i32', shape: [4], offset: 704, below: 3 },
  ],
  parameters: [
    { name: "Auto.encoder.weight", dtype: 'f32', shape: [2, 6], offset: 0 },
    { name: "Auto.encoder.bias", dtype: 'f32', shape: [2], offset: 48 },
    { name: "Auto.decoder.weight", dtype: 'f32', shape: [6, 2], offset: 128 },
    { name: "Auto.decoder.bias", dtype: 'f32', shape: [6], offset: 176 },
    { name: "Classes.linear.weight", dtype: 'f32', shape: [3, 2], offset: 384 },
    { name: "Classes.linear.bias", dtype: 'f32', shape: [3], offset: 408 },
  ],
  states: [],
  scalars: { seed: 768, step: 1472, steps: 1536, learningRateFactor: 832 },
  stages: [{
    name: "Auto",
    model: "Auto",
    batched: true,
    inputs: ["x"],
    gradients: [
      { name: "Auto.encoder.weight", dtype: 'f32', shape: [2, 6], offset: 64 },
      { name: "Auto.encoder.bias", dtype: 'f32', shape: [2], offset: 112 },
      { name: "Auto.decoder.weight", dtype: 'f32', shape: [6, 2], offset: 256 },
      { name: "Auto.decoder.bias", dtype: 'f32', shape: [6], offset: 304 },
    ],
    initialise: initialiseEntry_Auto,
    accumulate: null,
    train: {
      run: trainEntry_Auto,
      number: 1,
      inputs: ["x"],
      results: [
        { name: "loss", dtype: 'f32', shape: [], offset: 1408 },
        { name: "lr", dtype: 'f32', shape: [], offset: 1344 },
      ],
      rows: 8,
    },
    gradientNorm: {
      run: gradientNormEntry_Auto,
      number: 2,
      inputs: [],
      results: [
        { name: "grad_norm", dtype: 'f32', shape: [], offset: 960 },
      ],
      rows: 8,
    },
    evaluate: {
      run: evaluateEntry_Auto,
      number: 3,
      inputs: ["x"],
      results: [
        { name: "loss", dtype: 'f32', shape: [], offset: 1088 },
      ],
      rows: 8,
    },
    evaluateRow: {
      run: evaluateRowEntry_Auto,
      number: 5,
      inputs: ["x"],
      results: [
        { name: "loss", dtype: 'f32', shape: [], offset: 960 },
      ],
      rows: 1,
    },
    predict: {
      run: predictEntry_Auto,
      number: 4,
      inputs: ["x"],
      results: [
        { name: "code", dtype: 'f32', shape: [8, 2], offset: 896 },
      ],
      rows: 8,
    },
    predictRow: {
      run: predictRowEntry_Auto,
      number: 6,
      inputs: ["x"],
      results: [
        { name: "code", dtype: 'f32', shape: [1, 2], offset: 896 },
      ],
      rows: 1,
    },
    predictOnce: null,
    generator: null,
    settings: {"epochs":null,"steps":100,"seed":0,"clipNorm":null,"accumulate":1,"ema":null,"precision":"f32","memory":null,"evaluateEvery":null,"checkpointEvery":null,"checkpointKeep":1,"earlyStop":null},
    flopsPerStep: 1490,
  }, {
    name: "Classes",
    model: "Classes",
    batched: true,
    inputs: ["x", "class"],
    gradients: [
      { name: "Classes.linear.weight", dtype: 'f32', shape: [3, 2], offset: 448 },
      { name: "Classes.linear.bias", dtype: 'f32', shape: [3], offset: 472 },
    ],
    initialise: initialiseEntry_Classes,
    accumulate: null,
    train: {
      run: trainEntry_Classes,
      number: 8,
      inputs: ["x", "class"],
      results: [
        { name: "loss", dtype: 'f32', shape: [], offset: 896 },
        { name: "lr", dtype: 'f32', shape: [], offset: 1280 },
      ],
      rows: 4,
    },
    gradientNorm: {
      run: gradientNormEntry_Classes,
      number: 9,
      inputs: [],
      results: [
        { name: "grad_norm", dtype: 'f32', shape: [], offset: 896 },
      ],
      rows: 4,
    },
    evaluate: {
      run: evaluateEntry_Classes,
      number: 10,
      inputs: ["x", "class"],
      results: [
        { name: "loss", dtype: 'f32', shape: [], offset: 896 },
      ],
      rows: 4,
    },
    evaluateRow: {
      run: evaluateRowEntry_Classes,
      number: 12,
      inputs: ["x", "class"],
      results: [
        { name: "loss", dtype: 'f32', shape: [], offset: 960 },
      ],
      rows: 1,
    },
    predict: {
      run: predictEntry_Classes,
      number: 11,
      inputs: ["x"],
      results: [
        { name: "probabilities", dtype: 'f32', shape: [4, 3], offset: 1024 },
      ],
      rows: 4,
    },
    predictRow: {
      run: predictRowEntry_Classes,
      number: 13,
      inputs: ["x"],
      results: [
        { name: "probabilities", dtype: 'f32', shape: [1, 3], offset: 896 },
      ],
      rows: 1,
    },
    predictOnce: null,
    generator: null,
    settings: {"epochs":null,"steps":50,"seed":0,"clipNorm":null,"accumulate":1,"ema":null,"precision":"f32","memory":null,"evaluateEvery":null,"checkpointEvery":null,"checkpointKeep":1,"earlyStop":null},
    flopsPerStep: 504,
  }, {
    name: "again",
    model: "Auto",
    batched: true,
    inputs: ["x"],
    gradients: [
      { name: "Auto.decoder.weight", dtype: 'f32', shape: [6, 2], offset: 256 },
      { name: "Auto.decoder.bias", dtype: 'f32', shape: [6], offset: 304 },
    ],
    initialise: initialiseEntry_again,
    accumulate: null,
    train: {
      run: trainEntry_again,
      number: 15,
      inputs: ["x"],
      results: [
        { name: "loss", dtype: 'f32', shape: [], offset: 1408 },
        { name: "lr", dtype: 'f32', shape: [], offset: 1344 },
      ],
      rows: 8,
    },
    gradientNorm: {
      run: gradientNormEntry_again,
      number: 16,
      inputs: [],
      results: [
        { name: "grad_norm", dtype: 'f32', shape: [], offset: 896 },
      ],
      rows: 8,
    },
    evaluate: {
      run: evaluateEntry_again,
      number: 17,
      inputs: ["x"],
      results: [
        { name: "loss", dtype: 'f32', shape: [], offset: 1088 },
      ],
      rows: 8,
    },
    evaluateRow: {
      run: evaluateRowEntry_again,
      number: 19,
      inputs: ["x"],
      results: [
        { name: "loss", dtype: 'f32', shape: [], offset: 960 },
      ],
      rows: 1,
    },
    predict: {
      run: predictEntry_again,
      number: 18,
      inputs: ["x"],
      results: [
        { name: "code", dtype: 'f32', shape: [8, 2], offset: 896 },
      ],
      rows: 8,
    },
    predictRow: {
      run: predictRowEntry_again,
      number: 20,
      inputs: ["x"],
      results: [
        { name: "code", dtype: 'f32', shape: [1, 2], offset: 896 },
      ],
      rows: 1,
    },
    predictOnce: null,
    generator: null,
    settings: {"epochs":null,"steps":20,"seed":0,"clipNorm":null,"accumulate":1,"ema":null,"precision":"f32","memory":null,"evaluateEvery":null,"checkpointEvery":null,"checkpointKeep":1,"earlyStop":null},
    flopsPerStep: 1062,
  }],
  data: null,
  readers: {},
  synthetic: null,
  tokenizers: [],
  pictures: null,
};

// ── Interface ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Of the model `Auto`. Any number of rows at once, one after the other in each array; `x`: 6 a row. */
export async function predict(rows: { x: Float32Array }): Promise<{ code: Float32Array }> {
  return await predictRows(program, program.stages.at(-1)!, rows) as { code: Float32Array };
}

/** Trains as the `train` blocks say, one after the other, from new parameters; options replace their settings. */
export async function train(options: TrainOptions<{ x: Float32Array; class: Int32Array }> = {}): Promise<TrainReport> {
  return trainModel(program, options);
}

/** Of the model `Auto`. Loss and metrics over the given rows. */
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

