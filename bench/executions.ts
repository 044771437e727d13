/**
 * (a) Measures executions per second from create to end, and the time of each. The floor is a bare `child_process.spawn`; one at a time, C's
 * posix_spawn(3) is measured beside it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Deployment } from '../test/helpers/harness.ts';
import { compilePosixSpawn } from './floors/posix-spawn.ts';
import { COMMAND, spawned } from './floors/spawn.ts';
import { requestsTo } from './requests.ts';
import { type Contender, measure, percentile, perSecond, print, say, TINY } from './rounds.ts';

const WIDTHS = [1, 8, 32];
/** Time that each contender runs in each round, at each width. */
const SLICE_MS = TINY ? 200 : 2000;
/** Pause between polls, ms. Clients of the SDKs poll. */
const POLL_MS = 10;

const deployment = await Deployment.start();
const api = requestsTo(deployment.server.url, deployment.server.key, Math.max(...WIDTHS));
const times = new Map<string, number[]>();
const posixSpawn = compilePosixSpawn();

try {
  print(
    'executions',
    `executions of ${COMMAND}, from the request to the end`,
    await measure(WIDTHS.flatMap(contendersAt)),
  );
  process.stdout.write('\n');
  for (const [name, own] of times)
    say('executions', name, { p50_ms: percentile(own, 0.5), p99_ms: percentile(own, 0.99) });
} finally {
  posixSpawn?.dispose();
  await api.close();
  await deployment.dispose();
}

function contendersAt(width: number): Contender[] {
  const floor = `bare spawn, ${width} at a time`;
  const contender = (name: string, task: () => Promise<void>): Contender =>
    timed(name, (own) => perSecond(width, SLICE_MS, task, own));
  const timed = (name: string, run: (own: number[]) => Promise<number>): Contender => {
    const own: number[] = [];
    times.set(name, own);
    return { name, unit: '/s', ...(name !== floor && { floor }), run: () => run(own) };
  };
  return [
    contender(floor, spawned),
    ...(width === 1 && posixSpawn
      ? [timed('posix_spawn in C, 1 at a time', (own) => posixSpawn.run(SLICE_MS, own))]
      : []),
    contender(`waiting (wait_ms), ${width} at a time`, waited),
    contender(`polling every ${POLL_MS} ms, ${width} at a time`, polled),
  ];
}

async function waited(): Promise<void> {
  const { status, json } = await api.post(`${deployment.machine.path}?wait_ms=55000`, { command: [COMMAND] });
  if (status !== 200 || json['status'] !== 'succeeded') throw new Error(`${status}: ${JSON.stringify(json)}`);
}

async function polled(): Promise<void> {
  let { json } = await api.post(deployment.machine.path, { command: [COMMAND] });
  while (json['status'] === 'queued' || json['status'] === 'running') {
    await sleep(POLL_MS);
    json = (await api.get(`${deployment.machine.path}/${json['execution_id']}`)).json;
  }
  if (json['status'] !== 'succeeded') throw new Error(JSON.stringify(json));
}
