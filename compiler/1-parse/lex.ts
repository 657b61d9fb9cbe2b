/**
 * Characters to tokens. Takes a file and gives its tokens and comments in order; what is no token of nabla is reported and left
 * out, or replaced by the token it stands for (`&&` by `and`). Line ends are still among the tokens.
 */
import { createTokenInstance, Lexer } from 'chevrotain';
import type { IToken, TokenType } from 'chevrotain';
import type { Diagnostic, Report } from '../source/diagnostic.ts';
import type { SourceFile, Span } from '../source/text.ts';
import { And, Assign, False, Foreign, ForeignComment, Name, Not, OpenText, Or, Power, Text, True, vocabulary } from './tokens.ts';

export interface Lexed {
  readonly tokens: readonly IToken[];
  readonly comments: readonly IToken[];
  readonly diagnostics: readonly Diagnostic[];
}

/** Files above this size are refused before they cost time. */
const largestFile = 4_000_000;

// Lines end in `Newline` alone, which Chevrotain would take a while to find out from the patterns.
for (const type of vocabulary) type.LINE_BREAKS ??= false;
const lexer = new Lexer([...vocabulary], { positionTracking: 'full', ensureOptimizations: true, skipValidations: true });

/** Cuts a file into tokens. */
export function lex(file: SourceFile): Lexed {
  const diagnostics: Diagnostic[] = [];
  if (file.text.length > largestFile) {
    const message = `the file is too large to compile (${file.text.length} characters; the limit is ${largestFile})`;
    return { tokens: [], comments: [], diagnostics: [{ code: 'syntax.size', message, span: { file, start: 0, end: 0 } }] };
  }
  const result = lexer.tokenize(file.text);
  const report: Report = diagnostic => diagnostics.push(diagnostic);
  for (const { offset, length } of result.errors) report(unknownCharacters({ file, start: offset, end: offset + length }));
  const tokens: IToken[] = [];
  for (const token of result.tokens) {
    const translated = translate(token, file, report);
    if (translated !== null) tokens.push(translated);
  }
  return { tokens, comments: result.groups['comments'] ?? [], diagnostics };
}

/** The characters of a token. */
export const tokenSpan = (file: SourceFile, token: IToken): Span => ({ file, start: token.startOffset, end: tokenEnd(token) });

/** Tokens that `brackets.ts` puts in are empty; those that stand for another spelling end where that ends. */
export const tokenEnd = (token: IToken): number => (token.image === '' ? token.startOffset : token.endOffset! + 1);

/** The same place in the file, read as another token. */
export function retyped(token: IToken, type: TokenType, image: string = token.image): IToken {
  const { startOffset, endOffset, startLine, endLine, startColumn, endColumn } = token;
  return createTokenInstance(type, image, startOffset, endOffset!, startLine!, endLine!, startColumn!, endColumn!);
}

function unknownCharacters(span: Span): Diagnostic {
  const text = span.file.text.slice(span.start, span.end);
  const first = text.codePointAt(0)!;
  const shown = /^[\p{L}\p{N}\p{P}\p{S}]/u.test(text) ? `\`${String.fromCodePoint(first)}\`` : `the character U+${first.toString(16).toUpperCase().padStart(4, '0')}`;
  const help = /^\p{L}/u.test(text) ? 'names are made of the letters a to z, digits and `_`' : 'remove it';
  return { code: 'syntax.token', message: `${shown} is not part of the language`, span, help };
}

/** Spellings of other languages: the token that is read instead (null: none) and what to write. */
const foreign: Readonly<Record<string, { readonly type: TokenType | null; readonly help: string }>> = {
  '&&': { type: And, help: 'write `and`' },
  '||': { type: Or, help: 'write `or`' },
  '!': { type: Not, help: 'write `not`' },
  '~': { type: Not, help: 'write `not`' },
  '^': { type: Power, help: 'powers are written `x ** 2`' },
  '===': { type: null, help: 'write `==`' },
  '!==': { type: null, help: 'write `!=`' },
  '=>': { type: Assign, help: 'write `fn name(x) = expression`; there are no nameless functions' },
  ':=': { type: Assign, help: 'names are bound with `=`' },
};

const foreignNames: Readonly<Record<string, TokenType | null>> = { True, False, None: null };

function translate(token: IToken, file: SourceFile, report: Report): IToken | null {
  const span = tokenSpan(file, token);
  switch (token.tokenType) {
    case OpenText:
      report({ code: 'syntax.string', message: 'the string does not end on its line', span, help: 'add a `"`' });
      return retyped(token, Text);
    case Text:
      for (const escape of token.image.matchAll(/\\(.)/g)) {
        if (/[\\"n]/.test(escape[1]!)) continue;
        const start = span.start + escape.index;
        report({ code: 'syntax.string', message: `\`\\${escape[1]}\` is not an escape`, span: { file, start, end: start + 2 },
          help: 'the escapes are `\\\\`, `\\"` and `\\n`' });
      }
      return token;
    case ForeignComment:
      report({ code: 'syntax.token', message: `\`${token.image.startsWith('#') ? '#' : '/*'}\` does not begin a comment`, span, help: 'comments begin with `//`' });
      return null;
    case Foreign: {
      if (token.image.startsWith("'")) {
        report({ code: 'syntax.string', message: 'strings are written in double quotes', span, help: `write \`"${token.image.slice(1, -1)}"\`` });
        return retyped(token, Text);
      }
      const known = foreign[token.image];
      const help = known?.help ?? `write \`x = x ${token.image.slice(0, -1)} …\``;
      report({ code: 'syntax.operator', message: `\`${token.image}\` is not an operator of nabla`, span, help });
      const type = known === undefined ? Assign : known.type ?? vocabulary.find(candidate => candidate.PATTERN === token.image.slice(0, 2))!;
      return retyped(token, type, String(type.PATTERN));
    }
    case Name:
      if (Object.hasOwn(foreignNames, token.image)) {
        const right = token.image.toLowerCase();
        report({ code: 'syntax.keyword', message: `\`${token.image}\` is written \`${right}\``, span, help: `write \`${right}\`` });
        return retyped(token, foreignNames[token.image] ?? Name);
      }
      return token;
    default: return token;
  }
}
