/**
 * `node bench/models.ts [NAME…]`: trains models of the README's table in full, by the commands of their rows, evaluates them and holds them
 * against what their rows say. Prints time and results of each as it is done. The files stay in a folder, for the pictures are to be looked at.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, symlinkSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';

/** What has to come out of an evaluation by a name: at least so much, or at most. */
type Goal = readonly [result: string, limit: 'least' | 'most', value: number];

interface Row {
  /** None where only a picture tells; a little less than the README's number, since machines round differently. */
  readonly goals: readonly Goal[];
  /** What makes its data, one command after the other. */
  readonly prepare?: readonly (readonly string[])[];
  /** The row whose weights it begins with. */
  readonly after?: string;
  /** What is evaluated, where it is not the file's last model. */
  readonly evaluate?: readonly string[];
}

const texts = [['models/data/texts.ts']];
const pairs = ['compiler/cli/nabla.js', 'tokenize', 'models/data/moby-dick.txt', '--vocabulary', '1000', '-o', 'models/data/bpe.json'];

const rows: Readonly<Record<string, Row>> = {
  iris: { goals: [['accuracy', 'least', 0.966]] },
  regression: { goals: [['absolute_error', 'most', 43]] },
  mnist: { goals: [['accuracy', 'least', 0.979]] },
  lenet: { goals: [['accuracy', 'least', 0.985]] },
  alexnet: { goals: [['accuracy', 'least', 0.97]] },
  resnet: { goals: [['accuracy', 'least', 0.992]] },
  vit: { goals: [['accuracy', 'least', 0.984]] },
  mixer: { goals: [['accuracy', 'least', 0.98]] },
  autoencoder: { goals: [['squared_error', 'most', 4.1]] },
  vae: { goals: [['loss', 'most', 105]] },
  gan: { goals: [] },
  diffusion: { goals: [['loss', 'most', 0.14]] },
  pinn: { goals: [['mean_error', 'most', 0.0045]] },
  recommender: { goals: [['error', 'most', 2.75]] },
  dalle: { goals: [['right', 'least', 0.85]], prepare: [['models/data/shapes.ts', 'shapes']], evaluate: ['--model', 'Drawing'] },
  gru: { goals: [['loss', 'most', 1.94]], prepare: texts },
  transformer: { goals: [['exact', 'least', 0.995]], prepare: texts },
  gpt: { goals: [['loss', 'most', 1.67]], prepare: texts },
  llama: { goals: [['loss', 'most', 1.47]], prepare: texts },
  lora: { goals: [['loss', 'most', 1.78]], prepare: texts, after: 'gpt' },
  'gpt-pairs': { goals: [['loss', 'most', 3.99]], prepare: [...texts, pairs] },
  word2vec: { goals: [['found', 'least', 0.3]], prepare: [['models/data/words.ts']] },
};

const root = join(import.meta.dirname, '..');
const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(rows);
for (const name of names) if (!(name in rows)) throw new Error(`there is no row \`${name}\`; give some of ${Object.keys(rows).join(', ')}`);

const folder = mkdtempSync(join(tmpdir(), 'nabla-models-'));
for (const name of ['models', 'node_modules', 'compiler']) symlinkSync(join(root, name), join(folder, name));
const done = new Set<string>();
for (const name of names) train(name);
process.stdout.write(`weights, curves and pictures are in ${folder}\n`);

/** Trains a model, once, behind the one that it begins with, and prints what came out. */
function train(name: string): void {
  const { goals, prepare = [], after, evaluate = [] } = rows[name]!;
  if (done.has(name)) return;
  done.add(name);
  if (after !== undefined) train(after);
  prepare.forEach(node);
  const [load] = loadavg();
  const started = performance.now();
  const trained = trainingCommand(name);
  node(trained);
  const seconds = (performance.now() - started) / 1000;
  const same = trained.filter((word, i) => word !== '--init' && trained[i - 1] !== '--init').map(word => (word === 'train' ? 'evaluate' : word));
  const results = node([...same, ...evaluate]).trim();
  const numbers = new Map(results.split(/ {2,}/).map(result => result.split(' ') as [string, string]));
  const missed = goals.filter(([result, limit, value]) => !(limit === 'least' ? Number(numbers.get(result)) >= value : Number(numbers.get(result)) <= value));
  if (missed.length > 0) process.exitCode = 1;
  const verdict = missed.length > 0 ? `missed: ${missed.map(([result, limit, value]) => `${result} at ${limit} ${value}`).join(', ')}`
    : goals.length > 0 ? 'reached' : 'look at its picture';
  const time = seconds < 60 ? `${seconds.toFixed(0)} s` : `${(seconds / 60).toFixed(1)} min`;
  process.stdout.write(`${name}: ${time} (load before: ${load!.toFixed(1)}), ${results}: ${verdict}\n`);
}

/** The last column of the model's row in the README, as arguments of Node. */
function trainingCommand(name: string): readonly string[] {
  const row = readFileSync(join(root, 'README.md'), 'utf8').split('\n').find(line => line.startsWith(`| [${name}](`));
  const command = row?.match(/`([^`]*)` \|$/)?.[1];
  if (command === undefined) throw new Error(`README.md has no row of \`${name}\` that ends with a command`);
  if (command !== 'npm start') return command.replace('npx nabla', 'compiler/cli/nabla.js').split(' ');
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { readonly scripts: { readonly start: string } };
  return scripts.start.split(' ').slice(1);
}

/** Runs a script in the folder and gives what it writes. */
function node(args: readonly string[]): string {
  return execFileSync(process.execPath, args, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
}
