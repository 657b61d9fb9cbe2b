/**
 * From the syntax tree to a model: names resolved, layers instantiated, loops unrolled, shapes inferred. The body of the model is
 * elaborated for training, for evaluation and for a single row, over the same parameters. Every error found is returned; a model
 * is returned only when there is none.
 */
import type { DataBlock, File, GenerateBlock, ModelItem, TrainBlock } from '../1-parse/ast.ts';
import type { Model } from '../ir/model.ts';
import { opTable } from '../ops/index.ts';
import type { Diagnostic } from '../source/diagnostic.ts';
import { checkDefinitions } from './check-definitions.ts';
import { attempt, Exhausted, keyword, newContext, newRegistry, report, type Context } from './context.ts';
import { elaborateData } from './data.ts';
import { bindHyperparameters, applySettings } from './hyperparameters.ts';
import { elaborateGeneration } from './generate.ts';
import { elaborateForward, parametersOf, statesOf, type Elaboration } from './model.ts';
import { libraryModule, mainModule, type ReadImport } from './modules.ts';
import { elaborateMinimizations } from './minimize.ts';
import { newScope } from './scope.ts';
import { defaultBatch, elaborateSettings } from './train.ts';
import { collectVocabularies, type DataFiles } from './vocabulary.ts';

export interface Host {
  /** Reads and parses a file that `from` imports. Syntax errors in it are the host's to tell. */
  readonly readImport: ReadImport;
  /** The library's files, parsed. */
  readonly library: readonly File[];
  /** Values of hyperparameters and constants from the command line, by name. */
  readonly settings: ReadonlyMap<string, string>;
  /** The files of the data block, for what a model takes from them when it is compiled. */
  readonly dataFiles: DataFiles;
}

/** The model of a file; null when it has none or has errors. */
export function elaborate(file: File, host: Host): { readonly model: Model | null; readonly diagnostics: Diagnostic[] } {
  const diagnostics: Diagnostic[] = [];
  const module = mainModule(file, libraryModule(host.library), host.readImport, diagnostics);
  const context = newContext(opTable, newRegistry(), diagnostics, file.span);
  const models = file.items.filter(item => item.kind === 'model');
  const trains = file.items.filter(item => item.kind === 'train');
  const datas = file.items.filter(item => item.kind === 'data');
  const generates = file.items.filter(item => item.kind === 'generate');
  const [definition] = models;
  onlyOne(context, 'model.several', models.map(item => item.name.span), 'a file holds one model in this version of nabla');
  onlyOne(context, 'train.several', trains.map(item => keyword(item.span, 'train')), 'a file has one `train` block in this version of nabla');
  onlyOne(context, 'data.several', datas.map(item => keyword(item.span, 'data')), 'a file has one `data` block');
  onlyOne(context, 'generate.several', generates.map(item => keyword(item.span, 'generate')), 'a file has one `generate` block');
  if (definition === undefined && trains.length + datas.length > 0) {
    const span = trains.length > 0 ? keyword(trains[0]!.span, 'train') : keyword(datas[0]!.span, 'data');
    report(context, { code: 'model.missing', message: 'there is no model to train', span, help: 'write one above: `model Name { … }`' });
  }
  let model: Model | null = null;
  try {
    applySettings(context, module, definition ?? null, host.settings);
    if (definition !== undefined) model = elaborateModel(context, definition, trains[0] ?? null, datas[0] ?? null, generates[0] ?? null, module, host);
    checkDefinitions(context, module);
  } catch (error) {
    if (!(error instanceof Exhausted)) throw error;
  }
  return { model: diagnostics.length > 0 ? null : model, diagnostics: inOrder(diagnostics) };
}

function elaborateModel(
  context: Context, definition: ModelItem, train: TrainBlock | null, data: DataBlock | null, generate: GenerateBlock | null,
  module: ReturnType<typeof mainModule>, host: Host,
): Model | null {
  const start = context.diagnostics.length;
  const hyperparameters = bindHyperparameters(context, definition, module, host.settings);
  const bound = context.diagnostics.length === start;
  const outer = newScope(module, { kind: 'constant' });
  for (const [name, item] of hyperparameters) outer.names.set(name, item);
  const settings = train === null ? null : elaborateSettings(context, train, outer);
  const before = context.diagnostics.length;
  if (data !== null) collectVocabularies(context, data, outer, host.dataFiles);
  const batch = settings?.batch ?? defaultBatch;
  const run = (changes: Partial<Context>): Elaboration => elaborateForward(context, definition, module, hyperparameters, { batch, ...changes });
  const training = run({ training: true });
  const evaluation = run({ training: false });
  if (settings?.batchSpan && training.batchName === null && context.diagnostics.length === before) {
    report(context, {
      code: 'train.batch', message: 'no input has a batch dimension', span: settings.batchSpan,
      help: 'write one first, as in `input x: f32[B, 4]`, or remove `batch`',
    });
  }
  if (train !== null && training.forward.loss === null && bound && context.diagnostics.length === before) {
    report(context, {
      code: 'train.loss', message: `the model \`${definition.name.text}\` has no loss to train`, span: definition.name.span,
      help: 'write `loss = …` in the model',
    });
  }
  // What fits for a whole batch fits for one row, unless the model uses the batch's extent; then its own message says so.
  const single = training.batchName === null || context.diagnostics.length > 0 ? null : run({ training: false, batch: 1 });
  const parameters = parametersOf(context, settings?.frozen ?? []);
  if (train !== null && context.diagnostics.length === start && !parameters.some(parameter => parameter.trainable)) {
    report(context, {
      code: 'train.parameters', message: `the model \`${definition.name.text}\` has no parameters to train`, span: keyword(train.span, 'train'),
      help: parameters.length > 0 ? 'all are frozen: let some out of `freeze`' : 'apply a layer that has some, such as `x |> linear(10)`, or declare one with `param`',
    });
  }
  const averageName = [...parameters, ...statesOf(context)].map(({ leaf }) => leaf).find(({ leaf }) => leaf!.name.startsWith('ema.'));
  if (train !== null && settings !== null && settings.settings.ema !== null && averageName !== undefined) {
    report(context, {
      code: 'train.value', message: `\`ema\` keeps the averages of parameters as \`ema.…\`, but the model has \`${averageName.leaf!.name}\` already`,
      span: averageName.origin?.span ?? keyword(train.span, 'train'), help: 'give what is called `ema` another name',
    });
  }
  const minimizations = settings === null ? [] : elaborateMinimizations(context, settings.minimized, training.forward, parameters, definition, outer);
  const dataSettings = data === null ? null : elaborateData(context, data, training.forward, training.batchName !== null, outer);
  const isSound = context.diagnostics.length === 0;
  const generation = generate === null ? null : attempt(() => elaborateGeneration(context, generate, isSound ? { single, data: dataSettings } : null, outer));
  if (context.diagnostics.length > 0) return null;
  return {
    name: definition.name.text, doc: definition.doc,
    batch: training.batchName === null ? 1 : batch, batchName: training.batchName,
    inputs: training.forward.inputs, parameters, states: statesOf(context),
    training: training.forward, evaluation: evaluation.forward, single: single?.forward ?? null,
    minimizations, settings: settings?.settings ?? elaborateSettings(context, null, outer).settings, data: dataSettings, generation,
  };
}

function onlyOne(context: Context, code: string, spans: readonly File['span'][], message: string): void {
  for (const span of spans.slice(1)) report(context, { code, message, span, secondary: [{ span: spans[0]!, text: 'the first one' }] });
}

/** By file and place, the main file first as it was read first. */
function inOrder(diagnostics: readonly Diagnostic[]): Diagnostic[] {
  return [...diagnostics].sort((a, b) => (a.span && b.span && a.span.file === b.span.file ? a.span.start - b.span.start : 0));
}
