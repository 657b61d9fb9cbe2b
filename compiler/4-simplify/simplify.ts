/**
 * Rewrites a graph by the named rules of `rules.ts` until none applies, shares equal values (hash-consing), and drops what
 * nothing uses. Every value keeps its type; results are equal up to rounding.
 */
import { entryRoots, topological, withOperands, type Graph, type Value } from '../ir/graph.ts';
import { definitionKey } from '../ir/text.ts';
import { shapeOf } from '../ir/type.ts';
import { reshape } from '../ops/reshape.ts';
import { mergeScans } from './merge-scans.ts';
import { isQuotient } from './quotient.ts';
import { rules, type Rule } from './rules.ts';

/** The simplified graph, and how often each rule was applied, by name. */
export function simplify(given: Graph): { readonly graph: Graph; readonly applied: ReadonlyMap<string, number> } {
  const graph = mergeScans(given);
  const readers = countReaders(graph);
  const settled = new Map<Value, Value>();
  const known = new Map<string, Value>();
  const quotients = new Map<Value, Value[]>();
  const numbers = new Map<Value, number>();
  const applied = new Map<string, number>();

  const intern = (value: Value): Value => {
    if (value.op === null) return value;
    const key = definitionKey(value, number);
    const earlier = known.get(key);
    if (earlier) return earlier;
    known.set(key, value);
    if (isQuotient(value)) quotients.set(value.operands[0]!, [...(quotients.get(value.operands[0]!) ?? []), value]);
    return value;
  };
  const number = (value: Value): number => {
    if (!numbers.has(value)) numbers.set(value, numbers.size);
    return numbers.get(value)!;
  };
  const rulesOf = new Map<Value['op'], readonly Rule[]>();
  const rulesOn = (op: Value['op']): readonly Rule[] => {
    if (!rulesOf.has(op)) rulesOf.set(op, rules.filter(rule => rule.op === null || rule.op === op));
    return rulesOf.get(op)!;
  };
  const rewrite = (value: Value, original: Value): Value | null => {
    // Known of the graph as it came: what rules make may come to be read by more.
    const uses = (operand: Value): number => (readers.has(original) ? readers.get(original.operands[value.operands.indexOf(operand)]!)! : Infinity);
    const context = { uses, quotients: (numerator: Value) => quotients.get(numerator) ?? [] };
    for (const rule of rulesOn(value.op)) {
      const better = rule.apply(value, context);
      if (better === null) continue;
      if (shapeOf(better.type).join() !== shapeOf(value.type).join() || better.type.dtype !== value.type.dtype)
        throw new Error(`rule ${rule.name} changed a type`);
      applied.set(rule.name, (applied.get(rule.name) ?? 0) + 1);
      return better;
    }
    return null;
  };
  const settle = (root: Value): Value => {
    for (const value of topological([root], candidate => settled.has(candidate))) {
      const current = withOperands(value, operand => settled.get(operand)!);
      const better = rewrite(current, value);
      const result = better === null ? intern(current) : settle(inherit(better, value));
      settled.set(value, result);
      settled.set(result, result);
    }
    return settled.get(root)!;
  };

  for (const root of graph.entries.flatMap(entryRoots)) settle(root);
  const entries = graph.entries.map(entry => ({
    ...entry,
    results: entry.results.map(({ name, value }) => ({ name, value: settled.get(value)! })),
    updates: entry.updates.map(({ leaf, value }) => ({ leaf, value: computed(settled.get(value)!) })),
  }));
  return { graph: { entries, placements: graph.placements }, applied };
}

function countReaders(graph: Graph): Map<Value, number> {
  const readers = new Map<Value, number>();
  const count = (value: Value): void => void readers.set(value, (readers.get(value) ?? 0) + 1);
  const roots = graph.entries.flatMap(entryRoots);
  roots.forEach(count);
  for (const value of topological(roots)) value.operands.forEach(count);
  return readers;
}

/** What a leaf becomes is computed, even where it is another leaf as it is: then two states may change places. */
const computed = (value: Value): Value => (value.op === null ? inherit(reshape(value, { dims: value.type.dims }), value) : value);

/** What a rule made gets the origin of what it replaces, where it has none. */
function inherit(made: Value, from: Value): Value {
  const pending = [made];
  while (pending.length > 0) {
    const value = pending.pop()!;
    if (value.origin !== null) continue;
    value.origin = from.origin;
    pending.push(...value.operands);
  }
  return made;
}
