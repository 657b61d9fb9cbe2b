/** `nabla check`: every error of a file, as code frames or as JSON. */
import { check } from '../index.ts';
import { diagnosticJson } from '../source/render.ts';
import { positions } from '../source/text.ts';
import { compileOptions, drawn, type CompileFlags } from './compile-file.ts';
import { readSource } from './read-source.ts';

export function runCheck(path: string, flags: CompileFlags & { readonly json?: boolean }): number {
  const source = readSource(path);
  const diagnostics = check(source, compileOptions(path, flags));
  const locate = positions();
  if (flags.json) process.stdout.write(`${JSON.stringify(diagnostics.map(diagnostic => diagnosticJson(diagnostic, locate)), null, 2)}\n`);
  else if (diagnostics.length > 0) throw drawn(diagnostics, source.path);
  else process.stdout.write(`${source.path}: no errors\n`);
  return diagnostics.length > 0 ? 1 : 0;
}
