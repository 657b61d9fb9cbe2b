/**
 * `nabla profile`: where the time of a step goes, by kernel, and how near each kernel is to what the machine can do: its limit is the
 * longer of its operations at the speed of products and its bytes at the speed of memory.
 */
import { availableParallelism } from 'node:os';
import { basename } from 'node:path';
import { modelLines } from '../6-emit/model-lines.ts';
import { defaultGpuOptions } from '../6-emit/wgsl/module.ts';
import { laidOut } from '../6-emit/wgsl/segments.ts';
import type { Levels } from '../index.ts';
import type { Origin } from '../ir/graph.ts';
import type { Stage } from '../ir/model.ts';
import { partsOf, type Call, type Part, type Program } from '../ir/program.ts';
import { elementBytes, size } from '../ir/type.ts';
import { movedBytes } from '../view/kernel-picture.ts';
import { heatView, render } from '../view/view.ts';
import { chosenStage, compileFile, type CompileFlags, type ModelFlag } from './compile-file.ts';
import { Failure } from './failure.ts';
import { measure, partsOfStep, type MeasuredPart, type Measurement } from './measure.ts';
import { measureOnGpu } from './measure-gpu.ts';
import { printTable } from './table.ts';
import { writeOutput } from './write-output.ts';

export interface ProfileFlags extends CompileFlags, ModelFlag {
  readonly steps: string;
  readonly threads?: string;
  readonly target: 'wasm' | 'webgpu';
  readonly format: 'text' | 'json' | 'dot' | 'svg';
  readonly output?: string;
}

/** All calls of a kernel in a step. */
export interface KernelProfile {
  readonly kernel: string;
  readonly entry: string;
  /** `path:line  text` of the model. */
  readonly lines: readonly string[];
  readonly calls: number;
  /** Milliseconds of all its calls together, and their share of the step. */
  readonly ms: number;
  readonly share: number;
  /** Null, as what follows, where the time is too short to be told from none. */
  readonly gflops: number | null;
  readonly gbs: number | null;
  /** The least that the machine could need, and that divided by what the kernel needs; null where its limits are not known. */
  readonly limitMs: number | null;
  readonly ofLimit: number | null;
}

export interface Profile {
  readonly model: string;
  readonly entries: readonly string[];
  readonly batch: number;
  readonly target: ProfileFlags['target'];
  readonly clock: Measurement['clock'];
  /** Null on a GPU. */
  readonly threads: number | null;
  /** How many steps were measured; times are medians. */
  readonly steps: number;
  readonly stepMs: number;
  /** What the step needs beyond its kernels. */
  readonly outsideMs: number;
  readonly outsideShare: number;
  /** Null on a GPU. */
  readonly limits: { readonly gflops: number; readonly gbs: number; readonly gbsOverBytes: number } | null;
  /** The longest first. */
  readonly kernels: readonly KernelProfile[];
  /** What the host computes is not measured. */
  readonly host: readonly string[];
}

export async function runProfile(path: string, flags: ProfileFlags): Promise<number> {
  const { target } = flags;
  const compiled = compileFile(path, 'schedule', flags);
  const onGpu = target === 'webgpu' ? laidOut(compiled.program!, defaultGpuOptions.bindingBytes) : null;
  const levels = onGpu === null ? compiled : { ...compiled, program: onGpu };
  const steps = Number(flags.steps);
  const threads = onGpu !== null ? null : flags.threads === undefined ? availableParallelism() : Number(flags.threads);
  const stage = chosenStage(levels.model, flags.model);
  const parts = partsOfStep(levels.model, stage, levels.program!);
  if (parts.length === 0) throw new Failure(`the model \`${stage.model}\` computes nothing: give it a loss or an output`);
  const measured = onGpu !== null
    ? await measureOnGpu(levels.model, stage, onGpu, parts, { steps })
    : await measure(levels.model, stage, levels.program!, parts, { steps, threads: threads! });
  const profile = profileOf(levels, stage, measured, steps, threads);
  const { format } = flags;
  const output = flags.output ?? (format === 'svg' ? `${basename(path).replace(/\.model$/, '')}-profile.svg` : '-');
  writeOutput(output, await contents(levels, measured, profile, format));
  if (output !== '-') process.stdout.write(`saved ${output}\n`);
  return 0;
}

async function contents(levels: Levels, measured: Measurement, profile: Profile, format: ProfileFlags['format']): Promise<string | Uint8Array> {
  if (format === 'text') return printProfile(profile);
  if (format === 'json') return `${JSON.stringify(profile, rounded, 2)}\n`;
  const [{ entry, ms, times }] = measured.parts as [MeasuredPart];
  const total = profile.stepMs;
  // The time of a loop stands at its first call.
  const heats = partsOf(entry.calls).flatMap(({ calls }, part) =>
    calls.map((_, i) => (ms[part] === null || i > 0 ? null : { ms: ms[part]! * times, share: (ms[part]! * times) / total })),
  );
  const note = `${milliseconds(total)} ms a step on ${placeOf(profile)}, ${milliseconds(profile.outsideMs)} ms of it outside of kernels`;
  const dot = heatView(levels, entry, heats, note);
  return format === 'dot' ? dot : await render(dot, 'svg');
}

const rounded = (_: string, value: unknown): unknown => (typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(5)) : value);

/** Calls of one kernel become one row. */
export function profileOf({ model, program }: Levels, stage: Stage, { parts, stepMs, limits, clock }: Measurement, steps: number, threads: number | null): Profile {
  interface Row {
    readonly entry: string;
    readonly part: Part;
    readonly origins: readonly Origin[];
    readonly calls: number;
    readonly ms: number;
  }
  const rows = new Map<string, Row>();
  for (const { entry, times, ms } of parts) {
    partsOf(entry.calls).forEach((part, i) => {
      if (ms[i] === null) return;
      const key = JSON.stringify([entry.name, part.loop?.axes, part.calls.map(call => call.kernel)]);
      const before = rows.get(key) ?? { entry: entry.name, part, origins: [], calls: 0, ms: 0 };
      const origins = part.calls.flatMap(call => call.origins);
      rows.set(key, { ...before, origins: [...before.origins, ...origins], calls: before.calls + times, ms: before.ms + times * ms[i]! });
    });
  }
  const inKernels = [...rows.values()].reduce((sum, row) => sum + row.ms, 0);
  // Measured apart, the kernels can need a little more than in the step.
  const total = Math.max(stepMs, inKernels);
  const kernels = [...rows.values()].map(({ entry, part, origins, calls, ms }): KernelProfile => {
    const { name, flops, bytes } = workOf(part, program!);
    const limitMs = limits && calls * 1e3 * Math.max(flops / limits.flops, bytes / limits.bandwidth);
    const perSecond = (count: number): number | null => (ms === 0 ? null : (calls * count) / ms / 1e6);
    return {
      kernel: name, entry, lines: modelLines(origins), calls, ms, share: ms / total,
      gflops: perSecond(flops), gbs: perSecond(bytes), limitMs, ofLimit: ms === 0 || limitMs === null ? null : limitMs / ms,
    };
  });
  const host = parts.flatMap(({ entry, ms }) => partsOf(entry.calls).flatMap(({ calls: [call] }, i) => (ms[i] === null ? [program!.kernels[call!.kernel]!.name] : [])));
  return {
    model: model!.stages.length === 1 ? model!.name : stage.name, entries: parts.map(part => part.entry.name), batch: stage.batch, target: threads === null ? 'webgpu' : 'wasm', clock, threads, steps,
    stepMs: total, outsideMs: total - inKernels, outsideShare: (total - inKernels) / total,
    limits: limits && { gflops: limits.flops / 1e9, gbs: limits.bandwidth / 1e9, gbsOverBytes: limits.bandwidthOver },
    kernels: kernels.sort((a, b) => b.ms - a.ms), host: [...new Set(host)],
  };
}

/** What a call or a loop does. What a loop's calls pass to each other stays in the caches: it does not count as moved. */
function workOf({ loop, calls }: Part, { kernels, buffers }: Program): { readonly name: string; readonly flops: number; readonly bytes: number } {
  const [first] = calls as readonly [Call];
  const name = kernels[first.kernel]!.name;
  if (loop === null) return { name, flops: kernels[first.kernel]!.flops, bytes: movedBytes(kernels[first.kernel]!) };
  const outside = calls.flatMap(call => {
    const { operands, outputs } = kernels[call.kernel]!;
    const places = [...call.reads, ...call.writes];
    return [...operands, ...outputs].filter((_, i) => buffers[places[i]!]!.role !== 'private');
  });
  return {
    name: `${name}, ${calls.length} kernels in blocks`,
    flops: size(loop.axes) * calls.reduce((sum, call) => sum + kernels[call.kernel]!.flops, 0),
    bytes: size(loop.axes) * outside.reduce((sum, { dtype, shape }) => sum + size(shape) * elementBytes(dtype), 0),
  };
}

function printProfile(profile: Profile): string {
  const { model, entries, batch, steps, stepMs, outsideMs, outsideShare, limits, clock, kernels, host } = profile;
  const of = (row: KernelProfile): readonly string[] => [
    entries.length > 1 ? `${row.entry}: ${row.kernel}` : row.kernel, String(row.calls), milliseconds(row.ms), percent(row.share),
    row.gflops?.toFixed(1) ?? '', row.gbs?.toFixed(1) ?? '', ...(limits === null ? [] : [row.ofLimit === null ? '' : percent(row.ofLimit)]), whereFrom(row.lines),
  ];
  const head = ['kernel', 'calls', 'ms', 'share', 'GFLOP/s', 'GB/s', ...(limits === null ? [] : ['of limit']), 'from'];
  const outside = ['(outside of kernels)', '', milliseconds(outsideMs), percent(outsideShare), '', '', ...head.slice(6).map(() => '')];
  const known = limits !== null
    ? `this machine: ${limits.gflops.toFixed(1)} GFLOP/s in products, ${limits.gbs.toFixed(1)} GB/s over ${(limits.gbsOverBytes / 1e6).toFixed(1)} MB`
    : clock === 'gpu' ? 'times are the GPU\'s own' : 'this GPU tells no times: they are the host\'s, each until the GPU was done';
  return `${model}, ${entries.map(entry => `\`${entry}\``).join(' and ')} on ${counted(batch, 'row')}, ${placeOf(profile)}: `
    + `${milliseconds(stepMs)} ms a step, median of ${steps}\n`
    + `${known}\n\n`
    + printTable(head, [...kernels.map(of), outside])
    + (host.length === 0 ? '' : `\n  computed by the host, not measured: ${host.map(name => `\`${name}\``).join(', ')}\n`);
}

const placeOf = ({ threads }: Profile): string => (threads === null ? 'WebGPU' : counted(threads, 'thread'));
const percent = (share: number): string => `${(100 * share).toFixed(1)}%`;
const milliseconds = (ms: number): string => ms.toFixed(ms < 1 ? 4 : 3);
const counted = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`;

const widest = 72;

/** The first line, and how many others. */
function whereFrom([first = '(the compiler)', ...others]: readonly string[]): string {
  const more = others.length === 0 ? '' : `, and ${others.length} more`;
  return `${first.length + more.length <= widest ? first : `${first.slice(0, widest - more.length - 1)}…`}${more}`;
}
