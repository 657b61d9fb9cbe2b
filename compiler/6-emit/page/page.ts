/**
 * A page that trains the model: one HTML file with the program, what runs it, the script of the page, its charts, the picture of the model
 * and, where it is given, the data. Nothing in it comes from elsewhere.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { gzipSync } from 'node:zlib';
import type { DataField, Model, Stage } from '../../ir/model.ts';
import { size } from '../../ir/type.ts';
import { emit, type EmitLevels, type EmitOptions } from '../emit.ts';
import { reached, readRuntime } from '../runtime.ts';
import { withoutTypes } from '../ts-morph.ts';

export interface PageOptions {
  /** The page carries a program for each, and trains with the first one that runs where it is opened. */
  readonly programs: readonly Pick<EmitOptions, 'target' | 'deterministic' | 'debugNan'>[];
  /** The picture of the model, as SVG. */
  readonly picture: string;
  /** The data files that the page carries: by their names in the `data` block, and pictures by their paths from the data folder. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** Null for a page that stands alone. */
  readonly served: ServedPage | null;
}

/** What the page of a server knows. */
export interface ServedPage {
  /** Of the text that the page is made of; the server tells when it is another. */
  readonly version: string;
  readonly hyperparameters: readonly Hyperparameter[];
}

export interface Hyperparameter {
  readonly name: string;
  readonly value: string;
}

/** What a model reads, as its `data` block has it. */
export interface DataNames {
  readonly files: readonly string[];
  /** Folders of pictures. */
  readonly folders: readonly string[];
  /** Whether tables name picture files. */
  readonly pictures: boolean;
}

export function dataNames(model: Model): DataNames {
  const sources = (model.data?.sources ?? []).filter(({ format }) => format !== 'synthetic');
  const [folders, others] = [true, false].map(wanted => sources.filter(({ format }) => (format === 'images') === wanted).flatMap(({ fields }) => fields)) as [DataField[], DataField[]];
  const unique = (fields: readonly DataField[]): readonly string[] => [...new Set(fields.map(({ file }) => file))];
  return { files: unique(others), folders: unique(folders), pictures: others.some(({ picture }) => picture) };
}

export function emitPage(levels: EmitLevels, options: PageOptions): string {
  const { programs, picture, files, served } = options;
  const model = levels.model!;
  const names = dataNames(model);
  const parts: Readonly<Record<string, string>> = {
    version: escaped(served?.version ?? ''),
    name: escaped(model.name),
    doc: escaped(model.doc ?? ''),
    summary: escaped(summary(model)),
    path: escaped(levels.file.span.file.path),
    style: `${library('uplot/dist/uPlot.min.css')}\n${own('page.css')}`,
    graph: picture.slice(picture.indexOf('<svg')),
    graphOpen: picture.length < 60_000 ? 'open' : '',
    hyperparameters: served === null || served.hyperparameters.length === 0 ? '' : hyperparametersForm(served.hyperparameters),
    compiled: `The optimizer, the batch and all sizes are compiled in: change them in <code>${escaped(levels.file.span.file.path)}</code>, `
      + (served === null ? 'and build the page again.' : 'and the page follows.'),
    facts: JSON.stringify({ ...names, served: served !== null }).replaceAll('<', '\\u003c'),
    programs: programs.map(each => `<script type="text/plain" class="program">${inScript(emit(levels, { ...each, form: 'page', javascript: true }))}</script>`).join('\n'),
    data: carried(files, names).map(([name, bytes]) => `<script type="text/plain" data-file="${escaped(name)}">${bytes.toString('base64')}</script>`).join('\n'),
    charts: inScript(library('uplot/dist/uPlot.iife.min.js')),
    page: inScript(pageScript('startPage', '')),
  };
  return filled(own('page.html'), parts);
}

/** The page of a server whose model has errors: shows them, and what has become of them after each change. */
export const emitErrorsPage = (path: string, errors: string, version: string): string =>
  filled(own('errors.html'), { version: escaped(version), path: escaped(path), style: own('page.css'), errors: escaped(errors), page: inScript(pageScript('openServed', '() => false')) });

const filled = (text: string, parts: Readonly<Record<string, string>>): string => text.replaceAll(/\{\{(\w+)\}\}/g, (_, name: string) => parts[name]!);

const own = (file: string): string => readFileSync(new URL(file, import.meta.url), 'utf8');
const library = (file: string): string => readFileSync(createRequire(import.meta.url).resolve(file), 'utf8');

/** A script of the runtime's sources that calls one of its functions. */
function pageScript(start: string, argument: string): string {
  const { declarations } = reached(readRuntime(), new Set([start]));
  return withoutTypes([...declarations.map(declaration => declaration.text), `${start}(${argument});`].join('\n'), false);
}

/** Data files as they stand in the page: pictures, which are packed, and may be thousands, as one file without a name. */
function carried(files: ReadonlyMap<string, Uint8Array>, { files: named }: DataNames): readonly (readonly [string, Buffer])[] {
  const pictures = [...files].filter(([name]) => !named.includes(name));
  const bundle = (): Buffer => Buffer.concat([bundleHeader(pictures.map(([name, { length }]) => [name, length])), ...pictures.map(([, bytes]) => bytes)]);
  return [...[...files].filter(([name]) => named.includes(name)).map(([name, bytes]) => [name, packed(bytes)] as const),
    ...(pictures.length === 0 ? [] : [['', bundle()] as const])];
}

/** What stands before the bytes of files that follow one another: the length of a JSON text, and in this their names and sizes. */
export function bundleHeader(sizes: readonly (readonly [string, number])[]): Buffer {
  const text = Buffer.from(JSON.stringify(sizes));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(text.length);
  return Buffer.concat([length, text]);
}

const packed = (bytes: Uint8Array): Buffer => (bytes[0] === 0x1f && bytes[1] === 0x8b ? Buffer.from(bytes) : gzipSync(bytes));

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

/** A script's text cannot end the element that it stands in: where these occur it is inside of strings, which mean the same so. */
const inScript = (text: string): string => text.replaceAll('</', '<\\/').replaceAll('<!--', '<\\!--');

function summary(model: Model): string {
  const leaves = new Set(model.stages.flatMap(({ parameters }) => parameters.map(({ leaf }) => leaf)));
  const count = [...leaves].reduce((sum, { type }) => sum + size(type.dims.map(dim => dim.extent)), 0);
  const batches = (stage: Stage): string => `batches of ${stage.batch}${stage.settings.accumulate === 1 ? '' : `, ${stage.settings.accumulate} of them a step`}`;
  const [only, ...others] = model.stages;
  return `${count.toLocaleString('en-US')} parameters, ${others.length === 0 ? batches(only!) : model.stages.map(stage => `${stage.name} in ${batches(stage)}`).join(', ')}`;
}

/** A change asks the server for another page. */
function hyperparametersForm(hyperparameters: readonly Hyperparameter[]): string {
  const fields = hyperparameters.map(({ name, value }) => `<label class="field">${escaped(name)}<input name="${escaped(name)}" value="${escaped(value)}" required></label>`);
  return `<form class="hyperparameters" method="get"><div class="fields">${fields.join('')}</div><button>Compile again</button></form>`;
}
