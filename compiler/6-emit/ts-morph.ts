/** What ts-morph's compiler interface is asked: what a source declares, a program without its types, the types of what it exports. */
import { createRequire } from 'node:module';
import type { ts as types } from 'ts-morph';

export interface Declaration {
  readonly name: string;
  readonly file: string;
  /** As written, comments included, without `export`. */
  readonly text: string;
  /** The names that it needs, and perhaps some more, each once. */
  readonly mentions: readonly string[];
}

/** A name from a `node:` module. */
export interface Import {
  readonly name: string;
  readonly module: string;
  /** Of a type alone. */
  readonly type: boolean;
}

/** Plain data, which can be kept as JSON. */
export interface ParsedFile {
  /** In the order of their places. */
  readonly declarations: readonly Declaration[];
  readonly imports: readonly Import[];
}

type TypeScript = typeof types;

/** Loaded by those who need it: it is by far the largest module of the compiler. */
const typescript = (): TypeScript => (createRequire(import.meta.url)('ts-morph') as { readonly ts: TypeScript }).ts;

/** A file of the runtime. */
export function parseDeclarations(file: string, text: string): ParsedFile {
  const ts = typescript();
  const source = ts.createSourceFile(file, text, { languageVersion: ts.ScriptTarget.Latest, jsDocParsingMode: ts.JSDocParsingMode.ParseNone }, true);
  const declarations: Declaration[] = [];
  const imports: Import[] = [];
  for (const statement of source.statements) {
    if (ts.isImportDeclaration(statement)) {
      const module = (statement.moduleSpecifier as types.StringLiteral).text;
      const bindings = statement.importClause?.namedBindings;
      if (!module.startsWith('node:') || !bindings || !ts.isNamedImports(bindings)) continue;
      for (const element of bindings.elements)
        imports.push({ name: element.name.text, module, type: statement.importClause!.isTypeOnly || element.isTypeOnly });
    } else
      for (const name of namesOf(ts, statement))
        declarations.push({ name, file, text: textOf(ts, statement, source), mentions: mentionsOf(ts, statement) });
  }
  return { declarations, imports };
}

/** The same program without its types, and perhaps without its comments. */
export function withoutTypes(text: string, comments = true): string {
  const ts = typescript();
  return ts.transpileModule(text, { compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, removeComments: !comments } }).outputText;
}

/** What a text exports, as TypeScript declares it: for those who import the same program without its types. */
export function declarationsOf(text: string): string {
  const ts = typescript();
  return ts.transpileDeclaration(text, { compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext } }).outputText;
}

function namesOf(ts: TypeScript, statement: types.Statement): string[] {
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

function textOf(ts: TypeScript, statement: types.Statement, source: types.SourceFile): string {
  const comments = ts.getLeadingCommentRanges(source.text, statement.getFullStart()) ?? [];
  // A file's own header comment stands before its first declaration too; only what touches the declaration belongs to it.
  const own = comments.filter(
    (comment, i) => !/\n\s*\n/.test(source.text.slice(comment.end, comments[i + 1]?.pos ?? statement.getStart())),
  );
  const text = source.text.slice(own[0]?.pos ?? statement.getStart(), statement.end);
  return text.replace(/^export /m, '');
}

/** What a declaration may mean of what is around it: neither members, whose names stand for themselves, nor what it binds itself. */
function mentionsOf(ts: TypeScript, root: types.Node): readonly string[] {
  const names = new Set<string>();
  const bound = new Set<string>();
  const visit = (node: types.Node): void => {
    if (ts.isIdentifier(node) && !isMemberName(ts, node)) names.add(node.text);
    if ((ts.isParameter(node) || ts.isVariableDeclaration(node) || ts.isBindingElement(node)) && ts.isIdentifier(node.name)) bound.add(node.name.text);
    ts.forEachChild(node, visit);
  };
  visit(root);
  for (const name of bound) names.delete(name);
  return [...names];
}

const isMemberName = (ts: TypeScript, node: types.Identifier): boolean => {
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent)) return parent.name === node;
  if (ts.isBindingElement(parent)) return parent.propertyName === node;
  return (ts.isPropertyAssignment(parent) || ts.isPropertySignature(parent) || ts.isMethodSignature(parent)) && parent.name === node;
};
