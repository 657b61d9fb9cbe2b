/**
 * Measures a model's step call by call, on made-up inputs: every call of a kernel becomes an entry of its own in the module, which all
 * threads run together as they do in a program. The machine's limits are measured on the same threads.
 */
import { moduleText } from '../6-emit/wasm/encode.ts';
import { assemble } from '../6-emit/wasm/module.ts';
import { roofline } from '../6-emit/wasm/roofline.ts';
import { executeKernel } from '../ir/evaluate.ts';
import { entryName, type Model, type Stage } from '../ir/model.ts';
import { partsOf, reachOfCall, type Part, type Program, type ProgramEntry } from '../ir/program.ts';
import { elementBytes, isFloat, size, type DType } from '../ir/type.ts';
import { loadMachine, type LoadedMachine, type Machine } from './load-machine.ts';

/** An entry that is part of a step. */
export interface StepPart {
  readonly entry: ProgramEntry;
  /** How often it runs in a step: `accumulate` once for each of its batches. */
  readonly times: number;
}

export interface MeasuredPart extends StepPart {
  /** Milliseconds of each call or loop, in the order of `partsOf`; null for what the host computes. */
  readonly ms: readonly (number | null)[];
}

export interface Limits {
  /** Floating-point operations a second, in products. */
  readonly flops: number;
  /** Bytes a second, read and written, over arrays of so many bytes: what a step goes through. */
  readonly bandwidth: number;
  readonly bandwidthOver: number;
}

export interface Measurement {
  readonly parts: readonly MeasuredPart[];
  /** Milliseconds of a step that is run as a whole. */
  readonly stepMs: number;
  /** Null on a GPU, of which nothing is known but what it takes. */
  readonly limits: Limits | null;
  /** Whose time it is. */
  readonly clock: 'host' | 'gpu';
}

/** Calls that are shorter are repeated to be measured. */
const shortMs = 0.005;
const mostRepeats = 64;

/** What a step runs, and how often; evaluation or prediction in a model that is not trained; nothing in one that computes nothing. */
export function partsOfStep(model: Model, stage: Stage, program: Program): readonly StepPart[] {
  const entryOf = (what: string): readonly ProgramEntry[] => program.entries.filter(entry => entry.name === entryName(model, stage, what));
  return [
    ...entryOf('accumulate').map(entry => ({ entry, times: stage.settings.accumulate })),
    ...['train', 'evaluate', 'predict', 'predict_once'].flatMap(entryOf).slice(0, 1).map(entry => ({ entry, times: 1 })),
  ];
}

export async function measure(model: Model, stage: Stage, program: Program, parts: readonly StepPart[], options: { readonly steps: number; readonly threads: number }): Promise<Measurement> {
  const runtime = await loadMachine();
  const limits = await measureLimits(runtime, program.arenaBytes, options.threads);
  const measured = parts.map(part => ({ ...part, calls: partsOf(part.entry.calls) }));
  const calls = measured.flatMap(part => part.calls).filter(part => !program.kernels[part.calls[0]!.kernel]!.host);
  const apart = calls.map((part, i): ProgramEntry => ({ name: `call.${i}`, first: 0, calls: part.calls, results: [] }));
  const entries = [...program.entries, ...apart, { name: 'nothing', first: 0, calls: [], results: [] }];
  const assembly = assemble({ ...program, entries }, { deterministic: false, inspected: false, wide: false });
  const machine = runtime.openMachine({ ...assembly, shared: assembly.entries.map((_, entry) => entry), ...moduleText(assembly.module) });
  const host = newHost(program, machine.memory);
  await machine.threads.start(options.threads);
  try {
    begin(model, stage, program, machine, host, runtime, 2 * (warmUpOf(options.steps) + options.steps));
    const { stepMs, callMs } = measureRounds(program, measured, calls, machine, host, options.steps);
    const of = new Map(calls.map((call, i) => [call, callMs[i]!]));
    return { parts: measured.map(({ calls: own, ...part }) => ({ ...part, ms: own.map(call => of.get(call) ?? null) })), stepMs, limits, clock: 'host' };
  } finally {
    machine.threads.stop();
  }
}

/** Steps as a whole and call by call, a loop as one, in turns. The calls are the entries behind the program's own, the last one does nothing. */
function measureRounds(
  program: Program, parts: readonly (StepPart & { readonly calls: readonly Part[] })[], calls: readonly Part[], machine: Machine, host: Host, steps: number,
): { readonly stepMs: number; readonly callMs: readonly number[] } {
  const nothing = program.entries.length + calls.length;
  const timed = (entry: number, repeats = 1): number => {
    // Threads that have waited for long sleep, and need longer to begin than many a kernel takes.
    machine.run(nothing);
    const started = performance.now();
    for (let i = 0; i < repeats; i++) machine.run(entry);
    return (performance.now() - started) / repeats;
  };
  const warmUp = warmUpOf(steps);
  const whole: number[] = [];
  const empty: number[] = [];
  const each: number[][] = calls.map(() => []);
  let step = 0;
  /** `accumulate` counts batches. */
  const prepare = ({ entry, times }: StepPart, batch: number): void => {
    host.set('step', (step - 1) * times + batch + 1);
    host.run(entry);
  };
  const timedCall = (i: number): number => {
    const entry = program.entries.length + i;
    const estimate = median(each[i]!.slice(-warmUp));
    if (each[i]!.length < warmUp || estimate >= shortMs) return timed(entry);
    machine.run(entry);
    return keeping(program, calls[i]!, machine.memory, () => timed(entry, Math.min(mostRepeats, Math.ceil((2 * shortMs) / estimate))));
  };
  for (let round = 0; round < warmUp + steps; round++) {
    step++;
    let ms = 0;
    for (const part of parts)
      for (let batch = 0; batch < part.times; batch++) {
        prepare(part, batch);
        ms += timed(program.entries.indexOf(part.entry));
      }
    whole.push(ms);
    step++;
    for (const part of parts) {
      prepare(part, 0);
      for (const call of part.calls) {
        const i = calls.indexOf(call);
        if (i >= 0) each[i]!.push(timedCall(i));
      }
    }
    empty.push(timed(nothing, mostRepeats));
  }
  const settled = (times: readonly number[]): number => median(times.slice(warmUp));
  // The least that a call takes: with few steps, the median of doing nothing can be above that of a small kernel.
  const least = Math.min(...empty);
  return { stepMs: settled(whole), callMs: each.map(times => Math.max(0, settled(times) - least)) };
}

/** What a call has computed is the same after `repeat`, even where it works in place. */
function keeping<T>(program: Program, { calls }: Part, memory: ArrayBuffer, repeat: () => T): T {
  const views = calls.flatMap(call => {
    const kernel = program.kernels[call.kernel]!;
    return kernel.outputs.map(({ dtype }, i) => {
      const bytes = elementBytes(dtype);
      const { from, to } = reachOfCall(kernel, call, kernel.operands.length + i);
      return new Uint8Array(memory, from * bytes, (to - from) * bytes);
    });
  });
  const results = views.map(view => view.slice());
  const given = repeat();
  views.forEach((view, i) => view.set(results[i]!));
  return given;
}

const warmUpOf = (steps: number): number => Math.max(3, Math.ceil(steps / 10));

/** Of an even number of values the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** What the host computes: scalars of the seed and the number of the step. */
export interface Host {
  readonly set: (name: string, value: number) => void;
  readonly run: (entry: ProgramEntry) => void;
}

export function newHost(program: Program, memory: ArrayBuffer): Host {
  const view = (dtype: DType, count: number, offset: number): Float32Array | Int32Array | Uint8Array =>
    new (isFloat(dtype) ? Float32Array : dtype === 'i32' ? Int32Array : Uint8Array)(memory, offset, count);
  const set = (name: string, value: number): void => {
    const { dtype, offset } = program.scalars.find(scalar => scalar.name === name)!;
    view(dtype, 1, offset)[0] = value;
  };
  return {
    set,
    run: entry => {
      for (const call of entry.calls) {
        const kernel = program.kernels[call.kernel]!;
        if (!kernel.host) continue;
        const views = [...kernel.operands, ...kernel.outputs].map(({ dtype, shape }, i) => view(dtype, size(shape), call.offsets[i]! * elementBytes(dtype)));
        const tensors = [...kernel.operands, ...kernel.outputs].map(({ dtype, shape }, i) => ({ dtype, shape, data: Float64Array.from(views[i]!) }));
        const results = executeKernel(kernel, tensors.slice(0, kernel.operands.length), tensors.slice(kernel.operands.length));
        results.forEach((result, i) => views[kernel.operands.length + i]!.set(result.data));
      }
    },
  };
}

/** What comes before the first of so many steps: scalars, initial values, made-up inputs. */
export function begin(
  model: Model, stage: Stage, program: Program, machine: Pick<Machine, 'memory' | 'run'>, host: Host, { fillInputs }: LoadedMachine, steps: number,
): void {
  const { seed } = stage.settings;
  host.set('seed', seed);
  host.set('steps', steps);
  if (program.scalars.some(({ name }) => name === 'learning_rate_factor')) host.set('learning_rate_factor', 1);
  for (const each of model.stages) {
    const initialise = program.entries.find(entry => entry.name === entryName(model, each, 'initialise'))!;
    host.run(initialise);
    machine.run(program.entries.indexOf(initialise));
  }
  fillInputs(fillable(model, program, machine.memory), seed);
}

const fillable = ({ limits }: Model, program: Program, memory: ArrayBuffer): Parameters<LoadedMachine['fillInputs']>[0] =>
  ({ memory, inputs: program.inputs.map(input => ({ ...input, below: limits.get(input.name) ?? null })) });

const leastArrays = 1 << 18;
const mostArrays = 1 << 28;

/** The best of several rounds: others may use the machine at the same time. */
async function measureLimits({ openMachine }: LoadedMachine, arenaBytes: number, threads: number): Promise<Limits> {
  const plan = roofline(Math.min(mostArrays, Math.max(leastArrays, arenaBytes)));
  const machine = openMachine({ ...plan, shared: plan.entries.map((_, entry) => entry), ...moduleText(plan.module), arena: null, microAt: null, spareBytes: 0 });
  new Float32Array(machine.memory, 0, plan.arrayBytes / 4).fill(1);
  await machine.threads.start(threads);
  const best = (name: (typeof plan.entries)[number]): number => {
    const entry = plan.entries.indexOf(name);
    return Math.min(...Array.from({ length: 8 }, () => {
      const started = performance.now();
      machine.run(entry);
      return performance.now() - started;
    }));
  };
  try {
    return {
      flops: (1e3 * threads * plan.flops) / Math.min(best('wide'), best('narrow')),
      bandwidth: (1e3 * plan.bytes) / best('triad'),
      bandwidthOver: plan.arrayBytes,
    };
  } finally {
    machine.threads.stop();
  }
}
