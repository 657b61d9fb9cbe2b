/** Counts what a page asks of WebGPU, by functions put around those of the interfaces. Runs in pages, before anything else uses WebGPU. */

export interface GpuCounts {
  dispatches: number;
  submits: number;
  /** By `writeBuffer`, and in buffers that are made mapped. */
  bytesWritten: number;
  buffersMade: number;
}

type Method = (this: object, ...args: never[]) => unknown;

/** The counts change as the page goes on. */
export function countGpu(): GpuCounts {
  const counts: GpuCounts = { dispatches: 0, submits: 0, bytesWritten: 0, buffersMade: 0 };
  const watch = (owner: string, name: string, note: (args: readonly unknown[]) => void): void => {
    const { prototype } = (globalThis as unknown as Record<string, { readonly prototype: Record<string, Method> }>)[owner]!;
    const original = prototype[name]!;
    prototype[name] = function (...args) {
      note(args);
      return original.apply(this, args);
    };
  };
  const dispatch = (): void => void counts.dispatches++;
  watch('GPUComputePassEncoder', 'dispatchWorkgroups', dispatch);
  watch('GPUComputePassEncoder', 'dispatchWorkgroupsIndirect', dispatch);
  watch('GPUQueue', 'submit', () => void counts.submits++);
  watch('GPUQueue', 'writeBuffer', args => void (counts.bytesWritten += writtenBytes(args)));
  watch('GPUDevice', 'createBuffer', ([description]) => {
    const { size, mappedAtCreation } = description as { readonly size: number; readonly mappedAtCreation?: boolean };
    counts.buffersMade++;
    if (mappedAtCreation === true) counts.bytesWritten += size;
  });
  return counts;
}

/** Offset and size count elements of a typed array, bytes of anything else. */
function writtenBytes([, , data, offset = 0, size]: readonly unknown[]): number {
  const { byteLength, BYTES_PER_ELEMENT: unit = 1 } = data as { readonly byteLength: number; readonly BYTES_PER_ELEMENT?: number };
  return size === undefined ? byteLength - (offset as number) * unit : (size as number) * unit;
}
