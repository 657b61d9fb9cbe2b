/**
 * The canonical layout of a file. Takes source text and gives it with the same tokens, save for commas after a last element, and all
 * its comments, in new white space; formatting twice changes nothing. Lines stay broken where the author broke them before `|>`, after
 * an operator and between statements, and columns that the author lined up stay lined up; brackets are broken at their commas where a line would pass 100 columns or holds a comment.
 */
import { tokenMatcher } from 'chevrotain';
import type { IToken, TokenType } from 'chevrotain';
import type { Diagnostic } from '../source/diagnostic.ts';
import type { SourceFile } from '../source/text.ts';
import { parse } from './parse.ts';
import * as t from './tokens.ts';

const widest = 100;
/** Brackets shorter than this are not worth breaking. */
const solid = 24;

/** The formatted text; null where the file has syntax errors. */
export function format(file: SourceFile): { readonly text: string | null; readonly diagnostics: readonly Diagnostic[] } {
  const { tokens, comments, diagnostics } = parse(file);
  if (diagnostics.length > 0) return { text: null, diagnostics };
  const stream = [...tokens, ...comments].sort((a, b) => a.startOffset - b.startOffset);
  const paper: Paper = { lines: [], current: '', indent: 0 };
  printLines(readLines({ tokens: stream, index: 0, lastLine: 0 }, 'file'), 0, 'file', paper);
  const text = paper.lines.join('\n').trim();
  return { text: text === '' ? '' : `${text}\n`, diagnostics };
}

// ---- tokens to lines of pieces ----

type Place = 'file' | 'body' | 'settings';

/** A statement, setting or item, or a comment on a line of its own. */
interface Line {
  readonly pieces: readonly Piece[];
  readonly begins: TokenType;
  /** A blank line stands above it in the source. */
  readonly apart: boolean;
}

type Piece =
  | {
    readonly kind: 'token'; readonly text: string; readonly spaced: boolean; readonly breaks: boolean;
    /** Where a statement's or setting's second token stands in the source, with the spaces before it: such columns may be lined up. */
    readonly column?: { readonly at: number; readonly spaces: number };
  }
  | { readonly kind: 'comment'; readonly text: string; readonly ownLine: boolean }
  | { readonly kind: 'group'; readonly open: string; readonly close: string; readonly spaced: boolean; readonly elements: readonly Element[] }
  | { readonly kind: 'block'; readonly place: Place; readonly lines: readonly Line[]; readonly inline: boolean };

type CommentPiece = Extract<Piece, { kind: 'comment' }>;

/** What stands between two commas, with the comments above it and behind its comma. */
interface Element {
  readonly before: readonly string[];
  readonly pieces: readonly Piece[];
  readonly after: readonly CommentPiece[];
}

/** The place in the tokens; `lastLine` is the source line on which the last token or comment ended. */
interface Reader {
  readonly tokens: readonly IToken[];
  index: number;
  lastLine: number;
}

function take(reader: Reader): IToken {
  const token = reader.tokens[reader.index++]!;
  if (!endsLine(token)) reader.lastLine = token.endLine!;
  return token;
}

const peek = (reader: Reader): IToken | undefined => reader.tokens[reader.index];

const endsLine = (token: IToken): boolean => token.tokenType === t.Newline || token.tokenType === t.Semicolon;

function readLines(reader: Reader, place: Place): Line[] {
  const lines: Line[] = [];
  for (let next = peek(reader); next !== undefined && next.tokenType !== t.CloseBrace; next = peek(reader)) {
    if (endsLine(next)) {
      take(reader);
      continue;
    }
    const apart = next.startLine! > reader.lastLine + 1;
    const pieces = next.tokenType === t.Comment ? [readComment(reader)] : readPieces(reader, place, next.tokenType, null);
    lines.push({ pieces, begins: next.tokenType, apart });
  }
  return lines.map((line, i) => (linedUp(line, lines[i - 1], line.apart) || linedUp(line, lines[i + 1], lines[i + 1]?.apart) ? line : withoutColumn(line)));
}

const columnOf = (line: Line | undefined): number | undefined =>
  line?.pieces.flatMap(piece => (piece.kind === 'token' && piece.column ? [piece.column.at] : []))[0];

const linedUp = (line: Line, neighbour: Line | undefined, apart: boolean | undefined): boolean =>
  !apart && columnOf(line) !== undefined && columnOf(line) === columnOf(neighbour);

const withoutColumn = (line: Line): Line =>
  ({ ...line, pieces: line.pieces.map(piece => (piece.kind === 'token' && piece.column ? { ...piece, column: { ...piece.column, spaces: 1 } } : piece)) });

function readComment(reader: Reader): CommentPiece {
  const ownLine = peek(reader)!.startLine! > reader.lastLine;
  return { kind: 'comment', text: take(reader).image.trimEnd(), ownLine };
}

/** Pieces up to the end of a line, or inside a group up to a comma or the closing bracket. */
function readPieces(reader: Reader, place: Place, begins: TokenType, group: IToken | null): Piece[] {
  const pieces: Piece[] = [];
  let previous: Before | null = null;
  let questions = 0;
  let assigned = false;
  for (let next = peek(reader); next !== undefined && !endsPieces(next, group); next = peek(reader)) {
    const type = next.tokenType;
    if (type === t.Comment) {
      pieces.push(readComment(reader));
      continue;
    }
    if (type === t.OpenBrace) {
      pieces.push(readBlock(reader, place === 'file' && (begins === t.Data || begins === t.Train || begins === t.Generate) ? 'settings' : 'body'));
      previous = { type: t.CloseBrace, tight: false, operand: false };
      continue;
    }
    const top = group === null && place === 'settings' && pieces.length === 1;
    const header = group === null && place === 'file' && !assigned && (begins === t.Layer || begins === t.Optimizer);
    if (type === t.OpenParen || type === t.OpenSquare) {
      const clause = previous?.type === t.Derivative && pieces.at(-2)?.kind === 'block';
      const applies = previous !== null && previous.operand && !top && !clause && previous.type !== t.Text && !(header && previous.type === t.CloseParen);
      pieces.push(readGroup(reader, place, previous !== null && !previous.tight && !applies));
      previous = { type: type === t.OpenParen ? t.CloseParen : t.CloseSquare, tight: false, operand: true };
      continue;
    }
    const lineBefore = reader.lastLine;
    const endBefore = (reader.tokens[reader.index - 1]?.endOffset ?? -1) + 1;
    take(reader);
    if (type === t.Assign) assigned = true;
    if (type === t.Question) questions++;
    const choice = type === t.Colon && questions > 0;
    if (choice) questions--;
    const range = type === t.Colon && !choice && group?.tokenType === t.OpenSquare;
    const prefix: boolean = type === t.Minus && (previous === null || !previous.operand || top);
    const hugs = type === t.Comma || type === t.Dot || type === t.Range || (type === t.Colon && !choice);
    const broken = next.startLine! > lineBefore && previous !== null;
    const breaks = broken && (breaksBefore.has(type) || breaksAfter(previous));
    const leads = group === null && place !== 'file' && pieces.length === 1 && !hugs;
    const column = leads && !broken ? { column: { at: next.startColumn!, spaces: next.startOffset - endBefore } } : {};
    pieces.push({ kind: 'token', text: next.image, spaced: previous !== null && !previous.tight && !hugs, breaks, ...column });
    previous = {
      type, tight: type === t.Dot || type === t.Range || range || prefix,
      operand: isOperandEnd(type, next) && !(type === t.SettingWord && group === null && place === 'settings'),
    };
  }
  return pieces;
}

/** What the spacing of a token needs to know of the one before it: whether it takes no space behind it, and whether it ends an operand. */
interface Before {
  readonly type: TokenType;
  readonly tight: boolean;
  readonly operand: boolean;
}

const breaksBefore = new Set<TokenType>([t.Pipe, t.Dot, t.Where, t.Except]);

const breaksAfter = (previous: Before | null): boolean =>
  previous !== null && !previous.tight && (previous.type === t.Question || previous.type === t.Pipe || (previous.type.CATEGORIES ?? []).includes(t.Infix));

const operandEnds = new Set<TokenType>([t.NumberLiteral, t.Quantity, t.Pattern, t.Text, t.True, t.False]);

const isOperandEnd = (type: TokenType, token: IToken): boolean => operandEnds.has(type) || tokenMatcher(token, t.Name);

const endsPieces = (token: IToken, group: IToken | null): boolean =>
  group === null ? endsLine(token) || token.tokenType === t.CloseBrace
    : token.tokenType === t.Comma || token.tokenType === t.CloseParen || token.tokenType === t.CloseSquare;

function readGroup(reader: Reader, place: Place, spaced: boolean): Piece {
  const open = take(reader);
  const elements: Element[] = [];
  for (;;) {
    const before: string[] = [];
    while (peek(reader)?.tokenType === t.Comment) before.push(readComment(reader).text);
    const pieces = readPieces(reader, place, open.tokenType, open);
    const after: CommentPiece[] = [];
    for (let last = pieces.at(-1); last?.kind === 'comment'; last = pieces.at(-1)) after.unshift(pieces.pop() as CommentPiece);
    const end = take(reader);
    if (end.tokenType === t.Comma) {
      while (peek(reader)?.tokenType === t.Comment && peek(reader)!.startLine === end.endLine) after.push(readComment(reader));
    }
    if (pieces.length > 0 || before.length > 0) elements.push({ before, pieces, after });
    if (end.tokenType !== t.Comma) return { kind: 'group', open: open.image, close: end.image, spaced, elements };
  }
}

function readBlock(reader: Reader, place: Place): Piece {
  const open = take(reader);
  const lines = readLines(reader, place);
  const close = take(reader);
  return { kind: 'block', place, lines, inline: open.startLine === close.startLine };
}

// ---- pieces to text ----

/** Finished lines, the one being written, and how far that one is indented. */
interface Paper {
  readonly lines: string[];
  current: string;
  indent: number;
}

function startLine(paper: Paper, indent: number): void {
  paper.lines.push(paper.current.trimEnd());
  paper.current = ' '.repeat(indent);
  paper.indent = indent;
}

function printLines(lines: readonly Line[], indent: number, place: Place, paper: Paper): void {
  let previousSingle = true;
  for (const [index, line] of lines.entries()) {
    const start = paper.lines.length;
    paper.current = ' '.repeat(indent);
    paper.indent = indent;
    printPieces(line.pieces, indent, 0, paper);
    paper.lines.push(paper.current.trimEnd());
    const single = paper.lines.length === start + 1;
    const previous = lines[index - 1];
    if (previous !== undefined && (line.apart || (place === 'file' && separates(previous, line, previousSingle && single)))) paper.lines.splice(start, 0, '');
    previousSingle = single;
  }
  paper.current = '';
}

/** Between items stands a blank line; comments stay at what they are above, and one-line items of a kind may form a group. */
const separates = (previous: Line, line: Line, singles: boolean): boolean =>
  previous.begins !== t.Comment && !(singles && previous.begins === line.begins);

/** `tail` is the width of what will follow on the same line. */
function printPieces(pieces: readonly Piece[], indent: number, tail: number, paper: Paper): void {
  let afterComment = false;
  const flatLine = flatPieces(pieces.at(-1)?.kind === 'comment' ? pieces.slice(0, -1) : pieces);
  /** Blocks of one statement are all written on its line or all on lines of their own. */
  const oneLine = flatLine !== null && paper.indent + flatLine.length <= widest;
  const begin = (spaced: boolean, breaks: boolean, spaces = 1): void => {
    if (afterComment || breaks) startLine(paper, indent + 2);
    else if (spaced) paper.current += ' '.repeat(spaces);
    afterComment = false;
  };
  for (const [index, piece] of pieces.entries()) {
    switch (piece.kind) {
      case 'token':
        begin(piece.spaced, piece.breaks, piece.column?.spaces);
        paper.current += piece.text;
        break;
      case 'comment':
        printComment(piece, indent + 2, index === 0, afterComment, paper);
        afterComment = true;
        break;
      case 'group': {
        begin(piece.spaced, false);
        const flat = flatPiece(piece);
        const fits = flat !== null && (flat.length <= solid || paper.current.length + flat.length + followingWidth(pieces, index + 1, tail) <= widest);
        if (fits) paper.current += flat;
        else printGroup(piece, paper);
        break;
      }
      case 'block': {
        begin(true, false);
        if (oneLine) paper.current += flatPiece(piece);
        else {
          paper.lines.push(`${paper.current}{`);
          printLines(piece.lines, indent + 2, piece.place, paper);
          paper.current = `${' '.repeat(indent)}}`;
          paper.indent = indent;
        }
        break;
      }
      default: piece satisfies never;
    }
  }
}

function printComment(piece: CommentPiece, indent: number, first: boolean, afterComment: boolean, paper: Paper): void {
  if (!first) {
    if (piece.ownLine || afterComment) startLine(paper, indent);
    else paper.current += ' ';
  }
  paper.current += piece.text;
}

function printGroup(group: Extract<Piece, { kind: 'group' }>, paper: Paper): void {
  const outer = paper.indent;
  paper.current += group.open;
  for (const [index, element] of group.elements.entries()) {
    for (const comment of element.before) {
      startLine(paper, outer + 2);
      paper.current += comment;
    }
    if (element.pieces.length === 0) continue;
    startLine(paper, outer + 2);
    const last = !group.elements.slice(index + 1).some(later => later.pieces.length > 0);
    printPieces(element.pieces, outer + 2, last ? 0 : 1, paper);
    if (!last) paper.current += ',';
    for (const [i, comment] of element.after.entries()) printComment(comment, outer + 2, false, i > 0, paper);
  }
  startLine(paper, outer);
  paper.current += group.close;
}

/** The piece on one line; null where a comment or a break that is kept forbids it. */
function flatPiece(piece: Piece): string | null {
  switch (piece.kind) {
    case 'token': return piece.text;
    case 'comment': return null;
    case 'group': {
      const elements = piece.elements.map(element => (element.before.length + element.after.length > 0 ? null : flatPieces(element.pieces)));
      return elements.includes(null) ? null : `${piece.open}${elements.join(', ')}${piece.close}`;
    }
    case 'block': {
      if (piece.lines.length === 0) return '{}';
      const lines = piece.inline ? piece.lines.map(line => flatPieces(line.pieces)) : [null];
      return lines.includes(null) ? null : `{ ${lines.join('; ')} }`;
    }
    default: return piece satisfies never;
  }
}

function flatPieces(pieces: readonly Piece[]): string | null {
  let text = '';
  for (const piece of pieces) {
    const flat = piece.kind === 'token' && piece.breaks ? null : flatPiece(piece);
    if (flat === null) return null;
    text += isSpaced(piece) ? ` ${flat}` : flat;
  }
  return text;
}

const isSpaced = (piece: Piece): boolean => piece.kind === 'block' || (piece.kind !== 'comment' && piece.spaced);

/** The columns up to the next place where the line may be broken. */
function followingWidth(pieces: readonly Piece[], from: number, tail: number): number {
  let width = 0;
  for (const piece of pieces.slice(from)) {
    if (piece.kind === 'comment' || (piece.kind === 'token' && piece.breaks)) return width;
    const flat = piece.kind === 'block' ? null : flatPiece(piece);
    width += isSpaced(piece) ? 1 : 0;
    if (flat === null || (piece.kind === 'group' && flat.length > solid)) return width + 1;
    width += flat.length;
  }
  return width + tail;
}
