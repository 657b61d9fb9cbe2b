/**
 * WebAssembly as data: the instructions that nabla emits, expressions made of them, functions and modules. `encode.ts` writes a
 * module as bytes, `text.ts` as text. Expressions are trees; a value that is needed twice goes through a local.
 */

import { eachMapped } from '../../ir/lists.ts';

export type Type = 'i32' | 'i64' | 'f32' | 'f64' | 'v128';

/** How an instruction is encoded and typed. `memory` has the exponent of its alignment; `lane` is followed by a lane number. */
interface Instruction {
  readonly code: readonly number[];
  readonly takes: readonly Type[];
  readonly gives: Type | null;
  readonly memory?: number;
  readonly lane?: true;
  readonly zeros?: number;
}

const plain = (code: number, takes: readonly Type[], gives: Type | null): Instruction => ({ code: [code], takes, gives });
const leb = (value: number): readonly number[] => (value < 0x80 ? [value] : [(value & 0x7f) | 0x80, value >> 7]);
const simd = (code: number, takes: readonly Type[], gives: Type | null = 'v128'): Instruction => ({ code: [0xfd, ...leb(code)], takes, gives });
const unary = (code: number): Instruction => simd(code, ['v128']);
const binary = (code: number): Instruction => simd(code, ['v128', 'v128']);
const ternary = (code: number): Instruction => simd(code, ['v128', 'v128', 'v128']);
const shift = (code: number): Instruction => simd(code, ['v128', 'i32']);
const vectorLoad = (code: number, memory: number): Instruction => ({ ...simd(code, ['i32']), memory });
const extract = (code: number, gives: Type): Instruction => ({ ...simd(code, ['v128'], gives), lane: true });
const replaceLane = (code: number, takes: Type): Instruction => ({ ...simd(code, ['v128', takes]), lane: true });
const atomic = (code: number, takes: readonly Type[], gives: Type | null): Instruction => ({ code: [0xfe, code], takes, gives, memory: 2 });
const bulk = (code: number, takes: readonly Type[], gives: Type | null, zeros: number): Instruction => ({ code: [0xfc, code], takes, gives, zeros });

/**
 * Opcodes of the WebAssembly specification with its SIMD, relaxed SIMD, threads and bulk memory parts; names are the standard's.
 * Addresses are i32 here; those of an arena apart are i64.
 */
export const instructions = {
  'i32.eqz': plain(0x45, ['i32'], 'i32'),
  'i32.eq': plain(0x46, ['i32', 'i32'], 'i32'),
  'i32.ne': plain(0x47, ['i32', 'i32'], 'i32'),
  'i32.lt_s': plain(0x48, ['i32', 'i32'], 'i32'),
  'i32.lt_u': plain(0x49, ['i32', 'i32'], 'i32'),
  'i32.gt_s': plain(0x4a, ['i32', 'i32'], 'i32'),
  'i32.le_s': plain(0x4c, ['i32', 'i32'], 'i32'),
  'i32.ge_s': plain(0x4e, ['i32', 'i32'], 'i32'),
  'i32.ge_u': plain(0x4f, ['i32', 'i32'], 'i32'),
  'i32.add': plain(0x6a, ['i32', 'i32'], 'i32'),
  'i32.sub': plain(0x6b, ['i32', 'i32'], 'i32'),
  'i32.mul': plain(0x6c, ['i32', 'i32'], 'i32'),
  'i32.div_s': plain(0x6d, ['i32', 'i32'], 'i32'),
  'i32.div_u': plain(0x6e, ['i32', 'i32'], 'i32'),
  'i32.rem_s': plain(0x6f, ['i32', 'i32'], 'i32'),
  'i32.rem_u': plain(0x70, ['i32', 'i32'], 'i32'),
  'i32.and': plain(0x71, ['i32', 'i32'], 'i32'),
  'i32.or': plain(0x72, ['i32', 'i32'], 'i32'),
  'i32.xor': plain(0x73, ['i32', 'i32'], 'i32'),
  'i32.shl': plain(0x74, ['i32', 'i32'], 'i32'),
  'i32.shr_s': plain(0x75, ['i32', 'i32'], 'i32'),
  'i32.shr_u': plain(0x76, ['i32', 'i32'], 'i32'),
  'i64.eq': plain(0x51, ['i64', 'i64'], 'i32'),
  'i64.add': plain(0x7c, ['i64', 'i64'], 'i64'),
  'i64.sub': plain(0x7d, ['i64', 'i64'], 'i64'),
  'i64.mul': plain(0x7e, ['i64', 'i64'], 'i64'),
  'i64.div_u': plain(0x80, ['i64', 'i64'], 'i64'),
  'i64.shl': plain(0x86, ['i64', 'i64'], 'i64'),
  'i32.wrap_i64': plain(0xa7, ['i64'], 'i32'),
  'i64.extend_i32_s': plain(0xac, ['i32'], 'i64'),
  'i64.extend_i32_u': plain(0xad, ['i32'], 'i64'),
  'i32.load': { ...plain(0x28, ['i32'], 'i32'), memory: 2 },
  'f32.load': { ...plain(0x2a, ['i32'], 'f32'), memory: 2 },
  'i32.load8_u': { ...plain(0x2d, ['i32'], 'i32'), memory: 0 },
  'i32.store': { ...plain(0x36, ['i32', 'i32'], null), memory: 2 },
  'f32.store': { ...plain(0x38, ['i32', 'f32'], null), memory: 2 },
  'i32.store8': { ...plain(0x3a, ['i32', 'i32'], null), memory: 0 },
  select: plain(0x1b, [], null),
  drop: plain(0x1a, [], null),
  unreachable: plain(0x00, [], null),
  return: plain(0x0f, [], null),
  'memory.copy': bulk(0x0a, ['i32', 'i32', 'i32'], null, 2),
  'memory.fill': bulk(0x0b, ['i32', 'i32', 'i32'], null, 1),

  'memory.atomic.notify': atomic(0x00, ['i32', 'i32'], 'i32'),
  'memory.atomic.wait32': atomic(0x01, ['i32', 'i32', 'i64'], 'i32'),
  'i32.atomic.load': atomic(0x10, ['i32'], 'i32'),
  'i32.atomic.store': atomic(0x17, ['i32', 'i32'], null),
  'i32.atomic.rmw.add': atomic(0x1e, ['i32', 'i32'], 'i32'),

  'v128.load': vectorLoad(0x00, 2),
  'v128.load8_splat': vectorLoad(0x07, 0),
  'v128.load32_splat': vectorLoad(0x09, 2),
  'v128.load32_zero': vectorLoad(0x5c, 2),
  'v128.load64_zero': vectorLoad(0x5d, 2),
  'v128.store': { ...simd(0x0b, ['i32', 'v128'], null), memory: 2 },
  'v128.load8_lane': { ...simd(0x54, ['i32', 'v128']), memory: 0, lane: true },
  'v128.load32_lane': { ...simd(0x56, ['i32', 'v128']), memory: 2, lane: true },
  'v128.store8_lane': { ...simd(0x58, ['i32', 'v128'], null), memory: 0, lane: true },
  'v128.store32_lane': { ...simd(0x5a, ['i32', 'v128'], null), memory: 2, lane: true },
  'i8x16.swizzle': binary(0x0e),
  'i32x4.splat': simd(0x11, ['i32']),
  'i64x2.splat': simd(0x12, ['i64']),
  'f32x4.splat': simd(0x13, ['f32']),
  'f64x2.splat': simd(0x14, ['f64']),
  'i32x4.extract_lane': extract(0x1b, 'i32'),
  'f32x4.extract_lane': extract(0x1f, 'f32'),
  'f64x2.extract_lane': extract(0x21, 'f64'),
  'i32x4.replace_lane': replaceLane(0x1c, 'i32'),
  'f32x4.replace_lane': replaceLane(0x20, 'f32'),
  'i32x4.eq': binary(0x37),
  'i32x4.ne': binary(0x38),
  'i32x4.lt_s': binary(0x39),
  'i32x4.lt_u': binary(0x3a),
  'i32x4.gt_s': binary(0x3b),
  'i32x4.le_s': binary(0x3d),
  'i32x4.ge_s': binary(0x3f),
  'f32x4.eq': binary(0x41),
  'f32x4.ne': binary(0x42),
  'f32x4.lt': binary(0x43),
  'f32x4.gt': binary(0x44),
  'f32x4.le': binary(0x45),
  'f32x4.ge': binary(0x46),
  'f64x2.eq': binary(0x47),
  'f64x2.lt': binary(0x49),
  'f64x2.gt': binary(0x4a),
  'f64x2.le': binary(0x4b),
  'f64x2.ge': binary(0x4c),
  'v128.not': unary(0x4d),
  'v128.and': binary(0x4e),
  'v128.andnot': binary(0x4f),
  'v128.or': binary(0x50),
  'v128.xor': binary(0x51),
  'v128.bitselect': ternary(0x52),
  'v128.any_true': simd(0x53, ['v128'], 'i32'),
  'i32x4.all_true': simd(0xa3, ['v128'], 'i32'),
  'i32x4.bitmask': simd(0xa4, ['v128'], 'i32'),
  'f32x4.demote_f64x2_zero': unary(0x5e),
  'f64x2.promote_low_f32x4': unary(0x5f),
  'f32x4.ceil': unary(0x67),
  'f32x4.floor': unary(0x68),
  'f32x4.trunc': unary(0x69),
  'f32x4.nearest': unary(0x6a),
  'f64x2.floor': unary(0x75),
  'f64x2.trunc': unary(0x7a),
  'f64x2.nearest': unary(0x94),
  'i8x16.narrow_i16x8_u': binary(0x66),
  'i16x8.narrow_i32x4_u': binary(0x86),
  'i16x8.extend_low_i8x16_u': unary(0x89),
  'i32x4.extend_low_i16x8_u': unary(0xa9),
  'i32x4.abs': unary(0xa0),
  'i32x4.neg': unary(0xa1),
  'i32x4.shl': shift(0xab),
  'i32x4.shr_s': shift(0xac),
  'i32x4.shr_u': shift(0xad),
  'i32x4.add': binary(0xae),
  'i32x4.sub': binary(0xb1),
  'i32x4.mul': binary(0xb5),
  'i32x4.min_s': binary(0xb6),
  'i32x4.max_s': binary(0xb8),
  'i64x2.shl': shift(0xcb),
  'i64x2.shr_u': shift(0xcd),
  'i64x2.add': binary(0xce),
  'i64x2.sub': binary(0xd1),
  'f32x4.abs': unary(0xe0),
  'f32x4.neg': unary(0xe1),
  'f32x4.sqrt': unary(0xe3),
  'f32x4.add': binary(0xe4),
  'f32x4.sub': binary(0xe5),
  'f32x4.mul': binary(0xe6),
  'f32x4.div': binary(0xe7),
  'f32x4.min': binary(0xe8),
  'f32x4.max': binary(0xe9),
  'f32x4.pmin': binary(0xea),
  'f32x4.pmax': binary(0xeb),
  'f64x2.abs': unary(0xec),
  'f64x2.neg': unary(0xed),
  'f64x2.sqrt': unary(0xef),
  'f64x2.add': binary(0xf0),
  'f64x2.sub': binary(0xf1),
  'f64x2.mul': binary(0xf2),
  'f64x2.div': binary(0xf3),
  'f64x2.pmin': binary(0xf6),
  'f64x2.pmax': binary(0xf7),
  'i32x4.trunc_sat_f32x4_s': unary(0xf8),
  'f32x4.convert_i32x4_s': unary(0xfa),
  'f32x4.convert_i32x4_u': unary(0xfb),
  'i32x4.trunc_sat_f64x2_s_zero': unary(0xfc),
  'f64x2.convert_low_i32x4_s': unary(0xfe),
  'f32x4.relaxed_madd': ternary(0x105),
  'f32x4.relaxed_nmadd': ternary(0x106),
} satisfies Record<string, Instruction>;

export type Opcode = keyof typeof instructions;
export const instruction = (name: Opcode): Instruction => instructions[name];

export interface Local {
  readonly type: Type;
  /** Parameters come first. */
  readonly number: number;
}

/** What a branch goes to: the end of a block, or the beginning of a loop. */
export interface Label {
  readonly name: string;
}

export type Expression =
  /** `arena`: what is loaded or stored lies in the arena apart. */
  | { readonly kind: 'op'; readonly name: Opcode; readonly operands: readonly Expression[]; readonly offset: number; readonly lane: number; readonly arena: boolean }
  | { readonly kind: 'const'; readonly type: 'i32' | 'f32' | 'f64'; readonly value: number }
  | { readonly kind: 'const64'; readonly value: bigint }
  /** A place in the arena: an i32 constant, unless the arena lies apart. */
  | { readonly kind: 'address'; readonly value: number }
  | { readonly kind: 'lanes'; readonly bytes: readonly number[] }
  /** Bytes of two vectors put together: 0 … 15 of the first, 16 … 31 of the second. */
  | { readonly kind: 'shuffle'; readonly bytes: readonly number[]; readonly operands: readonly [Expression, Expression] }
  | { readonly kind: 'get'; readonly local: Local }
  | { readonly kind: 'set'; readonly local: Local; readonly value: Expression }
  | { readonly kind: 'tee'; readonly local: Local; readonly value: Expression }
  | { readonly kind: 'call'; readonly to: string; readonly operands: readonly Expression[] }
  | { readonly kind: 'block' | 'loop'; readonly label: Label; readonly body: readonly Expression[] }
  | { readonly kind: 'if'; readonly condition: Expression; readonly then: readonly Expression[]; readonly otherwise: readonly Expression[] }
  | { readonly kind: 'br'; readonly label: Label; readonly condition: Expression | null }
  /** Goes to the label of that number, or to the last one. */
  | { readonly kind: 'br_table'; readonly labels: readonly Label[]; readonly index: Expression };

export interface Func {
  readonly name: string;
  readonly parameters: readonly Type[];
  readonly result: Type | null;
  readonly locals: readonly Type[];
  readonly body: readonly Expression[];
  readonly exported: boolean;
}

/**
 * Functions call each other by name. The memory is imported as `env.memory`, shared. Where the arena lies apart, it is a second one,
 * `env.arena`, with addresses of 64 bits.
 */
export interface Module {
  readonly imports: readonly { readonly name: string; readonly parameters: readonly Type[]; readonly result: Type | null }[];
  readonly functions: readonly Func[];
  readonly minimumPages: number;
  readonly maximumPages: number;
  readonly arena: { readonly minimumPages: number; readonly maximumPages: number } | null;
  /** What lies in the memory from the start. Every thread writes it anew when it starts. */
  readonly data?: { readonly at: number; readonly bytes: readonly number[] };
}

export const op = (name: Opcode, ...operands: readonly Expression[]): Expression => ({ kind: 'op', name, operands, offset: 0, lane: 0, arena: false });
/** A load or store at the operand's address plus `offset` bytes. */
export const at = (name: Opcode, offset: number, ...operands: readonly Expression[]): Expression =>
  ({ kind: 'op', name, operands, offset, lane: 0, arena: false });
export const lane = (name: Opcode, number: number, ...operands: readonly Expression[]): Expression =>
  ({ kind: 'op', name, operands, offset: 0, lane: number, arena: false });
/** A load or store of one lane at the operand's address plus `offset` bytes. */
export const laneAt = (name: Opcode, number: number, offset: number, ...operands: readonly Expression[]): Expression =>
  ({ kind: 'op', name, operands, offset, lane: number, arena: false });
export const i32 = (value: number): Expression => ({ kind: 'const', type: 'i32', value });
export const f32 = (value: number): Expression => ({ kind: 'const', type: 'f32', value });
export const f64 = (value: number): Expression => ({ kind: 'const', type: 'f64', value });
export const i64 = (value: bigint): Expression => ({ kind: 'const64', value });
export const address = (value: number): Expression => ({ kind: 'address', value });
export const get = (local: Local): Expression => ({ kind: 'get', local });
export const set = (local: Local, value: Expression): Expression => ({ kind: 'set', local, value });
export const tee = (local: Local, value: Expression): Expression => ({ kind: 'tee', local, value });
export const call = (to: string, ...operands: readonly Expression[]): Expression => ({ kind: 'call', to, operands });

/** Calls `visit` with each expression of a list and with all that stands inside of it, the outer ones first. */
export function walk(list: readonly Expression[], visit: (expression: Expression) => void): void {
  for (let i = 0; i < list.length; i++) walkInto(list[i]!, visit);
}

function walkInto(expression: Expression, visit: (expression: Expression) => void): void {
  visit(expression);
  switch (expression.kind) {
    case 'get': case 'const': case 'const64': case 'address': case 'lanes': return;
    case 'set': case 'tee': return walkInto(expression.value, visit);
    case 'op': case 'shuffle': case 'call': return walk(expression.operands, visit);
    case 'block': case 'loop': return walk(expression.body, visit);
    case 'if':
      walkInto(expression.condition, visit);
      walk(expression.then, visit);
      return walk(expression.otherwise, visit);
    case 'br': return expression.condition === null ? undefined : walkInto(expression.condition, visit);
    case 'br_table': return walkInto(expression.index, visit);
    default: return expression satisfies never;
  }
}

/** An expression with each that stands immediately inside of it replaced; itself where nothing changes. */
export function mapped(expression: Expression, map: (inner: Expression) => Expression): Expression {
  switch (expression.kind) {
    case 'get': case 'const': case 'const64': case 'address': case 'lanes': return expression;
    case 'set': case 'tee': {
      const value = map(expression.value);
      return value === expression.value ? expression : { ...expression, value };
    }
    case 'op': case 'call': {
      const operands = eachMapped(expression.operands, map);
      return operands === expression.operands ? expression : { ...expression, operands };
    }
    case 'shuffle': {
      const [a, b] = expression.operands;
      const operands = [map(a), map(b)] as const;
      return operands[0] === a && operands[1] === b ? expression : { ...expression, operands };
    }
    case 'block': case 'loop': {
      const body = eachMapped(expression.body, map);
      return body === expression.body ? expression : { ...expression, body };
    }
    case 'if': {
      const [condition, then, otherwise] = [map(expression.condition), eachMapped(expression.then, map), eachMapped(expression.otherwise, map)];
      const isSame = condition === expression.condition && then === expression.then && otherwise === expression.otherwise;
      return isSame ? expression : { ...expression, condition, then, otherwise };
    }
    case 'br': {
      const condition = expression.condition && map(expression.condition);
      return condition === expression.condition ? expression : { ...expression, condition };
    }
    case 'br_table': {
      const index = map(expression.index);
      return index === expression.index ? expression : { ...expression, index };
    }
    default: return expression satisfies never;
  }
}

/** The same number in all four lanes. */
export function f32x4(value: number): Expression {
  const bytes = new Uint8Array(new Float32Array([value, value, value, value]).buffer);
  return { kind: 'lanes', bytes: [...bytes] };
}
export function i32x4(...values: readonly number[]): Expression {
  const [a, b = a, c = a, d = a] = values;
  return { kind: 'lanes', bytes: [...new Uint8Array(new Int32Array([a!, b!, c!, d!]).buffer)] };
}
export function f64x2(value: number): Expression {
  return { kind: 'lanes', bytes: [...new Uint8Array(new Float64Array([value, value]).buffer)] };
}
/** Lanes 0 … 3 of `a` and 4 … 7 of `b`, of 32 bits each. */
export const shuffle32 = (a: Expression, b: Expression, lanes: readonly [number, number, number, number]): Expression =>
  ({ kind: 'shuffle', operands: [a, b], bytes: lanes.flatMap(number => [0, 1, 2, 3].map(byte => number * 4 + byte)) });

/** A function under construction: statements go to the innermost open block. */
export interface Builder {
  readonly parameters: readonly Local[];
  readonly local: (type: Type) => Local;
  readonly emit: (statement: Expression) => void;
  /** A local that holds the value from here on. */
  readonly keep: (type: Type, value: Expression) => Local;
  /** Statements that `make` emits, apart from the function. */
  readonly collect: (make: () => void) => readonly Expression[];
  readonly block: (make: (end: Label) => void) => void;
  readonly loop: (make: (again: Label) => void) => void;
  readonly when: (condition: Expression, then: () => void, otherwise?: () => void) => void;
  readonly branch: (label: Label, condition?: Expression) => void;
  readonly finish: (exported?: boolean) => Func;
}

export function build(name: string, parameters: readonly Type[], result: Type | null = null): Builder {
  const locals: Type[] = [];
  const own = parameters.map((type, number): Local => ({ type, number }));
  let open: Expression[] = [];
  let labels = 0;
  const local = (type: Type): Local => ({ type, number: parameters.length + locals.push(type) - 1 });
  const collect = (make: () => void): readonly Expression[] => {
    const outer = open;
    const inner: Expression[] = [];
    open = inner;
    make();
    open = outer;
    return inner;
  };
  const emit = (statement: Expression): void => void open.push(statement);
  const nested = (kind: 'block' | 'loop', make: (label: Label) => void): void => {
    const label = { name: `${kind}_${labels++}` };
    emit({ kind, label, body: collect(() => make(label)) });
  };
  return {
    parameters: own,
    local,
    emit,
    keep: (type, value) => {
      const kept = local(type);
      emit(set(kept, value));
      return kept;
    },
    collect,
    block: make => nested('block', make),
    loop: make => nested('loop', make),
    when: (condition, then, otherwise) =>
      emit({ kind: 'if', condition, then: collect(then), otherwise: otherwise ? collect(otherwise) : [] }),
    branch: (label, condition) => emit({ kind: 'br', label, condition: condition ?? null }),
    finish: (exported = false) => ({ name, parameters, result, locals, body: open, exported }),
  };
}
