/**
 * Files made modules: a file's definitions with those of the files it imports. The host reads imported files; cycles and names
 * defined twice are found here.
 */
import type { File } from '../1-parse/ast.ts';
import type { Diagnostic } from '../source/diagnostic.ts';
import type { SourceFile } from '../source/text.ts';
import type { Definition, Module } from './scope.ts';

/** What the host says about an import: the file parsed, or why there is none. */
export type ImportResult =
  | { readonly file: File }
  | { readonly code: 'import.missing' | 'import.outside' | 'import.path'; readonly message: string; readonly help?: string };

export type ReadImport = (path: string, from: SourceFile) => ImportResult;

export function libraryModule(files: readonly File[]): Module {
  const definitions = new Map<string, Definition>();
  for (const file of files) for (const definition of definitionsOf(file)) definitions.set(definition.name.text, definition);
  return { files, definitions, imports: [], library: null, constants: new Map() };
}

export function mainModule(file: File, library: Module, readImport: ReadImport, diagnostics: Diagnostic[]): Module {
  const known = new Map<string, Module>();
  return load(file, []);

  function load(own: File, open: readonly string[]): Module {
    const { path } = own.span.file;
    const imports: Module[] = [];
    const definitions = new Map<string, Definition>();
    const module: Module = { files: [own], definitions, imports, library, constants: new Map() };
    known.set(path, module);
    for (const definition of definitionsOf(own)) {
      const name = definition.name.text;
      const earlier = definitions.get(name);
      if (earlier) {
        diagnostics.push({
          code: 'name.twice', message: `\`${name}\` is defined twice`, span: definition.name.span,
          secondary: [{ span: earlier.name.span, text: 'defined first here' }], help: 'rename one of them',
        });
      } else definitions.set(name, definition);
    }
    const origin = new Map<string, string>();
    for (const item of own.imports) {
      const read = readImport(item.path, own.span.file);
      if (!('file' in read)) {
        diagnostics.push({ code: read.code, message: read.message, span: item.pathSpan, ...(read.help === undefined ? {} : { help: read.help }) });
        continue;
      }
      const imported = read.file.span.file.path;
      if (imported === path || open.includes(imported)) {
        const cycle = [...open.slice(Math.max(0, open.indexOf(imported))), path, imported];
        diagnostics.push({ code: 'import.cycle', message: `files import each other in a circle: ${cycle.map(one => `\`${one}\``).join(' → ')}`, span: item.pathSpan, help: 'move what both need to a third file' });
        continue;
      }
      const other = known.get(imported) ?? load(read.file, [...open, path]);
      for (const name of other.definitions.keys()) {
        const before = origin.get(name);
        if (before !== undefined && before !== imported) {
          diagnostics.push({ code: 'name.twice', message: `\`${name}\` is defined in both \`${before}\` and \`${imported}\``, span: item.pathSpan, help: 'rename one of them' });
        }
        origin.set(name, imported);
      }
      imports.push(other);
    }
    return module;
  }
}

const definitionsOf = (file: File): readonly Definition[] =>
  file.items.filter(item => item.kind === 'layer' || item.kind === 'fn' || item.kind === 'optimizer' || item.kind === 'constant');
