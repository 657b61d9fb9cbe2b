/**
 * The last level before text: kernels, one static arena with an offset for every buffer, and for each entry the calls in order.
 * Equal kernels of different layers are one template called with different offsets.
 */
import type { Origin } from './graph.ts';
import type { Combine, Index, Scalar } from './nest.ts';
import type { DType, Shape } from './type.ts';

/**
 * A fused loop nest. The iterations over `space` are independent of each other; within one, the steps run in order. Axes are
 * numbered: 0 … n−1 are `space`, n … are the step's own. A load may read what an earlier step of the same iteration stored.
 */
export interface Kernel {
  readonly name: string;
  readonly space: Shape;
  readonly operands: readonly Access[];
  readonly outputs: readonly Access[];
  readonly steps: readonly Step[];
  /** Computed by the host in double precision: scalars of `seed`, `step` and `steps` alone. */
  readonly host: boolean;
  readonly flops: number;
}

/** Contiguous row-major data at a base offset that each call gives. */
export interface Access {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
}

export type Step =
  /** local := combine over the axes of body. */
  | { readonly kind: 'reduce'; readonly local: number; readonly axes: Shape; readonly combine: Combine; readonly body: Scalar }
  /**
   * outputs[output][at] := body, or += body, for every position of the axes. A joined store shares the loop of the store before it,
   * and in each iteration all bodies are evaluated before any of the joined stores takes effect: they may read what the others replace.
   */
  | {
    readonly kind: 'store'; readonly output: number; readonly axes: Shape; readonly at: readonly Index[]; readonly body: Scalar;
    readonly accumulate: boolean; readonly joined: boolean;
  }
  /** outputs[output] := 0, before a scatter; only with an empty space. */
  | { readonly kind: 'clear'; readonly output: number };

/** A tensor's place in the arena. */
export interface Buffer {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
  /** Bytes from the start of the arena; a multiple of 64. */
  readonly offset: number;
  readonly bytes: number;
  readonly role: 'parameter' | 'state' | 'input' | 'scalar' | 'transient';
  /** First and last call that needs it, in its entry; null for what outlives an entry. */
  readonly lifetime: readonly [number, number] | null;
  readonly origin: Origin | null;
}

export interface Call {
  readonly kernel: number;
  /** Element offsets from the start of the arena, in units of each access's own element size: operands first, then outputs. */
  readonly offsets: readonly number[];
  /** The same places as buffers, for pictures. */
  readonly reads: readonly number[];
  readonly writes: readonly number[];
  readonly origins: readonly Origin[];
}

export interface ProgramEntry {
  readonly name: string;
  readonly calls: readonly Call[];
  readonly results: readonly TensorPlace[];
}

/** A named tensor in the arena, as the runtime sees it. */
export interface TensorPlace {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
  /** Bytes from the start of the arena. */
  readonly offset: number;
}

export interface Program {
  readonly buffers: readonly Buffer[];
  readonly kernels: readonly Kernel[];
  readonly entries: readonly ProgramEntry[];
  readonly arenaBytes: number;
  readonly inputs: readonly TensorPlace[];
  readonly parameters: readonly TensorPlace[];
  /** By parameter name; valid after a training step. */
  readonly gradients: readonly TensorPlace[];
  readonly states: readonly TensorPlace[];
  /** Where the host writes `seed`, `step` and `steps`. */
  readonly scalars: readonly TensorPlace[];
}
