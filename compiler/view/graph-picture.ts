/**
 * The values of a graph as a picture: ops, leaves and results. Constants are written into the ops that use them, broadcasts and
 * the views by which parameters lie in one flat leaf are looked through, so that what is drawn reads as the model does.
 */
import { numeratorRange, plainAxis, type Affine } from '../ir/affine.ts';
import { loopScalars, topological, type Leaf, type Named, type Phase, type Placement, type Update, type Value } from '../ir/graph.ts';
import { bytes, elements, sameShape, shapeOf, size, type TensorType } from '../ir/type.ts';
import { concat } from '../ops/concat.ts';
import { isPrimitive } from '../ops/define.ts';
import { full, range } from '../ops/full.ts';
import { reshape } from '../ops/reshape.ts';
import { view as viewOp } from '../ops/view.ts';
import {
  dimensionsNote, expressionOf, formatBytes, formatFlops, scopeOfParameter, shapeText, shorten, totalsNote, typeText,
  type EdgeTensor, type Picture, type PictureEdge, type PictureNode,
} from './picture.ts';

export interface GraphContent {
  readonly title: string;
  readonly results: readonly Named[];
  readonly updates: readonly Update[];
  readonly placements: readonly Placement[];
}

/** How a value is drawn. */
type Shown =
  /** In the label of what uses it. */
  | { readonly kind: 'text'; readonly text: string }
  /** As a box of its own. */
  | { readonly kind: 'node'; readonly id: string; readonly value: Value }
  /** As a leaf, or the part of one that has a name. */
  | { readonly kind: 'leaf'; readonly leaf: Value }
  | { readonly kind: 'part'; readonly placement: Placement };

export function graphPicture({ title, results, updates, placements }: GraphContent): Picture {
  const nodes = new Map<string, PictureNode>();
  const edges = new Map<string, PictureEdge>();
  const values = topological([...results, ...updates].map(({ value }) => value));
  const shown = new Map<Value, Shown>();
  /** Scalars that depend on nothing but the step. */
  const scheduled = new Set<string>();
  const gradientLeaves = new Map(updates.filter(({ leaf }) => leaf.leaf!.role === 'gradient').map(({ leaf, value }) => [value, leaf]));
  for (const [i, value] of values.entries()) shown.set(value, show(value, `v${i}`));
  for (const { name, value } of results) addResult(`result ${name}`, name, value);
  for (const { leaf, value } of updates) addUpdate(leaf, value);
  const drawn = [...nodes.values()];
  const notes = [dimensionsNote(values.map(value => value.type)), totalsNote(drawn)];
  return { title, notes: notes.filter(note => note !== ''), nodes: drawn, edges: [...edges.values()] };

  function show(value: Value, id: string): Shown {
    if (value.leaf !== null) return isSetByLoop(value.leaf) ? { kind: 'text', text: value.leaf.name } : { kind: 'leaf', leaf: value };
    const operands = value.operands.map(operand => shown.get(operand)!);
    const constant = constantText(value);
    if (constant !== null) return { kind: 'text', text: constant };
    const [first] = operands;
    if (first?.kind === 'leaf') {
      const placement = partRead(value, first.leaf, placements);
      if (placement !== null) return { kind: 'part', placement };
    }
    if (first?.kind === 'part' && value.op === reshape) return first;
    if (first?.kind === 'text' && value.op === viewOp && value.attrs['fill'] === null) return first;
    if (first !== undefined && isSameTensor(value)) return first;
    if (gradientLeaves.has(value) && value.op === concat) return showGradients(value, operands);
    const flops = flopsOf(value);
    const isScheduled = elements(value.type) === 1 &&
      operands.every(operand => operand.kind === 'text' || (operand.kind === 'node' && scheduled.has(operand.id)));
    if (isScheduled) scheduled.add(id);
    const phase = phaseOf(value);
    addNode({
      id, kind: 'op', phase, scope: phase === 'update' ? [updatePart(value, isScheduled)] : value.origin?.scope ?? [],
      expression: expressionOf(value.origin), flops, parameters: [],
      lines: [opText(value, operands), [value.type.dtype, ...(flops > 0 ? [formatFlops(flops)] : [])].join(', ')],
    });
    operands.forEach(operand => connect(operand, id, value));
    return { kind: 'node', id, value };
  }

  /** All gradients one after the other: one box, each line with the name of its parameter. */
  function showGradients(value: Value, operands: readonly Shown[]): Shown {
    const leaf = gradientLeaves.get(value)!;
    const id = `update ${leafName(leaf)}`;
    addNode(leafNode(id, leaf, 'backward', [], leafName(leaf)));
    let offset = 0;
    operands.forEach((operand, k) => {
      connect(operand, id, value, placements.find(placement => placement.leaf === leaf && placement.offset === offset)?.name);
      offset += elements(value.operands[k]!.type);
    });
    return { kind: 'node', id, value };
  }

  function connect(operand: Shown, to: string, user: Value, name: string | null = null): void {
    if (operand.kind === 'text') return;
    const from = operand.kind === 'node' ? operand.id : operand.kind === 'part' ? parameter(operand.placement, user) : leafOf(operand.leaf, user);
    const tensor: EdgeTensor | null = operand.kind === 'node' && elements(operand.value.type) > 1
      ? { key: name === null ? operand.id : `${operand.id} ${name}`, name, shape: shapeText(operand.value.type), bytes: bytes(operand.value.type) }
      : null;
    edges.set(JSON.stringify([from, to, name]), { from, to, tensor });
  }

  function addNode(node: PictureNode): string {
    if (!nodes.has(node.id)) nodes.set(node.id, node);
    return node.id;
  }

  /** Parameters are drawn in the layer that owns them, once in every phase that reads them, to keep their lines short. */
  function parameter({ role, name, type }: Pick<Placement, 'role' | 'name' | 'type'>, user: Value): string {
    const phase = phaseOf(user);
    return addNode({
      id: `${role} ${name} ${phase}`, kind: role === 'parameter' ? 'parameter' : 'state', phase,
      scope: phase === 'update' ? [] : scopeOfParameter(name, user.origin?.scope ?? []),
      expression: null, flops: 0, parameters: role === 'parameter' ? [{ name, shape: shapeText(type), count: elements(type) }] : [],
      lines: [name, `${typeText(type)}, ${formatBytes(bytes(type))}`],
    });
  }

  function leafOf(leaf: Value, user: Value): string {
    const { role, name } = leaf.leaf!;
    if (role === 'input') return addNode({ ...leafNode(`input ${name}`, leaf, 'forward', [], name), kind: 'input' });
    if (placements.some(placement => placement.leaf === leaf && placement.name !== name)) {
      return addNode({ ...leafNode(`${role} ${name}`, leaf, phaseOf(user), [], leafName(leaf)), kind: role === 'parameter' ? 'parameter' : 'state' });
    }
    return parameter({ role: role as Placement['role'], name, type: leaf.type }, user);
  }

  function addResult(id: string, name: string, value: Value): void {
    const source = shown.get(value)!;
    const line = source.kind === 'text' ? source.text : typeText(value.type);
    const phase = phaseOf(value);
    addNode({ id, kind: 'result', phase, scope: [], expression: null, flops: 0, parameters: [], lines: [name, line] });
    connect(source, id, value);
  }

  function addUpdate(leaf: Value, value: Value): void {
    const id = `update ${leafName(leaf)}`;
    const { name, role } = leaf.leaf!;
    const phase = phaseOf(value);
    const scope = phase === 'update' ? [] : scopeOfParameter(name, value.origin?.scope ?? []);
    addNode(leafNode(id, leaf, phase, scope, role === 'gradient' ? name : `new ${name}`));
    const source = shown.get(value)!;
    if (source.kind !== 'node' || source.id !== id) connect(source, id, value);
  }
}

const leafNode = (id: string, leaf: Value, phase: Phase, scope: readonly string[], title: string): PictureNode => ({
  id, kind: 'state', phase, scope, expression: null, flops: 0, parameters: [],
  lines: [title, `${typeText(leaf.type)}, ${formatBytes(bytes(leaf.type))}`],
});

const phaseOf = (value: Value): Phase => value.origin?.phase ?? 'forward';
const leafName = (leaf: Value): string => leaf.leaf!.name;
const isSetByLoop = ({ role }: Leaf): boolean => (loopScalars as readonly string[]).includes(role);

/** The update phase has no layers; its parts take their place. */
function updatePart(value: Value, isScheduled: boolean): string {
  if (isScheduled) return 'schedule';
  return value.origin?.span ? 'optimizer' : 'gradient norm';
}

function flopsOf(value: Value): number {
  const { definition } = value.op!;
  return isPrimitive(definition) ? definition.flops(value.operands.map(operand => operand.type) as never, value.attrs as never, value.type) : 0;
}

function constantText(value: Value): string | null {
  if (value.op === full) return formatNumber(value.attrs['value'] as number);
  return value.op === range ? `0..${elements(value.type)}` : null;
}

const formatNumber = (value: number): string => String(Number(value.toPrecision(4)));

/** Whether a value holds the elements of its operand in their order, some perhaps repeated: a broadcast, or other extents of one. */
function isSameTensor(value: Value): boolean {
  const [operand] = value.operands;
  if (value.op === reshape) return sameShape(withoutOnes(operand!.type), withoutOnes(value.type)) || value.type.dims.length === 1;
  if (value.op !== viewOp || value.attrs['fill'] !== null) return false;
  const axes = (value.attrs['map'] as readonly Affine[]).map((index, d) => (operand!.type.dims[d]!.extent === 1 ? -1 : plainAxis(index)));
  const kept = axes.filter(axis => axis !== -1);
  return kept.every((axis, k) => axis !== null && (k === 0 || axis > kept[k - 1]!)) &&
    axes.every((axis, d) => axis === null || axis < 0 || value.type.dims[axis]!.extent === operand!.type.dims[d]!.extent);
}

const withoutOnes = (type: TensorType): readonly number[] => shapeOf(type).filter(extent => extent !== 1);

/** The named part of a flat leaf that a view reads, if it reads nothing else. */
function partRead(value: Value, leaf: Value, placements: readonly Placement[]): Placement | null {
  if (value.op !== viewOp || leaf.type.dims.length !== 1) return null;
  const [index] = value.attrs['map'] as readonly Affine[];
  const [low, high] = numeratorRange(index!, shapeOf(value.type));
  return placements.find(({ leaf: of, offset, type }) => of === leaf && offset <= low && high < offset + size(shapeOf(type))) ?? null;
}

/** The op in its notation; what is drawn as text stands among its arguments. */
function opText(value: Value, operands: readonly Shown[]): string {
  const { definition } = value.op!;
  if (operands.some(operand => operand.kind === 'text')) {
    const given = operands.map((operand, k) => (operand.kind === 'text' ? operand.text : 'xyzuvw'[k] ?? '...'));
    return shorten(`${definition.name}(${given.join(', ')})`, 40);
  }
  const types = value.operands.map(operand => operand.type) as never;
  const label = isPrimitive(definition) ? definition.label?.(types, value.attrs as never, value.type) : undefined;
  return label === undefined ? definition.name : shorten(label, 44);
}
