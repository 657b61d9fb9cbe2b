/** The command line of a compiled program: one command, flags with values, errors with the nearest flag. Works on any platform. */
import { DataError, suggestion } from './data-error.ts';

export interface Flag {
  readonly name: string;
  /** What stands for the value in the help; null for a flag without a value. */
  readonly value: string | null;
  readonly commands: readonly Command[];
  readonly help: string;
  /** It may be given several times. */
  readonly repeated?: true;
}

export type Command = 'train' | 'evaluate' | 'predict' | 'generate' | 'bench';

export const commands: Readonly<Record<Command, string>> = {
  train: 'train, then save the weights and the loss curve (without a command, too)',
  evaluate: 'the loss and the metrics on the test data',
  predict: 'the outputs for the rows of some files',
  generate: 'draw tokens, one after the other',
  bench: 'measure training steps on made-up inputs',
};

export const flags: readonly Flag[] = [
  { name: 'steps', value: 'N', commands: ['train', 'bench'], help: 'number of steps, instead of what the model says' },
  { name: 'seed', value: 'N', commands: ['train', 'predict', 'generate'], help: 'start of all random numbers' },
  { name: 'learning-rate-factor', value: 'X', commands: ['train'], help: 'what the learning rate is multiplied by, at every step; default: 1' },
  { name: 'data', value: 'DIR', commands: ['train', 'evaluate'], help: 'folder of the data files; default: the folder of the program' },
  { name: 'init', value: 'FILE', commands: ['train'], help: 'weights to start from (safetensors); parameters that the file lacks are new' },
  { name: 'save', value: 'FILE', commands: ['train'], help: 'where the weights go' },
  { name: 'log', value: 'FILE', commands: ['train'], help: 'write one line of JSON for each step' },
  { name: 'save-gradients', value: 'FILE', commands: ['train'], help: 'write the gradients of the last step (safetensors)' },
  { name: 'resume', value: null, commands: ['train'], help: 'go on from the last checkpoint' },
  { name: 'only', value: 'NAME', commands: ['train'], help: 'run one train block of several, by its name' },
  { name: 'model', value: 'NAME', commands: ['evaluate', 'predict', 'bench'], help: 'which model, or train block, of several; default: the last' },
  { name: 'weights', value: 'FILE', commands: ['evaluate', 'predict', 'generate'], help: 'weights to use; default: what training saved' },
  { name: 'input', value: 'NAME=FILE', commands: ['predict', 'generate'], help: 'rows for an input (npy); once for each input', repeated: true },
  { name: 'output', value: 'FILE', commands: ['predict', 'generate'], help: 'where the outputs go (npz); -o for short' },
  { name: 'prompt', value: 'TEXT', commands: ['generate'], help: 'what is given' },
  { name: 'length', value: 'N', commands: ['generate'], help: 'the most tokens to draw' },
  { name: 'temperature', value: 'X', commands: ['generate'], help: 'what scores are divided by; 0 takes the likeliest token' },
  { name: 'top-k', value: 'N', commands: ['generate'], help: 'how many of the likeliest tokens may be drawn' },
  { name: 'top-p', value: 'X', commands: ['generate'], help: 'the probability that the tokens together have that may be drawn' },
  { name: 'stop', value: 'TEXT', commands: ['generate'], help: 'a text that ends what is drawn', repeated: true },
  { name: 'threads', value: 'N', commands: ['train', 'evaluate', 'predict', 'generate', 'bench'], help: 'threads to compute on; default: one for each core' },
  { name: 'help', value: null, commands: ['train', 'evaluate', 'predict', 'generate', 'bench'], help: 'show this' },
];

export interface Arguments {
  readonly command: Command;
  readonly values: ReadonlyMap<string, readonly string[]>;
}

export function parseArguments(argv: readonly string[]): Arguments {
  const isCommand = (word: string | undefined): word is Command => word !== undefined && Object.hasOwn(commands, word);
  const command = isCommand(argv[0]) ? argv[0] : 'train';
  const values = new Map<string, string[]>();
  for (let i = isCommand(argv[0]) ? 1 : 0; i < argv.length; i++) {
    const word = argv[i]!;
    const short = word === '-h' ? '--help' : word === '-o' ? '--output' : word;
    if (!short.startsWith('--')) {
      throw new DataError(`unexpected argument \`${word}\`${suggestion(word, Object.keys(commands), 'the commands are')}`);
    }
    const equals = short.indexOf('=');
    const name = short.slice(2, equals < 0 ? undefined : equals);
    const flag = findFlag(name, command);
    const given = values.get(name) ?? [];
    if (given.length > 0 && flag.repeated !== true) throw new DataError(`\`--${name}\` is given twice: give it once`);
    const value = equals >= 0 ? short.slice(equals + 1) : flag.value === null ? '' : argv[++i];
    if (flag.value === null && equals >= 0) throw new DataError(`\`--${name}\` takes no value`);
    if (flag.value !== null && (value === undefined || value === '' || (equals < 0 && value.startsWith('--')))) {
      throw new DataError(`\`--${name}\` needs a value: \`--${name} ${flag.value}\``);
    }
    values.set(name, [...given, value!]);
  }
  return { command, values };
}

export function findFlag(name: string, command: Command): Flag {
  const flag = flags.find(other => other.name === name);
  if (flag === undefined) {
    const known = flags.filter(other => other.commands.includes(command)).map(other => `--${other.name}`);
    throw new DataError(`unknown flag \`--${name}\`${suggestion(`--${name}`, known, `\`${command}\` takes`)}`);
  }
  if (!flag.commands.includes(command)) {
    throw new DataError(`\`--${name}\` does not belong to \`${command}\`, but to ${flag.commands.map(other => `\`${other}\``).join(' and ')}`);
  }
  return flag;
}

/** A whole number from `low` to 2^31 - 1. */
export function wholeNumber(flags: Arguments, name: string, low: number): number | undefined {
  const text = flags.values.get(name)?.[0];
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < low || value > 2147483647) {
    throw new DataError(`\`--${name}\` is \`${text}\`, but must be a whole number from ${low} to 2147483647`);
  }
  return value;
}

/** A number from `low` to `high`. */
export function numberBetween(flags: Arguments, name: string, low: number, high: number): number | undefined {
  const text = flags.values.get(name)?.[0];
  if (text === undefined) return undefined;
  const value = Number(text);
  if (text.trim() === '' || !(value >= low && value <= high)) {
    throw new DataError(`\`--${name}\` is \`${text}\`, but must be a number from ${low} to ${high}`);
  }
  return value;
}

/** Whether a number is above 0 in single precision, too. */
export function isAbove0(value: number): boolean {
  const held = Math.fround(value);
  return held > 0 && held < Infinity;
}

export function numberAbove0(flags: Arguments, name: string): number | undefined {
  const text = flags.values.get(name)?.[0];
  if (text === undefined) return undefined;
  if (!isAbove0(Number(text))) throw new DataError(`\`--${name}\` is \`${text}\`, but must be a number above 0`);
  return Number(text);
}

export function helpText(program: string): string {
  const usage = (flag: Flag): string => `--${flag.name}${flag.value === null ? '' : ` ${flag.value}`}`;
  const lines = Object.entries(commands).map(([name, help]) => `  ${name.padEnd(10)} ${help}`);
  const options = flags.map(flag => {
    const all = flag.commands.length === Object.keys(commands).length;
    return `  ${usage(flag).padEnd(27)} ${all ? '' : `${flag.commands.join(', ')}: `}${flag.help}`;
  });
  return `node ${program} [command] [flags]\n\n${lines.join('\n')}\n\n${options.join('\n')}\n`;
}
