/** What emission relies on: the runtime is exported functions, constants and types with names of their own, and imports only node. */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const folder = join(import.meta.dirname, '../runtime');
const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(name => name.endsWith('.ts'));
const sources = files.map(file => ({ file, text: readFileSync(join(folder, file), 'utf8') }));

test('every top-level declaration is exported and has a name of its own', () => {
  const seen = new Map<string, string>();
  for (const { file, text } of sources) {
    for (const line of text.split('\n').filter(other => /^[a-z]/.test(other) && !other.startsWith('import '))) {
      const name = /^export (?:async )?(?:function|const|interface|type|class) (\w+)/.exec(line)?.[1];
      if (name === undefined || seen.has(name)) throw new Error(`${file}: ${line}${seen.has(name ?? '') ? ` (also in ${seen.get(name!)})` : ''}`);
      if (line.includes(' class ') && name !== 'DataError') throw new Error(`${file}: ${line}`);
      seen.set(name, file);
    }
  }
  expect(seen.size).toBeGreaterThan(50);
});

test('imports are named, of runtime files or of the platform, and every file says what it is', () => {
  for (const { file, text } of sources) {
    expect(text.startsWith('/**'), file).toBe(true);
    for (const line of text.split('\n').filter(other => other.startsWith('import '))) {
      expect(line, file).toMatch(/^import (type )?\{ [\w, ]+ \} from '(\.\.?\/[\w-]+\.ts|node:[\w/]+)';$/);
      expect(line, file).not.toContain(' as ');
    }
  }
});

test('only files that say so use the platform', () => {
  for (const { file, text } of sources) {
    const header = text.slice(0, text.indexOf('*/'));
    const uses = /from 'node:|\bprocess\.|\bBuffer\.|setImmediate/.test(text.slice(header.length));
    expect([file, uses], file).toEqual([file, uses && header.includes('Uses node: modules')]);
  }
});
