/** Unpacking against zlib: what it packs comes back, at every level and in every kind of block; broken bytes end in an error, and nothing else. */
import { constants, deflateRawSync, deflateSync } from 'node:zlib';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { DataError } from '../runtime/data-error.ts';
import { inflate, inflateZlib } from '../runtime/inflate.ts';

/** Pieces that repeat, so that blocks have matches near and far. */
const contents = fc.array(fc.tuple(fc.uint8Array({ maxLength: 300 }), fc.nat({ max: 200 })), { maxLength: 20 })
  .map(pieces => Buffer.concat(pieces.flatMap(([piece, times]) => Array.from({ length: times }, () => piece))));
const packing = fc.record({
  level: fc.integer({ min: 0, max: 9 }),
  strategy: fc.constantFrom(constants.Z_DEFAULT_STRATEGY, constants.Z_FIXED, constants.Z_HUFFMAN_ONLY, constants.Z_RLE),
  memLevel: fc.integer({ min: 1, max: 9 }),
});

test('what zlib packs comes back', () => {
  fc.assert(fc.property(contents, packing, (bytes, options) => {
    expect(Buffer.from(inflate(deflateRawSync(bytes, options), bytes.length)).equals(bytes)).toBe(true);
  }), { numRuns: 300 });
});

test('what is cut, changed or of another size is an error', () => {
  fc.assert(fc.property(contents, packing, fc.nat(), fc.nat({ max: 254 }), (bytes, options, place, change) => {
    const packed = deflateRawSync(bytes, options);
    expect(() => inflate(packed.subarray(0, place % packed.length), bytes.length)).toThrow(DataError);
    if (bytes.length > 0) expect(() => inflate(packed, bytes.length - 1)).toThrow(DataError);
    expect(inflate(packed, bytes.length + 1)).toHaveLength(bytes.length);
    const framed = deflateSync(bytes, { level: options.level });
    expect(Buffer.from(inflateZlib(framed, bytes.length)).equals(bytes)).toBe(true);
    framed[framed.length - 1]! ^= 1;
    expect(() => inflateZlib(framed, bytes.length)).toThrow(DataError);
    const changed = Uint8Array.from(packed);
    changed[place % packed.length]! ^= change + 1;
    try {
      expect(inflate(changed, bytes.length).length).toBeLessThanOrEqual(bytes.length);
    } catch (error) {
      expect(error).toBeInstanceOf(DataError);
    }
  }), { numRuns: 300 });
});
