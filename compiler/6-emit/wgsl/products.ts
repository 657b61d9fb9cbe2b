/**
 * Sums of products: matrix products, convolutions, einsums and the gradients of all of them. Of `out[space] = f(Σ over reduce of X · Y)`
 * the axes that only X depends on are one side of a matrix, those of Y the other, and what both or neither depend on are independent
 * products. A workgroup computes a tile: pieces of both sides go from the memory, through whatever addresses and expressions X and Y are,
 * into memory that it shares, and every invocation adds up a small tile in registers. What the kernel does with the sums is done there.
 */
import { isFloat, size } from '../../ir/type.ts';
import { dtypeOf, timesOf, valuesIn, type LinearKernel, type Reduce, type Store, type Value } from '../linear.ts';
import { axesOf, sumOfProducts } from '../product.ts';
import { bind, bindFlat, block, emit, evaluate, fresh, isWholeAccess, keep, type Frame } from './frame.ts';
import type { GpuOptions } from './module.ts';
import { newShaderFrame, shaderOf, type Placement, type Shader } from './shader.ts';
import { converted, numeral, typeOf, type Kind } from './spelling.ts';
import { emitStores, groupsOf } from './steps.ts';

/** One factor of the products. */
export interface Side {
  readonly factor: Value;
  /** The axes of the space that it alone depends on. */
  readonly axes: readonly number[];
  readonly extent: number;
}

export interface Product {
  readonly kernel: LinearKernel;
  readonly reduce: Reduce;
  readonly stores: readonly Store[];
  readonly rows: Side;
  /** The side along which results are neighbours. */
  readonly columns: Side;
  /** Axes that count independent products. */
  readonly outer: readonly number[];
  readonly count: number;
  /** Products of a sum. */
  readonly length: number;
}

/** A workgroup has `across`² invocations, each of which adds up `own`² sums; both sides are taken `depth` products at a time. */
interface Tile {
  readonly across: number;
  readonly own: number;
  readonly depth: number;
}

/** The largest tile first; its sides stay within 16 KiB of shared memory. */
const tiles: readonly Tile[] = [
  { across: 16, own: 8, depth: 8 },
  { across: 16, own: 4, depth: 16 },
  { across: 8, own: 4, depth: 16 },
];
/** Products that a part of a sum has at least, and parts at most. */
const shortestPart = 256;
const mostParts = 64;

/** The dispatches of a kernel whose one reduction is a sum of products; null where it is none, or too small to be tiled. */
export function productShaders(kernel: LinearKernel, placement: Placement, { fewestProducts, enoughWorkgroups }: GpuOptions): readonly Shader[] | null {
  const product = productOf(kernel);
  if (product === null || size(kernel.space) * product.length < fewestProducts) return null;
  const tile = tileFor(product, enoughWorkgroups);
  const workgroups = workgroupsOf(product, tile);
  const wanted = Math.min(mostParts, Math.ceil(enoughWorkgroups / workgroups), Math.floor(product.length / shortestPart));
  if (wanted < 2) return [tileShader(product, placement, tile, 1, product.length)];
  const length = Math.ceil(product.length / wanted / tile.depth) * tile.depth;
  const parts = Math.ceil(product.length / length);
  return [tileShader(product, placement, tile, parts, length), sumShader(product, placement, parts)];
}

export function productOf(kernel: LinearKernel): Product | null {
  const found = sumOfProducts(kernel);
  if (found === null) return null;
  const { reduce, stores, factors } = found;
  const [a, b] = factors.map(({ value, axes }): Side => ({ factor: value, axes, extent: size(axes.map(axis => kernel.space[axis]!)) })) as [Side, Side];
  if (a.extent < 2 || b.extent < 2) return null;
  const isDense = ({ axes }: Side): boolean => timesOf(stores[0]!.address.flat, axes.at(-1)!) === 1;
  const columns = isDense(a) || (!isDense(b) && a.extent > b.extent) ? a : b;
  const rows = columns === a ? b : a;
  const outer = kernel.space.flatMap((_, axis) => (rows.axes.includes(axis) || columns.axes.includes(axis) ? [] : [axis]));
  return { kernel, reduce, stores, rows, columns, outer, count: size(outer.map(axis => kernel.space[axis]!)), length: size(reduce.axes) };
}

const sideOf = ({ across, own }: Tile): number => across * own;
const tilesOf = (extent: number, tile: Tile): number => Math.ceil(extent / sideOf(tile));
const workgroupsOf = ({ rows, columns, count }: Product, tile: Tile): number => count * tilesOf(rows.extent, tile) * tilesOf(columns.extent, tile);

/** The largest tile of which there are enough, and that is mostly full. */
function tileFor(product: Product, enoughWorkgroups: number): Tile {
  const { rows, columns } = product;
  return tiles.find((tile, i) => {
    const computed = tilesOf(rows.extent, tile) * tilesOf(columns.extent, tile) * sideOf(tile) ** 2;
    return i === tiles.length - 1 || (workgroupsOf(product, tile) >= enoughWorkgroups && rows.extent * columns.extent >= 0.7 * computed);
  })!;
}

/** Sums of one tile, or of one part of its products; what follows is done at once, or else the sums are left for the next dispatch. */
function tileShader(product: Product, placement: Placement, tile: Tile, parts: number, length: number): Shader {
  const { kernel, rows, columns, outer, count } = product;
  const wide = parts === 1 && storesWide(product, placement);
  const frame = newShaderFrame(kernel, placement, wide);
  for (const name of ['row_tile', 'column_tile', 'sums', 'k0', 'k', 'r', 'c', 'j', 'unit', 'x0', 'x1', 'y0', 'y1']) frame.taken.add(name);
  const workgroupSize = tile.across ** 2;
  const side = sideOf(tile);
  const [rowTiles, columnTiles] = [tilesOf(rows.extent, tile), tilesOf(columns.extent, tile)];
  const workgroups = parts * count * rowTiles * columnTiles;
  const numbers = [['column', columnTiles], ['row', rowTiles], ['number', count], ['part', parts]] as const;
  let rest = 'group';
  const [column0, row0, number, part] = numbers.map(([name, extent], i) => {
    const own = extent === 1 ? '0u' : i === numbers.length - 1 ? rest : `${rest} % ${extent}u`;
    if (extent > 1 && i < numbers.length - 1) rest = keep(frame, 'rest', `${rest} / ${extent}u`);
    return keep(frame, name, name === 'column' || name === 'row' ? `(${own}) * ${side}u` : own);
  }) as [string, string, string, string];
  bindFlat(frame, outer, outer.map(axis => kernel.space[axis]!), number);
  const [across, down] = [keep(frame, 'across', `lane % ${tile.across}u`), keep(frame, 'down', `lane / ${tile.across}u`)];
  const vectors = tile.own / 4;
  const sums = Array.from({ length: tile.own * vectors }, (_, i) => {
    emit(frame, `var sum${i} = vec4<f32>();`);
    return `sum${i}`;
  });
  const begin = keep(frame, 'begin', `${part} * ${length}u`);
  const end = keep(frame, 'end', `min(${begin} + ${length}u, ${product.length}u)`);
  block(frame, `for (var k0 = ${begin}; k0 < ${end}; k0 += ${tile.depth}u)`, () => {
    fill(frame, product, placement, rows, 'row_tile', row0, end, tile);
    fill(frame, product, placement, columns, 'column_tile', column0, end, tile);
    emit(frame, 'workgroupBarrier();');
    block(frame, `for (var k = 0u; k < ${tile.depth}u; k++)`, () => {
      const stride = strideOf(tile);
      for (let v = 0; v < vectors; v++) {
        emit(frame, `let x${v} = ${fromTile(rows, `row_tile[k * ${stride}u + ${down} + ${v * tile.across}u]`)};`);
        emit(frame, `let y${v} = ${fromTile(columns, `column_tile[k * ${stride}u + ${across} + ${v * tile.across}u]`)};`);
      }
      for (let r = 0; r < tile.own; r++)
        for (let v = 0; v < vectors; v++) {
          const sum = sums[r * vectors + v]!;
          emit(frame, `${sum} += x${r >> 2}.${'xyzw'[r & 3]!} * y${v};`);
        }
    });
    emit(frame, 'workgroupBarrier();');
  });
  emit(frame, `var sums = array<vec4<f32>, ${sums.length}>(${sums.join(', ')});`);
  // Rows and columns of an invocation lie four and four together, so that neighbours read neighbouring vectors.
  const spread = (of: string, own: string): string => `(${own} / 4u) * ${4 * tile.across}u + 4u * ${of} + ${own} % 4u`;
  block(frame, `for (var r = 0u; r < ${tile.own}u; r++)`, () => {
    const row = keep(frame, 'row', `${row0} + ${spread(down, 'r')}`);
    block(frame, `if (${row} < ${rows.extent}u)`, () => {
      if (parts === 1) bindFlat(frame, rows.axes, rows.axes.map(axis => kernel.space[axis]!), row);
      const own = wide ? vectors : tile.own;
      block(frame, `for (var c = 0u; c < ${own}u; c++)`, () => {
        const column = keep(frame, 'column', `${column0} + ${wide ? `c * ${4 * tile.across}u + 4u * ${across}` : spread(across, 'c')}`);
        const sum = keep(frame, 'sum', wide ? `sums[r * ${vectors}u + c]` : `sums[r * ${vectors}u + c / 4u][c % 4u]`);
        block(frame, `if (${column} < ${columns.extent}u)`, () => {
          if (parts > 1) {
            emit(frame, `scratch[((${part} * ${count}u + ${number}) * ${rows.extent}u + ${row}) * ${columns.extent}u + ${column}] = ${sum};`);
            return;
          }
          bindColumns(frame, product, column, wide);
          finish(frame, product, { text: sum, wide });
        });
      });
    });
  });
  const tileSize = tile.depth * strideOf(tile);
  return shaderOf(frame, {
    workgroupSize, workgroups, body: frame.levels[0]!.lines,
    shared: ([['row_tile', rows], ['column_tile', columns]] as const).map(([name, side]) => `var<workgroup> ${name}: array<${typeOf({ kind: kindOfTile(side), wide: true })}, ${tileSize}>;`),
    ...(parts > 1 ? { scratch: { elements: 'f32', bytes: 4 * parts * size(kernel.space) } } : {}),
  });
}

/** A tile of f16 values is of halves. */
const kindOfTile = ({ factor }: Side): Kind => (dtypeOf(unconverted(factor)) === 'f16' ? 'half' : 'float');
const unconverted = (factor: Value): Value => (factor.kind === 'apply' && factor.instruction === 'to_f32' ? factor.arguments[0]! : factor);
const fromTile = (side: Side, element: string): string => converted({ text: element, kind: kindOfTile(side), wide: true }, 'float').text;

/** Vectors from one k to the next: one more than there are, so that invocations that write along k do not wait for one another. */
const strideOf = (tile: Tile): number => sideOf(tile) / 4 + 1;

/** A side's piece of a tile: for each k, vectors of four neighbours; zeros beyond the ends. */
function fill(frame: Frame, product: Product, placement: Placement, side: Side, array: string, first: string, end: string, tile: Tile): void {
  const { kernel, reduce } = product;
  const workgroupSize = tile.across ** 2;
  const perK = sideOf(tile) / 4;
  const units = (perK * tile.depth) / workgroupSize;
  const rank = kernel.space.length;
  const inner = rank + reduce.axes.length - 1;
  const last = side.axes.at(-1)!;
  const { factor } = side;
  const from = unconverted(factor);
  const alongK = from.kind === 'load' && timesOf(from.address.flat, inner) === 1 && timesOf(from.address.flat, last) !== 1;
  const vector = isVector(frame, kernel, placement, side);
  const kind = kindOfTile(side);
  const type = typeOf({ kind, wide: true });
  const value = (): string => converted(evaluate(frame, kind === 'half' ? from : factor), kind).text;
  const one = (unit: string): void => {
    const k = keep(frame, 'kk', alongK ? `${unit} % ${tile.depth}u` : `${unit} / ${perK}u`);
    const at = keep(frame, 'at', alongK ? `${unit} / ${tile.depth}u` : `${unit} % ${perK}u`);
    const position = keep(frame, 'k', `k0 + ${k}`);
    const values = fresh(frame, 'piece');
    emit(frame, `var ${values} = ${type}();`);
    const numbers = reduce.axes.map((_, i) => rank + i);
    bindFlat(frame, numbers, reduce.axes, position, 'k');
    const four = keep(frame, 'i', `${first} + 4u * ${at}`);
    // Beyond the ends whatever is read is not taken: without a branch the loads need not wait for one another.
    const taken = (own: string): string => `(${position} < ${end}) & (${own} < ${side.extent}u)`;
    const bindSide = (own: string): void => bindFlat(frame, side.axes, side.axes.map(axis => kernel.space[axis]!), own);
    if (vector) {
      bindSide(four);
      bind(frame, last, frame.axes.get(last)!.name, true);
      emit(frame, `${values} = select(${type}(), ${value()}, ${taken(four)});`);
    } else {
      block(frame, 'for (var j = 0u; j < 4u; j++)', () => {
        const own = keep(frame, 'i', `${four} + j`);
        bindSide(own);
        emit(frame, `${values}[j] = select(${numeral(0, kind)}, ${value()}, ${taken(own)});`);
      });
    }
    forget(frame, [...side.axes, ...numbers]);
    emit(frame, `${array}[${k} * ${strideOf(tile)}u + ${at}] = ${values};`);
  };
  if (units === 1) one('lane');
  else block(frame, `for (var unit = lane; unit < ${units * workgroupSize}u; unit += ${workgroupSize}u)`, () => one('unit'));
}

const forget = (frame: Frame, axes: readonly number[]): void => axes.forEach(axis => frame.axes.delete(axis));

/** Whether four neighbours of a side are a vector of the memory. */
function isVector(frame: Frame, kernel: LinearKernel, placement: Placement, { factor, axes }: Side): boolean {
  const last = axes.at(-1)!;
  const from = unconverted(factor);
  if (from.kind !== 'load' || !isFloat(from.dtype) || kernel.space[last]! % 4 !== 0) return false;
  if (!frame.elements.get(frame.arrays[from.access]!)!.startsWith('vec4')) return false;
  return timesOf(from.address.flat, last) === 1 && isWholeAccess(placement.aligned[from.access]!, from.address, last);
}

/** Whether what is done with the sums can be done with four neighbouring columns at once. */
function storesWide({ kernel, stores, columns }: Product, placement: Placement): boolean {
  const last = columns.axes.at(-1)!;
  if (kernel.space[last]! % 4 !== 0 || kernel.dtypes.some(dtype => dtype === 'u8' || dtype === 'bool')) return false;
  return stores.every(store => {
    if (timesOf(store.address.flat, last) !== 1 || !isWholeAccess(placement.aligned[store.access]!, store.address, last)) return false;
    return valuesIn([store.body, ...store.address.gathered.map(part => part.value)]).every(value => {
      if (value.kind === 'index') return value.floored.every(part => part.axis !== last);
      if (value.kind !== 'load') return true;
      const { address } = value;
      const moves = [...axesOf({ ...value, address: { ...address, gathered: [] } }), ...address.gathered.flatMap(part => [...axesOf(part.value)])].includes(last);
      return !moves || (timesOf(address.flat, last) === 1 && isWholeAccess(placement.aligned[value.access]!, address, last)
        && !address.gathered.some(part => axesOf(part.value).has(last)) && !address.divided.some(part => timesOf(part.index, last) !== 0)
        && !address.floored.some(part => part.axis === last));
    });
  });
}

function bindColumns(frame: Frame, { kernel, columns }: Product, column: string, wide: boolean): void {
  bindFlat(frame, columns.axes, columns.axes.map(axis => kernel.space[axis]!), column);
  const last = columns.axes.at(-1)!;
  if (wide) bind(frame, last, frame.axes.get(last)!.name, true);
}

/** What the kernel does with a sum. */
export function finish(frame: Frame, { reduce, stores }: Product, sum: { readonly text: string; readonly wide: boolean }): void {
  frame.locals.set(reduce.local, { text: { ...sum, kind: 'float' }, level: frame.levels.length - 1 });
  for (const group of groupsOf(stores)) emitStores(frame, group as readonly Store[]);
}

/** Adds up the parts of each sum. */
function sumShader(product: Product, placement: Placement, parts: number): Shader {
  const { kernel, rows, columns, outer } = product;
  const frame = newShaderFrame({ ...kernel, steps: product.stores }, placement, false);
  const workgroupSize = 64;
  const elements = size(kernel.space);
  const flat = keep(frame, 'index', `group * ${workgroupSize}u + lane`);
  if (elements % workgroupSize !== 0) emit(frame, `if (${flat} >= ${elements}u) { return; }`);
  const column = keep(frame, 'column', `${flat} % ${columns.extent}u`);
  const row = keep(frame, 'row', `(${flat} / ${columns.extent}u) % ${rows.extent}u`);
  const number = keep(frame, 'number', `${flat} / ${columns.extent * rows.extent}u`);
  for (const [axes, at] of [[outer, number], [rows.axes, row], [columns.axes, column]] as const) bindFlat(frame, axes, axes.map(axis => kernel.space[axis]!), at);
  emit(frame, 'var sum = 0.0f;');
  emit(frame, `for (var part = 0u; part < ${parts}u; part++) { sum += scratch[part * ${elements}u + ${flat}]; }`);
  finish(frame, product, { text: 'sum', wide: false });
  return shaderOf(frame, {
    workgroupSize, workgroups: Math.ceil(elements / workgroupSize), body: frame.levels[0]!.lines, scratch: { elements: 'f32', bytes: 4 * parts * elements },
  });
}
