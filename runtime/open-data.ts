/** Opens the data of a program, its files in a folder. Uses node: modules. */
import { dataPath, listFolder, openBytes, wholeFileLimit } from './files.ts';
import type { CompiledProgram } from './program.ts';
import type { ProgramData } from './row-set.ts';
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
  return rowsOfSources(program, {
    load: file => openBytes(dataPath(folder, file), file, limit),
    list: inner => listFolder(dataPath(folder, inner), inner),
    limit,
  }, new Map(), synthetic);
}
