/**
 * Loaded before a program (`node --import`): a GPU that keeps memory and computes nothing, and fails in the way that `GPU_FAILS` names:
 * when memory is made, when a kernel is compiled, or at the submit of that number.
 */
import type { Gpu, GpuBuffer, GpuDevice } from '../../runtime/webgpu.ts';

export type GpuFailure = 'memory' | 'limit' | 'kernel' | 'refused' | 'lost';

interface FakeBuffer extends GpuBuffer {
  readonly bytes: Uint8Array<ArrayBuffer>;
}

const fails = process.env['GPU_FAILS'] as GpuFailure;
/** Late enough that there is a checkpoint. */
const failingSubmit = 40;

Object.defineProperty(globalThis.navigator, 'gpu', { value: { requestAdapter: async () => ({ limits: limitsOf(fails), features: new Set<string>(), requestDevice: async () => fakeDevice() }) } satisfies Gpu });

const limitsOf = (failure: GpuFailure): Record<string, number> => {
  const most = failure === 'limit' ? 128 * 2 ** 20 : 2 ** 31;
  return { maxStorageBufferBindingSize: most, maxBufferSize: most, maxStorageBuffersPerShaderStage: 8 };
};

function fakeDevice(): GpuDevice {
  let submits = 0;
  let lose = (_: { readonly reason: string; readonly message: string }): void => undefined;
  const device: GpuDevice = {
    lost: new Promise(resolve => {
      lose = resolve;
    }),
    onuncapturederror: null,
    createBuffer: ({ size }) => {
      const bytes = new Uint8Array(fails === 'memory' ? 0 : size);
      return { size, bytes, mapAsync: async () => undefined, getMappedRange: () => bytes.buffer, unmap: () => undefined } satisfies FakeBuffer;
    },
    createShaderModule: () => ({}),
    createBindGroupLayout: () => ({}),
    createPipelineLayout: () => ({}),
    createComputePipelineAsync: async ({ label }) => {
      if (fails === 'kernel') throw new Error(`[ComputePipeline "${label}"] is too much`);
      return {};
    },
    createBindGroup: () => ({}),
    createCommandEncoder: () => {
      const copies: (() => void)[] = [];
      return {
        beginComputePass: () => ({ setPipeline: () => undefined, setBindGroup: () => undefined, dispatchWorkgroups: () => undefined, end: () => undefined }),
        copyBufferToBuffer: (source, sourceOffset, target, targetOffset, size) => void copies.push(() =>
          (target as FakeBuffer).bytes.set((source as FakeBuffer).bytes.subarray(sourceOffset, sourceOffset + size), targetOffset)),
        finish: () => copies,
      };
    },
    pushErrorScope: () => undefined,
    popErrorScope: async () => (fails === 'memory' ? { message: 'not enough memory left' } : null),
    queue: {
      writeBuffer: (buffer, offset, data, from, size) => (buffer as FakeBuffer).bytes.set(new Uint8Array(data, from, size), offset),
      submit: commands => {
        (commands as readonly (readonly (() => void)[])[]).flat().forEach(copy => copy());
        if (++submits !== failingSubmit) return;
        if (fails === 'refused') device.onuncapturederror?.({ error: { message: '[Buffer "memory 0"] is not what it was' } });
        if (fails === 'lost') lose({ reason: 'unknown', message: 'it was unplugged' });
      },
    },
  };
  return device;
}
