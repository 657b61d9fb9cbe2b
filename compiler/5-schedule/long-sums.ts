/**
 * Long reductions with few results, such as the norm of all gradients, become two kernels: one reduces parts of it that are independent
 * of each other, so that threads and GPUs have something to share, the other one what the parts gave. Parts depend on extents alone,
 * never on how many threads there are.
 */
import { affine, axisAt, substitute, type Affine } from '../ir/affine.ts';
import type { Value } from '../ir/graph.ts';
import { apply, isGathered, load, scalarType, type BinaryInstruction, type Combine, type Scalar } from '../ir/nest.ts';
import type { Step } from '../ir/program.ts';
import { dim, size, type Shape } from '../ir/type.ts';
import type { Built } from './build.ts';
import { loadsOf, mapScalar, type Draft } from './draft.ts';
import { tidy } from './fuse.ts';
import type { Successors } from './order.ts';

/** Reductions over fewer elements are over before others could help. */
const fewestElements = 1 << 17;
/** Results that are few: more are shared themselves. */
const fewResults = 8;
/** Parts that one axis is cut into; leading axes that are fewer or more parts are not taken as they are. */
const parts = 64;
const fewestParts = 8;
const mostParts = 1024;

const combines: Partial<Readonly<Record<Combine, BinaryInstruction>>> = { add: 'add', mul: 'mul', max: 'max', min: 'min' };

/** Splits every long reduction. */
export function splitLongSums(state: Successors, built: Built): void {
  for (const draft of state.inOrder()) {
    const split = splitDraft(draft, built);
    if (split !== null) state.replace([draft], split);
  }
}

/** Without sources that nothing loads any more. */
const tidied = (draft: Draft): Draft => tidy(draft, () => true);

type Reduce = Step & { readonly kind: 'reduce' };

function splitDraft(draft: Draft, built: Built): readonly Draft[] | null {
  if (draft.host || draft.blocks || size(draft.space) > fewResults) return null;
  const long = draft.steps.filter((step): step is Reduce => step.kind === 'reduce' && isLong(step, draft, built));
  if (long.length === 0) return null;
  const first: Draft[] = [];
  const sources = [...draft.sources];
  let locals = draft.steps.filter(step => step.kind === 'reduce').length;
  /** Results of long reductions, from those of their parts and of what is left. */
  const results = new Map<number, Scalar>();
  const done = new Map<Scalar, Scalar>();
  const changed = (scalar: Scalar): Scalar => mapScalar(scalar, part => (part.kind === 'local' ? (results.get(part.local) ?? part) : part), done);
  const steps = draft.steps.flatMap((step): readonly Step[] => {
    if (step.kind === 'clear') return [step];
    if (step.kind === 'store') return [{ ...step, body: changed(step.body) }];
    if (!long.includes(step)) return [{ ...step, body: changed(step.body) }];
    const { outer, inner, index, rest } = cut(step.axes, draft.space.length);
    const operands = draft.sources.map(source => source.dtype);
    const partial: Value = {
      ...draft.values.at(-1)!, operands: [],
      type: { dtype: scalarType(step.body, operands), dims: [...draft.space, ...outer].map(extent => dim(extent)) },
    };
    const whole = { root: partial, offset: 0, shape: [...draft.space, ...outer], dtype: partial.type.dtype };
    const at = whole.shape.map((_, axis) => axisAt(axis));
    first.push(tidied({
      ...draft,
      space: whole.shape,
      outputs: [whole],
      steps: [
        { kind: 'reduce', local: 0, axes: inner, combine: step.combine, body: moved(step.body, index) },
        { kind: 'store', output: 0, axes: [], at, body: { kind: 'local', local: 0 }, accumulate: false, joined: false },
      ],
    }));
    const operand = sources.push(whole) - 1;
    const ofParts: Step = { kind: 'reduce', local: step.local, axes: outer, combine: step.combine, body: load(operand, at) };
    if (rest === null) return [ofParts];
    const ofRest: Step = { kind: 'reduce', local: locals++, axes: rest.axes, combine: step.combine, body: moved(step.body, rest.index) };
    results.set(step.local, apply(combines[step.combine]!, { kind: 'local', local: step.local }, { kind: 'local', local: ofRest.local }));
    return [ofParts, ofRest];
  });
  return [...first, tidied({ ...draft, sources, steps })];
}

/** Combined in any order, over many elements, of nothing that the kernel computes before. */
function isLong(step: Reduce, draft: Draft, built: Built): boolean {
  if (size(step.axes) < fewestElements || combines[step.combine] === undefined) return false;
  let usesLocal = false;
  mapScalar(step.body, part => {
    if (part.kind === 'local') usesLocal = true;
    return part;
  });
  // What the kernel itself has stored, only it may read.
  const own = new Set(draft.outputs.map(output => output.root));
  const isOwn = (value: Value): boolean => own.has(value) || (built.parts.get(value) ?? []).some(isOwn);
  return !usesLocal && loadsOf(step.body).every(each => !isOwn(draft.sources[each.operand]!.root));
}

interface Cut {
  /** Axes of the parts, and those within one. */
  readonly outer: Shape;
  readonly inner: Shape;
  /** What each axis of the space and of the reduction is in the kernel of the parts. */
  readonly index: readonly Affine[];
  /** What does not fill the parts, and the axes in the kernel that is left. */
  readonly rest: { readonly axes: Shape; readonly index: readonly Affine[] } | null;
}

/** Leading axes are parts as they are; where these are too few, the next axis is cut. */
function cut(axes: Shape, rank: number): Cut {
  let taken = 0;
  while (taken < axes.length - 1 && size(axes.slice(0, taken + 1)) <= mostParts) taken++;
  const whole = axes.slice(0, taken);
  const plain = (count: number, from = 0): readonly Affine[] => Array.from({ length: count }, (_, i) => axisAt(from + i));
  if (size(whole) >= fewestParts) return { outer: whole, inner: axes.slice(taken), index: plain(rank + axes.length), rest: null };
  const [extent, ...others] = axes.slice(taken) as unknown as readonly [number, ...number[]];
  const at = rank + taken;
  const length = Math.floor(extent / parts);
  const cutAxis = affine([{ axis: at, times: length }, { axis: at + 1, times: 1 }]);
  const main = { outer: [...whole, parts], inner: [length, ...others], index: [...plain(at), cutAxis, ...plain(others.length, at + 2)] };
  const left = extent - parts * length;
  const behind = affine([{ axis: at, times: 1 }], parts * length);
  const rest = { axes: [...whole, left, ...others], index: [...plain(at), behind, ...plain(others.length, at + 1)] };
  return { ...main, rest: left === 0 ? null : rest };
}

/** A body with each axis replaced. None of these is divided, so that every index can be written. */
const moved = (body: Scalar, axes: readonly Affine[]): Scalar =>
  mapScalar(body, part => {
    switch (part.kind) {
      case 'index':
        return { ...part, index: substitute(part.index, axes)! };
      case 'load':
        return { ...part, at: part.at.map(index => (isGathered(index) ? index : substitute(index, axes)!)) };
      case 'guard':
        return { ...part, at: part.at.map(check => ({ ...check, index: substitute(check.index, axes)! })) };
      default:
        return part;
    }
  });
