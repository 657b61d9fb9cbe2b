/** Statements: names bound in order, loops unrolled, branches chosen, until a `return`. An error in one leaves its names poisoned and goes on. */
import type { Statement } from '../1-parse/ast.ts';
import { isFloat, printType } from '../ir/type.ts';
import { attempt, fail, limits, Reported, within, type Context } from './context.ts';
import { evaluate, labelled, need } from './expression.ts';
import { describe, number, poison, tensorItem, type Item } from './item.ts';
import { declareParameter, declareState, fitted, initialValue, updateState } from './layer.ts';
import { indexedTensor } from './index-notation.ts';
import { declareHeld } from './held-model.ts';
import { imageLayout } from './image.ts';
import { declareInput } from './input.ts';
import { yieldValue } from './scan.ts';
import type { Scope } from './scope.ts';
import { cast, toTensor } from './tensors.ts';
import { checkWhere } from './where.ts';
import { leaf, topological, type Value } from '../ir/graph.ts';

/** What the body returns, or null when it comes to its end. */
export function execute(context: Context, statements: readonly Statement[], scope: Scope): Item | null {
  const isModel = scope.body.kind === 'layer' && scope.body.model !== null;
  for (const statement of statements) {
    const before = context.problems;
    const returned = within(context, statement.span, () => attempt(() => step(context, statement, scope)));
    // What follows a constraint that fails, or an error inside the library, would only tell the same mistake again.
    if (context.problems > before && !isModel && (statement.kind === 'where' || statement.kind === 'scan' || statement.span.file.library)) throw new Reported();
    if (returned !== null) return returned;
  }
  return null;
}

function step(context: Context, statement: Statement, scope: Scope): Item | null {
  switch (statement.kind) {
    case 'bind': bind(context, statement, scope); return null;
    case 'indexed': {
      const name = statement.name.text;
      declare(name, () => void scope.names.set(name, indexedTensor(context, statement, scope)));
      return null;
    }
    case 'param': declare(statement.name.text, () => declareParameter(context, statement, scope)); return null;
    case 'state':
      declare(statement.name.text, () => (scope.body.kind === 'optimizer' ? optimizerState : declareState)(context, statement, scope));
      return null;
    case 'update': update(context, statement, scope); return null;
    case 'input': declare(statement.name.text, () => declareInput(context, statement, scope)); return null;
    case 'freeze': declare(statement.name.text, () => declareHeld(context, statement, scope)); return null;
    case 'result': result(context, statement, scope); return null;
    case 'for': return loop(context, statement, scope);
    case 'if': {
      const condition = need(context, statement.condition, scope);
      if (condition.kind !== 'boolean') {
        return fail(context, {
          code: 'type.condition', message: `the condition of an \`if\` must be known at compile time, found ${describe(condition)}`, span: statement.condition.span,
          help: condition.kind !== 'tensor' ? null
            : `${isScaled(context, condition.value) ? 'a run may scale `lr`, so it is a tensor here: ' : ''}choose between tensors with \`condition ? a : b\``,
        });
      }
      return execute(context, condition.value ? statement.then : (statement.otherwise ?? []), scope);
    }
    case 'where': checkWhere(context, statement.condition, scope); return null;
    case 'scan': evaluate(context, statement.loop, scope); return null;
    case 'yield': yieldValue(context, need(context, statement.value, scope), scope); return null;
    case 'return':
      if (context.scan?.scope === scope) return fail(context, {
        code: 'scan.return', message: 'a `return` inside of a `scan`',
        help: 'write `yield` for what is kept of every step, and return what the `scan` gives',
      });
      if (scope.body.kind === 'source') return fail(context, {
        code: 'data.synthetic', message: 'a source returns nothing', help: 'bind what an input is fed with to its name: `x = …`',
      });
      if (scope.body.kind === 'layer' && scope.body.model !== null) return fail(context, {
        code: 'model.return', message: 'a model returns nothing', help: 'name what it gives: `output name = …`',
      });
      return evaluate(context, statement.value, scope);
    default: return statement satisfies never;
  }

  /** Declares, leaving the name poisoned when that fails. */
  function declare(name: string, action: () => void): void {
    scope.names.set(name, poison);
    action();
  }
}

/** Whether a value is computed from the learning rate as a run has it. */
const isScaled = (context: Context, value: Value): boolean => topological([value]).includes(context.registry.scalars.learningRateFactor);

function bind(context: Context, statement: Extract<Statement, { kind: 'bind' }>, scope: Scope): void {
  const item = evaluate(context, statement.value, scope);
  const { targets } = statement;
  if (targets.length === 1) {
    const name = targets[0]!.text;
    scope.names.set(name, labelled(item, name, statement.span.file.library));
    if (item.kind === 'instance' && scope.body.kind === 'layer') scope.body.instance.members.set(name, item);
    return;
  }
  targets.forEach((target, i) => scope.names.set(target.text, item.kind === 'list' ? (item.elements[i] ?? poison) : poison));
  if (item.kind === 'poison') return;
  if (item.kind !== 'list') fail(context, {
    code: 'type.split', message: `${targets.length} names are bound, but the value is ${describe(item)}`,
    span: statement.value.span,
  });
  if (item.elements.length !== targets.length) fail(context, {
    code: 'type.split', message: `${targets.length} names are bound to ${item.elements.length} values`,
  });
}

function loop(context: Context, statement: Extract<Statement, { kind: 'for' }>, scope: Scope): Item | null {
  const [from, to] = [statement.from, statement.to].map(expression => {
    const item = need(context, expression, scope);
    if (item.kind === 'number' && Number.isInteger(item.value)) return item.value;
    return fail(context, {
      code: 'type.range', message: `the bounds of a \`for\` are whole numbers known at compile time, found ${describe(item)}`,
      span: expression.span,
    });
  }) as [number, number];
  if (to - from > limits.turns) fail(context, {
    code: 'type.size', message: `the loop has ${to - from} turns; at most ${limits.turns.toLocaleString('en')} are unrolled`,
  });
  const variable = statement.variable.text;
  const outermost = !scope.loops.has(variable);
  scope.loops.add(variable);
  try {
    for (let i = from; i < to; i++) {
      scope.names.set(variable, number(i));
      const returned = execute(context, statement.body, scope);
      if (returned !== null) return returned;
    }
    return null;
  } finally {
    if (outermost) scope.loops.delete(variable);
  }
}

/** `state m = 0` of an optimizer: of the parameter's shape. */
function optimizerState(context: Context, statement: Extract<Statement, { kind: 'state' }>, scope: Scope): void {
  const { body } = scope;
  if (body.kind !== 'optimizer') throw new Error('no optimizer');
  const { type } = body.parameter;
  const name = statement.name.text;
  const own = leaf('state', name, type, { span: context.at, scope: [], phase: 'update' });
  const initial = initialValue(context, statement.value, type, name, scope);
  body.states.set(name, { leaf: own, initial, updated: own });
  scope.names.set(name, tensorItem(own));
}

function update(context: Context, statement: Extract<Statement, { kind: 'update' }>, scope: Scope): void {
  const { body } = scope;
  const name = statement.name.text;
  if (body.kind === 'layer') return updateState(context, statement, body, scope);
  const state = body.kind === 'optimizer' ? body.states.get(name) : undefined;
  if (state === undefined) return fail(context, {
    code: 'layer.update', message: `\`${name}\` is no state of this body`, span: statement.name.span,
  });
  state.updated = fitted(context, need(context, statement.value, scope), state.leaf.type, `the update of \`${name}\``);
  scope.names.set(name, tensorItem(state.updated));
}

/** What a training step reports beside the model's metrics, under these names. */
const ownResults: readonly string[] = ['loss', 'lr', 'grad_norm'];

/** `loss = …`, `metric accuracy = …`, `output probabilities = …`: also bound as names. */
function result(context: Context, statement: Extract<Statement, { kind: 'result' }>, scope: Scope): void {
  const { role } = statement;
  const name = statement.name?.text ?? role;
  // Before the name is poisoned: `output prediction = prediction` means the earlier binding.
  const item = evaluate(context, statement.value, scope);
  scope.names.set(name, poison);
  const model = scope.body.kind === 'layer' ? scope.body.model : null;
  if (model === null) return fail(context, { code: 'model.place', message: `\`${role}\` stands only in a model` });
  const value = within(context, statement.value.span, () => toTensor(context, item, `a tensor for the ${role}`));
  scope.names.set(name, tensorItem(value));
  const place = statement.value.span;
  if (context.scan !== null && model.given === null) fail(context, {
    code: 'scan.place', message: `a ${role} stands outside of a \`scan\``, help: '`yield` the value, and name the result of the `scan`',
  });
  if (role !== 'output' && value.type.dims.length > 0) {
    fail(context, {
      code: 'model.scalar', message: `a ${role} is one number, but this is ${printType(value.type)}`, span: place,
      help: 'take its `mean`',
    });
  }
  if (role === 'loss' && !isFloat(value.type.dtype)) fail(context, {
    code: 'model.scalar', message: `the loss is a floating-point number, but this is ${printType(value.type)}`, span: place,
  });
  if (role !== 'output' && statement.name !== null && ownResults.includes(name)) fail(context, {
    code: 'model.reserved', message: `\`${name}\` is a number that training reports by itself`, span: statement.name.span,
    help: `give the ${role} another name`,
  });
  const earlier = model.results.find(other => other.name === name || (role === 'loss' && other.role === 'loss' && [name, other.name].includes('loss')));
  if (earlier) fail(context, {
    code: 'model.twice', secondary: [{ span: earlier.span, text: 'declared first here' }],
    message: role === 'loss' ? 'a model of several losses names each of them' : `\`${name}\` is declared twice`,
    help: role === 'loss' ? 'add the terms up in one `loss = …`, or name them to minimize them apart: `loss d_loss = …`' : null,
  });
  const image = statement.image ? within(context, place, () => imageLayout(context, value)) : null;
  model.results.push({ role, name, value: role === 'output' ? value : cast(context, value, 'f32'), image, span: statement.span });
}
