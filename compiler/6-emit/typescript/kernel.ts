/**
 * One kernel as a TypeScript function: its loops, with index arithmetic and whatever else does not change inside a loop moved out
 * of it, and sums of products tiled in registers. Values are doubles between a load and a store, so sums are more exact than f32.
 */
import { axisAt } from '../../ir/affine.ts';
import type { Combine, Scalar } from '../../ir/nest.ts';
import type { Access, Kernel, Step } from '../../ir/program.ts';
import { size } from '../../ir/type.ts';
import { addressText, newScope, openLoop, closeLoop, declare, fresh, line, render, type Scope } from './scope.ts';
import { asNumber, spell, type Text } from './spelling.ts';
import { copies, shifted, type Copy } from './copies.ts';
import { arrayOf } from './arrays.ts';
import { tiling, type Tile } from './tiling.ts';

type Store = Step & { readonly kind: 'store' };
type Reduce = Step & { readonly kind: 'reduce' };

/** The function's text, without a comment. Its parameters are element offsets, operands first. */
export function kernelText(kernel: Kernel): string {
  const scope = newScope(kernel);
  emitSpace(scope, kernel, tiling(kernel), 0, []);
  const parameters = scope.accessNames.map(name => `${name}: number`).join(', ');
  return `function ${kernel.name}(${parameters}): void {\n${scope.levels[0]!.lines.join('\n')}\n}`;
}

/** Loops over the space from `axis` on, then the steps. Tiled axes run in strides, with a rest of single iterations. */
function emitSpace(scope: Scope, kernel: Kernel, tiles: readonly Tile[], axis: number, open: readonly Tile[]): void {
  if (axis === kernel.space.length) {
    emitSteps(scope, kernel, copies(open, scope.localCount));
    return;
  }
  const extent = kernel.space[axis]!;
  const tile = tiles.find(candidate => candidate.axis === axis);
  const whole = extent - (extent % (tile?.factor ?? 1));
  if (whole > 0) {
    openLoop(scope, axis, 0, whole, tile?.factor ?? 1);
    emitSpace(scope, kernel, tiles, axis + 1, tile ? [...open, tile] : open);
    closeLoop(scope, axis);
  }
  if (whole < extent) {
    openLoop(scope, axis, whole, extent, 1);
    emitSpace(scope, kernel, tiles, axis + 1, open);
    closeLoop(scope, axis);
  }
}

/** Joined stores share a loop; so do neighbouring reductions over the same axes that do not need one another. */
function emitSteps(scope: Scope, kernel: Kernel, tile: readonly Copy[]): void {
  const inner = kernel.space.length;
  let next = 0;
  while (next < kernel.steps.length) {
    const first = kernel.steps[next]!;
    const group = [first];
    while (next + group.length < kernel.steps.length && sharesLoop(group, kernel.steps[next + group.length]!))
      group.push(kernel.steps[next + group.length]!);
    next += group.length;
    if (first.kind === 'clear') emitClear(scope, kernel.outputs[first.output]!, scope.accessNames[kernel.operands.length + first.output]!);
    else if (first.kind === 'store') emitStores(scope, kernel, inner, group as Store[], tile);
    else emitReduce(scope, inner, group as Reduce[], tile, kernel);
  }
}

function sharesLoop(group: readonly Step[], next: Step): boolean {
  const [first] = group;
  if (next.kind === 'store') return next.joined;
  if (first!.kind !== 'reduce' || next.kind !== 'reduce' || first!.axes.join() !== next.axes.join()) return false;
  const made = group.map(step => (step as Reduce).local);
  return !usesLocal(next.body, made, new Set());
}

function usesLocal(scalar: Scalar, locals: readonly number[], seen: Set<Scalar>): boolean {
  if (seen.has(scalar)) return false;
  seen.add(scalar);
  if (scalar.kind === 'local') return locals.includes(scalar.local);
  if (scalar.kind === 'apply') return scalar.arguments.some(part => usesLocal(part, locals, seen));
  if (scalar.kind === 'guard') return usesLocal(scalar.then, locals, seen) || usesLocal(scalar.otherwise, locals, seen);
  return scalar.kind === 'load' && scalar.at.some(at => 'gathered' in at && usesLocal(at.gathered, locals, seen));
}

function emitClear(scope: Scope, output: Access, name: string): void {
  line(scope, `${arrayOf(output.dtype)}.fill(0, ${name}, ${name} + ${size(output.shape)});`);
}

function withLoops(scope: Scope, from: number, axes: readonly number[], body: () => void): void {
  axes.forEach((extent, i) => openLoop(scope, from + i, 0, extent, 1));
  body();
  axes.forEach((_, i) => closeLoop(scope, from + axes.length - 1 - i));
}

function emitStores(scope: Scope, kernel: Kernel, inner: number, group: readonly Store[], tile: readonly Copy[]): void {
  withLoops(scope, inner, group[0]!.axes, () => {
    const stores = group.flatMap(step =>
      tile.map(copy => ({
        step,
        body: shifted(step.body, copy),
        at: step.at.map(at => shiftedIndexOf(at, copy)),
        output: kernel.outputs[step.output]!,
        name: scope.accessNames[kernel.operands.length + step.output]!,
      })),
    );
    const values = render(
      scope,
      stores.map(store => store.body),
    );
    // All bodies are evaluated before the first store: one may read what another replaces.
    const ready = values.map((value, i): Text =>
      group.length > 1 && values.length > 1
        ? declare(scope, 'value', rounded(asNumber(value), stores[i]!))
        : rounded(asNumber(value), stores[i]!),
    );
    stores.forEach(({ step, at, output, name }, i) => {
      const place = `${arrayOf(output.dtype)}[${addressText(scope, name, output.shape, at)}]`;
      line(scope, `${place} ${step.accumulate ? '+=' : '='} ${ready[i]!.text};`);
    });
  });
}

const shiftedIndexOf = (at: Store['at'][number], copy: Copy): Store['at'][number] => {
  const [moved] = (shifted({ kind: 'load', operand: 0, at: [at] }, copy) as Scalar & { kind: 'load' }).at;
  return moved!;
};

/** Half-precision values are held rounded. */
function rounded(value: Text, { body, output }: { readonly body: Scalar; readonly output: Access }): Text {
  const conversion = output.dtype === 'f16' ? 'to_f16' : output.dtype === 'bf16' ? 'to_bf16' : null;
  const isRounded = body.kind === 'apply' && body.instruction === conversion;
  return conversion === null || isRounded ? value : spell(conversion, [value]);
}

interface Accumulator {
  readonly start: string;
  readonly add: (accumulator: string, value: string) => string;
}

const accumulators = {
  add: { start: '0', add: (accumulator, value) => `${accumulator} += ${value};` },
  mul: { start: '1', add: (accumulator, value) => `${accumulator} *= ${value};` },
  max: { start: '-Infinity', add: (accumulator, value) => `${accumulator} = Math.max(${accumulator}, ${value});` },
  min: { start: 'Infinity', add: (accumulator, value) => `${accumulator} = Math.min(${accumulator}, ${value});` },
  argmax: null,
  argmin: null,
} satisfies Record<Combine, Accumulator | null>;

function emitReduce(scope: Scope, inner: number, group: readonly Reduce[], tile: readonly Copy[], kernel: Kernel): void {
  const reductions = group.flatMap(step =>
    tile.map(copy => {
      const body = shifted(step.body, copy);
      const accumulator = accumulators[step.combine];
      const name = fresh(
        scope,
        accumulator ? { add: 'sum', mul: 'product', max: 'largest', min: 'smallest', argmax: '', argmin: '' }[step.combine] : 'position',
      );
      const best = accumulator ? null : fresh(scope, 'best');
      line(scope, `let ${name} = ${accumulator?.start ?? '0'};`);
      if (best) line(scope, `let ${best} = ${step.combine === 'argmax' ? '-Infinity' : 'Infinity'};`);
      return { step, body, accumulator, name, best, local: step.local + copy.number * scope.localCount };
    }),
  );
  withLoops(scope, inner, group[0]!.axes, () => {
    const values = render(
      scope,
      reductions.map(reduction => reduction.body),
    ).map(asNumber);
    reductions.forEach(({ step, accumulator, name, best }, i) => {
      if (accumulator) {
        line(scope, accumulator.add(name, values[i]!.text));
        return;
      }
      const value = declare(scope, 'value', values[i]!).text;
      line(scope, `if (${value} ${step.combine === 'argmax' ? '>' : '<'} ${best}) {`);
      line(scope, `  ${best} = ${value};`);
      const position = addressText(
        scope,
        '0',
        step.axes,
        step.axes.map((_, d) => axisAt(kernel.space.length + d)),
      );
      line(scope, `  ${name} = ${position};`);
      line(scope, '}');
    });
  });
  for (const { local, name } of reductions) scope.locals.set(local, { text: name, level: scope.levels.length - 1 });
}
