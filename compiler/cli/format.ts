/** `nabla fmt`: puts files into the canonical layout, or tells which are not in it. A file with syntax errors is left alone. */
import { readFileSync } from 'node:fs';
import { format } from '../1-parse/format.ts';
import { drawn } from './compile-file.ts';
import { Failure } from './failure.ts';
import { readSource } from './read-source.ts';
import { writeOutput } from './write-output.ts';

export function runFormat(paths: readonly string[], flags: { readonly check?: boolean }): number {
  let wrong = 0;
  let other = 0;
  for (const path of paths) {
    const source = readSource(path);
    const { text, diagnostics } = format(source);
    if (text === null) {
      drawn(diagnostics, source.path);
      wrong++;
    } else if (text !== readFileSync(path, 'utf8')) {
      other++;
      if (!flags.check) writeOutput(path, text);
      process.stdout.write(`${source.path}${flags.check ? ': not in canonical layout' : ''}\n`);
    }
  }
  if (wrong > 0) throw new Failure(`${wrong} of ${paths.length} files with syntax errors`);
  if (flags.check && other > 0) throw new Failure(`${other} of ${paths.length} files not in canonical layout: run \`nabla fmt\` on them`);
  return 0;
}
