/**
 * Which models a file trains, and in which order: a stage for each train block, then one for each model that no block trains. Tells of
 * blocks that name no model, and of models that are trained before one that they hold.
 */
import type { ModelItem, TrainBlock } from '../1-parse/ast.ts';
import { suggest } from '../source/suggest.ts';
import type { Span } from '../source/text.ts';
import { attempt, didYouMean, fail, keyword, report, type Context, type RegisteredModel } from './context.ts';

export interface StagePlan {
  readonly name: string;
  readonly registered: RegisteredModel;
  /** Null for a model that is not trained. */
  readonly train: TrainBlock | null;
}

export function planStages(context: Context, blocks: readonly TrainBlock[]): readonly StagePlan[] {
  const models = [...context.registry.models.values()];
  const seen = new Map<string, Span>();
  const trained = blocks.flatMap((train): StagePlan[] => {
    const registered = attempt(() => modelOf(context, train));
    if (registered === null) return [];
    const name = train.name?.text ?? nameOf(registered);
    const span = placeOf(train);
    const earlier = seen.get(name);
    seen.set(name, span);
    if (earlier === undefined) return [{ name, registered, train }];
    report(context, {
      code: 'train.several', message: `two train blocks are called \`${name}\``, span, secondary: [{ span: earlier, text: 'the first one' }],
      help: `give each a name of its own, and say what it trains: \`train finetune { model ${nameOf(registered)} … }\``,
    });
    return [];
  });
  const others = models.filter(model => !trained.some(({ registered }) => registered === model));
  return [...trained, ...others.map((registered): StagePlan => ({ name: nameOf(registered), registered, train: null }))];
}

/** Once every body is elaborated, and what it holds is known. */
export function checkOrder(context: Context, plans: readonly StagePlan[]): void {
  const trained = plans.filter(plan => plan.train !== null);
  trained.forEach(({ registered, train }, i) => {
    for (const held of registered.holds.keys()) {
      const later = trained.slice(i + 1).find(other => nameOf(other.registered) === held);
      if (later === undefined || trained.slice(0, i).some(other => nameOf(other.registered) === held)) continue;
      report(context, {
        code: 'train.order', message: `\`${nameOf(registered)}\` holds \`${held}\`, which is trained only after it`, span: placeOf(train!),
        secondary: [{ span: placeOf(later.train!), text: `\`${held}\` is trained here` }], help: 'train blocks run in the order of the file: move that one up',
      });
    }
  });
}

const nameOf = ({ definition }: { readonly definition: ModelItem }): string => definition.name.text;
const placeOf = (train: TrainBlock): Span => train.name?.span ?? keyword(train.span, 'train');

/** By a line `model Gpt`, or the block's name; the only model needs neither. */
function modelOf(context: Context, train: TrainBlock): RegisteredModel {
  const { models } = context.registry;
  const said = train.settings.find(setting => setting.name.text === 'model' && !setting.assigned);
  const names = [...models.keys()];
  const shown = names.map(name => `\`${name}\``).join(', ');
  const named = train.name === null ? undefined : models.get(train.name.text);
  if (said !== undefined) {
    const [value, ...more] = said.values;
    const found = value?.kind === 'name' && more.length === 0 ? models.get(value.text) : undefined;
    if (found === undefined) fail(context, {
      code: 'train.model', message: value?.kind === 'name' ? `no model is called \`${value.text}\`` : '`model` takes the name of one model', span: value?.span ?? said.span,
      help: didYouMean(value?.kind === 'name' ? suggest(value.text, names) : null, `the models of this file are ${shown}`),
    });
    if (named !== undefined && named !== found) fail(context, {
      code: 'train.model', message: `the block is called \`${nameOf(named)}\`, as a model is, but trains \`${nameOf(found!)}\``, span: said.span,
      help: 'give the block another name, or remove the line',
    });
    return found!;
  }
  const found = named ?? (models.size === 1 ? [...models.values()][0] : undefined);
  return found ?? fail(context, {
    code: 'train.model', message: train.name === null ? 'the file has several models, and the train block says none' : `no model is called \`${train.name.text}\``,
    span: placeOf(train),
    help: train.name === null ? `name it as the model that it trains: \`train ${names[0]!} { … }\``
      : didYouMean(suggest(train.name.text, names), `say which it trains, with a line such as \`model ${names[0]!}\``),
  });
}
