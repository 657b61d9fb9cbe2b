/** Reads what batch.ts wrote, for the peers of npm; and trains a peer's model on it, timed the same way for all of them. */
import { join } from 'node:path';
import { openBytes, wholeFileLimit } from '../runtime/files.ts';
import { readNpy } from '../runtime/npy.ts';
import { readSafetensors } from '../runtime/safetensors.ts';
import { readTensor } from '../runtime/stored-tensor.ts';
import { elementCount } from '../runtime/tensor.ts';
import { weightsFile } from './batch.ts';
import type { StepReport } from './peers.ts';
import { spread } from './statistics.ts';

export interface Weight {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: Float32Array<ArrayBuffer>;
}

export interface Input {
  readonly shape: readonly number[];
  readonly values: Int32Array<ArrayBuffer>;
}

export function readWeights(folder: string): readonly Weight[] {
  return [...readSafetensors(openBytes(join(folder, weightsFile), weightsFile, wholeFileLimit)).tensors].map(([name, stored]) => {
    const values = new Float32Array(elementCount(stored.shape));
    readTensor(stored, values, 'f32');
    return { name, shape: stored.shape, values };
  });
}

export function readInput(folder: string, name: string): Input {
  const stored = readNpy(openBytes(join(folder, `${name}.npy`), name, wholeFileLimit));
  const values = new Int32Array(elementCount(stored.shape));
  readTensor(stored, values, 'i32');
  return { shape: stored.shape, values };
}

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
