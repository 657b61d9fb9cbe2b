/**
 * A module that shows what a machine can do at most, on as many threads as a program runs on: sums of products as the micro-kernels
 * add them up, and numbers moved from and to memory. Kernels are compared with it (Williams, Waterman, Patterson: "Roofline: an
 * insightful visual performance model for multicore architectures", 2009).
 */
import { at, build, call, f32x4, get, i32, op, set, type Func, type Module } from './code.ts';
import { unitOf } from './loops.ts';
import { microKernel, packedRows, tileBytes, tileColumns, tileRows } from './micro-kernel.ts';
import { barrierFunction, control, dispatchFunction, runFunction, workFunction } from './threads.ts';

export interface Roofline {
  readonly module: Module;
  /** By the number that `run` takes: sums of products with each micro-kernel, and `triad`. */
  readonly entries: readonly ['wide', 'narrow', 'triad'];
  /** Of one run of `wide` or `narrow`, on each thread. */
  readonly flops: number;
  /** Read and written by one run of `triad`, by all threads together. */
  readonly bytes: number;
  /** The arrays begin at 0; what has never been written may not be in memory at all. */
  readonly arrayBytes: number;
  readonly threadsAt: number;
  readonly failedAt: number;
  readonly patienceAt: number;
  readonly scratchAt: number;
  readonly scratchBytes: number;
}

/** Sums over so many products; panels of such a length lie in the first-level cache. */
const depth = 256;
const products = 500;
/** One run of `triad` moves at least as much, so that its threads' meeting counts for nothing. */
const leastMoved = 1 << 25;
const line = 64;
const aligned = (bytes: number): number => Math.ceil(bytes / line) * line;

/** `arrayBytes` is what the three arrays of `triad` take together. */
export function roofline(arrayBytes: number): Roofline {
  const each = aligned(arrayBytes / 3);
  const passes = Math.ceil(leastMoved / (3 * each));
  const controlAt = 3 * each;
  const scratchAt = controlAt + control.bytes;
  const scratchBytes = aligned(4 * depth * (packedRows + tileColumns) + tileBytes);
  const entries = ['wide', 'narrow', 'triad'] as const;
  const functions = [
    microKernel('micro.wide', 16, true),
    microKernel('micro.narrow', 8, true),
    productsFunction('wide', scratchAt, scratchBytes),
    productsFunction('narrow', scratchAt, scratchBytes),
    triadFunction(each, passes),
    barrierFunction(controlAt),
    dispatchFunction(entries),
    runFunction(controlAt),
    workFunction(controlAt),
  ];
  return {
    module: { imports: [], functions, minimumPages: Math.ceil((scratchAt + scratchBytes) / 65536), maximumPages: 65536, arena: null },
    entries,
    flops: products * 2 * depth * tileRows * tileColumns,
    bytes: passes * 3 * each,
    arrayBytes: 3 * each,
    threadsAt: controlAt + control.threads,
    failedAt: controlAt + control.failed,
    patienceAt: controlAt + control.patience,
    scratchAt,
    scratchBytes,
  };
}

/** The same tile again and again, in each thread's own memory. */
function productsFunction(name: 'wide' | 'narrow', scratchAt: number, scratchBytes: number): Func {
  const builder = build(name, ['i32', 'i32']);
  const left = builder.keep('i32', op('i32.add', i32(scratchAt), op('i32.mul', get(builder.parameters[0]!), i32(scratchBytes))));
  const right = builder.keep('i32', op('i32.add', get(left), i32(4 * depth * packedRows)));
  const tile = builder.keep('i32', op('i32.add', get(right), i32(4 * depth * tileColumns)));
  const rest = builder.keep('i32', i32(products));
  builder.loop(again => {
    builder.emit(call(`micro.${name}`, get(left), get(right), get(tile), i32(depth), i32(0)));
    builder.emit(set(rest, op('i32.sub', get(rest), i32(1))));
    builder.branch(again, get(rest));
  });
  return builder.finish();
}

/** c = a + 3·b for three arrays one after the other; each thread has a part of its own (McCalpin's STREAM). */
function triadFunction(bytes: number, passes: number): Func {
  const builder = build('triad', ['i32', 'i32']);
  const [thread, threads] = builder.parameters;
  const bound = (number: ReturnType<typeof get>): ReturnType<typeof get> => op('i32.mul', unitOf(bytes / line, number, threads!), i32(line));
  const begin = builder.keep('i32', bound(get(thread!)));
  const end = builder.keep('i32', bound(op('i32.add', get(thread!), i32(1))));
  const rest = builder.keep('i32', i32(passes));
  const place = builder.local('i32');
  builder.when(op('i32.lt_s', get(begin), get(end)), () =>
    builder.loop(nextPass => {
      builder.emit(set(place, get(begin)));
      builder.loop(again => {
        for (let part = 0; part < line; part += 16) {
          const sum = op('f32x4.relaxed_madd', f32x4(3), at('v128.load', bytes + part, get(place)), at('v128.load', part, get(place)));
          builder.emit(at('v128.store', 2 * bytes + part, get(place), sum));
        }
        builder.emit(set(place, op('i32.add', get(place), i32(line))));
        builder.branch(again, op('i32.lt_s', get(place), get(end)));
      });
      builder.emit(set(rest, op('i32.sub', get(rest), i32(1))));
      builder.branch(nextPass, get(rest));
    }));
  return builder.finish();
}
