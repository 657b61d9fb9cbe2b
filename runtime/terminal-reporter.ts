/** Tells a run's progress in a terminal: a line that is drawn over, or plain lines now and then elsewhere. Uses node: modules. */
import type { Results } from './evaluate.ts';
import { renderProgress, showNumber } from './progress-line.ts';
import type { Progress, Reporter, TrainPlan } from './training.ts';

/** What it needs of `process.stdout`. */
export interface TextOutput {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly write: (text: string) => unknown;
}

/** Redraws ten times a second in a terminal; elsewhere writes a line every ten seconds and every tenth of the run. */
export function terminalReporter(output: TextOutput): Reporter {
  const live = output.isTTY === true;
  const times = { start: 0, shown: 0, steps: 0, tenth: 0 };
  const clear = live ? '\r\x1b[2K' : '';
  const describe = (plan: TrainPlan, progress: Progress, results: Results, width: number): string => {
    const seconds = Math.max((performance.now() - times.start) / 1000, 1e-9);
    const speed = (progress.step - times.steps) / seconds;
    return renderProgress({
      step: progress.step,
      steps: progress.steps,
      // A step belongs to the epoch in which its batch starts.
      epoch: plan.rows === 0 ? null : Math.floor((progress.position - plan.batch) / plan.rows) + 1,
      epochs: Math.floor(((progress.steps - 1) * plan.batch) / Math.max(plan.rows, 1)) + 1,
      loss: progress.smoothed ?? NaN,
      metrics: plan.metrics.map(name => [name, results[name]!] as const),
      speed: plan.rows === 0 ? speed : speed * plan.batch,
      unit: plan.rows === 0 ? 'steps' : 'examples',
      left: (progress.steps - progress.step) / speed,
    }, width);
  };
  return {
    start: (plan, progress) => {
      times.start = performance.now();
      times.steps = progress.step;
      times.tenth = Math.floor((10 * progress.step) / progress.steps);
      const rows = plan.rows === 0 ? '' : `, ${plan.rows} rows, ${plan.batch} a step`;
      output.write(`${plan.name}: ${progress.step > 0 ? `step ${progress.step} of ` : ''}${progress.steps} steps${rows}\n`);
    },
    step: (plan, progress, results) => {
      const now = performance.now();
      const tenth = Math.floor((10 * progress.step) / progress.steps);
      const due = live ? now - times.shown >= 100 || progress.step === progress.steps : now - times.shown >= 10000 || tenth > times.tenth;
      if (!due) return;
      times.shown = now;
      times.tenth = tenth;
      output.write(live ? clear + describe(plan, progress, results, (output.columns || 80) - 1) : `${describe(plan, progress, results, 120)}\n`);
    },
    evaluation: (plan, progress, results) => {
      const epoch = plan.rows === 0 ? '' : `, epoch ${showNumber(progress.position / plan.rows).replace(/\.0+$|(?<=\.\d+?)0+$/, '')}`;
      output.write(`${clear}step ${progress.step}${epoch}: ${showResults('test ', results)}\n`);
    },
    end: (_, { outcome, step, loss, test }) => {
      const tested = test === null ? '' : `  ${showResults('test ', test)}`;
      output.write(`${clear}${outcome} after step ${step}: loss ${showNumber(loss)}${tested}\n`);
    },
    note: text => output.write(`${clear}${text}\n`),
  };
}

export const showResults = (prefix: string, results: Results): string =>
  Object.entries(results).map(([name, value]) => `${prefix}${name} ${showNumber(value)}`).join('  ');
