/**
 * The machine of programs whose kernels are WebAssembly: one memory, shared where the engine lets threads share any, the module over it,
 * and the threads that run its entries together. Works on any platform.
 */
import { DataError, messageOf } from './data-error.ts';
import { engine } from './engine.ts';
import { webAssembly, type WebAssemblyMemory } from './webassembly.ts';

/** What the compiler knows of a module; places are bytes of the memory. */
export interface MachinePlan {
  /** The module's bytes in base64. */
  readonly module: string;
  /** The bytes of the module that say that its memories are shared. */
  readonly sharedFlagsAt: readonly number[];
  /**
   * Of a program that needs more than 4 GiB: the size of its arena, which is a memory of its own with 64-bit addresses, and how many
   * bytes behind it each thread has for itself. Null where the arena begins the one memory.
   */
  readonly arena: { readonly bytes: number; readonly threadBytes: number } | null;
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
  /** Bytes behind all of this, or behind an arena of its own, that loads may reach. */
  readonly spareBytes: number;
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
  /** The most that `start` takes. */
  readonly most: number;
  /** Why that is one: what whoever starts the program may want to tell; null where it is more. */
  readonly alone: string | null;
  /** How many compute, this one included; one where there is too little to share. */
  readonly count: () => number;
  /** As many threads as given, once they are there. Results do not depend on it. */
  readonly start: (count: number) => Promise<void>;
  /** Back to one thread; never fails. */
  readonly stop: () => void;
}

/**
 * In an engine that cannot run the program the machine says so when it is used, not when the program is imported. Programs call this
 * before the constants of the runtime are there, so none is read before that either.
 */
export function openMachine(plan: MachinePlan): Machine {
  const here = engine();
  const alone = here.alone();
  here.askForSpeed();
  const { Memory, Module, Instance } = webAssembly();
  const pageBytes = 65536;
  const pages = (threads: number): number =>
    Math.ceil((plan.scratchAt + threads * plan.scratchBytes + (plan.arena ? 0 : plan.spareBytes)) / pageBytes);
  const arenaPages = (threads: number): number =>
    plan.arena ? Math.ceil((plan.arena.bytes + threads * plan.arena.threadBytes + plan.spareBytes) / pageBytes) : 0;
  const needed = (): string => `${(((pages(1) + arenaPages(1)) * pageBytes) / 2 ** 30).toFixed(2)} GiB of memory`;
  let memory: WebAssemblyMemory;
  let arena: WebAssemblyMemory | null = null;
  let module: object;
  if (plan.arena && !hasWideMemory()) {
    return unusable(plan, () => `the program needs ${needed()}, and this engine has no 64-bit addresses: start it in one that has, `
      + 'as Node 24, Chrome 133 and Firefox 134 do, or write `memory 4000MB` in its `train` block or take a smaller batch');
  }
  try {
    const bytes = bytesOfBase64(plan.module);
    if (alone !== null) for (const flagAt of plan.sharedFlagsAt) bytes[flagAt]! &= ~2;
    module = new Module(bytes);
  } catch (error) {
    return unusable(plan, () => `this engine does not know all instructions of the program (${messageOf(error)}): build it with \`--deterministic\`, `
      + 'which asks for the least, or with `--target typescript`');
  }
  try {
    const shared = alone === null;
    memory = new Memory({ initial: pages(1), maximum: 65536, shared });
    if (plan.arena) arena = new Memory({ address: 'i64', initial: BigInt(arenaPages(1)), maximum: 262144n, shared });
  } catch (error) {
    return unusable(plan, () => `the program needs ${needed()} in ${plan.arena ? 16 : 4} GiB of addresses (${messageOf(error)}): `
      + 'allow the process more memory, see `ulimit -v`, or build it with `--target typescript`');
  }
  const { exports } = new Instance(module, { env: { memory, arena } });
  const words = new Int32Array(memory.buffer);
  words[plan.threadsAt / 4] = 1;
  if (plan.microAt !== null) words[plan.microAt / 4] = fasterMicroKernel(exports, words, plan.scratchAt, here.repetitions);
  const most = alone === null ? 256 : 1;
  let workers = 0;
  let starting: Promise<void> = Promise.resolve();
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
      if (workers > 0) fail();
      throw error;
    }
  };
  const stop = (): void => {
    if (workers === 0) return;
    try {
      call(end);
    } catch {
      // After a failure each thread ends by itself.
    }
    workers = 0;
    words[plan.threadsAt / 4] = 1;
  };
  const startNow = async (count: number): Promise<void> => {
    requireHealth();
    if (count > 1 && alone !== null) throw new DataError(alone);
    if (!Number.isInteger(count) || count < 1 || count > most) throw new DataError(`the number of threads is ${count}, but must be a whole number from 1 to ${most}`);
    const others = plan.shared.length === 0 ? 0 : count - 1;
    if (others === workers) return;
    stop();
    if (others === 0) return;
    let dismiss = (): void => undefined;
    try {
      const missing = pages(count) - memory.buffer.byteLength / pageBytes;
      if (missing > 0) memory.grow(missing);
      const missingArena = arena ? arenaPages(count) - arena.buffer.byteLength / pageBytes : 0;
      if (missingArena > 0) arena!.grow(BigInt(missingArena));
      const jobs = Array.from({ length: others }, (_, i) => ({ module, memory, arena, thread: i + 1, gateAt: plan.threadsAt, failedAt: plan.failedAt }));
      dismiss = await here.hire(jobs, fail);
      // With more threads than cores, whoever waits keeps the one waited for from running.
      words[plan.patienceAt / 4] = count > here.cores() ? 0 : 100_000;
      Atomics.store(words, plan.threadsAt / 4, count);
      Atomics.notify(words, plan.threadsAt / 4);
    } catch (error) {
      dismiss();
      throw new DataError(`${count} threads cannot be started (${messageOf(error)}): give a lower number with \`--threads\``);
    }
    workers = others;
  };
  const start = (count: number): Promise<void> => {
    const started = starting.then(() => startNow(count));
    starting = started.catch(() => undefined);
    return started;
  };
  return { memory: (arena ?? memory).buffer, run: call, step: (entry, number) => void exports['step']!(entry, number), threads: { most, alone, count: () => workers + 1, start, stop } };
}

/** A machine that gives the reason why it cannot run as soon as it is asked to. */
export function unusable(plan: MachinePlan, reason: () => string): Machine {
  const refuse = (): never => {
    throw new DataError(reason());
  };
  const threads: Threads = { most: 1, alone: null, count: () => 1, start: async () => refuse(), stop: () => undefined };
  let memory: ArrayBuffer;
  try {
    memory = new ArrayBuffer(plan.arena?.bytes ?? plan.scratchAt);
  } catch {
    // Nor is there room for what nothing will be computed in.
    memory = new ArrayBuffer(0);
  }
  return { memory, run: refuse, step: refuse, threads };
}

/** Whether the engine takes a module with a second memory, whose addresses have 64 bits. */
export function hasWideMemory(): boolean {
  return webAssembly().validate(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 5, 5, 2, 0, 0, 4, 0));
}

/** Of a text that this compiler wrote. */
export function bytesOfBase64(text: string): Uint8Array {
  const packed = atob(text);
  const bytes = new Uint8Array(packed.length);
  for (let i = 0; i < packed.length; i++) bytes[i] = packed.charCodeAt(i);
  return bytes;
}

/**
 * 0 for the micro-kernel that computes 16 columns at a time, 1 for the one that computes 8. Which is faster depends on the engine, by
 * up to three times. The first must also give the same sums.
 */
export function fasterMicroKernel(exports: Readonly<Record<string, (...args: readonly number[]) => number>>, words: Int32Array, scratchAt: number, repetitions: number): number {
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
      for (let i = 0; i < repetitions; i++) kernel(left, right, tile, k, 1);
      time = Math.min(time, performance.now() - started);
    }
    return { time, sums: sums.slice() };
  };
  const wide = timed('micro.wide');
  const narrow = timed('micro.narrow');
  return wide.time <= narrow.time && wide.sums.every((bits, i) => bits === narrow.sums[i]) ? 0 : 1;
}
