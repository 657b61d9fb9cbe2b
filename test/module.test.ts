/**
 * `nabla build --module`: what an application imports. The same application in Node, and bundled by Vite in Chromium, in a page and in a
 * worker with threads, trains to the same weights; its types hold with Node's types and with a browser's, as TypeScript and beside JavaScript.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { deflateSync, gzipSync } from 'node:zlib';
import type { Browser } from 'playwright-core';
import { build } from 'vite';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { emit } from '../compiler/6-emit/emit.ts';
import { main } from '../compiler/cli/main.ts';
import { compile } from '../compiler/index.ts';
import { savedBytes, type AnyRows, type TrainOptions } from '../runtime/application.ts';
import { pngPieces } from '../runtime/png.ts';
import { joined } from '../runtime/unpack.ts';
import { servePages, startBrowser } from './support/browser.ts';
import { folderOfFile } from './support/folder.ts';
import { emitOptions, importEmitted } from './support/run-program.ts';

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

/** Pictures of one pixel in folders, and a table that names the same. */
test('takes picture files as a map of all files', async () => {
  const shades = [10, 200, 30, 220, 50, 240, 70, 250];
  const files = new Map<string, Uint8Array>(shades.map((shade, i) =>
    [`shades/${i % 2 === 1 ? 'light' : 'dark'}/${i}.png`, joined(pngPieces({ width: 1, height: 1, channels: 1, pixels: Uint8Array.of(shade) }, deflateSync))]));
  const table = gzipSync(`file,kind\n${[...files.keys()].map((name, i) => `${name},${i % 2}\n`).join('')}`);
  const moduleOf = (data: string): ReturnType<typeof importEmitted> => {
    const text = `model Shades {\n  input image: u8[B, 1, 1]\n  input kind: i32[B]\n  loss = cross_entropy(flatten(image) / 255 |> linear(2), kind)\n}\ndata { train = ${data} }\n`
      + 'train {\n  batch 4\n  steps 5\n  optimizer sgd(0.1)\n}\n';
    const { levels, diagnostics } = compile({ path: 'shades.model', text, library: false }, 'schedule');
    expect(diagnostics).toEqual([]);
    return importEmitted(emit(levels, { ...emitOptions('typescript'), form: 'module' }));
  };
  const trained = async ({ train, program }: Awaited<ReturnType<typeof moduleOf>>, data: TrainOptions<AnyRows>['data']): Promise<Buffer> => {
    await train!({ data: data! });
    return Buffer.from(await savedBytes(program));
  };
  const [folders, rows] = [await moduleOf('images("./shades/", image: "picture", kind: "folder")'), await moduleOf('csv("all/table.csv", image: picture("file"), kind: "kind")')];
  const inOrder = [0, 2, 4, 6, 1, 3, 5, 7];
  expect(await trained(folders, files)).toEqual(await trained(folders, { train: { image: Uint8Array.from(inOrder, i => shades[i]!), kind: Int32Array.of(0, 0, 0, 0, 1, 1, 1, 1) } }));
  expect(await trained(rows, new Map([...files, ['all/table.csv.gz', table]]))).toEqual(await trained(rows, { train: { image: Uint8Array.from(shades), kind: Int32Array.from(shades, (_, i) => i % 2) } }));
  await expect(trained(folders, () => table)).rejects.toThrow('pass `data` as a Map of all files by their paths');
  await expect(trained(folders, new Map([['shade/dark/0.png', table]]))).rejects.toThrow('the folder `./shades/` is missing among the files that are given');
  await expect(trained(rows, new Map([...files].slice(1)).set('./all/table.csv', table))).rejects.toThrow('the data file `shades/dark/0.png` is missing among the files');
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
