/**
 * Sums of products as tiles: matrix products, convolutions, einsums and the gradients of all of them. Of a kernel
 * `out[space] = f(Σ over reduce of X · Y)` the axes that only X depends on are rows or columns of a matrix, those of Y the others, and
 * what both or neither depend on are independent products. X and Y are packed through their affine addresses into panels, a
 * micro-kernel adds up a tile, and everything that the kernel does with the sums is done on the tile.
 */
import { affine, type Affine } from '../../ir/affine.ts';
import { size, type Shape } from '../../ir/type.ts';
import { at, build, call, get, i32, laneAt, op, set, shuffle32, type Expression, type Func, type Local } from './code.ts';
import { bind, emit, evaluate, keep, loop, newFrame, scalarIndex, sideBySide, store, type Frame } from './lanes.ts';
import { mapIndices, timesOf, valuesIn, type LinearKernel, type Reduce, type Store, type Value } from './linear.ts';
import { stored, unitOf } from './loops.ts';
import { packedRows, tileBytes, tileColumns, tileRows } from './micro-kernel.ts';

/** One factor's own axes. */
interface Side {
  readonly factor: Value;
  /** Axes that are one in all that is done with the sums: the tile runs along them. The last stands for all of them. */
  readonly tiled: readonly number[];
  readonly extent: number;
  /** The side's other axes: panels follow one another over all of their positions. */
  readonly apart: readonly number[];
  /** Elements that a panel is wide. */
  readonly width: number;
  /** Elements that are packed for each k: the width in whole vectors. */
  readonly packed: number;
  /** Panels for one position of the axes apart. */
  readonly panels: number;
}

export interface Contraction {
  readonly kernel: LinearKernel;
  readonly reduce: Reduce;
  readonly stores: readonly Store[];
  readonly rows: Side;
  readonly columns: Side;
  /** Axes of both factors or of none: loops around the matrices. */
  readonly outer: readonly number[];
  /** Panels of rows and of columns that are treated at a time. */
  readonly block: { readonly rows: number; readonly columns: number; readonly k: KBlock };
  /** Whether the rows are packed once, for all that a thread does. */
  readonly rowsOnce: boolean;
  /** Bytes of a thread's own memory that it needs. */
  readonly scratch: number;
  /** Bytes that loads reach beyond the end of an access, at the edges of tiles. */
  readonly overreach: number;
}

/** The sum is taken in pieces: `chunk` positions of one axis at a time, with all of the axes within it. */
interface KBlock {
  readonly axis: number;
  readonly chunk: number;
  readonly inner: number;
  readonly count: number;
}

/** Products smaller than this do not repay packing. */
const fewestProducts = 8192;
const most = { k: 256, rows: 192, columns: 512 };
/** Elements of a side that may be packed once and kept. */
const keptElements = 1 << 19;
/** Ways to cut a side that are looked at. */
const mostCuts = 8;

/** What a kernel is as a contraction, or null where it is none or too small to be treated as one. */
export function contraction(kernel: LinearKernel): Contraction | null {
  const [reduce, ...stores] = kernel.steps;
  if (reduce?.kind !== 'reduce' || reduce.combine !== 'add' || reduce.axes.length === 0 || stores.length === 0) return null;
  if (!stores.every((step): step is Store => step.kind === 'store' && step.axes.length === 0 && !step.accumulate)) return null;
  const { body } = reduce;
  if (body.kind !== 'apply' || body.instruction !== 'mul' || body.dtype !== 'f32') return null;
  const [x, y] = body.arguments as [Value, Value];
  const rank = kernel.space.length;
  const space = kernel.space.map((_, axis) => axis);
  const [usesX, usesY] = [axesOf(x), axesOf(y)];
  const onlyX = space.filter(axis => usesX.has(axis) && !usesY.has(axis));
  const onlyY = space.filter(axis => usesY.has(axis) && !usesX.has(axis));
  const sides = [side(x, onlyX, kernel, stores), side(y, onlyY, kernel, stores)];
  if (sides.some(each => each === null)) return null;
  const [a, b] = sides as [Unsized, Unsized];
  const dense = (each: Unsized): boolean => timesOf(stores[0]!.address.flat, each.tiled.at(-1)!) === 1;
  const columnsFirst = dense(a) ? true : dense(b) ? false : a.extent > b.extent;
  const columns = withWidth(columnsFirst ? a : b, tileColumns, tileColumns);
  const rows = withWidth(columnsFirst ? b : a, tileRows, packedRows);
  const count = size(reduce.axes);
  if (size(kernel.space) * count < fewestProducts || columns.extent < 4 || rows.extent < 2 || count < 4) return null;
  for (const each of [rows, columns]) if (!packable(each)) return null;
  const outer = space.filter(axis => ![rows, columns].some(each => each.tiled.includes(axis) || each.apart.includes(axis)));
  const k = kBlock(reduce.axes, rank);
  const loops = size(outer.map(axis => kernel.space[axis]!));
  const rowPanels = panelsOf(rows, kernel);
  const block = blocks(rowPanels, panelsOf(columns, kernel), loops);
  const single = k.count === 1;
  const rowsUsed = axesOf(rows.factor);
  const rowsOnce =
    block.rows >= rowPanels && !outer.some(axis => rowsUsed.has(axis)) && single && rowPanels * tileRows * count <= keptElements;
  const kSize = k.chunk * k.inner;
  const tiles = single ? 1 : block.rows * block.columns;
  const scratch = 4 * kSize * (block.rows * packedRows + block.columns * tileColumns) + tiles * tileBytes;
  const overreach = Math.max(...[rows, columns].map(each => reachOf(each, kernel)));
  return { kernel, reduce, stores, rows, columns, outer, block: { ...block, k }, rowsOnce, scratch, overreach };
}

type Unsized = Omit<Side, 'width' | 'packed' | 'panels'>;
const withWidth = (each: Unsized, width: number, packed: number): Side => ({
  ...each,
  width,
  packed,
  panels: Math.ceil(each.extent / width),
});
/** Of a side in all. */
const panelsOf = (each: Side, kernel: LinearKernel): number => each.panels * size(each.apart.map(axis => kernel.space[axis]!));

function axesOf(value: Value): ReadonlySet<number> {
  const axes = new Set<number>();
  const add = (index: Affine): void => index.terms.forEach(term => axes.add(term.axis));
  for (const part of valuesIn([value])) {
    if (part.kind === 'index') add(part.index);
    if (part.kind === 'guard') part.at.forEach(check => add(check.index));
    if (part.kind !== 'load') continue;
    add(part.address.flat);
    part.address.divided.forEach(each => add(each.index));
  }
  return axes;
}

/** The last axes of a side that are one for every store and all that is loaded with it. */
function side(factor: Value, own: readonly number[], kernel: LinearKernel, stores: readonly Store[]): Unsized | null {
  if (own.length === 0) return null;
  const tiled = [own.at(-1)!];
  const indices = stores.flatMap(step => [step.address.flat, ...affinesIn(step.body)]);
  for (const axis of own.slice(0, -1).reverse()) {
    const inner = tiled[0]!;
    if (!indices.every(index => index.divisor === 1 && timesOf(index, axis) === kernel.space[inner]! * timesOf(index, inner))) break;
    tiled.unshift(axis);
  }
  const cut = betterByRows(factor, tiled, kernel) ? tiled.slice(-1) : tiled;
  return { factor, tiled: cut, apart: own.filter(axis => !cut.includes(axis)), extent: size(cut.map(axis => kernel.space[axis]!)) };
}

/**
 * Whether panels should end with the rows of an image: where rows are no whole vectors, every other vector would run over the end of one
 * and be loaded lane by lane. Not where that would leave much of each panel empty.
 */
function betterByRows(factor: Value, tiled: readonly number[], kernel: LinearKernel): boolean {
  if (tiled.length === 1 || !isPlain(factor) || isRegular(tiled, factor, kernel)) return false;
  const last = tiled.at(-1)!;
  const row = kernel.space[last]!;
  const all = size(tiled.map(axis => kernel.space[axis]!));
  const padded = (extent: number): number => Math.ceil(extent / tileColumns) * tileColumns;
  return timesOf(factor.address.flat, last) === 1 && row % 4 !== 0 && padded(row) * (all / row) <= 1.15 * padded(all);
}

const affinesIn = (value: Value): readonly Affine[] =>
  valuesIn([value]).flatMap(part =>
    part.kind === 'index'
      ? [part.index]
      : part.kind === 'guard'
        ? part.at.map(check => check.index)
        : part.kind === 'load'
          ? [part.address.flat, ...part.address.divided.map(each => each.index)]
          : [],
  );

const isPlain = (value: Value): value is Value & { kind: 'load' } =>
  value.kind === 'load' && value.dtype === 'f32' && value.address.gathered.length === 0 && value.address.divided.length === 0;

/** Plain loads at any address; other expressions where the tiled axes are one for them too. */
function packable(each: Side): boolean {
  if (isPlain(each.factor)) return each.tiled.every(axis => timesOf((each.factor as Value & { kind: 'load' }).address.flat, axis) >= 0);
  return (
    each.tiled.length === 1 &&
    valuesIn([each.factor]).every(
      part =>
        part.kind !== 'guard' &&
        (part.kind !== 'load' ||
          (part.address.gathered.length === 0 &&
            part.address.divided.length === 0 &&
            each.tiled.every(axis => timesOf(part.address.flat, axis) >= 0))),
    )
  );
}

/** How far beyond its end a load can reach when a panel runs over the edge. */
function reachOf(each: Side, kernel: LinearKernel): number {
  const loads = valuesIn([each.factor]).filter(part => part.kind === 'load');
  return Math.max(
    0,
    ...loads.map(part => {
      const times = each.tiled.map(axis => timesOf(part.address.flat, axis));
      const [first] = each.tiled;
      return (
        4 *
        ((each.packed + tileColumns) * times.at(-1)! +
          (each.tiled.length > 1 ? times[0]! * (1 + Math.ceil((each.packed * kernel.space[first!]!) / each.extent)) : 0))
      );
    }),
  );
}

function kBlock(axes: Shape, rank: number): KBlock {
  let inner = 1;
  let axis = axes.length - 1;
  while (axis > 0 && inner * axes[axis]! <= most.k / 2) inner *= axes[axis--]!;
  const whole = Math.max(1, Math.floor(most.k / inner));
  const pieces = Math.ceil(axes[axis]! / whole);
  const chunk = Math.ceil(axes[axis]! / pieces);
  return { axis: rank + axis, chunk, inner, count: size(axes.slice(0, axis)) * Math.ceil(axes[axis]! / chunk) };
}

/**
 * Blocks in panels, no larger than a thread's caches allow: of all ways to cut, the one that is fastest in the mean over one, two and
 * eight threads. Every block of columns packs the rows again, every block of rows the columns; packing an element takes about as long as
 * sixteen products with it.
 */
function blocks(rows: number, columns: number, loops: number): { readonly rows: number; readonly columns: number } {
  const cuts = (panels: number, largest: number): readonly number[] => {
    const fewest = Math.ceil(panels / largest);
    return Array.from({ length: Math.min(mostCuts, panels) }, (_, i) => fewest + i);
  };
  const [height, width] = [rows * tileRows, columns * tileColumns];
  let best = { rows, columns };
  let least = Infinity;
  for (const byRows of cuts(rows, most.rows / tileRows)) {
    for (const byColumns of cuts(columns, most.columns / tileColumns)) {
      const [blockRows, blockColumns] = [Math.ceil(rows / byRows), Math.ceil(columns / byColumns)];
      const count = loops * Math.ceil(rows / blockRows) * Math.ceil(columns / blockColumns);
      const work = (height * width) / 16 + height * byColumns + width * byRows;
      const cost = work * [1, 2, 8].reduce((sum, threads) => sum + threads / Math.min(threads, count), 0);
      if (cost >= least) continue;
      best = { rows: blockRows, columns: blockColumns };
      least = cost;
    }
  }
  return best;
}

/** Numbers of axes that are no axes of the kernel: loops over units, panels and tiles. */
const unitAxis = -1;
const rowPanel = -2;
const columnPanel = -3;

/** Parameters as of `kernelFunction`, and before the last two the address of the thread's own memory. */
export function contractionFunction(what: Contraction): Func {
  const { kernel, rows, columns, outer, block } = what;
  const builder = build(kernel.name, [...kernel.dtypes.map(() => 'i32' as const), 'i32', 'i32', 'i32']);
  const bases = builder.parameters.slice(0, kernel.dtypes.length);
  const [memory, thread, threads] = builder.parameters.slice(-3) as [Local, Local, Local];
  const frame = newFrame(builder, kernel, bases);
  const kSize = block.k.chunk * block.k.inner;
  const left = get(memory);
  const right = get(keep(frame, 'i32', op('i32.add', get(memory), i32(4 * kSize * block.rows * packedRows))));
  const tiles = get(keep(frame, 'i32', op('i32.add', right, i32(4 * kSize * block.columns * tileColumns))));
  const [rowPanels, columnPanels] = [panelsOf(rows, kernel), panelsOf(columns, kernel)];
  const rowBlocks = Math.ceil(rowPanels / block.rows);
  const columnBlocks = Math.ceil(columnPanels / block.columns);
  const units = size(outer.map(axis => kernel.space[axis]!)) * columnBlocks * rowBlocks;
  const begin = keep(frame, 'i32', unitOf(units, get(thread), threads));
  const end = keep(frame, 'i32', unitOf(units, op('i32.add', get(thread), i32(1)), threads));
  const single = block.k.count === 1;
  if (what.rowsOnce) {
    const once = nestedStatements(frame, () => {
      const all: Panels = { from: keep(frame, 'i32', op('i32.and', get(begin), i32(0))), count: keep(frame, 'i32', i32(rowPanels)) };
      withK(frame, what, (from, to) => pack(frame, what, rows, left, all, from, to));
    });
    emit(frame, { kind: 'if', condition: op('i32.lt_s', get(begin), get(end)), then: once, otherwise: [] });
  }
  loop(frame, unitAxis, { from: get(begin), to: get(end), step: 1, lanes: false, certain: false }, () => {
    const unit = frame.axes.get(unitAxis)!.local;
    const take = digits(frame, get(unit), units);
    for (const axis of outer) bind(frame, axis, take(kernel.space[axis]!));
    const columnNumber = take(columnBlocks);
    const rowNumber = take(rowBlocks);
    const ofBlock = (number: Local, width: number, all: number): Panels => {
      const from = keep(frame, 'i32', op('i32.mul', get(number), i32(width)));
      return { from, count: limited(frame, op('i32.sub', i32(all), get(from)), width) };
    };
    const rowsHere = ofBlock(rowNumber, block.rows, rowPanels);
    const columnsHere = ofBlock(columnNumber, block.columns, columnPanels);
    const fresh = keep(frame, 'i32', i32(1));
    withK(frame, what, (from, to) => {
      const packColumns = (): void => pack(frame, what, columns, right, columnsHere, from, to);
      // Units run along the rows first: with all of k in one block the columns are there already.
      if (single && rowBlocks > 1)
        emit(frame, {
          kind: 'if',
          condition: op('i32.or', op('i32.eqz', get(rowNumber)), op('i32.eq', get(unit), get(begin))),
          then: nestedStatements(frame, packColumns),
          otherwise: [],
        });
      else packColumns();
      if (!what.rowsOnce) pack(frame, what, rows, left, rowsHere, from, to);
      const count = keep(frame, 'i32', kCount(what, from, to));
      const panel = (base: Expression, number: Expression, width: number): Expression =>
        op('i32.add', base, op('i32.mul', number, op('i32.mul', get(count), i32(4 * width))));
      eachTile(frame, what, rowsHere, columnsHere, single, (row, column, tileNumber, positions) => {
        const tile = single ? tiles : get(keep(frame, 'i32', op('i32.add', tiles, op('i32.mul', tileNumber, i32(tileBytes)))));
        emit(frame, call('micro', panel(left, row, packedRows), panel(right, column, tileColumns), tile, get(count), get(fresh)));
        if (positions) finish(frame, what, tile, positions.row, positions.column);
      });
      emit(frame, set(fresh, i32(0)));
    });
    if (!single)
      eachTile(frame, what, rowsHere, columnsHere, true, (_row, _column, tileNumber, positions) => {
        const tile = get(keep(frame, 'i32', op('i32.add', tiles, op('i32.mul', tileNumber, i32(tileBytes)))));
        finish(frame, what, tile, positions!.row, positions!.column);
      });
    for (const axis of outer) frame.axes.delete(axis);
  });
  for (const statement of frame.levels[0]!.statements) builder.emit(statement);
  return builder.finish();
}

/** Some panels of a side, one after the other. */
interface Panels {
  readonly from: Local;
  readonly count: Local;
}

/** Takes a number below `total` apart, the slowest digit first; each call tells how many values the next one has. */
function digits(frame: Frame, number: Expression, total: number): (extent: number) => Local {
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
function enterPanel(frame: Frame, what: Contraction, each: Side, panel: Expression): Local {
  if (each.apart.length === 0) return keep(frame, 'i32', op('i32.mul', panel, i32(each.width)));
  const take = digits(frame, panel, panelsOf(each, what.kernel));
  for (const axis of each.apart) bind(frame, axis, take(what.kernel.space[axis]!));
  return keep(frame, 'i32', op('i32.mul', get(take(each.panels)), i32(each.width)));
}

const leavePanel = (frame: Frame, each: Side): void => each.apart.forEach(axis => frame.axes.delete(axis));

function nestedStatements(frame: Frame, make: () => void): readonly Expression[] {
  frame.levels.push({ statements: [], known: new Map() });
  make();
  return frame.levels.pop()!.statements;
}

function limited(frame: Frame, value: Expression, limit: number): Local {
  const kept = keep(frame, 'i32', value);
  emit(frame, { kind: 'if', condition: op('i32.gt_s', get(kept), i32(limit)), then: [set(kept, i32(limit))], otherwise: [] });
  return kept;
}

/** Loops over the blocks of k: `from` and `to` are positions of the axis that is cut. */
function withK(frame: Frame, what: Contraction, body: (from: Local, to: Local) => void): void {
  const { axis, chunk } = what.block.k;
  const rank = what.kernel.space.length;
  const extent = what.reduce.axes[axis - rank]!;
  const around = (number: number): void => {
    if (rank + number < axis) {
      loop(frame, rank + number, { from: i32(0), to: i32(what.reduce.axes[number]!), step: 1, lanes: false, certain: true }, () =>
        around(number + 1),
      );
      return;
    }
    if (chunk >= extent) {
      body(keep(frame, 'i32', op('i32.mul', i32(0), i32(0))), keep(frame, 'i32', i32(extent)));
      return;
    }
    loop(frame, axis, { from: i32(0), to: i32(extent), step: chunk, lanes: false, certain: true }, () => {
      const from = frame.axes.get(axis)!.local;
      body(from, limited(frame, op('i32.add', get(from), i32(chunk)), extent));
    });
  };
  around(0);
}

const kCount = (what: Contraction, from: Local, to: Local): Expression =>
  op('i32.mul', op('i32.sub', get(to), get(from)), i32(what.block.k.inner));

/** Loops over the tiles of some panels, columns outside; `entered` binds the axes of the sides, too. */
function eachTile(
  frame: Frame,
  what: Contraction,
  rows: Panels,
  columns: Panels,
  entered: boolean,
  body: (row: Expression, column: Expression, tile: Expression, positions: { readonly row: Local; readonly column: Local } | null) => void,
): void {
  loop(frame, columnPanel, { from: i32(0), to: get(columns.count), step: 1, lanes: false, certain: true }, () => {
    const column = get(frame.axes.get(columnPanel)!.local);
    const firstColumn = entered ? enterPanel(frame, what, what.columns, op('i32.add', get(columns.from), column)) : null;
    loop(frame, rowPanel, { from: i32(0), to: get(rows.count), step: 1, lanes: false, certain: true }, () => {
      const row = get(frame.axes.get(rowPanel)!.local);
      const firstRow = entered ? enterPanel(frame, what, what.rows, op('i32.add', get(rows.from), row)) : null;
      body(
        row,
        column,
        op('i32.add', op('i32.mul', column, get(rows.count)), row),
        firstRow && firstColumn && { row: firstRow, column: firstColumn },
      );
      leavePanel(frame, what.rows);
    });
    leavePanel(frame, what.columns);
  });
}

/** What the kernel does with its sums, on the part of a tile that lies inside. */
function finish(frame: Frame, what: Contraction, tile: Expression, firstRow: Local, firstColumn: Local): void {
  const { rows, columns, reduce } = what;
  const row = rows.tiled.at(-1)!;
  const column = columns.tiled.at(-1)!;
  const merged = new Set([...rows.tiled.slice(0, -1), ...columns.tiled.slice(0, -1)]);
  const stores = what.stores.map(step =>
    mapIndices(step, index =>
      affine(
        index.terms.filter(term => !merged.has(term.axis)),
        index.offset,
        index.divisor,
      ),
    ),
  );
  const lastRow = limited(frame, op('i32.add', get(firstRow), i32(tileRows)), rows.extent);
  const lastColumn = limited(frame, op('i32.add', get(firstColumn), i32(tileColumns)), columns.extent);
  loop(frame, row, { from: get(firstRow), to: get(lastRow), step: 1, lanes: false, certain: true }, () => {
    const here = frame.axes.get(row)!.local;
    const line = keep(
      frame,
      'i32',
      op(
        'i32.sub',
        op('i32.add', tile, op('i32.mul', op('i32.sub', get(here), get(firstRow)), i32(4 * tileColumns))),
        op('i32.shl', get(firstColumn), i32(2)),
      ),
    );
    const evaluated = (lanes: boolean, shift: number): readonly Local[] => {
      const position = frame.axes.get(column)!.local;
      const from = op('i32.add', get(line), op('i32.shl', get(position), i32(2)));
      const sum = keep(frame, 'v128', at(lanes ? 'v128.load' : 'v128.load32_splat', 4 * shift, from));
      frame.locals.set(reduce.local, { local: sum, level: frame.levels.length - 1 });
      return stores.map(step => keep(frame, 'v128', stored(frame, step)));
    };
    const write = (values: readonly Local[], number: number): void => {
      const step = stores[number]!;
      store(frame, step.access, step.address, get(values[number]!), false);
    };
    const whole = nestedStatements(frame, () =>
      sideBySide(
        frame,
        column,
        { from: get(firstColumn), to: get(lastColumn), certain: true },
        tileColumns / 4,
        stores.length,
        copy => evaluated(true, 4 * copy),
        write,
      ),
    );
    const edge = nestedStatements(frame, () => {
      const vectors = keep(
        frame,
        'i32',
        op('i32.add', get(firstColumn), op('i32.and', op('i32.sub', get(lastColumn), get(firstColumn)), i32(-4))),
      );
      const one = (lanes: boolean): void => {
        const values = evaluated(lanes, 0);
        stores.forEach((_, number) => write(values, number));
      };
      loop(frame, column, { from: get(firstColumn), to: get(vectors), step: 4, lanes: true, certain: false }, () => one(true));
      loop(frame, column, { from: get(vectors), to: get(lastColumn), step: 1, lanes: false, certain: false }, () => one(false));
    });
    emit(frame, {
      kind: 'if',
      condition: op('i32.eq', op('i32.sub', get(lastColumn), get(firstColumn)), i32(tileColumns)),
      then: whole,
      otherwise: edge,
    });
  });
}

/** Packs some panels of a side over the block of k: for each k, the panel's width of neighbours. */
function pack(frame: Frame, what: Contraction, each: Side, target: Expression, panels: Panels, kFrom: Local, kTo: Local): void {
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

/** Whether the tiled axes of a side are one for its factor, too. */
const isRegular = (tiled: readonly number[], { address }: Value & { kind: 'load' }, kernel: LinearKernel): boolean =>
  tiled.every((axis, i) => {
    const next = tiled[i + 1];
    return next === undefined || timesOf(address.flat, axis) === kernel.space[next]! * timesOf(address.flat, next);
  });

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
  const start = keep(frame, 'i32', scalarIndex(frame, constant, 4, get(frame.bases[factor.access]!), level));
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
