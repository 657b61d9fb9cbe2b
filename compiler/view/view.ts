/**
 * Pictures of every level that a model goes through, as DOT text: the model as written, its graphs, the kernels of a training
 * step and the places of its tensors in memory; and such a text as an image.
 */
import { createRequire } from 'node:module';
import { Resvg, renderAsync } from '@resvg/resvg-js';
import { renderGraphFromSource } from 'graphviz-cli';
import type { Graph } from '../ir/graph.ts';
import { entryName, type Model, type Stage as ModelStage } from '../ir/model.ts';
import type { ProgramEntry } from '../ir/program.ts';
import type { Levels } from '../pipeline.ts';
import { pictureDot } from './dot.ts';
import { graphPicture } from './graph-picture.ts';
import { kernelPicture } from './kernel-picture.ts';
import { memoryDot } from './memory-picture.ts';
import { foldPicture, foldToFit, type Heat, type Picture } from './picture.ts';

export type Stage = 'source' | 'forward' | 'gradient' | 'simplified' | 'kernels' | 'memory';

export interface ViewOptions {
  /** Layers nested deeper become one box each; absent: as deep as a picture of a readable size allows. */
  readonly depth?: number;
  /** Of the models of a file the one that is drawn; absent: the last. */
  readonly stage?: ModelStage;
}

/** Boxes that fit a picture one can still read; those of kernels are large. */
const readable = 120;
const readableKernels = 60;

/** The picture of a stage. `levels` must hold the level that it shows, and the model. */
export function view(levels: Levels, stage: Stage, { depth, stage: one }: ViewOptions = {}): string {
  const model = levels.model!;
  const of = one ?? model.stages.at(-1)!;
  const folded = (picture: Picture, most: number): string =>
    pictureDot(depth === undefined ? foldToFit(picture, most) : foldPicture(picture, { depth, updateDepth: depth, expressions: false }));
  switch (stage) {
    case 'source':
      return pictureDot(foldPicture(forwardPicture(of, 'as written'), { depth: depth ?? 0, updateDepth: 0, expressions: true }));
    case 'forward': return folded(forwardPicture(of, 'forward'), readable);
    case 'gradient': return folded(entryPicture(model, of, levels.gradient!, 'with gradients'), readable);
    case 'simplified': return folded(entryPicture(model, of, levels.simplified!, 'simplified'), readable);
    case 'kernels': {
      const entry = chosen(model, of, levels.program!.entries);
      return folded(kernelPicture(`${model.name}, kernels of ${entry.name}`, levels.program!, entry), readableKernels);
    }
    case 'memory': {
      const entry = chosen(model, of, levels.program!.entries);
      return memoryDot(`${model.name}, memory of ${entry.name}`, levels.program!, entry);
    }
    default: return stage satisfies never;
  }
}

/** The kernels of an entry, coloured by the time of each call; null where it was not measured. */
export function heatView({ model, program }: Levels, entry: ProgramEntry, heats: readonly (Heat | null)[], note: string): string {
  const picture = kernelPicture(`${model!.name}, time of the kernels of ${entry.name}`, program!, entry, heats);
  return pictureDot(foldToFit({ ...picture, notes: [...picture.notes, note] }, readableKernels));
}

function forwardPicture(stage: ModelStage, what: string): Picture {
  const { loss, losses, metrics, outputs, updates } = stage.training;
  // Several losses are among the metrics; their sum is not what anyone wrote.
  const results = [...(loss === null || losses.length > 1 ? [] : [{ name: 'loss', value: loss }]), ...metrics, ...outputs];
  return graphPicture({ title: `${stage.model}, ${what}`, results, updates, placements: [] });
}

/** A step of training, or one of the batches that make a step, or what else the program does when it does not train. */
const chosen = <E extends { readonly name: string }>(model: Model, stage: ModelStage, entries: readonly E[]): E =>
  ['accumulate', 'train', 'predict', 'predict_once', 'initialise'].flatMap(wanted => entries.filter(({ name }) => name === entryName(model, stage, wanted)))[0]!;

function entryPicture(model: Model, stage: ModelStage, graph: Graph, what: string): Picture {
  const entry = chosen(model, stage, graph.entries);
  return graphPicture({ title: `${model.name}, ${entry.name} ${what}`, ...entry, placements: graph.placements });
}

/** A DOT text as an image, laid out by graphviz. A PNG is the same on every machine: its font comes with nabla. */
export async function render(dot: string, format: 'svg' | 'png'): Promise<Uint8Array> {
  const svg = await renderGraphFromSource({ input: dot }, { format: 'svg' }).catch((cause: unknown) => {
    throw new Error('the picture is too large to be laid out: draw fewer boxes, with a smaller `--depth`', { cause });
  });
  // Labels of lines begin with a space that keeps them off the line; it would be dropped. Not every machine has Helvetica, but most
  // have a font of the same widths.
  const spaced = svg.replace('<svg ', '<svg xml:space="preserve" ')
    .replaceAll('"Helvetica,sans-Serif"', '"Helvetica, Arial, Liberation Sans, sans-serif"');
  return format === 'svg' ? new TextEncoder().encode(spaced) : renderPng(spaced);
}

/** Pixels of a PNG per CSS pixel, which makes 144 to the inch, and the most in all: larger pictures are drawn coarser. */
const pngScale = 1.5;
const mostPixels = 64e6;

async function renderPng(svg: string): Promise<Uint8Array> {
  // Arimo has the widths of Helvetica, for which graphviz makes the boxes.
  const fontFile = createRequire(import.meta.url).resolve('@expo-google-fonts/arimo/400Regular/Arimo_400Regular.ttf');
  const font = { fontFiles: [fontFile], loadSystemFonts: false, defaultFontFamily: 'Arimo' };
  const { width, height } = new Resvg(svg, { font });
  const value = Math.min(pngScale, Math.sqrt(mostPixels / (width * height)));
  return (await renderAsync(svg, { font, fitTo: { mode: 'zoom', value } })).asPng();
}
