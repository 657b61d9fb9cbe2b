/**
 * Pictures of every level that a model goes through, as DOT text: the model as written, its graphs, the kernels of a training
 * step and the places of its tensors in memory.
 */
import { renderGraphFromSource } from 'graphviz-cli';
import type { Graph } from '../ir/graph.ts';
import type { Model } from '../ir/model.ts';
import type { Levels } from '../pipeline.ts';
import { pictureDot } from './dot.ts';
import { graphPicture } from './graph-picture.ts';
import { foldPicture, foldToFit, type Picture } from './picture.ts';

export type Stage = 'source' | 'forward' | 'gradient' | 'simplified' | 'kernels' | 'memory';

export interface ViewOptions {
  /** Layers nested deeper become one box each; absent: as deep as a picture of a readable size allows. */
  readonly depth?: number;
}

/** Boxes that fit a picture one can still read. */
const readable = 120;

/**
 * An image of a DOT text, drawn by graphviz compiled to WebAssembly. An `svg` needs nothing more; a `png` is made of it by the
 * package `canvas`, which is not installed with nabla because it is not made of JavaScript alone.
 */
export async function render(dot: string, format: 'svg' | 'png'): Promise<Uint8Array> {
  const image = await renderGraphFromSource({ input: dot }, { format: 'svg' });
  return new TextEncoder().encode(image);
}

/** The picture of a stage. `levels` must hold the level that it shows, and the model. */
export function view(levels: Levels, stage: Stage, options: ViewOptions = {}): string {
  const model = levels.model!;
  switch (stage) {
    case 'source': return pictureDot(foldPicture(forwardPicture(model, 'as written'), { depth: options.depth ?? 0, expressions: true }));
    case 'forward': return pictureDot(folded(forwardPicture(model, 'forward'), options));
    case 'gradient': return pictureDot(folded(entryPicture(model, levels.gradient!, 'with gradients'), options));
    case 'simplified': return pictureDot(folded(entryPicture(model, levels.simplified!, 'simplified'), options));
    case 'kernels': return '';
    case 'memory': return '';
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

/** A step of training, or what else the graph does when it does not train. */
function entryPicture(model: Model, graph: Graph, what: string): Picture {
  const entry = graph.entries.find(({ name }) => name === 'train') ?? graph.entries.find(({ name }) => name === 'predict') ?? graph.entries[0]!;
  return graphPicture({ title: `${model.name}, ${entry.name} ${what}`, ...entry, placements: graph.placements });
}
