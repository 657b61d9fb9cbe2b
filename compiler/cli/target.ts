/** What `--target auto` stands for on this machine: WebGPU where programs find a GPU, else WebAssembly. */
import type { Target } from '../6-emit/emit.ts';
import { loadMachine } from './load-machine.ts';

export async function chosenTarget(target: Target | 'auto' | undefined): Promise<Target> {
  if (target !== 'auto') return target ?? 'wasm';
  const { requestGpuAdapter } = await loadMachine();
  try {
    await requestGpuAdapter();
    return 'webgpu';
  } catch {
    return 'wasm';
  }
}
