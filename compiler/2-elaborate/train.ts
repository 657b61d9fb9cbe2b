/** The settings of a train block, checked: every name known, every value of its kind, nothing given twice. */
import type { Expression, Name, Setting, SettingValue, TrainBlock } from '../1-parse/ast.ts';
import { dtypes, isFloat } from '../ir/type.ts';
import type { Interval, TrainSettings } from '../ir/model.ts';
import { spanText, type Span } from '../source/text.ts';
import { suggest } from '../source/suggest.ts';
import { attempt, fail, keyword, report, within, type Context } from './context.ts';
import { need } from './expression.ts';
import { describe } from './item.ts';
import type { OptimizerSetting } from './optimizer.ts';
import type { Pattern } from './pattern.ts';
import type { Scope } from './scope.ts';

/** Rows of a batch where no train block says otherwise. */
export const defaultBatch = 32;

export interface Training {
  readonly settings: TrainSettings;
  readonly batch: number | null;
  readonly batchSpan: Span | null;
  /** What a step minimizes, in order; empty where none is named, which is an error. */
  readonly minimized: readonly MinimizeSetting[];
  readonly frozen: readonly Pattern[];
}

/** `minimize loss over pattern … with optimizer`; `optimizer …` alone is one of all parameters. */
export interface MinimizeSetting {
  /** Null for the model's only loss. */
  readonly loss: Name | null;
  /** Null for every parameter. */
  readonly over: readonly Pattern[] | null;
  readonly optimizer: OptimizerSetting;
  readonly span: Span;
}

type Draft = { -readonly [K in keyof TrainSettings]: TrainSettings[K] } & { batch: number | null; minimized: MinimizeSetting[]; frozen: Pattern[] };
type Read = (context: Context, setting: Setting, scope: Scope, draft: Draft) => void;

const defaults: TrainSettings = {
  epochs: null, steps: null, seed: 0, clipNorm: null, accumulate: 1, ema: null, precision: 'f32', memory: null,
  evaluateEvery: null, checkpointEvery: null, checkpointKeep: 1, earlyStop: null,
};

const memoryUnits = {
  B: 1, KB: 1e3, MB: 1e6, GB: 1e9, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30,
} as const;

const readers = {
  // Which model a block trains is settled before its settings are read.
  model: () => undefined,
  batch: (context, setting, scope, draft) => (draft.batch = whole(context, setting, scope, 1)),
  epochs: (context, setting, scope, draft) => (draft.epochs = positive(context, setting, scope)),
  steps: (context, setting, scope, draft) => (draft.steps = whole(context, setting, scope, 1)),
  seed: (context, setting, scope, draft) => (draft.seed = whole(context, setting, scope, 0)),
  clip_norm: (context, setting, scope, draft) => (draft.clipNorm = positive(context, setting, scope)),
  early_stop: (context, setting, scope, draft) => (draft.earlyStop = whole(context, withoutWord(setting, 'patience'), scope, 1)),
  evaluate: (context, setting, scope, draft) => (draft.evaluateEvery = intervals(context, setting, scope, []).every),
  checkpoint: (context, setting, scope, draft) => {
    const { every, keep } = intervals(context, setting, scope, ['keep']);
    draft.checkpointEvery = every;
    draft.checkpointKeep = keep ?? 1;
  },
  optimizer: (context, setting, _, draft) => {
    const [value, ...more] = setting.values;
    if (value === undefined || !isExpression(value) || more.length > 0) fail(context, {
      code: 'train.value', message: '`optimizer` takes one optimizer, as in `optimizer adam(lr: 1e-3)`',
    });
    draft.minimized.push({ loss: null, over: null, optimizer: { expression: value, exceptions: setting.exceptions }, span: setting.span });
  },
  freeze: (context, setting, _, draft) => {
    if (setting.values.length === 0) fail(context, {
      code: 'train.value', message: '`freeze` takes patterns of parameter paths, as in `freeze encoder.*`',
    });
    for (const value of setting.values) draft.frozen.push(patternOf(context, value, 'freeze'));
  },
  precision: (context, setting, _, draft) => {
    const [value, ...more] = setting.values;
    const text = value === undefined ? '' : value.kind === 'string' ? value.value : spanText(value.span);
    const precision = dtypes.find(dtype => dtype === text && isFloat(dtype));
    if (precision === undefined || more.length > 0) return fail(context, {
      code: 'train.value', message: `\`precision\` is one of f32, f16 and bf16, not \`${[text, ...more.map(({ span }) => spanText(span))].join(' ')}\``,
    });
    draft.precision = precision;
  },
  accumulate: (context, setting, scope, draft) => (draft.accumulate = whole(context, setting, scope, 1)),
  ema: (context, setting, scope, draft) => {
    const decay = positive(context, setting, scope);
    if (decay >= 1) fail(context, { code: 'train.value', message: `\`ema\` is a decay between 0 and 1, not ${decay}` });
    draft.ema = decay;
  },
  memory: (context, setting, _, draft) => {
    const [value, ...more] = setting.values;
    const unit = value?.kind === 'quantity' && Object.hasOwn(memoryUnits, value.unit) ? memoryUnits[value.unit as keyof typeof memoryUnits] : null;
    if (value?.kind !== 'quantity' || unit === null || more.length > 0) return fail(context, {
      code: 'train.value', message: '`memory` is an amount such as `512MB`',
    });
    draft.memory = { bytes: Math.floor(value.value * unit), span: value.span };
  },
  minimize: (context, setting, _, draft) => draft.minimized.push(minimizeSetting(context, setting)),
} satisfies Record<string, Read>;

/** Every setting that a train block can have. */
export const trainSettings: readonly string[] = Object.keys(readers);

/** The settings of a block; the defaults without one. */
export function elaborateSettings(context: Context, block: TrainBlock | null, scope: Scope): Training {
  const draft: Draft = { ...defaults, batch: null, minimized: [], frozen: [] };
  const seen = new Map<string, Span>();
  for (const setting of block?.settings ?? []) {
    const name = setting.name.text;
    const read: Read | undefined = Object.hasOwn(readers, name) ? readers[name as keyof typeof readers] : undefined;
    const earlier = seen.get(name);
    if (read === undefined) {
      const near = suggest(name, trainSettings);
      report(context, {
        code: 'train.unknown', message: `a train block has no setting \`${name}\``, span: setting.name.span,
        help: near === null ? `settings are ${trainSettings.map(one => `\`${one}\``).join(', ')}` : `did you mean \`${near}\`?`,
      });
    } else if (setting.assigned) {
      report(context, { code: 'train.value', message: `a setting is written without \`=\`: \`${name} …\``, span: setting.span });
    } else if (earlier && name !== 'freeze' && name !== 'minimize') {
      report(context, {
        code: 'train.twice', message: `\`${name}\` is set twice`, span: setting.name.span,
        secondary: [{ span: earlier, text: 'set first here' }],
      });
    } else within(context, setting.span, () => attempt(() => read(context, setting, scope, draft)));
    if (setting.exceptions.length > 0 && name !== 'optimizer' && name !== 'minimize' && read !== undefined) {
      report(context, { code: 'train.value', message: '`except` stands only after an optimizer', span: setting.exceptions[0]!.span });
    }
    seen.set(name, setting.name.span);
  }
  if (block !== null && !seen.has('optimizer') && !seen.has('minimize')) {
    report(context, {
      code: 'train.optimizer', message: 'the train block names no optimizer', span: keyword(block.span, 'train'),
      help: 'write one, as in `optimizer adam(lr: 1e-3)`',
    });
  }
  const [optimizer, minimize] = [seen.get('optimizer'), seen.get('minimize')];
  if (optimizer && minimize) report(context, {
    code: 'train.minimize', message: '`optimizer` minimizes the loss over all parameters, which `minimize` does in parts', span: minimize,
    secondary: [{ span: optimizer, text: 'all of them here' }], help: 'write the optimizer behind `with`, and remove the line `optimizer …`',
  });
  if (draft.minimized.length > 1 && draft.accumulate > 1) report(context, {
    code: 'train.minimize', message: '`accumulate` adds up the gradients of one loss, but there are several', span: seen.get('accumulate')!,
    help: 'take a larger `batch`',
  });
  const { batch, minimized, frozen, ...settings } = draft;
  return { settings, batch, batchSpan: batch === null ? null : (seen.get('batch') ?? null), minimized, frozen };
}

/** `minimize LOSS [over PATTERN …] with OPTIMIZER [except …]` */
function minimizeSetting(context: Context, setting: Setting): MinimizeSetting {
  const { values } = setting;
  const [loss] = values;
  const words = values.map(value => (value.kind === 'word' ? value.text : ''));
  const [over, last] = [words.indexOf('over'), words.indexOf('with')];
  const optimizer = values[last + 1];
  const complete = loss?.kind === 'name' && (over < 0 ? last === 1 : over === 1 && last > over + 1) && last === values.length - 2;
  if (!complete || optimizer === undefined || !isExpression(optimizer)) return fail(context, {
    code: 'train.value', message: '`minimize` is written `minimize loss over encoder.* with adam(lr: 1e-3)`, or without `over` for all parameters',
  });
  return {
    loss: { text: loss.text, span: loss.span }, over: over < 0 ? null : values.slice(over + 1, last).map(value => patternOf(context, value, 'minimize … over')),
    optimizer: { expression: optimizer, exceptions: setting.exceptions }, span: setting.span,
  };
}

const isExpression = (value: SettingValue): value is Expression => value.kind !== 'word' && value.kind !== 'quantity' && value.kind !== 'pattern';

export function numberOf(context: Context, setting: Setting, scope: Scope): number {
  const [value, ...more] = setting.values;
  const name = setting.name.text;
  if (value === undefined) return fail(context, { code: 'train.value', message: `\`${name}\` needs a number`, span: setting.span });
  if (more.length > 0) return fail(context, { code: 'train.value', message: `\`${name}\` takes one number`, span: more[0]!.span });
  if (!isExpression(value)) return fail(context, {
    code: 'train.value', message: `\`${name}\` takes a number, not \`${spanText(value.span)}\``, span: value.span,
  });
  const item = need(context, value, scope);
  return item.kind === 'number' ? item.value : fail(context, {
    code: 'train.value', message: `\`${name}\` takes a number, found ${describe(item)}`, span: value.span,
  });
}

export function whole(context: Context, setting: Setting, scope: Scope, least: number): number {
  const value = numberOf(context, setting, scope);
  if (Number.isInteger(value) && value >= least && value < 2 ** 31) return value;
  return fail(context, {
    code: 'train.value', message: `\`${setting.name.text}\` is a whole number ${value >= 2 ** 31 ? 'below 2^31' : `of at least ${least}`}, not ${value}`,
    span: setting.values[0]!.span,
  });
}

export function positive(context: Context, setting: Setting, scope: Scope): number {
  const value = numberOf(context, setting, scope);
  return value > 0 ? value : fail(context, {
    code: 'train.value', message: `\`${setting.name.text}\` is a number above 0, not ${value}`, span: setting.values[0]!.span,
  });
}

/** `early_stop patience 5` is `early_stop 5`. */
function withoutWord(setting: Setting, word: string): Setting {
  const [first, ...rest] = setting.values;
  return first?.kind === 'word' && first.text === word ? { ...setting, values: rest } : setting;
}

/** `every 500`, `every 2 epochs`, `every 100 steps keep 3`. */
function intervals(context: Context, setting: Setting, scope: Scope, allowed: readonly string[]): { readonly every: Interval; readonly keep: number | null } {
  let every: Interval | null = null;
  let keep: number | null = null;
  const { values } = setting;
  const wrong = (span: Span): never => {
    const form = `\`${setting.name.text} every 500\` or \`${setting.name.text} every 2 epochs\`${allowed.includes('keep') ? ', with `keep 3` after it' : ''}`;
    return fail(context, { code: 'train.value', message: `\`${setting.name.text}\` is written ${form}`, span });
  };
  for (let i = 0; i < values.length; i++) {
    const word = values[i]!;
    const value = values[i + 1];
    const text = word.kind === 'word' ? word.text : word.kind === 'name' ? word.text : '';
    if (text !== 'every' && !allowed.includes(text)) wrong(word.span);
    if (value === undefined || !isExpression(value)) return wrong(value?.span ?? setting.span);
    const count = whole(context, { ...setting, values: [value] }, scope, 1);
    i++;
    if (text === 'keep') keep = count;
    else {
      const unit = values[i + 1];
      const unitText = unit?.kind === 'word' || unit?.kind === 'name' ? unit.text : null;
      if (unitText === 'steps' || unitText === 'epochs') i++;
      every = { count, unit: unitText === 'epochs' ? 'epochs' : 'steps' };
    }
  }
  return every === null ? wrong(setting.span) : { every, keep };
}

function patternOf(context: Context, value: SettingValue, what: string): Pattern {
  if (value.kind === 'pattern') return { text: value.text, span: value.span };
  if (value.kind === 'string') return { text: value.value, span: value.span };
  if (value.kind === 'name' || value.kind === 'member') return { text: spanText(value.span), span: value.span };
  return fail(context, {
    code: 'train.value', message: `\`${what}\` takes patterns of parameter paths, as in \`${what} encoder.*\``, span: value.span,
  });
}
