/** `nabla predict`: compiles a model and runs its program's prediction. */
import { runProgram, type EmitFlags } from './run-program.ts';

export interface PredictFlags extends EmitFlags {
  readonly weights?: string;
  readonly input?: readonly string[];
  readonly output?: string;
  readonly seed?: string;
  readonly threads?: string;
  readonly model?: string;
}

export function runPredict(path: string, flags: PredictFlags): Promise<number> {
  const { weights, input, output, seed, threads, model } = flags;
  return runProgram('predict', path, { ...flags, program: { weights, input, output, seed, threads, model } });
}
