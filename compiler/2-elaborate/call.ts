/**
 * Calls: arguments bound to parameters by position and name, and the call of whatever the callee turned out to be. A pipe
 * `x |> f(args)` applies a layer to `x`, constructing it first where `f(args)` constructs one, or calls `f` with `x` first.
 */
import type { Argument, Expression, FunctionItem, Name, Parameter, TypeExpression } from '../1-parse/ast.ts';
import { spanText, type Span } from '../source/text.ts';
import { suggest } from '../source/suggest.ts';
import { execute } from './body.ts';
import { didYouMean, fail, limits, report, Reported, type Context } from './context.ts';
import { matchArgument, matchDims } from './dims.ts';
import { evaluate, labelled, need } from './expression.ts';
import { reduction } from './index-notation.ts';
import { applyHeld } from './held-model.ts';
import { describe, type Item } from './item.ts';
import { withDerivative } from './declared-derivative.ts';
import { applyLayer, construct } from './layer.ts';
import { callOp } from './op-call.ts';
import { newScope, type Module, type Scope } from './scope.ts';
import { checkWhere } from './where.ts';

/** An argument as given, evaluated in the caller's scope. */
export interface Given {
  readonly name: Name | null;
  readonly item: Item;
  readonly span: Span;
}

/** What a call may be given: a parameter of a definition, an operand or attribute of an op. */
export interface Formal {
  readonly name: string;
  readonly required: boolean;
}

export function call(context: Context, expression: Extract<Expression, { kind: 'call' }>, scope: Scope): Item {
  const reduced = reduction(context, expression, scope);
  if (reduced !== null) return reduced;
  const callee = need(context, expression.callee, scope);
  return callItem(context, callee, evaluateArguments(context, expression.arguments, scope), expression.span, expression.callee, scope);
}

export function pipe(context: Context, input: Item, inputSpan: Span, target: Expression, scope: Scope): Item {
  const first: Given = { name: null, item: input, span: inputSpan };
  const called = target.kind === 'call';
  const callee = need(context, called ? target.callee : target, scope);
  const given = called ? evaluateArguments(context, target.arguments, scope) : [];
  if (callee.kind === 'layer') {
    const instance = construct(context, callee, given, target.span, scope);
    return applyLayer(context, instance, [first]);
  }
  return callItem(context, callee, [first, ...given], target.span, called ? target.callee : target, scope);
}

export const evaluateArguments = (context: Context, args: readonly Argument[], scope: Scope): Given[] =>
  args.map(argument => ({ name: argument.name, item: evaluate(context, argument.value, scope), span: argument.value.span }));

function callItem(context: Context, callee: Item, given: readonly Given[], span: Span, calleeExpression: Expression, scope: Scope): Item {
  switch (callee.kind) {
    case 'fn': return callFunction(context, callee.definition, callee.module, given);
    case 'op': return callOp(context, callee.op, given);
    case 'builtin': {
      const { builtin, name } = callee;
      const bound = bindArguments(context, name, () => builtin.signature, builtin.parameters, given);
      return builtin.run(context, bound);
    }
    case 'layer': return { kind: 'instance', instance: construct(context, callee, given, span, scope) };
    case 'instance': return applyLayer(context, callee.instance, given);
    case 'model': return applyHeld(context, callee.model, given);
    default: return fail(context, {
      code: 'call.callee', message: `\`${spanText(calleeExpression.span)}\` is ${describe(callee)} and cannot be called`, span: calleeExpression.span,
      help: callee.kind === 'optimizer' ? 'an optimizer stands in a train block: `optimizer adam(lr: 1e-3)`' : null,
    });
  }
}

function callFunction(context: Context, definition: FunctionItem, module: Module, given: readonly Given[]): Item {
  const name = definition.name.text;
  const scope = newScope(module, { kind: 'fn', name });
  bindParameters(context, name, definition.parameters, given, scope);
  const bound = definition.parameters.map(parameter => scope.names.get(parameter.name.text)!);
  return deeper(context, name, () => {
    definition.where.forEach(condition => checkWhere(context, condition, scope));
    const result = execute(context, definition.body, scope);
    if (result === null) fail(context, {
      code: 'call.return', message: `the function \`${name}\` returns nothing`, span: definition.name.span,
      help: 'end it with `return …`',
    });
    checkResult(context, result, definition.result, scope, name);
    return definition.derivative === null ? result : withDerivative(context, definition, module, bound, result);
  });
}

/** Runs the body of a definition one call deeper; a definition that calls itself without end is told, not followed. */
export function deeper<T>(context: Context, name: string, action: () => T): T {
  if (context.depth >= limits.depth) fail(context, {
    code: 'call.depth', message: `\`${name}\` is nested more than ${limits.depth} calls deep`,
    help: 'does it call itself without end?',
  });
  const { calledAt } = context;
  context.calledAt = context.libraryAt ?? context.at;
  context.depth++;
  try {
    return action();
  } finally {
    context.depth--;
    context.calledAt = calledAt;
  }
}

export function checkResult(context: Context, result: Item, type: TypeExpression | null, scope: Scope, name: string): void {
  if (result.kind === 'poison') throw new Reported();
  if (type === null) return;
  const what = `the result of \`${name}\``;
  if (result.kind !== 'tensor') {
    if (type.dims.length === 0 && (result.kind === 'number' || result.kind === 'boolean')) return;
    fail(context, {
      code: 'type.result', message: `${what} must be \`${spanText(type.span)}\`, found ${describe(result)}`,
      secondary: [{ span: type.span, text: 'declared here' }],
    });
  }
  const { type: actual } = result.value;
  if (actual.dtype !== type.dtype) fail(context, {
    code: 'type.result', message: `${what} must be ${type.dtype}, but is ${describe(result)}`,
    secondary: [{ span: type.span, text: 'declared here' }],
  });
  matchDims(context, actual, type, scope, what, context.libraryAt ?? context.at);
}

/** Binds arguments to the parameters of a definition, in order: a default may use the parameters before it. */
export function bindParameters(context: Context, name: string, parameters: readonly Parameter[], given: readonly Given[], scope: Scope): void {
  const formals = parameters.map(parameter => ({ name: parameter.name.text, required: parameter.default === null }));
  const bound = bindArguments(context, name, () => signature(name, parameters), formals, given);
  let wrong = false;
  for (const parameter of parameters) {
    const own = parameter.name.text;
    const argument = bound.get(own);
    let item = argument?.item ?? evaluate(context, parameter.default!, scope);
    const optional = parameter.default?.kind === 'name' && parameter.default.text === 'none';
    if (parameter.type !== null && !(item.kind === 'none' && optional)) {
      try {
        item = matchArgument(context, item, parameter.type, scope, `\`${own}\``, argument?.span ?? parameter.span);
      } catch (error) {
        if (!(error instanceof Reported)) throw error;
        wrong = true;
      }
    }
    wrong ||= item.kind === 'poison';
    scope.names.set(own, labelled(item, own, parameter.span.file.library));
  }
  if (wrong) throw new Reported();
}

/** `linear(out, bias = true)`. */
export const signature = (name: string, parameters: readonly Parameter[]): string =>
  `${name}(${parameters.map(parameter => spanText(parameter.span)).join(', ')})`;

/** Which argument goes to which parameter. Reports everything that does not fit, then gives up. */
export function bindArguments(
  context: Context, name: string, shown: () => string, formals: readonly Formal[], given: readonly Given[],
): Map<string, Given> {
  const bound = new Map<string, Given>();
  const before = context.diagnostics.length;
  let position = 0;
  let wrong = false;
  const say = (problem: Parameters<typeof report>[1]): void => {
    wrong = true;
    report(context, { notes: [`it is defined as \`${shown()}\``], ...problem });
  };
  for (const argument of given) {
    if (argument.name === null) {
      const formal = formals[position++];
      if (formal === undefined) {
        say({
          code: 'call.many',
          message: `\`${name}\` takes ${formals.length === 0 ? 'no arguments' : formals.length === 1 ? 'one argument' : `at most ${formals.length} arguments`}, but is given ${given.length}`,
          span: argument.span,
        });
        break;
      }
      if (bound.has(formal.name)) say({
        code: 'call.twice', message: `\`${formal.name}\` is given twice to \`${name}\``, span: argument.span,
      });
      bound.set(formal.name, argument);
      continue;
    }
    const wanted = argument.name.text;
    if (!formals.some(formal => formal.name === wanted)) {
      const near = suggest(wanted, formals.map(formal => formal.name));
      say({
        code: 'call.unknown', message: `\`${name}\` has no parameter \`${wanted}\``, span: argument.name.span,
        help: didYouMean(near),
      });
    } else if (bound.has(wanted)) say({
      code: 'call.twice', message: `\`${wanted}\` is given twice to \`${name}\``, span: argument.name.span,
    });
    else bound.set(wanted, argument);
  }
  const missing = formals.filter(formal => formal.required && !bound.has(formal.name)).map(formal => `\`${formal.name}\``);
  if (missing.length > 0 && context.diagnostics.length === before) say({
    code: 'call.missing', message: `\`${name}\` needs ${missing.join(' and ')}`,
  });
  if (wrong || missing.length > 0 || given.some(argument => argument.item.kind === 'poison')) throw new Reported();
  return bound;
}
