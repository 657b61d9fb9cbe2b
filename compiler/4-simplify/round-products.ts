/**
 * Mixed precision: the f32 factors of every product of tensors become f16 or bf16, as matrix engines take them. Sums stay in f32, and
 * so does all that is no product. Works on simplified graphs, where views have gone into the contractions that read them.
 */
import { entryRoots, topological, withOperands, type Entry, type Graph, type Phase, type Value } from '../ir/graph.ts';
import type { DType } from '../ir/type.ts';
import { contract } from '../ops/contract.ts';
import { cast } from '../ops/elementwise.ts';

/**
 * Σ x · y = Σ round(x) · round(y), in the forward and the backward pass. A factor of several products is rounded once for all of
 * them; a contraction converts its operands back to f32. Products of an optimizer or an initial value are computed as written.
 * Stages may differ: `precisionOf` tells the type by an entry's name.
 */
export function roundProducts(graph: Graph, precisionOf: (entry: string) => DType): Graph {
  const precisions = new Map(graph.entries.map(entry => [entry, precisionOf(entry.name)]));
  const rounded = new Map([...new Set(precisions.values())].filter(precision => precision !== 'f32').flatMap(precision => {
    const entries = graph.entries.filter(entry => precisions.get(entry) === precision);
    const made = roundedEntries(entries, precision);
    return entries.map((entry, i) => [entry, made[i]!] as const);
  }));
  return { ...graph, entries: graph.entries.map(entry => rounded.get(entry) ?? entry) };
}

function roundedEntries(entries: readonly Entry[], precision: DType): readonly Entry[] {
  const replaced = new Map<Value, Value>();
  const rounded = new Map<Value, Value>();
  const round = (factor: Value): Value => {
    if (factor.type.dtype !== 'f32') return factor;
    if (!rounded.has(factor)) rounded.set(factor, { ...cast(factor, { dtype: precision }), origin: factor.origin });
    return rounded.get(factor)!;
  };
  for (const value of topological(entries.flatMap(entryRoots))) {
    const isProduct = value.op === contract && value.operands.length > 1 && isRounded[value.origin?.phase ?? 'forward'];
    replaced.set(value, withOperands(value, operand => (isProduct ? round(replaced.get(operand)!) : replaced.get(operand)!)));
  }
  return entries.map(entry => ({
    ...entry,
    results: entry.results.map(({ name, value }) => ({ name, value: replaced.get(value)! })),
    updates: entry.updates.map(({ leaf, value }) => ({ leaf, value: replaced.get(value)! })),
  }));
}

const isRounded = { forward: true, recompute: true, backward: true, update: false, initialise: false } as const satisfies Record<Phase, boolean>;
