/**
 * Decides which line ends end a statement. Takes balanced tokens and gives them without the line ends that continue a statement:
 * those inside parentheses, after an operator, before `|>`, between the values that a `scan` carries; of several in a row one stays. At the top level no line can begin with
 * `(`, `->`, `where` or `derivative`, so a definition may be broken there. A line `name = …` or `name[i] = …` always begins a statement, also after a
 * line that was left unfinished.
 */
import { tokenMatcher } from 'chevrotain';
import type { IToken, TokenType } from 'chevrotain';
import * as t from './tokens.ts';

const continuesAfter = new Set<TokenType>([
  t.Assign, t.Update, t.Colon, t.Comma, t.Arrow, t.Question, t.Pipe, t.Not, t.In, t.Range, t.Dot, t.OpenBrace,
]);
const continuesBefore = new Set<TokenType>([t.Pipe, t.Dot, t.Arrow, t.OpenBrace, t.Else]);
const continuesHeader = new Set<TokenType>([t.OpenParen, t.Where, t.Derivative]);

/** Leaves only the line ends that end a statement. */
export function joinLines(tokens: readonly IToken[]): IToken[] {
  const result: IToken[] = [];
  let braces = 0;
  let groups = 0;
  let inScanHeader = false;
  for (let index = 0; index < tokens.length; index++) {
    const token = tokens[index]!;
    const type = token.tokenType;
    if (type === t.Scan || type === t.OpenBrace) inScanHeader = type === t.Scan;
    if (type === t.OpenBrace) braces++;
    else if (type === t.CloseBrace) braces--;
    else if (type === t.OpenParen || type === t.OpenSquare) groups++;
    else if (type === t.CloseParen || type === t.CloseSquare) groups--;
    else if (type === t.Newline) {
      while (tokens[index + 1]?.tokenType === t.Newline) index++;
      if (groups > 0 || continues(result.at(-1), tokens, index + 1, braces === 0) || (inScanHeader && beginsCarry(result.at(-1)))) continue;
    }
    result.push(token);
  }
  return result;
}

function continues(previous: IToken | undefined, tokens: readonly IToken[], at: number, topLevel: boolean): boolean {
  const next = tokens[at];
  const afterNext = tokens[at + 1];
  if (previous === undefined || next === undefined) return true;
  if (beginsStatement(tokens, at, topLevel)) return previous.tokenType === t.OpenBrace;
  return continuesAfter.has(previous.tokenType) || tokenMatcher(previous, t.Infix)
    || continuesBefore.has(next.tokenType)
    || (topLevel && continuesHeader.has(next.tokenType))
    || (next.tokenType === t.Except && afterNext?.tokenType === t.Text);
}

/** Whether what follows can only be a value that a loop carries. */
const beginsCarry = (previous: IToken | undefined): boolean => previous?.tokenType === t.From || previous?.tokenType === t.Comma;

/** Whether the tokens at the beginning of a line can only begin a statement. */
function beginsStatement(tokens: readonly IToken[], at: number, topLevel: boolean): boolean {
  const first = tokens[at]!;
  const second = tokens[at + 1];
  if (t.statementWords.has(first.tokenType)) return !(topLevel && continuesHeader.has(first.tokenType));
  if (second === undefined || !tokenMatcher(first, t.Name)) return false;
  if (second.tokenType === t.OpenSquare) return tokens[closing(tokens, at + 1) + 1]?.tokenType === t.Assign;
  return second.tokenType === t.Assign || second.tokenType === t.Update || (t.declarationWords.has(first.tokenType) && tokenMatcher(second, t.Name));
}

/** The position of the bracket that closes the one at `open`. */
function closing(tokens: readonly IToken[], open: number): number {
  let close = open + 1;
  while (close < tokens.length && tokens[close]!.payload > tokens[open]!.payload) close++;
  return close;
}
