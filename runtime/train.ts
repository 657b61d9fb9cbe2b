/**
 * A training run with its files: reads the data, keeps a log and checkpoints, goes on from one, and leaves the weights and the loss
 * curve. Uses node: modules.
 */
import { checkpointPath, loadCheckpoint, saveCheckpoint } from './checkpoint.ts';
import { DataError } from './data-error.ts';
import { fetchPlaces, openDevice } from './device.ts';
import type { Results } from './evaluate.ts';
import { checkOutputs, writeWhole } from './files.ts';
import { imagePath, imageResults, writeTrainedImages } from './image-files.ts';
import { lossCurve } from './loss-curve.ts';
import { openData } from './open-data.ts';
import type { CompiledProgram, Stage } from './program.ts';
import type { ProgramData } from './row-set.ts';
import { initialiseProgram, stageTitle } from './stages.ts';
import type { IsKept, StepLog } from './step-log.ts';
import { openStepLog } from './step-log.ts';
import type { Reporter, RunSettings, StageRun, TrainOutcome, TrainReport } from './training.ts';
import { letOthersRun, runTraining, silentReporter, stageRuns, usableFactor } from './training.ts';
import { loadInitialWeights, saveWeights, writeSafetensors } from './weights-file.ts';
import { tensorsAt } from './weights.ts';

export interface RunOptions extends RunSettings {
  /** The data folder, or rows that are in memory already. */
  readonly data?: string | ProgramData;
  /** A weights file to start from; parameters that it lacks are new. */
  readonly init?: string;
  /** Where the weights go, `<name>.safetensors` unless given. */
  readonly save?: string;
  /** A file that gets one line of JSON for each step. */
  readonly log?: string;
  /** A file for the gradients of the last step. */
  readonly saveGradients?: string;
  readonly resume?: boolean;
  /** Threads to compute on; as many as before unless given, which is one at first. */
  readonly threads?: number;
  readonly reporter?: Reporter;
  /** The one train block to run, of several. */
  readonly only?: string;
  /** True when the run shall stop after the current step and leave a checkpoint. */
  readonly interrupted?: () => boolean;
}

export interface RunReport extends TrainReport {
  readonly files: readonly string[];
}

/** One stage after the other; the report is of the last one. */
export async function trainProgram(program: CompiledProgram, options: RunOptions = {}): Promise<RunReport> {
  if (options.threads !== undefined) await program.threads?.start(options.threads);
  const data = typeof options.data === 'object' ? options.data : await openData(program, options.data ?? '.');
  const all = stageRuns(program, data, options);
  await openDevice(program);
  const runs = options.resume === true ? resumedRuns(program, all, options) : all;
  if (options.resume !== true) {
    initialiseProgram(program, options.seed);
    if (options.init !== undefined) loadInitialWeights(program, options.init).forEach((options.reporter ?? silentReporter).note);
  }
  const save = options.save ?? `${program.name}.safetensors`;
  const shown = runs.flatMap(({ stage }) => [curvePath(program, stage), ...imageResults(stage).map(result => imagePath(program, stage, '.', result))]);
  const outputs = [save, checkpointPath(program), ...shown, ...(options.saveGradients === undefined ? [] : [options.saveGradients])];
  checkOutputs(outputs, options.log ?? null);
  const log = options.log === undefined ? null : openStepLog(options.log, options.resume === true ? keptLines(program, runs[0]!) : null);
  const files = new Set<string>();
  let report: RunReport;
  try {
    for (const run of runs) {
      const outcome = await trainStage(program, run, data, log, options);
      const { step, smoothed, history } = run.progress;
      if (outcome !== 'interrupted') for (const file of [...await saveResults(program, run, save), ...await writeTrainedImages(program, run.stage, data, run.progress.seed)]) files.add(file);
      report = { outcome, step, loss: smoothed ?? NaN, test: history.evaluations.at(-1)?.results ?? null, files: [...files] };
      if (outcome === 'interrupted') break;
      options.reporter?.end(run.plan, report);
    }
  } finally {
    log?.close();
  }
  return report!;
}

/** A stage, from where it stands. Interrupted it leaves a checkpoint. */
export async function trainStage(program: CompiledProgram, run: StageRun, data: ProgramData, log: StepLog | null, options: RunOptions): Promise<TrainOutcome> {
  const { stage } = run;
  const { checkpointKeep } = stage.settings;
  const title = stageTitle(program, stage);
  const outcome = await runTraining(program, run, data, {
    reporter: options.reporter ?? silentReporter,
    log: log && ((step, results, milliseconds) => writeStep(log, title, step, results, milliseconds)),
    checkpoint: async () => {
      log?.flush();
      await saveCheckpoint(program, run, checkpointKeep);
    },
    interrupted: options.interrupted ?? (() => false),
    letOthersRun,
  });
  if (options.saveGradients !== undefined) {
    await fetchPlaces(program, stage.gradients);
    writeSafetensors(options.saveGradients, tensorsAt(program.memory, stage.gradients), {});
  }
  if (outcome === 'interrupted') await saveCheckpoint(program, run, checkpointKeep);
  return outcome;
}

/** From the checkpoint on: its stage where that stands, and those behind it. Learning rates have its factor unless another is given. */
export function resumedRuns(program: CompiledProgram, all: readonly StageRun[], options: RunOptions): readonly StageRun[] {
  initialiseProgram(program, undefined);
  const { stage, progress } = loadCheckpoint(program);
  const at = all.findIndex(run => run.stage === stage);
  if (at < 0) throw new DataError(`the checkpoint is of \`${stage.name}\`: resume without \`--only\`, or with \`--only ${stage.name}\``);
  if (options.seed !== undefined && options.seed !== progress.seed) {
    throw new DataError(`the checkpoint was trained with \`--seed ${progress.seed}\`: resume without \`--seed\``);
  }
  if (options.steps !== undefined) progress.steps = options.steps;
  if (options.learningRateFactor !== undefined) progress.learningRateFactor = usableFactor(program, options.learningRateFactor);
  if (progress.step > progress.steps) {
    throw new DataError(`the checkpoint is at step ${progress.step} already: resume with \`--steps\` above that, or without it`);
  }
  if (progress.step === progress.steps && options.saveGradients !== undefined && at === all.length - 1) {
    throw new DataError(`the checkpoint is at step ${progress.step}, the last: there are no gradients to save without a further step`);
  }
  const { learningRateFactor } = progress;
  return [{ ...all[at]!, progress }, ...all.slice(at + 1).map(run => ({ ...run, progress: { ...run.progress, learningRateFactor } }))];
}

/** What a log keeps of the run until now: all of the stages before, and the steps of the checkpoint's up to it. */
export function keptLines(program: CompiledProgram, { stage, progress }: StageRun): IsKept {
  const done = program.stages.slice(0, program.stages.indexOf(stage)).map(({ name }) => name);
  return (name, step) => (name !== null && done.includes(name)) || (name === stageTitle(program, stage) && step <= progress.step);
}

/** Each stage has a curve of its own. */
export function curvePath(program: CompiledProgram, stage: Stage): string {
  const title = stageTitle(program, stage);
  return title === null ? `${program.name}.svg` : `${program.name}.${title}.svg`;
}

export async function saveResults(program: CompiledProgram, { stage, plan, progress }: StageRun, path: string): Promise<string[]> {
  await saveWeights(program, path);
  const curve = curvePath(program, stage);
  writeWhole(curve, [lossCurve(plan.name, progress.history)]);
  return [path, curve];
}

export function writeStep(log: StepLog, stage: string | null, step: number, results: Results, milliseconds: number): void {
  const { loss, lr, grad_norm: gradNorm, ...metrics } = results;
  const place = stage === null ? { step } : { stage, step };
  log.write(`${JSON.stringify({ ...place, loss, metrics, lr, grad_norm: gradNorm, ms: Math.round(milliseconds * 1000) / 1000 })}\n`);
}
