/** What a program carries of a target whose kernels are no functions of the program itself: a module or shaders, and what opens them. */
import { moduleText } from './wasm/encode.ts';
import type { Assembly } from './wasm/module.ts';
import type { GpuPlan } from './wgsl/plan.ts';

export interface MachineText {
  /** Statements that open the machine, as `machine`. */
  readonly opening: readonly string[];
  /** What the machine runs, for the heading of a list of it. */
  readonly functions: string;
  /** Expressions for the program's fields of these names. */
  readonly threads: string;
  readonly device: string;
  /** A declaration of what the machine is given. */
  readonly title: string;
  readonly carried: string;
}

export function assemblyText(assembly: Assembly): MachineText {
  const { module, sharedFlagsAt } = moduleText(assembly.module);
  return {
    opening: [
      'const machine = openMachine({',
      '  module: wasm(),',
      `  sharedFlagsAt: [${sharedFlagsAt.join(', ')}],`,
      `  arena: ${assembly.arena ? `{ bytes: ${assembly.arena.bytes}, threadBytes: ${assembly.arena.threadBytes} }` : 'null'},`,
      `  shared: [${assembly.shared.join(', ')}],`,
      ...(['threadsAt', 'failedAt', 'patienceAt', 'microAt', 'scratchAt', 'scratchBytes', 'spareBytes'] as const).map(name => `  ${name}: ${assembly[name]},`),
      '});',
    ],
    functions: 'Functions of the module',
    threads: 'machine.threads',
    device: 'null',
    title: 'The WebAssembly module',
    carried: `function wasm(): string {\n  return '${module}';\n}`,
  };
}

export function shadersText(plan: GpuPlan): MachineText {
  const data = (value: unknown): string => JSON.stringify(value).replaceAll('\u2028', '\\u2028').replaceAll('\u2029', '\\u2029');
  const fields = (['bytes', 'segments', 'scratchBytes', 'largest', 'position', 'software', 'declarations'] as const).map(name => `    ${name}: ${data(plan[name])},`);
  const shaders = plan.shaders.map(({ code, ...shader }) => `      { ...${data(shader)}, code: \`\n${code}\` },`);
  type Parts = GpuPlan['entries'][number]['parts'];
  const partLines = ({ axes, first, dispatches }: Parts[number], indent: string): string[] => [
    `${indent}{ axes: ${data(axes)}, first: ${first}, dispatches: [`,
    ...dispatches.flatMap(each => ('axes' in each ? partLines(each, `${indent}  `) : [`${indent}  ${data(each)},`])),
    `${indent}] },`,
  ];
  const entries = plan.entries.map(({ parts, uploads, results }) => [
    '      {',
    '        parts: [',
    ...parts.flatMap(part => partLines(part, '          ')),
    '        ],',
    `        uploads: ${data(uploads)},`,
    `        results: ${data(results)},`,
    '      },',
  ].join('\n'));
  return {
    opening: ['const machine = openGpu(gpuPlan());'],
    functions: 'Shaders',
    threads: 'null',
    device: 'machine.device',
    title: 'Shaders, and what each entry dispatches',
    carried: [
      'function gpuPlan(): GpuPlan {', '  return {', ...fields, '    shaders: [', ...shaders, '    ],', '    entries: [', ...entries, '    ],', '  };', '}',
    ].join('\n'),
  };
}
