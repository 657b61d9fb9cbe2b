/**
 * The kernels of an entry as a picture: one box a call, with its steps and its cost; the lines between them are buffers. What lies
 * in the flat buffer of all parameters is drawn under its own name.
 */
import { numeratorRange } from '../ir/affine.ts';
import type { Origin } from '../ir/graph.ts';
import { printKernel } from '../ir/kernel-text.ts';
import { isGathered, parts, type Load, type Scalar } from '../ir/nest.ts';
import { reachOfCall, timesOfCall, type Access, type Buffer, type Call, type Kernel, type Program, type ProgramEntry, type Step } from '../ir/program.ts';
import { elementBytes, size, type DType, type Shape } from '../ir/type.ts';
import {
  expressionOf, formatBytes, formatFlops, heatText, scopeOfParameter, shorten, totalsNote, type EdgeTensor, type Heat, type Picture, type PictureEdge, type PictureNode,
} from './picture.ts';

/** `heats`: by the number of the call, where they were measured. */
export function kernelPicture(title: string, program: Program, entry: ProgramEntry, heats: readonly (Heat | null)[] = []): Picture {
  const nodes = new Map<string, PictureNode>();
  const edges = new Map<string, PictureEdge>();
  /** What was written so far and not yet written over, by place. */
  let written: readonly (Place & { readonly node: string })[] = [];
  const calls = entry.calls.map((call, i) => ({ call, kernel: program.kernels[call.kernel]!, id: `call ${i}`, number: i }));
  for (const { call, kernel, id, number } of calls) {
    const node = addNode(callNode(id, number, call, kernel, heats[number] ?? null));
    kernel.operands.forEach((access, k) => read(placeOf(call, kernel, access, k), node));
    kernel.outputs.forEach((access, k) => write(placeOf(call, kernel, access, kernel.operands.length + k), node, call));
  }
  for (const result of entry.results) {
    const node = addNode({ ...plainNode(`result ${result.name}`, 'result', 'update', []), lines: [result.name, printShaped(result.dtype, result.shape)] });
    const from = written.findLast(place => place.low <= result.offset && result.offset < place.high);
    if (from !== undefined) {
      nodes.set(node.id, { ...node, phase: nodes.get(from.node)!.phase });
      connect(from.node, node.id, null);
    }
  }
  const drawn = [...nodes.values()];
  const kernels = new Set(entry.calls.map(call => call.kernel)).size;
  return { title, notes: [`${entry.calls.length} calls of ${kernels} kernels`, totalsNote(drawn)], nodes: drawn, edges: [...edges.values()] };

  function addNode(node: PictureNode): PictureNode {
    if (!nodes.has(node.id)) nodes.set(node.id, node);
    return nodes.get(node.id)!;
  }

  function connect(from: string, to: string, tensor: EdgeTensor | null): void {
    edges.set(JSON.stringify([from, to, tensor?.key]), { from, to, tensor });
  }

  function read(place: Place, user: PictureNode): void {
    const sources = written.filter(earlier => earlier.buffer === place.buffer && overlap(earlier, place));
    for (const { node, tensor } of sources) connect(node, user.id, nodes.get(node)!.kind === 'kernel' ? tensor : place.tensor);
    const buffer = program.buffers[place.buffer]!;
    // A call also reads what its own earlier steps store; that has no line.
    if (sources.length > 0 || buffer.lifetime !== null) return;
    connect(addNode(leafNode(buffer, place, user)).id, user.id, null);
  }

  function leafNode(buffer: Buffer, place: Place, user: PictureNode): PictureNode {
    const named = program.parameters.filter(p => overlap(place, { low: p.offset, high: p.offset + byteSize(p) }));
    if (buffer.role === 'parameter' && named.length === 1) {
      const { name, dtype, shape } = named[0]!;
      return {
        ...plainNode(`parameter ${name} ${user.phase}`, 'parameter', user.phase, scopeOfParameter(name, user.scope)),
        lines: [name, `${printShaped(dtype, shape)}, ${formatBytes(byteSize(named[0]!))}`],
        parameters: [{ name, shape: `[${shape.join(', ')}]`, count: size(shape) }],
      };
    }
    const kind = buffer.role === 'input' || buffer.role === 'parameter' ? buffer.role : 'state';
    return { ...plainNode(`buffer ${buffer.name}`, kind, kind === 'input' ? 'forward' : user.phase, []), lines: bufferLines(buffer, buffer.name) };
  }

  function write(place: Place, node: PictureNode, call: Call): void {
    const buffer = program.buffers[place.buffer]!;
    let holder = node.id;
    if (buffer.lifetime === null) {
      // What outlives the call has a box: under its own name if nothing read it before, else as its new value.
      const wasRead = nodes.has(`buffer ${buffer.name}`) || call.reads.includes(place.buffer) || buffer.role === 'parameter';
      const lines = bufferLines(buffer, wasRead ? `new ${buffer.name}` : buffer.name);
      holder = addNode({ ...plainNode(`written ${buffer.name}`, 'state', node.phase, []), lines }).id;
      const part = [...program.gradients, ...program.states].find(p => p.offset === place.low && byteSize(p) === place.high - place.low);
      const name = part === undefined || part.name === buffer.name ? null : part.name;
      connect(node.id, holder, place.tensor === null ? null : { ...place.tensor, name });
    }
    written = [...written.filter(earlier => earlier.buffer !== place.buffer || earlier.low < place.low || earlier.high > place.high), { ...place, node: holder }];
  }

  function placeOf(call: Call, kernel: Kernel, access: Access, k: number): Place {
    const buffer = [...call.reads, ...call.writes][k]!;
    const each = elementBytes(access.dtype);
    const [first, last] = k < kernel.operands.length ? touched(kernel, k, access.shape) : [0, size(access.shape)];
    const low = (call.offsets[k]! + first) * each;
    const reach = reachOfCall(kernel, call, k);
    const high = low + (last - first + reach.to - reach.from - size(access.shape)) * each;
    const { name, dtype, shape, bytes } = program.buffers[buffer]!;
    const isWhole = bytes === size(access.shape) * each;
    const tensor = size(access.shape) <= 1 ? null : {
      key: `${buffer} ${low}`, name, shape: printShaped(dtype, isWhole ? shape : access.shape), bytes: high - low,
    };
    return { buffer, low, high, tensor };
  }
}

interface Range {
  readonly low: number;
  readonly high: number;
}

/** Bytes `low` (inclusive) to `high` (exclusive) of the arena, in a buffer. */
interface Place extends Range {
  readonly buffer: number;
  readonly tensor: EdgeTensor | null;
}

const overlap = (a: Range, b: Range): boolean => a.low < b.high && b.low < a.high;

const plainNode = (id: string, kind: PictureNode['kind'], phase: PictureNode['phase'], scope: readonly string[]): PictureNode =>
  ({ id, kind, phase, scope, lines: [], expression: null, flops: 0, parameters: [] });

const printShaped = (dtype: DType, shape: Shape): string => (shape.length === 0 ? dtype : `${dtype}[${shape.join(', ')}]`);
const byteSize = ({ dtype, shape }: { readonly dtype: DType; readonly shape: Shape }): number => size(shape) * elementBytes(dtype);
const bufferLines = (buffer: Buffer, title: string): readonly string[] => [title, `${printShaped(buffer.dtype, buffer.shape)}, ${formatBytes(buffer.bytes)}`];

/** The steps that a box shows; longer kernels end with their number. */
const mostSteps = 6;

function callNode(id: string, number: number, call: Call, kernel: Kernel, heat: Heat | null): PictureNode {
  const origin = originOf(call);
  const steps = printKernel(kernel).split('\n').slice(1).map(line => shorten(line.trim(), 52));
  const reduce = kernel.steps.flatMap(step => (step.kind === 'reduce' && step.axes.length > 0 ? [step.axes.join(' x ')] : []));
  const reduced = reduce.length > 0 ? `, reduce ${[...new Set(reduce)].join(' and ')}` : '';
  const times = timesOfCall(call);
  const space = kernel.host ? 'on the host' : `space ${kernel.space.join(' x ') || '1'}${reduced}`;
  return {
    ...plainNode(id, 'kernel', kernel.host ? 'update' : origin?.phase ?? 'forward', origin?.scope ?? []),
    expression: expressionOf(origin),
    flops: times * kernel.flops,
    ...(heat === null ? {} : { heat }),
    lines: [
      `${number}  ${kernel.name}${origin?.phase === 'recompute' ? ', recomputed' : ''}`,
      ...(heat === null ? [] : [heatText(heat)]),
      ...(times === 1 ? [] : [`for each of ${times} blocks`]), space, ...steps.slice(0, mostSteps),
      ...(steps.length > mostSteps ? [`... and ${steps.length - mostSteps} steps more`] : []),
      [...(kernel.flops > 0 ? [formatFlops(times * kernel.flops)] : []), `${formatBytes(times * movedBytes(kernel))} moved`].join(', '),
    ],
  };
}

/** Bytes that a kernel reads and writes at least. */
export const movedBytes = (kernel: Kernel): number => [...kernel.operands, ...kernel.outputs].reduce((sum, access, k) => {
  const [first, last] = k < kernel.operands.length ? touched(kernel, k, access.shape) : [0, size(access.shape)];
  return sum + (last - first) * elementBytes(access.dtype);
}, 0);

/** The layer that a call works for: of the first of its values that has one. What it recomputes for itself does not count. */
function originOf({ origins }: Call): Origin | null {
  const own = origins.filter(origin => origin.phase !== 'recompute');
  const all = own.length > 0 ? own : origins;
  return all.find(origin => origin.scope.length > 0) ?? all[0] ?? null;
}

/** The elements of an operand, first (inclusive) to last (exclusive), between which all loads of it lie. */
function touched(kernel: Kernel, operand: number, shape: Shape): readonly [number, number] {
  if (shape.length !== 1) return [0, size(shape)];
  let [low, high] = [Infinity, -Infinity];
  for (const step of kernel.steps) {
    for (const load of loadsIn(step)) {
      if (load.operand !== operand) continue;
      const [index] = load.at;
      const extents = [...kernel.space, ...stepAxes(step)];
      const [first, last] = isGathered(index!) || index!.divisor !== 1 ? [0, shape[0]! - 1] : numeratorRange(index!, extents);
      [low, high] = [Math.min(low, first), Math.max(high, last)];
    }
  }
  return low > high ? [0, size(shape)] : [Math.max(0, low), Math.min(shape[0]!, high + 1)];
}

const stepAxes = (step: Step): Shape => (step.kind === 'clear' ? [] : step.axes);

function loadsIn(step: Step): readonly Load[] {
  if (step.kind === 'clear') return [];
  const found: Load[] = [];
  const seen = new Set<Scalar>();
  const pending: Scalar[] = [step.body];
  if (step.kind === 'store') pending.push(...step.at.flatMap(index => (isGathered(index) ? [index.gathered] : [])));
  while (pending.length > 0) {
    const scalar = pending.pop()!;
    if (seen.has(scalar)) continue;
    seen.add(scalar);
    if (scalar.kind === 'load') found.push(scalar);
    pending.push(...parts(scalar));
  }
  return found;
}
