/**
 * Measures training steps on WebGPU: nabla's programs, jax-js and TensorFlow.js in one page of headless Chromium, on one adapter, in
 * rounds that interleave them. Prints a table in Markdown: times, dispatches, submits, bytes written and buffers made in a step.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { build as bundle } from 'vite';
import { servePages, startBrowser } from '../test/support/browser.ts';
import { writeBatch, writeFirstWeights } from './batch.ts';
import { build } from './nabla.ts';
import { missing } from './peers.ts';
import { spread, type Spread } from './statistics.ts';
import type { BenchPage, PageStep, PageSystem } from './webgpu-page.ts';

interface Pair {
  readonly model: (typeof models)[number];
  readonly system: PageSystem;
  /** The steps of every round, those of the warm-up included. */
  readonly runs: (readonly PageStep[])[];
  /** Why it is not measured; null while it is. */
  failure: string | null;
}

const here = import.meta.dirname;
const root = join(here, '..');
const names = { nabla: 'nabla', jax: 'jax-js', tfjs: 'TensorFlow.js' } as const satisfies Record<PageSystem, string>;
const models = ['mlp', 'lenet', 'gpt'] as const;
const systems = ['nabla', 'jax', 'tfjs'] as const satisfies readonly PageSystem[];
/** Steps before any is timed: their losses must agree. */
const warmUp = 3;
const timed = 3;

const { values: flags } = parseArgs({ options: {
  models: { type: 'string', default: models.join() },
  systems: { type: 'string', default: systems.join() },
  rounds: { type: 'string', default: '3' },
  limit: { type: 'string', default: '120' },
} });
const loadBefore = loadavg()[0]!;
const absent = missing('jax');
if (absent !== null) throw new Error(`the peers are not there: ${absent}`);
const folder = mkdtempSync(join(tmpdir(), 'nabla-webgpu-'));
try {
  const pairs = some('models', models, flags.models).flatMap(model => some('systems', systems, flags.systems).map((system): Pair => ({ model, system, runs: [], failure: null })));
  process.stdout.write(await measure(pairs, Number(flags.rounds), 1000 * Number(flags.limit)));
} finally {
  rmSync(folder, { recursive: true });
}

function some<Name extends string>(flag: string, names: readonly Name[], text: string): readonly Name[] {
  return text.split(',').map(item => {
    const name = names.find(name => name === item);
    if (name === undefined) throw new Error(`\`--${flag} ${text}\`: there is no \`${item}\`; give some of ${names.join(', ')}`);
    return name;
  });
}

async function measure(pairs: readonly Pair[], rounds: number, limit: number): Promise<string> {
  const server = await servePages(await filesOf([...new Set(pairs.map(({ model }) => model))]), false);
  const adapters = new Set<string>();
  try {
    for (let round = 1; round <= rounds; round++) {
      for (const pair of pairs.filter(({ failure }) => failure === null)) {
        process.stderr.write(`round ${round} of ${rounds}: ${pair.model}, ${names[pair.system]}\n`);
        try {
          const { adapter, steps } = await trainInPage(server.url, pair, limit);
          adapters.add(adapter);
          pair.runs.push(steps);
        } catch (error) {
          pair.failure = (error as Error).message;
          process.stderr.write(`${pair.failure}\n`);
        }
      }
    }
  } finally {
    await server.close();
  }
  requireAlike(pairs);
  return tableOf(pairs, [...adapters].join(', '), rounds);
}

/** A browser for each: what ends its GPU process, or blocks it, disturbs nothing else. */
async function trainInPage(url: string, { model, system }: Pair, limit: number): Promise<{ readonly adapter: string; readonly steps: readonly PageStep[] }> {
  const browser = await startBrowser({ gpu: true });
  const steps: PageStep[] = [];
  const train = async (): Promise<string> => {
    const page = await browser.newPage();
    await page.goto(url);
    await page.waitForFunction('globalThis.bench !== undefined');
    const adapter = await page.evaluate(() => (globalThis as unknown as { readonly bench: BenchPage }).bench.adapter());
    while (steps.length < warmUp + timed) {
      steps.push(await page.evaluate(([model, system]) => (globalThis as unknown as { readonly bench: BenchPage }).bench.step(model, system), [model, system] as const));
    }
    return adapter;
  };
  const late = new AbortController();
  try {
    const adapter = await Promise.race([train(), setTimeout(limit, null, { signal: late.signal })]);
    if (adapter === null) throw new Error(`${steps.length} steps done after ${limit / 1000} s`);
    return { adapter, steps };
  } catch (error) {
    const said = (error as Error).message.split('\n')[0]!.replace('page.evaluate: ', '');
    throw new Error(`in step ${steps.length + 1}: ${said}`, { cause: error });
  } finally {
    late.abort();
    await browser.close();
  }
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
  for (const model of new Set(pairs.map(pair => pair.model))) {
    const trained = pairs.filter(pair => pair.model === model && pair.runs.length > 0);
    const lossesOf = ({ runs }: Pair): readonly number[] => runs[0]!.slice(0, warmUp).map(({ loss }) => loss);
    for (const pair of trained.slice(1)) {
      const [ours, theirs] = [lossesOf(trained[0]!), lossesOf(pair)];
      if (ours.every((loss, i) => Math.abs(loss - theirs[i]!) <= 1e-3 * Math.abs(loss))) continue;
      throw new Error(`\`${model}\` is not trained alike: ${names[trained[0]!.system]} has the losses ${ours.join(', ')}; ${names[pair.system]} has ${theirs.join(', ')}`);
    }
  }
}

function tableOf(pairs: readonly Pair[], adapter: string, rounds: number): string {
  const date = new Date().toISOString().slice(0, 10);
  const { version: nabla } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { readonly version: string };
  const { dependencies } = JSON.parse(readFileSync(join(here, 'package.json'), 'utf8')) as { readonly dependencies: Readonly<Record<string, string>> };
  const head = ['model', 'system', 'ms a step', 'time, nabla / it', 'dispatches', 'dispatches, nabla / it', 'submits', 'bytes written', 'buffers made'];
  const of = ({ runs }: Pair, key: keyof PageStep): Spread => spread(runs.flatMap(steps => steps.slice(warmUp).map(step => step[key])));
  const rows = pairs.filter(({ runs }) => runs.length > 0).map(pair => {
    const { model, system } = pair;
    const ours = pairs.find(other => other.model === model && other.system === 'nabla' && other.runs.length > 0);
    const ratio = (key: keyof PageStep): string =>
      (system === 'nabla' || ours === undefined ? '' : (of(ours, key).median / of(pair, key).median).toPrecision(2));
    const whole = (key: keyof PageStep): string => Math.round(of(pair, key).median).toLocaleString('en');
    const { min, median } = of(pair, 'ms');
    return [model, names[system], `${min.toPrecision(3)} – ${median.toPrecision(3)}`, ratio('ms'), whole('dispatches'), ratio('dispatches'), whole('submits'), whole('bytesWritten'), whole('buffersMade')];
  });
  const versions = `nabla ${nabla}, jax-js ${dependencies['@jax-js/jax']}, TensorFlow.js ${dependencies['@tensorflow/tfjs']}`;
  const failures = pairs.filter(({ failure }) => failure !== null).map(({ model, system, failure }) => `${model} in ${names[system]} failed ${failure}\n`);
  return [
    `${date}; ${cpus()[0]!.model.trim()}, ${cpus().length} cores; load before the run ${loadBefore.toFixed(1)}; adapter ${adapter}; ${versions}; ${rounds} rounds of ${timed} steps. Times are minimum – median.\n`,
    `${[head, head.map(() => '---'), ...rows].map(cells => `| ${cells.join(' | ')} |`).join('\n')}\n`,
    ...failures,
  ].join('\n');
}
