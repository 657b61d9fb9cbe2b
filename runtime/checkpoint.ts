/** Checkpoints: everything that a run needs to go on as if it had never stopped, in one safetensors file. Uses node: modules. */
import { constants, copyFileSync, existsSync, renameSync } from 'node:fs';
import { DataError } from './data-error.ts';
import { fetchPlaces } from './device.ts';
import { openBytes, wholeFileLimit } from './files.ts';
import type { CompiledProgram } from './program.ts';
import { readSafetensors } from './safetensors.ts';
import type { Progress, StageRun } from './training.ts';
import { writeSafetensors } from './weights-file.ts';
import { loadTensors, tensorsAt } from './weights.ts';

export const checkpointPath = (program: CompiledProgram): string => `${program.name}.checkpoint.safetensors`;

/** Writes the checkpoint; `keep` - 1 older ones move to `…checkpoint.1.safetensors` and so on, 1 being the newest of them. */
export async function saveCheckpoint(program: CompiledProgram, { stage, progress }: StageRun, keep: number): Promise<void> {
  const path = checkpointPath(program);
  const places = [...program.parameters, ...program.states];
  await fetchPlaces(program, places);
  const older = (age: number): string => (age === 0 ? path : path.replace(/safetensors$/, `${age}.safetensors`));
  for (let age = keep - 2; age >= 1; age--) if (existsSync(older(age))) renameSync(older(age), older(age + 1));
  // A copy, so that there is a newest checkpoint at every moment.
  if (keep > 1 && existsSync(path)) copyFileSync(path, older(1), constants.COPYFILE_FICLONE);
  writeSafetensors(path, tensorsAt(program.memory, places), { model: program.name, source: program.source, stage: stage.name, progress: JSON.stringify(progress) });
}

/** Restores tensors; gives the stage that the run is in, and where it stands there. */
export function loadCheckpoint(program: CompiledProgram): Pick<StageRun, 'stage' | 'progress'> {
  const path = checkpointPath(program);
  if (!existsSync(path)) throw new DataError(`there is no checkpoint \`${path}\` here to resume from: start without \`--resume\``);
  const file = readSafetensors(openBytes(path, path, wholeFileLimit));
  loadTensors(file, path, [...program.parameters, ...program.states], program);
  const { progress, stage: name } = file.metadata;
  if (progress === undefined) throw new DataError(`\`${path}\` is a weights file, not a checkpoint: use it with \`--init\``);
  if (file.metadata.source !== program.source) {
    throw new DataError(`\`${path}\` is of another version of the model \`${program.name}\`: `
      + 'rebuild that one, or start from the weights it saved with `--init`');
  }
  const stage = program.stages.find(other => other.name === name);
  if (stage === undefined) throw brokenProgress(path);
  return { stage, progress: readProgress(progress, path) };
}

export function readProgress(text: string, path: string): Progress {
  try {
    const progress = JSON.parse(text) as Progress;
    const counts = [progress.step, progress.steps, progress.seed, progress.position];
    if (counts.every(count => Number.isSafeInteger(count) && count >= 0) && progress.learningRateFactor > 0 && Array.isArray(progress.history.losses)) return progress;
  } catch {
    // Told below: what JSON says about the place in the text helps nobody.
  }
  throw brokenProgress(path);
}

export const brokenProgress = (path: string): DataError =>
  new DataError(`the progress in \`${path}\` is broken: take an older checkpoint, or start without \`--resume\``);
