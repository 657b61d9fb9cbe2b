/**
 * The command line: which commands there are, what they take, and how they end. Each command is a file of its own that is loaded
 * when it is asked for, so that checking a file does not wait for the emitter. Nothing ends in a stack trace.
 */
import { readFileSync } from 'node:fs';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { Failure } from './failure.ts';

/** Does what `argv` says and gives the exit code: 0, 1 for wrong files, 2 for a wrong command line, 70 for an error of nabla's. */
export async function main(argv: readonly string[]): Promise<number> {
  let exitCode = 0;
  const commands = declareCommands(code => {
    exitCode = code;
  });
  try {
    await commands.parseAsync(argv, { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    if (error instanceof Failure) {
      process.stderr.write(`error: ${error.message}\n`);
      return error.exitCode;
    }
    process.stderr.write(internalError(error));
    return 70;
  }
}

/** What `finish` is given is the exit code of the command that ran. */
function declareCommands(finish: (code: number) => void): Command {
  const program = new Command('nabla')
    .description('Compiles a .model file into one standalone program that trains.')
    .version(version(), '--version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [command]', 'print the help of a command')
    .configureOutput({ outputError: (text, write) => write(inOurWords(text)) })
    .exitOverride();
  const declare = (usage: string, summary: string): Command => program.command(usage).description(summary);

  compiling(declare('check <file>', 'tell every error of a model'))
    .option('--json', 'print the errors as JSON')
    .action(async (file, flags) => finish((await import('./check.ts')).runCheck(file, flags)));
  debugging(emitting(declare('build <file>', 'write the program of a model')))
    .option('-o, --output <file>', 'where it goes; default: the model\'s name in the current folder; - for the standard output')
    .option('--js', 'write JavaScript instead of TypeScript')
    .option('--module', 'write what an application imports, in Node or a browser; with --js its types go beside it')
    .option('--page', 'write a page that trains the model in a browser; it carries the data files where --data is given')
    .action(async (file, flags) => finish(await (await import('./build.ts')).runBuild(file, flags)));
  emitting(declare('serve <file>', 'serve a page on this machine that trains the model in a browser, and follow the file'))
    .option('--port <n>', 'where it listens on 127.0.0.1', wholeNumber(0), '4747')
    .action(async (file, flags) => finish(await (await import('./serve.ts')).runServe(file, flags)));
  debugging(emitting(declare('train <file>', 'train a model; weights and loss curve go to the current folder')))
    .option('--steps <n>', 'number of steps, instead of what the model says', wholeNumber(1))
    .option('--seed <n>', 'start of all random numbers', wholeNumber(0))
    .option('--learning-rate-factor <x>', 'what the learning rate is multiplied by, at every step; default: 1')
    .option('--init <file>', 'weights to start from (safetensors); parameters that the file lacks are new')
    .option('--save <file>', 'where the weights go')
    .option('--log <file>', 'write one line of JSON for each step')
    .option('--save-gradients <file>', 'write the gradients of the last step (safetensors)')
    .option('--resume', 'go on from the last checkpoint')
    .option('--only <name>', 'run one train block of several, by its name')
    .addOption(threads())
    .action(async (file, flags) => finish(await (await import('./train.ts')).runTrain(file, flags)));
  emitting(declare('evaluate <file>', 'compute the loss and the metrics on the test data'))
    .addOption(oneModel())
    .option('--weights <file>', 'weights to use; default: what training saved')
    .addOption(threads())
    .action(async (file, flags) => finish(await (await import('./evaluate.ts')).runEvaluate(file, flags)));
  emitting(declare('predict <file>', 'compute the outputs for rows of your own'))
    .addOption(oneModel())
    .option('--weights <file>', 'weights to use; default: what training saved')
    .option('--input <name=file>', 'rows for an input (npy); once for each input', repeated)
    .option('-o, --output <file>', 'where the outputs go (npz); pictures go to its folder')
    .option('--seed <n>', 'of random numbers that outputs are made of', wholeNumber(0))
    .addOption(threads())
    .action(async (file, flags) => finish(await (await import('./predict.ts')).runPredict(file, flags)));
  emitting(declare('generate <file>', 'draw tokens from a trained model, one after the other'))
    .option('--weights <file>', 'weights to use; default: what training saved')
    .option('--prompt <text>', 'what is given, instead of the prompt of the model')
    .option('--input <name=file>', 'a row for another input (npy); once for each input', repeated)
    .option('--length <n>', 'the most tokens to draw', wholeNumber(1))
    .option('--temperature <x>', 'what scores are divided by; 0 takes the likeliest token')
    .option('--top-k <n>', 'how many of the likeliest tokens may be drawn', wholeNumber(1))
    .option('--top-p <x>', 'the probability that the tokens together have that may be drawn')
    .option('--stop <text>', 'a text that ends what is drawn; may be given several times', repeated)
    .option('--seed <n>', 'start of all random numbers', wholeNumber(0))
    .option('-o, --output <file>', 'where what is computed from the tokens goes (npz)')
    .addOption(threads())
    .action(async (file, flags) => finish(await (await import('./generate.ts')).runGenerate(file, flags)));
  emitting(declare('bench <file>', 'measure training steps on made-up inputs, as one line of JSON'))
    .addOption(oneModel())
    .option('--steps <n>', 'number of steps', wholeNumber(1))
    .addOption(threads())
    .action(async (file, flags) => finish(await (await import('./bench.ts')).runBench(file, flags)));
  compiling(declare('profile <file>', 'measure where the time of a training step goes, by kernel, on made-up inputs'))
    .addOption(oneModel())
    .option('--steps <n>', 'number of steps', wholeNumber(1), '30')
    .addOption(threads())
    .addOption(new Option('--target <target>', 'what the kernels are').choices(['wasm', 'webgpu']).default('wasm'))
    .addOption(new Option('--format <format>', 'a table, data, or a picture of the kernels').choices(['text', 'json', 'dot', 'svg']).default('text'))
    .option('-o, --output <file>', 'where it goes; default: the standard output, of svg FILE-profile.svg; - for the standard output')
    .action(async (file, flags) => finish(await (await import('./profile.ts')).runProfile(file, flags)));
  compiling(declare('graph <file>', 'draw a stage of the compilation'))
    .addOption(oneModel())
    .addOption(new Option('--stage <stage>', 'what is drawn')
      .choices(['source', 'forward', 'gradient', 'simplified', 'kernels', 'memory']).default('forward'))
    .option('--depth <n>', 'how many levels of layers are drawn open', wholeNumber(0))
    .addOption(new Option('--format <format>', 'of the picture').choices(['dot', 'svg', 'png']).default('dot'))
    .option('-o, --output <file>', 'where it goes; default: dot to the standard output, else FILE-STAGE.FORMAT; - for the standard output')
    .action(async (file, flags) => finish(await (await import('./graph.ts')).runGraph(file, flags)));
  compiling(declare('dump <file>', 'print a stage of the compilation as text'))
    .addOption(new Option('--stage <stage>', 'what is printed')
      .choices(['ast', 'model', 'gradient', 'simplified', 'kernels', 'program', 'wasm', 'wgsl']).makeOptionMandatory())
    .action(async (file, flags) => finish((await import('./dump.ts')).runDump(file, flags)));
  compiling(declare('cost <file>', 'print what a step costs, by layer: parameters, FLOPs, bytes'))
    .addOption(oneModel())
    .option('--json', 'print it as JSON')
    .action(async (file, flags) => finish((await import('./cost.ts')).runCost(file, flags)));
  compiling(declare('gradcheck <file>', 'compare every gradient with finite differences'))
    .addOption(oneModel())
    .option('--batch <n>', 'rows of the batch', wholeNumber(1), '2')
    .option('--seed <n>', 'start of the random inputs', wholeNumber(0), '1')
    .action(async (file, flags) => finish((await import('./gradcheck.ts')).runGradcheck(file, flags)));
  declare('tokenize <file>', 'make a byte-pair tokenizer from a text')
    .addOption(new Option('--vocabulary <n>', 'number of tokens, of which 257 are the bytes and the end of a text')
      .argParser(wholeNumber(1)).makeOptionMandatory())
    .option('-o, --out <file>', 'where it goes; - for the standard output', 'bpe.json')
    .action(async (file, flags) => finish((await import('./tokenize.ts')).runTokenize(file, flags)));
  declare('fmt <files...>', 'put models into the canonical layout')
    .option('--check', 'change nothing; fail if a file would change')
    .action(async (files, flags) => finish((await import('./format.ts')).runFormat(files, flags)));
  declare('ops [name]', 'list the operators, or describe one')
    .action(async name => finish((await import('./ops.ts')).runOps(name)));
  declare('explain <code>', 'tell the rule behind the code of an error')
    .action(async code => finish((await import('./explain.ts')).runExplain(code)));
  declare('init <folder>', 'make a project to start from: a model with its data')
    .action(async folder => finish((await import('./init.ts')).runInit(folder)));
  return program;
}

/** The flags of every command that compiles. */
const compiling = (command: Command): Command => command
  .option('--set <name=value>', 'give a hyperparameter or constant another value, `Model.name=value` in one of several models; may be repeated', addSetting)
  .option('--data <folder>', 'folder of the data files; default: the folder of the model')
  .option('--verify', 'check the compiler\'s own work after every pass');

/** The flags of every command that makes a program. */
const emitting = (command: Command): Command => compiling(command)
  .addOption(new Option('--target <target>', 'what the kernels are; auto: webgpu where there is a GPU, else wasm').choices(['wasm', 'typescript', 'webgpu', 'auto']).default('wasm'))
  .option('--deterministic', 'the same bits on every machine: no fused multiply-add');

const debugging = (command: Command): Command =>
  command.option('--debug-nan', 'stop at the first value that is not finite and tell its line in the model');

const threads = (): Option => new Option('--threads <n>', 'threads to compute on; default: one for each core').argParser(wholeNumber(1));

const oneModel = (): Option => new Option('--model <name>', 'which model, or train block, where the file has several; default: the last');

const repeated = (text: string, before: readonly string[] = []): readonly string[] => [...before, text];

function addSetting(text: string, before: ReadonlyMap<string, string> = new Map()): ReadonlyMap<string, string> {
  const equals = text.indexOf('=');
  if (equals < 1) throw new InvalidArgumentError('Write it as `--set name=value`.');
  const name = text.slice(0, equals).trim();
  if (before.has(name)) throw new InvalidArgumentError(`It gives \`${name}\` a second time.`);
  return new Map([...before, [name, text.slice(equals + 1)]]);
}

/** The argument as it is written, once it is known to be a whole number from `low` to 2^31 - 1. */
const wholeNumber = (low: number) => (text: string): string => {
  if (!/^\d+$/.test(text) || Number(text) < low || Number(text) > 2147483647) {
    throw new InvalidArgumentError(`It must be a whole number from ${low} to 2147483647.`);
  }
  return text;
};

/** Commander's messages, with names in backquotes and on one line. */
const inOurWords = (text: string): string => text
  .replace(/\n\(Did you mean (one of )?(.*?)\?\)/, (_, several: string | undefined, names: string) =>
    `, did you mean ${several ?? ''}${names.split(', ').map(name => `\`${name}\``).join(', ')}?`)
  .replace(/^error: option '(.*?)' argument '(.*?)' is invalid\. (.*)/, 'error: `$2` is not a value for `$1`: $3')
  .replaceAll(/'([^'\n]*)'/g, '`$1`')
  .replace(/\.?\n*$/, '\n');

/** Tells of a mistake in the compiler; its stack only to those who look for it. */
function internalError(error: unknown): string {
  const { message, stack } = error instanceof Error ? error : new Error(String(error));
  const pass = /\/compiler\/\d-(\w+)\//.exec(stack ?? '')?.[1];
  const where = pass === undefined ? '' : ` in the pass \`${pass}\``;
  const trace = process.env['NABLA_DEBUG'] === undefined ? 'Set NABLA_DEBUG=1 to see where.' : (stack ?? '');
  return `internal error${where}: ${message}\nThis is a mistake in nabla, not in your model: please report it, with the model. ${trace}\n`;
}

function version(): string {
  const { version: text } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { readonly version: string };
  return text;
}
