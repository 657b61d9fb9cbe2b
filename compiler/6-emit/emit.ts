/**
 * A compiled model as one standalone program, written to be read: what it is and costs, its memory, its kernels under the lines they
 * came from, the entries as lists of calls, the typed interface, and the parts of the runtime that it reaches. Kernels are functions
 * of TypeScript or of a WebAssembly module, or shaders, which the program carries as text; what the host computes is TypeScript in any case.
 * Nothing from a model's file becomes code: names become identifiers of letters and digits, everything else string literals.
 */
import { createHash } from 'node:crypto';
import { entryRoots, topological, type Graph, type Origin } from '../ir/graph.ts';
import type { File } from '../1-parse/ast.ts';
import { entryName, type DataSource, type ImageLayout, type Model, type Stage, type Vocabulary } from '../ir/model.ts';
import { partsOf, reachOfCall, timesOfCall, type Call, type Part, type Program, type ProgramEntry, type TensorPlace } from '../ir/program.ts';
import { graphKey } from '../ir/text.ts';
import { elementBytes, size, type DType } from '../ir/type.ts';
import { place } from '../source/text.ts';
import { modelLines, originsOfKernels } from './model-lines.ts';
import { arrayOf } from './typescript/arrays.ts';
import { kernelText } from './typescript/kernel.ts';
import { assemblyText, shadersText, type MachineText } from './machine-text.ts';
import { assemble } from './wasm/module.ts';
import { defaultGpuOptions } from './wgsl/module.ts';
import { gpuPlan } from './wgsl/plan.ts';
import { laidOut } from './wgsl/segments.ts';
import { identifiersIn, reached, readRuntime } from './runtime.ts';
import { withoutTypes } from './ts-morph.ts';

export type Target = 'wasm' | 'typescript' | 'webgpu';

export interface EmitOptions {
  readonly target: Target;
  /** What trains when it is started; a module for applications, which runs in browsers too; a worker that a page trains with. */
  readonly form: 'program' | 'module' | 'page';
  /** For `wasm`: only instructions that give the same bits on every machine. */
  readonly deterministic: boolean;
  /** Plain JavaScript, for engines that do not strip types. */
  readonly javascript: boolean;
  /** Check every kernel's results, so that the first that is not finite is named. */
  readonly debugNan: boolean;
}

/** Of a compilation through `schedule`. */
export interface EmitLevels {
  readonly file: File;
  readonly model?: Model;
  readonly gradient?: Graph;
  readonly program?: Program;
}

/** The text of the program. */
export function emit(levels: EmitLevels, options: EmitOptions): string {
  if (!levels.model || !levels.program) throw new Error('only a scheduled model can be emitted');
  const { model } = levels;
  const runtime = readRuntime();
  const { program, machine, bytesInHalves } = machineOf(withFreeNames(levels.program, new Set([...runtime.names, ...ownNames])), options);
  const source = levels.file.span.file;
  const hash = createHash('sha256').update(source.text).digest('hex').slice(0, 16);
  const names = constantNames(program);
  const kernels = kernelsText(program, machine);
  const entries = entriesText(program, names, options, machine);
  const body = [
    memoryText(program, names, identifiersIn(kernels + entries), machine),
    kernels,
    entries,
    programText(model, program, versionOf(source.text, levels.gradient, model), machine),
    ...(options.form === 'page' ? [] : [interfaceText(model, program)]),
  ].join('\n\n');
  const start = starts[options.form];
  const { declarations, imports } = reached(runtime, new Set([...identifiersIn(body), ...identifiersIn(start)]));
  const text = [
    headerText(model, program, bytesInHalves, source.path, hash, options.form),
    ...(imports.length > 0 ? [imports.join('\n')] : []),
    body,
    section('The runtime: data, training loop, files'),
    ...declarations.map(declaration => declaration.text),
    ...(machine ? [section(machine.title), machine.carried] : []),
    ...(start === '' ? [] : [start]),
  ].join('\n\n');
  return options.javascript ? withoutTypes(text, options.form !== 'page') : `${text}\n`;
}

/** What runs in the end. */
const starts = {
  program: '// Runs when this file is started, not when it is imported.\nif (isStarted(import.meta.filename)) await main(program, process.argv.slice(2));',
  module: '',
  page: 'startTrainer(program);',
} as const satisfies Record<EmitOptions['form'], string>;

interface ProgramOnMachine {
  /** As the target has it in memory. */
  readonly program: Program;
  /** What runs its kernels; null for functions of the program itself. */
  readonly machine: MachineText | null;
  /** Of its memory: what may take half as much. */
  readonly bytesInHalves: number;
}

function machineOf(program: Program, { target, deterministic, debugNan }: EmitOptions): ProgramOnMachine {
  switch (target) {
    case 'wasm': return { program, machine: assemblyText(assemble(program, { deterministic, inspected: debugNan, wide: false })), bytesInHalves: 0 };
    case 'webgpu': {
      const laid = laidOut(program, defaultGpuOptions.bindingBytes);
      return { program: laid, machine: shadersText(gpuPlan(laid, defaultGpuOptions)), bytesInHalves: laid.segments.reduce((sum, { halves, bytes }) => sum + (halves ? bytes : 0), 0) };
    }
    case 'typescript': return { program, machine: null, bytesInHalves: 0 };
    default: return target satisfies never;
  }
}

/** What the emitted text declares itself. */
const ownNames = ['machine', 'wasm', 'gpuPlan', 'memory', 'f32', 'i32', 'u8', 'program', 'predict', 'predictOnce', 'train', 'evaluate', 'load', 'save', 'generate', 'main'];

/** Kernels whose name something else in the program has are called `…_kernel`. */
const withFreeNames = (program: Program, taken: ReadonlySet<string>): Program => ({
  ...program,
  kernels: program.kernels.map(kernel => (taken.has(kernel.name) ? { ...kernel, name: `${kernel.name}_kernel` } : kernel)),
});

const section = (title: string): string => `// ── ${title} ${'─'.repeat(Math.max(0, 116 - title.length))}`;
/** A string of the user's as a literal; the comment it may stand in cannot be ended by it. */
const literal = (text: string): string => JSON.stringify(text).replaceAll('\u2028', '\\u2028').replaceAll('\u2029', '\\u2029');
const comment = (text: string): string => text.replaceAll('*/', '* /').replaceAll(/[\r\n\u2028\u2029]+/g, ' ');

function headerText(model: Model, program: Program, bytesInHalves: number, path: string, hash: string, form: EmitOptions['form']): string {
  const count = program.parameters.reduce((sum, parameter) => sum + size(parameter.shape), 0);
  const width = Math.max(0, ...program.parameters.map(parameter => parameter.name.length));
  const use = form === 'program' ? 'Start it to train: `node <this file>`, `--help` for more.' : 'It imports nothing, and runs in Node and in browsers.';
  return [
    '/**',
    ` * ${comment(model.name)}${model.doc ? `: ${comment(model.doc)}` : ''}`,
    ' *',
    ` * Written by nabla from ${comment(path)} (sha256 ${hash}…). ${use}`,
    ...stagesText(model, program, bytesInHalves),
    ` * ${group(count)} parameters:`,
    ...program.parameters.map(
      parameter => ` *   ${comment(parameter.name).padEnd(width)}  ${parameter.dtype}[${parameter.shape.join(', ')}]`,
    ),
    ' */',
  ].join('\n');
}

/** What a step of each stage takes, and what memory all of them do. */
function stagesText(model: Model, program: Program, bytesInHalves: number): readonly string[] {
  const less = bytesInHalves === 0 ? '' : `, ${group(program.arenaBytes - bytesInHalves / 2)} on a GPU with f16`;
  const memory = `${group(program.arenaBytes)} bytes of memory in all${less}, none allocated while training.`;
  const step = (stage: Stage): string => {
    const { accumulate } = stage.settings;
    return `atch ${stage.batch}${accumulate === 1 ? '' : `, ${accumulate} of them a step`}; ${group(flopsOfStep(model, stage, program))} floating-point operations a step`;
  };
  const [only, ...others] = model.stages;
  return others.length === 0 ? [` * B${step(only!)}; ${memory}`] : [...model.stages.map(stage => ` * ${stage.name}: b${step(stage)}.`), ` * ${memory}`];
}

/** `accumulate` runs once for each batch of a step, `train` once. */
const flopsOfStep = (model: Model, stage: Stage, program: Program): number =>
  [['train', 1] as const, ['accumulate', stage.settings.accumulate] as const]
    .flatMap(([what, times]) => program.entries.filter(entry => entry.name === entryName(model, stage, what))
      .flatMap(({ calls }) => calls.map(call => timesOfCall(call) * program.kernels[call.kernel]!.flops * times)))
    .reduce((sum, flops) => sum + flops, 0);

/** Groups of three digits. Not by the locale's rules: to load those takes longer than the rest of the header. */
const group = (value: number): string => String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ',');

/** A constant for each buffer: its first element, in units of its own element size. */
function constantNames(program: Program): readonly string[] {
  const used = new Set<string>();
  return program.buffers.map(buffer => {
    const base = `at_${buffer.name.replace(/[^A-Za-z0-9]+/g, '_')}`;
    let name = base;
    for (let i = 2; used.has(name); i++) name = `${base}_${i}`;
    used.add(name);
    return name;
  });
}

const arrays = { f32: 'Float32Array', i32: 'Int32Array', u8: 'Uint8Array' };

function memoryText(program: Program, names: readonly string[], used: ReadonlySet<string>, machine: MachineText | null): string {
  const lines = program.buffers.flatMap((buffer, i) => {
    if (!used.has(names[i]!)) return [];
    const until = buffer.lifetime ? '' : ` // ${buffer.role}`;
    return [`const ${names[i]} = ${buffer.offset / elementBytes(buffer.dtype)};${until}`];
  });
  const memory = machine
    ? [...machine.opening, 'const { memory } = machine;']
    : [`const memory = new ArrayBuffer(${program.arenaBytes});`];
  return [
    section('Memory'),
    ...memory,
    ...Object.entries(arrays).flatMap(([name, type]) => (used.has(name) ? [`const ${name} = new ${type}(memory);`] : [])),
    ...(lines.length === 0 ? [] : ['', '// Where each buffer begins, counted in its own elements. Buffers that are never needed at once share places.', ...lines]),
  ].join('\n');
}

function kernelsText(program: Program, machine: MachineText | null): string {
  const origins = originsOfKernels(program);
  const written = program.kernels.flatMap((kernel, i) =>
    machine === null || kernel.host ? [`${kernelComment(origins.get(i) ?? [])}\n${kernelText(kernel)}`] : [],
  );
  const assembled = program.kernels.flatMap((kernel, i) => {
    if (machine === null || kernel.host) return [];
    const [line = 'written by the compiler: nothing in the model names it', ...others] = modelLines(origins.get(i) ?? []);
    return [`//   ${`${kernel.name}.${i}`.padEnd(28)} ${comment(line)}${others.length > 0 ? `, and ${others.length} more` : ''}`];
  });
  const table = assembled.length === 0 ? [] : [[`// ${machine!.functions}, and the lines that they compute:`, ...assembled].join('\n')];
  return [section('Kernels'), ...written, ...table].join('\n\n');
}

function kernelComment(origins: readonly Origin[]): string {
  const lines = modelLines(origins);
  if (lines.length === 0) return '/** Written by the compiler: nothing in the model names it. */';
  const shown = lines.slice(0, 4).map(comment);
  return shown.length === 1
    ? `/** ${shown[0]} */`
    : ['/**', ...shown.map(text => ` * ${text}`), ...(lines.length > 4 ? [` * and ${lines.length - 4} more`] : []), ' */'].join('\n');
}

const functionNames: Readonly<Record<string, string>> = {
  initialise: 'initialiseEntry',
  accumulate: 'accumulateEntry',
  train: 'trainEntry',
  gradient_norm: 'gradientNormEntry',
  evaluate: 'evaluateEntry',
  evaluate_row: 'evaluateRowEntry',
  predict: 'predictEntry',
  predict_row: 'predictRowEntry',
  predict_once: 'predictOnceEntry',
  train_rows: 'trainRowsEntry',
  test_rows: 'testRowsEntry',
  generate_start: 'generateStartEntry',
  generate_step: 'generateStepEntry',
  generate_scores: 'generateScoresEntry',
  generated: 'generatedEntry',
};

/** `trainEntry`; `trainEntry_Dvae` of one stage of several. */
function functionName(entry: string): string {
  const [what, stage] = entry.split('.').reverse() as [string, string | undefined];
  return `${functionNames[what]!}${stage === undefined ? '' : `_${stage}`}`;
}

function entriesText(program: Program, names: readonly string[], options: EmitOptions, machine: MachineText | null): string {
  const entry = ({ name, calls }: ProgramEntry, number: number): string => {
    const isHost = (each: Call): boolean => program.kernels[each.kernel]!.host;
    const part = (each: Part, i: number): string[] => {
      const ofProgram = machine === null || isHost(each.calls[0]!);
      const text = ofProgram ? partText(program, each, names) : [`machine.step(${number}, ${i});`];
      return [...text, ...(options.debugNan ? each.calls.flatMap(call => checksText(program, call)) : [])].map(line => `  ${line}`);
    };
    const parts = partsOf(calls);
    // The host's kernels read scalars alone, so they can all come first; then one call runs the others on all threads.
    const whole = machine !== null && !options.debugNan;
    const lines = whole ? [...parts.filter(each => isHost(each.calls[0]!)).flatMap(part), `  machine.run(${number});`] : parts.flatMap(part);
    return `function ${functionName(name)}(): void {\n${lines.join('\n')}\n}`;
  };
  return [section('Entries: what is called in which order'), ...program.entries.map(entry)].join('\n\n');
}

/** A call; or a loop around several, each of whose accesses moves with the positions, which are called as the axes around are. */
function partText(program: Program, { loop, calls, body }: Part, names: readonly string[], around: readonly string[] = []): string[] {
  if (loop === null) return calls.map(call => callText(program, call, names, around));
  if (loop.given !== null) {
    // By its place: buffers' names give way to those of the model.
    const { offset } = program.scalars.find(({ name }) => name === 'position')!;
    const at = `i32[${names[program.buffers.findIndex(buffer => buffer.role === 'scalar' && buffer.offset === offset)]!}]`;
    const { first } = loop.given;
    const isInside = `${first > 0 ? `position >= ${first} && ` : ''}position < ${loop.axes[0]!}`;
    const lines = body.flatMap(part => partText(program, part, names, [...around, 'position']));
    return [`{`, `  const position = ${at};`, `  if (${isInside}) {`, ...lines.map(line => `    ${line}`), '  }', '}'];
  }
  const axes = loop.axes.map((_, axis) => `block${around.length + axis}`);
  const counters = loop.counters.flatMap((buffer, axis) => (buffer === null ? [] : [`i32[${names[buffer]!}] = ${axes[axis]!};`]));
  return loop.axes.reduceRight(
    (lines, extent, axis) => [`for (let ${axes[axis]!} = 0; ${axes[axis]!} < ${extent}; ${axes[axis]!}++) {`, ...lines.map(line => `  ${line}`), '}'],
    [...counters, ...body.flatMap(part => partText(program, part, names, [...around, ...axes]))],
  );
}

function callText(program: Program, call: Call, names: readonly string[], axes: readonly string[]): string {
  const kernel = program.kernels[call.kernel]!;
  const accesses = [...kernel.operands, ...kernel.outputs];
  const args = [...call.reads, ...call.writes].map((index, i) => {
    const buffer = program.buffers[index]!;
    const into = call.offsets[i]! - buffer.offset / elementBytes(accesses[i]!.dtype);
    const moves = axes.flatMap((axis, number) => (call.moves[i]![number] === 0 ? [] : [`${call.moves[i]![number]!} * ${axis}`]));
    return [names[index]!, ...(into === 0 ? [] : [into]), ...moves].join(' + ');
  });
  return `${kernel.name}(${args.join(', ')});`;
}

function checksText(program: Program, call: Call): string[] {
  const kernel = program.kernels[call.kernel]!;
  return kernel.outputs.flatMap((output, i) => {
    const buffer = program.buffers[call.writes[i]!]!;
    if (arrayOf(output.dtype) !== 'f32' || buffer.role === 'private') return [];
    const origins = [buffer.origin, ...call.origins];
    const [line = 'the optimiser', ...others] = new Set(origins.flatMap(origin => (origin?.span ? [place(origin.span)] : [])));
    const where = others.length > 0 ? `${line}, together with ${others.slice(0, 4).join(', ')}` : line;
    const { from, to } = reachOfCall(kernel, call, kernel.operands.length + i);
    return [`requireFinite(f32, ${from}, ${to - from}, ${literal(kernel.name)}, ${literal(where)});`];
  });
}

function tensorText({ name, dtype, shape, offset }: TensorPlace): string {
  return `{ name: ${literal(name)}, dtype: '${dtype}', shape: [${shape.join(', ')}], offset: ${offset} }`;
}

function resultText(place: TensorPlace, image: ImageLayout | null): string {
  return image === null ? tensorText(place) : tensorText(place).replace(/ }$/, `, image: ${JSON.stringify(image)} }`);
}

const list = (items: readonly string[], indent: string): string =>
  items.length === 0 ? '[]' : `[\n${items.map(item => `${indent}  ${item},\n`).join('')}${indent}]`;

function programText(model: Model, program: Program, version: string, machine: MachineText | null): string {
  const formats = new Set((model.data?.sources ?? []).flatMap(source => (source.format === 'synthetic' ? [] : [source.format])));
  const synthetic = (model.data?.sources ?? []).flatMap(({ name, synthetic: rows }) => {
    const entry = program.entries.find(other => other.name === `${name}_rows`);
    return rows === null ? [] : [`{ name: ${literal(name)}, rows: ${rows.rows}, entry: ${entryText(program, entry, rows.atOnce, '    ')} }`];
  });
  const offset = (name: string): number | null => program.scalars.find(scalar => scalar.name === name)?.offset ?? null;
  return [
    section('The program'),
    'const program: CompiledProgram = {',
    `  name: ${literal(model.name.toLowerCase())},`,
    `  source: '${version}',`,
    '  memory,',
    `  device: ${machine?.device ?? 'null'},`,
    `  threads: ${machine?.threads ?? 'null'},`,
    `  batched: ${model.stages.some(stage => stage.batchName !== null)},`,
    `  inputs: ${list(
      program.inputs.map(input => tensorText(input).replace(/ }$/, `, below: ${model.limits.get(input.name) ?? null} }`)),
      '  ',
    )},`,
    `  parameters: ${list(program.parameters.map(tensorText), '  ')},`,
    `  states: ${list(program.states.map(tensorText), '  ')},`,
    `  scalars: { seed: ${offset('seed')}, step: ${offset('step')}, steps: ${offset('steps')}, learningRateFactor: ${offset('learning_rate_factor')} },`,
    `  stages: [${model.stages.map(stage => stageText(model, stage, program)).join(', ')}],`,
    `  data: ${literalJson(dataOf(model))},`,
    `  readers: {${[...formats].map(format => ` ${format}: ${readerNames[format]}`).join(',')}${formats.size > 0 ? ' ' : ''}},`,
    `  synthetic: ${synthetic.length === 0 ? 'null' : `{ sources: ${list(synthetic, '  ')}, columns: syntheticColumns }`},`,
    `  tokenizers: ${list((model.data?.vocabularies ?? []).map(tokenizerText), '  ')},`,
    `  pictures: ${model.data?.sources.some(source => source.fields.some(field => field.picture)) ? 'readPictures' : 'null'},`,
    '};',
  ].join('\n');
}

/** An entry as a field of what is indented so far; null where there is none. */
function entryText(
  program: Program, entry: ProgramEntry | undefined, rows: number, indent: string, imageOf: (result: TensorPlace) => ImageLayout | null = () => null,
): string {
  if (entry === undefined) return 'null';
  const read = new Set(entry.calls.flatMap(call => call.reads).map(index => program.buffers[index]!).flatMap(buffer => (buffer.role === 'input' ? [buffer.name] : [])));
  const inputs = program.inputs.flatMap(({ name }) => (read.has(name) ? [literal(name)] : []));
  const fields = [
    `run: ${functionName(entry.name)},`, `number: ${program.entries.indexOf(entry)},`, `inputs: [${inputs.join(', ')}],`,
    `results: ${list(entry.results.map(result => resultText(result, imageOf(result))), `${indent}  `)},`, `rows: ${rows},`,
  ];
  return ['{', ...fields.map(field => `${indent}  ${field}`), `${indent}}`].join('\n');
}

function stageText(model: Model, stage: Stage, program: Program): string {
  const entryOf = (what: string): ProgramEntry | undefined => program.entries.find(entry => entry.name === entryName(model, stage, what));
  const imageOf = (what: string, { name }: TensorPlace): ImageLayout | null =>
    (what.startsWith('predict') || what === 'generated' ? stage.evaluation.outputs.find(output => output.name === name)!.image : null);
  const entry = (what: string, rows: number): string => entryText(program, entryOf(what), rows, '    ', result => imageOf(what, result));
  const { accumulate } = stage.settings;
  const trained = new Set(stage.minimizations.flatMap(({ groups }) => groups.flatMap(group => group.parameters.map(({ leaf }) => leaf.leaf!.name))));
  return [
    '{',
    `    name: ${literal(stage.name)},`,
    `    model: ${literal(stage.model)},`,
    `    batched: ${stage.batchName !== null},`,
    `    inputs: [${stage.inputs.map(input => literal(input.leaf!.name)).join(', ')}],`,
    `    gradients: ${list(program.gradients.filter(({ name }) => trained.has(name)).map(tensorText), '    ')},`,
    `    initialise: ${functionName(entryOf('initialise')!.name)},`,
    `    accumulate: ${entryOf('accumulate') ? `{ count: ${accumulate}, batch: ${entry('accumulate', stage.batch)} }` : 'null'},`,
    `    train: ${entry('train', accumulate === 1 ? stage.batch : 0)},`,
    `    gradientNorm: ${entry('gradient_norm', stage.batch)},`,
    `    evaluate: ${entry('evaluate', stage.batch)},`,
    `    evaluateRow: ${entry('evaluate_row', 1)},`,
    `    predict: ${entry('predict', stage.batch)},`,
    `    predictRow: ${entry('predict_row', 1)},`,
    `    predictOnce: ${entry('predict_once', 0)},`,
    `    generator: ${generatorText(stage, model, program, entry)},`,
    `    settings: ${JSON.stringify(stage.settings)},`,
    `    flopsPerStep: ${flopsOfStep(model, stage, program)},`,
    '  }',
  ].join('\n');
}

/** What draws from a stage, or null. */
function generatorText({ generation }: Stage, { data }: Model, { generation: places, scalars }: Program, entry: (name: string, rows: number) => string): string {
  if (generation === null || places === null) return 'null';
  const { given, prompt, settings } = generation;
  const tokens = data?.sources.flatMap(source => source.fields).find(field => field.input === places.sequence.name)?.tokens ?? null;
  return [
    '{',
    '      draw: generateTokens,',
    ...(['start', 'step', 'scores'] as const).map(name => `      ${name}: ${entry(`generate_${name}`, 1).replaceAll('\n', '\n  ')},`),
    `      drawn: ${entry('generated', 1).replaceAll('\n', '\n  ')},`,
    `      sequence: ${tensorText(places.sequence)},`,
    `      position: ${scalars.find(scalar => scalar.name === 'position')!.offset},`,
    `      before: ${places.before},`,
    `      lag: ${places.lag},`,
    `      vocabulary: ${tokens?.vocabulary ?? null},`,
    `      begins: ${Math.max(0, -(tokens?.shift ?? 0))},`,
    `      given: [${given.map(literal).join(', ')}],`,
    `      prompt: ${prompt === null ? 'null' : literal(prompt)},`,
    `      settings: ${literalJson(settings)},`,
    '    }',
  ].join('\n');
}

/** The runtime's readers of data sources: a program reaches those that it names. */
const readerNames = {
  idx: 'idxColumns',
  csv: 'csvColumns',
  npy: 'npyColumns',
  npz: 'npzColumns',
  safetensors: 'safetensorsColumns',
  text: 'textColumns',
  jsonl: 'jsonlColumns',
  images: 'imagesColumns',
} as const satisfies Record<Exclude<DataSource['format'], 'synthetic'>, string>;

/** Vocabularies stand in the program as the tokenizers made of them, what computes rows as an entry. */
function dataOf({ data }: Model): unknown {
  if (data === null) return null;
  const { vocabularies: _, sources, ...others } = data;
  return { sources: sources.map(({ synthetic: __, ...source }) => source), ...others };
}

function tokenizerText(vocabulary: Vocabulary): string {
  switch (vocabulary.kind) {
    case 'characters': return `characterTokenizer(${literal(vocabulary.characters)}, ${vocabulary.end !== null})`;
    case 'bytes': return `byteTokenizer(${vocabulary.end !== null})`;
    case 'tokens': {
      const { kind: _, ...pairs } = vocabulary;
      return `bytePairTokenizer(${literalJson(pairs)})`;
    }
    default: return vocabulary satisfies never;
  }
}

/** Entries that make what a checkpoint holds, and the rows that it learns from. */
const training = ['initialise', 'accumulate', 'train', 'train_rows'];

/**
 * What a checkpoint must agree with: the file, what its tokens stand for, and how the graph trains that imports and settings of the
 * command line made of it. No place stands in it: the path of the file depends on where the command runs.
 */
const versionOf = (text: string, gradient: Graph | undefined, { data }: Model): string =>
  createHash('sha256')
    .update(text)
    .update(gradient ? graphKey({ ...gradient, entries: gradient.entries.filter(entry => training.includes(entry.name.split('.').at(-1)!)) }) : '')
    .update(data?.vocabularies.map(vocabulary => JSON.stringify(vocabulary)).join('') ?? '')
    .update(data?.sources.flatMap(({ synthetic }) => (synthetic === null ? [] : [` ${synthetic.rows}`])).join('') ?? '')
    .digest('hex')
    .slice(0, 32);

const literalJson = (value: unknown): string => JSON.stringify(value).replaceAll('\u2028', '\\u2028').replaceAll('\u2029', '\\u2029');

const arrayTypes: Readonly<Record<DType, string>> = {
  f32: 'Float32Array',
  f16: 'Float32Array',
  bf16: 'Float32Array',
  i32: 'Int32Array',
  u8: 'Uint8Array',
  bool: 'Uint8Array',
};

/** The functions that an application calls, wherever it runs: rows, weights and files come and go as typed arrays and bytes. */
function interfaceText(model: Model, program: Program): string {
  const last = model.stages.at(-1)!;
  const entryOf = (what: string): ProgramEntry | undefined => program.entries.find(entry => entry.name === entryName(model, last, what));
  const predict = entryOf('predict');
  const ofLast = model.stages.length === 1 ? '' : ` Of the model \`${last.model}\`.`;
  const parts = [section('Interface')];
  const property = ({ name, dtype }: TensorPlace): string => `${/^[A-Za-z_]\w*$/.test(name) ? name : literal(name)}: ${arrayTypes[dtype]}`;
  if (predict) {
    const needed = new Set(
      topological(entryRoots({ name: '', results: last.evaluation.outputs, updates: [] })).flatMap(value =>
        value.leaf?.role === 'input' ? [value.leaf.name] : [],
      ),
    );
    const inputs = program.inputs.filter(input => needed.has(input.name));
    parts.push(
      [
        `/**${ofLast} Any number of rows at once, one after the other in each array${inputs.map(input => `; \`${input.name}\`: ${input.shape.slice(1).join('×') || '1'} a row`).join('')}. */`,
        `export async function predict(rows: { ${inputs.map(property).join('; ')} }): Promise<{ ${predict.results.map(property).join('; ')} }> {`,
        `  return await predictRows(program, program.stages.at(-1)!, rows) as { ${predict.results.map(property).join('; ')} };`,
        '}',
      ].join('\n'),
    );
  }
  const once = entryOf('predict_once');
  if (once) {
    const outputs = `{ ${once.results.map(property).join('; ')} }`;
    parts.push(
      [
        `/**${ofLast} The outputs that depend on no input. Random numbers are those of the seed, which is the model's unless given. */`,
        `export async function predictOnce(options: { readonly seed?: number } = {}): Promise<${outputs}> {`,
        `  return await predictWithoutRows(program, program.stages.at(-1)!, options.seed) as ${outputs};`,
        '}',
      ].join('\n'),
    );
  }
  const rows = `{ ${program.inputs.map(property).join('; ')} }`;
  if (model.stages.some(stage => stage.minimizations.length > 0)) {
    parts.push(
      [
        `/** Trains as the ${ofLast === '' ? '`train` block says' : '`train` blocks say, one after the other'}, from new parameters; options replace ${ofLast === '' ? 'its' : 'their'} settings. */`,
        `export async function train(options: TrainOptions<${rows}> = {}): Promise<TrainReport> {`,
        '  return trainModel(program, options);',
        '}',
      ].join('\n'),
    );
  }
  if (entryOf('evaluate')) {
    const own = `{ ${program.inputs.filter(input => last.inputs.some(({ leaf }) => leaf!.name === input.name)).map(property).join('; ')} }`;
    parts.push(
      `/**${ofLast} Loss and metrics over the given rows. */\nexport async function evaluate(rows: ${own}): Promise<Results> {\n  return evaluateRows(program, program.stages.at(-1)!, rows);\n}`,
    );
  }
  if (model.stages.some(stage => stage.generation !== null)) {
    parts.push(
      '/** Draws tokens from the present weights as the `generate` block says; options replace its settings. */\nexport async function generate(options: GenerateOptions = {}): Promise<Generated> {\n  return generateRow(program, options);\n}',
    );
  }
  parts.push(
    '/** Takes the weights out of the bytes of a safetensors file. */\nexport async function load(weights: Uint8Array): Promise<void> {\n  await loadBytes(program, weights);\n}',
    '/** The weights as the bytes of a safetensors file. */\nexport async function save(): Promise<Uint8Array> {\n  return savedBytes(program);\n}',
  );
  return parts.join('\n\n');
}
