/**
 * A picture before it is text: boxes in layers, joined by tensors, of any level of the compiler. Here it is also made smaller: what
 * lies deeper than asked becomes one box for a layer or for an expression of the user's, with the sums of what is inside.
 */
import type { Origin, Phase } from '../ir/graph.ts';
import type { TensorType } from '../ir/type.ts';
import { spanText } from '../source/text.ts';

export interface Picture {
  readonly title: string;
  /** Below the title: totals, one line each. */
  readonly notes: readonly string[];
  readonly nodes: readonly PictureNode[];
  readonly edges: readonly PictureEdge[];
}

export type NodeKind = 'input' | 'parameter' | 'state' | 'op' | 'result' | 'layer' | 'kernel';

export interface PictureNode {
  readonly id: string;
  readonly kind: NodeKind;
  readonly phase: Phase;
  readonly lines: readonly string[];
  /** The path of layers that it stands in. */
  readonly scope: readonly string[];
  /** What the user wrote: joined nodes of one expression, or of parts of it, can be shown as one. */
  readonly expression: Expression | null;
  readonly flops: number;
  /** Its time, where it was measured: the box then shows that instead of the phase. */
  readonly heat?: Heat;
  /** What it counts for when it is folded: names with shapes and numbers of elements. */
  readonly parameters: readonly ParameterShape[];
}

/** A place in a file, by characters, with what stands there. */
export interface Expression {
  readonly path: string;
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** Of a step. */
export interface Heat {
  readonly ms: number;
  readonly share: number;
}

export interface ParameterShape {
  readonly name: string;
  readonly shape: string;
  readonly count: number;
}

export interface PictureEdge {
  readonly from: string;
  readonly to: string;
  /** What flows; null draws the line alone. */
  readonly tensor: EdgeTensor | null;
}

export interface EdgeTensor {
  readonly key: string;
  /** Only where it is known by one. */
  readonly name: string | null;
  readonly shape: string;
  readonly bytes: number;
}

/** How much of a picture is shown: layers down to a depth, and whether the ops of an expression are joined. */
export interface Fold {
  readonly depth: number;
  /** The depth in the update phase, whose parts (`optimizer`, `schedule`) stand in place of layers. */
  readonly updateDepth: number;
  readonly expressions: boolean;
}

/** The depth from which on nothing is folded. */
export const fullDepth = (picture: Picture): number => Math.max(0, ...picture.nodes.map(node => node.scope.length));

/** The most detailed fold that draws at most `most` nodes, the coarsest if none does. The parts of the update are one box each. */
export function foldToFit(picture: Picture, most: number): Picture {
  for (let depth = fullDepth(picture); depth >= 0; depth--) {
    const folded = foldPicture(picture, { depth, updateDepth: 0, expressions: false });
    if (folded.nodes.length <= most) return folded;
  }
  return foldPicture(picture, { depth: 0, updateDepth: 0, expressions: true });
}

const depthOf = (node: PictureNode, fold: Fold): number => (node.phase === 'update' ? fold.updateDepth : fold.depth);

/** Draws each group as one node. Edges within a group vanish, edges between the same two groups become one. */
export function foldPicture(picture: Picture, fold: Fold): Picture {
  const groups = groupsOf(picture, fold);
  const members = new Map<string, PictureNode[]>();
  for (const node of picture.nodes) {
    const group = groups.get(node.id)!;
    members.set(group, [...(members.get(group) ?? []), node]);
  }
  const nodes = [...members.values()].map(group => (isWhole(group, fold) ? group[0]! : foldedNode(group, fold)));
  const idOf = new Map([...members.values()].flatMap((group, i) => group.map(node => [node.id, nodes[i]!.id] as const)));
  const moved = picture.edges.map(edge => ({ ...edge, from: idOf.get(edge.from)!, to: idOf.get(edge.to)! }));
  return { ...picture, nodes, edges: mergeEdges(moved.filter(edge => edge.from !== edge.to)) };
}

/** Whether a group is one node that is drawn as it is: not a layer, and not what the user has a name for. */
const isWhole = ([first, ...others]: readonly PictureNode[], fold: Fold): boolean =>
  others.length === 0 && first!.scope.length <= depthOf(first!, fold) && (!fold.expressions || first!.kind !== 'op' || first!.expression === null);

/** The group of each node, by a name of its own. */
function groupsOf(picture: Picture, fold: Fold): ReadonlyMap<string, string> {
  const nodes = new Map(picture.nodes.map(node => [node.id, node]));
  const groups = new Map(picture.nodes.map(node => {
    const depth = depthOf(node, fold);
    return [node.id, node.scope.length > depth ? JSON.stringify([node.phase, ...node.scope.slice(0, depth + 1)]) : node.id];
  }));
  if (!fold.expressions) return groups;
  // A turn of an unrolled loop has the same expressions as the next: only joined nodes are one application of it.
  const parent = new Map<string, string>();
  const root = (id: string): string => {
    let at = id;
    while (parent.has(at)) at = parent.get(at)!;
    return at;
  };
  const sameExpression = (a: PictureNode, b: PictureNode): boolean =>
    a.kind === 'op' && b.kind === 'op' && a.phase === b.phase && a.expression !== null && b.expression !== null &&
    (contains(a.expression, b.expression) || contains(b.expression, a.expression)) &&
    a.scope.length <= depthOf(a, fold) && a.scope.join('/') === b.scope.join('/');
  const users = new Map<string, string[]>();
  for (const { from, to } of picture.edges) users.set(from, [...(users.get(from) ?? []), to]);
  /** Whether one also depends on the other through what is outside of their expression: one box would then depend on itself. */
  const alsoAround = (from: string, to: string): boolean => {
    const around = new Set(users.get(from)!.filter(user => !sameExpression(nodes.get(from)!, nodes.get(user)!)));
    for (const id of around) for (const user of users.get(id) ?? []) around.add(user);
    return around.has(to);
  };
  for (const { from, to } of picture.edges) {
    if (sameExpression(nodes.get(from)!, nodes.get(to)!) && root(from) !== root(to) && !alsoAround(from, to)) parent.set(root(to), root(from));
  }
  return new Map([...groups].map(([id, group]) => [id, group === id ? root(id) : group]));
}

const contains = (outer: Expression, inner: Expression): boolean =>
  outer.path === inner.path && outer.start <= inner.start && inner.end <= outer.end;

function foldedNode(group: readonly PictureNode[], fold: Fold): PictureNode {
  const first = group[0]!;
  const depth = depthOf(first, fold);
  const isLayer = first.scope.length > depth;
  const ops = group.filter(node => node.kind === 'op' || node.kind === 'kernel' || node.kind === 'layer');
  const name = isLayer ? first.scope[depth]! : null;
  const written = ops.map(node => node.expression).filter(expression => expression !== null)
    .sort((a, b) => b.end - b.start - (a.end - a.start));
  const parameters = [...new Map(group.flatMap(node => node.parameters).map(p => [p.name, p])).values()];
  const flops = ops.reduce((sum, node) => sum + node.flops, 0);
  const heats = ops.flatMap(node => node.heat ?? []);
  const heat = heats.length === 0 ? null : heats.reduce((a, b) => ({ ms: a.ms + b.ms, share: a.share + b.share }));
  // A library layer is the expression that calls it; a layer of the user's own has several expressions inside, which say less.
  const text = isLayer && written.some(expression => !contains(written[0]!, expression)) ? null : written[0]?.text ?? null;
  return {
    id: first.id,
    kind: 'layer',
    phase: first.phase,
    lines: [
      name, heat === null ? null : heatText(heat), text === name ? null : text, fold.expressions ? null : countLine(ops),
      ...parameterLines(parameters, isLayer ? first.scope.slice(0, depth + 1).join('.') : ''), flops > 0 ? formatFlops(flops) : null,
    ].filter(line => line !== null),
    scope: first.scope.slice(0, depth),
    expression: isLayer ? null : written[0] ?? null,
    flops,
    ...(heat === null ? {} : { heat }),
    parameters,
  };
}

const countLine = (nodes: readonly PictureNode[]): string | null =>
  nodes.length > 1 ? `${nodes.length} ${nodes[0]!.kind === 'kernel' ? 'kernels' : 'ops'}` : null;

/** Shapes where there are few, else their number. Names are told from the layer on. */
function parameterLines(parameters: readonly ParameterShape[], layer: string): readonly string[] {
  if (parameters.length === 0) return [];
  if (parameters.length > 4) return [`${formatCount(parameters.reduce((sum, p) => sum + p.count, 0))} parameters`];
  return parameters.map(({ name, shape }) => `${layer !== '' && name.startsWith(`${layer}.`) ? name.slice(layer.length + 1) : name} ${shape}`);
}

/** One edge for each pair of nodes; several different tensors are told by their number and size. */
function mergeEdges(edges: readonly PictureEdge[]): readonly PictureEdge[] {
  const pairs = new Map<string, PictureEdge[]>();
  for (const edge of edges) {
    const key = JSON.stringify([edge.from, edge.to]);
    pairs.set(key, [...(pairs.get(key) ?? []), edge]);
  }
  return [...pairs.values()].map(parallel => {
    const { from, to } = parallel[0]!;
    const told = parallel.map(({ tensor }) => tensor).filter(tensor => tensor !== null);
    const tensors = [...new Map(told.map(tensor => [tensor.key, tensor])).values()];
    if (tensors.length <= 1) return { from, to, tensor: tensors[0] ?? null };
    const key = tensors.map(tensor => tensor.key).join(' ');
    return { from, to, tensor: { key, name: null, shape: `${tensors.length} tensors`, bytes: tensors.reduce((sum, tensor) => sum + tensor.bytes, 0) } };
  });
}

/** `1,234,567` */
export const formatCount = (count: number): string => String(count).replace(/\B(?=(\d{3})+$)/g, ',');
/** `25.7 MFLOP` */
export const formatFlops = (flops: number): string => scaled(flops, 1000, ['FLOP', 'kFLOP', 'MFLOP', 'GFLOP', 'TFLOP']);
/** `0.123 ms, 4.5 %` */
export const heatText = ({ ms, share }: Heat): string => `${ms.toFixed(ms < 1 ? 4 : 3)} ms, ${(100 * share).toFixed(1)} %`;
/** `196 KiB` */
export const formatBytes = (bytes: number): string => scaled(bytes, 1024, ['B', 'KiB', 'MiB', 'GiB', 'TiB']);

function scaled(amount: number, base: number, units: readonly string[]): string {
  let unit = 0;
  let rest = amount;
  while (rest >= base && unit < units.length - 1) {
    rest /= base;
    unit++;
  }
  return `${unit === 0 || rest >= 100 ? Math.round(rest) : Number(rest.toPrecision(3))} ${units[unit]!}`;
}

/** `[B, 784]` */
export const shapeText = (type: TensorType): string => `[${type.dims.map(d => d.name ?? d.extent).join(', ')}]`;
/** `f32[B, 784]`; a scalar is its type alone. */
export const typeText = (type: TensorType): string => (type.dims.length === 0 ? type.dtype : `${type.dtype}${shapeText(type)}`);

/** At most `length` characters on one line, in characters whose widths renderers know. */
export function shorten(text: string, length: number): string {
  const plain = text.replaceAll(/\s+/g, ' ').replaceAll('Σ', 'sum').replaceAll('·', '*').replaceAll('…', '...');
  return plain.length <= length ? plain : `${plain.slice(0, length - 3)}...`;
}

/** What the user wrote, from an origin. */
export function expressionOf(origin: Origin | null): Expression | null {
  if (origin?.span == null) return null;
  const { file, start, end } = origin.span;
  return { path: file.path, start, end, text: shorten(spanText(origin.span), 36) };
}

/** The layer that a parameter belongs to: the part of the path of its user that begins its name. */
export function scopeOfParameter(name: string, user: readonly string[]): readonly string[] {
  for (let length = user.length; length > 0; length--) {
    const layer = user.slice(0, length);
    if (name.startsWith(`${layer.join('.')}.`)) return layer;
  }
  return [];
}

/** `B = 64, hidden = 256`: the names that stand for one extent everywhere. */
export function dimensionsNote(types: readonly TensorType[]): string {
  const extents = new Map<string, Set<number>>();
  for (const { name, extent } of types.flatMap(type => type.dims)) {
    if (name !== null) extents.set(name, (extents.get(name) ?? new Set()).add(extent));
  }
  return [...extents].filter(([, all]) => all.size === 1).slice(0, 8).map(([name, all]) => `${name} = ${[...all][0]!}`).join(', ');
}

/** Parameters and FLOPs of everything drawn. */
export function totalsNote(nodes: readonly PictureNode[]): string {
  const counts = new Map(nodes.flatMap(node => node.parameters).map(p => [p.name, p.count]));
  const parameters = [...counts.values()].reduce((a, b) => a + b, 0);
  const flopsOf = (phase: Phase): number => nodes.filter(node => node.phase === phase).reduce((sum, node) => sum + node.flops, 0);
  const phases = (['forward', 'recompute', 'backward', 'update'] satisfies Phase[]).filter(phase => flopsOf(phase) > 0);
  return [
    ...(parameters > 0 ? [`${formatCount(parameters)} parameters`] : []),
    ...phases.map(phase => `${formatFlops(flopsOf(phase))} ${phase}`),
  ].join(', ');
}
