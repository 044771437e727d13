/** API keys and the audit log. */
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { MACHINE, type OpenStore, T0, useStore } from './fixture.ts';

export function describeAdministration(open: OpenStore): void {
  describe('API keys', () => {
    const bench = useStore(open);
    const hash = (name: string) => Buffer.from(name.padEnd(32, '.'));
    const create = async (apiKeyId: string, fields: object = {}) => {
      const apiKey = { apiKeyId, name: 'ci', scopes: ['executions:read'], createdAt: T0, ...fields };
      await bench().store.createApiKey({ apiKey, keyHash: hash(apiKeyId), now: T0 });
      return apiKey;
    };

    it('can be found by hash and id, unchanged', async () => {
      const plain = await create('plain');
      const full = await create('full', { machineIds: [MACHINE], expiresAt: T0 + 9 });
      expect(await bench().store.findApiKey({ keyHash: hash('plain') })).toEqual(plain);
      expect(await bench().store.findApiKey({ keyHash: hash('full') })).toEqual(full);
      expect(await bench().store.getApiKey({ apiKeyId: 'full' })).toEqual(full);
      expect(await bench().store.findApiKey({ keyHash: hash('none') })).toBeUndefined();
      expect(await bench().store.getApiKey({ apiKeyId: 'none' })).toBeUndefined();
    });

    it('are in no list and give no access once revoked', async () => {
      const { store } = bench();
      const first = await create('first');
      const gone = await create('gone');
      const last = await create('last');
      expect(await store.revokeApiKey({ apiKeyId: 'gone', now: T0 })).toEqual({ outcome: 'revoked', apiKey: gone });
      expect(await store.revokeApiKey({ apiKeyId: 'gone', now: T0 })).toEqual({ outcome: 'not_found' });
      expect(await store.findApiKey({ keyHash: hash('gone') })).toBeUndefined();
      const page = await store.listApiKeys({ limit: 1 });
      expect(page.items).toEqual([last]);
      expect(await store.listApiKeys({ limit: 1, after: page.next ?? 0 })).toEqual({ items: [first] });
    });

    it("of a user replace that user's expired ones, and no others", async () => {
      const { store } = bench();
      await create('expired', { user: 'ada', expiresAt: T0 - 1 });
      await create('of-another', { user: 'bob', expiresAt: T0 - 1 });
      await create('without-user', { expiresAt: T0 - 1 });
      const valid = await create('valid', { user: 'ada', expiresAt: T0 + 9 });
      await create('newest', { user: 'ada', expiresAt: T0 + 9 });
      expect(await store.getApiKey({ apiKeyId: 'valid' })).toEqual(valid);
      const { items } = await store.listApiKeys({ limit: 9 });
      expect(items.map(({ apiKeyId }) => apiKeyId)).toEqual(['newest', 'valid', 'without-user', 'of-another']);
    });

    it('have the time of their last use', async () => {
      const { store } = bench();
      await create('used');
      await store.touchApiKeys({ used: new Map([['used', T0 + 9]]) });
      await store.touchApiKeys({
        used: new Map([
          ['used', T0 + 4],
          ['none', T0],
        ]),
      });
      expect(await store.getApiKey({ apiKeyId: 'used' })).toMatchObject({ lastUsedAt: T0 + 9 });
    });
  });

  describe('audit', () => {
    const bench = useStore(open);

    it('is listed newest first, and limited to machines on request', async () => {
      const { store } = bench();
      const entry = { at: T0, actor: 'admin', source: '127.0.0.1', action: 'execution.create', outcome: 'created' };
      const full = { ...entry, machineId: MACHINE, resource: 'exec-1', command: ['ls', '-l'] };
      await store.appendAudit({ entry });
      await store.appendAudit({ entry: full });
      await store.appendAudit({ entry: { ...entry, machineId: 'dm-two' } });
      await store.appendAudit({ entry: { ...entry, machineId: MACHINE } });
      const machines = async (p: Parameters<typeof store.listAudit>[0]) =>
        (await store.listAudit(p)).items.map(({ machineId }) => machineId ?? '-');
      expect(await machines({ limit: 9 })).toEqual([MACHINE, 'dm-two', MACHINE, '-']);
      expect(await machines({ limit: 9, machineIds: ['dm-two', MACHINE, MACHINE] })).toEqual([
        MACHINE,
        'dm-two',
        MACHINE,
      ]);
      const page = await store.listAudit({ limit: 2, machineIds: ['dm-two', MACHINE] });
      const rest = await store.listAudit({ limit: 2, machineIds: ['dm-two', MACHINE], after: page.next ?? 0 });
      const commandDigest = createHash('sha256').update('["ls","-l"]').digest('hex');
      expect(rest).toEqual({ items: [{ auditId: expect.any(Number), commandDigest, ...full }] });
    });
  });

  describe('checkWritable', () => {
    const bench = useStore(open);

    it('succeeds if writes succeed', async () => {
      await expect(bench().store.checkWritable()).resolves.toBeUndefined();
    });
  });
}
