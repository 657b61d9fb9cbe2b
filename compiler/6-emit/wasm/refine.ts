/**
 * Passes over finished functions that make them faster: functions written out where they are called, since V8 joins no neighbouring vectors
 * to 256 bits across a call; constants loaded from a table, with which loops of pairs of vectors take half the time of constants in place;
 * and multiply-adds. The first two change no bit of a result. All three: exp, tanh and erf take about a third of the time.
 */
import { eachMapped } from '../../ir/lists.ts';
import { at, i32, mapped, op, set, type Expression, type Func, type Local } from './code.ts';

/** A function with calls of others written out that consist of nothing but assignments and a last expression, and call no function. */
export function inlined(func: Func, others: ReadonlyMap<string, Func>): Func {
  const locals = [...func.locals];
  const newLocal = (type: Local['type']): Local => ({ type, number: func.parameters.length + locals.push(type) - 1 });
  const writtenOut = (target: Local, callee: Func, operands: readonly Expression[]): readonly Expression[] => {
    const statements: Expression[] = [];
    const parameters = operands.map((operand, i): Local => {
      if (operand.kind === 'get') return operand.local;
      const local = newLocal(callee.parameters[i]!);
      statements.push(set(local, operand));
      return local;
    });
    const own = [...parameters, ...callee.locals.map(newLocal)];
    const renamed = (expression: Expression): Expression => {
      const inner = mapped(expression, renamed);
      return 'local' in inner ? { ...inner, local: own[inner.local.number]! } : inner;
    };
    return [...statements, ...callee.body.slice(0, -1).map(renamed), set(target, renamed(callee.body.at(-1)!))];
  };
  const visit = (statement: Expression): readonly Expression[] => {
    switch (statement.kind) {
      case 'block':
      case 'loop':
        return [{ ...statement, body: statement.body.flatMap(visit) }];
      case 'if':
        return [{ ...statement, then: statement.then.flatMap(visit), otherwise: statement.otherwise.flatMap(visit) }];
      case 'set': {
        const { local, value } = statement;
        const callee = value.kind === 'call' ? others.get(value.to) : undefined;
        return value.kind === 'call' && callee !== undefined ? writtenOut(local, callee, value.operands) : [statement];
      }
      default:
        return [statement];
    }
  };
  const body = func.body.flatMap(visit);
  return { ...func, locals, body };
}

/** Products that are added to something or taken from it as one instruction, which rounds once where the processor can. */
export function fused(func: Func): Func {
  const isProduct = (expression: Expression): boolean => expression.kind === 'op' && expression.name === 'f32x4.mul';
  const factors = (expression: Expression): readonly Expression[] => (expression.kind === 'op' ? expression.operands : []);
  const visit = (expression: Expression): Expression => {
    const inner = mapped(expression, visit);
    if (inner.kind !== 'op') return inner;
    const [a, b] = inner.operands;
    if (inner.name === 'f32x4.add' && isProduct(b!)) return op('f32x4.relaxed_madd', ...factors(b!), a!);
    if (inner.name === 'f32x4.add' && isProduct(a!)) return op('f32x4.relaxed_madd', ...factors(a!), b!);
    if (inner.name === 'f32x4.sub' && isProduct(b!)) return op('f32x4.relaxed_nmadd', ...factors(b!), a!);
    return inner;
  };
  return { ...func, body: eachMapped(func.body, visit) };
}

/** A table of the numbers that constant vectors have in all lanes, which lies at `start`, and the functions with loads from it. */
export function withTable(functions: readonly Func[], start: number): { readonly functions: readonly Func[]; readonly table: readonly number[] } {
  const words = new Map<number, number>();
  const visit = (expression: Expression): Expression => {
    if (expression.kind !== 'lanes') return mapped(expression, visit);
    const { bytes } = expression;
    if (bytes.some((byte, i) => byte !== bytes[i % 4])) return expression;
    const word = bytes[0]! | (bytes[1]! << 8) | (bytes[2]! << 16) | (bytes[3]! << 24);
    // Zeros and ones in all bits cost one instruction.
    if (word === 0 || word === -1) return expression;
    const number = words.get(word) ?? words.size;
    words.set(word, number);
    return at('v128.load32_splat', 0, i32(start + 4 * number));
  };
  const made = functions.map(func => ({ ...func, body: eachMapped(func.body, visit) }));
  return { functions: made, table: [...new Uint8Array(Int32Array.from(words.keys()).buffer)] };
}
