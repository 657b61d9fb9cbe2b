/**
 * Threads of the WebAssembly target: the barrier by itself under random delays; the same bytes for any number of threads, over
 * interruptions, either micro-kernel, and with `--deterministic` on any machine; and what a program says and does when a thread fails.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { emit, type EmitOptions } from '../compiler/6-emit/emit.ts';
import { at, build, call, get, i32, op, set, type Expression, type Module as ModuleText } from '../compiler/6-emit/wasm/code.ts';
import { encode, moduleText } from '../compiler/6-emit/wasm/encode.ts';
import { assemble } from '../compiler/6-emit/wasm/module.ts';
import { barrierFunction, control } from '../compiler/6-emit/wasm/threads.ts';
import { compile, type Levels } from '../compiler/index.ts';
import { openMachine } from '../runtime/machine.ts';
import { npyBytes } from '../runtime/npy.ts';
import type { CompiledProgram } from '../runtime/program.ts';
import { random } from '../runtime/random.ts';
import { arrayRows, type ProgramData } from '../runtime/row-set.ts';
import type { TensorArray } from '../runtime/tensor.ts';
import { trainProgram, type RunOptions } from '../runtime/train.ts';
import { webAssembly } from '../runtime/webassembly.ts';
import { folderOfTest } from './support/folder.ts';
import { emitOptions, importEmitted } from './support/run-program.ts';

const folder = folderOfTest({ enter: true });

describe('the barrier', () => {
  const slots = control.bytes;

  /**
   * `meet(thread, threads, rounds)`: in every round each thread waits for a random time, writes the round's number into a place of its
   * own, meets the others, and traps unless all places have that number; it meets them again before the next round.
   */
  function meetings(): ModuleText {
    const builder = build('meet', ['i32', 'i32', 'i32']);
    const [thread, threads, rounds] = builder.parameters.map(get);
    const [round, other, state, delay] = [builder.local('i32'), builder.local('i32'), builder.local('i32'), builder.local('i32')];
    const slot = (number: Expression): Expression => op('i32.add', i32(slots), op('i32.mul', number, i32(64)));
    builder.emit(set(state, op('i32.add', op('i32.mul', thread!, i32(7919)), i32(1))));
    builder.loop(again => {
      builder.emit(set(round, op('i32.add', get(round), i32(1))));
      // A linear congruence; one meeting in 16 is awaited for long enough that some go to sleep.
      builder.emit(set(state, op('i32.add', op('i32.mul', get(state), i32(1103515245)), i32(12345))));
      builder.emit(set(delay, op('i32.and', op('i32.shr_u', get(state), i32(16)), i32(0xff))));
      builder.when(op('i32.lt_u', get(delay), i32(16)), () => builder.emit(set(delay, op('i32.mul', get(delay), i32(4000)))));
      builder.block(end =>
        builder.loop(wait => {
          builder.branch(end, op('i32.eqz', get(delay)));
          builder.emit(set(delay, op('i32.sub', get(delay), i32(1))));
          builder.branch(wait);
        }));
      builder.emit(at('i32.store', 0, slot(thread!), get(round)));
      builder.emit(call('barrier', thread!, threads!));
      builder.emit(set(other, i32(0)));
      builder.loop(next => {
        builder.when(op('i32.ne', at('i32.load', 0, slot(get(other))), get(round)), () => builder.emit(op('unreachable')));
        builder.emit(set(other, op('i32.add', get(other), i32(1))));
        builder.branch(next, op('i32.lt_s', get(other), threads!));
      });
      builder.emit(call('barrier', thread!, threads!));
      builder.branch(again, op('i32.lt_s', get(round), rounds!));
    });
    return { imports: [], functions: [barrierFunction(0), builder.finish(true)], minimumPages: 1, maximumPages: 1, arena: null };
  }

  test.each([2, 3, 5, 8].flatMap(threads => ['0', '300', '20000'].map(patience => ({ threads, patience }))))(
    '$threads threads that look $patience times before they sleep',
    async ({ threads, patience }) => {
      const { Memory, Module } = webAssembly();
      const module = new Module(encode(meetings()));
      const memory = new Memory({ initial: 1, maximum: 1, shared: true });
      const words = new Int32Array(memory.buffer);
      const word = (name: keyof typeof control): number => words[control[name] / 4]!;
      words[control.patience / 4] = Number(patience);
      // Close to the largest number, so that it passes to the smallest.
      words[control.generation / 4] = 0x7fffffff - 500;
      const rounds = Math.ceil(8000 / threads);
      const text = `
        const { workerData: { module, memory, thread, threads, rounds } } = require('node:worker_threads');
        new WebAssembly.Instance(module, { env: { memory } }).exports.meet(thread, threads, rounds);
      `;
      await Promise.all(Array.from({ length: threads }, (_, thread) => new Promise<void>((resolve, reject) => {
        new Worker(text, { eval: true, execArgv: [], env: {}, workerData: { module, memory, thread, threads, rounds } })
          .on('error', reject).on('exit', () => resolve());
      })));
      expect([word('arrived'), word('sleeping'), word('failed')]).toEqual([0, 0, 0]);
      expect(word('generation')).toBe((0x7fffffff - 500 + 2 * rounds) | 0);
    },
  );
});

/** Products, reductions, a table whose gradient is scattered, states, random numbers; no extent is a multiple of another. */
const wholeModel = `
model Whole {
  input word: i32[B, 3]
  input x: f32[B, 11]
  input label: i32[B]
  h = concat([x |> linear(237), mean(word |> embedding(9, 6), axis: 1)], axis: 1)
  logits = h |> batch_norm |> relu |> dropout(0.3) |> linear(19) |> tanh |> linear(5)
  loss = cross_entropy(logits, label)
  output class = argmax(logits)
}
train {
  batch     29
  steps     12
  optimizer adam(lr: cosine(0.01))
  clip_norm 1
  ema       0.9
  seed      3
}
`;

/** Of the parameters of `plainModel` after 20 steps. Only a compiler that sums in another order may change it. */
const golden = '1c8347d9e857cc8987cf1bc53ed21e0b08039e6595c0fd43b5bcadf5ef8afac1';

/** With nothing on the host but sums and products, so that engines cannot differ. */
const plainModel = wholeModel
  .replace(/steps .*/, 'steps     20')
  .replace(/optimizer .*/, 'optimizer sgd(lr: linear_decay(0.1), momentum: 0.9)')
  .replace(/ {2}(clip_norm|ema) .*\n/g, '');

/** So many tokens that blocks of rows are taken from each head, and their gradients summed. */
const attentionModel = `
model Attention {
  input x: f32[B, 1024, 16]
  h = x + multi_head_attention(4, causal: true, dropout_rate: 0.1)(x)
  loss = mean((h |> linear(1)) ** 2)
}
train {
  batch     1
  steps     3
  optimizer sgd(0.1)
}
`;

/** Steps large enough that threads share each of them. */
const recurrentModel = `
model Recurrent {
  input x: f32[B, 8, 64]
  h = x |> lstm(64)
  loss = mean((h |> linear(1)) ** 2)
}
train {
  batch     32
  steps     3
  optimizer sgd(0.1)
}
`;

/** A loop whose steps repay meeting, with another one in each of them. */
const nestedModel = recurrentModel.replace('h = x |> lstm(64)', `w = linear(64)
  v = linear(64)
  h = scan t along 8 from g = zeros([B, 64]) {
    scan s along 3 reversed from f = tanh(v(g)) {
      f = tanh(w(f) + x[:, t])
      e = tanh(v(f) * g)
      f = f + e
    }
    g = tanh(w(f)) + g
    yield g
  }`);

const compiled = (text: string): Levels => {
  const { levels, diagnostics } = compile({ path: 'whole.model', text, library: false }, 'schedule', { verify: true });
  expect(diagnostics.map(diagnostic => diagnostic.message)).toEqual([]);
  return levels;
};
const emitted = (text: string, options: Partial<EmitOptions> = {}): string => emit(compiled(text), { ...emitOptions('wasm'), javascript: true, ...options });

const rowCount = 60;
const rows = (): Record<'word' | 'x' | 'label', TensorArray> => ({
  word: Int32Array.from({ length: rowCount * 3 }, (_, i) => Math.floor(9 * random(1, 97, 0, i))),
  x: Float32Array.from({ length: rowCount * 11 }, (_, i) => 2 * random(1, 98, 0, i) - 1),
  label: Int32Array.from({ length: rowCount }, (_, i) => Math.floor(5 * random(1, 99, 0, i))),
});
const dataFor = (program: CompiledProgram): ProgramData => ({ train: arrayRows(program, rows()), test: null });
const hashOf = (file: string): string => createHash('sha256').update(readFileSync(file)).digest('hex');

async function trained(program: CompiledProgram, options: RunOptions): Promise<string> {
  const { outcome } = await trainProgram(program, { save: 'weights.safetensors', ...options, data: options.data ?? dataFor(program) });
  return outcome === 'finished' ? hashOf('weights.safetensors') : outcome;
}

describe('the same bytes', () => {
  test('with any number of threads, one after the other, and over an interruption', async () => {
    const levels = compiled(wholeModel);
    const { shared } = assemble(levels.program!, { deterministic: false, inspected: false, wide: false });
    expect(shared.map(entry => levels.program!.entries[entry]!.name)).toContain('train');
    const { program } = await importEmitted(emitted(wholeModel));
    const one = await trained(program, {});
    expect(program.threads!.count()).toBe(1);
    for (let run = 0; run < 10; run++) {
      const threads = 1 + Math.floor(8 * random(7, 1, 0, run));
      expect(await trained(program, { threads }), `${threads} threads`).toBe(one);
      expect(program.threads!.count()).toBe(threads);
    }
    let steps = 0;
    expect(await trained(program, { threads: 5, interrupted: () => ++steps === 5 })).toBe('interrupted');
    expect(await trained(program, { threads: 3, resume: true })).toBe(one);
    program.threads!.stop();
    expect(program.threads!.count()).toBe(1);
  }, 60_000);

  test('of attention in blocks, whose positions the threads share', async () => {
    const levels = compiled(attentionModel);
    const loops = levels.program!.entries.find(entry => entry.name === 'train')!.calls.flatMap(({ loops: around }) => around);
    expect(new Set(loops.map(loop => loop.axes.length - loop.independent))).toEqual(new Set([0, 1]));
    const { program } = await importEmitted(emitted(attentionModel));
    const x = Float32Array.from({ length: 1024 * 16 }, (_, i) => 2 * random(1, 98, 0, i) - 1);
    const data = { train: arrayRows(program, { x }), test: null };
    const hashes = new Set<string>();
    for (const threads of [1, 2, 5]) hashes.add(await trained(program, { data, threads }));
    program.threads!.stop();
    expect(hashes.size).toBe(1);
  }, 60_000);

  test.each([['', recurrentModel], [', inside of one another', nestedModel]])('of loops over steps, through which the threads go together%s', async (_, text) => {
    const { program } = await importEmitted(emitted(text));
    const x = Float32Array.from({ length: 32 * 8 * 64 }, (_, i) => 2 * random(1, 98, 0, i) - 1);
    const data = { train: arrayRows(program, { x }), test: null };
    const hashes = new Set<string>();
    for (const threads of [1, 2, 3, 5]) hashes.add(await trained(program, { data, threads }));
    program.threads!.stop();
    expect(hashes.size).toBe(1);
  }, 60_000);

  test.each([['products and scatters', wholeModel], ['blocks', attentionModel]])('with the arena apart: %s', async (_, text) => {
    const program = compiled(text).program!;
    const train = program.entries.findIndex(entry => entry.name === 'train');
    const hashes = new Set<string>();
    for (const [wide, count] of [[false, 1], [true, 1], [true, 3]] as const) {
      const { module, ...plan } = assemble(program, { deterministic: false, inspected: false, wide });
      expect(plan.arena !== null).toBe(wide);
      const { memory, run, threads } = openMachine({ ...plan, ...moduleText(module) });
      await threads.start(count);
      for (const entry of [program.entries.findIndex(each => each.name === 'initialise'), train, train]) run(entry);
      threads.stop();
      const last = program.parameters.at(-1)!;
      const values = new Uint8Array(memory, 0, last.offset + 4 * last.shape.reduce((a, b) => a * b, 1));
      expect(new Float32Array(memory, last.offset, 1)[0]).not.toBe(0);
      hashes.add(createHash('sha256').update(values).digest('hex'));
    }
    expect(hashes.size).toBe(1);
  });

  test('with either micro-kernel', async () => {
    const { program } = await importEmitted(emitted(wholeModel));
    const { microAt } = assemble(compiled(wholeModel).program!, { deterministic: false, inspected: false, wide: false });
    const words = new Int32Array(program.memory);
    const hashes: string[] = [];
    for (const micro of [0, 1]) {
      words[microAt! / 4] = micro;
      hashes.push(await trained(program, {}));
    }
    expect(hashes[0]).toBe(hashes[1]);
  });

  test('with `--deterministic`, on every machine; without, the last bits may differ', async () => {
    const { program } = await importEmitted(emitted(plainModel, { deterministic: true }));
    const fused = (await importEmitted(emitted(plainModel))).program;
    await trained(program, { threads: 2 });
    await trained(fused, {});
    program.threads!.stop();
    const [values, others] = [program, fused].map(({ memory, parameters }) =>
      Float32Array.from(parameters.flatMap(({ shape, offset }) => [...new Float32Array(memory, offset, shape.reduce((a, b) => a * b, 1))])));
    expect(createHash('sha256').update(values!).digest('hex')).toBe(golden);
    values!.forEach((value, i) => expect(Math.abs(value - others![i]!)).toBeLessThan(1e-5));
  });
});

describe('programs as processes', () => {
  interface Ended {
    readonly code: number | null;
    readonly out: string;
    readonly error: string;
  }
  const data = 'data {\n  train = npy(word: "word.npy", x: "x.npy", label: "label.npy")\n}\n';

  /** Writes a program that runs for very long, with its data. */
  function prepare(change: (text: string) => string = text => text, name = 'whole.mjs', model = wholeModel): void {
    writeFileSync(name, change(emitted(model.replace(/steps .*/, 'steps 1000000') + data)));
    const { word, x, label } = rows();
    writeFileSync('word.npy', npyBytes(word, 'i32', [rowCount, 3]));
    writeFileSync('x.npy', npyBytes(x, 'f32', [rowCount, 11]));
    writeFileSync('label.npy', npyBytes(label, 'i32', [rowCount]));
  }

  const run = (args: readonly string[], environment: Record<string, string> = {}): Ended => {
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: folder(), encoding: 'utf8', timeout: 50_000, env: { ...process.env, ...environment } });
    return { code: status, out: stdout, error: stderr };
  };
  const stopped = /^error: a thread of the program stopped working: start the program again, .*\n$/;

  test.each([
    ['throws', 'nothing()'],
    ['ends', 'process.exit(0)'],
    ['meets the failure of another', 'Atomics.store(new Int32Array(memory.buffer), failedAt / 4, 1)'],
  ])('a thread that %s ends the program with one line', (_, instead) => {
    prepare(text => text.replace('exports.work(thread)', `exports.work(thread, ${instead})`));
    const { code, error } = run(['whole.mjs', '--threads', '3']);
    expect(code).toBe(1);
    expect(error).toMatch(stopped);
  });

  test('a failed machine stays failed, and says so each time', () => {
    prepare(text => text.replace('exports.work(thread)', 'exports.work(thread, nothing())'));
    writeFileSync('application.mjs', `
      import { readFileSync as data } from 'node:fs';
      import { predict, train } from './whole.mjs';
      for (const threads of [2, 2, 1, 3]) await train({ data, steps: 3, threads }).catch(error => console.log(error.name));
      await predict({ x: new Float32Array(11), word: new Int32Array(3) }).catch(error => console.log(error.name));
    `);
    expect(run(['application.mjs'])).toEqual({ code: 0, out: 'DataError\n'.repeat(5), error: '' });
  });

  test('threads that cannot be started', () => {
    prepare(text => text.replace('startNodeWorker(Worker, job, failed))', 'job.thread === 2 ? (() => { throw new Error(\'no more\'); })() : $&'));
    const { code, error } = run(['whole.mjs', '--threads', '4', '--steps', '1']);
    expect([code, error]).toEqual([1, 'error: 4 threads cannot be started (no more): give a lower number with `--threads`\n']);
    expect(run(['whole.mjs', '--threads', '2', '--steps', '1']).code).toBe(0);
  });

  test('an interrupted run leaves a checkpoint from which another number of threads goes on', async () => {
    prepare();
    const ended = await new Promise<Ended>(resolve => {
      const child = spawn(process.execPath, ['whole.mjs', '--threads', '2'], { cwd: folder() });
      let [out, error] = ['', ''];
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        if (out === '') setTimeout(() => child.kill('SIGINT'), 300);
        out += text;
      });
      child.stderr.setEncoding('utf8').on('data', (text: string) => error += text);
      child.on('exit', code => resolve({ code, out, error }));
    });
    expect([ended.code, ended.error]).toEqual([130, '']);
    const step = Number(/stopped after step (\d+), checkpoint saved/.exec(ended.out)![1]);
    expect(existsSync('whole.checkpoint.safetensors')).toBe(true);
    expect(run(['whole.mjs', '--threads', '3', '--resume', '--steps', `${step + 10}`]).code).toBe(0);
  });

  test('a loss that is not finite is told by one line', () => {
    prepare(undefined, undefined, wholeModel.replace(/optimizer .*/, 'optimizer sgd(lr: 1e38)').replace(/ {2}clip_norm .*\n/, ''));
    const { code, error } = run(['whole.mjs', '--threads', '3']);
    expect(code).toBe(1);
    expect(error).toMatch(/^error: the (loss|norm of the gradient|parameter) .*\n$/);
  });

  test('`nabla train` and a built program give the same bytes, with `--deterministic` as well', () => {
    prepare();
    writeFileSync('whole.model', wholeModel + data);
    const nabla = new URL('../compiler/cli/nabla.js', import.meta.url).pathname;
    for (const flags of [[], ['--deterministic']]) {
      const build = run([nabla, 'build', 'whole.model', '--js', ...flags]);
      expect([build.code, build.error]).toEqual([0, '']);
      const names = ['trained', 'built'];
      const runs = [run([nabla, 'train', 'whole.model', '--threads', '2', '--save', 'trained', ...flags]), run(['whole.mjs', '--threads', '1', '--save', 'built'])];
      expect(runs.map(({ code, error }) => [code, error])).toEqual(names.map(() => [0, '']));
      const [one, other] = names.map(hashOf);
      expect(one).toBe(other);
    }
  });

  test('an application that trains on several threads, predicts between steps, and ends without a word', () => {
    prepare();
    writeFileSync('application.mjs', `
      import { readFileSync as data } from 'node:fs';
      import { predict, train } from './whole.mjs';
      const rows = { x: new Float32Array(33), word: new Int32Array(9) };
      for (const threads of [2, 1, 4, 3]) await train({ data, steps: 20, threads, reporter: { step() { predict(rows); } } });
      console.log((await predict(rows)).class.length);
    `);
    const started = performance.now();
    expect(run(['application.mjs'])).toEqual({ code: 0, out: '3\n', error: '' });
    expect(performance.now() - started).toBeLessThan(40_000);
  });

  test.each(['process.exit(3)', 'throw new Error("enough")'])('an application that ends in the middle by %s', statement => {
    prepare();
    writeFileSync('application.mjs', `
      import { readFileSync as data } from 'node:fs';
      import { train } from './whole.mjs';
      let steps = 0;
      await train({ data, threads: 3, reporter: { step() { if (++steps === 9) ${statement}; } } });
    `);
    expect(run(['application.mjs']).code).toBe(statement.includes('3') ? 3 : 1);
  });

  test('two programs at once, one of them in a thread that is ended', () => {
    prepare();
    prepare(undefined, 'other.mjs', plainModel);
    writeFileSync('application.mjs', `
      import { readFileSync as data } from 'node:fs';
      import { Worker } from 'node:worker_threads';
      import { train } from './whole.mjs';
      import { train as trainOther } from './other.mjs';
      const inner = new Worker("import('./whole.mjs').then(whole => whole.train({ data: require('node:fs').readFileSync, threads: 2 }))", { eval: true });
      await new Promise(resolve => setTimeout(resolve, 300));
      await Promise.all([train({ data, threads: 2, steps: 50 }), trainOther({ data, threads: 3, steps: 50 })]);
      console.log(await inner.terminate());
    `);
    expect(run(['application.mjs'])).toEqual({ code: 0, out: '1\n', error: '' });
  });

  test('what the environment has a process load first does not reach the threads', () => {
    prepare();
    writeFileSync('first.cjs', 'if (!require("node:worker_threads").isMainThread) throw new Error("not here");');
    const environment = { NODE_OPTIONS: `--require ${join(folder(), 'first.cjs')}` };
    expect(run(['whole.mjs', '--threads', '2', '--steps', '3'], environment).code).toBe(0);
    expect(run(['--require', './first.cjs', 'whole.mjs', '--threads', '2', '--steps', '3']).code).toBe(0);
  });

  test('an engine without shared memory runs one thread, and says so', () => {
    prepare();
    writeFileSync('first.cjs', 'delete globalThis.SharedArrayBuffer;');
    const start = (...args: readonly string[]): Ended => run(['--require', './first.cjs', 'whole.mjs', '--steps', '3', ...args]);
    expect(start('--threads', '2')).toMatchObject({
      code: 1, error: 'error: this engine has no memory that threads can share: the program runs on one, `--threads 1`\n',
    });
    const { code, out } = start();
    expect([code, out.split('\n')[0]]).toEqual([0, 'this engine has no memory that threads can share: the program runs on one, `--threads 1`']);
  });

  test('many more threads than cores', () => {
    prepare();
    const { code, error } = run(['whole.mjs', '--threads', '24', '--steps', '3']);
    expect([code, error]).toEqual([0, '']);
  }, 60_000);

  test('an engine that lacks an instruction says which program it can run', () => {
    // An opcode that is not given out.
    prepare(text => text.replace(/(function wasm\(\) {\s+return ')[^']+/, `$1${Buffer.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 99]).toString('base64')}`));
    const { code, error } = run(['whole.mjs']);
    expect(code).toBe(1);
    expect(error).toMatch(/^error: this engine does not know all instructions of the program \(.*\): build it with `--deterministic`, which asks for the least, or with `--target typescript`\n$/);
    expect(run(['whole.mjs', '--help']).code).toBe(0);
    writeFileSync('application.mjs', 'import { train } from \'./whole.mjs\';\nawait train({ data() {}, threads: 2 }).catch(error => console.log(error.name));');
    expect(run(['application.mjs']).out).toBe('DataError\n');
  });
});

test('where there is too little to share, no threads are started', async () => {
  const small = wholeModel.replace('linear(237)', 'linear(7)');
  const { program } = await importEmitted(emitted(small));
  const one = await trained(program, {});
  expect(await trained(program, { threads: 4 })).toBe(one);
  expect(program.threads!.count()).toBe(1);
});

test('threads start and stop, and only so many', async () => {
  const levels = compiled(wholeModel);
  const { module, ...plan } = assemble(levels.program!, { deterministic: true, inspected: false, wide: false });
  const { memory, threads } = openMachine({ ...plan, ...moduleText(module) });
  expect(threads.most).toBe(256);
  for (const count of [4, 1, 4, 2, 3, 1]) {
    await threads.start(count);
    expect(new Int32Array(memory)[plan.threadsAt / 4]).toBe(count);
  }
  for (const count of [0, -1, 1.5, 257, NaN]) {
    await expect(threads.start(count)).rejects.toThrow(`the number of threads is ${count}, but must be a whole number from 1 to 256`);
  }
});
