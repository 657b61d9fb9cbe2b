/**
 * Weights from elsewhere: GPT-2's published tensors load by name, beside masks that are no weights; what is fine-tuned starts from the
 * file of its base, and the weights that stay as they are cost no gradient.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { emit } from '../compiler/6-emit/emit.ts';
import { costSheet } from '../compiler/cli/cost.ts';
import { importReader } from '../compiler/cli/read-source.ts';
import { compile, type Levels } from '../compiler/index.ts';
import { shapeOf, size } from '../compiler/ir/type.ts';
import type { NamedTensor } from '../runtime/safetensors.ts';
import { initialiseProgram } from '../runtime/stages.ts';
import { viewOf } from '../runtime/tensor.ts';
import { loadInitialWeights, loadWeights, writeSafetensors } from '../runtime/weights-file.ts';
import { readFixture } from './support/fixture.ts';
import { folderOfFile } from './support/folder.ts';
import { emitOptions, importEmitted } from './support/run-program.ts';

const folder = folderOfFile();

function levelsOf(path: string, last: string, change: (text: string) => string = text => text): Levels {
  const { levels, diagnostics } = compile({ path, text: change(readFileSync(path, 'utf8')), library: false }, last, { readImport: importReader(path) });
  expect(diagnostics).toEqual([]);
  return levels;
}

/** As `model.safetensors` of `gpt2` has them: a block's projections are laid out [in, out]. */
function publishedShapes(vocabulary: number, positions: number, width: number, layers: number): Readonly<Record<string, readonly number[]>> {
  const norm = (name: string) => [[`${name}.weight`, [width]], [`${name}.bias`, [width]]] as const;
  const projection = (name: string, from: number, to: number) => [[`${name}.weight`, [from, to]], [`${name}.bias`, [to]]] as const;
  return Object.fromEntries([
    ['wte.weight', [vocabulary, width]], ['wpe.weight', [positions, width]],
    ...Array.from({ length: layers }, (_, i) => [
      ...norm(`h.${i}.ln_1`), ...projection(`h.${i}.attn.c_attn`, width, 3 * width), ...projection(`h.${i}.attn.c_proj`, width, width),
      ...norm(`h.${i}.ln_2`), ...projection(`h.${i}.mlp.c_fc`, width, 4 * width), ...projection(`h.${i}.mlp.c_proj`, 4 * width, width),
    ]).flat(),
    ...norm('ln_f'),
  ]);
}

test('the parameters of GPT-2 have the names and shapes of the published ones', () => {
  const { model } = levelsOf('models/gpt2.model', 'elaborate');
  const own = Object.fromEntries(model!.stages[0]!.parameters.map(({ leaf }) => [leaf.leaf!.name, shapeOf(leaf.type)]));
  expect(own).toEqual(publishedShapes(50257, 1024, 768, 12));
  expect(Object.values(own).reduce((sum, shape) => sum + size(shape), 0)).toBe(124_439_808);
});

test('a file like the published one gives the outputs of PyTorch', async () => {
  const { levels, group, rows } = readFixture('gpt2');
  const weights = group('weights');
  const tensors = Object.entries(publishedShapes(50, 9, 8, 2)).map(([name, shape]): NamedTensor =>
    ({ name, dtype: 'f32', shape, values: Float32Array.from(weights.get(name)!) }));
  const masks = [0, 1].flatMap((i): readonly NamedTensor[] => [
    { name: `h.${i}.attn.bias`, dtype: 'f32', shape: [1, 1, 9, 9], values: new Float32Array(81) },
    { name: `h.${i}.attn.masked_bias`, dtype: 'f32', shape: [], values: Float32Array.of(-1e4) },
  ]);
  writeSafetensors(join(folder, 'model.safetensors'), [...tensors, ...masks], { format: 'pt' });
  const { program, predict } = await importEmitted(emit(levels, emitOptions('wasm')));
  loadWeights(program, join(folder, 'model.safetensors'));
  const { probabilities } = await predict!({ text: Int32Array.from(rows(0).get('text')!) });
  group('before').get('probabilities')!.forEach((value, i) => expect(probabilities![i]).toBeCloseTo(value, 5));
});

test('frozen weights cost no gradient: neither the products nor the memory', () => {
  const frozen = levelsOf('models/lora.model', 'schedule');
  const trained = levelsOf('models/lora.model', 'schedule', text => text.replace(/^ {2}freeze .*$/m, ''));
  const gradients = (levels: Levels): number => levels.program!.gradients.reduce((sum, { shape }) => sum + size(shape), 0);
  const adapters = frozen.model!.stages[0]!.parameters.filter(({ leaf }) => leaf.leaf!.name.includes('.lora_'));
  expect(gradients(frozen)).toBe(adapters.reduce((sum, { leaf }) => sum + size(shapeOf(leaf.type)), 0));
  expect(gradients(trained)).toBeGreaterThan(40 * gradients(frozen));
  // Of a product y = x w, the backward pass takes the gradient by x alone: half of what it takes otherwise, and attention as before.
  const backward = (levels: Levels): number => {
    const { total, recomputed } = costSheet(levels);
    return total.backwardFlops - recomputed.flops;
  };
  expect(backward(frozen)).toBeLessThan(0.65 * backward(trained));
});

test('what is fine-tuned starts from the file of its base, with parameters of its own', async () => {
  const { levels, group } = readFixture('lora');
  const base = Object.entries(publishedShapes(80, 6, 8, 2)).map(([name, shape]): NamedTensor => ({ name, dtype: 'f32', shape, values: Float32Array.from(group('weights').get(name)!) }));
  const path = join(folder, 'gpt.safetensors');
  writeSafetensors(path, base, {});
  const { program } = await importEmitted(emit(levels, emitOptions('wasm')));
  initialiseProgram(program, undefined);
  const [told, ...more] = loadInitialWeights(program, path);
  expect(more).toEqual([]);
  expect(told).toContain('`h.0.attn.c_attn.lora_A`');
  for (const place of program.parameters) {
    const values = viewOf(program.memory, place);
    if (place.name.endsWith('.lora_B')) expect(new Set(values)).toEqual(new Set([0]));
    else if (!place.name.endsWith('.lora_A')) expect([...values]).toEqual([...Float32Array.from(group('weights').get(place.name)!)]);
  }
});
