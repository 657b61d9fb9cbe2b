/**
 * Measures what nabla claims, all in one run: training steps against a rival, the time to compile, the size of programs.
 * `node run.ts [--rounds N]` prints a table and writes results.json. Every measurement is a process of its own; the rounds
 * interleave them, so that what slows the machine for a while slows all of them.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir, totalmem } from 'node:os';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { emit } from '../compiler/6-emit/emit.ts';
import { compile } from '../compiler/index.ts';
import type { Program } from '../compiler/ir/program.ts';
import type { BenchReport } from '../runtime/bench.ts';
import { weightsFile, writeBatch } from './batch.ts';
import type { PassesReport } from './passes.ts';
import type { ProgramSize, Result, Results } from './results.ts';
import { spread, spreadOfRuns, type Spread } from './statistics.ts';
import { tableOf } from './table.ts';
import type { TfjsReport } from './tfjs.ts';

/** What one process measured. */
interface Sample {
  readonly time: Spread;
  readonly processor: number | null;
}

interface Measurement {
  readonly name: string;
  readonly nabla: () => Sample;
  readonly rival: { readonly name: string; readonly run: () => Spread } | null;
  readonly target: number;
}

interface StepMeasurement {
  readonly model: string;
  readonly steps: number;
  readonly rival: { readonly warmUp: number; readonly steps: number };
  /** The share of the rival's time that is aimed at: five and twenty times as fast. */
  readonly target: number;
}

/** A step of the rival's LeNet takes seconds. */
const trained: readonly StepMeasurement[] = [
  { model: 'mlp', steps: 40, rival: { warmUp: 4, steps: 16 }, target: 1 / 5 },
  { model: 'lenet', steps: 30, rival: { warmUp: 1, steps: 2 }, target: 1 / 20 },
];
const compiled = 'models/alexnet.model';

const here = import.meta.dirname;
const root = join(here, '..');
const { values: flags } = parseArgs({ options: { rounds: { type: 'string', default: '5' } } });
const rounds = Number(flags.rounds);
if (!Number.isInteger(rounds) || rounds < 1) throw new Error(`\`--rounds ${flags.rounds}\` is not a number of rounds: give 1 or more`);
process.chdir(root);
installRivals();
const folder = mkdtempSync(join(tmpdir(), 'nabla-bench-'));
try {
  const results = measureAll(folder, rounds);
  writeFileSync(join(here, 'results.json'), `${JSON.stringify(results, null, 2)}\n`);
  process.stdout.write(tableOf(results));
} finally {
  rmSync(folder, { recursive: true });
}

/** Rivals are dependencies of this folder alone. */
function installRivals(): void {
  const installed = join(here, 'node_modules/.package-lock.json');
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(join(here, 'package-lock.json')).mtimeMs) return;
  execFileSync('npm', ['ci', '--ignore-scripts'], { cwd: here, stdio: 'inherit', shell: process.platform === 'win32' });
}

function measureAll(folder: string, rounds: number): Results {
  const loadBefore = loadavg()[0]!;
  const passReports: PassesReport[] = [];
  const measurements = [...trained.map(one => stepMeasurement(one, folder)), ...compileMeasurements(folder, passReports)];
  const runs = measurements.map(() => ({ nabla: [] as Sample[], rival: [] as Spread[] }));
  for (let round = 1; round <= rounds; round++) {
    measurements.forEach(({ name, nabla, rival }, i) => {
      process.stderr.write(`round ${round} of ${rounds}: ${name}\n`);
      runs[i]!.nabla.push(nabla());
      if (rival !== null) runs[i]!.rival.push(rival.run());
    });
  }
  const medians = (which: 'first' | 'warm'): Record<string, number> => Object.fromEntries(Object.keys(passReports[0]!.first)
    .map(name => [name, spread(passReports.map(report => report[which][name]!)).median]));
  return {
    date: new Date().toISOString().slice(0, 10),
    machine: `${cpus()[0]!.model.trim()}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, ${process.platform}`,
    loadBefore,
    versions: { nabla: nablaVersion(), node: process.versions.node, '@tensorflow/tfjs': versionOf('bench/node_modules/@tensorflow/tfjs') },
    rounds,
    results: measurements.map((measurement, i) => resultOf(measurement, runs[i]!.nabla, runs[i]!.rival)),
    passes: { first: medians('first'), warm: medians('warm') },
    sizes: programSizes(),
  };
}

function resultOf({ name, rival, target }: Measurement, ofNabla: readonly Sample[], ofRival: readonly Spread[]): Result {
  const nabla = spreadOfRuns(ofNabla.map(sample => sample.time));
  const processor = ofNabla.flatMap(sample => sample.processor ?? []);
  const other = rival === null ? null : { name: rival.name, time: spreadOfRuns(ofRival) };
  const ratio = other === null ? null : nabla.median / other.time.median;
  return { name, nabla, processor: processor.length === 0 ? null : spread(processor), rival: other, ratio, target, met: (ratio ?? nabla.median) < target };
}

/** Forward, backward and update of one batch, in plain JavaScript on both sides. */
function stepMeasurement({ model, steps, rival, target }: StepMeasurement, folder: string): Measurement {
  const own = join(folder, model);
  mkdirSync(own);
  const { text, program } = programOf(`bench/models/${model}.model`);
  const path = join(own, `${model}.ts`);
  writeFileSync(path, text);
  writeBatch(program, own);
  const losses = nablaLosses(path, own, rival.warmUp + rival.steps);
  return {
    name: `${model}, a training step`,
    nabla: () => ({ time: node<BenchReport>(path, 'bench', `--steps=${steps}`).ms_per_step, processor: null }),
    rival: {
      name: 'TensorFlow.js, cpu',
      run: () => {
        const report = node<TfjsReport>('bench/tfjs.ts', model, own, String(rival.warmUp), String(rival.steps));
        requireSameLosses(model, losses, report.losses);
        return report.ms_per_step;
      },
    },
    target,
  };
}

function nablaLosses(path: string, folder: string, steps: number): readonly number[] {
  const log = join(folder, 'log.jsonl');
  const flags = { steps, data: folder, init: join(folder, weightsFile), save: join(folder, 'trained.safetensors'), log };
  execFileSync(process.execPath, [path, 'train', ...Object.entries(flags).map(([name, value]) => `--${name}=${value}`)], { stdio: 'pipe', cwd: folder });
  return readFileSync(log, 'utf8').trim().split('\n').map(line => (JSON.parse(line) as { readonly loss: number }).loss);
}

/** Times are comparable only when both sides do the same work: the losses of all steps agree to single precision's rounding. */
function requireSameLosses(model: string, ours: readonly number[], theirs: readonly number[]): void {
  const apart = ours.findIndex((loss, i) => !(Math.abs(loss - theirs[i]!) <= 1e-4 * Math.abs(loss)));
  if (apart >= 0 || ours.length !== theirs.length) {
    throw new Error(`\`${model}\` is not trained alike: the losses are ${ours.join(', ')} in nabla and ${theirs.join(', ')} in the rival`);
  }
}

/** Processes as a user starts them, once the compile cache of Node is filled; and the passes alone. */
function compileMeasurements(folder: string, passReports: PassesReport[]): readonly Measurement[] {
  const command = (name: string, args: readonly string[], target: number): Measurement => {
    const run = (): Sample => timedProcess(['compiler/cli/nabla.js', ...args]);
    run();
    return { name, nabla: run, rival: null, target };
  };
  return [
    command(`nabla check ${compiled}`, ['check', compiled], 500),
    command(`nabla build ${compiled}`, ['build', compiled, '-o', join(folder, 'alexnet.ts')], 1500),
    {
      name: `${compiled}, the passes alone, warm`,
      nabla: () => {
        const report = node<PassesReport>('bench/passes.ts', compiled);
        passReports.push(report);
        return { time: report.time, processor: Object.values(report.warm).reduce((sum, ms) => sum + ms, 0) };
      },
      rival: null,
      target: 300,
    },
  ];
}

/** What a process of Node takes from its start to its end. A hook in it tells the processor time of its main thread as it ends. */
function timedProcess(args: readonly string[]): Sample {
  const hook = `import { writeSync } from 'node:fs';
    process.on('exit', () => { const { user, system } = process.threadCpuUsage(); writeSync(2, '\\n' + (user + system) / 1000); });`;
  const started = performance.now();
  const { status, stderr } = spawnSync(process.execPath, ['--import', `data:text/javascript,${encodeURIComponent(hook)}`, ...args], { encoding: 'utf8' });
  const ms = performance.now() - started;
  if (status !== 0) throw new Error(`\`${args.join(' ')}\` failed: ${stderr}`);
  return { time: { median: ms, min: ms }, processor: Number(stderr.slice(stderr.lastIndexOf('\n'))) };
}

function programSizes(): readonly ProgramSize[] {
  return readdirSync('models').filter(name => name.endsWith('.model')).sort().map(name => {
    const { text } = programOf(`models/${name}`);
    return { model: basename(name, '.model'), bytes: Buffer.byteLength(text), gzip: gzipSync(text).length };
  });
}

function programOf(path: string): { readonly text: string; readonly program: Program } {
  const { levels, diagnostics } = compile({ path, text: readFileSync(path, 'utf8'), library: false }, 'schedule');
  if (diagnostics.length > 0) throw new Error(`${path}: ${diagnostics[0]!.message}`);
  return { text: emit(levels, { target: 'wasm', deterministic: false, javascript: false, debugNan: false }), program: levels.program! };
}

/** What a process of Node prints as JSON. What it says on its error stream is shown only when it fails. */
function node<Report>(...args: readonly string[]): Report {
  return JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8', stdio: 'pipe' })) as Report;
}

function versionOf(folder: string): string {
  return (JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { readonly version: string }).version;
}

function nablaVersion(): string {
  try {
    return `${versionOf('.')} (${execFileSync('git', ['describe', '--always', '--dirty'], { encoding: 'utf8', stdio: 'pipe' }).trim()})`;
  } catch {
    return versionOf('.'); // A copy without its history.
  }
}
