/**
 * Compiled programs in Chromium: the machine in a page and in web workers, with and without shared memory, gives the bytes that it
 * gives in Node.
 */
import { stripTypeScriptTypes } from 'node:module';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { emit } from '../compiler/6-emit/emit.ts';
import { compile } from '../compiler/index.ts';
import { servePages, startBrowser } from './support/browser.ts';
import { emitOptions, importEmitted } from './support/run-program.ts';

let browser: Browser;
beforeAll(async () => {
  browser = await startBrowser();
}, 120_000);
afterAll(() => browser.close());

/** Runs `use` in a new page at `/`, beside other texts by their paths. */
async function inPage<T>(pages: Readonly<Record<string, string>>, isolated: boolean, use: (page: Page) => Promise<T>): Promise<T> {
  const server = await servePages({ '/': '<!doctype html><title>test</title>', ...pages }, isolated);
  const page = await browser.newPage();
  try {
    await page.goto(server.url);
    return await use(page);
  } finally {
    await page.close();
    await server.close();
  }
}

/** Products, a reduction, random numbers; large enough for threads to share the work. */
const model = `
model Whole {
  input x: f32[B, 31]
  h = x |> linear(237) |> relu |> dropout(0.3) |> linear(19)
  loss = mse(h, 0)
  output y = h
}
train {
  batch     29
  steps     10
  optimizer sgd(lr: 0.1, momentum: 0.9)
}
`;

/** Trains on the threads given, and tells the last loss, some bits of the parameters, and what the machine says of its threads. */
const trainText = `
export async function trainSteps(threads) {
  const words = new Int32Array(program.memory);
  const { seed, step, steps, learningRateFactor } = program.scalars;
  await program.threads.start(Math.min(threads, program.threads.most));
  [words[seed / 4], words[step / 4], words[steps / 4]] = [7, 0, 10];
  new Float32Array(program.memory, learningRateFactor, 1)[0] = 1;
  program.stages[0].initialise();
  const [x] = program.inputs;
  new Float32Array(program.memory, x.offset, 29 * 31).forEach((_, i, values) => { values[i] = ((i * 37) % 101) / 101; });
  for (let i = 1; i <= 10; i++) {
    words[step / 4] = i;
    program.stages[0].train.run();
  }
  const bits = program.parameters.flatMap(({ offset, shape }) => [...new Int32Array(program.memory, offset, shape.reduce((a, b) => a * b, 1))]);
  const sum = bits.reduce((total, value) => (Math.imul(total, 31) + value) | 0, 0);
  const { most, alone } = program.threads;
  const count = program.threads.count();
  program.threads.stop();
  return { loss: new Float32Array(program.memory, program.stages[0].train.results[0].offset, 1)[0], sum, count, most, alone };
}
`;

interface Trained {
  readonly loss: number;
  readonly sum: number;
  readonly count: number;
  readonly most: number;
  readonly alone: string | null;
}

const inWorker = `
  import { trainSteps } from '/program.mjs';
  onmessage = async ({ data }) => {
    try { postMessage(await trainSteps(data)); } catch (error) { postMessage(String(error)); }
  };
  postMessage('ready');
`;

describe('the machine', () => {
  const { levels } = compile({ path: 'whole.model', text: model, library: false }, 'schedule');
  const text = stripTypeScriptTypes(emit(levels, { ...emitOptions('wasm'), deterministic: true, form: 'module' })) + trainText;

  const trainHere = (page: Page): Promise<Trained> =>
    page.evaluate(`import('/program.mjs').then(program => program.trainSteps(2))`);
  const trainInWorker = (page: Page, threads: number): Promise<Trained> => page.evaluate(`new Promise((resolve, reject) => {
    const worker = new Worker('/worker.mjs', { type: 'module' });
    worker.onerror = event => reject(new Error(event.message));
    worker.onmessage = ({ data }) => (data === 'ready' ? worker.postMessage(${threads}) : resolve(data));
  })`);
  const pages = { '/program.mjs': text, '/worker.mjs': inWorker };
  const inNode = async (): Promise<Trained> => {
    const module = (await importEmitted(text)) as unknown as { readonly trainSteps: (threads: number) => Promise<Trained> };
    return module.trainSteps(2);
  };

  test.each(['idx(x: "f")', 'npy(x: "f")', 'npz("f", x: "x")', 'safetensors("f", x: "x")', 'csv("f", x: ["a"])'])('a module that reads %s imports nothing', source => {
    const file = `${model.replace('f32[B, 31]', 'f32[B, 1]')}data { train = ${source} }`;
    const { levels: reading, diagnostics } = compile({ path: 'whole.model', text: file, library: false }, 'schedule');
    expect(diagnostics.map(({ message }) => message)).toEqual([]);
    for (const target of ['wasm', 'typescript'] as const) expect(emit(reading, { ...emitOptions(target), form: 'module' })).not.toMatch(/^import /m);
  });

  test('threads in a worker of an isolated page', async () => {
    const expected = await inNode();
    expect(expected).toMatchObject({ count: 2, most: 256, alone: null });
    await inPage(pages, true, async page => {
      expect(await trainInWorker(page, 1)).toEqual({ ...expected, count: 1 });
      expect(await trainInWorker(page, 3)).toEqual({ ...expected, count: 3 });
    });
  });

  test('one thread where memory cannot be shared, with the reason', async () => {
    const { loss, sum } = await inNode();
    await inPage(pages, false, async page => {
      const alone = expect.stringMatching(/^threads may share memory only in pages .* `Cross-Origin-Opener-Policy/);
      expect(await trainInWorker(page, 3)).toEqual({ loss, sum, count: 1, most: 1, alone });
      expect(await trainHere(page)).toMatchObject({ loss, sum });
    });
  });

  test('one thread in a page itself, which may not wait', async () => {
    const { loss, sum } = await inNode();
    await inPage(pages, true, async page => {
      const alone = expect.stringMatching(/^a page itself may not wait/);
      expect(await trainHere(page)).toEqual({ loss, sum, count: 1, most: 1, alone });
    });
  });

  test('a thread that fails ends the run with a message', async () => {
    const failing = text.replace(/(webWorkerText = `[^`]*)exports\.work\(thread\)/, '$1exports.work(thread, nothing())');
    expect(failing).not.toBe(text);
    await inPage({ ...pages, '/program.mjs': failing }, true, async page => {
      expect(await trainInWorker(page, 3)).toMatch(/a thread of the program stopped working/);
    });
  });
});
