/**
 * The machine of programs whose kernels are shaders: the arena as buffers of a GPU, every entry as dispatches that are prepared once and
 * submitted at each run, and what goes to and comes from the host. Works on any platform that has WebGPU.
 */
import { DataError, messageOf } from './data-error.ts';
import { requestGpuAdapter } from './gpu-adapter.ts';
import type { Device, Entry, TensorPlace } from './program.ts';
import { elementCount } from './tensor.ts';
import type { GpuBuffer, GpuDevice, GpuEncoder } from './webgpu.ts';
import { computeStage, gpuUsage } from './webgpu.ts';

/** What the compiler knows of a program. Bytes count from the start of the memory. */
export interface GpuPlan {
  readonly bytes: number;
  readonly segments: readonly GpuSegment[];
  readonly scratchBytes: number;
  /** Whether adapters in software have shaders of their own; else they run what hardware runs. */
  readonly software: boolean;
  readonly declarations: readonly GpuDeclaration[];
  readonly shaders: readonly GpuShaderPlan[];
  /** By their numbers. */
  readonly entries: readonly GpuEntryPlan[];
  /** The largest tensor, for those who have to say that there is no room for it. */
  readonly largest: string;
  /** Where the host writes the position of what runs at one position; null where nothing does. */
  readonly position: number | null;
}

/** A part of the memory that is a buffer of its own. */
export interface GpuSegment {
  readonly start: number;
  /** Whether it holds f16 values alone, which the host never sees. Where the adapter has f16 they take two bytes each, not four. */
  readonly halves: boolean;
}

/** What shaders mention by its name: a text for all adapters, and one for those that have a feature. */
export interface GpuDeclaration {
  readonly name: string;
  readonly text: string;
  readonly feature: 'subgroups' | 'shader-f16';
  readonly own: string;
}

export interface GpuShaderPlan {
  readonly name: string;
  /** The line of the model that it serves. */
  readonly line: string;
  readonly code: string;
  readonly workgroups: number;
  /** Whether the last array that it binds is memory for what is between two dispatches of a call. */
  readonly scratch: boolean;
  /** Which adapters run it: barriers are cheap in hardware alone. */
  readonly adapters: 'all' | 'hardware' | 'software';
  /** What it mentions, by their numbers. */
  readonly declarations: readonly number[];
}

export interface GpuEntryPlan {
  readonly parts: readonly GpuPartPlan[];
  /** What the host has written for each run. */
  readonly uploads: readonly TensorPlace[];
  readonly results: readonly TensorPlace[];
}

/** Dispatches and loops inside; in a loop at each position of its axes, the last axis fastest. */
export interface GpuPartPlan {
  readonly axes: readonly number[];
  /** Null for a loop that runs. Otherwise the host gives the one position at which it does, if that is from this one on and in the axis. */
  readonly first: number | null;
  readonly dispatches: readonly (GpuDispatchPlan | GpuPartPlan)[];
}

/** Shader, the segments that it binds, the numbers that it reads, and for each axis around how much each of these grows with the position. */
export type GpuDispatchPlan = readonly [number, readonly number[], readonly number[], readonly (readonly number[])[]];

export interface GpuMachine {
  readonly memory: ArrayBuffer;
  /** Submits an entry, by its number. */
  readonly run: (entry: number) => void;
  readonly device: Device;
}

/** An entry, ready to be submitted. */
export interface PreparedEntry {
  readonly dispatches: readonly PreparedDispatch[];
  /** The numbers of all its dispatches, where some of them move with the position that the host gives; from which byte on they stand in their buffer. */
  readonly places: { readonly words: Int32Array<ArrayBuffer>; readonly at: number } | null;
  /** The results of the last runs, one run after another; null where results are no single numbers. */
  readonly ring: GpuBuffer | null;
  readonly uploads: readonly GpuPiece[];
  readonly results: readonly GpuPiece[];
  runs: number;
}

export interface PreparedDispatch {
  readonly pipeline: object;
  readonly group: object;
  readonly x: number;
  readonly y: number;
  /** What it adds for each position to its numbers, which begin at a word of the entry's. */
  readonly given: (GivenPosition & { readonly word: number; readonly numbers: readonly number[] }) | null;
}

export interface GivenPosition {
  readonly first: number;
  readonly end: number;
  readonly moves: readonly number[];
}

/** Whole words of the memory. */
export interface GpuPiece {
  readonly segment: number;
  /** Bytes from the start of the segment, and of the memory. */
  readonly offset: number;
  readonly start: number;
  readonly bytes: number;
  /** Bytes from the start of a buffer that holds pieces one after another. */
  readonly at: number;
}

/** Everything that exists once a device is open. */
export interface OpenGpu {
  /** Not used, but what comes from it needs it. */
  readonly implementation: object;
  readonly device: GpuDevice;
  readonly buffers: readonly GpuBuffer[];
  /** Where the numbers of all dispatches stand. */
  readonly places: GpuBuffer;
  readonly entries: readonly PreparedEntry[];
  /** Buffers to be read, for reuse. */
  readonly staging: GpuBuffer[];
  /** Why nothing works any more. */
  failure: string | null;
}

/** Programs call this before the constants of the runtime are there, so none is read before `open`. */
export function openGpu(plan: GpuPlan): GpuMachine {
  const memory = new ArrayBuffer(plan.bytes);
  const window = 32;
  let opening: Promise<OpenGpu> | null = null;
  let opened: OpenGpu | null = null;
  const open = async (): Promise<void> => {
    opening ??= prepareGpu(plan, window);
    opened = await opening;
  };
  const gpu = (): OpenGpu => {
    if (opened === null) throw new DataError('the program waits for its GPU: call `await program.device.open()` first');
    if (opened.failure !== null) throw new DataError(opened.failure);
    return opened;
  };
  // Readers are answered in the order in which they asked: what one of them finds in `memory` no other has replaced.
  let last: Promise<unknown> = Promise.resolve();
  const inOrder = <T>(answer: Promise<T>, deliver: (value: T) => void): Promise<void> => {
    const mine = Promise.all([answer, last.catch(() => undefined)]).then(([value]) => deliver(value));
    last = mine;
    return mine;
  };
  const device: Device = {
    open,
    window,
    fetch: places => {
      const { pieces, bytes } = piecesOf(plan, places);
      if (bytes === 0) return Promise.resolve();
      return inOrder(readGpu(gpu(), bytes, (encoder, staging, buffers) => {
        for (const piece of pieces) encoder.copyBufferToBuffer(buffers[piece.segment]!, piece.offset, staging, piece.at, piece.bytes);
      }), read => {
        for (const piece of pieces) new Uint8Array(memory, piece.start, piece.bytes).set(read.subarray(piece.at, piece.at + piece.bytes));
      });
    },
    send: places => {
      const { device: { queue }, buffers } = gpu();
      for (const piece of piecesOf(plan, places).pieces) queue.writeBuffer(buffers[piece.segment]!, piece.offset, memory, piece.start, piece.bytes);
    },
    recent: async (entry: Entry, runs) => {
      const state = gpu();
      const { ring, runs: total } = state.entries[entry.number]!;
      const { results } = plan.entries[entry.number]!;
      const values = new Float64Array(runs * results.length);
      if (values.length === 0) return values;
      const read = await readGpu(state, ring!.size, (encoder, staging) => encoder.copyBufferToBuffer(ring!, 0, staging, 0, ring!.size));
      const view = new DataView(read.buffer);
      for (let i = 0; i < values.length; i++) {
        const run = (total - runs + Math.floor(i / results.length)) % window;
        const result = results[i % results.length]!;
        values[i] = numberAt(view, 4 * (run * results.length + (i % results.length)), result);
      }
      return values;
    },
  };
  const run = (number: number): void => {
    const { device: opened, buffers, places, entries } = gpu();
    const entry = entries[number]!;
    const position = entry.places === null ? 0 : new Int32Array(memory, plan.position!, 1)[0]!;
    if (entry.places !== null) {
      const { words, at } = entry.places;
      for (const { given } of entry.dispatches) if (given !== null) given.numbers.forEach((start, i) => { words[given.word + i] = start + position * given.moves[i]!; });
      opened.queue.writeBuffer(places, at, words.buffer, words.byteOffset, words.byteLength);
    }
    for (const piece of entry.uploads) opened.queue.writeBuffer(buffers[piece.segment]!, piece.offset, memory, piece.start, piece.bytes);
    const encoder = opened.createCommandEncoder();
    const pass = encoder.beginComputePass();
    for (const { pipeline, group, x, y, given } of entry.dispatches) {
      if (given !== null && (position < given.first || position >= given.end)) continue;
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, group);
      pass.dispatchWorkgroups(x, y);
    }
    pass.end();
    if (entry.ring !== null) {
      const slot = entry.runs++ % window;
      for (const { segment, offset, at } of entry.results) {
        encoder.copyBufferToBuffer(buffers[segment]!, offset, entry.ring, 4 * slot * entry.results.length + at, 4);
      }
    }
    opened.queue.submit([encoder.finish()]);
  };
  return { memory, run, device };
}

/** A number as the word that holds it in its first bytes. */
export function numberAt(view: DataView, at: number, { dtype, offset }: TensorPlace): number {
  if (dtype === 'u8' || dtype === 'bool') return view.getUint8(at + (offset & 3));
  return dtype === 'i32' ? view.getInt32(at, true) : view.getFloat32(at, true);
}

/** The segment in which a byte lies. */
export const segmentOf = (plan: GpuPlan, offset: number): number => plan.segments.findLastIndex(({ start }) => start <= offset);

/** Places as whole words of their segments, and one after another in a buffer. */
export function piecesOf(plan: GpuPlan, places: readonly TensorPlace[]): { readonly pieces: readonly GpuPiece[]; readonly bytes: number } {
  let at = 0;
  const pieces = places.map(({ dtype, shape, offset }) => {
    const segment = segmentOf(plan, offset);
    const start = offset - (offset % 4);
    const end = Math.ceil((offset + elementCount(shape) * (dtype === 'u8' || dtype === 'bool' ? 1 : 4)) / 4) * 4;
    const piece = { segment, offset: start - plan.segments[segment]!.start, start, bytes: end - start, at };
    at += piece.bytes;
    return piece;
  });
  return { pieces, bytes: at };
}

export interface PlannedDispatch {
  readonly shader: number;
  readonly segments: readonly number[];
  /** At position 0 where the host gives one. */
  readonly numbers: readonly number[];
  readonly given: GivenPosition | null;
}

/** What an entry dispatches, one after the other. */
export const dispatchesOf = ({ parts }: GpuEntryPlan): readonly PlannedDispatch[] => parts.flatMap(part => dispatchesOfPart(part, []));

/** `around` is the position of the loops around; a loop whose position the host gives holds no other one. */
export function dispatchesOfPart({ axes, first, dispatches }: GpuPartPlan, around: readonly number[]): readonly PlannedDispatch[] {
  const count = first === null ? axes.reduce((product, extent) => product * extent, 1) : 1;
  return Array.from({ length: count }, (_, flat) => {
    let rest = flat;
    const position = [...around, ...axes.map(() => 0)];
    for (let axis = axes.length - 1; axis >= 0; axis--) {
      position[around.length + axis] = rest % axes[axis]!;
      rest = Math.floor(rest / axes[axis]!);
    }
    return dispatches.flatMap((each): readonly PlannedDispatch[] => {
      if ('axes' in each) return dispatchesOfPart(each, position);
      const [shader, segments, numbers, moves] = each;
      const given = first === null ? null : { first, end: axes[0]!, moves: moves[around.length]! };
      return [{ shader, segments, numbers: numbers.map((number, i) => moves.reduce((sum, move, axis) => sum + move[i]! * position[axis]!, number)), given }];
    });
  }).flat();
}

export const firstLine = (message: string): string => message.trim().split('\n')[0]!;

/** A shader as an adapter with such features takes it. */
export function shaderText({ declarations }: GpuPlan, shader: GpuShaderPlan, features: ReadonlySet<string>): string {
  const mentioned = shader.declarations.map(number => declarations[number]!);
  const used = new Set(mentioned.map(({ feature }) => feature).filter(feature => features.has(feature)));
  return [
    ...Array.from(used, feature => `enable ${feature === 'shader-f16' ? 'f16' : feature};`),
    ...mentioned.map(({ text, feature, own }) => (used.has(feature) ? own : text)),
    shader.code,
  ].join('\n');
}

/** Copies to a buffer that the host can read, and gives its contents. The copy is taken of what the runs until now leave. */
export async function readGpu(
  gpu: OpenGpu, bytes: number, copy: (encoder: GpuEncoder, staging: GpuBuffer, buffers: readonly GpuBuffer[]) => void,
): Promise<Uint8Array> {
  const { device, staging } = gpu;
  const free = staging.findIndex(buffer => buffer.size >= bytes);
  const buffer = free >= 0
    ? staging.splice(free, 1)[0]!
    : device.createBuffer({ label: 'for reading', size: bytes, usage: gpuUsage.mapRead | gpuUsage.copyTarget });
  const encoder = device.createCommandEncoder();
  copy(encoder, buffer, gpu.buffers);
  device.queue.submit([encoder.finish()]);
  try {
    await buffer.mapAsync(1);
  } catch (error) {
    throw new DataError(gpu.failure ?? `the GPU does not give its results (${firstLine(messageOf(error))})`);
  }
  if (gpu.failure !== null) throw new DataError(gpu.failure);
  const contents = new Uint8Array(buffer.getMappedRange().slice(0, bytes));
  buffer.unmap();
  staging.push(buffer);
  return contents;
}

export async function prepareGpu(plan: GpuPlan, window: number): Promise<OpenGpu> {
  const { gpu: implementation, adapter } = await requestGpuAdapter();
  const software = plan.software && adapter.info?.isFallbackAdapter === true;
  // In software subgroups are of four invocations, and cost more than they save.
  const features = new Set(plan.declarations.map(({ feature }) => feature).filter(feature => adapter.features.has(feature) && !(software && feature === 'subgroups')));
  const sizes = plan.segments.map(({ start, halves }, i) => ((plan.segments[i + 1]?.start ?? plan.bytes) - start) / (halves && features.has('shader-f16') ? 2 : 1));
  const needed = Math.max(plan.scratchBytes, ...sizes);
  const other = software ? 'hardware' : 'software';
  const runs = plan.entries.map(entry => dispatchesOf(entry).filter(({ shader }) => plan.shaders[shader]!.adapters !== other));
  const arraysOf = new Map(runs.flat().map(({ shader, segments }) => [shader, segments.length + (plan.shaders[shader]!.scratch ? 1 : 0)] as const));
  // What every GPU offers, and what this program needs.
  const limits = [
    ['maxStorageBufferBindingSize', 128 * 2 ** 20, needed], ['maxBufferSize', 256 * 2 ** 20, needed],
    ['maxStorageBuffersPerShaderStage', 8, Math.max(0, ...arraysOf.values())],
  ] as const;
  for (const [name, usual, own] of limits) {
    if (own <= usual || own <= adapter.limits[name]!) continue;
    if (name === 'maxStorageBuffersPerShaderStage') {
      throw new DataError(`a kernel of the program needs ${own} parts of the memory at once, and this GPU allows ${adapter.limits[name]}: build the program with \`--target wasm\``);
    }
    throw new DataError(`the program binds ${needed} bytes at once, and this GPU allows ${adapter.limits[name]} (the largest tensor is ${plan.largest}): `
      + 'take a smaller batch, or build the program with `--target wasm`');
  }
  const required = Object.fromEntries(limits.filter(([, usual, own]) => own > usual).map(([name, , own]) => [name, own]));
  const device = await adapter.requestDevice({ requiredLimits: required, requiredFeatures: [...features] });
  // What is wrong with a shader is told before the pipeline fails that needs it.
  let refusal: string | null = null;
  device.onuncapturederror = ({ error }) => {
    refusal ??= error.message;
  };
  const staging: GpuBuffer[] = [];
  device.pushErrorScope('out-of-memory');
  const buffer = (label: string, size: number, usage: number): GpuBuffer => device.createBuffer({ label, size: Math.max(16, size), usage });
  const { storage, uniform, copySource, copyTarget } = gpuUsage;
  const buffers = sizes.map((size, i) => buffer(`memory ${i}`, size, storage | copySource | copyTarget));
  const scratch = plan.scratchBytes === 0 ? null : buffer('scratch', plan.scratchBytes, storage);
  // Where the tensors of each dispatch begin; a binding begins at a multiple of 256 bytes.
  const slotOf = (numbers: readonly number[]): number => Math.ceil((4 * numbers.length) / 256) * 256;
  const placesBytes = runs.flat().reduce((sum, { numbers }) => sum + slotOf(numbers), 0);
  const places = buffer('places', placesBytes, uniform | copyTarget);
  const rings = plan.entries.map(({ results }, i) => (results.length > 0 && results.every(result => elementCount(result.shape) === 1)
    ? buffer(`results ${i}`, 4 * window * results.length, copySource | copyTarget)
    : null));
  const shortage = await device.popErrorScope();
  if (shortage !== null) {
    throw new DataError(`the GPU has no room for the ${sizes.reduce((sum, size) => sum + size, 0)} bytes of the program (${firstLine(shortage.message)}; the largest tensor is ${plan.largest}): `
      + 'take a smaller batch, write `memory` in the `train` block, or build the program with `--target wasm`');
  }
  const layouts = new Map<number, { readonly group: object; readonly pipeline: object }>();
  const layoutOf = (arrays: number): { readonly group: object; readonly pipeline: object } => {
    const known = layouts.get(arrays);
    if (known !== undefined) return known;
    const group = device.createBindGroupLayout({
      entries: [
        { binding: 0, visibility: computeStage, buffer: { type: 'uniform' } },
        ...Array.from({ length: arrays }, (_, i) => ({ binding: i + 1, visibility: computeStage, buffer: { type: 'storage' } })),
      ],
    });
    const made = { group, pipeline: device.createPipelineLayout({ bindGroupLayouts: [group] }) };
    layouts.set(arrays, made);
    return made;
  };
  // All are waited for, also when one fails: the device must not be let go before.
  const compiled = await Promise.allSettled(plan.shaders.map(async (shader, i) => {
    const { name, line } = shader;
    const arrays = arraysOf.get(i);
    if (arrays === undefined) return null;
    const label = `${name} (${line})`;
    try {
      const module = device.createShaderModule({ label, code: shaderText(plan, shader, features) });
      return await device.createComputePipelineAsync({ label, layout: layoutOf(arrays).pipeline, compute: { module, entryPoint: 'main' } });
    } catch (error) {
      throw new DataError(`the GPU does not take the kernel \`${name}\`, which computes ${line} (${firstLine(refusal ?? messageOf(error))}): build the program with \`--target wasm\``);
    }
  }));
  const pipelines = compiled.map(each => {
    if (each.status === 'rejected') throw each.reason;
    return each.value;
  });
  const words = new Int32Array(placesBytes / 4);
  let at = 0;
  const entries = runs.map((dispatches, number): PreparedEntry => {
    const start = at;
    const prepared = dispatches.map(({ shader, segments, numbers, given }): PreparedDispatch => {
      const slot = slotOf(numbers);
      words.set(numbers, at / 4);
      const bound = [...segments.map(segment => buffers[segment]!), ...(plan.shaders[shader]!.scratch ? [scratch!] : [])];
      const group = device.createBindGroup({
        label: plan.shaders[shader]!.name,
        layout: layoutOf(bound.length).group,
        entries: [
          { binding: 0, resource: { buffer: places, offset: at, size: slot } },
          ...bound.map((each, k) => ({ binding: k + 1, resource: { buffer: each } })),
        ],
      });
      const word = (at - start) / 4;
      at += slot;
      const { workgroups } = plan.shaders[shader]!;
      return { pipeline: pipelines[shader]!, group, x: Math.min(workgroups, 65535), y: Math.ceil(workgroups / 65535), given: given && { ...given, word, numbers } };
    });
    return {
      dispatches: prepared,
      places: prepared.some(({ given }) => given !== null) ? { words: words.subarray(start / 4, at / 4), at: start } : null,
      ring: rings[number]!,
      uploads: piecesOf(plan, plan.entries[number]!.uploads).pieces,
      results: piecesOf(plan, plan.entries[number]!.results).pieces,
      runs: 0,
    };
  });
  if (placesBytes > 0) device.queue.writeBuffer(places, 0, words.buffer, 0, placesBytes);
  const gpu: OpenGpu = { implementation, device, buffers, places, entries, staging, failure: null };
  device.onuncapturederror = ({ error }) => {
    gpu.failure ??= `the GPU refused to compute (${firstLine(error.message)}); the last checkpoint is as it was: build the program with \`--target wasm\`, and start it with \`--resume\``;
  };
  void device.lost.then(({ reason, message }) => {
    gpu.failure ??= `the GPU is gone (${reason}: ${firstLine(message)}); the last checkpoint is as it was: start the program again, with \`--resume\``;
  });
  return gpu;
}
