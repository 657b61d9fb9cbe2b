/**
 * Turns elaborated models into the graph of everything their program can do in each stage: initialise, train a step (loss, gradients,
 * the optimiser's updates), evaluate, predict. The parameters of a group, their gradients and each optimiser state become one flat
 * leaf each, of which the models' parameters are views, so that an update or a norm is one loop over contiguous memory. So do
 * their moving averages, where a stage has them: evaluation and prediction read those in the place of the parameters.
 */
import {
  entryRoots,
  leaf,
  replace,
  stamp,
  topological,
  type Entry,
  type Graph,
  type Named,
  type Origin,
  type Placement,
  type Update,
  type Value,
} from '../ir/graph.ts';
import { entryName, type Forward, type Model, type Parameter, type ParameterGroup, type Stage, type UpdateRule } from '../ir/model.ts';
import { dim, elements, shapeOf, tensor, type TensorType } from '../ir/type.ts';
import { concat } from '../ops/concat.ts';
import { add, castTo, div, equal, minimum, mod, mul, select, sqrt, stop_gradient, sub } from '../ops/elementwise.ts';
import { full, fullLike, random } from '../ops/full.ts';
import { gradients } from '../ops/gradients.ts';
import { reshape } from '../ops/reshape.ts';
import { sum } from '../ops/sum.ts';
import { broadcast, view } from '../ops/view.ts';
import { affine } from '../ir/affine.ts';

/**
 * The graph with the entries of each stage: `initialise`, `accumulate` (where several batches make a step), `train` and `gradient_norm`
 * (given an optimiser), `evaluate`, `evaluate_row`, `predict`, `predict_row`, `predict_once` with the outputs that depend on no input,
 * `generate`, `generated`; and of synthetic sources, which all stages share, `train_rows` and `test_rows`.
 */
export function differentiate(model: Model): Graph {
  const layout = layOut(model);
  const entries = model.stages.flatMap(stage => {
    const groups = layout.groups.get(stage)!;
    const steps = stage.minimizations.map((minimization): Step => ({ loss: minimization.loss, groups: minimization.groups.flatMap(group => groups.get(group)!) }));
    const training = [initialise(model, stage, layout), ...(groups.size > 0 ? train(model, stage, steps) : [])];
    const read = partsRead(model, stage, layout);
    return [...training.map(entry => substitute(entry, read.training)), ...inferenceOf(stage).map(entry => substitute(entry, read.inference))]
      .map(entry => ({ ...entry, name: entryName(model, stage, entry.name) }));
  });
  const sources = (model.data?.sources ?? []).flatMap(({ name, synthetic }): Entry[] =>
    (synthetic === null ? [] : [{ name: `${name}_rows`, results: synthetic.results, updates: [] }]));
  return { entries: [...entries, ...sources], placements: placementsOf(model, layout) };
}

function inferenceOf(stage: Stage): Entry[] {
  const forwards: readonly (readonly [string, Forward | null])[] = [
    ['', stage.evaluation],
    ['_row', stage.single],
  ];
  const usual = forwards.flatMap(([suffix, forward]): Entry[] => {
    if (forward === null) return [];
    const outputs = forward.outputs.filter(dependsOnInput);
    return [
      ...(forward.loss ? [{ name: `evaluate${suffix}`, results: [{ name: 'loss', value: forward.loss }, ...forward.metrics], updates: [] }] : []),
      ...(outputs.length > 0 ? [{ name: `predict${suffix}`, results: outputs, updates: [] }] : []),
    ];
  });
  const once = stage.evaluation.outputs.filter(output => !dependsOnInput(output));
  if (once.length > 0) usual.push({ name: 'predict_once', results: once, updates: [] });
  if (stage.generation === null) return usual;
  const { sequence, scores, outputs } = stage.generation;
  return [
    ...usual,
    { name: 'generate', results: [{ name: 'scores', value: scores }], updates: [], sequence },
    ...(outputs.length > 0 ? [{ name: 'generated', results: outputs, updates: [] }] : []),
  ];
}

const dependsOnInput = ({ value }: Named): boolean => topological([value]).some(({ leaf: found }) => found?.role === 'input');

/** Parameters that every stage trains together, end to end. */
interface Cell {
  readonly parameters: readonly Parameter[];
  readonly leaf: Value;
  readonly gradientLeaf: Value;
  /** Moving averages of the parameters; null where no stage keeps them. */
  readonly averageLeaf: Value | null;
}

/** A cell as a stage trains it. A rule that is not flat has one parameter, so every group here has one rule. */
interface FlatGroup {
  readonly cell: Cell;
  readonly rule: UpdateRule;
  readonly states: readonly Value[];
}

interface Layout {
  readonly cells: readonly Cell[];
  readonly groups: ReadonlyMap<Stage, ReadonlyMap<ParameterGroup, readonly FlatGroup[]>>;
}

function layOut({ stages }: Model): Layout {
  const cells = new Map<Value, Cell>();
  const all = stages.flatMap(groupsOf);
  const withAverages = new Set(stages.filter(stage => stage.settings.ema !== null).flatMap(groupsOf).flatMap(group => group.parameters.map(({ leaf: own }) => own)));
  const groups = new Map(stages.map(stage => [stage, new Map(groupsOf(stage).map(group => {
    const suffix = all.length === 1 ? '' : `.${all.indexOf(group)}`;
    const members = group.flat ? [group.parameters] : group.parameters.map(parameter => [parameter]);
    return [group, members.map((parameters, i): FlatGroup => {
      const first = parameters[0]!.leaf;
      const flat = flatLeaves(parameters, group.flat ? suffix : `.${first.leaf!.name}`);
      const cell = cells.get(first) ?? {
        parameters, leaf: flat('parameter', 'parameters'), gradientLeaf: flat('gradient', 'gradients'),
        averageLeaf: withAverages.has(first) ? flat('state', 'ema.parameters') : null,
      };
      cells.set(first, cell);
      const rule = group.rules[i]!;
      return { cell, rule, states: rule.states.map(state => flat('state', stateName(stages, stage, state.leaf.leaf!.name))) };
    })] as const;
  }))] as const));
  return { cells: [...cells.values()], groups };
}

const groupsOf = (stage: Stage): readonly ParameterGroup[] => stage.minimizations.flatMap(({ groups }) => groups);

/** Each stage has states of its own. */
const stateName = (stages: readonly Stage[], stage: Stage, state: string): string =>
  (stages.length === 1 ? `optimizer.${state}` : `optimizer.${stage.name}.${state}`);

function flatLeaves(parameters: readonly Parameter[], suffix: string): (role: 'parameter' | 'gradient' | 'state', title: string) => Value {
  const extent = parameters.reduce((total, parameter) => total + elements(parameter.leaf.type), 0);
  return (role, title) => leaf(role, `${title}${suffix}`, tensor('f32', [dim(extent)]), origin('update', null));
}

function placementsOf({ stages }: Model, { cells, groups }: Layout): Placement[] {
  const placed = new Set<Cell>();
  const placements = stages.flatMap(stage => [...groups.get(stage)!.values()].flat().flatMap(({ cell, rule, states }) => {
    const isNew = !placed.has(cell);
    placed.add(cell);
    return partsOf(cell).flatMap(({ parameter, offset }): Placement[] => {
      const { type, leaf: named } = parameter.leaf;
      const place = { name: named!.name, type, offset };
      const average = cell.averageLeaf;
      return [
        ...(isNew ? [{ ...place, role: 'parameter' as const, leaf: cell.leaf }, { ...place, role: 'gradient' as const, leaf: cell.gradientLeaf }] : []),
        ...states.map((state, k) => ({ ...place, role: 'state' as const, name: `${stateName(stages, stage, rule.states[k]!.leaf.leaf!.name)}.${named!.name}`, leaf: state })),
        ...(isNew && average !== null ? [{ ...place, role: 'state' as const, name: `ema.${named!.name}`, leaf: average }] : []),
      ];
    });
  }));
  const inCells = new Set(cells.flatMap(cell => cell.parameters.map(parameter => parameter.leaf)));
  const models = stages.filter(stage => isFirst(stages, stage));
  return [
    ...placements,
    ...models.flatMap(stage => stage.parameters).filter(parameter => !inCells.has(parameter.leaf)).map(parameter => own('parameter', parameter.leaf)),
    ...models.flatMap(stage => stage.states).map(state => own('state', state.leaf)),
  ];
}

/** Whether a stage is the first of its model's. */
const isFirst = (stages: readonly Stage[], stage: Stage): boolean => stages.find(other => other.model === stage.model) === stage;

function partsOf(cell: Cell): { readonly parameter: Parameter; readonly offset: number }[] {
  let offset = 0;
  return cell.parameters.map(parameter => {
    const place = { parameter, offset };
    offset += elements(parameter.leaf.type);
    return place;
  });
}

/**
 * What a stage reads in the place of parameters: the parameters as they are, in evaluation their averages where it keeps some. Of models
 * that are held it reads what evaluation reads after the stage before it that trains them.
 */
function partsRead({ stages }: Model, stage: Stage, { cells, groups }: Layout): Record<'training' | 'inference', ReadonlyMap<Value, Value>> {
  const training = new Map<Value, Value>();
  const inference = new Map<Value, Value>();
  const earlier = stages.slice(0, stages.indexOf(stage)).reverse();
  const trains = (one: Stage, cell: Cell): boolean => [...groups.get(one)!.values()].flat().some(group => group.cell === cell);
  for (const cell of cells) {
    const { model } = stages.find(one => one.parameters.some(({ leaf: of }) => of === cell.parameters[0]!.leaf))!;
    const before = model === stage.model ? stage : earlier.find(one => one.model === model);
    const averages = before !== undefined && before.settings.ema !== null && trains(before, cell) ? cell.averageLeaf : null;
    for (const { parameter: { leaf: parameter }, offset } of partsOf(cell)) {
      const now = part(cell.leaf, offset, parameter.type, parameter.origin);
      const read = averages === null ? now : part(averages, offset, parameter.type, parameter.origin);
      training.set(parameter, model === stage.model ? now : read);
      inference.set(parameter, read);
    }
  }
  return { training, inference };
}

/** One minimization on flat leaves. */
interface Step {
  readonly loss: Value;
  readonly groups: readonly FlatGroup[];
}

function initialise({ stages }: Model, stage: Stage, { cells, groups }: Layout): Entry {
  const updates: Update[] = [];
  const fill = (cell: Cell): void => {
    const initial = joined(cell.parameters.map(parameter => parameter.initial));
    updates.push({ leaf: cell.leaf, value: initial });
    if (cell.averageLeaf !== null) updates.push({ leaf: cell.averageLeaf, value: initial });
  };
  const isOwner = isFirst(stages, stage);
  const own = [...groups.get(stage)!.values()].flat();
  for (const { cell, rule, states } of own) {
    if (isOwner) fill(cell);
    rule.states.forEach((state, k) => updates.push({ leaf: states[k]!, value: fitted(state.initial, states[k]!) }));
  }
  if (isOwner) {
    const ofModel = new Set(stage.parameters.map(parameter => parameter.leaf));
    for (const cell of cells) if (ofModel.has(cell.parameters[0]!.leaf) && !own.some(group => group.cell === cell)) fill(cell);
    const inCells = new Set(cells.flatMap(cell => cell.parameters.map(parameter => parameter.leaf)));
    for (const parameter of stage.parameters) if (!inCells.has(parameter.leaf)) updates.push({ leaf: parameter.leaf, value: parameter.initial });
    for (const state of stage.states) updates.push({ leaf: state.leaf, value: state.initial });
  }
  for (const { value } of updates) stamp(value, origin('initialise', null));
  return { name: 'initialise', results: [], updates };
}

function train({ stages }: Model, stage: Stage, steps: readonly Step[]): Entry[] {
  const { accumulate, clipNorm, ema } = stage.settings;
  const groups = steps.flatMap(step => step.groups);
  /** Where a stage before has moved the parameters without their averages, these begin anew. */
  const averagesBegin = stages.slice(0, stages.indexOf(stage)).some(other => other.model === stage.model && other.settings.ema === null);
  const updates: Update[] = [];
  const gradientUpdates: Update[] = [];
  const norms: Value[] = [];
  /** Parameters as the steps before have left them. */
  const moved = new Map<Value, Value>();
  for (const { loss, groups: own } of steps) {
    const flatGradients = gradientsOf(replace([loss], moved)[0]!, own.map(group => group.cell), accumulate);
    own.forEach(({ cell }, i) => gradientUpdates.push({ leaf: cell.gradientLeaf, value: flatGradients[i]! }));
    // One batch makes a step: the entry takes it too, and reads its gradients before they are in memory.
    const given = accumulate === 1 ? flatGradients : own.map(group => group.cell.gradientLeaf);
    const used = clipNorm === null ? given : clipped(given, clipNorm, norms);
    own.forEach(({ cell, rule, states: stateLeaves }, i) => {
      const stands = new Map(
        [
          [rule.parameter, cell.leaf],
          [rule.gradient, used[i]!],
          ...rule.states.map((state, k) => [state.leaf, stateLeaves[k]!] as const),
        ].map(([from, to]) => [from!, fitted(to!, from!)]),
      );
      const [updated, ...states] = replace([rule.updated, ...rule.states.map(state => state.updated)], stands);
      const parameters = fitted(updated!, cell.leaf);
      updates.push(
        { leaf: cell.leaf, value: parameters },
        ...states.map((value, k) => ({ leaf: stateLeaves[k]!, value: fitted(value, stateLeaves[k]!) })),
      );
      if (cell.averageLeaf !== null && ema !== null) {
        const before = averagesBegin ? begun(cell, parameters) : cell.averageLeaf;
        const average = averaged(before, parameters, ema);
        stamp(average, origin('update', rule.updated.origin));
        updates.push({ leaf: cell.averageLeaf, value: average });
      }
      stamp(parameters, origin('update', null));
      for (const { parameter: { leaf: parameter }, offset } of partsOf(cell)) {
        // A number for what follows: how it came about is not differentiated.
        const now = stop_gradient(part(parameters, offset, parameter.type, parameter.origin));
        stamp(now, origin('forward', parameter.origin));
        moved.set(parameter, now);
      }
    });
  }
  const reported = [{ name: 'loss', value: stage.training.loss! }, ...stage.training.metrics];
  const results: Named[] = accumulate === 1 ? [...reported] : [];
  if (norms.length > 0) results.push({ name: 'grad_norm', value: together(norms) });
  const rate = groups[0]!.rule.learningRate;
  if (rate) results.push({ name: 'lr', value: rate });
  const all = accumulate === 1 ? [...stage.training.updates, ...gradientUpdates, ...updates] : updates;
  for (const { value } of [...results, ...all]) stamp(value, origin('update', null));
  const entries: Entry[] = [{ name: 'train', results, updates: all }];
  if (accumulate > 1) {
    const batch: Entry = { name: 'accumulate', results: reported, updates: [...stage.training.updates, ...gradientUpdates] };
    entries.unshift(accumulation(batch, accumulate));
  }
  if (clipNorm === null) {
    const length = norm(groups.map(group => group.cell.gradientLeaf));
    stamp(length, origin('update', null));
    entries.push({ name: 'gradient_norm', results: [{ name: 'grad_norm', value: length }], updates: [] });
  }
  return entries;
}

/** The gradients of one step scaled down to a norm, which is added to `norms`. */
function clipped(gradients: readonly Value[], clipNorm: number, norms: Value[]): readonly Value[] {
  const length = norm(gradients);
  norms.push(length);
  // As torch.nn.utils.clip_grad_norm_: the small constant keeps a zero gradient zero.
  const scale = minimum(scalar(1), div(scalar(clipNorm), add(length, scalar(1e-6))));
  return gradients.map(gradient => {
    const used = mul(gradient, broadcast(scale, { dims: gradient.type.dims }));
    stamp(used, origin('update', null));
    return used;
  });
}

/** √Σ n² of the norms of parts. */
const together = (norms: readonly Value[]): Value =>
  norms.length === 1 ? norms[0]! : sqrt(norms.map(length => mul(length, length)).reduce((a, b) => add(a, b)));

/** The gradients of the loss over `share`, those of each group end to end. */
function gradientsOf(loss: Value, cells: readonly Cell[], share: number): Value[] {
  const parameters = cells.flatMap(cell => cell.parameters);
  const backward = origin('backward', loss.origin);
  const seed = full({ value: 1 / share, dims: [], dtype: 'f32' });
  stamp(seed, backward);
  const byParameter = new Map(
    gradients(
      loss,
      seed,
      parameters.map(parameter => parameter.leaf),
    ).map((gradient, i) => [parameters[i]!, gradient]),
  );
  const zeros = (type: TensorType): Value => full({ value: 0, dims: type.dims, dtype: 'f32' });
  const flat = cells.map(cell => joined(cell.parameters.map(parameter => byParameter.get(parameter) ?? zeros(parameter.leaf.type))));
  for (const gradient of flat) stamp(gradient, backward);
  return flat;
}

/**
 * One of the `count` batches of a step: the gradient leaves take the first one's gradients and add up the others'. In this entry
 * `step` is the number of the batch, from 1 in the first step on, so that each batch draws random numbers of its own; whatever else
 * reads `step` still sees the step.
 */
function accumulation(batch: Entry, count: number): Entry {
  const reached = topological(entryRoots(batch));
  const number = stepOf(reached);
  const before = sub(castTo(number, 'f32'), scalar(1));
  const place = mod(before, scalar(count));
  const isFirst = equal(place, scalar(0));
  const updates = batch.updates.map(update => {
    if (update.leaf.leaf!.role !== 'gradient') return update;
    // Chosen, not multiplied by zero: nothing of an earlier step may stay, not even a NaN.
    const value = select(broadcast(isFirst, { dims: update.value.type.dims }), update.value, add(update.leaf, update.value));
    stamp(value, origin('backward', update.value.origin));
    return { leaf: update.leaf, value };
  });
  const step = castTo(add(div(sub(before, place), scalar(count)), scalar(1)), 'i32');
  stamp(step, origin('forward', null));
  const draws = reached.filter(value => value.op === random);
  const keep = new Map<Value, Value>([...draws, isFirst].map(value => [value, value]));
  return substitute({ ...batch, updates }, new Map([...keep, [number, step]]));
}

/** Averages as a stage finds them: in its first step the parameters themselves. */
function begun({ averageLeaf, leaf: parameters }: Cell, updated: Value): Value {
  const isFirstStep = equal(castTo(stepOf(topological([updated])), 'f32'), scalar(1));
  return select(broadcast(isFirstStep, { dims: parameters.type.dims }), parameters, averageLeaf!);
}

/** The leaf `step` among the values, or one that they do not need. */
const stepOf = (values: readonly Value[]): Value =>
  values.find(value => value.leaf?.role === 'step') ?? leaf('step', 'step', { dtype: 'i32', dims: [] });

/** decay · average + (1 − decay) · parameters. */
const averaged = (average: Value, parameters: Value, decay: number): Value =>
  add(mul(average, fullLike(average, decay)), mul(parameters, fullLike(parameters, 1 - decay)));

/** √Σ g², over all gradients together. */
const norm = (flat: readonly Value[]): Value =>
  sqrt(flat.map(gradient => sum(mul(gradient, gradient), { axes: 'all', keep: false })).reduce((a, b) => add(a, b)));

const scalar = (value: number): Value => full({ value, dims: [], dtype: 'f32' });
const flatDims = (value: Value): TensorType['dims'] => [dim(elements(value.type))];
const origin = (phase: Origin['phase'], from: Origin | null): Origin => ({ span: from?.span ?? null, scope: from?.scope ?? [], phase });
const own = (role: 'parameter' | 'state', value: Value): Placement => ({
  role,
  name: value.leaf!.name,
  type: value.type,
  leaf: value,
  offset: 0,
});

/** The values one after the other as one flat tensor. */
function joined(values: readonly Value[]): Value {
  const flat = values.map(value => reshape(value, { dims: flatDims(value) }));
  return flat.length === 1 ? flat[0]! : concat(flat, { axis: 0 });
}

/** `value` in the shape of `target`: a rule that is not flat works on the parameter's own shape; a scalar initial value fills. */
function fitted(value: Value, target: Value): Value {
  if (shapeOf(value.type).join() === shapeOf(target.type).join()) return value;
  return value.type.dims.length === 0 ? broadcast(value, { dims: target.type.dims }) : reshape(value, { dims: target.type.dims });
}

/** Elements `offset` … of a flat leaf, in the parameter's own shape. */
function part(flat: Value, offset: number, type: TensorType, from: Origin | null): Value {
  const slice = view(flat, { dims: [dim(elements(type))], map: [affine([{ axis: 0, times: 1 }], offset)], fill: null });
  const value = reshape(slice, { dims: type.dims });
  stamp(value, origin('forward', from));
  return value;
}

function substitute(entry: Entry, parts: ReadonlyMap<Value, Value>): Entry {
  const values = replace([...entry.results.map(result => result.value), ...entry.updates.map(update => update.value)], parts);
  return {
    ...entry,
    results: entry.results.map((result, i) => ({ name: result.name, value: values[i]! })),
    updates: entry.updates.map((update, i) => ({ leaf: update.leaf, value: values[entry.results.length + i]! })),
  };
}
