/** The iterations of a register tile: the same scalars, some axes further on, with accumulators of their own. */
import { affine, type Affine } from '../../ir/affine.ts';
import { isGathered, type Index, type Scalar } from '../../ir/nest.ts';
import type { Tile } from './tiling.ts';

export interface Copy {
  readonly number: number;
  /** How far each tiled axis is ahead of its loop variable. */
  readonly ahead: ReadonlyMap<number, number>;
  /** Locals of the kernel: each copy has as many of its own. */
  readonly localCount: number;
  readonly done: Map<Scalar, Scalar>;
}

/** One copy for each combination of positions in the tile. */
export function copies(tiles: readonly Tile[], localCount: number): readonly Copy[] {
  let combinations: ReadonlyMap<number, number>[] = [new Map()];
  for (const { axis, factor } of tiles)
    combinations = combinations.flatMap(ahead => Array.from({ length: factor }, (_, by) => new Map([...ahead, [axis, by]])));
  return combinations.map((ahead, number) => ({ number, ahead, localCount, done: new Map() }));
}

/** A scalar as that copy computes it. */
export function shifted(scalar: Scalar, copy: Copy): Scalar {
  if (copy.number === 0) return scalar;
  const known = copy.done.get(scalar);
  if (known) return known;
  const move = (index: Affine): Affine =>
    affine(
      index.terms,
      index.offset + index.terms.reduce((sum, term) => sum + term.times * (copy.ahead.get(term.axis) ?? 0), 0),
      index.divisor,
    );
  const inner = (part: Scalar): Scalar => shifted(part, copy);
  const at = (index: Index): Index => (isGathered(index) ? { gathered: inner(index.gathered) } : move(index));
  const result = ((): Scalar => {
    switch (scalar.kind) {
      case 'constant':
        return scalar;
      case 'index':
        return { kind: 'index', index: move(scalar.index) };
      case 'load':
        return { ...scalar, at: scalar.at.map(at) };
      case 'apply':
        return { ...scalar, arguments: scalar.arguments.map(inner) };
      case 'guard':
        return {
          kind: 'guard',
          at: scalar.at.map(check => ({ ...check, index: move(check.index) })),
          then: inner(scalar.then),
          otherwise: inner(scalar.otherwise),
        };
      case 'local':
        return { kind: 'local', local: scalar.local + copy.number * copy.localCount };
      default:
        return scalar satisfies never;
    }
  })();
  copy.done.set(scalar, result);
  return result;
}
