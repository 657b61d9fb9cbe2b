/** The typed arrays through which emitted programs see their memory. */
import { isFloat, type DType } from '../../ir/type.ts';

/** Half-precision values are held in four bytes, booleans in one. */
export const arrayOf = (dtype: DType): 'f32' | 'i32' | 'u8' => (isFloat(dtype) ? 'f32' : dtype === 'i32' ? 'i32' : 'u8');
