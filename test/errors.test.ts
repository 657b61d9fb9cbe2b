/**
 * Wrong programs and what is said of them. Under each wrong line of `test/errors/*.model` stands a comment with `^` under the primary
 * span and the code, `//   ^^^ syntax.type`, or `//   ^^^ syntax.type: part of the message`. Exactly the marked diagnostics must come.
 */
import { existsSync, globSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parse } from '../compiler/1-parse/parse.ts';
import { codes } from '../compiler/source/codes.ts';
import type { Diagnostic } from '../compiler/source/diagnostic.ts';
import { position } from '../compiler/source/text.ts';
import type { SourceFile } from '../compiler/source/text.ts';

type Check = (file: SourceFile, options: Record<string, never>) => readonly Diagnostic[];

/** The whole front end where it is there, else the parser alone. */
const index = new URL('../compiler/index.ts', import.meta.url);
const compiler = existsSync(index) ? (await import(index.href)) as { check?: Check } : {};
const check: Check = compiler.check ?? (file => parse(file).diagnostics);

interface Expected {
  readonly place: string;
  readonly code: string;
  readonly part: string;
}

function annotations(text: string): Expected[] {
  const result: Expected[] = [];
  let line = 0;
  for (const [index, source] of text.split('\n').entries()) {
    const match = /^(\s*\/\/ *)(\^+) ([\w.]+)(?:: (.*))?$/.exec(source);
    if (match === null) line = index + 1;
    else result.push({ place: `${line}:${match[1]!.length + 1}-${match[1]!.length + match[2]!.length}`, code: match[3]!, part: match[4] ?? '' });
  }
  return result;
}

/** The first line of a span, as annotations mark it. */
function placeOf({ span }: Diagnostic): string {
  if (span === null) return 'nowhere';
  const { line, column } = position(span.file, span.start);
  const lineEnd = span.file.text.indexOf('\n', span.start);
  const end = Math.min(span.end, lineEnd < 0 ? span.file.text.length : lineEnd);
  return `${line}:${column}-${Math.max(column, column + end - span.start - 1)}`;
}

const files = globSync('test/errors/*.model').sort();

test.each(files)('%s', path => {
  const text = readFileSync(path, 'utf8');
  const diagnostics = check({ path, text, library: false }, {});
  const expected = annotations(text);
  const shown = (place: string, code: string): string => `${place} ${code}`;
  expect(diagnostics.map(d => shown(placeOf(d), d.code)).sort()).toEqual(expected.map(e => shown(e.place, e.code)).sort());
  for (const { place, code, part } of expected) {
    const found = diagnostics.find(d => placeOf(d) === place && d.code === code)!;
    expect([found.message, found.label, found.help, ...(found.notes ?? [])].join('\n')).toContain(part);
  }
});

test('each syntax code has a wrong program, and each code that is used an explanation', () => {
  const used = new Set(files.flatMap(path => annotations(readFileSync(path, 'utf8')).map(annotation => annotation.code)));
  const beyondFiles = new Set(['syntax.size']);
  expect(Object.keys(codes).filter(code => code.startsWith('syntax.') && !used.has(code) && !beyondFiles.has(code))).toEqual([]);
  expect([...used].filter(code => !/\.C\d+$/.test(code) && !Object.hasOwn(codes, code))).toEqual([]);
});
