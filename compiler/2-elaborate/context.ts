/**
 * The state of one elaboration: where it is, what it has reported and made. Everything that must stay the same between the
 * training, the evaluation and the single-row elaboration of a model (leaves, paths of layers) lives in `Registry`.
 */
import type { ModelItem, Statement } from '../1-parse/ast.ts';
import { leaf, type Phase, type Update, type Value } from '../ir/graph.ts';
import { tensor, type TensorType } from '../ir/type.ts';
import type { AnyOp } from '../ops/define.ts';
import type { Diagnostic, Label } from '../source/diagnostic.ts';
import type { Span } from '../source/text.ts';
import type { Item } from './item.ts';
import type { OpenScan } from './scan.ts';
import type { ModelBody, Module, Site } from './scope.ts';
import type { InputVocabulary } from './vocabulary.ts';

export interface Context {
  readonly ops: ReadonlyMap<string, AnyOp>;
  readonly diagnostics: Diagnostic[];
  /** Places and codes reported so far. */
  readonly said: Set<string>;
  readonly registry: Registry;
  /** The innermost expression in a file of the user's, and the library expression inside it, if that is where we are. */
  at: Span;
  libraryAt: Span | null;
  /** Where the innermost open definition was called or applied. */
  calledAt: Span | null;
  /** The path of layer instances. */
  path: readonly string[];
  phase: Phase;
  training: boolean;
  /** Whether anything was asked for whose answer is another in evaluation than in training. */
  dependsOnTraining: boolean;
  /** The batch dimension's extent in this elaboration. */
  batch: number;
  batchName: string | null;
  /** Set while the initial value of a parameter is elaborated. */
  initialiser: { readonly type: TensorType; readonly path: string; draws: number } | null;
  /** The present value of states, by path; an update shows in what is read after it. */
  readonly current: Map<string, Value>;
  readonly updates: Map<string, Update>;
  /** Random numbers drawn so far, by path of instances. */
  readonly draws: Map<string, number>;
  /** Whether a shape was looked at: an optimizer that does so is not elaborated flat. */
  shapeRead: boolean;
  /** Calls of functions and layers that are open, and expressions that are open. */
  depth: number;
  nesting: number;
  /** Times that something was reported, repetitions too. */
  problems: number;
  /** The operator being applied, with its operands as messages show them. */
  operator: { readonly span: Span; readonly left: Label; readonly right: Label } | null;
  /** Indices of index notation that are open. */
  openIndices: number;
  /** The `scan` whose body is being elaborated. */
  scan: OpenScan | null;
  /** The name of the synthetic source whose rows are being elaborated. */
  readonly source: string | null;
  /** Expressions evaluated and values made so far, for the limits. */
  work: number;
  values: number;
}

export interface Registry {
  readonly parameters: Map<string, RegisteredLeaf>;
  readonly states: Map<string, RegisteredLeaf>;
  readonly scalars: { readonly seed: Value; readonly step: Value; readonly steps: Value; readonly learningRateFactor: Value };
  /** Names given to construction sites inside an instance, by the instance's path. */
  readonly names: Map<string, NameTable>;
  readonly sites: Map<readonly Statement[], ReadonlyMap<number, Site>>;
  readonly said: Set<string>;
  /** Of the inputs that are fed with texts; null where what was written is in error. */
  readonly vocabularies: Map<string, InputVocabulary | null>;
  /** The models of the file, by name, in its order. */
  readonly models: Map<string, RegisteredModel>;
}

export interface RegisteredModel {
  readonly definition: ModelItem;
  readonly module: Module;
  readonly hyperparameters: ReadonlyMap<string, Item>;
  /** Of its root: the model's name where the file has several, nothing where it is alone. */
  readonly path: readonly string[];
  /** Models that it holds, by their names, with the place that says so. */
  readonly holds: Map<string, Span>;
  /** Its body in evaluation, on inputs of its own, by their batch: what holds it finds layers and inputs there. */
  readonly bodies: Map<number, ExecutedModel>;
  /** `waiting` until its body is elaborated; `wrong` when something in it was reported. */
  progress: 'waiting' | 'right' | 'wrong';
}

export interface RegisteredLeaf {
  readonly leaf: Value;
  readonly initial: Value;
  readonly span: Span;
  /** The user's expression that first applied the layer. */
  readonly appliedAt: Span;
}

export interface NameTable {
  /** By site and how many times it was reached before in the same application. */
  readonly given: Map<string, string>;
  /** Numbers given to a name so far. */
  readonly numbers: Map<string, number>;
}

/** Limits that keep a wrong or hostile file from hanging the compiler; far above what a model needs. */
export const limits = {
  turns: 10_000, values: 200_000, elements: 2 ** 31, rank: 16, list: 100_000, depth: 64, nesting: 400, work: 1_000_000,
  /** Errors after which no more names are suggested. */
  suggestions: 200,
};

/** Thrown after a diagnostic was reported, or when an operand is poison; `evaluate` turns it into a poison item. */
export class Reported extends Error {}

/** Thrown after a limit of the whole elaboration was reported: nothing more is elaborated. */
export class Exhausted extends Error {}

export function newRegistry(): Registry {
  const scalar = tensor('i32', []);
  return {
    parameters: new Map(), states: new Map(), names: new Map(), sites: new Map(), said: new Set(), vocabularies: new Map(), models: new Map(),
    scalars: {
      seed: leaf('seed', 'seed', scalar), step: leaf('step', 'step', scalar), steps: leaf('steps', 'steps', scalar),
      learningRateFactor: leaf('learning_rate_factor', 'learning_rate_factor', tensor('f32', [])),
    },
  };
}

export function newContext(ops: ReadonlyMap<string, AnyOp>, registry: Registry, diagnostics: Diagnostic[], at: Span): Context {
  return {
    ops, registry, diagnostics, said: registry.said, at, libraryAt: null, calledAt: null, path: [], phase: 'forward', training: true, dependsOnTraining: false,
    batch: 1, batchName: null, initialiser: null,
    current: new Map(), updates: new Map(), draws: new Map(), shapeRead: false, depth: 0, nesting: 0, problems: 0, operator: null, openIndices: 0, scan: null, source: null,
    work: 0, values: 0,
  };
}

/** Whether this is elaborated for training; whoever asks may make something else of it in evaluation. */
export function isTraining(context: Context): boolean {
  context.dependsOnTraining ||= context.training;
  return context.training;
}

/** What the body of a model came to. */
export interface ExecutedModel {
  readonly model: ModelBody;
  readonly names: ReadonlyMap<string, Item>;
  readonly batchName: string | null;
}

export interface Problem {
  readonly code: string;
  readonly message: string;
  /** Where it is, when that is narrower than the expression being evaluated. Library places become secondary. */
  readonly span?: Span;
  readonly label?: string;
  readonly secondary?: readonly Label[];
  readonly notes?: readonly string[];
  readonly help?: string | null;
}

/** Adds a diagnostic. The body of a model is elaborated several times: what was said at a place with a code is not said again. */
export function report(context: Context, problem: Problem): void {
  context.problems++;
  const own = problem.span ?? context.libraryAt ?? context.at;
  const inLibrary = own.file.library;
  // A misfit of two operands is shown at the right one, with the left one beside it.
  const operator = own === context.operator?.span ? context.operator : null;
  const span = inLibrary ? context.at : (operator?.right.span ?? own);
  const key = `${problem.code} ${span.start} ${span.end} ${span.file.path}`;
  if (context.said.has(key)) return;
  context.said.add(key);
  const label = inLibrary ? undefined : (operator?.right.text ?? problem.label);
  const { calledAt } = context;
  // A name or a declaration is wrong by itself; a shape may be wrong because of how the body was called.
  const ofShapes = /^(type|where)\.|\.C\d+$/.test(problem.code) && problem.secondary === undefined;
  const caller = ofShapes && !inLibrary && calledAt !== null && !calledAt.file.library && calledAt !== span
    ? [{ span: calledAt, text: 'in this call' }] : [];
  const beside = inLibrary ? [{ span: own, text: 'in the library' }] : operator ? [operator.left] : [];
  const secondary = [...(problem.secondary ?? []), ...caller, ...beside];
  context.diagnostics.push({
    code: problem.code, message: problem.message, span,
    ...(label === undefined ? {} : { label }),
    ...(secondary.length === 0 ? {} : { secondary }),
    ...(problem.notes === undefined ? {} : { notes: problem.notes }),
    ...(problem.help == null ? {} : { help: problem.help }),
  });
}

/** Reports and gives up on the present expression. */
export function fail(context: Context, problem: Problem): never {
  report(context, problem);
  throw new Reported();
}

/** Reports a limit of the whole elaboration and ends it. */
export function exhaust(context: Context, problem: Problem): never {
  report(context, problem);
  throw new Exhausted();
}

export const didYouMean = (near: string | null, otherwise: string | null = null): string | null =>
  near === null ? otherwise : `did you mean \`${near}\`?`;

/** Runs `action` with the present place moved to `span`. */
export function within<T>(context: Context, span: Span, action: () => T): T {
  const { at, libraryAt } = context;
  if (span.file.library) context.libraryAt = span;
  else {
    context.at = span;
    context.libraryAt = null;
  }
  try {
    return action();
  } finally {
    context.at = at;
    context.libraryAt = libraryAt;
  }
}

/** Runs `action`; null when it gave up on something reported. */
export function attempt<T>(action: () => T): T | null {
  try {
    return action();
  } catch (error) {
    if (error instanceof Reported) return null;
    throw error;
  }
}

/** The word that a block begins with, for what concerns the block as a whole. */
export const keyword = (block: Span, word: string): Span => ({ ...block, end: block.start + word.length });
