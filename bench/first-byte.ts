/** (d) Time to first byte over server-sent events: from the command's write to the reader, the machine otherwise busy. */
import { World } from '../test/helpers/harness.ts';
import { requestsTo } from './requests.ts';
import { percentile, say, TINY } from './rounds.ts';

const SAMPLES = TINY ? 5 : 300;
const BUSY = TINY ? 1 : 8;

const world = await World.start({ server: { EXECPLANE_LOG_LEVEL: 'warn' }, agent: { EXECPLANE_LOG_LEVEL: 'warn' } });
const api = requestsTo(world.server.url, world.server.key, BUSY + 4);
const executions = `/v1/machines/${world.agent.machineId}/executions`;
const delays: number[] = [];
let over = false;

try {
  const load = Promise.all(Array.from({ length: BUSY }, busy));
  for (let sample = 0; sample < SAMPLES; sample += 1) delays.push(await firstByte());
  over = true;
  await load;
  process.stdout.write('\nfirst byte over server-sent events: from the write of the command to the reader\n');
  say('first-byte', `${BUSY} other commands at a time`, {
    p50_ms: percentile(delays, 0.5),
    p99_ms: percentile(delays, 0.99),
    samples: SAMPLES,
  });
} finally {
  over = true;
  await api.close();
  await world.dispose();
}

async function busy(): Promise<void> {
  while (!over) await api.post(`${executions}?wait_ms=10000`, { command: ['/bin/true'] });
}

/** The command prints the time at which it writes; a reader on the same clock takes the difference. */
async function firstByte(): Promise<number> {
  const { json } = await api.post(executions, { command: ['sh', '-c', 'sleep 0.05; date +"at=%s.%N"'] });
  await api.firstMatch(`${executions}/${json['execution_id']}/events`, 'at=', { accept: 'text/event-stream' });
  const arrived = performance.timeOrigin + performance.now();
  const output = await api.get(`${executions}/${json['execution_id']}?wait_ms=10000`);
  if (output.json['status'] !== 'succeeded') throw new Error(JSON.stringify(output.json));
  const { json: result } = await api.get(`${executions}/${json['execution_id']}/output`);
  return arrived - Number(String(result['stdout']).trim().slice(3)) * 1000;
}
