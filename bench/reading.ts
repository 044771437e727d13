/** Measures the server's resident memory while a fast client reads an output of 1 GiB, in each way that the API offers. */
import { readFileSync } from 'node:fs';
import { Deployment } from '../test/helpers/harness.ts';
import { requestsTo } from './requests.ts';
import { say, TINY } from './rounds.ts';

const BYTES = TINY ? 4_194_304 : 1_073_741_824;
/** Paths below the execution. */
const WAYS = ['output/stdout', 'output?encoding=base64', 'events?encoding=base64'] as const;

const deployment = await Deployment.start({
  server: { EXECPLANE_MAX_OUTPUT_BYTES: String(BYTES), EXECPLANE_LOG_LEVEL: 'warn' },
  agent: { EXECPLANE_LOG_LEVEL: 'warn' },
});
const api = requestsTo(deployment.server.url, deployment.server.key, 2);

try {
  const execution = `/v1/machines/${deployment.agent.machineId}/executions/${await flood()}`;
  process.stdout.write(`\nresident memory of the server while ${BYTES} bytes are read, MB\n`);
  for (const way of WAYS) {
    // A new server, without the memory of the writing.
    await deployment.server.stop();
    await deployment.server.restart();
    say('reading', way, await read(`${execution}/${way}`, way.startsWith('events') ? 'text/event-stream' : '*/*'));
  }
} finally {
  await api.close();
  await deployment.dispose();
}

/** Runs a command that prints BYTES to stdout. Returns its execution id. */
async function flood(): Promise<string> {
  const { execution_id: id } = await deployment.machine.create({
    command: ['head', '-c', String(BYTES), '/dev/urandom'],
  });
  const { stdout_bytes: kept } = await deployment.machine.ended(id);
  if (kept !== BYTES) throw new Error(`${kept} bytes kept of ${BYTES}`);
  return id;
}

async function read(path: string, accept: string): Promise<Record<string, number>> {
  const rest = residentMegabytes();
  let worst = rest;
  const watch = setInterval(() => {
    worst = Math.max(worst, residentMegabytes());
  }, 50);
  const from = performance.now();
  const bytes = await api.drain(path, { accept });
  clearInterval(watch);
  if (bytes < BYTES) throw new Error(`${path}: ${bytes} bytes of ${BYTES}`);
  return { at_rest_mb: rest, worst_mb: worst, mb_per_s: bytes / 1000 / (performance.now() - from) };
}

function residentMegabytes(): number {
  const status = readFileSync(`/proc/${deployment.server.process.pid}/status`, 'utf8');
  return Math.round(Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) / 1000);
}
