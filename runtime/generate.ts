/**
 * Draws tokens one after the other from the scores that a model gives for the next one, as its `generate` block says. What earlier
 * tokens have left in the program's memory stays there, so that a token costs one position. Works on any platform.
 */
import { DataError } from './data-error.ts';
import { fetchPlaces, openDevice } from './device.ts';
import type { CompiledProgram, DataField, Entry, GenerateSettings, Generator, Stage } from './program.ts';
import { generateStream, random } from './random.ts';
import { tokenReader } from './table.ts';
import type { TensorArray } from './tensor.ts';
import { elementCount, newTensorArray, viewOf } from './tensor.ts';
import type { Tokenizer } from './tokenizer.ts';
import { encodeText } from './tokenizer.ts';

/** What the `generate` block says, unless given. */
export interface GenerateOptions extends Partial<GenerateSettings> {
  /** Start of all random numbers; the training block's unless given. */
  readonly seed?: number;
  /** One row for each other input that the scores depend on, but for the one that the prompt gives. */
  readonly rows?: Readonly<Record<string, TensorArray>>;
  /** Gets the text as it comes; where tokens are no text, their numbers. */
  readonly write?: (piece: string) => void;
  /** True when no more is wanted. */
  readonly interrupted?: () => boolean;
  /** Called between two tokens now and then: what has to wait for its turn gets it until the promise resolves. */
  readonly letOthersRun?: () => Promise<void>;
}

export interface Generated {
  /** Those that were drawn, after the prompt. */
  readonly tokens: Int32Array;
  /** Null where tokens are no text. Without the text that stopped it. */
  readonly text: string | null;
  /** What the model computes from the tokens, where it does. */
  readonly outputs: Readonly<Record<string, TensorArray>>;
}

/** Draws from the program's present weights. */
export async function generateTokens(program: CompiledProgram, { settings: { seed: usual } }: Stage, generator: Generator, options: GenerateOptions): Promise<Generated> {
  const settings: GenerateSettings = { ...generator.settings, ...options };
  const room = elementCount(generator.sequence.shape);
  const tokenizer = generator.vocabulary === null ? null : program.tokenizers[generator.vocabulary]!;
  const began = givePrompt(program, generator, settings.prompt, options.rows ?? {}, tokenizer);
  const walk = newWalk(program, generator);
  const seed = options.seed ?? usual;
  await openDevice(program);
  await requireLookingBack(walk, generator);

  const tokens = [...began];
  const drawn: number[] = [];
  const text = newTextWriter(tokenizer, settings.stop, options.write ?? (() => undefined));
  const width = Math.min(walk.width, tokenizer?.size ?? walk.width);
  const most = settings.length ?? room - began.length;
  let from = 0;
  let pause = performance.now();
  walk.begin(tokens);
  while (drawn.length < most && !text.hasStopped()) {
    const known = tokens.length - from;
    if (known > room || (known === room && generator.lag > 0)) break;
    const token = pick(await walk.scores(known - 1), width, settings, random(seed, generateStream, 0, drawn.length));
    if (token === tokenizer?.end) break;
    tokens.push(token);
    drawn.push(token);
    text.put(token);
    if (options.interrupted?.() === true) break;
    if (performance.now() - pause > 50 && options.letOthersRun !== undefined) {
      await options.letOthersRun();
      pause = performance.now();
    }
    if (known < room) walk.take(known, token);
    else {
      // Positions have run out: the later half of the text is where it goes on from.
      from = tokens.length - Math.ceil(room / 2);
      walk.begin(tokens.slice(from));
    }
  }
  return { tokens: Int32Array.from(drawn), text: text.end(), outputs: await outputsOf(program, generator.drawn) };
}

/** Writes what is given into the inputs, and gives the tokens that the sequence begins with. */
export function givePrompt(
  program: CompiledProgram, generator: Generator, prompt: string | null, rows: GenerateOptions['rows'] & {}, tokenizer: Tokenizer | null,
): number[] {
  const { sequence, given } = generator;
  const room = elementCount(sequence.shape);
  for (const name of Object.keys(rows)) {
    if (!given.includes(name)) throw new DataError(`\`${name}\` is no input that is given: ${given.length === 0 ? 'there is none' : given.map(other => `\`${other}\``).join(', ')}`);
  }
  if (prompt !== null && generator.prompt === null) throw new DataError('no input of the model is read from a text, so that there is no prompt');
  for (const name of given) {
    const input = program.inputs.find(other => other.name === name)!;
    const place = { ...input, shape: input.shape.slice(1) };
    const target = viewOf(program.memory, place);
    const row = rows[name];
    if (row !== undefined && row.length !== target.length) throw new DataError(`\`${name}\` has ${row.length} values, but a row has ${target.length}`);
    if (row !== undefined) target.set(row);
    else if (name === generator.prompt && prompt !== null) target.set(promptRow(program, name, prompt));
    else throw new DataError(`nothing is given for \`${name}\`${name === generator.prompt ? ': give a prompt' : ''}`);
  }
  const begin = tokenizer === null || tokenizer.end === null ? [] : Array.from({ length: generator.begins }, () => tokenizer.end!);
  const own = prompt !== null && generator.prompt === sequence.name ? encodeText(tokenizer!, prompt, 'the prompt') : [];
  const tokens = [...begin, ...own];
  if (tokens.length > room) throw new DataError(`the prompt has ${own.length} tokens, but there is room for ${room - begin.length}: shorten it`);
  if (tokens.length > 0 || generator.lag > 0) return tokens;
  if (tokenizer !== null && tokenizer.end !== null) return [tokenizer.end];
  throw new DataError(tokenizer === null ? 'the model draws the next of some tokens, and there is none to begin with' : 'give a prompt: the model draws what follows a text');
}

/** The row of an input for a text, as the data block reads it. */
export function promptRow(program: CompiledProgram, input: string, prompt: string): TensorArray {
  const field: DataField = program.data!.sources.flatMap(source => source.fields).find(other => other.input === input)!;
  const row = newTensorArray(field.dtype, elementCount(field.shape));
  const cells = { text: () => prompt, where: () => 'the prompt' };
  tokenReader(field, cells, program)(0, row, 0);
  return row;
}

/** A program along its sequence. */
export interface Walk {
  /** Scores for one token. */
  readonly width: number;
  /** From the start, with these tokens. */
  readonly begin: (tokens: readonly number[]) => void;
  /** Token `k` is the next one. */
  readonly take: (k: number, token: number) => void;
  /** Of the token after `k`, the newest. */
  readonly scores: (k: number) => Promise<TensorArray>;
}

export function newWalk(program: CompiledProgram, generator: Generator): Walk {
  const { sequence, start, step, scores, before, lag } = generator;
  const tokens = viewOf(program.memory, sequence);
  const position = new Int32Array(program.memory, generator.position, 1);
  const place = scores.results[0]!;
  const width = place.shape[place.shape.length - 1]!;
  const view = viewOf(program.memory, place);
  const take = (k: number, token: number): void => {
    tokens[k] = token;
    position[0] = k + before;
    step.run();
  };
  return {
    width,
    begin: known => {
      tokens.fill(0);
      start.run();
      for (position[0] = 0; position[0] < before; position[0]++) step.run();
      known.forEach((token, k) => take(k, token));
    },
    take,
    scores: async k => {
      position[0] = k + before;
      scores.run();
      await fetchPlaces(program, scores.results);
      return place.shape.length === 1 ? view : view.subarray((k + lag) * width, (k + lag + 1) * width);
    },
  };
}

/** Tokens for the check below. */
export const checkedTokens = 5;

/** Scores must be the same whatever comes later: else what was drawn would change the scores that it was drawn from. */
export async function requireLookingBack(walk: Walk, { sequence }: Generator): Promise<void> {
  const count = Math.min(elementCount(sequence.shape), checkedTokens);
  if (count < 3) return;
  const token = (k: number): number => (k + 1) % walk.width;
  walk.begin([token(0), token(1)]);
  const expected = Float32Array.from(await walk.scores(1));
  for (let k = 2; k < count; k++) walk.take(k, token(k));
  walk.take(1, token(1));
  const found = await walk.scores(1);
  const scale = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-30);
  if (expected.every((value, i) => Math.abs(value - found[i]!) <= 1e-4 * scale)) return;
  throw new DataError('the scores at a position depend on later tokens, so nothing can be drawn from them: let attention look back alone, with `causal: true`');
}

/** A token with the probability that its score gives it; `chance` is uniform in [0, 1). */
export function pick(scores: TensorArray, width: number, { temperature, topK, topP }: GenerateSettings, chance: number): number {
  let most = -Infinity;
  let likeliest = 0;
  for (let i = 0; i < width; i++) {
    if (scores[i]! <= most) continue;
    most = scores[i]!;
    likeliest = i;
  }
  if (!Number.isFinite(most)) throw new DataError('the scores of the next token are no numbers: the weights are not of a trained model');
  if (temperature === 0) return likeliest;
  const least = leastScore(scores, width, most, temperature, topK, topP);
  const share = (i: number): number => (scores[i]! >= least ? Math.exp((scores[i]! - most) / temperature) : 0);
  let total = 0;
  for (let i = 0; i < width; i++) total += share(i);
  let left = chance * total;
  let last = likeliest;
  for (let i = 0; i < width; i++) {
    const own = share(i);
    if (own === 0) continue;
    if (left < own) return i;
    left -= own;
    last = i;
  }
  return last;
}

/** The lowest score that may be drawn: of the k likeliest tokens, and of the likeliest that together have the probability p (Holtzman et al. 2020). */
export function leastScore(scores: TensorArray, width: number, most: number, temperature: number, topK: number | null, topP: number | null): number {
  if (topK === null && topP === null) return -Infinity;
  const sorted = Float32Array.from(scores.subarray(0, width)).sort();
  const first = Math.max(0, width - (topK ?? width));
  if (topP === null) return sorted[first]!;
  let total = 0;
  for (let i = first; i < width; i++) total += Math.exp((sorted[i]! - most) / temperature);
  let sum = 0;
  let at = width;
  while (at > first && sum < topP * total) {
    at--;
    sum += Math.exp((sorted[at]! - most) / temperature);
  }
  return sorted[Math.min(at, width - 1)]!;
}

export interface TextWriter {
  readonly put: (token: number) => void;
  readonly hasStopped: () => boolean;
  readonly end: () => string | null;
}

/** Passes a text on as soon as it cannot be the beginning of one that stops it. */
export function newTextWriter(tokenizer: Tokenizer | null, stop: readonly string[], write: (piece: string) => void): TextWriter {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  let text = '';
  let written = 0;
  let stopped = false;
  const pass = (to: number): void => {
    if (to > written) write(text.slice(written, to));
    written = Math.max(written, to);
  };
  const look = (): void => {
    const found = stop.map(each => text.indexOf(each, Math.max(0, written - each.length))).filter(at => at >= 0);
    if (found.length > 0) {
      stopped = true;
      text = text.slice(0, Math.min(...found));
    }
    let to = text.length;
    if (!stopped) for (const each of stop) for (let length = 1; length < each.length; length++) if (text.endsWith(each.slice(0, length))) to = Math.min(to, text.length - length);
    pass(to);
  };
  return {
    put: token => {
      if (tokenizer === null) {
        write(written++ === 0 ? String(token) : ` ${token}`);
        return;
      }
      text += decoder.decode(tokenizer.bytesOf(token), { stream: true });
      look();
    },
    hasStopped: () => stopped,
    end: () => {
      if (tokenizer === null) return null;
      if (!stopped) text += decoder.decode();
      pass(text.length);
      return text;
    },
  };
}

export async function outputsOf(program: CompiledProgram, drawn: Entry | null): Promise<Record<string, TensorArray>> {
  if (drawn === null) return {};
  drawn.run();
  await fetchPlaces(program, drawn.results);
  return Object.fromEntries(drawn.results.map(result => [result.name, viewOf(program.memory, result).slice()]));
}
