/** The declaration of a use case for a batch: the rows to load and lock, and the work to run on them. */
import type { Actor, Idempotency } from '../../store.ts';
import type { Statement } from '../connections/statement-group.ts';
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
  /** Only `machines`, `executions` and new executions are needed, as the writer has committed them last if it knows: see KnownRows. */
  reuses?: true;
  /** Public ids. Their rows are locked, machines first. */
  machines?: readonly string[];
  executions?: readonly string[];
  /** The oldest executions of a machine that can be dispatched, with their inputs. `waking`: the oldest that wait for it to wake. */
  claimable?: { machineId: string; now: number; limit: number };
  waking?: { machineId: string; limit: number };
  /** Waiting executions of a machine that a connecting agent may have had. */
  doubtful?: Doubts;
  /** All executions of a machine that have not ended. */
  unfinished?: string;
  /** The kind of row that the use case creates. */
  creates?: 'execution' | 'machine';
  /** The provider whose machines are counted. No other transaction creates machines of it meanwhile. */
  countOf?: string | undefined;
  /** SHA-256 of a join token and of a credential: they are looked up, with the machines that they belong to. The token is locked. */
  enrolment?: { tokenHash: Buffer; credentialHash: Buffer };
  /** The name whose machine is looked up. No other transaction gives it to a machine meanwhile. */
  name?: string | undefined;
  /** Public ids. */
  artifacts?: readonly string[];
  artifactBytes?: boolean;
  actor?: Actor | undefined;
  idempotency?: { identity: Idempotency; resource: string; now: number } | undefined;
}

export interface Work<T> {
  needs: Needs;
  /** Additional statements, sent together with COMMIT. */
  statements?: readonly Statement[];
  /** Number of bytes that it writes, if that is large. */
  bytes?: number;
  /** Runs synchronously on the loaded rows, and again if the transaction is repeated. */
  run(tx: Batch): T;
}

/** Returns an API key id and an Idempotency-Key as one text. */
export function keyOf({ apiKeyId, key }: Pick<Idempotency, 'apiKeyId' | 'key'>): string {
  return `${apiKeyId} ${key}`;
}

/** Returns the needs of the actor and the Idempotency-Key of a write to `resource`. */
export function onBehalf(
  p: { actor?: Actor; idempotency?: Idempotency; now: number },
  resource: string,
): Pick<Needs, 'actor' | 'idempotency'> {
  const { actor, idempotency, now } = p;
  return { actor, idempotency: idempotency && { identity: idempotency, resource, now } };
}
