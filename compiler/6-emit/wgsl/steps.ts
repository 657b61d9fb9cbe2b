/** The steps of a kernel's iteration as one invocation computes them, one after the other. */
import type { Combine } from '../../ir/nest.ts';
import type { LinearKernel, Reduce, Store } from '../linear.ts';
import { emit, evaluate, forgetLoads, fresh, here, isWide, kindOfValue, loop, operand, store, stored, type Frame } from './frame.ts';
import { numeral, typeOf, widened, largest, type Kind, type Text } from './spelling.ts';

/** Groups of steps: joined stores belong to the store before them. */
export function groupsOf(steps: LinearKernel['steps']): readonly (readonly LinearKernel['steps'][number][])[] {
  const groups: LinearKernel['steps'][number][][] = [];
  for (const step of steps) {
    if (step.kind === 'store' && step.joined) groups.at(-1)!.push(step);
    else groups.push([step]);
  }
  return groups;
}

export function emitSteps(frame: Frame, steps: LinearKernel['steps'], rank: number): void {
  for (const group of groupsOf(steps)) {
    const [first] = group as [LinearKernel['steps'][number]];
    if (first.kind === 'reduce') emitReduce(frame, first, rank);
    else if (first.kind === 'store') withAxes(frame, first.axes, rank, () => emitStores(frame, group as readonly Store[]));
    else throw new Error('a memory is cleared by a dispatch of its own');
  }
}

export function withAxes(frame: Frame, axes: readonly number[], first: number, make: () => void): void {
  const [extent, ...rest] = axes;
  if (extent === undefined) make();
  else loop(frame, first, extent, () => withAxes(frame, rest, first + 1, make));
}

export function emitStores(frame: Frame, group: readonly Store[]): void {
  // All bodies are evaluated before the first store: one may read what another replaces.
  const values = group.map(step => {
    const value = stored(frame, step.access, evaluate(frame, step.body));
    if (group.length === 1) return value;
    const name = fresh(frame, 'value');
    emit(frame, `let ${name} = ${value.text};`);
    return { ...value, text: name };
  });
  group.forEach((step, i) => store(frame, step.access, step.address, values[i]!, step.accumulate));
  forgetLoads(frame);
}

/** Where a reduction begins: what leaves every value as it is. */
export function identityOf(combine: Combine, kind: Kind): string {
  if (kind === 'mask') return combine === 'mul' || combine === 'min' ? 'true' : 'false';
  switch (combine) {
    case 'add': return numeral(0, kind);
    case 'mul': return numeral(1, kind);
    case 'max': case 'argmax': return numeral(kind === 'int' ? -(2 ** 31) : -largest, kind);
    case 'min': case 'argmin': return numeral(kind === 'int' ? 2 ** 31 - 1 : largest, kind);
    default: return combine satisfies never;
  }
}

/** Two values as one. */
export function combined(combine: Combine, kind: Kind, a: string, b: string): string {
  if (kind === 'mask') return combine === 'mul' || combine === 'min' ? `${a} & ${b}` : `${a} | ${b}`;
  if (combine === 'add') return `${a} + ${b}`;
  if (combine === 'mul') return `${a} * ${b}`;
  return `${combine}(${a}, ${b})`;
}

function emitReduce(frame: Frame, step: Reduce, rank: number): void {
  const level = here(frame);
  const kind = kindOfValue(step.body);
  const wide = isWide(frame, step.body);
  const as = (value: Text): string => (wide ? widened(value) : value).text;
  const constant = (text: string, of: Kind): string => (wide ? `${typeOf({ kind: of, wide })}(${text})` : text);
  const identity = identityOf(step.combine, kind);
  const declare = (name: string, of: Kind, text: string): void => emit(frame, `var ${name}: ${typeOf({ kind: of, wide })} = ${constant(text, of)};`);
  if (step.combine === 'argmax' || step.combine === 'argmin') {
    const [best, position, count] = [fresh(frame, 'best'), fresh(frame, 'position'), fresh(frame, 'count')];
    declare(best, kind, identity);
    declare(position, 'int', '0');
    emit(frame, `var ${count} = 0;`);
    withAxes(frame, step.axes, rank, () => {
      const value = fresh(frame, 'value');
      emit(frame, `let ${value} = ${as(operand(frame, step.body))};`);
      const better = fresh(frame, 'better');
      emit(frame, `let ${better} = ${isBetter(step.combine, kind, value, best)};`);
      emit(frame, `${best} = select(${best}, ${value}, ${better});`);
      emit(frame, `${position} = select(${position}, ${constant(count, 'int')}, ${better});`);
      emit(frame, `${count}++;`);
    });
    frame.locals.set(step.local, { text: { text: position, kind: 'int', wide }, level });
    return;
  }
  const total = fresh(frame, 'total');
  declare(total, kind, identity);
  withAxes(frame, step.axes, rank, () => {
    const value = as(operand(frame, step.body));
    emit(frame, step.combine === 'add' && kind !== 'mask' ? `${total} += ${value};` : `${total} = ${combined(step.combine, kind, total, value)};`);
  });
  frame.locals.set(step.local, { text: { text: total, kind, wide }, level });
}

/** Whether a value comes before the best so far; the first of equal ones stays. */
export const isBetter = (combine: Combine, kind: Kind, value: string, best: string): string => {
  if (kind === 'mask') return combine === 'argmax' ? `${value} & !${best}` : `!${value} & ${best}`;
  return combine === 'argmax' ? `${value} > ${best}` : `${value} < ${best}`;
};
