/** `nabla build`: the standalone program of a model as a file, the module that applications import, or the page that trains it. */
import { basename, resolve } from 'node:path';
import { declarationsOf, withoutTypes } from '../6-emit/ts-morph.ts';
import { compileFile } from './compile-file.ts';
import { Failure } from './failure.ts';
import { programText, type EmitFlags } from './run-program.ts';
import { writeOutput } from './write-output.ts';

export interface BuildFlags extends EmitFlags {
  readonly output?: string;
  readonly js?: boolean;
  readonly module?: boolean;
  readonly page?: boolean;
}

export async function runBuild(path: string, flags: BuildFlags): Promise<number> {
  const { js = false, module = false, page = false, data } = flags;
  if (page && (js || module)) throw new Failure(`\`--page\` writes a page, which \`--${js ? 'js' : 'module'}\` is not for: leave one of them out`, 2);
  const output = flags.output ?? `${basename(path).replace(/\.model$/, '')}.${page ? 'html' : js ? 'mjs' : 'ts'}`;
  if (resolve(output) === resolve(path)) throw new Failure(`\`${path}\` would be overwritten by its program: name another file with \`-o\``, 2);
  const levels = compileFile(path, 'schedule', flags);
  if (page) {
    const { pageText } = await import('./page.ts');
    const { readDataFiles } = await import('./page-files.ts');
    return write(output, await pageText(levels, flags, data === undefined ? new Map() : await readDataFiles(levels.model, data), null));
  }
  if (!module) return write(output, await programText(levels, flags, { form: 'program', javascript: js }));
  const text = await programText(levels, flags, { form: 'module', javascript: false });
  if (!js) return write(output, text);
  // `name.d.mts` tells the types of `name.mjs`.
  if (output !== '-') write(output.replace(/(\.[cm]?)js$|$/, (_, dot: string | undefined) => `.d${dot ?? '.'}ts`), declarationsOf(text));
  return write(output, withoutTypes(text));
}

function write(output: string, text: string): number {
  writeOutput(output, text);
  if (output !== '-') process.stdout.write(`saved ${output}\n`);
  return 0;
}
