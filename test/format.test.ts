/** The formatter: canonical, idempotent, and never changing the tree or losing a comment. Its samples are every `.model` file and random ones. */
import { globSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { format } from '../compiler/1-parse/format.ts';
import { parse } from '../compiler/1-parse/parse.ts';

const source = (text: string) => ({ path: 'test.model', text, library: false });

/** The tree without its places. */
const tree = (text: string): string =>
  JSON.stringify(parse(source(text)).file, (key, value: unknown) => (key === 'span' || key === 'pathSpan' || key === 'operatorSpan' ? undefined : value));

const commentsOf = (text: string): string[] => parse(source(text)).comments.map(comment => comment.image.trimEnd());

function formatted(text: string): string {
  const result = format(source(text)).text;
  if (result === null) throw new Error(`not formatted: ${text}`);
  return result;
}

function keepsEverything(text: string): void {
  const once = formatted(text);
  expect(tree(once)).toBe(tree(text));
  expect(commentsOf(once)).toEqual(commentsOf(text));
  expect(formatted(once)).toBe(once);
}

const messy = `// head


// second
/// doc
model   A ( a=1 ,b = 2 , )   {   // behind the brace
  // own

  x=a*-b**-2   // behind


  y = f(a, // first
    // above b
    b, c // last
    // end
  )
  z = some_function_with_long_name(argument_number_one: 12345, argument_number_two: [1,2,3], argument_three: x |> f)
  w = c?a:b
  q = x[ 1 : , ... , :-1, a ? b : c ] |>relu
     // comment
     |> tanh
  y [ i in 0 ..4,j ]=sum [u  in 0..n ]( q[2*i+u,-j] )
  if x>3 {y=3}
  else if z { y=4 } else {
    y = a +
       b  }
  for i in 0 .. n-1 { x=f(x)
  }

}
layer l ( ) ( x : f32 [ ..., D ] )
  ->f32[ D ]
  where D>3 , not x
{ return ( x ) ( 3 ) }
fn f(x)=x
fn g(x)=g(1)(x)
fn h(x){return x}
  derivative(g){return 2*g}
train { hold -1 ; betas [1,2]; evaluate every  5 ; optimizer adam ( lr : 1 )except "a" , "b" ( wd:0 ); freeze enc.* }
a=1
b=2
`;

describe('layout', () => {
  test('a messy file', () => expect(formatted(messy)).toMatchInlineSnapshot(`
    "// head

    // second
    /// doc
    model A(a = 1, b = 2) {
      // behind the brace
      // own

      x = a * -b ** -2 // behind

      y = f(
        a, // first
        // above b
        b,
        c // last
        // end
      )
      z = some_function_with_long_name(
        argument_number_one: 12345,
        argument_number_two: [1, 2, 3],
        argument_three: x |> f
      )
      w = c ? a : b
      q = x[1:, ..., :-1, a ? b : c] |> relu
        // comment
        |> tanh
      y[i in 0..4, j] = sum[u in 0..n](q[2 * i + u, -j])
      if x > 3 {
        y = 3
      } else if z {
        y = 4
      } else {
        y = a +
          b
      }
      for i in 0..n - 1 {
        x = f(x)
      }
    }

    layer l() (x: f32[..., D]) -> f32[D]
      where D > 3, not x {
      return (x)(3)
    }

    fn f(x) = x
    fn g(x) = g(1)(x)
    fn h(x) { return x } derivative (g) { return 2 * g }

    train {
      hold -1
      betas [1, 2]
      evaluate every 5
      optimizer adam(lr: 1) except "a", "b" (wd: 0)
      freeze enc.*
    }

    a = 1
    b = 2
    "
  `));

  test('nothing comes of nothing', () => expect(formatted(' \n\n')).toBe(''));

  test('errors are returned', () => {
    const { text, diagnostics } = format(source('model A {'));
    expect(text).toBe(null);
    expect(diagnostics).toHaveLength(1);
  });
});

test.each(globSync(['models/**/*.model', 'compiler/library/**/*.model']))('%s is kept', path => keepsEverything(readFileSync(path, 'utf8')));

test.each(globSync('models/*.model'))('%s has the canonical layout', path => expect(formatted(readFileSync(path, 'utf8'))).toBe(readFileSync(path, 'utf8')));

test('columns that neighbours share stay lined up, other runs of spaces do not', () => {
  expect(formatted('train {\n  batch     64\n  optimizer sgd(lr: 1)\n\n  seed      1\n}\n')).toBe('train {\n  batch     64\n  optimizer sgd(lr: 1)\n\n  seed 1\n}\n');
  expect(formatted('model M {\n  a     = f(1)\n  b  = f(2)\n}\n')).toBe('model M {\n  a = f(1)\n  b = f(2)\n}\n');
});

describe('random files', () => {
  const name = fc.constantFrom('x', 'loss', 'weight', 'a_rather_long_name_that_fills_the_line');
  const operator = fc.constantFrom(' + ', '-', ' *\n ', '**', ' @ ', ' and ', ' < ', ' |> ', '\n  |> ', ' // note\n  |> ');
  const space = fc.constantFrom('', ' ', '  ');
  const expression = fc.letrec<{ all: string; leaf: string; group: string }>(tie => ({
    leaf: fc.oneof(name, fc.constantFrom('1', '2.5e-3', '"text"', 'true', '-x', '(not b)')),
    group: fc.oneof(
      fc.tuple(name, tie('all'), tie('all'), space).map(([f, a, b, s]) => `${f}${s}(${a},${s}key:${b})`),
      fc.tuple(name, tie('all'), space).map(([f, a, s]) => `${f}(${s}${a}, // note\n// own\n${s}1,)`),
      fc.tuple(name, tie('all'), space).map(([f, a, s]) => `${f}[${s}:${a},${s}1:, ..., ${a}]`),
      fc.tuple(tie('all'), tie('all'), tie('all')).map(([a, b, c]) => `(${a} ? ${b}:${c})`),
      fc.array(tie('all'), { maxLength: 4 }).map(elements => `[${elements.join(' , ')}]`),
    ),
    all: fc.oneof({ depthSize: 'small', withCrossShrink: true }, tie('leaf'), tie('group'), fc.tuple(tie('leaf'), operator, tie('leaf')).map(parts => `(${parts.join('')})`)),
  })).all;
  const chain = fc.tuple(fc.constantFrom('x', 'f(x)'), fc.array(fc.tuple(fc.constantFrom(' + ', '*\n', ' |> ', '\n |> ', '\n// own\n|> ', ' - // note\n'), expression), { maxLength: 3 }))
    .map(([first, rest]) => first + rest.map(([link, operand]) => `${link}(${operand})`).join(''));
  const end = fc.constantFrom('\n', ' // behind\n', '\n\n\n', '\n  // own\n', '\n\n// own\n\n');
  const statement = fc.letrec<{ all: string }>(tie => ({
    all: fc.oneof({ depthSize: 'small' },
      chain.map(value => `y=${value}`),
      chain.map(value => `param w :f32[D,2*D]= ${value}`),
      chain.map(value => `return ${value}`),
      fc.tuple(expression, tie('all'), tie('all')).map(([condition, a, b]) => `if ${condition} {${a}\n} else { ${b} }`),
      fc.tuple(tie('all'), end, tie('all')).map(([a, between, b]) => `for i in 0..n {${between}${a}${between}${b}${between}}`),
    ),
  })).all;
  const item = fc.oneof(
    fc.tuple(fc.array(fc.tuple(statement, end)), expression).map(([body, value]) => `/// doc\nlayer l(a = ${value}) (x: f32[D])->f32[D]{\n${body.flat().join('')}}`),
    chain.map(value => `constant=${value}`),
    chain.map(value => `fn f(x,y:f32[D]) = ${value}`),
    fc.array(fc.constantFrom('batch 64', 'shuffle', 'seed -1', 'lr [1, 2]', 'freeze a.*', 'a = f(x)', 'o f(1) except "a" (b: 1)\n  except "c" (d: 2)'))
      .map(settings => `train{${settings.join('; ')}}`),
  );

  test('are kept', () => fc.assert(fc.property(fc.array(fc.tuple(item, end), { maxLength: 4 }), items => {
    keepsEverything(items.flat().join(''));
  }), { numRuns: 300 }));
});
