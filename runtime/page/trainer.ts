/**
 * The trainer of a page: a web worker that holds the program, trains it, and answers between two steps. All that happens to the program
 * happens here, one thing after another.
 */
import type { AnyRows } from '../application.ts';
import { rowsOfFiles, savedBytes } from '../application.ts';
import { memoryBytes } from '../bytes.ts';
import type { Classes } from '../table.ts';
import { DataError, messageOf } from '../data-error.ts';
import { openDevice } from '../device.ts';
import type { Results } from '../evaluate.ts';
import type { History } from '../history.ts';
import { historyLimit, newHistory, recordLoss } from '../history.ts';
import { predictRows, predictWithoutRows } from '../predict.ts';
import type { CompiledProgram } from '../program.ts';
import type { ProgramData, RowSet } from '../row-set.ts';
import { rowShapeOf } from '../row-set.ts';
import { generatingStage, initialiseProgram, setLearningRateFactor, stageNamed, stageTitle, trainedStages } from '../stages.ts';
import type { TensorArray } from '../tensor.ts';
import { elementCount, newTensorArray } from '../tensor.ts';
import type { Progress, StageRun, TrainOutcome, TrainPlan } from '../training.ts';
import { letOthersRun, newProgress, planOf, runTraining, silentReporter, stageRuns, usableFactor } from '../training.ts';
import { readWeights } from '../weights.ts';
import type { ChangedSettings, DataFacts, GenerationFacts, LearningCurve, NamedBytes, PageSettings, PictureFacts, ProgramFacts, ProgressFacts, TrainerReport, TrainerRequest } from './messages.ts';
import { pictureFacts, pictureShapeOf } from './picture.ts';

/** What a worker has of its page. */
export interface TrainerPort {
  onmessage: ((event: { readonly data: TrainerRequest }) => void) | null;
  readonly postMessage: (report: TrainerReport, transfer?: readonly ArrayBufferLike[]) => void;
}

/** Milliseconds between two reports of progress. */
export const reportEvery = 100;

export function startTrainer(program: CompiledProgram): void {
  const port = globalThis as unknown as TrainerPort;
  const send = (report: TrainerReport, ...transfer: readonly ArrayBufferLike[]): void => port.postMessage(report, transfer);
  const requests: TrainerRequest[] = [];
  let data: ProgramData = { train: null, test: null };
  /** Weights that somebody has loaded, for runs to start from. */
  let initial: NamedBytes | null = null;
  let run: { readonly stages: readonly StageRun[]; paused: boolean; stopped: boolean } | null = null;
  let busy = false;
  let wake = (): void => undefined;
  const state = (next: 'idle' | 'running' | 'paused' | 'finished', note: string | null = null): void =>
    send({ kind: 'state', state: next, threads: program.threads?.count() ?? 1, note });

  const restore = (): void => {
    initialiseProgram(program, undefined);
    if (initial !== null) readWeights(program, memoryBytes(initial.name, initial.bytes));
  };

  const train = async (settings: PageSettings): Promise<void> => {
    const runs = settings.changed === null ? stageRuns(program, data, settings) : [changedRun(program, data, settings.changed, settings.learningRateFactor)];
    initialiseProgram(program, settings.changed?.seed);
    if (initial !== null) readWeights(program, memoryBytes(initial.name, initial.bytes));
    const note = await startThreads(program, settings.threads);
    const current = { stages: runs, paused: false, stopped: false };
    run = current;
    state('running', note);
    try {
      let outcome: TrainOutcome = 'finished';
      for (const each of runs) {
        const reporter = progressReporter(stageTitle(program, each.stage), facts => send({ kind: 'progress', progress: facts }));
        outcome = await runTraining(program, each, data, {
          reporter,
          log: null,
          checkpoint: async () => undefined,
          interrupted: () => current.stopped,
          letOthersRun: async () => {
            await letOthersRun();
            await answer();
            while (current.paused && !current.stopped) {
              await new Promise<void>(resolve => {
                wake = resolve;
              });
              await answer();
              reporter.rested();
            }
          },
        });
        if (outcome === 'interrupted') break;
        reporter.finish(each.plan, each.progress);
      }
      if (outcome === 'interrupted') restore();
      state(outcome === 'interrupted' ? 'idle' : 'finished', outcome === 'stopped early' ? 'stopped early: the test loss no longer falls' : null);
    } catch (error) {
      state('idle');
      throw error;
    } finally {
      run = null;
    }
  };

  const handle = async (request: TrainerRequest): Promise<void> => {
    switch (request.kind) {
      case 'files': {
        const opened = await openFiles(program, request.files);
        data = opened.data;
        return send({ kind: 'data', facts: opened.facts });
      }
      case 'start': return train(request.settings);
      case 'learningRateFactor':
        if (run === null) return;
        for (const { progress } of run.stages) progress.learningRateFactor = usableFactor(program, request.factor);
        return setLearningRateFactor(program, request.factor);
      case 'pause':
        if (run === null) return;
        run.paused = true;
        return state('paused');
      case 'resume':
        if (run === null) return;
        run.paused = false;
        return state('running');
      case 'reset':
        initial = null;
        if (run !== null) run.stopped = true;
        else {
          restore();
          state('idle');
        }
        return;
      case 'save': {
        const bytes = await savedBytes(program);
        return send({ kind: 'weights', bytes }, bytes.buffer);
      }
      case 'load':
        if (run !== null) throw new DataError('weights can be loaded when training is over: reset it first');
        readWeights(program, memoryBytes(request.file.name, request.file.bytes));
        initial = request.file;
        return send({ kind: 'loaded', name: request.file.name });
      case 'example': return send({ kind: 'example', rows: exampleOf(program, data.test ?? data.train) });
      case 'predict': return send({ kind: 'prediction', outputs: await predictRows(program, stageNamed(program, undefined), request.rows) });
      case 'generate': {
        const { stage, generator } = generatingStage(program);
        const { outputs } = await generator.draw(program, stage, generator, {
          prompt: request.prompt, temperature: request.temperature, seed: request.seed, letOthersRun,
          write: piece => send({ kind: 'text', piece }),
          interrupted: () => requests.some(({ kind }) => kind === 'stop'),
        });
        return send({ kind: 'generated', outputs });
      }
      case 'stop': return;
      case 'draw': return send({ kind: 'drawn', outputs: await predictWithoutRows(program, stageNamed(program, undefined), request.seed) });
      default: return request satisfies never;
    }
  };
  const answer = async (): Promise<void> => {
    for (let request = requests.shift(); request !== undefined; request = requests.shift()) {
      try {
        await handle(request);
      } catch (error) {
        send({ kind: 'failed', request: request.kind, message: messageOf(error) });
      }
    }
  };
  port.onmessage = async ({ data: request }) => {
    requests.push(request);
    wake();
    if (busy) return;
    busy = true;
    await answer();
    busy = false;
  };
  void openDevice(program).then(() => {
    restore();
    send({ kind: 'ready', facts: factsOf(program) });
  }).catch((error: unknown) => send({ kind: 'failed', request: 'reset', message: messageOf(error) }));
}

/** The only stage that trains, as the page wants it. */
export function changedRun(program: CompiledProgram, data: ProgramData, { length, seed, evaluateEvery }: ChangedSettings, learningRateFactor: number): StageRun {
  const [trained] = trainedStages(program, undefined);
  const stage = { ...trained!, settings: { ...trained!.settings, evaluateEvery: data.test === null ? null : evaluateEvery } };
  const plan = planOf(program, stage, data);
  const steps = length.unit === 'steps' ? length.count : Math.ceil(length.count * plan.stepsPerEpoch);
  return { stage, plan, progress: newProgress(program, stage, plan, { seed, steps, learningRateFactor }) };
}

/** The number of threads given, or one: then the reason is told. */
export async function startThreads(program: CompiledProgram, threads: number): Promise<string | null> {
  try {
    await program.threads?.start(threads);
    return null;
  } catch (error) {
    return messageOf(error);
  }
}

export function factsOf(program: CompiledProgram): ProgramFacts {
  const { name, batched, data, inputs, device, threads, memory } = program;
  const { predict, predictOnce } = stageNamed(program, undefined);
  const trained = program.stages.filter(stage => stage.train !== null);
  return {
    name, batched, data, inputs,
    settings: trained.length === 1 ? trained[0]!.settings : null,
    predictInputs: predict?.inputs ?? [],
    outputs: predict?.results ?? [],
    drawnOutputs: predictOnce?.results ?? [],
    generation: generationOf(program),
    trains: trained.length > 0,
    learningRate: program.scalars.learningRateFactor !== null,
    engine: device !== null ? 'WebGPU' : threads !== null ? 'WebAssembly' : 'JavaScript',
    mostThreads: threads?.most ?? 1,
    alone: threads?.alone ?? null,
    memoryBytes: memory.byteLength,
  };
}

/** What draws tokens, if a prompt is all that it takes. */
export function generationOf({ stages }: CompiledProgram): GenerationFacts | null {
  const generator = stages.find(stage => stage.generator !== null)?.generator ?? null;
  if (generator === null || generator.given.some(name => name !== generator.prompt)) return null;
  const { prompt, settings, sequence, drawn } = generator;
  return { prompt: prompt === null ? null : settings.prompt ?? '', continues: prompt === sequence.name, temperature: settings.temperature, outputs: drawn?.results ?? [] };
}

export async function openFiles(program: CompiledProgram, files: readonly NamedBytes[]): Promise<{ readonly data: ProgramData; readonly facts: DataFacts }> {
  const classes = new Map<string, Classes>();
  const data = await rowsOfFiles(program, new Map(files.map(({ name, bytes }) => [name, bytes])), classes);
  const pictures = new Map<string, PictureFacts>();
  for (const input of program.inputs) {
    const shape = pictureShapeOf(rowShapeOf(input, program.batched), input.dtype);
    if (shape === null || data.train === null) continue;
    pictures.set(input.name, pictureFacts(Array.from({ length: Math.min(256, data.train.count) }, (_, row) => rowAt(program, data.train!, row)[input.name]!), shape));
  }
  return { data, facts: { trainRows: data.train?.count ?? 0, testRows: data.test?.count ?? 0, classes, pictures } };
}

/** Some row of the data. */
export function exampleOf(program: CompiledProgram, set: RowSet | null): AnyRows {
  if (set === null) throw new DataError('there is no data to take an example from: give the data files first');
  return rowAt(program, set, Math.floor(Math.random() * set.count));
}

export function rowAt(program: CompiledProgram, { columns, selection }: RowSet, row: number): AnyRows {
  return Object.fromEntries(columns.map(column => {
    const input = program.inputs.find(({ name }) => name === column.input)!;
    const values: TensorArray = newTensorArray(input.dtype, elementCount(rowShapeOf(input, program.batched)));
    column.read(selection === null ? row : selection[row]!, values, 0);
    return [column.input, values];
  }));
}

/** A reporter that tells of progress now and then, with the curves of metrics, and how fast the steps between two pauses are. */
export function progressReporter(stage: string | null, tell: (facts: ProgressFacts) => void) {
  const histories = new Map<string, History>();
  const smoothed = new Map<string, number>();
  let learningRate: number | null = null;
  let told = 0;
  let counted = { step: 0, time: performance.now() };
  let speed = 0;
  const measure = (step: number): void => {
    const now = performance.now();
    if (now - counted.time < 500) return;
    speed = ((step - counted.step) / (now - counted.time)) * 1000;
    counted = { step, time: now };
  };
  const facts = (plan: TrainPlan, progress: Progress): ProgressFacts => {
    const { step, steps } = progress;
    const stepsASecond = speed > 0 ? speed : ((step - counted.step) / Math.max(performance.now() - counted.time, 1)) * 1000;
    return {
      stage, step, steps,
      epoch: plan.rows === 0 ? null : Math.floor((progress.position - plan.batch) / plan.rows) + 1,
      epochs: Math.floor(((steps - 1) * plan.batch) / Math.max(plan.rows, 1)) + 1,
      values: [{ name: 'loss', value: progress.smoothed ?? NaN }, ...plan.metrics.map(name => ({ name, value: smoothed.get(name) ?? NaN }))],
      learningRate,
      speed: stepsASecond * (plan.rows === 0 ? 1 : plan.batch),
      unit: plan.rows === 0 ? 'steps' : 'examples',
      secondsLeft: (steps - step) / stepsASecond,
      curves: ['loss', ...plan.metrics].map(name => curveOf(name, name === 'loss' ? progress.history : histories.get(name)!, progress.history)),
    };
  };
  return {
    ...silentReporter,
    start: (_: TrainPlan, progress: Progress): void => {
      counted = { step: progress.step, time: performance.now() };
    },
    step: (plan: TrainPlan, progress: Progress, results: Results): void => {
      for (const name of plan.metrics) {
        const value = results[name]!;
        const before = smoothed.get(name) ?? value;
        smoothed.set(name, before + Math.max(0.02, 2 / (progress.step + 1)) * (value - before));
        if (!histories.has(name)) histories.set(name, newHistory());
        recordLoss(histories.get(name)!, progress.step, value);
      }
      learningRate = results['lr'] ?? null;
      if (performance.now() - told < reportEvery) return;
      measure(progress.step);
      tell(facts(plan, progress));
      told = performance.now();
    },
    finish: (plan: TrainPlan, progress: Progress): void => tell(facts(plan, progress)),
    /** After a pause, which counts for no speed. */
    rested: (): void => {
      counted = { ...counted, time: performance.now() };
      speed = 0;
    },
  };
}

/** Of very many evaluations only some are told. */
export function curveOf(name: string, training: History, { evaluations }: History): LearningCurve {
  const apart = Math.ceil(evaluations.length / historyLimit);
  const tested = evaluations.filter(({ results }, i) => results[name] !== undefined && (i % apart === 0 || i === evaluations.length - 1));
  return {
    name,
    training: { steps: training.losses.map(({ step }) => step), values: training.losses.map(({ value }) => value) },
    test: { steps: tested.map(({ step }) => step), values: tested.map(({ results }) => results[name]!) },
  };
}
