/** The loss curve of a run as an SVG picture: training loss, its smoothed course, and the evaluations. Works on any platform. */
import type { History, Point } from './history.ts';

export interface Curve {
  readonly label: string;
  readonly kind: 'faint' | 'line' | 'points';
  readonly color: string;
  readonly points: readonly Point[];
}

/** Where the plot lies in the picture. */
export const plotFrame = { left: 64, right: 620, top: 60, bottom: 350 } as const;

export const panelDistance = 360;

export const curveColors = ['#4c78a8', '#e4572e', '#54a24b', '#b279a2', '#9d755d'] as const;

export function lossCurve(name: string, history: History): string {
  const curves = [...lossCurves(history)].filter(curve => curve.points.length > 0);
  const metrics = metricCurves(history);
  const panels = [panel('loss', curves, 0), ...(metrics.length > 0 ? [panel('metrics', metrics, panelDistance)] : [])];
  const height = 400 + (panels.length - 1) * panelDistance;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 ${height}" width="640" height="${height}"
  font-family="system-ui, sans-serif" font-size="12">
<style>
  .paper { fill: #ffffff; } text { fill: #24292f; } .grid { stroke: #d0d7de; }
  @media (prefers-color-scheme: dark) { .paper { fill: #16191d; } text { fill: #d7dde3; } .grid { stroke: #3a4148; } }
</style>
<rect class="paper" width="640" height="${height}"/>
<text x="320" y="22" text-anchor="middle" font-size="15" font-weight="600">${escapeXml(name)}</text>
${panels.join('\n')}
</svg>
`;
}

export function lossCurves(history: History): Curve[] {
  return [
    { label: 'training', kind: 'faint', color: curveColors[0], points: finite(history.losses) },
    { label: 'training, smoothed', kind: 'line', color: curveColors[0], points: thinned(finite(smoothedPoints(history.losses))) },
    { label: 'test', kind: 'points', color: curveColors[1], points: evaluationPoints(history, 'loss') },
  ];
}

/** As many points as a smooth line of this width can show, the last among them. */
export const thinned = (points: readonly Point[]): Point[] => {
  const every = Math.ceil(points.length / 512);
  return points.filter((_, i) => (points.length - 1 - i) % every === 0);
};

/** How metrics go; a single evaluation has been told, and has no course. */
export function metricCurves(history: History): Curve[] {
  const names = Object.keys(history.evaluations[0]?.results ?? {}).filter(name => name !== 'loss');
  return names
    .map((name, i): Curve => ({ label: `test ${name}`, kind: 'points', color: curveColors[(i + 2) % 5]!, points: evaluationPoints(history, name) }))
    .filter(curve => curve.points.length > 1);
}

export const evaluationPoints = (history: History, name: string): Point[] =>
  finite(history.evaluations.map(({ step, results }) => ({ step, value: results[name] ?? NaN })));

export const finite = (points: readonly Point[]): Point[] => points.filter(point => Number.isFinite(point.value));

/** Each point the mean of its neighbourhood, a hundredth of the run to either side. */
export function smoothedPoints(points: readonly Point[]): Point[] {
  const reach = Math.floor(points.length / 100);
  const sums = [0];
  for (const { value } of points) sums.push(sums.at(-1)! + value);
  return points.map(({ step }, i) => {
    const [from, to] = [Math.max(0, i - reach), Math.min(points.length, i + reach + 1)];
    return { step, value: (sums[to]! - sums[from]!) / (to - from) };
  });
}

/** One plot with axes and a legend, `down` below the first. */
export function panel(title: string, curves: readonly Curve[], down: number): string {
  const { left, right, top, bottom } = plotFrame;
  const points = curves.flatMap(curve => curve.points);
  const across = ticks(0, Math.max(1, ...points.map(point => point.step)), 6);
  // A few wild steps must not flatten the rest: the faint curve counts up to its 99th percentile.
  const faint = curves.find(curve => curve.kind === 'faint')?.points.map(point => point.value).sort((a, b) => a - b) ?? [];
  const values = [...curves.filter(curve => curve.kind !== 'faint').flatMap(curve => curve.points.map(point => point.value)),
    ...faint.slice(Math.floor(faint.length * 0.01), Math.ceil(faint.length * 0.99))];
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const logarithmic = least > 0 && most / least > 20;
  const up = logarithmic ? logarithmicTicks(least, most) : ticks(least, most, 5);
  const last = Math.max(1, ...points.map(point => point.step));
  const [low, high] = [up[0]!, up.at(-1)!];
  const x = (step: number): number => left + (step / last) * (right - left);
  const scale = logarithmic ? Math.log : (value: number): number => value;
  const y = (value: number): number =>
    bottom - (scale(Math.min(Math.max(value, low), high)) - scale(low)) / (scale(high) - scale(low)) * (bottom - top);
  const parts = [
    ...up.map(tick => `<line class="grid" x1="${left}" x2="${right}" y1="${fixed(y(tick))}" y2="${fixed(y(tick))}"/>`
      + `<text x="${left - 8}" y="${fixed(y(tick) + 4)}" text-anchor="end">${tickText(tick)}</text>`),
    ...across.filter(tick => tick <= last).map(tick =>
      `<line class="grid" x1="${fixed(x(tick))}" x2="${fixed(x(tick))}" y1="${bottom}" y2="${bottom + 5}"/>`
      + `<text x="${fixed(x(tick))}" y="${bottom + 19}" text-anchor="middle">${tickText(tick)}</text>`),
    `<text x="${(left + right) / 2}" y="${bottom + 36}" text-anchor="middle">step</text>`,
    `<text transform="translate(16 ${(top + bottom) / 2}) rotate(-90)" text-anchor="middle">${title}${logarithmic ? ', logarithmic' : ''}</text>`,
    ...curves.map(curve => drawCurve(curve, x, y)),
    legend(curves),
  ];
  return `<g transform="translate(0 ${down})">\n${parts.join('\n')}\n</g>`;
}

/** A row above the plot, where no curve runs. */
export function legend(curves: readonly Curve[]): string {
  const y = plotFrame.top - 16;
  let x: number = plotFrame.left;
  return curves.map(curve => {
    const [start, text] = [x, x + 24];
    x = text + curve.label.length * 7 + 20;
    return `<line x1="${start}" x2="${start + 18}" y1="${y}" y2="${y}" stroke="${curve.color}" stroke-width="${curve.kind === 'line' ? 2 : 1.5}"`
      + ` opacity="${curve.kind === 'faint' ? 0.4 : 1}"/><text x="${text}" y="${y + 4}">${escapeXml(curve.label)}</text>`;
  }).join('\n');
}

export function drawCurve(curve: Curve, x: (step: number) => number, y: (value: number) => number): string {
  const path = curve.points.map(({ step, value }, i) => `${i === 0 ? 'M' : 'L'}${fixed(x(step))} ${fixed(y(value))}`).join('');
  const width = curve.kind === 'line' ? 2 : curve.kind === 'faint' ? 1 : 1.5;
  const line = `<path d="${path}" fill="none" stroke="${curve.color}" stroke-width="${width}" stroke-linejoin="round"`
    + ` opacity="${curve.kind === 'faint' ? 0.35 : 1}"/>`;
  if (curve.kind !== 'points') return line;
  const dot = ({ step, value }: Point): string => `<circle cx="${fixed(x(step))}" cy="${fixed(y(value))}" r="3" fill="${curve.color}"/>`;
  return line + curve.points.map(dot).join('');
}

/** Round numbers that cover low … high in about `count` equal steps of 1, 2 or 5 times a power of ten. */
export function ticks(low: number, high: number, count: number): number[] {
  const span = high > low ? high - low : Math.abs(low) || 1;
  const power = 10 ** Math.floor(Math.log10(span / count));
  const step = [1, 2, 5, 10].map(factor => factor * power).find(size => span / size <= count) ?? 10 * power;
  const first = Math.floor(low / step + 1e-9);
  const end = Math.max(Math.ceil(high / step - 1e-9), first + 1);
  return Array.from({ length: end - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

/** The numbers 1, 2 and 5 times a power of ten that cover low … high; powers of ten alone, some left out, where those would be many. */
export function logarithmicTicks(low: number, high: number): number[] {
  const [first, end] = [Math.floor(Math.log10(low) + 1e-9), Math.ceil(Math.log10(high) - 1e-9)];
  const decades = end - first;
  if (decades > 3) {
    const every = Math.ceil(decades / 6);
    return Array.from({ length: Math.ceil(decades / every) + 1 }, (_, i) => Number(`1e${first + i * every}`));
  }
  const all = [...Array.from({ length: decades }, (_, i) => [1, 2, 5].map(factor => Number(`${factor}e${first + i}`))).flat(), Number(`1e${end}`)];
  return all.filter((_, i) => (all[i + 1] ?? Infinity) > low && (all[i - 1] ?? 0) < high);
}

export const tickText = (value: number): string =>
  Math.abs(value) >= 1e6 || (value !== 0 && Math.abs(value) < 1e-4) ? value.toExponential(1).replace('.0e', 'e') : String(value);

export const fixed = (value: number): string => value.toFixed(1).replace(/\.0$/, '');

export const escapeXml = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
