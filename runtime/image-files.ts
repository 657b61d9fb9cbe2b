/** Outputs as images in PNG files: what prediction gives, and what a trained program shows of itself. Uses node: modules. */
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import { writeWhole } from './files.ts';
import { imageGrid } from './image-grid.ts';
import { pngPieces } from './png.ts';
import { predictSet, predictWithoutRows } from './predict.ts';
import type { CompiledProgram, ResultPlace, Stage } from './program.ts';
import type { ProgramData, RowSet } from './row-set.ts';
import { stageTitle } from './stages.ts';
import type { TensorArray } from './tensor.ts';

/** A trained program shows what it makes of so many rows. */
export const mostShownRows = 64;

export const isImage = ({ image }: ResultPlace): boolean => image !== undefined;

export const imageResults = (stage: Stage): readonly ResultPlace[] =>
  [stage.predict, stage.predictOnce].flatMap(entry => entry?.results ?? []).filter(isImage);

export function imagePath(program: CompiledProgram, stage: Stage, folder: string, { name }: ResultPlace): string {
  const title = stageTitle(program, stage);
  return join(folder, `${program.name}.${title === null ? '' : `${title}.`}${name}.png`);
}

/** Writes a grid of pictures for each result that is an image, and gives the paths. */
export function writeImages(
  program: CompiledProgram, stage: Stage, results: readonly ResultPlace[], outputs: Readonly<Record<string, TensorArray>>, folder: string,
): string[] {
  return results.filter(isImage).map(result => {
    const path = imagePath(program, stage, folder, result);
    writeWhole(path, pngPieces(imageGrid(outputs[result.name]!, result.image!), deflateSync));
    return path;
  });
}

/** The same at the end of a run: of the first test rows, and of what depends on no row. */
export async function writeTrainedImages(program: CompiledProgram, stage: Stage, data: ProgramData, seed: number): Promise<string[]> {
  const { predict, predictOnce } = stage;
  const set = data.test ?? data.train;
  const written: string[] = [];
  if (predict?.results.some(isImage) === true && set !== null) {
    written.push(...writeImages(program, stage, predict.results, await predictSet(program, stage, firstRows(set, mostShownRows)), '.'));
  }
  if (predictOnce?.results.some(isImage) === true) {
    written.push(...writeImages(program, stage, predictOnce.results, await predictWithoutRows(program, stage, seed), '.'));
  }
  return written;
}

export const firstRows = ({ columns, count, selection }: RowSet, most: number): RowSet =>
  ({ columns, count: Math.min(most, count), selection: selection?.subarray(0, most) ?? null });
