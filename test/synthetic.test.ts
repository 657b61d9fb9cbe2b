/**
 * Synthetic rows in emitted programs: the numbers that their seed, source and row say, however many rows a run makes, for every target,
 * batch and number of threads; read by training and evaluation like any others.
 */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { emit, type Target } from '../compiler/6-emit/emit.ts';
import { compile } from '../compiler/index.ts';
import { evaluateStage } from '../runtime/evaluate.ts';
import type { CompiledProgram, Stage } from '../runtime/program.ts';
import { rowsGiven, trainModel } from '../runtime/application.ts';
import { random } from '../runtime/random.ts';
import type { RowSet } from '../runtime/row-set.ts';
import { emitOptions, importEmitted } from './support/run-program.ts';

const model = (batch: number, wide = 3, kind = 'row % 5'): string => `
model Rows {
  input x: f32[B, ${wide}]
  input kind: i32[B]
  y = embedding(5, 2)(kind)
  loss = mean(square(x)) + mean(square(y))
  metric first = mean(x[:, 0])
  metric kinds = mean(cast(kind, f32))
}
data {
  train = synthetic(rows: 2500) {
    x = uniform(0, 1, dims: [${wide}])
    kind = ${kind}
  }
  test = synthetic(rows: 1500) {
    x = uniform(0, 1, dims: [${wide}])
    kind = row % 5
  }
}
train {
  batch ${batch}
  seed 9
  optimizer sgd(0.1)
}
`;

async function programOf(text: string, target: Target): Promise<CompiledProgram> {
  const { levels, diagnostics } = compile({ path: 'rows.model', text, library: false }, 'schedule', { verify: true });
  expect(diagnostics).toEqual([]);
  return (await importEmitted(emit(levels, emitOptions(target)))).program;
}

function valuesOf({ columns, count }: RowSet, input: string, size: number): Float32Array {
  const values = new Float32Array(count * size);
  const column = columns.find(other => other.input === input)!;
  for (let row = 0; row < count; row++) column.read(row, values, row * size);
  return values;
}

/** As random numbers of a path are told apart: FNV-1a. */
const streamOf = (path: string): number => [...new TextEncoder().encode(path)].reduce((hash, byte) => Math.imul(hash ^ byte, 0x01000193), 0x811c9dc5) | 0;

test.each([['typescript', 16, 1], ['wasm', 16, 1], ['wasm', 500, 2]] as const)('numbers of the seed and the row: %s, batch %i, threads %i', async (target, batch, threads) => {
  const program = await programOf(model(batch), target);
  await program.threads?.start(threads);
  try {
    new Int32Array(program.memory, program.scalars.seed, 1)[0] = 77;
    const { train, test: tests } = await rowsGiven(program, undefined);
    expect(new Int32Array(program.memory, program.scalars.seed, 1)[0]).toBe(77);
    for (const [name, set, rows] of [['train', train!, 2500], ['test', tests!, 1500]] as const) {
      expect(set.count).toBe(rows);
      expect(valuesOf(set, 'x', 3)).toEqual(Float32Array.from({ length: 3 * rows }, (_, i) => random(9, streamOf(`data ${name}#random`), Math.floor(i / 3), i % 3)));
      expect(valuesOf(set, 'kind', 1)).toEqual(Float32Array.from({ length: rows }, (_, row) => row % 5));
    }
    const [stage] = program.stages as [Stage];
    stage.initialise();
    const { first, kinds } = await evaluateStage(program, stage, tests);
    expect(kinds).toBeCloseTo(2, 5);
    expect(first).toBeCloseTo(valuesOf(tests!, 'x', 3).filter((_, i) => i % 3 === 0).reduce((a, b) => a + b) / 1500, 5);
  } finally {
    program.threads?.stop();
  }
});

test('large rows are made a few at a time', async () => {
  const program = await programOf(model(8, 3000), 'typescript');
  expect(program.synthetic!.sources.map(({ entry }) => entry.rows)).toEqual([349, 349]);
  const { train } = await rowsGiven(program, undefined);
  const column = train!.columns.find(({ input }) => input === 'x')!;
  const row = new Float32Array(3000);
  column.read(1234, row, 0);
  expect(row).toEqual(Float32Array.from({ length: 3000 }, (_, i) => random(9, streamOf('data train#random'), 1234, i)));
});

test('values that an input cannot take are told with their row', async () => {
  await expect(rowsGiven(await programOf(model(8, 3, 'row - 3'), 'typescript'), undefined))
    .rejects.toThrow('row 0 of the synthetic source `train`: `kind` is -3, but must be at least 0 and below 5');
  const infinite = model(8).replace('x = uniform(0, 1, dims: [3])\n    kind = row % 5', 'x = 1 / (row - 7) + zeros([3])\n    kind = row % 5');
  await expect(rowsGiven(await programOf(infinite, 'wasm'), undefined)).rejects.toThrow('row 7 of the synthetic source `train`: `x` is Infinity');
});

test('pinn learns from its rows', async () => {
  const { levels } = compile({ path: 'pinn.model', text: readFileSync(new URL('../models/pinn.model', import.meta.url), 'utf8'), library: false }, 'schedule');
  const { program } = await importEmitted(emit(levels, emitOptions('wasm')));
  const { test: tested } = await trainModel(program, { steps: 500 });
  expect(tested!['mean_error']).toBeLessThan(0.2);
}, 60_000);
