/** The parser: what trees it builds, how it recovers, and that no input makes it throw, hang or overflow. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Expression, File, Statement } from '../compiler/1-parse/ast.ts';
import { parse } from '../compiler/1-parse/parse.ts';
import { diagnosticJson, renderDiagnostic } from '../compiler/source/render.ts';
import { suggest } from '../compiler/source/suggest.ts';

const read = (text: string) => parse({ path: 'test.model', text, library: false });

function good(text: string): File {
  const { file, diagnostics } = read(text);
  expect(diagnostics.map(diagnostic => renderDiagnostic(diagnostic, { color: false }))).toEqual([]);
  return file;
}

const codesOf = (text: string): string[] => read(text).diagnostics.map(diagnostic => diagnostic.code);

const expression = (text: string): Expression => {
  const item = good(`x = ${text}`).items[0]!;
  if (item.kind !== 'constant') throw new Error(item.kind);
  return item.value;
};

const statements = (text: string): readonly Statement[] => {
  const item = good(`model A {\n${text}\n}`).items[0]!;
  if (item.kind !== 'model') throw new Error(item.kind);
  return item.body;
};

/** An expression with all its parentheses. */
function full(e: Expression): string {
  switch (e.kind) {
    case 'number': case 'name': return e.text;
    case 'string': return JSON.stringify(e.value);
    case 'boolean': return String(e.value);
    case 'list': return `[${e.elements.map(full).join(', ')}]`;
    case 'member': return `${full(e.object)}.${e.member.text}`;
    case 'call': return `${full(e.callee)}(${e.arguments.map(a => (a.name === null ? '' : `${a.name.text}: `) + full(a.value)).join(', ')})`;
    case 'subscript': return `${full(e.object)}[${e.subscripts.map(s => {
      if (s.kind === 'index') return full(s.value);
      if (s.kind === 'ellipsis') return '...';
      if (s.kind === 'each') return `${s.name.text} in ${full(s.from)}..${full(s.to)}`;
      return [s.from, s.to, s.step].map(part => (part === null ? '' : full(part))).join(':');
    }).join(', ')}]`;
    case 'unary': return `(${e.operator} ${full(e.operand)})`;
    case 'binary': return `(${full(e.left)} ${e.operator} ${full(e.right)})`;
    case 'conditional': return `(${full(e.condition)} ? ${full(e.then)} : ${full(e.otherwise)})`;
    case 'pipe': return `(${full(e.input)} |> ${full(e.target)})`;
    case 'scan': return `scan ${e.variable.text} along ${full(e.dimension)}${e.reversed ? ' reversed' : ''} from ${e.carries.map(carry => `${carry.name.text} = ${full(carry.value)}`).join(', ')}`;
    case 'missing': return '<missing>';
    default: return e satisfies never;
  }
}

describe('expressions', () => {
  test.each([
    ['a + b * c', '(a + (b * c))'],
    ['a - b - c', '((a - b) - c)'],
    ['-x ** 2', '(- (x ** 2))'],
    ['2 ** -y ** 2', '(2 ** (- (y ** 2)))'],
    ['a ** b ** c', '(a ** (b ** c))'],
    ['not a == b and c or d', '(((not (a == b)) and c) or d)'],
    ['-a * -b', '((- a) * (- b))'],
    ['q @ k.T / sqrt(d)', '((q @ k.T) / sqrt(d))'],
    ['image / 255 |> linear(h) |> relu', '(((image / 255) |> linear(h)) |> relu)'],
    ['c ? a : b |> f', '((c ? a : b) |> f)'],
    ['a or b ? x : c ? y : z', '((a or b) ? x : (c ? y : z))'],
    ['c ? a |> f : b', '(c ? (a |> f) : b)'],
    ['linear(out: 3, 4)(x)', 'linear(out: 3, 4)(x)'],
    ['x[:, 1:, ::2, i + 1, ..., :-1]', 'x[::, 1::, ::2, (i + 1), ..., :(- 1):]'],
    ['x[c ? a : b, 1:2]', 'x[(c ? a : b), 1:2:]'],
    ['[1, 2.5, 1_000, 1e-3]', '[1, 2.5, 1_000, 1e-3]'],
    ['(a + b) * c', '((a + b) * c)'],
    ['loss + step * batch - state', '((loss + (step * batch)) - state)'],
    ['f("a\\"\\n", true)', 'f("a\\"\\n", true)'],
  ])('%s', (text, tree) => expect(full(expression(text))).toBe(tree));

  test('numbers have values', () => {
    expect(expression('1_000.5e-1')).toMatchObject({ kind: 'number', value: 100.05, text: '1_000.5e-1' });
  });

  test('spans include parentheses', () => {
    const { span } = expression('(a + b) * c');
    expect([span.start, span.end]).toEqual([4, 15]);
  });
});

describe('statements', () => {
  test('kinds', () => {
    const body = statements(`
      input image: u8[B, 784]
      param w: f32[4 * D, ...] = uniform(1)
      param b: f32
      state mean: f32[C] = 0
      state m = 0
      m <- m + 1
      a, b = split(x, 2)
      y[i, j in 0..n - 1] = sum[k](x[i, k] * w[j, k])
      loss = x
      loss other = x
      metric accuracy = x
      output y = x
      where D % heads == 0
      for i in 0..n - 1 { x = f(x) }
      if a { x = 1 } else if b { x = 2 } else { x = 3 }
      return x`);
    expect(body.map(statement => statement.kind)).toEqual([
      'input', 'param', 'param', 'state', 'state', 'update', 'bind', 'indexed', 'result', 'result', 'result', 'result', 'where', 'for', 'if', 'return',
    ]);
  });

  test('words are names where they can be', () => {
    const body = statements('input = 1\nmetric = input\nstate, param = f(metric)\noutput <- data\ntrain = except + every');
    expect(body.map(statement => statement.kind)).toEqual(['bind', 'bind', 'bind', 'update', 'bind']);
  });

  test('`loss =` is a loss in a model and a name elsewhere', () => {
    expect(statements('loss = 1')[0]).toMatchObject({ kind: 'result', role: 'loss', name: null });
    expect(good('fn f(x) {\n loss = x\n return loss\n}').items[0]).toMatchObject({ body: [{ kind: 'bind' }, { kind: 'return' }] });
  });

  test('lines continue after an operator, before `|>` and `.`, and inside parentheses', () => {
    expect(statements('a = b +\n c\nd = e\n  // between\n\n  |> f\n  .g\nh = k(\n 1,\n\n 2\n)\ni = [1,\n2]')).toHaveLength(4);
    expect(statements('\n\n\na = b\r\n\r\nc = d\n')).toHaveLength(2);
    // What can only begin a statement does so, after a line that was left unfinished too.
    expect(codesOf('model A {\n a = b +\n y[i] = x[i]\n}')).toEqual(['syntax.expected']);
  });
});

describe('items', () => {
  test('documentation', () => {
    expect(good('/// not this\n\n/// one\n///  two\n// no\n/// three\nfn f(x) = x').items[0]).toMatchObject({ doc: 'three', short: true });
    expect(good('/// one\n/// two\nlayer l() (x: f32[B]) -> f32[B] where B > 1 { return x }').items[0]).toMatchObject({
      doc: 'one\ntwo', kind: 'layer', parameters: [], inputs: [{ name: { text: 'x' } }], where: [{ kind: 'binary' }],
    });
  });

  test('settings', () => {
    const file = good(`train warmup {
      batch 64; shuffle false
      optimizer adamw(lr: 1e-3) except "*.bias", "norm.*" (weight_decay: 0)
        except "head.*" (lr: 0)
      checkpoint every 1 epochs keep 3
      freeze encoder.block.0.*
      minimize d_loss over discriminator.* with adam(lr: 1)
      memory 512MB
      flag
      source = idx(image: "a")
    }`);
    expect(file.items[0]).toMatchObject({
      kind: 'train', name: { text: 'warmup' },
      settings: [
        { name: { text: 'batch' }, values: [{ value: 64 }], assigned: false },
        { values: [{ kind: 'boolean', value: false }] },
        { name: { text: 'optimizer' }, values: [{ kind: 'call' }], exceptions: [{ patterns: [{ text: '*.bias' }, { text: 'norm.*' }] }, { patterns: [{ text: 'head.*' }] }] },
        { values: [{ kind: 'word', text: 'every' }, { value: 1 }, { kind: 'word', text: 'epochs' }, { kind: 'word', text: 'keep' }, { value: 3 }] },
        { values: [{ kind: 'pattern', text: 'encoder.block.0.*' }] },
        { values: [{ kind: 'name' }, { kind: 'word', text: 'over' }, { kind: 'pattern' }, { kind: 'word', text: 'with' }, { kind: 'call' }] },
        { values: [{ kind: 'quantity', value: 512, unit: 'MB' }] },
        { values: [] },
        { assigned: true, values: [{ kind: 'call' }] },
      ],
    });
  });

  test('derivatives', () => {
    const file = good('fn f(x) { return x }\nderivative (g) { return g }\nfn k(x) = x\nderivative = 3\nfn m(derivative) = derivative (1)');
    expect(file.items.map(item => item.kind)).toEqual(['fn', 'fn', 'constant', 'fn']);
    expect(file.items[0]).toMatchObject({ derivative: { gradient: { text: 'g' }, body: [{ kind: 'return' }] } });
    expect(file.items[1]).toMatchObject({ derivative: null });
  });

  test('imports, constants and optimizers', () => {
    const file = good('import "a/b.model"\nwidth = 2\noptimizer sgd(lr, m = 0.9) (p, g) { return p - lr * g }');
    expect(file.imports[0]).toMatchObject({ path: 'a/b.model' });
    expect(file.items.map(item => item.kind)).toEqual(['constant', 'optimizer']);
  });
});

describe('recovery', () => {
  test('what is wrong is missing, what is right stays', () => {
    const { file, diagnostics } = read('model A {\n x = ) 1\n y = f(1 2)\n z = 3\n}\nfn f(x) = = 2\nfn g(x) = x');
    expect(diagnostics.map(diagnostic => diagnostic.code)).toHaveLength(3);
    expect(file.items.map(item => item.kind)).toEqual(['model', 'fn', 'fn']);
    expect(file.items[0]).toMatchObject({ body: [{ targets: [{ text: 'x' }] }, { value: { kind: 'missing' } }, { value: { value: 3 } }] });
  });

  test('a mended operator is one of nabla', () => {
    expect(read('x = a && b === c').file.items[0]).toMatchObject({ value: { operator: 'and', right: { operator: '==' } } });
  });

  test('a missing brace does not swallow the next item', () => {
    const { file, diagnostics } = read('model A {\n  if x {\n    y = 1\n}\nfn f(x) = x\n');
    expect(diagnostics).toHaveLength(1);
    expect(diagnostics[0]).toMatchObject({ code: 'syntax.bracket', secondary: [{ text: 'opened here' }] });
    expect(file.items).toHaveLength(2);
  });
});

describe('any input', () => {
  const survives = (text: string): void => {
    const { file, diagnostics } = read(text);
    expect(file.kind).toBe('file');
    for (const diagnostic of diagnostics.slice(0, 5)) {
      expect(diagnostic.span!.start).toBeLessThanOrEqual(diagnostic.span!.end);
      expect(diagnostic.span!.end).toBeLessThanOrEqual(text.length);
      renderDiagnostic(diagnostic, { color: true });
      diagnosticJson(diagnostic);
    }
  };
  const words = [
    'model', 'layer', 'fn', 'optimizer', 'data', 'train', 'import', 'if', 'else', 'for', 'in', 'return', 'where', 'param', 'state', 'loss', 'a', 'b', '1', '2MB',
    '"s"', '"', '(', ')', '[', ']', '{', '}', ',', ':', ';', '=', '<-', '|>', '->', '.', '..', '...', '?', '+', '-', '*', '**', 'not', 'and', '<', '==', '\n', '\n', '\n',
    'except', 'every', 'derivative', 'x.*', '//c', '///d\n', '&&', 'let', 'scan', '\0', 'é',
  ];

  test('random characters', () => fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 200 }), survives), { numRuns: 200 }));

  test('random tokens', () => fc.assert(fc.property(fc.array(fc.constantFrom(...words), { maxLength: 60 }), tokens => survives(tokens.join(' '))), { numRuns: 500 }));

  test('a good file with a piece cut out', () => {
    const text = '/// d\nmodel A(h = 2) {\n  input x: f32[B, 2]\n  y = x |> linear(h)(1)[1:, 2]\n  if y { z = 3 } else { z = 4 }\n}\ntrain { batch 64; memory 5MB }\n';
    fc.assert(fc.property(fc.nat(text.length), fc.nat(20), (at, length) => survives(text.slice(0, at) + text.slice(at + length))), { numRuns: 200 });
  });

  test.each([
    ['brackets', '('.repeat(1_000_000), 'syntax.depth'],
    ['closing brackets', ')'.repeat(100_000), 'syntax.bracket'],
    ['deep brackets', `x = ${'('.repeat(300)}1${')'.repeat(300)}`, 'syntax.depth'],
    ['a chain of operators', `x = a${' + a'.repeat(100_000)}`, 'syntax.size'],
    ['a chain of powers', `x = a${' ** a'.repeat(100_000)}`, 'syntax.size'],
    ['a chain of signs', `x = ${'-'.repeat(100_000)}a`, 'syntax.size'],
    ['a chain of members', `x = a${'.a'.repeat(100_000)}`, 'syntax.size'],
    ['a chain of conditionals', `x = ${'a ? '.repeat(100_000)}`, 'syntax.depth'],
    ['a chain of else if', `fn f(x) {\n if a { b = 1 }${' else if a { b = 1 }'.repeat(1_000)}\n}`, 'syntax.depth'],
    ['blocks', 'if x { '.repeat(100_000), 'syntax.depth'],
    ['a long line', 'a'.repeat(10_000_000), 'syntax.size'],
    ['a long string', `"${'a'.repeat(3_900_000)}`, 'syntax.string'],
    ['NUL', '\0'.repeat(1000), 'syntax.token'],
  ])('%s', (_, text, code) => expect(codesOf(text)).toContain(code));

  test('127 brackets are allowed', () => good(`x = ${'('.repeat(127)}1${')'.repeat(127)}`));
  test('mixed nesting counts together', () => expect(codesOf(
    `fn f(x) {\n${'if a { '.repeat(60)}if a { b = 1 }${' else if a { b = 1 }'.repeat(60)} else { b = ${'a ? '.repeat(60)}${'f('.repeat(40)}1${')'.repeat(40)}${' : b'.repeat(60)} }${'}'.repeat(60)}\n}`,
  )).toContain('syntax.depth'));
  test('1000 operators are allowed', () => good(`x = a${' + a'.repeat(999)}`));

  // About one second on an idle machine; the bound leaves room for a busy one.
  test('50,000 lines', () => {
    const lines = Array.from({ length: 50_000 }, (_, i) => `  x${i} = x |> linear(${i}) |> relu`);
    const start = performance.now();
    good(`model A {\n${lines.join('\n')}\n}`);
    expect(performance.now() - start).toBeLessThan(5000);
  });
});

test('suggestions', () => {
  expect(suggest('modle', ['model', 'layer'])).toBe('model');
  expect(suggest('Model', ['model', 'layer'])).toBe('model');
  expect(suggest('crossentropy', ['cross_entropy', 'entropy'])).toBe('cross_entropy');
  expect(suggest('xyz', ['model', 'layer'])).toBe(null);
});

test('code frames', () => {
  const { diagnostics } = read('model A {\n\ty = f(x]\n  s = "日本 β" $\n  z = (1\n}\n');
  expect(diagnostics.map(diagnostic => renderDiagnostic(diagnostic, { color: false })).join('\n\n')).toMatchInlineSnapshot(`
    "error[syntax.bracket]: \`(\` is closed by \`]\`
      ┌─ test.model:2:9
    2 │   y = f(x]
      │        ─ ^ expected \`)\`
      │        └── opened here
      = help: write \`)\` here, or another bracket there

    error[syntax.token]: \`$\` is not part of the language
      ┌─ test.model:3:14
    3 │   s = "日本 β" $
      │                ^
      = help: remove it

    error[syntax.bracket]: \`(\` is never closed
      ┌─ test.model:4:9
    4 │   z = (1
      │       ─ ^ expected \`)\`
      │       └── opened here
      = help: add \`)\`"
  `);
});

test('code frames of several lines, of long lines and of nothing', () => {
  const file = { path: 'a.model', text: `x = f(\n  1,\n  2)\n${'y'.repeat(300)} = !\n`, library: false };
  const other = { path: 'b.model', text: 'z = 1\n', library: true };
  const render = (start: number, end: number): string => renderDiagnostic({
    code: 'a.b', message: 'message', span: { file, start, end }, label: 'here',
    secondary: [{ span: { file: other, start: 0, end: 1 }, text: 'there' }], notes: ['one', 'two'], help: 'help',
  }, { color: false });
  expect(`${render(4, 16)}\n\n${render(17 + 303, 17 + 304)}`).toMatchInlineSnapshot(`
    "error[a.b]: message
      ┌─ a.model:1:5
    1 │ x = f(
      │     ^^ from here
      ·
    3 │   2)
      │   ^^ here
      ├─ b.model:1:1
    1 │ z = 1
      │ ─ there
      = note: one
      = note: two
      = help: help

    error[a.b]: message
      ┌─ a.model:4:304
    4 │ …yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy = !
      │                                                                                                                         ^ here
      ├─ b.model:1:1
    1 │ z = 1
      │ ─ there
      = note: one
      = note: two
      = help: help"
  `);
  expect(renderDiagnostic({ code: 'a.b', message: 'no file', span: null }, { color: false })).toBe('error[a.b]: no file');
  expect(diagnosticJson({ code: 'a.b', message: 'm', span: { file, start: 4, end: 16 } })).toEqual({
    code: 'a.b', message: 'm', file: 'a.model', line: 1, column: 5, endLine: 3, endColumn: 5, label: null, secondary: [], notes: [], help: null,
  });
});

test('a file needs no indentation', () => {
  good('data {\ntrain = npy(x: "x.npy")\n}\ntrain {\nbatch 4\noptimizer sgd(lr: 0.1)\n}\nmodel M {\ninput x: f32[B]\n}\n');
});
