/** What a use case needs loaded and locked before it can decide, and what it does then. */
import type { Actor, Idempotency } from '../../store.ts';
import type { Batch } from './batch.ts';

/** What a hello tells of the dispatches that the database may have lost. */
export interface Doubts {
  machineId: string;
  runnerInstance: string;
  lastDispatchNumber: number;
  held: readonly string[];
  now: number;
}

export interface Needs {
  /** Public ids; their rows are locked, machines first. */
  machines?: readonly string[];
  executions?: readonly string[];
  /** The oldest of a machine that can be dispatched, with their inputs; or that wait for it to wake. */
  claimable?: { machineId: string; now: number; limit: number };
  waking?: { machineId: string; limit: number };
  /** Those of a machine that wait, and that an agent that says hello may have had. */
  doubtful?: Doubts;
  /** All of a machine that have not ended. */
  unfinished?: string;
  /** Whether it makes an execution, or a machine. */
  creates?: 'execution' | 'machine';
  /** Machines of a provider are counted, and no others made meanwhile. */
  countOf?: string | undefined;
  /** Which machine has this name is looked up, and nobody else gives it to one meanwhile. */
  name?: string | undefined;
  /** Public ids. */
  artifacts?: readonly string[];
  artifactBytes?: boolean;
  actor?: Actor | undefined;
  idempotency?: { asked: Idempotency; resource: string; now: number } | undefined;
}

export interface Work<T> {
  needs: Needs;
  /** How much it writes, where that is much. */
  bytes?: number;
  /** Runs within one turn, on what was loaded; again if the transaction is. */
  run(tx: Batch): T;
}

/** A key in the table of Idempotency-Keys, as one text. */
export function keyOf({ apiKeyId, key }: Pick<Idempotency, 'apiKeyId' | 'key'>): string {
  return `${apiKeyId} ${key}`;
}

/** On whose behalf, and under which key, something is done to `resource`. */
export function onBehalf(
  p: { actor?: Actor; idempotency?: Idempotency; now: number },
  resource: string,
): Pick<Needs, 'actor' | 'idempotency'> {
  const { actor, idempotency, now } = p;
  return { actor, idempotency: idempotency && { asked: idempotency, resource, now } };
}
