/**
 * The WebGPU target on a GPU in software: every nest of the op table. Each part runs in a process of its own. Where no GPU is found
 * these tests fail.
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { swiftshaderEnvironment } from './support/swiftshader.ts';

interface Told {
  readonly title: string;
  readonly problem: string | null;
}

/** What a job of `support/gpu-child.ts` tells. */
async function told(job: string): Promise<readonly Told[]> {
  const child = spawn(process.execPath, [fileURLToPath(new URL('support/gpu-child.ts', import.meta.url)), job], {
    env: { ...process.env, ...swiftshaderEnvironment() },
  });
  let [out, error] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => out += text);
  child.stderr.setEncoding('utf8').on('data', (text: string) => error += text);
  const code = await new Promise(resolve => child.on('close', resolve));
  expect([code, error], out.split('\n').at(-2)).toEqual([0, '']);
  return out.trim().split('\n').map(line => JSON.parse(line) as Told);
}

test.each([
  ['ops', 400],
] as const)('%s', async (job, fewest) => {
  const things = await told(job);
  expect(things.filter(({ problem }) => problem !== null)).toEqual([]);
  expect(things.length).toBeGreaterThan(fewest);
}, 120_000);
