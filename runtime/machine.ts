/**
 * The machine of programs whose kernels are WebAssembly: one shared memory, the module over it, and the threads that run its entries
 * together. Uses node: modules.
 */
import { setFlagsFromString } from 'node:v8';
import { Worker } from 'node:worker_threads';
import { DataError } from './data-error.ts';
import { webAssembly } from './webassembly.ts';

/** What the compiler knows of a module; places are bytes of the memory. */
export interface MachinePlan {
  /** The module's bytes in base64. */
  readonly module: string;
  /** The word that says how many threads there are. */
  readonly threadsAt: number;
  /** The word that a thread sets when it fails. */
  readonly failedAt: number;
  /** The word that says which micro-kernel runs; null where there are no products. */
  readonly microAt: number | null;
  /** Where each thread's own memory begins, one after the other. */
  readonly scratchAt: number;
  readonly scratchBytes: number;
}

export interface Machine {
  readonly memory: ArrayBuffer;
  /** Runs an entry on all threads, by its number. */
  readonly run: (entry: number) => void;
  /** Runs one call of an entry, on this thread alone; only of a module that was made to be inspected. */
  readonly step: (entry: number, call: number) => void;
  readonly threads: Threads;
}

export interface Threads {
  /** How many compute, this one included. */
  readonly count: () => number;
  /** As many threads as given from now on. Results do not depend on it. */
  readonly start: (count: number) => void;
  readonly stop: () => void;
}

export function openMachine(plan: MachinePlan): Machine {
  askForSpeed();
  const { Memory, Module, Instance } = webAssembly();
  const pageBytes = 65536;
  const pages = (threads: number): number => Math.ceil((plan.scratchAt + threads * plan.scratchBytes) / pageBytes);
  const memory = new Memory({ initial: pages(1), maximum: 65536, shared: true });
  const module = new Module(Buffer.from(plan.module, 'base64'));
  const { exports } = new Instance(module, { env: { memory } });
  const words = new Int32Array(memory.buffer);
  words[plan.threadsAt / 4] = 1;
  if (plan.microAt !== null) words[plan.microAt / 4] = fasterMicroKernel(exports, words, plan.scratchAt);
  let workers: readonly Worker[] = [];
  const call = (entry: number): void => {
    try {
      exports['run']!(entry);
    } catch (error) {
      const failed = words[plan.failedAt / 4]!;
      if (failed === 0) throw error;
      throw new DataError(`thread ${failed} of the program stopped working: nothing was saved since the last checkpoint; try again with \`--threads 1\``);
    }
  };
  const stop = (): void => {
    if (workers.length === 0) return;
    call(-1);
    workers = [];
    words[plan.threadsAt / 4] = 1;
  };
  const start = (count: number): void => {
    if (count === workers.length + 1) return;
    stop();
    const missing = pages(count) - pages(1);
    if (missing > 0) memory.grow(missing);
    words[plan.threadsAt / 4] = count;
    workers = Array.from({ length: count - 1 }, (_, i) => {
      const worker = new Worker(workerText, { eval: true, workerData: { module, memory, thread: i + 1, failedAt: plan.failedAt } });
      worker.unref();
      return worker;
    });
  };
  return { memory: memory.buffer, run: call, step: (entry, number) => void exports['step']!(entry, number), threads: { count: () => workers.length + 1, start, stop } };
}

/** What another thread does: takes part until it is told to stop; a failure is marked for the others to see. */
export const workerText = `
  const { workerData: { module, memory, thread, failedAt } } = require('node:worker_threads');
  try {
    new WebAssembly.Instance(module, { env: { memory } }).exports.work(thread);
  } catch (error) {
    Atomics.store(new Int32Array(memory.buffer), failedAt / 4, thread);
    throw error;
  }
`;

/** Before the module is compiled: V8 pairs 128-bit operations into 256-bit ones, and compiles with its optimising tier at once. */
export function askForSpeed(): void {
  const [major] = process.versions.node.split('.').map(Number);
  if (process.versions['v8'] === undefined) return;
  if (major! < 22) setFlagsFromString('--experimental-wasm-relaxed-simd');
  else setFlagsFromString('--experimental-wasm-revectorize');
  setFlagsFromString('--no-liftoff');
}

/**
 * 0 for the micro-kernel that computes 16 columns at a time, 1 for the one that computes 8. Which is faster depends on the engine, by
 * up to three times. The first must also give the same sums.
 */
export function fasterMicroKernel(exports: Readonly<Record<string, (...args: readonly number[]) => number>>, words: Int32Array, scratchAt: number): number {
  const k = 64;
  const [left, right, tile] = [scratchAt, scratchAt + 16 * k, scratchAt + 80 * k];
  const values = new Float32Array(words.buffer, scratchAt, 20 * k);
  for (let i = 0; i < values.length; i++) values[i] = ((i * 37) % 101) / 101;
  const sums = new Int32Array(words.buffer, tile, 64);
  const timed = (name: string): { readonly time: number; readonly sums: Int32Array } => {
    const kernel = exports[name]!;
    let time = Infinity;
    for (let round = 0; round < 5; round++) {
      const started = performance.now();
      for (let i = 0; i < 50; i++) kernel(left, right, tile, k, 1);
      time = Math.min(time, performance.now() - started);
    }
    return { time, sums: sums.slice() };
  };
  const wide = timed('micro.wide');
  const narrow = timed('micro.narrow');
  return wide.time <= narrow.time && wide.sums.every((bits, i) => bits === narrow.sums[i]) ? 0 : 1;
}
