/**
 * The public interface of the compiler. It touches no disk by itself except to read its own library: imports are read through
 * the given function, so an editor or a page can compile what it holds in memory.
 */
import { readdirSync, readFileSync } from 'node:fs';
import type { File } from './1-parse/ast.ts';
import { parse } from './1-parse/parse.ts';
import type { Host } from './2-elaborate/elaborate.ts';
import type { ImportResult } from './2-elaborate/modules.ts';
import type { DataFiles } from './2-elaborate/vocabulary.ts';
import { memoryLimit } from './ir/model.ts';
import { runPasses, type Levels } from './pipeline.ts';
import type { Diagnostic } from './source/diagnostic.ts';
import type { SourceFile } from './source/text.ts';

export type { Diagnostic } from './source/diagnostic.ts';
export type { SourceFile } from './source/text.ts';
export type { DataFiles } from './2-elaborate/vocabulary.ts';
export type { Levels } from './pipeline.ts';

export interface CompileOptions {
  /** Values for hyperparameters and constants, by name, as written on a command line. */
  readonly settings?: ReadonlyMap<string, string>;
  /** The file that `from` imports as `path`, which is relative to it, or why there is none. Default: nothing can be imported. */
  readonly readImport?: (path: string, from: SourceFile) => SourceFile | Exclude<ImportResult, { readonly file: File }>;
  /** What models take from data files when they are compiled: the characters of a text, the tokens of a tokenizer. Default: no files. */
  readonly dataFiles?: DataFiles;
  /** Check every level after every pass; an unsound one is an error of the compiler's and throws. */
  readonly verify?: boolean;
}

/** Every error in a file; empty when it is right. */
export function check(file: SourceFile, options: CompileOptions = {}): readonly Diagnostic[] {
  const { levels, diagnostics } = compile(file, 'elaborate', options);
  // Whether a memory limit can be kept is known once memory is given out.
  return levels.model !== undefined && memoryLimit(levels.model) !== null ? compile(file, 'schedule', options).diagnostics : diagnostics;
}

/** Takes a file through the compiler's levels up to a pass: `elaborate`, `differentiate`, `simplify` or `schedule`. */
export function compile(file: SourceFile, last: string, options: CompileOptions = {}): Compilation {
  const parsed = parse(file);
  if (parsed.diagnostics.length > 0) return { levels: { file: parsed.file }, diagnostics: parsed.diagnostics };
  // What the file does not mention of the library it does not need, unless there is an error: suggestions are made from all of it.
  const usual = compileWith(libraryFiles(wordsWithImports(file, options)), parsed.file, last, options);
  return usual.diagnostics.length === 0 || usual.levels.model !== undefined ? usual : compileWith(libraryFiles(null), parsed.file, last, options);
}

export interface Compilation {
  readonly levels: Levels;
  readonly diagnostics: readonly Diagnostic[];
}

function compileWith(library: readonly File[], file: File, last: string, options: CompileOptions): Compilation {
  const importDiagnostics: Diagnostic[] = [];
  const host: Host = {
    settings: options.settings ?? new Map(),
    library,
    dataFiles: options.dataFiles ?? noDataFiles,
    readImport: (path, from) => {
      const found = options.readImport?.(path, from) ?? { reason: 'imports are not available here' };
      if ('reason' in found) return found;
      const imported = parse(found);
      importDiagnostics.push(...imported.diagnostics);
      return { file: imported.file };
    },
  };
  const { levels, diagnostics } = runPasses(file, host, last, options.verify ?? false);
  return { levels, diagnostics: [...importDiagnostics, ...diagnostics] };
}

const noDataFiles: DataFiles = {
  characters: () => ({ reason: 'data files are not available here' }),
  text: () => ({ reason: 'data files are not available here' }),
};

/** The library, parsed: definitions in the language itself. Given words, only those that the words call, directly or through others. */
export function libraryFiles(words: ReadonlySet<string> | null): readonly File[] {
  const folder = new URL('./library/', import.meta.url);
  const sources = readdirSync(folder)
    .filter(name => name.endsWith('.model'))
    .sort()
    .map(name => ({ path: `library/${name}`, text: readFileSync(new URL(name, folder), 'utf8'), library: true }));
  return (words === null ? sources : mentioned(sources, words)).map(source => {
    const { file, diagnostics } = parse(source);
    if (diagnostics.length > 0) throw new Error(`${source.path}: ${diagnostics[0]!.message}`);
    return file;
  });
}

/** The words of a file and of all that it imports. */
function wordsWithImports(file: SourceFile, { readImport }: CompileOptions, read = new Map<string, ReadonlySet<string>>()): ReadonlySet<string> {
  read.set(file.path, wordsOf(file.text));
  for (const [, path] of file.text.matchAll(/^\s*import\s+"([^"]*)"/gm)) {
    const found = readImport?.(path!, file);
    if (found !== undefined && 'text' in found && !read.has(found.path)) wordsWithImports(found, { readImport: readImport! }, read);
  }
  return new Set([...read.values()].flatMap(words => [...words]));
}

const wordsOf = (text: string): ReadonlySet<string> => new Set(text.replace(/\/\/.*/g, '').match(/[A-Za-z_]\w*/g) ?? []);

/** The sources with every definition blanked that is not needed, so that the others stay at their lines. */
function mentioned(sources: readonly SourceFile[], words: ReadonlySet<string>): SourceFile[] {
  const pieces = sources.flatMap(source =>
    source.text
      .split(/^(?=(?:\/\/\/.*\n)*(?:layer|fn|optimizer) )(?<!^\/\/\/.*\n)/m)
      .map(text => ({ source, text, name: /^(?:layer|fn|optimizer) (\w+)/m.exec(text)?.[1] ?? null })),
  );
  const byName = new Map(pieces.map(piece => [piece.name, piece]));
  const needed = new Set<string | null>([null]);
  const pending = [...words];
  while (pending.length > 0) {
    const word = pending.pop()!;
    const piece = byName.get(word);
    if (piece === undefined || needed.has(word)) continue;
    needed.add(word);
    pending.push(...wordsOf(piece.text));
  }
  return sources.map(source => ({
    ...source,
    text: pieces
      .filter(piece => piece.source === source)
      .map(({ name, text }) => (needed.has(name) ? text : text.replace(/[^\n]/g, ' ')))
      .join(''),
  }));
}
