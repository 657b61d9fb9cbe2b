/** Opens the files of a program's `data` block in a folder. Uses node: modules. */
import { dataPath, listFolder, openBytes, wholeFileLimit } from './files.ts';
import type { CompiledProgram } from './program.ts';
import type { ProgramData } from './row-set.ts';
import { rowsOfSources } from './source-rows.ts';

/** The data in `folder`; nothing when the model has no `data` block. Files larger than `limit` are not read whole, but row by row. */
export function openData(program: CompiledProgram, folder: string, limit: number = wholeFileLimit): ProgramData {
  return rowsOfSources(program, {
    load: file => openBytes(dataPath(folder, file), file, limit),
    list: inner => listFolder(dataPath(folder, inner), inner),
    limit,
  }, new Map());
}
