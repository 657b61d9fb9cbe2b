/** Curves of the loss and the metrics while a model trains, drawn with uPlot, one chart for each. */
import { smoothedPoints } from '../loss-curve.ts';
import { byId, make } from './dom.ts';
import type { LearningCurve } from './messages.ts';

/** uPlot, as far as it is used here; the page carries it as a script of its own. */
export interface UPlotChart {
  readonly setData: (data: readonly (readonly (number | null | undefined)[])[]) => void;
  readonly setSize: (size: { readonly width: number; readonly height: number }) => void;
  readonly destroy: () => void;
}

export interface UPlotLibrary {
  new (options: object, data: readonly (readonly (number | null | undefined)[])[], target: HTMLElement): UPlotChart;
  readonly join: (tables: readonly (readonly (readonly number[])[])[]) => (number | null | undefined)[][];
}

export const chartHeight = 240;

/** Shows the newest curves of a run; gives the function that takes them. */
export function showCurves(): (curves: readonly LearningCurve[]) => void {
  const place = byId('curves');
  const { uPlot } = globalThis as unknown as { readonly uPlot: UPlotLibrary };
  const charts = new Map<string, { readonly chart: UPlotChart; readonly frame: HTMLElement }>();
  let shown: readonly LearningCurve[] = [];
  const clear = (): void => {
    for (const { chart } of charts.values()) chart.destroy();
    charts.clear();
    place.replaceChildren();
  };
  const show = (curves: readonly LearningCurve[]): void => {
    shown = curves;
    if ([...charts.keys()].join('\n') !== curves.map(({ name }) => name).join('\n')) clear();
    for (const curve of curves) {
      const data = chartData(uPlot, curve);
      const known = charts.get(curve.name);
      if (known !== undefined) {
        known.chart.setData(data);
        continue;
      }
      const frame = make('figure', { class: 'chart' });
      frame.append(make('figcaption', {}, curve.name.replaceAll('_', ' ')));
      place.append(frame);
      charts.set(curve.name, { chart: new uPlot(chartOptions(frame), data, frame), frame });
    }
  };
  new ResizeObserver(() => {
    for (const { chart, frame } of charts.values()) chart.setSize({ width: frame.clientWidth, height: chartHeight });
  }).observe(place);
  // Colours are read when a chart is made.
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
    clear();
    show(shown);
  });
  return show;
}

/** Steps, training as it is and smoothed, tests. */
export function chartData(uPlot: UPlotLibrary, { training, test }: LearningCurve): readonly (readonly (number | null | undefined)[])[] {
  const lines = [training.steps, training.values, smoothedPoints(training.steps.map((step, i) => ({ step, value: training.values[i]! }))).map(({ value }) => value)];
  if (test.steps.length === 0) return [...lines, training.steps.map(() => null)];
  return training.steps.length === 0 ? [test.steps, test.steps.map(() => null), test.steps.map(() => null), test.values]
    : uPlot.join([lines, [test.steps, test.values]]);
}

export function chartOptions(frame: HTMLElement): object {
  const style = getComputedStyle(document.documentElement);
  const color = (name: string): string => style.getPropertyValue(name).trim();
  const axis = { stroke: color('--faint-ink'), grid: { stroke: color('--line'), width: 1 }, ticks: { stroke: color('--line'), width: 1, size: 4 }, font: '12px system-ui, sans-serif' };
  const value = (_: unknown, raw: number | null): string => (raw === null || raw === undefined ? '–' : raw.toPrecision(4));
  return {
    width: frame.clientWidth,
    height: chartHeight,
    legend: { live: true },
    cursor: { drag: { x: false, y: false }, points: { size: 6 } },
    scales: { x: { time: false } },
    axes: [{ ...axis, size: 34 }, { ...axis, size: 52 }],
    series: [
      { label: 'step', value: (_: unknown, raw: number | null) => (raw === null ? '–' : raw.toLocaleString('en-US')) },
      { label: 'training', stroke: color('--curve-faint'), width: 1, points: { show: false }, spanGaps: true, value },
      { label: 'smoothed', stroke: color('--curve'), width: 2, points: { show: false }, spanGaps: true, value },
      { label: 'test', stroke: color('--curve-test'), width: 1.5, points: { show: (chart: { readonly data: readonly (readonly unknown[])[] }) => chart.data[3]!.filter(each => each !== null && each !== undefined).length <= 40, size: 6, fill: color('--curve-test') }, spanGaps: true, value },
    ],
  };
}
