/**
 * Pictures as DOT text: layers as nested clusters, phases as colours, a legend of what occurs. The forward pass runs down and the
 * backward pass beside it runs up, so that the two halves of a layer stand side by side. The text is deterministic and, but for
 * names that are not, in ASCII, whose widths every renderer knows.
 */
import type { Phase } from '../ir/graph.ts';
import { formatBytes, type NodeKind, type Picture, type PictureEdge, type PictureNode } from './picture.ts';

export function pictureDot(picture: Picture): string {
  const nodes = new Map(picture.nodes.map(node => [node.id, node]));
  const names = new Map(picture.nodes.map((node, i) => [node.id, `n${i}`]));
  const dashes = picture.edges.some(edge => isKept(edge, nodes)) ? ['dashed: kept for the backward pass'] : [];
  const page = { rankdir: 'TB', nodesep: '0.25', ranksep: '0.3', bgcolor: 'white', pad: '0.2' };
  const title = { label: lines([picture.title, ...picture.notes, ...dashes], '\\l'), labelloc: 't', labeljust: 'l', ...font(14) };
  const box = { shape: 'box', style: 'rounded,filled', color: '#7a7a7a', ...font(11), margin: '0.18,0.06', height: '0.3' };
  return [
    'digraph nabla {',
    `  graph [${attributes({ ...title, ...page })}]`,
    `  node [${attributes(box)}]`,
    `  edge [${attributes({ color: '#6b6b6b', arrowsize: '0.6', ...font(9), fontcolor: '#555555' })}]`,
    ...cluster(clusterTree(picture.nodes), names, { next: 0 }, Math.max(...picture.nodes.map(node => node.heat?.share ?? 0))),
    ...edgeLines(picture.edges, nodes, names),
    ...legend(picture.nodes),
    '}',
    '',
  ].join('\n');
}

/** `key="value"` pairs; values are quoted already where they hold escapes. */
export const attributes = (pairs: Readonly<Record<string, string>>): string =>
  Object.entries(pairs).map(([key, value]) => `${key}=${value.startsWith('"') ? value : quote(value)}`).join(', ');

/** A DOT string that shows the text as it is. */
export const quote = (text: string): string => `"${escape(text)}"`;

/** A label of several lines: centred, or each at the left. */
export const lines = (texts: readonly string[], end: '\\n' | '\\l' = '\\n'): string =>
  `"${texts.map(escape).join(end)}${end === '\\l' ? end : ''}"`;

const escape = (text: string): string => text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('&', '&amp;').replace(/[\u0000-\u001f\u007f]/g, ' ');

export const font = (size: number): { readonly fontname: string; readonly fontsize: string } => ({ fontname: 'Helvetica', fontsize: String(size) });

const phaseColors = { forward: '#dff0dc', recompute: '#b5e2dd', backward: '#fadfd8', update: '#e6def5', initialise: '#eeeeee' } satisfies Record<Phase, string>;
const kindColors: Partial<Readonly<Record<NodeKind, string>>> = { input: '#d3e6f8', parameter: '#fff1bf', state: '#f2e2c4', result: '#ffffff' };
const clusterColors = { forward: '#f6fbf5', recompute: '#eef8f7', backward: '#fef6f4', update: '#f8f5fd', initialise: '#fafafa' } satisfies Record<Phase, string>;

const phaseSuffixes: Partial<Readonly<Record<Phase, string>>> = { recompute: ', recomputed', backward: ', backward' };

/** The colour of a phase. */
export const phaseColor = (phase: Phase): string => phaseColors[phase];

/** The fill of a node. */
const nodeColor = (node: Pick<PictureNode, 'kind' | 'phase'>): string => kindColors[node.kind] ?? phaseColors[node.phase];

/** From white to the strongest red on which black letters are read easily. */
function heatColor(part: number): string {
  const channel = (end: number): string => Math.round(255 + (end - 255) * (Number.isFinite(part) ? part : 0)).toString(16).padStart(2, '0');
  return `#${[0xf4, 0x4a, 0x36].map(channel).join('')}`;
}

function nodeLine(node: PictureNode, name: string, hottest: number): string {
  const label = lines(node.lines, node.kind === 'kernel' ? '\\l' : '\\n');
  return `${name} [${attributes({ label, fillcolor: node.heat === undefined ? nodeColor(node) : heatColor(node.heat.share / hottest), ...kindStyles[node.kind] })}]`;
}

const kindStyles = {
  op: {},
  layer: { penwidth: '1.8' },
  kernel: { style: 'filled', ...font(9), margin: '0.16,0.05' },
  parameter: { style: 'filled', ...font(10) },
  state: { style: 'filled', ...font(10) },
  input: { shape: 'ellipse', style: 'filled' },
  result: { shape: 'ellipse', style: 'filled', penwidth: '1.8' },
} satisfies Record<NodeKind, Readonly<Record<string, string>>>;

/** Whether an edge is something of the forward pass that the backward pass needs. */
const isKept = (edge: PictureEdge, nodes: ReadonlyMap<string, PictureNode>): boolean =>
  nodes.get(edge.from)!.phase === 'forward' && ['backward', 'recompute'].includes(nodes.get(edge.to)!.phase);

/** Whether it stands beside the computation: lines between others are kept straight, which makes a chain of ops a column. */
const isStored = ({ kind }: PictureNode): boolean => kind === 'parameter' || kind === 'state';

/** A tensor with several users is told once, on a line that stays in its phase if there is one. */
function edgeLines(
  edges: readonly PictureEdge[], nodes: ReadonlyMap<string, PictureNode>, names: ReadonlyMap<string, string>,
): readonly string[] {
  const labelled = new Map<string, PictureEdge>();
  for (const edge of [...edges.filter(edge => !isKept(edge, nodes)), ...edges]) {
    if (edge.tensor !== null && !labelled.has(edge.tensor.key)) labelled.set(edge.tensor.key, edge);
  }
  return edges.map(edge => {
    const { tensor } = edge;
    const told = tensor === null || labelled.get(tensor.key) !== edge ? [] : [tensor.name, tensor.shape, formatBytes(tensor.bytes)];
    const label = told.length === 0 ? {} : { label: lines(told.filter(text => text !== null).map(text => ` ${text}`), '\\l') };
    const [from, to] = [nodes.get(edge.from)!, nodes.get(edge.to)!];
    const [a, b] = [names.get(edge.from)!, names.get(edge.to)!];
    if (isKept(edge, nodes)) return `  ${a} -> ${b} [${attributes({ ...label, style: 'dashed', color: '#9a9a9a' })}]`;
    const straight = isStored(from) || isStored(to) ? label : { ...label, weight: '2' };
    const upwards = from.phase === 'backward' && to.phase === 'backward';
    return upwards ? `  ${b} -> ${a} [${attributes({ ...straight, dir: 'back' })}]` : `  ${a} -> ${b} [${attributes(straight)}]`;
  });
}

interface Cluster {
  readonly label: string;
  readonly phase: Phase;
  readonly nodes: PictureNode[];
  readonly inside: Map<string, Cluster>;
}

function clusterTree(nodes: readonly PictureNode[]): Cluster {
  const root: Cluster = { label: '', phase: 'forward', nodes: [], inside: new Map() };
  for (const node of nodes) {
    let at = root;
    for (const name of node.scope) {
      const key = `${node.phase} ${name}`;
      const label = `${name}${phaseSuffixes[node.phase] ?? ''}`;
      if (!at.inside.has(key)) at.inside.set(key, { label, phase: node.phase, nodes: [], inside: new Map() });
      at = at.inside.get(key)!;
    }
    at.nodes.push(node);
  }
  return root;
}

function cluster(tree: Cluster, names: ReadonlyMap<string, string>, count: { next: number }, hottest: number, indent = '  '): string[] {
  const inner = [...tree.nodes.map(node => `${indent}${nodeLine(node, names.get(node.id)!, hottest)}`)];
  for (const part of tree.inside.values()) {
    inner.push(
      `${indent}subgraph cluster_${count.next++} {`,
      `${indent}  graph [${attributes({ label: quote(part.label), ...clusterStyle, fillcolor: clusterColors[part.phase] })}]`,
      ...cluster(part, names, count, hottest, `${indent}  `),
      `${indent}}`,
    );
  }
  return inner;
}

const clusterStyle = { labeljust: 'l', ...font(10), fontcolor: '#444444', style: 'rounded,filled', color: '#c4c4c4', margin: '8' };

/** A row of samples of the colours that occur. */
function legend(nodes: readonly PictureNode[]): string[] {
  const colors = new Map<string, string>();
  for (const node of nodes) {
    if (node.heat === undefined) colors.set(kindColors[node.kind] === undefined ? node.phase : node.kind, nodeColor(node));
    else colors.set('least time', heatColor(0)).set('most time', heatColor(1));
  }
  const small = { style: 'filled', ...font(9), height: '0.2', margin: '0.08,0.03' };
  const samples = [...colors].map(([label, fillcolor], i) => `    legend${i} [${attributes({ label, fillcolor, ...small })}]`);
  return [
    '  subgraph cluster_legend {',
    `    graph [${attributes({ label: '', style: 'rounded', color: '#dddddd', margin: '6' })}]`,
    ...samples,
    `    ${samples.map((_, i) => `legend${i}`).join(' -> ')}${samples.length > 1 ? ' [style=invis, minlen=0]' : ''}`,
    '  }',
  ];
}
