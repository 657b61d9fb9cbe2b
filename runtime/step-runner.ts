/**
 * Runs steps and gives their results: right after each step where a program computes in its own memory; several steps at once from a
 * device, which is then never waited for between two steps. Works on any platform.
 */
import type { Results } from './evaluate.ts';
import type { CompiledProgram, Device, Entry, Stage } from './program.ts';
import { viewOf } from './tensor.ts';

export interface StepRunner {
  /** Runs the entries of a step, `beforeBatch` before each of its batches. */
  readonly run: (step: number, beforeBatch: () => void) => void;
  /** For each step that ran since the last time, in order: puts its results in place and calls `settled`. Waits only for a device. */
  readonly settle: (settled: () => void) => Promise<void> | null;
  /** How many steps may run before `settle` has to be called. */
  readonly window: number;
}

/** The entry that takes the rows of a step, and how often it runs in one. */
export const batchesOf = (stage: Stage, train: Entry): { readonly count: number; readonly batch: Entry } =>
  stage.accumulate ?? { count: 1, batch: train };

/** The results of the batches are given as their means. `withNorm` asks for the norm of the gradient where steps do not give it already. */
export function stepRunner(program: CompiledProgram, stage: Stage, train: Entry, results: Results, withNorm: boolean): StepRunner {
  const { memory, scalars, device } = program;
  const { count, batch } = batchesOf(stage, train);
  const stepScalar = new Int32Array(memory, scalars.step, 1);
  const norm = withNorm ? stage.gradientNorm : null;
  const last = [...(stage.accumulate === null ? [] : [train]), ...(norm === null ? [] : [norm])];
  const entries = device === null ? localResults(memory, batch, last, results) : deviceResults(device, count, batch, last, results);
  return {
    run: (step, beforeBatch) => {
      for (let i = 0; i < count; i++) {
        beforeBatch();
        stepScalar[0] = (step - 1) * count + i + 1;
        batch.run();
        entries.afterBatch(i, count);
      }
      stepScalar[0] = step;
      for (let i = 0; i < last.length; i++) {
        last[i]!.run();
        entries.afterLast(i);
      }
      entries.afterStep();
    },
    settle: entries.settle,
    window: device === null ? 1 : Math.max(1, Math.floor(device.window / count)),
  };
}

/** How results come from the entries of a step. */
export interface StepResults {
  readonly afterBatch: (batch: number, count: number) => void;
  /** After each of the entries that run once a step. */
  readonly afterLast: (number: number) => void;
  readonly afterStep: () => void;
  readonly settle: StepRunner['settle'];
}

/** Each entry's results are read before another entry can overwrite them. */
export function localResults(memory: ArrayBuffer, batch: Entry, last: readonly Entry[], results: Results): StepResults {
  const batchViews = batch.results.map(result => viewOf(memory, result));
  const lastViews = last.map(entry => entry.results.map(result => viewOf(memory, result)));
  return {
    afterBatch: (number, count) => {
      for (let k = 0; k < batchViews.length; k++) {
        const { name } = batch.results[k]!;
        results[name] = (number === 0 ? 0 : results[name]!) + batchViews[k]![0]!;
        if (number === count - 1) results[name] /= count;
      }
    },
    afterLast: number => {
      const views = lastViews[number]!;
      for (let k = 0; k < views.length; k++) results[last[number]!.results[k]!.name] = views[k]![0]!;
    },
    afterStep: () => undefined,
    settle: settled => {
      settled();
      return null;
    },
  };
}

export function deviceResults(device: Device, count: number, batch: Entry, last: readonly Entry[], results: Results): StepResults {
  let steps = 0;
  return {
    afterBatch: () => undefined,
    afterLast: () => undefined,
    afterStep: () => {
      steps++;
    },
    settle: async settled => {
      const ran = steps;
      steps = 0;
      const [batches, ...others] = await Promise.all([device.recent(batch, ran * count), ...last.map(entry => device.recent(entry, ran))]);
      for (let step = 0; step < ran; step++) {
        batch.results.forEach(({ name }, k) => {
          let sum = 0;
          for (let i = 0; i < count; i++) sum += batches![(step * count + i) * batch.results.length + k]!;
          results[name] = sum / count;
        });
        last.forEach((entry, i) => entry.results.forEach(({ name }, k) => {
          results[name] = others[i]![step * entry.results.length + k]!;
        }));
        settled();
      }
    },
  };
}
