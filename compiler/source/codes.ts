/**
 * The rules behind the codes of diagnostics: one entry for each code that does not come from the op table, whose constraints
 * (`matmul.C2`) explain themselves there. `nabla explain CODE` prints an entry.
 */

export interface Explanation {
  readonly title: string;
  /** What the rule is and why, with a wrong and a right example. */
  readonly explanation: string;
}

const table = {
  'syntax.token': {
    title: 'A character that is not part of the language',
    explanation: `Outside strings and comments a file consists of names, numbers and the signs of the language. Names are made of the
letters a to z, digits and underscores. Comments begin with two slashes.

  wrong:  β = 0.9           # momentum
  right:  beta = 0.9        // momentum`,
  },
  'syntax.string': {
    title: 'A string that is not well formed',
    explanation: `A string stands between double quotes on one line. Inside it, \\" is a quote, \\\\ a backslash and \\n a new line.

  wrong:  import 'attention.model'
  right:  import "attention.model"`,
  },
  'syntax.number': {
    title: 'A number that is not well formed',
    explanation: `Numbers are written 1, 0.5, 1e-3 or 1_000. A number with a unit, such as 512MB, is a value of a setting of a data or
train block and of nothing else.

  wrong:  width = 128px
  right:  width = 128`,
  },
  'syntax.expected': {
    title: 'Something else was expected here',
    explanation: `The text does not continue in a way that the grammar knows. The message tells what could have stood there. A line end
ends a statement, unless the line ends in an operator, or is inside parentheses, or the next line begins with |> or a dot.

  wrong:  y = a
            + b
  right:  y = a +
            b`,
  },
  'syntax.bracket': {
    title: 'Brackets that do not match',
    explanation: `Every (, [ and { is closed by its own counterpart, inside the bracket around it.

  wrong:  y = relu(linear(10)(x)
  right:  y = relu(linear(10)(x))`,
  },
  'syntax.depth': {
    title: 'Nested too deeply',
    explanation: `Brackets, conditional expressions and "else if" may be nested 128 levels deep. Bind parts of a longer expression to
names of their own.

  wrong:  y = f(f(f(… a hundred and thirty times … x)))
  right:  for i in 0..130 { x = f(x) }`,
  },
  'syntax.size': {
    title: 'Too large to compile',
    explanation: `A file may have four million characters, and one expression a thousand operators in a chain. Numbers in such amounts are
data, and belong in a data file.

  wrong:  y = x + x + x + … a thousand times …
  right:  y = 1000 * x`,
  },
  'syntax.later': {
    title: 'A construct of a later version',
    explanation: `The word or form is reserved for something that this version of nabla cannot compile yet.

  wrong:  scan t along T from h = zeros[B, units] { … }
  right:  for t in 0..16 { h = cell(x[:, t], h) }`,
  },
  'syntax.assignment': {
    title: 'An equals sign in the wrong place',
    explanation: `One equals sign binds a name. Arguments are named with a colon, and values are compared with two equals signs.

  wrong:  linear(out=3)       right:  linear(out: 3)
  wrong:  if mode = 1 { … }   right:  if mode == 1 { … }`,
  },
  'syntax.keyword': {
    title: 'A word that nabla writes otherwise',
    explanation: `A definition or statement begins with a word that is misspelt or comes from another language. Names are bound without any
word; functions are "fn", layers "layer"; the truth values are "true" and "false".

  wrong:  let width = 128
  right:  width = 128`,
  },
  'syntax.operator': {
    title: 'An operator of another language',
    explanation: `The operators are + - * / % ** @, the comparisons == != < <= > >=, the words "and", "or", "not", the pipe |> and the
conditional c ? a : b. A name is bound anew instead of being changed in place.

  wrong:  x += 1              right:  x = x + 1
  wrong:  a && !b             right:  a and not b`,
  },
  'syntax.semicolon': {
    title: 'A semicolon after a statement',
    explanation: `A statement ends with its line. Only the settings of a data or train block may share a line, with semicolons between them.

  wrong:  x = relu(x);
  right:  x = relu(x)`,
  },
  'syntax.comparison': {
    title: 'Comparisons in a chain',
    explanation: `A comparison gives a truth value, which cannot be compared by size again. Say both comparisons.

  wrong:  0 < x < 1
  right:  0 < x and x < 1`,
  },
  'syntax.type': {
    title: 'A type that does not exist',
    explanation: `Element types are f32, f16, bf16, i32, u8 and bool. The dimensions follow in square brackets.

  wrong:  input image: float32[B, 784]
  right:  input image: f32[B, 784]`,
  },
} satisfies Record<string, Explanation>;

export type DiagnosticCode = keyof typeof table;

/** Every code with its rule. */
export const codes: Readonly<Record<string, Explanation>> = table;
