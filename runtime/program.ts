/**
 * What a compiled program is to the runtime: one memory with named places in it, functions that run over that memory in one or several
 * stages, and the settings of the model's file. Everything else here works on any such program.
 */
import type { GenerateOptions, Generated } from './generate.ts';
import type { Threads } from './machine.ts';
import type { SourceContext, SourceReader } from './source-readers.ts';
import type { Column } from './stored-tensor.ts';
import type { Tokenizer } from './tokenizer.ts';

export type DType = 'f32' | 'f16' | 'bf16' | 'i32' | 'u8' | 'bool';

/** A named tensor in memory, row-major. Half-precision values are held as 4-byte floats, rounded; u8 and bool take one byte. */
export interface TensorPlace {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Bytes from the start of the memory. */
  readonly offset: number;
}

/** What an entry computes. */
export interface ResultPlace extends TensorPlace {
  /** Of an output that is shown as pictures. */
  readonly image?: ImageLayout;
}

/** How pictures lie in a tensor behind its first dimension, which counts them. */
export interface ImageLayout {
  readonly channels: 1 | 3;
  readonly height: number;
  readonly width: number;
  /** A pixel's channels lie together, [height, width, channels]; else one channel lies after the other. */
  readonly channelsLast: boolean;
}

export interface InputPlace extends TensorPlace {
  /** Whole numbers must be below this: the input is an index of a table or of classes. */
  readonly below: number | null;
}

export interface Entry {
  /** Computes, or has the device compute some time later, but in the order of the calls. */
  readonly run: () => void;
  /** By which a device knows it. */
  readonly number: number;
  /** Names of the inputs that it reads. */
  readonly inputs: readonly string[];
  /**
   * `train`: loss, metrics, lr, grad_norm, the first two from `accumulate` where there is one; `evaluate`: loss, metrics; `predict`:
   * the outputs that depend on inputs; `predictOnce`: the others.
   */
  readonly results: readonly ResultPlace[];
  /** Data rows that one run takes. */
  readonly rows: number;
}

/**
 * A memory of their own in which a program's kernels compute, such as a GPU's. The program's `memory` is then where it exchanges tensors
 * with the host: every run takes its inputs and the scalars from there, everything else is there once it is fetched.
 */
export interface Device {
  /** Resolves when entries can run, and must have before anything else here is called; again it does nothing. */
  readonly open: () => Promise<void>;
  /** What the runs until now leave in the given places is in `memory` when it resolves. */
  readonly fetch: (places: readonly TensorPlace[]) => Promise<void>;
  /** Runs from now on find in the given places what `memory` holds there now. */
  readonly send: (places: readonly TensorPlace[]) => void;
  /** The first element of each result of the last `runs` runs of an entry, one run after the other, the oldest first. */
  readonly recent: (entry: Entry, runs: number) => Promise<Float64Array>;
  /** For how many runs of an entry `recent` has results. */
  readonly window: number;
}

export interface CompiledProgram {
  readonly name: string;
  /** Hash of the model's file and of the graph made from it: what a checkpoint must agree with. */
  readonly source: string;
  readonly memory: ArrayBuffer;
  /** Null where kernels compute in `memory` itself: then a run is over when it returns, and nothing has to be waited for. */
  readonly device: Device | null;
  /** Null where a program computes on one thread only. */
  readonly threads: Threads | null;
  /** The first dimension of the inputs is the batch, of the stage that takes the most rows; otherwise every input is fed whole. */
  readonly batched: boolean;
  readonly inputs: readonly InputPlace[];
  readonly parameters: readonly TensorPlace[];
  /** Of layers, such as running means, moving averages of parameters, and the optimiser's, whose names start with `optimizer.`. */
  readonly states: readonly TensorPlace[];
  /**
   * Byte offsets of the numbers that the training loop writes, whole ones but for the factor. `step` counts from 1. The factor is what the
   * learning rate of every optimizer is multiplied by; null where none has one.
   */
  readonly scalars: { readonly seed: number; readonly step: number; readonly steps: number; readonly learningRateFactor: number | null };
  /** In the order in which they run, each on what those before have left. */
  readonly stages: readonly Stage[];
  readonly data: DataSettings | null;
  /** For every format of files that a source of the data has. */
  readonly readers: Readonly<Partial<Record<Exclude<DataSource['format'], 'synthetic'>, SourceReader>>>;
  /** Null where the rows of all sources come from files. */
  readonly synthetic: {
    readonly sources: readonly SyntheticSource[];
    readonly columns: (program: CompiledProgram) => Promise<ReadonlyMap<string, readonly Column[]>>;
  } | null;
  /** Of the texts that are fed to inputs: what `DataField.tokens` counts. */
  readonly tokenizers: readonly Tokenizer[];
  /** Null where no field holds pictures. */
  readonly pictures: SourceContext['pictures'];
}

/** A model as a train block trains it, or as it is where no block does. */
export interface Stage {
  /** The train block's, or the model's. */
  readonly name: string;
  readonly model: string;
  /** The first dimension of what it gives is the batch. */
  readonly batched: boolean;
  /** Names of the program's inputs that are the model's. */
  readonly inputs: readonly string[];
  /** Valid after `train.run()`. */
  readonly gradients: readonly TensorPlace[];
  /** Fills the model's parameters and states from the seed, and the states of this stage's optimiser. */
  readonly initialise: () => void;
  /** Several batches make one step: `batch` runs for each, with `step` the number of the batch, then `train`; null where one does. */
  readonly accumulate: { readonly count: number; readonly batch: Entry } | null;
  /** With `accumulate` it takes no rows: it reads the gradients that the batches have added up. */
  readonly train: Entry | null;
  /** The norm of all gradients of the last step, as `grad_norm`; null where a training step gives it already. */
  readonly gradientNorm: Entry | null;
  readonly evaluate: Entry | null;
  /** `evaluate` and `predict` for one row: for what is left of the data after whole batches. */
  readonly evaluateRow: Entry | null;
  readonly predict: Entry | null;
  readonly predictRow: Entry | null;
  /** Outputs that depend on no input, such as samples of a generator, all in one run. */
  readonly predictOnce: Entry | null;
  /** Null without a `generate` block. */
  readonly generator: Generator | null;
  readonly settings: TrainSettings;
  readonly flopsPerStep: number;
}

/** What draws tokens one after the other. */
export interface Generator {
  /** `generateTokens`: programs that draw nothing carry no code for it. */
  readonly draw: (program: CompiledProgram, stage: Stage, generator: Generator, options: GenerateOptions) => Promise<Generated>;
  /** Once, then at each position `step`, after it `scores` where they are wanted. */
  readonly start: Entry;
  readonly step: Entry;
  readonly scores: Entry;
  /** What is computed from all tokens in the end. */
  readonly drawn: Entry | null;
  /** Where tokens go. */
  readonly sequence: TensorPlace;
  /** Byte offset of the position, a whole number: token k is the newest at k + before. */
  readonly position: number;
  readonly before: number;
  /** The scores that token k completes are those at position k + lag. */
  readonly lag: number;
  /** Of the program's tokenizers; null where tokens are no text. */
  readonly vocabulary: number | null;
  /** How many tokens that end a text stand before its first. */
  readonly begins: number;
  /** The other inputs that the scores depend on. */
  readonly given: readonly string[];
  /** The input that the prompt gives; null where none is a text. */
  readonly prompt: string | null;
  readonly settings: GenerateSettings;
}

export interface GenerateSettings {
  readonly prompt: string | null;
  /** The most tokens to draw; null for as many as there are positions. */
  readonly length: number | null;
  /** What scores are divided by; 0 takes the likeliest token. */
  readonly temperature: number;
  /** How many of the likeliest tokens may be drawn; null for all. */
  readonly topK: number | null;
  /** The likeliest tokens that together have this probability may be drawn; null for all. */
  readonly topP: number | null;
  /** Texts that end what is drawn. */
  readonly stop: readonly string[];
}

/** A source whose rows the program computes. */
export interface SyntheticSource {
  /** `train` or `test`. */
  readonly name: string;
  readonly rows: number;
  /** Gives the rows from the one on whose number the scalar `step` holds, a result for each input. */
  readonly entry: Entry;
}

export interface TrainSettings {
  readonly epochs: number | null;
  readonly steps: number | null;
  readonly seed: number;
  readonly clipNorm: number | null;
  /** Batches of which a step takes the mean gradient. */
  readonly accumulate: number;
  /** Decay of the moving average of every trained parameter `X`, a state called `ema.X`; null without. */
  readonly ema: number | null;
  readonly precision: DType;
  /** Bytes; null for no limit. */
  readonly memory: number | null;
  readonly evaluateEvery: Interval | null;
  readonly checkpointEvery: Interval | null;
  /** How many older checkpoints are kept beside the newest; the newest alone when 1. */
  readonly checkpointKeep: number;
  /** Evaluations without improvement of the loss after which training stops. */
  readonly earlyStop: number | null;
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
  /** Chooses the rows of a split: the one in the model's file. */
  readonly seed: number;
}

export interface DataSource {
  /** `train` or `test`. */
  readonly name: string;
  readonly format: 'idx' | 'csv' | 'npy' | 'npz' | 'safetensors' | 'text' | 'jsonl' | 'images' | 'synthetic';
  readonly fields: readonly DataField[];
  readonly separator: string;
  readonly header: boolean;
  /** text: from the beginning of one window to the next; null for the length of the longest. */
  readonly stride: number | null;
}

export interface DataField {
  readonly input: string;
  readonly dtype: DType;
  /** Of one row, without the batch dimension. */
  readonly shape: readonly number[];
  /** Empty in a synthetic source. */
  readonly file: string;
  /**
   * csv: names (or zero-based positions) of the columns. jsonl, npz and safetensors: the one field's or tensor's name. images:
   * `picture` or `folder`. Empty otherwise.
   */
  readonly columns: readonly string[];
  /** csv, jsonl, images: text values are classes, numbered in the order in which they sort. */
  readonly categorical: boolean;
  /** csv, jsonl, images: text values are paths of picture files in the data folder. */
  readonly picture: boolean;
  /** csv, jsonl, text: texts are read as tokens; null where they are not. */
  readonly tokens: TokenField | null;
  readonly below: number | null;
}

export interface TokenField {
  /** Of the program's tokenizers. */
  readonly vocabulary: number;
  /** Tokens that are skipped first; below 0 in a text with an end, tokens that end a text are put before it. */
  readonly shift: number;
}
