/** Limits of terminals: clients of one terminal, streams of a key, slots of a machine, pseudo-terminals of its kernel. */
import { spawnSync } from 'node:child_process';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type AgentUnderTest, Deployment } from '../helpers/harness.ts';
import { TerminalStream } from '../helpers/terminal-stream.ts';

interface Terminal {
  terminal_id: string;
  status: string;
  error_code?: string;
  error_message?: string;
  reason?: { message: string };
}

/** Arguments that mount a devpts with only one pseudo-terminal for the following command. */
const ONE_TERMINAL = [
  ...['unshare', '--mount', 'sh', '-c'],
  'mount -t devpts -o newinstance,max=1,ptmxmode=0666 devpts /dev/pts && mount --bind /dev/pts/ptmx /dev/ptmx && exec "$0" "$@"',
];
const [unshare = '', ...unshareArgs] = ONE_TERMINAL;
const canMount = spawnSync(unshare, [...unshareArgs, 'true']).status === 0;

let deployment: Deployment;
beforeAll(async () => {
  deployment = await Deployment.start({
    server: { EXECPLANE_MAX_STREAMS_PER_KEY: '10' },
    agent: { EXECPLANE_MAX_CONCURRENCY: '2' },
  });
});
afterAll(() => deployment.dispose());

const terminals = (agent: AgentUnderTest) => `/v1/machines/${agent.machineId}/terminals`;

function create(agent = deployment.agent): Promise<Terminal> {
  const body = { width: 80, height: 24, shell: '/bin/sh' };
  return deployment.client.ask<Terminal>('POST', terminals(agent), { body });
}

/** Waits until the status of the terminal is not `status`. */
async function leaves(status: string, terminal: Terminal, agent = deployment.agent): Promise<Terminal> {
  let latest = terminal;
  while (latest.status === status)
    latest = await deployment.client.ask('GET', `${terminals(agent)}/${terminal.terminal_id}`);
  return latest;
}

async function close(terminal: Terminal, agent = deployment.agent): Promise<void> {
  await deployment.client.ask('DELETE', `${terminals(agent)}/${terminal.terminal_id}`);
  await leaves('ready', { ...terminal, status: 'ready' }, agent);
}

/** Attaches `count` clients at once. Returns the accepted clients, and the statuses of the refused ones. */
async function attachMany(
  terminal: Terminal,
  count: number,
): Promise<{ clients: TerminalStream[]; refusals: number[] }> {
  const url = `${deployment.server.url}${terminals(deployment.agent)}/${terminal.terminal_id}/stream`;
  const opened = await Promise.allSettled(
    Array.from({ length: count }, () => TerminalStream.open(url, deployment.server.key)),
  );
  return {
    clients: opened.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : [])),
    refusals: opened.flatMap((one) => (one.status === 'rejected' ? [(one.reason as { status: number }).status] : [])),
  };
}

test('a terminal has at most 8 clients, also if more attach at once, and a key at most its number of streams', async () => {
  const first = await leaves('wake_in_progress', await create());
  const second = await leaves('wake_in_progress', await create());
  const many = await attachMany(first, 12);
  expect([many.clients.length, many.refusals]).toEqual([8, [429, 429, 429, 429]]);
  const more = await attachMany(second, 3);
  expect([more.clients.length, more.refusals]).toEqual([2, [429]]);
  more.clients[0]?.type('echo st""ill\n');
  await more.clients[0]?.printed('still');
  for (const { socket } of [...many.clients, ...more.clients]) socket.terminate();
  await close(first);
  await close(second);
});

test('a terminal waits while all slots of its machine are busy, says so, and opens when one is free', async () => {
  const open = [await create(), await create()];
  for (const terminal of open) await leaves('wake_in_progress', terminal);
  const waiting = await create();
  const path = `${terminals(deployment.agent)}/${waiting.terminal_id}`;
  const told = await deployment.client.ask<Terminal>('GET', path, { query: { include: 'reason' } });
  expect(told).toMatchObject({
    status: 'wake_in_progress',
    reason: { message: expect.stringContaining('all 2 slots') },
  });
  for (const terminal of open) await close(terminal);
  const opened = await leaves('wake_in_progress', waiting);
  expect(opened.status).toBe('ready');
  await close(opened);
});

test.runIf(canMount)(
  'a machine without a free pseudo-terminal fails the terminal with a sentence, and runs commands',
  async () => {
    const agent = await deployment.join('dm-one-terminal', {}, ONE_TERMINAL);
    const first = await leaves('wake_in_progress', await create(agent), agent);
    expect(first.status).toBe('ready');
    const second = await leaves('wake_in_progress', await create(agent), agent);
    expect(second).toMatchObject({ status: 'failed', error_code: 'spawn_failed' });
    expect(second.error_message).toContain('no free pseudo-terminal');
    const { execution_id } = await deployment.client.machine(agent.machineId).create({ command: ['/bin/true'] });
    expect(await deployment.client.machine(agent.machineId).ended(execution_id)).toMatchObject({ status: 'succeeded' });
    await close(first, agent);
    const third = await leaves('wake_in_progress', await create(agent), agent);
    expect(third.status).toBe('ready');
    await close(third, agent);
  },
);
