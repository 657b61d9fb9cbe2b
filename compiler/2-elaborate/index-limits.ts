/**
 * Bounds of whole-number inputs: one that picks a place in a tensor must be below its extent, one compared with all classes below
 * their number. Both are read off the loop nests, so that whatever gathers or compares is bounded, under any name.
 */
import { topological, type Value } from '../ir/graph.ts';
import type { Forward } from '../ir/model.ts';
import { isGathered, type Load, type Nest, type Scalar } from '../ir/nest.ts';
import { isPrimitive } from '../ops/define.ts';

/** For each input that is used as an index: the smallest extent that it indexes. */
export function indexLimits(forward: Forward): ReadonlyMap<Value, number> {
  const limits = new Map<Value, number>();
  const named = [...forward.metrics, ...forward.outputs, ...forward.updates];
  const roots = [...(forward.loss ? [forward.loss] : []), ...named.map(result => result.value)];
  for (const value of topological(roots)) {
    const body = nestOf(value)?.body;
    if (body?.kind === 'load') {
      body.at.forEach((at, d) => {
        const index = isGathered(at) ? loaded(at.gathered) : null;
        if (index) limit(value.operands[index.operand]!, value.operands[body.operand]!.type.dims[d]!.extent);
      });
    }
    if (body?.kind === 'apply' && body.instruction === 'eq') {
      const [a, b] = body.arguments.map(loaded);
      if (!a || !b) continue;
      for (const [index, classes] of [[a, b], [b, a]] as const) {
        const counted = source(value.operands[classes.operand]!);
        if (nestOf(counted)?.body.kind === 'index') limit(value.operands[index.operand]!, counted.type.dims[0]!.extent);
      }
    }
  }
  return limits;

  function limit(index: Value, extent: number): void {
    const input = source(index);
    if (input.leaf?.role === 'input') limits.set(input, Math.min(extent, limits.get(input) ?? Infinity));
  }
}

/** The nest of a primitive; null for a leaf, and for what has none. */
export function nestOf(value: Value): Nest | null {
  const definition = value.op?.definition;
  return definition && isPrimitive(definition) ? definition.lower(value.operands.map(operand => operand.type), value.attrs, value.type) : null;
}

/** The load that a scalar is, conversions aside. */
export function loaded(scalar: Scalar): Load | null {
  if (scalar.kind === 'load') return scalar;
  return scalar.kind === 'apply' && scalar.instruction.startsWith('to_') ? loaded(scalar.arguments[0]!) : null;
}

/** What a value's elements are taken from unchanged, through views, reshapes and conversions. */
export function source(value: Value): Value {
  for (let at = value; ;) {
    const nest = nestOf(at);
    const from = nest !== null && nest.combine === null && !nest.scatter ? loaded(nest.body) : null;
    if (from === null || from.at.some(isGathered)) return at;
    at = at.operands[from.operand]!;
  }
}
