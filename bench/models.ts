/**
 * `node bench/models.ts [NAME…]`: trains models of the README's table in full, by the commands of their rows, evaluates them and holds them
 * against what their rows say. Prints time and results of each as it is done. What a run that comes to that leaves to be seen, its curves,
 * pictures and texts, is put in `docs/models.md`; all files stay in a folder.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { basename, join } from 'node:path';

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
  /** What draws with the weights, one command after the other. */
  readonly draw?: readonly (readonly string[])[];
  /** The picture that training or drawing leaves. */
  readonly samples?: string;
}

const nabla = 'compiler/cli/nabla.js';
const generate = (name: string, ...flags: readonly string[]): readonly string[] => [nabla, 'generate', `models/${name}.model`, ...flags];
const drawNames = (name: string): readonly (readonly string[])[] => ['2', '3', '4', '5', '6'].map(seed => generate(name, '--seed', seed));
const drawDalle = [['bench/captions.ts'], [nabla, 'predict', 'models/dalle.model', '--data', 'shapes', '--model', 'Drawing', '--input', 'caption=caption.npy']];
const drawPairs = generate('gpt', '--set', 'tokenizer=data/bpe.json', '--prompt', 'The whale', '--temperature', '0.7', '--top-p', '0.9', '--seed', '2');
const texts = [['models/data/texts.ts']];
const pairs = [nabla, 'tokenize', 'models/data/moby-dick.txt', '--vocabulary', '1000', '-o', 'models/data/bpe.json'];

const rows: Readonly<Record<string, Row>> = {
  iris: { goals: [['accuracy', 'least', 0.966]] },
  regression: { goals: [['absolute_error', 'most', 43]] },
  mnist: { goals: [['accuracy', 'least', 0.979]] },
  lenet: { goals: [['accuracy', 'least', 0.985]] },
  alexnet: { goals: [['accuracy', 'least', 0.97]] },
  resnet: { goals: [['accuracy', 'least', 0.992]] },
  vit: { goals: [['accuracy', 'least', 0.982]] },
  mixer: { goals: [['accuracy', 'least', 0.98]] },
  autoencoder: { goals: [['squared_error', 'most', 4.1]], samples: 'autoencoder.reconstructed.png' },
  vae: { goals: [['loss', 'most', 105]], samples: 'vae.samples.png' },
  gan: { goals: [], samples: 'gan.samples.png' },
  diffusion: { goals: [['loss', 'most', 0.14]], samples: 'diffusion.samples.png' },
  pinn: { goals: [['mean_error', 'most', 0.006]] },
  recommender: { goals: [['error', 'most', 2.75]] },
  dalle: {
    goals: [['loss', 'most', 0.2]], prepare: [['models/data/shapes.ts', 'shapes']], evaluate: ['--model', 'Drawing'],
    draw: drawDalle, samples: 'dalle.Drawing.picture.png',
  },
  lstm: { goals: [['loss', 'most', 1.94]], prepare: texts, draw: drawNames('lstm') },
  gru: { goals: [['loss', 'most', 1.94]], prepare: texts, draw: drawNames('gru') },
  transformer: { goals: [['exact', 'least', 0.99]], prepare: texts, draw: [generate('transformer', '--prompt', 'may the first, nineteen oh five')] },
  gpt: { goals: [['loss', 'most', 1.67]], prepare: texts, draw: [generate('gpt', '--seed', '2')] },
  llama: { goals: [['loss', 'most', 1.47]], prepare: texts, draw: [generate('llama', '--seed', '2')] },
  lora: { goals: [['loss', 'most', 1.78]], prepare: texts, after: 'gpt', draw: [generate('lora', '--seed', '2')] },
  'gpt-pairs': { goals: [['loss', 'most', 3.99]], prepare: [...texts, pairs], draw: [drawPairs] },
  word2vec: { goals: [['found', 'least', 0.3]], prepare: [['models/data/words.ts']], draw: [['bench/nearest.ts', 'ship', 'boat', 'three', 'whale']] },
};

const root = join(import.meta.dirname, '..');
const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(rows);
for (const name of names) if (!(name in rows)) throw new Error(`there is no row \`${name}\`; give some of ${Object.keys(rows).join(', ')}`);

const folder = mkdtempSync(join(tmpdir(), 'nabla-models-'));
for (const name of ['models', 'node_modules', 'compiler', 'bench']) symlinkSync(join(root, name), join(folder, name));
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
  else showInGallery(name, basename(trained.find(word => word.endsWith('.model'))!, '.model'));
  const verdict = missed.length > 0 ? `missed: ${missed.map(([result, limit, value]) => `${result} at ${limit} ${value}`).join(', ')}`
    : goals.length > 0 ? 'reached' : 'look at its picture';
  const time = seconds < 60 ? `${seconds.toFixed(0)} s` : `${(seconds / 60).toFixed(1)} min`;
  process.stdout.write(`${name}: ${time} (load before: ${load!.toFixed(1)}), ${results}: ${verdict}\n`);
}

/** Puts what there is to be seen of a trained model between the marks of its section in `docs/models.md`, the pictures beside it. */
function showInGallery(name: string, file: string): void {
  const { draw = [], samples } = rows[name]!;
  const texts = draw.map(command => ({ command, text: node(command).trim() }));
  const pictures = readdirSync(folder).flatMap(path => {
    // A file of several stages leaves a curve for each.
    const stage = path === `${file}.svg` ? '' : path.startsWith(`${file}.`) && path.endsWith('.svg') ? `-${path.slice(file.length + 1, -4)}` : null;
    if (stage !== null) return [{ path, as: `${name}${stage}-curve.svg`, alt: `The loss of ${name}${stage.replace('-', ', ')} over its training, and its tests` }];
    return path === samples ? [{ path, as: `${name}-samples.png`, alt: `What ${name} draws` }] : [];
  }).sort((a, b) => (a.as < b.as ? -1 : 1));
  for (const { path, as } of pictures) copyFileSync(join(folder, path), join(root, 'docs/images/models', as));
  const shown = [
    ...pictures.map(({ as, alt }) => `<img src="images/models/${as}" width="420" alt="${alt}">`),
    ...texts.filter(({ text }) => samples === undefined && text !== '').flatMap(({ command, text }) => ['', '```text', `$ ${typed(command)}`, text, '```']),
  ];
  const page = join(root, 'docs/models.md');
  const before = readFileSync(page, 'utf8');
  const marks = new RegExp(`(<!-- trained: ${name} -->\n)[^]*?(<!-- end -->)`);
  if (!marks.test(before)) throw new Error(`docs/models.md has no place for \`${name}\`: write \`<!-- trained: ${name} -->\` and \`<!-- end -->\``);
  writeFileSync(page, before.replace(marks, (_, start: string, end: string) => `${start}${shown.map(line => `${line}\n`).join('')}${end}`));
}

/** Arguments of Node as they are typed in a shell. */
function typed(args: readonly string[]): string {
  return ['node', ...args].map(word => (/[^\w./=-]/.test(word) ? `"${word}"` : word)).join(' ').replace(`node ${nabla}`, 'npx nabla');
}

/** The last column of the model's row in the README, as arguments of Node. */
function trainingCommand(name: string): readonly string[] {
  const row = readFileSync(join(root, 'README.md'), 'utf8').split('\n').find(line => line.startsWith(`| [${name}](`));
  const command = row?.match(/`([^`]*)` \|$/)?.[1];
  if (command === undefined) throw new Error(`README.md has no row of \`${name}\` that ends with a command`);
  if (command !== 'npm start') return command.replace('npx nabla', nabla).split(' ');
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { readonly scripts: { readonly start: string } };
  return scripts.start.split(' ').slice(1);
}

/** Runs a script in the folder and gives what it writes. */
function node(args: readonly string[]): string {
  return execFileSync(process.execPath, args, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
}
