/** Medians and minima: on a shared machine the minimum is the quieter figure, the median the usual one. */

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
