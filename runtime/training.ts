/**
 * The training loop: loads batches, runs the program's step, evaluates, tells how it goes. Resumed runs end in the same bytes as
 * uninterrupted ones. Allocates nothing per step, and waits only where a program has a device. Works on any platform.
 */
import { isAbove0 } from './arguments.ts';
import { DataError } from './data-error.ts';
import { fetchPlaces } from './device.ts';
import type { Results } from './evaluate.ts';
import { evaluator } from './evaluate.ts';
import type { History } from './history.ts';
import { newHistory, recordLoss } from './history.ts';
import type { CompiledProgram, Entry, Interval, Stage } from './program.ts';
import type { ProgramData } from './row-set.ts';
import { rowLoader, trainingOrder } from './row-set.ts';
import { setLearningRateFactor, setScalars, stageTitle, trainedStages } from './stages.ts';
import type { StepRunner } from './step-runner.ts';
import { batchesOf, stepRunner } from './step-runner.ts';
import { viewOf } from './tensor.ts';

/** Where a run stands. The tensors hold the rest. */
export interface Progress {
  /** Steps done. */
  step: number;
  /** Steps planned. */
  steps: number;
  seed: number;
  /** What learning rates are multiplied by. */
  learningRateFactor: number;
  /** Data rows seen; it gives the epoch and the place in it. */
  position: number;
  /** The lowest loss of an evaluation, null before the first, and how many evaluations have passed since. */
  best: number | null;
  sinceBest: number;
  smoothed: number | null;
  history: History;
}

/** Where a run tells how it goes. */
export interface Reporter {
  readonly start: (plan: TrainPlan, progress: Progress) => void;
  /** Called after every step; `results` is written anew by each. */
  readonly step: (plan: TrainPlan, progress: Progress, results: Results) => void;
  readonly evaluation: (plan: TrainPlan, progress: Progress, results: Results) => void;
  /** After each stage that was not interrupted. */
  readonly end: (plan: TrainPlan, report: TrainReport) => void;
  readonly note: (text: string) => void;
}

/** How a stage came out. */
export interface TrainReport {
  readonly outcome: TrainOutcome;
  readonly step: number;
  /** Of the last steps. */
  readonly loss: number;
  /** Loss and metrics of the last evaluation; null without test rows. */
  readonly test: Results | null;
}

export interface TrainPlan {
  readonly name: string;
  /** Rows of the training data; 0 when the model takes none. */
  readonly rows: number;
  /** Rows of a step: those of all its batches together. */
  readonly batch: number;
  readonly stepsPerEpoch: number;
  readonly metrics: readonly string[];
}

export const silentReporter: Reporter = {
  start: () => undefined, step: () => undefined, evaluation: () => undefined, end: () => undefined, note: () => undefined,
};

/** What the loop lets others do. */
export interface TrainingHooks {
  readonly reporter: Reporter;
  /** Gets the results of every step before they are judged, with the norm of the gradient among them; null to go without. */
  readonly log: ((step: number, results: Results, milliseconds: number) => void) | null;
  /** Keeps what a later run goes on from, where the settings say so. */
  readonly checkpoint: () => Promise<void>;
  /** True when the run shall stop after the current step. */
  readonly interrupted: () => boolean;
  /** Called between two steps now and then: what has to wait for its turn gets it until the promise resolves. */
  readonly letOthersRun: () => Promise<void>;
}

export type TrainOutcome = 'finished' | 'stopped early' | 'interrupted';

/** The entry of a training step. */
export function trainEntryOf(stage: Stage): Entry {
  if (stage.train !== null) return stage.train;
  throw new DataError(`the model \`${stage.model}\` cannot be trained: add a \`loss\` and a \`train\` block to it`);
}

/** From where `progress` stands to the end of the run, or until it is interrupted. Parameters are finite then. */
export async function runTraining(
  program: CompiledProgram, { stage, plan, progress }: StageRun, data: ProgramData, hooks: TrainingHooks,
): Promise<TrainOutcome> {
  const { reporter, log } = hooks;
  const train = trainEntryOf(stage);
  setScalars(program, progress.seed, progress.step, progress.steps);
  setLearningRateFactor(program, progress.learningRateFactor);
  // Without a prototype, so that a metric may have any name.
  const results: Results = Object.create(null) as Results;
  const evaluate = data.test === null || stage.evaluate === null ? null : evaluator(program, stage, data.test);
  const { evaluateEvery, checkpointEvery, earlyStop } = stage.settings;
  if (earlyStop !== null && evaluate === null) {
    throw new DataError('`early_stop` needs test rows: add a `test` source, `split` or `hold_out` to the `data` block');
  }
  const onceAnEpoch = plan.stepsPerEpoch > 1 ? Math.ceil(plan.stepsPerEpoch) : Infinity;
  const evaluateAt = evaluateEvery === null ? onceAnEpoch : intervalSteps(evaluateEvery, plan);
  const checkpointAt = checkpointEvery === null ? Infinity : intervalSteps(checkpointEvery, plan);
  const isEvaluated = (step: number): boolean => evaluate !== null && (step === progress.steps || step % evaluateAt === 0);
  const isPause = (step: number): boolean => step === progress.steps || isEvaluated(step) || step % checkpointAt === 0;
  const settled = (milliseconds: number): void => {
    const loss = results.loss!;
    log?.(progress.step, results, milliseconds);
    if (!Number.isFinite(loss)) throw notFinite(plan, progress, 'loss', loss);
    const gradNorm = results.grad_norm ?? 0;
    if (!Number.isFinite(gradNorm)) throw notFinite(plan, progress, 'norm of the gradient', gradNorm);
    progress.smoothed = (progress.smoothed ?? loss) + Math.max(0.02, 2 / (progress.step + 1)) * (loss - (progress.smoothed ?? loss));
    recordLoss(progress.history, progress.step, loss);
    reporter.step(plan, progress, results);
  };
  const steps = stepper(program, stage, data, progress, stepRunner(program, stage, train, results, log !== null), isPause, settled);
  let outcome: TrainOutcome = 'finished';
  let lastPause = performance.now();
  reporter.start(plan, progress);
  while (progress.step < progress.steps && outcome === 'finished') {
    const started = performance.now();
    const settling = steps.run();
    if (settling !== null) await settling;
    const last = progress.step === progress.steps;
    if (isEvaluated(progress.step)) {
      const better = takeEvaluation(progress, await evaluate!());
      reporter.evaluation(plan, progress, progress.history.evaluations.at(-1)!.results);
      if (!better && earlyStop !== null && progress.sinceBest >= earlyStop) outcome = 'stopped early';
    }
    if (progress.step % checkpointAt === 0) {
      await checkFinite(program, progress);
      await hooks.checkpoint();
    }
    if (started - lastPause > 50) {
      await hooks.letOthersRun();
      lastPause = performance.now();
    }
    if (hooks.interrupted() && !last && outcome === 'finished') outcome = 'interrupted';
  }
  await checkFinite(program, progress);
  return outcome;
}

/** Signals, timers and messages only get their turn between two steps, when the loop lets go. Timers would have it wait for too long. */
export const letOthersRun = (): Promise<void> => new Promise(resolve => {
  const { port1, port2 } = new MessageChannel();
  port1.addEventListener('message', () => {
    port1.close();
    resolve();
  });
  port1.start();
  port2.postMessage(null);
});

export function planOf(program: CompiledProgram, stage: Stage, data: ProgramData): TrainPlan {
  const { count, batch } = batchesOf(stage, trainEntryOf(stage));
  if (batch.inputs.length > 0 && data.train === null) {
    throw new DataError(`the model \`${stage.model}\` has inputs, but no training data: add a \`train\` source to its \`data\` block`);
  }
  const rows = batch.inputs.length === 0 ? 0 : data.train!.count;
  const metrics = batch.results.map(result => result.name).filter(name => name !== 'loss' && name !== 'lr' && name !== 'grad_norm');
  const rowsPerStep = count * batch.rows;
  const title = stageTitle(program, stage);
  return { name: title === null ? program.name : `${program.name}, ${title}`, rows, batch: rowsPerStep, stepsPerEpoch: rows / rowsPerStep, metrics };
}

/** Steps between two events; epochs that are no whole number of steps are rounded up. */
export function intervalSteps(interval: Interval, plan: TrainPlan): number {
  if (interval.unit === 'steps') return interval.count;
  if (plan.rows === 0) throw new DataError('the model takes no data, so it has no epochs: count `every` in steps');
  return Math.max(1, Math.ceil(interval.count * plan.stepsPerEpoch));
}

/** One stage of a run. */
export interface StageRun {
  readonly stage: Stage;
  readonly plan: TrainPlan;
  readonly progress: Progress;
}

/** What a run takes instead of what the train blocks say. */
export interface RunSettings {
  readonly steps?: number;
  readonly seed?: number;
  /** Above 0: what the learning rate of every optimizer is multiplied by; 1 unless given. */
  readonly learningRateFactor?: number;
}

/** The stages that a run trains, each at its start. */
export function stageRuns(program: CompiledProgram, data: ProgramData, options: RunSettings & { readonly only?: string }): readonly StageRun[] {
  return trainedStages(program, options.only).map(stage => {
    const plan = planOf(program, stage, data);
    return { stage, plan, progress: newProgress(program, stage, plan, options) };
  });
}

/** Where a stage stands at its start. */
export function newProgress(program: CompiledProgram, { settings }: Stage, plan: TrainPlan, options: RunSettings): Progress {
  const seed = options.seed ?? settings.seed;
  const steps = options.steps ?? settings.steps ?? Math.ceil((settings.epochs ?? 1) * plan.stepsPerEpoch);
  if (!(steps > 0)) throw new DataError('the number of steps is not known without data: give `steps` in the `train` block, or `--steps N`');
  const learningRateFactor = usableFactor(program, options.learningRateFactor ?? 1);
  return { step: 0, steps, seed, learningRateFactor, position: 0, best: null, sinceBest: 0, smoothed: null, history: newHistory() };
}

/** The factor given, if learning rates of the program can be multiplied by it. */
export function usableFactor({ name, scalars }: CompiledProgram, factor: number): number {
  if (!isAbove0(factor)) throw new DataError(`the learning rate cannot be multiplied by ${factor}: give a number above 0`);
  if (factor !== 1 && scalars.learningRateFactor === null) {
    throw new DataError(`no optimizer of the model \`${name}\` takes a learning rate \`lr\` that could be multiplied by ${factor}`);
  }
  return factor;
}

/** The steps of a run. */
export interface Stepper {
  /** Runs the next step; with a device more of them, as many as take a tenth of a second, but none beyond one that is a pause. */
  readonly run: () => Promise<void> | null;
}

/** Loads the rows of each step. Once its results are in place, `progress` has come to it and `settled` is told how long it took. */
export function stepper(
  program: CompiledProgram, stage: Stage, data: ProgramData, progress: Progress, runner: StepRunner,
  isPause: (step: number) => boolean, settled: (milliseconds: number) => void,
): Stepper {
  const { count, batch } = batchesOf(stage, trainEntryOf(stage));
  const set = batch.inputs.length === 0 ? null : data.train;
  const load = set === null ? null : rowLoader(program, set, batch.inputs);
  const order = set === null ? null : trainingOrder(set.count, progress.seed, program.data?.shuffle ?? true);
  let position = progress.position;
  let atOnce = 1;
  let ran = 0;
  let started = 0;
  let milliseconds = 0;
  const nextRows = (): void => {
    if (load !== null) for (let slot = 0; slot < batch.rows; slot++) load(order!(position + slot), slot);
    position += batch.rows;
  };
  const settledOne = (): void => {
    if (ran > 0) milliseconds = (performance.now() - started) / ran;
    ran = 0;
    progress.step++;
    progress.position += count * batch.rows;
    settled(milliseconds);
  };
  const adapt = (): void => {
    atOnce = Math.max(1, Math.min(runner.window, 2 * atOnce, Math.floor(100 / milliseconds)));
  };
  return {
    run: () => {
      started = performance.now();
      do runner.run(progress.step + ++ran, nextRows);
      while (ran < atOnce && !isPause(progress.step + ran));
      const settling = runner.settle(settledOne);
      return settling === null ? null : settling.then(adapt);
    },
  };
}

/** Adds an evaluation to the history; true when its loss is the lowest so far. */
export function takeEvaluation(progress: Progress, results: Results): boolean {
  progress.history.evaluations.push({ step: progress.step, results });
  const loss = results.loss!;
  const better = progress.best === null || loss < progress.best;
  if (better) progress.best = loss;
  progress.sinceBest = better ? 0 : progress.sinceBest + 1;
  return better;
}

/** Guards the files of an earlier, good state: values that are not finite must not replace them. */
export async function checkFinite(program: CompiledProgram, progress: Progress): Promise<void> {
  await fetchPlaces(program, program.parameters);
  for (const place of program.parameters) {
    const at = viewOf(program.memory, place).findIndex(value => !Number.isFinite(value));
    if (at < 0) continue;
    throw new DataError(`the parameter \`${place.name}\` is not finite (element ${at}) after step ${progress.step}; nothing was saved and the `
      + 'last checkpoint is as it was: lower the learning rate, or rebuild with `--debug-nan` to see where it comes from');
  }
}

export function notFinite(plan: TrainPlan, progress: Progress, what: string, value: number): DataError {
  const first = progress.position - plan.batch;
  const [batch, epochNumber] = [Math.floor((first % plan.rows) / plan.batch) + 1, Math.floor(first / plan.rows) + 1];
  const epoch = plan.rows === 0 ? '' : ` (batch ${batch} of epoch ${epochNumber})`;
  return new DataError(`the ${what} is ${value} at step ${progress.step}${epoch}; no weights were saved and the last checkpoint is as it was: `
    + 'lower the learning rate, or rebuild with `--debug-nan` to see where it comes from');
}
