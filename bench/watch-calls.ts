/**
 * Loaded before a program of nabla (`node --import ./watch-calls.ts program.ts …`): notes when every call of its WebAssembly module
 * begins and ends, and writes that to the error stream at the end as one line of JSON. A note costs less than a microsecond.
 */
import { writeSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';
import { webAssembly, type WebAssemblyInstance } from '../runtime/webassembly.ts';

/** One for each call: the number of the entry; milliseconds since 1970. */
export interface WatchedCalls {
  readonly entries: readonly number[];
  readonly starts: readonly number[];
  readonly ends: readonly number[];
}

if (isMainThread) watch();

function watch(): void {
  const { Instance } = webAssembly();
  const calls = { entries: [] as number[], starts: [] as number[], ends: [] as number[] } satisfies WatchedCalls;
  const watched = (module: object, imports: object): WebAssemblyInstance => {
    const { exports } = new Instance(module, imports);
    const run = (entry: number): number => {
      const started = performance.now();
      const result = exports['run']!(entry);
      if (entry < 0) return result; // The call that ends the threads.
      calls.ends.push(performance.timeOrigin + performance.now());
      calls.starts.push(performance.timeOrigin + started);
      calls.entries.push(entry);
      return result;
    };
    return { exports: { ...exports, run } };
  };
  Object.assign(webAssembly(), { Instance: function (module: object, imports: object) { return watched(module, imports); } });
  process.on('exit', () => void writeSync(2, `\n${JSON.stringify(calls)}`));
}
