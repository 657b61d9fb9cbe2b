/**
 * What the invocations of a workgroup have, brought together: a function for each way to combine values of a kind. Without subgroups a few
 * invocations take the values of all others, then everyone takes theirs. With subgroups each of them takes all values, as many at a time
 * as it has invocations, whatever their number is and wherever they stand in the workgroup.
 */
import type { Combine } from '../../ir/nest.ts';
import type { Declaration } from './shader.ts';
import { typeOf, type Kind } from './spelling.ts';
import { combined, identityOf, isBetter } from './steps.ts';

/** Invocations that bring the totals of all others together. */
const heads = 16;

/** The workgroup memory that the functions use, with a place for each invocation. */
export const totalsOf = (kind: Kind): string => `totals_${kind}`;
export const positionsName = 'positions';

/** A function of an invocation's number, its own total, and the number of invocations, which gives the total of all. */
export function togetherFunction(combine: Combine, kind: Kind): Declaration {
  if (combine === 'argmax' || combine === 'argmin') return firstFunction(combine, kind);
  const name = `together_${combine}_${kind}`;
  const array = totalsOf(kind);
  const merge = (at: string): string => `total = ${combined(combine, kind, 'total', `${array}[${at}]`)};`;
  const all = kind === 'mask'
    ? (combine === 'mul' || combine === 'min' ? 'subgroupAll' : 'subgroupAny')
    : { add: 'subgroupAdd', mul: 'subgroupMul', max: 'subgroupMax', min: 'subgroupMin' }[combine];
  const write = [`${array}[lane] = total;`];
  return {
    name, feature: 'subgroups',
    ...bothTexts(`fn ${name}(lane: u32, own: ${typeOf({ kind, wide: false })}, count: u32) -> ${typeOf({ kind, wide: false })}`, {
      begin: ['var total = own;'], write, merge: at => [merge(at)], first: [`total = ${array}[0];`], nothing: [`total = ${identityOf(combine, kind)};`],
      whole: 'total', reduced: `${all}(total)`,
    }),
  };
}

/** Of an invocation's best value and its position: gives the first position of the best value of all. */
function firstFunction(combine: 'argmax' | 'argmin', kind: Kind): Declaration {
  const name = `together_${combine}_${kind}`;
  const array = totalsOf(kind);
  const isMost = combine === 'argmax';
  const most = kind === 'mask' ? (isMost ? 'subgroupAny' : 'subgroupAll') : isMost ? 'subgroupMax' : 'subgroupMin';
  return {
    name, feature: 'subgroups',
    ...bothTexts(`fn ${name}(lane: u32, own: ${typeOf({ kind, wide: false })}, place: i32, count: u32) -> i32`, {
      begin: ['var best = own;', 'var first = place;'],
      write: [`${array}[lane] = best;`, `${positionsName}[lane] = first;`],
      merge: at => [
        `let value = ${array}[${at}];`,
        `let at = ${positionsName}[${at}];`,
        `if ((${isBetter(combine, kind, 'value', 'best')}) | ((value == best) & (at < first))) {`,
        '  best = value;',
        '  first = at;',
        '}',
      ],
      first: [`best = ${array}[0];`, `first = ${positionsName}[0];`],
      nothing: [`best = ${identityOf(combine, kind)};`, 'first = 2147483647;'],
      whole: 'first',
      reduced: `subgroupMin(select(2147483647, first, best == ${most}(best)))`,
    }),
  };
}

/** Statements of a function, in terms of its variables. */
interface Parts {
  /** Declares them. */
  readonly begin: readonly string[];
  /** Writes them to the invocation's place, and takes the values of a place, those of the first place, or none. */
  readonly write: readonly string[];
  readonly merge: (at: string) => readonly string[];
  readonly first: readonly string[];
  readonly nothing: readonly string[];
  /** The result, and that of a subgroup. */
  readonly whole: string;
  readonly reduced: string;
}

function bothTexts(head: string, { begin, write, merge, first, nothing, whole, reduced }: Parts): Pick<Declaration, 'text' | 'own'> {
  const inside = (lines: readonly string[]): readonly string[] => lines.map(line => `  ${line}`);
  const block = (of: string, lines: readonly string[]): readonly string[] => [`${of} {`, ...inside(lines), '}'];
  const whatIs = (lines: readonly string[]): string => [`${head} {`, ...inside(lines), '}'].join('\n');
  // Nothing may be written to the shared memory before everyone has read it.
  return {
    text: whatIs([
      ...begin, ...write, 'workgroupBarrier();',
      ...block(`if (lane < ${heads}u)`, [...block(`for (var other = lane + ${heads}u; other < count; other += ${heads}u)`, merge('other')), ...write]),
      'workgroupBarrier();',
      ...first, ...block(`for (var other = 1u; other < ${heads}u; other++)`, merge('other')),
      'workgroupBarrier();', `return ${whole};`,
    ]),
    own: whatIs([
      ...begin, ...write, 'workgroupBarrier();',
      ...nothing, 'let width = subgroupAdd(1u);',
      ...block('for (var other = subgroupExclusiveAdd(1u); other < count; other += width)', merge('other')),
      'workgroupBarrier();', `return ${reduced};`,
    ]),
  };
}
