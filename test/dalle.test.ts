/** The stages of `models/dalle.model` on the pictures of its script: a few steps of each already learn. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { folderOfTest } from './support/folder.ts';

folderOfTest({ enter: true });

const root = new URL('../', import.meta.url).pathname;
const node = (...args: readonly string[]): string => execFileSync(process.execPath, args, { encoding: 'utf8' });

test('pictures become codes, captions tell codes, and the judge tells pictures', () => {
  node(join(root, 'models/data/shapes.ts'), 'shapes');
  // A few of them are read in less time.
  writeFileSync('shapes/train.jsonl', readFileSync('shapes/train.jsonl', 'utf8').split('\n').slice(0, 1500).join('\n'));
  expect(readFileSync('shapes/test.jsonl', 'utf8').split('\n', 2)[0]).toMatch(/^\{"caption":"large red circle right","colour":0,"shape":0,"picture":\[\[\[/);
  const nabla = (command: string, ...flags: readonly string[]): string =>
    node(join(root, 'compiler/cli/nabla.js'), command, join(root, 'models/dalle.model'), '--data', 'shapes', ...flags);
  const told = nabla('train', '--steps', '80');
  const results = [...told.matchAll(/^finished after step 80: .*$/gm)].map(([line]) => Object.fromEntries([...line.matchAll(/(\w+) ([\d.]+)/g)].map(([, name, value]) => [name, Number(value)])));
  expect(results.map(result => Object.keys(result).sort())).toEqual([['error', 'loss', 'step'], ['image', 'loss', 'step', 'text'], ['loss', 'right', 'step']]);
  // From 0.28 that black pictures would have, from log 28 and log 128, from one in forty.
  const [codes, captions, judge] = results as [Record<string, number>, Record<string, number>, Record<string, number>];
  expect(codes['error']).toBeLessThan(0.14);
  expect(captions['text']).toBeLessThan(2.4);
  expect(captions['image']).toBeLessThan(2.6);
  expect(judge['right']).toBeGreaterThan(0.3);
  expect(['dalle.safetensors', 'dalle.Dvae.svg', 'dalle.Dalle.svg', 'dalle.Judge.svg'].filter(existsSync)).toHaveLength(4);
}, 300_000);
