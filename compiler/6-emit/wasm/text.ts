/**
 * A module as the text format of WebAssembly: folded expressions, one statement a line where it fits. Functions have their names,
 * parameters the names that are given, other locals their numbers; labels are those of the builder.
 */
import { instruction, type Expression, type Func, type Label, type Module, type Opcode } from './code.ts';

/** What the data of a function does not say. */
export interface Description {
  /** Lines above it. */
  readonly comments: readonly string[];
  /** Names of its parameters; those beyond the list are numbered. */
  readonly parameters: readonly string[];
}

export function printModule(module: Module, descriptions: ReadonlyMap<string, Description> = new Map()): string {
  const signature = ({ parameters, result }: Pick<Func, 'parameters' | 'result'>): readonly Node[] => [
    ...parameters.map(type => node(`param ${type}`)), ...(result === null ? [] : [node(`result ${result}`)]),
  ];
  const imports = module.imports.map(each => node('import "env"', [atom(quoted(each.name)), node(`func ${identifier(each.name)}`, signature(each))]));
  const memory = node('import "env" "memory"', [node(`memory ${module.minimumPages} ${module.maximumPages} shared`)]);
  const arena = module.arena === null ? [] : [
    node('import "env" "arena"', [node(`memory $arena i64 ${module.arena.minimumPages} ${module.arena.maximumPages} shared`)]),
  ];
  const functions = module.functions.map(func => {
    const description = descriptions.get(func.name);
    const comments = (description?.comments ?? []).map(line => `  ;; ${line.replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, ' ')}\n`);
    return `\n${comments.join('')}${layout(functionNode(func, description?.parameters ?? []), 2)}`;
  });
  const hexadecimal = (byte: number): string => `\\${byte.toString(16).padStart(2, '0')}`;
  const data = module.data === undefined ? '' : `\n  (data (i32.const ${module.data.at}) "${module.data.bytes.map(hexadecimal).join('')}")\n`;
  return `(module\n${[memory, ...arena, ...imports].map(each => `${layout(each, 2)}\n`).join('')}${functions.join('\n')}\n${data})\n`;
}

/** A parenthesised list, or a word without parentheses. */
interface Node {
  readonly head: string;
  readonly children: readonly Node[];
  readonly atom: boolean;
  /** Characters on one line; infinite for what is always spread over several. */
  readonly width: number;
}

const node = (head: string, children: readonly Node[] = [], spread = false): Node =>
  ({ head, children, atom: false, width: spread ? Infinity : children.reduce((sum, child) => sum + 1 + child.width, head.length + 2) });
const atom = (text: string): Node => ({ head: text, children: [], atom: true, width: text.length });

const lineWidth = 120;

function layout(what: Node, indent: number): string {
  const margin = ' '.repeat(indent);
  if (indent + what.width <= lineWidth) return margin + flat(what);
  if (what.atom) return margin + what.head;
  return `${margin}(${what.head}${what.children.map(child => `\n${layout(child, indent + 2)}`).join('')})`;
}

const flat = (what: Node): string => (what.atom ? what.head : `(${[what.head, ...what.children.map(flat)].join(' ')})`);

const quoted = (text: string): string => JSON.stringify(text);
/** A name as the format allows it; the compiler's own names hold nothing else. */
const identifier = (name: string): string => `$${name.replaceAll(/[^!#$%&'*+\-./0-9:<=>?@A-Z\\^_`a-z|~]/g, '_')}`;

function functionNode(func: Func, parameterNames: readonly string[]): Node {
  const names = localNames(func, parameterNames);
  const head = [
    `func ${identifier(func.name)}`,
    ...(func.exported ? [`(export ${quoted(func.name)})`] : []),
    ...func.parameters.map((type, i) => `(param ${names[i]!} ${type})`),
    ...(func.result === null ? [] : [`(result ${func.result})`]),
  ].join(' ');
  const runs: { readonly type: string; readonly locals: string[] }[] = [];
  func.locals.forEach((type, i) => {
    const name = `(local ${names[func.parameters.length + i]!} ${type})`;
    const last = runs.at(-1);
    if (last?.type === type && last.locals.length < 6) last.locals.push(name);
    else runs.push({ type, locals: [name] });
  });
  return node(head, [...runs.map(run => atom(run.locals.join(' '))), ...statements(func.body, names)], true);
}

function localNames(func: Func, parameterNames: readonly string[]): readonly string[] {
  const used = new Set<string>();
  return [...func.parameters, ...func.locals].map((_, number) => {
    const wanted = number < func.parameters.length ? parameterNames[number] : undefined;
    let name = identifier(wanted ?? String(number));
    for (let i = 2; used.has(name); i++) name = identifier(`${wanted ?? number}_${i}`);
    used.add(name);
    return name;
  });
}

function statements(body: readonly Expression[], names: readonly string[]): readonly Node[] {
  /** The labels around, from the outermost, with the names that tell them apart. */
  const open: { readonly label: Label; readonly name: string }[] = [];
  const labelled = (label: Label, make: (name: string) => Node): Node => {
    let name = identifier(label.name);
    for (let i = 2; open.some(each => each.name === name); i++) name = identifier(`${label.name}_${i}`);
    open.push({ label, name });
    const made = make(name);
    open.pop();
    return made;
  };
  const nameOf = (label: Label): Node => atom(open.findLast(each => each.label === label)!.name);
  const all = (expressions: readonly Expression[], shape: Shape | null = null): readonly Node[] => expressions.map(each => write(each, shape));
  /** `shape`: as what the instruction around takes its operands. */
  const write = (expression: Expression, shape: Shape | null): Node => {
    switch (expression.kind) {
      case 'op':
        return node([expression.name, ...immediates(expression)].join(' '), all(expression.operands, shapeOf(expression.name)));
      case 'const':
        return node(`${expression.type}.const ${{ i32: (value: number) => String(value | 0), f32: single, f64: number }[expression.type](expression.value)}`);
      case 'address':
        return node(`i32.const ${expression.value | 0}`);
      case 'const64':
        return node(`i64.const ${expression.value}`);
      case 'lanes':
        return node(`v128.const ${lanes(expression.bytes, shape)}`);
      case 'shuffle':
        return node(`i8x16.shuffle ${expression.bytes.join(' ')}`, all(expression.operands));
      case 'get':
        return node(`local.get ${names[expression.local.number]!}`);
      case 'set':
      case 'tee':
        return node(`local.${expression.kind} ${names[expression.local.number]!}`, [write(expression.value, null)]);
      case 'call':
        return node(`call ${identifier(expression.to)}`, all(expression.operands));
      case 'block':
      case 'loop':
        return labelled(expression.label, name => node(`${expression.kind} ${name}`, all(expression.body), true));
      case 'if': {
        const otherwise = expression.otherwise.length === 0 ? [] : [node('else', all(expression.otherwise), true)];
        return node('if', [write(expression.condition, null), node('then', all(expression.then), true), ...otherwise], true);
      }
      case 'br':
        return expression.condition === null ? node('br', [nameOf(expression.label)]) : node('br_if', [nameOf(expression.label), write(expression.condition, null)]);
      case 'br_table':
        return node('br_table', [...expression.labels.map(nameOf), write(expression.index, null)]);
      default:
        return expression satisfies never;
    }
  };
  return all(body);
}

function immediates({ name, offset, lane, arena }: Expression & { readonly kind: 'op' }): readonly string[] {
  const { memory, lane: hasLane } = instruction(name);
  const texts: string[] = [];
  if (arena) texts.push('$arena');
  if (memory !== undefined && offset !== 0) texts.push(`offset=${offset}`);
  if (memory !== undefined && 2 ** memory !== accessBytes(name)) texts.push(`align=${2 ** memory}`);
  if (hasLane) texts.push(String(lane));
  return texts;
}

/** What a load or store moves, which is the alignment that need not be written. */
function accessBytes(name: Opcode): number {
  const bits = /(?:load|store)(\d+)/.exec(name)?.[1] ?? /^memory\.atomic\.wait(\d+)/.exec(name)?.[1];
  return bits !== undefined ? Number(bits) / 8 : name.startsWith('v128') ? 16 : 4;
}

const number = (value: number): string =>
  Number.isNaN(value) ? 'nan' : Math.abs(value) === Infinity ? (value > 0 ? 'inf' : '-inf') : Object.is(value, -0) ? '-0' : String(value);

/** The shortest decimal that reads as the same single-precision number; 9 digits always do. */
function single(value: number): string {
  const exact = Math.fround(value);
  const digits = [6, 7, 8].find(count => Math.fround(Number(exact.toPrecision(count))) === exact) ?? 9;
  return number(Number.isFinite(exact) && exact !== 0 ? Number(exact.toPrecision(digits)) : exact);
}

type Shape = 'i8x16' | 'i16x8' | 'i32x4' | 'i64x2' | 'f32x4' | 'f64x2';
const shapeOf = (name: Opcode): Shape | null => (/^(i8x16|i16x8|i32x4|i64x2|f32x4|f64x2)\./.exec(name)?.[1] as Shape | undefined) ?? null;

/** As what the instruction around takes; where it takes any, as floats if they are of a usual size. */
function lanes(bytes: readonly number[], shape: Shape | null): string {
  const { buffer } = Uint8Array.from(bytes);
  const [singles, doubles] = [new Float32Array(buffer), new Float64Array(buffer)];
  const words = `i32x4 ${new Int32Array(buffer).join(' ')}`;
  switch (shape) {
    case 'i8x16': return `i8x16 ${bytes.join(' ')}`;
    case 'i16x8': return `i16x8 ${new Uint16Array(buffer).join(' ')}`;
    case 'i32x4': return words;
    case 'i64x2': return `i64x2 ${new BigInt64Array(buffer).join(' ')}`;
    // The bits of a NaN are part of the constant.
    case 'f64x2': return doubles.some(Number.isNaN) ? words : `f64x2 ${[...doubles].map(number).join(' ')}`;
    case 'f32x4': return singles.some(Number.isNaN) ? words : `f32x4 ${[...singles].map(single).join(' ')}`;
    case null: return lanes(bytes, singles.every(value => value === 0 || (Math.abs(value) > 1e-9 && Math.abs(value) < 1e9)) ? 'f32x4' : 'i32x4');
    default: return shape satisfies never;
  }
}
