/** `where` constraints: conditions on hyperparameters and dimensions that must hold at compile time, told symbolically when they do not. */
import type { Expression } from '../1-parse/ast.ts';
import { spanText } from '../source/text.ts';
import { fail, type Context } from './context.ts';
import { need } from './expression.ts';
import { describe, printItem } from './item.ts';
import type { Scope } from './scope.ts';

export function checkWhere(context: Context, condition: Expression, scope: Scope): void {
  const item = need(context, condition, scope);
  if (item.kind === 'boolean' && item.value) return;
  if (item.kind !== 'boolean') fail(context, {
    code: 'where.constant', message: `a \`where\` condition must be known at compile time, found ${describe(item)}`,
    span: condition.span,
  });
  // A constraint of a definition is the caller's mistake: told at the call, with the constraint beside it.
  const { calledAt } = context;
  const told = calledAt === null || condition.span.file.library
    ? { span: condition.span }
    : { span: calledAt, secondary: [{ span: condition.span, text: 'the constraint' }] };
  fail(context, { code: 'where.failed', message: explain(context, condition, scope), ...told });
}

function explain(context: Context, condition: Expression, scope: Scope): string {
  const isZero = condition.kind === 'binary' && condition.operator === '==' && condition.right.kind === 'number' && condition.right.value === 0;
  if (isZero && condition.left.kind === 'binary' && condition.left.operator === '%') {
    return `${quantity(context, condition.left.left, scope)} is not divisible by ${quantity(context, condition.left.right, scope)}`;
  }
  const names = [...new Set(namesIn(condition))].filter(name => scope.names.has(name));
  const values = names.map(name => `${name} = ${printItem(scope.names.get(name)!)}`).join(', ');
  return `\`${spanText(condition.span)}\` does not hold${values === '' ? '' : `: ${values}`}`;
}

/** "`dim` (130)": by the name of the user's dimension where it has one. */
function quantity(context: Context, expression: Expression, scope: Scope): string {
  const item = need(context, expression, scope);
  if (expression.kind === 'number' || item.kind !== 'number') return spanText(expression.span);
  const name = expression.kind === 'name' ? ((item.dim ?? item.label)?.name ?? expression.text) : spanText(expression.span);
  return `\`${name}\` (${item.value})`;
}

function namesIn(expression: Expression): readonly string[] {
  switch (expression.kind) {
    case 'name': return [expression.text];
    case 'binary': return [...namesIn(expression.left), ...namesIn(expression.right)];
    case 'unary': return namesIn(expression.operand);
    case 'conditional': return [expression.condition, expression.then, expression.otherwise].flatMap(namesIn);
    case 'call': return expression.arguments.flatMap(argument => namesIn(argument.value));
    default: return [];
  }
}
