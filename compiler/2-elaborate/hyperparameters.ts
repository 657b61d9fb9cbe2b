/**
 * Hyperparameters of the models and constants of the file, with the values that the command line gives them: by name in all models that
 * have it, or as `Model.name` in one.
 */
import type { ModelItem } from '../1-parse/ast.ts';
import { suggest } from '../source/suggest.ts';
import { didYouMean, report, within, type Context } from './context.ts';
import { evaluate, labelled, resolveName } from './expression.ts';
import { boolean, describe, list, number, poison, type Item } from './item.ts';
import { newScope, type Module } from './scope.ts';

/** Puts `--set` values in the place of constants, and tells of names that nothing has. */
export function applySettings(context: Context, module: Module, models: readonly ModelItem[], settings: ReadonlyMap<string, string>): void {
  const constants = [...module.definitions.values()].flatMap(definition => (definition.kind === 'constant' ? [definition] : []));
  const own = models.flatMap(model => model.parameters.map(parameter => settingName(models, model, parameter.name.text)));
  const known = [...new Set([...own, ...constants.map(constant => constant.name.text)])];
  const accepted = new Set([...known, ...models.flatMap(model => model.parameters.flatMap(({ name: { text } }) => [text, qualified(model, text)]))]);
  for (const [name, text] of settings) {
    const constant = constants.find(candidate => candidate.name.text === name);
    if (constant) {
      const usual = resolveName(context, name, newScope(module, { kind: 'constant' }));
      module.constants.set(name, labelled(within(context, constant.name.span, () => parseSetting(context, name, text, usual)), name, false));
    } else if (!accepted.has(name)) {
      const near = suggest(name, accepted);
      const names = known.length === 0 ? 'this file has none' : `this file has ${known.map(one => `\`${one}\``).join(', ')}`;
      report(context, {
        code: 'set.unknown', message: `nothing that can be set is called \`${name}\``,
        ...(models[0] ? { span: models[0].name.span } : {}), help: didYouMean(near, names),
      });
    }
  }
}

/** What sets the hyperparameter of this model and of no other one: its name, or where another model has that too, `Model.name`. */
export const settingName = (models: readonly ModelItem[], model: ModelItem, name: string): string =>
  models.some(other => other !== model && other.parameters.some(parameter => parameter.name.text === name)) ? qualified(model, name) : name;

const qualified = (model: ModelItem, name: string): string => `${model.name.text}.${name}`;

export function bindHyperparameters(context: Context, model: ModelItem, module: Module, settings: ReadonlyMap<string, string>): ReadonlyMap<string, Item> {
  const scope = newScope(module, { kind: 'constant' });
  for (const parameter of model.parameters) {
    const name = parameter.name.text;
    const usual = parameter.default === null ? null : evaluate(context, parameter.default, scope);
    const key = settings.has(qualified(model, name)) ? qualified(model, name) : name;
    const given = settings.get(key);
    if (usual?.kind === 'tensor') report(context, {
      code: 'type.constant', message: `the hyperparameter \`${name}\` must be known at compile time, found ${describe(usual)}`,
      span: parameter.span,
    });
    if (usual === null && given === undefined) {
      report(context, {
        code: 'set.missing', message: `the hyperparameter \`${name}\` has no value`, span: parameter.span,
        help: `give it a default, \`${name} = 64\`, or set it with \`--set ${name}=64\``,
      });
    }
    const item = given === undefined ? (usual ?? poison) : within(context, parameter.span, () => parseSetting(context, key, given, usual));
    scope.names.set(name, labelled(item.kind === 'tensor' ? poison : item, name, false));
  }
  return scope.names;
}

/** A value from the command line, of the kind of the default; without a default, a number if it reads as one. */
function parseSetting(context: Context, name: string, text: string, usual: Item | null): Item {
  const value = text.trim() === '' ? NaN : Number(text);
  const wrong = (expected: string): Item => {
    report(context, { code: 'set.value', message: `\`${name}\` must be ${expected}, but \`--set\` gives \`${text}\`` });
    return poison;
  };
  switch (usual?.kind) {
    case 'number':
      return Number.isFinite(value) ? number(value) : wrong('a number');
    case 'boolean': return text === 'true' || text === 'false' ? boolean(text === 'true') : wrong('`true` or `false`');
    case 'string': return { kind: 'string', value: text };
    case 'list': {
      const elements = text.replace(/^\[|\]$/g, '').split(',').map(element => Number(element));
      return elements.every(Number.isFinite) ? list(elements.map(element => number(element))) : wrong('a list of numbers, as in `[1, 2]`');
    }
    case 'poison': return poison;
    default:
      if (text === 'true' || text === 'false') return boolean(text === 'true');
      return Number.isFinite(value) ? number(value) : { kind: 'string', value: text };
  }
}
