/**
 * Joins kernels that pass values along: equal spaces become one loop and what passes stays in registers; a row's statistics and
 * what is done with the row become one pass over it. Joining is legal when each iteration reads only what itself has written, and
 * no third kernel stands between the two.
 */
import { numeratorRange, sameAffine, type Affine } from '../ir/affine.ts';
import type { Value } from '../ir/graph.ts';
import type { Instruction, Load, Scalar } from '../ir/nest.ts';
import type { Step } from '../ir/program.ts';
import { sameShape, size, type Shape } from '../ir/type.ts';
import type { Built } from './build.ts';
import { work } from './lower.ts';
import { distinctInstructions, isLate, isRecomputed, linear, loadsOf, mapScalar, mapSteps, stepAxes, stepBody, type Draft, type Source } from './draft.ts';
import { successors, type Successors } from './order.ts';
import { sameSource } from './steps.ts';

/** A row longer than this would leave the first-level cache between the passes over it. */
const rowElements = 8192;
/** Larger bodies gain nothing from sharing a loop, and engines stop optimising them; a contraction's is repeated for every place of its tile. */
const mostInstructions = 256;
const mostInstructionsInTile = 40;
/** Fewer iterations than this are not worth giving up the parallel loops inside them. */
const fewestRows = 4;

/** Joins what can be joined; in a loop over steps its own kernels, among themselves. */
export function fuse(state: Successors, built: Built): void {
  for (const draft of state.inOrder()) {
    if (draft.blocks === undefined) continue;
    const inside = successors({ ...built, drafts: draft.blocks.members });
    fuse(inside, built);
    state.replace([draft], [{ ...draft, blocks: { ...draft.blocks, members: inside.inOrder() } }]);
  }
  const known = new Map<Draft, Traits>();
  const traits = (draft: Draft): Traits => {
    const found = known.get(draft) ?? traitsOf(draft);
    known.set(draft, found);
    return found;
  };
  for (let changed = true; changed;) {
    changed = false;
    for (const consumer of state.inOrder()) {
      if (!state.alive(consumer)) continue;
      for (const producer of state.producers(consumer)) {
        if (producer === consumer || consumer.host || producer.host || consumer.blocks || producer.blocks) continue;
        if (!passesDirectly(producer, consumer) || wouldRunEarly(traits(producer), traits(consumer))) continue;
        const outer = loopsToShare(producer, consumer, traits);
        if (outer === null || state.pathBetween(producer, consumer)) continue;
        const joined = join(producer, consumer, outer, built, value => state.readOnlyBy(value, producer, consumer));
        if (joined === null) continue;
        state.replace([producer, consumer], [joined]);
        changed = true;
        break;
      }
    }
  }
}

/** What one kernel writes as a part of what the other reads comes from memory either way: to join them would only tie their loops together. */
const passesDirectly = (producer: Draft, consumer: Draft): boolean =>
  consumer.sources.some(source => producer.outputs.some(output => output.root === source.root));

/** Joined with a kernel of the forward pass, what is computed again for the backward pass would run at once and be kept as before. */
function wouldRunEarly(first: Traits, second: Traits): boolean {
  return (first.touchesRecomputed || second.touchesRecomputed) && !(first.isLate && second.isLate);
}

/** What is asked of a kernel for each other that it may be joined with. */
interface Traits {
  /** Of all its steps' bodies. */
  readonly instructions: number;
  readonly isContraction: boolean;
  readonly reduces: boolean;
  readonly storesOnly: boolean;
  readonly isLate: boolean;
  readonly touchesRecomputed: boolean;
}

const traitsOf = (draft: Draft): Traits => ({
  instructions: draft.steps.reduce((sum, step) => sum + (stepBody(step) ? distinctInstructions(stepBody(step)!) : 0), 0),
  isContraction: isContraction(draft),
  reduces: draft.steps.some(step => step.kind === 'reduce'),
  storesOnly: draft.steps.every(step => step.kind === 'store'),
  isLate: draft.values.every(isLate),
  touchesRecomputed:
    draft.values.some(isRecomputed) || draft.sources.some(source => isRecomputed(source.root)) || draft.outputs.some(output => isRecomputed(output.root)),
});

/** The loops that become one, or null where joining is not worth it or not legal for any pair of such loops. */
function loopsToShare(first: Draft, second: Draft, traits: (draft: Draft) => Traits): Shape | null {
  const outer = commonSpace(first, second, traits);
  if (outer === null) return null;
  const [a, b] = [traits(first), traits(second)];
  // A tile has one sum; a kernel with two would have to give up tiling.
  if ((a.isContraction && b.reduces) || (b.isContraction && a.reduces)) return null;
  const limit = a.isContraction || b.isContraction ? mostInstructionsInTile : mostInstructions;
  return a.instructions + b.instructions > limit ? null : outer;
}

function join(first: Draft, second: Draft, outer: Shape, built: Built, isPrivate: (value: Value) => boolean): Draft | null {
  const a = demote(first, outer.length);
  const b = demote(second, outer.length);
  const sources = [...a.sources];
  const sourceOf = b.sources.map(source => place(sources, source));
  const outputs = [...a.outputs];
  const outputOf = b.outputs.map(output => outputs.push(output) - 1);
  const locals = a.steps.filter(step => step.kind === 'reduce').length;
  const done = new Map<Scalar, Scalar>();
  const body = (scalar: Scalar): Scalar =>
    mapScalar(
      scalar,
      part =>
        part.kind === 'load'
          ? { ...part, operand: sourceOf[part.operand]! }
          : part.kind === 'local'
            ? { kind: 'local', local: part.local + locals }
            : part,
      done,
    );
  const moved = b.steps.map((step): Step => {
    switch (step.kind) {
      case 'clear':
        return { ...step, output: outputOf[step.output]! };
      case 'reduce':
        return { ...step, local: step.local + locals, body: body(step.body) };
      case 'store':
        return {
          ...step,
          output: outputOf[step.output]!,
          at: step.at.map(at => ('gathered' in at ? { gathered: body(at.gathered) } : at)),
          body: body(step.body),
        };
      default:
        return step satisfies never;
    }
  });
  const together: Draft = {
    space: outer,
    sources,
    outputs,
    steps: [...a.steps, ...moved],
    values: [...first.values, ...second.values],
    host: false,
  };
  if (!iterationsAreIndependent(together, built)) return null;
  const kept = joinStores(keepInRegisters(together, a.steps.length), a.steps.length, built);
  if (readsReplaced(kept, built)) return null;
  // A leaf outlives the entry, whether or not a kernel reads it.
  return tidy(kept, value => value.op === null || built.required.has(value) || !isPrivate(value));
}

/** The loops that both kernels can share, or null where sharing is not legal or not worth it. */
function commonSpace(first: Draft, second: Draft, traits: (draft: Draft) => Traits): Shape | null {
  if (sameShape(first.space, second.space)) return first.space;
  const [short, long] = first.space.length < second.space.length ? [first, second] : [second, first];
  const outer = short.space;
  if (outer.length === 0 || outer.some((extent, axis) => long.space[axis] !== extent)) return null;
  const inner = size(long.space.slice(outer.length));
  if (!traits(long).storesOnly || inner > rowElements || size(outer) < fewestRows || traits(short).isContraction) return null;
  return outer;
}

/** A kernel that sums products of elements each used many times: it is tiled, so its loops stay its own. */
export const isContraction = (draft: Draft): boolean =>
  draft.steps.some(step => step.kind === 'reduce' && contractionFactors(step.body) !== null && step.combine === 'add');

/** The loads whose product a body is, conversions aside; null when it is anything else or a single load. */
export function contractionFactors(body: Scalar): readonly Load[] | null {
  const bare = (scalar: Scalar): Load | null =>
    scalar.kind === 'load'
      ? scalar
      : scalar.kind === 'apply' && floatConversions.includes(scalar.instruction)
        ? bare(scalar.arguments[0]!)
        : null;
  if (body.kind !== 'apply' || body.instruction !== 'mul') return null;
  const [left, right] = body.arguments;
  const factors = [contractionFactors(left!) ?? [bare(left!)], contractionFactors(right!) ?? [bare(right!)]].flat();
  return factors.every(factor => factor !== null) ? factors : null;
}

const floatConversions: readonly Instruction[] = ['to_f32', 'to_f16', 'to_bf16'];

/** Only the first `rank` axes stay outer loops; the others, which only stores have, become their inner ones, under the same numbers. */
const demote = (draft: Draft, rank: number): Draft => {
  const inner = draft.space.slice(rank);
  return inner.length === 0
    ? draft
    : {
        ...draft,
        space: draft.space.slice(0, rank),
        steps: draft.steps.map(step => (step.kind === 'store' ? { ...step, axes: [...inner, ...step.axes] } : step)),
      };
};

function place(sources: Source[], source: Source): number {
  const at = sources.findIndex(other => sameSource(other, source));
  return at >= 0 ? at : sources.push(source) - 1;
}

/** Memory that one iteration writes, no other iteration reads or writes. */
function iterationsAreIndependent(draft: Draft, built: Built): boolean {
  const home = (source: Source): { readonly root: Value; readonly shift: number } => {
    let root = source.root;
    let shift = 0;
    for (let at = built.homes.get(root); at; at = built.homes.get(root)) {
      root = at.root;
      shift += at.offset;
    }
    return { root, shift };
  };
  if (draft.space.length === 0) return true;
  const sources = draft.sources.map(home);
  const stores = draft.steps.flatMap(step => {
    if (step.kind !== 'store') return [];
    const output = draft.outputs[step.output]!;
    return [{ step, output, to: home(output) }];
  });
  return draft.steps.every(step => {
    const body = stepBody(step);
    if (body === null) return true;
    return loadsOf(body).every(load => {
      const source = draft.sources[load.operand]!;
      const from = sources[load.operand]!;
      return stores.every(({ step: store, output, to }) => {
        if (from.root !== to.root) return true;
        // What moves otherwise from step to step is not compared.
        if ((source.along ?? []).join() !== (output.along ?? []).join()) return false;
        const read = linear({ ...source, offset: source.offset + from.shift }, load.at);
        const written = linear({ ...output, offset: output.offset + to.shift }, store.at);
        if (read === null || written === null) return false;
        const readExtents = [...draft.space, ...stepAxes(step)];
        const writeExtents = [...draft.space, ...stepAxes(store)];
        const [readLow, readHigh] = numeratorRange(read, readExtents);
        const [writeLow, writeHigh] = numeratorRange(written, writeExtents);
        if (readHigh < writeLow || writeHigh < readLow) return true;
        return sameRows(read, written, draft.space, readExtents, writeExtents);
      });
    });
  });
}

/** Both addresses move alike with the outer axes, and what they cover within one iteration does not reach into another. */
function sameRows(read: Affine, written: Affine, space: Shape, readExtents: Shape, writeExtents: Shape): boolean {
  const times = (index: Affine, axis: number): number => index.terms.find(term => term.axis === axis)?.times ?? 0;
  const outer = space.map((extent, axis) => (extent === 1 ? null : times(written, axis)));
  if (outer.some((stride, axis) => stride !== null && (stride <= 0 || stride !== times(read, axis)))) return false;
  const inner = (index: Affine, extents: Shape): readonly [number, number] =>
    numeratorRange({ ...index, terms: index.terms.filter(term => term.axis >= space.length || space[term.axis] === 1) }, extents);
  const [writeLow, writeHigh] = inner(written, writeExtents);
  const [readLow, readHigh] = inner(read, readExtents);
  const strides = outer.filter(stride => stride !== null).sort((x, y) => x - y);
  const extents = new Map(space.map((extent, axis) => [outer[axis], extent]));
  let reach = writeHigh - writeLow;
  for (const stride of strides) {
    if (stride <= reach) return false;
    reach += stride * (extents.get(stride)! - 1);
  }
  return readLow >= writeLow && readHigh <= writeHigh;
}

/** Work that is not repeated in a second loop over a row: the row is still in the first-level cache. */
const mostRepeated = 8;

/**
 * Loads of what the same iteration has just stored become the stored expression itself, where the loops agree: where they become
 * one, or where the expression is cheap.
 */
function keepInRegisters(draft: Draft, firstMoved: number): Draft {
  // Stores that will share one loop: the last ones before, and the first ones moved.
  const last = draft.steps.slice(0, firstMoved).findLastIndex(step => step.kind !== 'store' || step.axes.join() !== stepAxes(draft.steps[firstMoved - 1]!).join());
  const trailing = new Set(draft.steps.slice(last + 1, firstMoved));
  const others = draft.steps.slice(firstMoved).findIndex(step => step.kind !== 'store');
  const leading = new Set(draft.steps.slice(firstMoved, others < 0 ? undefined : firstMoved + others));
  const stores = draft.steps
    .slice(0, firstMoved)
    .flatMap(step =>
      step.kind === 'store' && !step.accumulate
        ? [{ step, address: linear(draft.outputs[step.output]!, step.at), root: draft.outputs[step.output]!.root }]
        : [],
    );
  const steps = [
    ...draft.steps.slice(0, firstMoved),
    ...mapSteps(draft.steps.slice(firstMoved), (body, step) =>
      mapScalar(body, part => {
        if (part.kind !== 'load') return part;
        const source = draft.sources[part.operand]!;
        const candidates = stores.filter(store => store.root === source.root && store.address !== null);
        const address = candidates.length === 0 ? null : linear(source, part.at);
        if (address === null) return part;
        const match = candidates.find(
          store =>
            sameAffine(store.address!, address) &&
            (store.step.axes.length === 0 ||
              (step.kind === 'store' &&
                store.step.axes.join() === step.axes.join() &&
                ((trailing.has(store.step) && leading.has(step)) || work(store.step.body) <= mostRepeated))),
        );
        return match ? match.step.body : part;
      }),
    ),
  ];
  return { ...draft, steps };
}

/** The first moved store shares the loop of the store before it, where it does not read back what that stores. */
function joinStores(draft: Draft, firstMoved: number, built: Built): Draft {
  const before = draft.steps[firstMoved - 1];
  const moved = draft.steps[firstMoved];
  if (
    before?.kind !== 'store' ||
    moved?.kind !== 'store' ||
    before.accumulate ||
    moved.accumulate ||
    before.axes.join() !== moved.axes.join()
  )
    return draft;
  const start = groupStart(draft.steps, before);
  const written = draft.steps.slice(start, firstMoved).map(step => draft.outputs[(step as Step & { kind: 'store' }).output]!.root);
  const following = draft.steps.slice(firstMoved + 1).findIndex(step => step.kind !== 'store' || !step.joined);
  const group = draft.steps.slice(firstMoved, following < 0 ? undefined : firstMoved + 1 + following);
  const readsBack = group.flatMap(step => loadsOf(stepBody(step)!)).some(load => within(draft.sources[load.operand]!.root, written, built));
  return readsBack ? draft : { ...draft, steps: draft.steps.with(firstMoved, { ...moved, joined: true }) };
}

/** Whether a value is one of `roots`, or a concatenation that one of them is part of. */
const within = (value: Value, roots: readonly Value[], built: Built): boolean =>
  roots.includes(value) || (built.parts.get(value) ?? []).some(part => within(part, roots, built));

/** Whether a step wants a leaf's old value that an earlier, not joined step of the same kernel has replaced in place. */
function readsReplaced(draft: Draft, built: Built): boolean {
  const leafOf = (value: Value): Value => {
    const home = built.homes.get(value);
    return home ? leafOf(home.root) : value;
  };
  if (!draft.outputs.some(({ root }) => leafOf(root).op === null)) return false;
  return draft.steps.some(step => {
    const body = stepBody(step);
    if (body === null) return false;
    const replaced = draft.steps
      .slice(0, groupStart(draft.steps, step))
      .flatMap(earlier => (earlier.kind === 'store' ? [leafOf(draft.outputs[earlier.output]!.root)] : []));
    return loadsOf(body).some(
      load => draft.sources[load.operand]!.root.op === null && replaced.includes(draft.sources[load.operand]!.root),
    );
  });
}

/** Without stores that nothing reads any more, and sources that nothing loads. */
export function tidy(draft: Draft, isNeeded: (value: Value) => boolean): Draft {
  const loaded = new Set(
    draft.steps.flatMap(step => [...(stepBody(step) ? loadsOf(stepBody(step)!) : []), ...gatheredLoads(step)]).map(load => load.operand),
  );
  const read = new Set([...loaded].map(operand => draft.sources[operand]!.root));
  const steps = draft.steps.filter(
    step => step.kind === 'reduce' || isNeeded(draft.outputs[step.output]!.root) || read.has(draft.outputs[step.output]!.root),
  );
  // A joined store whose first companion is gone leads the group itself.
  const leads = new Map(steps.map(step => [step, groupStart(draft.steps, step)]));
  const keptSources = draft.sources.filter((_, i) => loaded.has(i));
  const keptOutputs = draft.outputs.filter((_, i) => steps.some(step => step.kind !== 'reduce' && step.output === i));
  const sourceOf = draft.sources.map(source => keptSources.indexOf(source));
  const done = new Map<Scalar, Scalar>();
  const renumber = (scalar: Scalar): Scalar =>
    keptSources.length === draft.sources.length ? scalar : mapScalar(
      scalar,
      part => (part.kind === 'load' && sourceOf[part.operand] !== part.operand ? { ...part, operand: sourceOf[part.operand]! } : part),
      done,
    );
  return {
    ...draft,
    sources: keptSources,
    outputs: keptOutputs,
    steps: steps.map((step, i): Step => {
      if (step.kind === 'reduce') return { ...step, body: renumber(step.body) };
      const output = keptOutputs.indexOf(draft.outputs[step.output]!);
      if (step.kind === 'clear') return { ...step, output };
      const joined = i > 0 && leads.get(step) === leads.get(steps[i - 1]!);
      return {
        ...step,
        output,
        joined,
        at: step.at.map(at => ('gathered' in at ? { gathered: renumber(at.gathered) } : at)),
        body: renumber(step.body),
      };
    }),
  };
}

/** Where the run of joined stores that a step belongs to begins. */
function groupStart(steps: readonly Step[], step: Step): number {
  let start = steps.indexOf(step);
  for (let at = steps[start]; at?.kind === 'store' && at.joined; at = steps[start]) start--;
  return start;
}

const gatheredLoads = (step: Step): readonly Load[] =>
  step.kind === 'store' ? step.at.flatMap(at => ('gathered' in at ? loadsOf(at.gathered) : [])) : [];
