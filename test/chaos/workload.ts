/** The commands of a chaos run. Each records its start and prints known output. */
import type { CreateBody } from '../helpers/client.ts';
import type { Random } from './random.ts';

export interface Task {
  kind: string;
  body: CreateBody;
  /** The whole output on stdout if no fault stops the command. */
  stdout: string;
  stderr: string;
  /** The possible final states if no runner is killed. After the death of a runner, `agent_lost` is possible too. */
  ends: readonly string[];
  /** The time from creation to cancellation, ms; absent: not cancelled. */
  cancelAfterMs?: number;
}

const lines = (from: number, to: number, prefix = '') =>
  Array.from({ length: Math.max(0, to - from + 1) }, (_, n) => `${prefix}${from + n}\n`).join('');

type Maker = (random: Random) => Task;

const MAKERS: Record<string, Maker> = {
  quick: (random) => {
    const count = random.between(0, 40);
    return task('quick', `seq 1 ${count}`, { stdout: lines(1, count) });
  },
  slow: (random) => {
    const count = random.between(5, 40);
    const script = `i=1; while [ $i -le ${count} ]; do echo $i; echo e$i >&2; sleep 0.0${random.between(1, 9)}; i=$((i+1)); done`;
    return task('slow', script, { stdout: lines(1, count), stderr: lines(1, count, 'e') });
  },
  flood: (random) => {
    const count = random.between(20_000, 250_000);
    return task('flood', `seq 1 ${count}`, { stdout: lines(1, count) });
  },
  streamed: (random) => {
    const count = random.between(20_000, 400_000);
    const made = task('streamed', `seq 1 ${count}; echo done >&2`, { stdout: lines(1, count), stderr: 'done\n' });
    return { ...made, body: { ...made.body, output_mode: 'stream' } };
  },
  failing: (random) => {
    const code = random.between(1, 200);
    return task('failing', `seq 1 10; echo no >&2; exit ${code}`, {
      stdout: lines(1, 10),
      stderr: 'no\n',
      ends: ['nonzero_exit'],
    });
  },
  stdin: (random) => {
    const stdin = lines(1, random.between(10, 60_000), 'in ');
    return task('stdin', 'cat', { stdout: stdin, stdin });
  },
  timeout: (random) => {
    const made = task('timeout', 'seq 1 50; sleep 600 & exec sleep 600', {
      stdout: lines(1, 50),
      ends: ['execution_timed_out'],
    });
    return { ...made, body: { ...made.body, timeout_ms: random.between(300, 1500) } };
  },
  cancelled: (random) => ({
    ...task('cancelled', 'i=1; while [ $i -le 2000 ]; do echo $i; sleep 0.01; i=$((i+1)); done', {
      stdout: lines(1, 2000),
      ends: ['cancelled'],
    }),
    cancelAfterMs: random.between(0, 2500),
  }),
};

function task(
  kind: string,
  script: string,
  p: { stdout?: string; stderr?: string; stdin?: string; ends?: readonly string[] },
): Task {
  return {
    kind,
    // A single write(2) to a file opened with O_APPEND, so that records of concurrent commands do not mix.
    body: {
      command: ['/bin/sh', '-c', `echo "$EXECUTION_ID" >> "$STARTS"; ${script}`],
      ...(p.stdin === undefined ? {} : { stdin: p.stdin }),
    },
    stdout: p.stdout ?? '',
    stderr: p.stderr ?? '',
    ends: p.ends ?? ['succeeded'],
  };
}

/** Makes a random task whose command appends its execution id to the file `starts`. */
export function makeTask(random: Random, starts: string): Task {
  const kind = random.pick([
    'quick',
    'quick',
    'quick',
    'slow',
    'slow',
    'flood',
    'streamed',
    'failing',
    'stdin',
    'timeout',
    'cancelled',
  ]);
  const made = (MAKERS[kind] as Maker)(random);
  return { ...made, body: { ...made.body, env: { STARTS: starts } } };
}
