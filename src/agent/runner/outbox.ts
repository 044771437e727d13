import type { ExecutionLog } from './journal/execution-log.ts';

/** Maximum bytes that one execution sends before the next one has its turn. */
const TURN_BYTES = 64 * 1024;
/** Maximum size of a message of records: small, so that runner, link and server work on different messages at the same time. */
const MESSAGE_BYTES = 96 * 1024;
/**
 * Time for which the first report of an execution (`started`) waits for a second one, ms: a command that ends at once is then reported in
 * one message, which the server writes in one commit instead of two. (The native spawner reports its start and its end in one piece.)
 */
const FIRST_REPORT_WAIT_MS = 2;

export interface OutboxOptions {
  /** Returns the bytes of a report that is on disk. */
  read(log: ExecutionLog, number: number): Buffer;
  /** Called when a report cannot be read back. Nothing is sent until the link has attached again. */
  unreadable(): void;
  /** Sends records. False when the socket is full, until `drained`. */
  send(records: Buffer[]): boolean;
}

export interface Windows {
  windowBytes: number;
  executionWindowBytes: number;
}

/** The progress of sending one execution's reports. */
interface ExecutionQueue {
  log: ExecutionLog;
  /** The number up to which reports were sent on this link. */
  sent: number;
  /** Bytes sent and not acknowledged. */
  inFlight: number;
}

/**
 * Sends reports: in order for each execution, with the executions in turn, and within the windows of unacknowledged bytes. Unsent reports
 * stay in the journal only.
 */
export class Outbox {
  readonly #options: OutboxOptions;
  readonly #queues = new Map<string, ExecutionQueue>();
  /** Executions with reports to send and room in their window: a queue without repeats. */
  readonly #ready = new Set<ExecutionQueue>();
  /** Executions whose first report waits for a second one. */
  readonly #held = new Set<ExecutionQueue>();
  #heldTimer: NodeJS.Timeout | undefined;
  #windows: Windows | undefined;
  #inFlight = 0;
  #congested = false;

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  /** Whether a server is connected. */
  get open(): boolean {
    return this.#windows !== undefined;
  }

  /** Begins to send to a newly connected server: all reports in `logs` that the server has not acknowledged. */
  restart(windows: Windows, logs: Iterable<ExecutionLog>): void {
    this.close();
    this.#windows = windows;
    for (const log of logs) this.offer(log);
  }

  /** Stops sending when the server is disconnected. */
  close(): void {
    this.#windows = undefined;
    this.#queues.clear();
    this.#ready.clear();
    this.#held.clear();
    clearTimeout(this.#heldTimer);
    this.#heldTimer = undefined;
    this.#inFlight = 0;
    this.#congested = false;
  }

  /** Adds a report that is on disk. */
  offer(log: ExecutionLog): void {
    if (this.#windows === undefined) return;
    let queue = this.#queues.get(log.executionId);
    if (queue === undefined) {
      queue = { log, sent: log.index.first - 1, inFlight: 0 };
      this.#queues.set(log.executionId, queue);
    }
    if (log.index.last === 1 && !log.ended) this.#held.add(queue);
    else {
      this.#release(queue);
      this.#enqueue(queue);
    }
  }

  /** Handles that reports of `bytes` bytes in total were acknowledged and dropped, or the execution was forgotten. */
  acknowledged(log: ExecutionLog, bytes: number): void {
    const queue = this.#queues.get(log.executionId);
    if (queue === undefined) return;
    const freed = log.forgotten ? queue.inFlight : Math.min(bytes, queue.inFlight);
    queue.inFlight -= freed;
    this.#inFlight -= freed;
    queue.sent = Math.max(queue.sent, log.index.first - 1);
    if (log.forgotten) {
      this.#queues.delete(log.executionId);
      this.#release(queue);
      this.#ready.delete(queue);
    } else this.#enqueue(queue);
  }

  /** Handles that the socket has room again. */
  drained(): void {
    this.#congested = false;
    this.sendMore();
  }

  /** Sends as many reports as the windows allow. */
  sendMore(): void {
    this.#awaitSecond();
    while (!this.#congested && this.#ready.size > 0) {
      let records: Buffer[];
      try {
        records = this.#nextMessage();
      } catch {
        this.close();
        this.#options.unreadable();
        return;
      }
      if (records.length === 0) return;
      this.#congested = !this.#options.send(records);
    }
  }

  /** Starts the wait of held reports, if there are any left at the end of a turn: a timer that is cleared wakes the process all the same. */
  #awaitSecond(): void {
    if (this.#held.size === 0) return;
    this.#heldTimer ??= setTimeout(() => {
      this.#heldTimer = undefined;
      for (const held of this.#held) this.#enqueue(held);
      this.#held.clear();
      this.sendMore();
    }, FIRST_REPORT_WAIT_MS);
  }

  #release(queue: ExecutionQueue): void {
    if (!this.#held.delete(queue) || this.#held.size > 0) return;
    clearTimeout(this.#heldTimer);
    this.#heldTimer = undefined;
  }

  #nextMessage(): Buffer[] {
    const records: Buffer[] = [];
    let room = MESSAGE_BYTES;
    for (const queue of this.#ready) {
      const before = room;
      while (this.#maySend(queue) && before - room < TURN_BYTES) {
        const { length } = queue.log.index.at(queue.sent + 1);
        if (length > room) return records;
        records.push(this.#options.read(queue.log, ++queue.sent));
        queue.inFlight += length;
        this.#inFlight += length;
        room -= length;
      }
      if (this.#windowFull()) return records;
      this.#ready.delete(queue);
      this.#enqueue(queue);
    }
    return records;
  }

  #enqueue(queue: ExecutionQueue): void {
    if (queue.sent < queue.log.index.last && !this.#isFull(queue)) this.#ready.add(queue);
  }

  #maySend(queue: ExecutionQueue): boolean {
    return queue.sent < queue.log.index.last && !this.#isFull(queue) && !this.#windowFull();
  }

  #isFull(queue: ExecutionQueue): boolean {
    return queue.inFlight >= (this.#windows?.executionWindowBytes ?? 0);
  }

  #windowFull(): boolean {
    return this.#inFlight >= (this.#windows?.windowBytes ?? 0);
  }
}
