/** Models for tests: source text elaborated with the library, and its values computed by the reference interpreter. */
import { readdirSync, readFileSync } from 'node:fs';
import type { File } from '../../compiler/1-parse/ast.ts';
import { parse } from '../../compiler/1-parse/parse.ts';
import { elaborate } from '../../compiler/2-elaborate/elaborate.ts';
import type { DataFiles } from '../../compiler/2-elaborate/vocabulary.ts';
import { evaluateGraph } from '../../compiler/ir/evaluate.ts';
import { topological, type Value } from '../../compiler/ir/graph.ts';
import type { Model } from '../../compiler/ir/model.ts';
import { shapeOf } from '../../compiler/ir/type.ts';
import type { Tensor } from '../../compiler/ops/define.ts';
import type { Diagnostic } from '../../compiler/source/diagnostic.ts';

const folder = new URL('../../compiler/library/', import.meta.url);
const parsed = (path: string, text: string, library: boolean): File => {
  const { file, diagnostics } = parse({ path, text, library });
  if (diagnostics.length > 0) throw new Error(`${path}: ${diagnostics.map(d => d.message).join('; ')}`);
  return file;
};
const library: readonly File[] = readdirSync(folder).map(name => parsed(`library/${name}`, readFileSync(new URL(name, folder), 'utf8'), true));

export interface Options {
  readonly settings?: Readonly<Record<string, string>>;
  /** Other files of the project, by path. */
  readonly files?: Readonly<Record<string, string>>;
  /** Texts of the data folder, by path. */
  readonly data?: Readonly<Record<string, string>>;
}

/** Data files that are texts in memory. */
export const dataFilesOf = (texts: Readonly<Record<string, string>>): DataFiles => ({
  characters: file => (texts[file] === undefined ? { reason: 'there is no such file' } : { characters: [...new Set(texts[file])].sort().join('') }),
  text: file => (texts[file] === undefined ? { reason: 'there is no such file' } : { text: texts[file] }),
});

export function elaborateText(text: string, options: Options = {}): { readonly model: Model | null; readonly diagnostics: readonly Diagnostic[] } {
  const files = options.files ?? {};
  return elaborate(parsed('test.model', text, false), {
    library,
    settings: new Map(Object.entries(options.settings ?? {})),
    dataFiles: dataFilesOf(options.data ?? {}),
    readImport: path => (files[path] === undefined ? { reason: 'there is no such file' } : { file: parsed(path, files[path], false) }),
  });
}

/** The model of a text without errors. */
export function modelOf(text: string, options: Options = {}): Model {
  const { model, diagnostics } = elaborateText(text, options);
  if (model === null) throw new Error(diagnostics.map(d => `[${d.code}] ${d.message}`).join('\n'));
  return model;
}

/** Values of a graph, with tensors for its leaves by name; `seed` is 1, `step` 1, `steps` 10 and the learning rate's factor 1 unless given. */
export function evaluateNamed(roots: readonly Value[], feeds: Readonly<Record<string, Tensor>>): Tensor[] {
  const scalar = (value: number): Tensor => ({ dtype: 'i32', shape: [], data: Float64Array.of(value) });
  const all: Readonly<Record<string, Tensor>> = { seed: scalar(1), step: scalar(1), steps: scalar(10), learning_rate_factor: scalarTensor(1), ...feeds };
  const leaves = new Map<Value, Tensor>();
  for (const value of topological(roots)) {
    if (value.leaf === null) continue;
    const fed = all[value.leaf.name];
    if (fed === undefined) throw new Error(`nothing for ${value.leaf.name}`);
    if (fed.shape.join() !== shapeOf(value.type).join()) throw new Error(`${value.leaf.name} has shape ${shapeOf(value.type).join()}, not ${fed.shape.join()}`);
    leaves.set(value, fed);
  }
  const values = evaluateGraph(roots, leaves);
  return roots.map(root => values.get(root)!);
}

export const scalarTensor = (value: number): Tensor => ({ dtype: 'f32', shape: [], data: Float64Array.of(value) });
export const vector = (values: readonly number[]): Tensor => ({ dtype: 'f32', shape: [values.length], data: Float64Array.from(values) });
