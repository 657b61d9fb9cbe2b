/** Names for people: of kernels after the layer and phase they serve, of what they read and write after what it is. */
import type { PlacementAt, Value } from '../ir/graph.ts';
import { size } from '../ir/type.ts';
import { isRecomputed, type Draft, type Source } from './draft.ts';

/** A function that gives every name once, numbered from its second use on. */
export function uniqueNames(): (name: string) => string {
  const used = new Set<string>();
  const next = new Map<string, number>();
  return name => {
    let candidate = name;
    let number = next.get(name) ?? 2;
    for (; used.has(candidate); number++) candidate = `${name}_${number}`;
    next.set(name, number);
    used.add(candidate);
    return candidate;
  };
}

/** `linear_forward`: the innermost layer without its number, else the first op; and the phase. What it recomputes for itself does not count. */
export function kernelName(draft: Draft): string {
  if (draft.host) return 'scalars';
  const own = draft.values.filter(value => !isRecomputed(value));
  const values = own.length > 0 ? own : draft.values;
  const value = values.find(each => (each.origin?.scope.length ?? 0) > 0) ?? values[0]!;
  const phase = value.origin?.phase ?? 'forward';
  const layer = value.origin?.scope.at(-1)?.replace(/(\.\d+)+$/, '');
  const base = phase === 'update' || phase === 'initialise' ? phase : `${layer ?? value.op?.definition.name ?? 'copy'}_${phase}`;
  return identifier(base);
}

export function bufferName(value: Value): string {
  const scope = value.origin?.scope.join('_') ?? '';
  const phase = value.origin?.phase === 'forward' ? '' : (value.origin?.phase ?? '');
  return identifier([scope, value.op?.definition.name ?? '', phase].filter(part => part !== '').join('_'));
}

/** Parameter names of a kernel function: a parameter's or input's own last name, `x` and `gradient` for what is passed along. */
export function accessNames(draft: Draft, placementAt: PlacementAt): readonly string[] {
  const unique = uniqueNames();
  const read = (source: Source): string => {
    const placement = placementAt(source.root, source.offset, source.offset + size(source.shape));
    if (placement) return identifier(placement.name.split('.').at(-1)!);
    if (source.root.leaf) return identifier(source.root.leaf.name);
    return source.root.origin?.phase === 'backward' ? 'gradient' : source.root.origin?.phase === 'update' ? 'scalar' : 'x';
  };
  return [
    ...draft.sources.map(source => unique(read(source))),
    ...draft.outputs.map(output => unique(output.root.leaf ? identifier(output.root.leaf.name) : 'out')),
  ];
}

/** Only letters, digits and underscores: names come from a user's file and become identifiers. A number in front gets an underscore. */
export const identifier = (name: string): string => name.replace(/[^A-Za-z0-9_]+/g, '_').replace(/^(?=\d)/, '_') || '_';
