/**
 * A module whose arena begins its one memory made into one whose arena is a memory of its own, with 64-bit addresses. Addresses in it
 * become i64, and so does what is added to them, from the multiplication on: a product of a position, which is a whole number below
 * 2^31, never overflows there. All else stays as it was: what threads pack, and the words by which they meet, are in the other memory.
 * V8 checks no 32-bit address but every 64-bit one, and combines no vectors across a check: micro-kernels would take twice as long.
 * What the pass does not understand throws with the name of the function.
 */
import { get, instruction, i64, op, set, tee, walk, type Expression, type Func, type Local, type Module, type Opcode, type Type } from './code.ts';

export function widen(module: Module, arena: Module['arena']): Module {
  const addresses = addressesIn(module.functions);
  return { ...module, arena, functions: module.functions.map(func => widened(func, addresses)) };
}

/** By the name of each function, the numbers of its locals that hold addresses in the arena; parameters are locals. */
type Addresses = ReadonlyMap<string, ReadonlySet<number>>;

/** Addresses come from constants and flow through sums, locals and calls. */
function addressesIn(functions: readonly Func[]): Addresses {
  const found = new Map(functions.map(func => [func.name, new Set<number>()]));
  const count = (): number => [...found.values()].reduce((sum, locals) => sum + locals.size, 0);
  for (let before = -1; before < count();) {
    before = count();
    for (const func of functions) {
      const own = found.get(func.name)!;
      walk(func.body, each => {
        if ((each.kind === 'set' || each.kind === 'tee') && isAddress(each.value, own)) own.add(each.local.number);
        if (each.kind !== 'call') return;
        const parameters = found.get(each.to);
        if (parameters === undefined) throw new Error(`\`${func.name}\` calls \`${each.to}\`, which is not there`);
        each.operands.forEach((operand, number) => isAddress(operand, own) && parameters.add(number));
      });
    }
  }
  return found;
}

/** A sum of an address and a number is an address; the difference of two addresses is a number. */
function isAddress(expression: Expression, addresses: ReadonlySet<number>): boolean {
  switch (expression.kind) {
    case 'address':
      return true;
    case 'get':
    case 'tee':
      return addresses.has(expression.local.number);
    case 'op': {
      const [left, right] = expression.operands.map(operand => isAddress(operand, addresses));
      return expression.name === 'i32.add' ? left! || right! : expression.name === 'i32.sub' && left! && !right!;
    }
    default:
      return false;
  }
}

/** Instructions of numbers that give the same with 64 bits. */
const wideForms: Partial<Record<Opcode, Opcode>> = { 'i32.add': 'i64.add', 'i32.sub': 'i64.sub', 'i32.mul': 'i64.mul', 'i32.shl': 'i64.shl' };

function widened(func: Func, addressesOf: Addresses): Func {
  const addresses = addressesOf.get(func.name)!;
  const refuse = (what: string): never => {
    throw new Error(`\`${func.name}\` cannot use an arena apart: ${what}`);
  };
  const parameterCount = func.parameters.length;
  const typeOf = (number: number): Type => (number < parameterCount ? func.parameters[number]! : func.locals[number - parameterCount]!);
  const sums = sumsOf(func);
  /** Locals that hold what is added to addresses: they are set once, to a sum or a product. */
  const offsets = new Set<number>();
  const holdsWide = ({ number }: Local): boolean => addresses.has(number) || offsets.has(number);
  const widenedLocal = (local: Local): Local => (holdsWide(local) ? { ...local, type: 'i64' } : local);

  /** What is an i32 in the module, as an i64. */
  const wide = (expression: Expression): Expression => {
    switch (expression.kind) {
      case 'address':
      case 'const':
        return i64(BigInt(expression.value));
      case 'get':
        if (holdsWide(expression.local)) return get(widenedLocal(expression.local));
        if (sums.has(expression.local.number)) offsets.add(expression.local.number);
        break;
      case 'tee':
        if (holdsWide(expression.local)) return tee(widenedLocal(expression.local), wide(expression.value));
        break;
      case 'op': {
        const form = wideForms[expression.name];
        if (form === undefined) break;
        const [left, right] = expression.operands.map(operand => isAddress(operand, addresses));
        if (form === 'i64.add' ? left && right : form === 'i64.sub' ? !left && right : left || right) refuse(`an address is in \`${expression.name}\``);
        return op(form, ...expression.operands.map(wide));
      }
      default:
    }
    return op('i64.extend_i32_s', narrow(expression));
  };
  /** What must be an address: nothing holds now one in the arena, now one in the other memory. */
  const place = (expression: Expression): Expression =>
    isAddress(expression, addresses) ? wide(expression) : refuse('a number is where an address should be');
  /** What is no address, in the type that it has in the module. */
  const narrow = (expression: Expression): Expression => {
    if (isAddress(expression, addresses)) refuse('an address is where a number should be');
    switch (expression.kind) {
      case 'get':
        return holdsWide(expression.local) ? op('i32.wrap_i64', wide(expression)) : expression;
      case 'tee':
        return holdsWide(expression.local) ? op('i32.wrap_i64', wide(expression)) : { ...expression, value: narrow(expression.value) };
      case 'set': {
        const { local, value } = expression;
        if (addresses.has(local.number)) return set(widenedLocal(local), place(value));
        return offsets.has(local.number) ? set(widenedLocal(local), wide(value)) : { ...expression, value: narrow(value) };
      }
      case 'call': {
        const taken = addressesOf.get(expression.to)!;
        return { ...expression, operands: expression.operands.map((operand, number) => (taken.has(number) ? place(operand) : narrow(operand))) };
      }
      case 'op':
        return narrowOp(expression);
      case 'shuffle': {
        const [a, b] = expression.operands;
        return { ...expression, operands: [narrow(a), narrow(b)] };
      }
      case 'block':
      case 'loop':
        return { ...expression, body: expression.body.map(narrow) };
      case 'if':
        return { ...expression, condition: narrow(expression.condition), then: expression.then.map(narrow), otherwise: expression.otherwise.map(narrow) };
      case 'br':
        return { ...expression, condition: expression.condition && narrow(expression.condition) };
      case 'br_table':
        return { ...expression, index: narrow(expression.index) };
      case 'address':
      case 'const':
      case 'const64':
      case 'lanes':
        return expression;
      default:
        return expression satisfies never;
    }
  };
  const narrowOp = (expression: Expression & { readonly kind: 'op' }): Expression => {
    const { name, operands } = expression;
    const [first, ...others] = operands;
    if (first !== undefined && isAddress(first, addresses)) {
      if (name === 'memory.fill') return { ...expression, arena: true, operands: [wide(first), narrow(others[0]!), wide(others[1]!)] };
      if (instruction(name).memory !== undefined) return { ...expression, arena: true, operands: [wide(first), ...others.map(narrow)] };
    }
    const between = (each: Expression): boolean =>
      each.kind === 'op' && each.name === 'i32.sub' && each.operands.every(operand => isAddress(operand, addresses));
    if (name === 'i32.eq' && operands.some(between)) return op('i64.eq', ...operands.map(wide));
    return { ...expression, operands: operands.map(narrow) };
  };

  let body: readonly Expression[] = [];
  for (let before = -1; before < offsets.size;) {
    before = offsets.size;
    body = func.body.map(narrow);
  }
  const types = Array.from({ length: parameterCount + func.locals.length }, (_, number) =>
    addresses.has(number) || offsets.has(number) ? 'i64' : typeOf(number));
  return { ...func, parameters: types.slice(0, parameterCount), locals: types.slice(parameterCount), body };
}

/** Locals that are set once, to a sum or a product of i32; parameters have been set already. */
function sumsOf(func: Func): ReadonlySet<number> {
  const values = new Map<number, readonly Expression[]>();
  walk(func.body, each => {
    if (each.kind === 'set' || each.kind === 'tee') values.set(each.local.number, [...(values.get(each.local.number) ?? []), each.value]);
  });
  const isSum = (value: Expression): boolean => value.kind === 'op' && wideForms[value.name] !== undefined;
  return new Set([...values].flatMap(([number, [value, ...others]]) =>
    number >= func.parameters.length && others.length === 0 && isSum(value!) ? [number] : []));
}
