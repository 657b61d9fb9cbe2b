/**
 * Graphs as text, one value a line, and back. What is read prints the same again; only the spans of origins are lost, of which
 * the text has path and line. Attributes stand in a notation of their own, because JSON has neither infinities nor short indices.
 */
import type { GraphOp } from '../ops/define.ts';
import { place } from '../source/text.ts';
import { affine, printAffine, type Affine, type Term } from './affine.ts';
import { entryRoots, topological, type Attrs, type Entry, type Graph, type Leaf, type Origin, type Phase, type Placement, type Value } from './graph.ts';
import { dim, dtypes, printTypeLong, shapeOf, tensor, type Dim, type DType, type TensorType } from './type.ts';

/**
 * ```
 * %0: f32[B=64, 784] = input "image"
 * %3: f32[B=64, D=128] = view(%2) {dims: [B=64, D=128], map: [<i1>], fill: null} ; forward encoder/linear @ models/x.model:12
 * entry "train"
 *   "loss" = %9
 *   %1 <- %12
 * parameter "encoder.weight": f32[128, 784] at %1 + 0
 * ```
 */
export const printGraph = (graph: Graph): string =>
  linesOf(graph, (value, ref) => `${ref(value)}: ${printTypeLong(value.type)} = ${printDefinition(value, ref)}${printOrigin(value.origin)}`);

/** What a graph computes, as text in which no origin stands. */
export const graphKey = (graph: Graph): string =>
  linesOf(graph, (value, ref) => (value.op === null ? `${value.type.dtype}[${shapeOf(value.type).join()}] ${printDefinition(value, ref)}` : definitionKey(value, ref)));

function linesOf(graph: Graph, line: (value: Value, ref: (value: Value) => string) => string): string {
  const roots = graph.entries.flatMap(entry => [...entryRoots(entry), ...entry.updates.map(update => update.leaf), ...(entry.sequence ? [entry.sequence] : [])]);
  const values = topological([...roots, ...graph.placements.map(placement => placement.leaf)]);
  const numbers = new Map(values.map((value, i) => [value, `%${i}`]));
  const ref = (value: Value): string => numbers.get(value)!;
  const lines = values.map(value => line(value, ref));
  for (const entry of graph.entries) {
    lines.push(`entry ${JSON.stringify(entry.name)}${entry.sequence === undefined ? '' : ` along ${ref(entry.sequence)}`}`);
    for (const { name, value } of entry.results) lines.push(`  ${JSON.stringify(name)} = ${ref(value)}`);
    for (const { leaf, value } of entry.updates) lines.push(`  ${ref(leaf)} <- ${ref(value)}`);
  }
  for (const p of graph.placements) lines.push(`${p.role} ${JSON.stringify(p.name)}: ${printTypeLong(p.type)} at ${ref(p.leaf)} + ${p.offset}`);
  return `${lines.join('\n')}\n`;
}

/** The graph of a text that `printGraph` wrote. `ops` gives each op by name. Throws on any other text, naming the line. */
export function readGraph(text: string, ops: ReadonlyMap<string, GraphOp>): Graph {
  const values: Value[] = [];
  const entries: { name: string; results: Entry['results'][number][]; updates: Entry['updates'][number][]; sequence?: Value }[] = [];
  const placements: Placement[] = [];
  const valueAt = (number: string): Value => required(values[Number(number)], `there is no value %${number}`);
  text.split('\n').forEach((line, i) => {
    try {
      if (line.trim() === '') return;
      const reader = createReader(line);
      if (reader.skip('%')) {
        values.push(readValue(reader, values.length, valueAt, ops));
      } else if (reader.skip('entry ')) {
        const name = reader.quoted();
        const sequence = reader.skip(' along %') ? { sequence: valueAt(reader.match(/\d+/)) } : {};
        entries.push({ name, results: [], updates: [], ...sequence });
      } else if (reader.skip('  %')) {
        const target = valueAt(reader.match(/\d+/));
        reader.expect(' <- %');
        required(entries.at(-1), 'no entry is open').updates.push({ leaf: target, value: valueAt(reader.match(/\d+/)) });
      } else if (reader.skip('  ')) {
        const name = reader.quoted();
        reader.expect(' = %');
        required(entries.at(-1), 'no entry is open').results.push({ name, value: valueAt(reader.match(/\d+/)) });
      } else {
        placements.push(readPlacement(reader, valueAt));
      }
      reader.end();
    } catch (error) {
      throw new Error(`line ${i + 1}: ${error instanceof Error ? error.message : String(error)}: ${line}`, { cause: error });
    }
  });
  return { entries, placements };
}

/** How a value that is no leaf is computed, as text: what its type follows from. Names of dimensions are for people and tell nothing apart. */
export const definitionKey = ({ op, operands, attrs }: Value, number: (value: Value) => string | number): string =>
  `${op!.definition.name}(${operands.map(number).join()})${attributeKey(attrs)}`;

const attributeKey = (attrs: object): string =>
  JSON.stringify(attrs, (key, value: unknown) =>
    key === 'name' ? undefined : Object.is(value, -0) ? '-0' : typeof value === 'number' && !Number.isFinite(value) ? String(value) : value,
  );

function printDefinition(value: Value, ref: (value: Value) => string): string {
  if (value.op === null) return `${value.leaf!.role} ${JSON.stringify(value.leaf!.name)}`;
  const attrs = Object.keys(value.attrs).length > 0 ? ` ${printAttribute(value.attrs)}` : '';
  return `${value.op.definition.name}(${value.operands.map(ref).join(', ')})${attrs}`;
}

function printOrigin(origin: Origin | null): string {
  if (origin === null) return '';
  return ` ; ${origin.phase}${origin.scope.length > 0 ? ` ${origin.scope.join('/')}` : ''}${origin.span ? ` @ ${place(origin.span)}` : ''}`;
}

/** An attribute, or all of them: numbers, texts, lists, records, dimensions `B=64` (`_=3` without a name), indices `<2*i0 + i1>`. */
export function printAttribute(value: unknown): string {
  if (typeof value === 'number') return Object.is(value, -0) ? '-0' : String(value);
  if (typeof value === 'string') return JSON.stringify(value);
  if (value === null || typeof value === 'boolean') return String(value);
  if (Array.isArray(value)) return `[${value.map(printAttribute).join(', ')}]`;
  if (typeof value !== 'object') throw new Error(`an attribute cannot be of type ${typeof value}`);
  if (isDim(value)) return `${value.name === null ? '_' : isWord(value.name) ? value.name : JSON.stringify(value.name)}=${value.extent}`;
  if (isAffine(value)) return `<${printAffine(value, axisNames(value))}>`;
  // What only differentiation reads, which is done before a text is read back.
  if (isShown(value)) return JSON.stringify(value.shown);
  return `{${Object.entries(value!).map(([key, inner]) => `${key}: ${printAttribute(inner)}`).join(', ')}}`;
}

const axisNames = (index: Affine): readonly string[] =>
  Array.from({ length: Math.max(-1, ...index.terms.map(term => term.axis)) + 1 }, (_, axis) => `i${axis}`);
const isDim = (value: object): value is Dim => 'extent' in value && 'name' in value;
const isAffine = (value: object): value is Affine => 'terms' in value && 'divisor' in value;
const isShown = (value: object): value is { readonly shown: string } => 'shown' in value && typeof value.shown === 'string';
const isWord = (name: string): boolean => /^[A-Za-z]\w*$/.test(name) && !constants.has(name);

/** Names that stand for constants in the notation. */
const constants: ReadonlyMap<string, unknown> = new Map<string, unknown>([['null', null], ['true', true], ['false', false], ['Infinity', Infinity], ['NaN', NaN]]);

type Reader = ReturnType<typeof createReader>;

/** A cursor over one line. */
function createReader(line: string) {
  let at = 0;
  const rest = (): string => line.slice(at);
  const skip = (text: string): boolean => {
    if (!line.startsWith(text, at)) return false;
    at += text.length;
    return true;
  };
  const maybe = (pattern: RegExp): string | null => {
    const found = new RegExp(`^(?:${pattern.source})`).exec(rest())?.[0] ?? null;
    at += found?.length ?? 0;
    return found;
  };
  const match = (pattern: RegExp): string => required(maybe(pattern), `expected ${pattern.source} at column ${at + 1}`);
  return {
    skip,
    maybe,
    match,
    expect: (text: string): void => {
      if (!skip(text)) throw new Error(`expected \`${text}\` at column ${at + 1}`);
    },
    quoted: (): string => JSON.parse(match(/"(?:[^"\\]|\\.)*"/)) as string,
    end: (): void => {
      if (rest().trim() !== '') throw new Error(`unexpected text at column ${at + 1}`);
    },
  };
}

function readValue(reader: Reader, number: number, valueAt: (number: string) => Value, ops: ReadonlyMap<string, GraphOp>): Value {
  if (Number(reader.match(/\d+/)) !== number) throw new Error(`expected %${number}`);
  reader.expect(': ');
  const type = readType(reader);
  reader.expect(' = ');
  const name = reader.match(/\w+/);
  if (reader.skip(' ')) {
    const leaf: Leaf = { role: name as Leaf['role'], name: reader.quoted() };
    return { op: null, leaf, operands: [], attrs: {}, type, origin: readOrigin(reader) };
  }
  const op = required(ops.get(name), `there is no op \`${name}\``);
  reader.expect('(');
  const operands: Value[] = [];
  while (!reader.skip(')')) {
    if (operands.length > 0) reader.expect(', ');
    reader.expect('%');
    operands.push(valueAt(reader.match(/\d+/)));
  }
  const attrs = reader.skip(' {') ? readRecord(reader) : {};
  return { op, leaf: null, operands, attrs, type, origin: readOrigin(reader) };
}

function readPlacement(reader: Reader, valueAt: (number: string) => Value): Placement {
  const role = reader.match(/parameter|gradient|state/) as Placement['role'];
  reader.expect(' ');
  const name = reader.quoted();
  reader.expect(': ');
  const type = readType(reader);
  reader.expect(' at %');
  const leaf = valueAt(reader.match(/\d+/));
  reader.expect(' + ');
  return { role, name, type, leaf, offset: Number(reader.match(/\d+/)) };
}

function readType(reader: Reader): TensorType {
  const dtype = reader.match(/\w+/) as DType;
  if (!dtypes.includes(dtype)) throw new Error(`there is no type \`${dtype}\``);
  reader.expect('[');
  const dims: Dim[] = [];
  while (!reader.skip(']')) {
    if (dims.length > 0) reader.expect(', ');
    const name = reader.maybe(/[^\],=]+=/);
    dims.push(dim(Number(reader.match(/\d+/)), name === null ? null : name.slice(0, -1)));
  }
  return tensor(dtype, dims);
}

function readOrigin(reader: Reader): Origin | null {
  if (!reader.skip(' ; ')) return null;
  const phase = reader.match(/\w+/) as Phase;
  const scope = reader.maybe(/ (?!@ )[^@]*[^@ ]/)?.slice(1).split('/') ?? [];
  reader.maybe(/ @ .*/);
  return { span: null, scope, phase };
}

function readAttribute(reader: Reader): unknown {
  if (reader.skip('[')) {
    const list: unknown[] = [];
    while (!reader.skip(']')) {
      if (list.length > 0) reader.expect(', ');
      list.push(readAttribute(reader));
    }
    return list;
  }
  if (reader.skip('{')) return readRecord(reader);
  if (reader.skip('<')) return readAffine(reader);
  const number = reader.maybe(/-?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?|Infinity)/);
  if (number !== null) return Number(number);
  const name = reader.maybe(/"(?:[^"\\]|\\.)*"|\w+/);
  if (name === null) throw new Error('expected an attribute');
  const text = name.startsWith('"') ? (JSON.parse(name) as string) : name;
  if (reader.skip('=')) return dim(Number(reader.match(/-?\d+/)), name === '_' ? null : text);
  if (name.startsWith('"')) return text;
  if (!constants.has(name)) throw new Error(`unexpected \`${name}\``);
  return constants.get(name);
}

function readRecord(reader: Reader): Attrs {
  const record: Record<string, unknown> = {};
  while (!reader.skip('}')) {
    if (Object.keys(record).length > 0) reader.expect(', ');
    const key = reader.match(/\w+/);
    reader.expect(': ');
    record[key] = readAttribute(reader);
  }
  return record;
}

function readAffine(reader: Reader): Affine {
  const divided = reader.skip('(');
  const terms: Term[] = [];
  let offset = 0;
  for (;;) {
    const sign = reader.match(/ \+ | - |-|/).includes('-') ? -1 : 1;
    const factor = reader.maybe(/\d+\*?/);
    const axis = reader.maybe(/i\d+/);
    if (axis === null && factor === null) break;
    const times = sign * (factor === null ? 1 : parseInt(factor, 10));
    if (axis === null) offset += times;
    else terms.push({ axis: Number(axis.slice(1)), times });
  }
  const divisor = divided ? Number(reader.match(/\)\/\d+/).slice(2)) : 1;
  reader.expect('>');
  return affine(terms, offset, divisor);
}

function required<T>(value: T | null | undefined, message: string): T {
  if (value === null || value === undefined) throw new Error(message);
  return value;
}
