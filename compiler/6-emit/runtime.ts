/**
 * The runtime's declarations, read from its sources with ts-morph: an emitted program takes the ones that it reaches by name, with
 * their comments, and the imports from `node:` modules that those need.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { ts } from 'ts-morph';

export interface Declaration {
  readonly name: string;
  readonly file: string;
  /** As written, comments included, without `export`. */
  readonly text: string;
  /** The names that it needs, and perhaps some more. */
  readonly mentions: ReadonlySet<string>;
}

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

interface ParsedFile {
  /** In the order of their places. */
  readonly declarations: readonly Declaration[];
  /** From which `node:` module a name is imported. */
  readonly imports: ReadonlyMap<string, { readonly module: string; readonly type: boolean }>;
}

/** A file is parsed when something of it is reached: most of the time that emission takes would be spent there. Until then its lines tell what it declares. */
export function readRuntime(): Runtime {
  const folder = new URL('../../runtime/', import.meta.url);
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(name => name.endsWith('.ts'));
  const texts = paths.sort().map(path => [path, readFileSync(new URL(path, folder), 'utf8')] as const);
  const files = texts.map(([path, text]): RuntimeFile => {
    let parsed: ParsedFile | undefined;
    return { declared: new Set(declaredIn(text)), parsed: () => parsed ??= parse(path, text) };
  });
  return { names: new Set([...files.flatMap(({ declared }) => [...declared]), ...texts.flatMap(([, text]) => importedIn(text))]), files };
}

/** Top-level declarations begin their lines, and nothing else is written at the beginning of a line as they are. */
const declaredIn = (text: string): readonly string[] =>
  Array.from(text.matchAll(/^(?:export )?(?:async )?(?:const|let|function\*?|class|interface|type) (\w+)/gm), match => match[1]!);

/** What a file imports from `node:` modules, each such import being a line. */
const importedIn = (text: string): readonly string[] =>
  Array.from(text.matchAll(/^import (?:type )?\{([^}]*)\} from 'node:/gm), match => match[1]!.match(/\w+(?=\s*(?:,|$))/g) ?? []).flat();

function parse(file: string, text: string): ParsedFile {
  const source = ts.createSourceFile(file, text, { languageVersion: ts.ScriptTarget.Latest, jsDocParsingMode: ts.JSDocParsingMode.ParseNone }, true);
  const declarations: Declaration[] = [];
  const imports = new Map<string, { module: string; type: boolean }>();
  for (const statement of source.statements) {
    if (ts.isImportDeclaration(statement)) {
      const module = (statement.moduleSpecifier as ts.StringLiteral).text;
      const bindings = statement.importClause?.namedBindings;
      if (!module.startsWith('node:') || !bindings || !ts.isNamedImports(bindings)) continue;
      for (const element of bindings.elements)
        imports.set(element.name.text, { module, type: statement.importClause!.isTypeOnly || element.isTypeOnly });
    } else
      for (const name of namesOf(statement))
        declarations.push({ name, file, text: textOf(statement, source), mentions: mentionsOf(statement) });
  }
  return { declarations, imports };
}

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
  const origins = new Map(parsed.flatMap(({ imports }) => [...imports]));
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

/** The same program without its types, and perhaps without its comments. */
export const withoutTypes = (text: string, comments = true): string =>
  ts.transpileModule(text, { compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, removeComments: !comments } })
    .outputText;

/** What a text exports, as TypeScript declares it: for those who import the same program without its types. */
export const declarationsOf = (text: string): string =>
  ts.transpileDeclaration(text, { compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext } }).outputText;

function namesOf(statement: ts.Statement): string[] {
  if (ts.isVariableStatement(statement))
    return statement.declarationList.declarations.flatMap(declaration =>
      ts.isIdentifier(declaration.name) ? [declaration.name.text] : [],
    );
  if (
    ts.isFunctionDeclaration(statement) ||
    ts.isClassDeclaration(statement) ||
    ts.isInterfaceDeclaration(statement) ||
    ts.isTypeAliasDeclaration(statement)
  )
    return statement.name ? [statement.name.text] : [];
  return [];
}

function textOf(statement: ts.Statement, source: ts.SourceFile): string {
  const comments = ts.getLeadingCommentRanges(source.text, statement.getFullStart()) ?? [];
  // A file's own header comment stands before its first declaration too; only what touches the declaration belongs to it.
  const own = comments.filter(
    (comment, i) => !/\n\s*\n/.test(source.text.slice(comment.end, comments[i + 1]?.pos ?? statement.getStart())),
  );
  const text = source.text.slice(own[0]?.pos ?? statement.getStart(), statement.end);
  return text.replace(/^export /m, '');
}

/** What a declaration may mean of what is around it: neither members, whose names stand for themselves, nor what it binds itself. */
function mentionsOf(root: ts.Node): ReadonlySet<string> {
  const names = new Set<string>();
  const bound = new Set<string>();
  const visit = (node: ts.Node): void => {
    if (ts.isIdentifier(node) && !isMemberName(node)) names.add(node.text);
    if ((ts.isParameter(node) || ts.isVariableDeclaration(node) || ts.isBindingElement(node)) && ts.isIdentifier(node.name)) bound.add(node.name.text);
    ts.forEachChild(node, visit);
  };
  visit(root);
  for (const name of bound) names.delete(name);
  return names;
}

const isMemberName = (node: ts.Identifier): boolean => {
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent)) return parent.name === node;
  if (ts.isBindingElement(parent)) return parent.propertyName === node;
  return (ts.isPropertyAssignment(parent) || ts.isPropertySignature(parent) || ts.isMethodSignature(parent)) && parent.name === node;
};
