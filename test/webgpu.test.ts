/**
 * The WebGPU target on a GPU in software: every nest of the op table, products in tiles, random models, kernels in blocks, and training steps
 * against PyTorch; and every shader of every model through the validator. Each part runs in a process of its own. Where no GPU is found these
 * tests fail.
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import type { Profile } from '../compiler/cli/profile.ts';
import { lavapipeEnvironment } from './support/lavapipe.ts';
import { swiftshaderEnvironment } from './support/swiftshader.ts';

interface Told {
  readonly title: string;
  readonly problem: string | null;
}

/** What a job of `support/gpu-child.ts` tells. */
async function told(job: readonly string[], environment = swiftshaderEnvironment()): Promise<readonly Told[]> {
  const child = spawn(process.execPath, [fileURLToPath(new URL('support/gpu-child.ts', import.meta.url)), ...job], { env: { ...process.env, ...environment } });
  let [out, error] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => out += text);
  child.stderr.setEncoding('utf8').on('data', (text: string) => error += text);
  const code = await new Promise(resolve => child.on('close', resolve));
  // Limits of lavapipe are above those of the implementation.
  expect([code, error.replaceAll(/^Warning: .*artificially reduced.*\n/gm, '')], out.split('\n').at(-2)).toEqual([0, '']);
  return out.trim().split('\n').map(line => JSON.parse(line) as Told);
}

test.concurrent.each([
  ['shaders', 2000],
  ['fixtures', 23],
  ['halves', 34],
  ['programs', 16],
  ['ops', 500],
  ['products', 20],
  ['blocks', 3],
  ['limited', 2],
  ['positions', 8],
  ['large', 4],
] as const)('%s', async (job, fewest) => {
  const things = await told([job]);
  expect(things.filter(({ problem }) => problem !== null)).toEqual([]);
  expect(things.length).toBeGreaterThanOrEqual(fewest);
}, 300_000);

const lavapipe = lavapipeEnvironment();
const isSkipped = lavapipe === null && process.env['CI'] !== 'true';
(isSkipped ? test.skip : test.concurrent).each([['halves', 34], ['products', 20]] as const)(
  `%s with f16 and subgroups, on lavapipe${isSkipped ? ': skipped, Mesa\'s drivers for Vulkan are not installed' : ''}`, async (job, fewest) => {
    expect(lavapipe, 'lavapipe is not installed').not.toBeNull();
    const things = await told([job, 'f16'], lavapipe!);
    expect(things.filter(({ problem }) => problem !== null)).toEqual([]);
    expect(things.length).toBeGreaterThanOrEqual(fewest);
  }, 300_000,
);

test('profile: the kernels of a step by the clock of the GPU', async () => {
  const nabla = fileURLToPath(new URL('../compiler/cli/nabla.js', import.meta.url));
  const child = spawn(process.execPath, [nabla, 'profile', 'models/iris.model', '--target', 'webgpu', '--steps', '3', '--format', 'json'], {
    cwd: fileURLToPath(new URL('..', import.meta.url)), env: { ...process.env, ...swiftshaderEnvironment() },
  });
  let [out, error] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => out += text);
  child.stderr.setEncoding('utf8').on('data', (text: string) => error += text);
  expect([await new Promise(resolve => child.on('close', resolve)), error]).toEqual([0, '']);
  const { clock, limits, threads, stepMs, outsideMs, kernels } = JSON.parse(out) as Profile;
  expect([clock, limits, threads]).toEqual(['gpu', null, null]);
  expect(kernels.length).toBeGreaterThan(5);
  for (const { ms, share } of kernels) expect([ms > 0, share < 1]).toEqual([true, true]);
  expect(kernels.reduce((sum, { ms }) => sum + ms, outsideMs)).toBeCloseTo(stepMs, 1);
}, 120_000);
