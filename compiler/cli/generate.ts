/** `nabla generate`: compiles a model and has its program draw tokens. */
import { runProgram, type EmitFlags } from './run-program.ts';

export interface GenerateFlags extends EmitFlags {
  readonly weights?: string;
  readonly prompt?: string;
  readonly input?: readonly string[];
  readonly length?: string;
  readonly temperature?: string;
  readonly topK?: string;
  readonly topP?: string;
  readonly stop?: readonly string[];
  readonly seed?: string;
  readonly output?: string;
  readonly threads?: string;
}

export function runGenerate(path: string, flags: GenerateFlags): Promise<number> {
  const { weights, prompt, input, length, temperature, topK, topP, stop, seed, output, threads } = flags;
  return runProgram('generate', path, {
    ...flags, program: { weights, prompt, input, length, temperature, 'top-k': topK, 'top-p': topP, stop, seed, output, threads },
  });
}
