/**
 * StartQueue: the starts of one agent session, its free slots, and the order in which starts are sent. A runner's `last_dispatch_number`
 * proves which starts arrived only because numbers never fall on a connection: a start waits for those marked before it.
 */
import type { Execution } from '../../../store/store.ts';
import type { SecretInput } from '../../seal.ts';
import { AGENT_LIMITS } from './limits.ts';

/** Logged for a start that is refused. */
export const OUT_OF_ORDER =
  'a start was not sent, because its number or a later one was sent before and it could start twice; the agent reconnects';

/** PendingStart: an execution that is marked for the agent and not sent yet. */
export interface PendingStart {
  execution: Execution;
  /** Opens the sealed input. Throws if it cannot be read. */
  openInput: () => SecretInput;
}

/** Slots reserved for executions that a transaction under way may mark. */
export interface StartReservation {
  readonly slots: number;
  readonly bytes: number;
  /** Set once the transaction is over. */
  starts: readonly PendingStart[] | undefined;
}

export interface StartQueueOptions {
  unsentBytes: () => number;
  send: (start: PendingStart) => void;
  /** Its number is below one already sent: it must never be sent. */
  refuse: (execution: Execution) => void;
}

/** The starts of one session. A slot is taken by `reserve` and freed by `ended`. */
export class StartQueue {
  readonly #options: StartQueueOptions;
  /** Dispatched to this machine and not terminal. */
  readonly #inFlight = new Set<string>();
  /** In the order in which they were given to the store. */
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

  /** Starts are sent from now on. `lastNumber`: the highest that this runner instance was sent. */
  open(p: { maxConcurrency: number; inFlight: Iterable<string>; lastNumber: number }): void {
    this.#slots = Math.min(p.maxConcurrency, AGENT_LIMITS.slots);
    for (const executionId of p.inFlight) this.#inFlight.add(executionId);
    this.#lastNumber = p.lastNumber;
    this.#open = true;
  }

  /** Whether the agent accepts new work, according to its last frame. */
  set accepting(accepting: boolean) {
    this.#accepting = accepting;
  }

  /** How many more executions may be marked for this machine now; 0 while too many bytes wait to be sent. */
  get free(): number {
    if (!this.#open || !this.#accepting) return 0;
    if (this.#options.unsentBytes() + this.#reservedBytes > AGENT_LIMITS.unsentHigh) return 0;
    return Math.max(0, this.#slots - this.#inFlight.size - this.#reservedSlots);
  }

  /** Whether its start was sent, or it was found running, and its end is not known. */
  has(executionId: string): boolean {
    return this.#inFlight.has(executionId);
  }

  /** Reserves `slots` slots for starts of about `bytes` bytes, right before the transaction is given to the store. */
  reserve(slots: number, bytes: number): StartReservation {
    const reservation: StartReservation = { slots, bytes, starts: undefined };
    this.#reservations.push(reservation);
    this.#reservedSlots += slots;
    this.#reservedBytes += bytes;
    return reservation;
  }

  /** The transaction is over and marked these: they are sent as soon as all earlier reservations are resolved. */
  commit(reservation: StartReservation, starts: readonly PendingStart[]): void {
    reservation.starts = starts;
    for (let first = this.#reservations[0]; first?.starts !== undefined; first = this.#reservations[0]) {
      this.#reservations.shift();
      this.#reservedSlots -= first.slots;
      this.#reservedBytes -= first.bytes;
      for (const start of first.starts) this.#leave(start);
    }
  }

  /** Its end is on disk: frees its slot. Returns whether it had one. */
  finished(executionId: string): boolean {
    return this.#inFlight.delete(executionId);
  }

  /** All executions on the machine, as far as this session knows. */
  inFlight(): string[] {
    return [...this.#inFlight];
  }

  /** The connection is gone: nothing is sent any more. The next connection of the instance sends the starts that did not arrive. */
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
