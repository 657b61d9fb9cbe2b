/** What targets ask of a kernel's values while they write loops: which loop a value depends on, and which values are equal. */
import type { Affine } from '../ir/affine.ts';
import type { Address, Value } from './linear.ts';

/** Loops by their level, the outermost 0: where each axis is bound, and where the result of each reduction is known. */
export interface Levels {
  readonly axes: ReadonlyMap<number, { readonly level: number }>;
  readonly locals: ReadonlyMap<number, { readonly level: number }>;
}

export const axisLevel = ({ axes }: Levels, index: Affine): number =>
  index.terms.reduce((level, term) => Math.max(level, axes.get(term.axis)!.level), 0);

const addressLevel = (levels: Levels, { flat, floored, gathered, divided }: Address): number =>
  Math.max(
    axisLevel(levels, flat),
    ...floored.map(part => levels.axes.get(part.axis)!.level),
    ...gathered.map(part => levelOf(levels, part.value)),
    ...divided.map(part => axisLevel(levels, part.index)),
  );

/** The loop that a value depends on. */
export function levelOf(levels: Levels, value: Value): number {
  switch (value.kind) {
    case 'constant':
      return 0;
    case 'local':
      return levels.locals.get(value.local)!.level;
    case 'index':
      return Math.max(axisLevel(levels, value.index), ...value.floored.map(part => levels.axes.get(part.axis)!.level));
    case 'load':
      return addressLevel(levels, value.address);
    case 'apply':
      return value.arguments.reduce((level, part) => Math.max(level, levelOf(levels, part)), 0);
    case 'guard':
      return Math.max(levelOf(levels, value.then), levelOf(levels, value.otherwise), ...value.at.map(check => axisLevel(levels, check.index)));
    default:
      return value satisfies never;
  }
}

/** Numbers of values, by what they compute and by object. */
export interface Numbering {
  readonly numbers: Map<string, number>;
  readonly numberOf: Map<Value, number>;
}

/** Equal values have equal numbers. */
export function numberOf(numbering: Numbering, value: Value): number {
  const known = numbering.numberOf.get(value);
  if (known !== undefined) return known;
  const inner = (part: Value): number => numberOf(numbering, part);
  const key = ((): string => {
    switch (value.kind) {
      case 'constant':
        return `${value.dtype}${Object.is(value.value, -0) ? '-0' : value.value}`;
      case 'local':
        return `v${value.local}`;
      case 'index':
        return `i${JSON.stringify([value.index, value.floored])}`;
      case 'load':
        return `l${value.access}${addressKey(numbering, value.address)}`;
      case 'apply':
        return `${value.instruction}(${value.arguments.map(inner).join()})`;
      case 'guard':
        return `?${JSON.stringify(value.at)}:${inner(value.then)}:${inner(value.otherwise)}`;
      default:
        return value satisfies never;
    }
  })();
  const number = numbering.numbers.get(key) ?? numbering.numbers.size;
  numbering.numbers.set(key, number);
  numbering.numberOf.set(value, number);
  return number;
}

/** Equal for addresses that are one. */
const addressKey = (numbering: Numbering, { flat, floored, gathered, divided }: Address): string =>
  JSON.stringify([flat, floored, divided, gathered.map(part => [numberOf(numbering, part.value), part.stride])]);
