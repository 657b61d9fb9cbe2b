/**
 * Runs a model's program: compiles it, writes it into a new folder of its own, starts it as a process with this one's streams and
 * removes the folder when it ends. The exit code is the program's.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { emit, type EmitOptions, type Target } from '../6-emit/emit.ts';
import type { Levels } from '../index.ts';
import { bindingProblems } from '../6-emit/wgsl/segments.ts';
import { briefly, compileFile, drawn, type CompileFlags } from './compile-file.ts';
import { Failure } from './failure.ts';
import { chosenTarget } from './target.ts';

/** Of every command that makes a program. */
export interface EmitFlags extends CompileFlags {
  readonly target?: Target | 'auto';
  readonly deterministic?: boolean;
  readonly debugNan?: boolean;
}

/** The most memory with 64-bit addresses that engines give, less what threads need besides the arena. */
const largestArena = 2 ** 34 - 2 ** 25;

/** The text of a program, if its target can hold it. */
export async function programText(levels: Levels, flags: EmitFlags, { form, javascript }: Pick<EmitOptions, 'form' | 'javascript'>): Promise<string> {
  const options = { ...programOptions(levels, await chosenTarget(flags.target), flags), form, javascript };
  return briefly(() => emit(levels, options));
}

/** What the flags ask for, once it is known that the target has it. */
export function programOptions(
  levels: Levels, target: Target, { deterministic = false, debugNan = false }: EmitFlags,
): Pick<EmitOptions, 'target' | 'deterministic' | 'debugNan'> {
  if (target === 'webgpu' && debugNan) throw new Failure('`--debug-nan` looks at what kernels compute as they do: it needs `--target wasm`', 2);
  if (target === 'webgpu' && deterministic) throw new Failure('GPUs differ in their last bits: `--deterministic` needs `--target wasm`', 2);
  checkTarget(levels, target);
  return { target, deterministic, debugNan };
}

/** Whether a target's memory can hold the program. */
function checkTarget({ program, file }: Levels, target: Target): void {
  if (target === 'webgpu') {
    const problems = bindingProblems(program!, file.span);
    if (problems.length > 0) throw drawn(problems, file.span.file.path);
  }
  const needed = program!.arenaBytes;
  if (target !== 'wasm' || needed <= largestArena) return;
  throw new Failure(`the program needs ${gibibytes(needed)} of memory, and WebAssembly reaches ${gibibytes(largestArena)}: `
    + 'write `memory 4000MB` in the `train` block to compute activations again instead of keeping them, or take a smaller batch', 1);
}

const gibibytes = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(2)} GiB`;

export interface RunFlags extends EmitFlags {
  /** Handed on to the program, by the names that it knows them by. */
  readonly program: Readonly<Record<string, string | true | readonly string[] | undefined>>;
}

/** `command` is one of the program's: `train`, `evaluate`, `predict`, `generate`, `bench`. */
export async function runProgram(command: string, path: string, flags: RunFlags): Promise<number> {
  const levels = compileFile(path, 'schedule', flags);
  // Node takes the types out several times as fast as TypeScript, and is the same Node.
  const text = await programText(levels, flags, { form: 'program', javascript: false });
  const folder = mkdtempSync(join(tmpdir(), 'nabla-'));
  try {
    const program = join(folder, `${basename(path).replace(/\.model$/, '')}.mts`);
    writeFileSync(program, text);
    return await start(program, [command, ...programArguments(flags.program)]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function programArguments(flags: RunFlags['program']): readonly string[] {
  return Object.entries(flags).flatMap(([name, value]) => {
    if (value === undefined) return [];
    if (value === true) return [`--${name}`];
    return (typeof value === 'string' ? [value] : value).map(one => `--${name}=${one}`);
  });
}

/**
 * A terminal sends its interrupt to this process and the program alike: the program decides what it means, this process waits.
 * What is sent to this process alone is handed on.
 */
function start(program: string, args: readonly string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program, ...args], { stdio: 'inherit' });
    const wait = (): void => {};
    const handOn = (signal: NodeJS.Signals): void => void child.kill(signal);
    process.on('SIGINT', wait).on('SIGTERM', handOn).on('SIGHUP', handOn);
    const end = (): void => void process.off('SIGINT', wait).off('SIGTERM', handOn).off('SIGHUP', handOn);
    child.on('error', error => {
      end();
      reject(error);
    });
    child.on('exit', (code, signal) => {
      end();
      resolve(code ?? 128 + constants.signals[signal!]);
    });
  });
}
