/**
 * The loop nest, the one form that fusion, tiling and every backend read: out[space] = combine over `reduce` of a scalar body.
 * Axes are numbered: 0 … n−1 are `space`, n … n+m−1 are `reduce`. Backends spell the closed list of scalar instructions below
 * and never meet an op's name.
 */
import type { Affine } from './affine.ts';
import type { DType, Shape } from './type.ts';

export type UnaryInstruction =
  | 'neg' | 'abs' | 'exp' | 'log' | 'sqrt' | 'tanh' | 'erf' | 'sin' | 'cos' | 'floor' | 'not'
  /** Conversions; the first takes any number, truncating towards zero. The last two round to the nearest half or bfloat16. */
  | 'to_i32' | 'to_u8' | 'to_f32' | 'to_bool' | 'to_f16' | 'to_bf16';
export type BinaryInstruction = 'add' | 'sub' | 'mul' | 'div' | 'mod' | 'pow' | 'max' | 'min' | 'lt' | 'le' | 'eq' | 'and' | 'or';
export type TernaryInstruction =
  /** select(condition, then, otherwise): a backend may evaluate both. */
  | 'select';
export type QuaternaryInstruction =
  /** random(seed, stream, step, index): uniform f32 in [0, 1), Threefry-2x32, 24 bits; see `runtime/random.ts`. */
  | 'random';
export type Instruction = UnaryInstruction | BinaryInstruction | TernaryInstruction | QuaternaryInstruction;

export type Scalar =
  | { readonly kind: 'constant'; readonly value: number; readonly dtype: DType }
  /** The value of an index as an i32. Its divisor is 1. */
  | { readonly kind: 'index'; readonly index: Affine }
  | Load
  | { readonly kind: 'apply'; readonly instruction: Instruction; readonly arguments: readonly Scalar[] }
  /** `then` where every index exists and is inside its extent, else `otherwise`; `then` is not evaluated outside. */
  | { readonly kind: 'guard'; readonly at: readonly { readonly index: Affine; readonly extent: number }[]; readonly then: Scalar; readonly otherwise: Scalar }
  /** A result of an earlier step of the same kernel; only in kernels, see `program.ts`. */
  | { readonly kind: 'local'; readonly local: number };

/** operand[at…]. Every position lies inside the operand; what may lie outside is wrapped in a guard. */
export interface Load {
  readonly kind: 'load';
  readonly operand: number;
  readonly at: readonly Index[];
}

/** A position along one dimension: affine in the axes, or gathered, the value of an i32 scalar. */
export type Index = Affine | { readonly gathered: Scalar };
export const isGathered = (index: Index): index is { readonly gathered: Scalar } => 'gathered' in index;

export type Combine = 'add' | 'mul' | 'max' | 'min'
  /** The position (row-major over the reduce axes) of the first largest or smallest body, as an i32. */
  | 'argmax' | 'argmin';

export interface Nest {
  readonly space: Shape;
  /** Empty when nothing is reduced; then `combine` is null. */
  readonly reduce: Shape;
  readonly combine: Combine | null;
  readonly body: Scalar;
  /** Operand k is read as contiguous data of this shape instead of its own (a reshape); absent or null entries mean its own. */
  readonly reinterpret?: readonly (Shape | null)[];
  /** The scatter form: out starts as zeros of `shape` and out[at] += body over the space. `reduce` is then empty. */
  readonly scatter?: { readonly shape: Shape; readonly at: readonly Index[] };
}

export const constant = (value: number, dtype: DType = 'f32'): Scalar => ({ kind: 'constant', value, dtype });
export const index = (at: Affine): Scalar => ({ kind: 'index', index: at });
export const load = (operand: number, at: readonly Index[]): Scalar => ({ kind: 'load', operand, at });
export const apply = (instruction: Instruction, ...args: readonly Scalar[]): Scalar => ({ kind: 'apply', instruction, arguments: args });
export const guard = (at: readonly { readonly index: Affine; readonly extent: number }[], then: Scalar, otherwise: Scalar): Scalar =>
  at.length === 0 ? then : { kind: 'guard', at, then, otherwise };

/** The scalars directly inside, in order. */
export function parts(scalar: Scalar): readonly Scalar[] {
  switch (scalar.kind) {
    case 'constant': case 'index': case 'local': return [];
    case 'load': return scalar.at.some(isGathered) ? scalar.at.flatMap(at => (isGathered(at) ? [at.gathered] : [])) : [];
    case 'apply': return scalar.arguments;
    case 'guard': return [scalar.then, scalar.otherwise];
    default: return scalar satisfies never;
  }
}

/** Arithmetic instructions in a body, conversions and index arithmetic not counted: the FLOPs of one evaluation. */
export function instructionCount(scalar: Scalar): number {
  const own = scalar.kind === 'apply' && !scalar.instruction.startsWith('to_') ? 1 : 0;
  return parts(scalar).reduce((sum, part) => sum + instructionCount(part), own);
}

/** FLOPs of a nest: body and combine over every iteration. A body that is only data movement combined by addition counts the additions. */
export function nestFlops(nest: Nest): number {
  const product = (shape: Shape): number => shape.reduce((a, b) => a * b, 1);
  const combined = nest.combine !== null || nest.scatter ? 1 : 0;
  return product(nest.space) * product(nest.reduce) * (instructionCount(nest.body) + combined);
}

/** The dtype a scalar has, given the dtypes of what it loads and of earlier locals. */
export function scalarType(scalar: Scalar, operands: readonly DType[], locals: readonly DType[] = []): DType {
  switch (scalar.kind) {
    case 'constant': return scalar.dtype;
    case 'index': return 'i32';
    case 'load': return operands[scalar.operand]!;
    case 'local': return locals[scalar.local]!;
    case 'guard': return scalarType(scalar.then, operands, locals);
    case 'apply': {
      const args = scalar.arguments;
      switch (scalar.instruction) {
        case 'lt': case 'le': case 'eq': case 'and': case 'or': case 'not': case 'to_bool': return 'bool';
        case 'to_i32': return 'i32';
        case 'to_u8': return 'u8';
        case 'to_f32': case 'random': return 'f32';
        case 'to_f16': return 'f16';
        case 'to_bf16': return 'bf16';
        case 'select': return scalarType(args[1]!, operands, locals);
        default: return scalarType(args[0]!, operands, locals);
      }
    }
    default: return scalar satisfies never;
  }
}
