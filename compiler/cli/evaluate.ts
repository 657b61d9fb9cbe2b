/** `nabla evaluate`: compiles a model and runs its program's evaluation. */
import { besideModel, runProgram } from './run-program.ts';
import type { CompileFlags } from './compile-file.ts';

export interface EvaluateFlags extends CompileFlags {
  readonly weights?: string;
  readonly data?: string;
  readonly threads?: string;
}

export function runEvaluate(path: string, flags: EvaluateFlags): Promise<number> {
  const { weights, threads } = flags;
  return runProgram('evaluate', path, { ...flags, program: { weights, data: besideModel(path, flags.data), threads } });
}
