/**
 * Texts as whole numbers: the interface of all tokenizers, and those of characters and of bytes. Tokens are the same on every
 * platform; what a tokenizer has no token for is told, never skipped.
 */
import { DataError } from './data-error.ts';

export interface Tokenizer {
  /** Tokens are whole numbers from 0 up to, and not including, this. */
  readonly size: number;
  /** The token that ends a text, and fills up a row after it; null where texts have no end. */
  readonly end: number | null;
  /** Tokens are the bytes of the text, so that a file is a list of tokens as it stands. */
  readonly raw: boolean;
  /**
   * Gives `put` the tokens of a text in order, −1 for a character without one, and where in the text each begins. Unless the text
   * `isLast`, what may still change with the text that follows is left; the number of code units that are done comes back.
   */
  readonly encode: (text: string, isLast: boolean, put: PutToken) => number;
  /** The UTF-8 bytes of a token, which may be a part of a character. */
  readonly bytesOf: (token: number) => Uint8Array;
}

export type PutToken = (token: number, at: number) => void;

/** One token for each character of `alphabet`, in its order; with `ends`, one more that ends a text. */
export function characterTokenizer(alphabet: string, ends: boolean): Tokenizer {
  const characters = Array.from(alphabet);
  const numbers = new Map(characters.map((character, i) => [character.codePointAt(0)!, i]));
  // Nearly all characters of nearly all texts are found without a hash.
  const near = Int32Array.from({ length: 0x3000 }, (_, point) => numbers.get(point) ?? -1);
  const encoded = characters.map(character => new TextEncoder().encode(character));
  return {
    size: characters.length + (ends ? 1 : 0),
    end: ends ? characters.length : null,
    raw: false,
    encode: (text, _, put) => {
      for (let at = 0; at < text.length;) {
        const point = text.codePointAt(at)!;
        put(point < near.length ? near[point]! : numbers.get(point) ?? -1, at);
        at += point > 0xffff ? 2 : 1;
      }
      return text.length;
    },
    bytesOf: token => encoded[token] ?? new Uint8Array(0),
  };
}

/** One token for each byte; with `ends`, one more that ends a text. */
export function byteTokenizer(ends: boolean): Tokenizer {
  return {
    size: ends ? 257 : 256,
    end: ends ? 256 : null,
    raw: true,
    encode: (text, _, put) => {
      for (let at = 0; at < text.length;) {
        const width = text.codePointAt(at)! > 0xffff ? 2 : 1;
        for (const byte of new TextEncoder().encode(text.slice(at, at + width))) put(byte, at);
        at += width;
      }
      return text.length;
    },
    bytesOf: token => (token < 256 ? Uint8Array.of(token) : new Uint8Array(0)),
  };
}

/** The tokens of a whole text. `place` says where the text is from when one of its characters has no token. */
export function encodeText(tokenizer: Tokenizer, text: string, place: string): number[] {
  const tokens: number[] = [];
  tokenizer.encode(text, true, (token, at) => {
    if (token < 0) throw unknownCharacter(text, at, place);
    tokens.push(token);
  });
  return tokens;
}

/** The text of tokens; bytes that are no UTF-8 become U+FFFD. */
export function decodeTokens(tokenizer: Tokenizer, tokens: ArrayLike<number>): string {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  let text = '';
  for (let i = 0; i < tokens.length; i++) text += decoder.decode(tokenizer.bytesOf(tokens[i]!), { stream: true });
  return text + decoder.decode();
}

export function unknownCharacter(text: string, at: number, place: string): DataError {
  const point = text.codePointAt(at)!;
  const code = `U+${point.toString(16).toUpperCase().padStart(4, '0')}`;
  const shown = point > 32 && point !== 127 ? `\`${String.fromCodePoint(point)}\` (${code})` : code;
  return new DataError(`${place}: the character ${shown} is not in the vocabulary of the model: `
    + 'remove it, or compile the model again if the file that its characters come from has changed');
}
