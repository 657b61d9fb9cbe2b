/** The stages of a program: which of them somebody means, and what they begin with. Works on any platform. */
import { DataError, suggestion } from './data-error.ts';
import type { CompiledProgram, Generator, Stage } from './program.ts';

/** The stage of that name, or the last one of the model of that name; the last one of all without a name. */
export function stageNamed(program: CompiledProgram, name: string | undefined): Stage {
  const { stages } = program;
  if (name === undefined) return stages.at(-1)!;
  const found = stages.find(stage => stage.name === name) ?? stages.findLast(stage => stage.model === name);
  if (found !== undefined) return found;
  throw new DataError(`there is no model \`${name}\`${suggestion(name, [...new Set(stages.flatMap(stage => [stage.name, stage.model]))], 'there is')}`);
}

/** Those that a run trains: all that can be, or the one of that name. */
export function trainedStages(program: CompiledProgram, only: string | undefined): readonly Stage[] {
  const trained = program.stages.filter(stage => stage.train !== null);
  if (only === undefined && trained.length > 0) return trained;
  const found = trained.find(stage => stage.name === only);
  if (found !== undefined) return [found];
  if (trained.length === 0) throw new DataError(`the model \`${program.name}\` cannot be trained: add a \`loss\` and a \`train\` block to it`);
  throw new DataError(`no train block is called \`${only!}\`${suggestion(only!, trained.map(stage => stage.name), 'there is')}`);
}

/** The stage that draws tokens. */
export function generatingStage(program: CompiledProgram): { readonly stage: Stage; readonly generator: Generator } {
  for (const stage of program.stages) if (stage.generator !== null) return { stage, generator: stage.generator };
  throw new DataError(`the model \`${program.name}\` draws no tokens: add a \`generate\` block to it`);
}

/** What a stage is called beside others: nothing where it is alone. */
export const stageTitle = ({ stages }: CompiledProgram, stage: Stage): string | null => (stages.length === 1 ? null : stage.name);

/** Fills all parameters and states, each from its stage's seed unless one is given. */
export function initialiseProgram(program: CompiledProgram, seed: number | undefined): void {
  for (const stage of program.stages) {
    setScalars(program, seed ?? stage.settings.seed, 0, 0);
    stage.initialise();
  }
}

/** Steps from now on multiply the learning rate of every optimizer by `factor`. */
export function setLearningRateFactor({ memory, scalars }: CompiledProgram, factor: number): void {
  if (scalars.learningRateFactor !== null) new Float32Array(memory, scalars.learningRateFactor, 1)[0] = factor;
}

export function setScalars(program: CompiledProgram, seed: number, step: number, steps: number): void {
  const { memory, scalars } = program;
  new Int32Array(memory, scalars.seed, 1)[0] = seed;
  new Int32Array(memory, scalars.step, 1)[0] = step;
  new Int32Array(memory, scalars.steps, 1)[0] = steps;
}
