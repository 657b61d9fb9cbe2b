/** The check that programs built with `--debug-nan` make after every kernel. */
import { DataError } from './data-error.ts';

/** Fails where an element is NaN or infinite, naming the kernel and the line of the model that it serves. */
export function requireFinite(values: Float32Array, start: number, count: number, kernel: string, line: string): void {
  for (let i = start; i < start + count; i++) {
    const value = values[i]!;
    if (!Number.isFinite(value)) throw new DataError(`${value} first appears in \`${kernel}\`, element ${i - start} of ${count}, which computes ${line}`);
  }
}
