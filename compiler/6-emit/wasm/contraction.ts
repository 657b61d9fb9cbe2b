/**
 * What a kernel is as sums of products: matrix products, convolutions, einsums and the gradients of all of them. Of
 * `out[space] = f(Σ over reduce of X · Y)` the axes that only X depends on are rows or columns of a matrix, those of Y the others, and
 * what both or neither depend on are independent products.
 */
import { type Affine } from '../../ir/affine.ts';
import { size, type Shape } from '../../ir/type.ts';
import { dtypeOf, timesOf, valuesIn, type LinearKernel, type Reduce, type Store, type Value } from '../linear.ts';
import { axesOf, sumOfProducts } from '../product.ts';
import { packedRows, tileBytes, tileColumns, tileRows } from './micro-kernel.ts';

/** One factor's own axes. */
export interface Side {
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
  /** By access: elements that loads reach beyond its end, at the edges of tiles. */
  readonly overreach: ReadonlyMap<number, number>;
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
  const found = sumOfProducts(kernel);
  if (found === null || dtypeOf(found.reduce.body) !== 'f32') return null;
  const { reduce, stores, factors } = found;
  const rank = kernel.space.length;
  const space = kernel.space.map((_, axis) => axis);
  const sides = factors.map(({ value, axes }) => side(value, axes, kernel, stores));
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
  const overreach = overreachOf([rows, columns], kernel);
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
export const panelsOf = (each: Side, kernel: LinearKernel): number => each.panels * size(each.apart.map(axis => kernel.space[axis]!));

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

export const isPlain = (value: Value): value is Value & { kind: 'load' } =>
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

/**
 * By access: how many elements beyond its end loads reach where the last panel runs over the edge. Positions along the tiled axes are
 * digits, of which the first one has no end (`placesApart`); no load is at a position that the panels do not have.
 */
function overreachOf(sides: readonly Side[], kernel: LinearKernel): ReadonlyMap<number, number> {
  const result = new Map<number, number>();
  for (const each of sides) {
    const extents = each.tiled.map(axis => kernel.space[axis]!);
    const end = (each.panels - 1) * each.width + each.packed;
    for (const part of valuesIn([each.factor])) {
      if (part.kind !== 'load') continue;
      const times = each.tiled.map(axis => timesOf(part.address.flat, axis));
      const inside = extents.reduce((sum, extent, i) => sum + (extent - 1) * times[i]!, 0);
      for (let position = each.extent; position < end; position++) {
        const beyond = addressAt(position, extents, times) - inside;
        if (beyond > (result.get(part.access) ?? 0)) result.set(part.access, beyond);
      }
    }
  }
  return result;
}

/** Where a position along the tiled axes lies, the first of which goes on beyond its extent. */
function addressAt(position: number, extents: Shape, times: readonly number[]): number {
  let rest = position;
  let address = 0;
  for (let i = extents.length - 1; i >= 0; i--) {
    address += times[i]! * (i === 0 ? rest : rest % extents[i]!);
    rest = Math.floor(rest / extents[i]!);
  }
  return address;
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

/** Whether the tiled axes of a side are one for its factor, too. */
export const isRegular = (tiled: readonly number[], { address }: Value & { kind: 'load' }, kernel: LinearKernel): boolean =>
  tiled.every((axis, i) => {
    const next = tiled[i + 1];
    return next === undefined || timesOf(address.flat, axis) === kernel.space[next]! * timesOf(address.flat, next);
  });
