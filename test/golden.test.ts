/**
 * Small models with every level of their compilation stored beside them: a change of the compiler shows in the difference.
 * `UPDATE=1` writes the files anew; under CI it refuses to.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { emit } from '../compiler/6-emit/emit.ts';
import { folderOfFile } from './support/folder.ts';
import { emitOptions } from './support/run-program.ts';
import { stages } from '../compiler/cli/dump.ts';
import { compile, type Levels } from '../compiler/index.ts';
import { view } from '../compiler/view/view.ts';

const update = process.env['UPDATE'] === '1';
const folder = new URL('golden/', import.meta.url).pathname;
const cases = readdirSync(folder);

const levelsOf = (path: string): Levels => {
  const { levels, diagnostics } = compile({ path: 'source.model', text: readFileSync(path, 'utf8'), library: false }, 'schedule', { verify: true });
  expect(diagnostics).toEqual([]);
  return levels;
};
const emitted = (levels: Levels): string => emit(levels, emitOptions('typescript'));

const files: Readonly<Record<string, (levels: Levels) => string>> = {
  'graph.txt': stages.model.print,
  'gradient.txt': stages.gradient.print,
  'simplified.txt': stages.simplified.print,
  'kernels.txt': levels => `${stages.program.print(levels)}\n${stages.kernels.print(levels)}`,
  // The runtime that follows is tested by itself.
  'program.ts': levels => emitted(levels).split(/^\/\/ ── The runtime.*$/m)[0]!,
  'forward.dot': levels => view(levels, 'forward'),
};

describe.each(cases)('%s', name => {
  const levels = levelsOf(join(folder, name, 'source.model'));
  it.each(Object.keys(files))('%s', file => {
    const path = join(folder, name, file);
    const text = files[file]!(levels);
    if (update) {
      expect(process.env['CI'], 'golden files are written by people who look at them, not under CI').not.toBe('true');
      writeFileSync(path, text);
    }
    expect(existsSync(path), `\`${file}\` is missing: write it with UPDATE=1`).toBe(true);
    expect(text).toBe(readFileSync(path, 'utf8'));
  });
});

describe('emitted programs', () => {
  const out = folderOfFile();

  it('pass the strict type checker', () => {
    const root = new URL('../', import.meta.url).pathname;
    const written = [...cases.map(name => [name, 'typescript'] as const), ['mlp', 'wasm'] as const, ['mlp', 'webgpu'] as const];
    const programs = written.map(([name, target]) => {
      const path = join(out, `${name}-${target}.ts`);
      writeFileSync(path, emit(levelsOf(join(folder, name, 'source.model')), emitOptions(target)));
      return path;
    });
    const options = [
      '--noEmit', '--strict', '--noFallthroughCasesInSwitch', '--erasableSyntaxOnly',
      '--target', 'es2024', '--module', 'nodenext', '--types', 'node', '--typeRoots', join(root, 'node_modules/@types'),
    ];
    writeFileSync(join(out, 'package.json'), '{ "type": "module" }');
    expect(typeErrors(join(root, 'node_modules/.bin/tsc'), [...options, ...programs], out)).toBe('');
  }, 60_000);
});

/** What the type checker prints. */
function typeErrors(checker: string, args: readonly string[], cwd: string): string {
  try {
    execFileSync(checker, args, { cwd, stdio: 'pipe', encoding: 'utf8' });
    return '';
  } catch (error) {
    return (error as { readonly stdout: string }).stdout;
  }
}
