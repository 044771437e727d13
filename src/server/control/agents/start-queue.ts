/**
 * The starts of one agent session: its free slots, and the order in which starts leave. A runner's `last_dispatch_number`
 * proves what has arrived only because numbers never fall on a connection: a start waits for those marked before it.
 */
import type { Execution } from '../../../store/store.ts';
import type { SecretInput } from '../../seal.ts';
import { AGENT_LIMITS } from './limits.ts';

/** What the log says of a start that is refused. */
export const OUT_OF_ORDER = 'not sent: its number, or a later one, was sent before, so that it could start twice';

/** An execution that is marked for the agent, on its way out. */
export interface PendingStart {
  execution: Execution;
  /** Opens what the command gets. Throws where it cannot be read. */
  openInput: () => SecretInput;
}

/** Room for executions that a transaction under way may mark. */
export interface StartReservation {
  readonly slots: number;
  readonly bytes: number;
  /** Set once the transaction is over. */
  starts: readonly PendingStart[] | undefined;
}

export interface StartQueueOptions {
  unsentBytes: () => number;
  send: (start: PendingStart) => void;
  /** Its number is below one already sent: it must never leave. */
  refuse: (execution: Execution) => void;
}

export class StartQueue {
  readonly #options: StartQueueOptions;
  /** Dispatched to this machine and not terminal. */
  readonly #inFlight = new Set<string>();
  /** In the order in which they were handed to the store. */
  readonly #reservations: StartReservation[] = [];
  #slots = 0;
  #accepting = true;
  #reservedSlots = 0;
  #reservedBytes = 0;
  #lastNumber = 0;
  #open = false;

  constructor(options: StartQueueOptions) {
    this.#options = options;
  }

  /** From now on starts leave. `lastNumber`: the highest that this runner instance has been sent. */
  open(p: { maxConcurrency: number; inFlight: Iterable<string>; lastNumber: number }): void {
    this.#slots = Math.min(p.maxConcurrency, AGENT_LIMITS.slots);
    for (const executionId of p.inFlight) this.#inFlight.add(executionId);
    this.#lastNumber = p.lastNumber;
    this.#open = true;
  }

  /** Whether the agent takes new work, as it said last. */
  set accepting(accepting: boolean) {
    this.#accepting = accepting;
  }

  /** How many more may be marked for this machine now; 0 while too much waits to be sent. */
  get free(): number {
    if (!this.#open || !this.#accepting) return 0;
    if (this.#options.unsentBytes() + this.#reservedBytes > AGENT_LIMITS.unsentHigh) return 0;
    return Math.max(0, this.#slots - this.#inFlight.size - this.#reservedSlots);
  }

  /** Whether its start has gone out, or it was found running, and its end is not known. */
  has(executionId: string): boolean {
    return this.#inFlight.has(executionId);
  }

  /** Takes `slots` slots, for starts of about `bytes` bytes, right before the transaction is handed to the store. */
  reserve(slots: number, bytes: number): StartReservation {
    const reservation: StartReservation = { slots, bytes, starts: undefined };
    this.#reservations.push(reservation);
    this.#reservedSlots += slots;
    this.#reservedBytes += bytes;
    return reservation;
  }

  /** The transaction is over and marked these: they leave as soon as all reserved before have. */
  commit(reservation: StartReservation, starts: readonly PendingStart[]): void {
    reservation.starts = starts;
    for (let first = this.#reservations[0]; first?.starts !== undefined; first = this.#reservations[0]) {
      this.#reservations.shift();
      this.#reservedSlots -= first.slots;
      this.#reservedBytes -= first.bytes;
      for (const start of first.starts) this.#leave(start);
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

  /** The connection is gone: nothing leaves any more; the next one of the instance is sent what did not arrive. */
  close(): void {
    this.#open = false;
  }

  #leave(start: PendingStart): void {
    if (!this.#open) return;
    const { executionId, dispatchNumber = 0 } = start.execution;
    if (dispatchNumber <= this.#lastNumber) {
      this.#options.refuse(start.execution);
      return;
    }
    this.#lastNumber = dispatchNumber;
    this.#inFlight.add(executionId);
    this.#options.send(start);
  }
}
