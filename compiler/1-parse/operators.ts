/**
 * Precedence. The grammar reads an expression as a flat list of operands and operators; this file folds the list into a tree, by
 * two stacks and without recursion, so that a chain of any length is safe. Also measures how deep a tree is.
 */
import type { BinaryOperator, Expression } from './ast.ts';
import type { Report } from '../source/diagnostic.ts';
import { cover } from '../source/text.ts';
import type { Span } from '../source/text.ts';

export type Part =
  /** `span` includes the parentheses around the operand. */
  | { readonly kind: 'operand'; readonly value: Expression; readonly span: Span }
  | { readonly kind: 'prefix'; readonly operator: '-' | 'not'; readonly span: Span }
  | { readonly kind: 'infix'; readonly operator: BinaryOperator; readonly span: Span }
  | { readonly kind: 'pipe'; readonly span: Span }
  /** `? then :` */
  | { readonly kind: 'choice'; readonly then: Expression; readonly span: Span };

type Operand = Extract<Part, { kind: 'operand' }>;
type Operator = Exclude<Part, Operand>;

/** From loose to tight. */
export const binding = {
  '|>': 1, '? :': 2, or: 3, and: 4, not: 5,
  '==': 6, '!=': 6, '<': 6, '<=': 6, '>': 6, '>=': 6,
  '+': 7, '-': 7, '*': 8, '/': 8, '%': 8, '@': 8, 'unary -': 9, '**': 10,
} satisfies Record<BinaryOperator | '|>' | '? :' | 'not' | 'unary -', number>;

/** Folds operands and operators, which alternate as the grammar has made sure, into one expression. */
export function foldOperators(parts: readonly Part[], report: Report): Operand {
  const operands: Operand[] = [];
  const operators: Operator[] = [];
  const reduce = (): void => {
    const operator = operators.pop()!;
    const right = operands.pop()!;
    operands.push(operator.kind === 'prefix' ? prefixed(operator, right) : joined(operands.pop()!, operator, right));
  };
  for (const part of parts) {
    if (part.kind === 'operand') {
      operands.push(part);
      continue;
    }
    if (part.kind !== 'prefix') {
      while (operators.length > 0 && bindsFirst(operators.at(-1)!, part)) {
        if (strength(operators.at(-1)!) === binding['=='] && strength(part) === binding['==']) report(chained(part.span));
        reduce();
      }
    } else if (part.operator === 'not' && operators.length > 0 && strength(operators.at(-1)!) > binding.not) {
      report({ code: 'syntax.expected', message: '`not` binds looser than the operator before it', span: part.span, help: 'put `not …` in parentheses' });
    }
    operators.push(part);
  }
  while (operators.length > 0) reduce();
  return operands[0]!;
}

/** The number of nodes on the longest path from the root, found without recursion. */
export function height(root: Expression): number {
  let highest = 0;
  const pending: { readonly node: Expression; readonly level: number }[] = [{ node: root, level: 1 }];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    highest = Math.max(highest, next.level);
    for (const child of children(next.node)) pending.push({ node: child, level: next.level + 1 });
  }
  return highest;
}

/** The expressions directly inside an expression, in the order of the text. */
export function children(node: Expression): readonly Expression[] {
  switch (node.kind) {
    case 'number': case 'string': case 'boolean': case 'name': case 'missing': return [];
    case 'list': return node.elements;
    case 'member': return [node.object];
    case 'call': return [node.callee, ...node.arguments.map(argument => argument.value)];
    case 'subscript': return [node.object, ...node.subscripts.flatMap(subscript => {
      switch (subscript.kind) {
        case 'index': return [subscript.value];
        case 'range': return [subscript.from, subscript.to, subscript.step].filter(part => part !== null);
        case 'each': return [subscript.from, subscript.to];
        case 'ellipsis': return [];
        default: return subscript satisfies never;
      }
    })];
    case 'unary': return [node.operand];
    case 'binary': return [node.left, node.right];
    case 'conditional': return [node.condition, node.then, node.otherwise];
    case 'pipe': return [node.input, node.target];
    case 'scan': return [node.dimension, ...node.carries.map(carry => carry.value)];
    default: return node satisfies never;
  }
}

function strength(operator: Operator): number {
  switch (operator.kind) {
    case 'prefix': return binding[operator.operator === '-' ? 'unary -' : 'not'];
    case 'infix': return binding[operator.operator];
    case 'pipe': return binding['|>'];
    case 'choice': return binding['? :'];
    default: return operator satisfies never;
  }
}

/** Whether the operator on the stack takes its right operand before `next` does. `**` and `? :` group to the right. */
function bindsFirst(onStack: Operator, next: Operator): boolean {
  const [left, right] = [strength(onStack), strength(next)];
  return left > right || (left === right && right !== binding['**'] && right !== binding['? :']);
}

function prefixed(operator: Extract<Operator, { kind: 'prefix' }>, operand: Operand): Operand {
  const span = cover(operator.span, operand.span);
  return { kind: 'operand', value: { kind: 'unary', operator: operator.operator, operand: operand.value, span }, span };
}

function joined(left: Operand, operator: Exclude<Operator, { kind: 'prefix' }>, right: Operand): Operand {
  const span = cover(left.span, right.span);
  const value = ((): Expression => {
    switch (operator.kind) {
      case 'infix': return { kind: 'binary', operator: operator.operator, operatorSpan: operator.span, left: left.value, right: right.value, span };
      case 'pipe': return { kind: 'pipe', input: left.value, target: right.value, span };
      case 'choice': return { kind: 'conditional', condition: left.value, then: operator.then, otherwise: right.value, span };
      default: return operator satisfies never;
    }
  })();
  return { kind: 'operand', value, span };
}

const chained = (span: Span) => ({
  code: 'syntax.comparison', message: 'comparisons cannot be chained', span, help: 'write `a < b and b < c`',
});
