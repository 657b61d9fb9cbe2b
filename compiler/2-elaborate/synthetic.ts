/**
 * Sources that are written in the language: `train = synthetic(rows: 10000) { x = uniform(-1, 1) … }`. The body is elaborated for one
 * row and becomes a loop over rows, whose sequences are what the inputs are fed with. Random numbers depend on the file's seed, the
 * source and the number of the row alone.
 */
import type { Expression, Setting, Statement } from '../1-parse/ast.ts';
import { leaf, type Named, type Value } from '../ir/graph.ts';
import type { SyntheticRows } from '../ir/model.ts';
import { bytes, dim, elements, printType, sameShape, shapeOf, tensor, type TensorType } from '../ir/type.ts';
import { scanValue, sequenceOf } from '../ops/scan.ts';
import { suggest } from '../source/suggest.ts';
import { execute } from './body.ts';
import { attempt, didYouMean, fail, limits, newContext, report, Reported, within, type Context } from './context.ts';
import type { Target } from './data-field.ts';
import { describe, tensorItem, type Item } from './item.ts';
import type { OpenScan } from './scan.ts';
import { newScope, type Scope } from './scope.ts';
import { adopt, build, cast, full, toTensor } from './tensors.ts';
import { wholeNumber } from './vocabulary.ts';

/** Rows that one run of the entry makes, unless they are large. */
const rowsAtOnce = 1024;
const bytesAtOnce = 2 ** 22;

/** What the source called `name` feeds every target with. */
export function syntheticRows(
  context: Context, name: string, call: Extract<Expression, { kind: 'call' }>, body: readonly Statement[] | null,
  targets: ReadonlyMap<string, Target>, scope: Scope,
): SyntheticRows {
  const rows = rowsOf(context, call, scope);
  if (body === null) return fail(context, {
    code: 'data.synthetic', message: 'a synthetic source says what its rows are in a block', span: call.span,
    help: `write \`synthetic(rows: ${rows}) { ${[...targets.keys()][0] ?? 'x'} = uniform(0, 1) }\``,
  });
  const types = [...targets.values()].map(({ value, row }) => tensor(value.type.dtype, row.map(extent => dim(extent))));
  const rowBytes = types.reduce((sum, type) => sum + bytes(type), 0);
  const most = Math.max(0, ...types.map(elements));
  if (rows * most > limits.elements) return fail(context, {
    code: 'data.synthetic', message: `${rows} rows of ${most} numbers are more than 2^31, and all are kept in memory`, span: call.span,
  });
  const atOnce = Math.max(1, Math.min(rows, rowsAtOnce, Math.floor(bytesAtOnce / rowBytes)));

  const inner: Context = { ...newContext(context.ops, context.registry, context.diagnostics, context.at), path: [`data ${name}`], training: false, source: name };
  const own = newScope(scope.module, { kind: 'source' });
  const length = dim(atOnce);
  const counter = adopt(inner, leaf('counter', 'row', tensor('i32', [])));
  const row = build(inner, 'add', [context.registry.scalars.step, counter]);
  // No body has this scope: nothing is yielded to it.
  const open: OpenScan = { length, counter, place: row, scope: newScope(scope.module, own.body), yields: [], axis: null, outer: null };
  inner.scan = open;
  for (const [outer, item] of scope.names) own.names.set(outer, item);
  own.names.set('row', tensorItem(row));
  execute(inner, body, own);
  const bound = (key: string): Item | null => {
    const item = own.names.get(key);
    return item === undefined || item === scope.names.get(key) || (key === 'row' && item.kind === 'tensor' && item.value === row) ? null : item;
  };
  if (inner.problems === 0) checkBound(inner, name, [...own.names.keys()].filter(key => bound(key) !== null), targets);
  const yields = [...targets.keys()].map((key, i) => attempt(() => rowValue(inner, key, bound(key), types[i]!, placeOf(body, key) ?? call)));
  if (inner.problems > 0) throw new Reported();
  const loop = adopt(inner, scanValue({ length, reversed: false, counter, carries: [], yields: yields.map(value => value!) }));
  const results = [...targets.keys()].map((key, j): Named => ({ name: key, value: adopt(inner, sequenceOf(loop, j)) }));
  return { rows, atOnce, results };
}

function rowsOf(context: Context, { arguments: given, callee, span }: Extract<Expression, { kind: 'call' }>, scope: Scope): number {
  const [first, ...more] = given;
  const wrong = [first, ...more].find(argument => argument !== undefined && argument.name?.text !== 'rows') ?? more[0];
  if (first === undefined || wrong !== undefined) return fail(context, {
    code: 'data.synthetic', message: 'a synthetic source takes the number of its rows: `synthetic(rows: 10000) { … }`',
    span: wrong?.span ?? (callee.kind === 'missing' ? span : callee.span),
  });
  return within(context, first.span, () => wholeNumber(context, first.value, scope, 'rows', 1));
}

/** Every input has to be bound; other names are what the rows are made of. */
function checkBound(context: Context, name: string, bound: readonly string[], targets: ReadonlyMap<string, Target>): void {
  const missing = [...targets.keys()].filter(target => !bound.includes(target));
  if (missing.length === 0) return;
  report(context, {
    code: 'data.missing', message: `the \`${name}\` source has nothing for the input ${missing.map(one => `\`${one}\``).join(' and ')}`,
    help: didYouMean(suggest(missing[0]!, bound.filter(one => !targets.has(one))), `bind it in the block: \`${missing[0]!} = …\``),
  });
  throw new Reported();
}

/** The value for an input in a row, which has the input's own shape; a number fills it. */
function rowValue(context: Context, input: string, item: Item | null, type: TensorType, at: { readonly span: Setting['span'] }): Value {
  if (item === null || item.kind === 'poison') throw new Reported();
  return within(context, at.span, () => {
    if (item.kind === 'number' && (type.dtype !== 'bool') && (type.dtype.startsWith('f') || type.dtype === 'bf16' || Number.isInteger(item.value))) {
      return full(context, item.value, type.dtype, type.dims);
    }
    const value = toTensor(context, item, `a tensor for \`${input}\``);
    const lossless = value.type.dtype === type.dtype || converts[value.type.dtype]?.includes(type.dtype);
    if (lossless && sameShape(shapeOf(value.type), shapeOf(type))) return cast(context, value, type.dtype);
    return fail(context, {
      code: 'data.synthetic', message: `a row of \`${input}\` is ${printType(type)}, but this is ${item.kind === 'tensor' ? printType(value.type) : describe(item)}`,
      help: lossless ? value.type.dims.length === 0 ? `numbers of that shape: \`uniform(0, 1, dims: [${shapeOf(type).join(', ')}])\`` : null : `write \`cast(${input}, ${type.dtype})\` where that is meant`,
    });
  });
}

/** What becomes which type where nothing is lost. */
const converts: Readonly<Partial<Record<TensorType['dtype'], readonly TensorType['dtype'][]>>> = {
  u8: ['i32', 'f32'], bool: ['i32', 'f32'], f16: ['f32'], bf16: ['f32'],
};

/** The last statement of a body that binds a name. */
const placeOf = (body: readonly Statement[], name: string): Statement | undefined =>
  body.findLast(statement => (statement.kind === 'bind' && statement.targets.some(target => target.text === name)) || (statement.kind === 'indexed' && statement.name.text === name));
