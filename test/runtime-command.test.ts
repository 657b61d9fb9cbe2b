/** The command line of a program in a process of its own, and the texts of its progress. */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { logarithmicTicks, lossCurve, ticks } from '../runtime/loss-curve.ts';
import { newHistory, recordLoss } from '../runtime/history.ts';
import { npyBytes } from '../runtime/npy.ts';
import { renderProgress, showCount, showDuration, showNumber } from '../runtime/progress-line.ts';
import { linearRows } from './runtime-fixture.ts';
import { folderOfTest } from './support/folder.ts';

const child = join(import.meta.dirname, 'runtime-child.ts');
const folder = folderOfTest({ enter: false });
beforeEach(() => {
  const { x, y } = linearRows(30);
  writeFileSync(join(folder(), 'x.npy'), npyBytes(x, 'f32', [30, 3]));
  writeFileSync(join(folder(), 'y.npy'), npyBytes(y, 'f32', [30]));
});

function run(args: readonly string[], environment: Record<string, string> = {}): { code: number | null; out: string; error: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [child, ...args], { cwd: folder(), encoding: 'utf8', env: { ...process.env, ...environment } });
  return { code: status, out: stdout, error: stderr };
}

test('train, evaluate, predict', () => {
  const trained = run(['--data', '.', '--steps', '200', '--log', 'log.jsonl', '--save-gradients', 'gradients.safetensors']);
  expect([trained.code, trained.error]).toEqual([0, '']);
  expect(trained.out).toMatch(/finished after step 200: loss .*\nsaved Linear.safetensors and Linear.svg\n$/);
  expect(readFileSync(join(folder(), 'log.jsonl'), 'utf8').trim().split('\n').length).toBe(200);
  expect(existsSync(join(folder(), 'gradients.safetensors'))).toBe(true);
  expect(run(['evaluate', '--data=.']).out).toMatch(/^loss \S+ {2}error \S+\n$/);
  expect(run(['predict', '--input', 'x=x.npy', '-o', 'out.npz']).out).toBe('prediction f32[30]\nsaved out.npz\n');
  expect(run(['--init', 'Linear.safetensors', '--data', '.', '--steps', '1']).code).toBe(0);
});

test.each([
  [['--stepps', '3'], 'error: unknown flag `--stepps`, did you mean `--steps`?\n'],
  [['trian'], 'error: unexpected argument `trian`, did you mean `train`?\n'],
  [['--steps', 'many'], 'error: `--steps` is `many`, but must be a whole number from 1 to 2147483647\n'],
  [['--learning-rate-factor', '0'], 'error: `--learning-rate-factor` is `0`, but must be a number above 0\n'],
  [['--learning-rate-factor=half'], 'error: `--learning-rate-factor` is `half`, but must be a number above 0\n'],
  [['--steps'], 'error: `--steps` needs a value: `--steps N`\n'],
  [['bench', '--data', '.'], 'error: `--data` does not belong to `bench`, but to `train` and `evaluate`\n'],
  [['--data', '.', '--resume'], 'error: there is no checkpoint `Linear.checkpoint.safetensors` here to resume from: start without `--resume`\n'],
  [['--data', '.', '--init', 'none'], /^error: `none` cannot be opened: ENOENT.*\n$/],
  [['--data', '.', '--log', 'none/log'], /^error: the log `none\/log` cannot be opened: ENOENT.*\n$/],
  [['--data', '.', '--save', '.'], 'error: `.` cannot be written: it is a folder or a device, name a file\n'],
  [['--data', '.', '--save', '/dev/null'], 'error: `/dev/null` cannot be written: it is a folder or a device, name a file\n'],
  [['--data', '.', '--save', 'none/w'], /^error: `none\/w` cannot be written: ENOENT.*\n$/],
  [['--data', '.', '--save', 'one', '--log', './one'], /^error: `.*\/one` would be written by this run for two purposes: name another file for one of them\n$/],
  [['--data', '.', '--save', 'a\u001b[2J/w'], /^error: `a\ufffd\[2J\/w` cannot be written/],
  [['predict', '--input', 'x=x.npy', '--input', 'x=y.npy'], 'error: `--input` is given twice for `x`: give it once\n'],
  [['predict'], 'error: no rows for `x`: give `--input x=FILE.npy`\n'],
] as const)('%j is an error of one line', (args, message) => {
  const { code, error } = run(args);
  expect(code).toBe(1);
  if (typeof message === 'string') expect(error).toBe(message);
  else expect(error).toMatch(message);
});

test('a NaN leaves the weights of an earlier run alone', () => {
  run(['--data', '.', '--steps', '2']);
  const before = readFileSync(join(folder(), 'Linear.safetensors'));
  const { code, error } = run(['--data', '.'], { NAN_AT_STEP: '20' });
  expect([code, error.startsWith('error: the loss is NaN at step 20 (batch 1 of epoch 4); no weights were saved')]).toEqual([1, true]);
  expect(readFileSync(join(folder(), 'Linear.safetensors')).equals(before)).toBe(true);
});

test('an interrupt saves a checkpoint, the resumed run ends in the same bytes', async () => {
  expect(run(['--data', '.', '--steps', '400', '--save', 'whole.safetensors']).code).toBe(0);
  const running = spawn(process.execPath, [child, '--data', '.'], { cwd: folder(), env: { ...process.env, STEP_MILLISECONDS: '4' } });
  let out = '';
  running.stdout.on('data', (text: Buffer) => {
    if (out === '') setTimeout(() => running.kill('SIGINT'), 150);
    out += text.toString();
  });
  const code = await new Promise(resolve => running.on('close', resolve));
  expect(code).toBe(130);
  expect(out).toMatch(/stopped after step \d+, checkpoint saved; the same command with `--resume` goes on from there/);
  expect(existsSync(join(folder(), 'Linear.safetensors'))).toBe(false);
  const resumed = run(['--data', '.', '--resume']);
  expect([resumed.code, resumed.out]).toEqual([0, expect.stringMatching(/^Linear: step \d+ of 400 steps/)]);
  expect(readFileSync(join(folder(), 'Linear.safetensors')).equals(readFileSync(join(folder(), 'whole.safetensors')))).toBe(true);
});

test('the progress line fits every width', () => {
  const line = { step: 300, steps: 1200, epoch: 2, epochs: 5, loss: 0.123456, metrics: [['accuracy', 0.97531]] as const, speed: 51234, unit: 'examples', left: 75 };
  expect(renderProgress(line, 100)).toBe('epoch 2/5   300/1200  ████▊··············  loss 0.1235  accuracy 0.9753  51.2k examples/s  1:15 left');
  for (let width = 0; width < 140; width++) expect(renderProgress(line, width).length).toBeLessThanOrEqual(width);
  expect(renderProgress(line, 80)).toBe('epoch 2/5   300/1200  ████▎············  loss 0.1235  accuracy 0.9753  1:15 left');
  expect([0, 0.5, 1234.5, 2.5e6].map(showCount)).toEqual(['0', '0.5', '1.2k', '2.5M']);
  expect([7, 760, 11100, Infinity].map(showDuration)).toEqual(['0:07', '12:40', '3:05:00', '–:––']);
  expect([0, 1e-7, 0.5, 123456, NaN].map(showNumber)).toEqual(['0', '1.000e-7', '0.5000', '1.235e+5', 'NaN']);
});

test('the history is bounded and the loss curve is well formed', () => {
  const history = newHistory();
  for (let step = 1; step <= 10000; step++) recordLoss(history, step, 1 / step);
  expect([history.losses.length <= 2048, history.losses.at(-1)!.step > 9900]).toEqual([true, true]);
  history.evaluations.push({ step: 5000, results: { loss: 0.5, accuracy: 0.9 } }, { step: 10000, results: { loss: NaN, accuracy: 0.95 } });
  const svg = lossCurve('A & B', history);
  expect(svg).toContain('A &amp; B');
  expect(svg).toContain('test accuracy');
  expect(svg).not.toMatch(/NaN|Infinity|undefined/);
  expect(lossCurve('empty', newHistory())).not.toMatch(/NaN|Infinity|undefined/);
  expect(ticks(0, 1, 5)).toEqual([0, 0.2, 0.4, 0.6, 0.8, 1]);
  expect(ticks(3, 3, 5)[0]).toBeLessThanOrEqual(3);
  expect(logarithmicTicks(0.03, 2.3)).toEqual([0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5]);
  expect(logarithmicTicks(2e-7, 3)).toEqual([1e-7, 1e-5, 1e-3, 0.1, 10]);
});

test('a loss that falls far is drawn on a logarithmic axis, others and metrics of one evaluation are not', () => {
  const curve = (losses: readonly number[], evaluations: number): string => {
    const history = newHistory();
    losses.forEach((loss, i) => recordLoss(history, i + 1, loss));
    for (let i = 1; i <= evaluations; i++) history.evaluations.push({ step: i, results: { loss: 1, accuracy: 0.9 } });
    return lossCurve('one', history);
  };
  const far = Array.from({ length: 2000 }, (_, i) => 2 * 0.998 ** i);
  expect([curve(far, 2), curve(far.map(loss => loss - 1), 2), curve([2, 1], 2)].map(svg => svg.includes('>loss, logarithmic<'))).toEqual([true, false, false]);
  expect([curve(far, 1), curve(far, 2)].map(svg => svg.includes('test accuracy'))).toEqual([false, true]);
  expect(curve(far, 2).length).toBeLessThan(40000);
});
