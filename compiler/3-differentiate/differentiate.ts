/**
 * Turns an elaborated model into the graph of everything its program can do: initialise, train a step (loss, gradients, the
 * optimiser's updates), evaluate, predict. The parameters of a group, their gradients and each optimiser state become one flat
 * leaf each, of which the model's parameters are views, so that an update or a norm is one loop over contiguous memory. So do
 * their moving averages, where the model has them: evaluation and prediction read those in the place of the parameters.
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
import type { Forward, Model, Parameter, ParameterGroup, UpdateRule } from '../ir/model.ts';
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
 * The graph with the entries `initialise`, `accumulate` (where several batches make a step), `train` and `gradient_norm` (given an
 * optimiser), `evaluate`, `evaluate_row`, `predict`, `predict_row`, and for synthetic sources `train_rows` and `test_rows`.
 */
export function differentiate(model: Model): Graph {
  const given = model.minimizations.flatMap(({ groups }) => groups);
  const flatGroups = new Map(given.map((group, i) => [group, flatten(group, given.length === 1 ? '' : `.${i}`, model.settings.ema !== null)]));
  const groups = [...flatGroups.values()].flat();
  const inGroups = new Set(groups.flatMap(group => group.parameters));
  const placements: Placement[] = [];
  const parts = new Map<Value, Value>();
  /** The same as evaluation and prediction see it. */
  const averagedParts = new Map<Value, Value>();
  for (const group of groups) {
    let offset = 0;
    for (const parameter of group.parameters) {
      const { type, leaf: named } = parameter.leaf;
      const place = { name: named!.name, type, offset };
      placements.push({ ...place, role: 'parameter', leaf: group.leaf }, { ...place, role: 'gradient', leaf: group.gradientLeaf });
      group.states.forEach((state, k) =>
        placements.push({
          ...place,
          role: 'state',
          name: `optimizer.${group.rule.states[k]!.leaf.leaf!.name}.${named!.name}`,
          leaf: state,
        }),
      );
      parts.set(parameter.leaf, part(group.leaf, offset, type, parameter.leaf.origin));
      if (group.averageLeaf !== null) {
        placements.push({ ...place, role: 'state', name: `ema.${named!.name}`, leaf: group.averageLeaf });
        averagedParts.set(parameter.leaf, part(group.averageLeaf, offset, type, parameter.leaf.origin));
      }
      offset += elements(type);
    }
  }
  for (const { leaf: value } of model.parameters.filter(parameter => !inGroups.has(parameter))) placements.push(own('parameter', value));
  for (const { leaf: value } of model.states) placements.push(own('state', value));

  const training = [initialise(model, groups)];
  const steps = model.minimizations.map(
    (minimization): Step => ({ loss: minimization.loss, groups: minimization.groups.flatMap(group => flatGroups.get(group)!) }),
  );
  if (groups.length > 0) training.push(...train(model, steps));
  const inference: Entry[] = [];
  const forwards: readonly (readonly [string, Forward | null])[] = [
    ['', model.evaluation],
    ['_row', model.single],
  ];
  for (const [suffix, forward] of forwards) {
    if (forward === null) continue;
    if (forward.loss)
      inference.push({ name: `evaluate${suffix}`, results: [{ name: 'loss', value: forward.loss }, ...forward.metrics], updates: [] });
    if (forward.outputs.length > 0) inference.push({ name: `predict${suffix}`, results: forward.outputs, updates: [] });
  }
  for (const { name, synthetic } of model.data?.sources ?? []) {
    if (synthetic !== null) inference.push({ name: `${name}_rows`, results: synthetic.results, updates: [] });
  }
  const read = model.settings.ema === null ? parts : averagedParts;
  return { entries: [...training.map(entry => substitute(entry, parts)), ...inference.map(entry => substitute(entry, read))], placements };
}

/** A group with its flat leaves. A rule that is not flat has one parameter, so every group here has one rule. */
interface FlatGroup {
  readonly parameters: readonly Parameter[];
  readonly rule: UpdateRule;
  readonly leaf: Value;
  readonly gradientLeaf: Value;
  readonly states: readonly Value[];
  /** Moving averages of the parameters; null where the model has none. */
  readonly averageLeaf: Value | null;
}

function flatten(group: ParameterGroup, suffix: string, withAverages: boolean): FlatGroup[] {
  const members = group.flat ? [group.parameters] : group.parameters.map(parameter => [parameter]);
  return members.map((parameters, i) => {
    const rule = group.rules[i]!;
    const extent = parameters.reduce((total, parameter) => total + elements(parameter.leaf.type), 0);
    const name = group.flat ? suffix : `.${parameters[0]!.leaf.leaf!.name}`;
    const flat = (role: 'parameter' | 'gradient' | 'state', title: string): Value =>
      leaf(role, `${title}${name}`, tensor('f32', [dim(extent)]), origin('update', null));
    return {
      parameters,
      rule,
      leaf: flat('parameter', 'parameters'),
      gradientLeaf: flat('gradient', 'gradients'),
      states: rule.states.map(state => flat('state', `optimizer.${state.leaf.leaf!.name}`)),
      averageLeaf: withAverages ? flat('state', 'ema.parameters') : null,
    };
  });
}

/** One minimization on flat leaves. */
interface Step {
  readonly loss: Value;
  readonly groups: readonly FlatGroup[];
}

function initialise(model: Model, groups: readonly FlatGroup[]): Entry {
  const updates: Update[] = [];
  const grouped = new Set(groups.flatMap(group => group.parameters));
  for (const group of groups) {
    const initial = joined(group.parameters.map(parameter => parameter.initial));
    updates.push({ leaf: group.leaf, value: initial });
    if (group.averageLeaf !== null) updates.push({ leaf: group.averageLeaf, value: initial });
    group.rule.states.forEach((state, k) => updates.push({ leaf: group.states[k]!, value: fitted(state.initial, group.states[k]!) }));
  }
  for (const parameter of model.parameters) if (!grouped.has(parameter)) updates.push({ leaf: parameter.leaf, value: parameter.initial });
  for (const state of model.states) updates.push({ leaf: state.leaf, value: state.initial });
  for (const { value } of updates) stamp(value, origin('initialise', null));
  return { name: 'initialise', results: [], updates };
}

function train(model: Model, steps: readonly Step[]): Entry[] {
  const { accumulate, clipNorm, ema } = model.settings;
  const groups = steps.flatMap(step => step.groups);
  const updates: Update[] = [];
  const gradientUpdates: Update[] = [];
  const norms: Value[] = [];
  /** Parameters as the steps before have left them. */
  const moved = new Map<Value, Value>();
  for (const { loss, groups: own } of steps) {
    const flatGradients = gradientsOf(replace([loss], moved)[0]!, own, accumulate);
    own.forEach((group, i) => gradientUpdates.push({ leaf: group.gradientLeaf, value: flatGradients[i]! }));
    // One batch makes a step: the entry takes it too, and reads its gradients before they are in memory.
    const given = accumulate === 1 ? flatGradients : own.map(group => group.gradientLeaf);
    const used = clipNorm === null ? given : clipped(given, clipNorm, norms);
    own.forEach((group, i) => {
      const { rule } = group;
      const stands = new Map(
        [
          [rule.parameter, group.leaf],
          [rule.gradient, used[i]!],
          ...rule.states.map((state, k) => [state.leaf, group.states[k]!] as const),
        ].map(([from, to]) => [from!, fitted(to!, from!)]),
      );
      const [updated, ...states] = replace([rule.updated, ...rule.states.map(state => state.updated)], stands);
      const parameters = fitted(updated!, group.leaf);
      updates.push(
        { leaf: group.leaf, value: parameters },
        ...states.map((value, k) => ({ leaf: group.states[k]!, value: fitted(value, group.states[k]!) })),
      );
      if (group.averageLeaf !== null && ema !== null) {
        const average = averaged(group.averageLeaf, parameters, ema);
        stamp(average, origin('update', rule.updated.origin));
        updates.push({ leaf: group.averageLeaf, value: average });
      }
      stamp(parameters, origin('update', null));
      let offset = 0;
      for (const { leaf: parameter } of group.parameters) {
        // A number for what follows: how it came about is not differentiated.
        const now = stop_gradient(part(parameters, offset, parameter.type, parameter.origin));
        stamp(now, origin('forward', parameter.origin));
        moved.set(parameter, now);
        offset += elements(parameter.type);
      }
    });
  }
  const reported = [{ name: 'loss', value: model.training.loss! }, ...model.training.metrics];
  const results: Named[] = accumulate === 1 ? [...reported] : [];
  if (norms.length > 0) results.push({ name: 'grad_norm', value: together(norms) });
  const rate = groups[0]!.rule.learningRate;
  if (rate) results.push({ name: 'lr', value: rate });
  const all = accumulate === 1 ? [...model.training.updates, ...gradientUpdates, ...updates] : updates;
  for (const { value } of [...results, ...all]) stamp(value, origin('update', null));
  const entries: Entry[] = [{ name: 'train', results, updates: all }];
  if (accumulate > 1) {
    const batch: Entry = { name: 'accumulate', results: reported, updates: [...model.training.updates, ...gradientUpdates] };
    entries.unshift(accumulation(batch, accumulate));
  }
  if (clipNorm === null) {
    const length = norm(groups.map(group => group.gradientLeaf));
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
function gradientsOf(loss: Value, groups: readonly FlatGroup[], share: number): Value[] {
  const parameters = groups.flatMap(group => group.parameters);
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
  const flat = groups.map(group => joined(group.parameters.map(parameter => byParameter.get(parameter) ?? zeros(parameter.leaf.type))));
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
  const number = reached.find(value => value.leaf?.role === 'step') ?? leaf('step', 'step', { dtype: 'i32', dims: [] });
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
    name: entry.name,
    results: entry.results.map((result, i) => ({ name: result.name, value: values[i]! })),
    updates: entry.updates.map((update, i) => ({ leaf: update.leaf, value: values[entry.results.length + i]! })),
  };
}
