/**
 * What an op is: one literal, checked by the type system, read by every phase. A primitive says everything itself; a composite
 * is a graph of other ops, whose shape, gradient, lowering and cost are those of the graph. A literal with a missing field, a
 * constraint without a rejected sample or an unspelled instruction does not compile.
 */
import type { Attrs, Value } from '../ir/graph.ts';
import type { Nest } from '../ir/nest.ts';
import type { DType, Shape, TensorType } from '../ir/type.ts';

/** A tensor of the f64 reference interpreter. Integers and booleans are held as whole numbers. */
export interface Tensor {
  readonly dtype: DType;
  readonly shape: Shape;
  readonly data: Float64Array;
}

/** How an attribute is written in the language and what it becomes here. */
export interface AttributeKinds {
  /** A named dimension or an integer (negative from the end): a non-negative axis of the first operand. */
  axis: number;
  /** One axis or a list of them; `all` stands for every axis. Sorted. */
  axes: readonly number[] | 'all';
  /** Permutation of axes. */
  permutation: readonly number[];
  integer: number;
  /** One integer or a list of them, as given. */
  integers: readonly number[];
  number: number;
  boolean: boolean;
  dtype: DType;
  /** A list of extents with names where they have one; −1 is still −1. */
  dims: TensorType['dims'];
  /** Not writable in the language: an op with such an attribute is made by other ops and by the compiler. */
  internal: unknown;
}
export interface Attribute<K extends keyof AttributeKinds = keyof AttributeKinds, T = AttributeKinds[K]> {
  readonly kind: K;
  readonly doc: string;
  /** Absent: must be given. */
  readonly default?: T;
}
export type Attributes = Readonly<Record<string, Attribute>>;
/** The values that an op's functions get: one for each declared attribute. */
export type AttrsOf<S extends Attributes> = { readonly [K in keyof S]: S[K] extends Attribute<infer _, infer T> ? T : never };
/** An attribute that only the compiler sets, of a TypeScript type of one's own. */
export const internal = <T>(doc: string): Attribute<'internal', T> => ({ kind: 'internal', doc });

/** One T for each operand name; `'...xs'` as the only name stands for any number of operands. */
export type Each<O extends readonly string[], T> = O extends readonly [`...${string}`] ? readonly T[] : { readonly [K in keyof O]: T };

/** Operand types as text, `f32[2, 3]` or `i32[4]` or `[2, 3]` for f32, with attributes; extents pairwise different. */
export interface Sample<O extends readonly string[], A> {
  readonly operands: Each<O, string>;
  readonly attrs: A;
  /** Operands are drawn uniformly from here (whole numbers for i32, u8, bool), clear of kinks and poles. Default [-2, 2]; per operand when a list. */
  readonly domain?: readonly [number, number] | readonly (readonly [number, number])[];
}

/** Says that constraint `label` must hold; `detail`, asked for where it does not, gives both sides, symbolic first. */
export type Require<C extends string> = (label: NoInfer<C>, holds: boolean, detail: () => string) => void;

interface Common<O extends readonly string[], S extends Attributes, C extends string> {
  readonly name: string;
  /** One or more sentences; the first is the summary. */
  readonly doc: string;
  readonly operands: O;
  readonly attrs: S;
  readonly constraints: { readonly [K in C]: string };
  readonly reference: (operands: Each<O, Tensor>, attrs: AttrsOf<S>) => Tensor;
  readonly samples: readonly [Sample<O, AttrsOf<S>>, ...Sample<O, AttrsOf<S>>[]];
  readonly rejects: { readonly [K in C]: Sample<O, AttrsOf<S>> };
  /** Relative error allowed between reference and an f32 target; default 1e-5. */
  readonly tolerance?: number;
}

export interface Primitive<O extends readonly string[], S extends Attributes, C extends string> extends Common<O, S, C> {
  readonly shape: (operands: Each<O, TensorType>, attrs: AttrsOf<S>, require: Require<C>) => TensorType;
  /** The vector–Jacobian product, built of ops, one entry an operand: null where nothing flows. `'none'`: the op stops gradients. */
  readonly gradient: ((g: { readonly operands: Each<O, Value>; readonly out: Value; readonly grad: Value; readonly attrs: AttrsOf<S> }) => Each<O, Value | null>) | 'none';
  readonly lower: (operands: Each<O, TensorType>, attrs: AttrsOf<S>, out: TensorType) => Nest;
  readonly flops: (operands: Each<O, TensorType>, attrs: AttrsOf<S>, out: TensorType) => number;
  /** How a picture and a listing write it, given operand texts: `x[b, c, i + u]`; default `name(x, y)`. */
  readonly label?: (operands: Each<O, TensorType>, attrs: AttrsOf<S>, out: TensorType) => string;
}

export interface Composite<O extends readonly string[], S extends Attributes, C extends string> extends Common<O, S, C> {
  readonly compose: (operands: Each<O, Value>, attrs: AttrsOf<S>, require: Require<C>) => Value;
}

/** What has a type but is no nest: loops and their results, which `ir/scan.ts` tells every phase about. */
export interface Structural<O extends readonly string[], S extends Attributes> {
  readonly name: string;
  readonly structure: 'scan' | 'final' | 'sequence';
  readonly operands: O;
  readonly attrs: S;
  readonly shape: (operands: Each<O, TensorType>, attrs: AttrsOf<S>) => TensorType;
}

/* eslint-disable-next-line @typescript-eslint/no-explicit-any -- the table holds literals of every operand and attribute type */
export type AnyPrimitive = Primitive<any, any, any>;
/* eslint-disable-next-line @typescript-eslint/no-explicit-any -- as above */
export type AnyComposite = Composite<any, any, any>;
/* eslint-disable-next-line @typescript-eslint/no-explicit-any -- as above */
export type AnyStructural = Structural<any, any>;
/** What a graph's values may be made by. */
export interface GraphOp {
  readonly definition: AnyPrimitive | AnyComposite | AnyStructural;
  /** Applies the op, checking its constraints. Throws a `ConstraintViolation`; elaboration is the one place that catches it. */
  readonly build: (operands: readonly Value[], attrs: Attrs) => Value;
}
/** An op of the table. */
export interface AnyOp extends GraphOp {
  readonly definition: AnyPrimitive | AnyComposite;
}
export const isPrimitive = (definition: GraphOp['definition']): definition is AnyPrimitive => 'lower' in definition;

type Operands<O extends readonly string[]> = O extends readonly [`...${string}`] ? readonly [readonly Value[]] : { readonly [K in keyof O]: Value };
/** Calling an op builds a value: `mul(a, b)`, `reshape(x, { dims })`, `concat([a, b], { axis: 0 })`. */
export type Op<O extends readonly string[], S extends Attributes> = AnyOp & Builder<O, S>;
type Builder<O extends readonly string[], S extends Attributes> =
  ((...args: {} extends S ? Operands<O> : [...Operands<O>, AttrsOf<S>]) => Value);

/** A constraint of the table that does not hold. `code` is `matmul.C2`. */
export class ConstraintViolation extends Error {
  readonly code: string;
  readonly rule: string;
  readonly detail: string;
  constructor(code: string, rule: string, detail: string) {
    super(`${code}: ${rule}: ${detail}`);
    this.code = code;
    this.rule = rule;
    this.detail = detail;
  }
}

export function definePrimitive<const O extends readonly string[], const S extends Attributes, const C extends string>(definition: Primitive<O, S, C>): Op<O, S> {
  return callable(definition, (op, operands, attrs) => {
    const type = definition.shape(operands.map(operand => operand.type) as never, attrs as never, requirement(definition));
    return { op, leaf: null, operands, attrs, type, origin: null };
  });
}

export function defineComposite<const O extends readonly string[], const S extends Attributes, const C extends string>(definition: Composite<O, S, C>): Op<O, S> {
  return callable(definition, (_, operands, attrs) => definition.compose(operands as never, attrs as never, requirement(definition)));
}

export function defineStructural<const O extends readonly string[], const S extends Attributes>(definition: Structural<O, S>): GraphOp & Builder<O, S> {
  return callable(definition, (op, operands, attrs) => {
    const type = definition.shape(operands.map(operand => operand.type) as never, attrs as never);
    return { op, leaf: null, operands, attrs, type, origin: null };
  });
}

const requirement = (definition: { readonly name: string; readonly constraints: Readonly<Record<string, string>> }) =>
  (label: string, holds: boolean, detail: () => string): void => {
    if (!holds) throw new ConstraintViolation(`${definition.name}.${label}`, definition.constraints[label]!, detail());
  };

function callable(definition: GraphOp['definition'], make: (op: GraphOp, operands: readonly Value[], attrs: Attrs) => Value): never {
  const names = definition.operands as readonly string[];
  const variadic = names[0]?.startsWith('...') ?? false;
  const op: GraphOp = Object.assign(
    (...args: readonly unknown[]): Value =>
      variadic ? make(op, args[0] as readonly Value[], (args[1] ?? {}) as Attrs) : make(op, args.slice(0, names.length) as readonly Value[], (args[names.length] ?? {}) as Attrs),
    { definition, build: (operands: readonly Value[], attrs: Attrs): Value => make(op, operands, attrs) },
  );
  return op as never;
}
