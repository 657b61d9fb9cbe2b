/**
 * What runs compiled programs, for a command that runs parts of one itself: the runtime's own text, loaded as a program carries it,
 * so that what is measured here is what runs there.
 */
import { reached, readRuntime, withoutTypes } from '../6-emit/runtime.ts';
import type { GpuPlan } from '../6-emit/wgsl/plan.ts';
import type { TensorPlace } from '../ir/program.ts';
import type { DType, Shape } from '../ir/type.ts';

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

export interface LoadedRuntime {
  readonly openMachine: (plan: MachinePlan) => Machine;
  /** Made-up inputs, as `nabla bench` has them. */
  readonly fillInputs: (program: FillableProgram, seed: number) => void;
  readonly openGpu: (plan: GpuPlan) => GpuMachine;
  /** Fails where there is no GPU. The flags are for the implementation of the package `webgpu`. */
  readonly requestGpuAdapter: (flags?: readonly string[]) => Promise<{ readonly gpu: { readonly requestAdapter: (options: object) => Promise<object | null> }; readonly adapter: object }>;
}

export async function loadRuntime(): Promise<LoadedRuntime> {
  const wanted = ['openMachine', 'openGpu', 'fillInputs', 'requestGpuAdapter'];
  const { declarations, imports } = reached(readRuntime(), new Set(wanted));
  const text = withoutTypes([...imports, ...declarations.map(declaration => declaration.text), `export { ${wanted.join(', ')} };`].join('\n'));
  const url = `data:text/javascript;base64,${Buffer.from(text).toString('base64')}`;
  return (await import(url)) as LoadedRuntime;
}
