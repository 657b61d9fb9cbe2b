/**
 * `scan`: a loop over the steps of a dimension that stays a loop. Its body is elaborated once, on leaves that stand for the step and for
 * what the step before has left; what it yields and what it carries become the values of the graph's loop.
 */
import type { Scan } from '../1-parse/ast.ts';
import { leaf, type Value } from '../ir/graph.ts';
import { dim, printType, sameShape, shapeOf, tensor, type Dim } from '../ir/type.ts';
import { finalOf, scanValue, sequenceOf } from '../ops/scan.ts';
import { stepIndex } from '../ops/step-index.ts';
import { execute } from './body.ts';
import { fail, Reported, within, type Context } from './context.ts';
import { need } from './expression.ts';
import { describe, list, poison, tensorItem, type Item } from './item.ts';
import type { Scope } from './scope.ts';
import { adopt, build, full, quoteDim, toTensor } from './tensors.ts';

/** A loop whose body is being elaborated. */
export interface OpenScan {
  readonly length: Dim;
  readonly counter: Value;
  /** A number of its own for each step, of this loop and of those around it: what random numbers are told apart by. */
  readonly place: Value;
  /** The scope of its body; a definition that is called there has another one. */
  readonly scope: Scope;
  readonly yields: Value[];
  /** The axis of the first tensor that was sliced at the step. */
  axis: number | null;
  /** The loop around it. */
  readonly outer: OpenScan | null;
}

/** What the loop yields, stacked: a tensor, or a list of several; `none` where it yields nothing. The carried names then hold their last values. */
export function evaluateScan(context: Context, loop: Scan, scope: Scope): Item {
  try {
    return elaborateLoop(context, loop, scope);
  } catch (error) {
    for (const { name } of loop.carries) scope.names.set(name.text, poison);
    throw error;
  }
}

function elaborateLoop(context: Context, loop: Scan, scope: Scope): Item {
  const length = lengthOf(context, loop, scope);
  const initials = loop.carries.map(({ name, value }) => {
    const item = need(context, value, scope);
    return within(context, value.span, () => toTensor(context, item, `a tensor for \`${name.text}\` to begin with`));
  });
  const names = [loop.variable, ...loop.carries.map(carry => carry.name)].map(name => name.text);
  const repeated = loop.carries.find(({ name }, k) => names.indexOf(name.text) <= k);
  if (repeated) fail(context, { code: 'scan.carry', message: `\`${repeated.name.text}\` is bound twice by this \`scan\``, span: repeated.name.span });

  const counter = leaf('counter', loop.variable.text, tensor('i32', []));
  const leaves = loop.carries.map(({ name }, k) => leaf('carry', name.text, initials[k]!.type));
  for (const each of [counter, ...leaves]) adopt(context, each);
  const before = new Map(scope.names);
  const carried = leaves.map(tensorItem);
  const open: OpenScan = { length, counter, place: placeIn(context, length, counter), scope, yields: [], axis: null, outer: context.scan };
  scope.names.set(loop.variable.text, tensorItem(counter));
  loop.carries.forEach(({ name }, k) => scope.names.set(name.text, carried[k]!));
  let nexts: Value[];
  context.scan = open;
  try {
    const { problems } = context;
    execute(context, loop.body, scope);
    if (context.problems > problems) throw new Reported();
    nexts = loop.carries.map((_, k) => nextOf(context, loop, k, scope, carried[k]!, initials[k]!));
  } finally {
    context.scan = open.outer;
    // What is made inside of the loop means nothing behind it.
    scope.names.clear();
    for (const [name, item] of before) scope.names.set(name, item);
  }
  const carries = leaves.map((each, k) => ({ leaf: each, initial: initials[k]!, next: nexts[k]! }));
  const value = adopt(context, scanValue({ length, reversed: loop.reversed, counter, carries, yields: open.yields }));
  loop.carries.forEach(({ name }, k) => scope.names.set(name.text, tensorItem(adopt(context, finalOf(value, k)))));
  const yielded = open.yields.map((_, j) => tensorItem(stacked(context, adopt(context, sequenceOf(value, j)), open.axis ?? 0)));
  return yielded.length === 0 ? { kind: 'none' } : yielded.length === 1 ? yielded[0]! : list(yielded);
}

/** A step of what is around, training's if nothing is, has as many steps as the loop. */
const placeIn = (context: Context, { extent }: Dim, counter: Value): Value =>
  build(context, 'add', [build(context, 'mul', [context.scan?.place ?? context.registry.scalars.step, full(context, extent, 'i32')]), counter]);

/** `yield value` */
export function yieldValue(context: Context, item: Item, scope: Scope): void {
  if (context.scan?.scope !== scope) fail(context, {
    code: 'scan.yield', message: '`yield` stands only in the body of a `scan`', help: 'a function or a layer gives its result with `return`',
  });
  context.scan.yields.push(toTensor(context, item, 'a tensor to yield'));
}

/** `x[:, t]`: the part of a tensor at a position that moves evenly with the step of a loop, along an axis; null for any other position. */
export function atStep(context: Context, x: Value, axis: number, position: Value): Value | null {
  let open = context.scan;
  let index = open && stepIndex(position, open.counter);
  while (open !== null && index === null) {
    open = open.outer;
    index = open && stepIndex(position, open.counter);
  }
  if (open === null || index === null) return null;
  const along = x.type.dims[axis]!;
  const ends = [index.offset, index.offset + index.times * (open.length.extent - 1)];
  if (Math.min(...ends) < 0 || Math.max(...ends) >= along.extent) fail(context, {
    code: 'scan.length', message: `the positions ${Math.min(...ends)} … ${Math.max(...ends)} leave an extent of ${quoteDim(along)}`,
    help: `the steps go along ${quoteDim(open.length)}`,
  });
  open.axis ??= axis;
  const axes = [axis, ...[...x.type.dims.keys()].filter(other => other !== axis)];
  const first = axis === 0 ? x : build(context, 'transpose', [x], { axes });
  return build(context, 'gather', [first, position], { batch: 0 });
}

function lengthOf(context: Context, { dimension }: Scan, scope: Scope): Dim {
  const item = need(context, dimension, scope);
  if (item.kind !== 'number' || !Number.isInteger(item.value) || item.value < 1) return fail(context, {
    code: 'scan.length', message: `a \`scan\` goes along a dimension, or a whole number of steps, found ${describe(item)}`, span: dimension.span,
    help: 'name the dimension where the tensor gets its type, as in `x: f32[B, T, D]`',
  });
  return item.dim ?? item.label ?? dim(item.value);
}

/** What a carried name holds after a step. */
function nextOf(context: Context, { carries }: Scan, k: number, scope: Scope, before: Item, initial: Value): Value {
  const { name, value: start } = carries[k]!;
  const item = scope.names.get(name.text)!;
  if (item === before) fail(context, {
    code: 'scan.carry', message: `\`${name.text}\` is carried, but never bound anew`, span: name.span,
    help: `bind it in the body: \`${name.text} = …\`; what does not change from step to step needs not be carried`,
  });
  const next = within(context, name.span, () => toTensor(context, item, `a tensor for \`${name.text}\``));
  if (next.type.dtype === initial.type.dtype && sameShape(shapeOf(next.type), shapeOf(initial.type))) return next;
  return fail(context, {
    code: 'scan.shape', message: `\`${name.text}\` begins as ${printType(initial.type)} and is ${printType(next.type)} after a step`, span: name.span,
    secondary: [
      { span: start.span, text: printType(initial.type) },
      ...(next.origin?.span ? [{ span: next.origin.span, text: printType(next.type) }] : []),
    ],
    help: 'a loop carries values of one type and shape',
  });
}

/** A sequence of steps with the axis of the steps where the axis was that they were taken from. */
function stacked(context: Context, sequence: Value, axis: number): Value {
  const place = Math.min(axis, sequence.type.dims.length - 1);
  if (place === 0) return sequence;
  const axes = [...sequence.type.dims.keys()].slice(1);
  axes.splice(place, 0, 0);
  return build(context, 'transpose', [sequence], { axes });
}
