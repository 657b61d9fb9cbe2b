/** `nabla evaluate`: compiles a model and runs its program's evaluation. */
import { besideModel } from './compile-file.ts';
import { runProgram, type EmitFlags } from './run-program.ts';

export interface EvaluateFlags extends EmitFlags {
  readonly weights?: string;
  readonly threads?: string;
  readonly model?: string;
}

export function runEvaluate(path: string, flags: EvaluateFlags): Promise<number> {
  const { weights, threads, model } = flags;
  return runProgram('evaluate', path, { ...flags, program: { weights, data: besideModel(path, flags.data), threads, model } });
}
