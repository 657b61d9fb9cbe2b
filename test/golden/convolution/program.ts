/**
 * Convolution: One convolution and one pooling.
 *
 * Written by nabla from source.model (sha256 d7120d76be04a3a7…). Start it to train: `node <this file>`, `--help` for more.
 * Batch 4; 70,562 floating-point operations a step; 13,248 bytes of memory in all, none allocated while training.
 * 106 parameters:
 *   conv2d.weight  f32[3, 2, 3, 3]
 *   conv2d.bias    f32[3]
 *   linear.weight  f32[1, 48]
 *   linear.bias    f32[1]
 */

import { accessSync, closeSync, constants, copyFileSync, existsSync, fstatSync, fsyncSync, openSync, readFileSync, readSync, readdirSync, realpathSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { deflateRawSync, deflateSync, gunzipSync } from 'node:zlib';

// ── Memory ──────────────────────────────────────────────────────────────────────────────────────────────────────────────
const memory = new ArrayBuffer(13248);
const f32 = new Float32Array(memory);
const i32 = new Int32Array(memory);

// Where each buffer begins, counted in its own elements. Buffers that are never needed at once share places.
const at_parameters = 0; // parameter
const at_gradients = 112; // state
const at_optimizer_velocity = 224; // state
const at_image = 336; // input
const at_target = 848; // input
const at_seed = 864; // scalar
const at_learning_rate_factor = 880; // scalar
const at_mul_update = 3248;
const at_conv2d_view = 896;
const at_conv2d_contract = 1696;
const at_max = 2464;
const at_sub = 2656;
const at_add_backward = 3232;
const at_mul = 3264;
const at_select_backward = 2464;
const at_sqrt_update = 896;
const at_conv2d_view_2 = 896;
const at_conv2d_contract_2 = 1696;
const at_max_2 = 896;
const at_sub_2 = 1088;
const at_mul_2 = 896;
const at_conv2d_view_3 = 896;
const at_conv2d_contract_3 = 1696;
const at_max_3 = 896;
const at_reshape = 1088;
const at_conv2d_view_4 = 896;
const at_conv2d_contract_4 = 1104;
const at_max_4 = 896;
const at_contract = 944;
const at_conv2d_view_5 = 896;
const at_conv2d_contract_5 = 1104;
const at_max_5 = 896;
const at_reshape_2 = 944;

// ── Kernels ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** source.model:5  features = image |> conv2d(3, 3, padding: 1) |> relu |> max_pool(2) */
function initialise(seed: number, out: number): void {
  const seed_value = i32[seed];
  for (let i = 0; i < 3; i++) {
    const out_row = out + i * 18;
    for (let j = 0; j < 2; j++) {
      const out_row2 = out_row + j * 9;
      for (let k = 0; k < 3; k++) {
        const out_row3 = out_row2 + k * 3;
        for (let l = 0; l < 3; l++) {
          f32[out_row3 + l] = -0.23570226039551587 + 0.47140452079103173 * random(seed_value, -1902455679, 0, i * 18 + j * 9 + k * 3 + l);
        }
      }
    }
  }
}

/** source.model:5  features = image |> conv2d(3, 3, padding: 1) |> relu |> max_pool(2) */
function initialise_2(seed: number, out: number): void {
  const seed_value = i32[seed];
  for (let i = 0; i < 3; i++) {
    f32[out + i] = -0.23570226039551587 + 0.47140452079103173 * random(seed_value, -537697572, 0, i);
  }
}

/** source.model:6  value = (flatten(features) |> linear(1))[:, 0] */
function initialise_3(seed: number, out: number): void {
  const seed_value = i32[seed];
  for (let i = 0; i < 48; i++) {
    f32[out + i] = -0.14433756729740646 + 0.2886751345948129 * random(seed_value, 1213060306, 0, i);
  }
}

/** source.model:6  value = (flatten(features) |> linear(1))[:, 0] */
function initialise_4(seed: number, out: number): void {
  f32[out] = -0.14433756729740646 + 0.2886751345948129 * random(i32[seed], 1428609551, 0, 0);
}

/** source.model:13  optimizer sgd(lr: 0.05, momentum: 0.9) */
function initialise_5(out: number): void {
  for (let i = 0; i < 106; i++) {
    f32[out + i] = 0;
  }
}

/** source.model:13  optimizer sgd(lr: 0.05, momentum: 0.9) */
function scalars(learning_rate_factor: number, out: number): void {
  f32[out] = 0.05 * f32[learning_rate_factor];
}

/** source.model:5  features = image |> conv2d(3, 3, padding: 1) |> relu |> max_pool(2) */
function conv2d_forward(image: number, out: number): void {
  for (let i = 0; i < 4; i++) {
    const image_row = image + i * 128;
    const out_row = out + i * 200;
    for (let j = 0; j < 2; j++) {
      const image_row2 = image_row + j * 64;
      const out_row2 = out_row + j * 100;
      for (let k = 0; k < 10; k++) {
        const inside = k >= 1 && k < 9;
        const image_row3 = image_row2 + k * 8 - 16;
        const out_row3 = out_row2 + k * 10;
        for (let l = 0; l < 10; l++) {
          f32[out_row3 + l] = inside && (l >= 1 && l < 9) ? f32[image_row3 + l + 7] : 0;
        }
      }
    }
  }
}

/** source.model:5  features = image |> conv2d(3, 3, padding: 1) |> relu |> max_pool(2) */
function conv2d_forward_2(x: number, weight: number, out: number): void {
  for (let i = 0; i < 4; i++) {
    const x_row = x + i * 200;
    const out_row = out + i * 192;
    for (let j = 0; j < 3; j += 3) {
      const weight_row = weight + j * 18;
      const out_row2 = out_row + j * 64;
      for (let k = 0; k < 8; k += 4) {
        const x_row2 = x_row + k * 10;
        const out_row3 = out_row2 + k * 8;
        const out_row4 = out_row2 + k * 8 + 8;
        const out_row5 = out_row2 + k * 8 + 16;
        const out_row6 = out_row2 + k * 8 + 24;
        const out_row7 = out_row2 + k * 8 + 64;
        const out_row8 = out_row2 + k * 8 + 72;
        const out_row9 = out_row2 + k * 8 + 80;
        const out_row10 = out_row2 + k * 8 + 88;
        const out_row11 = out_row2 + k * 8 + 128;
        const out_row12 = out_row2 + k * 8 + 136;
        const out_row13 = out_row2 + k * 8 + 144;
        const out_row14 = out_row2 + k * 8 + 152;
        for (let l = 0; l < 8; l++) {
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
          const x_row3 = x_row2 + l;
          for (let m = 0; m < 2; m++) {
            const x_row4 = x_row3 + m * 100;
            const weight_row2 = weight_row + m * 9;
            for (let n = 0; n < 3; n++) {
              const x_row5 = x_row4 + n * 10;
              const weight_row3 = weight_row2 + n * 3;
              const x_row6 = x_row4 + n * 10 + 10;
              const x_row7 = x_row4 + n * 10 + 20;
              const x_row8 = x_row4 + n * 10 + 30;
              const weight_row4 = weight_row2 + n * 3 + 18;
              const weight_row5 = weight_row2 + n * 3 + 36;
              for (let o = 0; o < 3; o++) {
                const x_value = f32[x_row5 + o];
                const weight_value = f32[weight_row3 + o];
                const x_value2 = f32[x_row6 + o];
                const x_value3 = f32[x_row7 + o];
                const x_value4 = f32[x_row8 + o];
                const weight_value2 = f32[weight_row4 + o];
                const weight_value3 = f32[weight_row5 + o];
                sum += x_value * weight_value;
                sum2 += x_value2 * weight_value;
                sum3 += x_value3 * weight_value;
                sum4 += x_value4 * weight_value;
                sum5 += x_value * weight_value2;
                sum6 += x_value2 * weight_value2;
                sum7 += x_value3 * weight_value2;
                sum8 += x_value4 * weight_value2;
                sum9 += x_value * weight_value3;
                sum10 += x_value2 * weight_value3;
                sum11 += x_value3 * weight_value3;
                sum12 += x_value4 * weight_value3;
              }
            }
          }
          f32[out_row3 + l] = sum;
          f32[out_row4 + l] = sum2;
          f32[out_row5 + l] = sum3;
          f32[out_row6 + l] = sum4;
          f32[out_row7 + l] = sum5;
          f32[out_row8 + l] = sum6;
          f32[out_row9 + l] = sum7;
          f32[out_row10 + l] = sum8;
          f32[out_row11 + l] = sum9;
          f32[out_row12 + l] = sum10;
          f32[out_row13 + l] = sum11;
          f32[out_row14 + l] = sum12;
        }
      }
    }
  }
}

/** source.model:5  features = image |> conv2d(3, 3, padding: 1) |> relu |> max_pool(2) */
function max_forward(x: number, bias: number, out: number): void {
  for (let i = 0; i < 4; i += 4) {
    const x_row = x + i * 192;
    const out_row = out + i * 48;
    for (let j = 0; j < 3; j++) {
      const x_row2 = x_row + j * 64;
      const bias_value = f32[bias + j];
      const out_row2 = out_row + j * 16;
      for (let k = 0; k < 4; k++) {
        const x_row3 = x_row2 + k * 16;
        const out_row3 = out_row2 + k * 4;
        const out_row4 = out_row2 + k * 4 + 48;
        const out_row5 = out_row2 + k * 4 + 96;
        const out_row6 = out_row2 + k * 4 + 144;
        for (let l = 0; l < 4; l++) {
          let largest = -Infinity;
          let largest2 = -Infinity;
          let largest3 = -Infinity;
          let largest4 = -Infinity;
          const x_row4 = x_row3 + l * 2;
          for (let m = 0; m < 2; m++) {
            const x_row5 = x_row4 + m * 8;
            const x_row6 = x_row4 + m * 8 + 192;
            const x_row7 = x_row4 + m * 8 + 384;
            const x_row8 = x_row4 + m * 8 + 576;
            for (let n = 0; n < 2; n++) {
              largest = Math.max(largest, Math.max(f32[x_row5 + n] + bias_value, 0));
              largest2 = Math.max(largest2, Math.max(f32[x_row6 + n] + bias_value, 0));
              largest3 = Math.max(largest3, Math.max(f32[x_row7 + n] + bias_value, 0));
              largest4 = Math.max(largest4, Math.max(f32[x_row8 + n] + bias_value, 0));
            }
          }
          f32[out_row3 + l] = largest;
          f32[out_row4 + l] = largest2;
          f32[out_row5 + l] = largest3;
          f32[out_row6 + l] = largest4;
        }
      }
    }
  }
}

/**
 * source.model:6  value = (flatten(features) |> linear(1))[:, 0]
 * source.model:7  loss = mse(value, target)
 */
function linear_forward(x: number, weight: number, bias: number, target: number, out: number, out_2: number): void {
  const bias_value = f32[bias];
  for (let i = 0; i < 4; i += 4) {
    let sum = 0;
    let sum2 = 0;
    let sum3 = 0;
    let sum4 = 0;
    const x_row = x + i * 48;
    const x_row2 = x + i * 48 + 48;
    const x_row3 = x + i * 48 + 96;
    const x_row4 = x + i * 48 + 144;
    for (let j = 0; j < 48; j++) {
      const weight_value = f32[weight + j];
      sum += f32[x_row + j] * weight_value;
      sum2 += f32[x_row2 + j] * weight_value;
      sum3 += f32[x_row3 + j] * weight_value;
      sum4 += f32[x_row4 + j] * weight_value;
    }
    const sub_value = sum + bias_value - f32[target + i];
    const sub_value2 = sum2 + bias_value - f32[target + i + 1];
    const sub_value3 = sum3 + bias_value - f32[target + i + 2];
    const sub_value4 = sum4 + bias_value - f32[target + i + 3];
    const mul_value = 0.25 * sub_value;
    const mul_value2 = 0.25 * sub_value2;
    const mul_value3 = 0.25 * sub_value3;
    const mul_value4 = 0.25 * sub_value4;
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

/** source.model:6  value = (flatten(features) |> linear(1))[:, 0] */
function linear_backward(gradient: number, x: number, out: number): void {
  for (let i = 0; i < 48; i += 4) {
    let sum = 0;
    let sum2 = 0;
    let sum3 = 0;
    let sum4 = 0;
    const x_row = x + i;
    const x_row2 = x + i + 1;
    const x_row3 = x + i + 2;
    const x_row4 = x + i + 3;
    for (let j = 0; j < 4; j++) {
      const gradient_value = f32[gradient + j];
      sum += gradient_value * f32[x_row + j * 48];
      sum2 += gradient_value * f32[x_row2 + j * 48];
      sum3 += gradient_value * f32[x_row3 + j * 48];
      sum4 += gradient_value * f32[x_row4 + j * 48];
    }
    f32[out + i] = sum;
    f32[out + i + 1] = sum2;
    f32[out + i + 2] = sum3;
    f32[out + i + 3] = sum4;
  }
}

/** source.model:7  loss = mse(value, target) */
function contract_forward(x: number, out: number): void {
  let sum = 0;
  for (let i = 0; i < 4; i++) {
    const x_value = f32[x + i];
    sum += x_value * x_value;
  }
  f32[out] = sum * 0.25;
}

/** source.model:6  value = (flatten(features) |> linear(1))[:, 0] */
function linear_backward_2(gradient: number, out: number): void {
  let sum = 0;
  for (let i = 0; i < 4; i++) {
    sum += f32[gradient + i];
  }
  f32[out] = sum;
}

/** source.model:5  features = image |> conv2d(3, 3, padding: 1) |> relu |> max_pool(2) */
function argmax_backward(x: number, bias: number, gradient: number, weight: number, out: number): void {
  for (let i = 0; i < 4; i++) {
    const x_row = x + i * 192;
    const gradient_value = f32[gradient + i];
    const out_row = out + i * 192;
    for (let j = 0; j < 3; j++) {
      const x_row2 = x_row + j * 64;
      const bias_value = f32[bias + j];
      const weight_row = weight + j * 16;
      const out_row2 = out_row + j * 64;
      for (let k = 0; k < 4; k++) {
        const x_row3 = x_row2 + k * 16;
        const weight_row2 = weight_row + k * 4;
        const out_row3 = out_row2 + k * 16;
        for (let l = 0; l < 4; l++) {
          let position = 0;
          let best = -Infinity;
          const x_row4 = x_row3 + l * 2;
          for (let m = 0; m < 2; m++) {
            const x_row5 = x_row4 + m * 8;
            const position2 = m * 2;
            for (let n = 0; n < 2; n++) {
              const value = Math.max(f32[x_row5 + n] + bias_value, 0);
              if (value > best) {
                best = value;
                position = position2 + n;
              }
            }
          }
          const mul_value = gradient_value * f32[weight_row2 + l];
          const out_row4 = out_row3 + l * 4;
          for (let m = 0; m < 2; m++) {
            const out_row5 = out_row4 + m * 2;
            for (let n = 0; n < 2; n++) {
              f32[out_row5 + n] = m * 2 + n === position ? mul_value : 0;
            }
          }
        }
      }
    }
  }
}

/** source.model:5  features = image |> conv2d(3, 3, padding: 1) |> relu |> max_pool(2) */
function contract_backward(gradient: number, x: number, bias: number, out: number): void {
  for (let i = 0; i < 4; i++) {
    const gradient_row = gradient + i * 192;
    const x_row = x + i * 192;
    const out_row = out + i * 192;
    for (let j = 0; j < 3; j++) {
      const gradient_row2 = gradient_row + j * 64;
      const x_row2 = x_row + j * 64;
      const bias_value = f32[bias + j];
      const out_row2 = out_row + j * 64;
      for (let k = 0; k < 8; k++) {
        const x_row3 = x_row2 + k * 8;
        const out_row3 = out_row2 + k * 8;
        for (let l = 0; l < 8; l++) {
          let sum = 0;
          for (let m = 0; m < 2; m++) {
            const inside = k - m >= 0 && k - m < 8 && (k - m) % 2 === 0;
            const gradient_row3 = gradient_row2 + m * 2;
            for (let n = 0; n < 2; n++) {
              sum += inside && (l - n >= 0 && l - n < 8 && (l - n) % 2 === 0) ? f32[gradient_row3 + n + (k - m) / 2 * 16 + (l - n) / 2 * 4] : 0;
            }
          }
          f32[out_row3 + l] = 0 < Math.max(f32[x_row3 + l] + bias_value, 0) ? sum : 0;
        }
      }
    }
  }
}

/** source.model:5  features = image |> conv2d(3, 3, padding: 1) |> relu |> max_pool(2) */
function conv2d_backward(gradient: number, x: number, out: number): void {
  for (let i = 0; i < 3; i += 3) {
    const gradient_row = gradient + i * 64;
    const out_row = out + i * 18;
    for (let j = 0; j < 2; j++) {
      const x_row = x + j * 100;
      const out_row2 = out_row + j * 9;
      for (let k = 0; k < 3; k += 3) {
        const x_row2 = x_row + k * 10;
        const out_row3 = out_row2 + k * 3;
        const out_row4 = out_row2 + k * 3 + 3;
        const out_row5 = out_row2 + k * 3 + 6;
        const out_row6 = out_row2 + k * 3 + 18;
        const out_row7 = out_row2 + k * 3 + 21;
        const out_row8 = out_row2 + k * 3 + 24;
        const out_row9 = out_row2 + k * 3 + 36;
        const out_row10 = out_row2 + k * 3 + 39;
        const out_row11 = out_row2 + k * 3 + 42;
        for (let l = 0; l < 3; l++) {
          let sum = 0;
          let sum2 = 0;
          let sum3 = 0;
          let sum4 = 0;
          let sum5 = 0;
          let sum6 = 0;
          let sum7 = 0;
          let sum8 = 0;
          let sum9 = 0;
          const x_row3 = x_row2 + l;
          for (let m = 0; m < 4; m++) {
            const gradient_row2 = gradient_row + m * 192;
            const x_row4 = x_row3 + m * 200;
            for (let n = 0; n < 8; n++) {
              const gradient_row3 = gradient_row2 + n * 8;
              const x_row5 = x_row4 + n * 10;
              const x_row6 = x_row4 + n * 10 + 10;
              const x_row7 = x_row4 + n * 10 + 20;
              const gradient_row4 = gradient_row2 + n * 8 + 64;
              const gradient_row5 = gradient_row2 + n * 8 + 128;
              for (let o = 0; o < 8; o++) {
                const gradient_value = f32[gradient_row3 + o];
                const x_value = f32[x_row5 + o];
                const x_value2 = f32[x_row6 + o];
                const x_value3 = f32[x_row7 + o];
                const gradient_value2 = f32[gradient_row4 + o];
                const gradient_value3 = f32[gradient_row5 + o];
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
            }
          }
          f32[out_row3 + l] = sum;
          f32[out_row4 + l] = sum2;
          f32[out_row5 + l] = sum3;
          f32[out_row6 + l] = sum4;
          f32[out_row7 + l] = sum5;
          f32[out_row8 + l] = sum6;
          f32[out_row9 + l] = sum7;
          f32[out_row10 + l] = sum8;
          f32[out_row11 + l] = sum9;
        }
      }
    }
  }
}

/** source.model:5  features = image |> conv2d(3, 3, padding: 1) |> relu |> max_pool(2) */
function conv2d_backward_2(gradient: number, out: number): void {
  for (let i = 0; i < 3; i++) {
    let sum = 0;
    const gradient_row = gradient + i * 64;
    for (let j = 0; j < 4; j++) {
      const gradient_row2 = gradient_row + j * 192;
      for (let k = 0; k < 8; k++) {
        const gradient_row3 = gradient_row2 + k * 8;
        for (let l = 0; l < 8; l++) {
          sum += f32[gradient_row3 + l];
        }
      }
    }
    f32[out + i] = sum;
  }
}

/** source.model:13  optimizer sgd(lr: 0.05, momentum: 0.9) */
function update(optimizer_velocity: number, gradient: number, parameters: number, scalar: number, out: number, out_2: number): void {
  const scalar_value = f32[scalar];
  for (let i = 0; i < 106; i++) {
    const add_value = 0.9 * f32[optimizer_velocity + i] + f32[gradient + i];
    const value = f32[parameters + i] - scalar_value * add_value;
    f32[out + i] = add_value;
    f32[out_2 + i] = value;
  }
}

/** Written by the compiler: nothing in the model names it. */
function update_2(gradients: number, out: number): void {
  let sum = 0;
  for (let i = 0; i < 106; i++) {
    const gradients_value = f32[gradients + i];
    sum += gradients_value * gradients_value;
  }
  f32[out] = Math.sqrt(sum);
}

/**
 * source.model:6  value = (flatten(features) |> linear(1))[:, 0]
 * source.model:7  loss = mse(value, target)
 */
function linear_forward_2(x: number, weight: number, bias: number, target: number, out: number): void {
  const bias_value = f32[bias];
  for (let i = 0; i < 4; i += 4) {
    let sum = 0;
    let sum2 = 0;
    let sum3 = 0;
    let sum4 = 0;
    const x_row = x + i * 48;
    const x_row2 = x + i * 48 + 48;
    const x_row3 = x + i * 48 + 96;
    const x_row4 = x + i * 48 + 144;
    for (let j = 0; j < 48; j++) {
      const weight_value = f32[weight + j];
      sum += f32[x_row + j] * weight_value;
      sum2 += f32[x_row2 + j] * weight_value;
      sum3 += f32[x_row3 + j] * weight_value;
      sum4 += f32[x_row4 + j] * weight_value;
    }
    f32[out + i] = sum + bias_value - f32[target + i];
    f32[out + i + 1] = sum2 + bias_value - f32[target + i + 1];
    f32[out + i + 2] = sum3 + bias_value - f32[target + i + 2];
    f32[out + i + 3] = sum4 + bias_value - f32[target + i + 3];
  }
}

/** source.model:6  value = (flatten(features) |> linear(1))[:, 0] */
function linear_forward_3(x: number, weight: number, bias: number, out: number): void {
  const bias_value = f32[bias];
  for (let i = 0; i < 4; i += 4) {
    let sum = 0;
    let sum2 = 0;
    let sum3 = 0;
    let sum4 = 0;
    const x_row = x + i * 48;
    const x_row2 = x + i * 48 + 48;
    const x_row3 = x + i * 48 + 96;
    const x_row4 = x + i * 48 + 144;
    for (let j = 0; j < 48; j++) {
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

/** source.model:5  features = image |> conv2d(3, 3, padding: 1) |> relu |> max_pool(2) */
function conv2d_forward_3(image: number, out: number): void {
  for (let i = 0; i < 2; i++) {
    const image_row = image + i * 64;
    const out_row = out + i * 100;
    for (let j = 0; j < 10; j++) {
      const inside = j >= 1 && j < 9;
      const image_row2 = image_row + j * 8 - 16;
      const out_row2 = out_row + j * 10;
      for (let k = 0; k < 10; k++) {
        f32[out_row2 + k] = inside && (k >= 1 && k < 9) ? f32[image_row2 + k + 7] : 0;
      }
    }
  }
}

/** source.model:5  features = image |> conv2d(3, 3, padding: 1) |> relu |> max_pool(2) */
function conv2d_forward_4(x: number, weight: number, out: number): void {
  for (let i = 0; i < 3; i += 3) {
    const weight_row = weight + i * 18;
    const out_row = out + i * 64;
    for (let j = 0; j < 8; j += 4) {
      const x_row = x + j * 10;
      const out_row2 = out_row + j * 8;
      const out_row3 = out_row + j * 8 + 8;
      const out_row4 = out_row + j * 8 + 16;
      const out_row5 = out_row + j * 8 + 24;
      const out_row6 = out_row + j * 8 + 64;
      const out_row7 = out_row + j * 8 + 72;
      const out_row8 = out_row + j * 8 + 80;
      const out_row9 = out_row + j * 8 + 88;
      const out_row10 = out_row + j * 8 + 128;
      const out_row11 = out_row + j * 8 + 136;
      const out_row12 = out_row + j * 8 + 144;
      const out_row13 = out_row + j * 8 + 152;
      for (let k = 0; k < 8; k++) {
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
        const x_row2 = x_row + k;
        for (let l = 0; l < 2; l++) {
          const x_row3 = x_row2 + l * 100;
          const weight_row2 = weight_row + l * 9;
          for (let m = 0; m < 3; m++) {
            const x_row4 = x_row3 + m * 10;
            const weight_row3 = weight_row2 + m * 3;
            const x_row5 = x_row3 + m * 10 + 10;
            const x_row6 = x_row3 + m * 10 + 20;
            const x_row7 = x_row3 + m * 10 + 30;
            const weight_row4 = weight_row2 + m * 3 + 18;
            const weight_row5 = weight_row2 + m * 3 + 36;
            for (let n = 0; n < 3; n++) {
              const x_value = f32[x_row4 + n];
              const weight_value = f32[weight_row3 + n];
              const x_value2 = f32[x_row5 + n];
              const x_value3 = f32[x_row6 + n];
              const x_value4 = f32[x_row7 + n];
              const weight_value2 = f32[weight_row4 + n];
              const weight_value3 = f32[weight_row5 + n];
              sum += x_value * weight_value;
              sum2 += x_value2 * weight_value;
              sum3 += x_value3 * weight_value;
              sum4 += x_value4 * weight_value;
              sum5 += x_value * weight_value2;
              sum6 += x_value2 * weight_value2;
              sum7 += x_value3 * weight_value2;
              sum8 += x_value4 * weight_value2;
              sum9 += x_value * weight_value3;
              sum10 += x_value2 * weight_value3;
              sum11 += x_value3 * weight_value3;
              sum12 += x_value4 * weight_value3;
            }
          }
        }
        f32[out_row2 + k] = sum;
        f32[out_row3 + k] = sum2;
        f32[out_row4 + k] = sum3;
        f32[out_row5 + k] = sum4;
        f32[out_row6 + k] = sum5;
        f32[out_row7 + k] = sum6;
        f32[out_row8 + k] = sum7;
        f32[out_row9 + k] = sum8;
        f32[out_row10 + k] = sum9;
        f32[out_row11 + k] = sum10;
        f32[out_row12 + k] = sum11;
        f32[out_row13 + k] = sum12;
      }
    }
  }
}

/** source.model:5  features = image |> conv2d(3, 3, padding: 1) |> relu |> max_pool(2) */
function max_forward_2(x: number, bias: number, out: number): void {
  for (let i = 0; i < 3; i++) {
    const x_row = x + i * 64;
    const bias_value = f32[bias + i];
    const out_row = out + i * 16;
    for (let j = 0; j < 4; j += 4) {
      const x_row2 = x_row + j * 16;
      const out_row2 = out_row + j * 4;
      const out_row3 = out_row + j * 4 + 4;
      const out_row4 = out_row + j * 4 + 8;
      const out_row5 = out_row + j * 4 + 12;
      for (let k = 0; k < 4; k++) {
        let largest = -Infinity;
        let largest2 = -Infinity;
        let largest3 = -Infinity;
        let largest4 = -Infinity;
        const x_row3 = x_row2 + k * 2;
        for (let l = 0; l < 2; l++) {
          const x_row4 = x_row3 + l * 8;
          const x_row5 = x_row3 + l * 8 + 16;
          const x_row6 = x_row3 + l * 8 + 32;
          const x_row7 = x_row3 + l * 8 + 48;
          for (let m = 0; m < 2; m++) {
            largest = Math.max(largest, Math.max(f32[x_row4 + m] + bias_value, 0));
            largest2 = Math.max(largest2, Math.max(f32[x_row5 + m] + bias_value, 0));
            largest3 = Math.max(largest3, Math.max(f32[x_row6 + m] + bias_value, 0));
            largest4 = Math.max(largest4, Math.max(f32[x_row7 + m] + bias_value, 0));
          }
        }
        f32[out_row2 + k] = largest;
        f32[out_row3 + k] = largest2;
        f32[out_row4 + k] = largest3;
        f32[out_row5 + k] = largest4;
      }
    }
  }
}

/**
 * source.model:6  value = (flatten(features) |> linear(1))[:, 0]
 * source.model:7  loss = mse(value, target)
 */
function linear_forward_4(x: number, weight: number, bias: number, target: number, out: number): void {
  let sum = 0;
  for (let i = 0; i < 48; i++) {
    sum += f32[x + i] * f32[weight + i];
  }
  const sub_value = sum + f32[bias] - f32[target];
  f32[out] = sub_value * sub_value;
}

/** source.model:6  value = (flatten(features) |> linear(1))[:, 0] */
function linear_forward_5(x: number, weight: number, bias: number, out: number): void {
  let sum = 0;
  for (let i = 0; i < 48; i++) {
    sum += f32[x + i] * f32[weight + i];
  }
  f32[out] = sum + f32[bias];
}

// ── Entries: what is called in which order ──────────────────────────────────────────────────────────────────────────────

function initialiseEntry(): void {
  initialise(at_seed, at_parameters);
  initialise_2(at_seed, at_parameters + 54);
  initialise_3(at_seed, at_parameters + 57);
  initialise_4(at_seed, at_parameters + 105);
  initialise_5(at_optimizer_velocity);
}

function trainEntry(): void {
  scalars(at_learning_rate_factor, at_mul_update);
  conv2d_forward(at_image, at_conv2d_view);
  conv2d_forward_2(at_conv2d_view, at_parameters, at_conv2d_contract);
  max_forward(at_conv2d_contract, at_parameters + 54, at_max);
  linear_forward(at_max, at_parameters + 57, at_parameters + 105, at_target, at_sub, at_add_backward);
  linear_backward(at_add_backward, at_max, at_gradients + 57);
  contract_forward(at_sub, at_mul);
  linear_backward_2(at_add_backward, at_gradients + 105);
  argmax_backward(at_conv2d_contract, at_parameters + 54, at_add_backward, at_parameters + 57, at_select_backward);
  contract_backward(at_select_backward, at_conv2d_contract, at_parameters + 54, at_conv2d_contract);
  conv2d_backward(at_conv2d_contract, at_conv2d_view, at_gradients);
  conv2d_backward_2(at_conv2d_contract, at_gradients + 54);
  update(at_optimizer_velocity, at_gradients, at_parameters, at_mul_update, at_optimizer_velocity, at_parameters);
}

function gradientNormEntry(): void {
  update_2(at_gradients, at_sqrt_update);
}

function evaluateEntry(): void {
  conv2d_forward(at_image, at_conv2d_view_2);
  conv2d_forward_2(at_conv2d_view_2, at_parameters, at_conv2d_contract_2);
  max_forward(at_conv2d_contract_2, at_parameters + 54, at_max_2);
  linear_forward_2(at_max_2, at_parameters + 57, at_parameters + 105, at_target, at_sub_2);
  contract_forward(at_sub_2, at_mul_2);
}

function predictEntry(): void {
  conv2d_forward(at_image, at_conv2d_view_3);
  conv2d_forward_2(at_conv2d_view_3, at_parameters, at_conv2d_contract_3);
  max_forward(at_conv2d_contract_3, at_parameters + 54, at_max_3);
  linear_forward_3(at_max_3, at_parameters + 57, at_parameters + 105, at_reshape);
}

function evaluateRowEntry(): void {
  conv2d_forward_3(at_image, at_conv2d_view_4);
  conv2d_forward_4(at_conv2d_view_4, at_parameters, at_conv2d_contract_4);
  max_forward_2(at_conv2d_contract_4, at_parameters + 54, at_max_4);
  linear_forward_4(at_max_4, at_parameters + 57, at_parameters + 105, at_target, at_contract);
}

function predictRowEntry(): void {
  conv2d_forward_3(at_image, at_conv2d_view_5);
  conv2d_forward_4(at_conv2d_view_5, at_parameters, at_conv2d_contract_5);
  max_forward_2(at_conv2d_contract_5, at_parameters + 54, at_max_5);
  linear_forward_5(at_max_5, at_parameters + 57, at_parameters + 105, at_reshape_2);
}

// ── The program ─────────────────────────────────────────────────────────────────────────────────────────────────────────
const program: CompiledProgram = {
  name: "convolution",
  source: '80e3e7925d1895b34961766e7ae008e0',
  memory,
  device: null,
  threads: null,
  batched: true,
  inputs: [
    { name: "image", dtype: 'f32', shape: [4, 2, 8, 8], offset: 1344, below: null },
    { name: "target", dtype: 'f32', shape: [4], offset: 3392, below: null },
  ],
  parameters: [
    { name: "conv2d.weight", dtype: 'f32', shape: [3, 2, 3, 3], offset: 0 },
    { name: "conv2d.bias", dtype: 'f32', shape: [3], offset: 216 },
    { name: "linear.weight", dtype: 'f32', shape: [1, 48], offset: 228 },
    { name: "linear.bias", dtype: 'f32', shape: [1], offset: 420 },
  ],
  states: [
    { name: "optimizer.velocity.conv2d.weight", dtype: 'f32', shape: [3, 2, 3, 3], offset: 896 },
    { name: "optimizer.velocity.conv2d.bias", dtype: 'f32', shape: [3], offset: 1112 },
    { name: "optimizer.velocity.linear.weight", dtype: 'f32', shape: [1, 48], offset: 1124 },
    { name: "optimizer.velocity.linear.bias", dtype: 'f32', shape: [1], offset: 1316 },
  ],
  scalars: { seed: 3456, step: 13120, steps: 13184, learningRateFactor: 3520 },
  stages: [{
    name: "Convolution",
    model: "Convolution",
    batched: true,
    inputs: ["image", "target"],
    gradients: [
      { name: "conv2d.weight", dtype: 'f32', shape: [3, 2, 3, 3], offset: 448 },
      { name: "conv2d.bias", dtype: 'f32', shape: [3], offset: 664 },
      { name: "linear.weight", dtype: 'f32', shape: [1, 48], offset: 676 },
      { name: "linear.bias", dtype: 'f32', shape: [1], offset: 868 },
    ],
    initialise: initialiseEntry,
    accumulate: null,
    train: {
      run: trainEntry,
      number: 1,
      inputs: ["image", "target"],
      results: [
        { name: "loss", dtype: 'f32', shape: [], offset: 13056 },
        { name: "lr", dtype: 'f32', shape: [], offset: 12992 },
      ],
      rows: 4,
    },
    gradientNorm: {
      run: gradientNormEntry,
      number: 2,
      inputs: [],
      results: [
        { name: "grad_norm", dtype: 'f32', shape: [], offset: 3584 },
      ],
      rows: 4,
    },
    evaluate: {
      run: evaluateEntry,
      number: 3,
      inputs: ["image", "target"],
      results: [
        { name: "loss", dtype: 'f32', shape: [], offset: 3584 },
      ],
      rows: 4,
    },
    evaluateRow: {
      run: evaluateRowEntry,
      number: 5,
      inputs: ["image", "target"],
      results: [
        { name: "loss", dtype: 'f32', shape: [], offset: 3776 },
      ],
      rows: 1,
    },
    predict: {
      run: predictEntry,
      number: 4,
      inputs: ["image"],
      results: [
        { name: "value", dtype: 'f32', shape: [4], offset: 4352 },
      ],
      rows: 4,
    },
    predictRow: {
      run: predictRowEntry,
      number: 6,
      inputs: ["image"],
      results: [
        { name: "value", dtype: 'f32', shape: [1], offset: 3776 },
      ],
      rows: 1,
    },
    predictOnce: null,
    generator: null,
    settings: {"epochs":null,"steps":null,"seed":0,"clipNorm":null,"accumulate":1,"ema":null,"precision":"f32","memory":null,"evaluateEvery":null,"checkpointEvery":null,"checkpointKeep":1,"earlyStop":null},
    flopsPerStep: 70562,
  }],
  data: null,
  readers: {},
  synthetic: null,
  tokenizers: [],
  pictures: null,
};

// ── Interface ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Any number of rows at once, one after the other in each array; `image`: 2×8×8 a row. */
export async function predict(rows: { image: Float32Array }): Promise<{ value: Float32Array }> {
  return await predictRows(program, program.stages.at(-1)!, rows) as { value: Float32Array };
}

/** Trains as the `train` block says, from new parameters; options replace its settings. */
export async function train(options: TrainOptions<{ image: Float32Array; target: Float32Array }> = {}): Promise<TrainReport> {
  return trainModel(program, options);
}

/** Loss and metrics over the given rows. */
export async function evaluate(rows: { image: Float32Array; target: Float32Array }): Promise<Results> {
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

