/**
 * The rules behind the codes of diagnostics: one entry for each code that does not come from the op table, whose constraints
 * (`matmul.C2`) explain themselves there. `nabla explain CODE` prints an entry.
 */

export interface Explanation {
  readonly title: string;
  /** What the rule is and why, with a wrong and a right example. The names of settings are put before it by `nabla explain`. */
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
  'name.unknown': {
    title: 'A name that nothing has',
    explanation: `A name stands for what the body bound, for a definition of the file, of an imported file or of the library,
for an operation, or for a built-in. A definition may stand after its use; a binding may not.

  wrong:  y = imgae / 255
  right:  y = image / 255`,
  },
  'name.twice': {
    title: 'A name that is defined twice',
    explanation: `Top-level definitions share one space of names, with those of imported files. Only bindings inside a body
may shadow each other.

  wrong:  fn scale(x) = 2 * x   and   layer scale() (x) { … }
  right:  fn scale(x) = 2 * x   and   layer scaled() (x) { … }`,
  },
  'name.cycle': {
    title: 'A constant that is defined by itself',
    explanation: `Constants may use each other in any order, but not in a circle.

  wrong:  width = depth * 2   and   depth = width / 2
  right:  depth = 4   and   width = depth * 2`,
  },
  'name.dimension': {
    title: 'A dimension of an input that is not known',
    explanation: `The first dimension of an input, when its name is no constant, is the batch. Every other name must be a
hyperparameter or a constant.

  wrong:  model M { input tokens: i32[B, T] }
  right:  model M(T = 64) { input tokens: i32[B, T] }`,
  },
  'name.initialiser': {
    title: 'Something that only initial values know',
    explanation: `fan_in, fan_out, random_uniform and initial_shape speak of the parameter whose initial value they stand in.

  wrong:  y = x + random_uniform()
  right:  y = x + uniform_like(x)`,
  },
  'name.member': {
    title: 'A member that is not there',
    explanation: `A tensor has the member .T, its transpose. A layer has its parameters, states, named inner layers and
hyperparameters, the first three after it was applied.

  wrong:  y = x.mean()
  right:  y = mean(x)`,
  },
  'type.tensor': {
    title: 'A tensor was expected',
    explanation: `Numbers and booleans become scalars by themselves; layers, functions, strings and lists do not become
tensors. A layer is constructed and then applied.

  wrong:  y = relu(linear(3))
  right:  y = x |> linear(3) |> relu`,
  },
  'type.argument': {
    title: 'An argument of the wrong kind',
    explanation: `The parameter has a type, or is used in a way, that the argument does not fit.

  wrong:  y = cast(x, "f32")
  right:  y = cast(x, f32)`,
  },
  'type.dtype': {
    title: 'An element type that would lose something',
    explanation: `u8 and bool become i32, and u8, bool, f16 and bf16 become f32, by themselves. Other conversions are written.

  wrong:  y = index |> linear(3)        with index: i32[B, 4]
  right:  y = cast(index, f32) |> linear(3)`,
  },
  'type.dimension': {
    title: 'A dimension that has another extent than before',
    explanation: `A name in a list of dimensions is bound at first sight and checked after: within one call it has one extent.

  wrong:  distance(x, x[:, 1:])        with fn distance(x: f32[..., D], y: f32[..., D])
  right:  distance(x, x)`,
  },
  'type.rank': {
    title: 'A wrong number of dimensions',
    explanation: `A type lists every dimension; ... in it stands for any number of them.

  wrong:  y = x |> conv2d(8, 3)        with x: f32[B, 784]
  right:  y = reshape(x, [B, 1, 28, 28]) |> conv2d(8, 3)`,
  },
  'type.result': {
    title: 'A result that does not fit the declared type',
    explanation: `The type after -> is checked against what the body returns.

  wrong:  layer f() (x: f32[B, D]) -> f32[B, D] { return argmax(x) }
  right:  layer f() (x: f32[B, D]) -> i32[B] { return argmax(x) }`,
  },
  'type.broadcast': {
    title: 'Shapes that do not broadcast',
    explanation: `Shapes are aligned at the last dimension. Two extents fit when they are equal or one of them is 1; missing
dimensions count as 1.

  wrong:  y = x + w        with x: f32[B, 4] and w: f32[B]
  right:  y = x + w[:, none]`,
  },
  'type.axis': {
    title: 'An axis that does not exist, or is ambiguous',
    explanation: `An axis is the name of a dimension or an integer, negative from the end. Where two dimensions have the name,
only an integer tells which one is meant.

  wrong:  mean(scores, axis: T)        with scores: f32[B, T, T]
  right:  mean(scores, axis: -1)`,
  },
  'type.ellipsis': {
    title: 'An ellipsis that stands for nothing',
    explanation: `... in a type stands for the dimensions that the first argument with ... has. Inputs and parameters write
all dimensions.

  wrong:  input x: f32[..., 4]
  right:  input x: f32[B, 4]`,
  },
  'type.extent': {
    title: 'A dimension that is not a positive whole number',
    explanation: `Dimensions are whole numbers of at least 1, known at compile time.

  wrong:  x |> linear(5 / 2)
  right:  x |> linear(6 / 2)`,
  },
  'type.size': {
    title: 'Something too large',
    explanation: `At most 2^31 elements and 16 dimensions a tensor, 10,000 turns a loop, 200,000 values a graph, 100,000
elements a list: more is a mistake, and is told before anything is built.

  wrong:  x |> linear(10000000000)
  right:  x |> linear(1000)`,
  },
  'type.logical': {
    title: 'A boolean was expected',
    explanation: `Conditions, and the operands of and, or and not, are booleans; numbers are not taken for booleans.

  wrong:  y = x ? 1 : 0
  right:  y = x != 0 ? 1 : 0`,
  },
  'type.operator': {
    title: 'An operator that is not defined on these operands',
    explanation: `Arithmetic is defined on numbers and tensors, == and != on all constants, + on lists too.

  wrong:  y = linear(3) + x
  right:  y = linear(3)(x) + x`,
  },
  'type.number': {
    title: 'A number that is not finite',
    explanation: `Constants are computed at compile time; a division by zero or an overflow there is a mistake.

  wrong:  scale = 1 / (heads - heads)
  right:  scale = 1 / heads`,
  },
  'type.constant': {
    title: 'A constant that is not known at compile time',
    explanation: `Top-level constants and hyperparameters are numbers, booleans, strings and lists.

  wrong:  rate = step / 100
  right:  fn rate() = step / 100`,
  },
  'type.condition': {
    title: 'An if that is not decided at compile time',
    explanation: `if chooses what the program contains. Between tensors, ? : chooses element by element when the program runs.

  wrong:  if x > 0 { y = x } else { y = 0 }
  right:  y = x > 0 ? x : 0`,
  },
  'type.range': {
    title: 'Bounds of a loop that are not whole numbers',
    explanation: `for i in a..b is unrolled at compile time, from a up to and not including b.

  wrong:  for i in 0..x { … }
  right:  for i in 0..layers { … }`,
  },
  'type.split': {
    title: 'Parts that do not fit',
    explanation: `split cuts into equal parts, and as many names are bound as there are values.

  wrong:  a, b = split(x, 3)
  right:  a, b, c = split(x, 3)`,
  },
  'type.subscript': {
    title: 'A subscript that does not fit',
    explanation: `Positions and bounds are whole numbers known at compile time, inside the extent; a tensor of whole numbers
alone gathers rows.

  wrong:  y = x[:, 4]        with x: f32[B, 4]
  right:  y = x[:, 3]`,
  },
  'type.fan': {
    title: 'A parameter without connections',
    explanation: `fan_in and fan_out are read off a layout [out, in, kernel…], so they need at least two dimensions.

  wrong:  param bias: f32[out] = kaiming_uniform()
  right:  param bias: f32[out] = uniform(1 / sqrt(In))`,
  },
  'where.failed': {
    title: 'A constraint that does not hold',
    explanation: `A where clause states what must hold of hyperparameters and dimensions.

  wrong:  y = x |> multi_head_attention(4)        with 130 features
  right:  y = x |> multi_head_attention(5)`,
  },
  'where.constant': {
    title: 'A constraint on values that are not known',
    explanation: `A where clause is checked at compile time, so it speaks of constants and dimensions, not of the elements of
tensors.

  wrong:  where mean(x) > 0
  right:  where D > 0`,
  },
  'call.callee': {
    title: 'Something that cannot be called',
    explanation: `Functions, layers and operations can be called. An optimizer stands in a train block.

  wrong:  y = x(3)
  right:  y = x * 3`,
  },
  'call.many': {
    title: 'Too many arguments',
    explanation: `Arguments without a name are taken in the order of the parameters.

  wrong:  x |> linear(10, true, 3)
  right:  x |> linear(10, true)`,
  },
  'call.unknown': {
    title: 'A parameter that does not exist',
    explanation: `Named arguments name a parameter of what is called.

  wrong:  x |> linear(10, bais: false)
  right:  x |> linear(10, bias: false)`,
  },
  'call.twice': {
    title: 'An argument that is given twice',
    explanation: `Each parameter gets one argument, by position or by name.

  wrong:  relu(x, x: y)
  right:  relu(x)`,
  },
  'call.missing': {
    title: 'An argument that is not given',
    explanation: `Parameters without a default must be given.

  wrong:  x |> linear()
  right:  x |> linear(10)`,
  },
  'call.return': {
    title: 'A body that returns nothing',
    explanation: `Functions, layers and optimizers give a value with return, or are written = expression.

  wrong:  fn f(x) { y = 2 * x }
  right:  fn f(x) { return 2 * x }`,
  },
  'call.depth': {
    title: 'Calls that are nested without end',
    explanation: `Calls are expanded at compile time. A function may call itself where a condition known at compile time ends
it.

  wrong:  fn f(x) = f(x)
  right:  fn f(x, n) = n == 0 ? x : f(2 * x, n - 1)`,
  },
  'call.work': {
    title: 'Elaboration that takes too long',
    explanation: `Loops and calls are expanded at compile time, in a bounded number of steps.

  wrong:  for i in 0..9999 { for j in 0..9999 { … } }
  right:  one operation on a larger tensor`,
  },
  'scan.carry': {
    title: 'A carried value that does not change',
    explanation: `Each name behind "from" holds in every step what the step before has left in it, so the body binds it anew. What is
the same in all steps is simply used. The names and the step's are all different.

  wrong:  scan t along T from h = zeros([B, D]), k = 2 { h = k * h + x[:, t] }
  right:  scan t along T from h = zeros([B, D]) { h = 2 * h + x[:, t] }`,
  },
  'scan.shape': {
    title: 'A carried value of changing type or shape',
    explanation: `A loop carries values of one type and shape from step to step: the value that a name begins with and the one it holds
after a step fit together. A value that grows is yielded instead, and all steps are there after the loop.

  wrong:  scan t along T from h = zeros([B, 1]) { h = concat([h, x[:, t]], axis: 1) }
  right:  y = scan t along T { yield x[:, t] }`,
  },
  'scan.length': {
    title: 'Steps that do not fit',
    explanation: `A "scan" goes along a dimension, or takes a whole number of steps, and what is read at the step has a place for each
of them.

  wrong:  scan t along T { yield x[:, t] * x[:, t + 1] }
  right:  scan t along T - 1 { yield x[:, t] * x[:, t + 1] }`,
  },
  'scan.yield': {
    title: '"yield" outside of a "scan"',
    explanation: `"yield" keeps a value of every step of the "scan" in whose body it stands. A function or a layer that is called there
gives its result with "return", and the body yields it.

  wrong:  fn cell(x, h) { yield tanh(x + h) }
  right:  fn cell(x, h) { return tanh(x + h) }`,
  },
  'scan.return': {
    title: '"return" inside of a "scan"',
    explanation: `The steps of a "scan" all run. What is kept of them is yielded, and what the loop gives is returned behind it.

  wrong:  scan t along T from h = x[:, 0] { h = tanh(h + x[:, t])  ⏎  return h }
  right:  scan t along T from h = x[:, 0] { h = tanh(h + x[:, t]) }   and   return h`,
  },
  'scan.place': {
    title: 'Something that happens once, in every step',
    explanation: `Losses, metrics, outputs and updates of states stand outside of a "scan": its body runs many times in one step of
training. Yield the value, or carry it, and use it behind the loop.

  wrong:  scan t along T from h = h0 { h = cell(x[:, t], h)  ⏎  metric size = mean(h) }
  right:  y = scan t along T from h = h0 { h = cell(x[:, t], h)  ⏎  yield h }   and   metric size = mean(y)`,
  },
  'grad.operand': {
    title: 'A derivative of what has none',
    explanation: `grad(y, x) takes tensors of floating-point numbers: y that is differentiated, x, or each element of a list x, by which.
A whole-number input is converted first, and the converted tensor is what y is computed from.

  wrong:  g = grad(y, image)                 with image: u8[B, 784]
  right:  x = cast(image, f32)   and   y = f(x)   and   g = grad(y, x)`,
  },
  'grad.independent': {
    title: 'A derivative by something that plays no part',
    explanation: `In grad(y, x), y is computed from x, the very tensor that the name x stands for at this point. A name that was bound
anew stands for another tensor, and y still depends on the old one.

  wrong:  y = sum(x * x)   and   x = 2 * x   and   g = grad(y, x)
  right:  y = sum(x * x)   and   g = grad(y, x)`,
  },
  'derivative.result': {
    title: 'A derivative declared of what has none',
    explanation: `A function with a derivative of its own gives one tensor of floating-point numbers, whose gradient arrives in the clause.

  wrong:  fn f(x) { return [x, x] } derivative (g) { return g }
  right:  fn f(x) { return 2 * x } derivative (g) { return 2 * g }`,
  },
  'derivative.count': {
    title: 'A declared derivative with too few or too many gradients',
    explanation: `The clause gives one gradient for each parameter of the function, several as a list; none stands for a parameter to
which nothing flows.

  wrong:  fn scaled(x, by) { return x * by } derivative (g) { return g * by }
  right:  fn scaled(x, by) { return x * by } derivative (g) { return [g * by, none] }`,
  },
  'derivative.shape': {
    title: 'A declared derivative of the wrong shape',
    explanation: `The gradient of a parameter has the parameter's shape, or is one number for all its elements. What the function
broadcasts is summed in its derivative.

  wrong:  fn shifted(x, b: f32[D]) { return x + b } derivative (g) { return [g, g] }
  right:  fn shifted(x, b: f32[D]) { return x + b } derivative (g) { return [g, sum(g, axis: 0)] }`,
  },
  'index.free': {
    title: 'An index that nothing introduces',
    explanation: `Under indices, every name in a subscript is an index of the left side, one that a reduction around it runs over, or a whole
number known at compile time.

  wrong:  y[b, o] = x[b, i] * w[o, i]
  right:  y[b, o] = sum[i](x[b, i] * w[o, i])`,
  },
  'index.unbounded': {
    title: 'An index of which nothing tells the extent',
    explanation: `An index has the extent of the dimension that it subscripts, or, inside a sum such as 2 * i + u, the largest for which
all positions exist. Where neither says anything, its range is written.

  wrong:  mask[i, j] = i <= j ? 1 : 0
  right:  mask[i in 0..T, j in 0..T] = i <= j ? 1 : 0`,
  },
  'index.extent': {
    title: 'An index over dimensions of different extents',
    explanation: `An index runs over one range. Where it subscripts two dimensions by itself they have the same extent, or the range that
is meant is written.

  wrong:  y[i] = x[i] * w[i]            with x: f32[5] and w: f32[7]
  right:  y[i in 0..5] = x[i] * w[i]`,
  },
  'index.outside': {
    title: 'A position outside a tensor',
    explanation: `Every position that a subscript can have lies inside its dimension. Nothing is cut off and nothing is filled in: a
smaller range is written, or the tensor is padded first.

  wrong:  d[i] = x[i + 1] - x[i]                 with x: f32[N]
  right:  d[i in 0..N - 1] = x[i + 1] - x[i]`,
  },
  'index.affine': {
    title: 'A position that is no sum of indices',
    explanation: `A position is a sum of indices times whole numbers, such as 2 * i + u - 1, whose bounds are known at compile time and
whose derivative is again such an expression; or it is read from a tensor of whole numbers.

  wrong:  y[i] = x[i / 2]
  right:  half[i in 0..2 * N] = cast(floor(i / 2), i32)   and   y[i] = x[half[i]]`,
  },
  'index.name': {
    title: 'An index without a name of its own',
    explanation: `What an index notation introduces are names, each once, and no name of an index or loop around it. A tensor is
given as a whole; its elements are not changed one by one.

  wrong:  y[i, i] = x[i]       wrong:  y[0] = 1       wrong:  for i in 0..4 { y[i] = x[i] }
  right:  y[i, j] = i == j ? x[i] : 0`,
  },
  'index.range': {
    title: 'A range of an index that is none',
    explanation: `"i in a..b" runs from a up to and not including b, both whole numbers known at compile time. It stands where an index is
introduced, on the left or in a reduction; on the left it begins at 0.

  wrong:  y[i in 1..N] = x[i]
  right:  y[i in 0..N - 1] = x[i + 1]`,
  },
  'index.whole': {
    title: 'A tensor among single elements',
    explanation: `An expression under indices is about one element. Every tensor in it has a position for each of its dimensions; only
scalars stand for themselves.

  wrong:  y[b, i] = x[b, i] - bias           with bias: f32[D]
  right:  y[b, i] = x[b, i] - bias[i]`,
  },
  'layer.place': {
    title: 'Parameters where nothing owns them',
    explanation: `Only a model or a layer constructs layers and declares parameters and states; functions are pure.

  wrong:  fn head(x) = x |> linear(10)
  right:  layer head() (x) { return x |> linear(10) }`,
  },
  'layer.initial': {
    title: 'An initial value that is missing or not constant',
    explanation: `A parameter has an initial value, made of numbers and random numbers.

  wrong:  param w: f32[out, In]
  right:  param w: f32[out, In] = glorot_uniform()`,
  },
  'layer.parameter': {
    title: 'A parameter of another type than f32',
    explanation: `Parameters are trained in f32.

  wrong:  param w: i32[4] = 0
  right:  param w: f32[4] = 0`,
  },
  'layer.shared': {
    title: 'A layer applied to other dimensions than before',
    explanation: `A layer that is applied twice shares its parameters, so both inputs need the same dimensions. Construct
another layer for others.

  wrong:  f = linear(5)   y = f(x)   z = f(y)
  right:  y = linear(5)(x)   z = linear(5)(y)`,
  },
  'layer.update': {
    title: 'An update of something that is no state',
    explanation: `<- updates a state of the same body, of the same shape. Other names are bound with =.

  wrong:  total <- total + 1
  right:  state total: f32[] = 0   total <- total + 1`,
  },
  'model.place': {
    title: 'A declaration that belongs into a model',
    explanation: `input, loss, metric and output stand in a model.

  wrong:  layer f() (x) { input y: f32[4] … }
  right:  layer f() (x, y: f32[4]) { … }`,
  },
  'model.twice': {
    title: 'Something that a model declares twice',
    explanation: `Inputs, metrics and outputs have different names, and there is one loss: add several terms up.

  wrong:  loss = a   loss = b
  right:  loss = a + b`,
  },
  'model.reserved': {
    title: 'A metric with a name that training reports by itself',
    explanation: `A training step reports its loss, \`lr\` and \`grad_norm\`; a metric of that name could not be told from them.

  wrong:  metric lr = mean(x)
  right:  metric mean_input = mean(x)`,
  },
  'model.scalar': {
    title: 'A loss or metric that is not one number',
    explanation: `A loss is a floating-point scalar, a metric a scalar.

  wrong:  loss = square(x - y)
  right:  loss = mean(square(x - y))`,
  },
  'model.image': {
    title: 'An output as image that is no picture',
    explanation: `Pictures are a tensor [N, H, W], [N, C, H, W] or [N, H, W, C] with 1 channel or 3. Pixels are u8, or floating-point numbers
that are 0 for black and 1 for white.

  wrong:  output samples = decoder(z) as image                          // f32[64, 784]
  right:  output samples = reshape(decoder(z), [64, 28, 28]) as image`,
  },
  'model.return': {
    title: 'A model that returns something',
    explanation: `What a model gives has a name.

  wrong:  return softmax(logits)
  right:  output probabilities = softmax(logits)`,
  },
  'model.freeze': {
    title: 'A model that another one cannot hold',
    explanation: `A model holds an earlier one of its file as it is, with its hyperparameters and its parameters, which are not
trained there. It is applied as a layer is, and gives its outputs by name; of its body the layers, parameters and
hyperparameters can be used, but nothing that is computed from its inputs.

  wrong:  vae = Dvae()            freeze vae = Dvae(width: 8)     vae.logits
  right:  freeze vae = Dvae()     vae(image).codes                vae.decoder(codes)`,
  },
  'model.inputs': {
    title: 'Inputs of several models that one data block cannot feed',
    explanation: `One data block feeds all models of a file. Inputs of the same name take the same rows: their types are equal but for
the rows of a batch. Either all models take batches of rows, or all are fed whole.

  wrong:  input image: u8[B, 784]   in one model, and   input image: f32[B, 784]   in another
  right:  input image: u8[B, 784]   in both`,
  },
  'model.missing': {
    title: 'A train or data block without a model',
    explanation: `A file of definitions needs no model; a file that trains has one.

  wrong:  train { optimizer adam(lr: 1e-3) }
  right:  model M { … }   train { optimizer adam(lr: 1e-3) }`,
  },
  'train.unknown': {
    title: 'A setting of the train block that does not exist',
    explanation: `  wrong:  epoch 5
  right:  epochs 5`,
  },
  'train.twice': {
    title: 'A setting that is given twice',
    explanation: `Each setting stands once; only freeze and minimize may stand several times.

  wrong:  batch 32   batch 64
  right:  batch 64`,
  },
  'train.value': {
    title: 'A setting with a value that does not fit',
    explanation: `The message tells what the setting takes.

  wrong:  checkpoint 100
  right:  checkpoint every 100`,
  },
  'generate.several': {
    title: 'More than one generate block',
    explanation: `A file has one generate block, as it has one data block.`,
  },
  'generate.unknown': {
    title: 'A setting of the generate block that does not exist',
    explanation: `  wrong:  topk 40
  right:  top_k 40`,
  },
  'generate.twice': {
    title: 'A setting of the generate block that is given twice',
    explanation: `Each setting stands once in a generate block. Several texts that stop are written in one line.

  wrong:  stop "."
          stop "!"
  right:  stop "." "!"`,
  },
  'generate.value': {
    title: 'A setting of the generate block with a value that does not fit',
    explanation: `The message tells what the setting takes.

  wrong:  sample logits
  right:  sample text from logits`,
  },
  'generate.sample': {
    title: 'Tokens or scores that nothing can be drawn from',
    explanation: `Tokens are drawn one after the other, each from the scores that the model computes from those before it. The tokens are
i32[B, T], an input or a value that the model computes itself while it is trained, as the codes of an image. The scores are f32[B, T, V],
logits for each position and token, as cross_entropy takes them, and depend on the tokens.

  wrong:  sample text from loss
  right:  sample text from logits`,
  },
  'generate.prompt': {
    title: 'A text that no tokens can be made of',
    explanation: `A prompt begins the tokens that are drawn, or gives another input that the scores depend on, such as a caption; prompt caption
says which one. What is given as a text, and texts that stop, need an input that the data block reads from texts, so that there is a
vocabulary.

  wrong:  data { train = npy(text: "tokens.npy") }
          generate { sample text from logits  prompt "Call me" }
  right:  data { train = text("book.txt", text: characters) }`,
  },
  'train.memory': {
    title: 'A memory limit that cannot be kept',
    explanation: `With memory, activations of the forward pass are computed again in the backward pass instead of being kept,
until the program fits. Parameters, gradients, the states of the optimizer, the inputs of a batch and what single
operations need at once have to fit in any case.

  wrong:  batch 4096   memory 1MB
  right:  batch 256    memory 64MB`,
  },
  'webgpu.binding': {
    title: 'A tensor that no GPU can bind',
    explanation: `With --target webgpu a kernel is given whole tensors, of at most 2147483644 bytes each. Parameters of one group, their
gradients and each of their states count as one tensor.

  wrong:  batch 4096     --target webgpu
  right:  batch 64       --target webgpu`,
  },
  'train.minimize': {
    title: 'Losses and parameters that do not go together',
    explanation: `A train block has one optimizer for the one loss of the model, or says which loss is minimized over which
parameters. Then every loss is minimized, and every parameter that is not frozen descends exactly one of them.

  wrong:  minimize d_loss over discriminator.* with adam(lr: 1e-3)          of a model that has a generator too
  right:  minimize d_loss over discriminator.* with adam(lr: 1e-3)
          minimize g_loss over generator.* with adam(lr: 1e-3)`,
  },
  'train.optimizer': {
    title: 'An optimizer that is missing or does not exist',
    explanation: `A train block names one optimizer of the library, of the file or of an imported file.

  wrong:  optimizer adm(lr: 1e-3)
  right:  optimizer adam(lr: 1e-3)`,
  },
  'train.parameters': {
    title: 'Nothing to train',
    explanation: `A train block changes parameters: the model needs at least one that freeze does not name.

  wrong:  freeze *
  right:  freeze encoder.*`,
  },
  'train.loss': {
    title: 'A model without a loss',
    explanation: `To train a model, it needs loss = ….

  wrong:  output y = f(x)
  right:  output y = f(x)   loss = mse(y, target)`,
  },
  'train.batch': {
    title: 'A batch where nothing has a batch dimension',
    explanation: `batch is the extent of the inputs' first dimension when its name is not a constant.

  wrong:  input x: f32[10, 4]   with batch 32
  right:  input x: f32[B, 4]   with batch 32`,
  },
  'train.pattern': {
    title: 'A pattern that matches no parameter',
    explanation: `freeze and except name parameters by their paths; * stands for any characters, dots too.

  wrong:  except "*.bais" (weight_decay: 0)
  right:  except "*.bias" (weight_decay: 0)`,
  },
  'train.several': {
    title: 'Train blocks of one name',
    explanation: `Each train block has a name of its own: that of the model it trains, or another with a line that says which.

  wrong:  train Gpt { … }        train Gpt { … }
  right:  train pretrain { model Gpt … }   train finetune { model Gpt … }`,
  },
  'train.model': {
    title: 'A train block that does not say what it trains',
    explanation: `A train block is named as the model that it trains, or says it in a line model; where a file has one model, neither
is needed.

  wrong:  train pretrain { … }              in a file of several models
  right:  train pretrain { model Gpt … }    train Gpt { … }`,
  },
  'train.order': {
    title: 'A model that is trained before one that it holds',
    explanation: `Train blocks run in the order in which they stand. What a model holds is trained before it.

  wrong:  train Prior { … }   train Dvae { … }    where Prior holds Dvae
  right:  train Dvae { … }    train Prior { … }`,
  },
  'data.unknown': {
    title: 'A part of the data block that does not exist',
    explanation: `The sources are train and test, the settings shuffle, split and hold_out.

  wrong:  trian = csv(…)
  right:  train = csv(…)`,
  },
  'data.twice': {
    title: 'A part of the data block that is given twice',
    explanation: `Each source and setting stands once, and test rows come from one place: a test source, split or hold_out.

  wrong:  split 0.9   hold_out 100
  right:  split 0.9`,
  },
  'data.value': {
    title: 'A data setting with a value that does not fit',
    explanation: `The message tells what the setting takes.

  wrong:  split 90
  right:  split 0.9`,
  },
  'data.format': {
    title: 'A data format that does not exist',
    explanation: `Formats are idx, csv, jsonl, npy, npz, safetensors, text and images; synthetic rows are computed.

  wrong:  train = excel("table.xlsx", x: "a")
  right:  train = csv("table.csv", x: "a")`,
  },
  'data.synthetic': {
    title: 'A synthetic source that does not say its rows',
    explanation: `The block of a synthetic source is written for one row, whose number from 0 is row. It binds a value of the very shape
and type of a row to the name of each input; a number fills a shape. Other names are what rows are made of.

  wrong:  train = synthetic(1000) { x = uniform(0, 1) }
  right:  train = synthetic(rows: 1000) { x = uniform(0, 1) }`,
  },
  'data.file': {
    title: 'A file that is missing or not wanted there',
    explanation: `idx and npy have one file for each input, the other formats one file or folder, given first. A text whose
characters make the vocabulary, and the file of a tokenizer, are read when the model is compiled.

  wrong:  train = csv(x: "a")
  right:  train = csv("table.csv", x: "a")`,
  },
  'data.path': {
    title: 'A path that leads out of the data folder',
    explanation: `Paths are relative to the data folder, written with / and without .. .

  wrong:  csv("/home/me/table.csv", …)
  right:  csv("table.csv", …)`,
  },
  'data.input': {
    title: 'Data for an input that the model does not have',
    explanation: `Sources are matched to the model's inputs by name.

  wrong:  idx(imgae: "images.idx")
  right:  idx(image: "images.idx")`,
  },
  'data.missing': {
    title: 'An input without data',
    explanation: `Each source feeds every input of the model.

  wrong:  idx(image: "images.idx")
  right:  idx(image: "images.idx", digit: "labels.idx")`,
  },
  'data.columns': {
    title: 'A wrong number of columns',
    explanation: `An input takes as many columns as one row of it has elements.

  wrong:  csv("t.csv", x: ["a", "b"])        with x: f32[B, 3]
  right:  csv("t.csv", x: ["a", "b", "c"])`,
  },
  'data.vocabulary': {
    title: 'Texts whose tokens are not clear',
    explanation: `A text is read as characters, bytes, or the byte pairs of a tokenizer's file; in csv and jsonl the characters are
written down. Inputs take as many different tokens as the vocabulary has: vocabulary(input).

  wrong:  jsonl("names.jsonl", name: characters("name"))
  right:  jsonl("names.jsonl", name: characters("name", "abcdefghijklmnopqrstuvwxyz"))

  wrong:  embedding(64, dim)(tokens)                    with train = text("book.txt", tokens: 0)
  right:  embedding(vocabulary(tokens), dim)(tokens)`,
  },
  'data.train': {
    title: 'A data block without rows to train on',
    explanation: `The train source is needed; test is optional.

  wrong:  data { test = csv(…) }
  right:  data { train = csv(…)   test = csv(…) }`,
  },
  'data.several': {
    title: 'Several data blocks in a file',
    explanation: `A file has one data block.

  wrong:  data { … }   data { … }
  right:  data { … }`,
  },
  'import.path': {
    title: 'A path that cannot be imported',
    explanation: `Imports are relative paths to .model files inside the project's folder.

  wrong:  import "/home/me/attention.model"
  right:  import "layers/attention.model"`,
  },
  'import.missing': {
    title: 'A file that is not there',
    explanation: `The path is relative to the file that imports it.

  wrong:  import "attention.model"
  right:  import "layers/attention.model"`,
  },
  'import.cycle': {
    title: 'Files that import each other',
    explanation: `Imports have no circles: what two files both need stands in a third.

  wrong:  a.model imports b.model, which imports a.model
  right:  both import c.model`,
  },
  'set.unknown': {
    title: 'A setting for a name that does not exist',
    explanation: `--set gives values to the hyperparameters of models and to the file's constants. A name that several models have is
set in all of them, or in one by the name of the model.

  wrong:  --set hiden=512                            --set Model.hiden=512
  right:  --set hidden=512                           --set Model.hidden=512`,
  },
  'set.value': {
    title: 'A setting of the wrong kind',
    explanation: `A value is of the kind of the default that it replaces.

  wrong:  --set hidden=wide
  right:  --set hidden=512`,
  },
  'set.missing': {
    title: 'A hyperparameter without a value',
    explanation: `A hyperparameter of the model has a default, or is set from the command line.

  wrong:  model M(hidden) { … }
  right:  model M(hidden = 64) { … }`,
  },
} satisfies Record<string, Explanation>;

export type DiagnosticCode = keyof typeof table;

/** Every code with its rule. */
export const codes: Readonly<Record<string, Explanation>> = table;
