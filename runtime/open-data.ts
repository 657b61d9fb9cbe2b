/** Opens the data of a program, its files in a folder. Uses node: modules. */
import { dataPath, listFolder, openBytes, wholeFileLimit } from './files.ts';
import { namedPictures } from './named-pictures.ts';
import type { CompiledProgram, DataSource } from './program.ts';
import type { ProgramData } from './row-set.ts';
import type { DataFolder } from './source-rows.ts';
import { rowsOfSources } from './source-rows.ts';
import type { Column } from './stored-tensor.ts';

/** The program's data, whose files lie in `folder`; nothing when the model has no `data` block. */
export async function openData(program: CompiledProgram, folder: string): Promise<ProgramData> {
  return openRows(program, folder, wholeFileLimit, await program.synthetic?.columns(program));
}

/** Files larger than `limit` are not read whole, but row by row. */
export function openRows(
  program: CompiledProgram, folder: string, limit: number = wholeFileLimit, synthetic: ReadonlyMap<string, readonly Column[]> = new Map(),
): ProgramData {
  return rowsOfSources(program, diskFolder(folder, limit), new Map(), synthetic);
}

export const diskFolder = (folder: string, limit: number): DataFolder => ({
  load: file => openBytes(dataPath(folder, file), file, limit),
  list: inner => listFolder(dataPath(folder, inner), inner),
  limit,
});

/** The picture files that sources take from a data folder, by their paths from it. */
export const picturesOnDisk = (sources: readonly DataSource[], folder: string): readonly string[] =>
  [...new Set(sources.flatMap(source => namedPictures(source, diskFolder(folder, wholeFileLimit))))];
