/** What programs say when a GPU fails: which tensor, or which kernel and on which line of the model; and the last checkpoint is as it was. */
import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { emit } from '../compiler/6-emit/emit.ts';
import { compile } from '../compiler/index.ts';
import { openBytes, wholeFileLimit } from '../runtime/files.ts';
import { readSafetensors } from '../runtime/safetensors.ts';
import type { GpuFailure } from './support/failing-gpu.ts';
import { folderOfTest } from './support/folder.ts';
import { emitOptions } from './support/run-program.ts';

const folder = folderOfTest({ enter: false });

/** `wide` is the largest tensor. */
const model = (width: number): string => `model Fails {
  input x: f32[B, 4]
  input y: f32[B]
  param wide: f32[${width}, 4] = normal(0.1)
  loss = mse(sum(x @ wide.T, axis: 1), y)
}
data {
  train = csv("rows.csv", x: ["a", "b", "c", "d"], y: "y")
}
train {
  batch 4
  steps 100
  optimizer sgd(lr: 0.1)
  checkpoint every 10 steps
}
`;

interface Ended {
  readonly code: number | null;
  readonly error: string;
}

/** Trains on a GPU that fails. */
function trained(failure: GpuFailure, width = 8): Ended {
  const { levels, diagnostics } = compile({ path: 'fails.model', text: model(width), library: false }, 'schedule');
  expect(diagnostics.map(({ message }) => message)).toEqual([]);
  const program = join(folder(), 'program.ts');
  writeFileSync(program, emit(levels, emitOptions('webgpu')));
  writeFileSync(join(folder(), 'rows.csv'), `a,b,c,d,y\n${'1,2,3,4,5\n'.repeat(16)}`);
  const fake = fileURLToPath(new URL('support/failing-gpu.ts', import.meta.url));
  const { status, stderr } = spawnSync(process.execPath, ['--import', fake, program, 'train'], {
    cwd: folder(), encoding: 'utf8', timeout: 60_000, env: { ...process.env, GPU_FAILS: failure },
  });
  return { code: status, error: stderr };
}

test.each([
  ['memory', 8, /has no room for the \d+ bytes of the program \(not enough memory left; the largest tensor is parameters, most of it wide\)/],
  ['limit', 10_000_000, /binds \d+ bytes at once, and this GPU allows 134217728 \(the largest tensor is parameters, most of it wide\)/],
  ['kernel', 8, /does not take the kernel `[^`]+`, which computes .*fails\.model:\d+/],
] as const)('%s: the message tells what is too much', (failure, width, message) => {
  const { code, error } = trained(failure, width);
  expect(error).toMatch(message);
  expect(error, 'no trace').not.toMatch(/^\s+at /m);
  expect(code).toBe(1);
}, 120_000);

test.each([
  ['refused', /refused to compute \(\[Buffer "memory 0"\] is not what it was\); the last checkpoint is as it was/],
  ['lost', /the GPU is gone \(unknown: it was unplugged\); the last checkpoint is as it was/],
] as const)('%s while it trains: the last checkpoint is whole', (failure, message) => {
  const { code, error } = trained(failure);
  expect(error).toMatch(message);
  expect(error, 'no trace').not.toMatch(/^\s+at /m);
  expect(code).toBe(1);
  const checkpoint = 'fails.checkpoint.safetensors';
  const { metadata } = readSafetensors(openBytes(join(folder(), checkpoint), checkpoint, wholeFileLimit));
  const { step } = JSON.parse(metadata.progress!) as { readonly step: number };
  expect(step % 10).toBe(0);
  expect(step).toBeGreaterThan(0);
  expect(existsSync(join(folder(), 'fails.safetensors')), 'weights of a run that failed').toBe(false);
}, 120_000);
