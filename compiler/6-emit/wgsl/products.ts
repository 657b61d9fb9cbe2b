/** placeholder */
import type { LinearKernel } from '../wasm/linear.ts';
import type { Placement, Shader } from './shader.ts';
export function productShaders(_kernel: LinearKernel, _placement: Placement, _fewest: number): readonly Shader[] | null { return null; }
