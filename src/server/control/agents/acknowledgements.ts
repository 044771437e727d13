/** Acknowledges the reports of one session, and tells its agent what to forget. */
import type { ServerFrame } from '../../../core/protocol.ts';
import type { AgentConnection } from './connection/connection.ts';
import { AGENT_LIMITS } from './connection/limits.ts';

/** Time for which an acknowledgement may wait to share a write with a start, ms, and the bytes from which it is sent immediately. */
const ACK_WITHIN_MS = 20;
const ACK_AT_BYTES = 64 * 1024;

/** Acknowledgements that wait to be sent: at most one number per execution. */
export class Acknowledgements {
  readonly #connection: AgentConnection;
  /** Numbers of the last report, by execution, of those that are on disk or no longer needed. */
  #acks = new Map<string, number>();
  #forget = new Set<string>();
  /** Bytes of the reports that `#acks` acknowledges. */
  #bytes = 0;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(connection: AgentConnection) {
    this.#connection = connection;
  }

  /** Notes that the reports of an execution up to this number are on disk, or no longer needed. `schedule` or `flush` sends it. */
  add(executionId: string, number: number): void {
    this.#acks.set(executionId, number);
  }

  /** Makes the agent drop executions and their reports, with the next write. */
  forget(executionIds: readonly string[]): void {
    for (const executionId of executionIds) this.#forget.add(executionId);
  }

  /** Sends what was added for reports of `bytes` bytes: immediately if it is much, otherwise together with the next start, which often follows. */
  schedule(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes >= ACK_AT_BYTES || this.#forget.size > 0) this.flush();
    else if (!this.#closed) this.#timer ??= setTimeout(() => this.flush(), ACK_WITHIN_MS);
  }

  /** Sends what waits, unless many bytes of the connection are unsent. Then it waits for the next call. */
  flush(): void {
    if (this.#connection.unsentBytes > AGENT_LIMITS.unsentLow) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#bytes = 0;
    if (this.#acks.size > 0) this.#connection.send({ type: 'ack', acks: [...this.#acks] });
    if (this.#forget.size > 0) this.#connection.send({ type: 'forget', execution_ids: [...this.#forget] });
    this.#acks = new Map();
    this.#forget = new Set();
  }

  /** Sends what waits in one write with a frame. */
  flushWith(frame: ServerFrame, attachment?: Buffer): void {
    this.#connection.together(() => {
      this.flush();
      this.#connection.send(frame, attachment);
    });
  }

  /** Sends nothing more by itself. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }
}
