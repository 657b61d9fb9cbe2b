/**
 * Kernels with long rows: a workgroup for each iteration, whose invocations share the positions of each step, first every one for itself
 * and then together. Where there are few iterations and very long sums, workgroups take parts of each sum, and a second dispatch adds
 * them up and goes on. Positions are shared the same way in every run, so sums are always taken in the same order.
 */
import { size } from '../../ir/type.ts';
import { rootsOf, timesOf, valuesIn, type LinearKernel, type Reduce, type Store } from '../linear.ts';
import { bindFlat, block, emit, forgetLoads, fresh, here, keep, kindOfValue, operand, type Frame } from './frame.ts';
import { newShaderFrame, type Declaration, type Placement, type Shader, shaderOf } from './shader.ts';
import { typeOf, type Text } from './spelling.ts';
import { combined, emitStores, groupsOf, identityOf, isBetter } from './steps.ts';
import { positionsName, togetherFunction, totalsOf } from './together.ts';

/** Iterations that alone keep a GPU busy, when neighbours read neighbouring elements. */
const enoughIterations = 512;
/** Positions of a sum that are worth a workgroup of their own, and the number of iterations from which that is not needed. */
const partLength = 4096;
const fewIterations = 64;
const mostParts = 256;

/** The dispatches of a kernel with long rows; null where one invocation for each iteration does as well. */
export function rowShaders(kernel: LinearKernel, placement: Placement, shortestRow: number): readonly Shader[] | null {
  if (kernel.steps.some(step => step.kind === 'clear' || (step.kind === 'store' && step.accumulate))) return null;
  const longest = Math.max(0, ...kernel.steps.map(lengthOf));
  const count = size(kernel.space);
  if (longest < shortestRow) return null;
  if (!alongRows(kernel) && (count >= enoughIterations || longest < 8 * shortestRow)) return null;
  const leading = leadingSums(kernel);
  const most = Math.max(0, ...leading.map(lengthOf));
  const parts = Math.min(mostParts, Math.ceil(most / partLength));
  if (count >= fewIterations || parts < 2) return [rowShader(kernel, placement, longest, null)];
  return [partShader(kernel, placement, leading, parts), rowShader(kernel, placement, longest, { leading, parts })];
}

const lengthOf = (step: LinearKernel['steps'][number]): number => (step.kind === 'clear' ? 0 : size(step.axes));

/** Whether neighbouring positions of a row are neighbours in memory, rather than neighbouring iterations. */
function alongRows(kernel: LinearKernel): boolean {
  const last = kernel.space.length - 1;
  const loads = kernel.steps.flatMap(step => {
    if (step.kind === 'clear' || step.axes.length === 0) return [];
    const inner = kernel.space.length + step.axes.length - 1;
    return valuesIn(rootsOf(step)).flatMap(value => (value.kind === 'load' ? [{ address: value.address, inner }] : []));
  });
  const dense = loads.filter(({ address, inner }) => timesOf(address.flat, inner) === 1).length;
  const across = loads.filter(({ address }) => last >= 0 && timesOf(address.flat, last) === 1).length;
  return dense >= across;
}

/** The sums at the beginning of a kernel that do not need one another. */
function leadingSums(kernel: LinearKernel): readonly Reduce[] {
  const result: Reduce[] = [];
  for (const step of kernel.steps) {
    if (step.kind !== 'reduce' || step.combine.startsWith('arg') || valuesIn([step.body]).some(value => value.kind === 'local')) break;
    result.push(step);
  }
  return result;
}

/** What one workgroup of each iteration has left for the others of the next dispatch. */
interface Parts {
  readonly leading: readonly Reduce[];
  readonly parts: number;
}

const sizeOfWorkgroup = (longest: number): number => (longest >= 1024 ? 256 : 64);

function rowShader(kernel: LinearKernel, placement: Placement, longest: number, given: Parts | null): Shader {
  const frame = newShaderFrame(kernel, placement, false);
  const workgroupSize = sizeOfWorkgroup(longest);
  const count = size(kernel.space);
  const row = rowOf(frame, kernel, 1);
  const sharing: Sharing = { workgroupSize, shared: new Map(), declarations: new Map() };
  const groups = groupsOf(kernel.steps);
  groups.forEach((group, i) => {
    const [first] = group as [Reduce | Store];
    if (first.kind === 'reduce') {
      const number = given === null ? -1 : given.leading.indexOf(first);
      if (number < 0) emitRowReduce(frame, first, sharing, { from: 'lane', to: `${size(first.axes)}u` });
      else emitCombined(frame, first, sharing, given!, `${number * count}u + ${row}`);
      return;
    }
    const stores = group as readonly Store[];
    if (first.axes.length === 0) block(frame, 'if (lane == 0u)', () => emitStores(frame, stores));
    else {
      positions(frame, first.axes, workgroupSize, { from: 'lane', to: `${size(first.axes)}u` }, () => emitStores(frame, stores));
    }
    forgetLoads(frame);
    if (i < groups.length - 1) emit(frame, 'storageBarrier();');
  });
  return shaderOf(frame, {
    workgroupSize, workgroups: count, body: frame.levels[0]!.lines, shared: [...sharing.shared.values()], declarations: [...sharing.declarations.values()],
    ...(given === null ? {} : { scratch: { elements: 'u32', bytes: 4 * given.leading.length * count * given.parts } }),
  });
}

/** Each workgroup takes one part of every leading sum of one iteration. */
function partShader(kernel: LinearKernel, placement: Placement, leading: readonly Reduce[], parts: number): Shader {
  const frame = newShaderFrame({ ...kernel, steps: leading }, placement, false);
  const workgroupSize = 256;
  const count = size(kernel.space);
  const row = rowOf(frame, kernel, parts);
  const part = keep(frame, 'part', parts === 1 ? '0u' : `group % ${parts}u`);
  const sharing: Sharing = { workgroupSize, shared: new Map(), declarations: new Map() };
  leading.forEach((step, number) => {
    const length = size(step.axes);
    const chunk = Math.ceil(length / parts);
    const end = keep(frame, 'end', `min((${part} + 1u) * ${chunk}u, ${length}u)`);
    const total = emitRowReduce(frame, step, sharing, { from: `${part} * ${chunk}u + lane`, to: end });
    const word = total.kind === 'mask' ? `select(0u, 1u, ${total.text})` : `bitcast<u32>(${total.text})`;
    block(frame, 'if (lane == 0u)', () => emit(frame, `scratch[(${number * count}u + ${row}) * ${parts}u + ${part}] = ${word};`));
  });
  return shaderOf(frame, {
    workgroupSize, workgroups: count * parts, body: frame.levels[0]!.lines, shared: [...sharing.shared.values()], declarations: [...sharing.declarations.values()],
    scratch: { elements: 'u32', bytes: 4 * leading.length * count * parts },
  });
}

/** Binds the axes of the space to a workgroup's iteration, and gives its number. */
function rowOf(frame: Frame, kernel: LinearKernel, parts: number): string {
  const row = keep(frame, 'row', parts === 1 ? 'group' : `group / ${parts}u`);
  bindFlat(frame, kernel.space.map((_, axis) => axis), kernel.space, row);
  return row;
}

/** What the reductions of a shader have in common: its workgroup, with the memory and the functions by which they bring totals together. */
interface Sharing {
  readonly workgroupSize: number;
  readonly shared: Map<string, string>;
  readonly declarations: Map<string, Declaration>;
}

interface Range {
  readonly from: string;
  readonly to: string;
}

/** A loop in which every invocation takes each so many-th position. */
function positions(frame: Frame, axes: readonly number[], step: number, { from, to }: Range, make: (position: string) => void): void {
  const position = fresh(frame, 'p');
  block(frame, `for (var ${position} = ${from}; ${position} < ${to}; ${position} += ${step}u)`, () => {
    const rank = frame.kernel.space.length;
    const numbers = axes.map((_, i) => rank + i);
    bindFlat(frame, numbers, axes, position, 'k');
    make(position);
    for (const axis of numbers) frame.axes.delete(axis);
  });
}

/** A reduction over the positions of a range; the result is the same in every invocation. */
function emitRowReduce(frame: Frame, step: Reduce, sharing: Sharing, range: Range): Text {
  const level = here(frame);
  const kind = kindOfValue(step.body);
  const total = fresh(frame, 'total');
  emit(frame, `var ${total} = ${identityOf(step.combine, kind)};`);
  if (step.combine === 'argmax' || step.combine === 'argmin') {
    const position = fresh(frame, 'position');
    emit(frame, `var ${position} = i32(lane);`);
    positions(frame, step.axes, sharing.workgroupSize, range, at => {
      const value = keep(frame, 'value', operand(frame, step.body).text);
      block(frame, `if (${isBetter(step.combine, kind, value, total)})`, () => {
        emit(frame, `${total} = ${value};`);
        emit(frame, `${position} = i32(${at});`);
      });
    });
    return together(frame, step, sharing, level, { total, position });
  }
  positions(frame, step.axes, sharing.workgroupSize, range, () => {
    emit(frame, `${total} = ${combined(step.combine, kind, total, operand(frame, step.body).text)};`);
  });
  return together(frame, step, sharing, level, { total, position: null });
}

/** A reduction of what the workgroups of the dispatch before have left for an iteration. */
function emitCombined(frame: Frame, step: Reduce, sharing: Sharing, { parts }: Parts, number: string): void {
  const level = here(frame);
  const kind = kindOfValue(step.body);
  const total = fresh(frame, 'total');
  emit(frame, `var ${total} = ${identityOf(step.combine, kind)};`);
  const part = fresh(frame, 'p');
  block(frame, `for (var ${part} = lane; ${part} < ${parts}u; ${part} += ${sharing.workgroupSize}u)`, () => {
    const word = `scratch[(${number}) * ${parts}u + ${part}]`;
    const value = kind === 'mask' ? `(${word} != 0u)` : `bitcast<${typeOf({ kind, wide: false })}>(${word})`;
    emit(frame, `${total} = ${combined(step.combine, kind, total, value)};`);
  });
  together(frame, step, sharing, level, { total, position: null });
}

/** From what each invocation has to what all have together. */
function together(frame: Frame, step: Reduce, { workgroupSize, shared, declarations }: Sharing, level: number, own: { readonly total: string; readonly position: string | null }): Text {
  const kind = kindOfValue(step.body);
  const declaration = togetherFunction(step.combine, kind);
  declarations.set(declaration.name, declaration);
  const totals = totalsOf(kind);
  shared.set(totals, `var<workgroup> ${totals}: array<${typeOf({ kind, wide: false })}, ${workgroupSize}>;`);
  if (own.position !== null) shared.set(positionsName, `var<workgroup> ${positionsName}: array<i32, ${workgroupSize}>;`);
  const given = ['lane', own.total, ...(own.position === null ? [] : [own.position]), `${workgroupSize}u`];
  const whole = keep(frame, own.position === null ? 'all' : 'first', `${declaration.name}(${given.join(', ')})`);
  const result: Text = { text: whole, kind: own.position === null ? kind : 'int', wide: false };
  frame.locals.set(step.local, { text: result, level });
  return result;
}
