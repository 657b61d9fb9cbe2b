/**
 * Frequent slips at the beginning of a statement: words of other languages, misspelt keywords, constructs of a later version. Takes
 * the tokens that the grammar would read, reports each slip and gives tokens in which it is mended or left out, so that the rest of
 * the definition is still checked.
 */
import { tokenMatcher } from 'chevrotain';
import type { IToken, TokenType } from 'chevrotain';
import type { Report } from '../source/diagnostic.ts';
import { suggest } from '../source/suggest.ts';
import type { SourceFile } from '../source/text.ts';
import { retyped, tokenSpan } from './lex.ts';
import * as t from './tokens.ts';

/** `file`: between items; `body`: statements; `settings`: a data or train block, where any word may begin a line. */
type Context = 'file' | 'body' | 'settings';

/** Mends a whole file. */
export function mendSlips(file: SourceFile, tokens: readonly IToken[], report: Report): IToken[] {
  const result: IToken[] = [];
  let context: Context = 'file';
  let itemStart: TokenType | null = null;
  for (let index = 0; index < tokens.length; index++) {
    const token = tokens[index]!;
    const previous = tokens[index - 1]?.tokenType;
    const starts = previous === undefined || previous === t.Newline || previous === t.OpenBrace || previous === t.Semicolon;
    if (starts && token.payload === 0) itemStart = token.tokenType;
    const ofSettings = token.payload === 1 && (itemStart === t.Data || itemStart === t.Train || itemStart === t.Generate);
    if (token.payload === 0) context = 'file';
    else if (previous === t.OpenBrace) context = ofSettings ? 'settings' : 'body';
    // Behind the body of a source.
    else if (ofSettings && context === 'body') context = 'settings';

    const mended = context === 'settings' ? null : starts ? mendStart(file, tokens, index, context, report) : mendAfterBlock(file, tokens, index, report);
    if (mended === null) {
      result.push(token);
      continue;
    }
    result.push(...mended.tokens);
    if (mended.skip) while (index + 1 < tokens.length && !endsStatement(tokens[index + 1]!, token.payload)) index++;
  }
  return result;
}

/** What stands in place of the token, and whether the rest of the statement is left out. */
interface Mended {
  readonly tokens: readonly IToken[];
  readonly skip: boolean;
}

const endsStatement = (token: IToken, depth: number): boolean =>
  token.payload < depth || (token.payload === depth && (token.tokenType === t.Newline || token.tokenType === t.Semicolon));

/** Words of other languages: the keyword that is meant, or null where the word is simply left out. */
const foreignWords: Readonly<Record<string, { readonly means: string | null; readonly help: string }>> = {
  let: { means: null, help: 'names are bound with `=` alone: remove `let`' },
  var: { means: null, help: 'names are bound with `=` alone: remove `var`' },
  const: { means: null, help: 'names are bound with `=` alone: remove `const`' },
  def: { means: 'fn', help: 'functions are written `fn name(x) = expression` or `fn name(x) { … }`' },
  function: { means: 'fn', help: 'functions are written `fn name(x) = expression` or `fn name(x) { … }`' },
  func: { means: 'fn', help: 'functions are written `fn name(x) = expression` or `fn name(x) { … }`' },
  class: { means: 'layer', help: 'write `model` for what is trained, `layer` for a part with parameters' },
  module: { means: 'layer', help: 'write `model` for what is trained, `layer` for a part with parameters' },
  network: { means: 'model', help: 'write `model`' },
  from: { means: 'import', help: 'write `import "path.model"`; all its definitions come with it' },
  minimize: { means: null, help: 'what is minimized stands in the `train` block' },
  while: { means: 'if', help: 'loops have a fixed range: `for i in 0..n { … }`' },
};

const keywords: Readonly<Record<Exclude<Context, 'settings'>, readonly string[]>> = {
  file: ['model', 'layer', 'fn', 'optimizer', 'data', 'train', 'generate', 'import'],
  body: ['param', 'state', 'input', 'loss', 'metric', 'output', 'freeze', 'for', 'if', 'return', 'where', 'scan', 'yield'],
};

function mendStart(file: SourceFile, tokens: readonly IToken[], index: number, context: 'file' | 'body', report: Report): Mended | null {
  const token = tokens[index]!;
  const next = tokens[index + 1];
  if ((token.tokenType !== t.Name && token.tokenType !== t.From) || next === undefined) return null;
  const span = tokenSpan(file, token);
  const beginsWithWord = tokenMatcher(next, t.Name) || next.tokenType === t.OpenBrace || next.tokenType === t.Text
    || (context === 'body' && startsOperand(next));
  if (!beginsWithWord) return null;

  const foreign = Object.hasOwn(foreignWords, token.image) ? foreignWords[token.image]! : null;
  const meant = foreign === null ? suggest(token.image, keywords[context]) : foreign.means;
  if (foreign === null && meant === null) return null;
  report({ code: 'syntax.keyword', message: `\`${token.image}\` does not begin a ${context === 'file' ? 'definition' : 'statement'}`, span,
    help: foreign?.help ?? `did you mean \`${meant}\`?` });
  const type = t.vocabulary.find(candidate => candidate.PATTERN === meant);
  return { tokens: type === undefined ? [] : [withDepth(retyped(token, type, meant!), token)], skip: false };
}

/** `} elif c {`. */
function mendAfterBlock(file: SourceFile, tokens: readonly IToken[], index: number, report: Report): Mended | null {
  const token = tokens[index]!;
  if (token.tokenType !== t.Name || tokens[index - 1]?.tokenType !== t.CloseBrace) return null;
  const span = tokenSpan(file, token);
  if (token.image === 'elif' || token.image === 'elseif') {
    report({ code: 'syntax.keyword', message: `\`${token.image}\` is written \`else if\``, span, help: 'write `else if`' });
    return { tokens: [withDepth(retyped(token, t.Else), token), withDepth(retyped(token, t.If), token)], skip: false };
  }
  return null;
}

function withDepth(token: IToken, like: IToken): IToken {
  token.payload = like.payload;
  return token;
}

const startsOperand = (token: IToken): boolean =>
  token.tokenType === t.NumberLiteral || token.tokenType === t.Not || token.tokenType === t.True || token.tokenType === t.False;
