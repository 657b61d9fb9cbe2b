/**
 * Emitted programs started as a user starts them, in a process of their own: training from given weights against PyTorch, and the
 * small models on their data.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { emit, type Target } from '../compiler/6-emit/emit.ts';
import { compile } from '../compiler/index.ts';
import { openBytes, wholeFileLimit } from '../runtime/files.ts';
import { readSafetensors } from '../runtime/safetensors.ts';
import { readTensor } from '../runtime/stored-tensor.ts';
import { elementCount } from '../runtime/tensor.ts';
import { writeSafetensors } from '../runtime/weights-file.ts';
import { readFixture } from './support/fixture.ts';
import { folderOfFile } from './support/folder.ts';
import { emitOptions, importEmitted } from './support/run-program.ts';
import { swiftshaderEnvironment } from './support/swiftshader.ts';

const folder = folderOfFile();

const importable = ['wasm', 'typescript'] as const satisfies readonly Target[];
/** A GPU is used by processes alone. */
const targets = [...importable, 'webgpu'] as const satisfies readonly Target[];
symlinkSync(new URL('../node_modules', import.meta.url).pathname, join(folder, 'node_modules'));
const environment = { ...process.env, ...swiftshaderEnvironment() };
const start = (file: string, ...args: readonly string[]): string => execFileSync(process.execPath, [file, ...args], { cwd: folder, encoding: 'utf8', env: environment });

test.each(targets)('%s: training from given weights gives what PyTorch gives', target => {
  const { levels, group, losses } = readFixture('transformer');
  const program = join(folder, 'transformer.ts');
  writeFileSync(program, emit(levels, emitOptions(target)));
  const rows = group('rows');
  writeSafetensors(join(folder, 'rows.safetensors'), levels.model!.inputs.map(({ leaf, type }) => {
    const values = Int32Array.from(rows.get(leaf!.name)!);
    return { name: leaf!.name, dtype: 'i32', shape: [40, ...type.dims.slice(1).map(d => d.extent)], values };
  }), {});
  const weights = group('weights');
  writeSafetensors(join(folder, 'weights.safetensors'), levels.model!.stages[0]!.parameters.map(({ leaf: { leaf, type } }) => (
    { name: leaf!.name, dtype: 'f32', shape: type.dims.map(d => d.extent), values: Float32Array.from(weights.get(leaf!.name)!) }
  )), {});

  start(program, '--data', folder, '--init', 'weights.safetensors', '--steps', '10', '--save', 'trained.safetensors', '--log', 'log.jsonl');
  const steps = readFileSync(join(folder, 'log.jsonl'), 'utf8').trim().split('\n').map(line => JSON.parse(line) as { readonly loss: number });
  steps.forEach(({ loss }, i) => expect(loss).toBeCloseTo(losses[i]!, 5));
  expect(steps).toHaveLength(10);
  expectTensors('trained.safetensors', group('trained'));

  start(program, '--data', folder, '--init', 'weights.safetensors', '--steps', '1', '--save-gradients', 'gradients.safetensors');
  expectTensors('gradients.safetensors', group('gradients'));
}, 60_000);

test('a checkpoint goes on with what trains alike: another path, or other settings of what only predicts, change nothing', () => {
  const text = `import "layers.model"
model M(width = 4, scale = 1) {
  input x: f32[B, 2]
  h = x |> hidden(width)
  loss = mean(h * h)
  output scaled = scale * h
}
train { optimizer sgd(lr: 0.1) }
`;
  const layers = (activation: string): string => `layer hidden(out) (x: f32[B, I]) { return ${activation}(linear(out)(x)) }\n`;
  const versionOf = (settings: Readonly<Record<string, string>>, path = 'm.model', imported = layers('relu')): string => {
    const { levels, diagnostics } = compile({ path, text, library: false }, 'schedule', {
      settings: new Map(Object.entries(settings)), readImport: () => ({ path: 'layers.model', text: imported, library: false }),
    });
    expect(diagnostics).toEqual([]);
    return /source: '(\w+)'/.exec(emit(levels, emitOptions('typescript')))![1]!;
  };
  const usual = versionOf({});
  expect(versionOf({}, 'folder/other.model')).toBe(usual);
  expect(versionOf({ width: '4' })).toBe(usual);
  expect(versionOf({ scale: '2' })).toBe(usual);
  expect(versionOf({ width: '5' })).not.toBe(usual);
  expect(versionOf({}, 'm.model', layers('gelu'))).not.toBe(usual);
});

function expectTensors(file: string, expected: ReadonlyMap<string, Float64Array>): void {
  const { tensors } = readSafetensors(openBytes(join(folder, file), file, wholeFileLimit));
  expect([...tensors.keys()].sort()).toEqual([...expected.keys()].sort());
  expected.forEach((values, name) => {
    const stored = tensors.get(name)!;
    const actual = new Float32Array(elementCount(stored.shape));
    readTensor(stored, actual, 'f32');
    values.forEach((value, i) => expect(Math.abs(actual[i]! - value), name).toBeLessThan(1e-5));
  });
}

test.each(importable)('%s: predictions of any number of rows, without dropout', async target => {
  const { group, rows, batch } = readFixture('dropout');
  const path = 'test/models/dropout.model';
  const { levels } = compile({ path, text: readFileSync(new URL(`../${path}`, import.meta.url), 'utf8'), library: false }, 'schedule');
  const { program, predict } = await importEmitted(emit(levels, emitOptions(target)));
  for (const { name, shape, offset } of program.parameters) new Float32Array(program.memory, offset, elementCount(shape)).set(group('weights').get(name)!);
  const x = rows(0).get('x')!;
  // A whole batch, then all but one of its rows again.
  const { prediction } = await predict!({ x: Float32Array.from([...x, ...x.slice(0, x.length - x.length / batch)]) });
  const expected = group('before').get('prediction')!;
  expect(prediction).toHaveLength((2 - 1 / batch) * expected.length);
  prediction!.forEach((value, i) => expect(value).toBeCloseTo(expected[i % expected.length]!, 5));
});

test.each([
  { name: 'iris', metric: 'accuracy', low: 0.95, high: 1, targets: importable },
  // The target has variance 1; least squares by linear regression reaches 0.49 on these rows.
  { name: 'regression', metric: 'loss', low: 0, high: 0.52, targets },
  // Each food's mean reaches 3.11.
  { name: 'recommender', metric: 'error', low: 0, high: 2.75, targets: ['wasm'] as const },
].flatMap(({ targets, ...example }) => targets.map(target => ({ ...example, target }))))('$target: $name learns', ({ name, metric, low, high, target }) => {
  const models = new URL('../models/', import.meta.url).pathname;
  const { levels } = compile({ path: `${name}.model`, text: readFileSync(join(models, `${name}.model`), 'utf8'), library: false }, 'schedule');
  writeFileSync(join(folder, `${name}.ts`), emit(levels, emitOptions(target)));
  const output = start(join(folder, `${name}.ts`), '--data', models);
  const found = Number(new RegExp(`^finished .*test ${metric} ([\\d.]+)`, 'm').exec(output)![1]);
  expect(found).toBeGreaterThanOrEqual(low);
  expect(found).toBeLessThanOrEqual(high);
}, 60_000);

describe('a program for a GPU', () => {
  const irisText = (): string => emit(compile({ path: 'iris.model', text: readFileSync(new URL('../models/iris.model', import.meta.url), 'utf8'), library: false }, 'schedule').levels, emitOptions('webgpu'));
  const models = new URL('../models/', import.meta.url).pathname;
  const failing = (text: string, env: NodeJS.ProcessEnv, cwd = folder): readonly [number | null, string] => {
    writeFileSync(join(cwd, 'failing.ts'), text);
    const { status, stderr } = spawnSync(process.execPath, ['failing.ts', '--data', models, '--steps', '3'], { cwd, encoding: 'utf8', env });
    return [status, stderr];
  };

  test('computes the same bytes again, and answers an application', () => {
    writeFileSync(join(folder, 'again.ts'), irisText());
    const bytes = ['one', 'two'].map(name => {
      start('again.ts', '--data', models, '--steps', '40', '--save', name);
      return readFileSync(join(folder, name));
    });
    expect(bytes[0]!.equals(bytes[1]!)).toBe(true);
    writeFileSync(join(folder, 'application.ts'), `
      import { readFileSync, writeFileSync } from 'node:fs';
      import { load, predict, save, train } from './again.ts';
      await load(readFileSync('one'));
      const rows = { flower: new Float32Array(4 * 7).map((_, i) => i % 5) };
      const [first, second] = await Promise.all([predict(rows), predict({ flower: rows.flower.map(value => -value) })]);
      const again = await predict(rows);
      const [name] = Object.keys(again);
      const values = [first, second, again].map(each => each[name].join());
      console.log(values[0] === values[2], values[0] === values[1]);
      writeFileSync('three', await save());
      let predicted = 0;
      await train({ data: file => readFileSync(${JSON.stringify(`${models}/`)} + file), steps: 20, reporter: {
        start() {}, evaluation() {}, note() {}, step() { predict(rows).then(() => { predicted++; }); },
      } });
      console.log(predicted > 10);
    `);
    expect(start('application.ts')).toBe('true false\ntrue\n');
    expect(readFileSync(join(folder, 'three')).equals(bytes[0]!)).toBe(true);
  }, 60_000);

  test('says what is missing where there is no GPU, and where there is no WebGPU', () => {
    const none = { ...process.env, VK_DRIVER_FILES: '/none', LD_LIBRARY_PATH: '/none' };
    expect(failing(irisText(), none)).toEqual([1, expect.stringMatching(/^error: there is no GPU that WebGPU can use here: .*`--target wasm`\n$/m)]);
    const apart = join(folder, 'apart');
    mkdirSync(apart);
    expect(failing(irisText().replace('resolve(\'webgpu\')', 'resolve(\'no-such-package\')'), none, apart))
      .toEqual([1, expect.stringMatching(/^error: Node needs a package for WebGPU: install it with `npm i webgpu` in this folder, or build the program with `--target wasm`\n$/)]);
  }, 60_000);

  test('names the line of a kernel that the GPU does not take', () => {
    const [code, error] = failing(irisText().replace(/fn main\(/, 'fn wrong('), environment);
    expect(code).toBe(1);
    expect(error).toMatch(/^error: the GPU does not take the kernel `initialise[^`]*`, which computes .*iris.model:\d+ .*`--target wasm`\n$/);
  }, 60_000);

  test('ends with one line when the GPU is lost, and when it has no room', () => {
    const lost = irisText().replace('queue.submit([encoder.finish()]);\n  };', 'queue.submit([encoder.finish()]);\n    if (++submitted === 3) (opened as unknown as { destroy(): void }).destroy();\n  };')
      .replace('function openGpu(', 'let submitted = 0;\nfunction openGpu(');
    expect(failing(lost, environment)).toEqual([1, expect.stringMatching(/^error: the GPU is gone .*`--resume`\n$/)]);
    const large = irisText().replace(/^ {4}bytes: \d+,$/m, '    bytes: 1000000000000,').replace('const memory = new ArrayBuffer(plan.bytes);', 'const memory = new ArrayBuffer(65536);');
    expect(failing(large, environment)).toEqual([1, expect.stringMatching(/^error: the program binds 1000000000000 bytes at once, and this GPU allows \d+ .*\n$/)]);
  }, 60_000);
});
