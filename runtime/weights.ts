/** Weights: the parameters and layers' states of a program as the bytes of a safetensors file, by their paths. Works on any platform. */
import type { ByteSource } from './bytes.ts';
import { DataError } from './data-error.ts';
import { fetchPlaces } from './device.ts';
import type { CompiledProgram, TensorPlace } from './program.ts';
import type { NamedTensor, Safetensors } from './safetensors.ts';
import { readSafetensors, safetensorsPieces } from './safetensors.ts';
import { isFloatKind, readTensor } from './stored-tensor.ts';
import { sameShape, showShape, viewOf } from './tensor.ts';

/** What checkpoints hold beside weights. */
export const isOptimizerState = (name: string): boolean => name.startsWith('optimizer.');

/** Parameters and what layers keep, without the optimiser's states. */
export const weightPlaces = (program: CompiledProgram): readonly TensorPlace[] =>
  [...program.parameters, ...program.states.filter(state => !isOptimizerState(state.name))];

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
 * missing, and begin as the parameters then; those that the program does not keep are left out, and so is what is no weight: a checkpoint
 * will do.
 */
export function readWeights(program: CompiledProgram, bytes: ByteSource): void {
  loadTensors(weightsOf(program, bytes), bytes.place, weightPlaces(program), program);
}

/**
 * Reads weights to start from, by their names: what the file lacks stays as it is, and what the program lacks is left out. Gives a
 * sentence about each. A file that has no tensor of the program, or a misshapen one, is an error.
 */
export function readInitialWeights(program: CompiledProgram, bytes: ByteSource): readonly string[] {
  const file = weightsOf(program, bytes);
  const places = weightPlaces(program);
  const shared = places.filter(place => file.tensors.has(place.name));
  if (shared.length === 0) loadTensors(file, bytes.place, places, program);
  const known = new Set(places.map(place => place.name));
  const missing = places.filter(place => !file.tensors.has(place.name)).map(place => place.name);
  const extra = [...file.tensors.keys()].filter(name => !known.has(name));
  loadTensors({ ...file, tensors: new Map(shared.map(({ name }) => [name, file.tensors.get(name)!])) }, bytes.place, shared, program);
  return [
    ...(missing.length === 0 ? [] : [`new, since \`${bytes.place}\` does not have them: ${someOf(missing)}`]),
    ...(extra.length === 0 ? [] : [`left out of \`${bytes.place}\`, since the model does not have them: ${someOf(extra)}`]),
  ];
}

/** The first of many names, and how many more there are. */
export function someOf(names: readonly string[]): string {
  const mostNamed = 6;
  const named = names.slice(0, mostNamed).map(name => `\`${name}\``).join(', ');
  return names.length > mostNamed ? `${named} and ${names.length - mostNamed} more` : named;
}

/** What published files hold beside weights: causal masks of GPT-2, counters of batch normalisation, tables that follow from positions. */
export const publishedBuffers: readonly { readonly name: RegExp; readonly rank: number }[] = [
  { name: /(^|\.)attn\.bias$/, rank: 4 },
  { name: /(^|\.)attn\.masked_bias$/, rank: 0 },
  { name: /(^|\.)num_batches_tracked$/, rank: 0 },
  { name: /(^|\.)rotary_emb\.inv_freq$/, rank: 1 },
  { name: /(^|\.)position_ids$/, rank: 2 },
];

/** The tensors of a weights file, with moving averages where the program keeps them, and without what is no weight. */
export function weightsOf(program: CompiledProgram, bytes: ByteSource): Safetensors {
  const file = readSafetensors(bytes);
  const names = new Set(weightPlaces(program).map(place => place.name));
  const isBuffer = (name: string, rank: number): boolean => !names.has(name) && publishedBuffers.some(buffer => buffer.rank === rank && buffer.name.test(name));
  const tensors = new Map([...file.tensors].filter(([name, { shape }]) => !isOptimizerState(name) && !isBuffer(name, shape.length)));
  for (const { name } of program.parameters) {
    const average = `ema.${name}`;
    const stored = tensors.get(name);
    if (!names.has(average)) tensors.delete(average);
    else if (program.stages.some(stage => stage.settings.ema !== null) && stored !== undefined && !tensors.has(average)) tensors.set(average, stored);
  }
  return { ...file, tensors };
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
