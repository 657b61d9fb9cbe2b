/** Data files in memory, as a data folder. Works on any platform. */
import { memoryBytes } from './bytes.ts';
import { DataError } from './data-error.ts';
import { inflatedLimit } from './inflate.ts';
import type { DataFolder } from './source-rows.ts';

/** Files by their paths from the data folder, unpacked; a name may lack the `.gz` that its file has. */
export function memoryFolder(files: ReadonlyMap<string, Uint8Array>): DataFolder {
  const contents = new Map<string, Uint8Array>();
  /** What is in each folder: names, and whether they are folders. */
  const folders = new Map<string, Map<string, boolean>>();
  for (const [path, bytes] of files) {
    const parts = pathParts(path);
    contents.set(parts.join('/'), bytes);
    for (let depth = 1; depth < parts.length; depth++) {
      const folder = parts.slice(0, depth).join('/');
      if (!folders.has(folder)) folders.set(folder, new Map());
      folders.get(folder)!.set(parts[depth]!, depth + 1 < parts.length);
    }
  }
  return {
    load: file => {
      const path = pathParts(file).join('/');
      const bytes = contents.get(path) ?? contents.get(`${path}.gz`);
      if (bytes === undefined) throw new DataError(`the data file \`${file}\` is missing among the files that are given: give it, too`);
      return memoryBytes(file, bytes);
    },
    list: folder => {
      const names = folders.get(pathParts(folder).join('/'));
      if (names === undefined) throw new DataError(`the folder \`${folder}\` is missing among the files that are given: give what it holds, too`);
      return [...names.keys()].sort().map(name => (names.get(name) ? `${name}/` : name));
    },
    limit: inflatedLimit,
  };
}

export function pathParts(path: string): readonly string[] {
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '..' && parts.length > 0) parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return parts;
}
