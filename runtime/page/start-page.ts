/** The page: starts the trainer in a web worker, shows what it reports, and hands on what is done with buttons, fields and files. */
import { bytesOfBase64 } from '../machine.ts';
import { showCount, showDuration, showNumber } from '../progress-line.ts';
import type { Interval } from '../program.ts';
import { rowShapeOf } from '../row-set.ts';
import type { TensorArray } from '../tensor.ts';
import { elementCount } from '../tensor.ts';
import { showCurves } from './curves.ts';
import type { DataNames } from './data-files.ts';
import { bytesOfFiles, namesOfChosen, partsOf, unbundled } from './data-files.ts';
import type { ChosenFile } from './dom.ts';
import { byId, download, make, onFiles } from './dom.ts';
import type { InputPart } from './drawing.ts';
import { drawingPart } from './drawing.ts';
import { fieldsPart } from './fields.ts';
import type { DataFacts, NamedBytes, NamedValue, ProgramFacts, ProgressFacts, TrainerReport, TrainerRequest, TrainerState } from './messages.ts';
import { pictureShapeOf } from './picture.ts';
import { outputPart } from './prediction.ts';
import type { Samples } from './samples.ts';
import { openSamples } from './samples.ts';
import { openServed } from './served.ts';
import type { Writing } from './writing.ts';
import { openWriting } from './writing.ts';

/** What the page carries beside the program, as JSON. */
export interface PageFacts extends DataNames {
  /** The page is served, and its data files with it. */
  readonly served: boolean;
}

export function startPage(): void {
  const facts = JSON.parse(byId('facts').textContent) as PageFacts;
  const programs = [...document.querySelectorAll('script.program')].map(script => script.textContent);
  let trainer: Worker;
  const send = (request: TrainerRequest): void => trainer.postMessage(request);
  const page: PageParts = { send, drawCurves: showCurves(), program: null, data: null, state: 'idle', tryOut: null, samples: null, writing: null };
  /** Starts the first program that runs here, from this one on. */
  const startTrainerOf = (number: number, note: string): void => {
    const url = URL.createObjectURL(new Blob([programs[number]!], { type: 'text/javascript' }));
    // A classic worker: pages from the disk may start no others.
    trainer = new Worker(url);
    trainer.onerror = event => tell(`the trainer stopped: ${event.message}`, true);
    trainer.onmessage = ({ data: report }: MessageEvent<TrainerReport>) => {
      if (report.kind === 'ready') {
        page.program = report.facts;
        showProgram(report.facts);
        page.samples = openSamples(report.facts, send);
        page.writing = openWriting(report.facts, send);
        tell(note, false);
        openFilesPanel(page, facts);
      } else if (report.kind === 'failed' && page.program === null && number + 1 < programs.length) {
        trainer.terminate();
        startTrainerOf(number + 1, `Not on a GPU: ${report.message}`);
      } else take(page, report);
    };
  };
  startTrainerOf(0, '');
  byId('start').addEventListener('click', () => pressStart(page));
  byId<HTMLInputElement>('learning-rate-factor').addEventListener('change', ({ target }) => {
    const field = target as HTMLInputElement;
    if (field.reportValidity()) send({ kind: 'learningRateFactor', factor: Number(field.value) });
  });
  byId('reset').addEventListener('click', () => send({ kind: 'reset' }));
  byId('save').addEventListener('click', () => send({ kind: 'save' }));
  onFiles(byId('weights'), [byId<HTMLInputElement>('load')], async ([chosen]) => {
    if (chosen !== undefined) send({ kind: 'load', file: { name: chosen.path, bytes: new Uint8Array(await chosen.file.arrayBuffer()) } });
  });
  if (facts.served) openServed(() => page.state === 'running' || page.state === 'paused');
}

export interface PageParts {
  readonly send: (request: TrainerRequest) => void;
  readonly drawCurves: ReturnType<typeof showCurves>;
  program: ProgramFacts | null;
  data: DataFacts | null;
  state: TrainerState;
  tryOut: TryOut | null;
  samples: Samples | null;
  writing: Writing | null;
}

/** What the trainer says once it has begun. */
export function take(page: PageParts, report: Exclude<TrainerReport, { readonly kind: 'ready' }>): void {
  switch (report.kind) {
    case 'data':
      page.data = report.facts;
      byId('rows').textContent = [`${report.facts.trainRows.toLocaleString('en-US')} rows to train on`,
        ...(report.facts.testRows > 0 ? [`${report.facts.testRows.toLocaleString('en-US')} to test on`] : [])].join(', ');
      showState(page);
      page.tryOut = openTryOut(page);
      return;
    case 'state':
      page.state = report.state;
      if (report.state === 'running') showEngine(page.program!, report.threads);
      if (report.state === 'idle') {
        page.drawCurves([]);
        showProgress(null);
      }
      tell(report.note ?? '', false);
      showState(page);
      page.tryOut?.predict();
      if (report.state === 'paused' || report.state === 'finished') page.samples?.draw();
      return;
    case 'progress':
      showProgress(report.progress);
      page.drawCurves(report.progress.curves);
      page.tryOut?.predict();
      return;
    case 'example': return page.tryOut?.example(report.rows);
    case 'prediction': return page.tryOut?.show(report.outputs);
    case 'drawn': return page.samples?.show(report.outputs);
    case 'text': return page.writing?.add(report.piece);
    case 'generated': return page.writing?.finished(report.outputs);
    case 'weights': return download(`${page.program!.name}.safetensors`, report.bytes);
    case 'loaded':
      tell(`${report.name} is loaded: predictions use its weights, and training starts from them`, false);
      page.tryOut?.predict();
      page.samples?.draw();
      return;
    case 'failed':
      if (report.request === 'predict') return page.tryOut?.failed(report.message);
      if (report.request === 'draw') return page.samples?.failed(report.message);
      if (report.request === 'generate') return page.writing?.failed(report.message);
      tell(report.message, true);
      return;
    default: return report satisfies never;
  }
}

/** A line for the person at the page. */
export function tell(text: string, isError: boolean): void {
  const line = byId('note');
  line.textContent = text;
  line.classList.toggle('error', isError);
  line.hidden = text === '';
}

export function pressStart(page: PageParts): void {
  if (page.state === 'running') return page.send({ kind: 'pause' });
  if (page.state === 'paused') return page.send({ kind: 'resume' });
  const form = byId<HTMLFormElement>('settings');
  if (!form.reportValidity()) return;
  const number = (name: string): number => Number((form.elements.namedItem(name) as HTMLInputElement).value);
  const unit = (form.elements.namedItem('unit') as HTMLInputElement).value as Interval['unit'];
  const evaluateEvery = { count: number('every'), unit: (form.elements.namedItem('every-unit') as HTMLSelectElement).value as Interval['unit'] };
  const changed = page.program!.settings === null ? null : { length: { count: number('length'), unit }, seed: number('seed'), evaluateEvery };
  // The button answers at once; the first report may take a moment.
  page.state = 'running';
  showState(page);
  page.send({ kind: 'start', settings: { threads: number('threads'), learningRateFactor: number('learning-rate-factor'), changed } });
}

/** What does not change while the page is open, and the fields of the settings. */
export function showProgram(program: ProgramFacts): void {
  const { settings } = program;
  const fields = byId<HTMLFormElement>('settings').elements;
  const set = (name: string, value: string | number): void => {
    (fields.namedItem(name) as HTMLInputElement).value = String(value);
  };
  if (settings !== null) {
    const length = settings.steps !== null ? { count: settings.steps, unit: 'steps' as const } : { count: settings.epochs ?? 1, unit: 'epochs' as const };
    set('length', length.count);
    set('unit', length.unit);
    byId('length-label').textContent = length.unit;
    set('seed', settings.seed);
    set('every', settings.evaluateEvery?.count ?? 1);
    set('every-unit', settings.evaluateEvery?.unit ?? 'epochs');
  }
  // Several stages train as the file says.
  for (const field of document.querySelectorAll<HTMLElement>('.of-stage')) {
    field.hidden = settings === null;
    for (const input of field.querySelectorAll('input')) input.required = settings !== null;
  }
  const threads = Math.max(1, Math.min(navigator.hardwareConcurrency, program.mostThreads));
  set('threads', threads);
  (fields.namedItem('threads') as HTMLInputElement).max = String(program.mostThreads);
  byId('threads-field').hidden = program.mostThreads === 1;
  byId('learning-rate-field').hidden = !program.learningRate;
  byId('memory').textContent = showBytes(program.memoryBytes);
  showEngine(program, program.mostThreads === 1 ? 1 : threads);
  if (program.alone !== null) byId('alone').textContent = `${program.alone[0]!.toUpperCase()}${program.alone.slice(1)}.`;
  byId('alone').hidden = program.alone === null;
  byId('training').hidden = !program.trains;
  showProgress(null);
}

export const showEngine = (program: ProgramFacts, threads: number): void => {
  byId('engine').textContent = program.engine === 'WebGPU' ? program.engine : `${program.engine}, ${threads === 1 ? 'one thread' : `${threads} threads`}`;
};

export const showBytes = (bytes: number): string => (bytes >= 1e9 ? `${(bytes / 1e9).toFixed(2)} GB` : bytes >= 1e6 ? `${(bytes / 1e6).toFixed(1)} MB` : `${Math.ceil(bytes / 1e3)} kB`);

/** Buttons say what they do now, and fields can be changed when that has an effect. */
export function showState({ state, program, data }: PageParts): void {
  const active = state === 'running' || state === 'paused';
  const start = byId<HTMLButtonElement>('start');
  start.textContent = { idle: 'Start', running: 'Pause', paused: 'Resume', finished: 'Start again' }[state];
  start.disabled = data === null;
  byId<HTMLButtonElement>('reset').disabled = state === 'idle' && data === null;
  byId<HTMLFieldSetElement>('settings-fields').disabled = active;
  byId<HTMLInputElement>('load').disabled = active;
  byId<HTMLButtonElement>('example').disabled = data === null || data.trainRows === 0;
  document.body.dataset['state'] = state;
  if (state === 'idle') byId('status').textContent = data === null && program?.inputs.length !== 0 ? 'Waiting for data' : 'Ready';
}

/** Null before a run. */
export function showProgress(progress: ProgressFacts | null): void {
  const bar = byId<HTMLProgressElement>('progress');
  bar.value = progress === null ? 0 : progress.step / progress.steps;
  const values: readonly NamedValue[] = progress?.values ?? [];
  byId('values').replaceChildren(...values.map(({ name, value }) => make('div', {}, make('dt', {}, name.replaceAll('_', ' ')), make('dd', {}, showNumber(value)))));
  byId('speed').textContent = progress === null ? '–' : showCount(progress.speed);
  byId('speed-unit').textContent = `${progress?.unit ?? 'examples'}/s`;
  byId('left').textContent = progress === null ? '–' : showDuration(progress.secondsLeft);
  byId('rate').textContent = progress?.learningRate === null || progress === null ? '–' : showNumber(progress.learningRate);
  if (progress === null) return;
  const epoch = progress.epoch === null ? '' : `epoch ${progress.epoch} of ${progress.epochs}, `;
  const stage = progress.stage === null ? '' : `${progress.stage}: `;
  byId('status').textContent = `${stage}${epoch}step ${progress.step.toLocaleString('en-US')} of ${progress.steps.toLocaleString('en-US')}`.replace(/^./, letter => letter.toUpperCase());
}

/** The data files: carried by the page, served beside it, or chosen by whoever is at the page. All of them open the data. */
export function openFilesPanel(page: PageParts, facts: PageFacts): void {
  const { files, folders, pictures, served } = facts;
  const have = new Map<string, Uint8Array>();
  const baseName = (file: string): string => file.split('/').at(-1)!;
  const inside = (folder: string): string => `${partsOf(folder).join('/')}/`;
  const heldIn = (folder: string): readonly Uint8Array[] => [...have].flatMap(([name, bytes]) => (name.startsWith(inside(folder)) ? [bytes] : []));
  const line = (name: string, parts: readonly Uint8Array[], amount: string): HTMLElement => make('li', parts.length > 0 ? { class: 'there' } : {},
    make('code', {}, name), make('span', {}, parts.length === 0 ? 'missing' : `${amount}${showBytes(parts.reduce((sum, { length }) => sum + length, 0))}`));
  const show = (): void => {
    const several = (name: string, parts: readonly Uint8Array[]): HTMLElement => line(name, parts, `${parts.length.toLocaleString('en-US')} files, `);
    byId('files').replaceChildren(
      ...files.map(file => line(baseName(file), have.has(file) ? [have.get(file)!] : [], '')),
      ...folders.map(folder => several(`${partsOf(folder).at(-1)}/`, heldIn(folder))),
      ...(pictures ? [several('pictures', [...have].flatMap(([name, bytes]) => (files.includes(name) || folders.some(folder => name.startsWith(inside(folder))) ? [] : [bytes])))] : []));
    byId('data').hidden = files.length + folders.length === 0;
  };
  const opened = (): void => {
    show();
    if (files.every(file => have.has(file)) && folders.every(folder => heldIn(folder).length > 0)) {
      page.send({ kind: 'files', files: [...have].map(([name, bytes]): NamedBytes => ({ name, bytes })) });
    }
  };
  let change = { from: '', to: '' };
  const take = async (chosen: readonly ChosenFile[]): Promise<void> => {
    const found = namesOfChosen(chosen.map(({ path }) => path), facts, change);
    change = found.change;
    // A folder that is chosen again may be another.
    for (const folder of folders.map(inside)) {
      if (found.names.some(name => name?.startsWith(folder))) for (const name of have.keys()) if (name.startsWith(folder)) have.delete(name);
    }
    const wanted = found.names.flatMap((name, i) => (name === null ? [] : [{ ...chosen[i]!, name }]));
    tell(wanted.length < 100 ? '' : `Reading ${wanted.length.toLocaleString('en-US')} files`, false);
    const contents = await bytesOfFiles(wanted.map(({ file }) => file));
    for (const [i, { name }] of wanted.entries()) have.set(name, contents[i]!);
    // A folder that something is taken from may hold more.
    const known = new Set(wanted.map(({ path }) => topOf(path)));
    const unknown = [...new Set(chosen.map(({ path }) => topOf(path)))].filter(top => !known.has(top));
    const read = [...files.map(baseName), ...folders.map(folder => `${partsOf(folder).at(-1)}/`)].join(', ');
    tell(unknown.length === 0 ? '' : `the model reads nothing called ${unknown.join(', ')}: it reads ${read}`, unknown.length > 0);
    opened();
  };
  const choices = [byId<HTMLInputElement>('choose'), byId<HTMLInputElement>('choose-folder')] as const;
  choices[0].parentElement!.hidden = files.length === 0;
  choices[1].parentElement!.hidden = folders.length === 0 && !pictures;
  if (!choices[1].parentElement!.hidden) byId('rows').textContent = 'Choose the folder with the data, or drop it here.';
  onFiles(byId('data'), choices, chosen => {
    take(chosen).catch((error: unknown) => tell(String(error), true));
  });
  show();
  page.tryOut = openTryOut(page);
  showState(page);
  const load = async (): Promise<void> => {
    // What the page carries stands at its end.
    if (document.readyState === 'loading') await new Promise(resolve => document.addEventListener('DOMContentLoaded', resolve, { once: true }));
    // All pictures are one file, without a name.
    for (const file of [...files, ...(folders.length > 0 || pictures ? [''] : [])]) {
      const bytes = fileOfPage(file) ?? (served ? await fileOfServer(file) : null);
      if (bytes !== null) for (const [name, part] of file === '' ? unbundled(bytes) : [[file, bytes] as const]) have.set(name, part);
    }
    opened();
  };
  void load().catch((error: unknown) => tell(String(error), true));
}

/** The first part of a path, which is what somebody has chosen. */
export const topOf = (path: string): string => path.replace(/\/.*/, '/');

/** A file that the page carries. */
export function fileOfPage(file: string): Uint8Array | null {
  const element = [...document.querySelectorAll<HTMLScriptElement>('script[data-file]')].find(script => script.dataset['file'] === file);
  if (element === undefined) return null;
  const bytes = bytesOfBase64(element.textContent);
  element.remove();
  return bytes;
}

export async function fileOfServer(file: string): Promise<Uint8Array | null> {
  const response = await fetch(`data/${file.split('/').map(encodeURIComponent).join('/')}${location.search}`);
  return response.ok ? new Uint8Array(await response.arrayBuffer()) : null;
}

/** The part of the page where inputs are given and predictions shown. */
export interface TryOut {
  /** Asks for a prediction of the inputs as they are; one at a time. */
  readonly predict: () => void;
  readonly show: (outputs: Readonly<Record<string, TensorArray>>) => void;
  readonly failed: (message: string) => void;
  readonly example: (rows: Readonly<Record<string, TensorArray>>) => void;
}

export function openTryOut(page: PageParts): TryOut | null {
  const program = page.program!;
  const { predictInputs, outputs, inputs, batched } = program;
  byId('try').hidden = outputs.length === 0 || predictInputs.length === 0;
  if (outputs.length === 0 || predictInputs.length === 0) return null;
  let asked = false;
  let again = false;
  const parts = new Map<string, InputPart>();
  const predict = (): void => {
    // A part may say that it has changed while the others are still made.
    if (parts.size < predictInputs.length) return;
    if (asked) {
      again = true;
      return;
    }
    const rows = Object.fromEntries([...parts].map(([name, part]) => [name, part.row()] as const));
    byId('outputs').classList.toggle('waiting', Object.values(rows).includes(null));
    if (Object.values(rows).includes(null)) return;
    asked = true;
    page.send({ kind: 'predict', rows: rows as Record<string, TensorArray> });
  };
  const answered = (): void => {
    asked = false;
    if (again) {
      again = false;
      predict();
    }
  };
  for (const name of predictInputs) parts.set(name, inputPart(page, inputs.find(input => input.name === name)!, predict));
  byId('inputs').replaceChildren(...[...parts.values()].map(part => part.element));
  const shownOutputs = new Map(outputs.map(({ name, shape, dtype, image }) => {
    const rowShape = rowShapeOf({ shape }, batched);
    const count = elementCount(rowShape);
    return [name, outputPart({ name, count, image: image ?? null, picture: outputPicture(program, rowShape, dtype), labels: () => labelsFor(page, count) })] as const;
  }));
  byId('outputs').replaceChildren(...[...shownOutputs.values()].map(({ element }) => element));
  byId('outputs').classList.add('waiting');
  byId('example').onclick = () => page.send({ kind: 'example' });
  // Fields that are filled say what they are for.
  if (page.data !== null && page.data.trainRows > 0 && document.querySelector('#inputs canvas') === null) page.send({ kind: 'example' });
  const truth = byId('truth');
  return {
    predict,
    show: results => {
      for (const [name, { show }] of shownOutputs) show(results[name]!);
      tellPrediction('');
      answered();
    },
    failed: message => {
      tellPrediction(message);
      answered();
    },
    example: rows => {
      for (const [name, part] of parts) if (rows[name] !== undefined) part.show(rows[name]);
      const others = Object.entries(rows).filter(([name, values]) => !parts.has(name) && values.length <= 4);
      truth.textContent = others.map(([name, values]) => `${name.replaceAll('_', ' ')}: ${Array.from(values, (value, i) => page.data?.classes.get(name)?.[i]?.[value] ?? showNumber(value).replace(/\.0+$/, '')).join(', ')}`).join('; ');
    },
  };
}

export const tellPrediction = (message: string): void => {
  byId('try-note').textContent = message;
  byId('try-note').hidden = message === '';
};

export function inputPart(page: PageParts, input: ProgramFacts['inputs'][number], predict: () => void): InputPart {
  const { name, dtype } = input;
  const rowShape = rowShapeOf(input, page.program!.batched);
  const changed = (): void => {
    byId('truth').textContent = '';
    predict();
  };
  const shape = pictureShapeOf(rowShape, dtype);
  if (shape !== null && dtype !== 'bool') {
    return drawingPart({ name, shape, dtype: dtype === 'u8' || dtype === 'i32' ? dtype : 'f32', facts: () => page.data?.pictures.get(name) ?? null, changed });
  }
  const columns = page.program!.data?.sources.flatMap(source => (source.format === 'csv' ? source.fields : [])).find(field => field.input === name)?.columns ?? [];
  return fieldsPart({ name, dtype, count: elementCount(rowShape), columns, classes: () => page.data?.classes.get(name) ?? null, changed });
}

/** An output with as many elements as a picture that is an input is one too. */
export function outputPicture({ inputs, batched }: ProgramFacts, rowShape: readonly number[], dtype: string): ReturnType<typeof pictureShapeOf> {
  const shape = pictureShapeOf(rowShape, dtype);
  if (shape !== null) return shape;
  const same = inputs.find(input => elementCount(rowShapeOf(input, batched)) === elementCount(rowShape));
  return same === undefined ? null : pictureShapeOf(rowShapeOf(same, batched), same.dtype);
}

/** The texts of the one categorical field that has so many classes. */
export function labelsFor({ data, program }: PageParts, count: number): readonly string[] | null {
  const fitting = [...(data?.classes ?? [])].filter(([name, classes]) => !program!.predictInputs.includes(name) && classes.length === 1 && classes[0]!.length === count);
  return fitting.length === 1 ? fitting[0]![1][0]! : null;
}
