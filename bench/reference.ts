/** The reference models that all systems train: which file describes each, how many steps a measurement takes. */

export interface ReferenceModel {
  readonly name: string;
  /** In `models/`, without its ending. */
  readonly file: string;
  /** Values for the file's hyperparameters and constants. */
  readonly settings: ReadonlyMap<string, string>;
  /**
   * Of so many first steps the losses must agree with those of every peer; null where they cannot: the dropout of `alexnet` draws other
   * numbers elsewhere, and GPT-2 is the code of `gpt` with other sizes.
   */
  readonly compared: number | null;
  /** Steps that are timed, for each system that trains the model; `torch-avx2` takes as many as `torch`. */
  readonly steps: Readonly<Partial<Record<Exclude<System, 'torch-avx2'>, number>>>;
}

/** nabla itself and its peers. */
export type System = 'nabla' | Peer;

export type Peer = (typeof peers)[number];

export type TorchPeer = 'torch' | 'torch-avx2';

/** TensorFlow.js has no gradient of convolutions on WebAssembly. `torch-avx2` is PyTorch held to the instructions that WebAssembly can reach, on a processor that has wider ones. */
export const peers = ['torch', 'torch-avx2', 'jax', 'tfjs', 'tfjs-cpu'] as const;

export const systemNames = { nabla: 'nabla', torch: 'PyTorch', 'torch-avx2': 'PyTorch, AVX2', jax: 'jax-js', tfjs: 'TensorFlow.js, WebAssembly', 'tfjs-cpu': 'TensorFlow.js, JavaScript' } as const satisfies Record<System, string>;

/**
 * A step of LeNet takes seconds in TensorFlow.js, and most of a second in jax-js. `alexnet-1` is for these two, in which a step of 16 images
 * takes minutes: one image, no dropout, and a rate at which the second loss, which shows whether gradients agree, is not 0.
 */
export const referenceModels: readonly ReferenceModel[] = [
  { name: 'mlp', file: 'mlp', settings: new Map(), compared: 5, steps: { nabla: 300, torch: 300, jax: 100, tfjs: 20, 'tfjs-cpu': 5 } },
  { name: 'lenet', file: 'lenet', settings: new Map(), compared: 3, steps: { nabla: 100, torch: 100, jax: 4, 'tfjs-cpu': 2 } },
  { name: 'alexnet', file: 'alexnet', settings: new Map(), compared: null, steps: { nabla: 6, torch: 6 } },
  {
    name: 'alexnet-1', file: 'alexnet', settings: new Map([['rows', '1'], ['drop', '0'], ['rate', '1e-5']]), compared: 2,
    steps: { nabla: 40, jax: 1, 'tfjs-cpu': 1 },
  },
  { name: 'lstm', file: 'lstm', settings: new Map(), compared: 3, steps: { nabla: 20, torch: 20, jax: 4, tfjs: 3, 'tfjs-cpu': 1 } },
  { name: 'gpt', file: 'gpt', settings: new Map(), compared: 3, steps: { nabla: 20, torch: 20, jax: 8, tfjs: 3, 'tfjs-cpu': 1 } },
  { name: 'gpt2', file: 'gpt2', settings: new Map(), compared: null, steps: { nabla: 2, torch: 3 } },
  { name: 'gpt2-1024', file: 'gpt2', settings: new Map([['rows', '1'], ['T', '1024']]), compared: null, steps: { nabla: 1, torch: 2 } },
];

export const threadsText = (threads: number): string => (threads === 1 ? 'one thread' : `${threads} threads`);
