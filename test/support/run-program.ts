/** Runs an emitted program in this process. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { emit, type EmitOptions, type Target } from '../../compiler/6-emit/emit.ts';
import type { Levels } from '../../compiler/index.ts';
import type { AnyRows, TrainOptions } from '../../runtime/application.ts';
import type { CompiledProgram, Entry, Stage, TensorPlace } from '../../runtime/program.ts';
import type { TrainReport } from '../../runtime/training.ts';
import { setLearningRateFactor } from '../../runtime/stages.ts';
import { viewOf } from '../../runtime/tensor.ts';
import type { Machine, Role } from './machine.ts';

/** What an emitted file exports, and the program inside it, which applications do not need. */
export interface EmittedModule {
  readonly program: CompiledProgram;
  readonly predict?: (rows: Readonly<Record<string, Float32Array | Int32Array | Uint8Array>>) => Promise<Readonly<Record<string, Float32Array | Int32Array | Uint8Array>>>;
  readonly predictOnce?: (options: { readonly seed?: number }) => Promise<Readonly<Record<string, Float32Array | Int32Array | Uint8Array>>>;
  readonly train?: (options: TrainOptions<AnyRows>) => Promise<TrainReport>;
}

/** What tests emit: nothing is checked, types and all. */
export const emitOptions = (target: Target): EmitOptions => ({ target, form: 'program', deterministic: false, javascript: false, debugNan: false });

/** The emitted text as a module, its types stripped as Node strips them. */
export async function importEmitted(text: string): Promise<EmittedModule> {
  const folder = mkdtempSync(join(tmpdir(), 'nabla-'));
  const file = join(folder, 'program.mjs');
  try {
    writeFileSync(file, `${stripTypeScriptTypes(text)}\nexport { program };\n`);
    return await import(/* @vite-ignore */ pathToFileURL(file).href) as EmittedModule;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The emitted program of scheduled levels as a machine that computes in single precision. */
export async function emittedMachine(levels: Levels): Promise<Machine> {
  const { program } = await importEmitted(emit(levels, emitOptions('typescript')));
  const { stages } = program;
  const generator = stages.find(stage => stage.generator !== null)?.generator ?? null;
  const places = { input: [...program.inputs, ...(generator ? [generator.sequence] : [])], parameter: program.parameters, gradient: stages.flatMap(stage => stage.gradients), state: program.states } as const;
  const { learningRateFactor, ...others } = program.scalars;
  const scalars = { ...others, learning_rate_factor: learningRateFactor, position: generator?.position };
  const placeOf = (role: Role, name: string): TensorPlace => {
    if (role === 'scalar') return { name, dtype: name === 'learning_rate_factor' ? 'f32' : 'i32', shape: [], offset: scalars[name as keyof typeof scalars]! };
    const found = (places[role] as readonly TensorPlace[]).find(place => place.name === name);
    if (found === undefined) throw new Error(`there is no ${role} ${name}`);
    return found;
  };
  const entriesOf = (stage: Stage): Readonly<Record<string, Entry | null>> => ({
    initialise: { run: stage.initialise, number: 0, inputs: [], results: [], rows: 0 },
    accumulate: stage.accumulate?.batch ?? null, train: stage.train, evaluate: stage.evaluate, predict: stage.predict, evaluate_row: stage.evaluateRow, predict_row: stage.predictRow, predict_once: stage.predictOnce,
    generate_start: stage.generator?.start ?? null, generate_step: stage.generator?.step ?? null, generate_scores: stage.generator?.scores ?? null,
  });
  const entries = new Map<string, Entry | null>([
    ...stages.flatMap(stage => Object.entries(entriesOf(stage)).map(([name, entry]) => [stages.length === 1 ? name : `${stage.name}.${name}`, entry] as const)),
    ...(program.synthetic?.sources ?? []).map(({ name, entry }) => [`${name}_rows`, entry] as const),
  ]);
  setLearningRateFactor(program, 1);
  return {
    write: (role, name, data) => viewOf(program.memory, placeOf(role, name)).set(data),
    read: (role, name) => Float64Array.from(viewOf(program.memory, placeOf(role, name))),
    run: name => {
      const entry = entries.get(name)!;
      entry.run();
      return new Map(entry.results.map(place => [place.name, { dtype: place.dtype, shape: place.shape, data: Float64Array.from(viewOf(program.memory, place)) }]));
    },
    names: role => (role === 'scalar' ? Object.keys(scalars) : places[role].map(place => place.name)),
  };
}
