/**
 * A training run with its files: reads the data, keeps a log and checkpoints, goes on from one, and leaves the weights and the loss
 * curve. Uses node: modules.
 */
import { checkpointPath, loadCheckpoint, saveCheckpoint } from './checkpoint.ts';
import { DataError } from './data-error.ts';
import { fetchPlaces, openDevice } from './device.ts';
import type { Results } from './evaluate.ts';
import { checkOutputs, writeWhole } from './files.ts';
import { lossCurve } from './loss-curve.ts';
import { openData } from './open-data.ts';
import type { CompiledProgram } from './program.ts';
import type { ProgramData } from './row-set.ts';
import type { StepLog } from './step-log.ts';
import { openStepLog } from './step-log.ts';
import type { Progress, Reporter, TrainOutcome, TrainPlan } from './training.ts';
import { letOthersRun, newProgress, planOf, runTraining, setScalars, silentReporter, trainEntryOf } from './training.ts';
import { loadWeights, saveWeights, writeSafetensors } from './weights-file.ts';
import { tensorsAt } from './weights.ts';

export interface RunOptions {
  readonly steps?: number;
  readonly seed?: number;
  /** The data folder, or rows that are in memory already. */
  readonly data?: string | ProgramData;
  /** A weights file to start from. */
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
  /** True when the run shall stop after the current step and leave a checkpoint. */
  readonly interrupted?: () => boolean;
}

export interface RunReport {
  readonly outcome: TrainOutcome;
  readonly step: number;
  readonly loss: number;
  /** Of the last evaluation; null without test data. */
  readonly test: Results | null;
  readonly files: readonly string[];
}

export async function trainProgram(program: CompiledProgram, options: RunOptions = {}): Promise<RunReport> {
  const train = trainEntryOf(program);
  if (options.threads !== undefined) await program.threads?.start(options.threads);
  const data = typeof options.data === 'object' ? options.data : await openData(program, options.data ?? '.');
  const plan = planOf(program, train, data);
  await openDevice(program);
  const progress = startProgress(program, plan, options);
  const save = options.save ?? `${program.name}.safetensors`;
  checkOutputs([save, curvePath(program), checkpointPath(program), ...(options.saveGradients === undefined ? [] : [options.saveGradients])], options.log ?? null);
  const { checkpointKeep } = program.settings;
  const log = options.log === undefined ? null : openStepLog(options.log, options.resume === true ? progress.step : 0);
  let outcome: TrainOutcome;
  try {
    outcome = await runTraining(program, plan, data, progress, {
      reporter: options.reporter ?? silentReporter,
      log: log && ((step, results, milliseconds) => writeStep(log, step, results, milliseconds)),
      checkpoint: async () => {
        log?.flush();
        await saveCheckpoint(program, progress, checkpointKeep);
      },
      interrupted: options.interrupted ?? (() => false),
      letOthersRun,
    });
  } finally {
    log?.close();
  }
  if (options.saveGradients !== undefined) {
    await fetchPlaces(program, program.gradients);
    writeSafetensors(options.saveGradients, tensorsAt(program.memory, program.gradients), {});
  }
  if (outcome === 'interrupted') await saveCheckpoint(program, progress, checkpointKeep);
  const files = outcome === 'interrupted' ? [] : await saveResults(program, plan, progress, save);
  const test = progress.history.evaluations.at(-1)?.results ?? null;
  return { outcome, step: progress.step, loss: progress.smoothed ?? NaN, test, files };
}

/** Parameters and states as the run finds them, and where it stands: at its start, or at the checkpoint. */
export function startProgress(program: CompiledProgram, plan: TrainPlan, options: RunOptions): Progress {
  if (options.resume === true) {
    setScalars(program, program.settings.seed, 0, 0);
    program.initialise();
    const progress = loadCheckpoint(program);
    if (options.seed !== undefined && options.seed !== progress.seed) {
      throw new DataError(`the checkpoint was trained with \`--seed ${progress.seed}\`: resume without \`--seed\``);
    }
    if (options.steps !== undefined) progress.steps = options.steps;
    if (progress.step > progress.steps) {
      throw new DataError(`the checkpoint is at step ${progress.step} already: resume with \`--steps\` above that, or without it`);
    }
    if (progress.step === progress.steps && options.saveGradients !== undefined) {
      throw new DataError(`the checkpoint is at step ${progress.step}, the last: there are no gradients to save without a further step`);
    }
    setScalars(program, progress.seed, progress.step, progress.steps);
    return progress;
  }
  const progress = newProgress(program, plan, options);
  if (options.init !== undefined) loadWeights(program, options.init);
  return progress;
}

export const curvePath = (program: CompiledProgram): string => `${program.name}.svg`;

export async function saveResults(program: CompiledProgram, plan: TrainPlan, progress: Progress, path: string): Promise<string[]> {
  await saveWeights(program, path);
  const curve = curvePath(program);
  writeWhole(curve, [lossCurve(plan.name, progress.history)]);
  return [path, curve];
}

export function writeStep(log: StepLog, step: number, results: Results, milliseconds: number): void {
  const { loss, lr, grad_norm: gradNorm, ...metrics } = results;
  log.write(`${JSON.stringify({ step, loss, metrics, lr, grad_norm: gradNorm, ms: Math.round(milliseconds * 1000) / 1000 })}\n`);
}
