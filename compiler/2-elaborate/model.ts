/** One elaboration of a model's body, and what all elaborations of it made together: parameters and states. */
import type { Named } from '../ir/graph.ts';
import type { Forward, Parameter, State } from '../ir/model.ts';
import { execute } from './body.ts';
import { newContext, type Context, type RegisteredLeaf, type RegisteredModel, type Registry } from './context.ts';
import { layerBody, rootInstance } from './layer.ts';
import { matchesPattern, unmatchedPattern, type Pattern } from './pattern.ts';
import { newScope, type ModelBody, type Scope } from './scope.ts';
import { build } from './tensors.ts';

export interface Elaboration {
  readonly forward: Forward;
  readonly batchName: string | null;
  /** Times that something was reported. */
  readonly problems: number;
  /** Whether evaluation computes something else than training. */
  readonly dependsOnTraining: boolean;
  /** Of the model's body, with what its names stand for in the end. */
  readonly scope: Scope;
}

/** The model's body once more, in a context of its own. */
export function elaborateForward(outer: Context, registered: RegisteredModel, changes: Pick<Context, 'training' | 'batch'>): Elaboration {
  const context: Context = { ...newContext(outer.ops, outer.registry, outer.diagnostics, registered.definition.span), ...changes };
  const { model, scope } = executeModel(context, registered, null);
  if (!changes.training && context.problems === 0) registered.bodies.set(changes.batch, { model, names: scope.names, batchName: context.batchName });
  const named = (role: 'loss' | 'metric'): Named[] => model.results.flatMap(result => (result.role === role ? [{ name: result.name, value: result.value }] : []));
  const losses = named('loss');
  const total = losses.length === 0 ? null : losses.map(loss => loss.value).reduce((sum, loss) => build(context, 'add', [sum, loss]));
  return {
    batchName: context.batchName, problems: context.problems, dependsOnTraining: context.dependsOnTraining, scope,
    forward: {
      inputs: [...model.inputs.values()], loss: total, losses,
      metrics: [...(losses.length > 1 ? losses : []), ...named('metric')], outputs: model.results.filter(result => result.role === 'output').map(({ name, value, image }) => ({ name, value, image })),
      updates: [...context.updates.values()],
    },
  };
}

/** The body on leaves, or on what it is given. */
export function executeModel(context: Context, registered: RegisteredModel, given: ModelBody['given']): { readonly model: ModelBody; readonly scope: Scope } {
  const { definition, module, hyperparameters } = registered;
  const model: ModelBody = { inputs: new Map(), given, results: [] };
  const root = rootInstance(registered, context.training);
  const scope = newScope(module, layerBody(context, root, definition.body, [...hyperparameters.keys()], model));
  for (const [name, item] of hyperparameters) scope.names.set(name, item);
  context.path = root.path;
  execute(context, definition.body, scope);
  return { model, scope };
}

/** A model's parameters in the order in which they were made; what a `freeze` pattern names is not trainable. */
export function parametersOf(context: Context, registered: RegisteredModel, frozen: readonly Pattern[]): readonly Parameter[] {
  const own = ownOf(context.registry.parameters, registered);
  const paths = own.map(({ path }) => path);
  for (const pattern of frozen) if (!paths.some(path => matchesPattern(path, pattern.text))) unmatchedPattern(context, pattern, paths);
  return own.map(({ path, leaf: { leaf, initial, span } }) =>
    ({ leaf, path, initial, span, trainable: !frozen.some(pattern => matchesPattern(path, pattern.text)) }));
}

export const statesOf = (context: Context, registered: RegisteredModel): readonly State[] =>
  ownOf(context.registry.states, registered).map(({ leaf: { leaf, initial } }) => ({ leaf, initial }));

/** Those of the leaves that are of a model, with their paths in it. */
function ownOf(leaves: Registry['parameters'], { path }: RegisteredModel): readonly { readonly path: string; readonly leaf: RegisteredLeaf }[] {
  const prefix = path.map(part => `${part}.`).join('');
  return [...leaves].flatMap(([name, leaf]) => (name.startsWith(prefix) ? [{ path: name.slice(prefix.length), leaf }] : []));
}
