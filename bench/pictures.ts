/**
 * `node bench/pictures.ts [NAME…]`: draws the graphs of the models of `docs/models.md`, as `docs/images/models/NAME.svg`. The texts
 * that some are compiled for have to be there: `node models/data/texts.ts` and `words.ts` make them.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compileFile } from '../compiler/cli/compile-file.ts';
import { render, view } from '../compiler/view/view.ts';

interface Drawing {
  /** Layers nested deeper are one box each: as deep as a picture is read at the width of a page. */
  readonly depth?: number;
  readonly set?: ReadonlyMap<string, string>;
}

const drawings: Readonly<Record<string, Drawing>> = {
  iris: {}, regression: {}, mnist: {}, lenet: {}, alexnet: {}, resnet: {}, vit: {}, mixer: {}, autoencoder: {}, vae: {}, gan: { depth: 1 }, diffusion: {},
  pinn: {}, recommender: {}, dalle: {}, gpt2: {}, lstm: {}, gru: {}, transformer: {}, gpt: {}, llama: {},
  // One block tells what is added to all.
  lora: { depth: 2, set: new Map([['layers', '1']]) }, word2vec: {},
};

const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(drawings);
for (const name of names) if (!(name in drawings)) throw new Error(`there is no picture of \`${name}\`; give some of ${Object.keys(drawings).join(', ')}`);

const root = join(import.meta.dirname, '..');
const folder = join(root, 'docs/images/models');
mkdirSync(folder, { recursive: true });
// Where graphviz puts boxes depends a little on what it drew before: each picture has a process of its own.
if (names.length === 1) await draw(names[0]!);
else for (const name of names) execFileSync(process.execPath, [import.meta.filename, name], { stdio: 'inherit' });

async function draw(name: string): Promise<void> {
  const { depth, set = new Map<string, string>() } = drawings[name]!;
  const levels = compileFile(join(root, 'models', `${name}.model`), 'elaborate', { set });
  writeFileSync(join(folder, `${name}.svg`), await render(view(levels, 'source', depth === undefined ? {} : { depth }), 'svg'));
}
