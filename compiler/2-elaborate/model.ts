/** One elaboration of a model's body, and what all elaborations of it made together: parameters and states. */
import type { LayerItem, ModelItem } from '../1-parse/ast.ts';
import type { Named } from '../ir/graph.ts';
import type { Forward, Parameter, State } from '../ir/model.ts';
import { execute } from './body.ts';
import { newContext, type Context } from './context.ts';
import type { Item } from './item.ts';
import { layerBody, rootInstance } from './layer.ts';
import { matchesPattern, unmatchedPattern, type Pattern } from './pattern.ts';
import { newScope, type Module, type ModelBody, type Scope } from './scope.ts';
import { build } from './tensors.ts';

export interface Elaboration {
  readonly forward: Forward;
  readonly batchName: string | null;
  /** Of the model's body, with what its names stand for in the end. */
  readonly scope: Scope;
}

export function elaborateForward(
  outer: Context, definition: ModelItem, module: Module, hyperparameters: ReadonlyMap<string, Item>, changes: Partial<Context>,
): Elaboration {
  const context: Context = { ...newContext(outer.ops, outer.registry, outer.diagnostics, definition.span), ...changes };
  const asLayer: LayerItem = { ...definition, kind: 'layer', inputs: [], result: null, where: [] };
  const model: ModelBody = { inputs: new Map(), results: [] };
  const root = rootInstance(asLayer, module, definition.span);
  const scope = newScope(module, layerBody(context, root, definition.body, [...hyperparameters.keys()], model));
  for (const [name, item] of hyperparameters) scope.names.set(name, item);
  execute(context, definition.body, scope);
  const named = (role: 'loss' | 'metric' | 'output'): Named[] => model.results.flatMap(result => (result.role === role ? [{ name: result.name, value: result.value }] : []));
  const losses = named('loss');
  const total = losses.length === 0 ? null : losses.map(loss => loss.value).reduce((sum, loss) => build(context, 'add', [sum, loss]));
  return {
    batchName: context.batchName, scope,
    forward: {
      inputs: [...model.inputs.values()], loss: total, losses,
      metrics: [...(losses.length > 1 ? losses : []), ...named('metric')], outputs: named('output'),
      updates: [...context.updates.values()],
    },
  };
}

/** The parameters in the order in which they were made; what a `freeze` pattern names is not trainable. */
export function parametersOf(context: Context, frozen: readonly Pattern[]): readonly Parameter[] {
  const { parameters } = context.registry;
  const paths = [...parameters.keys()];
  for (const pattern of frozen) if (!paths.some(path => matchesPattern(path, pattern.text))) unmatchedPattern(context, pattern, paths);
  return [...parameters].map(([path, { leaf, initial, span }]) =>
    ({ leaf, initial, span, trainable: !frozen.some(pattern => matchesPattern(path, pattern.text)) }));
}

export const statesOf = (context: Context): readonly State[] => [...context.registry.states.values()].map(({ leaf, initial }) => ({ leaf, initial }));
