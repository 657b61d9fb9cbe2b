/** The command line, as its users meet it: processes, what they print, how they end. */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, test, vi } from 'vitest';
import { generateSettings } from '../compiler/2-elaborate/generate.ts';
import { trainSettings } from '../compiler/2-elaborate/train.ts';
import { compareGradients } from '../compiler/cli/gradcheck.ts';
import { main } from '../compiler/cli/main.ts';
import { definePrimitive, type AnyOp, type AnyPrimitive } from '../compiler/ops/define.ts';
import { exp } from '../compiler/ops/elementwise.ts';
import { npyBytes } from '../runtime/npy.ts';
import { folderOfTest } from './support/folder.ts';
import { modelOf } from './support/model.ts';

const entry = join(import.meta.dirname, '../compiler/cli/nabla.js');
const template = join(import.meta.dirname, '../compiler/cli/template');
const folder = folderOfTest({ enter: false });
// Every test starts processes, on machines that may be busy.
vi.setConfig({ testTimeout: 60_000 });
beforeEach(() => {
  cpSync(template, folder(), { recursive: true });
});

interface Result {
  readonly code: number | null;
  readonly out: string;
  readonly error: string;
}

/** The command run in this process, in the test's folder. */
async function nabla(...args: readonly string[]): Promise<Result> {
  const out: string[] = [];
  const error: string[] = [];
  const into = (texts: string[]) => (text: unknown): boolean => texts.push(String(text)) > 0;
  const spies = [vi.spyOn(process.stdout, 'write').mockImplementation(into(out)), vi.spyOn(process.stderr, 'write').mockImplementation(into(error))];
  const before = process.cwd();
  process.chdir(folder());
  try {
    return { code: await main(args), out: out.join(''), error: error.join('') };
  } finally {
    process.chdir(before);
    for (const spy of spies) spy.mockRestore();
  }
}

/** The command as a process. Programs are written to a folder of temporary files: one of the test's own shows that none is left. */
function start(...args: readonly string[]): Result {
  mkdirSync(join(folder(), 'temporary'), { recursive: true });
  const environment = { ...process.env, TMPDIR: join(folder(), 'temporary'), NODE_COMPILE_CACHE: join(tmpdir(), 'node-compile-cache') };
  const { status, stdout, stderr } = spawnSync(process.execPath, [entry, ...args], { cwd: folder(), encoding: 'utf8', env: environment });
  return { code: status, out: stdout, error: stderr };
}

const write = (path: string, text: string | Uint8Array): void => writeFileSync(join(folder(), path), text);

const wrong = 'model Wrong {\n  input x: f32[B, 4]\n  y = liner(x)\n  z = relu(w)\n}\n';

test('check: a right file, a wrong file, JSON', async () => {
  expect(await nabla('check', 'flowers.model')).toEqual({ code: 0, out: 'flowers.model: no errors\n', error: '' });
  write('wrong.model', wrong);
  const { code, out, error } = await nabla('check', 'wrong.model');
  expect([code, out]).toEqual([1, '']);
  expect(error).toContain('wrong.model:3:7');
  expect(error).toMatch(/did you mean `linear`\?[^]*\nerror: `wrong\.model` has 2 errors\n$/);
  const json = await nabla('check', 'wrong.model', '--json');
  expect([json.code, json.error]).toEqual([1, '']);
  expect((JSON.parse(json.out) as { line: number }[]).map(diagnostic => diagnostic.line)).toEqual([3, 4]);
});

test.each([
  [['chek', 'flowers.model'], 2, 'error: unknown command `chek`, did you mean `check`?\n'],
  [['check', 'flowers.model', '--jsn'], 2, 'error: unknown option `--jsn`, did you mean `--json`?\n'],
  [['check'], 2, 'error: missing required argument `file`\n'],
  [['check', 'flowers.model', '--set', 'hidden'], 2, 'error: `hidden` is not a value for `--set <name=value>`: Write it as `--set name=value`\n'],
  [['train', 'flowers.model', '--steps', '1.5'], 2, 'error: `1.5` is not a value for `--steps <n>`: It must be a whole number from 1 to 2147483647\n'],
  [['build', 'flowers.model', '-o', 'flowers.model'], 2, 'error: `flowers.model` would be overwritten by its program: name another file with `-o`\n'],
  [['build', 'flowers.model', '--page', '--js'], 2, 'error: `--page` writes a page, which `--js` is not for: leave one of them out\n'],
  [['build', 'flowers.model', '--page', '--module'], 2, 'error: `--page` writes a page, which `--module` is not for: leave one of them out\n'],
  [['build', 'flowers.model', '--page', '--data', '..'], 1, 'error: the data file `flowers.csv` is missing in `..`: put it there, or give its folder with `--data`\n'],
  [['check', 'none.model'], 1, 'error: `none.model` does not exist\n'],
  [['check', '.'], 1, 'error: `.` is a folder: give a file\n'],
  [['check', 'binary.model'], 1, 'error: `binary.model` is not a text file: models are written in UTF-8\n'],
  [['check', '/dev/zero'], 1, 'error: `/dev/zero` is not a regular file\n'],
  [['build', 'flowers.model', '-o', 'none/program.ts'], 1, 'error: `none/program.ts` does not exist\n'],
  [['build', 'layers.model'], 1, 'error: `layers.model` holds no model: write `model Name { … }` in it\n'],
  [['ops', 'lineer'], 1, 'error: there is no operator, function, layer or optimizer `lineer`, did you mean `linear`?\n'],
  [['explain', 'matmul.C22'], 1, 'error: there is no code `matmul.C22`, did you mean `matmul.C2`?\n'],
  [['init', '.'], 1, 'error: `.` holds `README.md`, `flowers.csv`, `flowers.model`, `package.json` already: choose another folder\n'],
] as const)('%j is an error of one line', async (args, code, message) => {
  write('binary.model', Uint8Array.of(0, 255, 254));
  write('layers.model', 'fn twice(x) = 2 * x\n');
  expect(await nabla(...args)).toEqual({ code, out: '', error: message });
});

test('imports stay inside the project', async () => {
  mkdirSync(join(folder(), 'project/layers'), { recursive: true });
  write('project/package.json', '{}');
  write('secret.model', 'fn secret(x) = x\n');
  write('project/layers/twice.model', 'fn twice(x) = 2 * x\n');
  symlinkSync('../secret.model', join(folder(), 'project/link.model'));
  const check = async (path: string, name: string, main = 'project/main.model'): Promise<string> => {
    write(main, `import "${path}"\nmodel M {\n  input x: f32[B, 4]\n  output y = ${name}(x)\n}\n`);
    return (await nabla('check', main)).error;
  };
  expect(await check('layers/twice.model', 'twice')).toBe('');
  expect(await check('twice.model', 'twice', 'project/layers/main.model')).toBe('');
  expect(await check('../secret.model', 'secret')).toContain("outside the project's folder `project`");
  expect(await check('link.model', 'secret')).toContain("a link to a place outside the project's folder `project`");
  expect(await check('none.model', 'twice')).toContain('`project/none.model` does not exist');
});

test('train, evaluate, predict, bench, build: one program, no files left behind', () => {
  const trained = start('train', 'flowers.model', '--steps', '40', '--set', 'hidden=8');
  expect([trained.code, trained.error]).toEqual([0, '']);
  expect(trained.out).toContain('finished after step 40');
  expect(existsSync(join(folder(), 'flowers.safetensors'))).toBe(true);
  expect(start('evaluate', 'flowers.model', '--set', 'hidden=8').out).toMatch(/^loss \S+ {2}accuracy \S+\n$/);
  write('sizes.npy', npyBytes(Float32Array.of(5.1, 3.5, 1.4, 0.2, 6.7, 3, 5.2, 2.3), 'f32', [2, 4]));
  expect(start('predict', 'flowers.model', '--set', 'hidden=8', '--input', 'sizes=sizes.npy', '-o', 'out.npz').out).toBe('probabilities f32[2, 3]\nsaved out.npz\n');
  expect(JSON.parse(start('bench', 'flowers.model', '--steps', '3').out)).toBeTypeOf('object');
  expect(start('build', 'flowers.model', '-o', 'program.ts')).toEqual({ code: 0, out: 'saved program.ts\n', error: '' });
  const program = spawnSync(process.execPath, ['program.ts', '--steps', '5'], { cwd: folder(), encoding: 'utf8' });
  expect([program.status, program.stderr]).toEqual([0, '']);
  expect(readdirSync(join(folder(), 'temporary'))).toEqual([]);
});

test('gradcheck finds the gradients right', async () => {
  const { code, out, error } = await nabla('gradcheck', 'flowers.model');
  expect([code, error]).toEqual([0, '']);
  expect(out.match(/ right$/gm)).toHaveLength(4);
});

test('gradcheck finds a wrong gradient', () => {
  const model = modelOf('model M {\n  input x: f32[B, 4]\n  loss = mean(x |> linear(3) |> tanh)\n}\n');
  const broken = definePrimitive({ ...(exp.definition as AnyPrimitive), name: 'broken', gradient: ({ grad }) => [grad] }) as AnyOp;
  const loss = broken.build([model.stages[0]!.training.loss!], {});
  const right = compareGradients(model, 1).map(({ error }) => error);
  const wrong = compareGradients({ ...model, stages: model.stages.map(stage => ({ ...stage, training: { ...stage.training, loss } })) }, 1).map(({ error }) => error);
  expect(Math.max(...right)).toBeLessThan(1e-6);
  expect(Math.min(...wrong)).toBeGreaterThan(1e-3);
});

test('cost counts a layer as one counts by hand', async () => {
  const { out } = await nabla('cost', 'flowers.model', '--json');
  const { layers, total } = JSON.parse(out) as { layers: { layer: string; parameters: number; forwardFlops: number }[]; total: { parameters: number } };
  const linear = layers.find(layer => layer.layer === 'linear.0')!;
  // 16 rows, 4 inputs, 16 outputs: a product and a sum for each weight, a sum for each bias.
  expect([linear.parameters, linear.forwardFlops]).toEqual([4 * 16 + 16, 16 * (2 * 4 * 16 + 16)]);
  expect(total.parameters).toBe(4 * 16 + 16 + 16 * 3 + 3);
  expect((await nabla('cost', 'flowers.model')).out).toContain('one arena of');
});

test('cost tells what a memory limit takes', async () => {
  const limited = (amount: string): string => readFileSync(join(folder(), 'flowers.model'), 'utf8').replace('train {', `train {\n  memory ${amount}`);
  writeFileSync(join(folder(), 'limited.model'), limited('1MB'));
  expect((await nabla('cost', 'limited.model')).out).toContain('within memory 1 MB: nothing is recomputed');
  writeFileSync(join(folder(), 'limited.model'), limited('1KB'));
  for (const command of ['check', 'cost']) expect((await nabla(command, 'limited.model')).error).toContain('train.memory');
});

test('a program that no WebAssembly memory holds is refused', async () => {
  writeFileSync(join(folder(), 'huge.model'), 'model Huge {\n  input word: i32[B]\n  loss = mean(word |> embedding(20000000, 70))\n}\ntrain {\n  batch 2\n  optimizer adam(0.1)\n}\n');
  expect(await nabla('build', 'huge.model', '-o', '-')).toEqual({
    code: 1, out: '', error: expect.stringMatching(/^error: the program needs \d\d\.\d\d GiB of memory, and WebAssembly reaches 15\.97 GiB: write `memory 4000MB` in .*\n$/),
  });
});

test('cost counts all batches of a step', async () => {
  const flops = async (): Promise<number> => (JSON.parse((await nabla('cost', 'flowers.model', '--json')).out) as { total: { forwardFlops: number } }).total.forwardFlops;
  const once = await flops();
  write('flowers.model', readFileSync(join(folder(), 'flowers.model'), 'utf8').replace(/^train \{$/m, 'train {\n  accumulate 3'));
  expect(await flops()).toBe(3 * once);
  expect((await nabla('cost', 'flowers.model')).out).toContain('one run of `train` on 3 batches of 16 rows');
});

test.each(['ast', 'model', 'gradient', 'simplified', 'kernels', 'program', 'wasm', 'wgsl'])('dump --stage %s', async stage => {
  const { code, out, error } = await nabla('dump', 'flowers.model', '--stage', stage);
  expect([code, error]).toEqual([0, '']);
  expect(out.length).toBeGreaterThan(100);
});

test('what a GPU cannot do is said', async () => {
  for (const flag of ['--debug-nan', '--deterministic']) {
    expect(await nabla('build', 'flowers.model', '--target', 'webgpu', flag)).toEqual({ code: 2, out: '', error: expect.stringMatching(new RegExp(`^error: .*\`${flag}\`.* needs \`--target wasm\`\n$`)) });
  }
});

test('profile: every kernel of a step once, shares that add up, the hottest in red', async () => {
  interface Data {
    readonly stepMs: number;
    readonly outsideShare: number;
    readonly kernels: readonly { readonly kernel: string; readonly calls: number; readonly ms: number; readonly share: number; readonly lines: readonly string[] }[];
    readonly host: readonly string[];
  }
  const profile = (...args: readonly string[]): Promise<Result> => nabla('profile', 'flowers.model', '--steps', '2', '--threads', '1', ...args);
  // Layers of equal shapes are calls of one kernel.
  write('flowers.model', readFileSync(join(folder(), 'flowers.model'), 'utf8').replace('linear(hidden) |> relu', 'linear(hidden) |> relu |> linear(hidden) |> relu |> linear(hidden) |> relu'));
  const { code, out, error } = await profile('--format', 'json');
  expect([code, error]).toEqual([0, '']);
  const { kernels, host, outsideShare } = JSON.parse(out) as Data;
  const program = (await nabla('dump', 'flowers.model', '--stage', 'program')).out;
  const called = Array.from(program.split('entry train\n')[1]!.split('entry ')[0]!.matchAll(/^ +\d+ +(\w+)/gm), match => match[1]!);
  expect(kernels.flatMap(each => Array.from({ length: each.calls }, () => each.kernel)).concat(host).sort()).toEqual(called.sort());
  expect(kernels.some(each => each.calls > 1)).toBe(true);
  expect(kernels.reduce((sum, each) => sum + each.share, outsideShare)).toBeCloseTo(1, 3);
  expect(kernels.every((each, i) => i === 0 || each.ms <= kernels[i - 1]!.ms)).toBe(true);
  expect(kernels.flatMap(each => each.lines).join('\n')).toContain('flowers.model:8  loss = cross_entropy(logits, species)');
  const { out: table } = await profile();
  for (const { kernel } of kernels) expect(table.match(new RegExp(`^  ${kernel} `, 'gm'))).toHaveLength(1);
  expect(table).toMatch(/^this machine: [\d.]+ GFLOP\/s in products, [\d.]+ GB\/s over [\d.]+ MB$/m);
  const { out: dot } = await profile('--format', 'dot');
  expect(dot).toMatch(/^digraph /m);
  expect(dot.match(/ms, [\d.]+ %/g)!.length).toBe(called.length - host.length);
  // One, unless two took equally long.
  expect(dot.match(/\d+ {2}\w+\\l[\d.]+ ms.*fillcolor="#f44a36"/g)!.length).toBeGreaterThan(0);
  expect(await profile('--format', 'svg')).toEqual({ code: 0, out: 'saved flowers-profile.svg\n', error: '' });
});

test('profile: several batches a step on several threads; a model that is not trained; one that computes nothing', async () => {
  write('flowers.model', readFileSync(join(folder(), 'flowers.model'), 'utf8').replace(/^train \{$/m, 'train {\n  accumulate 3'));
  const { out, error } = await nabla('profile', 'flowers.model', '--steps', '1', '--threads', '2');
  expect(error).toBe('');
  expect(out).toMatch(/^Flowers, `accumulate` and `train` on 16 rows, 2 threads: /);
  expect(out).toMatch(/^  accumulate: max_forward +3 /m);
  expect(out).toMatch(/^  train: update +1 /m);
  write('applied.model', 'model Applied {\n  input x: f32[B, 4]\n  output y = linear(3)(x)\n}\n');
  expect((await nabla('profile', 'applied.model', '--steps', '1', '--threads', '1')).out).toMatch(/^Applied, `predict` on 32 rows, 1 thread: /);
  write('empty.model', 'model Empty {\n  input x: f32[B, 4]\n}\n');
  expect(await nabla('profile', 'empty.model')).toEqual({ code: 1, out: '', error: 'error: the model `Empty` computes nothing: give it a loss or an output\n' });
});

test('graph draws', async () => {
  expect((await nabla('graph', 'flowers.model')).out).toMatch(/^digraph /m);
  expect(await nabla('graph', 'flowers.model', '--stage', 'kernels', '--format', 'svg')).toEqual({ code: 0, out: 'saved flowers-kernels.svg\n', error: '' });
  expect(readFileSync(join(folder(), 'flowers-kernels.svg'), 'utf8')).toContain('<svg');
});

test('fmt leaves the template as it is, and mends and tells others', async () => {
  expect(await nabla('fmt', '--check', 'flowers.model')).toEqual({ code: 0, out: '', error: '' });
  write('loose.model', 'fn  twice( x )=2*x');
  expect((await nabla('fmt', '--check', 'loose.model')).code).toBe(1);
  expect(await nabla('fmt', 'loose.model', 'flowers.model')).toEqual({ code: 0, out: 'loose.model\n', error: '' });
  expect(readFileSync(join(folder(), 'loose.model'), 'utf8')).toBe('fn twice(x) = 2 * x\n');
});

test('init makes a project that is right', async () => {
  expect((await nabla('init', 'new')).code).toBe(0);
  expect(readdirSync(join(folder(), 'new')).sort()).toEqual(readdirSync(template).sort());
  expect((await nabla('check', 'new/flowers.model')).code).toBe(0);
});

test('ops and explain', async () => {
  expect((await nabla('ops')).out).toMatch(/^ {2}matmul +The matrix product/m);
  expect((await nabla('ops', 'linear')).out).toContain('linear(out, bias = true) (x: f32[..., In]) -> f32[..., out]');
  expect((await nabla('explain', 'matmul.C2')).out).toContain('inner dimensions agree');
  expect((await nabla('explain', 'syntax.token')).out).toContain('wrong:');
  for (const [code, settings] of [['train.unknown', trainSettings], ['generate.unknown', generateSettings]] as const) {
    const { out } = await nabla('explain', code);
    expect(settings.filter(name => !new RegExp(`\\b${name}\\b`).test(out))).toEqual([]);
  }
});

test('a mistake of the compiler is told as one', async () => {
  vi.doMock('../compiler/cli/explain.ts', () => ({
    runExplain: () => {
      throw new TypeError('this is broken');
    },
  }));
  const { code, error } = await nabla('explain', 'syntax.token');
  vi.doUnmock('../compiler/cli/explain.ts');
  expect(code).toBe(70);
  expect(error).toMatch(/^internal error: this is broken\nThis is a mistake in nabla, [^\n]* Set NABLA_DEBUG=1 to see where\.\n$/);
});

test('a Node that cannot run TypeScript is told which can', () => {
  const { status, stderr } = spawnSync(process.execPath, ['--no-experimental-strip-types', entry, '--version'], { encoding: 'utf8' });
  expect([status, stderr]).toEqual([1, `error: nabla needs Node 22.18 or later to run, and this is Node ${process.versions.node}: install a later one\n`]);
});

test('build: a program carries the readers of its data and no others', async () => {
  const text = (await nabla('build', 'flowers.model', '-o', '-')).out;
  expect(['csvColumns', 'readNpy', 'readIdx', 'idxColumns', 'npzColumns', 'zipMembers'].filter(name => text.includes(`function ${name}(`)))
    .toEqual(['csvColumns', 'readNpy']);
  expect(text).toContain('  readers: { csv: csvColumns },\n');
});

const sentences = 'the cat sat on the mat.\nthe dog sat on the log.\n'.repeat(40);
const texts = (unit: string): string => `model Letters(T = 8) {
  input text: i32[B, T]
  input next: i32[B, T]
  logits = embedding(vocabulary(text), 16)(text) |> linear(vocabulary(text))
  loss = cross_entropy(logits, next)
  output best = argmax(logits)
}
data {
  train = text("words.txt"${unit}, text: 0, next: 1)
  split 0.9
}
train {
  batch 4
  steps 60
  optimizer adam(lr: 0.05)
}
`;

test('tokenize: a tokenizer of a text, and what it cannot be made of', async () => {
  write('words.txt', sentences);
  expect(await nabla('tokenize', 'words.txt', '--vocabulary', '265')).toEqual({ code: 0, out: 'saved bpe.json (265 tokens)\n', error: '' });
  const made = await nabla('tokenize', 'words.txt', '--vocabulary', '4000', '-o', '-');
  expect(made.error).toMatch(/^note: no pair occurs twice after \d+ tokens, so there are no more\n$/);
  expect(Object.keys((JSON.parse(made.out) as { model: { vocab: object } }).model.vocab)).toContain('Ġthe');
  for (const [args, error] of [
    [['words.txt', '--vocabulary', '256'], 'error: a vocabulary has at least 257 tokens, one for each byte and one for the end of a text: `--vocabulary` is 256\n'],
    [['words.txt'], 'error: required option `--vocabulary <n>` not specified\n'],
    [['none.txt', '--vocabulary', '300'], 'error: `none.txt` does not exist\n'],
    [['bytes', '--vocabulary', '300'], 'error: `bytes` is not UTF-8 text: convert it, as with `iconv -t UTF-8`\n'],
    [['nothing', '--vocabulary', '300'], 'error: `nothing` is empty: give a text to make tokens from\n'],
  ] as const) {
    write('bytes', Uint8Array.of(65, 255));
    write('nothing', '');
    expect((await nabla('tokenize', ...args)).error).toBe(error);
  }
});

test('texts are trained on in any unit, in programs that carry its tokens and no other tokenizer', async () => {
  write('words.txt', sentences);
  await nabla('tokenize', 'words.txt', '--vocabulary', '265');
  const tokenizers = ['characterTokenizer', 'byteTokenizer', 'bytePairTokenizer', 'decodePng'];
  for (const [unit, own] of [['', 'characterTokenizer'], [', unit: bytes', 'byteTokenizer'], [', unit: tokens("bpe.json")', 'bytePairTokenizer']] as const) {
    write('letters.model', texts(unit));
    const { out, error } = start('train', 'letters.model', '--threads', '1');
    expect(error).toBe('');
    expect(Number(/^finished after step 60: .*test loss (\S+)$/m.exec(out)![1])).toBeLessThan(2);
    const text = (await nabla('build', 'letters.model', '-o', '-')).out;
    expect(tokenizers.filter(name => text.includes(`function ${name}(`))).toEqual([own]);
  }
  write('letters.model', texts(''));
  mkdirSync(join(folder(), 'elsewhere'));
  expect((await nabla('check', 'letters.model', '--data', 'elsewhere')).error).toContain(
    'error[data.file]: the characters of `words.txt` make the vocabulary, but it is missing in the data folder `elsewhere`');
  expect((await nabla('build', 'letters.model', '-o', '-')).out).toContain('characterTokenizer("\\n .acdeghlmnost", false),');
});

test('pictures in folders, and pictures and texts that JSON lines name', async () => {
  const picture = readFileSync(join(import.meta.dirname, 'pictures/grey.png'));
  const photo = readFileSync(join(import.meta.dirname, 'pictures/grey.jpg'));
  for (const name of ['cats', 'dogs']) mkdirSync(join(folder(), 'all', name), { recursive: true });
  for (let i = 0; i < 4; i++) write(`all/${i % 2 === 0 ? 'cats' : 'dogs'}/${i}.png`, i < 2 ? picture : photo);
  write('all.jsonl', Array.from({ length: 4 }, (_, i) => JSON.stringify({ file: `all/${i % 2 === 0 ? 'cats' : 'dogs'}/${i}.png`, kind: i % 2, name: 'cat' })).join('\n'));
  const sources = {
    'images("all", image: "picture", kind: "folder")': '',
    'jsonl("all.jsonl", image: picture("file"), kind: "kind", name: characters("name", "act"))': '+ mean(embedding(vocabulary(name), 2)(name))',
  };
  for (const [source, more] of Object.entries(sources)) {
    write('kinds.model', `model Kinds {
  input image: u8[B, 21, 13]
  input kind: i32[B]
  ${more === '' ? '' : 'input name: i32[B, 4]'}
  loss = cross_entropy(image / 255 |> flatten |> linear(2), kind)${more}
}
data { train = ${source} }
train {
  batch 2
  steps 2
  optimizer sgd(lr: 0.1)
}
`);
    const { code, out, error } = start('train', 'kinds.model', '--threads', '1');
    expect([code, error, /^Kinds: 2 steps, 4 rows/im.test(out)]).toEqual([0, '', true]);
  }
});

test('a program built from other characters than the text has now', async () => {
  write('words.txt', sentences);
  write('letters.model', texts(''));
  await nabla('build', 'letters.model', '-o', 'program.ts');
  write('words.txt', `${sentences}A zoo.\n`);
  const { status, stderr } = spawnSync(process.execPath, ['program.ts', '--data', '.'], { cwd: folder(), encoding: 'utf8' });
  expect([status, stderr]).toEqual([1, 'error: `words.txt`, line 81: the character `A` (U+0041) is not in the vocabulary of the model: '
    + 'remove it, or compile the model again if the file that its characters come from has changed\n']);
});

test('build --debug-nan: a value that a kernel computes among others is told by its own line', async () => {
  write('nan.model', `model Growing {
  input x: f32[B, 4]
  hidden = linear(8)(x)
  grown  = exp(hidden * hidden + 100)
  loss   = mean(grown @ grown.T)
}
data {
  train = csv("flowers.csv", x: ["0", "1", "2", "3"])
}
train {
  batch     10
  steps     3
  optimizer sgd(lr: 0.1)
}
`);
  const { code, error } = start('train', 'nan.model', '--debug-nan');
  expect([code, error]).toEqual([1, expect.stringMatching(/^error: Infinity first appears in `\w+`, element \d+ of 80, which computes nan.model:4\b/)]);
});

test('a run is not resumed with other settings, but with checks', async () => {
  const sourceOf = async (...args: readonly string[]): Promise<string | undefined> =>
    /^ {2}source: '(\w+)',$/m.exec((await nabla('build', '-o', '-', ...args)).out)?.[1];
  const source = (...args: readonly string[]): Promise<string | undefined> => sourceOf('scaled.model', ...args);
  write('scaled.model', 'model Scaled(scale = 2.0) {\n  param w: f32[3] = 1\n  loss = mean(scale * w * w)\n}\n'
    + 'train {\n  steps 3\n  optimizer sgd(lr: 0.1)\n}\n');
  const plain = await source();
  expect(plain).toMatch(/^\w{32}$/);
  expect(await source('--debug-nan')).toBe(plain);
  expect(await sourceOf(join(folder(), 'scaled.model'))).toBe(plain);
  expect(await source('--set', 'scale=3.0')).not.toBe(plain);
});

test('what the runtime declares is kept beside compiled code, and made again where that cannot be read', () => {
  const cache = join(folder(), 'cache');
  const built = (): string => {
    const { status, stdout } = spawnSync(process.execPath, [entry, 'build', join(import.meta.dirname, '../models/iris.model'), '-o', '-'],
      { encoding: 'utf8', env: { ...process.env, NODE_COMPILE_CACHE: cache } });
    expect(status).toBe(0);
    return stdout;
  };
  const kept = (): readonly string[] => readdirSync(cache, { recursive: true, encoding: 'utf8' }).filter(name => name.endsWith('.json'));
  const first = built();
  const files = kept();
  expect(files.length).toBeGreaterThan(10);
  expect(built()).toBe(first);
  writeFileSync(join(cache, files[0]!), '{');
  expect(built()).toBe(first);
  expect(readFileSync(join(cache, files[0]!), 'utf8').length).toBeGreaterThan(1);
  // What is kept is what is read: with other declarations comes another program.
  for (const file of files) writeFileSync(join(cache, file), readFileSync(join(cache, file), 'utf8').replaceAll('checkpoint', 'CHECKPOINT'));
  expect(built()).not.toBe(first);
});
