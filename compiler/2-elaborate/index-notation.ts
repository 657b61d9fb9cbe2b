/**
 * Index notation: `y[b, o] = sum[i](x[b, i] * w[o, i])` gives a tensor element by element, and `sum[i](…)` reduces over indices
 * anywhere. Names are bound to indices, the expression is evaluated to an element, and once nothing around it is open the extents
 * are inferred and tensors are made.
 */
import type { Expression, Name, Statement, Subscript } from '../1-parse/ast.ts';
import type { Value } from '../ir/graph.ts';
import { dim, printType, type Dim } from '../ir/type.ts';
import { spanText, type Span } from '../source/text.ts';
import { bindArguments, evaluateArguments } from './call.ts';
import { fail, limits, report, Reported, within, type Context } from './context.ts';
import { dimension } from './dims.ts';
import {
  affineElement, elementItem, elementsIn, loadElement, reduceElement, reductions, requireElement, type Element, type Index, type Reduction,
} from './element.ts';
import { need, resolveName } from './expression.ts';
import { extentsOf } from './index-extents.ts';
import { tensorOver } from './index-values.ts';
import { describe, tensorItem, type Item } from './item.ts';
import { expressionParts } from './parts.ts';
import type { Scope } from './scope.ts';

/** `y[b, o] = value` as a tensor with an axis for each index. */
export function indexedTensor(context: Context, statement: Extract<Statement, { kind: 'indexed' }>, scope: Scope): Item {
  return withIndices(context, statement.indices, scope, 'left', indices => {
    const item = need(context, statement.value, scope);
    return within(context, statement.value.span, () => {
      requireElement(context, item);
      return tensorItem(finish(context, item, indices));
    });
  });
}

/** The reduction that a call such as `sum[i, j](…)` writes, or null where it is another call. */
export function reduction(context: Context, call: Extract<Expression, { kind: 'call' }>, scope: Scope): Item | null {
  const { callee } = call;
  const how = callee.kind === 'subscript' && callee.object.kind === 'name' ? reductionNamed(context, callee.object.text, scope) : null;
  if (how === null || callee.kind !== 'subscript') return null;
  return withIndices(context, callee.subscripts, scope, 'sum', indices => {
    const given = evaluateArguments(context, call.arguments, scope);
    const shown = `${spanText(callee.span)}(body)`;
    const { item } = bindArguments(context, how, () => shown, [{ name: 'body', required: true }], given).get('body')!;
    const element = reduceElement(context, how, indices, item);
    // Nothing outside can tell more of its indices.
    return element.free.length === 0 ? tensorItem(finish(context, elementItem(element), [])) : elementItem(element);
  });
}

function reductionNamed(context: Context, name: string, scope: Scope): Reduction | null {
  const known = reductions.find(candidate => candidate === name);
  const item = known === undefined ? null : resolveName(context, name, scope);
  return known !== undefined && item?.kind === 'op' && item.op.definition.name === name ? known : null;
}

function finish(context: Context, item: Item, indices: readonly Index[]): Value {
  const extents = extentsOf(context, elementsIn([item]), indices);
  return tensorOver({ context, extents, made: new Map(), lengths: new Map(), dtypes: new Map() }, item, indices);
}

/** Runs `action` with the written indices open and their names bound. */
function withIndices<T>(
  context: Context, written: readonly Subscript[], scope: Scope, place: 'left' | 'sum', action: (indices: readonly Index[]) => T,
): T {
  const indices: Index[] = [];
  const shadowed = new Map<string, Item | undefined>();
  const { openIndices } = context;
  const before = context.problems;
  try {
    for (const one of written) {
      const declared = declaredIndex(context, one, scope, place, shadowed);
      if (declared === null) continue;
      const { name, range, from } = declared;
      const index: Index = { name: name.text, span: one.span, order: openIndices + indices.length, range };
      indices.push(index);
      shadowed.set(name.text, scope.names.get(name.text));
      scope.names.set(name.text, elementItem(within(context, one.span, () => affineElement(context, new Map([[index, 1]]), from))));
    }
    context.openIndices += indices.length;
    if (context.problems > before) throw new Reported();
    return action(indices);
  } finally {
    context.openIndices = openIndices;
    for (const [name, item] of shadowed) {
      if (item === undefined) scope.names.delete(name);
      else scope.names.set(name, item);
    }
  }
}

interface Declared {
  readonly name: Name;
  readonly range: Dim | null;
  readonly from: number;
}

/** The index that a place between the brackets introduces; null after a report. */
function declaredIndex(
  context: Context, one: Subscript, scope: Scope, place: 'left' | 'sum', own: ReadonlyMap<string, unknown>,
): Declared | null {
  const bare = one.kind === 'index' && one.value.kind === 'name' ? one.value : null;
  const name = one.kind === 'each' ? one.name : bare;
  if (name === null) {
    if (one.kind === 'index' && one.value.kind === 'missing') throw new Reported();
    report(context, {
      code: 'index.name', message: `an index is a name, not \`${spanText(one.span)}\``, span: one.span,
      help: place === 'left' ? 'tensors are not changed in place: `y[i] = …` gives all of `y`; for parts, use `concat` or a condition'
        : 'write the names to reduce over, as in `sum[i, j](…)`',
    });
    return null;
  }
  const taken = scope.names.get(name.text);
  const problem = own.has(name.text) ? 'is an index twice'
    : taken?.kind === 'element' ? 'is an index already'
    : scope.loops.has(name.text) ? `is the variable of a \`for\` around this` : null;
  if (problem !== null) {
    const message = `\`${name.text}\` ${problem}`;
    report(context, { code: 'index.name', message, span: name.span, help: 'give the index a name of its own' });
    return null;
  }
  if (one.kind !== 'each') return { name, range: null, from: 0 };
  const [from, to] = [wholeNumber(context, one.from, scope), wholeNumber(context, one.to, scope)];
  if (place === 'left' && from !== 0) {
    report(context, {
      code: 'index.range', message: `an index on the left begins at 0, not at ${from}`, span: one.from.span,
      help: 'move what it subscripts instead, as in `x[i + 1]`',
    });
    return null;
  }
  if (to <= from) {
    report(context, {
      code: 'index.range', message: `the range of \`${name.text}\` is empty: from ${from} up to but not including ${to}`, span: one.span,
    });
    return null;
  }
  if (to - from > limits.elements) fail(context, {
    code: 'type.size', message: `the range of \`${name.text}\` has ${to - from} numbers; at most 2^31 are possible`, span: one.span,
  });
  return { name, range: from === 0 ? dimension(context, one.to, scope) : dim(to - from), from };
}

function wholeNumber(context: Context, expression: Expression, scope: Scope): number {
  const item = need(context, expression, scope);
  if (item.kind === 'number' && Number.isInteger(item.value)) return item.value;
  return fail(context, {
    code: 'index.range', message: `the range of an index is made of whole numbers known at compile time, found ${describe(item)}`, span: expression.span,
  });
}

/** A position under indices, and the span that shows it. */
export interface Position {
  readonly item: Item;
  readonly span: Span;
}

/** `x[b, 2 * i + u, ids[b]]`: an element of a tensor. */
export function elementOf(context: Context, object: Item, positions: readonly Position[]): Item {
  if (object.kind !== 'tensor') return fail(context, { code: 'type.subscript', message: `${describe(object)} has no elements to take at indices` });
  const { type } = object.value;
  const count = `${positions.length} ${positions.length === 1 ? 'position' : 'positions'}`;
  if (positions.length !== type.dims.length) fail(context, {
    code: 'type.subscript', message: `${count} for ${printType(type)}, which has ${type.dims.length}`,
    help: 'under indices every dimension has a position',
  });
  const elements = positions.map((position, d) => positionElement(context, position, type.dims[d]!));
  return elementItem(loadElement(context, object.value, elements, positions.map(position => position.span)));
}

function positionElement(context: Context, { item, span }: Position, extent: Dim): Element {
  if (item.kind === 'number' && Number.isInteger(item.value)) {
    return affineElement(context, new Map(), item.value < 0 ? item.value + extent.extent : item.value);
  }
  if (item.kind === 'tensor' && item.value.type.dims.length === 0) return loadElement(context, item.value, [], []);
  if (item.kind !== 'element') return fail(context, { code: 'type.subscript', message: `a position is a whole number, found ${describe(item)}`, span });
  if (item.element.kind !== 'index' && item.element.counted) return fail(context, {
    code: 'index.affine', message: `\`${spanText(span)}\` is not a sum of indices times whole numbers`, span,
    help: 'write it as `2 * i + u - 1`, or make a tensor of positions first: `half[i in 0..n] = cast(floor(i / 2), i32)`, then `x[half[i]]`',
  });
  return item.element;
}

/** Reports a name inside a subscript that is no index and nothing else. */
export function requireNamesBound(context: Context, subscript: Expression, scope: Scope): void {
  if (context.openIndices === 0) return;
  const pending: Expression[] = [subscript];
  while (pending.length > 0) {
    const at = pending.pop()!;
    if (at.kind === 'name' && resolveName(context, at.text, scope) === null) {
      reportFree(context, at.text, at.span);
      throw new Reported();
    }
    pending.push(...expressionParts(at));
  }
}

export const reportFree = (context: Context, name: string, span: Span): void => report(context, {
  code: 'index.free', message: `the index \`${name}\` is neither on the left nor summed over`, span,
  help: `write it on the left, or reduce over it: \`sum[${name}](…)\``,
});

/** `i in 0..n` where no index is introduced. */
export function failRange(context: Context, span: Span): never {
  return fail(context, {
    code: 'index.range', message: 'a range of an index stands on the left of `=` or in a reduction', span,
    help: 'write a part of a tensor as `x[from:to]`',
  });
}
