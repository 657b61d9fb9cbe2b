/**
 * A program as one WebAssembly module: a function for each kernel, one for each entry that calls them in order with barriers where
 * a kernel needs what another thread has made, and what threads need to work together.
 */
import type { Call, Kernel, Program } from '../../ir/program.ts';
import { elementBytes, size } from '../../ir/type.ts';
import { at, build, call, get, i32, op, type Func, type Module } from './code.ts';
import { contraction, type Contraction } from './contraction.ts';
import { linearKernel, mergeAxes, withoutWindows } from './linear.ts';
import { kernelFunction } from './loops.ts';
import { microKernel } from './micro-kernel.ts';
import { calledIn, reachedMath } from './math.ts';
import { contractionFunction } from './tiles.ts';
import { barrierFunction, control, dispatchFunction, runFunction, workFunction } from './threads.ts';

export interface Assembly {
  readonly module: Module;
  /** Entries by the number that `run` takes. */
  readonly entries: readonly string[];
  /** Numbers of the entries that all threads run together; the others would be over before anyone could help. */
  readonly shared: readonly number[];
  /** The word that says how many threads there are; the arena begins at 0. */
  readonly threadsAt: number;
  /** The word that is set when a thread fails. */
  readonly failedAt: number;
  /** The word that says how often a waiting thread looks before it sleeps. */
  readonly patienceAt: number;
  /** The word that says which micro-kernel runs: 0, as many columns at a time as 256-bit registers hold, or 1. */
  readonly microAt: number | null;
  /** Each thread's own memory begins here, one after the other. */
  readonly scratchAt: number;
  readonly scratchBytes: number;
}

export interface AssembleOptions {
  /** Only instructions with one result on every machine: no fused multiply-add. */
  readonly deterministic: boolean;
  /** With a function `step(entry, call)` that runs a single call of an entry, on one thread. */
  readonly inspected: boolean;
}

const pageBytes = 65536;
/** Vectors that begin inside the memory may end behind what they are for. */
const slack = 64;
const aligned = (bytes: number): number => Math.ceil(bytes / 64) * 64;
/** What the runtime needs to time the micro-kernels. */
const probeBytes = 8192;
/** The most that a 32-bit address reaches. */
const largestPages = 65536;
/** Operations and stored elements, some tens of microseconds of them, that are worth meeting for. */
const worthSharing = 1_000_000;

export function assemble(program: Program, { deterministic, inspected }: AssembleOptions): Assembly {
  const shaped = program.kernels.map((kernel, i) => (kernel.host ? null : shape({ ...kernel, name: `${kernel.name}.${i}` })));
  const contractions = shaped.flatMap(each => (each?.product ? [each.product] : []));
  const kernels = shaped.map(each => each && each.func);
  const controlAt = aligned(program.arenaBytes + Math.max(slack, ...contractions.map(each => each.overreach)));
  const scratchAt = controlAt + control.bytes;
  const scratchBytes = contractions.length === 0 ? 0 : aligned(Math.max(probeBytes, ...contractions.map(each => each.scratch)));
  const scratched = new Set(shaped.flatMap((each, i) => (each?.product ? [i] : [])));
  const names = program.entries.map(entry => entry.name);
  const own = [
    ...kernels.filter(kernel => kernel !== null),
    ...program.entries.map(entry => entryFunction(program, entry.name, entry.calls, kernels, scratched, scratchAt, scratchBytes)),
  ];
  const products =
    contractions.length === 0
      ? []
      : [
          microKernel('micro.wide', 16, !deterministic),
          microKernel('micro.narrow', 8, !deterministic),
          chosenMicroKernel(controlAt + control.micro),
        ];
  const functions = [
    ...own,
    ...products,
    ...reachedMath(own.flatMap(func => [...calledIn(func)])),
    barrierFunction(controlAt),
    dispatchFunction(names.map(name => `entry.${name}`)),
    runFunction(controlAt),
    workFunction(controlAt),
    ...(inspected ? [stepFunction(program, kernels, scratched, scratchAt)] : []),
  ];
  return {
    module: { imports: [], functions, minimumPages: Math.ceil((scratchAt + scratchBytes) / pageBytes), maximumPages: largestPages },
    entries: names,
    shared: program.entries.flatMap((entry, number) => (workOf(program, entry.calls) >= worthSharing ? [number] : [])),
    threadsAt: controlAt + control.threads,
    failedAt: controlAt + control.failed,
    patienceAt: controlAt + control.patience,
    microAt: contractions.length === 0 ? null : controlAt + control.micro,
    scratchAt,
    scratchBytes,
  };
}

const workOf = (program: Program, calls: readonly Call[]): number =>
  calls
    .map(each => program.kernels[each.kernel]!)
    .reduce((sum, kernel) => sum + kernel.flops + kernel.outputs.reduce((elements, output) => elements + size(output.shape), 0), 0);

function shape(kernel: Kernel): { readonly func: Func; readonly product: Contraction | null } {
  const linear = linearKernel(kernel);
  const product = contraction(linear);
  return { product, func: product ? contractionFunction(product) : kernelFunction(mergeAxes(withoutWindows(linear))) };
}

/** `micro`, by the word that says which is faster here. */
function chosenMicroKernel(word: number): Func {
  const builder = build('micro', ['i32', 'i32', 'i32', 'i32', 'i32']);
  const given = builder.parameters.map(get);
  builder.when(
    at('i32.load', 0, i32(word)),
    () => builder.emit(call('micro.narrow', ...given)),
    () => builder.emit(call('micro.wide', ...given)),
  );
  return builder.finish();
}

/** `step(entry, call)`: one call of an entry, on one thread. */
function stepFunction(program: Program, kernels: readonly (Func | null)[], scratched: ReadonlySet<number>, scratchAt: number): Func {
  const builder = build('step', ['i32', 'i32']);
  const [entry, number] = builder.parameters;
  program.entries.forEach((each, e) =>
    builder.when(op('i32.eq', get(entry!), i32(e)), () =>
      each.calls.forEach((one, c) => {
        const func = kernels[one.kernel];
        if (!func) return;
        const operands = [
          ...rangesOf(program, one).map(range => i32(range.from)),
          ...(scratched.has(one.kernel) ? [i32(scratchAt)] : []),
          i32(0),
          i32(1),
        ];
        builder.when(op('i32.eq', get(number!), i32(c)), () => builder.emit(call(func.name, ...operands)));
      }),
    ),
  );
  return builder.finish(true);
}

/** The bytes that each access of a call covers. */
function rangesOf(program: Program, each: Call): readonly Range[] {
  const kernel = program.kernels[each.kernel]!;
  return [...kernel.operands, ...kernel.outputs].map((access, i): Range => {
    const unit = elementBytes(access.dtype);
    return { from: each.offsets[i]! * unit, to: (each.offsets[i]! + size(access.shape)) * unit };
  });
}

/** Bytes of the arena, from the first to behind the last. */
interface Range {
  readonly from: number;
  readonly to: number;
}

/** The calls of an entry; host kernels are not among them. */
function entryFunction(
  program: Program,
  name: string,
  calls: readonly Call[],
  kernels: readonly (Func | null)[],
  scratched: ReadonlySet<number>,
  scratchAt: number,
  scratchBytes: number,
): Func {
  const builder = build(`entry.${name}`, ['i32', 'i32']);
  const [thread, threads] = builder.parameters;
  const scratch = builder.keep('i32', op('i32.add', i32(scratchAt), op('i32.mul', get(thread!), i32(scratchBytes))));
  let written: Range[] = [];
  let read: Range[] = [];
  const meets = (ranges: readonly Range[], others: readonly Range[]): boolean =>
    ranges.some(a => others.some(b => a.from < b.to && b.from < a.to));
  for (const each of calls) {
    const kernel = program.kernels[each.kernel]!;
    const func = kernels[each.kernel];
    if (!func) continue;
    const bytes = rangesOf(program, each);
    const reads = bytes.slice(0, kernel.operands.length);
    const writes = bytes.slice(kernel.operands.length);
    if (meets(reads, written) || meets(writes, written) || meets(writes, read)) {
      builder.emit(call('barrier', get(thread!), get(threads!)));
      written = [];
      read = [];
    }
    written.push(...writes);
    read.push(...reads);
    builder.emit(
      call(
        func.name,
        ...bytes.map(range => i32(range.from)),
        ...(scratched.has(each.kernel) ? [get(scratch)] : []),
        get(thread!),
        get(threads!),
      ),
    );
  }
  return builder.finish();
}
