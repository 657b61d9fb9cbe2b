/**
 * One loop instead of several that run the same body: differentiation asks further results of a loop by another scan with the same
 * leaves. What nothing reads is not yielded any more.
 */
import { entryRoots, replace, topological, type Entry, type Graph, type Value } from '../ir/graph.ts';
import { scanOf, scanResultOf, type Scan } from '../ir/scan.ts';
import { finalOf, scanValue, sequenceOf } from '../ops/scan.ts';

/** The graph with one scan for each counter, whose yields are what is read of any. */
export const mergeScans = (graph: Graph): Graph => ({ ...graph, entries: graph.entries.map(mergeEntry) });

function mergeEntry(entry: Entry): Entry {
  let roots = entryRoots(entry);
  const done = new Set<Value>();
  for (;;) {
    const values = topological(roots);
    const first = values.flatMap(value => scanOf(value) ?? []).find(scan => !done.has(scan.counter));
    if (first === undefined) break;
    done.add(first.counter);
    roots = replace(roots, merged(first.counter, values));
  }
  const { results, updates } = entry;
  return {
    ...entry,
    results: results.map(({ name }, i) => ({ name, value: roots[i]! })),
    updates: updates.map(({ leaf }, i) => ({ leaf, value: roots[results.length + i]! })),
  };
}

/** The results of all scans with a counter as results of one. */
function merged(counter: Value, values: readonly Value[]): ReadonlyMap<Value, Value> {
  const results = values.flatMap(value => {
    const result = scanResultOf(value);
    const scan = result && scanOf(result.scan);
    return scan?.counter === counter ? [{ ...result!, scan, value }] : [];
  });
  const yieldOf = ({ scan, which }: { readonly scan: Scan; readonly which: number }): Value => scan.yields[which]!;
  const yields = [...new Set(results.flatMap(result => (result.part === 'sequence' ? [yieldOf(result)] : [])))];
  const { length, reversed, carries, initials, nexts, value } = results[0]!.scan;
  const one = { ...scanValue({ length, reversed, counter, carries: carries.map((leaf, k) => ({ leaf, initial: initials[k]!, next: nexts[k]! })), yields }), origin: value.origin };
  return new Map(results.map(result => {
    const made = result.part === 'final' ? finalOf(one, result.which) : sequenceOf(one, yields.indexOf(yieldOf(result)));
    return [result.value, { ...made, origin: result.value.origin }];
  }));
}
