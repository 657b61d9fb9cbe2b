/** The text of progress: one line that fits the width of a terminal, and the numbers and times in it. Works on any platform. */

export interface ProgressLine {
  readonly step: number;
  readonly steps: number;
  /** From 1; null when the data has no epochs. */
  readonly epoch: number | null;
  readonly epochs: number;
  readonly loss: number;
  readonly metrics: readonly (readonly [string, number])[];
  /** Data rows a second, or steps a second without data. */
  readonly speed: number;
  readonly unit: string;
  /** Seconds. */
  readonly left: number;
}

/** The line, at most `width` characters: what matters least is left out first. */
export function renderProgress(line: ProgressLine, width: number): string {
  const place = line.epoch === null ? '' : `epoch ${line.epoch}/${line.epochs}  `;
  const steps = `${String(line.step).padStart(String(line.steps).length)}/${line.steps}`;
  const loss = `loss ${showNumber(line.loss)}`;
  const optional = [
    `${showDuration(line.left)} left`,
    ...line.metrics.map(([name, value]) => `${name} ${showNumber(value)}`),
    `${showCount(line.speed)} ${line.unit}/s`,
  ];
  // Metrics stand before the speed, the time left at the end; in a narrow terminal the speed goes first, then the last metric.
  const shown = (count: number): string => {
    const [left, ...middle] = optional.slice(0, count);
    return [loss, ...middle, ...(left === undefined ? [] : [left])].join('  ');
  };
  const head = `${place}${steps}`;
  const barWidth = (count: number): number => width - head.length - shown(count).length - 4;
  let count = optional.length;
  while (count > 0 && barWidth(count) < 8) count--;
  const room = Math.min(barWidth(count), 30);
  const text = room >= 3 ? `${head}  ${renderBar(line.step / line.steps, room)}  ${shown(count)}` : `${head}  ${loss}`;
  return text.slice(0, Math.max(width, 0));
}

/** A bar of `width` characters, in eighths of one. */
export function renderBar(share: number, width: number): string {
  const eighths = Math.round(Math.min(Math.max(share, 0), 1) * width * 8);
  const full = '█'.repeat(Math.floor(eighths / 8));
  const part = ' ▏▎▍▌▋▊▉'[eighths % 8]!;
  return (full + (eighths % 8 > 0 ? part : '')).padEnd(width, '·');
}

/** Four significant digits. */
export function showNumber(value: number): string {
  const magnitude = Math.abs(value);
  if (!Number.isFinite(value) || value === 0) return String(value);
  return magnitude >= 1e5 || magnitude < 1e-4 ? value.toExponential(3) : value.toPrecision(4);
}

/** `950`, `12.3k`, `1.2M`. */
export function showCount(value: number): string {
  if (!(value >= 1000)) return value >= 10 || value === 0 ? value.toFixed(0) : value.toFixed(1);
  return value >= 1e6 ? `${(value / 1e6).toFixed(1)}M` : `${(value / 1000).toFixed(value < 1e5 ? 1 : 0)}k`;
}

/** `0:07`, `12:40`, `3:05:00`. */
export function showDuration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '–:––';
  const whole = Math.max(0, Math.round(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const tail = String(rest).padStart(2, '0');
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, '0')}:${tail}` : `${minutes}:${tail}`;
}
