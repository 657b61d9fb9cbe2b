/**
 * What an application calls of a compiled program that it imports: everything comes and goes as typed arrays and bytes, so that it runs
 * wherever the program runs. Works on any platform.
 */
import { memoryBytes } from './bytes.ts';
import { DataError } from './data-error.ts';
import { openDevice } from './device.ts';
import type { Results } from './evaluate.ts';
import { evaluateStage } from './evaluate.ts';
import type { Generated, GenerateOptions } from './generate.ts';
import { memoryFolder } from './memory-folder.ts';
import type { CompiledProgram, Stage } from './program.ts';
import type { ProgramData } from './row-set.ts';
import { arrayRows } from './row-set.ts';
import { rowsOfSources, splitRows } from './source-rows.ts';
import { generatingStage, initialiseProgram } from './stages.ts';
import type { Classes } from './table.ts';
import type { TensorArray } from './tensor.ts';
import type { Reporter, RunSettings, TrainReport } from './training.ts';
import { letOthersRun, runTraining, silentReporter, stageRuns } from './training.ts';
import { joined, unpackedFile } from './unpack.ts';
import { readInitialWeights, readWeights, weightsPieces } from './weights.ts';

export interface TrainOptions<Rows> extends RunSettings {
  /** Rows, or the files of the `data` block; nothing where there are no inputs or they are fed by synthetic sources. */
  readonly data?: TrainingRows<Rows> | DataFiles;
  /** The bytes of a safetensors file with weights to start from; parameters that it lacks are new. */
  readonly init?: Uint8Array;
  /** Threads to compute on; as many as before unless given, which is one at first. */
  readonly threads?: number;
  /** The one train block to run, of several. */
  readonly only?: string;
  readonly reporter?: Partial<Reporter>;
  /** True when the run shall stop after the current step. */
  readonly interrupted?: () => boolean;
}

/** Rows as typed arrays, one row after the other. Without `test` some are held out where the `data` block says so. */
export interface TrainingRows<Rows> {
  readonly train: Rows;
  readonly test?: Rows;
}

/**
 * The bytes of files, packed by gzip or not: a function from their names in the `data` block; or a map of all of them by their paths from
 * the data folder, with `/` between the parts, which shows what is in folders: that is how picture files are given.
 */
export type DataFiles = ((file: string) => Uint8Array | Promise<Uint8Array>) | ReadonlyMap<string, Uint8Array>;

export type AnyRows = Readonly<Record<string, TensorArray>>;

/** Trains from new parameters, or those of `init`, one stage after the other; the report is of the last one. */
export async function trainModel(program: CompiledProgram, options: TrainOptions<AnyRows>): Promise<TrainReport> {
  if (options.threads !== undefined) await program.threads?.start(options.threads);
  const data = await rowsGiven(program, options.data);
  const runs = stageRuns(program, data, options);
  await openDevice(program);
  initialiseProgram(program, options.seed);
  const reporter = { ...silentReporter, ...options.reporter };
  if (options.init !== undefined) readInitialWeights(program, memoryBytes('init', options.init)).forEach(reporter.note);
  let report: TrainReport;
  for (const run of runs) {
    const outcome = await runTraining(program, run, data, {
      reporter,
      log: null,
      checkpoint: async () => undefined,
      interrupted: options.interrupted ?? (() => false),
      letOthersRun,
    });
    const { step, smoothed, history } = run.progress;
    report = { outcome, step, loss: smoothed ?? NaN, test: history.evaluations.at(-1)?.results ?? null };
    if (outcome === 'interrupted') break;
    reporter.end(run.plan, report);
  }
  return report!;
}

export async function rowsGiven(program: CompiledProgram, data: TrainingRows<AnyRows> | DataFiles | undefined): Promise<ProgramData> {
  if (data === undefined) {
    if (program.inputs.length === 0) return { train: null, test: null };
    if (program.data?.sources.every(source => source.format === 'synthetic')) return rowsOfFiles(program, new Map(), new Map());
    throw new DataError(`the model \`${program.name}\` has inputs: pass \`data\`, rows as \`{ train: { … } }\`, or the files as \`file => bytes\` or a Map`);
  }
  if (typeof data === 'function' || !('train' in data)) return rowsOfFiles(program, data, new Map());
  const rows = { train: arrayRows(program, data.train), test: data.test === undefined ? null : arrayRows(program, data.test) };
  return rows.test === null && program.data !== null ? splitRows(rows.train, program.data) : rows;
}

/** See `rowsOfSources`. All files are there before the first is read. */
export async function rowsOfFiles(program: CompiledProgram, files: DataFiles, classes: Map<string, Classes>): Promise<ProgramData> {
  const { sources = [] } = program.data ?? {};
  const given = new Map<string, Uint8Array>();
  if (typeof files === 'function') {
    if (sources.some(source => source.format === 'images' || source.fields.some(field => field.picture))) {
      throw new DataError('the data has picture files, which the `data` block does not name: pass `data` as a Map of all files by their paths, or rows');
    }
    for (const name of new Set(sources.flatMap(source => (source.format === 'synthetic' ? [] : source.fields.map(field => field.file))))) {
      given.set(name, await unpackedFile(name, await files(name)));
    }
  } else for (const [name, bytes] of files) given.set(name, await unpackedFile(name, bytes));
  return rowsOfSources(program, memoryFolder(given), classes, await program.synthetic?.columns(program));
}

/** Loss and metrics over all rows; of a model without inputs, over one run. */
export async function evaluateRows(program: CompiledProgram, stage: Stage, rows: AnyRows): Promise<Results> {
  return evaluateStage(program, stage, stage.inputs.length === 0 ? null : arrayRows(program, rows));
}

/** Draws tokens, as the model's `generate` block says unless the options say otherwise. Others get their turn in between. */
export async function generateRow(program: CompiledProgram, options: GenerateOptions): Promise<Generated> {
  const { stage, generator } = generatingStage(program);
  return generator.draw(program, stage, generator, { letOthersRun, ...options });
}

/** Takes the weights out of the bytes of a safetensors file. */
export async function loadBytes(program: CompiledProgram, bytes: Uint8Array): Promise<void> {
  await openDevice(program);
  readWeights(program, memoryBytes('weights', bytes));
}

/** The weights as the bytes of a safetensors file. */
export async function savedBytes(program: CompiledProgram): Promise<Uint8Array> {
  return joined(await weightsPieces(program));
}
