/** The inputs of all models of a file, which one data block feeds: those of one name take the same rows. */
import type { Value } from '../ir/graph.ts';
import type { Forward } from '../ir/model.ts';
import { printType, sameShape, shapeOf } from '../ir/type.ts';
import { report, type Context, type RegisteredModel } from './context.ts';
import type { Target } from './data-field.ts';
import { indexLimits } from './index-limits.ts';

export interface ModelInputs {
  readonly registered: RegisteredModel;
  /** The first dimension of the inputs is the batch. */
  readonly batched: boolean;
  readonly training: Forward;
  readonly evaluation: Forward;
}

/** In the order of the stages; of several leaves of one name the one with the most rows, and the lowest limit. */
export function commonInputs(context: Context, stages: readonly ModelInputs[]): readonly Target[] {
  const targets = new Map<string, Target & { readonly of: ModelInputs }>();
  for (const of of stages) {
    const limits = [of.training, of.evaluation].map(forward => new Map([...indexLimits(forward)].map(([{ leaf }, limit]) => [leaf!.name, limit])));
    for (const value of of.training.inputs) {
      const name = value.leaf!.name;
      const shape = shapeOf(value.type);
      const target = { value, row: of.batched ? shape.slice(1) : shape, below: lowest(limits.map(each => each.get(name) ?? null)), of };
      const earlier = targets.get(name) ?? [...targets.values()][0];
      if (earlier !== undefined && !agrees(context, earlier, target)) continue;
      const known = targets.get(name);
      targets.set(name, known === undefined ? target : {
        ...(rowsOf(value) > rowsOf(known.value) ? target : known),
        below: lowest([known.below, target.below]),
      });
    }
  }
  return [...targets.values()];
}

/** Null where there is none. */
const lowest = (limits: readonly (number | null)[]): number | null =>
  limits.reduce((least, limit) => (least === null || limit === null ? (least ?? limit) : Math.min(least, limit)), null);

const rowsOf = (value: Value): number => value.type.dims[0]?.extent ?? 1;

function agrees(context: Context, earlier: Target & { readonly of: ModelInputs }, target: Target & { readonly of: ModelInputs }): boolean {
  const [first, second] = [earlier, target].map(({ of }) => of.registered.definition.name.text);
  const name = target.value.leaf!.name;
  const place = target.value.origin?.span;
  const other = earlier.value.origin?.span;
  const secondary = other ? { secondary: [{ span: other, text: 'here it is another' }] } : {};
  if (earlier.of.batched !== target.of.batched) {
    report(context, {
      code: 'model.inputs', message: `\`${first}\` is fed ${earlier.of.batched ? 'batches of rows' : 'its inputs whole'}, but \`${second}\` ${target.of.batched ? 'batches of rows' : 'its inputs whole'}`,
      ...(place ? { span: place } : {}), help: 'one data block feeds both: let the inputs of both begin with a batch dimension, as in `input x: f32[B, 4]`',
    });
    return false;
  }
  if (earlier.value.leaf!.name !== name) return true;
  if (earlier.value.type.dtype === target.value.type.dtype && sameShape(earlier.row, target.row)) return true;
  report(context, {
    code: 'model.inputs', message: `the input \`${name}\` is ${printType(target.value.type)} in \`${second}\`, but ${printType(earlier.value.type)} in \`${first}\``,
    ...(place ? { span: place } : {}), ...secondary, help: 'one data block feeds both: give them the same type, or different names',
  });
  return false;
}
