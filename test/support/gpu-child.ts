/**
 * Runs on a GPU what a test asks for, in a process of its own: GPUs do not stand threads, and find their drivers only by what the
 * environment says at the start. Prints a line of JSON for each thing that was run: its title, and what is wrong with it or null.
 */
import { gradients } from '../../compiler/ops/gradients.ts';
import { evaluateGraph } from '../../compiler/ir/evaluate.ts';
import { leaf, topological, type Value } from '../../compiler/ir/graph.ts';
import { isFloat } from '../../compiler/ir/type.ts';
import { isPrimitive, type Tensor } from '../../compiler/ops/define.ts';
import { add } from '../../compiler/ops/elementwise.ts';
import { opTable } from '../../compiler/ops/index.ts';
import { runNestsOnGpu, type NestRun } from './gpu.ts';
import { differentiable, drawAll, leaves, project, type AnySample } from './op-samples.ts';
import { difference, generator, readType } from './tensors.ts';

const jobs: Readonly<Record<string, () => Promise<void>>> = { ops };
await jobs[process.argv[2]!]!();

function tell(title: string, problem: string | null): void {
  process.stdout.write(`${JSON.stringify({ title, problem })}\n`);
}

interface ExpectedRun extends NestRun {
  readonly title: string;
  readonly expected: Tensor;
  readonly tolerance: number;
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
  const results = await runNestsOnGpu(all);
  all.forEach(({ title, expected, tolerance }, i) => tell(title, difference(results[i]!, expected, tolerance)));
}
