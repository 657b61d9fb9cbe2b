/** The results of a run as text in Markdown: steps against the peers, products, starts, the compiler's passes, sizes of programs. */
import { goalsOf, isMet, type Goal } from './goals.ts';
import { peers, systemNames, threadsText, type Peer, type System } from './reference.ts';
import { timingOf, type CompileResult, type ModelResult, type ProductResult, type Results, type Timing } from './results.ts';
import { geometricMean, type Spread } from './statistics.ts';

/** The page, without a headline. */
export function tableOf(results: Results): string {
  const { date, machine, loadBefore, versions, rounds, models, products, generation, starts, outside, compiling, passes, sizes } = results;
  const threadCounts = [...new Set(models.flatMap(({ timings }) => timings.map(({ threads }) => threads)))];
  return [
    `${date}; ${machine}; load before the run ${loadBefore.toFixed(1)}; ${Object.entries(versions).map(entry => entry.join(' ')).join(', ')};`
      + ` ${rounds} ${rounds === 1 ? 'round' : 'rounds'}. Times are ms: minimum – median. Ratios are of medians, in brackets of minima.`,
    '### What is wanted',
    markdown(['', 'wanted', 'met by', 'missed by'], goalsOf(results).map(goalCells)),
    ...threadCounts.flatMap(threads => [`### Training steps, ${threadsText(threads)}`, stepsTable(models, threads)]),
    ...failureLines(models),
    '### Memory\n\nThe most that a process held, in MB.',
    memoryTable(models),
    '### Matrix products\n\nGFLOP/s, by the least time – by the median; PyTorch multiplies with OpenBLAS.',
    productsTable(products),
    '### Drawing tokens\n\nA token as the last of 256, of gpt with so many positions: with what the positions before have left, and all of them computed anew.',
    markdown(['threads', 'kept', 'tokens a second', 'anew', 'anew / kept'], generation.map(({ threads, kept, anew }) =>
      [String(threads), range(kept), whole(1000 / kept.median), range(anew), ratio(anew, kept)])),
    '### Start, and what is not kernels\n\nFrom the start of the process to the end of the first training step of mlp; and the share of a step of mlp in which no kernel runs.',
    markdown(['system', 'threads', 'first step done', 'outside of kernels'], starts.map(({ system, ending, threads, time }) => {
      const share = ending === 'ts' ? outside.find(one => one.threads === threads)?.share : undefined;
      return [`${systemNames[system]}${ending === null ? '' : `, .${ending}`}`, String(threads), range(time), share === undefined ? '' : `${(100 * share.median).toPrecision(2)} %`];
    })),
    '### Compiling',
    markdown(['measured', 'time', 'processor time', 'target', ''], compiling.map(compileCells)),
    markdown(['processor time of a pass', ...Object.keys(passes.first)], Object.entries(passes)
      .map(([when, times]) => [when, ...Object.values(times).map(milliseconds)])),
    markdown(['program of', 'bytes', 'with gzip'], sizes.map(({ model, bytes, gzip }) => [model, whole(bytes), whole(gzip)])),
  ].join('\n\n') + '\n';
}

function stepsTable(models: readonly ModelResult[], threads: number): string {
  const find = (model: ModelResult, system: System): Timing | undefined => timingOf(model, system, threads);
  const others = peers.filter(peer => models.some(model => find(model, peer) !== undefined));
  const both = (model: ModelResult, peer: Peer): readonly [Spread, Spread] | null => {
    const [ours, theirs] = [find(model, 'nabla'), find(model, peer)];
    return ours === undefined || theirs === undefined ? null : [ours.step, theirs.step];
  };
  const rows = models.map(model => [
    model.model,
    whole(model.parameters),
    ...(['nabla', ...others] as const).map(system => find(model, system)).map(timing => (timing === undefined ? '' : range(timing.step))),
    ...others.map(peer => both(model, peer)).map(pair => (pair === null ? '' : ratio(...pair))),
  ]);
  const means = others.map(peer => {
    const pairs = models.flatMap(model => [both(model, peer) ?? []]).filter(pair => pair.length === 2);
    return pairs.length === 0 ? '' : ratio(meanOf(pairs.map(([ours]) => ours)), meanOf(pairs.map(([, theirs]) => theirs)));
  });
  const head = ['model', 'parameters', 'nabla', ...others.map(peer => systemNames[peer]), ...others.map(peer => `nabla / ${systemNames[peer]}`)];
  return markdown(head, [...rows, ['geometric mean', '', '', ...others.map(() => ''), ...means]]);
}

/** PyTorch's products are those of OpenBLAS. */
function productsTable(products: readonly ProductResult[]): string {
  const others = products[0]!.peers.map(({ peer }) => systemNames[peer]);
  return markdown(['size', 'threads', 'nabla', ...others, ...others.map(name => `time, nabla / ${name}`)], products.map(({ size, threads, nabla, peers }) =>
    [String(size), String(threads), speed(size, nabla), ...peers.map(({ time }) => speed(size, time)), ...peers.map(({ time }) => ratio(nabla, time))]));
}

function memoryTable(models: readonly ModelResult[]): string {
  const columns = models.flatMap(({ timings }) => timings).map(({ system, threads }) => ({ system, threads }))
    .filter(({ system, threads }, i, all) => all.findIndex(other => other.system === system && other.threads === threads) === i)
    .sort((a, b) => a.threads - b.threads);
  const cell = (model: ModelResult, { system, threads }: Pick<Timing, 'system' | 'threads'>): string => {
    const timing = timingOf(model, system, threads);
    return timing === undefined ? '' : whole(timing.peakBytes / 1e6);
  };
  const head = columns.map(({ system, threads }) => `${systemNames[system]}, ${threadsText(threads)}`);
  return markdown(['model', ...head], models.map(model => [model.model, ...columns.map(column => cell(model, column))]));
}

const failureLines = (models: readonly ModelResult[]): readonly string[] => models.flatMap(({ model, failures }) => failures
  .map(({ system, threads, reason }) => `${model} in ${systemNames[system]} on ${threadsText(threads)} failed: ${reason}`));

function compileCells({ name, time, processor, target }: CompileResult): readonly string[] {
  const part = time.median / target;
  return [name, range(time), range(processor), `< ${target}`, part < 1 ? `met, at ${percent(part)} of it` : `missed by ${percent(part - 1)}`];
}

function goalCells(goal: Goal): readonly string[] {
  const { name, wanted, found } = goal;
  const list = (met: boolean): string => found.filter(({ value }) => isMet(goal, value) === met).map(({ of, value }) => `${of} ${two(value)}`).join(', ');
  return [name, 'atMost' in wanted ? `≤ ${wanted.atMost}` : `≥ ${wanted.atLeast}`, list(true), list(false)];
}

const speed = (size: number, { min, median }: Spread): string => [min, median].map(ms => (2 * size ** 3 / ms / 1e6).toPrecision(3)).join(' – ');

const ratio = (ours: Spread, theirs: Spread): string => `${two(ours.median / theirs.median)} (${two(ours.min / theirs.min)})`;

const meanOf = (times: readonly Spread[]): Spread =>
  ({ median: geometricMean(times.map(({ median }) => median)), min: geometricMean(times.map(({ min }) => min)) });

const two = (value: number): string => (value < 0.1 ? value.toPrecision(2) : value.toFixed(2));

const range = ({ min, median }: Spread): string => `${milliseconds(min)} – ${milliseconds(median)}`;

const milliseconds = (ms: number): string => (ms < 100 ? ms.toPrecision(3) : whole(ms));

const whole = (value: number): string => Math.round(value).toLocaleString('en');

const percent = (share: number): string => `${Math.round(100 * share)} %`;

const markdown = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows].map(cells => `| ${cells.join(' | ')} |`).join('\n');
