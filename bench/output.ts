/** (c) Measures MB/s of a large output to its end, with every byte stored, and tiny lines per second. The floor is a bare pipe. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Deployment } from '../test/helpers/harness.ts';
import { requestsTo } from './requests.ts';
import { type Contender, measure, print, seconds, TINY } from './rounds.ts';

const SIZES_MB = TINY ? [4] : [256, 1074];
const LINES = TINY ? 1000 : 100_000;
const MAX_BYTES = Math.max(...SIZES_MB) * 1_000_000;
/** One write(2) per line, as in a program that flushes each line. */
const TINY_LINES = ['awk', `BEGIN { for (i = 1; i <= ${LINES}; i++) { print i; fflush() } }`];

const deployment = await Deployment.start({
  server: { EXECPLANE_MAX_OUTPUT_BYTES: String(MAX_BYTES), EXECPLANE_LOG_LEVEL: 'warn' },
  agent: { EXECPLANE_LOG_LEVEL: 'warn' },
});
const api = requestsTo(deployment.server.url, deployment.server.key, 2);
const executions = `/v1/machines/${deployment.agent.machineId}/executions`;

try {
  const contenders = [
    ...SIZES_MB.flatMap((megabytes) => against(`${megabytes} MB`, megabytes, 'MB/s', flood(megabytes))),
    ...against(`${LINES} tiny lines`, LINES, '/s', TINY_LINES),
  ];
  print('output', 'output, to the end of the command with every byte stored', await measure(contenders));
} finally {
  await api.close();
  await deployment.dispose();
}

function flood(megabytes: number): readonly string[] {
  return ['head', '-c', String(megabytes * 1_000_000), '/dev/zero'];
}

/** Returns two contenders: the command read through a bare pipe, and as an execution. */
function against(label: string, amount: number, unit: string, command: readonly string[]): Contender[] {
  const floor = `bare pipe, ${label}`;
  return [
    { name: floor, unit, run: async () => amount / (await bare(command)) },
    { name: `execution, ${label}`, unit, floor, run: async () => amount / (await ran(command)) },
  ];
}

/** Returns the seconds until a child's output was read to its end and the child has exited. */
function bare(command: readonly string[]): Promise<number> {
  return seconds(async () => {
    const child = spawn(command[0] ?? '', command.slice(1), { stdio: ['ignore', 'pipe', 'inherit'] });
    child.stdout.resume();
    await once(child, 'close');
  });
}

/** Returns the seconds from the create to the end of the execution. Throws unless every byte was kept. */
async function ran(command: readonly string[]): Promise<number> {
  let id = '';
  const elapsed = await seconds(async () => {
    let { json } = await api.post(`${executions}?wait_ms=55000`, { command });
    id = String(json['execution_id']);
    while (json['status'] === 'running') json = (await api.get(`${executions}/${id}?wait_ms=55000`)).json;
    if (json['status'] !== 'succeeded' || json['stdout_truncated'] === true) throw new Error(JSON.stringify(json));
  });
  const { json } = await api.get(`${executions}/${id}`);
  const read = await api.drain(`${executions}/${id}/output/stdout`);
  if (read !== json['stdout_bytes']) throw new Error(`${read} bytes kept of ${json['stdout_bytes']}`);
  return elapsed;
}
