/**
 * Texts in the data block: what their tokens are, written as `characters`, `bytes` or `tokens("bpe.json")`. The vocabularies are read
 * before the model is elaborated, which may ask for their sizes, and become a part of the program.
 */
import type { Argument, DataBlock, Expression } from '../1-parse/ast.ts';
import type { Vocabulary } from '../ir/model.ts';
import { attempt, fail, within, type Context } from './context.ts';
import { readBytePairs } from './byte-pairs.ts';
import { dataPath } from './data-path.ts';
import { need } from './expression.ts';
import { describe } from './item.ts';
import type { Scope } from './scope.ts';

/** What a compilation reads of data files. */
export interface DataFiles {
  /** The different characters of a text, in the order of their code points. */
  readonly characters: (file: string) => { readonly characters: string } | { readonly reason: string };
  /** All of a text. */
  readonly text: (file: string) => { readonly text: string } | { readonly reason: string };
}

/** What a text is made of, as the model says it. */
export type Unit =
  /** Without an alphabet, those of the source's file. */
  | { readonly kind: 'characters'; readonly alphabet: string | null }
  | { readonly kind: 'bytes' }
  | { readonly kind: 'tokens'; readonly files: readonly string[] };

/** A unit and how a source reads it: the vocabulary of an input of the training rows. */
export interface InputVocabulary {
  readonly unit: Unit;
  readonly vocabulary: Vocabulary;
}

/** A field of csv or jsonl whose values are texts. */
export interface TextColumn {
  readonly column: Expression;
  readonly unit: Unit;
  readonly shift: number;
}

const unitKinds = ['characters', 'bytes', 'tokens'] as const;
const isUnitKind = (text: string): text is Unit['kind'] => (unitKinds as readonly string[]).includes(text);

/** Vocabularies of the inputs that the training source feeds with texts, put into the registry. What is wrong is told. */
export function collectVocabularies(context: Context, block: DataBlock, scope: Scope, files: DataFiles): void {
  const setting = block.settings.find(other => other.assigned && other.name.text === 'train');
  const source = setting?.values[0];
  if (source?.kind !== 'call' || source.callee.kind !== 'name') return;
  const format = source.callee.text;
  const named = source.arguments.filter(argument => argument.name !== null);
  within(context, setting!.span, () => {
    const { vocabularies } = context.registry;
    if (format === 'text') attempt(() => {
      const inputs = named.filter(argument => !isTextOption(argument.name!.text));
      for (const input of inputs) vocabularies.set(input.name!.text, null);
      const unit = textUnit(context, named, scope);
      const first = source.arguments.find(argument => argument.name === null);
      if (inputs.length === 0 || first === undefined) return;
      const file = within(context, first.value.span, () => dataPath(context, need(context, first.value, scope)));
      const told = unit.kind === 'characters' ? first.value.span : named.find(argument => argument.name!.text === 'unit')!.value.span;
      const vocabulary = within(context, told, () => read(context, unit, file, false, files));
      for (const input of inputs) vocabularies.set(input.name!.text, { unit, vocabulary });
    });
    if (format === 'csv' || format === 'jsonl') for (const { name, value } of named) within(context, value.span, () => attempt(() => {
      if (!isTextColumn(value)) return;
      vocabularies.set(name!.text, null);
      const { unit } = textColumn(context, value, scope);
      vocabularies.set(name!.text, { unit, vocabulary: read(context, unit, '', true, files) });
    }));
  });
}

export const isTextOption = (name: string): boolean => name === 'unit' || name === 'stride';

/** The unit of a `text` source; a constant condition may choose it, as in `tokenizer == none ? characters : tokens(tokenizer)`. */
export function textUnit(context: Context, named: readonly Argument[], scope: Scope): Unit {
  let value = named.find(argument => argument.name?.text === 'unit')?.value;
  while (value?.kind === 'conditional') {
    const condition = need(context, value.condition, scope);
    if (condition.kind !== 'boolean') return fail(context, {
      code: 'data.vocabulary', message: `what chooses the unit of a text is a boolean, found ${describe(condition)}`, span: value.condition.span,
    });
    value = condition.value ? value.then : value.otherwise;
  }
  if (value === undefined) return { kind: 'characters', alphabet: null };
  const name = value.kind === 'name' ? value.text : value.kind === 'call' && value.callee.kind === 'name' ? value.callee.text : '';
  if (!isUnitKind(name) || (name === 'tokens' && value.kind === 'name')) return fail(context, {
    code: 'data.vocabulary', message: 'the unit of a text is `characters`, `characters("abc…")`, `bytes` or `tokens("bpe.json")`', span: value.span,
  });
  return unitOf(context, name, value.kind === 'call' ? value.arguments : [], scope, value);
}

/** `characters("name", "abc")`, `bytes("name")` or `tokens("name", "bpe.json")`. */
export const isTextColumn = (value: Expression): value is UnitCall =>
  value.kind === 'call' && value.callee.kind === 'name' && isUnitKind(value.callee.text);

export type UnitCall = Extract<Expression, { kind: 'call' }> & { readonly callee: { readonly text: Unit['kind'] } };

export function textColumn(context: Context, value: UnitCall, scope: Scope): TextColumn {
  const kind = value.callee.text;
  const [first, ...others] = value.arguments.filter(argument => argument.name?.text !== 'shift');
  if (first === undefined || first.name !== null) return fail(context, {
    code: 'data.vocabulary', message: `\`${kind}\` takes the column of the texts first, as in \`${example[kind]}\``, span: value.span,
  });
  const unit = unitOf(context, kind, others, scope, value);
  if (unit.kind === 'characters' && unit.alphabet === null) return fail(context, {
    code: 'data.vocabulary', message: `the characters of a column are written down, as in \`${example.characters}\``, span: value.span,
  });
  const shift = value.arguments.find(argument => argument.name?.text === 'shift');
  return { column: first.value, unit, shift: shift === undefined ? 0 : wholeNumber(context, shift.value, scope, 'shift', -Infinity) };
}

const example = {
  characters: 'characters("name", "abcdefghijklmnopqrstuvwxyz")', bytes: 'bytes("name")', tokens: 'tokens("name", "bpe.json")',
} as const satisfies Record<Unit['kind'], string>;

function unitOf(context: Context, kind: Unit['kind'], given: readonly Argument[], scope: Scope, whole: Expression): Unit {
  const texts = given.map(({ name, value }) => within(context, value.span, () => {
    if (name !== null) return fail(context, { code: 'data.vocabulary', message: `\`${kind}\` has no argument \`${name.text}\``, span: name.span });
    const item = need(context, value, scope);
    if (item.kind !== 'string') return fail(context, { code: 'data.vocabulary', message: `\`${kind}\` takes strings, found ${describe(item)}` });
    return kind === 'tokens' ? dataPath(context, item) : item.value;
  }));
  const most = { characters: 1, bytes: 0, tokens: 2 }[kind];
  if (texts.length > most || (kind === 'tokens' && texts.length === 0)) return fail(context, {
    code: 'data.vocabulary', span: whole.span,
    message: { characters: '`characters` takes one string of all characters', bytes: '`bytes` takes no characters and no file',
      tokens: '`tokens` takes one file, as `nabla tokenize` writes it, or two, as GPT-2\'s `vocab.json` and `merges.txt`' }[kind],
  });
  if (kind === 'tokens') return { kind, files: texts };
  if (kind === 'bytes') return { kind };
  const alphabet = texts[0] ?? null;
  if (alphabet !== null && new Set(alphabet).size < Array.from(alphabet).length) return fail(context, {
    code: 'data.vocabulary', message: `the character \`${repeatedIn(alphabet)}\` is written twice`, span: given[0]!.value.span,
  });
  if (alphabet === '') return fail(context, { code: 'data.vocabulary', message: 'there are no characters in it', span: given[0]!.value.span });
  return { kind, alphabet };
}

const repeatedIn = (text: string): string => Array.from(text).find((character, i, all) => all.indexOf(character) < i)!;

/** A whole number of at least `low`. */
export function wholeNumber(context: Context, value: Expression, scope: Scope, name: string, low: number): number {
  const item = need(context, value, scope);
  if (item.kind === 'number' && Number.isInteger(item.value) && item.value >= low && Math.abs(item.value) < 2 ** 31) return item.value;
  return fail(context, {
    code: 'data.value', message: `\`${name}\` is a whole number${low > -Infinity ? ` from ${low}` : ''}, found ${describe(item)}`, span: value.span,
  });
}

/** Two sources read an input's texts in the same way. */
export const sameUnit = (a: Unit, b: Unit): boolean => JSON.stringify(a) === JSON.stringify(b);

/** Reads what the unit needs. Texts of columns have an end, which gets a token of its own where there is none. */
function read(context: Context, unit: Unit, file: string, ends: boolean, files: DataFiles): Vocabulary {
  switch (unit.kind) {
    case 'bytes': return { kind: 'bytes', size: ends ? 257 : 256, end: ends ? 256 : null };
    case 'characters': {
      const found = unit.alphabet === null ? files.characters(file) : { characters: unit.alphabet };
      if ('reason' in found) return fail(context, {
        code: 'data.file', message: `the characters of \`${file}\` make the vocabulary, but ${found.reason}`,
        help: 'give the folder of the data with `--data DIR`, or write the characters down: `unit: characters("abc…")`',
      });
      const count = Array.from(found.characters).length;
      return { kind: 'characters', characters: found.characters, size: count + (ends ? 1 : 0), end: ends ? count : null };
    }
    case 'tokens': {
      const texts = unit.files.map(name => {
        const found = files.text(name);
        return 'text' in found ? found.text : fail(context, {
          code: 'data.file', message: `the tokens of \`${name}\` make the vocabulary, but ${found.reason}`,
          help: 'make it with `nabla tokenize`, and give the folder of the data with `--data DIR`',
        });
      });
      const found = readBytePairs(texts);
      if ('reason' in found) return fail(context, {
        code: 'data.vocabulary', message: `\`${unit.files.join('`, `')}\` cannot be used: ${found.reason}`,
      });
      const { vocabulary } = found;
      return ends && vocabulary.end === null ? { ...vocabulary, end: vocabulary.size, size: vocabulary.size + 1 } : vocabulary;
    }
    default: return unit satisfies never;
  }
}
