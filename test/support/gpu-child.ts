/**
 * Runs on a GPU what a test asks for, in a process of its own: GPUs do not stand threads, and find their drivers only by what the
 * environment says at the start. Prints a line of JSON for each thing that was run: its title, and what is wrong with it or null.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { importReader } from '../../compiler/cli/read-source.ts';
import { gradients } from '../../compiler/ops/gradients.ts';
import { gpuPlan } from '../../compiler/6-emit/wgsl/plan.ts';
import { laidOut } from '../../compiler/6-emit/wgsl/segments.ts';
import { compile } from '../../compiler/index.ts';
import type { Call, Program } from '../../compiler/ir/program.ts';
import { convert } from '../../compiler/ir/arithmetic.ts';
import { affine, axisAt, type Affine } from '../../compiler/ir/affine.ts';
import { evaluateGraph, evaluateNest } from '../../compiler/ir/evaluate.ts';
import { leaf, topological, type Value } from '../../compiler/ir/graph.ts';
import { apply, constant, guard, load, type Nest, type Scalar } from '../../compiler/ir/nest.ts';
import { requestGpuAdapter } from '../../runtime/gpu-adapter.ts';
import { prepareGpu, shaderText } from '../../runtime/gpu-machine.ts';
import { dim, isFloat, tensor, type Shape } from '../../compiler/ir/type.ts';
import { isPrimitive, type Tensor } from '../../compiler/ops/define.ts';
import { add } from '../../compiler/ops/elementwise.ts';
import { opTable } from '../../compiler/ops/index.ts';
import { defaultGpuOptions, type GpuOptions } from '../../compiler/6-emit/wgsl/module.ts';
import { attentions, inBlocks } from './attention.ts';
import { compareFixture } from './compare-fixture.ts';
import { fixtureNames, large as largeModels, readFixture, singleTolerance } from './fixture.ts';
import { compareRows, drawn, generators, whole } from './generation.ts';
import { gpuMachine, programOfHalves, programOfNests, runNestsOnGpu, withoutFeatures, type NestRun } from './gpu.ts';
import { graphMachine } from './machine.ts';
import { differentiable, drawAll, leaves, project, type AnySample } from './op-samples.ts';
import { programPlan, programText } from './random-program.ts';
import { recurrences, recurrent } from './recurrent.ts';
import { compare, levelsOf, trace } from './trace.ts';
import { difference, draw, generator, readType } from './tensors.ts';

/** What runs on a GPU in hardware; the one of the tests is in software, and has shaders of its own otherwise. */
const hardware: GpuOptions = { ...defaultGpuOptions, software: false };
/** Nothing is tiled: what waits for a workgroup is slow in software. */
const untiled: GpuOptions = { ...hardware, fewestProducts: Infinity };
/** All sums are shared, however short. */
const sharing: GpuOptions = { ...untiled, shortestRow: 1 };

function tell(title: string, problem: string | null): void {
  process.stdout.write(`${JSON.stringify({ title, problem })}\n`);
}

interface ExpectedRun extends NestRun {
  readonly title: string;
  readonly expected: Tensor;
  readonly tolerance: number;
}

/** Tells whether something throws. */
async function attempt(title: string, run: () => Promise<void>): Promise<void> {
  try {
    await run();
    tell(title, null);
  } catch (error) {
    tell(title, error instanceof Error ? error.message : String(error));
  }
}

const modelFolder = new URL('../../models/', import.meta.url);
const modelNames = readdirSync(modelFolder).filter(name => name.endsWith('.model')).map(name => name.replace(/\.model$/, ''));

/** Ten training steps of every model in `models/` against PyTorch's; large ones with the shaders for software, as those for hardware are slow in it. */
async function fixtures(): Promise<void> {
  for (const name of fixtureNames) {
    const fixture = readFixture(name);
    if (!fixture.model.startsWith('models/')) continue;
    await attempt(name, async () => compareFixture(await gpuMachine(fixture.levels.program!, largeModels.includes(name) ? defaultGpuOptions : untiled), fixture, 10, singleTolerance(name)));
  }
}

/** Recurrent layers whose loops are computed again within a memory limit. */
async function limited(): Promise<void> {
  for (const title of ['two LSTM layers', 'loops in loops']) {
    await attempt(title, async () => {
      const text = recurrent(recurrences[title]![0]);
      const levels = levelsOf(text);
      // With the least memory that there is.
      const { levels: within } = compile({ path: 'limited.model', text: text.replace(/^train \{/m, 'train {\n  memory 1B'), library: false }, 'schedule', { verify: true });
      if (within.program!.arenaBytes >= levels.program!.arenaBytes) throw new Error('nothing is computed again');
      compare(await trace(await gpuMachine(within.program!), within, 1), await trace(graphMachine(levels.simplified!), levels, 1), 5e-5, title);
    });
  }
}

/** Attention whose kernels run in blocks. */
async function blocks(): Promise<void> {
  for (const title of ['with dropout', 'a prime number of tokens', 'with a bias of its own']) {
    const text = attentions[title]!;
    await attempt(title, async () => {
      const levels = inBlocks(text);
      const truth = await trace(graphMachine(levels.simplified!), levels, 1);
      compare(await trace(await gpuMachine(levels.program!), levels, 1), truth, 5e-5, title);
    });
  }
}

/** Tokens that come one at a time. */
async function positions(): Promise<void> {
  for (const [title, text] of Object.entries(generators)) {
    await attempt(title, async () => {
      const levels = levelsOf(text);
      compareRows(await drawn(await gpuMachine(levels.program!, untiled), levels), whole(levels), 5e-5);
    });
  }
}

/** Products in tiles and long sums, and the same without workgroups, at extents that leave edges everywhere, against double precision. */
async function products(): Promise<void> {
  const next = generator(3);
  const draws = (...shapes: readonly (readonly number[])[]): readonly Tensor[] => shapes.map(shape => draw(tensor('f32', shape.map(extent => dim(extent))), [-1, 1], next));
  const [a, b, c, d, e] = [0, 1, 2, 3, 4].map(axisAt) as [Affine, Affine, Affine, Affine, Affine];
  const product = (x: readonly Affine[], y: readonly Affine[], space: Shape, reduce: Shape, ...shapes: readonly Shape[]): NestRun => (
    { nest: { space, reduce, combine: 'add', body: apply('mul', load(0, x), load(1, y)) }, operands: draws(...shapes) });
  const toHalf = (value: Scalar): Scalar => apply('to_f32', apply('to_f16', value));
  const rounded: Nest = { space: [37, 43], reduce: [29], combine: 'add', body: apply('mul', toHalf(load(0, [a, c])), toHalf(load(1, [c, b]))) };
  const sum = (...terms: readonly [axis: number, times: number][]): Affine => affine(terms.map(([axis, times]) => ({ axis, times })));
  const tiled: GpuOptions = { ...hardware, fewestProducts: 1 };
  const cases: readonly (readonly [title: string, run: NestRun, options: GpuOptions])[] = [
    ['a product', product([a, c], [c, b], [37, 43], [29], [37, 29], [29, 43]), tiled],
    ['with vectors', product([c, a], [c, b], [44, 36], [21], [21, 44], [21, 36]), tiled],
    ['of transposed matrices', product([c, a], [b, c], [37, 33], [19], [19, 37], [33, 19]), tiled],
    ['of a batch', product([a, b, d], [a, d, c], [3, 9, 34], [18], [3, 9, 18], [3, 18, 34]), tiled],
    ['of large tiles', product([a, c], [c, b], [125, 120], [11], [125, 11], [11, 120]), { ...tiled, enoughWorkgroups: 1 }],
    ['of tiles in between', product([a, c], [b, c], [61, 62], [18], [61, 18], [62, 18]), { ...tiled, enoughWorkgroups: 1 }],
    ['of long sums in parts', product([a, c], [c, b], [9, 10], [700], [9, 700], [700, 10]), tiled],
    ['a convolution', product([a, d, sum([2, 2], [4, 1])], [b, d, e], [3, 5, 7], [4, 3], [3, 4, 15], [5, 4, 3]), tiled],
    ['of rounded factors', { ...product([a, c], [c, b], [37, 43], [29], [37, 29], [29, 43]), nest: rounded }, tiled],
    ['a long sum', { nest: { space: [], reduce: [20011], combine: 'add', body: load(0, [a]) }, operands: draws([20011]) }, hardware],
    ['the largest of many', { nest: { space: [3], reduce: [9001], combine: 'max', body: load(0, [a, b]) }, operands: draws([3, 9001]) }, hardware],
    ['the first of the largest', { nest: { space: [3], reduce: [1300], combine: 'argmax', body: apply('floor', apply('mul', constant(9), load(0, [a, b]))) }, operands: draws([3, 1300]) }, hardware],
  ];
  for (const [title, run, options] of cases) {
    const expected = evaluateNest(run.nest, run.operands);
    const withoutSubgroups = options === hardware ? [[', without subgroups', options, withoutFeatures] as const] : [];
    for (const [way, own, planned] of [['', options] as const, ...withoutSubgroups, [', in software', defaultGpuOptions] as const]) {
      const [result] = await runNestsOnGpu([run], own, planned);
      tell(`${title}${way}`, difference(result!, expected, 1e-5));
    }
  }
}

/** More workgroups than one dimension of a dispatch has. */
async function large(): Promise<void> {
  const count = 65536 * 64;
  const data = Float64Array.from({ length: count }, (_, i) => i % 1000);
  const backwards: Nest = { space: [count], reduce: [], combine: null, body: load(0, [affine([{ axis: 0, times: -1 }], count - 1)]) };
  const shape = [count];
  const [result, after] = await runNestsOnGpu([{ nest: backwards, operands: [{ dtype: 'f32', shape, data }] }, { nest: backwards, operands: [{ dtype: 'f32', shape, data }] }]);
  for (const [title, { data: found }] of [['large', result!], ['after it', after!]] as const)
    tell(title, found.every((value, i) => value === data[count - 1 - i]) ? null : 'not what was there');
  await ends();
}

/** Vectors of four reach over the end of a buffer, and never over the end of what lies inside of one. */
async function ends(): Promise<void> {
  const copy = (count: number, from: number): NestRun => ({
    nest: { space: [count], reduce: [], combine: null, body: load(0, [axisAt(0)]) },
    operands: [{ dtype: 'f32', shape: [count], data: Float64Array.from({ length: count }, (_, i) => from + i) }],
  });
  const runs = [copy(37, 0), copy(5, 100)];
  const apart = programOfNests(runs);
  const [{ calls: [whole, part], ...entry }] = apart.entries as unknown as readonly [Program['entries'][number] & { readonly calls: readonly [Call, Call] }];
  const inside: Call = { ...part, offsets: [part.offsets[0]!, whole.offsets[1]! + 8], writes: whole.writes };
  const program: Program = { ...apart, entries: [{ ...entry, calls: [whole, inside] }] };
  const isWide = gpuPlan(laidOut(program, hardware.bindingBytes), hardware).shaders.map(({ code }) => code.includes('vec4<f32>'));
  tell('which copies are of vectors', String(isWide) === 'true,false' ? null : String(isWide));
  const machine = await gpuMachine(program, hardware);
  runs.forEach(({ operands }, i) => machine.write('input', String(program.entries[0]!.calls[i]!.reads[0]!), operands[0]!.data));
  const found = (await machine.run('run')).get(String(whole.writes[0]!))!.data;
  tell('a copy inside of another', found.every((value, i) => value === (i >= 8 && i < 13 ? 92 + i : i)) ? null : found.join());
}

/** Random and awkward models against the references. */
async function programs(): Promise<void> {
  const seed = Number(process.env['SEED'] ?? 1);
  const awkward = new URL('../models/levels/', import.meta.url);
  const texts = new Map([
    ...readdirSync(awkward).map(file => [file, readFileSync(new URL(file, awkward), 'utf8')] as const),
    ...fc.sample(programPlan, { seed: seed + 2, numRuns: Number(process.env['RUNS'] ?? 8) }).map((plan, i) => [`random ${i}`, programText(plan)] as const),
  ]);
  const segmented = { ...sharing, bindingBytes: 2048 };
  for (const [i, [title, text]] of [...texts].entries()) {
    await attempt(title, async () => {
      const levels = levelsOf(text);
      const truth = await trace(graphMachine(levels.simplified!), levels, seed);
      for (const options of title.endsWith('.model') ? [untiled, segmented] : [i % 2 === 0 ? untiled : segmented]) compare(await trace(await gpuMachine(levels.program!, options), levels, seed), truth, 5e-5, text);
    });
  }
}

/** Every nest of every sample and of its gradients to second order, from the values that the references give. */
function nestsOfOps(): readonly ExpectedRun[] {
  const runs = new Map<string, ExpectedRun>();
  const collect = (title: string, roots: readonly Value[], feeds: ReadonlyMap<Value, Tensor>, tolerance: number): void => {
    const values = evaluateGraph(roots, feeds);
    for (const value of topological(roots)) {
      if (value.op === null) continue;
      const { definition } = value.op;
      if (!isPrimitive(definition)) throw new Error(`composite ${definition.name} in a graph`);
      const nest = definition.lower(value.operands.map(operand => operand.type), value.attrs, value.type);
      const operands = value.operands.map(operand => values.get(operand)!);
      const key = JSON.stringify([nest, operands.map(({ dtype, shape }) => [dtype, shape])]);
      if (!runs.has(key)) runs.set(key, { title: `${title}: ${definition.name}`, nest, operands, expected: values.get(value)!, tolerance: definition.tolerance ?? tolerance });
    }
  };
  for (const [name, op] of opTable) {
    for (const sample of op.definition.samples as readonly AnySample[]) {
      const title = `${name}(${sample.operands.join(', ')}) ${JSON.stringify(sample.attrs)}`;
      const inputs = leaves(sample);
      const feeds = drawAll(inputs, sample, 1);
      const out = op.build(inputs, sample.attrs);
      collect(title, [out], feeds, 1e-5);
      if (!differentiable(op, inputs, out)) continue;
      const next = generator(2);
      const one = leaf('input', 'one', readType('f32[]'));
      feeds.set(one, { dtype: 'f32', shape: [], data: Float64Array.of(1) });
      const reals = inputs.filter(input => isFloat(input.type.dtype));
      let target = project(out, feeds, next);
      for (const order of [1, 2]) {
        const found = gradients(target, one, reals).filter(gradient => gradient !== null);
        if (found.length === 0) break;
        collect(`${title}, gradient of order ${order}`, found, feeds, 1e-4);
        target = found.map(gradient => project(gradient, feeds, next)).reduce((a, b) => add(a, b));
      }
    }
  }
  return [...runs.values()];
}

async function ops(): Promise<void> {
  const all = nestsOfOps();
  const sums = all.filter(({ nest }) => nest.combine !== null);
  for (const [way, options, some, planned] of [
    ['', untiled, all], [', shared by workgroups', sharing, sums, withoutFeatures], [', shared by subgroups', sharing, sums], [', in software', defaultGpuOptions, sums],
  ] as const) {
    const results = await runNestsOnGpu(some, options, planned);
    some.forEach(({ title, expected, tolerance }, i) => tell(`${title}${way}`, difference(results[i]!, expected, tolerance)));
  }
}

/** Whatever can be tiled or shared is. */
const everything: GpuOptions = { ...hardware, fewestProducts: 1, shortestRow: 1 };

/** Every shader of every model and of the op table through the validator, which needs no GPU: types, uniformity, limits. With what some adapters have, and without. */
async function shaders(): Promise<void> {
  const { create } = await import('webgpu');
  const gpu = create(['backend=null']);
  const features = ['subgroups', 'shader-f16'] as const;
  // Together: the process crashes where the implementation is collected before its device.
  const kept = { gpu, device: (await (await gpu.requestAdapter())!.requestDevice({ requiredFeatures: [...features] })) };
  const models = modelNames.map(name => [name, programOf(fileURLToPath(new URL(`${name}.model`, modelFolder)))] as const);
  const seen = new Set<string>();
  const programs = [
    ...models, ['half precision', levelsOf(halfPrecision).program!] as const, ['the op table', programOfNests(nestsOfOps())] as const,
  ];
  for (const [title, program] of programs)
    for (const options of [defaultGpuOptions, everything]) {
      const plan = gpuPlan(laidOut(program, options.bindingBytes), options);
      for (const shader of plan.shaders)
        for (const offered of [[], features]) {
          const code = shaderText(plan, shader, new Set(offered));
          // Models have kernels in common.
          if (seen.has(code)) continue;
          seen.add(code);
          kept.device.pushErrorScope('validation');
          kept.device.createComputePipeline({ layout: 'auto', compute: { module: kept.device.createShaderModule({ code }), entryPoint: 'main' } });
          const error = await kept.device.popErrorScope();
          tell(`${title}: ${shader.name}`, error === null ? null : `${error.message}\n${code}`);
        }
    }
}

const halfPrecision = `model Half {
  input x: f32[B, 40]
  loss = mean(square(x |> linear(72) |> relu() |> linear(40)))
}
train {
  batch 64
  steps 1
  optimizer sgd(lr: 0.1)
  precision f16
}
`;

function programOf(path: string): Program {
  const { levels, diagnostics } = compile({ path, text: readFileSync(path, 'utf8'), library: false }, 'schedule', { readImport: importReader(path) });
  if (levels.program === undefined) throw new Error(diagnostics.map(d => d.message).join('; '));
  return levels.program;
}

/** Training in f16: of each model its text, its shaders, and how far from the oracle ten steps may be, where a factor here and there is rounded to the other side. */
const inHalves: Readonly<Record<string, readonly [text: string, options: GpuOptions, tolerance: number]>> = {
  'a perceptron': [halfPrecision, defaultGpuOptions, 1e-3],
  'a convolution': [`model Small {
  input x: f32[B, 2, 8, 8]
  input y: f32[B, 4]
  loss = mse(x |> conv2d(6, 3, padding: 1) |> tanh() |> conv2d(8, 3) |> tanh() |> flatten() |> linear(4), y)
}
train {
  batch 6
  precision f16
  optimizer sgd(lr: 0.01)
}
`, everything, 5e-3],
  'attention': [`model Attention {
  input x: f32[B, 12, 16]
  h = x + multi_head_attention(2, causal: true)(layer_norm()(x))
  loss = mean((h |> linear(5) |> tanh()) ** 2)
}
train {
  batch 4
  precision f16
  optimizer sgd(lr: 0.1)
}
`, defaultGpuOptions, 3e-3],
};

/** Memory of halves, which is of f16 where the adapter has it, as that of this job either must have or must not (`f16` or nothing behind the job). */
async function halves(): Promise<void> {
  const wanted = process.argv[3] === 'f16';
  const next = generator(4);
  const drawn = (dtype: 'f16' | 'f32', ...shape: readonly number[]): Tensor => {
    const { data } = draw(tensor('f32', shape.map(extent => dim(extent))), [-1, 1], next);
    return { dtype, shape, data: data.map(Math.fround) };
  };
  const [a, b, c] = [0, 1, 2].map(axisAt) as [Affine, Affine, Affine];
  const float = (operand: number, ...at: readonly Affine[]): Scalar => apply('to_f32', load(operand, at));
  const half = (body: Scalar): Scalar => apply('to_f16', body);
  const product = (space: Shape, length: number, x: readonly Affine[], y: readonly Affine[], ...operands: readonly Tensor[]): NestRun =>
    ({ nest: { space, reduce: [length], combine: 'add', body: apply('mul', float(0, ...x), float(1, ...y)) }, operands });
  const each = (space: Shape, body: Scalar, ...operands: readonly Tensor[]): NestRun => ({ nest: { space, reduce: [], combine: null, body }, operands });
  const over = (combine: 'add' | 'max' | 'argmax', space: Shape, reduce: Shape, body: Scalar, ...operands: readonly Tensor[]): NestRun => ({ nest: { space, reduce, combine, body }, operands });
  const rows: Tensor = { dtype: 'i32', shape: [50], data: Float64Array.from({ length: 50 }, (_, i) => (i * i) % 7) };
  const row = { gathered: load(1, [a]) };
  const shifted = affine([{ axis: 0, times: 1 }], -3);
  const runs: Readonly<Record<string, NestRun>> = {
    'a product': product([37, 43], 29, [a, c], [c, b], drawn('f16', 37, 29), drawn('f16', 29, 43)),
    'a product of vectors': product([44, 36], 21, [c, a], [c, b], drawn('f16', 21, 44), drawn('f16', 21, 36)),
    'a product with floats': { ...product([20, 24], 33, [a, c], [c, b], drawn('f16', 20, 33), drawn('f32', 33, 24)), nest: { space: [20, 24], reduce: [33], combine: 'add', body: apply('mul', float(0, a, c), apply('to_f32', half(load(1, [c, b])))) } },
    'a product in parts': product([9, 10], 700, [a, c], [c, b], drawn('f16', 9, 700), drawn('f16', 700, 10)),
    'vectors': each([40], half(apply('add', apply('mul', constant(0.75), float(0, a)), float(1, a))), drawn('f16', 40), drawn('f16', 40)),
    'single elements': each([3, 7], half(apply('mul', constant(0.75), float(0, b, a))), drawn('f16', 7, 3)),
    'copies within a frame': each([26], guard([{ index: shifted, extent: 20 }], load(0, [shifted]), constant(0.25, 'f16')), drawn('f16', 20)),
    'copies within a frame of floats': each([26], guard([{ index: shifted, extent: 20 }], load(0, [shifted]), constant(0.25)), drawn('f16', 20)),
    'the larger': each([40], apply('select', apply('lt', load(0, [a]), load(1, [a])), load(1, [a]), load(0, [a])), drawn('f16', 40), drawn('f16', 40)),
    'sums of rows': over('add', [5], [300], float(0, a, b), drawn('f16', 5, 300)),
    'the largest of rows': over('max', [5], [300], load(0, [a, b]), drawn('f16', 5, 300)),
    'the first of the largest': over('argmax', [5], [300], load(0, [a, b]), drawn('f16', 5, 300)),
    'gathered rows': each([50, 12], load(0, [row, b]), drawn('f16', 7, 12), rows),
    'scattered rows': { nest: { space: [50, 12], reduce: [], combine: null, body: float(0, a, b), scatter: { shape: [7, 12], at: [row, b] } }, operands: [drawn('f16', 50, 12), rows] },
    // Sums are no halves before they are done.
    'sums of scattered halves': { nest: { space: [50, 12], reduce: [], combine: null, body: load(0, [a, b]), scatter: { shape: [7, 12], at: [row, b] } }, operands: [drawn('f16', 50, 12), rows] },
  };
  const program = programOfHalves(Object.values(runs));
  const given = Object.values(runs).flatMap(({ operands }) => [...operands.filter(({ dtype }) => dtype === 'f16'), ...operands.filter(({ dtype }) => dtype !== 'f16')]);
  for (const [way, options] of [['', everything], [', in software', defaultGpuOptions]] as const) {
    const machine = await gpuMachine(program, options);
    program.inputs.forEach(({ name }, i) => machine.write('input', name, given[i]!.data));
    const results = [...(await machine.run('run')).values()];
    Object.entries(runs).forEach(([title, { nest, operands }], i) => {
      const expected = evaluateNest(nest, operands.map(operand => ({ ...operand, data: operand.data.map(value => convert(value, operand.dtype)) })));
      tell(`${title}${way}`, difference(results[i]!, { ...expected, dtype: results[i]!.dtype }, 1e-5));
    });
  }
  await attempt('segments of half the bytes', async () => {
    const plan = gpuPlan(laidOut(levelsOf(halfPrecision).program!, defaultGpuOptions.bindingBytes), defaultGpuOptions);
    const { adapter } = await requestGpuAdapter();
    if (adapter.features.has('shader-f16') !== wanted) throw new Error(`the adapter has ${wanted ? 'no shader-f16: it needs Mesa 25, for example' : 'shader-f16'}`);
    const sizes = (await prepareGpu(plan, 1)).buffers.map(({ size }) => size);
    const ends = [...plan.segments.slice(1).map(({ start }) => start), plan.bytes];
    const expected = plan.segments.map(({ start, halves }, i) => (ends[i]! - start) / (halves && wanted ? 2 : 1));
    if (sizes.join() !== expected.join() || !plan.segments.some(({ halves }) => halves)) throw new Error(`segments of ${sizes.join(', ')} bytes`);
  });
  for (const [title, [text, options, tolerance]] of Object.entries(inHalves)) {
    await attempt(title, async () => {
      const levels = levelsOf(text);
      if (!laidOut(levels.program!, options.bindingBytes).segments.some(({ halves }) => halves)) throw new Error('nothing is of halves');
      const found = await trace(await gpuMachine(levels.program!, options), levels, 1, 10);
      compare(found, await trace(graphMachine(levels.simplified!), levels, 1, 10), tolerance, title);
      // Where halves are not f16 they hold the same numbers.
      if (wanted && options === defaultGpuOptions) compare(found, await trace(await gpuMachine(levels.program!, options, withoutFeatures), levels, 1, 10), 0, title);
    });
  }
}

const jobs: Readonly<Record<string, () => Promise<void>>> = { blocks, fixtures, halves, large, limited, ops, positions, products, programs, shaders };
await jobs[process.argv[2]!]!();
