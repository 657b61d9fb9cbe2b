/** Products of square matrices: nabla's, from a program that predicts, against PyTorch's on the same number of threads. */
import { join } from 'node:path';
import { writeWhole } from '../runtime/files.ts';
import { npyBytes } from '../runtime/npy.ts';
import { writeFirstWeights, weightsFile } from './batch.ts';
import { build, predictionTime, writeProgram } from './nabla.ts';
import { startTorch } from './peers.ts';
import { lastLine } from './processes.ts';
import type { TorchPeer } from './reference.ts';
import type { ProductResult } from './results.ts';
import { spreadOfRuns, type Spread } from './statistics.ts';

export interface ProductMeasurements {
  /** Takes one sample of everything. */
  readonly round: () => void;
  readonly results: () => readonly ProductResult[];
}

const sizes = [256, 512, 1024];

export function productMeasurements(folder: string, threadCounts: readonly number[], torchPeers: readonly TorchPeer[]): ProductMeasurements {
  const all = sizes.flatMap(size => {
    const nabla = nablaProduct(join(folder, `product-${size}`), size);
    return threadCounts.map(threads => ({ size, threads, run: () => nabla(threads), nabla: [] as Spread[], torch: torchPeers.map(peer => ({ peer, times: [] as Spread[] })) }));
  });
  return {
    round: () => all.forEach(({ size, threads, run, nabla, torch }) => {
      nabla.push(run());
      for (const { peer, times } of torch) times.push(lastLine<{ readonly ms: Spread }>(startTorch(peer, ['product', String(size)], threads).stdout).ms);
    }),
    results: () => all.map(({ size, threads, nabla, torch }) =>
      ({ size, threads, nabla: spreadOfRuns(nabla), peers: torch.map(({ peer, times }) => ({ peer, time: spreadOfRuns(times) })) })),
  };
}

/** As many batches as take about the same work for every size. */
function nablaProduct(folder: string, size: number): (threads: number) => Spread {
  const built = build('bench/models/product.model', new Map([['n', String(size)]]));
  const program = writeProgram(built, folder);
  writeFirstWeights(built.program, folder);
  const rows = size * Math.max(12, 2 ** 30 / size ** 3);
  const values = Float32Array.from({ length: rows * size }, (_, i) => (i % 101) / 101);
  const file = join(folder, 'x.npy');
  writeWhole(file, [npyBytes(values, 'f32', [rows, size])]);
  return threads => predictionTime(program, { x: file }, join(folder, weightsFile), join(folder, 'y.npz'), threads);
}
