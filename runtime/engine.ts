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
  /** Threads that wait for their job; `failed` is called when one has ended with a failure. They do not keep the process alive. */
  readonly hire: (count: number, failed: () => void) => Promise<readonly HiredThread[]>;
}

export interface HiredThread {
  readonly begin: (job: ThreadJob) => void;
  readonly dismiss: () => void;
}

/** What another thread is told: its number, the module and the memory that all share. */
export interface ThreadJob {
  readonly module: object;
  readonly memory: object;
  readonly thread: number;
  readonly failedAt: number;
}

/** A function, as all that programs use before the constants of the runtime are there. */
export function engine(): Engine {
  return nodeEngine() ?? webEngine();
}

/** Node, as far as it is asked for here. */
export interface NodeProcess {
  readonly versions: Readonly<Record<string, string | undefined>>;
  readonly getBuiltinModule: <Name extends keyof NodeModules>(name: Name) => NodeModules[Name];
}

export interface NodeModules {
  readonly 'node:os': { readonly availableParallelism: () => number };
  readonly 'node:v8': { readonly setFlagsFromString: (flags: string) => void };
  readonly 'node:worker_threads': { readonly Worker: new (text: string, options: object) => NodeWorker };
}

export interface NodeWorker {
  readonly on: (event: 'error' | 'exit', listener: (code: unknown) => void) => unknown;
  readonly postMessage: (message: object) => void;
  readonly terminate: () => unknown;
  readonly unref: () => void;
}

/** Null outside of Node; Deno, which poses as Node too, has the threads of browsers. */
export function nodeEngine(): Engine | null {
  const { process, Deno } = globalThis as unknown as { readonly process?: NodeProcess; readonly Deno?: object };
  if (process?.versions?.node === undefined || Deno !== undefined) return null;
  return {
    // V8 pairs 128-bit operations into 256-bit ones, and compiles with its optimising tier at once.
    askForSpeed: () => {
      if (process.versions['v8'] === undefined) return;
      const { setFlagsFromString } = process.getBuiltinModule('node:v8');
      const major = Number(process.versions.node!.split('.')[0]);
      if (major < 22) setFlagsFromString('--experimental-wasm-relaxed-simd');
      else setFlagsFromString('--experimental-wasm-revectorize');
      setFlagsFromString('--no-liftoff');
    },
    alone: () => (typeof SharedArrayBuffer === 'undefined' ? 'this engine has no memory that threads can share: the program runs on one, `--threads 1`' : null),
    cores: () => process.getBuiltinModule('node:os').availableParallelism(),
    repetitions: 50,
    hire: async (count, failed) => {
      const { Worker } = process.getBuiltinModule('node:worker_threads');
      const hired: HiredThread[] = [];
      try {
        while (hired.length < count) hired.push(hireNodeThread(Worker, failed));
      } catch (error) {
        for (const thread of hired) thread.dismiss();
        throw error;
      }
      return hired;
    },
  };
}

export function hireNodeThread(Worker: NodeModules['node:worker_threads']['Worker'], failed: () => void): HiredThread {
  // Neither flags nor environment: what they have a process load first is of no use here, and may fail.
  const worker = new Worker(nodeThreadText, { eval: true, execArgv: [], env: {} });
  let dismissed = false;
  worker.on('error', failed);
  worker.on('exit', code => {
    if (code !== 0 && !dismissed) failed();
  });
  worker.unref();
  return {
    begin: job => worker.postMessage(job),
    dismiss: () => {
      dismissed = true;
      worker.terminate();
    },
  };
}

/** What another thread does: takes part until it is told to stop. If it ends before that, in whatever way, the others learn of it. */
export const nodeThreadText = `
  require('node:worker_threads').parentPort.once('message', ({ module, memory, thread, failedAt }) => {
    let finished = false;
    process.on('exit', () => {
      if (!finished) Atomics.store(new Int32Array(memory.buffer), failedAt / 4, 1);
    });
    new WebAssembly.Instance(module, { env: { memory } }).exports.work(thread);
    finished = true;
  });
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
    hire: async (count, failed) => {
      const url = URL.createObjectURL(new Blob([webThreadText], { type: 'text/javascript' }));
      const workers: WebWorker[] = [];
      try {
        // A thread is loaded only while the one that starts it does nothing, so it says when it is there.
        await Promise.all(Array.from({ length: count }, () => new Promise<void>((resolve, reject) => {
          const worker = new Worker(url, { type: 'module' });
          workers.push(worker);
          worker.onmessage = () => {
            worker.onerror = failed;
            resolve();
          };
          worker.onerror = ({ message }) => reject(new DataError(message ?? 'the engine does not say why'));
        })));
      } catch (error) {
        for (const worker of workers) worker.terminate();
        throw error;
      } finally {
        URL.revokeObjectURL(url);
      }
      return workers.map(worker => ({ begin: job => worker.postMessage(job), dismiss: () => worker.terminate() }));
    },
  };
}

/** The same for browsers, where a thread that is ended from outside cannot tell it: the first thread gives it up after a minute. */
export const webThreadText = `
  onmessage = ({ data: { module, memory, thread, failedAt } }) => {
    try {
      new WebAssembly.Instance(module, { env: { memory } }).exports.work(thread);
      close();
    } catch (error) {
      Atomics.store(new Int32Array(memory.buffer), failedAt / 4, 1);
      throw error;
    }
  };
  postMessage('ready');
`;
