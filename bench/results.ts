/** What a run of all measurements found, as results.json holds it. Times are ms. */
import type { PassesReport } from './passes.ts';
import type { System, TorchPeer } from './reference.ts';
import type { Spread } from './statistics.ts';

/** Training steps of one model: forward, backward, update. */
export interface ModelResult {
  readonly model: string;
  readonly parameters: number;
  readonly timings: readonly Timing[];
  /** Systems that could not be measured, and why. */
  readonly failures: readonly { readonly system: System; readonly threads: number; readonly reason: string }[];
}

export interface Timing {
  readonly system: System;
  readonly threads: number;
  readonly step: Spread;
  /** The most memory that the process held. */
  readonly peakBytes: number;
}

export const timingOf = ({ timings }: ModelResult, system: System, threads: number): Timing | undefined =>
  timings.find(one => one.system === system && one.threads === threads);

/** Products of two square matrices. */
export interface ProductResult {
  readonly size: number;
  readonly threads: number;
  readonly nabla: Spread;
  /** OpenBLAS, through PyTorch. */
  readonly peers: readonly { readonly peer: TorchPeer; readonly time: Spread }[];
}

/** A token that is drawn as the last of 256. */
export interface GenerationResult {
  readonly threads: number;
  /** With what the positions before have left. */
  readonly kept: Spread;
  /** All positions computed anew. */
  readonly anew: Spread;
}

/** From the start of a process to the end of its first training step of `mlp`. */
export interface StartResult {
  readonly system: System;
  /** How the file of nabla's program ends; null for peers. */
  readonly ending: 'ts' | 'mjs' | null;
  readonly threads: number;
  readonly time: Spread;
}

/** The share of a training step of `mlp` in which none of nabla's kernels runs. */
export interface OutsideResult {
  readonly threads: number;
  readonly share: Spread;
}

export interface CompileResult {
  readonly name: string;
  readonly time: Spread;
  /** Of the main thread: about what the time would be on a machine that nobody else uses. */
  readonly processor: Spread;
  /** What the median of the time is to stay below. */
  readonly target: number;
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
  readonly models: readonly ModelResult[];
  readonly products: readonly ProductResult[];
  readonly generation: readonly GenerationResult[];
  readonly starts: readonly StartResult[];
  readonly outside: readonly OutsideResult[];
  readonly compiling: readonly CompileResult[];
  /** Processor time of the compiler's passes in the first compilation of a process, and in later ones. */
  readonly passes: Pick<PassesReport, 'first' | 'warm'>;
  readonly sizes: readonly ProgramSize[];
}
