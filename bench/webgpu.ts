/**
 * Measures training steps on WebGPU: nabla's programs, jax-js and TensorFlow.js in one page of headless Chromium, on one adapter, in
 * rounds that interleave them. Prints a table in Markdown: times, dispatches, submits, bytes written and buffers made in a step.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Page } from 'playwright-core';
import { build as bundle } from 'vite';
import { servePages, startBrowser } from '../test/support/browser.ts';
import { writeBatch, writeFirstWeights } from './batch.ts';
import { build } from './nabla.ts';
import { missing } from './peers.ts';
import { spread } from './statistics.ts';
import type { BenchPage, PageStep, PageSystem } from './webgpu-page.ts';

interface Pair {
  readonly model: string;
  readonly system: PageSystem;
  readonly steps: PageStep[];
  /** Why it is not measured; null while it is. */
  skipped: string | null;
}

const here = import.meta.dirname;
const root = join(here, '..');
const names = { nabla: 'nabla', jax: 'jax-js', tfjs: 'TensorFlow.js' } as const satisfies Record<PageSystem, string>;
/** Steps before any is timed: their losses must agree. */
const warmUp = 3;

const { values: { models, rounds, limit } } = parseArgs({ options: {
  models: { type: 'string', default: 'mlp,lenet,gpt' }, rounds: { type: 'string', default: '5' }, limit: { type: 'string', default: '30' },
} });
const absent = missing('jax');
if (absent !== null) throw new Error(`the peers are not there: ${absent}`);
const folder = mkdtempSync(join(tmpdir(), 'nabla-webgpu-'));
try {
  process.stdout.write(await measure(models.split(','), Number(rounds), 1000 * Number(limit)));
} finally {
  rmSync(folder, { recursive: true });
}

async function measure(models: readonly string[], rounds: number, limit: number): Promise<string> {
  const server = await servePages(await filesOf(models), false);
  const pairs = models.flatMap(model => (['nabla', 'jax', 'tfjs'] as const).map((system): Pair => ({
    model, system, steps: [], skipped: model === 'gpt' && system === 'tfjs' ? 'its WebGPU backend is given no such model here' : null,
  })));
  let adapter = '';
  // What takes too long blocks its page, so all others start again in a new one.
  for (let again = true; again;) {
    again = false;
    const browser = await startBrowser({ gpu: true });
    try {
      const page = await browser.newPage();
      await page.goto(server.url);
      await page.waitForFunction('globalThis.bench !== undefined');
      adapter = await page.evaluate(() => (globalThis as unknown as { readonly bench: BenchPage }).bench.adapter());
      const left = pairs.filter(({ skipped }) => skipped === null);
      for (const pair of left) pair.steps.length = 0;
      again = !await runAll(page, left, rounds, limit);
    } finally {
      await browser.close();
    }
  }
  await server.close();
  requireAlike(pairs);
  return tableOf(pairs, adapter, rounds);
}

/** False when one took too long. A system that fails leaves the page as it was. */
async function runAll(page: Page, pairs: readonly Pair[], rounds: number, limit: number): Promise<boolean> {
  for (let round = 0; round < rounds + 1; round++) {
    for (const pair of pairs.filter(({ skipped }) => skipped === null)) {
      const started = performance.now();
      process.stderr.write(`round ${round}: ${pair.model}, ${names[pair.system]}\n`);
      for (let i = 0; i < (round === 0 ? warmUp : 2); i++) {
        const step = page.evaluate(([model, system]) => (globalThis as unknown as { readonly bench: BenchPage }).bench.step(model, system), [pair.model, pair.system] as const)
          .catch((error: Error) => error);
        const late = new Promise<null>(resolve => setTimeout(resolve, Math.max(0, limit - (performance.now() - started)), null).unref());
        const result = await Promise.race([step, late]);
        if (result === null) {
          pair.skipped = `${round === 0 ? 'the start and the first steps take' : 'steps take'} more than ${limit / 1000} s`;
          return false;
        }
        if (result instanceof Error) {
          pair.skipped = result.message.split('\n')[0]!;
          break;
        }
        pair.steps.push(result);
      }
    }
  }
  return true;
}

/** The page with its script, and the batch and first weights of every model. */
async function filesOf(models: readonly string[]): Promise<Record<string, string | Uint8Array>> {
  const files: Record<string, string | Uint8Array> = {};
  for (const model of models) {
    const path = `bench/models/${model}.model`;
    const output = join(folder, `${model}.ts`);
    execFileSync(process.execPath, [join(root, 'compiler/cli/nabla.js'), 'build', path, '--module', '--target', 'webgpu', '-o', output], { cwd: root });
    writeFileSync(output, `${readFileSync(output, 'utf8')}\nexport { program };\n`);
    const built = build(path);
    const batch = join(folder, model);
    mkdirSync(batch);
    writeBatch(built.model, built.program, batch);
    writeFirstWeights(built.program, batch);
    for (const name of readdirSync(batch)) files[`/${model}/${name}`] = readFileSync(join(batch, name));
  }
  writeFileSync(join(folder, 'page.ts'), [
    `import { openBenchPage } from ${JSON.stringify(join(here, 'webgpu-page.ts'))};`,
    ...models.map(model => `import * as ${model} from './${model}.ts';`),
    `Object.assign(globalThis, { bench: openBenchPage({ ${models.join(', ')} }) });`,
  ].join('\n'));
  writeFileSync(join(folder, 'index.html'), '<!doctype html><title>bench</title><script type="module" src="./page.ts"></script>');
  await bundle({ root: folder, logLevel: 'error', configFile: false, build: { outDir: 'dist', target: 'esnext', modulePreload: false, chunkSizeWarningLimit: 1e5 } });
  const assets = join(folder, 'dist/assets');
  for (const name of readdirSync(assets)) files[`/assets/${name}`] = readFileSync(join(assets, name), 'utf8');
  return { ...files, '/': readFileSync(join(folder, 'dist/index.html'), 'utf8') };
}

/** All systems do the same work: the first losses agree, as far as functions of GPUs do. */
function requireAlike(pairs: readonly Pair[]): void {
  for (const { model, system, steps, skipped } of pairs) {
    if (skipped !== null) continue;
    const ours = pairs.find(pair => pair.model === model && pair.system === 'nabla')!.steps;
    const alike = ours.slice(0, warmUp).every(({ loss }, i) => Math.abs(loss - steps[i]!.loss) <= 1e-3 * Math.abs(loss));
    const losses = (of: readonly PageStep[]): string => of.slice(0, warmUp).map(({ loss }) => loss).join(', ');
    if (!alike) throw new Error(`\`${model}\` is not trained alike: nabla has the losses ${losses(ours)}; ${names[system]} has ${losses(steps)}`);
  }
}

function tableOf(pairs: readonly Pair[], adapter: string, rounds: number): string {
  const date = new Date().toISOString().slice(0, 10);
  const { version: nabla } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { readonly version: string };
  const { dependencies } = JSON.parse(readFileSync(join(here, 'package.json'), 'utf8')) as { readonly dependencies: Readonly<Record<string, string>> };
  const head = ['model', 'system', 'ms a step', 'time, nabla / it', 'dispatches', 'dispatches, nabla / it', 'submits', 'bytes written', 'buffers made'];
  const rows = pairs.map(({ model, system, steps, skipped }) => {
    if (skipped !== null) return [model, names[system], `not measured: ${skipped}`, '', '', '', '', '', ''];
    const of = (measured: readonly PageStep[], key: keyof PageStep): ReturnType<typeof spread> => spread(measured.slice(warmUp).map(step => step[key]));
    const ours = pairs.find(pair => pair.model === model && pair.system === 'nabla')!;
    const ratio = (key: keyof PageStep): string => (system === 'nabla' || ours.skipped !== null ? '' : (of(ours.steps, key).median / of(steps, key).median).toPrecision(2));
    const whole = (key: keyof PageStep): string => Math.round(of(steps, key).median).toLocaleString('en');
    const { min, median } = of(steps, 'ms');
    return [model, names[system], `${min.toPrecision(3)} – ${median.toPrecision(3)}`, ratio('ms'), whole('dispatches'), ratio('dispatches'), whole('submits'), whole('bytesWritten'), whole('buffersMade')];
  });
  const versions = `nabla ${nabla}, jax-js ${dependencies['@jax-js/jax']}, TensorFlow.js ${dependencies['@tensorflow/tfjs']}`;
  return `${date}; ${cpus()[0]!.model.trim()}, ${cpus().length} cores; adapter ${adapter}; ${versions}; ${rounds} rounds of 2 steps. Times are minimum – median.\n\n`
    + `${[head, head.map(() => '---'), ...rows].map(cells => `| ${cells.join(' | ')} |`).join('\n')}\n`;
}
