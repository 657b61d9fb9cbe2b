/** nabla as a process: programs of the models of this folder, their training steps, and what a watched run tells of its calls. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { emit } from '../compiler/6-emit/emit.ts';
import { withoutTypes } from '../compiler/6-emit/ts-morph.ts';
import { importReader } from '../compiler/cli/read-source.ts';
import { compile } from '../compiler/index.ts';
import type { Model } from '../compiler/ir/model.ts';
import type { Program } from '../compiler/ir/program.ts';
import { size } from '../compiler/ir/type.ts';
import type { BenchReport } from '../runtime/bench.ts';
import { weightsFile } from './batch.ts';
import { lastLine, start } from './processes.ts';
import { spread, type Spread } from './statistics.ts';
import type { WatchedCalls } from './watch-calls.ts';

export interface Built {
  readonly model: Model;
  readonly program: Program;
  readonly text: string;
  readonly parameters: number;
}

const here = import.meta.dirname;

/** Compiles a file, which lies at a path relative to the top of the repository. */
export function build(path: string, settings: ReadonlyMap<string, string> = new Map()): Built {
  const { levels, diagnostics } = compile({ path, text: readFileSync(join(here, '..', path), 'utf8'), library: false }, 'schedule', { settings, readImport: importReader(join(here, '..', path)) });
  if (diagnostics.length > 0) throw new Error(`${path}: ${diagnostics[0]!.message}`);
  const { model, program } = levels;
  const parameters = program!.parameters.reduce((sum, { shape }) => sum + size(shape), 0);
  return { model: model!, program: program!, text: emit(levels, { target: 'wasm', form: 'program', deterministic: false, javascript: false, debugNan: false }), parameters };
}

/** Writes the program into a folder, which is made; gives its path. With the ending `mjs` it is without types, as `nabla build --js` writes it. */
export function writeProgram({ text }: Built, folder: string, ending: 'ts' | 'mjs' = 'ts'): string {
  return writeText(ending === 'ts' ? text : withoutTypes(text), folder, `program.${ending}`);
}

/** The same for this folder's own scripts to import: with what `main` is called with, as `program`. */
export const writeImported = ({ text }: Built, folder: string): string => writeText(`${withoutTypes(text)}\nexport { program };\n`, folder, 'imported.mjs');

function writeText(text: string, folder: string, name: string): string {
  if (!existsSync(folder)) mkdirSync(folder);
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

/** The program's own measurement. */
export const bench = (path: string, steps: number, threads: number): BenchReport =>
  lastLine(start(process.execPath, [path, 'bench', `--steps=${steps}`, `--threads=${threads}`], threads).stdout);

/** The losses of the first steps on the batch and from the weights that lie beside the program. */
export function firstLosses(path: string, folder: string, steps: number): readonly number[] {
  const log = join(folder, 'log.jsonl');
  const flags = { steps, data: folder, init: join(folder, weightsFile), save: join(folder, 'trained.safetensors'), log };
  execFileSync(process.execPath, [path, 'train', ...Object.entries(flags).map(([name, value]) => `--${name}=${value}`)], { stdio: 'pipe', cwd: folder });
  return readFileSync(log, 'utf8').trim().split('\n').map(line => (JSON.parse(line) as { readonly loss: number }).loss);
}

/** Milliseconds from the start of the process to the end of its first training step. */
export function startTime(path: string, threads: number): number {
  const { stdout, started } = start(process.execPath, [path, 'bench', '--steps=1', `--threads=${threads}`], threads);
  return lastLine<BenchReport>(stdout).first_step_at - started;
}

/** The share of a step in which no kernel runs: median time between two calls of the module over median time of a step. */
export function outsideShare(path: string, steps: number, threads: number): number {
  const { calls } = watched([path, 'bench', `--steps=${steps}`, `--threads=${threads}`], threads);
  const last = calls.entries.length - steps;
  const medianFrom = (times: (call: number) => number): number => spread(Array.from({ length: steps - 1 }, (_, i) => times(last + i))).median;
  return medianFrom(i => calls.starts[i + 1]! - calls.ends[i]!) / medianFrom(i => calls.starts[i + 1]! - calls.starts[i]!);
}

/** Milliseconds of a call that predicts one batch, or one row, call after call. The program is one of `writeImported`. */
export const predictionTime = (path: string, entry: 'predict' | 'predictRow', calls: number, threads: number): Spread =>
  lastLine<{ readonly ms: Spread }>(start(process.execPath, [join(here, 'predict-calls.ts'), path, entry, String(calls), String(threads)], threads).stdout).ms;

/** Runs a program and tells when it called its module. */
export function watched(args: readonly string[], threads: number): { readonly calls: WatchedCalls } {
  return { calls: lastLine(start(process.execPath, ['--import', join(here, 'watch-calls.ts'), ...args], threads).stderr) };
}
