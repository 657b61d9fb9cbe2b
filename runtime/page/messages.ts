/** What the page and its trainer, which is a web worker, tell one another. Plain data. */
import type { Classes } from '../table.ts';
import type { CompiledProgram, InputPlace, Interval, ResultPlace, TrainSettings } from '../program.ts';
import type { TensorArray } from '../tensor.ts';

/** From the page. Each is answered by a report, if only by `failed`. */
export type TrainerRequest =
  | { readonly kind: 'files'; readonly files: readonly NamedBytes[] }
  | { readonly kind: 'start'; readonly settings: PageSettings }
  /** Steps from now on multiply the learning rate by it. */
  | { readonly kind: 'learningRateFactor'; readonly factor: number }
  | { readonly kind: 'pause' | 'resume' | 'reset' | 'save' | 'example' }
  | { readonly kind: 'load'; readonly file: NamedBytes }
  | { readonly kind: 'predict'; readonly rows: Readonly<Record<string, TensorArray>> }
  /** The outputs that depend on no input. */
  | { readonly kind: 'draw'; readonly seed: number }
  /** Tokens, as they come; `stop` ends that. */
  | { readonly kind: 'generate'; readonly prompt: string | null; readonly temperature: number; readonly seed: number }
  | { readonly kind: 'stop' };

export interface NamedBytes {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** What a run takes from the page instead of the model's file. */
export interface PageSettings {
  readonly threads: number;
  readonly learningRateFactor: number;
  /** Null where several stages train, each as its train block says. */
  readonly changed: ChangedSettings | null;
}

export interface ChangedSettings {
  readonly length: Interval;
  readonly seed: number;
  readonly evaluateEvery: Interval;
}

export type TrainerState = 'idle' | 'running' | 'paused' | 'finished';

/** From the trainer. */
export type TrainerReport =
  | { readonly kind: 'ready'; readonly facts: ProgramFacts }
  | { readonly kind: 'data'; readonly facts: DataFacts }
  /** `note` is for the person at the page; it stays until the next. */
  | { readonly kind: 'state'; readonly state: TrainerState; readonly threads: number; readonly note: string | null }
  | { readonly kind: 'progress'; readonly progress: ProgressFacts }
  | { readonly kind: 'example'; readonly rows: Readonly<Record<string, TensorArray>> }
  | { readonly kind: 'prediction' | 'drawn'; readonly outputs: Readonly<Record<string, TensorArray>> }
  | { readonly kind: 'text'; readonly piece: string }
  | { readonly kind: 'generated'; readonly outputs: Readonly<Record<string, TensorArray>> }
  | { readonly kind: 'weights'; readonly bytes: Uint8Array }
  | { readonly kind: 'loaded'; readonly name: string }
  | { readonly kind: 'failed'; readonly request: TrainerRequest['kind']; readonly message: string };

/** What the page shows of a program. */
export interface ProgramFacts extends Pick<CompiledProgram, 'name' | 'data'> {
  readonly inputs: readonly InputPlace[];
  /** Whether rows go in and come out. */
  readonly batched: boolean;
  /** Of the only stage that trains; null where none does, or several. */
  readonly settings: TrainSettings | null;
  /** Those that a prediction takes. */
  readonly predictInputs: readonly string[];
  readonly outputs: readonly ResultPlace[];
  /** Those that depend on no input. */
  readonly drawnOutputs: readonly ResultPlace[];
  /** Null where nothing is drawn from a prompt alone. */
  readonly generation: GenerationFacts | null;
  readonly trains: boolean;
  /** Whether an optimizer takes a learning rate. */
  readonly learningRate: boolean;
  readonly engine: string;
  readonly mostThreads: number;
  /** Why that is one; null where it is more, or where the program has no use for others. */
  readonly alone: string | null;
  readonly memoryBytes: number;
}

export interface GenerationFacts {
  /** What the model's file has for one; null where none is asked for. */
  readonly prompt: string | null;
  /** Whether what is drawn goes on where the prompt ends. */
  readonly continues: boolean;
  readonly temperature: number;
  /** What is computed from the tokens in the end. */
  readonly outputs: readonly ResultPlace[];
}

export interface DataFacts {
  readonly trainRows: number;
  readonly testRows: number;
  /** The texts of categorical fields, by input. */
  readonly classes: ReadonlyMap<string, Classes>;
  readonly pictures: ReadonlyMap<string, PictureFacts>;
}

/** How the pictures of an input lie in its rows, measured on the first of them. */
export interface PictureFacts {
  /** Black and white. */
  readonly low: number;
  readonly high: number;
  /** The mean along the border: what is around things. */
  readonly border: number;
  /** The longer side of what is drawn, and its centre of mass, in pixels; null where they vary from row to row. */
  readonly placement: Placement | null;
}

export interface Placement {
  readonly side: number;
  readonly x: number;
  readonly y: number;
}

export interface ProgressFacts {
  /** Which of several; null of one. */
  readonly stage: string | null;
  readonly step: number;
  readonly steps: number;
  /** From 1; null where the data has no epochs. */
  readonly epoch: number | null;
  readonly epochs: number;
  /** Of the last steps, smoothed: the loss, then metrics. */
  readonly values: readonly NamedValue[];
  readonly learningRate: number | null;
  /** Rows a second, or steps where there are no rows. */
  readonly speed: number;
  readonly unit: string;
  readonly secondsLeft: number;
  readonly curves: readonly LearningCurve[];
}

export interface NamedValue {
  readonly name: string;
  readonly value: number;
}

/** A result over the steps: means of a few training steps each, and evaluations. */
export interface LearningCurve {
  readonly name: string;
  readonly training: PointList;
  readonly test: PointList;
}

export interface PointList {
  readonly steps: readonly number[];
  readonly values: readonly number[];
}
