/**
 * Reads model files from disk. Imports stay inside the project's folder, the nearest folder above the file with a `package.json`,
 * else the file's own; links are followed before that is judged, so none leads out.
 */
import { existsSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import type { SourceFile } from '../source/text.ts';
import { Failure, fileFailure } from './failure.ts';

/** No text of the length that the parser takes needs more bytes. */
const largest = 16 * 1024 * 1024;

/** The file that a command names. Throws a `Failure` when it cannot be read as text. */
export function readSource(path: string): SourceFile {
  return { path: shownPath(resolve(path)), text: readText(path), library: false };
}

/** Reads what files of the project around `main` import: the file, or why there is none. */
export function importReader(main: string): (path: string, from: SourceFile) => SourceFile | { readonly reason: string } {
  const root = projectFolder(dirname(realpathSync(main)));
  return (path, from) => {
    try {
      const wanted = resolve(dirname(realpathSync(from.path)), path);
      if (!inside(wanted, root)) return { reason: `it is outside the project's folder \`${shownPath(root)}\`` };
      const found = realpathSync(wanted);
      if (!inside(found, root)) return { reason: `it is a link to a place outside the project's folder \`${shownPath(root)}\`` };
      return { path: shownPath(found), text: readText(found), library: false };
    } catch (error) {
      const failure = fileFailure(error, shownPath(resolve(dirname(from.path), path)));
      if (failure instanceof Failure) return { reason: failure.message };
      throw error;
    }
  };
}

/** The path as the user knows it: relative to the current folder unless the absolute path is shorter, with forward slashes. */
export function shownPath(absolute: string): string {
  const short = relative(process.cwd(), absolute) || '.';
  const path = short.length <= absolute.length ? short : absolute;
  return sep === '/' ? path : path.replaceAll(sep, '/');
}

function projectFolder(folder: string): string {
  for (let at = folder; ; at = dirname(at)) {
    if (existsSync(join(at, 'package.json'))) return at;
    if (at === dirname(at)) return folder;
  }
}

function inside(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder.endsWith(sep) ? folder : folder + sep);
}

function readText(path: string): string {
  let contents: Buffer;
  try {
    const stats = statSync(path);
    if (!stats.isFile() && !stats.isDirectory()) throw new Failure(`\`${path}\` is not a regular file`);
    if (stats.size > largest) throw new Failure(`\`${path}\` is too large for a model (${stats.size} bytes)`);
    contents = readFileSync(path);
  } catch (error) {
    throw fileFailure(error, path);
  }
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(contents);
    if (!text.includes('\0')) return text;
  } catch {
    // Told below.
  }
  throw new Failure(`\`${path}\` is not a text file: models are written in UTF-8`);
}
