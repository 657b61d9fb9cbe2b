/**
 * What the page of webgpu.ts does: trains the reference models in nabla's programs, jax-js and TensorFlow.js on the adapter of the page.
 * Every step ends when its loss has been read. Gives for each step its time, its loss and what was asked of WebGPU.
 */
import { defaultDevice, init } from '@jax-js/jax';
import * as tf from '@tensorflow/tfjs';
import '@tensorflow/tfjs-backend-webgpu';
import { memoryBytes } from '../runtime/bytes.ts';
import type { CompiledProgram } from '../runtime/program.ts';
import { viewOf } from '../runtime/tensor.ts';
import { setLearningRateFactor, setScalars } from '../runtime/stages.ts';
import { inputOf, weightsOf, type Input } from './batch-tensors.ts';
import { countGpu, type GpuCounts } from './count-gpu.ts';
import { jaxStep } from './jax-models.ts';
import { tfjsStep } from './tfjs-models.ts';

export type PageSystem = 'nabla' | 'jax' | 'tfjs';

export interface PageStep extends GpuCounts {
  readonly ms: number;
  readonly loss: number;
}

/** A module of nabla, which for this page exports its program too. */
export interface NablaModule {
  readonly program: CompiledProgram;
  readonly load: (weights: Uint8Array) => Promise<void>;
}

export interface BenchPage {
  /** What a step of a system trains with is made at its first step. */
  readonly step: (model: string, system: PageSystem) => Promise<PageStep>;
  readonly adapter: () => Promise<string>;
}

export function openBenchPage(modules: Readonly<Record<string, NablaModule>>): BenchPage {
  const counts = countGpu();
  const trainers = new Map<string, Promise<() => Promise<number>>>();
  return {
    step: async (model, system) => {
      const key = `${model} ${system}`;
      if (!trainers.has(key)) trainers.set(key, trainerOf(model, system, modules[model]!));
      const train = await trainers.get(key)!;
      const before = { ...counts };
      const started = performance.now();
      const loss = await train();
      return {
        ms: performance.now() - started,
        loss,
        dispatches: counts.dispatches - before.dispatches,
        submits: counts.submits - before.submits,
        bytesWritten: counts.bytesWritten - before.bytesWritten,
        buffersMade: counts.buffersMade - before.buffersMade,
      };
    },
    adapter: async () => {
      interface Adapter { readonly info: { readonly vendor: string; readonly architecture: string } }
      const { gpu } = (globalThis as unknown as { readonly navigator: { readonly gpu: { readonly requestAdapter: () => Promise<Adapter> } } }).navigator;
      const { info } = await gpu.requestAdapter();
      return `${info.vendor} ${info.architecture}`;
    },
  };
}

async function trainerOf(model: string, system: PageSystem, module: NablaModule): Promise<() => Promise<number>> {
  const file = async (name: string): Promise<Uint8Array> => new Uint8Array(await (await fetch(`/${model}/${name}`)).arrayBuffer());
  const weights = await file('weights.safetensors');
  const inputs = new Map<string, Input>();
  for (const { name } of module.program.inputs) inputs.set(name, inputOf(memoryBytes(name, await file(`${name}.npy`))));
  switch (system) {
    case 'nabla': return nablaStep(module, weights, inputs);
    case 'jax':
      await init('webgpu');
      defaultDevice('webgpu');
      return jaxStep(model, weightsOf(memoryBytes('weights', weights)), name => inputs.get(name)!);
    case 'tfjs':
      await tf.setBackend('webgpu');
      return tfjsStep(model, weightsOf(memoryBytes('weights', weights)), name => inputs.get(name)!);
    default: return system satisfies never;
  }
}

async function nablaStep({ program, load }: NablaModule, weights: Uint8Array, inputs: ReadonlyMap<string, Input>): Promise<() => Promise<number>> {
  const { device, stages: [stage] } = program;
  const { train, settings, initialise } = stage!;
  await device!.open();
  setScalars(program, settings.seed, 0, settings.steps!);
  setLearningRateFactor(program, 1);
  initialise();
  await load(weights);
  for (const input of program.inputs) viewOf(program.memory, input).set(inputs.get(input.name)!.values);
  let count = 0;
  return async () => {
    setScalars(program, settings.seed, ++count, settings.steps!);
    train!.run();
    const results = await device!.recent(train!, 1);
    return results[train!.results.findIndex(({ name }) => name === 'loss')]!;
  };
}
