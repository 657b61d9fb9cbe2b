/**
 * Writes a kernel's statements into the loop they depend on: an expression is named in the innermost loop whose variable it uses,
 * and named only where that saves work, so that the text stays close to what a person would write.
 */
import { affine, type Affine } from '../../ir/affine.ts';
import { isGathered, type Index, type Scalar } from '../../ir/nest.ts';
import type { Kernel } from '../../ir/program.ts';
import { strides, type Shape } from '../../ir/type.ts';
import { arrayOf } from './arrays.ts';
import { asNumber, atom, conjunction, difference, numeral, product, quotient, spell, sum, type Text } from './spelling.ts';

interface Level {
  readonly lines: string[];
  /** Named expressions by number, and named address parts by their text. */
  readonly names: Map<number | string, Text>;
  /** What it declares; free again when it closes. */
  readonly declared: string[];
}

export interface Scope {
  readonly kernel: Kernel;
  /** The function's body, then every open loop. */
  readonly levels: Level[];
  readonly accessNames: readonly string[];
  readonly localCount: number;
  /** Names that must not be declared again. */
  readonly taken: Set<string>;
  readonly axes: Map<number, { readonly level: number; readonly name: string; readonly header: string }>;
  readonly locals: Map<number, { readonly text: string; readonly level: number }>;
  /** Equal scalars have equal numbers. */
  readonly numbers: Map<string, number>;
  readonly numberOf: Map<Scalar, number>;
  /** Valid until the loops that are open change. */
  readonly levelOf: Map<Scalar, number>;
}

const reserved = `f32 i32 u8 random erf roundToHalf roundToBfloat16 Math Infinity NaN undefined arguments await async break case catch class
  const continue debugger default delete do else enum eval export extends false finally for function if implements import in instanceof
  interface let new null of package private protected public return static super switch this throw true try typeof var void while with yield`.split(
  /\s+/,
);
const axisNames = ['i', 'j', 'k', 'l', 'm', 'n', 'o', 'p', 'q', 'r', 's', 't'];

export function newScope(kernel: Kernel): Scope {
  const taken = new Set(reserved);
  const accessNames = [...kernel.operands, ...kernel.outputs].map(access => freeName(taken, access.name));
  const localCount = kernel.steps.filter(step => step.kind === 'reduce').length;
  return {
    kernel,
    levels: [newLevel()],
    accessNames,
    localCount,
    taken,
    axes: new Map(),
    locals: new Map(),
    numbers: new Map(),
    numberOf: new Map(),
    levelOf: new Map(),
  };
}

const newLevel = (): Level => ({ lines: [], names: new Map(), declared: [] });

function freeName(taken: Set<string>, name: string): string {
  let candidate = name;
  for (let i = 2; taken.has(candidate); i++) candidate = `${name}${i}`;
  taken.add(candidate);
  return candidate;
}

/** A name for something declared in the innermost loop, or in the loop at `level`. */
export function fresh(scope: Scope, name: string, level = scope.levels.length - 1): string {
  const free = freeName(scope.taken, name);
  scope.levels[level]!.declared.push(free);
  return free;
}

/** Appends a statement to the innermost loop, or to the loop at `level`. */
export function line(scope: Scope, text: string, level = scope.levels.length - 1): void {
  scope.levels[level]!.lines.push(`${'  '.repeat(level + 1)}${text}`);
}

export function openLoop(scope: Scope, axis: number, from: number, to: number, step: number): void {
  scope.levelOf.clear();
  scope.levels.push(newLevel());
  const name = fresh(scope, axisNames[axis] ?? `axis${axis}`);
  const advance = step === 1 ? `${name}++` : `${name} += ${step}`;
  scope.axes.set(axis, { level: scope.levels.length - 1, name, header: `for (let ${name} = ${from}; ${name} < ${to}; ${advance}) {` });
}

export function closeLoop(scope: Scope, axis: number): void {
  scope.levelOf.clear();
  const { header } = scope.axes.get(axis)!;
  scope.axes.delete(axis);
  const { lines, declared } = scope.levels.pop()!;
  for (const name of declared) scope.taken.delete(name);
  line(scope, header);
  scope.levels.at(-1)!.lines.push(...lines);
  line(scope, '}');
}

/** Names an expression in the innermost loop, unless it is a name or a number already. */
export function declare(scope: Scope, name: string, value: Text): Text {
  if (/^[\w.]+$/.test(value.text)) return value;
  const named = fresh(scope, name);
  line(scope, `const ${named} = ${value.text};`);
  return atom(named, value.boolean);
}

/** The bodies as expressions to be used in the innermost loop; what they share is computed once. */
export function render(scope: Scope, bodies: readonly Scalar[]): readonly Text[] {
  const uses = new Map<number, number>();
  const count = (scalar: Scalar): void => {
    const number = numberOf(scope, scalar);
    const before = uses.get(number) ?? 0;
    uses.set(number, before + 1);
    if (before === 0) for (const part of shownParts(scalar)) count(part);
  };
  for (const body of bodies) count(body);
  const here = scope.levels.length - 1;
  return bodies.map(body => text(scope, body, here, uses, false));
}

function shownParts(scalar: Scalar): readonly Scalar[] {
  switch (scalar.kind) {
    case 'constant':
    case 'index':
    case 'local':
      return [];
    case 'load':
      return scalar.at.flatMap(at => (isGathered(at) ? [at.gathered] : []));
    case 'apply':
      return scalar.arguments;
    // What stands in a guard is evaluated only where it holds, so none of it is shared with the outside.
    case 'guard':
      return [scalar.otherwise];
    default:
      return scalar satisfies never;
  }
}

/** An expression for use at `level`; named further out if it changes less often, or at its own level if it is used again. */
function text(scope: Scope, scalar: Scalar, level: number, uses: ReadonlyMap<number, number>, guarded: boolean): Text {
  if (scalar.kind === 'constant') return numeral(scalar.value);
  if (scalar.kind === 'local') return atom(scope.locals.get(scalar.local)!.text);
  const number = numberOf(scope, scalar);
  for (let at = level; at >= 0; at--) {
    const named = scope.levels[at]!.names.get(number);
    if (named) return named;
  }
  const own = levelOf(scope, scalar);
  const plain =
    scalar.kind === 'index' && scalar.index.terms.length === 1 && scalar.index.terms[0]!.times === 1 && scalar.index.offset === 0;
  if (guarded || plain || (own === level && (uses.get(number) ?? 1) < 2)) return spelled(scope, scalar, level, uses, guarded);
  const value = spelled(scope, scalar, own, uses, false);
  const name = fresh(scope, hint(scope, scalar), own);
  line(scope, `const ${name} = ${value.text};`, own);
  const result = atom(name, value.boolean);
  scope.levels[own]!.names.set(number, result);
  return result;
}

function hint(scope: Scope, scalar: Scalar): string {
  if (scalar.kind === 'load') return `${scope.accessNames[scalar.operand]!}_value`;
  return scalar.kind === 'apply' ? `${scalar.instruction.replace('to_', '')}_value` : scalar.kind === 'guard' ? 'inside' : 'position';
}

function spelled(scope: Scope, scalar: Scalar, level: number, uses: ReadonlyMap<number, number>, guarded: boolean): Text {
  const inner = (part: Scalar): Text => text(scope, part, level, uses, guarded);
  switch (scalar.kind) {
    case 'constant':
      return numeral(scalar.value);
    case 'local':
      return atom(scope.locals.get(scalar.local)!.text);
    case 'index':
      return linearText(scope, scalar.index);
    case 'apply':
      return spell(scalar.instruction, scalar.arguments.map(inner));
    case 'load': {
      const access = scope.kernel.operands[scalar.operand]!;
      return atom(
        `${arrayOf(access.dtype)}[${addressText(scope, scope.accessNames[scalar.operand]!, access.shape, scalar.at, { level, part: inner })}]`,
      );
    }
    case 'guard': {
      const conditions = scalar.at.map(check => {
        const own = axisLevel(scope, check.index);
        const inside = insideText(scope, check.index, check.extent);
        return own < level ? named(scope, own, inside, 'inside') : inside;
      });
      const condition = conditions.reduce((a, b) => conjunction(a, b));
      return spell('select', [condition, asNumber(text(scope, scalar.then, level, uses, true)), asNumber(inner(scalar.otherwise))]);
    }
    default:
      return scalar satisfies never;
  }
}

/** `0 <= index < extent`, and the division exact; a constant part stands on the other side. */
function insideText(scope: Scope, { terms, offset, divisor }: Affine, extent: number): Text {
  const shift = divisor === 1 ? offset : 0;
  const numerator = linearText(scope, { terms, offset: offset - shift, divisor: 1 });
  const above = comparison(numerator, '>=', -shift);
  const below = comparison(numerator, '<', extent * divisor - shift);
  if (divisor === 1) return conjunction(above, below);
  const exact = comparison({ text: `(${numerator.text}) % ${divisor}`, precedence: 12, boolean: false }, '===', 0);
  return conjunction(conjunction(above, below), exact);
}

const comparison = (left: Text, operator: string, right: number): Text => ({
  text: `${left.text} ${operator} ${right}`,
  precedence: 8,
  boolean: true,
});

function linearText(scope: Scope, index: Affine): Text {
  const terms = index.terms.map(term => signed(scope, term));
  const parts = [
    ...terms.filter(part => !part.negative),
    ...terms.filter(part => part.negative),
    ...(index.offset !== 0 || terms.length === 0 ? [constantPart(index.offset)] : []),
  ];
  const total = totalOf(parts);
  return index.divisor === 1 ? total : quotient(total, numeral(index.divisor));
}

/** A summand, its sign apart. */
interface Signed {
  readonly text: Text;
  readonly negative: boolean;
}

function signed(scope: Scope, { axis, times }: { readonly axis: number; readonly times: number }): Signed {
  const name = atom(scope.axes.get(axis)!.name);
  return { text: Math.abs(times) === 1 ? name : product(name, numeral(Math.abs(times))), negative: times < 0 };
}

const constantPart = (value: number): Signed => ({ text: numeral(Math.abs(value)), negative: value < 0 });
const plus = (text: Text): Signed => ({ text, negative: false });

function totalOf(parts: readonly Signed[]): Text {
  const [first, ...rest] = parts;
  const start = first!.negative ? spell('neg', [first!.text]) : first!.text;
  return rest.reduce((sumSoFar, part) => (part.negative ? difference : sum)(sumSoFar, part.text), start);
}

/** Where an address is computed, and how its gathered parts read there. */
interface Place {
  readonly level: number;
  readonly part: (scalar: Scalar) => Text;
}

/** base + Σ stride·index, the part that changes in outer loops only named there. */
export function addressText(scope: Scope, base: string, shape: Shape, at: readonly Index[], place?: Place): string {
  const level = place?.level ?? scope.levels.length - 1;
  const by = strides(shape);
  const terms: { axis: number; times: number }[] = [];
  const extra: Text[] = [];
  let offset = 0;
  for (const [d, index] of at.entries()) {
    const stride = by[d]!;
    if (isGathered(index)) {
      const gathered = place ? place.part(index.gathered) : text(scope, index.gathered, level, new Map(), false);
      extra.push(stride === 1 ? gathered : product(gathered, numeral(stride)));
    } else if (index.divisor === 1) {
      offset += index.offset * stride;
      for (const term of index.terms) terms.push({ axis: term.axis, times: term.times * stride });
    } else {
      const whole = linearText(scope, index);
      extra.push(stride === 1 ? whole : product(whole, numeral(stride)));
    }
  }
  const merged = affine(terms)
    .terms.map(term => ({ ...term, level: scope.axes.get(term.axis)!.level }))
    .sort((a, b) => a.level - b.level || b.times - a.times);
  let row: Text | null = base === '0' ? null : atom(base);
  const outer = merged.filter(({ level: own }) => own < level);
  for (let i = 0; i < outer.length; i++) {
    row = totalOf([...(row === null ? [] : [plus(row)]), signed(scope, outer[i]!)]);
    // One name for each loop that contributes.
    if (outer[i + 1]?.level === outer[i]!.level) continue;
    // Whole rows of the constant part belong to the row's name; what is left is written where the element is.
    const rows = i === outer.length - 1 ? Math.floor(offset / outer[i]!.times) * outer[i]!.times : 0;
    row = named(
      scope,
      outer[i]!.level,
      rows !== 0 ? totalOf([plus(row), constantPart(rows)]) : row,
      base === '0' ? 'position' : `${base}_row`,
    );
    offset -= rows;
  }
  const rest = merged.filter(({ level: own }) => own >= level).map(term => signed(scope, term));
  const parts = [
    ...(row === null ? [] : [plus(row)]),
    ...rest.filter(part => !part.negative),
    ...rest.filter(part => part.negative),
    ...extra.map(plus),
  ];
  return totalOf(offset !== 0 || parts.length === 0 ? [...parts, constantPart(offset)] : parts).text;
}

function named(scope: Scope, level: number, value: Text, hintName: string): Text {
  const known = scope.levels[level]!.names.get(value.text);
  if (known) return known;
  if (value.precedence === 20) return value;
  const name = atom(fresh(scope, hintName, level), value.boolean);
  line(scope, `const ${name.text} = ${value.text};`, level);
  scope.levels[level]!.names.set(value.text, name);
  return name;
}

const axisLevel = (scope: Scope, index: Affine): number =>
  index.terms.reduce((level, term) => Math.max(level, scope.axes.get(term.axis)!.level), 0);

/** The level of the innermost loop that a scalar depends on. */
function levelOf(scope: Scope, scalar: Scalar): number {
  const known = scope.levelOf.get(scalar);
  if (known !== undefined) return known;
  const level = innermostLevel(scope, scalar);
  scope.levelOf.set(scalar, level);
  return level;
}

function innermostLevel(scope: Scope, scalar: Scalar): number {
  const axis = (index: Affine): number => axisLevel(scope, index);
  switch (scalar.kind) {
    case 'constant':
      return 0;
    case 'local':
      return scope.locals.get(scalar.local)!.level;
    case 'index':
      return axis(scalar.index);
    case 'load':
      return scalar.at.reduce((level, at) => Math.max(level, isGathered(at) ? levelOf(scope, at.gathered) : axis(at)), 0);
    case 'apply':
      return scalar.arguments.reduce((level, part) => Math.max(level, levelOf(scope, part)), 0);
    case 'guard':
      return Math.max(levelOf(scope, scalar.then), levelOf(scope, scalar.otherwise), ...scalar.at.map(check => axis(check.index)));
    default:
      return scalar satisfies never;
  }
}

function numberOf(scope: Scope, scalar: Scalar): number {
  const known = scope.numberOf.get(scalar);
  if (known !== undefined) return known;
  const inner = (part: Scalar): number => numberOf(scope, part);
  const index = (at: Index): string => (isGathered(at) ? `g${inner(at.gathered)}` : JSON.stringify(at));
  const key = ((): string => {
    switch (scalar.kind) {
      case 'constant':
        return `c${Object.is(scalar.value, -0) ? '-0' : scalar.value}`;
      case 'local':
        return `v${scalar.local}`;
      case 'index':
        return `i${index(scalar.index)}`;
      case 'load':
        return `l${scalar.operand}[${scalar.at.map(index).join()}]`;
      case 'apply':
        return `${scalar.instruction}(${scalar.arguments.map(inner).join()})`;
      case 'guard':
        return `?${scalar.at.map(check => `${index(check.index)}<${check.extent}`).join()}:${inner(scalar.then)}:${inner(scalar.otherwise)}`;
      default:
        return scalar satisfies never;
    }
  })();
  const number = scope.numbers.get(key) ?? scope.numbers.size;
  scope.numbers.set(key, number);
  scope.numberOf.set(scalar, number);
  return number;
}
