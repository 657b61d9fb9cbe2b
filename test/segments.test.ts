/** The arena of a GPU in segments: programs that no binding could hold as they are get other places, and stay sound. */
import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { defaultGpuOptions } from '../compiler/6-emit/wgsl/module.ts';
import { gpuPlan } from '../compiler/6-emit/wgsl/plan.ts';
import { bindingProblems, laidOut, largestBinding, segmentAt } from '../compiler/6-emit/wgsl/segments.ts';
import { compile } from '../compiler/index.ts';
import type { Program } from '../compiler/ir/program.ts';
import { verifyProgram } from '../compiler/ir/verify-program.ts';
import { attentions, inBlocks } from './support/attention.ts';
import { readFixture } from './support/fixture.ts';
import { levelsOf } from './support/trace.ts';

const awkward = new URL('models/levels/', import.meta.url);
const programs: readonly (readonly [string, Program])[] = [
  ...readdirSync(awkward).map(file => [file, levelsOf(readFileSync(new URL(file, awkward), 'utf8')).program!] as const),
  ...Object.entries(attentions).map(([title, text]) => [title, inBlocks(text).program!] as const),
  ...['mnist', 'transformer', 'lenet'].map(name => [name, readFixture(name).levels.program!] as const),
];

test.each(programs)('%s in segments', (_, program) => {
  for (const share of [0.7, 0.3, 0.05]) {
    const limit = Math.floor(program.arenaBytes * share);
    const made = laidOut(program, limit);
    expect(verifyProgram(made)).toEqual([]);
    const { segments } = made;
    for (const { start, bytes } of segments) {
      const inside = made.buffers.filter(buffer => start <= buffer.offset && buffer.offset < start + bytes && buffer.bytes > 0);
      // Longer than the limit only where a single tensor is.
      const longest = Math.max(0, ...inside.map(buffer => buffer.bytes));
      expect(bytes, `within ${limit}`).toBeLessThan(Math.max(limit, longest) + 64);
      for (const buffer of inside) expect(buffer.offset + buffer.bytes).toBeLessThanOrEqual(start + bytes);
    }
    expect(segments.length).toBeGreaterThan(1);
  }
});

test('what fits keeps its places', () => {
  for (const [, program] of programs) {
    expect(laidOut(program, program.arenaBytes)).toEqual({ ...program, segments: [{ start: 0, bytes: program.arenaBytes, halves: false }] });
  }
});

test('what is f16 alone, and the host never sees, lies in segments of its own', () => {
  const text = readFileSync(new URL('../models/mnist.model', import.meta.url), 'utf8').replace(/^train \{/m, 'train {\n  precision f16');
  const { program } = levelsOf(text);
  for (const share of [1, 0.3]) {
    const made = laidOut(program!, Math.floor(program!.arenaBytes * share));
    expect(verifyProgram(made)).toEqual([]);
    const isAmongHalves = (byte: number): boolean => made.segments[segmentAt(made.segments, byte)]!.halves;
    for (const { dtype, offset, lifetime, name } of made.buffers) expect([name, isAmongHalves(offset)]).toEqual([name, dtype === 'f16' && lifetime !== null]);
    expect(made.buffers.filter(({ dtype }) => dtype === 'f16').length).toBeGreaterThan(10);
    expect(made.segments.filter(({ bytes, halves }) => halves && bytes % 64 === 0).length).toBeGreaterThan(0);
    gpuPlan(made, defaultGpuOptions);
    const everywhere = { ...made, segments: made.segments.map(segment => ({ ...segment, halves: true })) };
    expect(() => gpuPlan(everywhere, defaultGpuOptions)).toThrow('which lies among halves');
  }
});

test('a tensor that no GPU can bind is told with its line', () => {
  const text = 'model Wide {\n  input x: f32[B, 40000]\n  y = x |> linear(20000)\n  loss = mean(y ** 2)\n}\ntrain {\n  batch 4\n  steps 1\n  optimizer sgd(0.1)\n}\n';
  const { levels } = compile({ path: 'wide.model', text, library: false }, 'schedule');
  const problems = bindingProblems(levels.program!, levels.file.span);
  expect(problems.map(({ code, message }) => [code, message])).toEqual(['parameters', 'gradients'].map(name =>
    ['webgpu.binding', `\`${name}\` takes 3200080000 bytes, and WebGPU gives a kernel at most ${largestBinding} at once`]));
});
