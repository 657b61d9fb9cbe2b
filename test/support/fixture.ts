/** What PyTorch computed for a model (`test/fixtures/case.py` says what a file holds), and the model compiled as it was there. */
import { readdirSync, readFileSync } from 'node:fs';
import { importReader } from '../../compiler/cli/read-source.ts';
import { compile, type Levels } from '../../compiler/index.ts';
import { openBytes, wholeFileLimit } from '../../runtime/files.ts';
import { readSafetensors } from '../../runtime/safetensors.ts';
import { readTensor } from '../../runtime/stored-tensor.ts';
import { elementCount, newTensorArray } from '../../runtime/tensor.ts';

export const fixtureNames: readonly string[] = readdirSync(new URL('../fixtures/', import.meta.url))
  .filter(name => name.endsWith('.safetensors')).map(name => name.replace('.safetensors', ''));

/** The interpreters are slow: they do not run these models. */
export const large = ['mnist', 'lenet', 'alexnet', 'resnet', 'vit', 'mixer', 'autoencoder', 'vae', 'gan', 'diffusion', 'dalle'];

/** What single precision may differ by. Beside a normalisation gradients are sums that all but cancel. */
export const singleTolerance = (name: string): number => (['diffusion', 'gan', 'mixer', 'resnet', 'vit'].includes(name) ? 5e-5 : 2e-5);

export interface Fixture {
  readonly levels: Levels;
  readonly batch: number;
  readonly path: string;
  /** The model's file, from the top of the repository. */
  readonly model: string;
  /** What the program calls what the fixture's stage does: `train`, of one stage of several `Dalle.train`. */
  readonly entry: (what: string) => string;
  /** Tensors by their names within a group: `group('weights')` has `linear.0.weight`. */
  readonly group: (name: string) => ReadonlyMap<string, Float64Array>;
  readonly losses: Float64Array;
  /** The rows of batch `i`, by input. */
  readonly rows: (i: number) => ReadonlyMap<string, Float64Array>;
}

/** A model's random numbers stand for functions of its inputs, which PyTorch computes as well. */
function replaced(text: string, instead: Readonly<Record<string, string>>): string {
  return Object.entries(instead).reduce((before, [from, to]) => {
    if (!before.includes(from)) throw new Error(`the model has no ${from}`);
    return before.replaceAll(from, to);
  }, text);
}

export function readFixture(name: string): Fixture {
  const path = new URL(`../fixtures/${name}.safetensors`, import.meta.url).pathname;
  const { tensors, metadata } = readSafetensors(openBytes(path, path, wholeFileLimit));
  const { model, batch, settings, optimizer, instead, stage = '' } = metadata as Readonly<Record<'model' | 'batch' | 'settings' | 'optimizer', string>> & { readonly instead?: string; readonly stage?: string };
  const text = replaced(readFileSync(new URL(`../../${model}`, import.meta.url), 'utf8'), JSON.parse(instead ?? '{}') as Record<string, string>)
    .replace(/^  batch .*$/gm, `  batch ${batch}`)
    .replace(/^  optimizer (.*\(\n(?: {4}.*\n)+  \).*|.*)$/gm, lines => (optimizer === '' ? lines : `  optimizer ${optimizer}`));
  const { levels, diagnostics } = compile({ path: model, text, library: false }, 'schedule', {
    settings: new Map(Object.entries(JSON.parse(settings) as Record<string, string>)), readImport: importReader(model), verify: true,
  });
  if (diagnostics.length > 0) throw new Error(diagnostics.map(d => d.message).join('; '));
  const valuesOf = (key: string): Float64Array => {
    const stored = tensors.get(key)!;
    const dtype = stored.kind === 'i32' || stored.kind === 'u8' ? stored.kind : 'f32';
    const values = newTensorArray(dtype, elementCount(stored.shape));
    readTensor(stored, values, dtype);
    return Float64Array.from(values);
  };
  const group = (title: string): ReadonlyMap<string, Float64Array> =>
    new Map([...tensors.keys()].filter(key => key.startsWith(`${title}/`)).map(key => [key.slice(title.length + 1), valuesOf(key)]));
  const rows = group('rows');
  return {
    levels, batch: Number(batch), path, model, entry: what => (stage === '' ? what : `${stage}.${what}`), group, losses: valuesOf('losses'),
    rows: i => new Map([...rows].map(([input, values]) => [input, values.subarray(i * values.length / 10, (i + 1) * values.length / 10)])),
  };
}
