/** Products of square matrices: nabla's, from a program that predicts, against PyTorch's on the same number of threads. */
import { join } from 'node:path';
import { build, predictionTime, writeImported } from './nabla.ts';
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

/** As many calls as take about the same time for every size. */
function nablaProduct(folder: string, size: number): (threads: number) => Spread {
  const program = writeImported(build('bench/models/product.model', new Map([['n', String(size)]])), folder);
  return threads => predictionTime(program, 'predict', Math.max(12, 2 ** 31 / size ** 3), threads);
}
