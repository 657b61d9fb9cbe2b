/** The training loop: what it learns, that a resumed run ends in the same bytes, and that failures leave good files alone. */
import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { memoryBytes } from '../runtime/bytes.ts';
import { readIdx } from '../runtime/idx.ts';
import { arrayRows, rowSetOf } from '../runtime/row-set.ts';
import { tensorColumn } from '../runtime/stored-tensor.ts';
import { trainProgram } from '../runtime/train.ts';
import { linearProgram, linearRows } from './runtime-fixture.ts';

beforeEach(() => process.chdir(mkdtempSync(join(tmpdir(), 'nabla-'))));

const rows = (count: number) => {
  const program = linearProgram();
  return { train: arrayRows(program, linearRows(count)), test: arrayRows(program, linearRows(7)) };
};

test('a linear model trains on idx data in memory', async () => {
  const { x, y } = linearRows(10);
  const idx = (values: Float32Array, ...shape: number[]): Uint8Array => {
    const view = new DataView(new ArrayBuffer(4 + 4 * shape.length + values.byteLength));
    view.setUint32(0, 0x0d00 + shape.length);
    shape.forEach((extent, i) => view.setUint32(4 + 4 * i, extent));
    values.forEach((value, i) => view.setFloat32(4 + 4 * shape.length + 4 * i, value));
    return new Uint8Array(view.buffer);
  };
  const columns = [
    tensorColumn(readIdx(memoryBytes('x', idx(x, 10, 3))), { input: 'x', dtype: 'f32', shape: [3], below: null }, false),
    tensorColumn(readIdx(memoryBytes('y', idx(y, 10))), { input: 'y', dtype: 'f32', shape: [], below: null }, false),
  ];
  const set = rowSetOf(columns);
  const report = await trainProgram(linearProgram(), { data: { train: set, test: set }, steps: 300 });
  expect(report.outcome).toBe('finished');
  expect(report.test!.loss).toBeLessThan(1e-4);
  expect(report.files).toEqual(['Linear.safetensors', 'Linear.svg']);
});

test('a run interrupted and resumed ends in the same bytes', async () => {
  const data = rows(10);
  await trainProgram(linearProgram(), { data, log: 'whole.jsonl' });
  const whole = readFileSync('Linear.safetensors');
  let steps = 0;
  const first = await trainProgram(linearProgram(), { data, log: 'parts.jsonl', save: 'parts.safetensors', interrupted: () => ++steps === 13 });
  expect([first.outcome, first.step, existsSync('parts.safetensors')]).toEqual(['interrupted', 13, false]);
  const second = await trainProgram(linearProgram(), { data, log: 'parts.jsonl', save: 'parts.safetensors', resume: true });
  expect(second.step).toBe(40);
  expect(readFileSync('parts.safetensors').equals(whole)).toBe(true);
  const steady = (path: string) => readFileSync(path, 'utf8').trim().split('\n').map(line => ({ ...JSON.parse(line), ms: 0 }));
  expect(steady('parts.jsonl')).toEqual(steady('whole.jsonl'));
});

test('a loss that is not a number stops the run and saves nothing', async () => {
  const run = trainProgram(linearProgram({ checkpointEvery: { count: 5, unit: 'steps' } }, null, 12), { data: rows(10) });
  await expect(run).rejects.toThrow(/loss is NaN at step 12 \(batch 2 of epoch 5\).*--debug-nan/);
  expect(existsSync('Linear.safetensors')).toBe(false);
  await expect(trainProgram(linearProgram(), { data: rows(10), resume: true })).resolves.toMatchObject({ step: 40, outcome: 'finished' });
});
