/** The rows that a use case needs loaded and locked before it decides, and its work after that. */
import type { Actor, Idempotency } from '../../store.ts';
import type { Statement } from '../connections/connection.ts';
import type { Batch } from './batch.ts';

/** The parts of a hello that reveal dispatches which the database may have lost. */
export interface Doubts {
  machineId: string;
  runnerInstance: string;
  lastDispatchNumber: number;
  held: readonly string[];
  now: number;
}

export interface Needs {
  /** Public ids. Their rows are locked, machines first. */
  machines?: readonly string[];
  executions?: readonly string[];
  /** The oldest executions of a machine that can be dispatched, with their inputs; or that wait for it to wake. */
  claimable?: { machineId: string; now: number; limit: number };
  waking?: { machineId: string; limit: number };
  /** Waiting executions of a machine that a connecting agent may have had. */
  doubtful?: Doubts;
  /** All executions of a machine that have not ended. */
  unfinished?: string;
  /** Whether it makes an execution, or a machine. */
  creates?: 'execution' | 'machine';
  /** Providers whose machines are counted; no others are made meanwhile. */
  countOf?: string | undefined;
  /** A name whose machine is looked up; no other transaction gives it to a machine meanwhile. */
  name?: string | undefined;
  /** Public ids. */
  artifacts?: readonly string[];
  artifactBytes?: boolean;
  actor?: Actor | undefined;
  idempotency?: { identity: Idempotency; resource: string; now: number } | undefined;
}

export interface Work<T> {
  needs: Needs;
  /** Statements that it sends besides, together with COMMIT. */
  statements?: readonly Statement[];
  /** Number of bytes that it writes, if that is large. */
  bytes?: number;
  /** Runs within one turn on the loaded rows. Runs again if the transaction does. */
  run(tx: Batch): T;
}

/** A key in the table of Idempotency-Keys, as one text. */
export function keyOf({ apiKeyId, key }: Pick<Idempotency, 'apiKeyId' | 'key'>): string {
  return `${apiKeyId} ${key}`;
}

/** The actor and the Idempotency-Key of a write to `resource`. */
export function onBehalf(
  p: { actor?: Actor; idempotency?: Idempotency; now: number },
  resource: string,
): Pick<Needs, 'actor' | 'idempotency'> {
  const { actor, idempotency, now } = p;
  return { actor, idempotency: idempotency && { identity: idempotency, resource, now } };
}
