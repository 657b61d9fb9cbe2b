/** Measures training steps on made-up inputs. Uses node: modules. */
import { openDevice } from './device.ts';
import type { CompiledProgram, Stage } from './program.ts';
import { benchStream, random } from './random.ts';
import { viewOf } from './tensor.ts';
import { stepRunner } from './step-runner.ts';
import { initialiseProgram, setLearningRateFactor, setScalars, stageTitle } from './stages.ts';
import { trainEntryOf } from './training.ts';

export interface BenchReport {
  readonly model: string;
  readonly ms_per_step: { readonly median: number; readonly min: number };
  /** When the first step was done, milliseconds since 1970. */
  readonly first_step_at: number;
  readonly gflops: number;
  readonly peak_bytes: number;
  readonly arena_bytes: number;
  readonly steps: number;
  readonly threads: number;
}

/**
 * Runs a tenth as many steps (at least 3) first, so that the code is compiled and the caches are warm. Steps on a device are measured as
 * many at a time as may run at once, and count with their mean.
 */
export async function benchProgram(program: CompiledProgram, stage: Stage, options: { readonly steps: number }): Promise<BenchReport> {
  const { memory } = program;
  const train = trainEntryOf(stage);
  const warmUp = Math.max(3, Math.ceil(options.steps / 10));
  await openDevice(program);
  initialiseProgram(program, undefined);
  setScalars(program, stage.settings.seed, 0, warmUp + options.steps);
  setLearningRateFactor(program, 1);
  fillInputs(program, stage.settings.seed);
  const { run, settle, window } = stepRunner(program, stage, train, {}, false);
  const nothing = (): void => undefined;
  const times = new Float64Array(options.steps);
  const runSteps = async (first: number, count: number): Promise<void> => {
    const started = performance.now();
    for (let i = 0; i < count; i++) run(first + i + 1, nothing);
    const settling = settle(nothing);
    if (settling !== null) await settling;
    if (first >= warmUp) times.fill((performance.now() - started) / count, first - warmUp, first - warmUp + count);
  };
  await runSteps(0, 1);
  const firstStepAt = performance.timeOrigin + performance.now();
  for (let i = 1; i < warmUp; i += window) await runSteps(i, Math.min(window, warmUp - i));
  for (let i = 0; i < options.steps; i += window) await runSteps(warmUp + i, Math.min(window, options.steps - i));
  times.sort();
  const middle = times.length >> 1;
  const median = times.length % 2 === 1 ? times[middle]! : (times[middle - 1]! + times[middle]!) / 2;
  const rounded = (value: number): number => Number(value.toPrecision(4));
  return {
    model: stageTitle(program, stage) ?? program.name,
    ms_per_step: { median: rounded(median), min: rounded(times[0]!) },
    first_step_at: firstStepAt,
    gflops: rounded(stage.flopsPerStep / median / 1e6),
    peak_bytes: process.resourceUsage().maxRSS * 1024,
    arena_bytes: memory.byteLength,
    steps: options.steps,
    threads: program.threads?.count() ?? 1,
  };
}

/** Whole numbers below the input's limit (256 for bytes, 2 without a limit), floats from 0 to 1. */
export function fillInputs(program: CompiledProgram, seed: number): void {
  program.inputs.forEach((input, stream) => {
    const view = viewOf(program.memory, input);
    const limit = input.dtype === 'i32' ? input.below ?? 2 : input.dtype === 'u8' ? input.below ?? 256 : input.dtype === 'bool' ? 2 : null;
    for (let i = 0; i < view.length; i++) {
      const value = random(seed, benchStream + stream, 0, i);
      view[i] = limit === null ? value : Math.floor(value * limit);
    }
  });
}
