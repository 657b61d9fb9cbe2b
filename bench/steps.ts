/** Training steps of the reference models: all systems on all numbers of threads, and what nabla's program does around its kernels. */
import { join } from 'node:path';
import { writeBatch, writeFirstWeights } from './batch.ts';
import { bench, build, firstLosses, outsideShare, startTime, writeProgram } from './nabla.ts';
import { stepsOf, trainPeer, usesThreads, type StepReport } from './peers.ts';
import { systemNames, threadsText, type Peer, type ReferenceModel, type System } from './reference.ts';
import type { ModelResult, OutsideResult, Results, StartResult } from './results.ts';
import { spread, spreadOfRuns, type Spread } from './statistics.ts';

export interface StepMeasurements {
  /** Takes one sample of everything. */
  readonly round: (tell: (what: string) => void) => void;
  readonly results: () => Pick<Results, 'models' | 'starts' | 'outside'> & { readonly versions: Readonly<Record<string, string>> };
}

interface Sample {
  readonly step: Spread;
  readonly peakBytes: number;
  /** Milliseconds from the start of the process to the end of its first step; null where it does not tell. */
  readonly firstStep: number | null;
}

/** One system training one model on a number of threads. */
interface Measurement {
  readonly system: System;
  readonly threads: number;
  readonly run: () => Sample;
  readonly samples: Sample[];
  failure: string | null;
}

interface Trained {
  readonly model: ReferenceModel;
  readonly parameters: number;
  readonly measurements: readonly Measurement[];
  /** Of nabla's program, for the model whose steps are the shortest. */
  readonly outside: readonly { readonly threads: number; readonly run: () => number; readonly samples: number[] }[];
  readonly starts: readonly { readonly ending: 'ts' | 'mjs'; readonly threads: number; readonly run: () => number; readonly samples: number[] }[];
}

const shortest = 'mlp';

export function stepMeasurements(models: readonly ReferenceModel[], peers: readonly Peer[], threadCounts: readonly number[], folder: string): StepMeasurements {
  const versions: Record<string, string> = {};
  const all = models.map(model => trained(model, peers, threadCounts, join(folder, model.name), versions));
  return {
    round: tell => all.forEach(({ model, measurements, outside, starts }) => {
      measurements.forEach(measurement => {
        tell(`${model.name}, ${systemNames[measurement.system]}, ${threadsText(measurement.threads)}`);
        takeSample(measurement);
      });
      for (const { run, samples } of [...outside, ...starts]) samples.push(run());
    }),
    results: () => ({
      versions,
      models: all.map(modelResult),
      starts: all.filter(({ model }) => model.name === shortest).flatMap(startResults),
      outside: all.flatMap(({ outside }) => outside.map(({ threads, samples }): OutsideResult => ({ threads, share: spread(samples) }))),
    }),
  };
}

/** What fails once is not tried again: a model that does not fit into memory, say. Its reason is told with the results. */
function takeSample(measurement: Measurement): void {
  if (measurement.failure !== null) return;
  try {
    measurement.samples.push(measurement.run());
  } catch (error) {
    if (error instanceof NotAlike) throw error;
    const { message } = error as Error;
    process.stderr.write(`${message}\n`);
    measurement.failure = reasonIn(message);
  }
}

/** The line of a process's last words that says what was wrong, without the trace around it. */
const reasonIn = (message: string): string => message.split('\n').findLast(line => /^\s*\w*error\b/i.test(line))?.trim() ?? 'it ended without a reason';

function trained(model: ReferenceModel, peers: readonly Peer[], threadCounts: readonly number[], folder: string, versions: Record<string, string>): Trained {
  const built = build(`bench/models/${model.file}.model`, model.settings);
  const program = writeProgram(built, folder);
  writeBatch(built.model, built.program, folder);
  let losses: readonly number[] = [];
  if (model.compared !== null) {
    writeFirstWeights(built.program, folder);
    losses = firstLosses(program, folder, model.compared);
  }
  const measurement = (system: System, threads: number, run: () => Sample): Measurement => ({ system, threads, run, samples: [], failure: null });
  const nabla = (threads: number): Sample => {
    const report = bench(program, model.steps.nabla!, threads);
    return { step: report.ms_per_step, peakBytes: report.peak_bytes, firstStep: null };
  };
  const peer = (peer: Peer, threads: number): Sample => {
    const report = trainPeer(peer, model, folder, threads);
    requireAlike(model, peer, { losses, parameters: built.parameters }, report);
    versions[systemNames[peer]] = report.version;
    return { step: report.ms_per_step, peakBytes: report.peak_bytes, firstStep: report.first_step_at - report.started };
  };
  return {
    model,
    parameters: built.parameters,
    measurements: threadCounts.flatMap(threads => [
      measurement('nabla', threads, () => nabla(threads)),
      ...peers.filter(one => stepsOf(one, model) !== undefined && (threads === 1 || usesThreads(one)))
        .map(one => measurement(one, threads, () => peer(one, threads))),
    ]),
    outside: model.name !== shortest ? [] : threadCounts.map(threads => ({ threads, run: () => outsideShare(program, model.steps.nabla!, threads), samples: [] })),
    starts: model.name !== shortest ? [] : (['ts', 'mjs'] as const).flatMap(ending => {
      const path = writeProgram(built, folder, ending);
      return threadCounts.map(threads => ({ ending, threads, run: () => startTime(path, threads), samples: [] }));
    }),
  };
}

class NotAlike extends Error {}

/** Times are comparable only when both sides do the same work: parameters are as many, losses agree to single precision's rounding. */
function requireAlike(model: ReferenceModel, peer: Peer, ours: Pick<StepReport, 'losses' | 'parameters'>, theirs: StepReport): void {
  const compared = ours.losses.slice(0, theirs.losses.length);
  const alike = compared.every((loss, i) => Math.abs(loss - theirs.losses[i]!) <= 1e-4 * Math.abs(loss));
  if (alike && ours.parameters === theirs.parameters) return;
  throw new NotAlike(`\`${model.name}\` is not trained alike: nabla has ${ours.parameters} parameters and the losses ${compared.join(', ')};`
    + ` ${systemNames[peer]} has ${theirs.parameters} and ${theirs.losses.slice(0, compared.length).join(', ')}`);
}

function modelResult({ model, parameters, measurements }: Trained): ModelResult {
  return {
    model: model.name,
    parameters,
    timings: measurements.filter(({ samples }) => samples.length > 0).map(({ system, threads, samples }) => ({
      system,
      threads,
      step: spreadOfRuns(samples.map(({ step }) => step)),
      peakBytes: spread(samples.map(({ peakBytes }) => peakBytes)).median,
    })),
    failures: measurements.flatMap(({ system, threads, failure }) => (failure === null ? [] : [{ system, threads, reason: failure }])),
  };
}

function startResults({ measurements, starts }: Trained): readonly StartResult[] {
  const ofPeers = measurements.map(({ system, threads, samples }) => ({ system, ending: null, threads, times: samples.flatMap(({ firstStep }) => firstStep ?? []) }));
  const ofNabla = starts.map(({ ending, threads, samples }) => ({ system: 'nabla' as const, ending, threads, times: samples }));
  return [...ofNabla, ...ofPeers].filter(({ times }) => times.length > 0).map(({ times, ...about }) => ({ ...about, time: spread(times) }));
}
