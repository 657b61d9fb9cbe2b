/**
 * What elaboration gives: models whose layers are instantiated, whose loops are unrolled and whose shapes are known, each with the
 * optimiser and the settings of a train block. Differentiation turns them into a `Graph` of entries.
 */
import type { Span } from '../source/text.ts';
import type { Named, Update, Value } from './graph.ts';
import type { DType, Shape } from './type.ts';

/** A file: its stages in the order in which they run, over the same parameters. */
export interface Model {
  /** Of the model, where the file has one; else of the file. */
  readonly name: string;
  readonly doc: string;
  readonly stages: readonly Stage[];
  /** Of all models by their names; where models have one of the same name, the leaf of the most rows. */
  readonly inputs: readonly Value[];
  /** Of inputs that are positions or classes: what their numbers, from 0 on, must be below. */
  readonly limits: ReadonlyMap<string, number>;
  readonly data: DataSettings | null;
}

/** A model as a train block trains it, or as it is where no block does. */
export interface Stage {
  /** The train block's, or the model's. */
  readonly name: string;
  /** The model's. */
  readonly model: string;
  /** Rows of a training batch: the extent of the inputs' first dimension. */
  readonly batch: number;
  /** The name of that dimension; null when no input has a batch dimension (every input then is fed whole). */
  readonly batchName: string | null;
  readonly inputs: readonly Value[];
  readonly parameters: readonly Parameter[];
  /** Of layers, such as running means; the optimiser's own are in its groups. */
  readonly states: readonly State[];
  /** `if training` taken. */
  readonly training: Forward;
  readonly evaluation: Forward;
  /** Evaluation of a single row, for what is left of a data set after whole batches. Null without a batch dimension. */
  readonly single: Forward | null;
  /** What a training step does, in order, each from the parameters as those before have left them. Empty without a train block. */
  readonly minimizations: readonly Minimization[];
  readonly settings: TrainSettings;
  /** Null where no generate block draws from it. */
  readonly generation: Generation | null;
}

/** Tokens drawn one after the other, each from the scores that the model has for it after those before. Of one row. */
export interface Generation {
  /** The input leaf that holds the tokens, `i32[1, T]`. */
  readonly sequence: Value;
  /** `f32[1, T, V]`, computed from it. */
  readonly scores: Value;
  /** False where the model computes the tokens itself while it is trained. */
  readonly isInput: boolean;
  /** The other inputs that the scores depend on. */
  readonly given: readonly string[];
  /** What is computed from all tokens in the end; empty where they are an input. */
  readonly outputs: readonly Named[];
  /** The input that a prompt gives; null where none is a text. */
  readonly prompt: string | null;
  readonly settings: GenerateSettings;
}

export interface GenerateSettings {
  /** Null for none. */
  readonly prompt: string | null;
  /** The most tokens to draw; null for as many as there are positions. */
  readonly length: number | null;
  /** What scores are divided by. */
  readonly temperature: number;
  /** How many of the likeliest tokens may be drawn; null for all. */
  readonly topK: number | null;
  /** The likeliest tokens that together have this probability may be drawn; null for all. */
  readonly topP: number | null;
  /** Texts that end what is drawn. */
  readonly stop: readonly string[];
}

/** How the graph and the program call what a stage does: `train`, or `Dvae.train` where there are several stages. */
export const entryName = ({ stages }: Pick<Model, 'stages'>, stage: Stage, what: string): string =>
  (stages.length === 1 ? what : `${stage.name}.${what}`);

/** The stage of that name, or the last one of the model of that name; the last one of all without a name. Null where there is none. */
export const stageNamed = ({ stages }: Pick<Model, 'stages'>, name: string | undefined): Stage | null =>
  (name === undefined ? stages.at(-1)! : stages.find(stage => stage.name === name) ?? stages.findLast(stage => stage.model === name) ?? null);

/** Which stage an entry of the graph is of. */
export const stageOfEntry = ({ stages }: Pick<Model, 'stages'>, entry: string): Stage =>
  (stages.length === 1 ? stages[0]! : stages.find(stage => entry.startsWith(`${stage.name}.`))!);

/** The least that a stage allows: all of them run in one memory. */
export const memoryLimit = ({ stages }: Pick<Model, 'stages'>): MemoryLimit | null =>
  stages.map(stage => stage.settings.memory).reduce((least, limit) => (least === null || (limit !== null && limit.bytes < least.bytes) ? limit : least), null);

/** One elaboration of the model's body. Leaves are shared between elaborations: the same `Value` for the same parameter. */
export interface Forward {
  readonly inputs: readonly Value[];
  /** The sum of the losses; null when the model declares none. */
  readonly loss: Value | null;
  /** Each loss by its name. Where there are several, they are among the metrics too. */
  readonly losses: readonly Named[];
  readonly metrics: readonly Named[];
  readonly outputs: readonly Output[];
  /** State updates; empty in evaluation. */
  readonly updates: readonly Update[];
}

/** `output samples = … as image`: the layout of the pictures; null for what is shown as numbers. */
export interface Output extends Named {
  readonly image: ImageLayout | null;
}

/** How pictures lie in a tensor behind its first dimension, which counts them. */
export interface ImageLayout {
  readonly channels: 1 | 3;
  readonly height: number;
  readonly width: number;
  /** A pixel's channels lie together, [height, width, channels]; else one channel lies after the other. */
  readonly channelsLast: boolean;
}

export interface Parameter {
  readonly leaf: Value;
  /** Its path in its model; the leaf's name begins with the model's where a file has several. */
  readonly path: string;
  /** Computed at start from the seed; depends on nothing but `seed`. */
  readonly initial: Value;
  /** False for what the train block's `freeze` names. */
  readonly trainable: boolean;
  readonly span: Span;
}

export interface State {
  readonly leaf: Value;
  readonly initial: Value;
}

/** `minimize loss over … with …`: a loss and the parameters that descend it. No parameter is in two. */
export interface Minimization {
  /** Of the model as it is trained. */
  readonly loss: Value;
  readonly groups: readonly ParameterGroup[];
}

/**
 * Parameters that share one setting of the optimiser. The optimiser is elaborated once for the group on one-dimensional leaves as
 * long as all its parameters together when it is elementwise (`flat`), else once for each parameter.
 */
export interface ParameterGroup {
  readonly parameters: readonly Parameter[];
  readonly flat: boolean;
  /** One when flat, else one for each parameter, in order. */
  readonly rules: readonly UpdateRule[];
}

/** The optimiser applied to stand-ins: differentiation puts the real parameter and gradient in their place. */
export interface UpdateRule {
  /** Leaves of role `parameter` and `input`, of the same type. */
  readonly parameter: Value;
  readonly gradient: Value;
  readonly updated: Value;
  /** State leaves have the optimiser's names for them (`m`, `v`), without a path. */
  readonly states: readonly (State & { readonly updated: Value })[];
  /** The optimiser's argument `lr`, a scalar of `step` and `steps`; null when it has none. */
  readonly learningRate: Value | null;
}

export interface TrainSettings {
  readonly epochs: number | null;
  readonly steps: number | null;
  readonly seed: number;
  readonly clipNorm: number | null;
  /** Batches of which a step takes the mean gradient. */
  readonly accumulate: number;
  /** Decay of an exponential moving average of the parameters, used in evaluation and saved beside them. */
  readonly ema: number | null;
  readonly precision: DType;
  /** Null for no limit. */
  readonly memory: MemoryLimit | null;
  readonly evaluateEvery: Interval | null;
  readonly checkpointEvery: Interval | null;
  readonly checkpointKeep: number;
  /** Evaluations without improvement of the loss after which training stops. */
  readonly earlyStop: number | null;
}

/** The most that a program may allocate, and where the user says so. */
export interface MemoryLimit {
  readonly bytes: number;
  readonly span: Span;
}

export interface Interval {
  readonly count: number;
  readonly unit: 'steps' | 'epochs';
}

export interface DataSettings {
  readonly sources: readonly DataSource[];
  readonly shuffle: boolean;
  /** Share of the training rows kept for training when there is no test source; null for no split. */
  readonly split: number | null;
  /** The number of last rows held out as test rows instead; null for none. */
  readonly holdOut: number | null;
  /** Chooses the rows of a split. */
  readonly seed: number;
  /** What fields with tokens count. */
  readonly vocabularies: readonly Vocabulary[];
}

/** The tokens that texts are made of: whole numbers from 0 up to, and not including, `size`. */
export type Vocabulary = { readonly size: number; readonly end: number | null } & (
  /** One token for each of them, in order. */
  | { readonly kind: 'characters'; readonly characters: string }
  | { readonly kind: 'bytes' }
  | BytePairs
);

/** Byte-pair encoding as GPT-2 has it. */
export interface BytePairs {
  readonly kind: 'tokens';
  /** What cuts a text into pieces: a regular expression with the flags `gu`. */
  readonly pattern: string;
  /** The token of each byte. */
  readonly bytes: readonly number[];
  /** Two tokens for each merge, the first merge first. */
  readonly pairs: readonly number[];
  /** The tokens that merges make, as runs: a number and how many count on from it. */
  readonly merged: readonly number[];
  /** Tokens that stand for themselves. */
  readonly special: readonly (readonly [text: string, token: number])[];
}

export interface DataSource {
  /** `train`, `test`. */
  readonly name: string;
  readonly format: 'idx' | 'csv' | 'npy' | 'npz' | 'safetensors' | 'text' | 'jsonl' | 'images' | 'synthetic';
  readonly fields: readonly DataField[];
  readonly separator: string;
  readonly header: boolean;
  /** text: from the beginning of one window to the next; null for the length of the longest. */
  readonly stride: number | null;
  /** synthetic: what makes its rows; null for other formats. */
  readonly synthetic: SyntheticRows | null;
}

/** Rows that the program computes itself, `atOnce` of them in a run, from the row on whose number the leaf `step` holds then. */
export interface SyntheticRows {
  readonly rows: number;
  readonly atOnce: number;
  /** For each input what it is fed with, rows along the first dimension. */
  readonly results: readonly Named[];
}

export interface DataField {
  readonly input: string;
  readonly dtype: DType;
  /** Of one row, without the batch dimension. */
  readonly shape: Shape;
  /** Empty in a synthetic source. */
  readonly file: string;
  /**
   * csv: names (or zero-based positions as text) of the columns, in order. jsonl, npz and safetensors: the one field's or tensor's
   * name. images: `picture` or `folder`. Empty otherwise.
   */
  readonly columns: readonly string[];
  /** csv, jsonl, images: text values are classes, numbered in the order in which they sort. */
  readonly categorical: boolean;
  /** csv, jsonl, images: text values are paths of picture files in the data folder. */
  readonly picture: boolean;
  /** csv, jsonl, text: which vocabulary, and how many tokens are skipped first; null where values are no texts of tokens. */
  readonly tokens: { readonly vocabulary: number; readonly shift: number } | null;
  /** Whole numbers must be below this; null for no limit. Known where the input is an index of a table or of classes. */
  readonly below: number | null;
}
