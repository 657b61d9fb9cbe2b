/**
 * The arena cut into pieces, each of which one binding can hold. Cuts are made only where no tensor lies on both sides, and not where
 * one is not needed.
 */
import type { Buffer, Program } from '../../ir/program.ts';

export interface Segment {
  /** Bytes from the start of the arena. */
  readonly start: number;
  readonly bytes: number;
}

/** A stretch that cannot be cut and is longer than a binding is a segment by itself. */
export function segmentsOf(program: Program, limit: number): readonly Segment[] {
  const ends = stretches(program.buffers);
  const segments: Segment[] = [];
  let start = 0;
  let end = 0;
  for (const next of ends) {
    if (next - start > limit && end > start) {
      segments.push({ start, bytes: end - start });
      start = end;
    }
    end = next;
  }
  return [...segments, { start, bytes: Math.max(program.arenaBytes, end) - start }];
}

/** Where the arena can be cut: the ends, rounded up to where buffers may begin, of stretches that overlapping buffers cover. */
function stretches(buffers: readonly Buffer[]): readonly number[] {
  const sorted = [...buffers].sort((a, b) => a.offset - b.offset);
  const ends: number[] = [];
  let end = 0;
  for (const buffer of sorted) {
    if (buffer.offset >= end && end > 0) ends.push(buffer.offset);
    end = Math.max(end, buffer.offset + buffer.bytes);
  }
  return [...ends, Math.ceil(end / 64) * 64];
}
