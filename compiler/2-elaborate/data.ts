/** The data block: every source matched by name to the model's inputs, and settings of how their rows are used. */
import type { Argument, DataBlock, Expression, Setting } from '../1-parse/ast.ts';
import type { DataField, DataSettings, DataSource } from '../ir/model.ts';
import type { Span } from '../source/text.ts';
import { suggest } from '../source/suggest.ts';
import { attempt, didYouMean, fail, keyword, report, within, type Context } from './context.ts';
import { elaborateField, plainField, type Target } from './data-field.ts';
import { dataPath } from './data-path.ts';
import { need } from './expression.ts';
import { describe } from './item.ts';
import type { Scope } from './scope.ts';
import { syntheticRows } from './synthetic.ts';
import { textUnit, wholeNumber, type InputVocabulary } from './vocabulary.ts';

/** Formats of files; synthetic sources have none. */
type Format = Exclude<DataSource['format'], 'synthetic'>;

/** Arguments that are no inputs, unless the model has one of that name. */
const options = {
  idx: [], csv: ['separator', 'header'], npy: [], npz: [], safetensors: [], text: ['unit', 'stride'], jsonl: [], images: [],
} as const satisfies Record<Format, readonly string[]>;

const formats = Object.keys(options) as readonly Format[];

/** What is read first: one file or folder for all inputs, with an example of its name; null where each has a file of its own. */
const firstFile = {
  idx: null, csv: 'data.csv', npy: null, npz: 'data.npz', safetensors: 'data.safetensors',
  text: 'book.txt', jsonl: 'data.jsonl', images: 'pictures',
} as const satisfies Record<Format, string | null>;

export function elaborateData(context: Context, block: DataBlock, inputs: readonly Target[], scope: Scope, seed: number): DataSettings {
  const targets = new Map(inputs.map(target => [target.value.leaf!.name, target]));
  const vocabularies: InputVocabulary[] = [];
  const draft = { sources: [] as DataSource[], shuffle: true, split: null as number | null, holdOut: null as number | null };
  const seen = new Map<string, Span>();
  for (const setting of block.settings) {
    const name = setting.name.text;
    const earlier = seen.get(name);
    if (earlier) report(context, {
      code: 'data.twice', message: `\`${name}\` is set twice`, span: setting.name.span,
      secondary: [{ span: earlier, text: 'set first here' }],
    });
    else within(context, setting.span, () => attempt(() => read(setting)));
    seen.set(name, setting.name.span);
  }
  if (!seen.has('train') && block.settings.length > 0) report(context, {
    code: 'data.train', message: 'the data block has no `train` source', span: keyword(block.span, 'data'),
    help: 'write one, as in `train = csv("train.csv", …)`',
  });
  if (draft.split !== null && draft.holdOut !== null) report(context, {
    code: 'data.twice', message: '`split` and `hold_out` both take test rows from the training rows; keep one',
    span: seen.get('hold_out')!,
  });
  else if ((draft.split !== null || draft.holdOut !== null) && seen.has('test')) report(context, {
    code: 'data.twice', message: 'there is a `test` source; `split` and `hold_out` are for when there is none',
    span: (seen.get('split') ?? seen.get('hold_out'))!,
  });
  return { ...draft, seed, vocabularies: vocabularies.map(({ vocabulary }) => vocabulary) };

  function read(setting: Setting): void {
    const { name: { text: name, span }, values } = setting;
    const [value] = values;
    if (setting.assigned) {
      if (name !== 'train' && name !== 'test') {
        const near = suggest(name, ['train', 'test']);
        fail(context, {
          code: 'data.unknown', message: `a data block has the sources \`train\` and \`test\`, not \`${name}\``, span,
          help: didYouMean(near),
        });
      }
      draft.sources.push(source(context, setting, targets, vocabularies, scope));
      return;
    }
    const plain = values.length === 1 && value!.kind !== 'word' && value!.kind !== 'quantity' && value!.kind !== 'pattern';
    const item = plain ? need(context, value as Expression, scope) : null;
    switch (name) {
      case 'shuffle':
        if (values.length > 0 && item?.kind !== 'boolean') fail(context, { code: 'data.value', message: '`shuffle` is `true` or `false`' });
        draft.shuffle = item?.kind === 'boolean' ? item.value : true;
        return;
      case 'split':
        if (item?.kind !== 'number' || item.value <= 0 || item.value >= 1) return fail(context, {
          code: 'data.value', message: '`split` is the share of rows to train on, between 0 and 1, as in `split 0.9`',
        });
        draft.split = item.value;
        return;
      case 'hold_out':
        if (item?.kind !== 'number' || !Number.isInteger(item.value) || item.value < 1) return fail(context, {
          code: 'data.value', message: '`hold_out` is the number of last rows to test on, as in `hold_out 1000`',
        });
        draft.holdOut = item.value;
        return;
      default: {
        const known = ['train', 'test', 'shuffle', 'split', 'hold_out'];
        const near = suggest(name, known);
        fail(context, {
          code: 'data.unknown', message: `a data block has no setting \`${name}\``, span,
          help: near === 'train' || near === 'test' ? `did you mean \`${near} = …\`?` : didYouMean(near, `settings are ${known.map(one => `\`${one}\``).join(', ')}`),
        });
      }
    }
  }
}

function source(
  context: Context, { name: { text: name }, values, body }: Setting, targets: ReadonlyMap<string, Target>, vocabularies: InputVocabulary[], scope: Scope,
): DataSource {
  const expression = values[0] as Expression;
  if (expression.kind === 'missing') return fail(context, { code: 'data.format', message: 'a source is missing' });
  const shown = [...formats, 'synthetic'].map(format => `\`${format}\``).join(', ');
  if (expression.kind !== 'call' || expression.callee.kind !== 'name') return fail(context, {
    code: 'data.format', message: `a source is one of ${shown}, as in \`idx(image: "images.idx")\``, span: expression.span,
  });
  const format = expression.callee.text;
  const plain = { name, separator: ',', header: true, stride: null };
  if (format === 'synthetic') {
    const fields = [...targets].map(([input, target]) => plainField(input, target, ''));
    return { ...plain, format, fields, synthetic: syntheticRows(context, name, expression, body, targets, scope) };
  }
  if (body !== null) report(context, {
    code: 'data.synthetic', message: `\`${format}\` takes no block`, span: expression.span, help: 'rows that are computed are written `synthetic(rows: 10000) { … }`',
  });
  if (!isFormat(format)) {
    const near = suggest(format, [...formats, 'synthetic']);
    return fail(context, {
      code: 'data.format', span: expression.callee.span,
      message: `no data format is called \`${format}\``,
      help: didYouMean(near, `formats are ${shown}`),
    });
  }
  const positional = expression.arguments.filter(argument => argument.name === null);
  const named = expression.arguments.filter(argument => argument.name !== null);
  const optionArguments = new Map<string, Argument>();
  const fieldArguments = new Map<string, Argument>();
  for (const argument of named) {
    const key = argument.name!.text;
    const into = (options[format] as readonly string[]).includes(key) && !targets.has(key) ? optionArguments : fieldArguments;
    if (into.has(key)) report(context, { code: 'call.twice', message: `\`${key}\` is given twice`, span: argument.name!.span });
    into.set(key, argument);
  }
  const usual = firstFile[format];
  const file = usual === null ? '' : (attempt(() => sourceFile(context, format, usual, positional, scope)) ?? '');
  if (usual === null && positional.length > 0) report(context, {
    code: 'data.file',
    message: `\`${format}\` has one file for each input: \`${format}(${[...targets.keys()][0] ?? 'x'}: "file")\``,
    span: positional[0]!.span,
  });
  checkNames(context, name, fieldArguments, targets);
  const unit = format === 'text' ? attempt(() => textUnit(context, named, scope)) : null;
  const fields: DataField[] = [];
  for (const [input, argument] of fieldArguments) {
    const target = targets.get(input);
    if (target === undefined) continue;
    const own = { format, file, unit, vocabularies };
    const made = within(context, argument.value.span, () => attempt(() => elaborateField(context, own, input, target, argument.value, scope)));
    if (made) fields.push(made);
  }
  const given = <T extends string | boolean>(key: string, kind: 'string' | 'boolean', otherwise: T): T =>
    attempt(() => option(context, optionArguments.get(key), scope, kind, otherwise)) ?? otherwise;
  const separator = given('separator', 'string', ',');
  if (separator.length !== 1) report(context, {
    code: 'data.value', message: `\`separator\` is one character, not "${separator}"`, span: optionArguments.get('separator')!.value.span,
  });
  const stride = optionArguments.get('stride');
  return {
    ...plain, format, fields, separator, header: given('header', 'boolean', true), synthetic: null,
    stride: stride === undefined ? null : attempt(() => wholeNumber(context, stride.value, scope, 'stride', 1)),
  };
}

const isFormat = (text: string): text is Format => (formats as readonly string[]).includes(text);

function sourceFile(context: Context, format: Format, usual: string, positional: readonly Argument[], scope: Scope): string {
  const [first, ...more] = positional;
  if (first === undefined || more.length > 0) return fail(context, {
    code: 'data.file', message: `\`${format}\` takes one ${format === 'images' ? 'folder' : 'file'} first: \`${format}("${usual}", …)\``,
    ...(more[0] ? { span: more[0].span } : {}),
  });
  const item = need(context, first.value, scope);
  return within(context, first.value.span, () => dataPath(context, item));
}

function checkNames(context: Context, name: string, fields: ReadonlyMap<string, Argument>, targets: ReadonlyMap<string, Target>): void {
  for (const [key, argument] of fields) {
    if (targets.has(key)) continue;
    const near = suggest(key, [...targets.keys()].filter(target => !fields.has(target)));
    report(context, {
      code: 'data.input', message: `the model has no input \`${key}\``, span: argument.name!.span,
      help: near === null ? `its inputs are ${[...targets.keys()].map(one => `\`${one}\``).join(', ')}` : `did you mean \`${near}\`?`,
    });
  }
  const missing = [...targets.keys()].filter(target => !fields.has(target));
  const unknown = [...fields.keys()].filter(key => !targets.has(key));
  if (missing.length > unknown.length) report(context, {
    code: 'data.missing',
    message: `the \`${name}\` source has nothing for the input ${missing.map(one => `\`${one}\``).join(' and ')}`,
  });
}

function option<T extends string | boolean>(context: Context, argument: Argument | undefined, scope: Scope, kind: 'string' | 'boolean', usual: T): T {
  if (argument === undefined) return usual;
  const item = need(context, argument.value, scope);
  if (item.kind === kind) return item.value as T;
  return fail(context, {
    code: 'data.value', message: `\`${argument.name!.text}\` is a ${kind}, found ${describe(item)}`, span: argument.value.span,
  });
}
