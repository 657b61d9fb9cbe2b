/**
 * What runs when a compiled program is started: reads the command line, does what it says, and ends every failure with one line
 * that starts with `error:` and the exit code 1. Uses node: modules.
 */
import { existsSync, realpathSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, dirname } from 'node:path';
import { deflateRawSync } from 'node:zlib';
import type { Arguments } from './arguments.ts';
import { helpText, numberAbove0, numberBetween, parseArguments, wholeNumber } from './arguments.ts';
import { benchProgram } from './bench.ts';
import { DataError, messageOf, printable, suggestion } from './data-error.ts';
import { openDevice } from './device.ts';
import { evaluateStage } from './evaluate.ts';
import { openBytes, wholeFileLimit, writeWhole } from './files.ts';
import type { GenerateOptions } from './generate.ts';
import { writeImages } from './image-files.ts';
import { npyBytes, readNpy } from './npy.ts';
import { openData } from './open-data.ts';
import { predictSet, predictWithoutRows } from './predict.ts';
import type { CompiledProgram, ResultPlace, Stage } from './program.ts';
import { checkColumns, rowSetOf, rowShapeOf } from './row-set.ts';
import { generatingStage, initialiseProgram, setScalars, stageNamed } from './stages.ts';
import type { Column } from './stored-tensor.ts';
import { tensorColumn } from './stored-tensor.ts';
import type { TensorArray } from './tensor.ts';
import { elementCount, newTensorArray, showShape } from './tensor.ts';
import { showResults, terminalReporter } from './terminal-reporter.ts';
import type { RunOptions } from './train.ts';
import { trainProgram } from './train.ts';
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
    else if (given.command === 'generate') await runGenerate(program, given);
    else process.stdout.write(`${JSON.stringify(await benchProgram(program, chosenStage(program, given), { steps: wholeNumber(given, 'steps', 1) ?? 100 }))}\n`);
  } catch (error) {
    process.stderr.write(`${process.stderr.isTTY ? '\r\x1b[2K' : ''}error: ${printable(messageOf(error))}\n`);
    process.exitCode = 1;
  } finally {
    program.threads?.stop();
  }
}

/** `a`, `a and b`, `a, b and c`. */
export const listed = (names: readonly string[]): string => [names.slice(0, -1).join(', '), ...names.slice(-1)].filter(part => part !== '').join(' and ');

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
    reporter.note(`saved ${listed(report.files)}`);
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
    learningRateFactor: numberAbove0(given, 'learning-rate-factor'),
    init: text('init'),
    save: text('save'),
    log: text('log'),
    saveGradients: text('save-gradients'),
    only: text('only'),
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
  initialiseProgram(program, undefined);
  loadWeights(program, given.values.get('weights')?.[0] ?? `${program.name}.safetensors`);
}

/** Which model is evaluated, predicts or is measured. */
export const chosenStage = (program: CompiledProgram, given: Arguments): Stage => stageNamed(program, given.values.get('model')?.[0]);

export async function runEvaluate(program: CompiledProgram, given: Arguments): Promise<void> {
  const stage = chosenStage(program, given);
  const data = await openData(program, dataFolder(given));
  const needsRows = stage.evaluate !== null && stage.evaluate.inputs.length > 0;
  if (needsRows && data.test === null) {
    throw new DataError('there is no test data: add a `test` source, `split` or `hold_out` to the `data` block');
  }
  await restoreWeights(program, given);
  process.stdout.write(`${showResults('', await evaluateStage(program, stage, needsRows ? data.test : null))}\n`);
}

/** Writes what is drawn as it comes. */
export async function runGenerate(program: CompiledProgram, given: Arguments): Promise<void> {
  const { stage, generator } = generatingStage(program);
  const text = (name: string): string | undefined => given.values.get(name)?.[0];
  const rows = Object.fromEntries(givenColumns(program, stage, given).map(column => {
    const { dtype, shape } = program.inputs.find(input => input.name === column.input)!;
    const row = newTensorArray(dtype, elementCount(rowShapeOf({ shape }, program.batched)));
    column.read(0, row, 0);
    return [column.input, row] as const;
  }));
  await restoreWeights(program, given);
  const options = {
    prompt: text('prompt'), length: wholeNumber(given, 'length', 1), temperature: numberBetween(given, 'temperature', 0, 1000),
    topK: wholeNumber(given, 'top-k', 1), topP: numberBetween(given, 'top-p', 0, 1), stop: given.values.get('stop'), seed: wholeNumber(given, 'seed', 0),
  };
  const wanted: GenerateOptions = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  // What is drawn goes on where the prompt ends, so that stands before it.
  let before = generator.prompt === generator.sequence.name ? wanted.prompt ?? generator.settings.prompt ?? '' : '';
  const write = (piece: string): void => {
    process.stdout.write(before + piece);
    before = '';
  };
  const { outputs } = await generator.draw(program, stage, generator, {
    ...wanted, rows,
    // The numbers of tokens that are no text say nothing beside what is made of them.
    ...(generator.vocabulary === null && generator.drawn !== null ? {} : { write }),
  });
  if (generator.vocabulary !== null || generator.drawn === null) process.stdout.write('\n');
  if (generator.drawn !== null) writeOutputs(program, stage, generator.drawn.results, outputs, text('output') ?? `${program.name}.npz`);
}

export async function runPredict(program: CompiledProgram, given: Arguments): Promise<void> {
  const stage = chosenStage(program, given);
  const { predict, predictOnce } = stage;
  const columns = givenColumns(program, stage, given);
  const missing = (predict?.inputs ?? []).filter(name => !columns.some(column => column.input === name));
  // Without any rows only those outputs are meant that need none.
  const withRows = predict !== null && (columns.length > 0 || predictOnce === null);
  if (withRows && missing.length > 0) {
    throw new DataError(`no rows for ${missing.map(name => `\`${name}\``).join(', ')}: give \`--input ${missing[0]}=FILE.npy\``);
  }
  if (predict === null && predictOnce === null) throw new DataError(`the model \`${stage.model}\` has no output: add \`output name = …\` to it`);
  checkColumns(columns, program.inputs, program.batched);
  await restoreWeights(program, given);
  const seed = wholeNumber(given, 'seed', 0) ?? stage.settings.seed;
  setScalars(program, seed, 0, 0);
  const outputs = {
    ...(withRows ? await predictSet(program, stage, columns.length === 0 ? null : rowSetOf(columns)) : {}),
    ...(predictOnce === null ? {} : await predictWithoutRows(program, stage, seed)),
  };
  const results = [...(withRows ? predict.results : []), ...(predictOnce?.results ?? [])];
  writeOutputs(program, stage, results, outputs, given.values.get('output')?.[0] ?? `${program.name}.npz`);
}

/** The rows that `--input` names. */
export function givenColumns(program: CompiledProgram, { inputs: names }: Stage, given: Arguments): Column[] {
  return (given.values.get('input') ?? []).map(text => {
    const [name, file] = [text.slice(0, text.indexOf('=')), text.slice(text.indexOf('=') + 1)];
    const input = program.inputs.find(other => other.name === name && names.includes(name));
    if (input === undefined) {
      throw new DataError(`\`--input ${text}\` names no input of the model${suggestion(name, names, 'give `--input NAME=FILE` for')}`);
    }
    if (given.values.get('input')!.some(other => other !== text && other.startsWith(`${name}=`))) {
      throw new DataError(`\`--input\` is given twice for \`${name}\`: give it once`);
    }
    const type = { input: name, dtype: input.dtype, shape: rowShapeOf(input, program.batched), below: input.below };
    return tensorColumn(readNpy(openBytes(file, file, wholeFileLimit)), type, !program.batched);
  });
}

/** Writes the results of entries, for any number of rows, and those that are images as pictures beside. */
export function writeOutputs(
  program: CompiledProgram, stage: Stage, results: readonly ResultPlace[], outputs: Readonly<Record<string, TensorArray>>, path: string,
): void {
  const files = results.map(({ name, dtype, shape }) => {
    const values = outputs[name]!;
    const whole = shape.length === 0 ? shape : [values.length / elementCount(shape.slice(1)), ...shape.slice(1)];
    process.stdout.write(`${name} ${dtype}${showShape(whole)}\n`);
    return { name: `${name}.npy`, contents: npyBytes(values, dtype, whole) };
  });
  writeWhole(path, zipPieces(files, contents => deflateRawSync(contents)));
  process.stdout.write(`saved ${listed([path, ...writeImages(program, stage, results, outputs, dirname(path))])}\n`);
}
