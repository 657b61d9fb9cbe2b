/**
 * `nabla build --module`: what an application imports. The same application in Node, and bundled by Vite in Chromium, in a page and in a
 * worker with threads, trains to the same weights; its types hold with Node's types and with a browser's, as TypeScript and beside JavaScript.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { build } from 'vite';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { main } from '../compiler/cli/main.ts';
import { servePages, startBrowser } from './support/browser.ts';
import { folderOfFile } from './support/folder.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const root = new URL('../', import.meta.url).pathname;
const folder = folderOfFile();
let browser: Browser;
beforeAll(async () => {
  vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  expect(await main(['build', join(root, 'models/iris.model'), '--module', '--deterministic', '-o', join(folder, 'iris.ts')])).toBe(0);
  expect(await main(['build', join(root, 'models/iris.model'), '--module', '--deterministic', '--js', '-o', join(folder, 'iris.mjs')])).toBe(0);
  vi.restoreAllMocks();
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  browser = await startBrowser();
});
afterAll(() => browser.close());

/** Trains on files and on rows, evaluates, saves, loads, predicts. */
const application = (module: string): string => `
import { evaluate, load, predict, save, train } from './${module}';

export async function run(files: (file: string) => Promise<Uint8Array>): Promise<string> {
  const flower = Float32Array.from({ length: 4 * 40 }, (_, i) => ((i * 37) % 101) / 20);
  const species = Int32Array.from({ length: 40 }, (_, i) => i % 3);
  const onRows = await train({ data: { train: { flower, species }, test: { flower, species } }, steps: 20 });
  let evaluations = 0;
  const { outcome, step, test } = await train({ data: files, steps: 60, seed: 3, reporter: { evaluation: () => evaluations++ } });
  const weights = await save();
  const before = await predict({ flower: flower.subarray(0, 8) });
  await train({ data: { train: { flower, species } }, steps: 1 });
  await load(weights);
  const { probabilities } = await predict({ flower: flower.subarray(0, 8) });
  const { accuracy } = await evaluate({ flower, species });
  const hash = weights.reduce((sum, byte) => (Math.imul(sum, 31) + byte) | 0, 0);
  return JSON.stringify({ onRows, outcome, step, test, evaluations, accuracy, hash, same: probabilities.every((p, i) => p === before.probabilities[i]) });
}
`;

const csv = readFileSync(join(root, 'models/data/iris.csv'), 'utf8');

function runInNode(module: string): string {
  writeFileSync(join(folder, 'application.ts'), application(module));
  const script = `
    import { readFileSync } from 'node:fs';
    import { run } from './application.ts';
    process.stdout.write(await run(async file => readFileSync(${JSON.stringify(join(root, 'models/'))} + file)));
  `;
  return execFileSync(process.execPath, ['--input-type=module', '--eval', script], { cwd: folder, encoding: 'utf8' });
}

test('in Node, as TypeScript and as JavaScript', () => {
  const [typed, plain] = ['iris.ts', 'iris.mjs'].map(runInNode);
  expect(typed).toBe(plain);
  expect(JSON.parse(typed!)).toMatchObject({ outcome: 'finished', step: 60, onRows: { step: 20 }, same: true, evaluations: 10 });
});

test('bundled by Vite, in a page', async () => {
  writeFileSync(join(folder, 'application.ts'), application('iris.ts'));
  writeFileSync(join(folder, 'page.ts'), `
    import { run } from './application.ts';
    const files = async (file: string) => new Uint8Array(await (await fetch('/' + file)).arrayBuffer());
    run(files).then(text => document.title = text, error => document.title = String(error));
  `);
  writeFileSync(join(folder, 'index.html'), '<!doctype html><title>none</title><script type="module" src="./page.ts"></script>');
  await build({ root: folder, logLevel: 'silent', configFile: false, build: { outDir: 'dist', modulePreload: false } });
  const assets = readdirSync(join(folder, 'dist/assets')).map(name => [`/assets/${name}`, readFileSync(join(folder, 'dist/assets', name), 'utf8')] as const);
  const pages = { '/': readFileSync(join(folder, 'dist/index.html'), 'utf8'), '/data/iris.csv': csv, ...Object.fromEntries(assets) };
  const server = await servePages(pages, false);
  const page = await browser.newPage();
  await page.goto(server.url);
  await page.waitForFunction('document.title !== "none"');
  expect(await page.title()).toBe(runInNode('iris.ts'));
  await page.close();
  await server.close();
});

/** What the type checker prints. */
function typeErrors(...args: readonly string[]): string {
  const options = ['--noEmit', '--strict', '--noFallthroughCasesInSwitch', '--erasableSyntaxOnly', '--target', 'es2024', '--module', 'nodenext', '--allowImportingTsExtensions'];
  try {
    execFileSync(join(root, 'node_modules/.bin/tsc'), [...options, ...args], { cwd: folder, stdio: 'pipe', encoding: 'utf8' });
    return '';
  } catch (error) {
    return (error as { readonly stdout: string }).stdout;
  }
}

test.each(['iris.ts', 'iris.mjs'])('%s has types in Node and in a browser', module => {
  writeFileSync(join(folder, 'application.ts'), application(module));
  expect(typeErrors('--lib', 'es2024,dom', '--types', '', 'application.ts')).toBe('');
  expect(typeErrors('--lib', 'es2024', '--types', 'node', '--typeRoots', join(root, 'node_modules/@types'), 'application.ts')).toBe('');
  writeFileSync(join(folder, 'application.ts'), application(module).replace('flower: flower.subarray(0, 8)', 'flower: species'));
  expect(typeErrors('--lib', 'es2024,dom', '--types', '', 'application.ts')).toContain('Int32Array');
});
