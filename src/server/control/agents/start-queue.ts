/**
 * StartQueue: the starts of one agent session, its slots, and the order in which starts are sent. Starts are sent by rising dispatch number,
 * so each waits for those dispatched before it: otherwise a runner's `last_dispatch_number` would not prove which starts arrived.
 */
import type { Execution } from '../../../store/store.ts';
import type { SecretInput } from '../../seal.ts';
import { AGENT_LIMITS } from './connection/limits.ts';

/** Logged for a start that is refused. */
export const OUT_OF_ORDER =
  'a start was not sent, because its number or a later one was sent before and it could start twice; the agent reconnects';

/** PendingStart: an execution that is dispatched to the agent and not sent yet. */
export interface PendingStart {
  execution: Execution;
  /** Opens the sealed input. Throws if it cannot be read. */
  openInput: () => SecretInput;
}

/** Slots reserved for executions that a transaction under way may dispatch. */
export interface StartReservation {
  readonly slots: number;
  readonly bytes: number;
  /** Set once the transaction has ended. */
  starts: readonly PendingStart[] | undefined;
}

export interface StartQueueOptions {
  unsentBytes: () => number;
  send: (start: PendingStart) => void;
  /** Called for an execution whose number is not above the last one sent. It must never be sent. */
  refuse: (execution: Execution) => void;
}

/** The starts of one session. A slot is taken by `reserve` and freed by `ended`. */
export class StartQueue {
  readonly #options: StartQueueOptions;
  /** Dispatched to this machine and not terminal. */
  readonly #inFlight = new Set<string>();
  /** In the order in which their transactions were submitted to the store. */
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

  /** Begins to send starts. `lastNumber`: the highest number that this runner instance was sent. */
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

  /** Number of executions that may be dispatched to this machine now; 0 while too many bytes are unsent. */
  get free(): number {
    if (!this.#open || !this.#accepting) return 0;
    if (this.#options.unsentBytes() + this.#reservedBytes > AGENT_LIMITS.unsentHigh) return 0;
    return Math.max(0, this.#slots - this.#inFlight.size - this.#reservedSlots);
  }

  /** Whether an execution is on the machine: its start was sent, or it was found running, and its end is not known. */
  has(executionId: string): boolean {
    return this.#inFlight.has(executionId);
  }

  /** Reserves `slots` slots for starts of about `bytes` bytes, right before the transaction is submitted to the store. */
  reserve(slots: number, bytes: number): StartReservation {
    const reservation: StartReservation = { slots, bytes, starts: undefined };
    this.#reservations.push(reservation);
    this.#reservedSlots += slots;
    this.#reservedBytes += bytes;
    return reservation;
  }

  /** Ends a reservation with the executions that its transaction dispatched. They are sent once all earlier reservations have ended. */
  commit(reservation: StartReservation, starts: readonly PendingStart[]): void {
    reservation.starts = starts;
    for (let first = this.#reservations[0]; first?.starts !== undefined; first = this.#reservations[0]) {
      this.#reservations.shift();
      this.#reservedSlots -= first.slots;
      this.#reservedBytes -= first.bytes;
      for (const start of first.starts) this.#leave(start);
    }
  }

  /** Frees the slot of an execution whose end is on disk. Returns whether it had one. */
  finished(executionId: string): boolean {
    return this.#inFlight.delete(executionId);
  }

  /** All executions on the machine that this session has sent or found. */
  inFlight(): string[] {
    return [...this.#inFlight];
  }

  /** Stops sending after the end of the connection. The instance's next connection sends the starts that did not arrive. */
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
