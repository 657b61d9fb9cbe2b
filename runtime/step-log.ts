/** The log of a run: one line of JSON for each step, collected and written now and then. Uses node: modules. */
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { DataError, messageOf } from './data-error.ts';
import { writeAll, writeWhole } from './files.ts';

export interface StepLog {
  readonly write: (line: string) => void;
  /** Puts all lines into the file, so that a checkpoint is never ahead of its log. */
  readonly flush: () => void;
  readonly close: () => void;
}

/** A line is of a step of a stage, whose name stands in it where there are several. */
export type IsKept = (stage: string | null, step: number) => boolean;

/** Starts a log, or continues one: what an interrupted run wrote beyond its checkpoint is not kept. */
export function openStepLog(path: string, isKept: IsKept | null): StepLog {
  if (isKept !== null && existsSync(path)) {
    const lines = readFileSync(path, 'utf8').split('\n').filter(line => {
      const found = /^\{(?:"stage":"(\w+)",)?"step":(\d+),.*\}$/.exec(line);
      return found !== null && isKept(found[1] ?? null, Number(found[2]));
    });
    writeWhole(path, lines.map(line => `${line}\n`));
  }
  const file = openLog(path, isKept !== null ? 'a' : 'w');
  let waiting = '';
  let written = performance.now();
  const flush = (): void => {
    try {
      writeAll(file, Buffer.from(waiting));
    } catch (error) {
      throw new DataError(`the log \`${path}\` cannot be written: ${messageOf(error)}`);
    }
    waiting = '';
    written = performance.now();
  };
  return {
    write: line => {
      waiting += line;
      if (waiting.length > 65536 || performance.now() - written > 1000) flush();
    },
    flush,
    close: () => {
      flush();
      closeSync(file);
    },
  };
}

export function openLog(path: string, mode: 'a' | 'w'): number {
  try {
    return openSync(path, mode);
  } catch (error) {
    throw new DataError(`the log \`${path}\` cannot be opened: ${messageOf(error)}`);
  }
}
