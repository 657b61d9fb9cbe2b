/** Files of the platform: data read from inside one folder only, results written whole or not at all. Uses node: modules. */
import { accessSync, closeSync, constants, existsSync, fstatSync, fsyncSync, openSync, readFileSync, readSync } from 'node:fs';
import { readdirSync, realpathSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { gunzipSync } from 'node:zlib';
import type { ByteSource } from './bytes.ts';
import { memoryBytes, truncated } from './bytes.ts';
import { DataError, messageOf } from './data-error.ts';

/** Files up to this size are read whole, and packed ones unpacked; larger ones are read piece by piece. */
export const wholeFileLimit = 2 ** 30;

/** The path of a file of the data folder; its `.gz` when only that is there. Nothing outside of the folder is reached. */
export function dataPath(folder: string, file: string): string {
  const path = resolve(folder, file);
  if (isAbsolute(file) || !isInside(resolve(folder), path)) {
    throw new DataError(`the data file \`${file}\` lies outside of the data folder: use a path inside \`${folder}\``);
  }
  const found = existsSync(path) ? path : `${path}.gz`;
  if (!existsSync(found)) {
    throw new DataError(`the data file \`${file}\` is missing in \`${resolve(folder)}\`: put it there, or give the folder with \`--data DIR\``);
  }
  if (!isInside(realpathSync(folder), realpathSync(found))) {
    throw new DataError(`the data file \`${file}\` is a link that leads outside of the data folder \`${folder}\`: copy the file itself`);
  }
  return found;
}

export function isInside(folder: string, path: string): boolean {
  const way = relative(folder, path);
  return way !== '' && way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}

/** Opens a file; what ends in `.gz` is unpacked in memory. `place` is its name in messages. */
export function openBytes(path: string, place: string, limit: number): ByteSource {
  const file = openFile(path, place);
  const stat = fstatSync(file);
  if (!stat.isFile()) throw new DataError(`\`${place}\` is not a file: give a file's path`);
  if (stat.size === 0) throw new DataError(`\`${place}\` is empty: copy or download it again`);
  if (path.endsWith('.gz') || stat.size <= limit) {
    closeSync(file);
    const bytes = readFileSync(path);
    return memoryBytes(place, path.endsWith('.gz') ? unpack(bytes, place) : bytes);
  }
  return {
    place,
    size: stat.size,
    memory: null,
    read: (offset, target) => {
      for (let done = 0; done < target.length;) {
        const count = readSync(file, target, done, target.length - done, offset + done);
        if (count === 0) throw truncated(place, offset + target.length, offset + done);
        done += count;
      }
    },
  };
}

/** The names in a folder, sorted; those of folders end in `/`. `place` is its name in messages. */
export function listFolder(path: string, place: string): string[] {
  try {
    return readdirSync(path).sort().map(name => (statSync(join(path, name), { throwIfNoEntry: false })?.isDirectory() ? `${name}/` : name));
  } catch (error) {
    throw new DataError(`\`${place}\` cannot be read as a folder: ${messageOf(error)}`);
  }
}

export function openFile(path: string, place: string): number {
  try {
    // Does not wait for a writer where the path is a pipe.
    return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    throw new DataError(`\`${place}\` cannot be opened: ${messageOf(error)}`);
  }
}

/** A few kilobytes can claim to hold any number of bytes: at most `limit` are unpacked. */
export function unpack(bytes: Uint8Array, place: string, limit: number = wholeFileLimit): Uint8Array {
  try {
    return gunzipSync(bytes, { maxOutputLength: limit });
  } catch (error) {
    if (error instanceof RangeError) {
      throw new DataError(`\`${place}\` unpacks to more than ${limit} bytes: unpack it on the disk, then it is read piece by piece`);
    }
    throw new DataError(`\`${place}\` cannot be unpacked (${messageOf(error)}): copy or download it again`);
  }
}

/** Replaces a file by these pieces: under another name first, on the disk before it gets the name, so that a crash leaves the old one. */
export function writeWhole(path: string, pieces: readonly (Uint8Array | string)[]): void {
  const target = writablePath(path);
  const temporary = join(dirname(target), `.${basename(target)}.${process.pid}.tmp`);
  try {
    const file = openSync(temporary, 'w');
    try {
      for (const piece of pieces) writeAll(file, typeof piece === 'string' ? Buffer.from(piece) : piece);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, target);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw new DataError(`\`${path}\` cannot be written: ${messageOf(error)}`);
  }
}

/** Where a file can be written whole: what a link leads to. Fails for a folder, a device, a file or a folder that may not be written. */
export function writablePath(path: string): string {
  try {
    const target = existsSync(path) ? realpathSync(path) : resolve(path);
    if (existsSync(target)) {
      if (!statSync(target).isFile()) throw new DataError('it is a folder or a device, name a file');
      accessSync(target, constants.W_OK);
    }
    if (!statSync(dirname(target)).isDirectory()) throw new DataError(`\`${dirname(target)}\` is not a folder`);
    accessSync(dirname(target), constants.W_OK);
    return target;
  } catch (error) {
    throw new DataError(`\`${path}\` cannot be written: ${messageOf(error)}`);
  }
}

/** Fails for what could not be written at the end of a run, or would be written over by another of these files or the log. */
export function checkOutputs(paths: readonly string[], log: string | null): void {
  const targets = [...paths.map(writablePath), ...(log === null ? [] : [resolve(log)])];
  const twice = targets.findIndex((target, i) => targets.indexOf(target) !== i);
  if (twice >= 0) throw new DataError(`\`${targets[twice]}\` would be written by this run for two purposes: name another file for one of them`);
}

export function writeAll(file: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length;) done += writeSync(file, bytes, done, bytes.length - done);
}
