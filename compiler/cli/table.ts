/** Tables for terminals: columns as wide as their widest cell, whole columns of numbers to the right. */

/** The text of a table, each line ended. */
export function printTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const numeric = head.map((_, column) => rows.every(row => /^[-\d.,]*( ?[kMGT]i?B?)?%?$/.test(row[column]!)));
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map(row => row[column]!.length)));
  const line = (cells: readonly string[]): string =>
    `  ${cells.map((cell, i) => (numeric[i] ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!))).join('  ')}`.trimEnd();
  return [head, ...rows].map(cells => `${line(cells)}\n`).join('');
}
