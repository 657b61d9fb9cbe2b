/**
 * A kernel as shaders. Its structure decides: sums of products are tiled; long rows are shared by the invocations of a workgroup; very
 * long sums are taken in two stages; scatters run in order over what the index decides and in parallel over the rest; everything else is
 * one invocation for each iteration, or for four neighbours where their elements lie together. Adapters in software, which barriers
 * cost more than memory does, get shaders of their own in the place of those that share.
 */
import { size } from '../../ir/type.ts';
import { affine, type Affine } from '../../ir/affine.ts';
import { mapIndices, mergeAxes, rootsOf, timesOf, valuesIn, withoutWindows, type Address, type Clear, type LinearKernel, type Store } from '../linear.ts';
import { bind, bindFlat, emit, isWholeAccess, keep, layoutOf } from './frame.ts';
import { productShaders } from './products.ts';
import { registerProductShader } from './register-products.ts';
import { rowShaders } from './rows.ts';
import { newShaderFrame, shaderOf, type Placement, type Shader } from './shader.ts';
import type { GpuOptions } from './module.ts';
import { emitSteps } from './steps.ts';

const workgroup = 64;

/** The dispatches of a call, in order. */
export function shadersOf(linear: LinearKernel, placement: Placement, options: GpuOptions): readonly Shader[] {
  const kernel = mergeAxes(withoutWindows(linear));
  const product = productShaders(kernel, placement, options);
  const sharing = product ?? rowShaders(kernel, placement, options.shortestRow);
  const registers = options.software ? registerProductShader(kernel, placement) : null;
  const alone = (): readonly Shader[] => separateShaders(kernel, placement);
  if (!options.software || (sharing === null && registers === null)) return sharing ?? alone();
  // Few sums so long that workgroups take parts of them would be slow, and less exact, in one invocation each.
  if (registers === null && product === null && sharing!.length > 1) return sharing!;
  return [
    ...(sharing ?? alone()).map(shader => ({ ...shader, adapters: 'hardware' as const })),
    ...(registers === null ? alone() : [registers]).map(shader => ({ ...shader, adapters: 'software' as const })),
  ];
}

/** Shaders whose invocations know nothing of one another. */
function separateShaders(kernel: LinearKernel, placement: Placement): readonly Shader[] {
  const clears = kernel.steps.filter((step): step is Clear => step.kind === 'clear');
  const rest = { ...kernel, steps: kernel.steps.filter(step => step.kind !== 'clear') };
  return [...clears.map(clear => clearShader(kernel, clear, placement)), ...(rest.steps.length === 0 ? [] : [serialShader(inParallel(rest), placement)])];
}

/** One invocation for each iteration of the space. */
function serialShader(kernel: LinearKernel, placement: Placement): Shader {
  const wide = runsWide(kernel, placement);
  const frame = newShaderFrame(kernel, placement, wide);
  const count = Math.ceil(size(kernel.space) / (wide ? 4 : 1));
  const workgroupSize = Math.min(workgroup, powerAbove(count));
  const flat = keep(frame, 'index', `group * ${workgroupSize}u + lane`);
  if (count % workgroupSize !== 0) emit(frame, `if (${flat} >= ${count}u) { return; }`);
  const axes = kernel.space.map((_, axis) => axis);
  const last = axes.length - 1;
  bindFlat(frame, axes, kernel.space.map((extent, axis) => (wide && axis === last ? Math.ceil(extent / 4) : extent)), flat);
  if (wide) bind(frame, last, keep(frame, `i${last}`, `4 * ${frame.axes.get(last)!.name}`), true);
  emitSteps(frame, kernel.steps, kernel.space.length);
  return shaderOf(frame, { workgroupSize, workgroups: Math.ceil(count / workgroupSize), body: frame.levels[0]!.lines });
}

const powerAbove = (count: number): number => 2 ** Math.ceil(Math.log2(Math.max(1, count)));

/**
 * Whether four neighbours can be computed at once: every access is of the same element, or of four that begin at a whole vector. The last
 * four may be fewer where what is written beyond them is behind the end of a buffer.
 */
function runsWide(kernel: LinearKernel, placement: Placement): boolean {
  const last = kernel.space.length - 1;
  if (last < 0 || kernel.dtypes.some(dtype => dtype === 'u8' || dtype === 'bool')) return false;
  const frame = newShaderFrame(kernel, placement, true);
  kernel.space.forEach((_, axis) => bind(frame, axis, '', axis === last));
  kernel.steps.forEach(step => (step.kind === 'clear' ? [] : step.axes).forEach((_, i) => bind(frame, kernel.space.length + i, '')));
  kernel.steps.forEach(step => step.kind === 'reduce' && frame.locals.set(step.local, { text: { text: '', kind: 'float', wide: true }, level: 0 }));
  const isWhole = kernel.space[last]! % 4 === 0;
  if (!isWhole && (last > 0 || kernel.space[0]! < 4)) return false;
  const whole = (access: number, address: Address): boolean => isWholeAccess(placement.aligned[access]!, address, last);
  return kernel.steps.every(step => {
    if (step.kind === 'clear') return false;
    if (step.kind === 'store' && (step.accumulate || layoutOf(frame, step.address) !== 'dense' || !whole(step.access, step.address))) return false;
    if (step.kind === 'store' && !isWhole && placement.ends[step.access] !== step.address.flat.offset + kernel.space[0]!) return false;
    return valuesIn(rootsOf(step)).every(value => {
      if (value.kind === 'index') return value.floored.every(part => part.axis !== last);
      if (value.kind !== 'load') return true;
      const layout = layoutOf(frame, value.address);
      return layout === 'same' || (layout === 'dense' && whole(value.access, value.address));
    });
  });
}

function clearShader(kernel: LinearKernel, clear: Clear, placement: Placement): Shader {
  const dtype = kernel.dtypes[clear.access]!;
  const address: Address = { flat: affine([{ axis: 0, times: 1 }]), floored: [], gathered: [], divided: [] };
  const body = { kind: 'constant', value: 0, dtype } as const;
  const fill: Store = { kind: 'store', access: clear.access, axes: [], address, body, accumulate: false, joined: false };
  return serialShader({ ...kernel, space: [clear.elements], steps: [fill] }, placement);
}

/**
 * A scatter whose axes of which the address tells the position run in parallel: there two iterations never meet. The other axes stay
 * loops, in their order, so that sums are always taken in the same one.
 */
function inParallel(kernel: LinearKernel): LinearKernel {
  const [store, ...others] = kernel.steps;
  if (kernel.space.length > 0 || others.length > 0 || store?.kind !== 'store' || !store.accumulate) return kernel;
  const { flat, floored, gathered, divided } = store.address;
  if (floored.length > 0 || divided.length > 0) return kernel;
  const strides = [...flat.terms.map(term => ({ axis: term.axis, times: term.times, reach: term.times * (store.axes[term.axis]! - 1) })),
    ...gathered.map(part => ({ axis: -1, times: part.stride, reach: Infinity }))];
  const isDigit = (axis: number): boolean => {
    const times = timesOf(flat, axis);
    if (times <= 0 || strides.some(each => each.times < 0)) return false;
    const others = strides.filter(each => each.axis !== axis);
    const lower = others.filter(each => each.times % (times * store.axes[axis]!) !== 0);
    return lower.reduce((sum, each) => sum + each.reach, 0) < times;
  };
  const parallel = store.axes.map((_, axis) => axis).filter(isDigit);
  const serial = store.axes.map((_, axis) => axis).filter(axis => !parallel.includes(axis));
  const order = [...parallel, ...serial];
  const renumber = (axis: number): number => order.indexOf(axis);
  const change = (index: Affine): Affine => affine(index.terms.map(term => ({ ...term, axis: renumber(term.axis) })), index.offset, index.divisor);
  const turned = mapIndices(store, change, renumber);
  const extents = (axes: readonly number[]): readonly number[] => axes.map(axis => store.axes[axis]!);
  return { ...kernel, space: extents(parallel), steps: [{ ...turned, axes: extents(serial) }] };
}
