/**
 * Where a GPU is to be had: from the platform in browsers and in Deno, from the npm package `webgpu` in Node. Uses node: modules there,
 * but imports none.
 */
import { DataError, messageOf } from './data-error.ts';
import { nodeProcess } from './engine.ts';
import type { Gpu, GpuAdapter } from './webgpu.ts';

/** The implementation has to be kept for as long as anything of it is used; that of the package takes flags. */
export async function requestGpuAdapter(flags: readonly string[] = []): Promise<{ readonly gpu: Gpu; readonly adapter: GpuAdapter }> {
  const { navigator } = globalThis as { readonly navigator?: { readonly gpu?: Gpu } };
  const gpu = navigator?.gpu ?? await gpuOfPackage(flags);
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
  if (adapter !== null) return { gpu, adapter };
  throw new DataError('there is no GPU that WebGPU can use here: install the driver of the GPU (on Linux the one for Vulkan), in a browser '
    + 'allow hardware acceleration, or build the program with `--target wasm`');
}

/** The package may be installed beside the program or in the folder where it is started. */
export async function gpuOfPackage(flags: readonly string[]): Promise<Gpu> {
  const process = nodeProcess();
  if (process === null) {
    throw new DataError('this browser has no WebGPU: take one that has it, open the page by https or from this machine, or build the program with `--target wasm`');
  }
  const { createRequire } = process.getBuiltinModule('node:module');
  const { pathToFileURL } = process.getBuiltinModule('node:url');
  for (const from of [...process.argv.slice(1, 2), `${process.cwd()}/program`]) {
    let path: string;
    try {
      path = createRequire(pathToFileURL(from).href).resolve('webgpu');
    } catch {
      continue;
    }
    try {
      const { create } = await import(/* @vite-ignore */ pathToFileURL(path).href) as { readonly create: (flags: readonly string[]) => Gpu };
      return create(flags);
    } catch (error) {
      throw new DataError(`the package \`webgpu\` does not run here (${messageOf(error)}): install it anew with \`npm i webgpu\`, or build the `
        + 'program with `--target wasm`');
    }
  }
  throw new DataError('Node needs a package for WebGPU: install it with `npm i webgpu` in this folder, or build the program with `--target wasm`');
}
