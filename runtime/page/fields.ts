/** An input that is some numbers: a form with a field for each, or one field for many, separated by commas. */
import type { Classes } from '../table.ts';
import { decimal } from '../csv.ts';
import type { DType } from '../program.ts';
import type { TensorArray } from '../tensor.ts';
import { newTensorArray } from '../tensor.ts';
import { make } from './dom.ts';
import type { InputPart } from './drawing.ts';

export interface FieldsOptions {
  readonly name: string;
  readonly dtype: DType;
  readonly count: number;
  /** What the columns are called; empty where they have no names. */
  readonly columns: readonly string[];
  /** The texts of a categorical input. */
  readonly classes: () => Classes | null;
  readonly changed: () => void;
}

/** More numbers share one field. */
export const mostFields = 32;

export function fieldsPart({ name, dtype, count, columns, classes, changed }: FieldsOptions): InputPart {
  const texts = classes();
  const labelOf = (i: number): string => (columns.length === count ? columns[i]! : count === 1 ? name : `${name}[${i}]`).replaceAll('_', ' ');
  if (count > mostFields) {
    const area = make('textarea', { rows: '4', spellcheck: 'false' });
    area.addEventListener('input', changed);
    return {
      element: make('label', { class: 'field wide' }, `${name}: ${count} numbers, separated by commas`, area),
      row: () => rowOfTexts(area.value.split(/[\s,;]+/).filter(text => text !== ''), count, dtype),
      show: row => {
        area.value = Array.from(row, shownNumber).join(', ');
        changed();
      },
    };
  }
  const fields = Array.from({ length: count }, (_, i): HTMLInputElement | HTMLSelectElement => {
    const options = texts?.[i];
    const field = options === undefined
      ? make('input', { type: 'text', inputmode: 'decimal', autocomplete: 'off', size: '6' })
      : make('select', {}, ...options.map((text, value) => make('option', { value: String(value) }, text)));
    field.addEventListener('input', changed);
    return field;
  });
  return {
    element: make('div', { class: 'fields' }, ...fields.map((field, i) => make('label', { class: 'field' }, labelOf(i), field))),
    row: () => {
      const row = rowOfTexts(fields.map(field => field.value), count, dtype);
      for (const field of fields) field.setAttribute('aria-invalid', String(field.value !== '' && Number.isNaN(decimal(field.value.trim()))));
      return row;
    },
    show: row => {
      fields.forEach((field, i) => {
        field.value = shownNumber(row[i]!);
      });
      changed();
    },
  };
}

/** As somebody would write it: single precision has seven digits. */
export const shownNumber = (value: number): string => String(Number(value.toPrecision(7)));

/** Null while something is missing or no number. */
export function rowOfTexts(texts: readonly string[], count: number, dtype: DType): TensorArray | null {
  const values = texts.map(text => decimal(text.trim()));
  if (values.length !== count || values.some(Number.isNaN)) return null;
  const row = newTensorArray(dtype, count);
  row.set(values);
  return row;
}
