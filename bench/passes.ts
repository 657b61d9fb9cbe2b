/**
 * Times the compiler's own passes within one process: `node passes.ts MODEL`. Prints one line of JSON: processor time of each
 * pass in the first compilation and in five more, and the time that those five took. Loading modules is not part of it, but for that of
 * TypeScript where a file of the runtime is met for the first time.
 */
import { readFileSync } from 'node:fs';
import { enableCompileCache } from 'node:module';
import { dirname } from 'node:path';
import { parse } from '../compiler/1-parse/parse.ts';
import type { Host } from '../compiler/2-elaborate/elaborate.ts';
import { emit } from '../compiler/6-emit/emit.ts';
import { dataFilesOf } from '../compiler/cli/data-files.ts';
import { importReader } from '../compiler/cli/read-source.ts';
import { libraryFiles } from '../compiler/index.ts';
import { passes, type Levels } from '../compiler/pipeline.ts';
import { mainThreadTime, spread, type Spread } from './statistics.ts';

/** Milliseconds that the main thread computed, by the name of a pass. */
export type PassTimes = Readonly<Record<string, number>>;

export interface PassesReport {
  readonly first: PassTimes;
  /** Medians of the later compilations. */
  readonly warm: PassTimes;
  /** Of all passes together, by the clock. */
  readonly time: Spread;
}

interface Compilation {
  readonly passes: PassTimes;
  readonly time: number;
}

// As the command does.
enableCompileCache();
const path = process.argv[2]!;
const text = readFileSync(path, 'utf8');
const importOf = importReader(path);
const dataFiles = dataFilesOf(dirname(path));
const first = compileOnce().passes;
const later = Array.from({ length: 5 }, compileOnce);
const report: PassesReport = {
  first,
  warm: Object.fromEntries(Object.keys(first).map(name => [name, spread(later.map(({ passes }) => passes[name]!)).median])),
  time: spread(later.map(({ time }) => time)),
};
process.stdout.write(`${JSON.stringify(report)}\n`);

function compileOnce(): Compilation {
  const times: Record<string, number> = {};
  const started = performance.now();
  const timed = <T>(name: string, run: () => T): T => {
    const before = mainThreadTime();
    const result = run();
    times[name] = mainThreadTime() - before;
    return result;
  };
  const { file } = timed('parse', () => parse({ path, text, library: false }));
  const library = timed('parse the library', () => libraryFiles(null));
  const readImport: Host['readImport'] = (wanted, from) => {
    const found = importOf(wanted, from);
    return 'reason' in found ? found : { file: parse(found).file };
  };
  const host: Host = { settings: new Map(), library, readImport, dataFiles };
  let levels: Levels = { file };
  for (const pass of passes) {
    const result = timed(pass.name, () => pass.run(levels, host));
    if (result.diagnostics.length > 0) throw new Error(result.diagnostics[0]!.message);
    ({ levels } = result);
  }
  timed('emit', () => emit(levels, { target: 'wasm', form: 'program', deterministic: false, javascript: false, debugNan: false }));
  return { passes: times, time: performance.now() - started };
}
