/** `nabla predict`: compiles a model and runs its program's prediction. */
import { runProgram } from './run-program.ts';
import type { CompileFlags } from './compile-file.ts';

export interface PredictFlags extends CompileFlags {
  readonly weights?: string;
  readonly input?: readonly string[];
  readonly output?: string;
  readonly threads?: string;
}

export function runPredict(path: string, flags: PredictFlags): Promise<number> {
  const { weights, input, output, threads } = flags;
  return runProgram('predict', path, { ...flags, program: { weights, input, output, threads } });
}
