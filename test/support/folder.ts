/** Folders for what tests write. They and what is in them are gone when the test, or the file of tests, has ended. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach } from 'vitest';

const newFolder = (): string => mkdtempSync(join(tmpdir(), 'nabla-'));
const remove = (folder: string): void => rmSync(folder, { recursive: true, force: true, maxRetries: 5 });

/** One for all tests of a file, or of the `describe` that calls this. */
export function folderOfFile(): string {
  const folder = newFolder();
  afterAll(() => remove(folder));
  return folder;
}

/** A new one for each test, whose path the function tells. Tests that `enter` it run in it. */
export function folderOfTest({ enter }: { readonly enter: boolean }): () => string {
  let folder = '';
  const before = process.cwd();
  beforeEach(() => {
    folder = newFolder();
    if (enter) process.chdir(folder);
  });
  afterEach(() => {
    if (enter) process.chdir(before);
    remove(folder);
  });
  return () => folder;
}
