/** The tables of machines. Only this file writes a phase to an SQLite database. */
import { labelsOf } from '../../../core/machines/machine.ts';
import type { JoinToken, Machine } from '../../store.ts';
import type { CredentialHolder, MachineAccess, MachineRecord } from '../../transactions/transaction.ts';
import type { Database } from '../file/database.ts';
import type { JoinTokenRow } from '../../rows/join-token-row.ts';
import { type MachineWithOperation, toMachine } from '../../rows/machine-row.ts';
import { SELECT_MACHINE } from './select-machine.ts';

const INSERT = `INSERT INTO machines (public_id, created_at, last_transition_at, last_progress_at)
  VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING id`;
const UPDATE = `UPDATE machines SET vcpu = ?, memory_mib = ?, storage_gib = ?, autosleep_seconds = ?, desired_state = ?,
  phase = ?, reason = ?, revision = ?, last_transition_at = ?, last_progress_at = ?, agent = ?, epoch = ?, away_since = ?,
  runner_instance = ?, boot_id = ?, provider = ?, provider_ref = ?, attributes = ?, provider_state = ?, last_operation = ?,
  last_error = ?, failed_for_good = ?, resizing = ?, sleep_reason = ?, expected_at = ?,
  host = ?, agent_labels = ?, own_labels = ?, name = ? WHERE id = ?`;
const SAVE_OPERATION = `INSERT OR REPLACE INTO machine_operations (machine_id, number, name, attempt, running, due_at, restarts)
  VALUES (?, ?, ?, ?, ?, ?, ?)`;

/** The statements of the table, made once. */
function prepare(db: Database) {
  return {
    find: db.prepare<[string], MachineWithOperation>(`${SELECT_MACHINE} WHERE m.public_id = ?`),
    insert: db.prepare<unknown[], number>(INSERT).pluck(),
    update: db.prepare(UPDATE),
    saveOperation: db.prepare(SAVE_OPERATION),
    dropLabels: db.prepare('DELETE FROM machine_labels WHERE machine_id = ?'),
    addLabel: db.prepare('INSERT INTO machine_labels (machine_id, key, value) VALUES (?, ?, ?)'),
    byCredential: db.prepare<[Buffer], MachineWithOperation>(`${SELECT_MACHINE} WHERE m.credential_hash = ?`),
    grantCredential: db
      .prepare<[Buffer, number, number], number>(
        `UPDATE machines SET credential_replaced = (credential_hash IS NOT NULL), credential_hash = ?, enrolled_with = ?
         WHERE id = ? RETURNING credential_replaced`,
      )
      .pluck(),
    token: db.prepare<[Buffer], JoinTokenRow>('SELECT * FROM join_tokens WHERE token_hash = ?'),
    useToken: db.prepare('UPDATE join_tokens SET used_at = ? WHERE id = ?'),
    dropCredential: db.prepare('UPDATE machines SET credential_hash = NULL WHERE id = ?'),
    revokeTokens: db.prepare(
      'UPDATE join_tokens SET revoked_at = ? WHERE machine_public_id = ? AND revoked_at IS NULL',
    ),
    saveToken: db.prepare(
      `INSERT INTO join_tokens (public_id, token_hash, machine_public_id, reusable, created_at, expires_at)
       VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (token_hash) DO UPDATE SET expires_at = excluded.expires_at`,
    ),
    countOf: db
      .prepare<[string], number>(
        "SELECT count(*) FROM machines WHERE provider = ? AND provider > '' AND phase <> 'destroyed'",
      )
      .pluck(),
    holderOf: db
      .prepare<[string], number>("SELECT id FROM machines WHERE name = ? AND desired_state <> 'destroyed'")
      .pluck(),
    dropOperation: db.prepare('DELETE FROM machine_operations WHERE machine_id = ?'),
  };
}

/** Loads and saves machines. Its methods run inside a write. */
export class MachineTable implements MachineAccess {
  private readonly statements: ReturnType<typeof prepare>;
  private changed: Machine[] = [];

  constructor(db: Database) {
    this.statements = prepare(db);
  }

  /** Runs `work`, and returns the machines that it changed. */
  collect<T>(work: () => T): { result: T; changed: readonly Machine[] } {
    this.changed = [];
    return { result: work(), changed: this.changed };
  }

  /** Also returns a removed machine. */
  find(machineId: string): MachineRecord | undefined {
    const row = this.statements.find.get(machineId);
    return row && recordOf(row);
  }

  /** Writes a new machine. `undefined` if the id is taken. */
  insert(machine: Machine): MachineRecord | undefined {
    const { machineId, createdAt, lastTransitionAt, lastProgressAt } = machine;
    const key = this.statements.insert.get(machineId, createdAt, lastTransitionAt, lastProgressAt);
    if (key === undefined) return undefined;
    const record = { key, machine };
    this.save(record);
    return record;
  }

  save({ key, machine }: MachineRecord): void {
    const { facts, operation } = machine;
    this.changed.push(machine);
    this.statements.update.run(
      facts.vcpu,
      facts.memory_mib,
      facts.storage_gib,
      machine.autosleepSeconds,
      machine.desiredState,
      machine.phase,
      machine.reason,
      machine.revision,
      machine.lastTransitionAt,
      machine.lastProgressAt,
      machine.agent,
      machine.epoch,
      machine.awaySince ?? null,
      machine.runnerInstance ?? null,
      machine.bootId ?? null,
      machine.provider ?? null,
      machine.providerRef ?? null,
      json(machine.attributes),
      machine.providerState,
      machine.lastOperation,
      machine.lastError ?? null,
      Number(machine.failedForGood),
      Number(machine.resizing),
      machine.sleepReason ?? null,
      machine.expectedAt ?? null,
      json(machine.host),
      json(machine.agentLabels),
      json(machine.ownLabels),
      machine.name ?? null,
      key,
    );
    if (operation === undefined) this.statements.dropOperation.run(key);
    else {
      const { number, name, attempt, running, dueAt, restarts } = operation;
      this.statements.saveOperation.run(key, number, name, attempt, Number(running), dueAt, restarts);
    }
  }

  saveLabels({ key, machine }: MachineRecord): void {
    this.statements.dropLabels.run(key);
    for (const [name, value] of Object.entries(labelsOf(machine))) this.statements.addLabel.run(key, name, value);
  }

  dropCredentials({ key, machine }: MachineRecord, now: number): void {
    this.statements.dropLabels.run(key);
    this.statements.dropCredential.run(key);
    this.statements.revokeTokens.run(now, machine.machineId);
  }

  holderOfCredential(credentialHash: Buffer): CredentialHolder | undefined {
    const row = this.statements.byCredential.get(credentialHash);
    if (row === undefined) return undefined;
    const { enrolled_with: enrolledWith, credential_replaced: replaced } = row;
    return { record: recordOf(row), enrolledWith, replacedCredential: replaced === 1 };
  }

  grantCredential({ key }: MachineRecord, p: { credentialHash: Buffer; token: JoinTokenRow }): boolean {
    return this.statements.grantCredential.get(p.credentialHash, p.token.id, key) === 1;
  }

  joinToken(tokenHash: Buffer): JoinTokenRow | undefined {
    return this.statements.token.get(tokenHash);
  }

  useJoinToken({ id }: JoinTokenRow, now: number): void {
    this.statements.useToken.run(now, id);
  }

  keepJoinToken(token: JoinToken, tokenHash: Buffer): void {
    const { joinTokenId, machineId, reusable, createdAt, expiresAt } = token;
    this.statements.saveToken.run(joinTokenId, tokenHash, machineId ?? null, Number(reusable), createdAt, expiresAt);
  }

  countOf(provider: string): number {
    return this.statements.countOf.get(provider) ?? 0;
  }

  holderOf(name: string): number | undefined {
    return this.statements.holderOf.get(name);
  }
}

function json(value: object | undefined): string | null {
  return value === undefined ? null : JSON.stringify(value);
}

/** Returns the record of a row. */
export function recordOf(row: MachineWithOperation): MachineRecord {
  return { key: row.id, machine: toMachine(row) };
}
