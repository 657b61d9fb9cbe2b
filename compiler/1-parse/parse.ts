/**
 * Text to syntax tree. Takes a source file and gives its tree together with everything that is wrong with its form. Never throws:
 * whatever the text is, a tree comes back, with `missing` expressions where something was skipped.
 */
import type { IToken } from 'chevrotain';
import type { Diagnostic } from '../source/diagnostic.ts';
import type { SourceFile } from '../source/text.ts';
import type { File } from './ast.ts';
import { balanceBrackets } from './brackets.ts';
import { Grammar } from './grammar.ts';
import { lex } from './lex.ts';
import { joinLines } from './lines.ts';
import { mendSlips } from './slips.ts';

const grammar = new Grammar();

export interface Parsed {
  readonly file: File;
  readonly diagnostics: readonly Diagnostic[];
  /** The tokens that the tree was built from, and the comments; the formatter prints these. */
  readonly tokens: readonly IToken[];
  readonly comments: readonly IToken[];
}

/** Parses a file; of several mistakes on a line the first found is reported. */
export function parse(file: SourceFile): Parsed {
  const { tokens, comments, diagnostics: lexical } = lex(file);
  const diagnostics: Diagnostic[] = [...lexical];
  const report = (diagnostic: Diagnostic): void => void diagnostics.push(diagnostic);
  const empty: File = { kind: 'file', imports: [], items: [], span: { file, start: 0, end: file.text.length } };

  const balanced = balanceBrackets(file, tokens, report);
  if (balanced === null) return { file: empty, diagnostics: onePerLine(file, diagnostics), tokens: [], comments };
  const lines = mendSlips(file, joinLines(balanced), report);
  const tree = grammar.read({ file, comments, report }, lines);
  return { file: tree, diagnostics: onePerLine(file, diagnostics), tokens: lines, comments };
}

/** The first phase to find something on a line saw the cause; what later phases find there follows from it. */
function onePerLine(file: SourceFile, diagnostics: readonly Diagnostic[]): Diagnostic[] {
  const start = (diagnostic: Diagnostic): number => diagnostic.span?.start ?? 0;
  const sorted = diagnostics.toSorted((a, b) => start(a) - start(b));
  const order = new Map(diagnostics.map((diagnostic, index) => [diagnostic, index]));
  const result: Diagnostic[] = [];
  let lineEnd = -1;
  for (const diagnostic of sorted) {
    if (start(diagnostic) <= lineEnd) {
      if (order.get(diagnostic)! < order.get(result.at(-1)!)!) result[result.length - 1] = diagnostic;
      continue;
    }
    result.push(diagnostic);
    const end = file.text.indexOf('\n', start(diagnostic));
    lineEnd = end < 0 ? file.text.length : end;
  }
  return result;
}
