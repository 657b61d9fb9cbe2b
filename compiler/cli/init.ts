/** `nabla init`: a small project to start from, copied from `template/`: a model, its data, a page that tells what to do next. */
import { cpSync, existsSync, mkdirSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Failure, fileFailure } from './failure.ts';

export function runInit(folder: string): number {
  const template = fileURLToPath(new URL('./template/', import.meta.url));
  try {
    mkdirSync(folder, { recursive: true });
    const taken = readdirSync(template).filter(name => existsSync(`${folder}/${name}`));
    if (taken.length > 0) throw new Failure(`\`${folder}\` holds ${taken.map(name => `\`${name}\``).join(', ')} already: choose another folder`);
    cpSync(template, folder, { recursive: true });
  } catch (error) {
    throw fileFailure(error, folder);
  }
  process.stdout.write(`made ${readdirSync(template).map(name => `${folder}/${name}`).join(', ')}\n`);
  process.stdout.write(`start with: cd ${folder} && nabla train flowers.model\n`);
  return 0;
}
