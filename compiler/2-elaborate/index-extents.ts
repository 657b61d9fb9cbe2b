/**
 * The extents of indices, and that they stay inside what they subscript. A range that is written counts first; then an index that is a
 * subscript by itself has the extent of that dimension, and one inside a compound subscript, such as `i` of `2*i + u`, the largest
 * extent for which every position exists.
 */
import { dim, type Dim } from '../ir/type.ts';
import { spanText, type Span } from '../source/text.ts';
import type { Label } from '../source/diagnostic.ts';
import { report, Reported, type Context } from './context.ts';
import { atElement, elementParts, type AffineIndex, type Element, type Index } from './element.ts';
import { quoteDim } from './tensors.ts';

/** Where an index got its extent. */
interface Found {
  readonly dim: Dim;
  readonly span: Span;
}

interface Use {
  readonly index: AffineIndex;
  readonly dim: Dim;
  readonly span: Span;
  readonly element: Element;
}

/** The dimension of each index that `roots` use, and of `needed`. Gives up when one is not known or leaves its dimension. */
export function extentsOf(context: Context, roots: readonly Element[], needed: readonly Index[]): ReadonlyMap<Index, Dim> {
  const elements = reached(roots);
  const uses = elements.flatMap(usesOf);
  const indices = new Set([...needed, ...elements.flatMap(element => (element.kind === 'reduce' ? element.indices : element.free))]);
  const found = new Map<Index, Found>();
  for (const index of indices) if (index.range !== null) found.set(index, { dim: index.range, span: index.span });
  const before = context.problems;
  for (const use of uses) fromPlain(context, use, found);
  while (fromCompound(uses, found));
  for (const index of indices) {
    if (!found.has(index)) report(context, {
      code: 'index.unbounded', message: `nothing tells the extent of the index \`${index.name}\``, span: index.span,
      help: `subscript a dimension with it, or write its range: \`${index.name} in 0..n\``,
    });
  }
  if (context.problems > before) throw new Reported();
  for (const use of uses) requireInside(context, use, found);
  if (context.problems > before) throw new Reported();
  return new Map([...found].map(([index, { dim: own }]) => [index, own]));
}

function reached(roots: readonly Element[]): readonly Element[] {
  const seen = new Set(roots);
  // A set is iterated to its end while it grows.
  for (const element of seen) for (const part of elementParts(element)) seen.add(part);
  return [...seen];
}

const usesOf = (element: Element): readonly Use[] =>
  element.kind !== 'load' ? [] : element.positions.flatMap((position, d): Use[] =>
    (position.kind === 'index' ? [{ index: position, dim: element.value.type.dims[d]!, span: element.spans[d]!, element }] : []));

function fromPlain(context: Context, { index: { terms, offset }, dim: own, span, element }: Use, found: Map<Index, Found>): void {
  const [first, ...more] = [...terms];
  if (first === undefined || more.length > 0 || offset !== 0 || first[1] !== 1) return;
  const [index] = first;
  const known = found.get(index);
  const smaller = known !== undefined && known.dim.extent < own.extent ? known.dim : own;
  if (known === undefined || (known.dim.extent === own.extent && known.dim.name === null)) found.set(index, { dim: own, span });
  else if (index.range === null && known.dim.extent !== own.extent) atElement(context, element, () => report(context, {
    code: 'index.extent', message: `the index \`${index.name}\` runs over ${quoteDim(own)} here, but over ${quoteDim(known.dim)} before`, span,
    secondary: [{ span: known.span, text: `${quoteDim(known.dim)} here` }],
    help: `give it the smaller range: \`${index.name} in 0..${smaller.name ?? smaller.extent}\``,
  }));
}

/** Bounds every index that is the only unknown one of a subscript; whether there was one. */
function fromCompound(uses: readonly Use[], found: Map<Index, Found>): boolean {
  const bounds = new Map<Index, Found>();
  for (const { index: { terms, offset }, dim: own, span } of uses) {
    const unknown = [...terms].filter(([index]) => !found.has(index));
    if (unknown.length !== 1) continue;
    const [index, times] = unknown[0]!;
    const [low, high] = range({ terms: new Map([...terms].filter(([other]) => other !== index)), offset }, found);
    const extent = times > 0 ? Math.floor((own.extent - 1 - high) / times) + 1 : Math.floor(low / -times) + 1;
    if (extent >= 1 && extent < (bounds.get(index)?.dim.extent ?? Infinity)) bounds.set(index, { dim: dim(extent), span });
    // Where nothing fits, one position is assumed: that it does not fit is then told of the subscript.
    else if (extent < 1) bounds.set(index, { dim: dim(1), span });
  }
  for (const [index, bound] of bounds) found.set(index, bound);
  return bounds.size > 0;
}

/** The smallest and the largest position. */
function range({ terms, offset }: AffineIndex, found: ReadonlyMap<Index, Found>): readonly [number, number] {
  let [low, high] = [offset, offset];
  for (const [index, times] of terms) {
    const reach = times * (found.get(index)!.dim.extent - 1);
    if (reach < 0) low += reach;
    else high += reach;
  }
  return [low, high];
}

function requireInside(context: Context, { index, dim: own, span, element }: Use, found: ReadonlyMap<Index, Found>): void {
  const [low, high] = range(index, found);
  if (low >= 0 && high < own.extent) return;
  const beside = [...index.terms.keys()].flatMap((one): Label[] => {
    const { dim: extent, span: from } = found.get(one)!;
    return from === span ? [] : [{ span: from, text: `\`${one.name}\` runs over ${quoteDim(extent)}` }];
  });
  const wide = [...index.terms.keys()].map(one => one.name);
  atElement(context, element, () => report(context, {
    code: 'index.outside', span, ...(beside.length > 0 ? { secondary: beside } : {}),
    message: `\`${spanText(span)}\` goes from ${low} to ${high}, but the dimension has ${quoteDim(own)}: 0 … ${own.extent - 1}`,
    help: `${wide.length > 0 ? `give \`${wide.at(-1)!}\` a smaller range, as in \`${wide.at(-1)!} in 0..n\`, or ` : ''}\`pad\` the tensor first`,
  }));
}
