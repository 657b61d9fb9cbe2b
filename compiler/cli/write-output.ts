/** Writes what a command makes: to a file, or to the standard output where `-` is named. */
import { writeFileSync } from 'node:fs';
import { fileFailure } from './failure.ts';

export function writeOutput(path: string, contents: string | Uint8Array): void {
  if (path === '-') {
    process.stdout.write(contents);
    return;
  }
  try {
    writeFileSync(path, contents);
  } catch (error) {
    throw fileFailure(error, path);
  }
}
