/** What a command ends with when it cannot do its work: one line for the user, and an exit code. Nothing here is an error of the compiler's. */

/** Shown as `error: message`. The exit code is 1 for what is wrong with files, 2 for what is wrong with the command line. */
export class Failure extends Error {
  readonly exitCode: 1 | 2;
  constructor(message: string, exitCode: 1 | 2 = 1) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** The failure behind an error of the file system about `path`; other errors are given back as they are. */
export function fileFailure(error: unknown, path: string): unknown {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return error;
  return new Failure(`\`${path}\` ${reasons[error.code] ?? `cannot be used (${error.code})`}`);
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'does not exist',
  ENOTDIR: 'does not exist: a part of its path is a file',
  EISDIR: 'is a folder: give a file',
  EEXIST: 'is there already',
  EACCES: 'may not be opened: change its permissions',
  EPERM: 'may not be opened: change its permissions',
  EROFS: 'cannot be written: its disk is read-only',
  ENOSPC: 'cannot be written: the disk is full',
  ELOOP: 'cannot be found: its links lead in a circle',
  ENAMETOOLONG: 'cannot be used: its name is too long',
};
