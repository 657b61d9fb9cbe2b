/**
 * From the syntax tree to models: names resolved, layers instantiated, loops unrolled, shapes inferred. The body of a model is
 * elaborated for training, for evaluation and for a single row, over the same parameters, for each train block that trains it. Every
 * error found is returned; what was elaborated is returned only when there is none.
 */
import type { DataBlock, File, GenerateBlock, ModelItem, TrainBlock } from '../1-parse/ast.ts';
import type { Model, Parameter, Stage } from '../ir/model.ts';
import { opTable } from '../ops/index.ts';
import type { Diagnostic } from '../source/diagnostic.ts';
import { checkDefinitions } from './check-definitions.ts';
import { commonInputs } from './common-inputs.ts';
import { attempt, Exhausted, keyword, newContext, newRegistry, report, type Context, type RegisteredModel } from './context.ts';
import { elaborateData } from './data.ts';
import { elaborateGeneration } from './generate.ts';
import { bindHyperparameters, applySettings } from './hyperparameters.ts';
import { elaborateForward, parametersOf, statesOf, type Elaboration } from './model.ts';
import { libraryModule, mainModule, type ReadImport } from './modules.ts';
import { minimizationsOf } from './minimize.ts';
import { newScope, type Module, type Scope } from './scope.ts';
import { checkOrder, planStages, type StagePlan } from './stages.ts';
import { defaultBatch, elaborateSettings, type Training } from './train.ts';
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

/** The models of a file with what trains them; null when it has none or has errors. */
export function elaborate(file: File, host: Host): { readonly model: Model | null; readonly diagnostics: Diagnostic[] } {
  const diagnostics: Diagnostic[] = [];
  const module = mainModule(file, libraryModule(host.library), host.readImport, diagnostics);
  const context = newContext(opTable, newRegistry(), diagnostics, file.span);
  const models = file.items.filter(item => item.kind === 'model');
  const trains = file.items.filter(item => item.kind === 'train');
  const datas = file.items.filter(item => item.kind === 'data');
  const generates = file.items.filter(item => item.kind === 'generate');
  onlyOne(context, 'data.several', datas.map(item => keyword(item.span, 'data')), 'a file has one `data` block');
  onlyOne(context, 'generate.several', generates.map(item => keyword(item.span, 'generate')), 'a file has one `generate` block');
  if (models.length === 0 && trains.length + datas.length > 0) {
    const span = trains.length > 0 ? keyword(trains[0]!.span, 'train') : keyword(datas[0]!.span, 'data');
    report(context, { code: 'model.missing', message: 'there is no model to train', span, help: 'write one above: `model Name { … }`' });
  }
  let model: Model | null = null;
  try {
    applySettings(context, module, models, host.settings);
    if (models.length > 0) {
      for (const definition of models) register(context, definition, models, module, host);
      model = elaborateModels(context, file, trains, datas[0] ?? null, generates[0] ?? null, module, host);
    }
    checkDefinitions(context, module);
  } catch (error) {
    if (!(error instanceof Exhausted)) throw error;
  }
  return { model: diagnostics.length > 0 ? null : model, diagnostics: inOrder(diagnostics) };
}

function register(context: Context, definition: ModelItem, all: readonly ModelItem[], module: Module, host: Host): void {
  const { models } = context.registry;
  const name = definition.name.text;
  const hyperparameters = bindHyperparameters(context, definition, module, host.settings);
  const earlier = models.get(name);
  if (earlier !== undefined) return report(context, {
    code: 'name.twice', message: `two models are called \`${name}\``, span: definition.name.span,
    secondary: [{ span: earlier.definition.name.span, text: 'defined first here' }], help: 'rename one of them',
  });
  models.set(name, { definition, module, hyperparameters, path: all.length > 1 ? [name] : [], holds: new Map(), bodies: new Map(), progress: 'waiting' });
}

function elaborateModels(
  context: Context, file: File, trains: readonly TrainBlock[], data: DataBlock | null, generate: GenerateBlock | null, module: Module, host: Host,
): Model | null {
  const { diagnostics, registry } = context;
  const models = [...registry.models.values()];
  const bound = diagnostics.length === 0;
  const scopeOf = (of: readonly RegisteredModel[]): Scope => {
    const scope = newScope(module, { kind: 'constant' });
    for (const { hyperparameters } of of) for (const [name, item] of hyperparameters) scope.names.set(name, item);
    return scope;
  };
  const plans = planStages(context, trains).map(plan => ({ ...plan, scope: scopeOf([plan.registered]) }))
    .map(plan => ({ ...plan, training: elaborateSettings(context, plan.train, plan.scope) }));
  const before = diagnostics.length;
  if (data !== null) collectVocabularies(context, data, scopeOf(models), host.dataFiles);
  // In the order of the file, so that what a model holds is there before it.
  const forwards = new Map(models.flatMap(registered => {
    const { problems } = context;
    const made = plans.filter(plan => plan.registered === registered).map(plan => [plan.name, forwardsOf(context, plan, bound, before)] as const);
    registered.progress = context.problems > problems ? 'wrong' : 'right';
    return made;
  }));
  checkOrder(context, plans);
  const drafts = plans.map(plan => {
    const parameters = parametersOf(context, plan.registered, plan.training.frozen);
    requireParameters(context, plan, parameters);
    requireFreeNames(context, plan, parameters);
    const { row, ...own } = forwards.get(plan.name)!;
    return { ...plan, parameters, row, forwards: own };
  });
  const minimizations = minimizationsOf(context, drafts);
  const inputs = commonInputs(context, drafts.map(({ registered, forwards: { training, evaluation, batchName } }) => ({ registered, batched: batchName !== null, training, evaluation })));
  const { seed } = (drafts.find(({ train }) => train !== null) ?? drafts[0]!).training.settings;
  const dataSettings = data === null ? null : elaborateData(context, data, inputs, scopeOf(models), seed);
  const isSound = diagnostics.length === 0;
  const drawn = generate === null ? null : attempt(() => elaborateGeneration(context, generate, drafts.map(({ name, registered, row }) => ({
    name, model: registered.definition.name.text, row,
  })), isSound ? { data: dataSettings } : null, scopeOf(models)));
  if (diagnostics.length > 0) return null;
  const [{ definition }] = models as [RegisteredModel];
  return {
    name: models.length === 1 ? definition.name.text : fileName(file), doc: models.length === 1 ? definition.doc : '',
    inputs: inputs.map(({ value }) => value), data: dataSettings,
    limits: new Map(inputs.flatMap(({ value, below }) => (below === null ? [] : [[value.leaf!.name, below]]))),
    stages: drafts.map(({ name, registered, parameters, training: { settings }, forwards: own }, i): Stage => ({
      name, model: registered.definition.name.text, ...own, inputs: own.training.inputs, parameters, states: statesOf(context, registered),
      minimizations: minimizations[i]!, settings, generation: drawn?.stage === i ? drawn.generation : null,
    })),
  };
}

type Plan = StagePlan & { readonly scope: Scope; readonly training: Training };

/** The body of a stage's model for its batch. */
function forwardsOf(
  context: Context, { registered, train, training: { batch, batchSpan } }: Plan, bound: boolean, before: number,
): Pick<Stage, 'batch' | 'batchName' | 'training' | 'evaluation' | 'single'> & { readonly row: Elaboration | null } {
  const { diagnostics } = context;
  const rows = batch ?? defaultBatch;
  const run = (training: boolean, of: number): Elaboration => {
    const made = elaborateForward(context, registered, { training, batch: of });
    context.problems += made.problems;
    return made;
  };
  const training = run(true, rows);
  const evaluation = training.dependsOnTraining ? run(false, rows) : training;
  const { name } = registered.definition;
  if (batchSpan && training.batchName === null && diagnostics.length === before) {
    report(context, {
      code: 'train.batch', message: 'no input has a batch dimension', span: batchSpan,
      help: 'write one first, as in `input x: f32[B, 4]`, or remove `batch`',
    });
  }
  if (train !== null && training.forward.loss === null && bound && diagnostics.length === before) {
    report(context, {
      code: 'train.loss', message: `the model \`${name.text}\` has no loss to train`, span: name.span,
      help: 'write `loss = …` in the model',
    });
  }
  // What fits for a whole batch fits for one row, unless the model uses the batch's extent; then its own message says so.
  const single = training.batchName === null || diagnostics.length > 0 ? null : run(false, 1);
  return {
    batch: training.batchName === null ? 1 : rows, batchName: training.batchName,
    training: training.forward, evaluation: evaluation.forward, single: single?.forward ?? null, row: single,
  };
}

function requireParameters(context: Context, { registered, train }: Plan, parameters: readonly Parameter[]): void {
  if (train === null || context.diagnostics.length > 0 || parameters.some(parameter => parameter.trainable)) return;
  report(context, {
    code: 'train.parameters', message: `the model \`${registered.definition.name.text}\` has no parameters to train`, span: keyword(train.span, 'train'),
    help: parameters.length > 0 ? 'all are frozen: let some out of `freeze`' : 'apply a layer that has some, such as `x |> linear(10)`, or declare one with `param`',
  });
}

/** Averages are called `ema.…` in files. */
function requireFreeNames(context: Context, { registered, train, training }: Plan, parameters: readonly Parameter[]): void {
  if (train === null || training.settings.ema === null) return;
  const taken = [...parameters, ...statesOf(context, registered)].map(({ leaf }) => leaf).find(({ leaf }) => leaf!.name.startsWith('ema.'));
  if (taken === undefined) return;
  report(context, {
    code: 'train.value', message: `\`ema\` keeps the averages of parameters as \`ema.…\`, but the model has \`${taken.leaf!.name}\` already`,
    span: taken.origin?.span ?? keyword(train.span, 'train'), help: 'give what is called `ema` another name',
  });
}

/** `dalle` of `models/dalle.model`. */
const fileName = (file: File): string => file.span.file.path.split('/').at(-1)!.replace(/\.model$/, '').replaceAll(/[^\w-]+/g, '_');

function onlyOne(context: Context, code: string, spans: readonly File['span'][], message: string): void {
  for (const span of spans.slice(1)) report(context, { code, message, span, secondary: [{ span: spans[0]!, text: 'the first one' }] });
}

/** By file and place, the main file first as it was read first. */
function inOrder(diagnostics: readonly Diagnostic[]): Diagnostic[] {
  return [...diagnostics].sort((a, b) => (a.span && b.span && a.span.file === b.span.file ? a.span.start - b.span.start : 0));
}
