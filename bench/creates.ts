/** (b) Measures creates per second into the durable queue, with the agent offline. The floor is a bare Fastify route that commits one row. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Deployment } from '../test/helpers/harness.ts';
import { type Requests, requestsTo } from './requests.ts';
import { inParallel, measure, percentile, print, say, seconds, TINY } from './rounds.ts';

const TOTAL = TINY ? 50 : 2000;
const WIDTH = 32;
/** Executions that may wait on one machine (contract §1): machines take turns so that none is full. */
const PER_MACHINE = 9000;
const BARE = fileURLToPath(new URL('./floors/bare-route.ts', import.meta.url));

const deployment = await Deployment.start({ machine: null });
const dir = mkdtempSync(join(tmpdir(), 'execplane-bench-'));
const api = requestsTo(deployment.server.url, deployment.server.key, WIDTH);
const each = await bareRoute('each');
const group = await bareRoute('group');
const latencies: number[] = [];
let created = 0;
let machine = '';

try {
  const figures = await measure([
    { name: 'bare route, a commit a row', unit: '/s', run: () => rate(each.requests, () => '/rows', []) },
    { name: 'bare route, group commit', unit: '/s', run: () => rate(group.requests, () => '/rows', []) },
    {
      name: 'create, agent away',
      unit: '/s',
      floor: 'bare route, a commit a row',
      run: () => rate(api, path, latencies),
    },
  ]);
  print('creates', `creates with the agent away, ${WIDTH} at a time`, figures);
  say('creates', 'create, agent away', { p50_ms: percentile(latencies, 0.5), p99_ms: percentile(latencies, 0.99) });
} finally {
  await Promise.all([api.close(), each.stop(), group.stop()]);
  await deployment.dispose();
  rmSync(dir, { recursive: true });
}

async function rate(requests: Requests, target: () => string, into: number[]): Promise<number> {
  if (requests === api && (machine === '' || created > PER_MACHINE - TOTAL)) await freshMachine();
  const elapsed = await seconds(() =>
    inParallel(TOTAL, WIDTH, async () => {
      const from = performance.now();
      const { status } = await requests.post(target(), { command: ['/bin/true'] });
      if (status !== 200) throw new Error(`answered ${status}`);
      into.push(performance.now() - from);
    }),
  );
  created += requests === api ? TOTAL : 0;
  return TOTAL / elapsed;
}

function path(): string {
  return `/v1/machines/${machine}/executions`;
}

/** Creates a machine that has joined and whose agent is offline. */
async function freshMachine(): Promise<void> {
  machine = `dm-away-${deployment.agents.length}`;
  created = 0;
  const agent = await deployment.join(machine);
  await agent.stop();
  await deployment.away(agent);
}

async function bareRoute(mode: 'each' | 'group'): Promise<{ requests: Requests; stop: () => Promise<void> }> {
  const child = spawn(process.execPath, [BARE, join(dir, `${mode}.db`), mode], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const requests = requestsTo(line.toString().trim(), '', WIDTH);
  return {
    requests,
    stop: async () => {
      await requests.close();
      child.kill('SIGTERM');
      await once(child, 'exit');
    },
  };
}
