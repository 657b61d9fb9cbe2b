/** The lines of a `.model` file that kernels serve, for the comments of programs, listings and profiles. */
import type { Origin } from '../ir/graph.ts';
import type { Program } from '../ir/program.ts';
import { place } from '../source/text.ts';

/** `path:line  text` of each line, in the order of the origins. */
export function modelLines(origins: readonly Origin[]): readonly string[] {
  const lines = new Map<string, string>();
  for (const { span } of origins) {
    if (span === null) continue;
    const at = place(span);
    if (lines.has(at)) continue;
    const { text } = span.file;
    const start = text.lastIndexOf('\n', span.start - 1) + 1;
    const end = text.indexOf('\n', span.start);
    lines.set(at, text.slice(start, end < 0 ? undefined : end).trim());
  }
  return [...lines].map(([at, text]) => `${at}  ${text}`);
}

/** Of every kernel that is called, by its number: what all its calls come from. */
export function originsOfKernels(program: Program): ReadonlyMap<number, readonly Origin[]> {
  const origins = new Map<number, Origin[]>();
  for (const entry of program.entries)
    for (const call of entry.calls) origins.set(call.kernel, [...(origins.get(call.kernel) ?? []), ...call.origins]);
  return origins;
}
