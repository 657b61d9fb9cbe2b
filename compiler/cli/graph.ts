/** `nabla graph`: a picture of a stage of the compilation. */
import { basename } from 'node:path';
import { render, view, type Stage } from '../view/view.ts';
import { chosenStage, compileFile, type CompileFlags, type ModelFlag } from './compile-file.ts';
import { writeOutput } from './write-output.ts';

export interface GraphFlags extends CompileFlags, ModelFlag {
  readonly stage: Stage;
  readonly depth?: string;
  readonly format: 'dot' | 'svg' | 'png';
  readonly output?: string;
}

export async function runGraph(path: string, flags: GraphFlags): Promise<number> {
  const { stage, format } = flags;
  const levels = compileFile(path, 'schedule', flags);
  const dot = view(levels, stage, { stage: chosenStage(levels.model, flags.model), ...(flags.depth === undefined ? {} : { depth: Number(flags.depth) }) });
  const output = flags.output ?? (format === 'dot' ? '-' : `${basename(path).replace(/\.model$/, '')}-${stage}.${format}`);
  writeOutput(output, format === 'dot' ? dot : await render(dot, format));
  if (output !== '-') process.stdout.write(`saved ${output}\n`);
  return 0;
}
