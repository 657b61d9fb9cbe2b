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
  const exported = module.functions.filter(each => each.exported);
  const out = newWriter();
  out.bytes([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
  const section = (id: number, count: number, write: (to: Writer) => void): void => {
    out.byte(id);
    out.sized(to => {
      to.unsigned(count);
      write(to);
    });
  };
  section(1, signatures.size, to => {
    for (const key of signatures.keys()) {
      to.byte(0x60);
      for (const names of key.split(':')) {
        const codes = names === '' ? [] : names.split(',').map(name => typeCodes[name as Type]);
        to.unsigned(codes.length);
        to.bytes(codes);
      }
    }
  });
  const memories = memoriesOf(module);
  section(2, memories.length + module.imports.length, to => {
    for (const memory of memories) {
      to.text('env');
      to.text(memory.name);
      to.bytes([0x02, memory.flags]);
      to.unsigned(memory.minimumPages);
      to.unsigned(memory.maximumPages);
    }
    module.imports.forEach((each, i) => {
      to.text('env');
      to.text(each.name);
      to.byte(0x00);
      to.unsigned(types[i]!);
    });
  });
  section(3, module.functions.length, to => module.functions.forEach((_, i) => to.unsigned(types[module.imports.length + i]!)));
  section(7, exported.length, to => {
    for (const each of exported) {
      to.text(each.name);
      to.byte(0x00);
      to.unsigned(numbers.get(each.name)!);
    }
  });
  section(10, module.functions.length, to => {
    for (const each of module.functions) to.sized(body => writeFunction(body, each, numbers));
  });
  const { data } = module;
  if (data !== undefined)
    section(11, 1, to => {
      to.bytes([0x00, 0x41]);
      to.signed(BigInt(data.at | 0));
      to.byte(0x0b);
      to.unsigned(data.bytes.length);
      to.bytes(data.bytes);
    });
  return out.result();
}

/** By the numbers that instructions give them. The flags: 1 for a maximum, 2 for a shared memory, 4 for addresses of 64 bits. */
const memoriesOf = (module: Module): readonly { name: string; flags: number; minimumPages: number; maximumPages: number }[] => [
  { name: 'memory', flags: 1 + 2, minimumPages: module.minimumPages, maximumPages: module.maximumPages },
  ...(module.arena === null ? [] : [{ name: 'arena', flags: 1 + 2 + 4, ...module.arena }]),
];

/** A module as programs carry it: its bytes in base64, and which of them say, by their bit 2, that its memories are shared. */
export function moduleText(module: Module): { readonly module: string; readonly sharedFlagsAt: readonly number[] } {
  const bytes = Buffer.from(encode(module));
  const sharedFlagsAt = memoriesOf(module).map(memory => {
    // The import of a memory, which only types and others of its kind stand before.
    const start = Buffer.from([...name('env'), ...name(memory.name), 0x02]);
    return bytes.indexOf(start) + start.length;
  });
  return { module: bytes.toString('base64'), sharedFlagsAt };
}

const name = (text: string): readonly number[] => [text.length, ...new TextEncoder().encode(text)];

/** Bytes that are appended. */
interface Writer {
  readonly byte: (value: number) => void;
  readonly bytes: (values: ArrayLike<number>) => void;
  readonly unsigned: (value: number) => void;
  /** Of 32 bits. */
  readonly word: (value: number) => void;
  readonly signed: (value: bigint) => void;
  readonly text: (value: string) => void;
  /** What `write` appends, with its length before it. */
  readonly sized: (write: (to: Writer) => void) => void;
  readonly result: () => Uint8Array;
}

function newWriter(): Writer {
  let buffer = new Uint8Array(256);
  let length = 0;
  const grow = (count: number): void => {
    const larger = new Uint8Array(Math.max(2 * buffer.length, length + count));
    larger.set(buffer.subarray(0, length));
    buffer = larger;
  };
  const byte = (value: number): void => {
    if (length === buffer.length) grow(1);
    buffer[length++] = value;
  };
  const bytes = (values: ArrayLike<number>): void => {
    if (length + values.length > buffer.length) grow(values.length);
    // Of a few, as nearly all are, one after the other takes less.
    if (values.length > 16) buffer.set(values, length);
    else for (let i = 0; i < values.length; i++) buffer[length + i] = values[i]!;
    length += values.length;
  };
  const unsigned = (value: number): void => {
    let rest = value;
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) byte((rest % 0x80) | 0x80);
    byte(rest);
  };
  const word = (value: number): void => {
    let rest = value | 0;
    for (; rest < -0x40 || rest >= 0x40; rest >>= 7) byte((rest & 0x7f) | 0x80);
    byte(rest & 0x7f);
  };
  const signed = (value: bigint): void => {
    let rest = value;
    for (;;) {
      const low = Number(rest & 0x7fn);
      rest >>= 7n;
      if ((rest === 0n && (low & 0x40) === 0) || (rest === -1n && (low & 0x40) !== 0)) return byte(low);
      byte(low | 0x80);
    }
  };
  return {
    byte,
    bytes,
    unsigned,
    word,
    signed,
    text: value => {
      const encoded = new TextEncoder().encode(value);
      unsigned(encoded.length);
      bytes(encoded);
    },
    sized: write => {
      const inner = newWriter();
      write(inner);
      const contents = inner.result();
      unsigned(contents.length);
      bytes(contents);
    },
    result: () => buffer.subarray(0, length),
  };
}

const numberBytes = (type: 'f32' | 'f64', value: number): Uint8Array =>
  new Uint8Array((type === 'f32' ? new Float32Array([value]) : new Float64Array([value])).buffer);

function writeFunction(to: Writer, func: Func, numbers: ReadonlyMap<string, number>): void {
  const runs: { type: Type; count: number }[] = [];
  for (const type of func.locals) {
    const last = runs.at(-1);
    if (last?.type === type) last.count++;
    else runs.push({ type, count: 1 });
  }
  to.unsigned(runs.length);
  for (const run of runs) {
    to.unsigned(run.count);
    to.byte(typeCodes[run.type]);
  }
  const open: Label[] = [];
  const depth = (label: Label): number => {
    const found = open.lastIndexOf(label);
    if (found < 0) throw new Error(`branch out of \`${func.name}\``);
    return open.length - 1 - found;
  };
  const many = (expressions: readonly Expression[]): void => {
    for (let i = 0; i < expressions.length; i++) write(expressions[i]!);
  };
  const writeWord = (value: number): void => {
    to.byte(0x41);
    to.word(value);
  };
  const write = (expression: Expression): void => {
    switch (expression.kind) {
      case 'op': {
        const { code, memory, lane, zeros } = instruction(expression.name);
        many(expression.operands);
        to.bytes(code);
        if (memory !== undefined) {
          // Bit 6: the number of a memory other than the first follows.
          to.byte(expression.arena ? memory | 0x40 : memory);
          if (expression.arena) to.byte(1);
          to.unsigned(expression.offset);
        }
        if (lane) to.byte(expression.lane);
        for (let i = 0; i < (zeros ?? 0); i++) to.byte(expression.arena ? 1 : 0);
        return;
      }
      case 'const':
        if (expression.type === 'i32') writeWord(expression.value);
        else {
          to.byte(expression.type === 'f32' ? 0x43 : 0x44);
          to.bytes(numberBytes(expression.type, expression.value));
        }
        return;
      case 'address':
        return writeWord(expression.value);
      case 'const64':
        to.byte(0x42);
        return to.signed(expression.value);
      case 'lanes':
        to.bytes([0xfd, 0x0c]);
        return to.bytes(expression.bytes);
      case 'shuffle':
        many(expression.operands);
        to.bytes([0xfd, 0x0d]);
        return to.bytes(expression.bytes);
      case 'get':
        to.byte(0x20);
        return to.unsigned(expression.local.number);
      case 'set':
      case 'tee':
        write(expression.value);
        to.byte(expression.kind === 'set' ? 0x21 : 0x22);
        return to.unsigned(expression.local.number);
      case 'call': {
        const number = numbers.get(expression.to);
        if (number === undefined) throw new Error(`\`${func.name}\` calls \`${expression.to}\`, which is not there`);
        many(expression.operands);
        to.byte(0x10);
        return to.unsigned(number);
      }
      case 'block':
      case 'loop':
        to.bytes([expression.kind === 'block' ? 0x02 : 0x03, 0x40]);
        open.push(expression.label);
        many(expression.body);
        open.pop();
        return to.byte(0x0b);
      case 'if':
        write(expression.condition);
        to.bytes([0x04, 0x40]);
        open.push({ name: 'if' });
        many(expression.then);
        if (expression.otherwise.length > 0) {
          to.byte(0x05);
          many(expression.otherwise);
        }
        open.pop();
        return to.byte(0x0b);
      case 'br':
        if (expression.condition) write(expression.condition);
        to.byte(expression.condition ? 0x0d : 0x0c);
        return to.unsigned(depth(expression.label));
      case 'br_table': {
        write(expression.index);
        const depths = expression.labels.map(depth);
        to.byte(0x0e);
        to.unsigned(depths.length - 1);
        return depths.forEach(to.unsigned);
      }
      default:
        return expression satisfies never;
    }
  };
  many(func.body);
  to.byte(0x0b);
}
