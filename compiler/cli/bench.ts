/** `nabla bench`: compiles a model and runs its program's measurement of training steps. */
import { runProgram, type EmitFlags } from './run-program.ts';

export interface BenchFlags extends EmitFlags {
  readonly steps?: string;
  readonly threads?: string;
  readonly model?: string;
}

export function runBench(path: string, flags: BenchFlags): Promise<number> {
  const { steps, threads, model } = flags;
  return runProgram('bench', path, { ...flags, program: { steps, threads, model } });
}
