/**
 * The innermost loop of every product: a tile of 6 rows and 16 columns of sums stays in registers while k runs. All operands are
 * packed: for each k, 8 numbers of the left side, of which 6 are read, and 16 of the right. As 256-bit registers the tile takes 12, two
 * columns and a row fill the rest of those that V8 gives out: 6 rows measured a tenth faster than 4, where sums wait for one another.
 *
 * V8 turns pairs of neighbouring 128-bit operations into 256-bit ones if asked to, beginning from adjacent stores; it gives up
 * where a load stands between them, and where the loop over k is unrolled. Hence the shape below.
 */
import { at, build, f32x4, get, i32, op, set, type Func } from './code.ts';

export const tileRows = 6;
/** Numbers of the left side that are packed for each k: whole vectors. */
export const packedRows = 8;
export const tileColumns = 16;
export const tileBytes = tileRows * tileColumns * 4;

/**
 * `name(left, right, tile, count, fresh)`: tile += Σ left[k][row] · right[k][column], or = where `fresh` is not 0. `columns` of the
 * tile are computed at a time: 16 where 256-bit registers hold them, 8 where they are 128-bit ones. `fused` multiplies and adds with one
 * rounding where the processor can.
 */
export function microKernel(name: string, columns: 8 | 16, fused: boolean): Func {
  const builder = build(name, ['i32', 'i32', 'i32', 'i32', 'i32'], null);
  const [left, right, tile, count, fresh] = builder.parameters;
  const body = (shift: number): void => {
    const vectors = columns / 4;
    const sums = Array.from({ length: tileRows }, () => Array.from({ length: vectors }, () => builder.local('v128')));
    const a = builder.keep('i32', get(left!));
    const b = builder.keep('i32', get(right!));
    const k = builder.keep('i32', get(count!));
    const each = (visit: (row: number, vector: number) => void): void => {
      for (let row = 0; row < tileRows; row++) for (let vector = 0; vector < vectors; vector++) visit(row, vector);
    };
    const offset = (row: number, vector: number): number => (row * tileColumns + shift + vector * 4) * 4;
    builder.when(
      get(fresh!),
      () => each((row, vector) => builder.emit(set(sums[row]![vector]!, f32x4(0)))),
      () => each((row, vector) => builder.emit(set(sums[row]![vector]!, at('v128.load', offset(row, vector), get(tile!))))),
    );
    const factors = Array.from({ length: vectors }, () => builder.local('v128'));
    const factor = builder.local('v128');
    builder.loop(again => {
      factors.forEach((local, vector) => builder.emit(set(local, at('v128.load', (shift + vector * 4) * 4, get(b)))));
      for (let row = 0; row < tileRows; row++) {
        builder.emit(set(factor, at('v128.load32_splat', row * 4, get(a))));
        factors.forEach((local, vector) => {
          const sum = sums[row]![vector]!;
          builder.emit(set(sum, fused
            ? op('f32x4.relaxed_madd', get(factor), get(local), get(sum))
            : op('f32x4.add', get(sum), op('f32x4.mul', get(factor), get(local)))));
        });
      }
      builder.emit(set(a, op('i32.add', get(a), i32(packedRows * 4))));
      builder.emit(set(b, op('i32.add', get(b), i32(tileColumns * 4))));
      builder.emit(set(k, op('i32.sub', get(k), i32(1))));
      builder.branch(again, get(k));
    });
    each((row, vector) => builder.emit(at('v128.store', offset(row, vector), get(tile!), get(sums[row]![vector]!))));
  };
  for (let shift = 0; shift < tileColumns; shift += columns) body(shift);
  return builder.finish(true);
}
