/** Modules as bytes and as text: binaryen, which shares no code with either, finds both sound, and finds the same module in both. */
import { globSync, readFileSync } from 'node:fs';
import binaryen from 'binaryen';
import { expect, test } from 'vitest';
import { build, call, f32x4, get, i32, i32x4, op, type Label, type Module } from '../compiler/6-emit/wasm/code.ts';
import { describeFunctions } from '../compiler/6-emit/wasm/describe.ts';
import { encode } from '../compiler/6-emit/wasm/encode.ts';
import { assemble } from '../compiler/6-emit/wasm/module.ts';
import { printModule } from '../compiler/6-emit/wasm/text.ts';
import { compile } from '../compiler/index.ts';

/** Its types know the second parameter under another name. */
const readBinary = binaryen.readBinary as (bytes: Uint8Array, features: binaryen.Features) => binaryen.Module;
const read = (bytes: Uint8Array): binaryen.Module => readBinary(bytes, binaryen.Features.All);

/** As binaryen writes it: names become numbers, locals are ordered by type; types stand in the order in which each reader met them. */
function normal(module: binaryen.Module): string {
  module.setFeatures(binaryen.Features.All);
  expect(module.validate()).toBe(1);
  const again = read(module.emitBinary());
  const text = again.emitText().split('\n').filter(line => !line.startsWith(' (type ')).join('\n').replaceAll(/ \(type \$\S+\)/g, '');
  module.dispose();
  again.dispose();
  return text;
}

const models = ['test/golden/*/source.model', 'models/iris.model', 'models/mnist.model'].flatMap(pattern => globSync(pattern)).sort();

test.each(models)('%s: bytes and text are one module', path => {
  const { levels } = compile({ path, text: readFileSync(path, 'utf8'), library: false }, 'schedule');
  for (const options of [{ deterministic: false, inspected: false, wide: false }, { deterministic: true, inspected: true, wide: true }]) {
    const { module } = assemble(levels.program!, options);
    const text = printModule(module, describeFunctions(levels.program!, module));
    expect(normal(binaryen.parseText(text)) === normal(read(encode(module)))).toBe(true);
  }
});

test('constants, labels and comments', () => {
  const inner: Label = { name: 'axis' };
  const outer: Label = { name: 'axis' };
  const builder = build('f', ['i32', 'i32']);
  builder.emit({ kind: 'block', label: outer, body: [{ kind: 'loop', label: inner, body: [
    { kind: 'br_table', labels: [inner, outer], index: get(builder.parameters[0]!) },
  ] }] });
  for (const value of [f32x4(0.1), f32x4(-0), f32x4(NaN), f32x4(Infinity), i32x4(1, 2, 3, -4)]) builder.emit(op('drop', op('f32x4.abs', value)));
  builder.emit(op('drop', op('i32x4.neg', f32x4(0.1))));
  builder.emit(call('g', i32(-1)));
  const module: Module = { imports: [], functions: [builder.finish(true), build('g', ['i32']).finish()], minimumPages: 1, maximumPages: 2, arena: null };
  const text = printModule(module, new Map([['f', { comments: ['a\n(evil)'], parameters: ['x', 'x'] }]]));
  expect(text).toBe(`(module
  (import "env" "memory" (memory 1 2 shared))

  ;; a (evil)
  (func $f (export "f") (param $x i32) (param $x_2 i32)
    (block $axis
      (loop $axis_2
        (br_table $axis_2 $axis (local.get $x))))
    (drop (f32x4.abs (v128.const f32x4 0.1 0.1 0.1 0.1)))
    (drop (f32x4.abs (v128.const f32x4 -0 -0 -0 -0)))
    (drop (f32x4.abs (v128.const i32x4 2143289344 2143289344 2143289344 2143289344)))
    (drop (f32x4.abs (v128.const f32x4 inf inf inf inf)))
    (drop (f32x4.abs (v128.const i32x4 1 2 3 -4)))
    (drop (i32x4.neg (v128.const i32x4 1036831949 1036831949 1036831949 1036831949)))
    (call $g (i32.const -1)))

  (func $g (param $0 i32))
)
`);
  expect(normal(binaryen.parseText(text))).toBe(normal(read(encode(module))));
});
