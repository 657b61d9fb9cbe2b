/**
 * Turns an elaborated model into the graph of everything its program can do: initialise, train a step (loss, gradients, the
 * optimiser's updates), evaluate, predict. The parameters of a group, their gradients and each optimiser state become one flat
 * leaf each, of which the model's parameters are views, so that an update or a norm is one loop over contiguous memory.
 */
import {
  leaf,
  replace,
  stamp,
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
import { add, div, minimum, mul, sqrt } from '../ops/elementwise.ts';
import { full } from '../ops/full.ts';
import { reshape } from '../ops/reshape.ts';
import { sum } from '../ops/sum.ts';
import { broadcast, view } from '../ops/view.ts';
import { affine } from '../ir/affine.ts';
import { gradients } from './gradients.ts';

/** The graph with the entries `initialise`, `train` and `gradient_norm` (given an optimiser), `evaluate`, `evaluate_row`, `predict`, `predict_row`. */
export function differentiate(model: Model): Graph {
  const groups = model.groups.flatMap((group, i) => flatten(group, model.groups.length === 1 ? '' : `.${i}`));
  const inGroups = new Set(groups.flatMap(group => group.parameters));
  const placements: Placement[] = [];
  const parts = new Map<Value, Value>();
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
      offset += elements(type);
    }
  }
  for (const { leaf: value } of model.parameters.filter(parameter => !inGroups.has(parameter))) placements.push(own('parameter', value));
  for (const { leaf: value } of model.states) placements.push(own('state', value));

  const entries = [initialise(model, groups)];
  if (model.training.loss && groups.length > 0) entries.push(...train(model, model.training.loss, groups));
  const forwards: readonly (readonly [string, Forward | null])[] = [
    ['', model.evaluation],
    ['_row', model.single],
  ];
  for (const [suffix, forward] of forwards) {
    if (forward === null) continue;
    if (forward.loss)
      entries.push({ name: `evaluate${suffix}`, results: [{ name: 'loss', value: forward.loss }, ...forward.metrics], updates: [] });
    if (forward.outputs.length > 0) entries.push({ name: `predict${suffix}`, results: forward.outputs, updates: [] });
  }
  return { entries: entries.map(entry => substitute(entry, parts)), placements };
}

/** A group with its flat leaves. A rule that is not flat has one parameter, so every group here has one rule. */
interface FlatGroup {
  readonly parameters: readonly Parameter[];
  readonly rule: UpdateRule;
  readonly leaf: Value;
  readonly gradientLeaf: Value;
  readonly states: readonly Value[];
}

function flatten(group: ParameterGroup, suffix: string): FlatGroup[] {
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
    };
  });
}

function initialise(model: Model, groups: readonly FlatGroup[]): Entry {
  const updates: Update[] = [];
  const grouped = new Set(groups.flatMap(group => group.parameters));
  for (const group of groups) {
    updates.push({ leaf: group.leaf, value: joined(group.parameters.map(parameter => parameter.initial)) });
    group.rule.states.forEach((state, k) => updates.push({ leaf: group.states[k]!, value: fitted(state.initial, group.states[k]!) }));
  }
  for (const parameter of model.parameters) if (!grouped.has(parameter)) updates.push({ leaf: parameter.leaf, value: parameter.initial });
  for (const state of model.states) updates.push({ leaf: state.leaf, value: state.initial });
  for (const { value } of updates) stamp(value, origin('initialise', null));
  return { name: 'initialise', results: [], updates };
}

function train(model: Model, loss: Value, groups: readonly FlatGroup[]): Entry[] {
  const parameters = groups.flatMap(group => group.parameters);
  const backward = origin('backward', loss.origin);
  const seed = full({ value: 1, dims: [], dtype: 'f32' });
  stamp(seed, backward);
  const byParameter = new Map(
    gradients(
      loss,
      seed,
      parameters.map(parameter => parameter.leaf),
    ).map((gradient, i) => [parameters[i]!, gradient]),
  );
  const zeros = (type: TensorType): Value => full({ value: 0, dims: type.dims, dtype: 'f32' });
  const flatGradients = groups.map(group =>
    joined(group.parameters.map(parameter => byParameter.get(parameter) ?? zeros(parameter.leaf.type))),
  );
  for (const gradient of flatGradients) stamp(gradient, backward);

  const results: Named[] = [{ name: 'loss', value: loss }, ...model.training.metrics];
  const updates: Update[] = [
    ...model.training.updates,
    ...groups.map((group, i) => ({ leaf: group.gradientLeaf, value: flatGradients[i]! })),
  ];
  let used = flatGradients;
  if (model.settings.clipNorm !== null) {
    const length = norm(flatGradients);
    // As torch.nn.utils.clip_grad_norm_: the small constant keeps a zero gradient zero.
    const scale = minimum(scalar(1), div(scalar(model.settings.clipNorm), add(length, scalar(1e-6))));
    used = flatGradients.map(gradient => mul(gradient, broadcast(scale, { dims: gradient.type.dims })));
    for (const value of used) stamp(value, origin('update', null));
    results.push({ name: 'grad_norm', value: length });
  }
  groups.forEach((group, i) => {
    const { rule } = group;
    const stands = new Map(
      [
        [rule.parameter, group.leaf],
        [rule.gradient, used[i]!],
        ...rule.states.map((state, k) => [state.leaf, group.states[k]!] as const),
      ].map(([from, to]) => [from!, fitted(to!, from!)]),
    );
    const [updated, ...states] = replace([rule.updated, ...rule.states.map(state => state.updated)], stands);
    updates.push(
      { leaf: group.leaf, value: fitted(updated!, group.leaf) },
      ...states.map((value, k) => ({ leaf: group.states[k]!, value: fitted(value, group.states[k]!) })),
    );
    if (i === 0 && rule.learningRate) results.push({ name: 'lr', value: rule.learningRate });
  });
  for (const { value } of [...results, ...updates]) stamp(value, origin('update', null));
  const entries: Entry[] = [{ name: 'train', results, updates }];
  if (model.settings.clipNorm === null) {
    const length = norm(groups.map(group => group.gradientLeaf));
    stamp(length, origin('update', null));
    entries.push({ name: 'gradient_norm', results: [{ name: 'grad_norm', value: length }], updates: [] });
  }
  return entries;
}

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
