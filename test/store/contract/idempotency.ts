/** Idempotency-Keys: a repeated request returns the first result, another body is refused, and a refused request binds no key. */
import { describe, expect, it } from 'vitest';
import { MACHINE, type OpenStore, T0, useStore, REMOVE } from './fixture.ts';

function key(name = 'key', digest = 'body', expiresAt = T0 + 1000, apiKeyId = 'api-1') {
  return { apiKeyId, key: name, digest: Buffer.from(digest), expiresAt };
}

export function describeIdempotency(open: OpenStore): void {
  describe('idempotency', () => {
    const bench = useStore(open);
    const create = (idempotency: ReturnType<typeof key>, asked: Parameters<typeof request>[0] = {}) =>
      bench().store.createExecution({ ...request(asked), idempotency });
    const request = (asked: Parameters<ReturnType<typeof bench>['request']>[0]) => bench().request(asked);
    const count = async () => (await bench().store.listExecutions({ machineId: MACHINE, limit: 500 })).items.length;

    it('returns the first result to a repeat', async () => {
      const first = await create(key());
      const resource = first.outcome === 'created' && first.execution.executionId;
      expect(await create(key())).toEqual({ outcome: 'replayed', resource });
      expect(await create(key('key', 'other body'))).toEqual({ outcome: 'key_reused' });
      expect(await create(key('key', 'body', T0 + 1000, 'api-2'))).toMatchObject({ outcome: 'created' });
      expect(await count()).toBe(2);
    });

    it('makes one execution of a hundred simultaneous creates', async () => {
      const outcomes = await Promise.all(Array.from({ length: 100 }, () => create(key())));
      expect(outcomes.filter(({ outcome }) => outcome === 'created')).toHaveLength(1);
      expect(new Set(outcomes.map((o) => (o.outcome === 'replayed' ? o.resource : 'first'))).size).toBe(2);
      expect(await count()).toBe(1);
    });

    it('deletes a key after its time', async () => {
      await create(key());
      expect(await create(key('key', 'other', T0 + 5000), { now: T0 + 1000 })).toMatchObject({ outcome: 'created' });
      expect(await create(key('key', 'other'), { now: T0 + 2000 })).toMatchObject({ outcome: 'replayed' });
    });

    it('does not use up a key for a refused request', async () => {
      const { store } = bench();
      expect(await create(key(), { queueLimit: 0 })).toEqual({ outcome: 'queue_full' });
      expect(await create(key(), { machineId: 'dm-none' })).toEqual({ outcome: 'machine_not_found' });
      expect(
        await store.requestCancel({
          machineId: MACHINE,
          executionId: 'none',
          by: 'admin',
          now: T0,
          idempotency: key(),
        }),
      ).toEqual({ outcome: 'not_found' });
      expect(await store.changeMachine({ ...REMOVE, machineId: 'dm-none', now: T0, idempotency: key() })).toEqual({
        outcome: 'not_found',
      });
      expect(await store.deleteSchedule({ scheduleId: 'none', now: T0, idempotency: key() })).toEqual({
        outcome: 'not_found',
      });
      expect(await create(key())).toMatchObject({ outcome: 'created' });
    });

    it('covers a cancel, even one that changed nothing', async () => {
      const { executionId } = await bench().create();
      const cancel = (name: string, digest: string) =>
        bench().store.requestCancel({
          machineId: MACHINE,
          executionId,
          by: 'admin',
          now: T0,
          idempotency: key(name, digest),
        });
      expect(await cancel('a', 'x')).toMatchObject({ outcome: 'applied' });
      expect(await cancel('a', 'x')).toEqual({ outcome: 'replayed', resource: executionId });
      expect(await cancel('a', 'y')).toEqual({ outcome: 'key_reused' });
      expect(await cancel('b', 'x')).toMatchObject({ outcome: 'stale' });
      expect(await cancel('b', 'x')).toEqual({ outcome: 'replayed', resource: executionId });
    });

    it('covers the removal of a machine', async () => {
      const remove = (digest: string) =>
        bench().store.changeMachine({ ...REMOVE, machineId: MACHINE, now: T0, idempotency: key('rm', digest) });
      expect(await remove('x')).toMatchObject({ outcome: 'changed' });
      expect(await remove('x')).toEqual({ outcome: 'replayed', resource: MACHINE });
      expect(await remove('y')).toEqual({ outcome: 'key_reused' });
    });

    it('covers keys and tokens', async () => {
      const { store } = bench();
      const apiKey = { apiKeyId: 'k', name: 'n', scopes: [], createdAt: T0 };
      const createKey = () => store.createApiKey({ apiKey, keyHash: Buffer.from('h'), now: T0, idempotency: key('k') });
      expect(await createKey()).toEqual({ outcome: 'created' });
      expect(await createKey()).toEqual({ outcome: 'replayed', resource: 'k' });
      const token = { joinTokenId: 't', reusable: false, createdAt: T0, expiresAt: T0 + 1 };
      const createToken = () =>
        store.createJoinToken({ token, tokenHash: Buffer.from('h'), now: T0, idempotency: key('t') });
      expect(await createToken()).toEqual({ outcome: 'created' });
      expect(await createToken()).toEqual({ outcome: 'replayed', resource: 't' });
    });

    it('finds the result of a repeat without writing', async () => {
      const find = (idempotency: ReturnType<typeof key>, now = T0) => bench().store.findReplay({ idempotency, now });
      expect(await find(key())).toBeUndefined();
      const first = await create(key());
      const resource = first.outcome === 'created' && first.execution.executionId;
      expect(await find(key())).toEqual({ outcome: 'replayed', resource });
      expect(await find(key('key', 'other body'))).toEqual({ outcome: 'key_reused' });
      expect(await find(key('key', 'body', T0 + 1000, 'api-2'))).toBeUndefined();
      expect(await find(key(), T0 + 1000)).toBeUndefined();
    });

    it('binds and frees a key by itself', async () => {
      const { store } = bench();
      const bind = (digest: string, now = T0) =>
        store.bindIdempotency({ idempotency: key('signal', digest), resource: 'exec-1', now });
      expect(await bind('x')).toEqual({ outcome: 'bound' });
      expect(await bind('x')).toEqual({ outcome: 'replayed', resource: 'exec-1' });
      expect(await bind('y')).toEqual({ outcome: 'key_reused' });
      await store.releaseIdempotency({ apiKeyId: 'api-1', key: 'signal' });
      expect(await bind('y')).toEqual({ outcome: 'bound' });
      await store.releaseIdempotency({ apiKeyId: 'api-1', key: 'unknown' });
    });
  });
}
