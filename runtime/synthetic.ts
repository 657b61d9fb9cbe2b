/** Rows of synthetic sources: the program computes all of them before they are used, and keeps them in memory. Works on any platform. */
import { DataError } from './data-error.ts';
import { openDevice } from './device.ts';
import type { CompiledProgram, DataField, SyntheticSource } from './program.ts';
import { setScalars } from './stages.ts';
import type { Column } from './stored-tensor.ts';
import { valueProblem } from './stored-tensor.ts';
import { elementCount, newTensorArray, viewOf } from './tensor.ts';

/** The columns of each synthetic source, by its name. Numbers depend on the seed in the model's file alone, as a split of rows does. */
export async function syntheticColumns(program: CompiledProgram): Promise<ReadonlyMap<string, readonly Column[]>> {
  const { memory, scalars, synthetic, data } = program;
  const columns = new Map<string, readonly Column[]>();
  if (synthetic === null) return columns;
  const numbers = [scalars.seed, scalars.step, scalars.steps].map(offset => new Int32Array(memory, offset, 1));
  const [seed, step, steps] = numbers.map(view => view[0]!) as [number, number, number];
  for (const source of synthetic.sources) {
    const { fields } = data!.sources.find(other => other.name === source.name)!;
    columns.set(source.name, await computedColumns(program, source, fields));
  }
  setScalars(program, seed, step, steps);
  return columns;
}

export async function computedColumns(program: CompiledProgram, source: SyntheticSource, fields: readonly DataField[]): Promise<Column[]> {
  const { name, rows, entry } = source;
  await openDevice(program);
  const held = entry.results.map(place => {
    const size = elementCount(place.shape) / entry.rows;
    return { place, size, view: viewOf(program.memory, place), values: newTensorArray(place.dtype, rows * size) };
  });
  for (let first = 0; first < rows; first += entry.rows) {
    setScalars(program, program.data!.seed, first, 0);
    entry.run();
    if (program.device !== null) await program.device.fetch(entry.results);
    const count = Math.min(entry.rows, rows - first);
    for (const { size, view, values } of held) values.set(view.subarray(0, count * size), first * size);
  }
  return held.map(({ place, size, values }): Column => {
    const field = fields.find(other => other.input === place.name)!;
    for (let i = 0; i < values.length; i++) {
      const value = values[i]!;
      const problem = Number.isFinite(value) ? field.below === null ? null : valueProblem(value, field) : `\`${place.name}\` is ${value}`;
      if (problem !== null) throw new DataError(`row ${Math.floor(i / size)} of the synthetic source \`${name}\`: ${problem}`);
    }
    return {
      input: place.name, place: name, rows, inMemory: true, overlap: null, unchecked: false,
      read: (row, target, at) => {
        for (let i = 0, from = row * size; i < size; i++) target[at + i] = values[from + i]!;
      },
    };
  });
}
