/** Source text and places in it. A span points into one file by character offsets; lines and columns are computed when shown. */

export interface SourceFile {
  /** The path as the user knows it: relative to where the command was started, with forward slashes. */
  readonly path: string;
  readonly text: string;
  /** Shipped with the compiler. Errors and origins prefer the user's own files. */
  readonly library: boolean;
}

/** Characters `start` (inclusive) to `end` (exclusive) of a file. */
export interface Span {
  readonly file: SourceFile;
  readonly start: number;
  readonly end: number;
}

export interface Position {
  readonly line: number;
  readonly column: number;
}
export type Locate = (file: SourceFile, offset: number) => Position;

/** One-based line and column of an offset. */
export function position(file: SourceFile, offset: number): Position {
  let line = 1;
  let lineStart = 0;
  for (let next = file.text.indexOf('\n'); next >= 0 && next < offset; next = file.text.indexOf('\n', lineStart)) {
    line++;
    lineStart = next + 1;
  }
  return { line, column: offset - lineStart + 1 };
}

/** A `position` for many offsets: it looks for the lines of a file once. */
export function positions(): Locate {
  const known = new Map<SourceFile, readonly number[]>();
  return (file, offset) => {
    const starts = known.get(file) ?? [0, ...Array.from(file.text.matchAll(/\n/g), match => match.index + 1)];
    known.set(file, starts);
    let line = 1;
    for (let low = 1, high = starts.length; low < high;) {
      const middle = (low + high) >> 1;
      if (starts[middle]! <= offset) line = low = middle + 1;
      else high = middle;
    }
    return { line, column: offset - starts[line - 1]! + 1 };
  };
}

/** `path:line`, the form in which kernels, pictures and profiles name a place. */
export const place = (span: Span): string => `${span.file.path}:${position(span.file, span.start).line}`;

export const spanText = (span: Span): string => span.file.text.slice(span.start, span.end);

/** The smallest span that covers both; they must be of one file. */
export const cover = (a: Span, b: Span): Span => ({ file: a.file, start: Math.min(a.start, b.start), end: Math.max(a.end, b.end) });
