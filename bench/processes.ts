/** Starts what is measured: one process at a time, on as many cores as it may have threads. */
import { spawnSync } from 'node:child_process';

export interface Finished {
  readonly stdout: string;
  readonly stderr: string;
  /** When it was started, milliseconds since 1970. */
  readonly started: number;
}

interface Options {
  readonly environment?: NodeJS.ProcessEnv;
  /** Milliseconds after which the process is ended. */
  readonly limit?: number;
}

/** Fails with what the process says on its error stream. Where there is no `taskset`, processes are not bound to cores. */
export function start(command: string, args: readonly string[], cores: number, { environment = process.env, limit }: Options = {}): Finished {
  const [file, ...all] = process.platform === 'linux' ? ['taskset', '-c', `0-${cores - 1}`, command, ...args] : [command, ...args];
  const started = performance.timeOrigin + performance.now();
  const { status, signal, error, stdout, stderr } = spawnSync(file!, all, { encoding: 'utf8', env: environment, maxBuffer: 2 ** 28, timeout: limit });
  const late = (error as NodeJS.ErrnoException | undefined)?.code === 'ETIMEDOUT';
  const reason = late ? `error: not done after ${limit! / 1000} s` : error?.message ?? (stderr.trim() || `error: ended by ${signal}`);
  if (status !== 0) throw new Error(`\`${[command, ...args].join(' ')}\` failed:\n${reason}`);
  return { stdout, stderr, started };
}

/** The last line of a text, which is JSON. */
export const lastLine = <Report>(text: string): Report => JSON.parse(text.trimEnd().split('\n').at(-1)!) as Report;
