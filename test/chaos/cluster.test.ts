/** Three servers on one PostgreSQL, one of which is killed every three seconds: no command is lost or run twice (fault 51). */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import type { WireExecution } from '../helpers/client.ts';
import { TestCluster } from '../helpers/cluster.ts';
import { until } from '../helpers/processes.ts';
import { Random } from './random.ts';

const SEED = Number(process.env['CHAOS_SEED'] ?? '1');
const KILLS = 4;
const KILL_EVERY_MS = 3000;
const MACHINES = ['dm-one', 'dm-two'];

test(`a server is killed every 3 s: what was acknowledged is there, ran once, and is whole (seed ${SEED})`, async () => {
  const cluster = await TestCluster.start({ servers: 3 });
  onTestFinished(() => cluster.dispose());
  for (const machineId of MACHINES) await cluster.join(machineId);
  const starts = join(cluster.dir, 'starts');
  const random = new Random(SEED);
  let killing = true;
  const killed = killServers(cluster, random).finally(() => {
    killing = false;
  });
  const created: { id: string; machineId: string; lines: number }[] = [];
  while (killing) {
    const [machineId, lines] = [random.pick(MACHINES), random.between(1, 20)];
    const id = await persistently(() => create(cluster, machineId, { starts, lines, key: randomUUID() }));
    created.push({ id, machineId, lines });
    await delay(random.between(0, 200));
  }
  await killed;
  const ends = await Promise.all(created.map(({ id, machineId }) => ended(cluster, machineId, id)));
  expect(ends.filter(({ status }) => status !== 'succeeded')).toEqual([]);
  const started = readFileSync(starts, 'utf8').trim().split('\n');
  expect(started.toSorted()).toEqual(created.map(({ id }) => id).toSorted());
  for (const { id, machineId, lines } of created) {
    const events = await cluster.server(0).client.machine(machineId).events(id);
    expect(events.map(({ sequence }) => sequence)).toEqual(events.map((_event, index) => index + 1));
    const output = events.map(({ chunk = '' }) => chunk).join('');
    expect(output).toBe(Array.from({ length: lines }, (_line, index) => `${index + 1}\n`).join(''));
  }
}, 240_000);

/** Kills one at a time, and has it back before the next. */
async function killServers(cluster: TestCluster, random: Random): Promise<void> {
  for (let kill = 0; kill < KILLS; kill += 1) {
    const server = cluster.server(random.between(0, 2));
    const next = delay(KILL_EVERY_MS);
    await server.kill();
    await server.restart();
    await next;
  }
}

/** The same key for as many tries as it takes. */
async function create(
  cluster: TestCluster,
  machineId: string,
  p: { starts: string; lines: number; key: string },
): Promise<string> {
  const line = `echo "$EXECUTION_ID" >> "$STARTS"; n=0; while [ $n -lt ${p.lines} ]; do n=$((n+1)); echo $n; sleep 0.1; done`;
  const body = { command: ['/bin/sh', '-c', line], env: { STARTS: p.starts } };
  const path = `/v1/machines/${machineId}/executions`;
  return persistently(async () => {
    const sent = { body, headers: { 'idempotency-key': p.key }, signal: AbortSignal.timeout(5000) };
    return (await cluster.client.ask<WireExecution>('POST', path, sent)).execution_id;
  });
}

async function ended(cluster: TestCluster, machineId: string, id: string): Promise<WireExecution> {
  let latest: WireExecution | undefined;
  await until(
    () => `${id} has ended: ${JSON.stringify(latest)}\n${cluster.log}`,
    async () => {
      const path = `/v1/machines/${machineId}/executions/${id}`;
      latest = await cluster.client.ask<WireExecution>('GET', path).catch(() => undefined);
      return latest?.completed_at !== undefined;
    },
    120_000,
  );
  if (latest === undefined) throw new Error(`${id} is gone`);
  return latest;
}

/** Tries until it succeeds; what is refused for good would never end, so there is a limit. */
async function persistently<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      if (attempt === 300) throw error;
      await delay(100);
    }
  }
}
