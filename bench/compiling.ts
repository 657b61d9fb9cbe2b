/** Measures the compiler: commands as a user starts them, its passes alone, the size of the programs it writes. */
import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { build } from './nabla.ts';
import type { PassesReport } from './passes.ts';
import { lastLine, start } from './processes.ts';
import type { CompileResult, ProgramSize, Results } from './results.ts';
import { spread, spreadOfRuns, type Spread } from './statistics.ts';

/** What one process measured: its time, and the time for which its main thread computed. */
interface Sample {
  readonly time: Spread;
  readonly processor: number;
}

export interface CompileMeasurements {
  /** Takes one sample of everything. */
  readonly round: () => void;
  readonly results: () => Pick<Results, 'compiling' | 'passes'>;
}

const compiled = 'models/alexnet.model';

/** Commands run with Node's compile cache filled, so each runs once before it counts. */
export function compileMeasurements(folder: string, cores: number): CompileMeasurements {
  const reports: PassesReport[] = [];
  const command = (name: string, target: number, ...args: readonly string[]): { name: string; target: number; run: () => Sample; samples: Sample[] } => {
    const run = (): Sample => timedCommand(args, cores);
    run();
    return { name, target, run, samples: [] };
  };
  const passes = (): Sample => {
    const report = lastLine<PassesReport>(start(process.execPath, ['bench/passes.ts', compiled], cores).stdout);
    reports.push(report);
    return { time: report.time, processor: Object.values(report.warm).reduce((sum, ms) => sum + ms, 0) };
  };
  const all = [
    command(`nabla check ${compiled}`, 500, 'check', compiled),
    command(`nabla build ${compiled}`, 1500, 'build', compiled, '-o', join(folder, 'alexnet.ts')),
    { name: `${compiled}, the passes alone, warm`, target: 300, run: passes, samples: [] as Sample[] },
  ];
  const medians = (which: 'first' | 'warm'): Record<string, number> => Object.fromEntries(Object.keys(reports[0]!.first)
    .map(name => [name, spread(reports.map(report => report[which][name]!)).median]));
  return {
    round: () => all.forEach(({ run, samples }) => samples.push(run())),
    results: () => ({
      compiling: all.map(({ name, target, samples }): CompileResult =>
        ({ name, target, time: spreadOfRuns(samples.map(({ time }) => time)), processor: spread(samples.map(({ processor }) => processor)) })),
      passes: { first: medians('first'), warm: medians('warm') },
    }),
  };
}

/** The programs of all models in `models/`. */
export function programSizes(): readonly ProgramSize[] {
  return readdirSync('models').filter(name => name.endsWith('.model')).sort().map(name => {
    const { text } = build(`models/${name}`);
    return { model: basename(name, '.model'), bytes: Buffer.byteLength(text), gzip: gzipSync(text).length };
  });
}

/** What a process of the compiler takes from its start to its end. A hook in it tells the processor time of its main thread as it ends. */
function timedCommand(args: readonly string[], cores: number): Sample {
  const hook = `import { writeSync } from 'node:fs';
    process.on('exit', () => { const { user, system } = process.threadCpuUsage(); writeSync(2, '\\n' + (user + system) / 1000); });`;
  const command = ['--import', `data:text/javascript,${encodeURIComponent(hook)}`, 'compiler/cli/nabla.js', ...args];
  const { stderr, started } = start(process.execPath, command, cores);
  const ms = performance.timeOrigin + performance.now() - started;
  return { time: { median: ms, min: ms }, processor: lastLine(stderr) };
}
