/** Writes for an API key happen only if the key is valid in the transaction that writes. */
import { describe, expect, it } from 'vitest';
import { MACHINE, type OpenStore, T0, useStore, FACTS, REMOVE } from './fixture.ts';

export function describeActors(open: OpenStore): void {
  describe('an action by a key', () => {
    const bench = useStore(open);
    const hash = (name: string) => Buffer.from(name.padEnd(32, '.'));
    const make = (apiKeyId: string, expiresAt = T0 + 1000) => {
      const apiKey = { apiKeyId, name: apiKeyId, scopes: [], createdAt: T0, expiresAt };
      return bench().store.createApiKey({ apiKey, keyHash: hash(apiKeyId), now: T0 });
    };
    const idempotency = { apiKeyId: 'key', key: 'k', digest: Buffer.from('d'), expiresAt: T0 + 9999 };

    /** All writes with an actor, at `now`. Each write would change the store. */
    function writes(actor: { apiKeyId: string }, now: number, executionId: string): Record<string, () => unknown> {
      const { store } = bench();
      const common = { now, actor };
      const machine = { machineId: 'dm-made', facts: FACTS, autosleepSeconds: 0 };
      const apiKey = { apiKeyId: 'made', name: 'made', scopes: [], createdAt: T0 };
      const token = { joinTokenId: 'made', reusable: false, createdAt: T0, expiresAt: T0 + 9999 };
      return {
        createExecution: () => store.createExecution({ ...bench().request(), ...common }),
        requestCancel: () => store.requestCancel({ machineId: MACHINE, executionId, by: 'key', ...common }),
        bindIdempotency: () => store.bindIdempotency({ idempotency, resource: 'r', ...common }),
        createApiKey: () => store.createApiKey({ apiKey, keyHash: hash('made'), ...common }),
        revokeApiKey: () => store.revokeApiKey({ apiKeyId: 'other', ...common }),
        createJoinToken: () => store.createJoinToken({ token, tokenHash: hash('made'), ...common }),
        revokeJoinToken: () => store.revokeJoinToken({ joinTokenId: 'made', ...common }),
        changeMachine: () => store.changeMachine({ ...REMOVE, machineId: MACHINE, ...common }),
        placeMachine: () => store.placeMachine({ machine, ...common }),
      };
    }

    it.each([
      ['is unknown', 'none', T0],
      ['was revoked', 'revoked', T0],
      ['has expired', 'key', T0 + 1000],
    ])('writes nothing if the key is %s', async (_why, apiKeyId, now) => {
      const { store } = bench();
      const { executionId } = await bench().create();
      for (const name of ['key', 'revoked', 'other']) await make(name, T0 + 1000);
      await store.revokeApiKey({ apiKeyId: 'revoked', now: T0 });
      for (const [name, write] of Object.entries(writes({ apiKeyId }, now, executionId))) {
        expect(await write(), name).toEqual({ outcome: 'actor_revoked' });
      }
      expect((await store.listExecutions({ machineId: MACHINE, limit: 9 })).items).toHaveLength(1);
      expect(await bench().get(executionId)).toMatchObject({ status: 'queued' });
      expect(await store.getApiKey({ apiKeyId: 'made' })).toBeUndefined();
      expect(await store.findApiKey({ keyHash: hash('other') })).toBeDefined();
      expect(await store.getJoinToken({ joinTokenId: 'made' })).toBeUndefined();
      expect(await store.getMachine({ machineId: MACHINE })).toMatchObject({ phase: 'running' });
      expect(await store.bindIdempotency({ idempotency, resource: 'r', now: T0 })).toEqual({ outcome: 'bound' });
    });

    it('is written if the key is valid', async () => {
      const { executionId } = await bench().create();
      for (const name of ['key', 'other']) await make(name);
      const outcomes: unknown[] = [];
      for (const write of Object.values(writes({ apiKeyId: 'key' }, T0 + 1, executionId))) outcomes.push(await write());
      expect(outcomes).toMatchObject(
        ['created', 'applied', 'bound', 'created', 'revoked', 'created', 'revoked', 'changed', 'created'].map(
          (outcome) => ({
            outcome,
          }),
        ),
      );
    });
  });
}
