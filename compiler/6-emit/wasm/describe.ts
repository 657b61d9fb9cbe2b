/** What the functions of an assembled program are, for its listing: the model's lines above each kernel, names of parameters. */
import { printKernel } from '../../ir/kernel-text.ts';
import type { Program } from '../../ir/program.ts';
import { modelLines, originsOfKernels } from '../model-lines.ts';
import type { Module } from './code.ts';
import type { Description } from './text.ts';

/** By the name of the function. */
export function describeFunctions(program: Program, module: Module): ReadonlyMap<string, Description> {
  const origins = originsOfKernels(program);
  const kernels = program.kernels.flatMap((kernel, i): [string, Description][] => {
    const name = `${kernel.name}.${i}`;
    const func = module.functions.find(each => each.name === name);
    if (func === undefined) return [];
    const accesses = [...kernel.operands, ...kernel.outputs].map(access => access.name);
    // Products have memory of their own.
    const scratch = func.parameters.length > accesses.length + 2 ? ['scratch'] : [];
    const lines = modelLines(origins.get(i) ?? []);
    return [[name, { comments: [...lines, ...printKernel(kernel).split('\n')], parameters: [...accesses, ...scratch, 'thread', 'threads'] }]];
  });
  const entries = program.entries.map(({ name }): [string, Description] => [`entry.${name}`, { comments: [], parameters: ['thread', 'threads'] }]);
  return new Map([...kernels, ...entries, ...Object.entries(helpers).map(([name, parameters]): [string, Description] => [name, { comments: [], parameters }])]);
}

const micro = ['left', 'right', 'tile', 'count', 'fresh'];

/** Parameters of what every module has. */
const helpers: Readonly<Record<string, readonly string[]>> = {
  micro,
  'micro.wide': micro,
  'micro.narrow': micro,
  barrier: ['thread', 'threads'],
  dispatch: ['entry', 'thread', 'threads'],
  run: ['entry'],
  work: ['thread'],
};
