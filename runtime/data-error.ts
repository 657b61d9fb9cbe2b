/** The error of data, weights and settings that do not fit the program: its message is for the user, without a stack trace. */

export class DataError extends Error {
  override readonly name: string = 'DataError';
}

/** `, did you mean …?` when one of the names is near, else `; ` and what there is: `; its columns are …`. */
export function suggestion(name: string, candidates: readonly string[], introduction: string): string {
  let best: string | null = null;
  let least = Math.min(2, Math.ceil(name.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (distance < least) [best, least] = [candidate, distance];
  }
  if (best !== null) return `, did you mean \`${best}\`?`;
  const more = candidates.length > 20 ? ', …' : '';
  return `; ${introduction} ${candidates.slice(0, 20).map(candidate => `\`${shortened(candidate)}\``).join(', ')}${more}`;
}

/** Names come from files, which may be anything. */
export const shortened = (name: string): string => (name.length > 60 ? `${name.slice(0, 59)}…` : name);

/** Insertions, deletions and replacements between two words (Levenshtein). */
export function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length]!;
}

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** A message for a terminal, which takes control characters for orders. */
export const printable = (message: string): string => message.replace(/[^\P{Cc}\n\t]/gu, '\ufffd');
