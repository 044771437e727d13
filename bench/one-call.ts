/**
 * Compares one call that returns the output of a command (`wait_ms`, `include`) with the calls of a client that uses neither: a create,
 * polls until the end, and a read of the output.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Deployment } from '../test/helpers/harness.ts';
import { requestsTo } from './requests.ts';
import { type Contender, measure, perSecond, print, TINY } from './rounds.ts';

const WIDTHS = TINY ? [2] : [1, 8];
const SLICE_MS = TINY ? 200 : 3000;
const POLL_MS = 10;
const COMMAND = ['uname', '-a'];

const deployment = await Deployment.start({
  server: { EXECPLANE_LOG_LEVEL: 'warn' },
  agent: { EXECPLANE_LOG_LEVEL: 'warn' },
});
const api = requestsTo(deployment.server.url, deployment.server.key, Math.max(...WIDTHS));
const executions = `/v1/machines/${deployment.agent.machineId}/executions`;

try {
  print('one-call', `${COMMAND.join(' ')} with its output`, await measure(WIDTHS.flatMap((width) => against(width))));
} finally {
  await api.close();
  await deployment.dispose();
}

function against(width: number): Contender[] {
  const floor = `create, poll every ${POLL_MS} ms, output, ${width} at a time`;
  const contender = (name: string, task: () => Promise<void>): Contender => ({
    name,
    unit: '/s',
    run: () => perSecond(width, SLICE_MS, task),
  });
  return [contender(floor, polled), { ...contender(`one call, ${width} at a time`, inOneCall), floor }];
}

async function inOneCall(): Promise<void> {
  const { json } = await api.post(`${executions}?wait_ms=55000&include=output`, { command: COMMAND });
  assertPrinted(json['output']);
}

async function polled(): Promise<void> {
  let { json } = await api.post(executions, { command: COMMAND });
  const path = `${executions}/${json['execution_id']}`;
  while (json['status'] === 'queued' || json['status'] === 'running') {
    await sleep(POLL_MS);
    json = (await api.get(path)).json;
  }
  assertPrinted((await api.get(`${path}/output`)).json);
}

function assertPrinted(output: unknown): void {
  if (!JSON.stringify(output ?? '').includes('Linux')) throw new Error(JSON.stringify(output));
}
