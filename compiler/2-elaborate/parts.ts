/** The expressions directly inside an expression, in the order of the text; the body of a `scan` is not among them. */
import type { Expression, Subscript } from '../1-parse/ast.ts';

export function expressionParts(expression: Expression): readonly Expression[] {
  switch (expression.kind) {
    case 'list': return expression.elements;
    case 'member': return [expression.object];
    case 'call': return [expression.callee, ...expression.arguments.map(argument => argument.value)];
    case 'subscript': return [expression.object, ...expression.subscripts.flatMap(subscriptParts)];
    case 'unary': return [expression.operand];
    case 'binary': return [expression.left, expression.right];
    case 'conditional': return [expression.condition, expression.then, expression.otherwise];
    case 'pipe': return [expression.input, expression.target];
    case 'scan': return [expression.dimension, ...expression.carries.map(carry => carry.value)];
    case 'number': case 'string': case 'boolean': case 'name': case 'missing': return [];
    default: return expression satisfies never;
  }
}

const subscriptParts = (subscript: Subscript): readonly Expression[] =>
  subscript.kind === 'index' ? [subscript.value]
  : subscript.kind === 'each' ? [subscript.from, subscript.to]
  : subscript.kind === 'range' ? [subscript.from, subscript.to, subscript.step].filter(part => part !== null)
  : [];
