/** (c) Output: MB/s of a large stream to its end with every byte stored, and tiny lines a second, against a bare pipe. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { World } from '../test/helpers/harness.ts';
import { requestsTo } from './requests.ts';
import { measure, print, ROUNDS, seconds, TINY } from './rounds.ts';

const MEGABYTES = TINY ? 4 : Number(process.env['BENCH_MEGABYTES'] ?? 256);
const LINES = TINY ? 1000 : 100_000;
const BYTES = MEGABYTES * 1_000_000;
const FLOOD = ['head', '-c', String(BYTES), '/dev/zero'];
/** One write(2) a line, as a program that flushes each line does. */
const TINY_LINES = ['awk', `BEGIN { for (i = 1; i <= ${LINES}; i++) { print i; fflush() } }`];

const world = await World.start({
  server: { EXECPLANE_MAX_OUTPUT_BYTES: String(BYTES), EXECPLANE_LOG_LEVEL: 'warn' },
  agent: { EXECPLANE_LOG_LEVEL: 'warn' },
});
const api = requestsTo(world.server.url, world.server.key, 2);
const executions = `/v1/machines/${world.agent.machineId}/executions`;

try {
  const figures = await measure(
    [
      { name: 'bare pipe', unit: 'MB/s', run: async () => MEGABYTES / (await bare(FLOOD)) },
      {
        name: `${MEGABYTES} MB to its end, all stored`,
        unit: 'MB/s',
        floor: 'bare pipe',
        run: async () => MEGABYTES / (await ran(FLOOD)),
      },
      { name: 'bare pipe, tiny lines', unit: '/s', run: async () => LINES / (await bare(TINY_LINES)) },
      {
        name: `${LINES} tiny lines`,
        unit: '/s',
        floor: 'bare pipe, tiny lines',
        run: async () => LINES / (await ran(TINY_LINES)),
      },
    ],
    ROUNDS,
  );
  print('output', figures);
} finally {
  await api.close();
  await world.dispose();
}

/** Seconds until a child's output has been read to its end and it is gone. */
function bare(command: readonly string[]): Promise<number> {
  return seconds(async () => {
    const child = spawn(command[0] ?? '', command.slice(1), { stdio: ['ignore', 'pipe', 'inherit'] });
    child.stdout.resume();
    await once(child, 'close');
  });
}

/** Seconds from the create until the execution is over, and a check that every byte was kept. */
async function ran(command: readonly string[]): Promise<number> {
  let id = '';
  const took = await seconds(async () => {
    let { json } = await api.post(`${executions}?wait_ms=55000`, { command });
    id = String(json['execution_id']);
    while (json['status'] === 'running') json = (await api.get(`${executions}/${id}?wait_ms=55000`)).json;
    if (json['status'] !== 'succeeded' || json['stdout_truncated'] === true) throw new Error(JSON.stringify(json));
  });
  const { json } = await api.get(`${executions}/${id}`);
  const read = await api.drain(`${executions}/${id}/output/stdout`);
  if (read !== json['stdout_bytes']) throw new Error(`${read} bytes kept of ${json['stdout_bytes']}`);
  return took;
}
