/** Bounds of whole-number inputs: one that indexes a table must be below the table's length, one compared with all classes below their number. */
import { topological, type Value } from '../ir/graph.ts';
import type { Forward } from '../ir/model.ts';

/** For each input that is used as an index: the smallest extent that it indexes. */
export function indexLimits(forward: Forward): ReadonlyMap<Value, number> {
  const limits = new Map<Value, number>();
  const named = [...forward.metrics, ...forward.outputs, ...forward.updates];
  const roots = [...(forward.loss ? [forward.loss] : []), ...named.map(result => result.value)];
  for (const value of topological(roots)) {
    const [a, b] = value.operands;
    if (value.op?.definition.name === 'gather') limit(b!, a!.type.dims[0]!.extent);
    if (value.op?.definition.name === 'equal') {
      for (const [index, classes] of [[a!, b!], [b!, a!]] as const) {
        const range = source(classes);
        if (range.op?.definition.name === 'range') limit(index, range.type.dims[0]!.extent);
      }
    }
  }
  return limits;

  function limit(index: Value, extent: number): void {
    const input = source(index);
    if (input.leaf?.role === 'input') limits.set(input, Math.min(extent, limits.get(input) ?? Infinity));
  }
}

/** What a value's elements are taken from unchanged, through views, reshapes and conversions. */
function source(value: Value): Value {
  let at = value;
  while (at.op !== null && ['view', 'reshape', 'cast'].includes(at.op.definition.name)) at = at.operands[0]!;
  return at;
}
