/** Weights: the parameters and layers' states of a program as the bytes of a safetensors file, by their paths. Works on any platform. */
import type { ByteSource } from './bytes.ts';
import { DataError } from './data-error.ts';
import { fetchPlaces } from './device.ts';
import type { CompiledProgram, TensorPlace } from './program.ts';
import type { NamedTensor, Safetensors } from './safetensors.ts';
import { readSafetensors, safetensorsPieces } from './safetensors.ts';
import { isFloatKind, readTensor } from './stored-tensor.ts';
import { sameShape, showShape, viewOf } from './tensor.ts';

/** Parameters and what layers keep, without the optimiser's states. */
export const weightPlaces = (program: CompiledProgram): readonly TensorPlace[] =>
  [...program.parameters, ...program.states.filter(state => !state.name.startsWith('optimizer.'))];

export const tensorsAt = (memory: ArrayBuffer, places: readonly TensorPlace[]): NamedTensor[] =>
  places.map(place => ({ name: place.name, dtype: place.dtype, shape: place.shape, values: viewOf(memory, place) }));

/** The pieces of the file, one after another. They lie in the program's memory, so that they hold what it holds when they are read. */
export async function weightsPieces(program: CompiledProgram): Promise<Uint8Array[]> {
  const places = weightPlaces(program);
  await fetchPlaces(program, places);
  return safetensorsPieces(tensorsAt(program.memory, places), { format: 'pt', model: program.name, source: program.source });
}

/**
 * Reads a weights file into the program; every missing, extra and misshapen tensor is named. Moving averages of parameters may be
 * missing, and begin as the parameters then; those that the program does not keep are left out.
 */
export function readWeights(program: CompiledProgram, bytes: ByteSource): void {
  const file = readSafetensors(bytes);
  const places = weightPlaces(program);
  const tensors = new Map(file.tensors);
  for (const { name } of program.parameters) {
    const average = `ema.${name}`;
    const stored = tensors.get(name);
    if (!places.some(place => place.name === average)) tensors.delete(average);
    else if (program.stages.some(stage => stage.settings.ema !== null) && stored !== undefined && !tensors.has(average)) tensors.set(average, stored);
  }
  loadTensors({ ...file, tensors }, bytes.place, places, program);
}

export function loadTensors(file: Safetensors, path: string, places: readonly TensorPlace[], { memory, device }: CompiledProgram): void {
  const problems: string[] = [];
  const known = new Set(places.map(place => place.name));
  for (const { name, dtype, shape } of places) {
    const stored = file.tensors.get(name);
    if (stored === undefined) problems.push(`\`${name}\` ${showShape(shape)} is missing`);
    else if (!sameShape(stored.shape, shape)) {
      problems.push(`\`${name}\` has the shape ${showShape(stored.shape)}, the model has ${showShape(shape)}`);
    } else if (isFloatKind(stored.kind) !== isFloatKind(dtype)) {
      problems.push(`\`${name}\` holds ${stored.kind} values, the model has ${dtype}`);
    }
  }
  for (const [name, stored] of file.tensors) if (!known.has(name)) problems.push(`\`${name}\` ${showShape(stored.shape)} is not in the model`);
  if (problems.length > 0) throw new DataError(`\`${path}\` does not fit the model:${problems.map(problem => `\n  ${problem}`).join('')}`);
  for (const place of places) readTensor(file.tensors.get(place.name)!, viewOf(memory, place), place.dtype);
  device?.send(places);
}
