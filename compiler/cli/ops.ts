/** `nabla ops`: everything that a model can call, one line each, or one entry in full. */
import { suggest } from '../source/suggest.ts';
import { Failure } from './failure.ts';
import { groups, referenceEntries, type Group } from './reference.ts';

export function runOps(name: string | undefined): number {
  const entries = referenceEntries();
  if (name !== undefined) {
    const found = entries.filter(entry => entry.name === name);
    if (found.length === 0) {
      const near = suggest(name, entries.map(entry => entry.name));
      const help = near === null ? ': `nabla ops` lists them all' : `, did you mean \`${near}\`?`;
      throw new Failure(`there is no operator, function, layer or optimizer \`${name}\`${help}`);
    }
    const texts = found.map(({ signature, doc, details }) => `${signature}\n\n${doc}\n${details.map(detail => `  ${detail}\n`).join('')}`);
    process.stdout.write(texts.join('\n'));
    return 0;
  }
  const sections = (Object.keys(groups) as Group[]).map(group => {
    const own = entries.filter(entry => entry.group === group);
    const width = Math.max(...own.map(entry => entry.name.length));
    return `${groups[group]}\n${own.map(entry => `  ${entry.name.padEnd(width)}  ${summary(entry.doc)}`.trimEnd()).join('\n')}\n`;
  });
  process.stdout.write(sections.join('\n'));
  return 0;
}

/** The first sentence. */
const summary = (doc: string): string => /^[\s\S]*?[.:;](?=\s|$)/.exec(doc)?.[0].replaceAll(/\s+/g, ' ').replace(/[:;]$/, '.') ?? doc;
