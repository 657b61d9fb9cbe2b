/** Random tensors: every use in a program draws from a stream of its own, named by where it stands, so that equal seeds give equal numbers. */
import type { Value } from '../ir/graph.ts';
import type { Dim } from '../ir/type.ts';
import type { Context } from './context.ts';
import { build, full } from './tensors.ts';

/** Uniform in [0, 1), new at every step; the same at every run in the initial value of a parameter. */
export function uniformTensor(context: Context, dims: readonly Dim[]): Value {
  const { seed, step } = context.registry.scalars;
  const { initialiser } = context;
  if (initialiser !== null) {
    const stream = streamOf(initialiser.path, initialiser.draws++);
    return build(context, 'random', [seed, full(context, 0, 'i32')], { dims, stream });
  }
  const path = context.path.join('.');
  const draw = context.draws.get(path) ?? 0;
  context.draws.set(path, draw + 1);
  return build(context, 'random', [seed, context.scan?.place ?? step], { dims, stream: streamOf(`${path}#random`, draw) });
}

/** FNV-1a of the path, with the number of the draw after the first. */
const streamOf = (path: string, draw: number): number => fnv1a(draw === 0 ? path : `${path}#${draw}`);

function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash | 0;
}
