/**
 * Kernels that run for one position of a sequence at a time, as its tokens come: of each value that has a row for every position, only
 * the row that the newest token completes is computed. What later positions read of earlier ones, such as the keys and values of
 * attention, stays where it is. Found by how kernels index alone; what cannot be taken apart so is computed anew for each token.
 *
 * Rows are counted from the token that completes them: with a lag of l, token k completes row k + l. Where a sequence begins with 32
 * other positions the lag of what is behind them is 32; the scores that tell which token comes next have 0 or 1.
 */
import { affine, axisAt, fixed, numeratorRange, substitute, type Affine } from '../ir/affine.ts';
import { leaf, type Value } from '../ir/graph.ts';
import { apply, constant, guard, isGathered, load, parts, type Index, type Scalar } from '../ir/nest.ts';
import type { Step } from '../ir/program.ts';
import { dim, elements, shapeOf, size, tensor } from '../ir/type.ts';
import type { Built } from './build.ts';
import { linear, loadsOf, mapScalar, stepAxes, stepBody, type Blocks, type Draft, type Source } from './draft.ts';

export interface Positions {
  /** In order: what no token changes; what runs for each token; and what only its scores need. */
  readonly start: readonly Draft[];
  readonly step: readonly Draft[];
  readonly result: readonly Draft[];
  /** For each value of which only one row is there, what stands for that row. */
  readonly rows: ReadonlyMap<Value, Value>;
  /** What stays from one token to the next. */
  readonly kept: ReadonlySet<Value>;
  /** The position of token k is k + before. */
  readonly before: number;
  /** Of the scores; null where they are computed anew, for all positions. */
  readonly lag: number | null;
}

/** Where the host writes the position. */
export const positionLeaf = leaf('position', 'position', { dtype: 'i32', dims: [] });

/** One load or store: the element in the memory that owns it. */
interface Access {
  readonly owner: Value;
  readonly root: Value;
  /** Null where there is no one affine address. The last axis is the loop's, where the kernel stands in one. */
  readonly at: Affine | null;
  readonly extents: readonly number[];
}

/** How memory is made of rows: `stride` elements each, `count` in turn, all of that perhaps several times over. */
interface Rows {
  readonly stride: number;
  readonly count: number;
  readonly lag: number;
}

/** An axis along which a kernel is taken apart: of its space, or null for that of the loop that it is. */
interface Choice {
  readonly axis: number | null;
  readonly extent: number;
  readonly lag: number;
}

/**
 * Takes an entry's kernels apart. `sequence` holds the tokens of one row; the scores are what `result` holds from `offset` on, `width` for
 * each position.
 */
export function formPositions(order: readonly Draft[], built: Built, sequence: Value, { result, offset, width }: { readonly result: Value; readonly offset: number; readonly width: number }): Positions {
  const ownerOf = (root: Value): Value => placeOf(root, built).owner;
  const accesses = new Map(order.map(draft => [draft, accessesOf(draft, built)]));
  const changing = new Set<Value>([sequence]);
  const moving = order.filter(draft => {
    const { loads, stores } = accesses.get(draft)!;
    if (!loads.some(each => changing.has(each.owner))) return false;
    for (const { owner } of stores) changing.add(owner);
    return true;
  });

  const forms = new Map<Value, readonly Rows[]>([[sequence, [{ stride: 1, count: elements(sequence.type), lag: 0 }]]]);
  const possible = new Map<Draft, readonly Choice[]>();
  for (const draft of moving) {
    const { loads, stores } = accesses.get(draft)!;
    const own = new Set(stores.map(store => store.owner));
    const read = loads.filter(each => changing.has(each.owner) && !own.has(each.owner));
    const choices = choicesOf(draft, read, stores, forms);
    possible.set(draft, choices);
    for (const owner of own) {
      const made = choices.flatMap(choice => rowsBy(choice, stores.filter(store => store.owner === owner)) ?? []);
      forms.set(owner, (forms.get(owner) ?? made).filter(rows => made.some(other => other.stride === rows.stride && other.count === rows.count && other.lag === rows.lag)));
    }
  }

  // Where a kernel could be taken apart along several axes, as attention's scores along those that ask and those that are asked, what
  // reads its result decides.
  const chosen = new Map<Draft, Choice>();
  const wanted = new Map<Value, number>([[ownerOf(result), width]]);
  for (const draft of [...moving].reverse()) {
    const { loads, stores } = accesses.get(draft)!;
    const fitting = possible.get(draft)!.filter(choice =>
      stores.every(store => (wanted.get(store.owner) ?? timesOf(store, choice)) === timesOf(store, choice)));
    if (fitting.length !== 1) continue;
    chosen.set(draft, fitting[0]!);
    for (const each of loads) {
      const times = timesOf(each, fitting[0]!);
      if (forms.get(each.owner)?.some(rows => rows.stride === times)) wanted.set(each.owner, times);
    }
  }

  const rows = new Map<Value, Value>();
  const counts = new Map<Value, number>();
  for (const owner of changing) {
    const form = forms.get(owner)!.find(each => each.stride === (wanted.get(owner) ?? each.stride));
    const stays = owner.op === null || built.homes.has(owner) || built.parts.has(owner) || (built.required.has(owner) && owner !== result);
    const isInRow = (draft: Draft): boolean => {
      const { loads, stores } = accesses.get(draft)!;
      const choice = chosen.get(draft);
      return [...loads, ...stores].every(each => {
        if (each.owner !== owner) return true;
        const at = choice && choice.axis !== null && choice.lag === form!.lag ? rowAt(each, choice, form!.count) : null;
        return at !== null && each.root === owner && at.stride === form!.stride && at.low === 0 && at.high === 0;
      });
    };
    if (form === undefined || stays || !moving.every(isInRow)) continue;
    rows.set(owner, { ...owner, type: tensor(owner.type.dtype, [dim(elements(owner.type) / form.count)]) });
    counts.set(owner, form.count);
  }

  const before = Math.max(0, ...[...chosen.values()].map(choice => choice.lag));
  const written = (draft: Draft): readonly Draft[] => {
    const choice = chosen.get(draft);
    if (choice === undefined) return [draft];
    const first = before - choice.lag;
    const drafts = choice.axis === null ? atStep(draft, first) : [atPosition(draft, choice, first, rows, counts)];
    return drafts.map(each => ({ ...each, given: { first, end: first + choice.extent } }));
  };
  const isResultOnly = resultOnly(moving, accesses, chosen, rows, ownerOf(result));
  const part = (isOfResult: boolean): readonly Draft[] => moving.filter(draft => isResultOnly.has(draft) === isOfResult).flatMap(written);
  const still = order.filter(draft => !possible.has(draft));
  const caches = [...changing].filter(owner => owner.op !== null && !rows.has(owner));
  const made = new Set(still.flatMap(draft => accesses.get(draft)!.stores.map(store => store.owner)));
  const readLater = moving.flatMap(draft => accesses.get(draft)!.loads.map(each => each.owner)).filter(owner => made.has(owner));
  const last = moving.findLast(draft => accesses.get(draft)!.stores.some(store => store.owner === ownerOf(result)));
  return {
    start: [...still.filter(draft => draft.host), ...caches.map(cleared), ...still.filter(draft => !draft.host)],
    step: part(false), result: part(true), rows, before,
    kept: new Set([...caches, ...readLater]),
    lag: rows.has(result) ? chosen.get(last!)!.lag - offset / width : null,
  };
}

/** Where a value's memory is: in what, from which element on. */
function placeOf(root: Value, built: Built): { readonly owner: Value; readonly offset: number } {
  const home = built.homes.get(root);
  if (home === undefined) return { owner: root, offset: 0 };
  const outer = placeOf(home.root, built);
  return { owner: outer.owner, offset: outer.offset + home.offset };
}

/** The kernels that a draft stands for, each with the loops that it is in, the outermost first. */
const kernelsInLoops = (draft: Draft, around: readonly Blocks[] = []): readonly { readonly kernel: Draft; readonly around: readonly Blocks[] }[] =>
  draft.blocks?.members.flatMap(member => kernelsInLoops(member, [...around, draft.blocks!])) ?? [{ kernel: draft, around }];

/** Everything that a kernel loads and stores, but for what is there within one step of a loop. */
function accessesOf(draft: Draft, built: Built): { readonly loads: readonly Access[]; readonly stores: readonly Access[] } {
  const loads: Access[] = [];
  const stores: Access[] = [];
  for (const { kernel: member, around } of kernelsInLoops(draft)) {
    for (const step of member.steps) {
      const own = member.space.length + stepAxes(step).length;
      const extents = [...member.space, ...stepAxes(step), ...around.flatMap(({ axes }) => axes)];
      const access = (list: Access[], source: Source, at: readonly Index[]): void => {
        const { owner, offset } = placeOf(source.root, built);
        if (around.some(({ inside }) => inside.has(owner))) return;
        const flat = linear(source, at);
        const along = (source.along ?? []).map((times, axis) => ({ axis: own + axis, times }));
        list.push({ owner, root: source.root, extents, at: flat && affine([...flat.terms, ...along], flat.offset + offset) });
      };
      const scalars = step.kind === 'clear' ? [] : [step.body, ...(step.kind === 'store' ? step.at.flatMap(index => (isGathered(index) ? [index.gathered] : [])) : [])];
      for (const each of scalars.flatMap(loadsOf)) access(loads, member.sources[each.operand]!, each.at);
      if (step.kind === 'store') access(stores, member.outputs[step.output]!, step.at);
      if (step.kind === 'clear') access(stores, member.outputs[step.output]!, []);
    }
  }
  return { loads, stores };
}

const timesOf = ({ at, extents }: Access, { axis }: Pick<Choice, 'axis'>): number =>
  at?.terms.find(term => term.axis === (axis ?? extents.length - 1))?.times ?? 0;

/** The axes along which a kernel takes at least one value row by row, with what that makes of its own rows. */
function choicesOf(draft: Draft, read: readonly Access[], stores: readonly Access[], forms: ReadonlyMap<Value, readonly Rows[]>): readonly Choice[] {
  if (draft.host || read.some(each => forms.get(each.owner)!.length === 0)) return [];
  const axes = draft.blocks === undefined ? draft.space.map((extent, axis) => ({ axis, extent }))
    : draft.blocks.axes.length === 1 && draft.blocks.independent === 0 && draft.blocks.members.every(member => !member.blocks) ? [{ axis: null, extent: draft.blocks.axes[0]! }] : [];
  return axes.flatMap(({ axis, extent }): Choice[] => {
    let newest = -Infinity;
    for (const each of read) {
      const rows = forms.get(each.owner)!.find(({ stride }) => stride === timesOf(each, { axis }));
      if (rows === undefined) continue;
      const at = rowAt(each, { axis }, rows.count);
      if (at === null) return [];
      newest = Math.max(newest, at.high - rows.lag);
    }
    const choice = { axis, extent, lag: -newest };
    const isWhole = (store: Access): boolean => rowsBy(choice, [store]) !== null;
    return newest > -Infinity && stores.every(isWhole) && (axis === null || canMove(draft, axis)) ? [choice] : [];
  });
}

/** The rows of what is stored, if all of it is stored row by row along the axis. */
function rowsBy(choice: Choice, stores: readonly Access[]): Rows | null {
  let result: Rows | null = null;
  for (const store of stores) {
    const stride = timesOf(store, choice);
    if (store.at === null || stride <= 0) return null;
    const outer = store.at.terms.map(term => term.times).filter(times => times >= stride * choice.extent);
    const count = (outer.length === 0 ? elements(store.owner.type) : Math.min(...outer)) / stride;
    const at = Number.isInteger(count) ? rowAt(store, choice, count) : null;
    if (at === null || at.low !== at.high) return null;
    const rows = { stride, count, lag: choice.lag + at.low };
    if (result !== null && (result.stride !== stride || result.count !== count || result.lag !== rows.lag)) return null;
    result = rows;
  }
  return result;
}

/** Which rows an access touches, relative to the axis; null where it does not keep within rows. */
function rowAt(access: Access, choice: Pick<Choice, 'axis'>, count: number): { readonly stride: number; readonly low: number; readonly high: number } | null {
  const { at, extents } = access;
  const stride = timesOf(access, choice);
  if (at === null || stride <= 0) return null;
  const period = stride * count;
  const into = at.offset < 0 ? at.offset : at.offset % period;
  let low = Math.floor(into / stride);
  let high = low;
  let within = into - low * stride;
  for (const { axis, times } of at.terms) {
    if (axis === (choice.axis ?? extents.length - 1) || times % period === 0) continue;
    const reach = times * (extents[axis]! - 1);
    if (times % stride === 0) {
      low += Math.min(0, reach / stride);
      high += Math.max(0, reach / stride);
    } else if (times > 0 && times < stride) within += reach;
    else return null;
  }
  return within < stride ? { stride, low, high } : null;
}

/** Whether indices along an axis can be written with the position in its place: none of them is divided. */
function canMove(draft: Draft, axis: number): boolean {
  const isWhole = (index: Affine): boolean => index.divisor === 1 || index.terms.every(term => term.axis !== axis);
  const seen = new Set<Scalar>();
  const visit = (scalar: Scalar): boolean => {
    if (seen.has(scalar)) return true;
    seen.add(scalar);
    if (scalar.kind === 'guard' && !scalar.at.every(({ index }) => isWhole(index))) return false;
    if (scalar.kind === 'load' && !scalar.at.every(index => isGathered(index) || isWhole(index))) return false;
    return parts(scalar).every(visit);
  };
  return draft.steps.every(step => step.kind !== 'clear' && visit(stepBody(step)!) && (step.kind !== 'store' || step.at.every(index => !isGathered(index))));
}

/** A kernel for the one iteration of its axis that stands `first` below the position. */
function atPosition(draft: Draft, choice: Choice, first: number, rows: ReadonlyMap<Value, Value>, counts: ReadonlyMap<Value, number>): Draft {
  const { axis: gone, extent } = choice as Choice & { readonly axis: number };
  const space = draft.space.filter((_, axis) => axis !== gone);
  const most = Math.max(0, ...draft.steps.map(step => stepAxes(step).length));
  const axes = Array.from({ length: draft.space.length + most }, (_, axis) => (axis === gone ? fixed(0) : axisAt(axis > gone ? axis - 1 : axis)));
  const times = (index: Affine): number => index.terms.find(term => term.axis === gone)?.times ?? 0;
  const still = (index: Affine): Affine => substitute(index, axes)!;
  const sources: Source[] = [];
  const outputs: Source[] = [];
  const place = (list: Source[], made: Source): number => {
    const known = list.findIndex(other => other.root === made.root && other.offset === made.offset && size(other.shape) === size(made.shape) &&
      other.shape.length === made.shape.length && other.dtype === made.dtype && (other.along?.[0] ?? 0) === (made.along?.[0] ?? 0));
    return known >= 0 ? known : list.push(made) - 1;
  };
  const position = (): Scalar => {
    const given = load(place(sources, { root: positionLeaf, offset: 0, shape: [], dtype: 'i32' }), []);
    return first === 0 ? given : apply('sub', given, constant(first, 'i32'));
  };
  const valueOf = (index: Affine): Scalar => {
    const rest: Scalar = { kind: 'index', index: still(index) };
    if (times(index) === 0) return rest;
    const moved = times(index) === 1 ? position() : apply('mul', position(), constant(times(index), 'i32'));
    return still(index).terms.length === 0 && still(index).offset === 0 ? moved : apply('add', rest, moved);
  };
  const access = (list: Source[], source: Source, at: readonly Index[], extents: readonly number[]): { readonly operand: number; readonly at: readonly Index[] } => {
    const row = rows.get(source.root);
    const flat = linear(source, at);
    if (row !== undefined) {
      const count = counts.get(source.root)!;
      const period = times(flat!) * count;
      const kept = flat!.terms.flatMap(term => (term.axis === gone ? [] : [{ axis: term.axis, times: term.times % period === 0 ? term.times / count : term.times }]));
      const outer = Math.floor(flat!.offset / period);
      const offset = flat!.offset - outer * period + (outer * period) / count;
      return { operand: place(list, { root: row, offset: 0, shape: shapeOf(row.type), dtype: source.dtype }), at: [still(affine(kept, offset))] };
    }
    if (at.every(index => isGathered(index) || times(index) === 0))
      return { operand: place(list, source), at: at.map(index => (isGathered(index) ? index : still(index))) };
    const along = flat === null ? 0 : times(flat);
    const [low, high] = flat === null ? [-1, -1] : numeratorRange(still(flat), extents);
    const moved = along * (extent - 1);
    if (flat !== null && low + Math.min(0, moved) >= 0 && high + Math.max(0, moved) < elements(source.root.type)) {
      const made = { root: source.root, dtype: source.dtype, offset: low - first * along, shape: [high - low + 1], along: [along] };
      return { operand: place(list, made), at: [affine(still(flat).terms, still(flat).offset - low)] };
    }
    // A guard around it decides whether it counts; the element exists in any case.
    const inside = (index: Affine, d: number): Scalar =>
      apply('max', constant(0, 'i32'), apply('min', constant(source.shape[d]! - 1, 'i32'), valueOf(index)));
    return { operand: place(list, source), at: at.map((index, d) => (isGathered(index) ? index : times(index) === 0 ? still(index) : { gathered: inside(index, d) })) };
  };
  const body = (scalar: Scalar, extents: readonly number[]): Scalar =>
    mapScalar(scalar, part => {
      if (part.kind === 'index') return valueOf(part.index);
      if (part.kind === 'load') {
        const { operand, at } = access(sources, draft.sources[part.operand]!, part.at, extents);
        return load(operand, at);
      }
      if (part.kind !== 'guard') return part;
      const [fixedChecks, movedChecks] = [part.at.filter(check => times(check.index) === 0), part.at.filter(check => times(check.index) !== 0)];
      const then = movedChecks.reduceRight((inner, { index, extent: end }) => {
        const isInside = apply('and', apply('le', constant(0, 'i32'), valueOf(index)), apply('lt', valueOf(index), constant(end, 'i32')));
        return apply('select', isInside, inner, part.otherwise);
      }, part.then);
      return guard(fixedChecks.map(check => ({ ...check, index: still(check.index) })), then, part.otherwise);
    });
  const steps = draft.steps.map((step): Step => {
    if (step.kind === 'clear') return step;
    const extents = [...space, ...step.axes];
    const changed = body(step.body, extents);
    if (step.kind === 'reduce') return { ...step, body: changed };
    const { operand: output, at } = access(outputs, draft.outputs[step.output]!, step.at, extents);
    return { ...step, output, at, body: changed };
  });
  return { ...draft, space, sources, outputs, steps };
}

/** The kernels of a loop for the one turn that stands `first` below the position. */
function atStep({ blocks }: Draft, first: number): readonly Draft[] {
  const [counter] = blocks!.counters;
  const moved = (source: Source): Source => ({ ...source, offset: source.offset - first * (source.along?.[0] ?? 0) });
  return blocks!.members.map(member => {
    const sources = member.sources.map(source => (source.root === counter ? { ...source, root: positionLeaf } : moved(source)));
    const counted = (scalar: Scalar): Scalar => mapScalar(scalar, part =>
      part.kind === 'load' && member.sources[part.operand]!.root === counter && first > 0 ? apply('sub', part, constant(first, 'i32')) : part);
    const position = (index: Index): Index => (isGathered(index) ? { gathered: counted(index.gathered) } : index);
    const steps = member.steps.map((step): Step =>
      step.kind === 'clear' ? step : { ...step, body: counted(step.body), ...(step.kind === 'store' ? { at: step.at.map(position) } : {}) });
    return { ...member, sources, outputs: member.outputs.map(moved), steps };
  });
}

/** Kernels whose results only the scores of the newest token need. */
function resultOnly(
  moving: readonly Draft[], accesses: ReadonlyMap<Draft, { readonly loads: readonly Access[]; readonly stores: readonly Access[] }>,
  chosen: ReadonlyMap<Draft, Choice>, rows: ReadonlyMap<Value, Value>, result: Value,
): ReadonlySet<Draft> {
  const needed = new Set<Value>();
  const found = new Set<Draft>();
  for (const draft of [...moving].reverse()) {
    const { loads, stores } = accesses.get(draft)!;
    const isOnly = stores.every(({ owner }) => !needed.has(owner) && (!chosen.has(draft) || rows.has(owner) || owner === result));
    if (isOnly) found.add(draft);
    else for (const { owner } of loads) needed.add(owner);
  }
  return found;
}

/** What no token has filled must count as nothing, not as whatever the memory held. */
const cleared = (owner: Value): Draft => ({
  space: [], sources: [], outputs: [{ root: owner, offset: 0, shape: shapeOf(owner.type), dtype: owner.type.dtype }],
  steps: [{ kind: 'clear', output: 0 }], values: [owner], host: false,
});
