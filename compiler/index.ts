/**
 * The public interface of the compiler. It touches no disk by itself except to read its own library: imports are read through
 * the given function, so an editor or a page can compile what it holds in memory.
 */
import { readdirSync, readFileSync } from 'node:fs';
import type { File } from './1-parse/ast.ts';
import { parse } from './1-parse/parse.ts';
import type { Host } from './2-elaborate/elaborate.ts';
import type { ImportResult } from './2-elaborate/modules.ts';
import { runPasses, type Levels } from './pipeline.ts';
import type { Diagnostic } from './source/diagnostic.ts';
import type { SourceFile } from './source/text.ts';

export type { Diagnostic } from './source/diagnostic.ts';
export type { SourceFile } from './source/text.ts';
export type { Levels } from './pipeline.ts';

export interface CompileOptions {
  /** Values for hyperparameters and constants, by name, as written on a command line. */
  readonly settings?: ReadonlyMap<string, string>;
  /** The file that `from` imports as `path`, which is relative to it, or why there is none. Default: nothing can be imported. */
  readonly readImport?: (path: string, from: SourceFile) => SourceFile | Exclude<ImportResult, { readonly file: File }>;
  /** Check every level after every pass; an unsound one is an error of the compiler's and throws. */
  readonly verify?: boolean;
}

/** Every error in a file; empty when it is right. */
export function check(file: SourceFile, options: CompileOptions = {}): readonly Diagnostic[] {
  return compile(file, 'elaborate', options).diagnostics;
}

/** Takes a file through the compiler's levels up to a pass: `elaborate`, `differentiate`, `simplify` or `schedule`. */
export function compile(file: SourceFile, last: string, options: CompileOptions = {}): { readonly levels: Levels; readonly diagnostics: readonly Diagnostic[] } {
  const parsed = parse(file);
  if (parsed.diagnostics.length > 0) return { levels: { file: parsed.file }, diagnostics: parsed.diagnostics };
  const importDiagnostics: Diagnostic[] = [];
  const host: Host = {
    settings: options.settings ?? new Map(),
    library: libraryFiles(),
    readImport: (path, from) => {
      const found = options.readImport?.(path, from) ?? { reason: 'imports are not available here' };
      if ('reason' in found) return found;
      const imported = parse(found);
      importDiagnostics.push(...imported.diagnostics);
      return { file: imported.file };
    },
  };
  const { levels, diagnostics } = runPasses(parsed.file, host, last, options.verify ?? false);
  return { levels, diagnostics: [...importDiagnostics, ...diagnostics] };
}

/** The library, parsed: definitions in the language itself. */
export function libraryFiles(): readonly File[] {
  const folder = new URL('./library/', import.meta.url);
  return readdirSync(folder).filter(name => name.endsWith('.model')).sort().map(name => {
    const { file, diagnostics } = parse({ path: `library/${name}`, text: readFileSync(new URL(name, folder), 'utf8'), library: true });
    if (diagnostics.length > 0) throw new Error(`library/${name}: ${diagnostics[0]!.message}`);
    return file;
  });
}
