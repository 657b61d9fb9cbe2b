/** Weights and other tensors in files. Uses node: modules. */
import { openBytes, wholeFileLimit, writeWhole } from './files.ts';
import type { CompiledProgram } from './program.ts';
import type { NamedTensor } from './safetensors.ts';
import { safetensorsPieces } from './safetensors.ts';
import { readInitialWeights, readWeights, weightsPieces } from './weights.ts';

/** Writes tensors and text to a safetensors file, whole or not at all. */
export function writeSafetensors(path: string, tensors: readonly NamedTensor[], metadata: Readonly<Record<string, string>>): void {
  writeWhole(path, safetensorsPieces(tensors, metadata));
}

export async function saveWeights(program: CompiledProgram, path: string): Promise<void> {
  writeWhole(path, await weightsPieces(program));
}

/** See `readWeights`. */
export function loadWeights(program: CompiledProgram, path: string): void {
  readWeights(program, openBytes(path, path, wholeFileLimit));
}

/** See `readInitialWeights`. */
export function loadInitialWeights(program: CompiledProgram, path: string): readonly string[] {
  return readInitialWeights(program, openBytes(path, path, wholeFileLimit));
}
