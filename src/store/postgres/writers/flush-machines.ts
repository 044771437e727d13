/** Writes the machines of a batch of writes. */
import { labelsOf } from '../../../core/machines/machine.ts';
import type { Statement } from '../connections/statement-group.ts';
import { bulk, each, rowsStatement } from '../statements/bulk.ts';
import { HISTORY } from '../statements/history.ts';
import { lockUnchanged, updateUnchanged, versionOf } from '../statements/unchanged.ts';
import type { BatchMachines, TouchedMachine } from './batch-machines.ts';

const INSERT = `INSERT INTO machines (id, public_id, created_at, last_transition_at, last_progress_at)
  SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[])`;
const UPDATE = `UPDATE machines m SET vcpu = u.vcpu, memory_mib = u.memory_mib, storage_gib = u.storage_gib,
    autosleep_seconds = u.autosleep_seconds, desired_state = u.desired_state, phase = u.phase, reason = u.reason,
    revision = u.revision, last_transition_at = u.last_transition_at, last_progress_at = u.last_progress_at, agent = u.agent,
    epoch = u.epoch, away_since = u.away_since, runner_instance = u.runner_instance, boot_id = u.boot_id, provider = u.provider,
    provider_ref = u.provider_ref, attributes = u.attributes, provider_state = u.provider_state,
    last_operation = u.last_operation, last_error = u.last_error, failed_for_good = u.failed_for_good, resizing = u.resizing,
    sleep_reason = u.sleep_reason, expected_at = u.expected_at, host = u.host, agent_labels = u.agent_labels,
    own_labels = u.own_labels, name = u.name
  FROM unnest($1::bigint[], $2::float8[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[], $7::text[], $8::text[],
    $9::bigint[], $10::bigint[], $11::bigint[], $12::text[], $13::bigint[], $14::bigint[], $15::text[], $16::text[],
    $17::text[], $18::text[], $19::text[], $20::text[], $21::bigint[], $22::text[], $23::boolean[], $24::boolean[], $25::text[],
    $26::bigint[], $27::text[], $28::text[], $29::text[], $30::text[]) AS u (id, vcpu, memory_mib, storage_gib, autosleep_seconds, desired_state, phase, reason, revision,
    last_transition_at, last_progress_at, agent, epoch, away_since, runner_instance, boot_id, provider, provider_ref,
    attributes, provider_state, last_operation, last_error, failed_for_good, resizing, sleep_reason, expected_at, host,
    agent_labels, own_labels, name)
  WHERE m.id = u.id`;
const COUNTERS = { id: 'bigint', waiting: 'bigint', waiting_bytes: 'bigint', last_dispatch_number: 'bigint' } as const;
const SET_COUNTERS = `waiting = u.waiting, waiting_bytes = u.waiting_bytes,
    last_dispatch_number = u.last_dispatch_number`;
const SAVE_COUNTERS = rowsStatement(
  'save-counters',
  COUNTERS,
  (rows) => `UPDATE machines m SET ${SET_COUNTERS} FROM ${rows} WHERE m.id = u.id`,
);
const SAVE_UNCHANGED_COUNTERS = updateUnchanged({
  name: 'save-unchanged-counters',
  table: 'machines',
  columns: COUNTERS,
  set: SET_COUNTERS,
});
/** Saves the owners of connections, with the present history of the database, which their hello has seen. */
const SAVE_OWNERS = `UPDATE machines m SET owner = u.owner,
    history = CASE WHEN u.owner IS NULL THEN m.history ELSE (SELECT ${HISTORY}) END
  FROM unnest($1::bigint[], $2::bigint[]) AS u (id, owner)
  WHERE m.id = u.id`;
const SAVE_OPERATIONS = `INSERT INTO machine_operations (machine_id, number, name, attempt, running, due_at, restarts, replica_id)
  SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::bigint[], $5::boolean[], $6::bigint[], $7::bigint[], $8::bigint[])
  ON CONFLICT (machine_id) DO UPDATE SET number = EXCLUDED.number, name = EXCLUDED.name, attempt = EXCLUDED.attempt,
    running = EXCLUDED.running, due_at = EXCLUDED.due_at, restarts = EXCLUDED.restarts, replica_id = EXCLUDED.replica_id`;
const DROP_OPERATIONS = 'DELETE FROM machine_operations WHERE machine_id = ANY($1::bigint[])';
const GRANT_CREDENTIALS = `UPDATE machines m SET credential_hash = u.hash, enrolled_with = u.token, credential_replaced = u.replaced
  FROM unnest($1::bigint[], $2::bytea[], $3::bigint[], $4::boolean[]) AS u (id, hash, token, replaced) WHERE m.id = u.id`;
const USE_TOKENS = `UPDATE join_tokens t SET used_at = coalesce(t.used_at, u.at) FROM unnest($1::bigint[], $2::bigint[]) AS u (id, at) WHERE t.id = u.id`;
const DROP_CREDENTIALS = 'UPDATE machines SET credential_hash = NULL WHERE id = ANY($1::bigint[])';
const REVOKE_TOKENS = `UPDATE join_tokens t SET revoked_at = u.at FROM unnest($1::text[], $2::bigint[]) AS u (machine, at)
  WHERE t.machine_public_id = u.machine AND t.revoked_at IS NULL`;
const KEEP_TOKENS = `INSERT INTO join_tokens (public_id, token_hash, machine_public_id, reusable, created_at, expires_at)
  SELECT * FROM unnest($1::text[], $2::bytea[], $3::text[], $4::boolean[], $5::bigint[], $6::bigint[])
  ON CONFLICT (token_hash) DO UPDATE SET expires_at = EXCLUDED.expires_at`;

const DROP_LABELS = 'DELETE FROM machine_labels WHERE machine_id = ANY($1::bigint[])';
const ADD_LABELS = `INSERT INTO machine_labels (machine_id, key, value)
  SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[])`;

/** Returns the statements that write the machines of a batch. */
export function machineStatements(machines: BatchMachines): Statement[] {
  const touched = [...machines.touched.values()];
  const withChange = (change: 'machine' | 'counters' | 'owner' | 'granted' | 'credentials' | 'labels') =>
    touched.filter(({ changes }) => changes.has(change));
  const written = withChange('machine');
  const dropped = withChange('credentials');
  const labelled = withChange('labels');
  const idle = written.filter(
    ({ record, row }) => record.machine.operation === undefined && row?.operation_number != null,
  );
  const unread = touched.filter((machine) => machine.writtenBy !== undefined && !isCheckedByCounters(machine));
  return [
    ...lockUnchanged('machines', unread.map(versionedKeyOf)),
    ...bulk('insert-machines', INSERT, written.filter(({ row }) => row === undefined).map(keyOf)),
    ...bulk('update-machines', UPDATE, written.map(valuesOf)),
    ...bulk('save-operations', SAVE_OPERATIONS, written.flatMap(operationOf)),
    ...bulk(
      'drop-operations',
      DROP_OPERATIONS,
      idle.map(({ record }) => [record.key]),
    ),
    ...each(
      SAVE_COUNTERS,
      withChange('counters')
        .filter((machine) => !isCheckedByCounters(machine))
        .map(countersOf),
    ),
    ...each(SAVE_UNCHANGED_COUNTERS, touched.filter(isCheckedByCounters).toSorted(byKey).map(unchangedCountersOf)),
    ...bulk(
      'save-owners',
      SAVE_OWNERS,
      withChange('owner').map(({ record, owner }) => [record.key, owner]),
    ),
    ...bulk('grant-credentials', GRANT_CREDENTIALS, withChange('granted').flatMap(credentialOf)),
    ...bulk(
      'use-tokens',
      USE_TOKENS,
      machines.usedTokens.toSorted((a, b) => a.key - b.key).map(({ key, at }) => [key, at]),
    ),
    ...bulk(
      'drop-credentials',
      DROP_CREDENTIALS,
      dropped.map(({ record }) => [record.key]),
    ),
    ...bulk(
      'revoke-tokens',
      REVOKE_TOKENS,
      dropped.map((machine) => [machine.record.machine.machineId, machine.credentialsDropAt]),
    ),
    ...bulk(
      'drop-labels',
      DROP_LABELS,
      labelled.map(({ record }) => [record.key]),
    ),
    ...bulk('add-labels', ADD_LABELS, labelled.flatMap(labelsFor)),
    ...bulk('keep-tokens', KEEP_TOKENS, machines.tokens.map(tokenOf)),
  ];
}

/** Whether only its counters are written, by the statement that also checks that a row that was not read has not changed. */
function isCheckedByCounters({ writtenBy, changes }: TouchedMachine): boolean {
  return writtenBy !== undefined && changes.size === 1 && changes.has('counters');
}

function byKey(a: TouchedMachine, b: TouchedMachine): number {
  return a.record.key - b.record.key;
}

function versionedKeyOf({ record, writtenBy = 0n }: TouchedMachine): unknown[] {
  return [record.key, versionOf(writtenBy)];
}

function unchangedCountersOf(touched: TouchedMachine): unknown[] {
  return [...countersOf(touched), versionOf(touched.writtenBy ?? 0n)];
}

function keyOf({ record: { key, machine } }: TouchedMachine): unknown[] {
  return [key, machine.machineId, machine.createdAt, machine.lastTransitionAt, machine.lastProgressAt];
}

/** Returns the values in the order of UPDATE. */
function valuesOf({ record: { key, machine } }: TouchedMachine): unknown[] {
  return [
    key,
    machine.facts.vcpu,
    machine.facts.memory_mib,
    machine.facts.storage_gib,
    machine.autosleepSeconds,
    machine.desiredState,
    machine.phase,
    machine.reason,
    machine.revision,
    machine.lastTransitionAt,
    machine.lastProgressAt,
    machine.agent,
    machine.epoch,
    machine.awaySince,
    machine.runnerInstance,
    machine.bootId,
    machine.provider,
    machine.providerRef,
    jsonOf(machine.attributes),
    machine.providerState,
    machine.lastOperation,
    machine.lastError,
    machine.failedForGood,
    machine.resizing,
    machine.sleepReason,
    machine.expectedAt,
    jsonOf(machine.host),
    jsonOf(machine.agentLabels),
    jsonOf(machine.ownLabels),
    machine.name,
  ];
}

function jsonOf(value: object | undefined): string | null {
  return value === undefined ? null : JSON.stringify(value);
}

function operationOf({ record: { key, machine }, operator }: TouchedMachine): unknown[][] {
  const { operation } = machine;
  if (operation === undefined) return [];
  const { number, name, attempt, running, dueAt, restarts } = operation;
  return [[key, number, name, attempt, running, dueAt, restarts, running ? operator : null]];
}

/** Returns the labels of a machine; none for a removed machine. */
function labelsFor({ record: { key, machine }, credentialsDropAt }: TouchedMachine): unknown[][] {
  if (credentialsDropAt !== undefined) return [];
  return Object.entries(labelsOf(machine)).map(([name, value]) => [key, name, value]);
}

function countersOf({ record, counters }: TouchedMachine): unknown[] {
  return [record.key, counters.waiting, counters.waitingBytes, counters.lastDispatchNumber];
}

function credentialOf({ record, credential }: TouchedMachine): unknown[][] {
  if (credential === undefined) return [];
  return [[record.key, credential.hash, credential.enrolledWith, credential.replacedCredential]];
}

function tokenOf({ token, tokenHash }: BatchMachines['tokens'][number]): unknown[] {
  const { joinTokenId, machineId, reusable, createdAt, expiresAt } = token;
  return [joinTokenId, tokenHash, machineId, reusable, createdAt, expiresAt];
}
