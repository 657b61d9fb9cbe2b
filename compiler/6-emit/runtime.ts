/**
 * The runtime's declarations, read from its sources: an emitted program takes the ones that it reaches by name, with their comments, and
 * the imports from `node:` modules that those need.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { getCompileCacheDir } from 'node:module';
import { join } from 'node:path';
import { parseDeclarations, type Declaration, type ParsedFile } from './ts-morph.ts';

export interface Runtime {
  /** Everything that its files declare or import from `node:` modules. */
  readonly names: ReadonlySet<string>;
  /** In an order in which constants may be initialised. */
  readonly files: readonly RuntimeFile[];
}

interface RuntimeFile {
  readonly declared: ReadonlySet<string>;
  readonly parsed: () => ParsedFile;
}

/** A file is parsed when something of it is reached: most of the time that emission takes would be spent there. Until then its lines tell what it declares. */
export function readRuntime(): Runtime {
  const parser = readFileSync(new URL('ts-morph.ts', import.meta.url));
  const folder = new URL('../../runtime/', import.meta.url);
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(name => name.endsWith('.ts'));
  const texts = paths.sort().map(path => [path, readFileSync(new URL(path, folder), 'utf8')] as const);
  const files = texts.map(([path, text]): RuntimeFile => {
    let parsed: ParsedFile | undefined;
    return { declared: new Set(declaredIn(text)), parsed: () => parsed ??= remembered([parser, path, text], () => parseDeclarations(path, text)) };
  });
  return { names: new Set([...files.flatMap(({ declared }) => [...declared]), ...texts.flatMap(([, text]) => importedIn(text))]), files };
}

/**
 * What files declare is kept where Node keeps compiled code, under what it was made of: to load TypeScript and parse takes longer than
 * the rest of an emission. Where Node keeps none, or nothing can be written, it is made each time.
 */
function remembered(from: readonly (string | Buffer)[], make: () => ParsedFile): ParsedFile {
  const folder = getCompileCacheDir();
  if (folder === undefined) return make();
  const hash = from.reduce((sum, part) => sum.update(part).update('\0'), createHash('sha256')).digest('hex');
  const path = join(folder, `nabla-${hash.slice(0, 32)}.json`);
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as ParsedFile;
  } catch {
    const made = make();
    try {
      // Whoever reads meanwhile finds all of it or nothing.
      writeFileSync(`${path}.${process.pid}`, JSON.stringify(made));
      renameSync(`${path}.${process.pid}`, path);
    } catch {
      // It is made again next time.
    }
    return made;
  }
}

/** Top-level declarations begin their lines, and nothing else is written at the beginning of a line as they are. */
const declaredIn = (text: string): readonly string[] =>
  Array.from(text.matchAll(/^(?:export )?(?:async )?(?:const|let|function\*?|class|interface|type) (\w+)/gm), match => match[1]!);

/** What a file imports from `node:` modules, each such import being a line. */
const importedIn = (text: string): readonly string[] =>
  Array.from(text.matchAll(/^import (?:type )?\{([^}]*)\} from 'node:/gm), match => match[1]!.match(/\w+(?=\s*(?:,|$))/g) ?? []).flat();

/** The declarations that a text reaches, and the import lines that they need. */
export function reached(
  { files }: Runtime,
  from: ReadonlySet<string>,
): { readonly declarations: readonly Declaration[]; readonly imports: readonly string[] } {
  const home = new Map(files.flatMap(file => [...file.declared].map(name => [name, file] as const)));
  const names = new Set<string>(from);
  const reachedFiles = new Set<RuntimeFile>();
  // A set's iteration comes to what is added on the way.
  for (const name of names) {
    const file = home.get(name);
    if (file === undefined) continue;
    reachedFiles.add(file);
    const declaration = file.parsed().declarations.find(each => each.name === name);
    for (const mention of declaration?.mentions ?? []) names.add(mention);
  }
  const parsed = files.filter(file => reachedFiles.has(file)).map(file => file.parsed());
  const origins = new Map(parsed.flatMap(({ imports }) => imports.map(each => [each.name, each] as const)));
  const modules = new Map<string, string[]>();
  for (const name of [...names].sort()) {
    const imported = origins.get(name);
    if (imported) modules.set(imported.module, [...(modules.get(imported.module) ?? []), imported.type ? `type ${name}` : name]);
  }
  return {
    declarations: parsed.flatMap(({ declarations }) => declarations.filter(({ name }) => names.has(name))),
    imports: [...modules].sort(([a], [b]) => (a < b ? -1 : 1)).map(([module, names]) => `import { ${names.join(', ')} } from '${module}';`),
  };
}

/** Every identifier in a text of our own making, which has no template literals and no regular expressions; some keywords too. */
export const identifiersIn = (text: string): ReadonlySet<string> =>
  new Set(text.replace(/\/\*[^]*?\*\/|\/\/.*|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'/g, ' ').match(/[A-Za-z_$][\w$]*/g) ?? []);
