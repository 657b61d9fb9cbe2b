/**
 * The machine of programs whose kernels are WebAssembly: one shared memory, the module over it, and the threads that run its entries
 * together. Uses node: modules.
 */
import { availableParallelism } from 'node:os';
import { setFlagsFromString } from 'node:v8';
import { Worker } from 'node:worker_threads';
import { DataError, messageOf } from './data-error.ts';
import { webAssembly, type WebAssemblyMemory } from './webassembly.ts';

/** What the compiler knows of a module; places are bytes of the memory. */
export interface MachinePlan {
  /** The module's bytes in base64. */
  readonly module: string;
  /** Numbers of the entries that all threads run together; the others would be over before anyone could help. */
  readonly shared: readonly number[];
  /** The word that says how many threads there are. */
  readonly threadsAt: number;
  /** The word that is set when a thread fails, for good. */
  readonly failedAt: number;
  /** The word that says how often a waiting thread looks before it sleeps. */
  readonly patienceAt: number;
  /** The word that says which micro-kernel runs; null where there are no products. */
  readonly microAt: number | null;
  /** Where each thread's own memory begins, one after the other. */
  readonly scratchAt: number;
  readonly scratchBytes: number;
}

export interface Machine {
  readonly memory: ArrayBuffer;
  /** Runs an entry, by its number. */
  readonly run: (entry: number) => void;
  /** Runs one call of an entry, on this thread alone; only of a module that was made to be inspected. */
  readonly step: (entry: number, call: number) => void;
  readonly threads: Threads;
}

export interface Threads {
  /** The most that `start` takes; 1 in an engine whose threads share no memory. */
  readonly most: number;
  /** How many compute, this one included; one where there is too little to share. */
  readonly count: () => number;
  /** As many threads as given from now on. Results do not depend on it. */
  readonly start: (count: number) => void;
  /** Back to one thread; never fails. */
  readonly stop: () => void;
}

/**
 * In an engine that cannot run the program the machine says so when it is used, not when the program is imported. Programs call this
 * before the constants of the runtime are there, so none is read before that either.
 */
export function openMachine(plan: MachinePlan): Machine {
  askForSpeed();
  const { Memory, Module, Instance } = webAssembly();
  const pageBytes = 65536;
  const pages = (threads: number): number => Math.ceil((plan.scratchAt + threads * plan.scratchBytes) / pageBytes);
  let memory: WebAssemblyMemory;
  let module: object;
  try {
    module = new Module(Buffer.from(plan.module, 'base64'));
  } catch (error) {
    return unusable(plan, () => `this engine does not know all instructions of the program (${messageOf(error)}): build it with \`--deterministic\`, `
      + 'which asks for the least, or with `--target typescript`');
  }
  try {
    memory = new Memory({ initial: pages(1), maximum: 65536, shared: true });
  } catch (error) {
    return unusable(plan, () => `the program needs ${pages(1) * pageBytes} bytes of memory in 4 GiB of addresses (${messageOf(error)}): `
      + 'allow the process more memory, see `ulimit -v`, or build it with `--target typescript`');
  }
  const { exports } = new Instance(module, { env: { memory } });
  const words = new Int32Array(memory.buffer);
  words[plan.threadsAt / 4] = 1;
  if (plan.microAt !== null) words[plan.microAt / 4] = fasterMicroKernel(exports, words, plan.scratchAt);
  const most = typeof SharedArrayBuffer === 'undefined' ? 1 : 256;
  let workers: readonly Worker[] = [];
  const end = -1;
  const fail = (): number => Atomics.store(words, plan.failedAt / 4, 1);
  const requireHealth = (): void => {
    if (Atomics.load(words, plan.failedAt / 4) === 0) return;
    throw new DataError('a thread of the program stopped working: start the program again, with `--threads 1` if that happens twice; '
      + '`--resume` goes on from the last checkpoint');
  };
  const call = (entry: number): void => {
    requireHealth();
    try {
      if (entry === end || plan.shared.includes(entry)) exports['run']!(entry);
      else exports['dispatch']!(entry, 0, 1);
    } catch (error) {
      requireHealth();
      // The others wait for this one.
      if (workers.length > 0) fail();
      throw error;
    }
  };
  const stop = (): void => {
    if (workers.length === 0) return;
    try {
      call(end);
    } catch {
      // After a failure each thread ends by itself.
    }
    workers = [];
    words[plan.threadsAt / 4] = 1;
  };
  const start = (count: number): void => {
    requireHealth();
    if (count > 1 && most === 1) throw new DataError('this engine has no memory that threads can share: the program runs on one, `--threads 1`');
    if (!Number.isInteger(count) || count < 1 || count > most) throw new DataError(`the number of threads is ${count}, but must be a whole number from 1 to ${most}`);
    const others = plan.shared.length === 0 ? 0 : count - 1;
    if (others === workers.length) return;
    stop();
    const started: Worker[] = [];
    try {
      const missing = pages(count) - memory.buffer.byteLength / pageBytes;
      if (missing > 0) memory.grow(missing);
      words[plan.threadsAt / 4] = count;
      // With more threads than cores, whoever waits keeps the one waited for from running.
      words[plan.patienceAt / 4] = count > availableParallelism() ? 0 : 20_000;
      while (started.length < others) started.push(startWorker({ module, memory, thread: started.length + 1, failedAt: plan.failedAt }, fail));
    } catch (error) {
      words[plan.threadsAt / 4] = 1;
      if (started.length > 0) fail();
      throw new DataError(`${count} threads cannot be started (${messageOf(error)}): give a lower number with \`--threads\``);
    }
    workers = started;
  };
  return { memory: memory.buffer, run: call, step: (entry, number) => void exports['step']!(entry, number), threads: { most, count: () => workers.length + 1, start, stop } };
}

/** A machine that gives the reason why it cannot run as soon as it is asked to. */
export function unusable(plan: MachinePlan, reason: () => string): Machine {
  const refuse = (): never => {
    throw new DataError(reason());
  };
  return { memory: new ArrayBuffer(plan.scratchAt), run: refuse, step: refuse, threads: { most: 1, count: () => 1, start: refuse, stop: () => undefined } };
}

/** Another thread; `failed` is called when it has ended with a failure. It does not keep the process alive. */
export function startWorker(workerData: object, failed: () => void): Worker {
  // Neither flags nor environment: what they have a process load first is of no use here, and may fail.
  const worker = new Worker(workerText, { eval: true, execArgv: [], env: {}, workerData });
  worker.on('error', failed);
  worker.on('exit', code => {
    if (code !== 0) failed();
  });
  worker.unref();
  return worker;
}

/** What another thread does: takes part until it is told to stop. If it ends before that, in whatever way, the others learn of it. */
export const workerText = `
  const { workerData: { module, memory, thread, failedAt } } = require('node:worker_threads');
  let finished = false;
  process.on('exit', () => {
    if (!finished) Atomics.store(new Int32Array(memory.buffer), failedAt / 4, 1);
  });
  new WebAssembly.Instance(module, { env: { memory } }).exports.work(thread);
  finished = true;
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
  // For each k, 8 numbers of the left side and 16 of the right; a tile has 6 rows of 16 sums.
  const [left, right, tile] = [scratchAt, scratchAt + 32 * k, scratchAt + 96 * k];
  const values = new Float32Array(words.buffer, scratchAt, 24 * k);
  for (let i = 0; i < values.length; i++) values[i] = ((i * 37) % 101) / 101;
  const sums = new Int32Array(words.buffer, tile, 96);
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
