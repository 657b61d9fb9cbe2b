/**
 * `nabla cost`: what a training step costs, by layer: parameters, FLOPs of the scheduled graph by phase, and the bytes that its
 * kernels read and write. A fused kernel's bytes count for the last of its layers. What is recomputed counts as part of the backward
 * pass. Where several batches make a step, all of them are counted. Without a train block, evaluation is shown.
 */
import type { Levels } from '../index.ts';
import { entryRoots, topological, type Entry, type Origin, type Phase } from '../ir/graph.ts';
import { entryName, memoryLimit, type Stage } from '../ir/model.ts';
import { timesOfCall, type Access } from '../ir/program.ts';
import { enclosingScans, scanOf, scansAround } from '../ir/scan.ts';
import { elementBytes, elements, size } from '../ir/type.ts';
import { isPrimitive } from '../ops/define.ts';
import { chosenStage, compileFile, type CompileFlags, type ModelFlag } from './compile-file.ts';
import { printTable } from './table.ts';

export interface Cost {
  readonly layer: string;
  readonly parameters: number;
  readonly forwardFlops: number;
  readonly backwardFlops: number;
  readonly updateFlops: number;
  readonly bytesRead: number;
  readonly bytesWritten: number;
}

export interface CostSheet {
  readonly model: string;
  readonly batch: number;
  /** How many batches of so many rows are counted: those of a step. */
  readonly batches: number;
  /** The entry whose run is counted: `train`, or `evaluate` or `predict` in a model that is not trained. */
  readonly entry: string;
  readonly layers: readonly Cost[];
  readonly total: Cost;
  readonly arenaBytes: number;
  /** What is computed once more for the backward pass: in blocks, and under a memory limit, which is null where there is none. */
  readonly recomputed: { readonly limitBytes: number | null; readonly values: number; readonly flops: number };
}

export function runCost(path: string, flags: CompileFlags & ModelFlag & { readonly json?: boolean }): number {
  const levels = compileFile(path, 'schedule', flags);
  const sheet = costSheet(levels, chosenStage(levels.model, flags.model));
  process.stdout.write(flags.json ? `${JSON.stringify(sheet, null, 2)}\n` : printSheet(sheet));
  return 0;
}

/** The costs of a scheduled model, of the last stage unless another is given. */
export function costSheet({ model, scheduled, program }: Levels, stage: Stage = model!.stages.at(-1)!): CostSheet {
  const named = (what: string): Entry | undefined => scheduled!.entries.find(other => other.name === entryName(model!, stage, what));
  const entry = named('train') ?? named('evaluate') ?? named('predict') ?? named('predict_once') ?? named('initialise')!;
  const accumulate = named('accumulate');
  const batches = accumulate === undefined ? 1 : stage.settings.accumulate;
  const runs = [...(accumulate === undefined ? [] : [{ run: accumulate, times: batches }]), { run: entry, times: 1 }];
  const layers = new Map<string, Cost>();
  const add = (layer: string, part: Partial<Cost>): void => {
    const before = layers.get(layer) ?? nothing(layer);
    layers.set(layer, { ...sum(before, { ...nothing(layer), ...part }), layer });
  };
  let recomputed = { values: 0, flops: 0 };
  // In the order of the model's text: parameters are listed so.
  for (const { leaf } of stage.parameters) add(layerOf(leaf.leaf!.name.split('.').slice(0, -1)), { parameters: elements(leaf.type) });
  for (const { run, times } of runs) {
    const values = topological(entryRoots(run));
    const inside = enclosingScans(values.flatMap(value => scanOf(value) ?? []));
    for (const value of values) {
      if (value.op === null || !isPrimitive(value.op.definition)) continue;
      const turns = size(scansAround(value, inside).map(({ length }) => length.extent));
      const flops = turns * value.op.definition.flops(value.operands.map(operand => operand.type), value.attrs, value.type);
      if (value.origin?.phase === 'recompute') recomputed = { values: recomputed.values + 1, flops: recomputed.flops + times * flops };
      if (flops > 0) add(ownerOf(value.origin), { [flopsOf[value.origin?.phase ?? 'update']]: times * flops });
    }
    for (const call of program!.entries.find(other => other.name === run.name)!.calls) {
      const { operands, outputs } = program!.kernels[call.kernel]!;
      // What the calls of a loop pass to each other stays in the caches.
      const moved = (accesses: readonly Access[], buffers: readonly number[]): number =>
        times * timesOfCall(call) * bytesOf(accesses.filter((_, i) => program!.buffers[buffers[i]!]!.role !== 'private'));
      const origin = call.origins.findLast(candidate => candidate.scope.length > 0) ?? call.origins.at(-1) ?? null;
      add(ownerOf(origin), { bytesRead: moved(operands, call.reads), bytesWritten: moved(outputs, call.writes) });
    }
  }
  const all = [...layers.values()];
  return {
    model: model!.stages.length === 1 ? model!.name : stage.name, batch: stage.batch, batches, entry: entry.name, layers: all,
    total: all.reduce((a, b) => ({ ...sum(a, b), layer: 'total' }), nothing('total')), arenaBytes: program!.arenaBytes,
    recomputed: { limitBytes: memoryLimit(model!)?.bytes ?? null, ...recomputed },
  };
}

const nothing = (layer: string): Cost =>
  ({ layer, parameters: 0, forwardFlops: 0, backwardFlops: 0, updateFlops: 0, bytesRead: 0, bytesWritten: 0 });

const sum = (a: Cost, b: Cost): Cost => ({
  layer: a.layer,
  parameters: a.parameters + b.parameters,
  forwardFlops: a.forwardFlops + b.forwardFlops,
  backwardFlops: a.backwardFlops + b.backwardFlops,
  updateFlops: a.updateFlops + b.updateFlops,
  bytesRead: a.bytesRead + b.bytesRead,
  bytesWritten: a.bytesWritten + b.bytesWritten,
});

const flopsOf = {
  forward: 'forwardFlops', recompute: 'backwardFlops', backward: 'backwardFlops', update: 'updateFlops', initialise: 'updateFlops',
} as const satisfies Record<Phase, keyof Cost>;

const layerOf = (scope: readonly string[]): string => (scope.length === 0 ? '(model)' : scope.join('.'));
const ownerOf = (origin: Origin | null): string => (origin === null || origin.phase === 'update' ? '(optimizer)' : layerOf(origin.scope));
const bytesOf = (accesses: readonly Access[]): number =>
  accesses.reduce((total, { shape, dtype }) => total + size(shape) * elementBytes(dtype), 0);

function printSheet({ model, batch, batches, entry, layers, total, arenaBytes, recomputed }: CostSheet): string {
  const rows = [...layers, total].map(cost => [
    cost.layer, cost.parameters.toLocaleString('en-US'),
    ...[cost.forwardFlops, cost.backwardFlops, cost.updateFlops, cost.bytesRead, cost.bytesWritten].map(short),
  ]);
  const { limitBytes, values, flops } = recomputed;
  const again = values === 0 && limitBytes === null ? '' : `  ${limitBytes === null ? '' : `within memory ${short(limitBytes)}B: `}${values === 0
    ? 'nothing is recomputed' : `${values} values recomputed, ${short(flops)} FLOPs more a step, counted as backward`}\n`;
  const head = ['layer', 'parameters', 'forward', 'backward', 'update', 'bytes read', 'bytes written'];
  const taken = `${batches === 1 ? '' : `${batches} batches of `}${batch} ${batch === 1 ? 'row' : 'rows'}`;
  return `${model}, one run of \`${entry}\` on ${taken}; forward, backward and update in FLOPs\n\n`
    + `${printTable(head, rows)}\n  memory: one arena of ${short(arenaBytes)} bytes\n${again}`;
}

/** Four digits and a decimal prefix. */
function short(count: number): string {
  const prefix = ['', 'k', 'M', 'G', 'T', 'P'];
  let power = 0;
  let value = count;
  for (; value >= 1000 && power < prefix.length - 1; power++) value /= 1000;
  return power === 0 ? String(count) : `${Number(value.toPrecision(4))} ${prefix[power]!}`;
}
