/**
 * The lane of one ready link: its free slots, and the order in which starts leave. A runner's `last_dispatch_number`
 * proves what has arrived only because numbers never fall on a lane: a start waits for those marked before it.
 */
import type { Execution } from '../../../store/store.ts';
import { AGENT_LIMITS } from './limits.ts';

/** A marked execution on its way out; `send` puts its start on the wire. */
export interface Departure {
  execution: Execution;
  send: () => void;
}

/** Room for executions that a transaction under way may mark. */
export interface Reservation {
  readonly slots: number;
  readonly bytes: number;
  /** Set once the transaction is over. */
  departures: readonly Departure[] | undefined;
}

export class Lane {
  readonly #maxConcurrency: number;
  readonly #unsentBytes: () => number;
  /** Dispatched to this machine and not terminal. */
  readonly #inFlight: Set<string>;
  /** In the order in which they were handed to the store. */
  readonly #reservations: Reservation[] = [];
  readonly #outOfOrder: (execution: Execution) => void;
  #reservedSlots = 0;
  #reservedBytes = 0;
  #lastNumber: number;
  #closed = false;

  constructor(p: {
    maxConcurrency: number;
    inFlight: Iterable<string>;
    /** The highest number this runner instance has been sent. */
    lastNumber: number;
    unsentBytes: () => number;
    /** A number below one already sent: it must never leave. */
    outOfOrder: (execution: Execution) => void;
  }) {
    this.#maxConcurrency = p.maxConcurrency;
    this.#inFlight = new Set(p.inFlight);
    this.#lastNumber = p.lastNumber;
    this.#unsentBytes = p.unsentBytes;
    this.#outOfOrder = p.outOfOrder;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** How many more may be marked for this machine now; 0 while too much waits to be sent. */
  get free(): number {
    if (this.#closed || this.#unsentBytes() + this.#reservedBytes > AGENT_LIMITS.unsentHigh) return 0;
    return Math.max(0, this.#maxConcurrency - this.#inFlight.size - this.#reservedSlots);
  }

  /** Whether its start has gone out, or it was found running, and its end is not known. */
  has(executionId: string): boolean {
    return this.#inFlight.has(executionId);
  }

  /** Takes `slots` slots, for starts of about `bytes` bytes, right before the transaction is handed to the store. */
  reserve(slots: number, bytes: number): Reservation {
    const reservation: Reservation = { slots, bytes, departures: undefined };
    this.#reservations.push(reservation);
    this.#reservedSlots += slots;
    this.#reservedBytes += bytes;
    return reservation;
  }

  /** The transaction is over and marked these: they leave as soon as all reserved before have. */
  settle(reservation: Reservation, departures: readonly Departure[]): void {
    reservation.departures = departures;
    while (this.#reservations[0]?.departures !== undefined) {
      const first = this.#reservations.shift() as Reservation;
      this.#reservedSlots -= first.slots;
      this.#reservedBytes -= first.bytes;
      for (const departure of first.departures ?? []) this.#depart(departure);
    }
  }

  /** Its end is on disk: its slot is free. Returns whether it had one. */
  finished(executionId: string): boolean {
    return this.#inFlight.delete(executionId);
  }

  /** All that is on the machine, as far as is known here. */
  inFlight(): string[] {
    return [...this.#inFlight];
  }

  /** The link is gone: nothing leaves any more; the next link of the instance is sent what did not arrive. */
  close(): void {
    this.#closed = true;
  }

  #depart({ execution, send }: Departure): void {
    if (this.#closed) return;
    const number = execution.dispatchNumber ?? 0;
    if (number <= this.#lastNumber) {
      this.#outOfOrder(execution);
      return;
    }
    this.#lastNumber = number;
    this.#inFlight.add(execution.executionId);
    send();
  }
}
