/** Diagnostics are values: phases collect and return them, the command line draws them. Every one is an error; nabla has no warnings. */
import type { Span } from './text.ts';

export interface Label {
  readonly span: Span;
  readonly text: string;
}

export interface Diagnostic {
  /** Stable: an entry of `codes.ts`, or `op.Cn` for a constraint of the op table. `nabla explain` tells the rule behind it. */
  readonly code: string;
  /** One sentence without a full stop; names and symbols in backquotes; symbolic first, numbers in brackets. */
  readonly message: string;
  /** Null only when no file could be read at all. */
  readonly span: Span | null;
  /** What stands at the primary span, in a few words. */
  readonly label?: string;
  /** The other sides of the conflict. */
  readonly secondary?: readonly Label[];
  readonly notes?: readonly string[];
  /** What to do. */
  readonly help?: string;
}

/** Where a phase puts what it finds. */
export type Report = (diagnostic: Diagnostic) => void;
