/** (a) Executions a second of the whole thing, created, run and waited for, against a bare `child_process.spawn`. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { World } from '../test/helpers/harness.ts';
import { requestsTo } from './requests.ts';
import { type Contender, measure, print, ROUNDS, TINY } from './rounds.ts';

const WIDTHS = [1, 8, 32];
/** How long each contender runs in each round, at each width. */
const SLICE_MS = TINY ? 200 : 2000;
const COMMAND = '/bin/true';

const world = await World.start();
const api = requestsTo(world.server.url, world.server.key, Math.max(...WIDTHS));
const path = `${world.machine.path}?wait_ms=55000`;

try {
  print('executions of /bin/true, waited for', await measure(WIDTHS.flatMap(contendersAt), ROUNDS));
} finally {
  await api.close();
  await world.dispose();
}

function contendersAt(width: number): Contender[] {
  const floor = `bare spawn, ${width} at a time`;
  const rate = (task: () => Promise<void>) => perSecond(width, task);
  return [
    { name: floor, unit: '/s', run: () => rate(spawned) },
    { name: `execution, ${width} at a time`, unit: '/s', floor, run: () => rate(executed) },
  ];
}

/** Runs `task` again and again, `width` at a time, for a slice of time; how many a second came to their end. */
async function perSecond(width: number, task: () => Promise<void>): Promise<number> {
  const from = performance.now();
  let done = 0;
  const lane = async () => {
    for (; performance.now() - from < SLICE_MS; done += 1) await task();
  };
  await Promise.all(Array.from({ length: width }, lane));
  return (done * 1000) / (performance.now() - from);
}

/** The least that anybody in Node can do: start it and see it end. */
async function spawned(): Promise<void> {
  const [code] = await once(spawn(COMMAND, { stdio: 'ignore' }), 'close');
  if (code !== 0) throw new Error(`exited with ${code}`);
}

async function executed(): Promise<void> {
  const { status, json } = await api.post(path, { command: [COMMAND] });
  if (status !== 200 || json['status'] !== 'succeeded') throw new Error(`${status}: ${JSON.stringify(json)}`);
}
