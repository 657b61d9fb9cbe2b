/** Compiles the file that a command names, and draws what is wrong with it. What comes back is a model without errors. */
import { dirname } from 'node:path';
import v8 from 'node:v8';
import { compile, type CompileOptions, type Levels } from '../index.ts';
import { stageNamed, type Model, type Stage } from '../ir/model.ts';
import type { Diagnostic } from '../source/diagnostic.ts';
import { renderDiagnostic } from '../source/render.ts';
import { positions, type SourceFile } from '../source/text.ts';
import { dataFilesOf } from './data-files.ts';
import { Failure } from './failure.ts';
import { importReader, readSource } from './read-source.ts';

/** Of commands that look at one model. */
export interface ModelFlag {
  readonly model?: string;
}

/** Flags of every command that compiles. */
export interface CompileFlags {
  readonly set?: ReadonlyMap<string, string>;
  readonly verify?: boolean;
  /** The folder of the data files. */
  readonly data?: string;
}

/** Data files lie beside the model unless `--data` says otherwise. */
export const besideModel = (path: string, data: string | undefined): string => data ?? dirname(path);

/** The levels of a file as far as the pass `last`. Throws a `Failure` after drawing the errors of a wrong file. */
export function compileFile(path: string, last: string, flags: CompileFlags): Levels & { readonly model: Model } {
  return compileSource(readSource(path), last, compileOptions(path, flags));
}

/**
 * Does what is over within seconds in four fifths of the time. New objects get no more than the few megabytes that they have by now:
 * to write to memory for the first time takes longer than to collect what is garbage by then. V8's slowest and best optimising compiler,
 * which would come too late, leaves the processors to the others and to collecting garbage.
 */
export function briefly<T>(work: () => T): T {
  v8.setFlagsFromString('--semi-space-growth-factor=1');
  v8.setFlagsFromString('--no-turbofan');
  try {
    return work();
  } finally {
    v8.setFlagsFromString('--turbofan');
    v8.setFlagsFromString('--semi-space-growth-factor=2');
  }
}

/** The same for a text that has been read. */
export function compileSource(source: SourceFile, last: string, options: CompileOptions): Levels & { readonly model: Model } {
  const { levels, diagnostics } = briefly(() => compile(source, last, options));
  if (diagnostics.length > 0) throw drawn(diagnostics, source.path);
  const { model } = levels;
  if (model === undefined) throw new Failure(`\`${source.path}\` holds no model: write \`model Name { … }\` in it`);
  return { ...levels, model };
}

/** The stage that `--model` names; the last one without. */
export function chosenStage(model: Model, name: string | undefined): Stage {
  const stage = stageNamed(model, name);
  if (stage !== null) return stage;
  const names = [...new Set(model.stages.flatMap(each => [each.name, each.model]))];
  throw new Failure(`there is no model \`${name}\`: there ${names.length === 1 ? 'is' : 'are'} ${names.map(one => `\`${one}\``).join(', ')}`, 2);
}

export const compileOptions = (path: string, flags: CompileFlags): CompileOptions =>
  ({
    settings: flags.set ?? new Map(), readImport: importReader(path), dataFiles: dataFilesOf(besideModel(path, flags.data)),
    verify: flags.verify ?? false,
  });

/** Draws diagnostics on the error stream, and gives the failure to end with. */
export function drawn(diagnostics: readonly Diagnostic[], path: string): Failure {
  const color = process.stderr.isTTY && process.stderr.hasColors();
  const locate = positions();
  process.stderr.write(diagnostics.map(diagnostic => `${renderDiagnostic(diagnostic, { color, locate })}\n\n`).join(''));
  return new Failure(`\`${path}\` has ${diagnostics.length === 1 ? 'an error' : `${diagnostics.length} errors`}`);
}
