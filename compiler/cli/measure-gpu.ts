/**
 * Measures a model's step call by call on a GPU, on made-up inputs: the step as a whole, then each of its calls as an entry of its own, in
 * the same order. Times are the GPU's own where its adapter has timestamps; else the host's, until the GPU is done.
 */
import { defaultGpuOptions } from '../6-emit/wgsl/module.ts';
import { gpuPlan } from '../6-emit/wgsl/plan.ts';
import type { SegmentedProgram } from '../6-emit/wgsl/segments.ts';
import type { Model, Stage } from '../ir/model.ts';
import { partsOf, type ProgramEntry } from '../ir/program.ts';
import { loadMachine, type LoadedMachine } from './load-machine.ts';
import { begin, median, newHost, type Measurement, type StepPart } from './measure.ts';

export async function measureOnGpu(model: Model, stage: Stage, program: SegmentedProgram, parts: readonly StepPart[], options: { readonly steps: number }): Promise<Measurement> {
  const runtime = await loadMachine();
  const measured = parts.map(part => ({ ...part, calls: partsOf(part.entry.calls) }));
  const isHost = (call: ProgramEntry['calls'][number]): boolean => program.kernels[call.kernel]!.host;
  const apart = measured.flatMap(({ entry, calls }) => calls.filter(({ calls: [first] }) => !isHost(first!)).map(part => ({
    part,
    // What the host computes goes to the GPU with every entry that has it.
    entry: { name: 'call', first: 0, calls: [...entry.calls.filter(isHost), ...part.calls], results: [] } satisfies ProgramEntry,
  })));
  const nothing = program.entries.length + apart.length;
  const entries = [...program.entries, ...apart.map(({ entry }) => entry), { name: 'nothing', first: 0, calls: [], results: [] }];
  const clock = await openClock(runtime);
  try {
    const machine = runtime.openGpu(gpuPlan({ ...program, entries }, defaultGpuOptions));
    await machine.device.open();
    const timed = (entry: number): Promise<number> => clock.timed(() => machine.run(entry), () => machine.device.fetch(program.scalars.slice(0, 1)));
    const host = newHost(program, machine.memory);
    begin(model, stage, program, machine, host, runtime, 2 * options.steps + 2);
    const [whole, empty] = [[], []] as [number[], number[]];
    const each = apart.map((): number[] => []);
    let step = 0;
    // The first round compiles and warms up.
    for (let round = 0; round <= options.steps; round++) {
      step++;
      let ms = 0;
      for (const { entry, times } of measured)
        for (let batch = 0; batch < times; batch++) {
          host.set('step', (step - 1) * times + batch + 1);
          host.run(entry);
          ms += await timed(program.entries.indexOf(entry));
        }
      whole.push(ms);
      step++;
      for (const { entry, times, calls } of measured) {
        host.set('step', (step - 1) * times + 1);
        host.run(entry);
        for (const [i, { part }] of apart.entries()) if (calls.includes(part)) each[i]!.push(await timed(program.entries.length + i));
      }
      empty.push(await timed(nothing));
    }
    const settled = (times: readonly number[]): number => median(times.slice(1));
    // The least that an empty entry takes: its median would leave nothing of small kernels.
    const least = Math.min(...empty);
    const msOf = new Map(apart.map(({ part }, i) => [part, Math.max(0, settled(each[i]!) - least)]));
    return {
      parts: measured.map(({ calls, ...part }) => ({ ...part, ms: calls.map(call => msOf.get(call) ?? null) })),
      stepMs: settled(whole), limits: null, clock: clock.of,
    };
  } finally {
    clock.close();
  }
}

interface Clock {
  readonly of: 'host' | 'gpu';
  /** Milliseconds of what `run` submits; after `done` the GPU has computed it. */
  readonly timed: (run: () => void, done: () => Promise<void>) => Promise<number>;
  readonly close: () => void;
}

/** WebGPU as far as it takes to read timestamps. */
interface TimedAdapter {
  readonly features: { readonly has: (name: string) => boolean };
  requestDevice: (options: { readonly requiredFeatures: readonly string[] }) => Promise<TimedDevice>;
}
interface TimedDevice {
  readonly queue: { readonly submit: (commands: readonly object[]) => void };
  readonly createQuerySet: (options: { readonly type: 'timestamp'; readonly count: number }) => object;
  readonly createBuffer: (options: { readonly size: number; readonly usage: number }) => TimedBuffer;
  createCommandEncoder: () => TimedEncoder;
}
interface TimedBuffer {
  readonly mapAsync: (mode: number) => Promise<void>;
  readonly getMappedRange: () => ArrayBuffer;
  readonly unmap: () => void;
}
interface TimedEncoder {
  beginComputePass: (options?: object) => object;
  readonly resolveQuerySet: (queries: object, first: number, count: number, target: TimedBuffer, offset: number) => void;
  readonly copyBufferToBuffer: (source: TimedBuffer, sourceOffset: number, target: TimedBuffer, targetOffset: number, size: number) => void;
  readonly finish: () => object;
}

const usage = { mapRead: 1, copySource: 4, copyTarget: 8, queryResolve: 512 } as const;

/** A machine that is opened then finds a GPU whose passes write the time at their beginning and at their end. */
async function openClock({ requestGpuAdapter }: LoadedMachine): Promise<Clock> {
  const { gpu, adapter: present } = await requestGpuAdapter(['disable-dawn-features=timestamp_quantization']);
  const hostClock = async (run: () => void, done: () => Promise<void>): Promise<number> => {
    await done();
    const started = performance.now();
    run();
    await done();
    return performance.now() - started;
  };
  if (!(present as TimedAdapter).features.has('timestamp-query')) return { of: 'host', timed: hostClock, close: () => undefined };
  let read = (): Promise<number> => Promise.resolve(0);
  const requestAdapter = async (options: object): Promise<TimedAdapter | null> => {
    const adapter = (await gpu.requestAdapter(options)) as TimedAdapter | null;
    if (adapter === null) return null;
    const requestDevice = adapter.requestDevice.bind(adapter);
    adapter.requestDevice = async wanted => {
      const device = await requestDevice({ ...wanted, requiredFeatures: [...wanted.requiredFeatures, 'timestamp-query'] });
      read = writeTimes(device);
      return device;
    };
    return adapter;
  };
  const { navigator } = globalThis as unknown as { readonly navigator: object };
  Object.defineProperty(navigator, 'gpu', { value: { requestAdapter }, configurable: true });
  const timed = async (run: () => void): Promise<number> => {
    run();
    return read();
  };
  return { of: 'gpu', timed, close: () => void Reflect.deleteProperty(navigator, 'gpu') };
}

/** From now on every pass of the device is timed; gives what reads the milliseconds of the last one. */
function writeTimes(device: TimedDevice): () => Promise<number> {
  const queries = device.createQuerySet({ type: 'timestamp', count: 2 });
  const resolved = device.createBuffer({ size: 16, usage: usage.queryResolve | usage.copySource });
  const readable = device.createBuffer({ size: 16, usage: usage.mapRead | usage.copyTarget });
  const createCommandEncoder = device.createCommandEncoder.bind(device);
  device.createCommandEncoder = () => {
    const encoder = createCommandEncoder();
    const beginComputePass = encoder.beginComputePass.bind(encoder);
    encoder.beginComputePass = () => beginComputePass({ timestampWrites: { querySet: queries, beginningOfPassWriteIndex: 0, endOfPassWriteIndex: 1 } });
    return encoder;
  };
  return async () => {
    const encoder = createCommandEncoder();
    encoder.resolveQuerySet(queries, 0, 2, resolved, 0);
    encoder.copyBufferToBuffer(resolved, 0, readable, 0, 16);
    device.queue.submit([encoder.finish()]);
    await readable.mapAsync(1);
    const [begin, end] = new BigUint64Array(readable.getMappedRange().slice(0)) as unknown as readonly [bigint, bigint];
    readable.unmap();
    return Number(end - begin) / 1e6;
  };
}
