/**
 * Layers: construction gives an instance a path, application elaborates its body. Parameters and states are made at the first
 * application anywhere and found again by path, so that an instance applied twice shares them.
 */
import type { Expression, Statement } from '../1-parse/ast.ts';
import { leaf, topological, type Value } from '../ir/graph.ts';
import { printType, printTypeLong, sameShape, shapeOf, tensor, type TensorType } from '../ir/type.ts';
import { broadcastDims } from '../ops/shared.ts';
import type { Span } from '../source/text.ts';
import { execute } from './body.ts';
import { bindParameters, checkResult, deeper, type Given } from './call.ts';
import { fail, isTraining, Reported, within, type Context, type RegisteredLeaf, type RegisteredModel } from './context.ts';
import { declaredType } from './dims.ts';
import { need } from './expression.ts';
import { describe, tensorItem, type Instance, type Item } from './item.ts';
import { newScope, type Body, type ModelBody, type Scope } from './scope.ts';
import { sitesOf } from './sites.ts';
import { broadcast, cast, full, isNumeric, toTensor } from './tensors.ts';
import { checkWhere } from './where.ts';

type LayerBody = Extract<Body, { kind: 'layer' }>;

export function construct(context: Context, layer: Extract<Item, { kind: 'layer' }>, given: readonly Given[], site: Span, scope: Scope): Instance {
  const { definition, module } = layer;
  const name = definition.name.text;
  const { body } = scope;
  if (body.kind !== 'layer') {
    const where = body.kind === 'fn' ? `the function \`${body.name}\`` : { optimizer: 'an optimizer', source: 'a source of data', constant: 'a constant' }[body.kind];
    return fail(context, {
      code: 'layer.place', message: `the layer \`${name}\` cannot be constructed in ${where}`,
      help: 'only a model or a layer owns parameters: make this a `layer`, or pass the layer in',
    });
  }
  const hyperparameters = newScope(module, { kind: 'constant' });
  bindParameters(context, name, definition.parameters, given, hyperparameters);
  const path = [...body.instance.path, nameAt(context, body, site.start, name)];
  return { definition, module, arguments: hyperparameters.names, path, training: context.training, span: site, members: new Map() };
}

export function applyLayer(context: Context, instance: Instance, given: readonly Given[]): Item {
  const { definition, module } = instance;
  const name = definition.name.text;
  const scope = newScope(module, layerBody(context, instance, definition.body, definition.inputs.map(input => input.name.text)));
  for (const [hyperparameter, item] of instance.arguments) scope.names.set(hyperparameter, item);
  bindParameters(context, name, definition.inputs, given, scope);
  const { path, training } = context;
  return deeper(context, name, () => {
    context.path = instance.path;
    context.training = instance.training;
    try {
      definition.where.forEach(condition => checkWhere(context, condition, scope));
      const result = execute(context, definition.body, scope);
      if (result === null) fail(context, {
        code: 'call.return', message: `the layer \`${name}\` returns nothing`, span: definition.name.span,
        help: 'end it with `return …`',
      });
      checkResult(context, result, definition.result, scope, name);
      return result;
    } finally {
      context.path = path;
      context.training = training;
    }
  });
}

export function layerBody(context: Context, instance: Instance, statements: readonly Statement[], inputs: readonly string[], model: ModelBody | null = null): LayerBody {
  const { sites } = context.registry;
  if (!sites.has(statements)) sites.set(statements, sitesOf(statements, instance.module, [...instance.arguments.keys(), ...inputs]));
  return { kind: 'layer', instance, occurrences: new Map(), sites: sites.get(statements)!, states: new Map(), model };
}

/** The name for what the site at `start` makes now. The same turn of the same site has the same name in every application. */
function nameAt(context: Context, body: LayerBody, start: number, fallback: string): string {
  const occurrence = body.occurrences.get(start) ?? 0;
  body.occurrences.set(start, occurrence + 1);
  const { names } = context.registry;
  const path = body.instance.path.join('.');
  if (!names.has(path)) names.set(path, { given: new Map(), numbers: new Map() });
  const table = names.get(path)!;
  const key = `${start}#${occurrence}`;
  const known = table.given.get(key);
  if (known !== undefined) return known;
  const site = body.sites.get(start) ?? { name: fallback, numbered: true };
  const ordinal = table.numbers.get(site.name) ?? 0;
  table.numbers.set(site.name, ordinal + 1);
  const name = site.numbered || ordinal > 0 ? `${site.name}.${ordinal}` : site.name;
  table.given.set(key, name);
  return name;
}

export function declareParameter(context: Context, statement: Extract<Statement, { kind: 'param' }>, scope: Scope): void {
  const { body } = scope;
  const name = statement.name.text;
  if (body.kind !== 'layer') return fail(context, {
    code: 'layer.place', message: `a parameter \`${name}\` cannot stand in ${body.kind === 'source' ? 'a source of data' : 'a function'}`,
    help: 'only a model or a layer owns parameters',
  });
  const own = nameAt(context, body, statement.span.start, name);
  const type = declaredType(context, statement.type, scope);
  if (type.dtype !== 'f32') fail(context, {
    code: 'layer.parameter', message: `the parameter \`${name}\` must be f32, not ${type.dtype}`, span: statement.type.span,
  });
  if (statement.value === null) {
    return fail(context, {
      code: 'layer.initial', message: `the parameter \`${name}\` has no initial value`,
      help: 'write one: `= glorot_uniform()`, `= normal(0, 0.02)`, `= 0`',
    });
  }
  const registered = registeredLeaf(context, 'parameter', [...body.instance.path, own].join('.'), type, statement.value, statement.span, scope);
  const item = tensorItem(registered.leaf);
  scope.names.set(name, item);
  body.instance.members.set(name, item);
}

export function declareState(context: Context, statement: Extract<Statement, { kind: 'state' }>, scope: Scope): void {
  const { body } = scope;
  const name = statement.name.text;
  if (body.kind !== 'layer') return fail(context, {
    code: 'layer.place', message: `a state \`${name}\` cannot stand in ${body.kind === 'source' ? 'a source of data' : 'a function'}`,
    help: 'only a model, a layer or an optimizer keeps states',
  });
  const path = [...body.instance.path, nameAt(context, body, statement.span.start, name)].join('.');
  const type = statement.type === null ? tensor('f32', []) : declaredType(context, statement.type, scope);
  const registered = registeredLeaf(context, 'state', path, type, statement.value, statement.span, scope);
  const item = tensorItem(context.current.get(path) ?? registered.leaf);
  body.states.set(name, { path, leaf: registered.leaf });
  scope.names.set(name, item);
  body.instance.members.set(name, item);
}

/** `state <- value`: takes effect when training; what is read after it is the new value. */
export function updateState(context: Context, statement: Extract<Statement, { kind: 'update' }>, body: LayerBody, scope: Scope): void {
  const name = statement.name.text;
  const state = body.states.get(name);
  if (state === undefined) return fail(context, {
    code: 'layer.update', message: `\`${name}\` is no state of this body`, span: statement.name.span,
    help: `declare it with \`state ${name}: f32[…] = 0\`, or bind it with \`=\``,
  });
  if (context.scan !== null) fail(context, {
    code: 'scan.place', message: `the state \`${name}\` cannot be updated inside of a \`scan\``, span: statement.name.span,
    help: 'carry the value from step to step, and update the state behind the loop',
  });
  if (!isTraining(context)) return;
  const value = fitted(context, need(context, statement.value, scope), state.leaf.type, `the update of \`${name}\``);
  context.current.set(state.path, value);
  context.updates.set(state.path, { leaf: state.leaf, value });
  scope.names.set(name, tensorItem(value));
}

function registeredLeaf(
  context: Context, role: 'parameter' | 'state', path: string, type: TensorType, initial: Expression, span: Span, scope: Scope,
): RegisteredLeaf {
  const registry = role === 'parameter' ? context.registry.parameters : context.registry.states;
  const known = registry.get(path);
  if (known !== undefined) {
    if (!sameShape(shapeOf(known.leaf.type), shapeOf(type)) || known.leaf.type.dtype !== type.dtype) {
      // Extents alone differ where a shape depends on the batch, which is another in training than for one row.
      const onlyExtents = printType(type) === printType(known.leaf.type);
      const print = onlyExtents ? printTypeLong : printType;
      fail(context, {
        code: 'layer.shared', message: `\`${path}\` is ${print(type)} here, but ${print(known.leaf.type)} where the layer was applied first`,
        span: context.libraryAt === null ? span : context.at, secondary: known.appliedAt.file.library ? [] : [{ span: known.appliedAt, text: 'applied first here' }],
        help: onlyExtents ? `the size of \`${path}\` cannot depend on the batch, whose rows come in any number`
          : 'a layer shares its parameters between applications: construct another one for other dimensions',
      });
    }
    return known;
  }
  const own = leaf(role, path, type, { span: context.at, scope: context.path, phase: context.phase });
  const made = { leaf: own, initial: initialValue(context, initial, type, path, scope), span, appliedAt: context.at };
  registry.set(path, made);
  return made;
}

/** Elaborates an initial value for a target of a known type: it may use nothing but constants and random numbers. */
export function initialValue(context: Context, expression: Expression, type: TensorType, path: string, scope: Scope): Value {
  const { initialiser, phase } = context;
  context.initialiser = { type, path, draws: 0 };
  context.phase = 'initialise';
  try {
    const item = need(context, expression, scope);
    return within(context, expression.span, () => {
      const value = fitted(context, item, type, 'the initial value');
      const used = topological([value]).find(v => v.leaf !== null && v.leaf.role !== 'seed');
      if (used) fail(context, {
        code: 'layer.initial',
        message: `an initial value is made of constants and random numbers, but this uses \`${used.leaf!.name}\``,
      });
      return value;
    });
  } finally {
    context.initialiser = initialiser;
    context.phase = phase;
  }
}

/** A number or a tensor as the type asks for it: broadcast, and converted where its kind of number fits. */
export function fitted(context: Context, given: Item, type: TensorType, what: string): Value {
  const item = given.kind === 'list' && isNumeric(given) ? tensorItem(toTensor(context, given)) : given;
  if (item.kind === 'number') return full(context, item.value, type.dtype, type.dims);
  if (item.kind === 'boolean') return full(context, item.value ? 1 : 0, type.dtype, type.dims);
  if (item.kind === 'poison') throw new Reported();
  if (item.kind !== 'tensor') return fail(context, {
    code: 'type.argument', message: `${what} must be ${printType(type)}, found ${describe(item)}`,
  });
  const common = broadcastDims(type.dims, item.value.type.dims);
  if (common === null || !sameShape(common.map(d => d.extent), shapeOf(type))) {
    return fail(context, { code: 'type.dimension', message: `${what} must be ${printType(type)}, but is ${printType(item.value.type)}` });
  }
  return broadcast(context, cast(context, item.value, type.dtype), type.dims);
}

/** The instance that stands for a model: its body owns parameters like a layer's, with names that begin at the root. */
export const rootInstance = ({ definition, module, path }: RegisteredModel, training: boolean): Instance => ({
  definition: { ...definition, kind: 'layer', inputs: [], result: null, where: [] },
  module, arguments: new Map(), path, training, span: definition.span, members: new Map(),
});
