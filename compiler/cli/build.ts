/** `nabla build`: the standalone program of a model, as a file. */
import { basename, resolve } from 'node:path';
import { compileFile } from './compile-file.ts';
import { programText, type EmitFlags } from './run-program.ts';
import { Failure } from './failure.ts';
import { writeOutput } from './write-output.ts';

export interface BuildFlags extends EmitFlags {
  readonly output?: string;
  readonly js?: boolean;
}

export async function runBuild(path: string, flags: BuildFlags): Promise<number> {
  const output = flags.output ?? `${basename(path).replace(/\.model$/, '')}.${flags.js ? 'mjs' : 'ts'}`;
  if (resolve(output) === resolve(path)) throw new Failure(`\`${path}\` would be overwritten by its program: name another file with \`-o\``, 2);
  const levels = compileFile(path, 'schedule', flags);
  writeOutput(output, await programText(levels, flags, flags.js ?? false));
  if (output !== '-') process.stdout.write(`saved ${output}\n`);
  return 0;
}
