/**
 * The arena of a program as DOT text for a layout that keeps positions: a map of the transient region, calls from left to right and
 * bytes from top to bottom in their proportions, and below it a row for each buffer with its place and the calls that need it.
 */
import type { Buffer, Program, ProgramEntry } from '../ir/program.ts';
import { attributes, font, lines, phaseColor, quote } from './dot.ts';
import { formatBytes, formatCount, shorten } from './picture.ts';

/** Sizes in points: a bar's row, the columns of text left of the bars, all bars together, the map. */
const row = 15;
const textWidth = 330;
const barsWidth = 620;
const mapHeight = 360;
/** Rows of transient buffers; the smallest beyond are summed. */
const mostRows = 60;

export function memoryDot(title: string, program: Program, entry: ProgramEntry): string {
  const used = new Set(entry.calls.flatMap(call => [...call.reads, ...call.writes]));
  const persistent = program.buffers.filter(buffer => buffer.lifetime === null);
  const transient = program.buffers.filter((buffer, i) => buffer.lifetime !== null && used.has(i))
    .sort((a, b) => a.offset - b.offset || start(a) - start(b));
  const steps = Math.max(1, entry.calls.length);
  // What is read after the last call lives one longer.
  const at = (call: number): number => textWidth + (Math.min(call, steps) / steps) * barsWidth;
  const boxes: string[] = [];
  let top = 0;

  const heading = (text: string): void => {
    top += row * 0.6;
    boxes.push(textBox(0, top, text, 11, textWidth + barsWidth));
    top += row * 1.4;
  };

  const low = Math.min(...transient.map(buffer => buffer.offset));
  const high = Math.max(...transient.map(buffer => buffer.offset + buffer.bytes));
  if (transient.length > 0) {
    heading(`transient region, bytes ${formatCount(low)} to ${formatCount(high)}, in proportion: calls from left to right`);
    boxes.push(box({ x: textWidth, y: top, width: barsWidth, height: mapHeight, fill: '#fbfbfb', label: '' }));
    for (const buffer of transient) {
      const height = (buffer.bytes / (high - low)) * mapHeight;
      const width = at(end(buffer) + 1) - at(start(buffer));
      const label = height >= 11 ? fitted(buffer.name, width) : '';
      const y = top + ((buffer.offset - low) / (high - low)) * mapHeight;
      boxes.push(box({ x: at(start(buffer)), y, width, height: Math.max(height, 0.7), fill: fillOf(buffer), label }));
    }
    top += mapHeight + 4;
    boxes.push(...ticks(entry.calls.length, at, top));
    top += row;
  }

  heading('persistent: there from the start to the end');
  for (const buffer of persistent) addRow(buffer, 0, steps - 1);
  if (transient.length > 0) {
    heading('transient, by offset: a bar covers the calls that need the buffer');
    const least = [...transient].sort((a, b) => b.bytes - a.bytes)[mostRows - 1]?.bytes ?? 0;
    const shown = transient.filter(buffer => buffer.bytes >= least).slice(0, mostRows);
    for (const buffer of shown) addRow(buffer, start(buffer), end(buffer));
    const rest = transient.length - shown.length;
    if (rest > 0) {
      const bytes = transient.reduce((sum, buffer) => sum + buffer.bytes, 0) - shown.reduce((sum, buffer) => sum + buffer.bytes, 0);
      boxes.push(textBox(0, top, `and ${rest} smaller buffers, ${formatBytes(bytes)} together`, 9, textWidth));
      top += row;
    }
    boxes.push(...ticks(entry.calls.length, at, top));
  }

  const recomputed = transient.some(({ origin }) => origin?.phase === 'recompute') ? 'blue-green: recomputed, ' : '';
  const colors = `green: forward, ${recomputed}red: backward, violet: update, grey: persistent`;
  return [
    'graph nabla {',
    `  graph [${attributes({
      layout: 'neato', overlap: 'true', splines: 'false', bgcolor: 'white', labelloc: 't', labeljust: 'l', pad: '0.2', ...font(14),
      label: lines([title, ...totals(program, persistent, transient, steps), colors], '\\l'),
    })}]`,
    `  node [${attributes({ shape: 'box', style: 'filled', color: '#8a8a8a', penwidth: '0.6', fixedsize: 'true', margin: '0' })}]`,
    ...boxes.map((text, i) => `  b${i} ${text}`),
    '}',
    '',
  ].join('\n');

  function addRow(buffer: Buffer, first: number, last: number): void {
    const shape = `${buffer.dtype}${buffer.shape.length > 0 ? `[${buffer.shape.join(', ')}]` : ''}`;
    boxes.push(
      textBox(0, top, shorten(buffer.name, 26), 9, 130), textBox(130, top, shorten(shape, 24), 9, 110),
      textBox(240, top, formatCount(buffer.offset), 8, 46), textBox(286, top, formatBytes(buffer.bytes), 8, 44),
      box({ x: at(first), y: top + 1.5, width: at(last + 1) - at(first), height: row - 3, fill: fillOf(buffer), label: '' }),
    );
    top += row;
  }
}

const start = (buffer: Buffer): number => buffer.lifetime![0];
const end = (buffer: Buffer): number => buffer.lifetime![1];
const fillOf = (buffer: Buffer): string => (buffer.lifetime !== null ? phaseColor(buffer.origin?.phase ?? 'forward') : '#dcdcdc');

/** The name if it fits a box of that width. */
const fitted = (name: string, width: number): string => (name.length * 5 < width ? name : '');

function totals(program: Program, persistent: readonly Buffer[], transient: readonly Buffer[], steps: number): readonly string[] {
  const sum = (buffers: readonly Buffer[]): number => buffers.reduce((total, buffer) => total + buffer.bytes, 0);
  const neededBy = (call: number): number => sum(transient.filter(buffer => start(buffer) <= call && call <= end(buffer)));
  const needed = Math.max(...Array.from({ length: steps }, (_, call) => neededBy(call)));
  return [
    `arena ${formatBytes(program.arenaBytes)}: ${formatBytes(sum(persistent))} persistent, at most ${formatBytes(needed)} of transient buffers at once`,
    `${transient.length} transient buffers, ${formatBytes(sum(transient))} if none shared its place`,
  ];
}

/** Numbers of calls below the bars, at most about twenty. */
function ticks(calls: number, at: (call: number) => number, y: number): string[] {
  const every = Math.max(1, Math.ceil(calls / 20));
  return Array.from({ length: Math.ceil(calls / every) }, (_, i) => i * every).map(call => {
    const middle = (at(call) + at(call + 1)) / 2;
    const plain = { style: 'solid', color: 'white', fontcolor: '#555555', ...font(8) };
    return node({ x: middle - 12, y, width: 24, height: 10 }, { label: quote(String(call)), ...plain });
  });
}

interface Rectangle {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

const box = ({ fill, label, ...rectangle }: Rectangle & { readonly fill: string; readonly label: string }): string =>
  node(rectangle, { label: quote(label), fillcolor: fill, ...font(8) });

/** Text that begins at x. */
const textBox = (x: number, y: number, text: string, size: number, width: number): string =>
  node({ x, y, width, height: row }, { label: lines([text], '\\l'), shape: 'plaintext', style: 'solid', ...font(size) });

/** A pinned node. Positions are of centres, in inches, from the bottom. */
function node({ x, y, width, height }: Rectangle, more: Readonly<Record<string, string>>): string {
  const inches = (points: number): string => String(Math.round((points / 72) * 10000) / 10000);
  const pos = `${inches(x + width / 2)},${inches(-y - height / 2)}!`;
  return `[${attributes({ ...more, pos, width: inches(width), height: inches(height) })}]`;
}
