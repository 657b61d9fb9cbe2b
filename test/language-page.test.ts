/** The language page: its examples compile, and it lists the whole library as it stands. */
import { readdirSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { elaborateText } from './support/model.ts';

const page = readFileSync(new URL('../docs/language.md', import.meta.url), 'utf8');
const examples = [...page.matchAll(/^```model\n(.*?)^```/gms)].map(match => match[1]!);

it.each(examples.map(text => [/^(?:model|fn|layer|optimizer) \w+/m.exec(text)![0], text] as const))('%s', (_, text) => {
  expect(elaborateText(text).diagnostics).toEqual([]);
});

it('lists every definition of the library with its signature', () => {
  const folder = new URL('../compiler/library/', import.meta.url);
  const signatures = readdirSync(folder).flatMap(name =>
    [...readFileSync(new URL(name, folder), 'utf8').matchAll(/^(?:fn|layer|optimizer) (\w+\([^)]*\))/gm)].map(match => match[1]!.replace(/\s+/g, ' ').replace('( ', '(').replace(' )', ')')));
  expect(signatures.filter(signature => !page.includes(signature))).toEqual([]);
});
