/** The time of a token that is drawn as the last of 256: with what the positions before have left, and where all of them are computed anew. */
import { join } from 'node:path';
import { writeFirstWeights, weightsFile } from './batch.ts';
import { build, predictionTime, watched, writeImported, writeProgram } from './nabla.ts';
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
  const imported = writeImported(built, own);
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
      anew.push(predictionTime(imported, 'predictRow', 12, threads));
    }),
    results: () => all.map(({ threads, kept, anew }) => ({ threads, kept: spreadOfRuns(kept), anew: spreadOfRuns(anew) })),
  };
}
