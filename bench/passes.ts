/**
 * Times the compiler's own passes within one process: `node passes.ts MODEL`. Prints one line of JSON: ms of each pass in the first
 * compilation, and the medians of five more. Loading modules is not part of it.
 */
import { readFileSync } from 'node:fs';
import { parse } from '../compiler/1-parse/parse.ts';
import { emit } from '../compiler/6-emit/typescript/emit.ts';
import { libraryFiles } from '../compiler/index.ts';
import { passes, type Levels } from '../compiler/pipeline.ts';
import { spread } from './statistics.ts';

/** Milliseconds by the name of a pass. */
export type PassTimes = Readonly<Record<string, number>>;

export interface PassesReport {
  readonly first: PassTimes;
  readonly warm: PassTimes;
  /** Of all passes together, in each of the warm compilations. */
  readonly totals: readonly number[];
}

const path = process.argv[2]!;
const text = readFileSync(path, 'utf8');
const first = compileOnce();
const runs = Array.from({ length: 5 }, compileOnce);
const report: PassesReport = {
  first,
  warm: Object.fromEntries(Object.keys(first).map(name => [name, spread(runs.map(run => run[name]!)).median])),
  totals: runs.map(run => Object.values(run).reduce((sum, ms) => sum + ms, 0)),
};
process.stdout.write(`${JSON.stringify(report)}\n`);

function compileOnce(): PassTimes {
  const times: Record<string, number> = {};
  const timed = <T>(name: string, run: () => T): T => {
    const started = performance.now();
    const result = run();
    times[name] = performance.now() - started;
    return result;
  };
  const { file } = timed('parse', () => parse({ path, text, library: false }));
  const library = timed('parse the library', libraryFiles);
  let levels: Levels = { file };
  for (const pass of passes) {
    const result = timed(pass.name, () => pass.run(levels, { settings: new Map(), library, readImport: () => ({ reason: 'it imports nothing' }) }));
    if (result.diagnostics.length > 0) throw new Error(result.diagnostics[0]!.message);
    ({ levels } = result);
  }
  timed('emit', () => emit(levels, { javascript: false, debugNan: false }));
  return times;
}
