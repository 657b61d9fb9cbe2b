/**
 * Runs on a GPU what a test asks for, in a process of its own: GPUs do not stand threads, and find their drivers only by what the
 * environment says at the start. Prints a line of JSON for each thing that was run: its title, and what is wrong with it or null.
 */
import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { gradients } from '../../compiler/3-differentiate/gradients.ts';
import { evaluateGraph } from '../../compiler/ir/evaluate.ts';
import { leaf, topological, type Value } from '../../compiler/ir/graph.ts';
import { isFloat } from '../../compiler/ir/type.ts';
import { isPrimitive, type Tensor } from '../../compiler/ops/define.ts';
import { add } from '../../compiler/ops/elementwise.ts';
import { opTable } from '../../compiler/ops/index.ts';
import { defaultGpuOptions, type GpuOptions } from '../../compiler/6-emit/wgsl/module.ts';
import { attentions, inBlocks } from './attention.ts';
import { compareFixture } from './compare-fixture.ts';
import { fixtureNames, large, readFixture } from './fixture.ts';
import { gpuMachine, runNestsOnGpu, type NestRun } from './gpu.ts';
import { graphMachine } from './machine.ts';
import { differentiable, drawAll, leaves, project, type AnySample } from './op-samples.ts';
import { programPlan, programText } from './random-program.ts';
import { compare, levelsOf, trace } from './trace.ts';
import { difference, generator, readType } from './tensors.ts';

/** Whatever a workgroup can share it shares, however small. */
const sharing: GpuOptions = { fewestProducts: 1, shortestRow: 1 };

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

/** Ten training steps of every model against PyTorch's; large ones without what a workgroup shares, which is slow in software. */
async function fixtures(): Promise<void> {
  for (const name of fixtureNames) {
    const fixture = readFixture(name);
    const options = large.includes(name) ? { fewestProducts: Infinity, shortestRow: Infinity } : defaultGpuOptions;
    await attempt(name, async () => compareFixture(await gpuMachine(fixture.levels.program!, options), fixture, 10, 2e-5));
  }
}

/** Attention whose kernels run in blocks. */
async function blocks(): Promise<void> {
  for (const [title, text] of Object.entries(attentions)) {
    await attempt(title, async () => {
      const levels = inBlocks(text);
      const truth = await trace(graphMachine(levels.simplified!), levels, 1);
      compare(await trace(await gpuMachine(levels.program!), levels, 1), truth, 5e-5, title);
    });
  }
}

/** Random and awkward models against the references. */
async function programs(): Promise<void> {
  const seed = Number(process.env['SEED'] ?? 1);
  const awkward = new URL('../models/levels/', import.meta.url);
  const texts = new Map([
    ...readdirSync(awkward).map(file => [file, readFileSync(new URL(file, awkward), 'utf8')] as const),
    ...fc.sample(programPlan, { seed: seed + 2, numRuns: Number(process.env['RUNS'] ?? 12) }).map((plan, i) => [`random ${i}`, programText(plan)] as const),
  ]);
  for (const [title, text] of texts) {
    await attempt(title, async () => {
      const levels = levelsOf(text);
      const truth = await trace(graphMachine(levels.simplified!), levels, seed);
      for (const options of [defaultGpuOptions, sharing]) compare(await trace(await gpuMachine(levels.program!, options), levels, seed), truth, 5e-5, text);
    });
  }
}

/** Every nest of every sample and of its gradients to second order, from the values that the references give. */
async function ops(): Promise<void> {
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
  const all = [...runs.values()];
  for (const [way, options] of [['', defaultGpuOptions], [', shared by workgroups', sharing]] as const) {
    const results = await runNestsOnGpu(all, options);
    all.forEach(({ title, expected, tolerance }, i) => tell(`${title}${way}`, difference(results[i]!, expected, tolerance)));
  }
}

const jobs: Readonly<Record<string, () => Promise<void>>> = { blocks, fixtures, ops, programs };
await jobs[process.argv[2]!]!();
