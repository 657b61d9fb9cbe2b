/**
 * Kernels in the body of a loop over steps. While such a kernel is written, one axis behind all of its own stands for the step; here its
 * accesses become ones that move with the step, as they are in programs.
 */
import { affine, fixed, numeratorRange, type Affine, type Term } from '../ir/affine.ts';
import type { Value } from '../ir/graph.ts';
import { apply, constant, isGathered, load, type Index, type Scalar } from '../ir/nest.ts';
import type { Step } from '../ir/program.ts';
import type { Scan } from '../ir/scan.ts';
import { elements, size } from '../ir/type.ts';
import { linear, mapScalar, stepAxes, type Draft, type Source } from './draft.ts';

/** A scalar as an index, where it is made of indices and whole numbers alone. */
export function evenPosition(scalar: Scalar): Affine | null {
  if (scalar.kind === 'constant') return Number.isInteger(scalar.value) ? fixed(scalar.value) : null;
  if (scalar.kind === 'index') return scalar.index.divisor === 1 ? scalar.index : null;
  if (scalar.kind !== 'apply') return null;
  const parts = scalar.arguments.map(evenPosition);
  if (parts.some(part => part === null)) return null;
  const [a, b] = parts as [Affine, Affine];
  const times = (index: Affine, factor: number): Affine =>
    affine(index.terms.map((term): Term => ({ ...term, times: term.times * factor })), index.offset * factor);
  const sum = (x: Affine, y: Affine): Affine => affine([...x.terms, ...y.terms], x.offset + y.offset);
  switch (scalar.instruction) {
    case 'add': return sum(a, b);
    case 'sub': return sum(a, times(b, -1));
    case 'neg': return times(a, -1);
    case 'mul': return a.terms.length === 0 ? times(b, a.offset) : b.terms.length === 0 ? times(a, b.offset) : null;
    default: return null;
  }
}

/**
 * The kernel at one step of the loops around it, of a draft in which axes behind all others stand for the positions. `alongOf` tells by
 * how many elements the place of a value moves with the position in one of them. Programs count the steps of a reversed loop like those
 * of any other.
 */
export function atStep(draft: Draft, around: readonly Scan[], alongOf: (value: Value, scan: Scan) => number): Draft {
  const firstStep = draft.space.length + Math.max(0, ...draft.steps.map(step => stepAxes(step).length));
  const sources: Source[] = [];
  const moving = (source: Source, times: readonly number[]): Source => {
    const along = around.map((scan, k) => alongOf(source.root, scan) + times[k]!);
    if (along.every(distance => distance === 0)) return source;
    const backwards = around.map(({ reversed, length }, k) => (reversed ? (length.extent - 1) * along[k]! : 0));
    return {
      ...source,
      offset: backwards.reduce((sum, distance) => sum + distance, source.offset),
      along: around.map(({ reversed }, k) => (reversed && along[k] !== 0 ? -along[k]! : along[k]!)),
    };
  };
  const operand = (source: Source): number => {
    const known = sources.findIndex(other => sameSource(other, source));
    return known >= 0 ? known : sources.push(source) - 1;
  };
  const still = (index: Affine): Affine => ({ ...index, terms: index.terms.filter(term => term.axis < firstStep) });
  const isStill = (index: Affine): boolean => still(index).terms.length === index.terms.length;
  const timesOf = (index: Affine): readonly number[] => around.map((_, k) => index.terms.find(term => term.axis === firstStep + k)?.times ?? 0);
  const stands = around.map(() => 0);
  const number = ({ counter, reversed, length }: Scan): Scalar => {
    const step = load(operand({ root: counter, offset: 0, shape: [], dtype: 'i32' }), []);
    return reversed ? apply('sub', constant(length.extent - 1, 'i32'), step) : step;
  };
  const position = (index: Affine): Scalar =>
    timesOf(index).reduce<Scalar>((sum, times, k) => (times === 0 ? sum : apply('add', sum, apply('mul', number(around[k]!), constant(times, 'i32')))),
      { kind: 'index', index: still(index) });
  const moves = (index: Index): boolean => !isGathered(index) && !isStill(index);
  const changed = (scalar: Scalar, extents: readonly number[], done: Map<Scalar, Scalar>): Scalar =>
    mapScalar(scalar, part => {
      if (part.kind === 'index') return position(part.index);
      if (part.kind !== 'load') return part;
      const source = draft.sources[part.operand]!;
      if (!part.at.some(moves)) return load(operand(moving(source, stands)), part.at);
      // A row of a tensor for each step.
      const [first, ...inner] = part.at;
      if (!isGathered(first!) && still(first!).terms.length === 0 && first!.divisor === 1 && !inner.some(moves)) {
        const shape = source.shape.slice(1);
        const row = { ...source, offset: source.offset + first!.offset * size(shape), shape };
        return load(operand(moving(row, timesOf(first!).map(times => times * size(shape)))), inner);
      }
      const flat = linear(source, part.at);
      const rest = flat && still(flat);
      const [low, high] = rest === null ? [-1, -1] : numeratorRange(rest, extents);
      const ends = flat === null ? [] : timesOf(flat).map((times, k) => times * (around[k]!.length.extent - 1));
      const reach = (extreme: (...numbers: number[]) => number): number => ends.reduce((sum, end) => sum + extreme(0, end), 0);
      // Where a guard keeps the address inside, or there is no one address, the position is computed.
      if (flat === null || low + reach(Math.min) < 0 || high + reach(Math.max) >= elements(source.root.type))
        return load(operand(moving(source, stands)), part.at.map(index => (moves(index) ? { gathered: position(index as Affine) } : index)));
      const made = { root: source.root, dtype: source.dtype, offset: low, shape: [high - low + 1] };
      return load(operand(moving(made, timesOf(flat))), [affine(rest!.terms, rest!.offset - low)]);
    }, done);
  const steps = draft.steps.map((step): Step => {
    if (step.kind === 'clear') return step;
    const extents = [...draft.space, ...stepAxes(step)];
    const done = new Map<Scalar, Scalar>();
    const body = changed(step.body, extents, done);
    if (step.kind === 'reduce') return { ...step, body };
    const at = step.at.map((index): Index =>
      isGathered(index) ? { gathered: changed(index.gathered, extents, done) } : moves(index) ? { gathered: position(index) } : index);
    return { ...step, body, at };
  });
  return { ...draft, sources, outputs: draft.outputs.map(output => moving(output, output.along ?? stands)), steps };
}

/** Whether two accesses are the same elements, in every step. */
export const sameSource = (a: Source, b: Source): boolean =>
  a.root === b.root && a.offset === b.offset && a.shape.join() === b.shape.join() && (a.along ?? []).join() === (b.along ?? []).join();
