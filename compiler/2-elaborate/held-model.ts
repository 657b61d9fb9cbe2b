/**
 * `freeze vae = Dvae()`: a model holds an earlier one of its file. What it holds is elaborated in evaluation, over the very parameters
 * of that model, on whatever it is applied to; layers and parameters of its body are there by their names.
 */
import type { Expression, Statement } from '../1-parse/ast.ts';
import { topological, type Value } from '../ir/graph.ts';
import { spanText } from '../source/text.ts';
import { suggest } from '../source/suggest.ts';
import { bindArguments, deeper, type Given } from './call.ts';
import { didYouMean, fail, Reported, type Context, type ExecutedModel, type RegisteredModel } from './context.ts';
import { tensorItem, type HeldModel, type Item } from './item.ts';
import { executeModel } from './model.ts';
import type { ModelBody, Scope } from './scope.ts';

export function declareHeld(context: Context, statement: Extract<Statement, { kind: 'freeze' }>, scope: Scope): void {
  const { body } = scope;
  if (body.kind !== 'layer' || body.model === null) return fail(context, {
    code: 'model.place', message: '`freeze` stands only in a model', help: 'hold the other model there, and pass what a layer needs of it',
  });
  const holder = context.registry.models.get(body.instance.definition.name.text)!;
  const registered = modelOf(context, statement.value, holder);
  holder.holds.set(registered.definition.name.text, statement.value.span);
  const { bodies } = registered;
  if (!bodies.has(context.batch)) bodies.set(context.batch, executeHeld(context, registered, context.batch, null));
  const { model, names, batchName } = bodies.get(context.batch)!;
  const outputs = model.results.filter(({ role }) => role === 'output');
  const needed = new Set(topological(outputs.map(({ value }) => value)));
  const inputs = [...model.inputs].map(([name, value]) =>
    ({ name, required: needed.has(value), batched: batchName !== null && value.type.dims[0]?.name === batchName }));
  scope.names.set(statement.name.text, { kind: 'model', model: { registered, names, inputs } });
}

/** `vae(x)`: its output, or all of them by their names. */
export function applyHeld(context: Context, { registered, inputs }: HeldModel, given: readonly Given[]): Item {
  const name = registered.definition.name.text;
  const bound = bindArguments(context, name, () => `${name}(${inputs.map(input => input.name).join(', ')})`, inputs, given);
  const extents = inputs.flatMap(input => {
    const item = input.batched ? bound.get(input.name)?.item : undefined;
    return item?.kind === 'tensor' && item.value.type.dims.length > 0 ? [item.value.type.dims[0]!.extent] : [];
  });
  const before = context.problems;
  const { model } = executeHeld(context, registered, extents[0] ?? context.batch, bound);
  if (context.problems > before) throw new Reported();
  const outputs = new Map(model.results.flatMap(({ role, name: own, value }) => (role === 'output' ? [[own, tensorItem(value)] as const] : [])));
  if (outputs.size === 0) fail(context, {
    code: 'model.freeze', message: `the model \`${name}\` has no output to give`, help: `name what it gives in its body, \`output name = …\``,
  });
  return outputs.size === 1 ? [...outputs.values()][0]! : { kind: 'outputs', model: name, values: outputs };
}

/** `vae.decoder`: a layer, a parameter or a hyperparameter of its body. */
export function heldMember(context: Context, { registered, names }: HeldModel, name: string): Item {
  const model = registered.definition.name.text;
  const item = names.get(name);
  if (item === undefined) return fail(context, {
    code: 'name.member', message: `the model \`${model}\` has no \`${name}\``, help: didYouMean(suggest(name, [...names.keys()])),
  });
  if (item.kind === 'poison') throw new Reported();
  const computed = item.kind === 'tensor' ? item.value.leaf === null || item.value.leaf.role === 'input'
    : item.kind === 'instance' && [...item.instance.arguments.values()].some(argument => argument.kind === 'tensor' && dependsOnInput(argument.value));
  if (computed) fail(context, {
    code: 'model.freeze', message: `\`${name}\` of the model \`${model}\` is computed from its inputs`,
    help: `make it an output, and apply the model to inputs: \`vae(x).${name}\``,
  });
  return item;
}

/** `vae(x).codes` */
export function outputNamed(context: Context, model: string, values: ReadonlyMap<string, Item>, name: string): Item {
  return values.get(name) ?? fail(context, {
    code: 'name.member', message: `the model \`${model}\` has no output \`${name}\``,
    help: didYouMean(suggest(name, [...values.keys()]), `it has ${[...values.keys()].map(one => `\`${one}\``).join(', ')}`),
  });
}

/** The model that `Dvae()` names: an earlier one, as it is. */
function modelOf(context: Context, value: Expression, holder: RegisteredModel): RegisteredModel {
  const { models } = context.registry;
  const called = value.kind === 'call' ? value.callee : value;
  const registered = called.kind === 'name' ? models.get(called.text) : undefined;
  const own = holder.definition.name.text;
  if (registered === undefined) return fail(context, {
    code: 'model.freeze', message: called.kind === 'name' ? `no model is called \`${called.text}\`` : `\`${spanText(called.span)}\` is no model`, span: called.span,
    help: didYouMean(called.kind === 'name' ? suggest(called.text, [...models.keys()]) : null, 'hold an earlier model of this file, as in `freeze vae = Dvae()`'),
  });
  const name = registered.definition.name.text;
  if (value.kind !== 'call') return fail(context, { code: 'model.freeze', message: `a model is held with brackets behind its name: \`${name}()\``, span: value.span });
  if (value.arguments.length > 0) return fail(context, {
    code: 'model.freeze', message: `the model \`${name}\` is held as it is, and takes no arguments here`, span: value.arguments[0]!.span,
    help: 'change the defaults of its hyperparameters, or set them with `--set`',
  });
  if (registered === holder) return fail(context, { code: 'model.freeze', message: `the model \`${own}\` holds itself`, span: value.span });
  if (registered.progress === 'waiting') return fail(context, {
    code: 'model.freeze', message: `the model \`${name}\` stands below \`${own}\`, which holds it`, span: value.span,
    secondary: [{ span: registered.definition.name.span, text: 'it is here' }], help: 'a model holds earlier ones: move it up',
  });
  if (registered.progress === 'wrong') throw new Reported();
  return registered;
}

/** The body in evaluation, with a batch of its own; what is around it stays as it is. */
function executeHeld(
  context: Context, registered: RegisteredModel, batch: number, given: ModelBody['given'],
): ExecutedModel {
  const { path, training, batch: ownBatch, batchName } = context;
  Object.assign(context, { training: false, batch, batchName: null });
  try {
    const { model, scope } = deeper(context, registered.definition.name.text, () => executeModel(context, registered, given));
    return { model, names: scope.names, batchName: context.batchName };
  } finally {
    Object.assign(context, { path, training, batch: ownBatch, batchName });
  }
}

const dependsOnInput = (value: Value): boolean => topological([value]).some(({ leaf }) => leaf?.role === 'input');
