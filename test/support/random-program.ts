/**
 * Random models: from a list of random numbers, a text that elaborates. Each statement takes earlier tensors, shows what it can do
 * with their shapes, and keeps values of moderate size, so that single precision can be compared with double.
 */
import fc from 'fast-check';
import { size, type Shape } from '../../compiler/ir/type.ts';

/** One statement: which kind, and numbers from which it draws everything else. */
export interface StatementPlan {
  readonly kind: number;
  readonly draws: readonly number[];
}

export interface ProgramPlan {
  readonly shapes: readonly Shape[];
  readonly statements: readonly StatementPlan[];
  readonly optimizer: string;
  readonly clip: boolean;
  readonly accumulate: number;
  readonly ema: boolean;
}

export const programPlan: fc.Arbitrary<ProgramPlan> = fc.record({
  shapes: fc.array(fc.array(fc.oneof({ weight: 4, arbitrary: fc.integer({ min: 1, max: 6 }) }, fc.constantFrom(7, 8, 12)), { minLength: 1, maxLength: 4 }).filter(shape => size(shape) <= 200), { minLength: 2, maxLength: 3 }),
  statements: fc.array(fc.record({ kind: fc.nat(1000), draws: fc.array(fc.nat(1000), { minLength: 10, maxLength: 10 }) }), { minLength: 3, maxLength: 14, size: 'max' }),
  optimizer: fc.constantFrom('sgd(lr: 0.1)', 'sgd(lr: 0.1, momentum: 0.9)', 'adam(lr: cosine(peak: 0.01, warmup: 2), eps: 1e-3)'),
  clip: fc.boolean(),
  accumulate: fc.constantFrom(1, 1, 3),
  ema: fc.boolean(),
});

interface Tensor {
  readonly name: string;
  readonly shape: Shape;
}

/** What a statement draws its choices from. */
interface Draw {
  readonly number: (below: number) => number;
  readonly choose: <T>(list: readonly T[]) => T;
  readonly pool: readonly Tensor[];
}

/** An expression, its shape, and the indices that it is written under; null when it does not suit the tensor. */
type Statement = (x: Tensor, draw: Draw) => { readonly text: string; readonly shape: Shape; readonly indices?: string } | null;

/** The first shape is the input's, the others are parameters'. No dimension is a batch, so that every axis may be cut and turned. */
export function programText(plan: ProgramPlan): string {
  const [input, ...parameters] = plan.shapes;
  const pool: Tensor[] = plan.shapes.map((shape, i) => ({ name: i === 0 ? 'x' : `w${i}`, shape }));
  const lines = [
    `  input x: f32[${input!.join(', ')}]`,
    '  input index: i32[3]',
    ...parameters.map((shape, i) => `  param w${i + 1}: f32[${shape.join(', ')}] = uniform(1)`),
  ];
  for (const [i, { kind, draws }] of plan.statements.entries()) {
    let at = 0;
    const number = (below: number): number => draws[at++ % draws.length]! % below;
    const draw: Draw = { number, choose: list => list[number(list.length)]!, pool };
    const x = number(2) === 0 ? pool.at(-1)! : draw.choose(pool);
    const made = statements[kind % statements.length]!(x, draw) ?? elementwise(x, draw)!;
    if (size(made.shape) > 400 || made.shape.length > 6) continue;
    lines.push(`  v${i}${made.indices ?? ''} = ${made.text}`);
    pool.push({ name: `v${i}`, shape: made.shape });
  }
  const last = pool.slice(-3);
  return [
    'model Random {', ...lines,
    `  loss = ${last.map(({ name }, i) => `mean(square(${name} + 0.${i + 1}))`).join(' + ')}`,
    `  output result = ${pool.at(-1)!.name}`,
    '}', 'train {', `  optimizer ${plan.optimizer}`, `  accumulate ${plan.accumulate}`, ...(plan.clip ? ['  clip_norm 0.5'] : []), ...(plan.ema ? ['  ema 0.9'] : []), '}', '',
  ].join('\n');
}

const without = (shape: Shape, axis: number): Shape => shape.filter((_, d) => d !== axis);
const replaced = (shape: Shape, axis: number, extent: number): Shape => shape.map((old, d) => (d === axis ? extent : old));
const broadcastable = (a: Shape, b: Shape): boolean => a.length >= b.length && b.every((extent, d) => extent === 1 || extent === a[d + a.length - b.length]);

const elementwise: Statement = (x, draw) => {
  const f = draw.choose([
    'tanh(X)', 'sigmoid(X)', 'relu(X)', 'exp(tanh(X))', 'log(1 + X * X)', 'sqrt(1 + X * X)', 'sin(X)', 'cos(X)', 'abs(X)', '-X', 'tanh(X) ** 2', 'tanh(X) ** 3', 'erf(X)',
    'gelu(X)', 'softplus(X)', 'leaky_relu(X)', 'elu(X)', 'clamp(X, -0.3, 0.4)', '0.5 * X + 1', '1 / (1.5 + X * X)', 'X > 0.1 ? X : 0.2', 'stop_gradient(X) * X', 'X |> dropout(0.3)',
  ]);
  return { text: f.replaceAll('X', x.name), shape: x.shape };
};

const binary: Statement = (x, draw) => {
  const y = draw.choose(draw.pool.filter(other => broadcastable(x.shape, other.shape)));
  const f = draw.choose(['X + Y', 'X - Y', 'tanh(X) * Y', 'Y * sin(Y) - X', 'X / (1.5 + Y * Y)', 'maximum(X, Y)', 'minimum(X, Y)', 'X > Y ? X : 2 * Y', 'Y < 0.3 and X > -0.3 ? X : Y * X']);
  return { text: f.replaceAll('X', x.name).replaceAll('Y', y.name), shape: x.shape };
};

const reduction: Statement = (x, draw) => {
  if (x.shape.length === 0) return null;
  const axis = draw.number(x.shape.length);
  const [f, keep] = [draw.choose(['mean', 'sum', 'max', 'min', 'logsumexp', 'variance']), draw.number(2) === 0];
  const text = `${f}(${f === 'sum' ? `tanh(${x.name})` : x.name}, axis: ${axis}${keep ? ', keep: true' : ''})`;
  return { text: f === 'sum' ? `0.3 * ${text}` : text, shape: keep ? replaced(x.shape, axis, 1) : without(x.shape, axis) };
};

const reductionOfTwo: Statement = (x, draw) => {
  if (x.shape.length < 2) return null;
  const axes = [0, 1].map(i => (draw.number(100) + i) % x.shape.length);
  if (axes[0] === axes[1]) return null;
  return { text: `${draw.choose(['mean', 'max'])}(${x.name}, axis: [${axes.join(', ')}])`, shape: x.shape.filter((_, d) => !axes.includes(d)) };
};

const normalizing: Statement = (x, draw) => {
  if (x.shape.length === 0) return null;
  return { text: `${draw.choose(['softmax', 'log_softmax'])}(${x.name}, axis: ${draw.number(x.shape.length)})`, shape: x.shape };
};

const transposing: Statement = (x, draw) => {
  if (x.shape.length < 2) return null;
  if (draw.number(2) === 0) return { text: `${x.name}.T`, shape: [...x.shape.slice(0, -2), x.shape.at(-1)!, x.shape.at(-2)!] };
  const order = x.shape.map((_, d) => d);
  for (let d = order.length - 1; d > 0; d--) {
    const other = draw.number(d + 1);
    [order[d], order[other]] = [order[other]!, order[d]!];
  }
  return { text: `transpose(${x.name}, [${order.join(', ')}])`, shape: order.map(d => x.shape[d]!) };
};

const reshaping: Statement = (x, draw) => {
  const total = size(x.shape);
  const factors = [1, 2, 3, 4, 5, 6].filter(factor => total % factor === 0);
  const [a, b] = [draw.choose(factors), draw.choose(factors)];
  const shape = total % (a * b) === 0 && draw.number(2) === 0 ? [a, total / (a * b), b] : draw.choose([[total], [a, total / a], [total / a, 1, a]]);
  return { text: `reshape(${x.name}, [${shape.join(', ')}])`, shape };
};

const slicing: Statement = (x, draw) => {
  if (x.shape.length === 0) return null;
  const shape: number[] = [];
  const parts = x.shape.map(extent => {
    const from = draw.number(extent);
    const to = from + 1 + draw.number(extent - from);
    switch (draw.number(5)) {
      case 0: shape.push(extent); return ':';
      case 1: return String(from - (draw.number(2) === 0 ? 0 : extent));
      case 2: shape.push(to - from); return `${from}:${to}`;
      case 3: shape.push(Math.ceil((to - from) / 2)); return `${from}:${to}:2`;
      default: shape.push(extent); return '::-1';
    }
  });
  return { text: `${x.name}[${parts.join(', ')}]`, shape };
};

const newAxis: Statement = (x, draw) => {
  const axis = draw.number(x.shape.length + 1);
  return { text: `${x.name}[${[...x.shape.slice(0, axis).map(() => ':'), 'none', ...x.shape.slice(axis).map(() => ':')].join(', ')}]`, shape: [...x.shape.slice(0, axis), 1, ...x.shape.slice(axis)] };
};

const matrixProduct: Statement = (x, draw) => {
  if (x.shape.length < 2) return null;
  const [rows, inner] = x.shape.slice(-2) as [number, number];
  const y = draw.pool.find(other => other !== x && other.shape.length === 2 && other.shape[0] === inner);
  if (y !== undefined && draw.number(2) === 0) return { text: `0.5 * ${x.name} @ ${y.name}`, shape: [...x.shape.slice(0, -1), y.shape[1]!] };
  return draw.number(2) === 0
    ? { text: `tanh(${x.name}) @ ${x.name}.T`, shape: [...x.shape.slice(0, -2), rows, rows] }
    : { text: `${x.name}.T @ sin(${x.name})`, shape: [...x.shape.slice(0, -2), inner, inner] };
};

const layer: Statement = (x, draw) => {
  if (x.shape.length === 0) return null;
  const width = 1 + draw.number(6);
  return draw.number(3) === 0 && x.shape.at(-1)! > 1
    ? { text: `${x.name} |> layer_norm(eps: 0.1)`, shape: x.shape }
    : { text: `${x.name} |> linear(${width}${draw.number(3) === 0 ? ', bias: false' : ''})`, shape: [...x.shape.slice(0, -1), width] };
};

const joining: Statement = (x, draw) => {
  if (x.shape.length === 0) return null;
  const axis = draw.number(x.shape.length);
  const fits = draw.pool.filter(other => other.shape.length === x.shape.length && other.shape.every((extent, d) => d === axis || extent === x.shape[d]));
  const parts = [x, draw.choose(fits), draw.choose(fits)].slice(0, 2 + draw.number(2));
  return {
    text: `concat([${parts.map(({ name }) => (draw.number(2) === 0 ? name : `sin(${name})`)).join(', ')}], axis: ${axis})`,
    shape: replaced(x.shape, axis, parts.reduce((sum, part) => sum + part.shape[axis]!, 0)),
  };
};

const padding: Statement = (x, draw) => {
  if (x.shape.length === 0) return null;
  const [low, high] = [x.shape.map(() => draw.number(2)), x.shape.map(() => draw.number(3))];
  return { text: `pad(${x.name}, low: [${low.join(', ')}], high: [${high.join(', ')}])`, shape: x.shape.map((extent, d) => low[d]! + extent + high[d]!) };
};

const gathering: Statement = (x, draw) => {
  // Rows 0 and 1 are asked for.
  if (x.shape.length === 0 || x.shape[0]! < 2) return null;
  return draw.number(3) === 0
    ? { text: `one_hot(index, ${x.shape[0]!}) * 0.5`, shape: [3, x.shape[0]!] }
    : { text: `${x.name}[index]`, shape: [3, ...x.shape.slice(1)] };
};

const halves: Statement = (x, draw) => {
  const axis = x.shape.findIndex(extent => extent % 2 === 0);
  if (axis < 0) return null;
  return { text: `split(${x.name}, 2, axis: ${axis})[${draw.number(2)}] * split(sin(${x.name}), 2, axis: ${axis})[${draw.number(2)}]`, shape: replaced(x.shape, axis, x.shape[axis]! / 2) };
};

const convolving: Statement = (x, draw) => {
  const spatial = x.shape.length - 2;
  if (spatial !== 1 && spatial !== 2) return null;
  const [kernel, stride, pad, dilation] = [1 + draw.number(3), 1 + draw.number(2), draw.number(3), 1 + draw.number(2)];
  const channels = 1 + draw.number(4);
  const groups = x.shape[1]! % 2 === 0 && channels % 2 === 0 ? 1 + draw.number(2) : 1;
  const extents = x.shape.slice(2).map(extent => Math.floor((extent + 2 * pad - dilation * (kernel - 1) - 1) / stride) + 1);
  if (extents.some(extent => extent < 1)) return null;
  return { text: `${x.name} |> conv${spatial}d(${channels}, ${kernel}, stride: ${stride}, padding: ${pad}, dilation: ${dilation}, groups: ${groups})`, shape: [x.shape[0]!, channels, ...extents] };
};

const pooling: Statement = (x, draw) => {
  if (x.shape.length < 3 || x.shape.length > 4) return null;
  const [window, stride] = [1 + draw.number(3), 1 + draw.number(3)];
  const pad = window > 1 ? draw.number(2) : 0;
  const extents = x.shape.slice(2).map(extent => Math.floor((extent + 2 * pad - window) / stride) + 1);
  if (extents.some(extent => extent < 1)) return null;
  return { text: `${draw.choose(['max_pool', 'avg_pool'])}(${x.name}, ${window}, stride: ${stride}, padding: ${pad})`, shape: [x.shape[0]!, x.shape[1]!, ...extents] };
};

const attending: Statement = x => (x.shape.length === 3 ? { text: `attention(${x.name}, sin(${x.name}), ${x.name}, causal: true)`, shape: x.shape } : null);

/** One letter for each axis. */
const letters = (shape: Shape): readonly string[] => shape.map((_, d) => 'abcdef'[d]!);

const indexed: Statement = (x, draw) => {
  if (x.shape.length === 0 || x.shape.length > 5) return null;
  const names = letters(x.shape);
  const axis = draw.number(x.shape.length);
  const [name, extent] = [names[axis]!, x.shape[axis]!];
  const at = (position: string, of = x.name): string => `${of}[${names.map((other, d) => (d === axis ? position : other)).join(', ')}]`;
  const rest = names.filter(other => other !== name);
  const all = `[${names.join(', ')}]`;
  const kept = (range: string): string => `[${names.map(other => (other === name ? `${name} in 0..${range}` : other)).join(', ')}]`;
  const others = without(x.shape, axis);
  switch (draw.number(8)) {
    case 0: return rest.length === 0 ? null : { indices: `[${rest.join(', ')}]`, text: `${draw.choose(['mean', 'max', 'min'])}[${name}](${at(name)} * tanh(${at(name)}))`, shape: others };
    case 1: return { indices: all, text: `${at(name)} - 0.5 * ${at(`${extent - 1} - ${name}`)}`, shape: x.shape };
    case 2: return extent < 2 ? null : { indices: kept(String(extent - 1)), text: `0.5 * sum[u in 0..2](sin(${at(`${name} + u`)}))`, shape: replaced(x.shape, axis, extent - 1) };
    case 3: return extent < 3 ? null : { indices: all, text: `mean[u in 0..2](${at(`2 * ${name} + u`)} * ${at(`2 * ${name}`)})`, shape: replaced(x.shape, axis, Math.floor((extent - 2) / 2) + 1) };
    case 4: return { indices: kept(String(extent)), text: `0.3 * sum[k](${at('k')} * tanh(${at('k')}) * (k <= ${name} ? 1 : 0.1))`, shape: x.shape };
    case 5: {
      const other = x.shape.findIndex((size, d) => d !== axis && size === extent);
      if (other < 0) return null;
      return { indices: `[${names.filter((_, d) => d !== other).join(', ')}]`, text: `${x.name}[${names.map((one, d) => (d === other ? name : one)).join(', ')}]`, shape: without(x.shape, other) };
    }
    // Positions 0 and 1 are asked for, of each row its own where there are rows enough.
    case 6: return extent < 2 ? null : { indices: kept('3'), text: at(`index[${name}]`), shape: replaced(x.shape, axis, 3) };
    default: {
      const rows = x.shape.findIndex((size, d) => d !== axis && size >= 3);
      if (rows < 0 || extent < 2) return null;
      return {
        indices: `[${names.flatMap((one, d) => (d === axis ? [] : d === rows ? [`${one} in 0..3`] : [one])).join(', ')}]`, text: `2 * ${at(`index[${names[rows]!}]`)}`,
        shape: without(replaced(x.shape, rows, 3), axis),
      };
    }
  }
};

const statements: readonly Statement[] = [
  elementwise, elementwise, binary, binary, reduction, reductionOfTwo, normalizing, transposing, reshaping, slicing, newAxis, matrixProduct, matrixProduct, layer, joining, padding, gathering, halves,
  convolving, convolving, pooling, pooling, attending, indexed, indexed, indexed,
];
