/** One input's part of a data source: what it reads, by the source's format, checked against the input's type as far as no file is read. */
import type { Expression } from '../1-parse/ast.ts';
import type { Value } from '../ir/graph.ts';
import type { DataField, DataSource } from '../ir/model.ts';
import { printType, size } from '../ir/type.ts';
import { spanText } from '../source/text.ts';
import { fail, within, type Context } from './context.ts';
import { dataPath } from './data-path.ts';
import { need } from './expression.ts';
import { describe, type Item } from './item.ts';
import type { Scope } from './scope.ts';
import { isTextColumn, sameUnit, textColumn, wholeNumber, type InputVocabulary, type Unit } from './vocabulary.ts';

/** What is known of an input that data is fed to. */
export interface Target {
  readonly value: Value;
  readonly row: readonly number[];
  readonly below: number | null;
}

export interface FieldSource {
  readonly format: Exclude<DataSource['format'], 'synthetic'>;
  /** Empty where each input has a file of its own. */
  readonly file: string;
  /** Of a text; null for other formats, and where it is in error. */
  readonly unit: Unit | null;
  /** Those that the fields so far read, in the order in which the program will have them. */
  readonly vocabularies: InputVocabulary[];
}

/** A field that says nothing yet of how its file is read. */
export const plainField = (input: string, { value, row, below }: Target, file: string): DataField =>
  ({ input, dtype: value.type.dtype, shape: row, below, file, columns: [], categorical: false, picture: false, tokens: null });

export function elaborateField(context: Context, source: FieldSource, input: string, target: Target, expression: Expression, scope: Scope): DataField {
  const base = plainField(input, target, source.file);
  switch (source.format) {
    case 'idx':
    case 'npy':
      return { ...base, file: dataPath(context, need(context, expression, scope)) };
    case 'npz':
    case 'safetensors':
      return { ...base, columns: [tensorName(context, need(context, expression, scope), `\`${input}\` names a tensor of the file by a string`)] };
    case 'text': {
      const shift = wholeNumber(context, expression, scope, input, 0);
      return { ...base, tokens: source.unit === null ? null : { vocabulary: vocabularyOf(context, source, source.unit, input, target), shift } };
    }
    case 'images': return imageField(context, base, target, need(context, expression, scope));
    case 'csv':
    case 'jsonl':
      return columnField(context, source, base, target, expression, scope);
    default: return source.format satisfies never;
  }
}

function tensorName(context: Context, item: Item, what: string): string {
  return item.kind === 'string' ? item.value : fail(context, { code: 'data.value', message: `${what}, found ${describe(item)}` });
}

/** `image: "picture", digit: "folder"`. */
function imageField(context: Context, base: DataField, target: Target, item: Item): DataField {
  if (item.kind !== 'string' || (item.value !== 'picture' && item.value !== 'folder')) return fail(context, {
    code: 'data.value', message: `an input takes the "picture" or the number of its "folder", found ${describe(item)}`,
  });
  if (item.value === 'picture') return picture(context, { ...base, columns: ['picture'] }, target);
  return categories(context, { ...base, columns: ['folder'] }, target);
}

/** A column, `categories(…)` of columns, `picture(…)` of one, or a text as tokens. */
function columnField(context: Context, source: FieldSource, base: DataField, target: Target, expression: Expression, scope: Scope): DataField {
  if (isTextColumn(expression)) {
    const { column, unit, shift } = textColumn(context, expression, scope);
    const columns = columnsOf(context, source, column, scope);
    if (columns.length !== 1) fail(context, { code: 'data.columns', message: 'a text is in one column', span: column.span });
    return { ...base, columns, tokens: { vocabulary: vocabularyOf(context, source, unit, base.input, target), shift } };
  }
  const called = expression.kind === 'call' && expression.callee.kind === 'name' ? expression.callee.text : null;
  const wrapper = called === 'categories' || called === 'picture' ? called : null;
  const inner = wrapper !== null && expression.kind === 'call' ? expression.arguments : [];
  const column = wrapper === null ? expression : inner[0]?.value;
  if (column === undefined || (wrapper !== null && inner.length !== 1)) return fail(context, {
    code: 'data.value', message: `\`${wrapper}\` takes one column, as in \`${wrapper === 'picture' ? 'picture("file")' : 'categories("species")'}\``,
  });
  const columns = columnsOf(context, source, column, scope);
  // A field of jsonl holds arrays too, which are known when they are read.
  const wanted = source.format === 'jsonl' || wrapper === 'picture' ? 1 : size(target.row);
  if (columns.length !== wanted) fail(context, {
    code: 'data.columns',
    message: `\`${base.input}\` is ${printType(target.value.type)} and needs ${wanted} ${wanted === 1 ? 'column' : 'columns'} a row, `
      + `but \`${spanText(column.span)}\` has ${columns.length}`,
  });
  if (wrapper === 'picture') return picture(context, { ...base, columns }, target);
  return wrapper === null ? { ...base, columns } : categories(context, { ...base, columns }, target);
}

function columnsOf(context: Context, source: FieldSource, expression: Expression, scope: Scope): readonly string[] {
  const item = need(context, expression, scope);
  return within(context, expression.span, () => (item.kind === 'list' ? item.elements : [item]).map(column => {
    if (column.kind === 'string') return column.value;
    if (source.format === 'csv' && column.kind === 'number' && Number.isInteger(column.value) && column.value >= 0) return String(column.value);
    return fail(context, {
      code: 'data.value', message: source.format === 'csv'
        ? `a column is named by a string, or by its position from 0, found ${describe(column)}`
        : `a field is named by a string, found ${describe(column)}`,
    });
  }));
}

function categories(context: Context, field: DataField, target: Target): DataField {
  if (field.dtype !== 'i32' && field.dtype !== 'u8') fail(context, {
    code: 'data.value', message: `categories are whole numbers, but \`${field.input}\` is ${printType(target.value.type)}`,
    help: 'declare the input as i32',
  });
  if (field.columns[0] === 'folder' && size(field.shape) !== 1) fail(context, {
    code: 'data.columns', message: `a picture is in one folder, but \`${field.input}\` is ${printType(target.value.type)}`,
  });
  return { ...field, categorical: true };
}

function picture(context: Context, field: DataField, target: Target): DataField {
  const { shape, dtype } = field;
  const channels = shape.length === 3 ? shape[0]! : 1;
  if (dtype === 'u8' && (shape.length === 2 || shape.length === 3) && [1, 3, 4].includes(channels)) return { ...field, picture: true };
  return fail(context, {
    code: 'data.value',
    message: 'a picture is u8 [height, width], or [channels, height, width] with 1, 3 or 4 channels, '
      + `but \`${field.input}\` is ${printType(target.value.type)}`,
    help: 'declare it as u8 and divide by 255 in the model',
  });
}

/** The number that an input's vocabulary has in the program. Training rows say what it is, test rows are read in the same way. */
function vocabularyOf(context: Context, source: FieldSource, unit: Unit, input: string, { value, below }: Target): number {
  const { vocabularies } = source;
  const own = context.registry.vocabularies.get(input);
  if (own === null) return 0;
  if (own === undefined || !sameUnit(own.unit, unit)) return fail(context, {
    code: 'data.vocabulary', message: `the texts of \`${input}\` are read otherwise than in the \`train\` source`,
    help: 'write the same in both, since a token has to mean the same',
  });
  const { vocabulary } = own;
  const { dtype } = value.type;
  if (dtype !== 'i32' && !(dtype === 'u8' && vocabulary.size <= 256)) fail(context, {
    code: 'data.value', message: `\`${input}\` takes tokens below ${vocabulary.size}, but is ${printType(value.type)}`,
    help: 'declare the input as i32',
  });
  // Of all bytes a text uses some; every character and nearly every token of a vocabulary occurs.
  if (below !== null && below < vocabulary.size && vocabulary.kind !== 'bytes') fail(context, {
    code: 'data.vocabulary', message: `\`${input}\` takes tokens below ${vocabulary.size}, but the model only numbers below ${below}`,
    help: `write \`vocabulary(${input})\` where the model says ${below}`,
  });
  const known = vocabularies.findIndex(other => sameUnit(other.unit, unit) && other.vocabulary.end === vocabulary.end);
  return known >= 0 ? known : vocabularies.push(own) - 1;
}
