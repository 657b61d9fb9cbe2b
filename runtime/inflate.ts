/** Undoes raw deflate (RFC 1951), without waiting, as engines do not offer it everywhere. Works on any platform. */
import { DataError } from './data-error.ts';

/** The most that is unpacked: a few kilobytes can claim to hold any number of bytes. */
export const inflatedLimit = 2 ** 30;

/** Extra bits, and the least value, of each length (symbols 257 …) and distance. */
export const inflateLengthBits = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0] as const;
export const inflateLengths = [3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258] as const;
export const inflateDistanceBits = [0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13] as const;
export const inflateDistances = [
  1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577,
] as const;
/** In this order the lengths of the codes for code lengths stand in a block. */
export const inflateOrder = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15] as const;

/** A code as a table over the next `bits` bits: the symbol times 16, plus the length of its code; 0 where no code is. */
export interface InflateCode {
  readonly bits: number;
  readonly table: Uint16Array;
}

/** What is packed, at most `size` bytes of it. */
export function inflate(packed: Uint8Array, size: number): Uint8Array {
  if (size > inflatedLimit) throw new DataError(`it unpacks to more than ${inflatedLimit} bytes`);
  const out = new Uint8Array(size);
  let [at, written, held, count] = [0, 0, 0, 0];
  const broken = (): DataError => new DataError('its packed bytes are broken');
  /** Makes `held` have `wanted` bits, zeros behind the end. */
  const need = (wanted: number): void => {
    while (count < wanted) {
      held |= (at < packed.length ? packed[at]! : 0) << count;
      if (at++ > packed.length + 4) throw broken();
      count += 8;
    }
  };
  const bits = (wanted: number): number => {
    need(wanted);
    const value = held & ((1 << wanted) - 1);
    held >>>= wanted;
    count -= wanted;
    return value;
  };
  const symbol = ({ bits: most, table }: InflateCode): number => {
    need(most);
    const entry = table[held & ((1 << most) - 1)]!;
    const length = entry & 15;
    if (length === 0) throw broken();
    held >>>= length;
    count -= length;
    return entry >>> 4;
  };
  const stored = (): void => {
    // The rest of the byte is not used; whole bytes that are held already are given back.
    at -= count >> 3;
    [held, count] = [0, 0];
    const length = packed[at]! | (packed[at + 1]! << 8);
    at += 4;
    if (!(at + length <= packed.length) || written + length > size) throw broken();
    out.set(packed.subarray(at, at + length), written);
    at += length;
    written += length;
  };
  const block = (literals: InflateCode, distances: InflateCode): void => {
    for (let code = symbol(literals); code !== 256; code = symbol(literals)) {
      if (code < 256) {
        if (written === size) throw broken();
        out[written++] = code;
        continue;
      }
      const lengthBits = inflateLengthBits[code - 257];
      if (lengthBits === undefined) throw broken();
      const length = inflateLengths[code - 257]! + bits(lengthBits);
      const distanceCode = symbol(distances);
      const distanceBits = inflateDistanceBits[distanceCode];
      if (distanceBits === undefined) throw broken();
      const distance = inflateDistances[distanceCode]! + bits(distanceBits);
      if (distance > written || written + length > size) throw broken();
      // One after the other: what is copied may be what was just written.
      for (let i = 0; i < length; i++) out[written + i] = out[written + i - distance]!;
      written += length;
    }
  };
  const described = (): readonly [InflateCode, InflateCode] => {
    const [literalCount, distanceCount, orderCount] = [bits(5) + 257, bits(5) + 1, bits(4) + 4];
    const order = new Uint8Array(19);
    for (let i = 0; i < orderCount; i++) order[inflateOrder[i]!] = bits(3);
    const code = inflateCode(order);
    const lengths = new Uint8Array(literalCount + distanceCount);
    for (let i = 0; i < lengths.length;) {
      const length = symbol(code);
      if (length < 16) {
        lengths[i++] = length;
        continue;
      }
      if (length === 16 && i === 0) throw broken();
      const value = length === 16 ? lengths[i - 1]! : 0;
      const times = length === 16 ? 3 + bits(2) : length === 17 ? 3 + bits(3) : 11 + bits(7);
      if (i + times > lengths.length) throw broken();
      lengths.fill(value, i, i + times);
      i += times;
    }
    return [inflateCode(lengths.subarray(0, literalCount)), inflateCode(lengths.subarray(literalCount))];
  };
  for (let last = 0; last === 0;) {
    last = bits(1);
    const kind = bits(2);
    if (kind === 0) stored();
    else if (kind === 1) block(inflateCode(fixedLiteralLengths()), inflateCode(new Uint8Array(30).fill(5)));
    else if (kind === 2) block(...described());
    else throw broken();
  }
  if (at - (count >> 3) > packed.length) throw broken();
  return out.subarray(0, written);
}

/** The same for the format of zlib (RFC 1950): two bytes before, a checksum behind. */
export function inflateZlib(packed: Uint8Array, size: number): Uint8Array {
  const [first, second] = [packed[0] ?? 0, packed[1] ?? 0];
  if ((first & 15) !== 8 || (256 * first + second) % 31 !== 0 || (second & 32) !== 0) throw new DataError('its packed bytes are broken');
  const out = inflate(packed.subarray(2, -4), size);
  let [a, b] = [1, 0];
  for (let i = 0; i < out.length; i++) {
    a += out[i]!;
    b += a;
    // Before they leave 32 bits.
    if ((i & 0xfff) === 0xfff) [a, b] = [a % 65521, b % 65521];
  }
  const sum = packed.subarray(-4).reduce((sum, byte) => sum * 256 + byte, 0);
  if ((b % 65521) * 65536 + (a % 65521) !== sum) throw new DataError('its packed bytes are broken: their checksum is another one');
  return out;
}

/** The canonical code with these lengths, read from its lowest bit on. */
export function inflateCode(lengths: Uint8Array): InflateCode {
  const bits = Math.max(1, ...lengths);
  const table = new Uint16Array(1 << bits);
  let code = 0;
  for (let length = 1; length <= bits; length++) {
    for (let symbol = 0; symbol < lengths.length; symbol++) {
      if (lengths[symbol] !== length) continue;
      if (code >= 1 << length) throw new DataError('its packed bytes are broken');
      let reversed = 0;
      for (let i = 0; i < length; i++) reversed |= ((code >>> i) & 1) << (length - 1 - i);
      for (let at = reversed; at < table.length; at += 1 << length) table[at] = (symbol << 4) | length;
      code++;
    }
    code <<= 1;
  }
  return { bits, table };
}

export const fixedLiteralLengths = (): Uint8Array => Uint8Array.from({ length: 288 }, (_, symbol) => (symbol < 144 ? 8 : symbol < 256 ? 9 : symbol < 280 ? 7 : 8));
