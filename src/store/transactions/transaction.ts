/**
 * The database within one transaction, for use cases on any database: rows that are read are locked, and writes are visible to later use
 * cases in the same transaction. All methods are synchronous: SQLite reads immediately, and PostgreSQL has loaded the announced rows.
 */
import type { ExecutionChange, ExecutionRecord } from '../../core/decisions/execution-draft.ts';
import type { MachineQueue, NewRecord } from '../../core/decisions/queue.ts';
import type { NewExecution } from '../../core/execution.ts';
import type { Machine } from '../../core/machines/machine.ts';
import type { JoinToken } from '../roles/enrolment.ts';
import type { JoinTokenRow } from '../rows/join-token-row.ts';
import type { Artifact } from '../roles/artifacts.ts';
import type { Actor, Idempotency, Replay } from '../roles/idempotency.ts';

/** A machine with its key in every table. */
export interface MachineRecord {
  readonly key: number;
  machine: Machine;
}

/** A machine with a credential. */
export interface CredentialHolder {
  readonly record: MachineRecord;
  /** The key of the join token that it enrolled with. */
  readonly enrolledWith: number | null;
  /** Whether that replaced another credential. */
  readonly replacedCredential: boolean;
}

/** The machines, within a transaction. */
export interface MachineAccess {
  /** Also returns a removed machine. */
  find(machineId: string): MachineRecord | undefined;
  /** Writes a new machine. Undefined if the id is taken. */
  insert(machine: Machine): MachineRecord | undefined;
  /** Writes a machine and its operation, after a transition. */
  save(record: MachineRecord): void;
  /** Replaces the labels by which a machine is selected. */
  saveLabels(record: MachineRecord): void;
  /** Deletes the credential, the join tokens and the labels of a machine. */
  dropCredentials(record: MachineRecord, now: number): void;
  /** Returns the machine that has a credential with this SHA-256. */
  holderOfCredential(credentialHash: Buffer): CredentialHolder | undefined;
  /** Gives a machine a credential. Returns whether that has replaced another one. `token`: the one that it enrols with. */
  grantCredential(record: MachineRecord, p: { credentialHash: Buffer; token: JoinTokenRow }): boolean;
  joinToken(tokenHash: Buffer): JoinTokenRow | undefined;
  /** Records the first use of a join token. */
  useJoinToken(token: JoinTokenRow, now: number): void;
  /** Writes a join token of the machine. An existing one stays. */
  keepJoinToken(token: JoinToken, tokenHash: Buffer): void;
  /** Number of machines of a provider that are not removed. */
  countOf(provider: string): number;
  /** Returns the key of the machine that has the name and is not removed. */
  holderOf(name: string): number | undefined;
}

export interface Transaction {
  /** Whether the key of `actor` may still act. True without a key. */
  mayAct(actor: Actor | undefined, now: number): boolean;
  /** Returns the replay for this key, if it is bound and not expired. */
  replay(idempotency: Idempotency | undefined, now: number): Replay | undefined;
  /** Binds the key, in place of an expired one. */
  bind(idempotency: Idempotency | undefined, resource: string): void;
  readonly machines: MachineAccess;
  queue(machineId: string): MachineQueue | undefined;
  /** Writes a new execution, its first event and its input, and the queue after it. */
  insert(record: NewRecord, newExecution: NewExecution, queue: MachineQueue): void;
  execution(executionId: string): ExecutionRecord | undefined;
  /** The sealed env and stdin of an execution that has not ended. */
  sealedInput(record: ExecutionRecord): Buffer | undefined;
  /** Writes the decision on an execution, and the change of its machine's queue. */
  save(change: ExecutionChange): void;
  artifact(artifactId: string): Artifact | undefined;
  /** Bytes of all artifacts, incomplete ones included. */
  artifactBytes(): number;
  expiredArtifacts(p: { now: number; limit: number }): readonly Artifact[];
  dropArtifact(artifactId: string): void;
  /** Like `dropArtifact`, but the description of the artifact stays readable. */
  removeArtifact(artifactId: string, at: number): void;
  /** Removes the rows of artifacts that were deleted before `before`. */
  forgetDeletedArtifacts(before: number): void;
  /** The machine's oldest executions that are queued, neither dispatched nor expired. */
  claimable(p: { machineId: string; now: number; limit: number }): readonly ExecutionRecord[];
  /** All executions that wait or run on the machine, oldest first. */
  unfinished(machineKey: number): readonly ExecutionRecord[];
  /** The machine's oldest executions that wait for it to wake. */
  waking(p: { machineId: string; limit: number }): readonly ExecutionRecord[];
}
