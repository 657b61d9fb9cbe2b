/**
 * Measures a model's step call by call, on made-up inputs: every call of a kernel becomes an entry of its own in the module, which all
 * threads run together as they do in a program. The machine's limits are measured on the same threads.
 */
import { encode } from '../6-emit/wasm/encode.ts';
import { assemble } from '../6-emit/wasm/module.ts';
import { roofline } from '../6-emit/wasm/roofline.ts';
import { executeKernel } from '../ir/evaluate.ts';
import type { Model } from '../ir/model.ts';
import type { Call, Kernel, Program, ProgramEntry } from '../ir/program.ts';
import { elementBytes, isFloat, size, type DType } from '../ir/type.ts';
import { loadRuntime, type LoadedRuntime, type Machine } from './load-machine.ts';

/** An entry that is part of a step. */
export interface StepPart {
  readonly entry: ProgramEntry;
  /** How often it runs in a step: `accumulate` once for each of its batches. */
  readonly times: number;
  /** Milliseconds of each call, by its number; null for what the host computes. */
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
  readonly parts: readonly StepPart[];
  /** Milliseconds of a step that is run as a whole. */
  readonly stepMs: number;
  readonly limits: Limits;
}

/** Calls that are shorter are repeated to be measured. */
const shortMs = 0.005;
const mostRepeats = 64;

export async function measure(model: Model, program: Program, { steps, threads }: { readonly steps: number; readonly threads: number }): Promise<Measurement> {
  const runtime = await loadRuntime();
  const limits = measureLimits(runtime, program.arenaBytes, threads);
  const parts = partsOfStep(model, program);
  const calls = parts.flatMap(({ entry }) => entry.calls.filter(call => !program.kernels[call.kernel]!.host));
  const apart = calls.map((call, i): ProgramEntry => ({ name: `call.${i}`, calls: [call], results: [] }));
  const entries = [...program.entries, ...apart, { name: 'nothing', calls: [], results: [] }];
  const assembly = assemble({ ...program, entries }, { deterministic: false, inspected: false });
  const machine = runtime.openMachine({ ...assembly, module: base64(assembly.module) });
  const run = (name: string): void => machine.run(entries.findIndex(entry => entry.name === name));
  const nothing = entries.length - 1;
  const timed = (entry: number, repeats: number): number => {
    const started = performance.now();
    for (let i = 0; i < repeats; i++) machine.run(entry);
    return (performance.now() - started) / repeats;
  };
  machine.threads.start(threads);
  try {
    const warmUp = Math.max(3, Math.ceil(steps / 10));
    const host = newHost(program, machine.memory);
    host.set('seed', model.settings.seed);
    host.set('steps', 2 * (warmUp + steps));
    host.set('step', 0);
    host.run(program.entries.find(entry => entry.name === 'initialise'));
    run('initialise');
    runtime.fillInputs(fillable(model, program, machine.memory));
    const times: number[][] = calls.map(() => []);
    const empty: number[] = [];
    const whole: number[] = [];
    let step = 0;
    /** `accumulate` counts batches. */
    const prepare = ({ entry, times }: (typeof parts)[number], batch: number): void => {
      host.set('step', (step - 1) * times + batch + 1);
      host.run(entry);
    };
    for (let round = 0; round < warmUp + steps; round++) {
      step++;
      let ms = 0;
      for (const part of parts)
        for (let batch = 0; batch < part.times; batch++) {
          prepare(part, batch);
          ms += timed(program.entries.indexOf(part.entry), 1);
        }
      whole.push(ms);
      step++;
      let next = 0;
      for (const part of parts) {
        prepare(part, 0);
        for (const call of part.entry.calls) {
          const kernel = program.kernels[call.kernel]!;
          if (kernel.host) continue;
          const own = times[next]!;
          const entry = program.entries.length + next++;
          const estimate = median(own.slice(-warmUp));
          if (round < warmUp || estimate >= shortMs) own.push(timed(entry, 1));
          else own.push(repeated(machine, kernel, call, () => void machine.run(entry), () => timed(entry, Math.min(mostRepeats, Math.ceil((2 * shortMs) / estimate)))));
        }
      }
      empty.push(timed(nothing, mostRepeats));
    }
    const overhead = median(empty.slice(warmUp));
    const medians = times.map(each => Math.max(0, median(each.slice(warmUp)) - overhead));
    let next = 0;
    return {
      parts: parts.map(part => ({ ...part, ms: part.entry.calls.map(call => (program.kernels[call.kernel]!.host ? null : medians[next++]!)) })),
      stepMs: median(whole.slice(warmUp)),
      limits,
    };
  } finally {
    machine.threads.stop();
  }
}

/** Runs a call once for its results, then measures it; what it computes when it runs again, maybe in place, is undone. */
function repeated(machine: Machine, kernel: Kernel, call: Call, once: () => void, timing: () => number): number {
  once();
  const views = kernel.outputs.map(({ dtype, shape }, i) => {
    const bytes = elementBytes(dtype);
    return new Uint8Array(machine.memory, call.offsets[kernel.operands.length + i]! * bytes, size(shape) * bytes);
  });
  const results = views.map(view => view.slice());
  const ms = timing();
  views.forEach((view, i) => view.set(results[i]!));
  return ms;
}

/** What a step runs, and how often; evaluation or prediction in a model that is not trained. */
function partsOfStep(model: Model, program: Program): readonly Omit<StepPart, 'ms'>[] {
  const entryOf = (name: string): readonly ProgramEntry[] => program.entries.filter(entry => entry.name === name);
  const main = ['train', 'evaluate', 'predict'].flatMap(entryOf).slice(0, 1);
  return [
    ...entryOf('accumulate').map(entry => ({ entry, times: model.settings.accumulate })),
    ...main.map(entry => ({ entry, times: 1 })),
  ];
}

const base64 = (module: Parameters<typeof encode>[0]): string => Buffer.from(encode(module)).toString('base64');

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** What the host computes: scalars of the seed and the number of the step. */
function newHost(program: Program, memory: ArrayBuffer): { readonly set: (name: string, value: number) => void; readonly run: (entry: ProgramEntry | undefined) => void } {
  const view = (dtype: DType, count: number, offset: number): Float32Array | Int32Array | Uint8Array =>
    new (isFloat(dtype) ? Float32Array : dtype === 'i32' ? Int32Array : Uint8Array)(memory, offset, count);
  return {
    set: (name, value) => {
      const { dtype, offset } = program.scalars.find(scalar => scalar.name === name)!;
      view(dtype, 1, offset)[0] = value;
    },
    run: entry => {
      for (const call of entry?.calls ?? []) {
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

function fillable(model: Model, program: Program, memory: ArrayBuffer): Parameters<LoadedRuntime['fillInputs']>[0] {
  const below = new Map((model.data?.sources ?? []).flatMap(source => source.fields.map(field => [field.input, field.below] as const)));
  return { memory, settings: model.settings, inputs: program.inputs.map(input => ({ ...input, below: below.get(input.name) ?? null })) };
}

const leastArrays = 1 << 18;
const mostArrays = 1 << 28;

/** The best of several rounds: others may use the machine at the same time. */
function measureLimits({ openMachine }: LoadedRuntime, arenaBytes: number, threads: number): Limits {
  const plan = roofline(Math.min(mostArrays, Math.max(leastArrays, arenaBytes)));
  const machine = openMachine({ ...plan, module: base64(plan.module), microAt: null });
  new Float32Array(machine.memory, 0, plan.arrayBytes / 4).fill(1);
  machine.threads.start(threads);
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
