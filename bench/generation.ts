/** The time of a token that is drawn as the last of 256: with what the positions before have left, and where all of them are computed anew. */
import { join } from 'node:path';
import { writeWhole } from '../runtime/files.ts';
import { npyBytes } from '../runtime/npy.ts';
import { writeFirstWeights, weightsFile } from './batch.ts';
import { build, predictionTime, watched, writeProgram } from './nabla.ts';
import type { GenerationResult } from './results.ts';
import { spread, spreadOfRuns, type Spread } from './statistics.ts';

export interface GenerationMeasurements {
  /** Takes one sample of everything. */
  readonly round: () => void;
  readonly results: () => readonly GenerationResult[];
}

const positions = 256;

export function generationMeasurements(folder: string, threadCounts: readonly number[]): GenerationMeasurements {
  const own = join(folder, 'generation');
  const built = build('bench/models/generation.model', new Map([['T', String(positions)]]));
  const program = writeProgram(built, own);
  writeFirstWeights(built.program, own);
  const rows = 12;
  const file = join(own, 'text.npy');
  writeWhole(file, [npyBytes(Int32Array.from({ length: rows * positions }, (_, i) => (i * 31) % 256), 'i32', [rows, positions])]);
  const weights = join(own, weightsFile);
  const step = built.program.entries.findIndex(entry => entry.name === 'generate_step');
  /** From one step to the next, drawing included, at the last positions. */
  const drawn = (threads: number): Spread => {
    const { calls } = watched([program, 'generate', `--weights=${weights}`, `--length=${positions - 1}`, `--threads=${threads}`], threads);
    const starts = calls.starts.filter((_, i) => calls.entries[i] === step).slice(-40);
    return spread(starts.slice(1).map((start, i) => start - starts[i]!));
  };
  const all = threadCounts.map(threads => ({ threads, kept: [] as Spread[], anew: [] as Spread[] }));
  return {
    round: () => all.forEach(({ threads, kept, anew }) => {
      kept.push(drawn(threads));
      anew.push(predictionTime(program, { text: file }, weights, join(own, 'next.npz'), threads));
    }),
    results: () => all.map(({ threads, kept, anew }) => ({ threads, kept: spreadOfRuns(kept), anew: spreadOfRuns(anew) })),
  };
}
