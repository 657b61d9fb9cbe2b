/**
 * The f64 oracles of every backend: a graph by the references of its ops, a nest and a fused kernel by plain interpretation. Slow
 * and strict: a load outside its operand or at an index that does not exist is an error, never a silent zero.
 */
import type { Tensor } from '../ops/define.ts';
import type { Affine } from './affine.ts';
import { convert, erf, uniform } from './arithmetic.ts';
import { topological, type Value } from './graph.ts';
import { isGathered, scalarType, type BinaryInstruction, type Combine, type Index, type Nest, type Scalar, type UnaryInstruction } from './nest.ts';
import type { Kernel } from './program.ts';
import { insideOf, openLeaves, scanOf, scanResultOf, type Scan } from './scan.ts';
import { size, strides, type DType, type Shape } from './type.ts';

/** The values of `roots` and of all that they depend on, by the ops' references. `feeds` gives the leaves, and may give any value. */
export function evaluateGraph(roots: readonly Value[], feeds: ReadonlyMap<Value, Tensor>): Map<Value, Tensor> {
  return evaluate(roots, feeds, (value, operands) => {
    const { definition } = value.op!;
    if (!('reference' in definition)) throw new Error(`\`${definition.name}\` has no reference`);
    return definition.reference(operands, value.attrs);
  });
}

/**
 * The same by the nests that the ops lower to. `run` is the way to run a nest; `intercept` sees each value that is computed, in loops each
 * time that it is, and may give another one for it.
 */
export function evaluateLowered(
  roots: readonly Value[], feeds: ReadonlyMap<Value, Tensor>, run: RunNest = evaluateNest,
  intercept: (value: Value, compute: () => Tensor) => Tensor = (_, compute) => compute(),
): Map<Value, Tensor> {
  return evaluate(roots, feeds, (value, operands) => {
    const { definition } = value.op!;
    if (!('lower' in definition)) throw new Error(`composite \`${definition.name}\` in a graph`);
    return intercept(value, () => run(definition.lower(value.operands.map(operand => operand.type), value.attrs, value.type), operands));
  });
}

/** A way to run a nest: the oracle here, or a backend. */
export type RunNest = (nest: Nest, operands: readonly Tensor[]) => Tensor;

function evaluate(
  roots: readonly Value[], feeds: ReadonlyMap<Value, Tensor>, apply: (value: Value, operands: readonly Tensor[]) => Tensor,
): Map<Value, Tensor> {
  // A loop gives its own leaves their values.
  const values = new Map([...feeds].filter(([{ leaf }]) => leaf?.role !== 'counter' && leaf?.role !== 'carry'));
  const results = new Map<Value, ScanResults>();
  const order = topological(roots);
  const open = openLeaves(order);
  compute(order);
  for (const root of roots) if (!values.has(root)) throw new Error('a leaf that the value depends on was not fed');
  return values;

  function compute(order: readonly Value[]): void {
    for (const value of order) {
      if (values.has(value) || value.op === null) continue;
      const scan = scanOf(value);
      if (scan !== null) {
        // In a loop it runs in the steps of that.
        if ([...open.get(value)!].every(leaf => values.has(leaf)) && scan.initials.every(initial => values.has(initial))) run(scan);
        continue;
      }
      const result = scanResultOf(value);
      if (result !== null) {
        const found = results.get(result.scan)?.[result.part][result.which];
        if (found) values.set(value, found);
        continue;
      }
      const operands = value.operands.map(operand => values.get(operand)).filter(operand => operand !== undefined);
      // What only leads to a value that was given may lack its leaves.
      if (operands.length === value.operands.length) values.set(value, apply(value, operands));
    }
  }

  function run(scan: Scan): void {
    const { counter, carries, initials, nexts, yields, length, reversed } = scan;
    const all = insideOf(scan);
    const deeper = new Set(all.flatMap(value => (scanOf(value) ? insideOf(scanOf(value)!) : [])));
    const inside = all.filter(value => !deeper.has(value));
    const steps: (readonly Tensor[])[] = [];
    let carried = initials.map(initial => values.get(initial)!);
    for (let step = 0; step < length.extent; step++) {
      const position = reversed ? length.extent - 1 - step : step;
      values.set(counter, { dtype: 'i32', shape: [], data: Float64Array.of(position) });
      carries.forEach((leaf, k) => values.set(leaf, carried[k]!));
      compute(inside);
      steps[position] = yields.map(each => values.get(each)!);
      carried = nexts.map(next => values.get(next)!);
      for (const value of [...inside, counter, ...carries]) values.delete(value);
      for (const value of inside) results.delete(value);
    }
    results.set(scan.value, { final: carried, sequence: yields.map((_, j) => stacked(steps.map(step => step[j]!))) });
  }
}

interface ScanResults {
  readonly final: readonly Tensor[];
  readonly sequence: readonly Tensor[];
}

/** Tensors of one shape one after the other along a new first dimension. */
function stacked(tensors: readonly Tensor[]): Tensor {
  const [{ dtype, shape, data }] = tensors as readonly [Tensor];
  const all = new Float64Array(tensors.length * data.length);
  tensors.forEach((tensor, i) => all.set(tensor.data, i * data.length));
  return { dtype, shape: [tensors.length, ...shape], data: all };
}

/** The result of a nest. Loads are checked against the operands' shapes, or against those that the nest reads them in. */
export function evaluateNest(nest: Nest, operands: readonly Tensor[]): Tensor {
  const read = operands.map((operand, k) => {
    const shape = nest.reinterpret?.[k];
    if (!shape) return operand;
    if (size(shape) !== operand.data.length) throw new Error(`operand ${k} of ${operand.data.length} elements is read as ${shape.join('×')}`);
    return { ...operand, shape };
  });
  const bodyType = scalarType(nest.body, operands.map(operand => operand.dtype));
  const { scatter } = nest;
  if (scatter) {
    const out = zeros(bodyType, scatter.shape);
    eachPosition(nest.space, axes => {
      const frame = { axes, tensors: read, locals: [] };
      out.data[placeIn(out, scatter.at, frame)]! += scalar(nest.body, frame);
    });
    return out;
  }
  const out = zeros(nest.combine === 'argmax' || nest.combine === 'argmin' ? 'i32' : bodyType, nest.space);
  let next = 0;
  eachPosition(nest.space, axes => {
    out.data[next++] = combined(nest.combine, nest.body, nest.reduce, { axes, tensors: read, locals: [] });
  });
  return out;
}

/**
 * Runs a fused kernel. A load's operand counts operands first, then outputs. Outputs may be given, to accumulate into or because
 * they are also operands; else they start as zeros.
 */
export function executeKernel(kernel: Kernel, operands: readonly Tensor[], given?: readonly Tensor[]): readonly Tensor[] {
  const outputs = given ?? kernel.outputs.map(access => zeros(access.dtype, access.shape));
  const accesses = [...kernel.operands, ...kernel.outputs];
  const shaped = [...operands, ...outputs].map((tensor, k) => ({ ...tensor, shape: accesses[k]!.shape }));
  eachPosition(kernel.space, axes => {
    const locals: number[] = [];
    for (const [i, step] of kernel.steps.entries()) {
      switch (step.kind) {
        case 'reduce':
          locals[step.local] = combined(step.combine, step.body, step.axes, { axes, tensors: shaped, locals });
          break;
        case 'store':
          if (step.joined) break;
          eachPosition(step.axes, inner => {
            const frame = { axes: [...axes, ...inner], tensors: shaped, locals };
            const writes = joinedStores(kernel.steps, i).map(store => {
              const out = shaped[kernel.operands.length + store.output]!;
              return { store, out, place: placeIn(out, store.at, frame), value: scalar(store.body, frame) };
            });
            for (const { store, out, place, value } of writes) out.data[place] = store.accumulate ? out.data[place]! + value : value;
          });
          break;
        case 'clear':
          shaped[kernel.operands.length + step.output]!.data.fill(0);
          break;
        default: step satisfies never;
      }
    }
  });
  return outputs;
}

/** The store at `first` and those that are joined to it. */
function joinedStores(steps: Kernel['steps'], first: number): readonly (Kernel['steps'][number] & { readonly kind: 'store' })[] {
  const run = steps.slice(first);
  const end = run.findIndex((step, i) => i > 0 && !(step.kind === 'store' && step.joined));
  return (end < 0 ? run : run.slice(0, end)).filter(step => step.kind === 'store');
}

interface Frame {
  readonly axes: readonly number[];
  readonly tensors: readonly Tensor[];
  readonly locals: readonly number[];
}

function combined(combine: Combine | null, body: Scalar, reduce: Shape, frame: Frame): number {
  if (combine === null) return scalar(body, frame);
  const values: number[] = [];
  eachPosition(reduce, inner => values.push(scalar(body, { ...frame, axes: [...frame.axes, ...inner] })));
  switch (combine) {
    case 'add': return values.reduce((a, b) => a + b, 0);
    case 'mul': return values.reduce((a, b) => a * b, 1);
    case 'max': return values.reduce((a, b) => Math.max(a, b), -Infinity);
    case 'min': return values.reduce((a, b) => Math.min(a, b), Infinity);
    case 'argmax': return values.reduce((best, value, i) => (value > values[best]! ? i : best), 0);
    case 'argmin': return values.reduce((best, value, i) => (value < values[best]! ? i : best), 0);
    default: return combine satisfies never;
  }
}

function scalar(s: Scalar, frame: Frame): number {
  switch (s.kind) {
    case 'constant': return s.value;
    case 'index': return exactly(s.index, frame);
    case 'local': {
      const value = frame.locals[s.local];
      if (value === undefined) throw new Error(`local ${s.local} is read before it is computed`);
      return value;
    }
    case 'load': {
      const tensor = frame.tensors[s.operand];
      if (tensor === undefined) throw new Error(`there is no operand ${s.operand}`);
      return tensor.data[placeIn(tensor, s.at, frame)]!;
    }
    case 'guard':
      return s.at.every(({ index, extent }) => {
        const at = position(index, frame);
        return Number.isInteger(at) && at >= 0 && at < extent;
      }) ? scalar(s.then, frame) : scalar(s.otherwise, frame);
    case 'apply': return applied(s, frame);
    default: return s satisfies never;
  }
}

function applied(s: Extract<Scalar, { kind: 'apply' }>, frame: Frame): number {
  const [a, b, c, d] = s.arguments.map(argument => scalar(argument, frame)) as [number, number, number, number];
  if (s.instruction === 'select') return a !== 0 ? b : c;
  if (s.instruction === 'random') return uniform(a, b, c, d);
  return s.instruction in unary ? unary[s.instruction as UnaryInstruction](a) : binary[s.instruction as BinaryInstruction](a, b);
}

const unary = {
  neg: a => -a,
  abs: Math.abs,
  exp: Math.exp,
  log: Math.log,
  sqrt: Math.sqrt,
  tanh: Math.tanh,
  erf,
  sin: Math.sin,
  cos: Math.cos,
  floor: Math.floor,
  not: a => (a === 0 ? 1 : 0),
  to_i32: a => convert(a, 'i32'),
  to_u8: a => convert(a, 'u8'),
  to_f32: a => convert(a, 'f32'),
  to_bool: a => convert(a, 'bool'),
  to_f16: a => convert(a, 'f16'),
  to_bf16: a => convert(a, 'bf16'),
} as const satisfies Record<UnaryInstruction, (a: number) => number>;

const binary = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  mod: (a, b) => {
    const rest = a % b;
    return rest !== 0 && rest < 0 !== b < 0 ? rest + b : rest;
  },
  pow: Math.pow,
  max: Math.max,
  min: Math.min,
  lt: (a, b) => Number(a < b),
  le: (a, b) => Number(a <= b),
  eq: (a, b) => Number(a === b),
  and: (a, b) => Number(a !== 0 && b !== 0),
  or: (a, b) => Number(a !== 0 || b !== 0),
} as const satisfies Record<BinaryInstruction, (a: number, b: number) => number>;

/** The offset in elements of a position, checked. */
function placeIn(tensor: Tensor, at: readonly Index[], frame: Frame): number {
  const { shape } = tensor;
  if (at.length !== shape.length) throw new Error(`${at.length} indices for rank ${shape.length}`);
  const steps = strides(shape);
  return at.reduce((offset, index, d) => {
    const where = isGathered(index) ? scalar(index.gathered, frame) : exactly(index, frame);
    const inside = Number.isInteger(where) && where >= 0 && where < shape[d]!;
    if (!inside) throw new Error(`position ${where} is outside dimension ${d} of extent ${shape[d]!}`);
    return offset + where * steps[d]!;
  }, 0);
}

const position = (index: Affine, frame: Frame): number =>
  index.terms.reduce((sum, term) => sum + term.times * frame.axes[term.axis]!, index.offset) / index.divisor;

function exactly(index: Affine, frame: Frame): number {
  const at = position(index, frame);
  if (!Number.isInteger(at)) throw new Error(`index ${at} does not exist`);
  return at;
}

function eachPosition(shape: Shape, visit: (axes: readonly number[]) => void): void {
  const count = size(shape);
  for (let flat = 0; flat < count; flat++) {
    let rest = flat;
    const axes = new Array<number>(shape.length);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      axes[axis] = rest % shape[axis]!;
      rest = Math.floor(rest / shape[axis]!);
    }
    visit(axes);
  }
}

const zeros = (dtype: DType, shape: Shape): Tensor => ({ dtype, shape, data: new Float64Array(size(shape)) });
