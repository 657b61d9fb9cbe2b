/**
 * `nabla gradcheck`: the symbolic gradient of the loss against central differences, (f(θ + h) − f(θ − h)) / 2h, in double precision on
 * a small batch of random rows. What gradients do not pass through is held fixed, as the gradient takes it to be.
 */
import { parse } from '../1-parse/parse.ts';
import { indexLimits } from '../2-elaborate/index-limits.ts';
import { gradients } from '../ops/gradients.ts';
import { uniform } from '../ir/arithmetic.ts';
import { evaluateLowered, type RunNest } from '../ir/evaluate.ts';
import { topological, type Value } from '../ir/graph.ts';
import type { Model, Stage, State } from '../ir/model.ts';
import { enclosingScans, scanOf } from '../ir/scan.ts';
import { elements, printType, shapeOf, type DType } from '../ir/type.ts';
import { declared, type DeclaredRule } from '../ops/declared.ts';
import { isPrimitive, type Tensor } from '../ops/define.ts';
import { full } from '../ops/full.ts';
import { place, type SourceFile } from '../source/text.ts';
import { newNestRunner } from './compile-nest.ts';
import { chosenStage, compileOptions, compileSource, type CompileFlags, type ModelFlag } from './compile-file.ts';
import { Failure } from './failure.ts';
import { readSource } from './read-source.ts';
import { printTable } from './table.ts';

/** Elements of a parameter that are compared. */
const samples = 6;
/** In double precision the differences are good to about 1e-7 of the gradient. */
const tolerance = 1e-4;
/** A step that reaches over a kink of relu or max gives a wrong difference; a smaller one then does not. */
const stepSizes: readonly number[] = [1e-5, 1e-6, 1e-7];

export interface Comparison {
  readonly parameter: Value;
  /** The largest error over the elements compared, relative to their gradients. */
  readonly error: number;
  /** Null gradients: the loss does not depend on it. */
  readonly used: boolean;
  /** Functions on the way from it to the loss that declare their derivative. */
  readonly declared: readonly string[];
}

export function runGradcheck(path: string, flags: CompileFlags & ModelFlag & { readonly batch: string; readonly seed: string }): number {
  const model = smallModel(readSource(path), path, flags);
  const compared = compareGradients(model, Number(flags.seed), chosenStage(model, flags.model));
  const rows = compared.map(comparison => {
    const { parameter, error, used } = comparison;
    return [parameter.leaf!.name, printType(parameter.type), used ? error.toExponential(1) : '', verdict(comparison)];
  });
  process.stdout.write(printTable(['parameter', 'type', 'error', ''], rows));
  const wrong = compared.filter(({ error, declared }) => !(error <= tolerance) && declared.length === 0);
  if (wrong.length > 0) {
    const names = wrong.map(({ parameter: { leaf, origin } }) => `\`${leaf!.name}\`${origin?.span ? ` (${place(origin.span)})` : ''}`);
    throw new Failure(`the gradients of ${names.join(', ')} differ from finite differences by more than ${tolerance}`);
  }
  return 0;
}

/** A declared derivative is the author's word: it may differ from what the function computes, as that of a rounding does. */
function verdict({ error, used, declared }: Comparison): string {
  if (!used) return 'not used by the loss';
  const by = declared.length === 0 ? '' : `declared by ${declared.map(name => `\`${name}\``).join(', ')}`;
  return error <= tolerance ? ['right', by].filter(part => part !== '').join(', ') : by === '' ? 'WRONG' : by;
}

/** The model with a batch of the given rows instead of its own. */
function smallModel(source: SourceFile, path: string, flags: CompileFlags & ModelFlag & { readonly batch: string }): Model {
  const options = compileOptions(path, flags);
  const { model } = compileSource(source, 'elaborate', options);
  const stage = chosenStage(model, flags.model);
  if (stage.batchName === null || stage.batch === Number(flags.batch)) return model;
  return compileSource(withBatch(source, stage, flags.batch), 'elaborate', options).model;
}

function withBatch(source: SourceFile, stage: Stage, batch: string): SourceFile {
  const train = parse(source).file.items.filter(item => item.kind === 'train').find(block => (block.name?.text ?? stage.name) === stage.name);
  const setting = train?.settings.find(candidate => candidate.name.text === 'batch');
  const text = setting !== undefined
    ? `${source.text.slice(0, setting.span.start)}batch ${batch}${source.text.slice(setting.span.end)}`
    : train !== undefined
      ? `${source.text.slice(0, train.span.end - 1)}\nbatch ${batch}\n${source.text.slice(train.span.end - 1)}`
      : `${source.text}\ntrain ${stage.model} {\n  batch ${batch}\n}\n`;
  return { ...source, text };
}

/** Every trainable parameter's gradient at random values, compared in a few of its elements. */
export function compareGradients(model: Model, seed: number, stage: Stage = model.stages.at(-1)!): readonly Comparison[] {
  const { loss } = stage.training;
  if (loss === null) throw new Failure(`the model \`${stage.model}\` has no loss: there is no gradient to check`);
  const parameters = stage.parameters.filter(parameter => parameter.trainable).map(parameter => parameter.leaf);
  const symbolic = gradients(loss, full({ value: 1, dims: [], dtype: loss.type.dtype }), parameters);
  const draw = newDraws(seed);
  const run = newNestRunner();
  const roots = [loss, ...symbolic.filter(gradient => gradient !== null)];
  const feeds = feedsOf(model, stage, roots, seed, draw, run);
  const base = evaluateLowered(roots, feeds, run);
  const order = topological([loss]);
  const held = heldInLoops(loss, order, feeds, run);
  return parameters.map((parameter, i) => {
    const gradient = symbolic[i] ?? null;
    if (gradient === null) return { parameter, error: 0, used: false, declared: [] };
    const error = largestError(parameter, base.get(gradient)!, { loss, order, base, held, draw, run });
    return { parameter, error, used: true, declared: declaredBetween(order, parameter) };
  });
}

interface Setting {
  readonly loss: Value;
  /** What the loss depends on, operands before users. */
  readonly order: readonly Value[];
  readonly base: ReadonlyMap<Value, Tensor>;
  /** Values inside of loops that pass no gradient on, as they come at each time. */
  readonly held: ReadonlyMap<Value, readonly Tensor[]>;
  readonly draw: Draw;
  readonly run: RunNest;
}

function largestError(parameter: Value, gradient: Tensor, { loss, order, base, held, draw, run }: Setting): number {
  const changing = dependents(order, parameter);
  const unchanged = new Map([...base].filter(([value]) => !changing.has(value)));
  const at = base.get(parameter)!;
  const lossAt = (element: number, value: number): number => {
    const data = Float64Array.from(at.data);
    data[element] = value;
    const times = new Map<Value, number>();
    const replay = (value: Value, compute: () => Tensor): Tensor => {
      const known = held.get(value);
      if (known === undefined) return compute();
      const time = times.get(value) ?? 0;
      times.set(value, time + 1);
      return known[time]!;
    };
    return evaluateLowered([loss], new Map([...unchanged, [parameter, { ...at, data }]]), run, replay).get(loss)!.data[0]!;
  };
  // Below a thousandth of the largest gradient, the rounding of the loss is what would be measured.
  const least = Math.max(1e-6, 1e-3 * gradient.data.reduce((most, g) => Math.max(most, Math.abs(g)), 0));
  let largest = 0;
  for (const element of chosen(gradient.data.length, draw)) {
    const expected = gradient.data[element]!;
    const value = at.data[element]!;
    let error = Infinity;
    for (const h of stepSizes) {
      const difference = (lossAt(element, value + h) - lossAt(element, value - h)) / (2 * h);
      error = Math.min(error, Math.abs(difference - expected) / Math.max(Math.abs(difference), Math.abs(expected), least));
      if (error <= tolerance) break;
    }
    largest = Math.max(largest, error);
  }
  return largest;
}

/** Outside of loops what passes no gradient on simply keeps its value; inside it has one in each step. */
function heldInLoops(loss: Value, order: readonly Value[], feeds: ReadonlyMap<Value, Tensor>, run: RunNest): ReadonlyMap<Value, readonly Tensor[]> {
  const inside = enclosingScans(order.flatMap(value => scanOf(value) ?? []));
  const held = new Map(order.flatMap((value): [Value, Tensor[]][] => (inside.has(value) && value.operands.length > 0 && passesNothing(value) ? [[value, []]] : [])));
  if (held.size > 0) evaluateLowered([loss], feeds, run, (value, compute) => {
    const result = compute();
    held.get(value)?.push(result);
    return result;
  });
  return held;
}

const passesNothing = ({ op }: Value): boolean => op !== null && isPrimitive(op.definition) && op.definition.gradient === 'none';

/** What changes with the parameter, as far as gradients see it. */
function dependents(order: readonly Value[], parameter: Value): ReadonlySet<Value> {
  const changing = new Set([parameter]);
  for (const value of order) {
    if (!passesNothing(value) && value.operands.some(operand => changing.has(operand))) changing.add(value);
  }
  return changing;
}

/** The functions with a derivative of their own through which the loss depends on the parameter. */
function declaredBetween(order: readonly Value[], parameter: Value): readonly string[] {
  const changing = dependents(order, parameter);
  const rules = order.flatMap(value => (value.op === declared && changing.has(value) ? [value.attrs['rule'] as DeclaredRule] : []));
  return [...new Set(rules.map(rule => rule.shown))];
}

/** Different elements, all of them when there are few. */
function chosen(count: number, draw: Draw): readonly number[] {
  if (count <= samples) return Array.from({ length: count }, (_, i) => i);
  const elements = new Set<number>();
  while (elements.size < samples) elements.add(Math.floor(draw() * count));
  return [...elements];
}

/** Numbers in [0, 1). */
type Draw = () => number;

function newDraws(seed: number): Draw {
  let index = 0;
  return () => uniform(seed, 0, 0, index++);
}

/** Parameters a little off their initial values, so that nothing sits on a kink; random inputs; the rest as training starts. */
function feedsOf(model: Model, stage: Stage, roots: readonly Value[], seed: number, draw: Draw, run: RunNest): ReadonlyMap<Value, Tensor> {
  const scalar = (value: number): Tensor => ({ dtype: 'i32', shape: [], data: Float64Array.of(value) });
  const numbers: Readonly<Record<string, Tensor>> = { seed: scalar(seed), step: scalar(1), steps: scalar(10) };
  const feeds = new Map<Value, Tensor>();
  const owned = model.stages.flatMap(({ parameters, states }): readonly State[] => [...parameters, ...states]);
  const initials = owned.map(one => one.initial);
  for (const value of topological([...roots, ...initials])) {
    const number = value.leaf === null ? undefined : numbers[value.leaf.role];
    if (number !== undefined) feeds.set(value, number);
  }
  const first = evaluateLowered(initials, feeds, run);
  for (const { leaf, initial } of owned) {
    const { dtype, shape, data } = first.get(initial)!;
    feeds.set(leaf, { dtype, shape, data: leaf.leaf!.role === 'parameter' ? data.map(value => value + 0.1 * draw() - 0.05) : data });
  }
  const limits = indexLimits(stage.training);
  for (const input of stage.inputs) feeds.set(input, randomInput(input, limits.get(input) ?? null, draw));
  return feeds;
}

function randomInput({ type }: Value, limit: number | null, draw: Draw): Tensor {
  const whole = (below: number) => (): number => Math.floor(draw() * below);
  const real = (): number => 3 * draw() - 1.5;
  const next = {
    f32: real, f16: real, bf16: real, i32: whole(limit ?? 10), u8: whole(limit ?? 256), bool: whole(2),
  } satisfies Record<DType, Draw>;
  return { dtype: type.dtype, shape: shapeOf(type), data: Float64Array.from({ length: elements(type) }, next[type.dtype]) };
}
