/** The data files of a model in a folder, for pages that carry or serve them. Nothing outside of the folder is reached. */
import { existsSync, realpathSync, statSync } from 'node:fs';
import { isAbsolute, relative, resolve, sep } from 'node:path';
import type { Model } from '../ir/model.ts';
import { Failure } from './failure.ts';

/** Their names in the `data` block, each once. */
export const dataFileNames = (model: Model): readonly string[] =>
  [...new Set((model.data?.sources ?? []).flatMap(source => (source.format === 'synthetic' ? [] : source.fields.map(field => field.file))))];

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
