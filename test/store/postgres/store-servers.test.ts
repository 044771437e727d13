/** Stores of several servers on one database: epochs, owners, dead servers, and a COMMIT without an answer. */
import { once } from 'node:events';
import { createServer, connect, type Server, type Socket } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import pg from 'pg';
import { afterEach, describe, expect, it } from 'vitest';
import { REUSABLE_TOKEN_LOCK } from '../../../src/store/postgres/statements/select-join-token.ts';
import type { Store } from '../../../src/store/store.ts';
import { freePort } from '../../helpers/free-port.ts';
import { until } from '../../helpers/processes.ts';
import { Bench, FACTS, MACHINE, record, RUNNER, T0 } from '../contract/fixture.ts';
import { useSchemas } from './schemas.ts';

const schemas = useSchemas();

const hello = (runnerInstance = RUNNER) => ({
  machineId: MACHINE,
  runnerInstance,
  bootId: 'boot',
  facts: FACTS,
  now: T0,
});

async function epochOf(connecting: ReturnType<Store['machineConnected']>): Promise<number> {
  const connected = await connecting;
  if (connected.outcome !== 'applied') throw new Error(connected.outcome);
  return connected.epoch;
}

describe('the connection of a machine', () => {
  it("that moved to another server makes the first one's writes stale", async () => {
    const [first, second] = [new Bench(await schemas.open()), new Bench(await schemas.open())];
    await first.connect();
    const waiting = await first.create();
    const before = first.ofConnection(T0);
    const epoch = await epochOf(second.store.machineConnected(hello()));
    expect(epoch).toBeGreaterThan(before.epoch);
    expect(await first.store.claimQueued({ ...before, limit: 9 })).toEqual({ outcome: 'stale' });
    expect(await first.store.machineDisconnected(before)).toBe('stale');
    const lost = { executionIds: [waiting.executionId], reason: 'gone' };
    expect(await first.store.markLost({ ...before, ...lost })).toEqual({ outcome: 'stale' });
    const claimed = await second.store.claimQueued({ machineId: MACHINE, epoch, limit: 9, now: T0 });
    expect(claimed).toMatchObject({
      outcome: 'applied',
      dispatches: [{ execution: { executionId: waiting.executionId } }],
    });
  });

  it('is refused to another runner instance while the first server lives', async () => {
    const [first, second] = [new Bench(await schemas.open()), await schemas.open()];
    await first.connect();
    expect(await second.machineConnected(hello('runner-2'))).toEqual({ outcome: 'held' });
    await first.disconnect();
    expect(await second.machineConnected(hello('runner-2'))).toMatchObject({ outcome: 'applied' });
  });

  it('has one holder if it arrives through two servers at once', async () => {
    const [first, second] = [await schemas.open(), await schemas.open()];
    await first.createMachine({ machineId: MACHINE, now: T0 });
    const epochs = await Promise.all([
      epochOf(first.machineConnected(hello())),
      epochOf(second.machineConnected(hello())),
    ]);
    expect(new Set(epochs).size).toBe(2);
    const valid = await Promise.all(
      epochs.map((epoch) => first.wakeWaiting({ machineId: MACHINE, epoch, limit: 1, now: T0 })),
    );
    expect(valid.map(({ outcome }) => outcome).sort()).toEqual(['applied', 'stale']);
  });
});

describe('a server that shows no sign of life', () => {
  it('loses its machines to the others, under another epoch', async () => {
    const store = new Bench(await schemas.open());
    await store.connect();
    const { executionId } = await store.dispatched();
    const dead = `INSERT INTO replicas (version, heartbeat_at) VALUES ('dead', clock_timestamp() - interval '1 minute') RETURNING id`;
    const [row] = await schemas.query<{ id: string }>(dead);
    await schemas.query(`UPDATE machines SET owner = ${row?.id}`);
    await store.store.cluster?.heartbeat({ draining: false });
    expect((await store.store.getMachine({ machineId: MACHINE }))?.phase).toBe('sleeping');
    expect(await schemas.query(`SELECT id FROM replicas WHERE id = ${row?.id}`)).toEqual([]);
    expect(await store.store.machineDisconnected(store.ofConnection(T0))).toBe('stale');
    expect(await store.get(executionId)).toMatchObject({ status: 'queued', dispatchedTo: RUNNER });
  });
});

describe('an operation of a provider', () => {
  const DUE = { provider: 'docker', now: T0, limit: 9 };
  const place = (store: Store) =>
    store.placeMachine({
      machine: { machineId: MACHINE, facts: FACTS, autosleepSeconds: 60, provider: 'docker', attributes: {} },
      now: T0,
    });

  it('an operation whose server died during the hook is due for the others, under the same number', async () => {
    const store = await schemas.open();
    await place(store);
    await store.beginOperation({ machineId: MACHINE, number: 1, now: T0 });
    expect(await store.listDueOperations(DUE)).toEqual([]);
    const dead = `INSERT INTO replicas (version, heartbeat_at) VALUES ('dead', clock_timestamp() - interval '1 minute') RETURNING id`;
    const [row] = await schemas.query<{ id: string }>(dead);
    await schemas.query(`UPDATE machine_operations SET replica_id = ${row?.id}`);
    await store.cluster?.heartbeat({ draining: false });
    expect(await store.listDueOperations(DUE)).toHaveLength(1);
    expect(await store.beginOperation({ machineId: MACHINE, number: 1, now: T0 })).toMatchObject({
      outcome: 'begun',
      machine: { operation: { number: 1, attempt: 2, running: true } },
    });
  });

  it('continues while its server lives, and moves to the others when that stops', async () => {
    const [first, second] = [await schemas.open(), await schemas.open()];
    await place(first);
    await first.beginOperation({ machineId: MACHINE, number: 1, now: T0 });
    await second.cluster?.heartbeat({ draining: false });
    expect(await second.listDueOperations(DUE)).toEqual([]);
    await schemas.close(first);
    expect(await second.listDueOperations(DUE)).toMatchObject([{ machineId: MACHINE, operation: { number: 1 } }]);
  });
});

describe('writes through several servers', () => {
  it('make one execution for one Idempotency-Key', async () => {
    const [first, second] = [new Bench(await schemas.open()), new Bench(await schemas.open())];
    await first.connect();
    const idempotency = { apiKeyId: 'key', key: 'same', digest: Buffer.from('d'), expiresAt: T0 + 1000 };
    const outcomes = await Promise.all(
      [first, second, first, second].map((bench, index) => {
        const request = bench.request({ executionId: `exec-x${index}` });
        return bench.store.createExecution({ ...request, idempotency });
      }),
    );
    expect(outcomes.map(({ outcome }) => outcome).sort()).toEqual(['created', 'replayed', 'replayed', 'replayed']);
    expect((await first.store.listExecutions({ machineId: MACHINE, limit: 9 })).items).toHaveLength(1);
  });

  it.each([
    ['once', {}],
    ['for a machine', { machineId: 'dm-bound' }],
    ['for a machine, again and again', { machineId: 'dm-bound', reusable: true }],
    ['again and again', { reusable: true }],
  ])(
    'give the same answer to an enrolment that is repeated at the same time: a token that is used %s',
    async (_name, binding) => {
      const servers = [await schemas.open(), await schemas.open()];
      const token = { joinTokenId: 't', reusable: false, createdAt: T0, expiresAt: T0 + 1000, ...binding };
      const tokenHash = Buffer.from('token');
      await servers[0]?.createJoinToken({ token, tokenHash, now: T0 });
      const repeats = (credential: string, through: readonly Store[]) =>
        through.map((server, turn) => {
          const freshMachineId = `dm-${credential}-${turn}`;
          return server.enrol({ tokenHash, freshMachineId, credentialHash: Buffer.from(credential), now: T0 });
        });
      const outcomes = await Promise.all(repeats('first', servers));
      expect(outcomes[0]).toMatchObject({ outcome: 'enrolled' });
      expect(outcomes[1]).toEqual(outcomes[0]);
      const more = await Promise.all(repeats('second', [...servers, ...servers]));
      expect(more.every((outcome) => isDeepStrictEqual(outcome, more[0]))).toBe(true);
    },
  );

  it('do not let enrolments with a reusable token wait for each other, but a revocation for all of them', async () => {
    const [first, second] = [await schemas.open(), await schemas.open()];
    const token = { joinTokenId: 'many', reusable: true, createdAt: T0, expiresAt: T0 + 1000 };
    await first.createJoinToken({ token, tokenHash: Buffer.from('many'), now: T0 });
    const enrol = (server: Store, name: string) => {
      const credentialHash = Buffer.from(`credential of ${name}`);
      return server.enrol({ tokenHash: Buffer.from('many'), freshMachineId: `dm-${name}`, credentialHash, now: T0 });
    };
    // An enrolment that is under way on a third server.
    const third = new pg.Client({ connectionString: schemas.url });
    await third.connect();
    try {
      await third.query(`BEGIN; SELECT pg_advisory_xact_lock_shared(${REUSABLE_TOKEN_LOCK}) FROM join_tokens`);
      const both = await Promise.all([enrol(first, 'a'), enrol(second, 'b')]);
      expect(both.map(({ outcome }) => outcome)).toEqual(['enrolled', 'enrolled']);
      const revoking = first.revokeJoinToken({ joinTokenId: 'many', now: T0 });
      const waiting = async () =>
        (await schemas.query("SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")).length;
      await until('the revocation waits', async () => (await waiting()) === 1);
      const late = enrol(second, 'late');
      await until('an enrolment after it waits behind it', async () => (await waiting()) === 2);
      await third.query('COMMIT');
      expect(await revoking).toMatchObject({ outcome: 'revoked' });
      expect(await late).toEqual({ outcome: 'token_invalid' });
    } finally {
      await third.end();
    }
  });

  it('respect the quota of artifacts', async () => {
    const benches = [new Bench(await schemas.open()), new Bench(await schemas.open())];
    const artifacts = { maxBytes: 10_000, quotaBytes: 1000, retentionMs: 60_000 };
    const machines = Array.from({ length: 20 }, (_, index) => `dm-${index}`);
    const sent = machines.map(async (machineId, index) => {
      const bench = benches[index % 2] as Bench;
      await bench.connect(machineId, `runner-${machineId}`);
      const executionId = `exec-${machineId}`;
      await bench.dispatched({ executionId, machineId, dispatchTo: `runner-${machineId}` });
      await bench.report([record(executionId, 1, 'started'), record(executionId, 2, 'artifact', { name: 'a' })], {
        machineId,
        artifacts,
      });
      return () => bench.report([record(executionId, 3, 'artifact_data', 'x'.repeat(400))], { machineId, artifacts });
    });
    const sends = await Promise.all(sent);
    await Promise.all(sends.map((send) => send()));
    const [row] = await schemas.query<{ bytes: string }>('SELECT sum(bytes) AS bytes FROM artifacts');
    expect(row?.bytes).toBe('800');
  });

  it('respect the limit of a queue', async () => {
    const [first, second] = [new Bench(await schemas.open()), new Bench(await schemas.open())];
    await first.connect();
    const creates = Array.from({ length: 40 }, (_, index) => {
      const bench = index % 2 === 0 ? first : second;
      return bench.store.createExecution(bench.request({ executionId: `exec-q${index}`, queueLimit: 15 }));
    });
    const outcomes = (await Promise.all(creates)).map(({ outcome }) => outcome);
    expect(outcomes.filter((outcome) => outcome === 'created')).toHaveLength(15);
  });
});

describe('a COMMIT whose answer is lost', () => {
  let proxy: Server | undefined;
  const sockets = new Set<Socket>();
  let fault: 'answer lost' | 'never arrived' | undefined;

  /** A proxy to PostgreSQL that applies `fault` once, to the next COMMIT. */
  async function through(): Promise<string> {
    proxy = createServer((client) => {
      const server = connect(schemas.port, '127.0.0.1');
      for (const socket of [client, server]) sockets.add(socket.on('error', () => undefined));
      client.on('data', (data) => {
        const hit = fault !== undefined && data.includes('COMMIT\0');
        if (hit && fault === 'answer lost') server.on('data', () => client.destroy());
        if (hit && fault === 'never arrived') {
          client.destroy();
          server.destroy();
          return;
        }
        server.write(data);
      });
      server.on('data', (data) => client.destroyed || client.write(data));
      client.on('close', () => server.destroy());
      server.on('close', () => client.destroy());
    });
    const port = await freePort();
    proxy.listen(port, '127.0.0.1');
    await once(proxy, 'listening');
    const proxied = new URL(schemas.url);
    proxied.port = String(port);
    return proxied.href;
  }

  afterEach(() => {
    for (const socket of sockets) socket.destroy();
    proxy?.close();
  });

  it.each(['answer lost', 'never arrived'] as const)(
    'a lost COMMIT has its outcome looked up: %s (fault 54)',
    async (what) => {
      const bench = new Bench(await schemas.open(await through()));
      await bench.connect();
      await bench.create();
      fault = what;
      const created = bench.create();
      await until('the fault has struck', () => [...sockets].some((socket) => socket.destroyed));
      fault = undefined;
      expect(await created).toMatchObject({ status: 'queued', executionId: 'exec-2' });
      expect((await bench.store.listExecutions({ machineId: MACHINE, limit: 9 })).items).toHaveLength(2);
      expect(await bench.events('exec-2')).toHaveLength(1);
    },
  );
});
