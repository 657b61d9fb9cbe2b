/**
 * What runs when a compiled program is started: reads the command line, does what it says, and ends every failure with one line
 * that starts with `error:` and the exit code 1. Uses node: modules.
 */
import { existsSync, realpathSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, dirname } from 'node:path';
import { deflateRawSync } from 'node:zlib';
import type { Arguments } from './arguments.ts';
import { helpText, parseArguments, wholeNumber } from './arguments.ts';
import { benchProgram } from './bench.ts';
import { DataError, messageOf, printable, suggestion } from './data-error.ts';
import { openDevice } from './device.ts';
import { evaluateProgram } from './evaluate.ts';
import { openBytes, wholeFileLimit, writeWhole } from './files.ts';
import { npyBytes, readNpy } from './npy.ts';
import { openData } from './open-data.ts';
import { predictSet } from './predict.ts';
import type { CompiledProgram } from './program.ts';
import { checkColumns, rowSetOf, rowShapeOf } from './row-set.ts';
import { tensorColumn } from './stored-tensor.ts';
import { elementCount, showShape } from './tensor.ts';
import { showNumber } from './progress-line.ts';
import { showResults, terminalReporter } from './terminal-reporter.ts';
import type { RunOptions } from './train.ts';
import { trainProgram } from './train.ts';
import { setScalars } from './training.ts';
import { loadWeights } from './weights-file.ts';
import { zipPieces } from './zip.ts';

/** Runs the command in `argv` (what follows the program's name) and sets the exit code. */
export async function main(program: CompiledProgram, argv: readonly string[]): Promise<void> {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    // A reader that goes away, such as `head`, ends the program quietly.
    if (error.code !== 'EPIPE') process.stderr.write(`error: the standard output cannot be written: ${messageOf(error)}\n`);
    process.exit(1);
  });
  try {
    const given = parseArguments(argv);
    const threads = wholeNumber(given, 'threads', 1) ?? Math.min(availableParallelism(), program.threads?.most ?? 1);
    if (given.values.has('help')) {
      process.stdout.write(helpText(programFile()));
      return;
    }
    await program.threads?.start(threads);
    if (given.command === 'train') process.exitCode = await runTrain(program, given);
    else if (given.command === 'evaluate') await runEvaluate(program, given);
    else if (given.command === 'predict') await runPredict(program, given);
    else process.stdout.write(`${JSON.stringify(await benchProgram(program, { steps: wholeNumber(given, 'steps', 1) ?? 100 }))}\n`);
  } catch (error) {
    process.stderr.write(`${process.stderr.isTTY ? '\r\x1b[2K' : ''}error: ${printable(messageOf(error))}\n`);
    process.exitCode = 1;
  } finally {
    program.threads?.stop();
  }
}

/** Whether the process was started with this file, by whatever path. A program is imported, too, where what was started may be no file. */
export function isStarted(file: string): boolean {
  const [, started] = process.argv;
  return started !== undefined && existsSync(started) && realpathSync(started) === file;
}

export const programFile = (): string => basename(process.argv[1] ?? 'program');

/** Files of data lie beside the program unless `--data` says otherwise. */
export const dataFolder = (given: Arguments): string => given.values.get('data')?.[0] ?? dirname(process.argv[1] ?? '.');

export async function runTrain(program: CompiledProgram, given: Arguments): Promise<number> {
  const reporter = terminalReporter(process.stdout);
  let interrupted = false;
  const onInterrupt = (): void => {
    if (interrupted) process.exit(130);
    interrupted = true;
    reporter.note('stopping after this step; again to stop at once');
  };
  process.on('SIGINT', onInterrupt);
  if (program.threads !== null && program.threads.alone !== null) reporter.note(program.threads.alone);
  try {
    const report = await trainProgram(program, { ...trainOptions(given), reporter, interrupted: () => interrupted });
    if (report.outcome === 'interrupted') {
      reporter.note(`stopped after step ${report.step}, checkpoint saved; the same command with \`--resume\` goes on from there`);
      return 130;
    }
    const test = report.test === null ? '' : `  ${showResults('test ', report.test)}`;
    reporter.note(`${report.outcome} after step ${report.step}: loss ${showNumber(report.loss)}${test}`);
    reporter.note(`saved ${report.files.join(' and ')}`);
    return 0;
  } finally {
    process.off('SIGINT', onInterrupt);
  }
}

export function trainOptions(given: Arguments): RunOptions {
  const text = (name: string): string | undefined => given.values.get(name)?.[0];
  const options = {
    steps: wholeNumber(given, 'steps', 1),
    seed: wholeNumber(given, 'seed', 0),
    init: text('init'),
    save: text('save'),
    log: text('log'),
    saveGradients: text('save-gradients'),
  };
  if (given.values.has('resume') && options.init !== undefined) {
    throw new DataError('`--resume` goes on from a checkpoint and `--init` starts from weights: give one of them');
  }
  const present = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  return { ...present, data: dataFolder(given), resume: given.values.has('resume') };
}

/** Parameters and states as training left them. */
export async function restoreWeights(program: CompiledProgram, given: Arguments): Promise<void> {
  await openDevice(program);
  setScalars(program, program.settings.seed, 0, 0);
  program.initialise();
  loadWeights(program, given.values.get('weights')?.[0] ?? `${program.name}.safetensors`);
}

export async function runEvaluate(program: CompiledProgram, given: Arguments): Promise<void> {
  const data = await openData(program, dataFolder(given));
  const needsRows = program.evaluate !== null && program.evaluate.inputs.length > 0;
  if (needsRows && data.test === null) {
    throw new DataError('there is no test data: add a `test` source, `split` or `hold_out` to the `data` block');
  }
  await restoreWeights(program, given);
  process.stdout.write(`${showResults('', await evaluateProgram(program, needsRows ? data.test : null))}\n`);
}

export async function runPredict(program: CompiledProgram, given: Arguments): Promise<void> {
  const names = program.inputs.map(input => input.name);
  const columns = (given.values.get('input') ?? []).map(text => {
    const [name, file] = [text.slice(0, text.indexOf('=')), text.slice(text.indexOf('=') + 1)];
    const input = program.inputs.find(other => other.name === name);
    if (input === undefined) {
      throw new DataError(`\`--input ${text}\` names no input of the model${suggestion(name, names, 'give `--input NAME=FILE` for')}`);
    }
    if (given.values.get('input')!.some(other => other !== text && other.startsWith(`${name}=`))) {
      throw new DataError(`\`--input\` is given twice for \`${name}\`: give it once`);
    }
    const type = { input: name, dtype: input.dtype, shape: rowShapeOf(input, program.batched), below: input.below };
    return tensorColumn(readNpy(openBytes(file, file, wholeFileLimit)), type, !program.batched);
  });
  const missing = (program.predict?.inputs ?? []).filter(name => !columns.some(column => column.input === name));
  if (missing.length > 0) {
    throw new DataError(`no rows for ${missing.map(name => `\`${name}\``).join(', ')}: give \`--input ${missing[0]}=FILE.npy\``);
  }
  checkColumns(columns, program.inputs, program.batched);
  await restoreWeights(program, given);
  const outputs = await predictSet(program, columns.length === 0 ? null : rowSetOf(columns));
  const path = given.values.get('output')?.[0] ?? `${program.name}.npz`;
  const files = program.predict!.results.map(({ name, dtype, shape }) => {
    const values = outputs[name]!;
    const rowShape = rowShapeOf({ shape }, program.batched);
    const whole = program.batched ? [values.length / elementCount(rowShape), ...rowShape] : shape;
    process.stdout.write(`${name} ${dtype}${showShape(whole)}\n`);
    return { name: `${name}.npy`, contents: npyBytes(values, dtype, whole) };
  });
  writeWhole(path, zipPieces(files, contents => deflateRawSync(contents)));
  process.stdout.write(`saved ${path}\n`);
}
