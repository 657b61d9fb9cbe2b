/** What a training run has shown so far: the loss of every few steps and the results of evaluations. Bounded in size, plain data. */

export interface Point {
  readonly step: number;
  readonly value: number;
}

export interface Evaluation {
  readonly step: number;
  readonly results: Readonly<Record<string, number>>;
}

export interface History {
  /** Means of the training loss over `stride` steps each. */
  readonly losses: Point[];
  stride: number;
  /** The steps of the point that is being filled. */
  sum: number;
  count: number;
  readonly evaluations: Evaluation[];
}

export const newHistory = (): History => ({ losses: [], stride: 1, sum: 0, count: 0, evaluations: [] });

/** At most this many points are kept: then neighbours are joined, and each stands for twice as many steps. */
export const historyLimit = 2048;

export function recordLoss(history: History, step: number, loss: number): void {
  history.sum += loss;
  if (++history.count < history.stride) return;
  history.losses.push({ step, value: history.sum / history.count });
  history.sum = 0;
  history.count = 0;
  if (history.losses.length < historyLimit) return;
  const joined = history.losses.splice(0);
  for (let i = 0; i < joined.length; i += 2) {
    history.losses.push({ step: joined[i + 1]!.step, value: (joined[i]!.value + joined[i + 1]!.value) / 2 });
  }
  history.stride *= 2;
}
