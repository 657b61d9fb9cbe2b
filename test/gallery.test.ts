/** The gallery of `docs/models.md` has every model of the README's table, and every picture that pages show is there. */
import { existsSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

const root = new URL('../', import.meta.url);
const pages = ['README.md', 'docs/models.md'] as const;
const [readme, gallery] = pages.map(path => readFileSync(new URL(path, root), 'utf8')) as [string, string];
const rows = readme.split('\n').filter(line => /^\| \[[\w-]+\]\(models\//.test(line));
const names = rows.map(row => /\[([\w-]+)\]/.exec(row)![1]!);

it('has a section for each row, in their order, and each row leads to its own', () => {
  expect([...gallery.matchAll(/^## (.+)$/gm)].map(match => match[1])).toEqual(names);
  expect(rows.map(row => /\(docs\/models\.md#([\w-]+)\)/.exec(row)?.[1])).toEqual(names);
});

it('has the picture of each graph, and a place for what training leaves', () => {
  expect(names.filter(name => name !== 'gpt-pairs' && !gallery.includes(`src="images/models/${name}.svg"`))).toEqual([]);
  expect([...gallery.matchAll(/^<!-- trained: (.+) -->$/gm)].map(match => match[1])).toEqual(names.filter(name => name !== 'gpt2'));
});

it.each(pages)('%s shows pictures that are there', page => {
  const paths = [...readFileSync(new URL(page, root), 'utf8').matchAll(/<img src="([^"]+)"/g)].map(match => match[1]!);
  expect(paths.length).toBeGreaterThan(0);
  expect(paths.filter(path => !existsSync(new URL(path, new URL(page, root))))).toEqual([]);
});
