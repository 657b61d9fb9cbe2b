/** `nabla bench`: compiles a model and runs its program's measurement of training steps. */
import { runProgram } from './run-program.ts';
import type { CompileFlags } from './compile-file.ts';

export interface BenchFlags extends CompileFlags {
  readonly steps?: string;
  readonly threads?: string;
}

export function runBench(path: string, flags: BenchFlags): Promise<number> {
  const { steps, threads } = flags;
  return runProgram('bench', path, { ...flags, program: { steps, threads } });
}
