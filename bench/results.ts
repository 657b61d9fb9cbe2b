/** What a run of all measurements found, as results.json holds it. */
import type { PassesReport } from './passes.ts';
import type { Spread } from './statistics.ts';

/** What one line of the table says. Times are ms. */
export interface Result {
  readonly name: string;
  readonly nabla: Spread;
  /** Of nabla's main thread: about what the time would be on a machine that nobody else uses. Null where it is not measured. */
  readonly processor: Spread | null;
  readonly rival: { readonly name: string; readonly time: Spread } | null;
  /** Of the medians, nabla's over the rival's. */
  readonly ratio: number | null;
  /** What the ratio, or else nabla's median, is to stay below. */
  readonly target: number;
  readonly met: boolean;
}

export interface ProgramSize {
  readonly model: string;
  readonly bytes: number;
  readonly gzip: number;
}

export interface Results {
  readonly date: string;
  readonly machine: string;
  /** Mean number of busy processes in the minute before the run: above 0, others took part of the machine. */
  readonly loadBefore: number;
  readonly versions: Readonly<Record<string, string>>;
  readonly rounds: number;
  readonly results: readonly Result[];
  /** Processor time of the compiler's passes in the first compilation of a process, and in later ones. */
  readonly passes: Pick<PassesReport, 'first' | 'warm'>;
  readonly sizes: readonly ProgramSize[];
}
