/** What is said of a memory limit that cannot be kept: how much is missing, and what takes the memory. */
import type { MemoryLimit } from '../ir/model.ts';
import type { Buffer, Program, ProgramEntry } from '../ir/program.ts';
import type { Diagnostic } from '../source/diagnostic.ts';
import { place } from '../source/text.ts';

/** Layers that are told one by one. */
const mostTold = 3;

export function shortage(program: Program, limit: MemoryLimit): Diagnostic {
  const held = (role: Buffer['role']): number => total(program.buffers.filter(buffer => buffer.role === role));
  const { entry, alive } = fullest(program);
  const persistent = held('parameter') + held('state') + held('input') + held('scalar');
  const allow = `allow more, with \`memory ${amount(program.arenaBytes)}\``;
  return {
    code: 'train.memory',
    message: `the program needs at least ${amount(program.arenaBytes)} of memory, ${amount(program.arenaBytes - limit.bytes)} more than \`memory\` allows`,
    span: limit.span,
    notes: [
      `parameters take ${amount(held('parameter'))}, their gradients and all states ${amount(held('state'))}, inputs ${amount(held('input'))}`,
      `within \`${entry.name}\` ${amount(total(alive))} are needed at once, the most of it by ${layers(alive).slice(0, mostTold).join(', ')}`,
    ],
    help:
      persistent > limit.bytes
        ? `make the model smaller, take an optimizer with fewer states, or ${allow}`
        : `make \`batch\` smaller, with \`accumulate\` for as many rows in a step as now, or ${allow}`,
  };
}

const total = (buffers: readonly Buffer[]): number => buffers.reduce((sum, buffer) => sum + buffer.bytes, 0);

/** The entry and the buffers within it that are alive at the call with the most bytes. */
function fullest(program: Program): { readonly entry: ProgramEntry; readonly alive: readonly Buffer[] } {
  let most: { readonly entry: ProgramEntry; readonly alive: readonly Buffer[] } = { entry: program.entries[0]!, alive: [] };
  for (const entry of program.entries) {
    const used = new Set(entry.calls.flatMap(call => [...call.reads, ...call.writes]));
    const own = program.buffers.filter((buffer, i) => buffer.lifetime !== null && used.has(i));
    for (const call of entry.calls.keys()) {
      const alive = own.filter(({ lifetime }) => lifetime![0] <= call && call <= lifetime![1]);
      if (total(alive) > total(most.alive)) most = { entry, alive };
    }
  }
  return most;
}

/** Where buffers come from: layers, largest first, each with the line of its largest buffer. */
function layers(buffers: readonly Buffer[]): readonly string[] {
  const byLayer = new Map<string, Buffer[]>();
  for (const buffer of [...buffers].sort((a, b) => b.bytes - a.bytes)) {
    const layer = buffer.origin?.scope.join('.') || buffer.name;
    byLayer.set(layer, [...(byLayer.get(layer) ?? []), buffer]);
  }
  return [...byLayer]
    .sort(([, a], [, b]) => total(b) - total(a))
    .map(([layer, own]) => {
      const span = own[0]!.origin?.span;
      return `\`${layer}\`${span ? ` (${place(span)})` : ''} ${amount(total(own))}`;
    });
}

/** As the setting is written, rounded up to four digits so that it suffices. */
function amount(bytes: number): string {
  const units = ['B', 'KB', 'MB', 'GB', 'TB'];
  let power = 0;
  while (power < units.length - 1 && bytes >= 1000 ** (power + 1)) power++;
  const scaled = bytes / 1000 ** power;
  const step = power === 0 ? 1 : 10 ** (Math.floor(Math.log10(scaled)) - 3);
  return `${Number((Math.ceil(scaled / step) * step).toPrecision(4))}${units[power]!}`;
}
