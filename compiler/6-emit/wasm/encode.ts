/** A module as the bytes of the WebAssembly binary format. */
import { instruction, type Expression, type Func, type Label, type Module, type Type } from './code.ts';

const typeCodes: Readonly<Record<Type, number>> = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c, v128: 0x7b };

export function encode(module: Module): Uint8Array {
  const signatures = new Map<string, number>();
  const signature = (parameters: readonly Type[], result: Type | null): number => {
    const key = `${parameters.join()}:${result ?? ''}`;
    const known = signatures.get(key);
    if (known !== undefined) return known;
    signatures.set(key, signatures.size);
    return signatures.size - 1;
  };
  const types = [...module.imports, ...module.functions].map(each => signature(each.parameters, each.result));
  const numbers = new Map([...module.imports, ...module.functions].map((each, number) => [each.name, number]));
  const sections: number[][] = [];
  sections.push(section(1, list([...signatures.keys()].map(key => {
    const [parameters, result] = key.split(':');
    const codes = (names: string): number[][] => (names === '' ? [] : names.split(',').map(name => [typeCodes[name as Type]]));
    return [0x60, ...list(codes(parameters!)), ...list(codes(result!))];
  }))));
  sections.push(section(2, list([
    [...name('env'), ...name('memory'), 0x02, 0x03, ...unsigned(module.minimumPages), ...unsigned(module.maximumPages)],
    ...module.imports.map((each, i) => [...name('env'), ...name(each.name), 0x00, ...unsigned(types[i]!)]),
  ])));
  sections.push(section(3, list(module.functions.map((_, i) => unsigned(types[module.imports.length + i]!)))));
  sections.push(section(7, list(module.functions.flatMap(each => (each.exported ? [[...name(each.name), 0x00, ...unsigned(numbers.get(each.name)!)]] : [])))));
  sections.push(section(10, list(module.functions.map(each => functionBody(each, numbers)))));
  return Uint8Array.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, ...sections.flat()]);
}

const section = (id: number, contents: readonly number[]): number[] => [id, ...unsigned(contents.length), ...contents];

function list(items: readonly (readonly number[])[]): number[] {
  const bytes = unsigned(items.length);
  for (const item of items) for (const byte of item) bytes.push(byte);
  return bytes;
}

const name = (text: string): number[] => {
  const bytes = new TextEncoder().encode(text);
  return [...unsigned(bytes.length), ...bytes];
};

function unsigned(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  do {
    const low = rest % 128;
    rest = Math.floor(rest / 128);
    bytes.push(rest > 0 ? low | 0x80 : low);
  } while (rest > 0);
  return bytes;
}

function signed(value: bigint): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (;;) {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    if ((rest === 0n && (low & 0x40) === 0) || (rest === -1n && (low & 0x40) !== 0)) {
      bytes.push(low);
      return bytes;
    }
    bytes.push(low | 0x80);
  }
}

const numberBytes = (type: 'f32' | 'f64', value: number): number[] =>
  [...new Uint8Array((type === 'f32' ? new Float32Array([value]) : new Float64Array([value])).buffer)];

function functionBody(func: Func, numbers: ReadonlyMap<string, number>): number[] {
  const runs: { type: Type; count: number }[] = [];
  for (const type of func.locals) {
    const last = runs.at(-1);
    if (last?.type === type) last.count++;
    else runs.push({ type, count: 1 });
  }
  const body = list(runs.map(run => [...unsigned(run.count), typeCodes[run.type]]));
  const open: Label[] = [];
  const put = (...bytes: readonly number[]): void => {
    for (const byte of bytes) body.push(byte);
  };
  const depth = (label: Label): number => {
    const found = open.lastIndexOf(label);
    if (found < 0) throw new Error(`branch out of \`${func.name}\``);
    return open.length - 1 - found;
  };
  const many = (expressions: readonly Expression[]): void => expressions.forEach(write);
  const write = (expression: Expression): void => {
    switch (expression.kind) {
      case 'op': {
        const { code, memory, lane, zeros } = instruction(expression.name);
        many(expression.operands);
        put(...code);
        if (memory !== undefined) put(memory, ...unsigned(expression.offset));
        if (lane) put(expression.lane);
        for (let i = 0; i < (zeros ?? 0); i++) put(0);
        return;
      }
      case 'const':
        if (expression.type === 'i32') put(0x41, ...signed(BigInt(expression.value | 0)));
        else put(expression.type === 'f32' ? 0x43 : 0x44, ...numberBytes(expression.type, expression.value));
        return;
      case 'const64':
        return put(0x42, ...signed(expression.value));
      case 'lanes':
        return put(0xfd, 0x0c, ...expression.bytes);
      case 'shuffle':
        many(expression.operands);
        return put(0xfd, 0x0d, ...expression.bytes);
      case 'get':
        return put(0x20, ...unsigned(expression.local.number));
      case 'set':
      case 'tee':
        write(expression.value);
        return put(expression.kind === 'set' ? 0x21 : 0x22, ...unsigned(expression.local.number));
      case 'call': {
        const number = numbers.get(expression.to);
        if (number === undefined) throw new Error(`\`${func.name}\` calls \`${expression.to}\`, which is not there`);
        many(expression.operands);
        return put(0x10, ...unsigned(number));
      }
      case 'block':
      case 'loop':
        put(expression.kind === 'block' ? 0x02 : 0x03, 0x40);
        open.push(expression.label);
        many(expression.body);
        open.pop();
        return put(0x0b);
      case 'if':
        write(expression.condition);
        put(0x04, 0x40);
        open.push({ name: 'if' });
        many(expression.then);
        if (expression.otherwise.length > 0) {
          put(0x05);
          many(expression.otherwise);
        }
        open.pop();
        return put(0x0b);
      case 'br':
        if (expression.condition) write(expression.condition);
        return put(expression.condition ? 0x0d : 0x0c, ...unsigned(depth(expression.label)));
      case 'br_table': {
        write(expression.index);
        const depths = expression.labels.map(label => unsigned(depth(label)));
        return put(0x0e, ...unsigned(depths.length - 1), ...depths.flat());
      }
      default:
        return expression satisfies never;
    }
  };
  many(func.body);
  put(0x0b);
  return [...unsigned(body.length), ...body];
}
