/**
 * How threads work together: every one runs the same entries, each on its share of every kernel's iterations, and they meet at
 * barriers where one needs what another has made. A few words of the shared memory say who is where.
 */
import { at, build, call, get, i32, i64, op, set, type Expression, type Func } from './code.ts';

/** Words of the control area, in bytes from its start; each that changes while threads run has a cache line of its own. */
export const control = {
  arrived: 0,
  generation: 64,
  sleeping: 128,
  command: 192,
  failed: 256,
  threads: 320,
  micro: 324,
  patience: 328,
  bytes: 384,
} as const;

/** How long a sleep lasts before it looks for failures, in nanoseconds, and after how many the first thread gives the others up. */
const sleep = 100_000_000n;
const mostSleeps = 600;

/**
 * `barrier(thread, threads)`: returns when every thread has called it. The last one to arrive starts the next generation; the others
 * watch the generation's number for a while, as often as the word `patience` says, and then sleep until they are woken. Traps when a
 * thread has failed, so that none waits for it, and in thread 0 when the others have not come for a minute: they no longer exist.
 *
 * No wake-up is lost: whoever goes to sleep counts itself first and compares the generation last, in one step with falling asleep, and
 * the last one starts the generation before it asks whether anyone sleeps. Whoever is late to see a new generation reads nothing
 * that the generation after it writes, since that one cannot be complete without it.
 */
export function barrierFunction(base: number): Func {
  const builder = build('barrier', ['i32', 'i32']);
  const [thread, threads] = builder.parameters;
  const sleeps = builder.local('i32');
  const generation = builder.local('i32');
  const turns = builder.local('i32');
  const word = (name: keyof typeof control): Expression => i32(base + control[name]);
  builder.when(op('i32.eq', get(threads!), i32(1)), () => builder.emit(op('return')));
  builder.emit(set(generation, op('i32.atomic.load', word('generation'))));
  builder.when(
    op('i32.eq', op('i32.add', op('i32.atomic.rmw.add', word('arrived'), i32(1)), i32(1)), get(threads!)),
    () => {
      builder.emit(op('i32.atomic.store', word('arrived'), i32(0)));
      builder.emit(op('i32.atomic.store', word('generation'), op('i32.add', get(generation), i32(1))));
      builder.when(op('i32.atomic.load', word('sleeping')), () =>
        builder.emit(op('drop', op('memory.atomic.notify', word('generation'), i32(-1)))),
      );
    },
    () =>
      builder.block(end =>
        builder.loop(again => {
          builder.branch(end, op('i32.ne', op('i32.atomic.load', word('generation')), get(generation)));
          builder.emit(set(turns, op('i32.add', get(turns), i32(1))));
          builder.branch(again, op('i32.lt_u', get(turns), at('i32.load', 0, word('patience'))));
          builder.when(op('i32.atomic.load', word('failed')), () => builder.emit(op('unreachable')));
          builder.emit(op('drop', op('i32.atomic.rmw.add', word('sleeping'), i32(1))));
          builder.emit(op('drop', op('memory.atomic.wait32', word('generation'), get(generation), i64(sleep))));
          builder.emit(set(sleeps, op('i32.add', get(sleeps), i32(1))));
          builder.when(op('i32.and', op('i32.eqz', get(thread!)), op('i32.gt_s', get(sleeps), i32(mostSleeps))), () => {
            builder.emit(op('i32.atomic.store', word('failed'), i32(1)));
            builder.emit(op('unreachable'));
          });
          builder.emit(op('drop', op('i32.atomic.rmw.add', word('sleeping'), i32(-1))));
          builder.branch(again);
        }),
      ),
  );
  return builder.finish();
}

/**
 * `run(entry)`, for the thread that decides: has every thread run an entry, takes its own part, and returns when all are done; a
 * negative number has them end, and returns when all know.
 */
export function runFunction(base: number): Func {
  const builder = build('run', ['i32']);
  const [entry] = builder.parameters;
  const threads = builder.keep('i32', op('i32.atomic.load', i32(base + control.threads)));
  builder.emit(op('i32.atomic.store', i32(base + control.command), get(entry!)));
  builder.emit(call('barrier', i32(0), get(threads)));
  builder.when(op('i32.ge_s', get(entry!), i32(0)), () => builder.emit(call('dispatch', get(entry!), i32(0), get(threads))));
  builder.emit(call('barrier', i32(0), get(threads)));
  return builder.finish(true);
}

/** `work(thread)`, for every other thread: does what it is told until it is told to stop. */
export function workFunction(base: number): Func {
  const builder = build('work', ['i32']);
  const [thread] = builder.parameters;
  const threads = builder.keep('i32', op('i32.atomic.load', i32(base + control.threads)));
  const command = builder.local('i32');
  builder.loop(again => {
    builder.emit(call('barrier', get(thread!), get(threads)));
    builder.emit(set(command, op('i32.atomic.load', i32(base + control.command))));
    builder.when(op('i32.ge_s', get(command), i32(0)), () => builder.emit(call('dispatch', get(command), get(thread!), get(threads))));
    builder.emit(call('barrier', get(thread!), get(threads)));
    builder.branch(again, op('i32.ge_s', get(command), i32(0)));
  });
  return builder.finish(true);
}

/** `dispatch(entry, thread, threads)`: the entry of that number. With one thread there is no one to meet, whoever else may wait. */
export function dispatchFunction(entries: readonly string[]): Func {
  const builder = build('dispatch', ['i32', 'i32', 'i32']);
  const [entry, thread, threads] = builder.parameters;
  entries.forEach((name, number) =>
    builder.when(op('i32.eq', get(entry!), i32(number)), () => builder.emit(call(name, get(thread!), get(threads!)))),
  );
  return builder.finish(true);
}
