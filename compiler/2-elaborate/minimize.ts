/**
 * What a training step minimizes: each loss with the parameters that descend it, and their optimizer. Every trained parameter
 * belongs to exactly one.
 */
import type { ModelItem } from '../1-parse/ast.ts';
import { topological, type Value } from '../ir/graph.ts';
import type { Forward, Minimization, Parameter } from '../ir/model.ts';
import { suggest } from '../source/suggest.ts';
import type { Span } from '../source/text.ts';
import { attempt, didYouMean, fail, report, type Context } from './context.ts';
import { elaborateGroups, exceptionOf } from './optimizer.ts';
import { matchesPattern, unmatchedPattern } from './pattern.ts';
import type { Scope } from './scope.ts';
import type { StagePlan } from './stages.ts';
import type { MinimizeSetting, Training } from './train.ts';

/** What is known of a stage before its optimizers are elaborated. */
export interface MinimizationDraft extends Pick<StagePlan, 'registered'> {
  readonly training: Training;
  readonly forwards: { readonly training: Forward };
  readonly parameters: readonly Parameter[];
  readonly scope: Scope;
}

/**
 * The minimizations of each stage. Parameters that several stages train lie together only where they do in every one of them, so that
 * each group is the same in all.
 */
export function minimizationsOf(context: Context, drafts: readonly MinimizationDraft[]): readonly (readonly Minimization[])[] {
  const keys = drafts.map(({ training, parameters }) => new Map(parameters.map(parameter => [parameter.leaf, placeIn(training.minimized, parameter)])));
  const elaborated = (alone: ReadonlySet<Value>): readonly (readonly Minimization[])[] => drafts.map(({ registered, training, forwards, parameters, scope }, i) => {
    const cellOf = ({ leaf }: Parameter): string => drafts.map((other, k) => (other.registered === registered && k !== i ? keys[k]!.get(leaf)! : '')).join(' ')
      + (alone.has(leaf) ? leaf.leaf!.name : '');
    return elaborateMinimizations(context, training.minimized, forwards.training, parameters, registered.definition, scope, cellOf);
  });
  const made = elaborated(new Set());
  // An optimizer that looks at shapes takes parameters one by one: then those of another stage lie apart, too.
  const groups = made.flat().flatMap(minimization => minimization.groups);
  const alone = new Set(groups.filter(group => !group.flat).flatMap(group => group.parameters.map(({ leaf }) => leaf)));
  const torn = groups.some(group => group.flat && group.parameters.length > 1 && group.parameters.some(({ leaf }) => alone.has(leaf)));
  return torn ? elaborated(alone) : made;
}

/** Which line and which clause of it a parameter falls under; the same for those that nothing trains. */
function placeIn(minimized: readonly MinimizeSetting[], { path, trainable }: Parameter): string {
  if (!trainable) return '';
  const line = minimized.findIndex(({ over }) => over === null || over.some(pattern => matchesPattern(path, pattern.text)));
  return `${line}:${minimized[line] === undefined ? '' : exceptionOf(minimized[line].optimizer, path)}`;
}

/** The minimizations of a train block, in its order; those in error are left out. */
function elaborateMinimizations(
  context: Context, settings: readonly MinimizeSetting[], forward: Forward, parameters: readonly Parameter[], definition: ModelItem, scope: Scope,
  cellOf: (parameter: Parameter) => string,
): readonly Minimization[] {
  const before = context.problems;
  const taken = new Map<Parameter, Span>();
  const made = settings.flatMap((setting): Minimization[] => {
    const start = context.problems;
    const loss = attempt(() => lossOf(context, setting, forward, definition));
    const own = parametersOver(context, setting, parameters, taken);
    if (loss !== null && context.problems === start) requireParameters(context, setting, loss, own);
    const groups = attempt(() => elaborateGroups(context, setting.optimizer, own, scope, cellOf));
    return loss === null || groups === null ? [] : [{ loss, groups }];
  });
  const left = parameters.filter(parameter => parameter.trainable && !taken.has(parameter));
  if (context.problems === before && settings.length > 0) requireCovered(context, settings, forward, left);
  return made;
}

/** The loss that is meant; null where the model has none, which is told elsewhere. */
function lossOf(context: Context, { loss, span }: MinimizeSetting, { losses }: Forward, definition: ModelItem): Value | null {
  const names = losses.map(one => `\`${one.name}\``).join(', ');
  if (loss === null) {
    if (losses.length > 1) fail(context, {
      code: 'train.minimize', message: `the model \`${definition.name.text}\` has several losses: ${names}`, span,
      help: `say which is minimized over what: \`minimize ${losses[0]!.name} over encoder.* with …\``,
    });
    return losses[0]?.value ?? null;
  }
  const found = losses.find(one => one.name === loss.text);
  if (found !== undefined || losses.length === 0) return found?.value ?? null;
  return fail(context, {
    code: 'train.minimize', message: `the model \`${definition.name.text}\` has no loss \`${loss.text}\``, span: loss.span,
    help: didYouMean(suggest(loss.text, losses.map(one => one.name)), `it has ${names}`),
  });
}

/** What the patterns name, frozen ones too; tells what an earlier minimization has already. */
function parametersOver(
  context: Context, { over, span }: MinimizeSetting, parameters: readonly Parameter[], taken: Map<Parameter, Span>,
): readonly Parameter[] {
  const paths = parameters.map(parameter => parameter.path);
  for (const pattern of over ?? []) if (!paths.some(path => matchesPattern(path, pattern.text))) unmatchedPattern(context, pattern, paths);
  const own = parameters.filter((_, i) => over === null || over.some(pattern => matchesPattern(paths[i]!, pattern.text)));
  const twice = own.find(parameter => parameter.trainable && taken.has(parameter));
  if (twice !== undefined) report(context, {
    code: 'train.minimize', message: `\`${twice.path}\` descends two losses`, span: over?.[0]?.span ?? span,
    secondary: [{ span: taken.get(twice)!, text: 'here already' }], help: 'add the losses up, or give each parameters of its own with `over`',
  });
  for (const parameter of own) if (parameter.trainable && !taken.has(parameter)) taken.set(parameter, over?.[0]?.span ?? span);
  return own;
}

function requireParameters(context: Context, { loss, over }: MinimizeSetting, value: Value, own: readonly Parameter[]): void {
  if (loss === null || over === null || over.length === 0) return;
  const trained = own.filter(parameter => parameter.trainable);
  const reached = new Set(topological([value]));
  if (trained.some(parameter => reached.has(parameter.leaf))) return;
  report(context, {
    code: 'train.parameters', span: over[0]!.span,
    ...(trained.length === 0
      ? { message: `\`${loss.text}\` is minimized over no parameter: all of these are frozen`, help: 'let some out of `freeze`, or remove the line' }
      : { message: `\`${loss.text}\` depends on none of these parameters`, help: 'minimize it over parameters that it is computed from' }),
  });
}

/** What no minimization mentions would silently stay as it is. */
function requireCovered(context: Context, settings: readonly MinimizeSetting[], { losses }: Forward, left: readonly Parameter[]): void {
  const { span } = settings[settings.length - 1]!;
  const used = new Set(settings.map(setting => setting.loss?.text));
  const unused = settings.every(setting => setting.loss !== null) ? losses.find(loss => !used.has(loss.name)) : undefined;
  if (unused !== undefined) report(context, {
    code: 'train.minimize', message: `nothing minimizes the loss \`${unused.name}\``, span,
    help: `minimize it, or make it a metric: \`metric ${unused.name} = …\``,
  });
  if (left.length === 0) return;
  const name = left[0]!.path;
  const more = left.length > 1 ? ` and ${left.length - 1} more` : '';
  report(context, {
    code: 'train.minimize', message: `nothing is minimized over \`${name}\`${more}`, span,
    help: `minimize a loss over it, or freeze it: \`freeze ${name}\``,
  });
}
