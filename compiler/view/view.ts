/**
 * Pictures of every level that a model goes through, as DOT text: the model as written, its graphs, the kernels of a training
 * step and the places of its tensors in memory.
 */
import { renderGraphFromSource } from 'graphviz-cli';
import type { Graph } from '../ir/graph.ts';
import type { Model } from '../ir/model.ts';
import type { Program, ProgramEntry } from '../ir/program.ts';
import type { Levels } from '../pipeline.ts';
import { pictureDot } from './dot.ts';
import { graphPicture } from './graph-picture.ts';
import { kernelPicture } from './kernel-picture.ts';
import { memoryDot } from './memory-picture.ts';
import { foldPicture, foldToFit, type Picture } from './picture.ts';

export type Stage = 'source' | 'forward' | 'gradient' | 'simplified' | 'kernels' | 'memory';

export interface ViewOptions {
  /** Layers nested deeper become one box each; absent: as deep as a picture of a readable size allows. */
  readonly depth?: number;
}

/** Boxes that fit a picture one can still read. */
const readable = 120;

/** The picture of a stage. `levels` must hold the level that it shows, and the model. */
export function view(levels: Levels, stage: Stage, options: ViewOptions = {}): string {
  const model = levels.model!;
  switch (stage) {
    case 'source': return pictureDot(foldPicture(forwardPicture(model, 'as written'), { depth: options.depth ?? 0, expressions: true }));
    case 'forward': return pictureDot(folded(forwardPicture(model, 'forward'), options));
    case 'gradient': return pictureDot(folded(entryPicture(model, levels.gradient!, 'with gradients'), options));
    case 'simplified': return pictureDot(folded(entryPicture(model, levels.simplified!, 'simplified'), options));
    case 'kernels': return pictureDot(folded(kernelPicture(`${model.name}, kernels of ${programEntry(levels.program!).name}`, levels.program!, programEntry(levels.program!)), options));
    case 'memory': return memoryDot(`${model.name}, memory of ${programEntry(levels.program!).name}`, levels.program!, programEntry(levels.program!));
    default: return stage satisfies never;
  }
}

const folded = (picture: Picture, { depth }: ViewOptions): Picture =>
  depth === undefined ? foldToFit(picture, readable) : foldPicture(picture, { depth, expressions: false });

function forwardPicture(model: Model, what: string): Picture {
  const { loss, metrics, outputs, updates } = model.training;
  const results = [...(loss === null ? [] : [{ name: 'loss', value: loss }]), ...metrics, ...outputs];
  return graphPicture({ title: `${model.name}, ${what}`, results, updates, placements: [] });
}

/** A step of training, or what else the program does when it does not train. */
const chosen = <E extends { readonly name: string }>(entries: readonly E[]): E =>
  entries.find(({ name }) => name === 'train') ?? entries.find(({ name }) => name === 'predict') ?? entries[0]!;

const programEntry = (program: Program): ProgramEntry => chosen(program.entries);

function entryPicture(model: Model, graph: Graph, what: string): Picture {
  const entry = chosen(graph.entries);
  return graphPicture({ title: `${model.name}, ${entry.name} ${what}`, ...entry, placements: graph.placements });
}

/**
 * A DOT text as an image, drawn by graphviz. There is no renderer of `png` in pure JavaScript among what nabla stands on, so that
 * format is refused with what to do instead.
 */
export async function render(dot: string, format: 'svg' | 'png'): Promise<Uint8Array> {
  if (format === 'png') throw new Error('nabla draws `svg` and cannot draw `png`: save the picture as `svg` and convert it');
  const svg = await renderGraphFromSource({ input: dot }, { format });
  // Labels of lines begin with a space that keeps them off the line; it would be dropped.
  return new TextEncoder().encode(svg.replace('<svg ', '<svg xml:space="preserve" '));
}
