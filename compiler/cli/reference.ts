/**
 * The reference of everything that a model can call, made from the op table, the built-in functions and the library, and of every
 * code that a diagnostic can have. `nabla ops` and `nabla explain` show entries of it, `docs/` holds all of it.
 */
import type { FunctionItem, LayerItem, OptimizerItem } from '../1-parse/ast.ts';
import { builtins } from '../2-elaborate/builtins.ts';
import { generateSettings } from '../2-elaborate/generate.ts';
import { callable, spelled } from '../2-elaborate/op-call.ts';
import { trainSettings } from '../2-elaborate/train.ts';
import { libraryFiles } from '../index.ts';
import { isPrimitive, type AnyComposite, type AnyOp, type AnyPrimitive, type Attribute } from '../ops/define.ts';
import { opTable } from '../ops/index.ts';
import { codes } from '../source/codes.ts';
import { position } from '../source/text.ts';

export interface Entry {
  readonly name: string;
  readonly group: Group;
  /** How it is called, or declared in the library. */
  readonly signature: string;
  /** One or more sentences; the first is the summary. */
  readonly doc: string;
  /** More of it, in lines: attributes, rules, where it is. */
  readonly details: readonly string[];
}
export type Group = keyof typeof groups;

export const groups = {
  operator: 'Operators',
  builtin: 'Built-in functions',
  fn: 'Library functions',
  layer: 'Layers',
  optimizer: 'Optimizers',
  internal: 'Operators that only the compiler makes',
};

/** Every entry, by group and within one by name. */
export function referenceEntries(): readonly Entry[] {
  const entries = [
    ...[...opTable.values()].map(opEntry),
    ...[...builtins].map(([name, { signature, doc }]): Entry => ({ name, group: 'builtin', signature, doc, details: [] })),
    ...libraryFiles(null).flatMap(file => file.items.flatMap(item =>
      (item.kind === 'fn' || item.kind === 'layer' || item.kind === 'optimizer' ? [libraryEntry(item)] : []))),
  ];
  const order = Object.keys(groups);
  return entries.sort((a, b) => order.indexOf(a.group) - order.indexOf(b.group) || (a.name < b.name ? -1 : 1));
}

/** The page `docs/ops.md`. */
export function opsPage(): string {
  const entries = referenceEntries();
  const sections = (Object.keys(groups) as Group[]).map(group => {
    const own = entries.filter(entry => entry.group === group);
    return `## ${groups[group]}\n\n${own.map(entryMarkdown).join('\n')}`;
  });
  return `# What a model can call\n\n${generated}\n\n${sections.join('\n')}`;
}

/** The page `docs/diagnostics.md`. */
export function diagnosticsPage(): string {
  const own = Object.entries(codes).map(([code, { title }]) => `## ${code}\n\n${title}.\n\n\`\`\`text\n${explanationOf(code)}\n\`\`\`\n`);
  const rules = [...opTable.values()].flatMap(({ definition }) =>
    Object.entries(definition.constraints as Rules).map(([label, rule]) => `| \`${definition.name}.${label}\` | ${rule} |\n`));
  return `# What errors mean\n\n${generated} \`nabla explain CODE\` prints an entry.\n\n${own.join('\n')}
## Rules of operators\n\n| code | rule |\n|---|---|\n${rules.join('')}`;
}

/** What a code means, with the names of settings from the tables that read them. */
export function explanationOf(code: string): string {
  const { explanation } = codes[code]!;
  const settings = settingsOf[code];
  return settings === undefined ? explanation : `${filled(`Settings are ${settings.slice(0, -1).join(', ')} and ${settings.at(-1)!}.`)}\n\n${explanation}`;
}

const settingsOf: Readonly<Record<string, readonly string[]>> = { 'train.unknown': trainSettings, 'generate.unknown': generateSettings };

/** In lines of at most 120 characters. */
const filled = (text: string): string => text.replaceAll(/(.{1,120})( |$)/g, '$1\n').trimEnd();

const generated = 'This page is made by `npm run docs` from the tables that the compiler itself reads.';

function entryMarkdown({ name, signature, doc, details }: Entry): string {
  const list = details.length === 0 ? '' : `\n${details.map(detail => `- ${detail}\n`).join('')}`;
  return `### ${name}\n\n\`\`\`text\n${signature}\n\`\`\`\n\n${doc}\n${list}`;
}

type Rules = Readonly<Record<string, string>>;

function opEntry(op: AnyOp): Entry {
  const definition: AnyPrimitive | AnyComposite = op.definition;
  const attributes = Object.entries(definition.attrs as Readonly<Record<string, Attribute>>)
    .map(([name, attribute]): [string, Attribute] => [spelled(name, attribute.kind), attribute]);
  // Any number of operands are given as a list.
  const operands = (definition.operands as readonly string[]).map(name => name.replace(/^\.\.\./, ''));
  const parameters = attributes.map(([name, attribute]) => (attribute.default === undefined ? name : `${name} = ${written(attribute)}`));
  return {
    name: definition.name,
    group: callable(op) ? 'operator' : 'internal',
    signature: `${definition.name}(${[...operands, ...parameters].join(', ')})`,
    doc: definition.doc,
    details: [
      ...attributes.map(([name, { kind, doc }]) => `\`${name}\`${kind === 'internal' ? '' : ` (${kindNames[kind]})`}: ${doc}`),
      ...Object.entries(definition.constraints as Rules).map(([label, rule]) => `\`${definition.name}.${label}\`: ${rule}`),
      ...(isPrimitive(definition) && definition.gradient === 'none' ? ['Gradients do not pass through it.'] : []),
    ],
  };
}

const kindNames = {
  axis: 'an axis', axes: 'an axis or a list of axes', permutation: 'a list of axes', integer: 'a whole number',
  integers: 'a whole number or a list of them',
  number: 'a number', boolean: '`true` or `false`', dtype: 'a type of elements', dims: 'a list of extents',
} satisfies Record<Exclude<Attribute['kind'], 'internal'>, string>;

function written(attribute: Attribute): string {
  const value = attribute.default;
  return Array.isArray(value) && value.length === 1 ? String(value[0]) : JSON.stringify(value).replaceAll('"', '').replaceAll(',', ', ');
}

function libraryEntry(item: FunctionItem | LayerItem | OptimizerItem): Entry {
  const { file, start } = item.span;
  return {
    name: item.name.text, group: item.kind, signature: header(file.text.slice(item.name.span.start, item.span.end)), doc: item.doc,
    details: [`Written in \`compiler/${file.path}\`, line ${position(file, start).line}.`],
  };
}

/** What stands before a definition's body. */
function header(text: string): string {
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    const character = text[i]!;
    if ('([{'.includes(character) && (character !== '{' || depth > 0)) depth++;
    else if (')]'.includes(character)) depth--;
    else if (depth === 0 && (character === '{' || character === '=')) return text.slice(0, i).trim().replaceAll(/\s+/g, ' ');
  }
  return text;
}
