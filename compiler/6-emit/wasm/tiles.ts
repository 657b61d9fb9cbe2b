/**
 * Contractions as functions: blocks of rows and columns are packed, a micro-kernel adds up a tile, and everything that the kernel does
 * with the sums is done on the tile while it is in the first-level cache.
 */
import { affine } from '../../ir/affine.ts';
import { size } from '../../ir/type.ts';
import { at, build, call, get, i32, op, set, type Expression, type Func, type Local } from './code.ts';
import { panelsOf, type Contraction } from './contraction.ts';
import { bind, emit, keep, limited, loop, nested, newFrame, sideBySide, store, type Frame } from './lanes.ts';
import { mapIndices } from '../linear.ts';
import { stored, unitOf } from './loops.ts';
import { packedRows, tileBytes, tileColumns, tileRows } from './micro-kernel.ts';
import { columnPanel, digits, enterPanel, kCount, leavePanel, pack, rowPanel, type Panels } from './packing.ts';

/** The loop over blocks; no axis of the kernel. */
const unitAxis = -1;

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
    const once = nested(frame, () => {
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
          then: nested(frame, packColumns),
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
    const whole = nested(frame, () =>
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
    const edge = nested(frame, () => {
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
