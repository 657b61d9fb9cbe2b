/**
 * A program as one WebAssembly module: a function for each kernel, one for each entry that calls them in order with barriers where
 * a kernel needs what another thread has made, and what threads need to work together.
 */
import { partsOf, reachOfCall, timesOfCall, type Call, type Kernel, type Loop, type Part, type Program } from '../../ir/program.ts';
import { elementBytes, size, type Shape } from '../../ir/type.ts';
import { address, at, build, call, get, i32, op, set, walk, type Builder, type Expression, type Func, type Local, type Module } from './code.ts';
import { contraction, type Contraction } from './contraction.ts';
import { linearKernel, mergeAxes, withoutWindows } from '../linear.ts';
import { kernelFunction, unitOf } from './loops.ts';
import { microKernel } from './micro-kernel.ts';
import { calledIn, reachedMath } from './math.ts';
import { inlined, withTable } from './refine.ts';
import { contractionFunction } from './tiles.ts';
import { barrierFunction, control, dispatchFunction, runFunction, workFunction } from './threads.ts';
import { widen } from './widen.ts';

export interface Assembly {
  readonly module: Module;
  /**
   * Where the program needs more than 32 bits reach, the arena is a memory of its own, behind whose bytes lie each thread's; otherwise
   * it begins the one memory.
   */
  readonly arena: { readonly bytes: number; readonly threadBytes: number } | null;
  /** Entries by the number that `run` takes. */
  readonly entries: readonly string[];
  /** Numbers of the entries that all threads run together; the others would be over before anyone could help. */
  readonly shared: readonly number[];
  /** The word that says how many threads there are. */
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
  /** Bytes behind the arena and all threads' memory that loads reach at the edges of tiles; what is there does not count. */
  readonly spareBytes: number;
}

export interface AssembleOptions {
  /** Only instructions with one result on every machine: no fused multiply-add. */
  readonly deterministic: boolean;
  /** With a function `step(entry, call)` that runs a single call of an entry, on one thread. */
  readonly inspected: boolean;
  /** The arena apart also where 32 bits reach all. */
  readonly wide: boolean;
}

const pageBytes = 65536;
/** Vectors that begin inside the memory may end behind what they are for. */
const slack = 64;
const aligned = (bytes: number): number => Math.ceil(bytes / 64) * 64;
/** What the runtime needs to time the micro-kernels. */
const probeBytes = 8192;
/** More than all constants of a program take. */
const mostTableBytes = 65536;
/** Expressions of a function that is written out where it is called: erf has 117; random, which every initial value calls, 334. */
const longestInlined = 200;
/** The most that an address of 32 bits reaches, and the most that engines give with 64. */
const largestPages = { narrow: 65536, wide: 262144 } as const;
/** Threads, each with memory of its own, for which there is room in any program. */
const certainThreads = 16;
/** Operations and stored elements, some tens of microseconds of them, that are worth meeting for. */
const worthSharing = 1_000_000;

export function assemble(program: Program, { deterministic, inspected, wide: forced }: AssembleOptions): Assembly {
  const shaped = program.kernels.map((kernel, i) => (kernel.host ? null : shape({ ...kernel, name: `${kernel.name}.${i}` })));
  const contractions = shaped.flatMap(each => (each?.product ? [each.product] : []));
  const kernels = shaped.map(each => each && each.func);
  const arenaBytes = aligned(program.arenaBytes);
  const packingBytes = contractions.length === 0 ? 0 : aligned(Math.max(probeBytes, ...contractions.map(each => each.scratch)));
  const privates = privatePlaces(program);
  const spareBytes = spareBytesOf(program, shaped.map(each => each?.product?.overreach), privates.at);
  const most = arenaBytes + control.bytes + mostTableBytes + certainThreads * (packingBytes + privates.bytes) + spareBytes;
  const wide = forced || most > largestPages.narrow * pageBytes;
  const controlAt = wide ? 0 : arenaBytes;
  const tableAt = controlAt + control.bytes;
  const { functions: computing, table } = computingFunctions(kernels.filter(kernel => kernel !== null), !deterministic, tableAt);
  const scratchAt = tableAt + aligned(table.length);
  const scratchBytes = wide ? packingBytes : packingBytes + privates.bytes;
  const arena = wide ? { bytes: arenaBytes, threadBytes: privates.bytes } : null;
  const scratched = new Set(shaped.flatMap((each, i) => (each?.product ? [i] : [])));
  const context: Context = { program, kernels, scratched, privateAt: privates.at, arena, scratchAt, scratchBytes, packingBytes };
  const names = program.entries.map(entry => entry.name);
  const products =
    contractions.length === 0
      ? []
      : [
          microKernel('micro.wide', 16, !deterministic),
          microKernel('micro.narrow', 8, !deterministic),
          chosenMicroKernel(controlAt + control.micro),
        ];
  const functions = [
    ...computing,
    ...program.entries.map(entry => entryFunction(context, entry.name, entry.calls)),
    ...products,
    barrierFunction(controlAt),
    dispatchFunction(names.map(name => `entry.${name}`)),
    runFunction(controlAt),
    workFunction(controlAt),
    ...(inspected ? [stepFunction(context)] : []),
  ];
  const pages = (bytes: number): number => Math.ceil(bytes / pageBytes);
  const module: Module = {
    imports: [],
    functions,
    minimumPages: pages(scratchAt + scratchBytes + (wide ? 0 : spareBytes)),
    maximumPages: largestPages.narrow,
    arena: null,
    ...(table.length > 0 && { data: { at: tableAt, bytes: table } }),
  };
  return {
    module: arena === null ? module : widen(module, { minimumPages: pages(arena.bytes + arena.threadBytes + spareBytes), maximumPages: largestPages.wide }),
    arena,
    entries: names,
    shared: program.entries.flatMap((entry, number) => (workOf(program, entry.calls) >= worthSharing ? [number] : [])),
    threadsAt: controlAt + control.threads,
    failedAt: controlAt + control.failed,
    patienceAt: controlAt + control.patience,
    microAt: contractions.length === 0 ? null : controlAt + control.micro,
    scratchAt,
    scratchBytes,
    spareBytes,
  };
}

/** Kernels and the functions that they call, with their table of constants at `tableAt`. */
function computingFunctions(kernels: readonly Func[], withFusion: boolean, tableAt: number): ReturnType<typeof withTable> {
  const called = kernels.map(calledIn);
  const math = reachedMath(called.flatMap(names => [...names]), withFusion);
  const small = new Map(math.filter(func => calledIn(func).size === 0 && lengthOf(func) <= longestInlined).map(func => [func.name, func]));
  const whole = kernels.map((func, i) => ([...called[i]!].some(name => small.has(name)) ? inlined(func, small) : func));
  const left = whole.flatMap((func, i) => [...(func === kernels[i] ? called[i]! : calledIn(func))]);
  return withTable([...whole, ...reachedMath(left, withFusion)], tableAt);
}

/** How many expressions a function is made of. */
function lengthOf({ body }: Func): number {
  let length = 0;
  walk(body, () => void length++);
  return length;
}

/** What loads reach behind the arena, and behind what threads have for themselves. */
function spareBytesOf(program: Program, overreach: readonly (ReadonlyMap<number, number> | undefined)[], privateAt: ReadonlyMap<number, number>): number {
  let spare = slack;
  for (const each of program.entries.flatMap(entry => entry.calls)) {
    const kernel = program.kernels[each.kernel]!;
    for (const [access, elements] of overreach[each.kernel] ?? []) {
      const unit = elementBytes(kernel.operands[access]!.dtype);
      const end = privateAt.has(each.reads[access]!) ? program.arenaBytes : reachOfCall(kernel, each, access).to * unit;
      spare = Math.max(spare, end + elements * unit - program.arenaBytes);
    }
  }
  return aligned(spare);
}

const workOf = (program: Program, calls: readonly Call[]): number =>
  calls.reduce((sum, each) => {
    const { flops, outputs } = program.kernels[each.kernel]!;
    return sum + timesOfCall(each) * (flops + outputs.reduce((elements, output) => elements + size(output.shape), 0));
  }, 0);

/** Where among a thread's private buffers each one lies; loops do not run at once and share the space. */
function privatePlaces(program: Program): { readonly at: ReadonlyMap<number, number>; readonly bytes: number } {
  const places = new Map<number, number>();
  let most = 0;
  for (const { loop, calls } of program.entries.flatMap(entry => partsOf(entry.calls))) {
    if (loop === null) continue;
    let end = 0;
    for (const index of calls.flatMap(each => [...each.reads, ...each.writes])) {
      const buffer = program.buffers[index]!;
      if (buffer.role !== 'private' || places.has(index)) continue;
      places.set(index, end);
      end += aligned(buffer.bytes);
    }
    most = Math.max(most, end);
  }
  return { at: places, bytes: most };
}

/** What functions of entries are made from. */
interface Context {
  readonly program: Program;
  readonly kernels: readonly (Func | null)[];
  /** Numbers of the kernels that need a thread's own memory. */
  readonly scratched: ReadonlySet<number>;
  /** Of each private buffer, in bytes from the first of a thread's private buffers. */
  readonly privateAt: ReadonlyMap<number, number>;
  readonly arena: Assembly['arena'];
  readonly scratchAt: number;
  readonly scratchBytes: number;
  /** Of a thread's own memory, what products need; private buffers follow, unless the arena lies apart. */
  readonly packingBytes: number;
}

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

/** `step(entry, part)`: a call of an entry by itself, or a loop of calls, on one thread. */
function stepFunction(context: Context): Func {
  const builder = build('step', ['i32', 'i32']);
  const [entry, number] = builder.parameters;
  const worker = newWorker(builder, context, builder.keep('i32', i32(0)), builder.keep('i32', i32(1)));
  context.program.entries.forEach((each, e) =>
    builder.when(op('i32.eq', get(entry!), i32(e)), () =>
      partsOf(each.calls).forEach((part, p) => builder.when(op('i32.eq', get(number!), i32(p)), () => emitPart(builder, context, part, worker))),
    ),
  );
  return builder.finish(true);
}

/** Bytes of the arena, from the first to behind the last. */
interface Range {
  readonly from: number;
  readonly to: number;
}

/** The bytes that each access of a call covers, at all positions of its loop; none for what each thread has for itself. */
function rangesOf({ program, privateAt }: Context, each: Call): readonly (Range | null)[] {
  const kernel = program.kernels[each.kernel]!;
  const buffers = [...each.reads, ...each.writes];
  return [...kernel.operands, ...kernel.outputs].map(({ dtype }, i): Range | null => {
    const { from, to } = reachOfCall(kernel, each, i);
    return privateAt.has(buffers[i]!) ? null : { from: from * elementBytes(dtype), to: to * elementBytes(dtype) };
  });
}

/** The calls of an entry; host kernels are not among them. */
function entryFunction(context: Context, name: string, calls: readonly Call[]): Func {
  const { program, kernels } = context;
  const builder = build(`entry.${name}`, ['i32', 'i32']);
  const [thread, threads] = builder.parameters as readonly [Local, Local];
  const worker = newWorker(builder, context, thread, threads);
  let written: Range[] = [];
  let read: Range[] = [];
  const meets = (ranges: readonly Range[], others: readonly Range[]): boolean =>
    ranges.some(a => others.some(b => a.from < b.to && b.from < a.to));
  for (const part of partsOf(calls)) {
    const own = part.calls.filter(each => kernels[each.kernel]);
    if (own.length === 0) continue;
    const touched = own.map(each => ({ ranges: rangesOf(context, each), operands: program.kernels[each.kernel]!.operands.length }));
    const [reads, writes] = [false, true].map(isWrite =>
      touched.flatMap(({ ranges, operands }) => ranges.filter((range, i) => range !== null && isWrite === i >= operands) as Range[])) as [Range[], Range[]];
    if (meets(reads, written) || meets(writes, written) || meets(writes, read)) {
      builder.emit(call('barrier', get(thread), get(threads)));
      written = [];
      read = [];
    }
    written.push(...writes);
    read.push(...reads);
    emitPart(builder, context, part, worker);
  }
  return builder.finish();
}

/** A thread's own memory and its private buffers, its number and how many there are. */
interface Worker {
  readonly scratch: Local;
  readonly privates: Local;
  readonly thread: Local;
  readonly threads: Local;
}

function newWorker(builder: Builder, { privateAt, arena, scratchAt, scratchBytes, packingBytes }: Context, thread: Local, threads: Local): Worker {
  const own = (start: Expression, bytes: number): Local => builder.keep('i32', op('i32.add', start, op('i32.mul', get(thread), i32(bytes))));
  const scratch = own(i32(scratchAt), scratchBytes);
  const privates = privateAt.size === 0 ? scratch
    : arena === null ? own(i32(scratchAt + packingBytes), scratchBytes) : own(address(arena.bytes), arena.threadBytes);
  return { scratch, privates, thread, threads };
}

/**
 * A call, which the threads share; or a loop, whose positions they share, each with all that happens at it. Where positions depend on one
 * another the threads go through them together, and share each call. `around` are the positions of the loops around.
 */
function emitPart(builder: Builder, context: Context, { loop, calls, body }: Part, worker: Worker, around: readonly Local[] = []): void {
  if (loop === null) {
    for (const each of calls) emitCall(builder, context, each, around, worker);
    return;
  }
  if (loop.given !== null) {
    const { program: { scalars } } = context;
    const position = builder.keep('i32', at('i32.load', 0, address(scalars.find(({ name }) => name === 'position')!.offset)));
    const isInside = op('i32.and', op('i32.ge_s', get(position), i32(loop.given.first)), op('i32.lt_s', get(position), i32(loop.axes[0]!)));
    builder.when(isInside, () => calls.forEach(each => emitCall(builder, context, each, [position], worker)));
    return;
  }
  if (loop.independent === 0) {
    emitSteps(builder, context, loop, calls, body, worker);
    return;
  }
  const units = size(loop.axes.slice(0, loop.independent));
  const alone: Worker = { ...worker, ...onlyThread(builder) };
  const end = builder.keep('i32', unitOf(units, op('i32.add', get(worker.thread), i32(1)), worker.threads));
  repeat(builder, unitOf(units, get(worker.thread), worker.threads), get(end), unit => {
    let stride = units;
    const shared = loop.axes.slice(0, loop.independent).map((extent, axis) => {
      stride /= extent;
      const whole = op('i32.div_u', get(unit), i32(stride));
      return builder.keep('i32', axis === 0 ? whole : op('i32.rem_u', whole, i32(extent)));
    });
    inOrder(builder, loop.axes, shared, positions => {
      countPositions(builder, context, loop, positions, alone.privates);
      for (const part of body) emitPart(builder, context, part, alone, [...around, ...positions]);
    });
  });
}

const onlyThread = (builder: Builder): Pick<Worker, 'thread' | 'threads'> => ({ thread: builder.keep('i32', i32(0)), threads: builder.keep('i32', i32(1)) });

/** The positions of axes, the first of which are given, one after the other. */
function inOrder(builder: Builder, axes: Shape, outer: readonly Local[], body: (positions: readonly Local[]) => void): void {
  if (outer.length === axes.length) return body(outer);
  repeat(builder, i32(0), i32(axes[outer.length]!), position => inOrder(builder, axes, [...outer, position], body));
}

/** Less than this for each thread to do in a step, in operations and stored elements, and meeting would take longer than helping saves. */
const worthMeeting = 20_000;

/** A loop whose positions run one after the other, with those inside of it. One thread runs all of it where a step is too little to share. */
function emitSteps(builder: Builder, context: Context, loop: Loop, calls: readonly Call[], body: readonly Part[], worker: Worker): void {
  const runs = calls.reduce((sum, each) => sum + timesOfCall(each), 0);
  const isShared = workOf(context.program, calls) / runs >= worthMeeting;
  const threads: Worker = isShared ? worker : { ...worker, ...onlyThread(builder) };
  const meet = (): void => builder.emit(call('barrier', get(worker.thread), get(worker.threads)));
  const steps = (own: Loop, parts: readonly Part[], around: readonly Local[]): void => {
    const isNested = parts.some(part => part.loop !== null);
    const meetings = isShared && !isNested ? meetingsIn(context, parts.flatMap(part => part.calls)) : new Set<number>();
    inOrder(builder, own.axes, [], positions => {
      countPositions(builder, context, own, positions, worker.privates);
      const all = [...around, ...positions];
      parts.forEach((part, number) => {
        // Around loops threads meet always.
        if (isShared && (isNested || meetings.has(number))) meet();
        if (part.loop === null) emitCall(builder, context, part.calls[0]!, all, threads);
        else steps(part.loop, part.body, all);
      });
    });
  };
  if (isShared) steps(loop, body, []);
  else builder.when(op('i32.eqz', get(worker.thread)), () => steps(loop, body, []));
}

/** The calls of a step before which threads meet, since a call before, in this step or the one before, has made or read what they change. */
function meetingsIn({ program, privateAt }: Context, calls: readonly Call[]): ReadonlySet<number> {
  interface Touched extends Range {
    readonly isWrite: boolean;
    readonly move: string;
    /** Over all positions. */
    readonly reach: Range;
    readonly shift: number;
  }
  const touchedBy = (each: Call): readonly Touched[] => {
    const kernel = program.kernels[each.kernel]!;
    const buffers = [...each.reads, ...each.writes];
    return [...kernel.operands, ...kernel.outputs].flatMap(({ dtype, shape }, i) => {
      if (privateAt.has(buffers[i]!)) return [];
      const unit = elementBytes(dtype);
      const { from, to } = reachOfCall(kernel, each, i);
      const start = each.offsets[i]! * unit;
      return [{ from: start, to: start + size(shape) * unit, isWrite: i >= kernel.operands.length, move: each.moves[i]!.map(times => times * unit).join(),
        reach: { from: from * unit, to: to * unit }, shift: each.moves[i]!.at(-1)! * unit }];
    });
  };
  const touched = calls.map(touchedBy);
  const overlap = (a: Range, b: Range): boolean => a.from < b.to && b.from < a.to;
  /** Whether an access of a step meets one of the same step or of the one after it. */
  const meet = (early: Touched, late: Touched, later: boolean): boolean => {
    if (!early.isWrite && !late.isWrite) return false;
    if (early.move !== late.move) return overlap(early.reach, late.reach);
    const by = later ? late.shift : 0;
    return overlap(early, { from: late.from + by, to: late.to + by });
  };
  const meetings = new Set<number>();
  for (let before = -1; before !== meetings.size;) {
    before = meetings.size;
    let since: { readonly number: number; readonly turn: number }[] = [];
    for (const turn of [0, 1]) {
      for (const number of calls.keys()) {
        const conflict = since.some(early => touched[early.number]!.some(a => touched[number]!.some(b => meet(a, b, early.turn !== turn))));
        if (conflict) meetings.add(number);
        if (meetings.has(number)) since = [];
        since.push({ number, turn });
      }
    }
  }
  return meetings;
}

/** Runs `body` for every number from `from` to before `to`. */
function repeat(builder: Builder, from: Expression, to: Expression, body: (number: Local) => void): void {
  const number = builder.keep('i32', from);
  builder.block(end =>
    builder.loop(again => {
      builder.branch(end, op('i32.ge_s', get(number), to));
      body(number);
      builder.emit(set(number, op('i32.add', get(number), i32(1))));
      builder.branch(again);
    }),
  );
}

/** Writes the positions of a loop where its calls read them. */
function countPositions(builder: Builder, { privateAt }: Context, loop: Loop, positions: readonly Local[], privates: Local): void {
  loop.counters.forEach((buffer, axis) => {
    if (buffer !== null) builder.emit(at('i32.store', privateAt.get(buffer)!, get(privates), get(positions[axis]!)));
  });
}

function emitCall(builder: Builder, { program, kernels, scratched, privateAt }: Context, each: Call, positions: readonly Local[], worker: Worker): void {
  const func = kernels[each.kernel];
  if (!func) return;
  const kernel = program.kernels[each.kernel]!;
  const buffers = [...each.reads, ...each.writes];
  const addresses = [...kernel.operands, ...kernel.outputs].map(({ dtype }, i) => {
    const unit = elementBytes(dtype);
    const own = privateAt.get(buffers[i]!);
    const start = own === undefined ? address(each.offsets[i]! * unit)
      : op('i32.add', get(worker.privates), i32(own + each.offsets[i]! * unit - program.buffers[buffers[i]!]!.offset));
    return positions.reduce((sum, position, axis) => {
      const times = each.moves[i]![axis]! * unit;
      return times === 0 ? sum : op('i32.add', sum, op('i32.mul', get(position), i32(times)));
    }, start);
  });
  builder.emit(call(func.name, ...addresses, ...(scratched.has(each.kernel) ? [get(worker.scratch)] : []), get(worker.thread), get(worker.threads)));
}
