/** The results of a run as text in Markdown: what was measured against which target, the compiler's passes, the sizes of programs. */
import type { Result, Results } from './results.ts';
import type { Spread } from './statistics.ts';

/** The page, without a headline. */
export function tableOf({ date, machine, loadBefore, versions, rounds, results, passes, sizes }: Results): string {
  return [
    `${date}; ${machine}; load before the run ${loadBefore.toFixed(1)}; ${Object.entries(versions).map(entry => entry.join(' ')).join(', ')};`
      + ` ${rounds} ${rounds === 1 ? 'round' : 'rounds'}. Times are ms: minimum – median.`,
    markdown(['measured', 'nabla', 'processor time', 'rival', 'nabla / rival', 'target', ''], results.map(resultCells)),
    markdown(['processor time of a pass', ...Object.keys(passes.first)], Object.entries(passes)
      .map(([when, times]) => [when, ...Object.values(times).map(milliseconds)])),
    markdown(['program of', 'bytes', 'with gzip'], sizes.map(({ model, bytes, gzip }) => [model, bytes.toLocaleString('en'), gzip.toLocaleString('en')])),
    '',
  ].join('\n\n').trimEnd() + '\n';
}

function resultCells({ name, nabla, processor, rival, ratio, target, met }: Result): readonly string[] {
  const part = (ratio ?? nabla.median) / target;
  return [
    name,
    range(nabla),
    processor === null ? '' : range(processor),
    rival === null ? '' : `${range(rival.time)} (${rival.name})`,
    ratio === null ? '' : ratio.toPrecision(2),
    `< ${target}`,
    met ? `met, at ${percent(part)} of it` : `missed by ${percent(part - 1)}`,
  ];
}

const range = ({ min, median }: Spread): string => `${milliseconds(min)} – ${milliseconds(median)}`;

const milliseconds = (ms: number): string => (ms < 100 ? ms.toPrecision(3) : Math.round(ms).toLocaleString('en'));

const percent = (share: number): string => `${Math.round(100 * share)} %`;

const markdown = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows].map(cells => `| ${cells.join(' | ')} |`).join('\n');
