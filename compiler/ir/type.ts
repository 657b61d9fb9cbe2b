/** Tensor types: a dtype and dimensions, each an extent with the name it came from. Names never change meaning, only what people read. */

export type DType = 'f32' | 'f16' | 'bf16' | 'i32' | 'u8' | 'bool';
export const dtypes: readonly DType[] = ['f32', 'f16', 'bf16', 'i32', 'u8', 'bool'];
export const isFloat = (dtype: DType): boolean => dtype === 'f32' || dtype === 'f16' || dtype === 'bf16';

/** Bytes of one element in memory. Half-precision values are stored rounded, in four bytes, by targets without a half type. */
export const elementBytes = (dtype: DType): number => (dtype === 'u8' || dtype === 'bool' ? 1 : 4);

export interface Dim {
  readonly extent: number;
  /** The name in the user's file, `null` for a bare number. Lookups of a named axis compare the object first, then the name. */
  readonly name: string | null;
}

export interface TensorType {
  readonly dtype: DType;
  readonly dims: readonly Dim[];
}

export type Shape = readonly number[];

export const dim = (extent: number, name: string | null = null): Dim => ({ extent, name });
export const tensor = (dtype: DType, dims: readonly Dim[]): TensorType => ({ dtype, dims });
export const shapeOf = (type: TensorType): Shape => type.dims.map(d => d.extent);
export const size = (shape: Shape): number => shape.reduce((product, extent) => product * extent, 1);
export function elements({ dims }: TensorType): number {
  let product = 1;
  for (let i = 0; i < dims.length; i++) product *= dims[i]!.extent;
  return product;
}
export const bytes = (type: TensorType): number => elements(type) * elementBytes(type.dtype);
export const sameShape = (a: Shape, b: Shape): boolean => a.length === b.length && a.every((extent, i) => extent === b[i]);

/** Row-major strides in elements. */
export function strides(shape: Shape): readonly number[] {
  const result = new Array<number>(shape.length);
  let stride = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    result[i] = stride;
    stride *= shape[i]!;
  }
  return result;
}

/** `f32[B, 784]`: names where known. */
export const printType = (type: TensorType): string => `${type.dtype}[${type.dims.map(d => d.name ?? d.extent).join(', ')}]`;
/** `f32[B=64, 784]`: names with extents. */
export const printTypeLong = (type: TensorType): string =>
  `${type.dtype}[${type.dims.map(d => (d.name === null ? String(d.extent) : `${d.name}=${d.extent}`)).join(', ')}]`;
