/**
 * A shader as text around the statements of its body: what it binds, the functions that it calls, and how its invocations are counted.
 */
import { elementBytes, isFloat } from '../../ir/type.ts';
import type { LinearKernel } from '../linear.ts';
import { newFrame, type Elements, type Frame } from './frame.ts';
import { mathIn } from './math.ts';

/** One dispatch of a call. */
export interface Shader {
  readonly code: string;
  /** How many workgroups run. */
  readonly workgroups: number;
  /** Bytes that it needs of the memory in which a call's dispatches leave something for one another. */
  readonly scratchBytes: number;
  /** Which adapters run it. */
  readonly adapters: 'all' | 'hardware' | 'software';
  /** What the code mentions, and whoever compiles it puts before it. */
  readonly declarations: readonly Declaration[];
}

/** What shaders mention by its name, with a text for all adapters, and one for those that have a feature of WebGPU. */
export interface Declaration {
  readonly name: string;
  readonly text: string;
  readonly feature: 'subgroups' | 'shader-f16';
  readonly own: string;
}

/** What a call of a kernel has the shader know of each of its accesses. */
export interface Placement {
  readonly arrays: readonly number[];
  /** Of each array: whether halves lie in it, and nothing else. */
  readonly halves: readonly boolean[];
  /** Whether it begins at a multiple of 16 bytes. */
  readonly aligned: readonly boolean[];
  /** How many elements there are until its buffer ends, behind which nobody's memory begins before a multiple of 64 bytes; null where calls differ. */
  readonly ends: readonly (number | null)[];
}

export const arrayName = (number: number): string => (number === 0 ? 'memory' : `memory_${number}`);

/** The type of halves: of half the bytes where the adapter has f16. */
const half: Declaration = { name: 'half', feature: 'shader-f16', text: 'alias half = f32;', own: 'alias half = f16;' };

/** How each array is declared: as what lies in it, else as words. Bytes are written by atomic operations on their words. */
export function elementsOf(kernel: LinearKernel, { arrays, halves }: Placement, wide: boolean): ReadonlyMap<string, Elements> {
  const written = new Set(kernel.steps.flatMap(step => (step.kind === 'reduce' ? [] : [step.access])));
  const result = new Map<string, Elements>();
  for (const array of new Set(arrays)) {
    const own = kernel.dtypes.filter((_, access) => arrays[access] === array);
    const scalar = halves[array] ? 'half' : own.every(isFloat) ? 'f32' : own.every(dtype => dtype === 'i32') ? 'i32' : 'u32';
    const bytes = kernel.dtypes.some((dtype, access) => arrays[access] === array && elementBytes(dtype) === 1 && written.has(access));
    result.set(arrayName(array), bytes ? 'atomic<u32>' : wide ? `vec4<${scalar}>` : scalar);
  }
  return result;
}

/** A frame for a shader's body; `wide` where its arrays are of vectors. */
export function newShaderFrame(kernel: LinearKernel, placement: Placement, wide: boolean): Frame {
  const frame = newFrame(kernel, placement.arrays.map(arrayName), elementsOf(kernel, placement, wide));
  for (const name of ['group', 'lane', 'group_id', 'places', 'scratch', half.name, ...frame.elements.keys()]) frame.taken.add(name);
  return frame;
}

export interface Outline {
  readonly workgroupSize: number;
  readonly workgroups: number;
  /** Statements of the body. */
  readonly body: readonly string[];
  /** Declarations of workgroup memory. */
  readonly shared?: readonly string[];
  readonly declarations?: readonly Declaration[];
  readonly scratch?: { readonly elements: 'f32' | 'u32'; readonly bytes: number };
}

/** Writes a number where it is told to. */
export const counterShader: Shader = {
  code: [
    '@group(0) @binding(0) var<uniform> places: array<vec4<i32>, 1>;',
    '@group(0) @binding(1) var<storage, read_write> memory: array<i32>;',
    '',
    '@compute @workgroup_size(1)',
    'fn main() {',
    '  memory[places[0].x] = places[0].y;',
    '}',
    '',
  ].join('\n'),
  workgroups: 1,
  scratchBytes: 0,
  adapters: 'all',
  declarations: [],
};

/** Workgroups that a dispatch may have in one dimension. */
export const mostInRow = 65535;

export function shaderOf(frame: Frame, outline: Outline): Shader {
  const { workgroupSize, workgroups, body, shared = [], declarations = [], scratch } = outline;
  const accesses = frame.kernel.dtypes.length;
  const main = body.map(line => `  ${line}`).join('\n');
  const bases = frame.kernel.dtypes.flatMap((_, access) => (new RegExp(`\\bbase${access}\\b`).test(main)
    ? [`  let base${access} = places[${access >> 2}].${'xyzw'[access & 3]!};`]
    : []));
  const group = workgroups <= mostInRow ? 'group_id.x' : `group_id.y * ${mostInRow}u + group_id.x`;
  const arrays = [...frame.elements];
  const hasHalves = [...frame.elements.values(), ...shared, main].some(text => new RegExp(`\\b${half.name}\\b`).test(text));
  const code = [
    `@group(0) @binding(0) var<uniform> places: array<vec4<i32>, ${Math.ceil(accesses / 4)}>;`,
    ...arrays.map(([name, elements], i) => `@group(0) @binding(${i + 1}) var<storage, read_write> ${name}: array<${elements}>;`),
    ...(scratch ? [`@group(0) @binding(${arrays.length + 1}) var<storage, read_write> scratch: array<${scratch.elements}>;`] : []),
    ...shared,
    '',
    ...mathIn(main).flatMap(text => [text, '']),
    `@compute @workgroup_size(${workgroupSize})`,
    'fn main(@builtin(workgroup_id) group_id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {',
    `  let group = ${group};`,
    // Rows of workgroups are whole, the last one too.
    ...(workgroups > mostInRow ? [`  if (group >= ${workgroups}u) { return; }`] : []),
    ...bases,
    main,
    '}',
    '',
  ].join('\n');
  return { code, workgroups, scratchBytes: scratch?.bytes ?? 0, adapters: 'all', declarations: [...(hasHalves ? [half] : []), ...declarations] };
}
