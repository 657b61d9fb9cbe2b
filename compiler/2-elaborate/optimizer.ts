/**
 * The optimizer applied to stand-ins for a parameter and its gradient, once for each group of parameters with the same settings.
 * A rule that works element by element is elaborated once, flat, for all parameters of its group laid end to end.
 */
import type { Argument, Expression } from '../1-parse/ast.ts';
import { leaf, topological, type Value } from '../ir/graph.ts';
import type { Parameter, ParameterGroup, UpdateRule } from '../ir/model.ts';
import { dim, elements, sameShape, shapeOf, tensor, type TensorType } from '../ir/type.ts';
import { isPrimitive } from '../ops/define.ts';
import { spanText, type Span } from '../source/text.ts';
import { suggest } from '../source/suggest.ts';
import { execute } from './body.ts';
import { bindParameters, evaluateArguments, type Given } from './call.ts';
import { attempt, fail, within, type Context } from './context.ts';
import { need } from './expression.ts';
import { describe, tensorItem, type Item } from './item.ts';
import { fitted } from './layer.ts';
import { matchesPattern, unmatchedPattern, type Pattern } from './pattern.ts';
import { definedNames, findDefinition, newScope, type OptimizerState, type Scope } from './scope.ts';
import { build, cast, readsInPlace, toTensor } from './tensors.ts';

export interface OptimizerSetting {
  readonly expression: Expression;
  readonly exceptions: readonly { readonly patterns: readonly Pattern[]; readonly arguments: readonly Argument[]; readonly span: Span }[];
}

type Optimizer = Extract<Item, { kind: 'optimizer' }>;

/** Groups of equal settings, apart by `cellOf`. */
export function elaborateGroups(
  context: Context, setting: OptimizerSetting, parameters: readonly Parameter[], scope: Scope, cellOf: (parameter: Parameter) => string,
): readonly ParameterGroup[] {
  context.phase = 'update';
  return within(context, setting.expression.span, () => {
    const { expression } = setting;
    const optimizer = findOptimizer(context, expression.kind === 'call' ? expression.callee : expression, scope);
    const base = expression.kind === 'call' ? evaluateArguments(context, expression.arguments, scope) : [];
    const paths = parameters.map(parameter => parameter.path);
    for (const pattern of setting.exceptions.flatMap(exception => exception.patterns)) {
      if (!paths.some(path => matchesPattern(path, pattern.text))) unmatchedPattern(context, pattern, paths);
    }
    const trainable = parameters.filter(parameter => parameter.trainable);
    const overridden = setting.exceptions.map(exception => override(base, evaluateArguments(context, exception.arguments, scope)));
    // Elaborated even for no parameter, so that its settings are checked.
    const members = [-1, ...setting.exceptions.keys()].map(index => trainable.filter(parameter => exceptionOf(setting, parameter.path) === index));
    return members.flatMap((group, i): ParameterGroup[] => {
      const given = i === 0 ? base : overridden[i - 1]!;
      const cells = [...Map.groupBy(group, cellOf).values()];
      const made = (cells.length === 0 ? [[]] : cells).map(cell => elaborateGroup(context, optimizer, given, cell));
      return group.length === 0 ? [] : made;
    });
  });
}

/** The first clause that a path falls under, by its number; -1 for none. */
export const exceptionOf = ({ exceptions }: OptimizerSetting, path: string): number =>
  exceptions.findIndex(exception => exception.patterns.some(pattern => matchesPattern(path, pattern.text)));

function findOptimizer(context: Context, expression: Expression, scope: Scope): Optimizer {
  const optimizers = definedNames(scope.module).filter(name => findDefinition(scope.module, name)?.definition.kind === 'optimizer');
  if (expression.kind === 'name' && findDefinition(scope.module, expression.text) === null) {
    const near = suggest(expression.text, optimizers);
    fail(context, {
      code: 'train.optimizer', message: `no optimizer is called \`${expression.text}\``, span: expression.span,
      help: near === null ? `there are ${optimizers.map(name => `\`${name}\``).join(', ')}` : `did you mean \`${near}\`?`,
    });
  }
  const item = need(context, expression, scope);
  if (item.kind === 'optimizer') return item;
  return fail(context, {
    code: 'train.optimizer', message: `\`${spanText(expression.span)}\` is ${describe(item)}, not an optimizer`,
    span: expression.span, help: `there are ${optimizers.map(name => `\`${name}\``).join(', ')}`,
  });
}

/** The exception's arguments in the place of the ones of the same name. */
const override = (base: readonly Given[], exception: readonly Given[]): readonly Given[] =>
  [...base.filter(argument => argument.name === null || !exception.some(other => other.name?.text === argument.name!.text)), ...exception];

function elaborateGroup(context: Context, optimizer: Optimizer, given: readonly Given[], parameters: readonly Parameter[]): ParameterGroup {
  const total = parameters.reduce((sum, parameter) => sum + elements(parameter.leaf.type), 0);
  const end = tensor('f32', [dim(Math.max(total, 1))]);
  // What the flat shape alone makes wrong is not told: the parameters' own shapes decide then.
  const trial: Context = { ...context, diagnostics: [], said: new Set(), shapeRead: false };
  const flat = attempt(() => elaborateRule(trial, optimizer, given, end));
  if (flat !== null && trial.diagnostics.length === 0 && !trial.shapeRead && isFlat(flat)) {
    return { parameters, flat: true, rules: parameters.length > 0 ? [flat] : [] };
  }
  const types = parameters.length > 0 ? parameters.map(parameter => parameter.leaf.type) : [end];
  return { parameters, flat: false, rules: types.map(type => elaborateRule(context, optimizer, given, type)) };
}

function elaborateRule(context: Context, optimizer: Optimizer, given: readonly Given[], type: TensorType): UpdateRule {
  const { definition, module } = optimizer;
  const name = definition.name.text;
  const origin = { span: context.at, scope: [], phase: 'update' } as const;
  const parameter = leaf('parameter', 'p', type, origin);
  const gradient = leaf('input', 'g', type, origin);
  const states = new Map<string, OptimizerState>();
  const scope = newScope(module, { kind: 'optimizer', parameter, states });
  bindParameters(context, name, definition.parameters, given, scope);
  definition.inputs.forEach((input, i) => scope.names.set(input.text, tensorItem(i === 0 ? parameter : gradient)));
  const before = context.diagnostics.length;
  // The conditions that a body begins with are held against the `lr` that is given, which may be a constant; what follows reads the scaled one.
  const conditions = Math.max(0, definition.body.findIndex(({ kind }) => kind !== 'where'));
  execute(context, definition.body.slice(0, conditions), scope);
  const learningRate = learningRateOf(context, scope.names.get('lr'));
  if (learningRate !== null) scope.names.set('lr', tensorItem(learningRate));
  const result = execute(context, definition.body.slice(conditions), scope);
  if (result === null) fail(context, {
    code: 'call.return', message: `the optimizer \`${name}\` returns nothing`, span: definition.name.span,
    help: 'end it with `return` and the new value of the parameter',
  });
  const updated = context.diagnostics.length > before ? parameter : fitted(context, result, type, `what the optimizer \`${name}\` returns`);
  return {
    parameter, gradient, updated, learningRate,
    states: [...states.values()].map(state => ({ leaf: state.leaf, initial: state.initial, updated: state.updated })),
  };
}

/** What is given for `lr`, times the factor of the run. */
function learningRateOf(context: Context, item: Item | undefined): Value | null {
  if (item?.kind !== 'number' && item?.kind !== 'tensor') return null;
  const value = toTensor(context, item);
  if (value.type.dims.length > 0) fail(context, {
    code: 'train.value', message: `\`lr\` must be one number, found ${describe(item)}`,
  });
  return build(context, 'mul', [cast(context, value, 'f32'), context.registry.scalars.learningRateFactor]);
}

/** Whether a rule on a one-dimensional parameter computes every element from the same element of what it reads, and from scalars. */
function isFlat(rule: UpdateRule): boolean {
  const leaves = new Set([rule.parameter, rule.gradient, ...rule.states.map(state => state.leaf)]);
  const shape = shapeOf(rule.parameter.type);
  const dependent = new Set<Value>();
  for (const value of topological([rule.updated, ...rule.states.map(state => state.updated)])) {
    if (leaves.has(value)) {
      dependent.add(value);
      continue;
    }
    if (value.op === null) continue;
    const depends = value.operands.some(operand => dependent.has(operand));
    if (depends) dependent.add(value);
    if (value.type.dims.length === 0) {
      if (depends) return false;
      continue;
    }
    const { definition } = value.op;
    if (!isPrimitive(definition) || !sameShape(shapeOf(value.type), shape)) return false;
    const nest = definition.lower(value.operands.map(operand => operand.type), value.attrs, value.type);
    const ranks = value.operands.map(operand => operand.type.dims.length);
    if (nest.combine !== null || nest.scatter || nest.reinterpret || !readsInPlace(nest.body, ranks)) return false;
  }
  return true;
}

