/**
 * `node predict-calls.ts PROGRAM predict|predictRow CALLS THREADS`: has a program, as `writeImported` writes it, predict one batch or row
 * again and again with nothing between two calls. Prints the milliseconds of a call as JSON.
 */
import { pathToFileURL } from 'node:url';
import { fillInputs } from '../runtime/bench.ts';
import type { CompiledProgram } from '../runtime/program.ts';
import { initialiseProgram } from '../runtime/stages.ts';
import { spread } from './statistics.ts';

const [path, entry, calls, threads] = process.argv.slice(2);
const { program } = await import(pathToFileURL(path!).href) as { readonly program: CompiledProgram };
const stage = program.stages[0]!;
const { run } = stage[entry as 'predict' | 'predictRow']!;
initialiseProgram(program, stage.settings.seed);
fillInputs(program, stage.settings.seed);
await program.threads!.start(Number(threads));
const times = new Float64Array(Number(calls));
for (let i = 0; i < times.length; i++) {
  const started = performance.now();
  run();
  times[i] = performance.now() - started;
}
program.threads!.stop();
// The first calls wake the threads and have the engine compile.
process.stdout.write(`${JSON.stringify({ ms: spread([...times.subarray(2)]) })}\n`);
