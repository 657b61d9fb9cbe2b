/** What nabla is to reach, and what of it a run found. */
import { systemNames, threadsText, type Peer, type System } from './reference.ts';
import { timingOf, type ModelResult, type Results, type Timing } from './results.ts';
import { geometricMean, type Spread } from './statistics.ts';

/** Numbers that are to be at most, or at least, what is wanted: medians, by what they are of. */
export interface Goal {
  readonly name: string;
  readonly wanted: { readonly atMost: number } | { readonly atLeast: number };
  readonly found: readonly { readonly of: string; readonly value: number }[];
}

type Found = Goal['found'];

/** Parts of the peers' time that a step may take. */
const peerGoals = { torch: 1, 'torch-avx2': 1, jax: 0.33, tfjs: 0.1, 'tfjs-cpu': 0.1 } as const satisfies Record<Peer, number>;

/** Those of which the run has measured something. */
export function goalsOf({ models, products, generation, starts, outside }: Results): readonly Goal[] {
  const threadCounts = [...new Set(models.flatMap(({ timings }) => timings.map(({ threads }) => threads)))];
  const steps = (Object.keys(peerGoals) as Peer[]).flatMap(peer => threadCounts.flatMap((threads): Goal[] => {
    const found = models.flatMap(model => compared(model, ['nabla', peer], threads, ({ step }) => step.median));
    const mean = geometricMean(found.map(({ value }) => value));
    const name = `time of a step / ${systemNames[peer]}'s, ${threadsText(threads)}`;
    return [
      { name, wanted: { atMost: peerGoals[peer] }, found },
      ...(peer.startsWith('torch') && found.length > 0 ? [{ name: `${name}, geometric mean`, wanted: { atMost: 0.7 }, found: [{ of: `${found.length} models`, value: mean }] }] : []),
    ];
  }));
  const scaled = models.filter(({ model }) => ['gpt', 'alexnet'].includes(model)).flatMap(model => {
    const [one, two] = [1, 2].map(threads => timingOf(model, 'nabla', threads));
    return one === undefined || two === undefined ? [] : [{ of: model.model, value: one.step.median / two.step.median }];
  });
  const speeds = products.flatMap(({ size, threads, nabla, peers }) => peers.map(({ peer, time }) =>
    ({ name: `speed of products / ${systemNames[peer]}'s, ${threadsText(threads)}`, of: String(size), value: time.median / nabla.median })));
  const memory = models.filter(({ model }) => model === 'gpt2').flatMap(model => compared(model, ['nabla', 'torch'], 1, ({ peakBytes }) => peakBytes));
  const ofThreads = <Result extends { readonly threads: number }>(results: readonly Result[], value: (result: Result) => number): Found =>
    results.map(result => ({ of: threadsText(result.threads), value: value(result) }));
  const startOf = (wanted: 'ts' | 'mjs'): Found =>
    ofThreads(starts.filter(({ ending }) => ending === wanted), ({ time }: { readonly time: Spread }) => time.median / 1000);
  const all: readonly Goal[] = [
    ...steps,
    { name: 'speed on two threads / on one', wanted: { atLeast: 1.8 }, found: scaled },
    ...[...new Set(speeds.map(({ name }) => name))].map((name): Goal => ({ name, wanted: { atLeast: 0.75 }, found: speeds.filter(each => each.name === name) })),
    { name: 'memory at its peak / PyTorch\'s', wanted: { atMost: 0.7 }, found: memory },
    { name: 'share of a step of mlp outside of kernels', wanted: { atMost: 0.05 }, found: ofThreads(outside, ({ share }) => share.median) },
    { name: 'seconds from the start to the first step of mlp, as .ts', wanted: { atMost: 0.3 }, found: startOf('ts') },
    { name: 'seconds from the start to the first step of mlp, as .mjs', wanted: { atMost: 0.3 }, found: startOf('mjs') },
    { name: 'time of a token computed anew / with what is kept', wanted: { atLeast: 5 }, found: ofThreads(generation, ({ kept, anew }) => anew.median / kept.median) },
  ];
  return all.filter(({ found }) => found.length > 0);
}

export const isMet = ({ wanted }: Goal, value: number): boolean => ('atMost' in wanted ? value <= wanted.atMost : value >= wanted.atLeast);

/** The first system's number over the other's. */
function compared(model: ModelResult, systems: readonly [System, System], threads: number, number: (timing: Timing) => number): Found {
  const [ours, theirs] = systems.map(system => timingOf(model, system, threads));
  return ours === undefined || theirs === undefined ? [] : [{ of: model.model, value: number(ours) / number(theirs) }];
}
