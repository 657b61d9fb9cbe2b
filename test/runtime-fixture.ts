/** A small compiled program written by hand for tests of the runtime: linear regression by gradient descent with momentum. */
import type { CompiledProgram, DataSettings, Entry, Stage, TensorPlace, TrainSettings } from '../runtime/program.ts';
import { random } from '../runtime/random.ts';
import { csvColumns, idxColumns, imagesColumns, jsonlColumns, npyColumns, npzColumns, safetensorsColumns } from '../runtime/source-readers.ts';
import { viewOf } from '../runtime/tensor.ts';
import { textColumns } from '../runtime/text-source.ts';

export const defaultSettings: TrainSettings = {
  epochs: null, steps: 40, seed: 7, clipNorm: null, accumulate: 1, ema: null, precision: 'f32', memory: null,
  evaluateEvery: { count: 10, unit: 'steps' }, checkpointEvery: null, checkpointKeep: 1, earlyStop: null,
};

const npyField = (input: string, shape: readonly number[]): DataSettings['sources'][number]['fields'][number] =>
  ({ input, dtype: 'f32', shape, file: `${input}.npy`, columns: [], categorical: false, picture: false, tokens: null, below: null });

export const npyData: DataSettings = {
  sources: [{ name: 'train', format: 'npy', fields: [npyField('x', [3]), npyField('y', [])], separator: ',', header: true, stride: null }],
  shuffle: true, split: null, holdOut: 5, seed: 7,
};

const readers = {
  csv: csvColumns, idx: idxColumns, npy: npyColumns, npz: npzColumns, safetensors: safetensorsColumns,
  text: textColumns, jsonl: jsonlColumns, images: imagesColumns,
};

/** loss = mean (x · w + b - y)², metric error = mean |x · w + b - y|; batch 4. From step `poison` on the loss is NaN. */
export function linearProgram(
  settings: Partial<TrainSettings> = {}, data: DataSettings | null = npyData, poison = Infinity, slow = 0,
): CompiledProgram {
  const memory = new ArrayBuffer(4096);
  let offset = 0;
  const place = (name: string, shape: readonly number[], dtype: TensorPlace['dtype'] = 'f32'): TensorPlace => {
    const result = { name, dtype, shape, offset };
    offset += Math.ceil((shape.reduce((a, b) => a * b, 1) * 4) / 64) * 64;
    return result;
  };
  const batch = 4;
  const inputs = [{ ...place('x', [batch, 3]), below: null }, { ...place('y', [batch]), below: null }];
  const [w, b, mw, mb, gw, gb] = [place('w', [3]), place('b', []), place('optimizer.m.w', [3]), place('optimizer.m.b', []), place('w', [3]), place('b', [])];
  const [loss, error, lr, gradNorm, outputs, rowOutput] = [place('loss', []), place('error', []), place('lr', []), place('grad_norm', []),
    place('prediction', [batch]), place('prediction', [1])];
  const scalars = { seed: offset, step: offset + 4, steps: offset + 8, learningRateFactor: offset + 12 };
  const words = new Int32Array(memory);
  const f = (at: TensorPlace): Float32Array => viewOf(memory, at) as Float32Array;
  const [x, y, W, B, MW, MB, GW, GB] = [inputs[0]!, inputs[1]!, w, b, mw, mb, gw, gb].map(f) as
    [Float32Array, Float32Array, Float32Array, Float32Array, Float32Array, Float32Array, Float32Array, Float32Array];
  const guess = (row: number): number => x[3 * row]! * W[0]! + x[3 * row + 1]! * W[1]! + x[3 * row + 2]! * W[2]! + B[0]!;
  const forward = (rows: number): void => {
    let squares = 0;
    let absolute = 0;
    for (let row = 0; row < rows; row++) {
      const difference = guess(row) - y[row]!;
      squares += difference * difference;
      absolute += Math.abs(difference);
    }
    f(loss)[0] = squares / rows;
    f(error)[0] = absolute / rows;
  };
  const update = (): void => {
    const [step, steps] = [words[scalars.step / 4]!, words[scalars.steps / 4]!];
    if (slow > 0) for (const until = performance.now() + slow; performance.now() < until;);
    forward(batch);
    GW.fill(0);
    GB.fill(0);
    for (let row = 0; row < batch; row++) {
      const difference = (2 * (guess(row) - y[row]!)) / batch;
      for (let i = 0; i < 3; i++) GW[i]! += difference * x[3 * row + i]!;
      GB[0]! += difference;
    }
    f(lr)[0] = new Float32Array(memory, scalars.learningRateFactor, 1)[0]! * 0.05 * (1 - (step - 1) / steps);
    f(gradNorm)[0] = Math.hypot(...GW, ...GB);
    for (const [p, m, g] of [[W, MW, GW], [B, MB, GB]] as const) {
      for (let i = 0; i < p.length; i++) p[i]! -= f(lr)[0]! * (m[i] = 0.9 * m[i]! + g[i]!);
    }
    if (step >= poison) {
      f(loss)[0] = NaN;
      W.fill(NaN);
    }
  };
  const predictInto = (at: TensorPlace): void => {
    for (let row = 0; row < at.shape[0]!; row++) f(at)[row] = guess(row);
  };
  const entry = (run: () => void, names: readonly string[], results: readonly TensorPlace[], rows: number): Entry => ({ run, number: 0, inputs: names, results, rows });
  return {
    name: 'Linear', source: 'abc123', memory, device: null, threads: null, batched: true, inputs,
    parameters: [w, b], states: [mw, mb], scalars, data, readers, tokenizers: [], pictures: null, synthetic: null,
    stages: [{
      name: 'Linear', model: 'Linear', batched: true, inputs: ['x', 'y'], gradients: [gw, gb],
      initialise: () => {
        for (let i = 0; i < 3; i++) W[i] = random(words[scalars.seed / 4]!, 0, 0, i) - 0.5;
        for (const values of [B, MW, MB]) values.fill(0);
      },
      accumulate: null,
      gradientNorm: null,
      train: entry(update, ['x', 'y'], [loss, error, lr, gradNorm], batch),
      evaluate: entry(() => forward(batch), ['x', 'y'], [loss, error], batch),
      evaluateRow: entry(() => forward(1), ['x', 'y'], [loss, error], 1),
      predict: entry(() => predictInto(outputs), ['x'], [outputs], batch),
      generator: null,
      predictRow: entry(() => predictInto(rowOutput), ['x'], [rowOutput], 1),
      predictOnce: null,
      settings: { ...defaultSettings, ...settings }, flopsPerStep: 100,
    }],
  };
}

/** The same program on a device: its memory is out of reach, and nothing comes back from it before it is waited for. */
export function deviceProgram(program: CompiledProgram): CompiledProgram {
  const memory = new ArrayBuffer(program.memory.byteLength);
  const window = 8;
  const later = (): Promise<void> => new Promise(resolve => setTimeout(resolve, 1));
  const copy = (from: ArrayBuffer, to: ArrayBuffer, places: readonly TensorPlace[]): void =>
    places.forEach(place => viewOf(to, place).set(viewOf(from, place)));
  const scalars = Object.entries(program.scalars).map(([name, offset]): TensorPlace => ({ name, dtype: 'i32', shape: [], offset: offset! }));
  const kept = new Map<Entry, number[][]>();
  let isOpen = false;
  const requireOpen = (): void => {
    if (!isOpen) throw new Error('the device is not open');
  };
  const remote = (entry: Entry): Entry => {
    const made: Entry = {
      ...entry,
      run: () => {
        requireOpen();
        copy(memory, program.memory, [...scalars, ...program.inputs.filter(input => entry.inputs.includes(input.name))]);
        entry.run();
        const values = entry.results.map(result => viewOf(program.memory, result)[0]!);
        kept.set(made, [...(kept.get(made) ?? []), values].slice(-window));
      },
    };
    return made;
  };
  const made = <T extends Entry | null>(entry: T): T => (entry === null ? entry : remote(entry) as T);
  return {
    ...program, memory,
    device: {
      open: async () => {
        await later();
        isOpen = true;
      },
      fetch: async places => {
        requireOpen();
        const snapshot = program.memory.slice(0);
        await later();
        copy(snapshot, memory, places);
      },
      send: places => {
        requireOpen();
        copy(memory, program.memory, places);
      },
      recent: async (entry, runs) => {
        const values = kept.get(entry)!.slice(-runs).flat();
        if (values.length !== runs * entry.results.length) throw new Error(`only the last ${window} runs are kept`);
        await later();
        return Float64Array.from(values);
      },
      window,
    },
    stages: program.stages.map(stage => ({
      ...stage,
      initialise: () => remote({ run: stage.initialise, number: 0, inputs: [], results: [], rows: 0 }).run(),
      accumulate: stage.accumulate && { ...stage.accumulate, batch: made(stage.accumulate.batch) },
      train: made(stage.train), gradientNorm: made(stage.gradientNorm),
      evaluate: made(stage.evaluate), evaluateRow: made(stage.evaluateRow), predict: made(stage.predict), predictRow: made(stage.predictRow), predictOnce: made(stage.predictOnce),
    })),
  };
}

/** The stage of a program that has one. */
export const onlyStage = (program: CompiledProgram): Stage => program.stages[0]!;

/** The program with its only stage changed. */
export const withStage = (program: CompiledProgram, change: Partial<Stage>): CompiledProgram =>
  ({ ...program, stages: [{ ...onlyStage(program), ...change }] });

/** Rows of x and y = 2 x₀ - x₁ + x₂ / 2 + 1. */
export function linearRows(rows: number): { x: Float32Array; y: Float32Array } {
  const x = Float32Array.from({ length: 3 * rows }, (_, i) => random(1, 99, 0, i) * 2 - 1);
  const y = Float32Array.from({ length: rows }, (_, i) => 2 * x[3 * i]! - x[3 * i + 1]! + x[3 * i + 2]! / 2 + 1);
  return { x, y };
}
