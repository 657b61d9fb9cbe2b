/** What runs compiled programs, for commands that run parts of one themselves. */
import type { GpuPlan } from '../6-emit/wgsl/plan.ts';
import type { TensorPlace } from '../ir/program.ts';
import type { DType, Shape } from '../ir/type.ts';
import { loadRuntime } from './load-runtime.ts';

/** See `runtime/machine.ts`. */
export interface MachinePlan {
  readonly module: string;
  readonly sharedFlagsAt: readonly number[];
  readonly arena: { readonly bytes: number; readonly threadBytes: number } | null;
  readonly shared: readonly number[];
  readonly threadsAt: number;
  readonly failedAt: number;
  readonly patienceAt: number;
  readonly microAt: number | null;
  readonly scratchAt: number;
  readonly scratchBytes: number;
  readonly spareBytes: number;
}

export interface Machine {
  readonly memory: ArrayBuffer;
  readonly run: (entry: number) => void;
  readonly threads: { readonly start: (count: number) => Promise<void>; readonly stop: () => void };
}

/** See `runtime/gpu-machine.ts`. */
export interface GpuMachine {
  readonly memory: ArrayBuffer;
  readonly run: (entry: number) => void;
  readonly device: { readonly open: () => Promise<void>; readonly fetch: (places: readonly TensorPlace[]) => Promise<void> };
}

/** What `fillInputs` reads of a program. */
export interface FillableProgram {
  readonly memory: ArrayBuffer;
  readonly inputs: readonly { readonly name: string; readonly dtype: DType; readonly shape: Shape; readonly offset: number; readonly below: number | null }[];
}

export interface LoadedMachine {
  readonly openMachine: (plan: MachinePlan) => Machine;
  /** Made-up inputs, as `nabla bench` has them. */
  readonly fillInputs: (program: FillableProgram, seed: number) => void;
  readonly openGpu: (plan: GpuPlan) => GpuMachine;
  /** Fails where there is no GPU. The flags are for the implementation of the package `webgpu`. */
  readonly requestGpuAdapter: (flags?: readonly string[]) => Promise<{ readonly gpu: { readonly requestAdapter: (options: object) => Promise<object | null> }; readonly adapter: object }>;
}

export const loadMachine = (): Promise<LoadedMachine> => loadRuntime<LoadedMachine>('openMachine', 'openGpu', 'fillInputs', 'requestGpuAdapter');
