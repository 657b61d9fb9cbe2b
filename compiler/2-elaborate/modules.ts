/**
 * Files made modules: a file's definitions with those of the files it imports. The host reads imported files; cycles and names
 * defined twice are found here.
 */
import type { File } from '../1-parse/ast.ts';
import type { Diagnostic } from '../source/diagnostic.ts';
import type { SourceFile } from '../source/text.ts';
import type { Definition, Module } from './scope.ts';

/** What the host says about an import: the file parsed, or why there is none. */
export type ImportResult = { readonly file: File } | { readonly reason: string };

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
      const malformed = malformedPath(item.path);
      const read = malformed === null ? readImport(item.path, own.span.file) : { reason: malformed };
      if (!('file' in read)) {
        // The host knows the project's folder, which may lie above the one that paths are shown from.
        const wrong = malformed ?? (leadsOut(item.path, path) ? `\`${item.path}\` leads out of the project's folder` : null);
        const help = 'imports are relative paths to `.model` files inside the project, such as `import "layers/attention.model"`';
        diagnostics.push(wrong === null
          ? { code: 'import.missing', message: `\`${item.path}\` cannot be imported: ${read.reason}`, span: item.pathSpan }
          : { code: 'import.path', message: wrong, span: item.pathSpan, help });
        continue;
      }
      const imported = read.file.span.file.path;
      if (imported === path || open.includes(imported)) {
        const cycle = [...open.slice(Math.max(0, open.indexOf(imported))), path, imported];
        diagnostics.push({
          code: 'import.cycle', message: `files import each other in a circle: ${cycle.map(one => `\`${one}\``).join(' → ')}`,
          span: item.pathSpan, help: 'move what both need to a third file',
        });
        continue;
      }
      const other = known.get(imported) ?? load(read.file, [...open, path]);
      for (const name of other.definitions.keys()) {
        const before = origin.get(name);
        if (before !== undefined && before !== imported) {
          diagnostics.push({
            code: 'name.twice', message: `\`${name}\` is defined in both \`${before}\` and \`${imported}\``, span: item.pathSpan,
            help: 'rename one of them',
          });
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

/** Why a path cannot be an import's, whatever files there are. */
function malformedPath(path: string): string | null {
  if (path.startsWith('/') || path.includes('\\') || path.includes('\0') || /^[A-Za-z][A-Za-z0-9+.-]*:/.test(path)) return `\`${path}\` is not a relative path`;
  if (!path.endsWith('.model')) return `\`${path}\` is not a \`.model\` file`;
  return null;
}

/** Whether a path leads above the folder that `from` is shown relative to. */
function leadsOut(path: string, from: string): boolean {
  const places = from.split('/').slice(0, -1);
  if (from.startsWith('/') || places.includes('..')) return false;
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue;
    if (part !== '..') places.push(part);
    else if (places.pop() === undefined) return true;
  }
  return false;
}
