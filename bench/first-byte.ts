/**
 * (d) Measures the time from a command's first write to its reader over server-sent events, on a busy machine; through a bare pipe; and through a
 * bare chain of as many Node processes, which only pass the bytes on.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Deployment } from '../test/helpers/harness.ts';
import { BareChain } from './floors/bare-chain.ts';
import { requestsTo } from './requests.ts';
import { percentile, say, TINY } from './rounds.ts';

const SAMPLES = TINY ? 5 : 300;
const BUSY = TINY ? 1 : 8;

const deployment = await Deployment.start({
  server: { EXECPLANE_LOG_LEVEL: 'warn' },
  agent: { EXECPLANE_LOG_LEVEL: 'warn' },
});
const api = requestsTo(deployment.server.url, deployment.server.key, BUSY + 4);
const executions = `/v1/machines/${deployment.agent.machineId}/executions`;
/** A command that prints the time of its write, from which the reader, with the same clock, computes the delay. */
const COMMAND = ['sh', '-c', 'sleep 0.05; date +"at=%s.%N"'];
const delays: number[] = [];
const bareDelays: number[] = [];
const chainDelays: number[] = [];
const chain = await BareChain.start(deployment.dir, COMMAND);
let over = false;

try {
  const load = Promise.all(Array.from({ length: BUSY }, busy));
  for (let sample = 0; sample < SAMPLES; sample += 1) {
    bareDelays.push(await bareFirstByte());
    chainDelays.push(await chainFirstByte());
    delays.push(await firstByte());
  }
  over = true;
  await load;
  process.stdout.write('\nfirst byte over server-sent events: from the write of the command to the reader\n');
  const others = `${BUSY} others at a time`;
  for (const [name, own] of [
    [`bare pipe, ${others}`, bareDelays],
    [`bare chain, ${others}`, chainDelays],
    [`execution, ${others}`, delays],
  ] as const) {
    say('first-byte', name, { p50_ms: percentile(own, 0.5), p99_ms: percentile(own, 0.99), samples: SAMPLES });
  }
} finally {
  over = true;
  await chain.close();
  await api.close();
  await deployment.dispose();
}

async function busy(): Promise<void> {
  while (!over) await api.post(`${executions}?wait_ms=10000`, { command: ['/bin/true'] });
}

async function firstByte(): Promise<number> {
  const { json } = await api.post(executions, { command: COMMAND });
  await api.firstMatch(`${executions}/${json['execution_id']}/events`, 'at=', { accept: 'text/event-stream' });
  const arrived = performance.timeOrigin + performance.now();
  const ended = await api.get(`${executions}/${json['execution_id']}?wait_ms=10000`);
  if (ended.json['status'] !== 'succeeded') throw new Error(JSON.stringify(ended.json));
  const { json: output } = await api.get(`${executions}/${json['execution_id']}/output`);
  return arrived - writtenAt(String(output['stdout']));
}

async function bareFirstByte(): Promise<number> {
  const child = spawn(COMMAND[0] ?? '', COMMAND.slice(1), { stdio: ['ignore', 'pipe', 'inherit'] });
  const [bytes] = (await once(child.stdout, 'data')) as [Buffer];
  const arrived = performance.timeOrigin + performance.now();
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  return arrived - writtenAt(bytes.toString());
}

async function chainFirstByte(): Promise<number> {
  const { bytes, at } = await chain.first();
  return at - writtenAt(bytes.toString());
}

/** ms since the epoch. */
function writtenAt(line: string): number {
  return Number(line.trim().slice(3)) * 1000;
}
