/** `nabla train`: compiles a model and runs its program's training. */
import { besideModel } from './compile-file.ts';
import { runProgram, type EmitFlags } from './run-program.ts';

export interface TrainFlags extends EmitFlags {
  readonly steps?: string;
  readonly seed?: string;
  readonly learningRateFactor?: string;
  readonly init?: string;
  readonly save?: string;
  readonly log?: string;
  readonly saveGradients?: string;
  readonly resume?: true;
  readonly threads?: string;
  readonly only?: string;
}

export function runTrain(path: string, flags: TrainFlags): Promise<number> {
  const { steps, seed, learningRateFactor, init, save, log, saveGradients, resume, threads, only } = flags;
  const given = { steps, seed, 'learning-rate-factor': learningRateFactor, data: besideModel(path, flags.data), init, save, log, 'save-gradients': saveGradients };
  const program = { ...given, resume, threads, only };
  return runProgram('train', path, { ...flags, program });
}
