/** Reads what batch.ts wrote, for the peers of npm; and trains a peer's model on it, timed the same way for all of them. */
import { join } from 'node:path';
import { openBytes, wholeFileLimit } from '../runtime/files.ts';
import { inputOf, weightsOf, type Input, type Weight } from './batch-tensors.ts';
import { weightsFile } from './batch.ts';
import type { StepReport } from './peers.ts';
import { spread } from './statistics.ts';

export const readWeights = (folder: string): readonly Weight[] => weightsOf(openBytes(join(folder, weightsFile), weightsFile, wholeFileLimit));

export const readInput = (folder: string, name: string): Input => inputOf(openBytes(join(folder, `${name}.npy`), name, wholeFileLimit));

/** Runs steps, each of which gives its loss once it is done. */
export async function measureSteps(
  about: Pick<StepReport, 'version' | 'parameters'>,
  step: () => number | Promise<number>,
  warmUp: number,
  steps: number,
): Promise<StepReport> {
  const losses: number[] = [];
  const times: number[] = [];
  let firstStepAt = 0;
  for (let i = 0; i < warmUp + steps; i++) {
    const started = performance.now();
    losses.push(await step());
    times.push(performance.now() - started);
    if (i === 0) firstStepAt = performance.timeOrigin + performance.now();
  }
  const peakBytes = process.resourceUsage().maxRSS * 1024;
  return { ...about, losses, ms_per_step: spread(times.slice(warmUp)), first_step_at: firstStepAt, peak_bytes: peakBytes };
}
