/** `nabla explain`: the rule behind the code of a diagnostic, from the table of codes or from the op table. */
import { opTable } from '../ops/index.ts';
import { codes } from '../source/codes.ts';
import { suggest } from '../source/suggest.ts';
import { Failure } from './failure.ts';
import { explanationOf } from './reference.ts';

export function runExplain(code: string): number {
  const text = textOf(code);
  if (text === null) {
    const near = suggest(code, allCodes());
    throw new Failure(`there is no code \`${code}\`${near === null ? ': `docs/diagnostics.md` lists them all' : `, did you mean \`${near}\`?`}`);
  }
  process.stdout.write(text);
  return 0;
}

const allCodes = (): readonly string[] => [
  ...Object.keys(codes),
  ...[...opTable.values()].flatMap(({ definition }) => Object.keys(definition.constraints).map(label => `${definition.name}.${label}`)),
];

function textOf(code: string): string | null {
  if (Object.hasOwn(codes, code)) return `${code}: ${codes[code]!.title}\n\n${explanationOf(code)}\n`;
  const [name = '', label = ''] = code.split('.');
  const rules: Readonly<Record<string, string>> = opTable.get(name)?.definition.constraints ?? {};
  const rule = Object.hasOwn(rules, label) ? rules[label] : undefined;
  return rule === undefined ? null : `${code}: a rule of the operator \`${name}\`\n\n${rule}\n\n\`nabla ops ${name}\` describes the operator.\n`;
}
