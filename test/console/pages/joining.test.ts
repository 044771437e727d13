import { describe, expect, test } from 'vitest';
import type { Machine } from '../../../src/console/data/machines.ts';
import { joiningState } from '../../../src/console/pages/joining.ts';

describe('the state of a machine that is to join', () => {
  const created = '2026-01-01T00:00:00.000Z';
  const now = Date.parse(created) + 5000;
  const token = {
    join_token_id: 'join-1',
    reusable: false,
    created_at: created,
    expires_at: '2026-01-01T01:00:00.000Z',
  };
  const enrolled = {
    audit_id: '1',
    at: '2026-01-01T00:00:04.000Z',
    actor: 'agent:dm-a',
    source: '10.0.0.1',
    action: 'machine.enrol',
    machine_id: 'dm-a',
    outcome: 'enrolled',
  };
  const machine = (phase: 'running' | 'placement_pending') =>
    ({ machine_id: 'dm-a', status: { phase } }) as unknown as Machine;
  const base = { token, usable: [token], machines: [], audit: [], waitedMs: 5000, now };

  test('is waiting, and after a while hints at causes', () => {
    expect(joiningState(base)).toEqual({ state: 'waiting', long: false });
    expect(joiningState({ ...base, waitedMs: 30_000 })).toEqual({ state: 'waiting', long: true });
  });

  test('is enrolled, and then connected', () => {
    const used = { ...base, usable: [], audit: [enrolled] };
    expect(joiningState({ ...used, machines: [machine('placement_pending')] }).state).toBe('enrolled');
    expect(joiningState({ ...used, machines: [machine('running')] })).toEqual({ state: 'joined', machineId: 'dm-a' });
  });

  test('ignores another machine that enrols meanwhile', () => {
    expect(joiningState({ ...base, audit: [enrolled] }).state).toBe('waiting');
    const bound = { ...token, machine_id: 'dm-b' };
    expect(joiningState({ ...base, token: bound, usable: [], audit: [enrolled] }).state).toBe('waiting');
  });

  test('is expired after its token has expired', () => {
    expect(joiningState({ ...base, usable: [], now: now + 3_600_000 })).toEqual({ state: 'expired' });
  });
});
