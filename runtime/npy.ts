/** The npy format of NumPy, versions 1 to 3: a magic string, a header that is a Python dictionary, the elements. On any platform. */
import type { ByteSource } from './bytes.ts';
import { dataViewOf, readBytes } from './bytes.ts';
import { DataError } from './data-error.ts';
import type { DType } from './program.ts';
import type { ElementKind, StoredTensor } from './stored-tensor.ts';
import type { TensorArray } from './tensor.ts';

export const npyKinds: Readonly<Record<string, ElementKind>> = {
  '<f4': 'f32', '<f8': 'f64', '<f2': 'f16', '<i2': 'i16', '<i4': 'i32', '<i8': 'i64', '|i1': 'i8', '|u1': 'u8', '|b1': 'bool',
};

export const npyNames = { f32: '<f4', f16: '<f4', bf16: '<f4', i32: '<i4', u8: '|u1', bool: '|b1' } as const satisfies Record<DType, string>;

export const npyMagic = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59] as const;

export function readNpy(bytes: ByteSource): StoredTensor {
  const { place } = bytes;
  const start = readBytes(bytes, 0, 10);
  if (!npyMagic.every((byte, i) => start[i] === byte)) throw new DataError(`\`${place}\` is not an npy file: expected it to start with \\x93NUMPY`);
  const version = start[6]!;
  if (version < 1 || version > 3) throw new DataError(`\`${place}\` is of npy version ${version}: save it as version 1, 2 or 3`);
  const headerAt = version === 1 ? 10 : 12;
  const lengthAt = dataViewOf(readBytes(bytes, 8, headerAt - 8));
  const length = version === 1 ? lengthAt.getUint16(0, true) : lengthAt.getUint32(0, true);
  const header = new TextDecoder().decode(readBytes(bytes, headerAt, length));
  const descr = /'descr':\s*'([^']*)'/.exec(header)?.[1];
  const shape = /'shape':\s*\(([\d,\sL]*)\)/.exec(header)?.[1];
  if (descr === undefined || shape === undefined) {
    throw new DataError(`\`${place}\` has an npy header without one plain \`descr\` and \`shape\`: save one array of numbers`);
  }
  const kind = npyKinds[descr];
  if (kind === undefined) {
    throw new DataError(`\`${place}\` has elements of type ${descr}: save it as one of ${Object.keys(npyKinds).join(', ')}`);
  }
  if (/'fortran_order':\s*True/.test(header)) {
    throw new DataError(`\`${place}\` is in Fortran order: save \`numpy.ascontiguousarray(x)\` instead`);
  }
  const extents = shape.split(',').map(part => part.trim()).filter(part => part !== '').map(part => Number.parseInt(part, 10));
  return { place, bytes, offset: headerAt + length, kind, bigEndian: false, shape: extents };
}

/** The bytes of an npy file, version 1. */
export function npyBytes(values: TensorArray, dtype: DType, shape: readonly number[]): Uint8Array {
  const extents = shape.length === 1 ? `${shape[0]},` : shape.join(', ');
  const header = `{'descr': '${npyNames[dtype]}', 'fortran_order': False, 'shape': (${extents}), }`;
  const length = Math.ceil((10 + header.length + 1) / 64) * 64 - 10;
  const bytes = new Uint8Array(10 + length + values.byteLength);
  bytes.set(npyMagic);
  bytes[6] = 1;
  dataViewOf(bytes).setUint16(8, length, true);
  bytes.set(new TextEncoder().encode(`${header.padEnd(length - 1)}\n`), 10);
  bytes.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), 10 + length);
  return bytes;
}
