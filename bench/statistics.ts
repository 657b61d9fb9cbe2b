/** Medians and minima: on a shared machine the minimum is the quieter figure, the median the usual one. And processor time. */

export interface Spread {
  readonly median: number;
  readonly min: number;
}

/** Of at least one value. */
export function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return { median, min: sorted[0]! };
}

/** Of several runs: the median of their medians, the least of their minima. */
export const spreadOfRuns = (runs: readonly Spread[]): Spread =>
  ({ median: spread(runs.map(run => run.median)).median, min: spread(runs.map(run => run.min)).min });

export const geometricMean = (values: readonly number[]): number => Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);

/** Milliseconds for which the main thread has computed. Unlike the clock, it does not count what other processes take. */
export function mainThreadTime(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}
