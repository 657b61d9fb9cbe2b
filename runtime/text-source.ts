/**
 * Text files as rows: windows of tokens that begin at every multiple of the stride. Tokens are kept in the narrowest array that holds
 * them; where they are the bytes of the file, it is read piece by piece when it is large. Works on any platform.
 */
import type { ByteSource } from './bytes.ts';
import { DataError } from './data-error.ts';
import type { DataSource } from './program.ts';
import type { SourceContext } from './source-readers.ts';
import type { Column } from './stored-tensor.ts';
import { valueProblem } from './stored-tensor.ts';
import type { TensorArray } from './tensor.ts';
import { elementCount } from './tensor.ts';
import type { Tokenizer } from './tokenizer.ts';
import { unknownCharacter } from './tokenizer.ts';
import { eachTextPiece, lineAt } from './utf8.ts';

/** More rows would need an order of them that does not fit in memory. */
export const mostWindows = 2 ** 28;

/** All tokens of a text. */
export interface TokenList {
  readonly count: number;
  /** Copies `length` tokens from `start` on. */
  readonly read: (start: number, target: TensorArray, at: number, length: number) => void;
}

/** A field takes the window at its shift: with a shift of 1, what follows each token of the window at 0. */
export function textColumns(source: DataSource, { open, tokenizers }: SourceContext): Column[] {
  const bytes = open(source.fields[0]!.file);
  const { place } = bytes;
  const tokenizer = tokenizers[source.fields[0]!.tokens!.vocabulary]!;
  const tokens = tokenizer.raw ? byteList(bytes) : tokenList(bytes, tokenizer);
  const lengths = source.fields.map(field => elementCount(field.shape));
  const reach = Math.max(...source.fields.map((field, i) => field.tokens!.shift + lengths[i]!));
  const stride = source.stride ?? Math.max(...lengths);
  if (tokens.count < reach) {
    throw new DataError(`\`${place}\` has ${tokens.count} tokens, but a row takes ${reach}: use a longer text, or shorter windows`);
  }
  const rows = Math.floor((tokens.count - reach) / stride) + 1;
  if (rows > mostWindows) {
    throw new DataError(`\`${place}\` makes ${rows} rows, and at most ${mostWindows} can be shuffled: use a larger \`stride\` than ${stride}`);
  }
  return source.fields.map((field, i): Column => {
    const length = lengths[i]!;
    const { shift } = field.tokens!;
    // Of a vocabulary that is larger than what the model takes.
    const unchecked = field.below !== null && field.below < tokenizer.size;
    return {
      input: field.input, place, rows, unchecked, inMemory: !tokenizer.raw || bytes.memory !== null,
      overlap: Math.ceil(reach / stride) - 1,
      read: (row, target, at) => {
        tokens.read(row * stride + shift, target, at, length);
        if (!unchecked) return;
        for (let j = 0; j < length; j++) {
          const problem = valueProblem(target[at + j]!, field);
          if (problem !== null) throw new DataError(`\`${place}\`, token ${row * stride + shift + j}: ${problem}`);
        }
      },
    };
  });
}

export function byteList(bytes: ByteSource): TokenList {
  const { memory } = bytes;
  let piece = new Uint8Array(0);
  return {
    count: bytes.size,
    read: (start, target, at, length) => {
      if (memory === null) {
        if (piece.length !== length) piece = new Uint8Array(length);
        bytes.read(start, piece);
      }
      const from = memory ?? piece;
      for (let i = 0, offset = memory === null ? 0 : start; i < length; i++) target[at + i] = from[offset + i]!;
    },
  };
}

export const tokensOfChunk = 2 ** 20;

/** Reads a whole text into chunks of tokens, none of which moves when more come. */
export function tokenList(bytes: ByteSource, tokenizer: Tokenizer): TokenList {
  const chunks: (Uint8Array | Uint16Array | Int32Array)[] = [];
  const newChunk = (): Uint8Array | Uint16Array | Int32Array => {
    if (tokenizer.size <= 256) return new Uint8Array(tokensOfChunk);
    return tokenizer.size <= 65536 ? new Uint16Array(tokensOfChunk) : new Int32Array(tokensOfChunk);
  };
  let count = 0;
  let text = '';
  const put = (token: number, at: number): void => {
    // What could not be encoded is told with its line, which is looked for only then.
    if (token < 0) throw unknownCharacter(text, at, `\`${bytes.place}\`, line ${lineAt(bytes, byteOffset(text, at))}`);
    if (count % tokensOfChunk === 0) chunks.push(newChunk());
    chunks[chunks.length - 1]![count++ % tokensOfChunk] = token;
  };
  let begin = 0;
  const byteOffset = (from: string, at: number): number => begin + new TextEncoder().encode(from.slice(0, at)).length;
  eachTextPiece(bytes, (piece, offset, isLast) => {
    begin = offset - new TextEncoder().encode(text).length;
    text += piece;
    text = text.slice(tokenizer.encode(text, isLast, put));
  });
  return {
    count,
    read: (start, target, at, length) => {
      for (let i = 0; i < length; i++) target[at + i] = chunks[Math.floor((start + i) / tokensOfChunk)]![(start + i) % tokensOfChunk]!;
    },
  };
}
