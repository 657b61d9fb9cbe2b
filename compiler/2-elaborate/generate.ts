/**
 * `generate { … }`: which values of the model are the tokens and their scores, and how tokens are drawn. The tokens may be an input, or
 * whole numbers that the model computes from other inputs while it is trained: then they take their place, and what the model computes
 * from them is computed from what was drawn.
 */
import type { GenerateBlock, Setting, SettingValue } from '../1-parse/ast.ts';
import { leaf, replace, topological, type Value } from '../ir/graph.ts';
import type { DataSettings, Forward, Generation } from '../ir/model.ts';
import { isFloat, printType } from '../ir/type.ts';
import type { Span } from '../source/text.ts';
import { suggest } from '../source/suggest.ts';
import { attempt, didYouMean, fail, keyword, report, within, type Context } from './context.ts';
import type { Scope } from './scope.ts';
import { numberOf, positive, whole } from './train.ts';

/** One row's elaboration, with the names of the body. */
export interface Generated {
  readonly forward: Forward;
  readonly scope: Scope;
}

interface Draft {
  model: Named | null;
  sample: { readonly sequence: Named; readonly scores: Named } | null;
  prompt: { readonly input: Named | null; readonly text: string | null };
  length: number | null;
  temperature: number;
  topK: number | null;
  topP: number | null;
  stop: readonly string[];
}
interface Named {
  readonly text: string;
  readonly span: Span;
}
type Read = (context: Context, setting: Setting, scope: Scope, draft: Draft) => void;

const readers = {
  model: (context, { values, span }, _, draft) => {
    const [name, ...more] = values;
    if (!isName(name) || more.length > 0) return fail(context, { code: 'generate.value', message: '`model` takes the name of a model or of a train block', span });
    draft.model = name;
  },
  sample: (context, { values, span }, _, draft) => {
    const [sequence, from, scores, ...more] = values;
    if (!isName(sequence) || !isName(from) || from.text !== 'from' || !isName(scores) || more.length > 0)
      return fail(context, { code: 'generate.value', message: '`sample` is written `sample text from logits`: the tokens, and the scores of the next one', span });
    draft.sample = { sequence, scores };
  },
  prompt: (context, { values, span }, _, draft) => {
    const names = values.filter(isName);
    const texts = values.flatMap(value => (value.kind === 'string' ? [value.value] : []));
    if (names.length > 1 || texts.length > 1 || names.length + texts.length !== values.length || values.length === 0)
      return fail(context, { code: 'generate.value', message: '`prompt` takes a text, the name of the input that is given, or both, as in `prompt caption "a red circle"`', span });
    draft.prompt = { input: names[0] ?? null, text: texts[0] ?? null };
  },
  length: (context, setting, scope, draft) => (draft.length = whole(context, setting, scope, 1)),
  temperature: (context, setting, scope, draft) => {
    draft.temperature = numberOf(context, setting, scope);
    if (draft.temperature < 0) fail(context, { code: 'generate.value', message: `\`temperature\` is a number from 0 on, not ${draft.temperature}`, span: setting.values[0]!.span });
  },
  top_k: (context, setting, scope, draft) => (draft.topK = whole(context, setting, scope, 1)),
  top_p: (context, setting, scope, draft) => {
    draft.topP = positive(context, setting, scope);
    if (draft.topP > 1) fail(context, { code: 'generate.value', message: `\`top_p\` is a probability, at most 1, not ${draft.topP}`, span: setting.values[0]!.span });
  },
  stop: (context, { values, span }, _, draft) => {
    const texts = values.flatMap(value => (value.kind === 'string' && value.value !== '' ? [value.value] : []));
    if (texts.length === 0 || texts.length !== values.length) return fail(context, { code: 'generate.value', message: '`stop` takes texts that end what is drawn, as in `stop "\\n"`', span });
    draft.stop = texts;
  },
} satisfies Record<string, Read>;

/** Every setting that a generate block can have. */
export const generateSettings: readonly string[] = Object.keys(readers);

const isName = (value: SettingValue | undefined): value is SettingValue & { kind: 'name' } => value?.kind === 'name';

/** A stage by its names, with the elaboration of one row; null where it has no batch dimension. */
export interface GeneratingStage {
  readonly name: string;
  readonly model: string;
  readonly row: Generated | null;
}

/**
 * What is drawn, and from which of the stages. Null where something is wrong, which is told. In a file that has other errors (`sound` is
 * null) only the settings are looked at.
 */
export function elaborateGeneration(
  context: Context, block: GenerateBlock, stages: readonly GeneratingStage[], sound: { readonly data: DataSettings | null } | null, scope: Scope,
): { readonly generation: Generation; readonly stage: number } | null {
  const before = context.problems;
  const draft: Draft = { model: null, sample: null, prompt: { input: null, text: null }, length: null, temperature: 1, topK: null, topP: null, stop: [] };
  const seen = new Map<string, Span>();
  for (const setting of block.settings) {
    const name = setting.name.text;
    const read: Read | undefined = Object.hasOwn(readers, name) ? readers[name as keyof typeof readers] : undefined;
    const earlier = seen.get(name);
    if (read === undefined) report(context, {
      code: 'generate.unknown', message: `a generate block has no setting \`${name}\``, span: setting.name.span,
      help: didYouMean(suggest(name, generateSettings), `settings are ${generateSettings.map(one => `\`${one}\``).join(', ')}`),
    });
    else if (setting.assigned) report(context, { code: 'generate.value', message: `a setting is written without \`=\`: \`${name} …\``, span: setting.span });
    else if (earlier) report(context, {
      code: 'generate.twice', message: `\`${name}\` is set twice`, span: setting.name.span, secondary: [{ span: earlier, text: 'set first here' }],
    });
    else within(context, setting.span, () => attempt(() => read(context, setting, scope, draft)));
    seen.set(name, setting.name.span);
  }
  const span = keyword(block.span, 'generate');
  if (draft.sample === null) {
    if (!seen.has('sample')) report(context, {
      code: 'generate.sample', message: 'the generate block does not say what is drawn', span, help: 'write it first: `sample text from logits`',
    });
    return null;
  }
  if (context.problems > before || sound === null) return null;
  const { data } = sound;
  const stage = stageOf(context, draft.model, stages);
  const single = stages[stage]!.row;
  if (single === null) return fail(context, {
    code: 'generate.sample', message: 'the model has no batch dimension, of which one row could be drawn', span, help: 'give its inputs one, as in `input text: i32[B, T]`',
  });
  const { sequence, scores } = valuesOf(context, draft.sample, single);
  const { prompt: { input, text }, length, temperature, topK, topP, stop } = draft;
  const given = inputsOf([scores]).filter(name => name !== sequence.leaf!.name);
  const isText = (name: string): boolean => vocabularyOf(data, name) !== null;
  const sequenceIsInput = single.forward.inputs.some(value => value.leaf!.name === sequence.leaf!.name);
  const promptable = [...(sequenceIsInput ? [sequence.leaf!.name] : []), ...given];
  if (input !== null && !promptable.includes(input.text)) return fail(context, {
    code: 'generate.prompt', message: `\`${input.text}\` is no input that \`${draft.sample.scores.text}\` is computed from`, span: input.span,
    help: didYouMean(suggest(input.text, promptable), promptable.length === 0 ? 'there is none: remove the line' : `inputs are ${promptable.map(name => `\`${name}\``).join(', ')}`),
  });
  const prompt = input?.text ?? promptable.find(isText) ?? null;
  const texts: readonly (readonly [string, Span])[] = [...(text === null ? [] : [['prompt', seen.get('prompt')!] as const]), ...(stop.length === 0 ? [] : [['stop', seen.get('stop')!] as const])];
  for (const [name, at] of texts) {
    const of = name === 'stop' ? sequence.leaf!.name : prompt;
    if (of === null || !isText(of)) report(context, {
      code: 'generate.prompt', message: `\`${name}\` is a text, but ${of === null ? 'no input is read from one' : `\`${of}\` is not read from one`}`, span: at,
      help: 'say in the data block how texts become tokens, as in `train = text("book.txt", …)`, or remove the line',
    });
  }
  const outputs = sequenceIsInput ? [] : drawn(single.forward, sequence, [...given, sequence.leaf!.name], draft.sample.sequence.text, single);
  return context.problems > before ? null : {
    stage, generation: { sequence, scores, isInput: sequenceIsInput, given, outputs, prompt, settings: { prompt: text, length, temperature, topK, topP, stop } },
  };
}

/** The stage that a line `model Name` names; without one, the last. */
function stageOf(context: Context, model: Named | null, stages: readonly GeneratingStage[]): number {
  if (model === null) return stages.length - 1;
  const named = stages.findIndex(stage => stage.name === model.text);
  const found = named >= 0 ? named : stages.findLastIndex(stage => stage.model === model.text);
  const names = [...new Set(stages.flatMap(stage => [stage.name, stage.model]))];
  return found >= 0 ? found : fail(context, {
    code: 'generate.sample', message: `there is no model \`${model.text}\``, span: model.span,
    help: didYouMean(suggest(model.text, names), `there is ${names.map(name => `\`${name}\``).join(', ')}`),
  });
}

/** The input leaf that the tokens go to, and the scores as computed from it. */
function valuesOf(context: Context, { sequence, scores }: NonNullable<Draft['sample']>, { scope, forward }: Generated): { readonly sequence: Value; readonly scores: Value } {
  const tensorOf = (name: Named): Value => {
    const item = scope.names.get(name.text);
    if (item?.kind === 'tensor') return item.value;
    const known = [...scope.names].flatMap(([other, { kind }]) => (kind === 'tensor' ? [other] : []));
    return fail(context, {
      code: 'generate.sample', message: `the model has no value \`${name.text}\``, span: name.span,
      help: didYouMean(suggest(name.text, known), 'name an input or a value of the model\'s body'),
    });
  };
  const tokens = tensorOf(sequence);
  const made = tensorOf(scores);
  if (tokens.type.dtype !== 'i32' || tokens.type.dims.length !== 2) fail(context, {
    code: 'generate.sample', message: `\`${sequence.text}\` is ${printType(tokens.type)}, but tokens are \`i32[B, T]\``, span: sequence.span,
  });
  if (!isFloat(made.type.dtype) || made.type.dims.length !== 3) fail(context, {
    code: 'generate.sample', message: `\`${scores.text}\` is ${printType(made.type)}, but scores are \`f32[B, T, V]\`: for each position one for every token`, span: scores.span,
    help: 'name the logits, before `softmax` and the loss',
  });
  const place = tokens.leaf?.role === 'input' ? tokens : leaf('input', sequence.text, tokens.type, tokens.origin);
  if (place !== tokens && forward.inputs.some(input => input.leaf!.name === sequence.text)) fail(context, {
    code: 'generate.sample', message: `\`${sequence.text}\` is bound again: drawn tokens could take the place of either`, span: sequence.span, help: 'give the value another name than the input',
  });
  const [changed] = replace([made], new Map([[tokens, place]])) as [Value];
  if (!inputsOf([changed]).includes(place.leaf!.name)) fail(context, {
    code: 'generate.sample', message: `\`${scores.text}\` does not depend on \`${sequence.text}\``, span: scores.span,
    secondary: [{ span: sequence.span, text: 'the tokens' }], help: 'scores of the next token are computed from the tokens before it',
  });
  return { sequence: place, scores: changed };
}

const inputsOf = (roots: readonly Value[]): readonly string[] =>
  [...new Set(topological(roots).flatMap(value => (value.leaf?.role === 'input' ? [value.leaf.name] : [])))];

/** Outputs that can be computed from what was drawn and what was given, and depend on what was drawn. */
function drawn(forward: Forward, sequence: Value, known: readonly string[], name: string, { scope }: Generated): Generation['outputs'] {
  const item = scope.names.get(name);
  const tokens = item?.kind === 'tensor' ? item.value : sequence;
  const changed = replace(forward.outputs.map(output => output.value), new Map([[tokens, sequence]]));
  return forward.outputs.flatMap((output, i) => {
    const inputs = inputsOf([changed[i]!]);
    return inputs.includes(sequence.leaf!.name) && inputs.every(input => known.includes(input)) ? [{ name: output.name, value: changed[i]! }] : [];
  });
}

/** The number of the vocabulary of an input's texts; null where it has none. */
export const vocabularyOf = (data: DataSettings | null, input: string): number | null =>
  data?.sources.flatMap(source => source.fields).find(field => field.input === input)?.tokens?.vocabulary ?? null;

