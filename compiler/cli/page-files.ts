/** The data files of a model in a folder, for pages that carry or serve them. Nothing outside of the folder is reached. */
import { existsSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { isAbsolute, relative, resolve, sep } from 'node:path';
import { dataNames } from '../6-emit/page/page.ts';
import type { DataSource, Model } from '../ir/model.ts';
import { Failure } from './failure.ts';
import { loadRuntime } from './load-runtime.ts';

/** A page is one string, and engines have none that is longer than half a gigabyte. */
const mostPictures = 2 ** 28;

/** All of them, for a page that carries them. */
export async function readDataFiles(model: Model, folder: string): Promise<ReadonlyMap<string, Uint8Array>> {
  const files = new Map(dataNames(model).files.map(name => [name, readFileSync(dataFilePath(folder, name))] as const));
  let size = 0;
  for (const name of await pictureNames(model, folder)) {
    const bytes = readFileSync(dataFilePath(folder, name));
    size += bytes.length;
    if (size > mostPictures) {
      throw new Failure(`the pictures in \`${folder}\` are more than the ${mostPictures} bytes that a page can carry: `
        + 'build the page without `--data` and choose the folder in it, or use `nabla serve`');
    }
    files.set(name, bytes);
  }
  return files;
}

/** The paths of the picture files that are in its folders, or named by its tables. */
export async function pictureNames(model: Model, folder: string): Promise<readonly string[]> {
  const { folders, pictures } = dataNames(model);
  if (folders.length === 0 && !pictures) return [];
  const { picturesOnDisk } = await loadRuntime<{ readonly picturesOnDisk: (sources: readonly DataSource[], folder: string) => readonly string[] }>('picturesOnDisk');
  try {
    return picturesOnDisk(model.data!.sources, folder);
  } catch (error) {
    throw error instanceof Error && error.name === 'DataError' ? new Failure(error.message) : error;
  }
}

/** The path of a file, or of its `.gz` where only that is there. */
export function dataFilePath(folder: string, file: string): string {
  const path = [resolve(folder, file), `${resolve(folder, file)}.gz`].find(candidate => existsSync(candidate));
  if (path === undefined || !statSync(path).isFile()) {
    throw new Failure(`the data file \`${file}\` is missing in \`${folder}\`: put it there, or give its folder with \`--data\``);
  }
  const way = relative(realpathSync(folder), realpathSync(path));
  if (isAbsolute(file) || isAbsolute(way) || way === '..' || way.startsWith(`..${sep}`)) {
    throw new Failure(`the data file \`${file}\` lies outside of the data folder \`${folder}\`: use a path inside of it`);
  }
  return path;
}
