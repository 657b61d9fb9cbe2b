/**
 * Draws diagnostics. Takes a diagnostic and gives text for a terminal, with the lines it speaks of and marks under them, or a plain
 * object for tools. Every place of a conflict is shown, the primary one with `^`, the others with `─`.
 */
import type { Diagnostic, Label } from './diagnostic.ts';
import { position } from './text.ts';
import type { Locate, SourceFile, Span } from './text.ts';

/** Columns of source text that are shown of a line; longer lines are cut around the marks. */
const widest = 120;

/** The code frame of a diagnostic, several lines without a final line end. For many of them, `locate` is one of `positions`. */
export function renderDiagnostic(diagnostic: Diagnostic, options: { readonly color: boolean; readonly locate?: Locate }): string {
  const locate = options.locate ?? position;
  const paint = options.color ? painted : plain;
  const lines = [`${paint('red', `error[${diagnostic.code}]`)}${paint('bold', `: ${diagnostic.message}`)}`];
  const labels: Mark[] = [];
  if (diagnostic.span !== null) labels.push({ span: diagnostic.span, text: diagnostic.label ?? '', primary: true });
  for (const { span, text } of diagnostic.secondary ?? []) labels.push({ span, text, primary: false });

  const files = [...new Set(labels.map(label => label.span.file))];
  const placed = labels.flatMap(label => placeMark(label, locate));
  const gutter = Math.max(0, ...placed.map(mark => String(mark.line).length));
  const indent = ' '.repeat(gutter);
  for (const [index, file] of files.entries()) {
    const marks = placed.filter(mark => mark.file === file);
    const { line, column } = locate(file, labels.find(label => label.span.file === file)!.span.start);
    lines.push(`${indent} ${paint('blue', index === 0 ? '┌─' : '├─')} ${file.path}:${line}:${column}`);
    const numbers = [...new Set(marks.map(mark => mark.line))].sort((a, b) => a - b);
    for (const [i, number] of numbers.entries()) {
      if (i > 0 && number > numbers[i - 1]! + 1) lines.push(`${indent} ${paint('blue', '·')}`);
      const [source, ...under] = drawLine(marks.filter(mark => mark.line === number), paint);
      lines.push(`${paint('blue', `${String(number).padStart(gutter)} │`)} ${source}`.trimEnd());
      for (const text of under) lines.push(`${indent} ${paint('blue', '│')} ${text}`.trimEnd());
    }
  }
  for (const note of diagnostic.notes ?? []) lines.push(`${indent} = ${paint('bold', 'note')}: ${note}`);
  if (diagnostic.help !== undefined) lines.push(`${indent} = ${paint('bold', 'help')}: ${diagnostic.help}`);
  return lines.join('\n');
}

/** A diagnostic for tools: positions are one-based lines and columns, ends exclusive. */
export function diagnosticJson(diagnostic: Diagnostic, locate: Locate = position): Readonly<Record<string, unknown>> {
  const { code, message, label = null, secondary = [], notes = [], help = null } = diagnostic;
  return {
    code, message, ...(diagnostic.span === null ? noRange : range(diagnostic.span, locate)), label,
    secondary: secondary.map((other: Label) => ({ ...range(other.span, locate), text: other.text })), notes, help,
  };
}

const noRange = { file: null, line: null, column: null, endLine: null, endColumn: null };

function range(span: Span, locate: Locate): Readonly<Record<keyof typeof noRange, string | number>> {
  const start = locate(span.file, span.start);
  const end = locate(span.file, span.end);
  return { file: span.file.path, line: start.line, column: start.column, endLine: end.line, endColumn: end.column };
}

interface Mark {
  readonly span: Span;
  readonly text: string;
  readonly primary: boolean;
}

/** A mark on one line: offsets within the line, the end at least one behind the start. */
interface LineMark {
  readonly file: SourceFile;
  readonly line: number;
  readonly source: string;
  readonly start: number;
  readonly end: number;
  readonly text: string;
  readonly primary: boolean;
}

/** A span of several lines is marked on its first and its last line. */
function placeMark({ span, text, primary }: Mark, locate: Locate): readonly LineMark[] {
  const { file } = span;
  const first = lineAt(file, span.start, locate);
  const last = lineAt(file, Math.max(span.start, span.end - 1), locate);
  const mark = (line: typeof first, start: number, end: number, label: string): LineMark =>
    ({ file, line: line.number, source: line.text, start, end: Math.max(end, start + 1), text: label, primary });
  if (first.number === last.number) return [mark(first, span.start - first.start, span.end - first.start, text)];
  const lead = last.text.length - last.text.trimStart().length;
  return [mark(first, span.start - first.start, first.text.length, 'from here'), mark(last, lead, span.end - last.start, text === '' ? 'to here' : text)];
}

function lineAt(file: SourceFile, offset: number, locate: Locate): { readonly number: number; readonly start: number; readonly text: string } {
  const { line, column } = locate(file, offset);
  const start = offset - column + 1;
  const end = file.text.indexOf('\n', start);
  return { number: line, start, text: file.text.slice(start, end < 0 ? undefined : end).replace(/\r$/, '') };
}

/** The source line, the line of marks with the label of the last, and a line for each label before it. */
function drawLine(marks: readonly LineMark[], paint: Paint): readonly string[] {
  const shown = cut(marks);
  const columns = shown.marks.map(mark => ({ ...mark, from: width(shown.text.slice(0, mark.start)), to: width(shown.text.slice(0, mark.end)) }))
    .map(mark => ({ ...mark, to: Math.max(mark.to, mark.from + 1) }))
    .sort((a, b) => a.from - b.from || a.to - b.to);
  let under = '';
  let at = 0;
  for (const mark of columns) {
    if (mark.to <= at) continue;
    const from = Math.max(mark.from, at);
    under += ' '.repeat(from - at) + paint(mark.primary ? 'red' : 'blue', (mark.primary ? '^' : '─').repeat(mark.to - from));
    at = mark.to;
  }
  const result = [expand(shown.text)];
  const last = columns.at(-1)!;
  result.push(last.text === '' ? under : `${under} ${paint(last.primary ? 'red' : 'blue', last.text)}`);
  for (const mark of columns.slice(0, -1).reverse()) {
    if (mark.text !== '') result.push(`${' '.repeat(mark.from)}${paint(mark.primary ? 'red' : 'blue', `└── ${mark.text}`)}`);
  }
  return result;
}

/** Cuts a long line to the surroundings of its first mark; marks outside end at the edge. */
function cut(marks: readonly LineMark[]): { readonly text: string; readonly marks: readonly LineMark[] } {
  const source = marks[0]!.source;
  if (source.length <= widest) return { text: source, marks };
  const first = Math.min(...marks.map(mark => mark.start));
  const from = Math.min(Math.max(0, first - 40), Math.max(0, source.length - widest));
  const to = Math.min(source.length, from + widest);
  const [left, right] = [from > 0 ? '…' : '', to < source.length ? '…' : ''];
  const moved = (offset: number): number => Math.min(Math.max(offset, from), to) - from + left.length;
  return { text: left + source.slice(from, to) + right, marks: marks.map(mark => ({ ...mark, start: moved(mark.start), end: Math.max(moved(mark.end), moved(mark.start) + 1) })) };
}

/** Tabs become two spaces and control characters visible, so that marks stand under what they mark. */
const expand = (text: string): string => text.replaceAll('\t', '  ').replace(/[\u0000-\u001f\u007f\u2028\u2029]/g, '·');

/** Columns in a terminal: two for the wide characters of East Asian scripts and emoji, none for combining marks. */
function width(text: string): number {
  let columns = 0;
  for (const character of expand(text)) {
    if (/[\p{Mn}\p{Me}\u200b-\u200d\ufe0f]/u.test(character)) continue;
    columns += /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u.test(character) ? 2 : 1;
  }
  return columns;
}

type Color = 'red' | 'blue' | 'bold';
type Paint = (color: Color, text: string) => string;

const plain: Paint = (_, text) => text;
const painted: Paint = (color, text) => `\u001b[${({ red: '1;31', blue: '34', bold: '1' } satisfies Record<Color, string>)[color]}m${text}\u001b[0m`;
