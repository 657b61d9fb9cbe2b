/** The peers as processes: what each needs to be there, how it is started with a number of threads, what it reports. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { lastLine, start, type Finished } from './processes.ts';
import type { Peer, ReferenceModel, TorchPeer } from './reference.ts';
import type { Spread } from './statistics.ts';

/** What a peer prints after training, as one line of JSON. */
export interface StepReport {
  readonly version: string;
  readonly parameters: number;
  /** Of every step, those of the warm-up included. */
  readonly losses: readonly number[];
  readonly ms_per_step: Spread;
  /** When the first step was done, milliseconds since 1970. */
  readonly first_step_at: number;
  readonly peak_bytes: number;
}

const here = import.meta.dirname;

/** Debian's own, for which its package of PyTorch is made. */
export const python = '/usr/bin/python3';

/** Why a peer cannot be measured here, and what to install; null where it can. Peers of npm are installed. */
export function missing(peer: Peer): string | null {
  if (!isTorch(peer)) return installed() ? null : 'npm could not install it';
  const { status } = spawnSync(python, ['-c', 'import torch']);
  return status === 0 ? null : `${python} has no \`torch\`: install it, on Debian with \`apt-get install python3-torch libopenblas0-openmp\``;
}

export const isTorch = (peer: Peer): peer is TorchPeer => peer === 'torch' || peer === 'torch-avx2';

/** jax-js starts no threads in Node, TensorFlow.js neither. */
export const usesThreads = isTorch;

/** Of npm's peers, with what comes before the model. */
const programs = {
  jax: [join(here, 'jax.ts')],
  tfjs: [join(here, 'tfjs.ts'), 'wasm'],
  'tfjs-cpu': [join(here, 'tfjs.ts'), 'cpu'],
} as const satisfies Record<Exclude<Peer, TorchPeer>, readonly string[]>;

/** Of a process of a peer, so that none holds up a whole run: three times what the slowest takes. */
const limit = 180_000;

/** How many steps a measurement takes; undefined where the peer does not train the model. */
export const stepsOf = (peer: Peer, { steps }: ReferenceModel): number | undefined => steps[isTorch(peer) ? 'torch' : peer];

/** Trains a model for some steps after a warm-up. */
export function trainPeer(peer: Peer, model: ReferenceModel, folder: string, threads: number): StepReport & { readonly started: number } {
  const steps = stepsOf(peer, model)!;
  const args = [model.name, folder, String(Math.ceil(steps / 10)), String(steps)];
  const { stdout, started } = isTorch(peer)
    ? startTorch(peer, args, threads)
    : start(process.execPath, [...programs[peer], ...args], threads, { limit });
  return { ...lastLine<StepReport>(stdout), started };
}

/**
 * In its fastest setting: the OpenMP build of OpenBLAS where there is one, memory that stays with the allocator, one number of
 * threads everywhere. It finds out itself which instructions the processor has, unless it is held to AVX2.
 */
export function startTorch(peer: TorchPeer, args: readonly string[], threads: number): Finished {
  const { OPENBLAS_CORETYPE: _core, OPENBLAS_L2_SIZE: _cache, ...environment } = process.env;
  const openMp = openMpLibraries();
  return start(python, [join(here, 'pytorch.py'), ...args], threads, {
    environment: {
      ...environment,
      ...(openMp === null ? {} : { LD_LIBRARY_PATH: openMp }),
      ...(peer === 'torch-avx2' ? { OPENBLAS_CORETYPE: 'Haswell', ATEN_CPU_CAPABILITY: 'avx2', ONEDNN_MAX_CPU_ISA: 'AVX2' } : {}),
      OMP_NUM_THREADS: String(threads),
      OPENBLAS_NUM_THREADS: String(threads),
      MALLOC_MMAP_THRESHOLD_: '4294967296',
      MALLOC_TRIM_THRESHOLD_: '17179869184',
      MALLOC_TOP_PAD_: '268435456',
    },
    limit,
  });
}

/** Where Debian puts the OpenMP build, whichever build is the system's default. */
function openMpLibraries(): string | null {
  const libraries = '/usr/lib';
  if (!existsSync(libraries)) return null;
  return readdirSync(libraries).map(name => join(libraries, name, 'openblas-openmp')).find(path => existsSync(path)) ?? null;
}

/** npm's peers are dependencies of this folder alone. */
function installed(): boolean {
  const done = join(here, 'node_modules/.package-lock.json');
  if (existsSync(done) && statSync(done).mtimeMs >= statSync(join(here, 'package-lock.json')).mtimeMs) return true;
  try {
    execFileSync('npm', ['ci', '--ignore-scripts'], { cwd: here, stdio: ['ignore', 2, 2], shell: process.platform === 'win32' });
    return true;
  } catch {
    return false;
  }
}
