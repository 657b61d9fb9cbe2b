/**
 * What must hold of a graph and of a nest, checked after every pass in tests and under `--verify`. Gives one sentence for each
 * thing that does not hold; an empty list says that the graph is sound.
 */
import { alwaysInside, type Affine } from './affine.ts';
import { entryRoots, topological, type Entry, type Graph, type Placement, type Value } from './graph.ts';
import { isGathered, parts, type Index, type Nest, type Scalar } from './nest.ts';
import { openLeaves, scanOf, scanResultOf, type Scan } from './scan.ts';
import { elements, printTypeLong, sameShape, shapeOf, type Shape, type TensorType } from './type.ts';

/** Every value has the type that its op gives it, every update fits its leaf, every placement lies inside its leaf. */
export function verifyGraph(graph: Graph): string[] {
  const problems: string[] = [];
  const roots = graph.entries.flatMap(entry => [...entryRoots(entry), ...entry.updates.map(update => update.leaf)]);
  for (const value of topological([...roots, ...graph.placements.map(placement => placement.leaf)])) problems.push(...verifyValue(value));
  for (const name of repeated(graph.entries.map(entry => entry.name))) problems.push(`entry \`${name}\` occurs twice`);
  for (const entry of graph.entries) {
    problems.push(...leavesThatEscape(entry));
    for (const name of repeated(entry.results.map(result => result.name))) problems.push(`entry \`${entry.name}\` has result \`${name}\` twice`);
    for (const leaf of repeated(entry.updates.map(update => update.leaf))) problems.push(`entry \`${entry.name}\` updates \`${leafName(leaf)}\` twice`);
    for (const { leaf, value } of entry.updates) {
      if (leaf.leaf === null) problems.push(`entry \`${entry.name}\` updates a value that is no leaf`);
      else if (!sameType(leaf.type, value.type)) {
        problems.push(`entry \`${entry.name}\` updates \`${leafName(leaf)}\` of type ${printTypeLong(leaf.type)} with ${printTypeLong(value.type)}`);
      }
    }
  }
  return [...problems, ...verifyPlacements(graph.placements)];
}

function verifyValue(value: Value): string[] {
  if (value.op === null) return value.leaf === null ? ['a value is neither an op nor a leaf'] : [];
  const { definition } = value.op;
  if (value.leaf !== null) return [`a \`${definition.name}\` is a leaf too`];
  if ('structure' in definition) return verifyStructure(value);
  if (!('lower' in definition)) return [`composite \`${definition.name}\` is in the graph`];
  const [given, declared] = [Object.keys(value.attrs).sort().join(', '), Object.keys(definition.attrs).sort().join(', ')];
  if (given !== declared) return [`\`${definition.name}\` has attributes ${given || 'none'} instead of ${declared || 'none'}`];
  const operands = value.operands.map(operand => operand.type);
  try {
    const violations: string[] = [];
    const type: TensorType = definition.shape(operands, value.attrs, (label: string, holds: boolean, detail: () => string) => {
      if (!holds) violations.push(`\`${definition.name}.${label}\` does not hold: ${detail()}`);
    });
    if (violations.length > 0) return violations;
    if (!sameType(type, value.type)) return [`\`${definition.name}\` gives ${printTypeLong(type)}, the value has ${printTypeLong(value.type)}`];
    return verifyNest(definition.lower(operands, value.attrs, value.type), operands.map(shapeOf)).map(problem => `\`${definition.name}\`: ${problem}`);
  } catch (error) {
    return [`\`${definition.name}\` cannot be typed: ${error instanceof Error ? error.message : String(error)}`];
  }
}

/** A loop's leaves mean something inside the loop only. */
function leavesThatEscape(entry: Entry): string[] {
  const open = openLeaves(topological(entryRoots(entry)));
  return [...new Set(entryRoots(entry).flatMap(root => [...open.get(root)!]))].map(leaf => `\`${leafName(leaf)}\` is read outside its loop in \`${entry.name}\``);
}

/** A scan's operands fit together, and its results are of the types that it computes. */
function verifyStructure(value: Value): string[] {
  const scan = scanOf(value);
  const result = scanResultOf(value);
  if (scan !== null) {
    const roles = [[scan.counter, 'counter'], ...scan.carries.map(carry => [carry, 'carry'] as const)] as const;
    const wrong = roles.flatMap(([leaf, role]) => (leaf.leaf?.role === role ? [] : [`a scan has a ${role} that is none`]));
    const unlike = scan.carries.filter((carry, k) => ![scan.initials[k]!, scan.nexts[k]!].every(other => sameType(other.type, carry.type)));
    return [...wrong, ...unlike.map(carry => `\`${leafName(carry)}\` of type ${printTypeLong(carry.type)} becomes a value of another type`)];
  }
  const from = result && scanOf(result.scan);
  if (result === null || from === null) return ['the result of a scan is not of a scan'];
  const type = result.part === 'final' ? from.carries[result.which]?.type : stepsOf(from, from.yields[result.which]?.type);
  return type !== undefined && sameType(type, value.type) ? [] : [`a result of a scan has ${printTypeLong(value.type)}`];
}

const stepsOf = ({ length }: Scan, type: TensorType | undefined): TensorType | undefined => type && { ...type, dims: [length, ...type.dims] };

/** Every load that no guard wraps is inside its operand for all iterations, and every index speaks of axes that exist. */
export function verifyNest(nest: Nest, operands: readonly Shape[]): string[] {
  const extents = [...nest.space, ...nest.reduce];
  const shapes = operands.map((shape, k) => nest.reinterpret?.[k] ?? shape);
  const problems = verifyScalar(nest.body, shapes, extents, []);
  if ((nest.reduce.length > 0) !== (nest.combine !== null)) problems.push('a nest combines exactly when it has reduce axes');
  if (nest.scatter) {
    if (nest.reduce.length > 0) problems.push('a scatter has no reduce axes');
    problems.push(...verifyAccess(nest.scatter.at, nest.scatter.shape, extents, []));
    problems.push(...gatheredIn(nest.scatter.at).flatMap(inner => verifyScalar(inner, shapes, extents, [])));
  }
  return problems;
}

interface Guarded {
  readonly index: Affine;
  readonly extent: number;
}

function verifyScalar(scalar: Scalar, shapes: readonly Shape[], extents: Shape, guards: readonly Guarded[]): string[] {
  const inner = (part: Scalar, more: readonly Guarded[] = []): string[] => verifyScalar(part, shapes, extents, [...guards, ...more]);
  switch (scalar.kind) {
    case 'guard':
      return [...scalar.at.flatMap(({ index }) => unknownAxes(index, extents)), ...inner(scalar.then, scalar.at), ...inner(scalar.otherwise)];
    case 'load': {
      const shape = shapes[scalar.operand];
      const own = shape === undefined ? [`there is no operand ${scalar.operand}`] : verifyAccess(scalar.at, shape, extents, guards);
      return [...own, ...parts(scalar).flatMap(part => inner(part))];
    }
    case 'index':
      return [...unknownAxes(scalar.index, extents), ...(scalar.index.divisor === 1 ? [] : ['the value of an index is divided'])];
    case 'constant': case 'apply': case 'local':
      return parts(scalar).flatMap(part => inner(part));
    default: return scalar satisfies never;
  }
}

function verifyAccess(at: readonly Index[], shape: Shape, extents: Shape, guards: readonly Guarded[]): string[] {
  if (at.length !== shape.length) return [`${at.length} indices for rank ${shape.length}`];
  return at.flatMap((index, d) => {
    if (isGathered(index)) return [];
    const unknown = unknownAxes(index, extents);
    if (unknown.length > 0) return unknown;
    const guarded = guards.some(guard => JSON.stringify(guard.index) === JSON.stringify(index) && guard.extent <= shape[d]!);
    return guarded || alwaysInside(index, extents, shape[d]!) ? [] : [`dimension ${d} of extent ${shape[d]!} may be left`];
  });
}

const gatheredIn = (at: readonly Index[]): readonly Scalar[] => at.flatMap(index => (isGathered(index) ? [index.gathered] : []));
const unknownAxes = (index: Affine, extents: Shape): string[] =>
  index.terms.filter(term => term.axis >= extents.length).map(term => `there is no axis ${term.axis}`);

function verifyPlacements(placements: readonly Placement[]): string[] {
  const problems: string[] = [];
  for (const key of repeated(placements.map(placement => `${placement.role} ${placement.name}`))) problems.push(`\`${key}\` is placed twice`);
  const ends = new Map<Value, number>();
  for (const { role, name, type, leaf, offset } of [...placements].sort((a, b) => a.offset - b.offset)) {
    const end = offset + elements(type);
    if (leaf.leaf?.role !== role) problems.push(`${role} \`${name}\` is placed in a leaf of another role`);
    if (offset < 0 || end > elements(leaf.type)) problems.push(`${role} \`${name}\` leaves its leaf \`${leafName(leaf)}\``);
    if (offset < (ends.get(leaf) ?? 0)) problems.push(`${role} \`${name}\` overlaps another in \`${leafName(leaf)}\``);
    ends.set(leaf, Math.max(end, ends.get(leaf) ?? 0));
  }
  return problems;
}

const leafName = (value: Value): string => value.leaf?.name ?? '';
const sameType = (a: TensorType, b: TensorType): boolean => a.dtype === b.dtype && sameShape(shapeOf(a), shapeOf(b));
const repeated = <T>(items: readonly T[]): readonly T[] => [...new Set(items.filter((item, i) => items.indexOf(item) !== i))];
