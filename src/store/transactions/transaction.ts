/**
 * What a use case sees of the database within one transaction, whatever the database: everything that it reads is locked, and what it
 * writes is seen by the use cases that come after it in the same transaction. Nothing here waits: SQLite reads at once, and PostgreSQL
 * has loaded what was announced.
 */
import type { ExecutionChange, ExecutionRecord } from '../../core/decisions/execution-draft.ts';
import type { MachineQueue, NewRecord } from '../../core/decisions/queue.ts';
import type { NewExecution } from '../../core/execution.ts';
import type { Machine } from '../../core/machine.ts';
import type { JoinToken } from '../roles/enrolment.ts';
import type { Artifact } from '../roles/artifacts.ts';
import type { Actor, Idempotency, Replay } from '../roles/idempotency.ts';

/** A machine with its key in every table. */
export interface MachineRecord {
  readonly key: number;
  machine: Machine;
}

/** The machines, within a transaction. */
export interface MachineAccess {
  /** Also a removed one. */
  find(machineId: string): MachineRecord | undefined;
  /** Writes a new one; undefined if the id is taken. */
  insert(machine: Machine): MachineRecord | undefined;
  /** Writes it as it is after a transition, with its operation. */
  save(record: MachineRecord): void;
  /** Makes its labels those that it is selected by. */
  saveLabels(record: MachineRecord): void;
  /** Its credential, its join tokens and its labels die. */
  dropCredentials(record: MachineRecord, now: number): void;
  /** Writes a join token of the machine; one that is there lives on. */
  keepJoinToken(token: JoinToken, tokenHash: Buffer): void;
  /** Machines of a provider that are not removed. */
  countOf(provider: string): number;
  /** The key of the machine that has the name, and is not removed. */
  holderOf(name: string): number | undefined;
}

export interface Transaction {
  /** Whether the key of `actor` may act still; true for none. */
  mayAct(actor: Actor | undefined, now: number): boolean;
  /** The replay that this key calls for, if it is bound and not expired. */
  replay(idempotency: Idempotency | undefined, now: number): Replay | undefined;
  /** Binds the key, in the place of an expired one. */
  bind(idempotency: Idempotency | undefined, resource: string): void;
  readonly machines: MachineAccess;
  queue(machineId: string): MachineQueue | undefined;
  /** Writes a new execution, its first event and its input, and the queue after it. */
  insert(record: NewRecord, asked: NewExecution, queue: MachineQueue): void;
  execution(executionId: string): ExecutionRecord | undefined;
  /** Its env and stdin, sealed, as long as it has not ended. */
  sealedInput(record: ExecutionRecord): Buffer | undefined;
  /** Writes what a decision made of an execution, and what follows for the queue of its machine. */
  save(change: ExecutionChange): void;
  artifact(artifactId: string): Artifact | undefined;
  /** Bytes of all artifacts, unfinished ones included. */
  artifactBytes(): number;
  expiredArtifacts(p: { now: number; limit: number }): readonly Artifact[];
  dropArtifact(artifactId: string): void;
  /** As `dropArtifact`, but what it was can still be told. */
  removeArtifact(artifactId: string, at: number): void;
  /** Forgets what was removed before `before`. */
  forgetDeletedArtifacts(before: number): void;
  /** The machine's oldest that are queued, neither dispatched nor expired. */
  claimable(p: { machineId: string; now: number; limit: number }): readonly ExecutionRecord[];
  /** All that wait or run on the machine, oldest first. */
  unfinished(machineKey: number): readonly ExecutionRecord[];
  /** The machine's oldest that wait for it to wake. */
  waking(p: { machineId: string; limit: number }): readonly ExecutionRecord[];
}
