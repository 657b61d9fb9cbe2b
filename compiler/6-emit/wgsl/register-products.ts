/**
 * Sums of products without shared memory: every invocation adds up a tile of sums in registers and reads both sides where they are. An
 * adapter in software runs the invocations of a workgroup by turns, and a barrier costs it more than all that tiles would save.
 */
import type { LinearKernel } from '../linear.ts';
import { bindFlat, block, emit, keep, operand, type Frame } from './frame.ts';
import { finish, productOf, type Side } from './products.ts';
import { newShaderFrame, shaderOf, type Placement, type Shader } from './shader.ts';
import { withAxes } from './steps.ts';

/** Sums that an invocation adds up along each side: as many as leave enough invocations for the lanes and the threads of a processor. */
const tiles = [[8, 8], [4, 8], [4, 4], [2, 4]] as const;
const enoughInvocations = 64;
const workgroup = 16;

/** The dispatch of a kernel whose one reduction is a sum of products; null where it is none, or has too few sums. */
export function registerProductShader(kernel: LinearKernel, placement: Placement): Shader | null {
  const product = productOf(kernel);
  if (product === null) return null;
  const { reduce, rows, columns, outer, count } = product;
  const invocationsOf = ([down, across]: readonly [number, number]): number => count * Math.ceil(rows.extent / down) * Math.ceil(columns.extent / across);
  const tile = tiles.find(tile => invocationsOf(tile) >= enoughInvocations) ?? tiles.at(-1)!;
  const [down, across] = tile;
  const frame = newShaderFrame(kernel, placement, false);
  for (const name of ['sums', 'r', 'c']) frame.taken.add(name);
  const invocations = invocationsOf(tile);
  const flat = keep(frame, 'index', `group * ${workgroup}u + lane`);
  if (invocations % workgroup !== 0) emit(frame, `if (${flat} >= ${invocations}u) { return; }`);
  const [rowTiles, columnTiles] = [Math.ceil(rows.extent / down), Math.ceil(columns.extent / across)];
  const column0 = keep(frame, 'column', `(${flat} % ${columnTiles}u) * ${across}u`);
  const row0 = keep(frame, 'row', `((${flat} / ${columnTiles}u) % ${rowTiles}u) * ${down}u`);
  bindFlat(frame, outer, outer.map(axis => kernel.space[axis]!), keep(frame, 'number', `${flat} / ${columnTiles * rowTiles}u`));
  const [rowBindings, columnBindings] = [bindings(frame, kernel, rows, row0, down), bindings(frame, kernel, columns, column0, across)];
  const sums = Array.from({ length: down * across }, (_, i) => {
    emit(frame, `var sum${i} = 0.0f;`);
    return `sum${i}`;
  });
  withAxes(frame, reduce.axes, kernel.space.length, () => {
    const [xs, ys] = [[rows, rowBindings], [columns, columnBindings]].map(([side, positions]) => (positions as typeof rowBindings).map(position =>
      apart(frame, () => {
        position.forEach(([axis, binding]) => frame.axes.set(axis, binding));
        const value = keep(frame, 'factor', operand(frame, (side as Side).factor).text);
        position.forEach(([axis]) => frame.axes.delete(axis));
        return value;
      })));
    sums.forEach((sum, i) => emit(frame, `${sum} += ${xs![Math.floor(i / across)]} * ${ys![i % across]};`));
  });
  emit(frame, `var sums = array<f32, ${sums.length}>(${sums.join(', ')});`);
  block(frame, `for (var r = 0u; r < ${down}u; r++)`, () => {
    const row = keep(frame, 'row', `${row0} + r`);
    block(frame, `if (${row} < ${rows.extent}u)`, () => {
      bindFlat(frame, rows.axes, extentsOf(kernel, rows), row);
      block(frame, `for (var c = 0u; c < ${across}u; c++)`, () => {
        const column = keep(frame, 'column', `${column0} + c`);
        block(frame, `if (${column} < ${columns.extent}u)`, () => {
          bindFlat(frame, columns.axes, extentsOf(kernel, columns), column);
          finish(frame, product, { text: keep(frame, 'sum', `sums[r * ${across}u + c]`), wide: false });
        });
      });
    });
  });
  return shaderOf(frame, { workgroupSize: workgroup, workgroups: Math.ceil(invocations / workgroup), body: frame.levels[0]!.lines });
}

const extentsOf = (kernel: LinearKernel, { axes }: Side): readonly number[] => axes.map(axis => kernel.space[axis]!);

type Position = readonly (readonly [axis: number, binding: Frame['axes'] extends Map<number, infer Binding> ? Binding : never])[];

/** The axes of a side at neighbouring positions, named outside of all loops; beyond the end it is the last one again. */
function bindings(frame: Frame, kernel: LinearKernel, side: Side, first: string, own: number): readonly Position[] {
  return Array.from({ length: own }, (_, i) => {
    const at = side.extent % own === 0 ? `${first} + ${i}u` : `min(${first} + ${i}u, ${side.extent - 1}u)`;
    bindFlat(frame, side.axes, extentsOf(kernel, side), keep(frame, 'at', at));
    const position = side.axes.map(axis => [axis, frame.axes.get(axis)!] as const);
    side.axes.forEach(axis => frame.axes.delete(axis));
    return position;
  });
}

/** Forgets afterwards what has got a name: at another position the same values are others. */
function apart<T>(frame: Frame, make: () => T): T {
  const before = frame.levels.map(({ known }) => new Set(known.keys()));
  const made = make();
  frame.levels.forEach(({ known }, level) => [...known.keys()].forEach(key => before[level]!.has(key) || known.delete(key)));
  return made;
}
