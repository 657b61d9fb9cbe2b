/**
 * The whole compiler on one screen: the passes in order, each from one level to the next, each with the verifier of what it
 * gives. A pass that finds errors in the user's file ends the run with its diagnostics.
 */
import type { File } from './1-parse/ast.ts';
import { elaborate, type Host } from './2-elaborate/elaborate.ts';
import { differentiate } from './3-differentiate/differentiate.ts';
import { roundProducts } from './4-simplify/round-products.ts';
import { simplify } from './4-simplify/simplify.ts';
import { schedule } from './5-schedule/schedule.ts';
import type { Graph } from './ir/graph.ts';
import { memoryLimit, stageOfEntry, type Model } from './ir/model.ts';
import type { Program } from './ir/program.ts';
import { verifyGraph } from './ir/verify.ts';
import { verifyProgram } from './ir/verify-program.ts';
import type { Diagnostic } from './source/diagnostic.ts';

/** The levels of one compilation, as far as it came. */
export interface Levels {
  readonly file: File;
  readonly model?: Model;
  readonly gradient?: Graph;
  readonly simplified?: Graph;
  /** What the program computes: the simplified graph, or with a memory limit one that computes some of it again. */
  readonly scheduled?: Graph;
  readonly program?: Program;
}

export interface Pass {
  readonly name: string;
  readonly run: (levels: Levels, host: Host) => { readonly levels: Levels; readonly diagnostics: readonly Diagnostic[] };
  /** One sentence for each thing that does not hold of what the pass gave. */
  readonly verify: (levels: Levels) => readonly string[];
}

const sound = (levels: Levels): { readonly levels: Levels; readonly diagnostics: readonly Diagnostic[] } => ({ levels, diagnostics: [] });

export const passes: readonly Pass[] = [
  {
    name: 'elaborate',
    run: (levels, host) => {
      const { model, diagnostics } = elaborate(levels.file, host);
      return { levels: model === null ? levels : { ...levels, model }, diagnostics };
    },
    verify: () => [],
  },
  {
    name: 'differentiate',
    run: levels => sound({ ...levels, gradient: differentiate(levels.model!) }),
    verify: levels => verifyGraph(levels.gradient!),
  },
  {
    name: 'simplify',
    run: levels =>
      sound({ ...levels, simplified: roundProducts(simplify(levels.gradient!).graph, entry => stageOfEntry(levels.model!, entry).settings.precision) }),
    verify: levels => verifyGraph(levels.simplified!),
  },
  {
    name: 'schedule',
    run: levels => {
      const { graph, program, diagnostics } = schedule(levels.simplified!, levels.model!.inputs, memoryLimit(levels.model!));
      return { levels: { ...levels, scheduled: graph, program }, diagnostics };
    },
    verify: levels => [...verifyGraph(levels.scheduled!), ...verifyProgram(levels.program!)],
  },
];

/** Runs the passes up to and including `last`; with `verify`, checks every level and throws on the first unsound one. */
export function runPasses(
  file: File,
  host: Host,
  last: string,
  verify: boolean,
): { readonly levels: Levels; readonly diagnostics: readonly Diagnostic[] } {
  let levels: Levels = { file };
  for (const pass of passes) {
    const { levels: next, diagnostics } = pass.run(levels, host);
    levels = next;
    if (diagnostics.length > 0 || (pass.name === 'elaborate' && levels.model === undefined)) return { levels, diagnostics };
    if (verify) {
      const problems = pass.verify(levels);
      if (problems.length > 0) throw new Error(`after ${pass.name}: ${problems.join('; ')}`);
    }
    if (pass.name === last) break;
  }
  return { levels, diagnostics: [] };
}
