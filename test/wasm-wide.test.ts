/** Programs whose arena needs 64-bit addresses: places beyond 2 and 4 GiB, and what is said where they cannot be had. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { emit } from '../compiler/6-emit/emit.ts';
import { address, at, build, call, get, i32, op, type Func, type Module } from '../compiler/6-emit/wasm/code.ts';
import { widen } from '../compiler/6-emit/wasm/widen.ts';
import { affine, axisAt } from '../compiler/ir/affine.ts';
import { load, type Nest } from '../compiler/ir/nest.ts';
import type { Buffer, Kernel, Program } from '../compiler/ir/program.ts';
import { compile } from '../compiler/index.ts';
import { emitOptions } from './support/run-program.ts';
import { instantiate, kernelOf } from './support/wasm.ts';

const row = 2 ** 29;
/** Three rows of 2 GiB; pages that nothing touches are not in memory. */
const far = { dtype: 'f32', shape: [3, row], data: new Float64Array() } as const;
const rows = { dtype: 'i32', shape: [3], data: new Float64Array() } as const;
const end = 3 * row * 4;
const given = [7, 1, 2, 3, 4].map((value, i) => [value, value + 10, value + 20].map(each => each + i / 8));

/** A kernel over `far` at 0 and `rows` behind it; returns the memory after one run. */
function ran(nest: Nest, change: (kernel: Kernel) => Kernel, outputAt: number, write: (memory: ArrayBuffer) => void): ArrayBuffer {
  const kernel = change(kernelOf(nest, [far, rows]));
  const accesses = [...kernel.operands, ...kernel.outputs];
  const offsets = [0, end, outputAt];
  const buffers = accesses.map((access, i): Buffer => ({ ...access, offset: offsets[i]!, bytes: i === 0 ? end : 64, role: 'transient', lifetime: null, origin: null }));
  const program: Program = {
    buffers, kernels: [kernel], arenaBytes: end + 4096, inputs: [], parameters: [], gradients: [], states: [], scalars: [], generation: null,
    entries: [{ name: 'run', first: 0, results: [], calls: [{ kernel: 0, offsets: offsets.map(offset => offset / 4), reads: [0, 1], writes: [2], origins: [], loops: [], moves: [] }] }],
  };
  const { memory, run } = instantiate(program, true);
  new Int32Array(memory, end, 3).set([2, 0, 1]);
  write(memory);
  run(0);
  return memory;
}

const columns = [0, 1, 2, 3, 4].map(column => column * 2 ** 26 + 3);
const gathered = { gathered: load(1, [axisAt(0)]) };
const column = affine([{ axis: 1, times: 2 ** 26 }], 3);

test.each([
  ['at a position', axisAt(0), [0, 1, 2]],
  ['at a gathered one', gathered, [2, 0, 1]],
  ['backwards', affine([{ axis: 0, times: -1 }], 2), [2, 1, 0]],
] as const)('loads beyond 2 GiB of a tensor, and stores beyond 4 GiB of the arena, %s', (_, position, order) => {
  const memory = ran({ space: [3, 5], reduce: [], combine: null, body: load(0, [position, column]) }, kernel => kernel, end + 64, inside => {
    const values = new Float32Array(inside, 0, 3 * row);
    columns.forEach((place, j) => [0, 1, 2].forEach(i => (values[i * row + place] = given[j]![i]!)));
  });
  expect([...new Float32Array(memory, end + 64, 15)]).toEqual(order.flatMap(i => given.map(each => each[i]!)));
});

test('scatters beyond 2 GiB of a tensor', () => {
  const nest: Nest = { space: [3], reduce: [], combine: 'add', body: load(0, [axisAt(0), axisAt(0)]), scatter: { shape: [3, row], at: [gathered, affine([], 7)] } };
  // Into the tensor itself, and without the step that clears it: all of it would be touched.
  const memory = ran(nest, kernel => ({ ...kernel, steps: kernel.steps.slice(1) }), 0, inside => {
    const values = new Float32Array(inside, 0, 3 * row);
    [0, 1, 2].forEach(i => (values[i * row + i] = i + 0.5));
  });
  expect([2, 0, 1].map(i => new Float32Array(memory, 4 * (i * row + 7), 1)[0])).toEqual([0.5, 1.5, 2.5]);
});

/** A module of one function, which has an address in its first parameter. */
function moduleOf(name: string, make: (first: ReturnType<typeof get>) => ReturnType<typeof get>): Module {
  const builder = build(name, ['i32']);
  builder.emit(make(get(builder.parameters[0]!)));
  const caller = build('caller', []);
  caller.emit(call(name, address(64)));
  const functions: readonly Func[] = [builder.finish(), caller.finish()];
  return { imports: [], functions, minimumPages: 1, maximumPages: 1, arena: null };
}

test.each([
  ['is multiplied', (first: ReturnType<typeof get>) => at('i32.store', 0, op('i32.add', first, op('i32.mul', first, i32(2))), i32(0))],
  ['is a condition', (first: ReturnType<typeof get>) => op('drop', op('i32.eqz', first))],
  ['is a number in another call', () => call('odd', i32(3))],
  ['is stored', (first: ReturnType<typeof get>) => at('i32.store', 0, i32(0), first)],
] as const)('an address that %s is refused with the name of the function', (_, make) => {
  expect(() => widen(moduleOf('odd', make), { minimumPages: 1, maximumPages: 1 })).toThrow('`odd` cannot use an arena apart');
});

test('an engine without 64-bit addresses says what to do', () => {
  const text = 'model Large {\n  input word: i32[B]\n  loss = mean(word |> embedding(9000000, 70))\n}\ntrain {\n  batch 2\n  optimizer sgd(0.1)\n}\n';
  const { levels } = compile({ path: 'large.model', text, library: false }, 'schedule');
  const folder = mkdtempSync(join(tmpdir(), 'nabla-wide-'));
  try {
    const program = emit(levels, { ...emitOptions('wasm'), javascript: true });
    expect(program).toContain('hasWideMemory()');
    writeFileSync(join(folder, 'large.mjs'), program.replace('!hasWideMemory()', 'true'));
    const { status, stderr } = spawnSync(process.execPath, ['large.mjs', '--steps', '1'], { cwd: folder, encoding: 'utf8' });
    expect(stderr).toMatch(new RegExp('^error: the program needs 7.04 GiB of memory, and this engine has no 64-bit addresses: start it in one that has, '
      + 'as Node 24, Chrome 133 and Firefox 134 do, or .*\n$'));
    expect(status).toBe(1);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
