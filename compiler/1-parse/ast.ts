/**
 * The syntax tree of a `.model` file. Every node is a plain object with a `kind` and a span.
 */
import type { DType } from '../ir/type.ts';
import type { Span } from '../source/text.ts';

export interface Name {
  readonly text: string;
  readonly span: Span;
}

export interface File {
  readonly kind: 'file';
  readonly imports: readonly Import[];
  readonly items: readonly Item[];
  readonly span: Span;
}

/** `import "layers/attention.model"` */
export interface Import {
  readonly kind: 'import';
  readonly path: string;
  readonly pathSpan: Span;
  readonly span: Span;
}

export type Item = ModelItem | LayerItem | FunctionItem | OptimizerItem | DataBlock | TrainBlock | GenerateBlock | ConstantItem;

interface Definition {
  readonly name: Name;
  /** The text of the `///` lines above, without the slashes; empty when there are none. */
  readonly doc: string;
  readonly span: Span;
}

/** `model Mnist(hidden = 256) { … }` */
export interface ModelItem extends Definition {
  readonly kind: 'model';
  readonly parameters: readonly Parameter[];
  readonly body: readonly Statement[];
}

/** `layer linear(out, bias = true) (x: f32[..., In]) -> f32[..., out] where … { … }` */
export interface LayerItem extends Definition {
  readonly kind: 'layer';
  /** Hyperparameters: given at construction. */
  readonly parameters: readonly Parameter[];
  /** Given at application. */
  readonly inputs: readonly Parameter[];
  readonly result: TypeExpression | null;
  readonly where: readonly Expression[];
  readonly body: readonly Statement[];
}

/** `fn relu(x) = maximum(x, 0)`, or with a block and `return`, then perhaps `derivative (g) { … }`. */
export interface FunctionItem extends Definition {
  readonly kind: 'fn';
  readonly parameters: readonly Parameter[];
  readonly result: TypeExpression | null;
  readonly where: readonly Expression[];
  /** A block, or the one `return` statement that `= expression` stands for. */
  readonly body: readonly Statement[];
  /** Written `= expression`; the formatter keeps the form. */
  readonly short: boolean;
  readonly derivative: DerivativeClause | null;
}

/** `derivative (g) { return g }`: what the gradient `g` of the result gives to each parameter. */
export interface DerivativeClause {
  readonly gradient: Name;
  readonly body: readonly Statement[];
  readonly span: Span;
}

/** `optimizer adam(lr, beta1 = 0.9) (p, g) { state m = 0 … return p - … }` */
export interface OptimizerItem extends Definition {
  readonly kind: 'optimizer';
  readonly parameters: readonly Parameter[];
  /** The names of the parameter tensor and of its gradient. */
  readonly inputs: readonly Name[];
  readonly body: readonly Statement[];
}

/** `width = 128` at the top level. */
export interface ConstantItem extends Definition {
  readonly kind: 'constant';
  readonly value: Expression;
}

/** One formal parameter: `hidden = 256`, `x: f32[..., D]`, `mask: bool[T, T] = none`. */
export interface Parameter {
  readonly name: Name;
  readonly type: TypeExpression | null;
  readonly default: Expression | null;
  readonly span: Span;
}

export interface TypeExpression {
  readonly kind: 'type';
  readonly dtype: DType;
  /** Empty for a scalar (`f32` or `f32[]`). */
  readonly dims: readonly DimExpression[];
  readonly span: Span;
}

/** A dimension: an expression (a bare name binds at first sight), or `...` for any number of leading dimensions. */
export type DimExpression = Expression | { readonly kind: 'ellipsis'; readonly span: Span };

/**
 * `data { … }`, `train { … }`, `generate { … }`: settings in order. `train = idx(…)` has `assigned: true` and one value, and what
 * follows it in braces as its body;
 * `batch 64` and `optimizer adamw(…) except "*.bias" (weight_decay: 0)` have `assigned: false`.
 */
export interface DataBlock {
  readonly kind: 'data';
  readonly settings: readonly Setting[];
  readonly span: Span;
}

export interface TrainBlock {
  readonly kind: 'train';
  /** `train Dvae { … }`: a model's, or the block's own where a setting `model` says which it trains; null for the usual single block. */
  readonly name: Name | null;
  readonly settings: readonly Setting[];
  readonly span: Span;
}

/** `generate { sample text from logits … }` */
export interface GenerateBlock {
  readonly kind: 'generate';
  readonly settings: readonly Setting[];
  readonly span: Span;
}

export interface Setting {
  readonly name: Name;
  readonly assigned: boolean;
  /** What follows the name, in order: `checkpoint every 100 keep 3` has the words `every` and `keep` as `word` arguments. Empty for a flag. */
  readonly values: readonly SettingValue[];
  /** Of `train = synthetic(…) { … }`. */
  readonly body: readonly Statement[] | null;
  /** `except "*.bias", "*.norm.*" (weight_decay: 0)` clauses of an optimizer. */
  readonly exceptions: readonly SettingException[];
  readonly span: Span;
}

export type SettingValue =
  | Expression
  /** A bare keyword among the values (`every`, `keep`, `over`). */
  | { readonly kind: 'word'; readonly text: string; readonly span: Span }
  /** `512MB`, `2GiB`, `3s`. */
  | { readonly kind: 'quantity'; readonly value: number; readonly unit: string; readonly span: Span }
  /** `encoder.*`, unquoted, after `freeze` or `over`. */
  | { readonly kind: 'pattern'; readonly text: string; readonly span: Span };

export interface SettingException {
  readonly patterns: readonly Name[];
  readonly arguments: readonly Argument[];
  readonly span: Span;
}

export type Statement =
  /** `a, b = split(x, 2)`; one target in the usual case. */
  | { readonly kind: 'bind'; readonly targets: readonly Name[]; readonly value: Expression; readonly span: Span }
  /** `y[b, o] = sum[i](x[b, i] * w[o, i])` */
  | { readonly kind: 'indexed'; readonly name: Name; readonly indices: readonly Subscript[]; readonly value: Expression; readonly span: Span }
  | { readonly kind: 'param'; readonly name: Name; readonly type: TypeExpression; readonly value: Expression | null; readonly span: Span }
  | { readonly kind: 'state'; readonly name: Name; readonly type: TypeExpression | null; readonly value: Expression; readonly span: Span }
  /** `mean <- 0.9 * mean + 0.1 * m` */
  | { readonly kind: 'update'; readonly name: Name; readonly value: Expression; readonly span: Span }
  | { readonly kind: 'input'; readonly name: Name; readonly type: TypeExpression; readonly span: Span }
  /** `loss = …` (name null), `loss d_loss = …`, `metric accuracy = …`, `output probabilities = …`, `output samples = … as image`. */
  | { readonly kind: 'result'; readonly role: 'loss' | 'metric' | 'output'; readonly name: Name | null; readonly value: Expression; readonly image: boolean; readonly span: Span }
  /** `freeze vae = Dvae()`: an earlier model of the file, applied as it is and not trained. */
  | { readonly kind: 'freeze'; readonly name: Name; readonly value: Expression; readonly span: Span }
  | { readonly kind: 'for'; readonly variable: Name; readonly from: Expression; readonly to: Expression; readonly body: readonly Statement[]; readonly span: Span }
  /** `otherwise` is null, or a block; `else if` is a block of one `if`. */
  | { readonly kind: 'if'; readonly condition: Expression; readonly then: readonly Statement[]; readonly otherwise: readonly Statement[] | null; readonly span: Span }
  | { readonly kind: 'where'; readonly condition: Expression; readonly span: Span }
  | { readonly kind: 'return'; readonly value: Expression; readonly span: Span }
  /** A loop for what it leaves in the names that it carries. */
  | { readonly kind: 'scan'; readonly loop: Scan; readonly span: Span }
  | { readonly kind: 'yield'; readonly value: Expression; readonly span: Span };

/** `scan t along T reversed from h = h0, c = c0 { … }`; an expression only where it is all of one: it ends with its block. */
export interface Scan {
  readonly kind: 'scan';
  readonly variable: Name;
  readonly dimension: Expression;
  readonly reversed: boolean;
  readonly carries: readonly { readonly name: Name; readonly value: Expression }[];
  readonly body: readonly Statement[];
  readonly span: Span;
}

export type UnaryOperator = '-' | 'not';
export type BinaryOperator = '+' | '-' | '*' | '/' | '%' | '**' | '@' | '==' | '!=' | '<' | '<=' | '>' | '>=' | 'and' | 'or';

export type Expression =
  | { readonly kind: 'number'; readonly value: number; readonly text: string; readonly span: Span }
  | { readonly kind: 'string'; readonly value: string; readonly span: Span }
  | { readonly kind: 'boolean'; readonly value: boolean; readonly span: Span }
  | { readonly kind: 'list'; readonly elements: readonly Expression[]; readonly span: Span }
  | { readonly kind: 'name'; readonly text: string; readonly span: Span }
  /** `embed.table`, `w.T` */
  | { readonly kind: 'member'; readonly object: Expression; readonly member: Name; readonly span: Span }
  | { readonly kind: 'call'; readonly callee: Expression; readonly arguments: readonly Argument[]; readonly span: Span }
  /** `x[:, 1:, i]` */
  | { readonly kind: 'subscript'; readonly object: Expression; readonly subscripts: readonly Subscript[]; readonly span: Span }
  | { readonly kind: 'unary'; readonly operator: UnaryOperator; readonly operand: Expression; readonly span: Span }
  | { readonly kind: 'binary'; readonly operator: BinaryOperator; readonly operatorSpan: Span; readonly left: Expression; readonly right: Expression; readonly span: Span }
  | { readonly kind: 'conditional'; readonly condition: Expression; readonly then: Expression; readonly otherwise: Expression; readonly span: Span }
  /** `x |> f(args)`; chains are left-nested: the input of the last is the pipe before it. */
  | { readonly kind: 'pipe'; readonly input: Expression; readonly target: Expression; readonly span: Span }
  | Scan
  /** What the parser puts where it skipped something it has reported. Later phases pass over it in silence. */
  | { readonly kind: 'missing'; readonly span: Span };

export interface Argument {
  /** `axis` in `axis: D`; null for a positional argument. */
  readonly name: Name | null;
  readonly value: Expression;
  readonly span: Span;
}

/** One place between the brackets of a subscript. */
export type Subscript =
  | { readonly kind: 'index'; readonly value: Expression; readonly span: Span }
  /** `:`, `1:`, `:-1`, `::2`; null where nothing stands. */
  | { readonly kind: 'range'; readonly from: Expression | null; readonly to: Expression | null; readonly step: Expression | null; readonly span: Span }
  /** `u in 0..3`: an index with its range, where index notation introduces it. */
  | { readonly kind: 'each'; readonly name: Name; readonly from: Expression; readonly to: Expression; readonly span: Span }
  | { readonly kind: 'ellipsis'; readonly span: Span };
