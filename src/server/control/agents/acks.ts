/** Acknowledgements on their way to an agent: one frame a batch, merged while the agent reads slowly. */
import type { ServerFrame } from '../../../core/protocol.ts';
import type { ReportResult } from '../../../store/store.ts';
import { AGENT_LIMITS } from './limits.ts';

export class Acks {
  readonly #send: (frame: ServerFrame) => void;
  readonly #unsentBytes: () => number;
  #acks = new Map<string, number>();
  #forget = new Set<string>();

  constructor(p: { send: (frame: ServerFrame) => void; unsentBytes: () => number }) {
    this.#send = p.send;
    this.#unsentBytes = p.unsentBytes;
  }

  /** These are on disk. What had ended before for the server is to be forgotten by the agent. */
  add(results: readonly ReportResult[]): void {
    for (const { executionId, outcome, reported } of results) {
      if (outcome === 'foreign') continue;
      this.#acks.set(executionId, reported);
      if (outcome === 'terminal') this.#forget.add(executionId);
    }
    this.flush();
  }

  /** These are over for the server, whatever the agent still has of them. */
  forget(executionIds: readonly string[]): void {
    for (const executionId of executionIds) this.#forget.add(executionId);
    this.flush();
  }

  /** Sends what has gathered, unless much is unsent already: then it waits, at most a number for each execution. */
  flush(): void {
    if (this.#unsentBytes() > AGENT_LIMITS.unsentLow) return;
    if (this.#acks.size > 0) this.#send({ type: 'ack', acks: [...this.#acks] });
    if (this.#forget.size > 0) this.#send({ type: 'forget', execution_ids: [...this.#forget] });
    this.#acks = new Map();
    this.#forget = new Set();
  }
}
