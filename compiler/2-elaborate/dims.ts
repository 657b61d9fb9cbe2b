/**
 * Types written in the language: a declared type is evaluated to dimensions; the type of an argument is matched, which binds
 * its names at first sight and checks them after.
 */
import type { DimExpression, Expression, TypeExpression } from '../1-parse/ast.ts';
import type { Value } from '../ir/graph.ts';
import { dim, printType, tensor, type DType, type Dim, type TensorType } from '../ir/type.ts';
import { spanText, type Span } from '../source/text.ts';
import { fail, Reported, within, type Context } from './context.ts';
import { evaluate, resolveName } from './expression.ts';
import { describe, number, tensorItem, type Item, type NumberItem } from './item.ts';
import type { Scope } from './scope.ts';
import { cast, quoteDim } from './tensors.ts';

/** The type that a declaration such as `param w: f32[4 * units, D]` writes. */
export const declaredType = (context: Context, type: TypeExpression, scope: Scope): TensorType =>
  tensor(type.dtype, declaredDims(context, type.dims, scope));

export const declaredDims = (context: Context, dims: readonly DimExpression[], scope: Scope): readonly Dim[] =>
  dims.flatMap((expression): readonly Dim[] => {
    if (expression.kind !== 'ellipsis') return [dimension(context, expression, scope)];
    if (scope.ellipsis === null) fail(context, {
      code: 'type.ellipsis', message: '`...` stands for nothing here', span: expression.span,
      help: 'write it in the type of an argument first',
    });
    return scope.ellipsis;
  });

/** The dimension an expression writes: a name keeps its own, anything else is a bare extent. */
export function dimension(context: Context, expression: Expression, scope: Scope): Dim {
  const item = evaluate(context, expression, scope);
  return within(context, expression.span, () => toDim(context, item, spanText(expression.span)));
}

export function toDim(context: Context, item: Item, text: string): Dim {
  if (item.kind === 'poison') throw new Reported();
  if (item.kind !== 'number') return fail(context, {
    code: 'type.extent', message: `a dimension is a whole number, found ${describe(item)}`,
  });
  const { value } = item;
  if (!Number.isInteger(value) || value < 1) fail(context, {
    code: 'type.extent', message: `a dimension is a whole number of at least 1, but \`${text}\` is ${value}`,
  });
  if (value > 2 ** 31) fail(context, {
    code: 'type.size', message: `the dimension \`${text}\` is ${value}; at most 2^31 elements are possible`,
  });
  return item.dim ?? item.label ?? dim(value);
}

/** The argument as its declared type takes it. `what` names it in messages; `at` is where it was written. */
export function matchArgument(context: Context, item: Item, type: TypeExpression, scope: Scope, what: string, at: Span): Item {
  if (item.kind === 'poison') return item;
  if (item.kind === 'element' && type.dims.length === 0) return item;
  if (type.dims.length === 0 && (item.kind === 'number' || item.kind === 'boolean')) return matchConstant(context, item, type.dtype, what, at);
  if (item.kind !== 'tensor') {
    return fail(context, {
      code: 'type.argument', span: at, message: `${what} must be a tensor \`${spanText(type.span)}\`, found ${describe(item)}`,
      help: item.kind === 'instance' ? 'apply the layer to its input first' : null,
    });
  }
  const value = item.value.type.dtype === type.dtype ? item.value : convertLossless(context, item.value, type.dtype, what, at);
  matchDims(context, value.type, type, scope, what, at);
  return value === item.value ? item : tensorItem(value);
}

function matchConstant(context: Context, item: Item, dtype: DType, what: string, at: Span): Item {
  const whole = dtype === 'i32' || dtype === 'u8';
  const fits = item.kind === 'number' ? dtype !== 'bool' && (!whole || Number.isInteger(item.value)) : item.kind === 'boolean' && dtype === 'bool';
  if (!fits) fail(context, { code: 'type.argument', span: at, message: `${what} must be ${dtype}, found ${describe(item)}` });
  return item;
}

/** Conversions that lose nothing happen by themselves; others are written with `cast`. */
function convertLossless(context: Context, value: Value, dtype: DType, what: string, at: Span): Value {
  const from = value.type.dtype;
  const lossless = dtype === 'f32' ? from !== 'i32' : dtype === 'i32' ? from === 'u8' || from === 'bool' : false;
  if (lossless) return cast(context, value, dtype);
  return fail(context, {
    code: 'type.dtype', span: at, message: `${what} must be ${dtype}, but is ${printType(value.type)}`,
    help: `convert it with \`cast(…, ${dtype})\``,
  });
}

/** Matches the dimensions of a tensor with a written type; `...` takes what the other dimensions leave. */
export function matchDims(context: Context, actual: TensorType, type: TypeExpression, scope: Scope, what: string, at: Span): void {
  context.shapeRead = true;
  const ellipsis = type.dims.findIndex(d => d.kind === 'ellipsis');
  const { dims } = actual;
  const written = type.dims.length - (ellipsis < 0 ? 0 : 1);
  if (ellipsis < 0 ? dims.length !== written : dims.length < written) {
    const rank = `${ellipsis < 0 ? '' : 'at least '}${written} ${written === 1 ? 'dimension' : 'dimensions'}`;
    fail(context, {
      code: 'type.rank', span: at, message: `${what} must be \`${spanText(type.span)}\` with ${rank}, but is ${printType(actual)}`,
      secondary: [{ span: type.span, text: 'the type it must have' }],
    });
  }
  const taken = dims.length - written;
  type.dims.forEach((expression, i) => {
    if (expression.kind === 'ellipsis') matchEllipsis(context, dims.slice(i, i + taken), scope, what, at, expression.span);
    else matchDim(context, dims[ellipsis >= 0 && i > ellipsis ? i + taken - 1 : i]!, expression, scope, what, at);
  });
}

function matchEllipsis(context: Context, dims: readonly Dim[], scope: Scope, what: string, at: Span, span: Span): void {
  if (scope.ellipsis === null) {
    scope.ellipsis = dims;
    scope.bound.set('...', at);
  } else if (scope.ellipsis.length !== dims.length || scope.ellipsis.some((d, i) => d.extent !== dims[i]!.extent)) {
    const shown = (list: readonly Dim[]): string => `[${list.map(quoteDim).join(', ')}]`;
    fail(context, {
      code: 'type.dimension', span: at, message: `\`...\` is ${shown(dims)} in ${what}, but ${shown(scope.ellipsis)} before`,
      secondary: [{ span: scope.bound.get('...') ?? span, text: `\`...\` is ${shown(scope.ellipsis)} here` }],
    });
  }
}

function matchDim(context: Context, actual: Dim, expression: Expression, scope: Scope, what: string, at: Span): void {
  if (expression.kind === 'name') {
    const known = scope.names.get(expression.text) ?? constantNamed(context, expression.text, scope);
    if (known === null) {
      scope.names.set(expression.text, number(actual.extent, actual));
      scope.bound.set(expression.text, at);
      return;
    }
    if (known.kind === 'poison') return;
    if (known.kind !== 'number') fail(context, {
      code: 'type.extent', span: expression.span, message: `\`${expression.text}\` is no dimension but ${describe(known)}`,
    });
    if (known.value !== actual.extent) mismatch(context, actual, known, expression, scope, what, at);
    return;
  }
  const expected = dimension(context, expression, scope);
  if (expected.extent !== actual.extent) mismatch(context, actual, number(expected.extent), expression, scope, what, at);
}

/** A number that the file defines: `width = 128` is checked in `f32[B, width]`, not bound. */
function constantNamed(context: Context, name: string, scope: Scope): NumberItem | null {
  if (scope.module.definitions.get(name)?.kind !== 'constant') return null;
  const item = resolveName(context, name, scope);
  return item?.kind === 'number' ? item : null;
}

function mismatch(context: Context, actual: Dim, expected: NumberItem, expression: Expression, scope: Scope, what: string, at: Span): never {
  const text = spanText(expression.span);
  const bound = scope.bound.get(text);
  const actualText = actual.name === null || actual.name === text ? String(actual.extent) : quoteDim(actual);
  return fail(context, {
    code: 'type.dimension', span: at,
    message: expression.kind === 'number' ? `${what} must have ${text} there, but has ${actualText}` : `\`${text}\` is ${expected.value}, but ${actualText} in ${what}`,
    label: `${actualText} here`,
    secondary: [bound && !bound.file.library ? { span: bound, text: `\`${text}\` is ${expected.value} here` } : { span: expression.span, text: `must be ${expected.value}` }],
  });
}
