/**
 * Packing: the factors of a product, gathered through their affine addresses into panels that the micro-kernel reads from end to end.
 * A convolution is packed from the image as it is; transposed factors are transposed four by four.
 */
import { affine, type Affine } from '../../ir/affine.ts';
import { size } from '../../ir/type.ts';
import { at, get, i32, laneAt, op, set, shuffle32, type Expression, type Local } from './code.ts';
import { isPlain, isRegular, panelsOf, type Contraction, type Side } from './contraction.ts';
import { bind, emit, evaluate, keep, loop, scalarIndex, type Frame } from './lanes.ts';
import { timesOf, type LinearKernel, type Value } from '../linear.ts';
import { tileRows } from './micro-kernel.ts';

/** Numbers of axes that are no axes of the kernel: loops over panels, and over tiles. */
export const rowPanel = -2;
export const columnPanel = -3;

/** Some panels of a side, one after the other. */
export interface Panels {
  readonly from: Local;
  readonly count: Local;
}

/** Takes a number below `total` apart, the slowest digit first; each call tells how many values the next one has. */
export function digits(frame: Frame, number: Expression, total: number): (extent: number) => Local {
  let rest = number;
  let stride = total;
  return extent => {
    stride /= extent;
    const own = keep(frame, 'i32', stride === 1 ? op('i32.add', rest, i32(0)) : op('i32.div_u', rest, i32(stride)));
    rest = stride === 1 ? i32(0) : get(keep(frame, 'i32', op('i32.sub', rest, op('i32.mul', get(own), i32(stride)))));
    return own;
  };
}

/** Binds a side's axes apart for a panel, and gives the panel's first position along the tiled ones. */
export function enterPanel(frame: Frame, what: Contraction, each: Side, panel: Expression): Local {
  if (each.apart.length === 0) return keep(frame, 'i32', op('i32.mul', panel, i32(each.width)));
  const take = digits(frame, panel, panelsOf(each, what.kernel));
  for (const axis of each.apart) bind(frame, axis, take(what.kernel.space[axis]!));
  return keep(frame, 'i32', op('i32.mul', get(take(each.panels)), i32(each.width)));
}

export const leavePanel = (frame: Frame, each: Side): void => each.apart.forEach(axis => frame.axes.delete(axis));

export const kCount = (what: Contraction, from: Local, to: Local): Expression =>
  op('i32.mul', op('i32.sub', get(to), get(from)), i32(what.block.k.inner));

/** Packs some panels of a side over the block of k: for each k, the panel's width of neighbours. */
export function pack(frame: Frame, what: Contraction, each: Side, target: Expression, panels: Panels, kFrom: Local, kTo: Local): void {
  const bytes = keep(frame, 'i32', op('i32.mul', kCount(what, kFrom, kTo), i32(4 * each.packed)));
  const axis = each.width === tileRows ? rowPanel : columnPanel;
  const { factor } = each;
  const one = (together: number): void => {
    const panel = get(frame.axes.get(axis)!.local);
    const first = enterPanel(frame, what, each, op('i32.add', get(panels.from), panel));
    const to = keep(frame, 'i32', op('i32.add', target, op('i32.mul', panel, get(bytes))));
    const targets = Array.from({ length: together }, (_, i) =>
      i === 0 ? to : keep(frame, 'i32', op('i32.add', get(to), op('i32.mul', get(bytes), i32(i)))),
    );
    if (isPlain(factor)) packLoads(frame, what, each, factor, first, targets, kFrom, kTo);
    else packValues(frame, what, each, first, to, kFrom, kTo);
    leavePanel(frame, each);
  };
  // Narrow panels that lie side by side are packed together: one is less than a cache line.
  const beside =
    isPlain(factor) &&
    each.apart.length === 0 &&
    isRegular(each.tiled, factor, what.kernel) &&
    timesOf(factor.address.flat, each.tiled.at(-1)!) === 1;
  const together = beside && each.width === tileRows ? 4 : 1;
  const rest = together === 1 ? i32(0) : get(keep(frame, 'i32', op('i32.and', get(panels.count), i32(-together))));
  if (together > 1) loop(frame, axis, { from: i32(0), to: rest, step: together, lanes: false, certain: false }, () => one(together));
  loop(frame, axis, { from: rest, to: get(panels.count), step: 1, lanes: false, certain: together === 1 }, () => one(1));
}

/** An axis of k as one factor sees it: axes that are one for it are one loop. */
interface KAxis {
  readonly number: number;
  readonly extent: number;
  readonly times: number;
  /** Positions of this axis for one of the axis along which k is cut, where it begins there. */
  readonly scale: number | null;
}

/** The axes of k within a block, merged where the factor's address allows. */
function kAxesOf(what: Contraction, flat: Affine): readonly KAxis[] {
  const rank = what.kernel.space.length;
  const axes: KAxis[] = [];
  for (let axis = what.block.k.axis; axis < rank + what.reduce.axes.length; axis++) {
    const extent = what.reduce.axes[axis - rank]!;
    const times = timesOf(flat, axis);
    const before = axes.at(-1);
    const cut = axis === what.block.k.axis;
    if (before && before.times === extent * times)
      axes[axes.length - 1] = {
        number: axis,
        extent: before.extent * extent,
        times,
        scale: before.scale === null ? null : before.scale * extent,
      };
    else axes.push({ number: axis, extent, times, scale: cut ? 1 : null });
  }
  return axes;
}

/** Loops over axes of k in a block; the innermost is left to `inner`. */
function overK(
  frame: Frame,
  axes: readonly KAxis[],
  kFrom: Local,
  kTo: Local,
  inner: (axis: KAxis, from: Expression, to: Expression) => void,
): void {
  const [first, ...rest] = axes as readonly [KAxis, ...KAxis[]];
  const bound = (position: Local): Expression =>
    first.scale === null || first.scale === 1 ? get(position) : get(keep(frame, 'i32', op('i32.mul', get(position), i32(first.scale))));
  const [from, to] = first.scale === null ? [i32(0), i32(first.extent)] : [bound(kFrom), bound(kTo)];
  if (rest.length === 0) inner(first, from, to);
  else loop(frame, first.number, { from, to, step: 1, lanes: false, certain: true }, () => overK(frame, rest, kFrom, kTo, inner));
}

function packValues(frame: Frame, what: Contraction, each: Side, first: Local, target: Local, kFrom: Local, kTo: Local): void {
  const [axis] = each.tiled as readonly [number];
  const rank = what.kernel.space.length;
  const axes = what.reduce.axes
    .slice(what.block.k.axis - rank)
    .map((extent, i): KAxis => ({ number: what.block.k.axis + i, extent, times: 0, scale: i === 0 ? 1 : null }));
  overK(frame, axes, kFrom, kTo, ({ number: k }, from, to) =>
    loop(frame, k, { from, to, step: 1, lanes: false, certain: true }, () => {
      for (let group = 0; group < each.packed; group += 4) {
        frame.levels.push({ statements: frame.levels.at(-1)!.statements, known: new Map() });
        frame.axes.set(axis, { level: frame.levels.length - 1, local: first, shift: group, lanes: true });
        emit(frame, at('v128.store', group * 4, get(target), evaluate(frame, each.factor)));
        frame.axes.delete(axis);
        frame.levels.pop();
      }
      emit(frame, set(target, op('i32.add', get(target), i32(4 * each.packed))));
    }),
  );
}

function packLoads(
  frame: Frame,
  what: Contraction,
  each: Side,
  factor: Value & { kind: 'load' },
  first: Local,
  targets: readonly Local[],
  kFrom: Local,
  kTo: Local,
): void {
  const { kernel } = what;
  const rank = kernel.space.length;
  const { flat } = factor.address;
  const level = frame.levels.length - 1;
  const constant = affine(
    flat.terms.filter(term => term.axis < rank && !each.tiled.includes(term.axis)),
    flat.offset,
  );
  const axes = kAxesOf(what, flat);
  // The axes of k outside of the block, and those within it.
  const alongK = affine([
    ...flat.terms.filter(term => term.axis >= rank && term.axis < what.block.k.axis),
    ...axes.map(axis => ({ axis: axis.number, times: axis.times })),
  ]);
  const start = keep(frame, 'i32', scalarIndex(frame, constant, 4, frame.bases[factor.access]!, level));
  const times = each.tiled.map(axis => timesOf(flat, axis));
  const regular = isRegular(each.tiled, factor, kernel);
  const [target] = targets as readonly [Local];
  const stride = times.at(-1)!;
  const last = axes.at(-1)!;
  const alongRows = last.times === 1 && stride !== 1 && last.extent >= 4;
  // Where each column of the panel begins.
  const places: Local[] = [];
  if (regular) {
    const begin = keep(frame, 'i32', op('i32.add', get(start), op('i32.mul', get(first), i32(4 * stride))));
    for (let j = 0; j < each.packed; j++)
      places.push(j === 0 || stride === 1 ? begin : keep(frame, 'i32', op('i32.add', get(begin), i32(4 * stride * j))));
  } else placesApart(frame, kernel, each, times, start, first, places);
  const address = (j: number, k: Expression): Expression => op('i32.add', get(places[j]!), k);
  const dense =
    stride === 1 && !regular
      ? Array.from({ length: each.packed / 4 }, (_, group) =>
          keep(frame, 'i32', op('i32.eq', op('i32.sub', get(places[4 * group + 3]!), get(places[4 * group]!)), i32(12))),
        )
      : [];
  const byLanes = (group: number, k: Expression, result: Local): Expression[] =>
    [0, 1, 2, 3].map(j =>
      set(
        result,
        j === 0
          ? at('v128.load32_zero', 0, address(4 * group, k))
          : laneAt('v128.load32_lane', j, 0, address(4 * group + j, k), get(result)),
      ),
    );
  const advance = (bytes: number): void => targets.forEach(panel => emit(frame, set(panel, op('i32.add', get(panel), i32(bytes)))));
  const single = (k: Local): void => {
    if (stride === 1 && regular) {
      targets.forEach((panel, number) => {
        for (let group = 0; group < each.packed / 4; group++)
          emit(frame, at('v128.store', 16 * group, get(panel), at('v128.load', 4 * number * each.width + 16 * group, address(0, get(k)))));
      });
      advance(4 * each.packed);
      return;
    }
    for (let group = 0; group < each.packed / 4; group++) {
      const whole = at('v128.load', 0, address(4 * group, get(k)));
      const result = frame.builder.local('v128');
      if (stride === 1)
        emit(frame, { kind: 'if', condition: get(dense[group]!), then: [set(result, whole)], otherwise: byLanes(group, get(k), result) });
      else byLanes(group, get(k), result).forEach(statement => emit(frame, statement));
      emit(frame, at('v128.store', 16 * group, get(target), get(result)));
    }
    advance(4 * each.packed);
  };
  const kOffset = (): Local => keep(frame, 'i32', scalarIndex(frame, alongK, 4, null, frame.levels.length - 1));
  overK(frame, axes, kFrom, kTo, ({ number: axis }, from, to) => {
    if (!alongRows) {
      loop(frame, axis, { from, to, step: 1, lanes: false, certain: true }, () => single(kOffset()));
      return;
    }
    const length = keep(frame, 'i32', op('i32.sub', to, from));
    const whole = keep(frame, 'i32', op('i32.add', from, op('i32.and', get(length), i32(-4))));
    loop(frame, axis, { from, to: get(whole), step: 4, lanes: false, certain: false }, () => {
      const k = kOffset();
      for (let group = 0; group < each.packed / 4; group++)
        transpose(
          frame,
          [0, 1, 2, 3].map(j => at('v128.load', 0, address(4 * group + j, get(k)))),
          target,
          16 * group,
          4 * each.packed,
        );
      advance(16 * each.packed);
    });
    loop(frame, axis, { from: get(whole), to, step: 1, lanes: false, certain: false }, () => single(kOffset()));
  });
}

/** Four vectors along k become four vectors along the panel. */
function transpose(frame: Frame, loads: readonly Expression[], target: Local, offset: number, step: number): void {
  const [a, b, c, d] = loads.map(load => get(keep(frame, 'v128', load))) as [Expression, Expression, Expression, Expression];
  const pair = (x: Expression, y: Expression, high: boolean): Expression =>
    get(keep(frame, 'v128', shuffle32(x, y, high ? [2, 6, 3, 7] : [0, 4, 1, 5])));
  const [low, lowOther, high, highOther] = [pair(a, b, false), pair(c, d, false), pair(a, b, true), pair(c, d, true)];
  const results = [
    shuffle32(low, lowOther, [0, 1, 4, 5]),
    shuffle32(low, lowOther, [2, 3, 6, 7]),
    shuffle32(high, highOther, [0, 1, 4, 5]),
    shuffle32(high, highOther, [2, 3, 6, 7]),
  ];
  results.forEach((result, k) => emit(frame, at('v128.store', offset + k * step, get(target), result)));
}

/** The columns' addresses where the tiled axes are several for this factor: counted up, with carries. */
function placesApart(
  frame: Frame,
  kernel: LinearKernel,
  each: Side,
  times: readonly number[],
  start: Local,
  first: Local,
  places: Local[],
): void {
  const extents = each.tiled.map(axis => kernel.space[axis]!);
  const coordinates: Local[] = [];
  let rest: Expression = get(first);
  let stride = size(extents);
  for (const extent of extents) {
    stride /= extent;
    coordinates.push(keep(frame, 'i32', stride === 1 ? op('i32.add', rest, i32(0)) : op('i32.div_u', rest, i32(stride))));
    if (stride > 1) rest = get(keep(frame, 'i32', op('i32.rem_u', rest, i32(stride))));
  }
  const place = keep(
    frame,
    'i32',
    coordinates.reduce(
      (sum, coordinate, i) => op('i32.add', sum, op('i32.mul', get(coordinate), i32(4 * times[i]!))),
      get(start) as Expression,
    ),
  );
  const current = frame.builder.local('i32');
  emit(frame, set(current, get(place)));
  for (let j = 0; j < each.packed; j++) {
    places.push(keep(frame, 'i32', op('i32.add', get(current), i32(0))));
    if (j === each.packed - 1) break;
    const carry = (i: number): Expression[] => {
      const statements: Expression[] = [
        set(coordinates[i]!, op('i32.add', get(coordinates[i]!), i32(1))),
        set(current, op('i32.add', get(current), i32(4 * times[i]!))),
      ];
      if (i > 0)
        statements.push({
          kind: 'if',
          condition: op('i32.eq', get(coordinates[i]!), i32(extents[i]!)),
          then: [
            set(coordinates[i]!, i32(0)),
            set(current, op('i32.sub', get(current), i32(4 * times[i]! * extents[i]!))),
            ...carry(i - 1),
          ],
          otherwise: [],
        });
      return statements;
    };
    carry(extents.length - 1).forEach(statement => emit(frame, statement));
  }
}
