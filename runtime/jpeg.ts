/**
 * JPEG pictures (ISO/IEC 10918-1): sequential, Huffman-coded, 8 bits, grey or colour, any sampling. Progressive, arithmetic-coded and
 * four-colour files are refused. Works on any platform.
 */
import { dataViewOf } from './bytes.ts';
import { DataError } from './data-error.ts';
import type { Picture } from './picture.ts';

export interface JpegComponent {
  readonly id: number;
  /** Samples across and down, as shares of the most that a component has. */
  readonly across: number;
  readonly down: number;
  readonly quantisation: number;
  /** Blocks of 8 × 8 samples in a line of `samples`, which is whole units long. */
  readonly blocks: number;
  readonly lines: number;
  readonly samples: Uint8Array;
  predicted: number;
}

export interface JpegFrame {
  readonly width: number;
  readonly height: number;
  readonly mostAcross: number;
  readonly mostDown: number;
  readonly components: readonly JpegComponent[];
}

/** A canonical Huffman code: the largest code of each length, and where its values start. */
export interface HuffmanTable {
  readonly largest: Int32Array;
  readonly offset: Int32Array;
  readonly values: Uint8Array;
}

/** The order in which a block's coefficients are stored: along diagonals. */
export const zigzag: readonly number[] = Array.from({ length: 64 }, (_, i) => i).sort((a, b) => {
  const diagonal = (i: number): number => (i >> 3) + (i & 7);
  const along = (i: number): number => (diagonal(i) % 2 === 0 ? i & 7 : i >> 3);
  return diagonal(a) - diagonal(b) || along(a) - along(b);
});

export function decodeJpeg(bytes: Uint8Array, place: string, limit: number): Picture {
  const broken = (what: string): DataError => new DataError(`\`${place}\` is a broken JPEG file (${what}): copy or download it again`);
  const view = dataViewOf(bytes);
  const quantisations: (Float32Array | undefined)[] = [];
  const codes = new Map<number, HuffmanTable>();
  let frame: JpegFrame | null = null;
  let restart = 0;
  // By Adobe's marker, colours may be red, green and blue as they stand.
  let converted = true;
  for (let at = 2; ;) {
    while (bytes[at] === 0xff && bytes[at + 1] === 0xff) at++;
    if (at + 4 > bytes.length) {
      if (bytes[at + 1] !== 0xd9) throw broken(`it ends at byte ${bytes.length}`);
    } else if (bytes[at] !== 0xff) throw broken(`byte ${at} is no marker`);
    const marker = bytes[at + 1]!;
    if (marker === 0xd9) break;
    const size = view.getUint16(at + 2);
    const data = bytes.subarray(at + 4, at + 2 + size);
    if (size < 2 || at + 2 + size > bytes.length) throw broken(`it ends at byte ${bytes.length}, inside the segment at byte ${at}`);
    at += 2 + size;
    if (marker === 0xdb) readQuantisations(data, quantisations, broken);
    else if (marker === 0xc4) readHuffmanTables(data, codes, broken);
    else if (marker === 0xdd) restart = data.length < 2 ? 0 : data[0]! * 256 + data[1]!;
    else if (marker === 0xee && data[0] === 0x41 && data.length >= 12) converted = data[11] !== 0;
    else if (marker === 0xc0 || marker === 0xc1) frame = readJpegFrame(data, place, limit, broken);
    else if (marker >= 0xc2 && marker <= 0xcf && marker !== 0xc8 && marker !== 0xcc) {
      throw new DataError(`\`${place}\` is a progressive or otherwise uncommon JPEG file: `
        + `save it as baseline, as with \`magick ${place} -interlace none picture.jpg\`, or as PNG`);
    } else if (marker === 0xda) {
      if (frame === null) throw broken('pixels come before their size');
      at = decodeScan(bytes, at, data, frame, quantisations, codes, restart, broken);
    }
  }
  if (frame === null) throw broken('it holds no pixels');
  return jpegPicture(frame, converted);
}

export function readQuantisations(data: Uint8Array, into: (Float32Array | undefined)[], broken: (what: string) => DataError): void {
  for (let at = 0; at < data.length;) {
    const [wide, id] = [data[at]! >> 4, data[at]! & 15];
    at++;
    if (at + 64 * (wide ? 2 : 1) > data.length || id > 3) throw broken('a quantisation table is cut off');
    const table = new Float32Array(64);
    for (let i = 0; i < 64; i++) table[zigzag[i]!] = wide ? data[at + 2 * i]! * 256 + data[at + 2 * i + 1]! : data[at + i]!;
    at += 64 * (wide ? 2 : 1);
    into[id] = table;
  }
}

export function readHuffmanTables(data: Uint8Array, into: Map<number, HuffmanTable>, broken: (what: string) => DataError): void {
  for (let at = 0; at < data.length;) {
    const id = data[at]!;
    const counts = data.subarray(at + 1, at + 17);
    const total = counts.reduce((sum, count) => sum + count, 0);
    if (counts.length < 16 || at + 17 + total > data.length) throw broken('a Huffman table is cut off');
    const [largest, offset] = [new Int32Array(17).fill(-1), new Int32Array(17)];
    for (let length = 1, code = 0, index = 0; length <= 16; length++, code <<= 1) {
      const count = counts[length - 1]!;
      offset[length] = index - code;
      if (count > 0) largest[length] = code + count - 1;
      [code, index] = [code + count, index + count];
    }
    into.set(id, { largest, offset, values: data.slice(at + 17, at + 17 + total) });
    at += 17 + total;
  }
}

export function readJpegFrame(data: Uint8Array, place: string, limit: number, broken: (what: string) => DataError): JpegFrame {
  const count = data[5] ?? 0;
  if (data.length < 6 + 3 * count) throw broken('its header is cut off');
  if (data[0] !== 8) throw new DataError(`\`${place}\` has ${data[0]} bits a sample: save it with 8`);
  const [height, width] = [data[1]! * 256 + data[2]!, data[3]! * 256 + data[4]!];
  if (width === 0 || height === 0) throw broken(`it is ${width} wide and ${height} high`);
  if (count !== 1 && count !== 3) throw new DataError(`\`${place}\` has ${count} colours: save it as grey or red, green and blue`);
  const heads = Array.from({ length: count }, (_, i) => {
    const [id, sampling, quantisation] = [data[6 + 3 * i]!, data[7 + 3 * i]!, data[8 + 3 * i]!];
    return { id, across: sampling >> 4, down: sampling & 15, quantisation };
  });
  if (heads.some(({ across, down }) => across < 1 || across > 4 || down < 1 || down > 4)) throw broken('its sampling is wrong');
  const mostAcross = Math.max(...heads.map(({ across }) => across));
  const mostDown = Math.max(...heads.map(({ down }) => down));
  const [unitsAcross, unitsDown] = [Math.ceil(width / (8 * mostAcross)), Math.ceil(height / (8 * mostDown))];
  if (unitsAcross * unitsDown * 64 * mostAcross * mostDown * 4 > limit) {
    throw new DataError(`\`${place}\` is ${width} wide and ${height} high, which is too large: make it smaller`);
  }
  return {
    width, height, mostAcross, mostDown,
    components: heads.map(head => {
      const [blocks, lines] = [unitsAcross * head.across, unitsDown * head.down];
      return { ...head, blocks, lines, samples: new Uint8Array(blocks * lines * 64), predicted: 0 };
    }),
  };
}

/** Decodes the blocks of a scan into the samples of its components. Gives the place of the marker after it. */
export function decodeScan(
  bytes: Uint8Array, start: number, head: Uint8Array, frame: JpegFrame, quantisations: readonly (Float32Array | undefined)[],
  codes: ReadonlyMap<number, HuffmanTable>, restart: number, broken: (what: string) => DataError,
): number {
  const parts = Array.from({ length: head[0] ?? 0 }, (_, i) => {
    const component = frame.components.find(other => other.id === head[1 + 2 * i]);
    const tables = head[2 + 2 * i] ?? 0;
    const [direct, other] = [codes.get(tables >> 4), codes.get(16 + (tables & 15))];
    const quantisation = component && quantisations[component.quantisation];
    if (!component || !direct || !other || !quantisation) throw broken('a table is missing');
    return { component, direct, other, quantisation };
  });
  if (parts.length === 0) throw broken('a scan is empty');
  const bits = jpegBits(bytes, start, broken);
  const coefficients = new Float32Array(64);
  const block = ({ component, direct, other, quantisation }: (typeof parts)[number], column: number, row: number): void => {
    coefficients.fill(0);
    component.predicted += bits.receive(bits.symbol(direct) & 15);
    coefficients[0] = component.predicted * quantisation[0]!;
    for (let i = 1; i < 64; i++) {
      const symbol = bits.symbol(other);
      if (symbol === 0) break;
      i += symbol >> 4;
      if (i > 63) throw broken('a block has too many coefficients');
      const place = zigzag[i]!;
      coefficients[place] = bits.receive(symbol & 15) * quantisation[place]!;
    }
    inverseCosines(coefficients, component.samples, row * 8 * component.blocks * 8 + column * 8, component.blocks * 8);
  };
  // The blocks of one component alone end with the picture, those of several with whole units.
  const [alone] = parts.length === 1 ? parts : [];
  const across = alone ? Math.ceil((frame.width * alone.component.across) / (8 * frame.mostAcross)) : Math.ceil(frame.width / (8 * frame.mostAcross));
  const down = alone ? Math.ceil((frame.height * alone.component.down) / (8 * frame.mostDown)) : Math.ceil(frame.height / (8 * frame.mostDown));
  for (const { component } of parts) component.predicted = 0;
  for (let unit = 0; unit < across * down; unit++) {
    if (restart > 0 && unit > 0 && unit % restart === 0) {
      bits.restart();
      for (const { component } of parts) component.predicted = 0;
    }
    const [x, y] = [unit % across, Math.floor(unit / across)];
    for (const part of parts) {
      const { across: columns, down: rows } = alone ? { across: 1, down: 1 } : part.component;
      for (let i = 0; i < columns * rows; i++) block(part, x * columns + (i % columns), y * rows + Math.floor(i / columns));
    }
  }
  return bits.end();
}

export interface JpegBits {
  readonly symbol: (table: HuffmanTable) => number;
  /** A number of so many bits, of which the first half are negative. */
  readonly receive: (count: number) => number;
  /** Skips to the marker that restarts decoding, and past it. */
  readonly restart: () => void;
  /** Where the next marker is. */
  readonly end: () => number;
}

export function jpegBits(bytes: Uint8Array, start: number, broken: (what: string) => DataError): JpegBits {
  let [at, held, count] = [start, 0, 0];
  const bit = (): number => {
    if (count === 0) {
      if (at >= bytes.length || (bytes[at] === 0xff && bytes[at + 1] !== 0)) throw broken(`its pixels end at byte ${at}`);
      held = bytes[at]!;
      // After a byte of ones stands a zero that means nothing.
      at += held === 0xff ? 2 : 1;
      count = 8;
    }
    return (held >> --count) & 1;
  };
  return {
    symbol: ({ largest, offset, values }) => {
      for (let length = 1, code = bit(); length <= 16; length++, code = code * 2 + bit()) {
        if (code <= largest[length]!) return values[code + offset[length]!]!;
      }
      throw broken(`its pixels are wrong at byte ${at}`);
    },
    receive: size => {
      let value = 0;
      for (let i = 0; i < size; i++) value = value * 2 + bit();
      return size > 0 && value < 2 ** (size - 1) ? value - 2 ** size + 1 : value;
    },
    restart: () => {
      count = 0;
      if (bytes[at] !== 0xff || bytes[at + 1]! < 0xd0 || bytes[at + 1]! > 0xd7) throw broken(`a restart is missing at byte ${at}`);
      at += 2;
    },
    end: () => at,
  };
}

/** cos((2x + 1) · u · π / 16) / 2, with u = 0 divided by √2: at place 8u + x. */
export const cosines = Float32Array.from({ length: 64 }, (_, i) =>
  (Math.cos(((2 * (i & 7) + 1) * (i >> 3) * Math.PI) / 16) / 2) * (i < 8 ? Math.SQRT1_2 : 1));

/** The inverse discrete cosine transform of a block, in both directions, to bytes around 128. */
export function inverseCosines(block: Float32Array, into: Uint8Array, at: number, stride: number): void {
  const rows = new Float32Array(64);
  for (let v = 0; v < 8; v++) {
    for (let x = 0; x < 8; x++) {
      let sum = 0;
      for (let u = 0; u < 8; u++) sum += block[8 * v + u]! * cosines[8 * u + x]!;
      rows[8 * v + x] = sum;
    }
  }
  for (let y = 0; y < 8; y++) {
    for (let x = 0; x < 8; x++) {
      let sum = 128.5;
      for (let v = 0; v < 8; v++) sum += rows[8 * v + x]! * cosines[8 * v + y]!;
      into[at + y * stride + x] = Math.max(0, Math.min(255, Math.floor(sum)));
    }
  }
}

export function jpegPicture(frame: JpegFrame, converted: boolean): Picture {
  const { width, height } = frame;
  const planes = frame.components.map(component => fullSize(component, frame));
  const [first, second, third] = planes;
  if (second === undefined || third === undefined) return { width, height, channels: 1, pixels: Uint8Array.from(first!) };
  const pixels = new Uint8ClampedArray(width * height * 3);
  for (let i = 0; i < width * height; i++) {
    const [y, b, r] = [first![i]!, second[i]! - 128, third[i]! - 128];
    // ITU-T T.871 (JFIF). A clamped array rounds.
    pixels[3 * i] = converted ? y + 1.402 * r : y;
    pixels[3 * i + 1] = converted ? y - 0.344136 * b - 0.714136 * r : b + 128;
    pixels[3 * i + 2] = converted ? y + 1.772 * b : r + 128;
  }
  return { width, height, channels: 3, pixels: new Uint8Array(pixels.buffer) };
}

/** A component at the picture's size: between the middles of its samples, along lines. */
export function fullSize({ across, down, blocks, samples }: JpegComponent, { width, height, mostAcross, mostDown }: JpegFrame): Float32Array {
  const stride = blocks * 8;
  const positions = (extent: number, share: number): { readonly from: Int32Array; readonly to: Int32Array; readonly weight: Float32Array } => {
    const last = Math.ceil(extent * share) - 1;
    const at = Float64Array.from({ length: extent }, (_, i) => Math.max(0, Math.min(last, (i + 0.5) * share - 0.5)));
    const from = Int32Array.from(at, Math.floor);
    return { from, to: from.map(i => Math.min(last, i + 1)), weight: Float32Array.from(at, (value, i) => value - from[i]!) };
  };
  const columns = positions(width, across / mostAcross);
  const rows = positions(height, down / mostDown);
  const result = new Float32Array(width * height);
  for (let y = 0, i = 0; y < height; y++) {
    const [upper, lower, weight] = [rows.from[y]! * stride, rows.to[y]! * stride, rows.weight[y]!];
    for (let x = 0; x < width; x++, i++) {
      const [left, right, share] = [columns.from[x]!, columns.to[x]!, columns.weight[x]!];
      const above = samples[upper + left]! * (1 - share) + samples[upper + right]! * share;
      const below = samples[lower + left]! * (1 - share) + samples[lower + right]! * share;
      result[i] = above * (1 - weight) + below * weight;
    }
  }
  return result;
}
