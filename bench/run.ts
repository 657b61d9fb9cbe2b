/**
 * Measures what nabla claims, all in one run: training steps against its peers, matrix products, the start of a program, the time to
 * compile, the size of programs. Writes results.json and the last part of README.md after every round, and prints that at the end. Every measurement is a
 * process of its own; the rounds interleave them, so that what slows the machine for a while slows all of them.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { compileMeasurements, programSizes } from './compiling.ts';
import { generationMeasurements } from './generation.ts';
import { productMeasurements } from './products.ts';
import { isTorch, missing } from './peers.ts';
import { peers, referenceModels, systemNames, type Peer, type ReferenceModel } from './reference.ts';
import type { Results } from './results.ts';
import { stepMeasurements } from './steps.ts';
import { tableOf } from './table.ts';

interface Flags {
  readonly models: readonly ReferenceModel[];
  readonly peers: readonly Peer[];
  readonly threads: readonly number[];
  readonly rounds: number;
}

const here = import.meta.dirname;
process.chdir(join(here, '..'));
const flags = readFlags();
const folder = mkdtempSync(join(tmpdir(), 'nabla-bench-'));
try {
  let tables = '';
  // After every round, so that a run that is cut off leaves what it has found.
  for (const results of measureAll(flags, folder)) {
    tables = tableOf(results);
    writeFileSync(join(here, 'results.json'), `${JSON.stringify(results, null, 2)}\n`);
    writePage(tables);
  }
  process.stdout.write(tables);
} finally {
  rmSync(folder, { recursive: true });
}

function readFlags(): Flags {
  const { values } = parseArgs({
    options: {
      models: { type: 'string', default: referenceModels.map(model => model.name).join() },
      peers: { type: 'string', default: peers.filter(peer => peer !== 'torch-avx2').join() },
      threads: { type: 'string', default: '1,2' },
      rounds: { type: 'string', default: '3' },
    },
  });
  const list = (text: string): readonly string[] => text.split(',').filter(item => item !== '');
  const known = <Item>(flag: string, text: string, items: readonly Item[], nameOf: (item: Item) => string): readonly Item[] => list(text).map(name => {
    const item = items.find(other => nameOf(other) === name);
    if (item === undefined) throw new Error(`\`--${flag} ${text}\`: there is no \`${name}\`; give some of ${items.map(nameOf).join(', ')}`);
    return item;
  });
  const whole = (flag: string, text: string, most: number): number => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < 1 || value > most) throw new Error(`\`--${flag}\` is \`${text}\`: give whole numbers from 1 to ${most}`);
    return value;
  };
  return {
    models: known('models', values.models, referenceModels, model => model.name),
    peers: known('peers', values.peers, peers, peer => peer),
    threads: list(values.threads).map(text => whole('threads', text, availableParallelism())),
    rounds: whole('rounds', values.rounds, 1000),
  };
}

/** What is known after every round. */
function* measureAll({ models, peers, threads, rounds }: Flags, folder: string): Generator<Results> {
  const loadBefore = loadavg()[0]!;
  const present = peers.filter(peer => {
    const why = missing(peer);
    if (why !== null) process.stderr.write(`${systemNames[peer]} is left out: ${why}\n`);
    return why === null;
  });
  const steps = stepMeasurements(models, present, threads, folder);
  const products = productMeasurements(folder, threads, present.filter(isTorch));
  const generation = generationMeasurements(folder, threads);
  const compiling = compileMeasurements(folder, availableParallelism());
  const nabla = nablaVersion();
  const sizes = programSizes();
  for (let round = 1; round <= rounds; round++) {
    const tell = (what: string): void => void process.stderr.write(`round ${round} of ${rounds}: ${what}\n`);
    steps.round(tell);
    tell('matrix products');
    products.round();
    tell('drawing tokens');
    generation.round();
    tell('compiling');
    compiling.round();
    const { versions, ...stepResults } = steps.results();
    yield {
      date: new Date().toISOString().slice(0, 10),
      machine: `${cpus()[0]!.model.trim()}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, ${process.platform}`,
      loadBefore,
      versions: { nabla, Node: process.versions.node, ...versions },
      rounds: round,
      ...stepResults,
      products: products.results(),
      generation: generation.results(),
      ...compiling.results(),
      sizes,
    };
  }
}

/** Everything of the page after the headline of the last run. */
function writePage(tables: string): void {
  const path = join(here, 'README.md');
  const headline = '## The last run\n';
  const page = readFileSync(path, 'utf8');
  writeFileSync(path, `${page.slice(0, page.indexOf(headline) + headline.length)}\n${tables}`);
}

function nablaVersion(): string {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { readonly version: string };
  try {
    return `${version} (${execFileSync('git', ['describe', '--always', '--dirty'], { encoding: 'utf8', stdio: 'pipe' }).trim()})`;
  } catch {
    return version; // A copy without its history.
  }
}
