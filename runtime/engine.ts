/**
 * What the machine needs of the engine that it runs in: how many cores there are, whether threads can share memory, and threads.
 * Uses node: modules, but imports none, so that the same program runs in Node, in Deno, in a page and in a web worker.
 */
import { DataError } from './data-error.ts';

export interface Engine {
  /** Before a module is compiled: has the engine compile it for speed. */
  readonly askForSpeed: () => void;
  /** Why threads cannot share memory here; null where they can. */
  readonly alone: () => string | null;
  readonly cores: () => number;
  /** How often something is done to be timed: clocks of browsers tick slowly, so that pages cannot spy on one another. */
  readonly repetitions: number;
  /**
   * A thread for each job, which begins as soon as the word at `gateAt` is no longer 1; `failed` is called when one has ended with a
   * failure. They do not keep the process alive, except in Deno, which has no way to say so. Gives what ends those that have not begun.
   */
  readonly hire: (jobs: readonly ThreadJob[], failed: () => void) => Promise<() => void>;
}

/** What another thread is told: its number, the module and the memories that all share, and places in it. */
export interface ThreadJob {
  readonly module: object;
  readonly memory: object;
  /** Where it lies apart. */
  readonly arena: object | null;
  readonly thread: number;
  readonly gateAt: number;
  readonly failedAt: number;
}

/** A function, as all that programs use before the constants of the runtime are there. */
export function engine(): Engine {
  return nodeEngine() ?? webEngine();
}

/** Node, as far as it is asked for here. */
export interface NodeProcess {
  readonly argv: readonly string[];
  readonly cwd: () => string;
  readonly versions: Readonly<Record<string, string | undefined>>;
  readonly getBuiltinModule: <Name extends keyof NodeModules>(name: Name) => NodeModules[Name];
}

export interface NodeModules {
  readonly 'node:module': { readonly createRequire: (from: string) => { readonly resolve: (name: string) => string } };
  readonly 'node:url': { readonly pathToFileURL: (path: string) => { readonly href: string } };
  readonly 'node:os': { readonly availableParallelism: () => number };
  readonly 'node:v8': { readonly setFlagsFromString: (flags: string) => void };
  readonly 'node:worker_threads': { readonly Worker: new (text: string, options: object) => NodeWorker };
}

export interface NodeWorker {
  readonly on: (event: 'error' | 'exit', listener: (code: unknown) => void) => unknown;
  readonly terminate: () => unknown;
  readonly unref: () => void;
}

/** Null outside of Node; Deno, which poses as Node too, has the threads of browsers. */
export function nodeProcess(): NodeProcess | null {
  const { process, Deno } = globalThis as unknown as { readonly process?: NodeProcess; readonly Deno?: object };
  return process?.versions?.['node'] === undefined || Deno !== undefined ? null : process;
}

export function nodeEngine(): Engine | null {
  const process = nodeProcess();
  if (process === null) return null;
  return {
    // V8 pairs 128-bit operations into 256-bit ones, and compiles with its optimising tier at once.
    askForSpeed: () => {
      if (process.versions['v8'] === undefined) return;
      const { setFlagsFromString } = process.getBuiltinModule('node:v8');
      const major = Number(process.versions['node']!.split('.')[0]);
      if (major < 22) setFlagsFromString('--experimental-wasm-relaxed-simd');
      else setFlagsFromString('--experimental-wasm-revectorize');
      setFlagsFromString('--no-liftoff');
    },
    alone: () => (typeof SharedArrayBuffer === 'undefined' ? 'this engine has no memory that threads can share: the program runs on one, `--threads 1`' : null),
    cores: () => process.getBuiltinModule('node:os').availableParallelism(),
    repetitions: 50,
    hire: async (jobs, failed) => {
      const { Worker } = process.getBuiltinModule('node:worker_threads');
      const workers: NodeWorker[] = [];
      const dismiss = (): void => {
        for (const worker of workers) worker.terminate();
      };
      try {
        for (const job of jobs) workers.push(startNodeWorker(Worker, job, failed));
      } catch (error) {
        dismiss();
        throw error;
      }
      return dismiss;
    },
  };
}

export function startNodeWorker(Worker: NodeModules['node:worker_threads']['Worker'], workerData: ThreadJob, failed: () => void): NodeWorker {
  // Neither flags nor environment: what they have a process load first is of no use here, and may fail.
  const worker = new Worker(nodeWorkerText, { eval: true, execArgv: [], env: {}, workerData });
  worker.on('error', failed);
  worker.on('exit', code => {
    if (code !== 0) failed();
  });
  worker.unref();
  return worker;
}

/** What another thread does: takes part until it is told to stop. If it ends before that, in whatever way, the others learn of it. */
export const nodeWorkerText = `
  const { workerData: { module, memory, arena, thread, gateAt, failedAt } } = require('node:worker_threads');
  const words = new Int32Array(memory.buffer);
  let finished = false;
  process.on('exit', () => {
    if (!finished) Atomics.store(words, failedAt / 4, 1);
  });
  const { exports } = new WebAssembly.Instance(module, { env: { memory, arena } });
  Atomics.wait(words, gateAt / 4, 1);
  exports.work(thread);
  finished = true;
`;

/** What browsers and Deno have: neither Node's types nor the language's own library describe it. */
export interface WebPlatform {
  readonly crossOriginIsolated?: boolean;
  readonly document?: object;
  readonly navigator?: { readonly hardwareConcurrency?: number };
  readonly Worker: new (url: string, options: object) => WebWorker;
}

export interface WebWorker {
  onmessage: (() => void) | null;
  onerror: ((event: { readonly message?: string }) => void) | null;
  readonly postMessage: (message: object) => void;
  readonly terminate: () => void;
}

export function webEngine(): Engine {
  const { crossOriginIsolated, document, navigator, Worker } = globalThis as unknown as WebPlatform;
  return {
    askForSpeed: () => undefined,
    alone: () => {
      if (typeof SharedArrayBuffer === 'undefined' || crossOriginIsolated === false) {
        return 'threads may share memory only in pages that are served with the headers `Cross-Origin-Opener-Policy: same-origin` and '
          + '`Cross-Origin-Embedder-Policy: require-corp`: the program runs on one thread';
      }
      return document === undefined ? null : 'a page itself may not wait for threads: the program runs on one, and on several in a web worker';
    },
    cores: () => navigator?.hardwareConcurrency ?? 1,
    repetitions: 2000,
    hire: async (jobs, failed) => {
      const url = URL.createObjectURL(new Blob([webWorkerText], { type: 'text/javascript' }));
      const workers: WebWorker[] = [];
      const dismiss = (): void => {
        for (const worker of workers) worker.terminate();
      };
      try {
        // A worker is loaded, and gets messages, only while the one that starts it does nothing: it says when it waits at the gate.
        await Promise.all(jobs.map(job => new Promise<void>((resolve, reject) => {
          const worker = new Worker(url, { type: 'module' });
          workers.push(worker);
          worker.onmessage = () => {
            worker.onerror = failed;
            resolve();
          };
          worker.onerror = ({ message }) => reject(new DataError(message ?? 'the engine does not say why'));
          worker.postMessage(job);
        })));
      } catch (error) {
        dismiss();
        throw error;
      } finally {
        URL.revokeObjectURL(url);
      }
      return dismiss;
    },
  };
}

/** The same for browsers, where a thread that is ended from outside cannot tell it: the first thread gives it up after a minute. */
export const webWorkerText = `
  onmessage = ({ data: { module, memory, arena, thread, gateAt, failedAt } }) => {
    const words = new Int32Array(memory.buffer);
    try {
      const { exports } = new WebAssembly.Instance(module, { env: { memory, arena } });
      postMessage('ready');
      Atomics.wait(words, gateAt / 4, 1);
      exports.work(thread);
      close();
    } catch (error) {
      Atomics.store(words, failedAt / 4, 1);
      throw error;
    }
  };
`;
