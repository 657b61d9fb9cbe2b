/**
 * Pairs brackets. Takes the tokens of a file and gives a sequence in which every bracket is matched: stray closing brackets are
 * reported and left out, missing ones reported and put where they most likely belong. Each token's `payload` is the number of
 * brackets around it, so that recovery never leaves the statement it is in.
 */
import { createTokenInstance } from 'chevrotain';
import type { IToken, TokenType } from 'chevrotain';
import type { Report } from '../source/diagnostic.ts';
import type { SourceFile } from '../source/text.ts';
import { retyped, tokenEnd, tokenSpan } from './lex.ts';
import * as t from './tokens.ts';

/** Brackets within brackets beyond this depth are refused: the phases recurse over the tree. */
const deepest = 128;

const closers = new Map<TokenType, TokenType>([[t.OpenParen, t.CloseParen], [t.OpenSquare, t.CloseSquare], [t.OpenBrace, t.CloseBrace]]);
const openers = new Map<TokenType, TokenType>([...closers].map(([open, close]) => [close, open]));
const closerText = new Map<TokenType, string>([[t.OpenParen, ')'], [t.OpenSquare, ']'], [t.OpenBrace, '}']]);

/** Null when the nesting is too deep to go on. */
export function balanceBrackets(file: SourceFile, tokens: readonly IToken[], report: Report): IToken[] | null {
  const open: IToken[] = [];
  const result: IToken[] = [];
  const push = (token: IToken): void => {
    token.payload = open.length;
    result.push(token);
  };
  const closeMissing = (): void => {
    const opener = open.pop()!;
    const closer = closerText.get(opener.tokenType)!;
    // The place is the end of the last line with anything on it: where the bracket should have stood.
    let at = result.length;
    while (at > 0 && result[at - 1]!.tokenType === t.Newline) at--;
    const last = result[at - 1]!;
    const end = tokenEnd(last);
    report({
      code: 'syntax.bracket', message: `\`${opener.image}\` is never closed`, span: { file, start: end, end },
      label: `expected \`${closer}\``, secondary: [{ span: tokenSpan(file, opener), text: 'opened here' }], help: `add \`${closer}\``,
    });
    const token = createTokenInstance(closers.get(opener.tokenType)!, '', end, end, last.endLine!, last.endLine!, last.endColumn! + 1, last.endColumn! + 1);
    token.payload = open.length;
    result.splice(at, 0, token);
    // The line ends behind it are outside now.
    for (const outside of result.slice(at + 1)) outside.payload = open.length;
  };
  const closeParentheses = (): void => {
    while (open.length > 0 && open.at(-1)!.tokenType !== t.OpenBrace) closeMissing();
  };

  for (const [index, token] of tokens.entries()) {
    const type = token.tokenType;
    if (type !== t.Newline && startsLine(tokens, index)) {
      if (open.length > 0 && beginsItem(tokens, index, open[0]!) && token.startColumn! <= indentation(file, open[0]!) + 1) while (open.length > 0) closeMissing();
      else if (t.statementWords.has(type) || beginsStatement(tokens, index)) closeParentheses();
    }
    if (closers.has(type)) {
      if (type === t.OpenBrace) closeParentheses();
      if (open.length === deepest) {
        report({ code: 'syntax.depth', message: `brackets are nested too deeply (the limit is ${deepest})`, span: tokenSpan(file, token),
          help: 'bind parts of the expression to names' });
        return null;
      }
      push(token);
      open.push(token);
    } else if (openers.has(type)) {
      const wanted = openers.get(type)!;
      if (!matchesInReach(open, wanted)) {
        const inner = open.at(-1);
        if (inner !== undefined && inner.tokenType !== t.OpenBrace && type !== t.CloseBrace) {
          const closer = closerText.get(inner.tokenType)!;
          report({ code: 'syntax.bracket', message: `\`${inner.image}\` is closed by \`${token.image}\``, span: tokenSpan(file, token), label: `expected \`${closer}\``,
            secondary: [{ span: tokenSpan(file, inner), text: 'opened here' }], help: `write \`${closer}\` here, or another bracket there` });
          open.pop();
          push(retyped(token, closers.get(inner.tokenType)!, closer));
          continue;
        }
        report({
          code: 'syntax.bracket', message: `\`${token.image}\` closes nothing`, span: tokenSpan(file, token),
          ...(inner === undefined ? {} : { secondary: [{ span: tokenSpan(file, inner), text: `\`${inner.image}\` is open here` }] }),
          help: `remove the \`${token.image}\``,
        });
        continue;
      }
      while (open.at(-1)!.tokenType !== wanted) closeMissing();
      open.pop();
      push(token);
    } else push(token);
  }
  while (open.length > 0) closeMissing();
  return result;
}

/** Whether an open bracket of this type may be meant: `)` and `]` never reach across a brace. */
function matchesInReach(open: readonly IToken[], wanted: TokenType): boolean {
  for (let i = open.length - 1; i >= 0; i--) {
    const type = open[i]!.tokenType;
    if (type === wanted) return true;
    if (type === t.OpenBrace) return false;
  }
  return false;
}

const startsLine = (tokens: readonly IToken[], index: number): boolean => index > 0 && tokens[index - 1]!.tokenType === t.Newline;

/** Whether a word begins an item: in a train block, `optimizer …` is a setting. */
function beginsItem(tokens: readonly IToken[], index: number, outermost: IToken): boolean {
  const type = tokens[index]!.tokenType;
  if (type === t.Optimizer) return tokens[tokens.indexOf(outermost) - 1]?.tokenType !== t.Train;
  return t.itemWords.has(type);
}

/** The white space before the line that a token is on. An item that is indented no deeper than the one around it is not inside it. */
function indentation(file: SourceFile, token: IToken): number {
  const lineStart = token.startOffset - token.startColumn! + 1;
  return /^[ \t]*/.exec(file.text.slice(lineStart, token.startOffset))![0].length;
}

/** A line such as `name = …`, `name[i] = …` or `param name: …` that does not continue an argument list. */
function beginsStatement(tokens: readonly IToken[], index: number): boolean {
  let before = index - 1;
  while (before >= 0 && tokens[before]!.tokenType === t.Newline) before--;
  const previous = tokens[before]?.tokenType;
  if (previous === undefined || previous === t.Comma || previous === t.OpenParen || previous === t.OpenSquare) return false;
  const [first, second, third] = [tokens[index]!.tokenType, tokens[index + 1]?.tokenType, tokens[index + 2]?.tokenType];
  if (t.declarationWords.has(first) && second === t.Name) return third === t.Colon || third === t.Assign;
  if (first === t.Name && second === t.OpenSquare) return tokens[bracketEnd(tokens, index + 1)]?.tokenType === t.Assign;
  return (first === t.Name || t.declarationWords.has(first)) && (second === t.Assign || second === t.Update);
}

/** Behind the bracket that closes the one at `open` on its line; the end of the line where none does. */
function bracketEnd(tokens: readonly IToken[], open: number): number {
  let depth = 0;
  for (let index = open; index < tokens.length && tokens[index]!.tokenType !== t.Newline; index++) {
    const type = tokens[index]!.tokenType;
    if (closers.has(type)) depth++;
    else if (openers.has(type) && --depth === 0) return index + 1;
  }
  return tokens.length;
}
