/** WebGPU as far as compiled programs need it: neither Node's types nor the language's own library describe it. */

export interface Gpu {
  readonly requestAdapter: (options: { readonly powerPreference: 'high-performance' }) => Promise<GpuAdapter | null>;
}

export interface GpuAdapter {
  readonly limits: Readonly<Record<string, number>>;
  readonly features: { readonly has: (name: string) => boolean };
  /** Missing in older implementations. */
  readonly info?: { readonly isFallbackAdapter?: boolean };
  readonly requestDevice: (options: { readonly requiredLimits: Readonly<Record<string, number>>; readonly requiredFeatures: readonly string[] }) => Promise<GpuDevice>;
}

export interface GpuDevice {
  readonly queue: GpuQueue;
  readonly lost: Promise<{ readonly reason: string; readonly message: string }>;
  onuncapturederror: ((event: { readonly error: { readonly message: string } }) => void) | null;
  readonly createBuffer: (options: { readonly label: string; readonly size: number; readonly usage: number }) => GpuBuffer;
  readonly createShaderModule: (options: { readonly label: string; readonly code: string }) => object;
  readonly createBindGroupLayout: (options: { readonly entries: readonly object[] }) => object;
  readonly createPipelineLayout: (options: { readonly bindGroupLayouts: readonly object[] }) => object;
  readonly createComputePipelineAsync: (options: {
    readonly label: string; readonly layout: object; readonly compute: { readonly module: object; readonly entryPoint: string };
  }) => Promise<object>;
  readonly createBindGroup: (options: { readonly label: string; readonly layout: object; readonly entries: readonly object[] }) => object;
  readonly createCommandEncoder: () => GpuEncoder;
  readonly pushErrorScope: (filter: 'out-of-memory' | 'validation') => void;
  readonly popErrorScope: () => Promise<{ readonly message: string } | null>;
}

export interface GpuQueue {
  readonly writeBuffer: (buffer: GpuBuffer, offset: number, data: ArrayBuffer, dataOffset: number, size: number) => void;
  readonly submit: (commands: readonly object[]) => void;
}

export interface GpuBuffer {
  readonly size: number;
  readonly mapAsync: (mode: number) => Promise<void>;
  readonly getMappedRange: () => ArrayBuffer;
  readonly unmap: () => void;
}

export interface GpuEncoder {
  readonly beginComputePass: () => GpuComputePass;
  readonly copyBufferToBuffer: (source: GpuBuffer, sourceOffset: number, target: GpuBuffer, targetOffset: number, size: number) => void;
  readonly finish: () => object;
}

export interface GpuComputePass {
  readonly setPipeline: (pipeline: object) => void;
  readonly setBindGroup: (index: number, group: object) => void;
  readonly dispatchWorkgroups: (x: number, y: number) => void;
  readonly end: () => void;
}

/** Bits of a buffer's usage, and the one of a shader's stage. */
export const gpuUsage = { mapRead: 1, copySource: 4, copyTarget: 8, uniform: 64, storage: 128 } as const;
export const computeStage = 4;
