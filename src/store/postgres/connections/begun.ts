/** A transaction that is begun in the packet that commits the one before it, so that its id is known without a round trip of its own. */
import type { Connection } from './connection.ts';

/** Time after which a transaction that nobody has taken is rolled back, ms: an open one keeps dead rows from being removed. */
const MAX_IDLE_MS = 100;

/** Interval at which a session ends a packet outside a transaction, ms. Only then PostgreSQL counts its changes, for autovacuum. */
const COUNT_INTERVAL_MS = 1000;

/** Begins a transaction and returns its id, by which it can be looked up. Sent together with the other statements of this turn. */
export async function begin(connection: Connection): Promise<string> {
  const [, rows] = await Promise.all([
    connection.run({ name: 'begin', text: 'BEGIN ISOLATION LEVEL READ COMMITTED' }),
    connection.query<{ id: string }>({ name: 'transaction-id', text: 'SELECT pg_current_xact_id()::text AS id' }),
  ]);
  return rows[0]?.id ?? '';
}

/** Holds at most one begun transaction, until it is taken or rolled back. */
export class BegunTransaction {
  #begun: { connection: Connection; id: Promise<string> } | undefined;
  #timer: NodeJS.Timeout | undefined;
  #countedAt = performance.now();

  /** Begins one in this turn's packet, but now and then none. It fails together with the statements before it. */
  prepare(connection: Connection): void {
    const now = performance.now();
    if (now - this.#countedAt > COUNT_INTERVAL_MS) {
      this.#countedAt = now;
      return;
    }
    const id = begin(connection);
    // The error reaches the caller of `take`. Without this handler it would be an unhandled rejection until then.
    id.catch(() => undefined);
    this.#begun = { connection, id };
  }

  /** Keeps the begun one for a short time. */
  keep(): void {
    if (this.#begun === undefined) return;
    this.#timer = setTimeout(() => this.#rollBack(), MAX_IDLE_MS);
  }

  /** Returns the id of the one that is open on this connection. Afterwards it is the caller's. */
  take(connection: Connection): Promise<string> | undefined {
    const begun = this.#begun;
    this.drop();
    return begun?.connection === connection ? begun.id : undefined;
  }

  /** Forgets it: it has ended, or its connection has. */
  drop(): void {
    clearTimeout(this.#timer);
    this.#begun = undefined;
  }

  #rollBack(): void {
    const { connection } = this.#begun ?? {};
    this.drop();
    connection?.run({ name: 'rollback', text: 'ROLLBACK' }).catch(() => connection.destroy());
  }
}
