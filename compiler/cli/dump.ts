/** `nabla dump`: a stage of the compilation as text. Every stage says which pass it waits for and how it is printed. */
import { describeFunctions } from '../6-emit/wasm/describe.ts';
import { assemble } from '../6-emit/wasm/module.ts';
import { printModule } from '../6-emit/wasm/text.ts';
import { defaultGpuOptions } from '../6-emit/wgsl/module.ts';
import { gpuPlan } from '../6-emit/wgsl/plan.ts';
import { laidOut } from '../6-emit/wgsl/segments.ts';
import type { Levels } from '../index.ts';
import type { Entry, Graph, Value } from '../ir/graph.ts';
import { printKernel } from '../ir/kernel-text.ts';
import { entryName, type Forward, type Model, type Stage as ModelStage, type State } from '../ir/model.ts';
import type { Program } from '../ir/program.ts';
import { printGraph } from '../ir/text.ts';
import { place } from '../source/text.ts';
import { compileFile, type CompileFlags } from './compile-file.ts';
import { printTable } from './table.ts';

export type Stage = 'ast' | 'model' | 'gradient' | 'simplified' | 'kernels' | 'program' | 'wasm' | 'wgsl';

export function runDump(path: string, flags: CompileFlags & { readonly stage: Stage }): number {
  const { last, print } = stages[flags.stage];
  process.stdout.write(print(compileFile(path, last, flags)));
  return 0;
}

/** How each stage is printed, and after which pass. */
export const stages = {
  ast: { last: 'elaborate', print: levels => `${JSON.stringify(levels.file, withoutSpans, 2)}\n` },
  model: { last: 'elaborate', print: levels => printGraph(modelGraph(levels.model!)) },
  gradient: { last: 'differentiate', print: levels => printGraph(levels.gradient!) },
  simplified: { last: 'simplify', print: levels => printGraph(levels.simplified!) },
  kernels: { last: 'schedule', print: levels => `${levels.program!.kernels.map(printKernel).join('\n')}\n` },
  program: { last: 'schedule', print: levels => printProgram(levels.program!) },
  wgsl: { last: 'schedule', print: levels => printShaders(levels.program!) },
  wasm: { last: 'schedule', print: levels => printAssembled(levels.program!) },
} satisfies Record<Stage, { readonly last: string; readonly print: (levels: Levels) => string }>;

const withoutSpans = (key: string, value: unknown): unknown => (/span$/i.test(key) ? undefined : value);

/** The bodies of the models, as entries of a graph: for training, for evaluation, and the first values of what they own. */
function modelGraph(model: Model): Graph {
  const owned = ({ parameters, states }: ModelStage): readonly State[] => [...parameters, ...states];
  const firsts = model.stages.filter(stage => model.stages.find(other => other.model === stage.model) === stage);
  const forward = (name: string, { loss, metrics, outputs, updates }: Forward): Entry => ({
    name, updates, results: [...(loss === null ? [] : [{ name: 'loss', value: loss }]), ...metrics, ...outputs],
  });
  const placement = (role: 'parameter' | 'state', leaf: Value): Graph['placements'][number] =>
    ({ role, name: leaf.leaf!.name, type: leaf.type, leaf, offset: 0 });
  return {
    entries: model.stages.flatMap(stage => [
      ...(firsts.includes(stage) ? [{ name: entryName(model, stage, 'initialise'), results: [], updates: owned(stage).map(({ leaf, initial }) => ({ leaf, value: initial })) }] : []),
      forward(entryName(model, stage, 'training'), stage.training), forward(entryName(model, stage, 'evaluation'), stage.evaluation),
    ]),
    placements: [
      ...firsts.flatMap(stage => stage.parameters).map(one => placement('parameter', one.leaf)),
      ...firsts.flatMap(stage => stage.states).map(one => placement('state', one.leaf)),
    ],
  };
}

/** Buffers with their places in the arena, then the calls of each entry with the lines of the model that they come from. */
function printProgram(program: Program): string {
  const buffers = program.buffers.map(buffer => [
    buffer.name, `${buffer.dtype}[${buffer.shape.join(', ')}]`, buffer.role, String(buffer.offset), String(buffer.bytes),
    buffer.lifetime === null ? 'always' : `${buffer.lifetime[0]} to ${buffer.lifetime[1]}`,
  ]);
  const name = (index: number): string => program.buffers[index]!.name;
  const entries = program.entries.map(entry => {
    const loops = entry.calls.some(call => call.loops.length > 0);
    const calls = entry.calls.map((call, i) => [
      String(i), program.kernels[call.kernel]!.name,
      ...(loops ? [call.loops.map(({ given, axes }) => `${given === null ? '' : 'one of '}${axes.join(' x ')}`).join(' x ')] : []), call.reads.map(name).join(', '), call.writes.map(name).join(', '),
      [...new Set(call.origins.flatMap(origin => (origin.span === null ? [] : [place(origin.span)])))].join(', '),
    ]);
    const results = entry.results.map(result => `  ${result.name}: ${result.dtype}[${result.shape.join(', ')}] at ${result.offset}\n`);
    return `entry ${entry.name}\n${printTable(['call', 'kernel', ...(loops ? ['in a loop'] : []), 'reads', 'writes', 'from'], calls)}${results.join('')}`;
  });
  const arena = `arena of ${program.arenaBytes} bytes\n${printTable(['buffer', 'type', 'role', 'offset', 'bytes', 'lives'], buffers)}`;
  return [arena, ...entries].join('\n');
}

/** The module of the WebAssembly target. */
function printAssembled(program: Program): string {
  const { module } = assemble(program, { deterministic: false, inspected: false, wide: false });
  return printModule(module, describeFunctions(program, module));
}

/** The shaders of the WebGPU target, each under its name and the line that it serves; before them what an adapter with a feature has in the place of a function. */
function printShaders(program: Program): string {
  const { shaders, declarations } = gpuPlan(laidOut(program, defaultGpuOptions.bindingBytes), defaultGpuOptions);
  const featured = declarations.map(({ feature, own }) => `// where an adapter has ${feature}\n${own}\n`);
  const printed = shaders.map(({ name, line, workgroups, adapters, code, declarations: mentioned }) => [
    `// ${name}, ${workgroups === 1 ? '1 workgroup' : `${workgroups} workgroups`}${adapters === 'all' ? '' : `, on adapters in ${adapters}`}`, `// ${line}`,
    ...mentioned.map(number => declarations[number]!.text), code,
  ].join('\n'));
  return [...featured, ...printed].join('\n');
}
