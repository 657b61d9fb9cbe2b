/** Patterns over parameter paths: `*` stands for any characters, dots too, so `*.bias` is every bias and `encoder.*` all of an encoder. */
import type { Span } from '../source/text.ts';
import { suggest } from '../source/suggest.ts';
import { report, type Context } from './context.ts';

export interface Pattern {
  readonly text: string;
  readonly span: Span;
}

export function matchesPattern(path: string, pattern: string): boolean {
  const parts = pattern.split('*');
  if (parts.length === 1) return path === pattern;
  const first = parts[0]!;
  const last = parts[parts.length - 1]!;
  if (!path.startsWith(first) || !path.endsWith(last) || path.length < first.length + last.length) return false;
  let at = first.length;
  for (const part of parts.slice(1, -1)) {
    const found = path.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return at <= path.length - last.length;
}

export function unmatchedPattern(context: Context, pattern: Pattern, paths: readonly string[]): void {
  const segments = [...new Set(paths.flatMap(path => path.split('.')))];
  const word = pattern.text.split('.').filter(part => part !== '*' && part !== '').pop() ?? pattern.text;
  const near = suggest(pattern.text, paths) ?? suggest(word, segments);
  const shown = paths.slice(0, 6).map(path => `\`${path}\``).join(', ');
  report(context, {
    code: 'train.pattern', message: `no parameter matches \`${pattern.text}\``, span: pattern.span,
    help: near === null ? null : `did you mean \`${pattern.text.includes('*') && !near.includes('.') ? pattern.text.replace(word, near) : near}\`?`,
    notes: [paths.length === 0 ? 'the model has no parameters' : `the parameters are ${shown}${paths.length > 6 ? ', …' : ''}`],
  });
}
