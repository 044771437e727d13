/** Join tokens and enrolment. */
import { describe, expect, it } from 'vitest';
import type { JoinToken, OnBehalf } from '../../../src/store/store.ts';
import { MACHINE, type OpenStore, T0, useStore, REMOVE } from './fixture.ts';

const hash = (name: string) => Buffer.from(name.padEnd(32, '.'));

export function describeEnrolment(open: OpenStore): void {
  describe('join tokens', () => {
    const bench = useStore(open);
    const tokenOf = (joinTokenId: string, fields: Partial<JoinToken>): JoinToken => {
      return { joinTokenId, reusable: false, createdAt: T0, expiresAt: T0 + 1000, ...fields };
    };
    const create = (joinTokenId: string, fields: Partial<JoinToken>, onBehalf: OnBehalf = {}) => {
      const token = tokenOf(joinTokenId, fields);
      return bench().store.createJoinToken({ token, tokenHash: hash(joinTokenId), now: T0, ...onBehalf });
    };
    const issue = async (joinTokenId: string, fields: Partial<JoinToken> = {}) => {
      expect(await create(joinTokenId, fields)).toEqual({ outcome: 'created' });
      return tokenOf(joinTokenId, fields);
    };
    const enrol = (
      token: string,
      credential: string,
      asked: { machineId?: string; fresh?: string; now?: number } = {},
    ) =>
      bench().store.enrol({
        tokenHash: hash(token),
        freshMachineId: asked.fresh ?? 'dm-fresh',
        credentialHash: hash(credential),
        now: asked.now ?? T0 + 1,
        ...(asked.machineId === undefined ? {} : { requestedMachineId: asked.machineId }),
      });
    const machineOf = async (credential: string) =>
      (await bench().store.findMachineByCredential({ credentialHash: hash(credential) }))?.machineId;

    it('make a new machine once', async () => {
      await issue('t');
      expect(await enrol('t', 'c')).toMatchObject({
        outcome: 'enrolled',
        machine: { machineId: 'dm-fresh', phase: 'placement_pending' },
        replacedCredential: false,
      });
      expect(await machineOf('c')).toBe('dm-fresh');
      expect(await enrol('t', 'd', { fresh: 'dm-other' })).toEqual({ outcome: 'token_invalid' });
      expect(await machineOf('d')).toBeUndefined();
    });

    it('give the same answer to a repeat with the same credential, even with another fresh id', async () => {
      await issue('t');
      const first = await enrol('t', 'c', { machineId: 'dm-mine' });
      expect(await enrol('t', 'c', { machineId: 'dm-mine', fresh: 'dm-other' })).toEqual(first);
      expect(await enrol('t', 'c', { fresh: 'dm-other' })).toEqual(first);
      expect(await enrol('t', 'c', { machineId: 'dm-yours' })).toEqual({ outcome: 'machine_refused' });
      await issue('u');
      expect(await enrol('u', 'c', { machineId: 'dm-mine' })).toEqual({ outcome: 'machine_refused' });
    });

    it('give the same answer to repeats at the same time', async () => {
      await issue('t');
      await issue('bound', { machineId: MACHINE });
      const repeats = ['dm-first', 'dm-second', 'dm-third'].map((fresh) => enrol('t', 'c', { fresh }));
      const [first, ...others] = await Promise.all(repeats);
      expect(first).toMatchObject({ outcome: 'enrolled', replacedCredential: false });
      expect(others).toEqual([first, first]);
      const again = await Promise.all([enrol('bound', 'd'), enrol('bound', 'd')]);
      expect(again[0]).toMatchObject({ outcome: 'enrolled', machine: { machineId: MACHINE } });
      expect(again[1]).toEqual(again[0]);
    });

    it('replace one credential after the other at the same time, so that the last one stays', async () => {
      await issue('t', { machineId: MACHINE, reusable: true });
      const outcomes = await Promise.all(['a', 'b', 'c'].map((credential) => enrol('t', credential)));
      expect(outcomes).toMatchObject([
        { outcome: 'enrolled', replacedCredential: false },
        { outcome: 'enrolled', replacedCredential: true },
        { outcome: 'enrolled', replacedCredential: true },
      ]);
      expect(await Promise.all(['a', 'b', 'c'].map(machineOf))).toEqual([undefined, undefined, MACHINE]);
    });

    it('give no credential to a machine that is removed at the same time', async () => {
      const { store } = bench();
      await issue('t', { machineId: MACHINE });
      await Promise.all([enrol('t', 'c'), store.changeMachine({ ...REMOVE, machineId: MACHINE, now: T0 })]);
      expect(await machineOf('c')).toBeUndefined();
      expect(await enrol('t', 'c')).toEqual({ outcome: 'token_invalid' });
    });

    it('have one winner of a race', async () => {
      await issue('t');
      const outcomes = await Promise.all(
        Array.from({ length: 20 }, (_, index) => enrol('t', `c${index}`, { fresh: `dm-${index}` })),
      );
      expect(outcomes.filter(({ outcome }) => outcome === 'enrolled')).toHaveLength(1);
      expect(outcomes.filter(({ outcome }) => outcome === 'token_invalid')).toHaveLength(19);
    });

    it('are refused if unknown, expired or revoked', async () => {
      await issue('t');
      await issue('u');
      await bench().store.revokeJoinToken({ joinTokenId: 'u', now: T0 });
      expect(await enrol('none', 'c')).toEqual({ outcome: 'token_invalid' });
      expect(await enrol('t', 'c', { now: T0 + 1000 })).toEqual({ outcome: 'token_invalid' });
      expect(await enrol('u', 'c')).toEqual({ outcome: 'token_invalid' });
    });

    it('are refused for an id that exists or existed if they have no machine, and stay usable', async () => {
      const { store } = bench();
      await issue('t');
      await store.createMachine({ machineId: 'dm-gone', now: T0 });
      await store.changeMachine({ ...REMOVE, machineId: 'dm-gone', now: T0 });
      expect(await enrol('t', 'c', { machineId: MACHINE })).toEqual({ outcome: 'machine_refused' });
      expect(await enrol('t', 'c', { machineId: 'dm-gone' })).toEqual({ outcome: 'machine_refused' });
      expect(await enrol('t', 'c', { machineId: 'dm-free' })).toMatchObject({ outcome: 'enrolled' });
    });

    it('that are bound to a machine enrol it again, and its old credential stops working', async () => {
      await issue('t', { machineId: MACHINE });
      await issue('u', { machineId: MACHINE });
      expect(await enrol('t', 'c', { machineId: 'dm-other' })).toEqual({ outcome: 'machine_refused' });
      expect(await enrol('t', 'c')).toMatchObject({
        outcome: 'enrolled',
        machine: { machineId: MACHINE, phase: 'running' },
        replacedCredential: false,
      });
      const again = await enrol('u', 'd', { machineId: MACHINE });
      expect(again).toMatchObject({ outcome: 'enrolled', replacedCredential: true });
      expect(await enrol('u', 'd', { machineId: MACHINE })).toEqual(again);
      expect(await machineOf('c')).toBeUndefined();
      expect(await machineOf('d')).toBe(MACHINE);
      expect(await enrol('t', 'c')).toEqual({ outcome: 'token_invalid' });
    });

    it('that are bound to a removed machine are refused; those bound to a new machine make it', async () => {
      const { store } = bench();
      await issue('t', { machineId: MACHINE });
      await issue('late', { machineId: 'dm-late' });
      await store.changeMachine({ ...REMOVE, machineId: MACHINE, now: T0 });
      expect(await store.listJoinTokens({ now: T0, limit: 9 })).toMatchObject({ items: [{ joinTokenId: 'late' }] });
      expect(await enrol('t', 'c')).toEqual({ outcome: 'token_invalid' });
      expect(await create('u', { machineId: MACHINE })).toMatchObject({
        outcome: 'machine_removed',
        machine: { machineId: MACHINE, desiredState: 'destroyed' },
      });
      expect(await enrol('u', 'c')).toEqual({ outcome: 'token_invalid' });
      expect(await enrol('late', 'd')).toMatchObject({ machine: { machineId: 'dm-late' } });
    });

    it('make their machine with them, and not if they are refused', async () => {
      const { store } = bench();
      const idempotency = { apiKeyId: 'key', key: 'k', digest: Buffer.from('first'), expiresAt: T0 + 9999 };
      expect(await create('first', { machineId: 'dm-first' }, { idempotency })).toEqual({ outcome: 'created' });
      expect(await store.getMachine({ machineId: 'dm-first' })).toMatchObject({ phase: 'placement_pending' });
      const other = { ...idempotency, digest: Buffer.from('other') };
      expect(await create('other', { machineId: 'dm-other' }, { idempotency: other })).toEqual({
        outcome: 'key_reused',
      });
      const actor = { apiKeyId: 'none' };
      expect(await create('none', { machineId: 'dm-none' }, { actor })).toEqual({ outcome: 'actor_revoked' });
      for (const machineId of ['dm-other', 'dm-none']) expect(await store.getMachine({ machineId })).toBeUndefined();
      await store.changeMachine({ ...REMOVE, machineId: 'dm-first', now: T0 });
      expect(await create('again', { machineId: 'dm-first' }, { idempotency })).toEqual({
        outcome: 'replayed',
        resource: 'first',
      });
    });

    it('admit many agents if they are reusable', async () => {
      await issue('t', { reusable: true });
      for (const name of ['a', 'b']) {
        const outcome = await enrol('t', name, { fresh: `dm-${name}` });
        expect(outcome).toMatchObject({ outcome: 'enrolled', machine: { machineId: `dm-${name}` } });
        expect(await enrol('t', name, { fresh: 'dm-x' })).toEqual(outcome);
      }
    });

    it('are listed while they can be used, newest first', async () => {
      const { store } = bench();
      const first = await issue('first');
      await issue('used');
      await issue('old', { expiresAt: T0 + 5 });
      await issue('revoked');
      const reusable = await issue('reusable', { reusable: true, machineId: MACHINE });
      await enrol('used', 'c');
      expect(await store.revokeJoinToken({ joinTokenId: 'revoked', now: T0 })).toMatchObject({
        outcome: 'revoked',
        token: { joinTokenId: 'revoked' },
      });
      expect(await store.revokeJoinToken({ joinTokenId: 'revoked', now: T0 })).toEqual({ outcome: 'not_found' });
      const page = await store.listJoinTokens({ now: T0 + 5, limit: 1 });
      expect(page.items).toEqual([reusable]);
      expect(await store.listJoinTokens({ now: T0 + 5, limit: 1, after: page.next ?? 0 })).toEqual({ items: [first] });
      expect(await store.getJoinToken({ joinTokenId: 'first' })).toEqual(first);
      expect(await store.getJoinToken({ joinTokenId: 'none' })).toBeUndefined();
    });
  });
}
