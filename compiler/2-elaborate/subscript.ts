/**
 * Subscripts `x[:, 1:, i]`, with constant positions: an index drops its axis, a range keeps it, `none` adds an axis of extent 1,
 * `...` stands for the axes not written. `table[index]` with a tensor of whole numbers gathers rows.
 */
import type { Expression, Subscript } from '../1-parse/ast.ts';
import type { Value } from '../ir/graph.ts';
import { dim, printType, type Dim } from '../ir/type.ts';
import { spanText, type Span } from '../source/text.ts';
import { fail, within, type Context } from './context.ts';
import { need } from './expression.ts';
import { elementOf, failRange, requireNamesBound, type Position } from './index-notation.ts';
import { describe, list, number, tensorItem, type Item } from './item.ts';
import { atStep } from './scan.ts';
import type { Scope } from './scope.ts';
import { nearest } from './nearest-positions.ts';
import { build, cast, quoteDim, reshape } from './tensors.ts';

type Place =
  | { readonly kind: 'index'; readonly at: number; readonly subscript: Subscript }
  | { readonly kind: 'range'; readonly from: number | null; readonly to: number | null; readonly step: number; readonly subscript: Subscript }
  | { readonly kind: 'new' }
  | { readonly kind: 'element'; readonly item: Item }
  | { readonly kind: 'gather'; readonly index: Value }
  | { readonly kind: 'rest' };

export function subscript(context: Context, object: Item, subscripts: readonly Subscript[], scope: Scope): Item {
  const places = subscripts.map(one => placeOf(context, one, scope));
  if (context.openIndices > 0 && places.some(isPosition)) {
    return elementOf(context, object, subscripts.map((one, i) => positionIn(context, places[i]!, one.span)));
  }
  if (object.kind === 'list') return ofList(context, object.elements, places);
  if (object.kind !== 'tensor') return fail(context, {
    code: 'type.subscript', message: `${describe(object)} has no elements to take`,
    help: object.kind === 'op' ? 'the reductions over indices are `sum`, `mean`, `max`, `min` and `prod`, each called: `sum[i](…)`' : null,
  });
  const step = places.find(place => place.kind === 'gather' && place.index.type.dims.length === 0);
  const slice = step?.kind === 'gather' ? sliceAtStep(context, object.value, places, step.index) : null;
  if (slice !== null) return tensorItem(slice);
  const gather = places.find(place => place.kind === 'gather');
  if (gather) {
    if (places.length > 1) fail(context, { code: 'type.subscript', message: 'a tensor of positions stands alone, as in `table[index]`' });
    const index = cast(context, gather.index, 'i32');
    return tensorItem(nearest(context, build(context, 'gather', [object.value, index], { batch: 0 })));
  }
  return tensorItem(ofTensor(context, object.value, places));
}

/** `x[:, t, 1:]`: first the step, then the rest of what is written. */
function sliceAtStep(context: Context, x: Value, places: readonly Place[], step: Value): Value | null {
  const at = places.findIndex(place => place.kind === 'gather');
  const others = places.filter((_, i) => i !== at);
  if (others.some(place => place.kind === 'gather')) return null;
  const takes = (place: Place): boolean => place.kind === 'index' || place.kind === 'range';
  const rest = places.findIndex(place => place.kind === 'rest');
  const before = places.slice(0, at).filter(takes).length;
  const axis = rest >= 0 && rest < at ? x.type.dims.length - 1 - places.slice(at + 1).filter(takes).length : before;
  if (axis < 0 || axis >= x.type.dims.length) return null;
  const sliced = atStep(context, x, axis, step);
  return sliced && ofTensor(context, sliced, others);
}

/** Whether a place says that one element is meant: an index, or a single whole number of the program. */
const isPosition = (place: Place): boolean => place.kind === 'element' || (place.kind === 'gather' && place.index.type.dims.length === 0);

function placeOf(context: Context, one: Subscript, scope: Scope): Place {
  if (one.kind === 'ellipsis') return { kind: 'rest' };
  if (one.kind === 'range') {
    const at = (expression: Expression | null): number | null => (expression === null ? null : whole(context, expression, scope));
    const step = at(one.step) ?? 1;
    if (step === 0) fail(context, { code: 'type.subscript', message: 'the step of a range is not 0', span: one.span });
    return { kind: 'range', from: at(one.from), to: at(one.to), step, subscript: one };
  }
  if (one.kind === 'each') return failRange(context, one.span);
  requireNamesBound(context, one.value, scope);
  const item = need(context, one.value, scope);
  if (item.kind === 'element') return { kind: 'element', item };
  if (item.kind === 'none') return { kind: 'new' };
  if (item.kind === 'tensor') {
    const { dtype } = item.value.type;
    if (dtype !== 'i32' && dtype !== 'u8') fail(context, {
      code: 'type.subscript', message: `positions are whole numbers, found ${describe(item)}`, span: one.span,
    });
    return { kind: 'gather', index: item.value };
  }
  return { kind: 'index', at: whole(context, one.value, scope), subscript: one };
}

/** What stands at one place of a subscript of which another is an element. */
function positionIn(context: Context, place: Place, span: Span): Position {
  switch (place.kind) {
    case 'element': return { item: place.item, span };
    case 'index': return { item: number(place.at), span };
    case 'gather': return { item: tensorItem(place.index), span };
    case 'range': case 'new': case 'rest': return fail(context, {
      code: 'type.subscript', message: `\`${spanText(span)}\` beside an index: under indices every dimension has one position`, span,
      help: 'take the part of the tensor before, in a statement of its own, or give the dimension an index',
    });
    default: return place satisfies never;
  }
}

function whole(context: Context, expression: Expression, scope: Scope): number {
  const item = need(context, expression, scope);
  if (item.kind === 'number' && Number.isInteger(item.value)) return item.value;
  return fail(context, {
    code: 'type.subscript', message: `a position is a whole number known at compile time, found ${describe(item)}`,
    span: expression.span,
  });
}

function ofList(context: Context, elements: readonly Item[], places: readonly Place[]): Item {
  const [place] = places;
  if (places.length !== 1 || place === undefined || (place.kind !== 'index' && place.kind !== 'range')) return fail(context, {
    code: 'type.subscript', message: 'a list takes one position or one range',
  });
  if (place.kind === 'index') {
    const found = elements[place.at < 0 ? place.at + elements.length : place.at];
    return found ?? fail(context, { code: 'type.subscript', message: `position ${place.at} is outside a list of ${elements.length}` });
  }
  if (place.step !== 1) return fail(context, { code: 'type.subscript', message: 'a range of a list has no step' });
  return list(elements.slice(place.from ?? 0, place.to ?? elements.length));
}

function ofTensor(context: Context, x: Value, written: readonly Place[]): Value {
  const { dims } = x.type;
  const taking = written.filter(place => place.kind === 'index' || place.kind === 'range').length;
  const rests = written.filter(place => place.kind === 'rest').length;
  if (rests > 1) fail(context, { code: 'type.subscript', message: '`...` stands at most once in a subscript' });
  if (taking > dims.length) fail(context, {
    code: 'type.subscript', message: `${taking} positions for ${printType(x.type)}, which has ${dims.length}`,
  });
  const all: Place[] = Array.from({ length: dims.length - taking }, () => ({ kind: 'range', from: null, to: null, step: 1, subscript: null as never }));
  const places = rests === 1 ? written.flatMap(place => (place.kind === 'rest' ? all : [place])) : [...written, ...all];
  const starts: number[] = [];
  const stops: number[] = [];
  const steps: number[] = [];
  for (const place of places) {
    if (place.kind !== 'index' && place.kind !== 'range') continue;
    const d = dims[starts.length]!;
    const [start, stop, step] = place.kind === 'index' ? single(context, place, d) : bounds(context, place, d);
    starts.push(start);
    stops.push(stop);
    steps.push(step);
  }
  const whole = dims.every((d, i) => starts[i] === 0 && stops[i] === d.extent && steps[i] === 1);
  const sliced = whole ? x : build(context, 'slice', [x], { starts, stops, steps });
  if (places.every(place => place.kind === 'range')) return sliced;
  let axis = 0;
  const kept = places.flatMap((place): Dim[] => (place.kind === 'new' ? [dim(1)] : place.kind === 'index' ? (axis++, []) : [sliced.type.dims[axis++]!]));
  return reshape(context, sliced, kept);
}

function single(context: Context, place: Extract<Place, { kind: 'index' }>, d: Dim): readonly [number, number, number] {
  const at = place.at < 0 ? place.at + d.extent : place.at;
  if (at < 0 || at >= d.extent) fail(context, {
    code: 'type.subscript', message: `position ${place.at} is outside an extent of ${quoteDim(d)}`, span: place.subscript.span,
  });
  return [at, at + 1, 1];
}

/** As in Python: negative bounds count from the end, bounds outside are cut; an empty range is an error. */
function bounds(context: Context, place: Extract<Place, { kind: 'range' }>, d: Dim): readonly [number, number, number] {
  const { step } = place;
  const cut = (at: number): number => Math.min(Math.max(at < 0 ? at + d.extent : at, step > 0 ? 0 : -1), step > 0 ? d.extent : d.extent - 1);
  const start = place.from === null ? (step > 0 ? 0 : d.extent - 1) : cut(place.from);
  const stop = place.to === null ? (step > 0 ? d.extent : -1) : cut(place.to);
  if (Math.ceil((stop - start) / step) < 1) within(context, place.subscript.span, () => fail(context, {
    code: 'type.subscript', message: `the range is empty: ${quoteDim(d)} from ${start} to ${stop}`,
  }));
  return [start, stop, step];
}
