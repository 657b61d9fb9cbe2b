/**
 * The operators, on constants at compile time and on tensors by ops of the table. Constants adapt to the tensors they meet;
 * `!=`, `>` and `>=` are spelled with the comparisons that the table has.
 */
import type { BinaryOperator } from '../1-parse/ast.ts';
import type { Value } from '../ir/graph.ts';
import { isFloat } from '../ir/type.ts';
import { fail, limits, Reported, type Context } from './context.ts';
import { affineArithmetic, applied } from './element.ts';
import { boolean, describe, list, number, tensorItem, type Item } from './item.ts';
import { broadcastTogether, build, cast, coerce, full, isNumeric, toTensor, type Mode } from './tensors.ts';

export function binary(context: Context, operator: BinaryOperator, left: Item, right: Item): Item {
  if (left.kind === 'poison' || right.kind === 'poison') throw new Reported();
  if (left.kind === 'element' || right.kind === 'element') {
    if (operator === '@') fail(context, {
      code: 'type.operator', message: '`@` is the matrix product of whole tensors, found an element under indices',
      help: 'elements are multiplied with `*` and summed: `sum[i](x[b, i] * w[i, o])`',
    });
    const role = operator === '*' ? 'product' : operator === '/' ? 'quotient' : null;
    return affineArithmetic(context, operator, left, right)
      ?? applied(context, [left, right], ([a, b]) => binary(context, operator, a!, b!), role);
  }
  const toNone = (operator === '==' || operator === '!=') && (left.kind === 'none' || right.kind === 'none');
  if (toNone || (left.kind !== 'tensor' && right.kind !== 'tensor')) return constant(context, operator, left, right);
  return tensorItem(onTensors(context, operator, left, right));
}

function constant(context: Context, operator: BinaryOperator, left: Item, right: Item): Item {
  if (operator === '==') return boolean(equalConstants(left, right));
  if (operator === '!=') return boolean(!equalConstants(left, right));
  if ((operator === 'and' || operator === 'or') && left.kind === 'boolean' && right.kind === 'boolean') {
    return boolean(operator === 'and' ? left.value && right.value : left.value || right.value);
  }
  if (operator === '+' && left.kind === 'list' && right.kind === 'list') return joined(context, left.elements, right.elements);
  if (left.kind !== 'number' || right.kind !== 'number') {
    const wrong = left.kind === 'number' ? right : left;
    return fail(context, {
      code: 'type.operator', message: `\`${operator}\` is not defined on ${describe(left)} and ${describe(right)}`,
      help: helpWithLayer(wrong),
    });
  }
  const a = left.value;
  const b = right.value;
  switch (operator) {
    case '+': return finite(context, operator, a, b, a + b);
    case '-': return finite(context, operator, a, b, a - b);
    case '*': return finite(context, operator, a, b, a * b);
    case '/': return finite(context, operator, a, b, a / b);
    case '%': return finite(context, operator, a, b, a - b * Math.floor(a / b));
    case '**': return finite(context, operator, a, b, a ** b);
    case '<': return boolean(a < b);
    case '<=': return boolean(a <= b);
    case '>': return boolean(a > b);
    case '>=': return boolean(a >= b);
    case 'and': case 'or': case '@':
      return fail(context, {
        code: 'type.operator', message: `\`${operator}\` is not defined on numbers`,
        help: operator === '@' ? '`@` is the matrix product; numbers are multiplied with `*`' : null,
      });
    default: return operator satisfies never;
  }
}

function finite(context: Context, operator: BinaryOperator, a: number, b: number, result: number): Item {
  if (Number.isFinite(result)) return number(result);
  const division = (operator === '/' || operator === '%') && b === 0;
  return fail(context, {
    code: 'type.number',
    message: division ? 'division by zero in a constant' : `\`${a} ${operator} ${b}\` is not a finite number`,
  });
}

function joined(context: Context, left: readonly Item[], right: readonly Item[]): Item {
  if (left.length + right.length > limits.list) fail(context, {
    code: 'type.size', message: `a list of more than ${limits.list.toLocaleString('en')} elements`,
  });
  return list([...left, ...right]);
}

const helpWithLayer = (item: Item): string | null =>
  item.kind === 'instance' ? 'apply the layer to its input first' : item.kind === 'layer' ? 'construct the layer and apply it to its input' : null;

function equalConstants(a: Item, b: Item): boolean {
  if (a.kind === 'list' && b.kind === 'list') {
    return a.elements.length === b.elements.length && a.elements.every((element, i) => equalConstants(element, b.elements[i]!));
  }
  if (a.kind === 'dtype' && b.kind === 'dtype') return a.dtype === b.dtype;
  if (a.kind === 'none' || b.kind === 'none') return a.kind === b.kind;
  return 'value' in a && 'value' in b && a.kind === b.kind && a.value === b.value;
}

function onTensors(context: Context, operator: BinaryOperator, left: Item, right: Item): Value {
  const apply = (name: string, mode: Mode, items: readonly Item[]): Value => build(context, name, coerce(context, items, mode));
  const wrong = [left, right].find(item => !isNumeric(item));
  if (wrong) {
    fail(context, {
      code: 'type.operator', message: `\`${operator}\` is not defined on ${describe(left)} and ${describe(right)}`,
      help: helpWithLayer(wrong),
    });
  }
  switch (operator) {
    case '+': return apply('add', 'arithmetic', [left, right]);
    case '-': return apply('sub', 'arithmetic', [left, right]);
    case '*': return apply('mul', 'arithmetic', [left, right]);
    case '/': return apply('div', 'division', [left, right]);
    case '%': return apply('mod', 'arithmetic', [left, right]);
    case '**': return power(context, left, right);
    case '@': return matmul(context, left, right);
    case '==': return equal(context, left, right);
    case '!=': return build(context, 'logical_not', [equal(context, left, right)]);
    case '<': return apply('less', 'arithmetic', [left, right]);
    case '<=': return apply('less_equal', 'arithmetic', [left, right]);
    case '>': return apply('less', 'arithmetic', [right, left]);
    case '>=': return apply('less_equal', 'arithmetic', [right, left]);
    case 'and': return apply('logical_and', 'logical', [left, right]);
    case 'or': return apply('logical_or', 'logical', [left, right]);
    default: return operator satisfies never;
  }
}

const equal = (context: Context, left: Item, right: Item): Value => build(context, 'equal', coerce(context, [left, right], 'arithmetic'));

function matmul(context: Context, left: Item, right: Item): Value {
  const values = [left, right].map(item => toTensor(context, item, 'a matrix'));
  return build(context, 'matmul', values.map(value => (isFloat(value.type.dtype) ? value : cast(context, value, 'f32'))));
}

/** x² = x·x, x^½ = √x, x⁻¹ = 1/x and x^−½ = 1/√x are exact and cheaper than a power. */
function power(context: Context, left: Item, right: Item): Value {
  if (left.kind === 'tensor' && right.kind === 'number') {
    const base = left.value;
    const float = (): Value => (isFloat(base.type.dtype) ? base : cast(context, base, 'f32'));
    const inverse = (value: Value): Value => build(context, 'div', coerce(context, [number(1), tensorItem(value)], 'division'));
    switch (right.value) {
      case 1: return base;
      case 2: case 3: {
        const [x] = coerce(context, [left], 'arithmetic') as [Value];
        const square = build(context, 'mul', [x, x]);
        return right.value === 2 ? square : build(context, 'mul', [square, x]);
      }
      case 0.5: return build(context, 'sqrt', [float()]);
      case -0.5: return inverse(build(context, 'sqrt', [float()]));
      case -1: return inverse(float());
      default:
    }
  }
  return build(context, 'pow', coerce(context, [left, right], 'division'));
}

export function negate(context: Context, item: Item): Item {
  if (item.kind === 'number') return number(-item.value);
  if (item.kind === 'element') {
    return affineArithmetic(context, '-', number(0), item) ?? applied(context, [item], ([x]) => negate(context, x!), 'negation');
  }
  if (item.kind !== 'tensor') {
    if (item.kind === 'poison') throw new Reported();
    return fail(context, { code: 'type.operator', message: `\`-\` is not defined on ${describe(item)}` });
  }
  return tensorItem(build(context, 'neg', coerce(context, [item], 'arithmetic')));
}

export function not(context: Context, item: Item): Item {
  if (item.kind === 'boolean') return boolean(!item.value);
  if (item.kind === 'element') return applied(context, [item], ([x]) => not(context, x!));
  if (item.kind === 'poison') throw new Reported();
  if (item.kind !== 'tensor') return fail(context, { code: 'type.logical', message: `\`not\` takes a boolean, found ${describe(item)}` });
  return tensorItem(build(context, 'logical_not', coerce(context, [item], 'logical')));
}

/** `c ? a : b` of a tensor condition: both are computed, and chosen element by element. */
export function select(context: Context, condition: Item, then: Item, otherwise: Item): Item {
  const items = [condition, then, otherwise];
  if (items.some(item => item.kind === 'element')) return applied(context, items, ([c, a, b]) => select(context, c!, a!, b!));
  const test = toTensor(context, condition, 'a condition');
  if (test.type.dtype !== 'bool') fail(context, {
    code: 'type.logical', message: `a condition is a boolean, found ${describe(condition)}`,
    help: 'compare it first, as in `x != 0`',
  });
  const constants = then.kind !== 'tensor' && otherwise.kind !== 'tensor';
  const branches = constants
    ? [then, otherwise].map(item => (item.kind === 'number' ? tensorItem(full(context, item.value, 'f32')) : item))
    : [then, otherwise];
  const [a, b] = coerce(context, branches, 'choice') as [Value, Value];
  const [c, x] = broadcastPair(context, test, a);
  const [, y] = broadcastPair(context, c, b);
  return tensorItem(build(context, 'select', [c, x, y]));
}

function broadcastPair(context: Context, a: Value, b: Value): readonly [Value, Value] {
  return broadcastTogether(context, [a, b]) as [Value, Value];
}
