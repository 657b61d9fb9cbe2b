/** WebAssembly as far as compiled programs need it: neither Node's types nor the language's own library describe it. */

export interface WebAssemblyMemory {
  readonly buffer: ArrayBuffer;
  /** By so many pages; what is there stays. */
  readonly grow: (pages: number | bigint) => number | bigint;
}

/** In pages of 64 KiB; as `bigint` where addresses have 64 bits. */
export type WebAssemblyLimits =
  | { readonly initial: number; readonly maximum: number; readonly shared: boolean }
  | { readonly address: 'i64'; readonly initial: bigint; readonly maximum: bigint; readonly shared: boolean };

export interface WebAssemblyInstance {
  readonly exports: Readonly<Record<string, (...args: readonly number[]) => number>>;
}

export interface WebAssemblyInterface {
  readonly Memory: new (limits: WebAssemblyLimits) => WebAssemblyMemory;
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => WebAssemblyInstance;
  readonly validate: (bytes: Uint8Array) => boolean;
}

/** A function, for programs open their machine before the constants of the runtime below it are there. */
export function webAssembly(): WebAssemblyInterface {
  return (globalThis as unknown as { readonly WebAssembly: WebAssemblyInterface }).WebAssembly;
}
