import type { ExecutionLog } from './journal/execution-log.ts';

/** Bytes that one execution may send before the next one has its turn. */
const TURN_BYTES = 64 * 1024;
/** The largest message of records: small enough for runner, link and server to work on one each at the same time. */
const MESSAGE_BYTES = 96 * 1024;
/**
 * Time for which the first report of an execution (`started`) waits for a second one, ms: a command that ends at once is then reported in
 * one message, which the server writes in one commit instead of two.
 */
const FIRST_REPORT_WAIT_MS = 2;

export interface OutboxOptions {
  /** Returns the bytes of a report that is on disk. */
  read(log: ExecutionLog, number: number): Buffer;
  /** A report cannot be read back: nothing more is sent until the link has attached again. */
  unreadable(): void;
  /** Sends records. False when the socket is full, until `drained`. */
  send(records: Buffer[]): boolean;
}

export interface Windows {
  windowBytes: number;
  executionWindowBytes: number;
}

/** The progress of sending one execution's reports. */
interface Lane {
  log: ExecutionLog;
  /** The number up to which reports were sent on this link. */
  sent: number;
  /** Bytes sent and not acknowledged. */
  inFlight: number;
}

/**
 * Sends reports: in order for each execution, each execution in its turn, and never more than the windows of unacknowledged bytes.
 * Reports that are not sent stay only in the journal.
 */
export class Outbox {
  readonly #options: OutboxOptions;
  readonly #lanes = new Map<string, Lane>();
  /** Executions with something to send and room in their window. A Set is a queue that holds each once. */
  readonly #ready = new Set<Lane>();
  /** Executions whose first report waits for a second one. */
  readonly #held = new Set<Lane>();
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

  /** A server is connected: sends all reports in `logs`, except those that the server says it has. */
  restart(windows: Windows, logs: Iterable<ExecutionLog>): void {
    this.close();
    this.#windows = windows;
    for (const log of logs) this.offer(log);
  }

  /** The server is disconnected. */
  close(): void {
    this.#windows = undefined;
    this.#lanes.clear();
    this.#ready.clear();
    this.#held.clear();
    clearTimeout(this.#heldTimer);
    this.#heldTimer = undefined;
    this.#inFlight = 0;
    this.#congested = false;
  }

  /** One more report is on disk. */
  offer(log: ExecutionLog): void {
    if (this.#windows === undefined) return;
    let lane = this.#lanes.get(log.executionId);
    if (lane === undefined) {
      lane = { log, sent: log.index.first - 1, inFlight: 0 };
      this.#lanes.set(log.executionId, lane);
    }
    if (log.index.last === 1 && !log.ended) this.#hold(lane);
    else {
      this.#held.delete(lane);
      this.#queue(lane);
    }
  }

  /** Reports of `bytes` bytes in total were acknowledged and dropped, or the execution was forgotten. */
  acknowledged(log: ExecutionLog, bytes: number): void {
    const lane = this.#lanes.get(log.executionId);
    if (lane === undefined) return;
    const freed = log.settled ? lane.inFlight : Math.min(bytes, lane.inFlight);
    lane.inFlight -= freed;
    this.#inFlight -= freed;
    lane.sent = Math.max(lane.sent, log.index.first - 1);
    if (log.settled) {
      this.#lanes.delete(log.executionId);
      this.#held.delete(lane);
      this.#ready.delete(lane);
    } else this.#queue(lane);
  }

  /** The socket has room again. */
  drained(): void {
    this.#congested = false;
    this.pump();
  }

  /** Sends as much as the windows allow. */
  pump(): void {
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

  #hold(lane: Lane): void {
    this.#held.add(lane);
    this.#heldTimer ??= setTimeout(() => {
      this.#heldTimer = undefined;
      for (const held of this.#held) this.#queue(held);
      this.#held.clear();
      this.pump();
    }, FIRST_REPORT_WAIT_MS);
  }

  #nextMessage(): Buffer[] {
    const records: Buffer[] = [];
    let room = MESSAGE_BYTES;
    for (const lane of this.#ready) {
      const before = room;
      while (this.#maySend(lane) && before - room < TURN_BYTES) {
        const { length } = lane.log.index.at(lane.sent + 1);
        if (length > room) return records;
        records.push(this.#options.read(lane.log, ++lane.sent));
        lane.inFlight += length;
        this.#inFlight += length;
        room -= length;
      }
      if (this.#windowFull()) return records;
      this.#ready.delete(lane);
      this.#queue(lane);
    }
    return records;
  }

  #queue(lane: Lane): void {
    if (lane.sent < lane.log.index.last && !this.#laneFull(lane)) this.#ready.add(lane);
  }

  #maySend(lane: Lane): boolean {
    return lane.sent < lane.log.index.last && !this.#laneFull(lane) && !this.#windowFull();
  }

  #laneFull(lane: Lane): boolean {
    return lane.inFlight >= (this.#windows?.executionWindowBytes ?? 0);
  }

  #windowFull(): boolean {
    return this.#inFlight >= (this.#windows?.windowBytes ?? 0);
  }
}
