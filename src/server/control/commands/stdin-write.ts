/** One request that writes live stdin, from its turn to its answer. */
import { type ExecutionStatus, isTerminal } from '../../../core/execution.ts';
import type { Execution } from '../../../store/store.ts';
import type { Live } from '../live/live.ts';
import { AGENT_LIMITS } from '../agents/connection/limits.ts';
import type { AgentSession } from '../agents/session.ts';
import type { StdinAttempt, StdinAttemptRequest, StdinState } from './stdin.ts';

const NOTHING = Buffer.alloc(0);

/** One request that writes live stdin. */
export class StdinWrite {
  readonly #state: StdinState;
  readonly #request: StdinAttemptRequest;
  readonly #session: () => AgentSession | undefined;
  #execution: Execution;
  /** Offset of the bytes, once it is known. */
  #start: number | undefined;
  /** The session that received the pieces so far. On another session they are sent again. */
  #sentTo: AgentSession | undefined;
  #sent = 0;
  #closeSent = false;
  #begun = false;

  constructor(p: {
    state: StdinState;
    request: StdinAttemptRequest;
    session: () => AgentSession | undefined;
  }) {
    this.#state = p.state;
    this.#request = p.request;
    this.#session = p.session;
    this.#execution = p.request.execution;
  }

  /** Offset of the first byte, if the request states it. Offsets of a request with a writer are those of this writer's bytes. */
  get #offset(): number | undefined {
    return this.#request.writer?.offset ?? this.#request.offset;
  }

  get #writer(): { offset: number; end: number } | undefined {
    const { writer } = this.#request;
    return writer && this.#state.writers.get(writer.id);
  }

  /** The offset before which the command has all bytes. Undefined while it is not known. */
  get #taken(): number | undefined {
    const { taken } = this.#state;
    if (this.#request.writer === undefined || taken === undefined) return taken;
    return this.#writer && this.#writer.offset - Math.max(0, this.#writer.end - taken);
  }

  /** Writes step by step until the runner has all bytes, or cannot get them. */
  async run(live: Live): Promise<StdinAttempt> {
    const { signal } = this.#request;
    return new Promise((resolve, reject) => {
      const step = (): void => {
        const outcome = signal.aborted ? this.#leave() : this.#step();
        if (outcome === undefined) return;
        unsubscribe();
        signal.removeEventListener('abort', step);
        resolve(outcome);
      };
      const consider = (execution: Execution): void => {
        if (execution.lastSequence < this.#execution.lastSequence) return;
        const before = this.#execution.status;
        this.#execution = execution;
        if (matters(before, execution.status)) step();
      };
      const unsubscribe = live.subscribe(this.#execution.executionId, consider);
      signal.addEventListener('abort', step);
      this.#state.changed = step;
      live.refresh(this.#execution).then(
        (execution) => {
          consider(execution);
          step();
        },
        (cause: unknown) => {
          unsubscribe();
          signal.removeEventListener('abort', step);
          reject(cause);
        },
      );
    });
  }

  /** Writes the bytes that the runner can accept now. Returns the outcome; undefined while the write must wait. */
  #step(): StdinAttempt | undefined {
    const { status, dispatchedTo } = this.#execution;
    const done = this.#answer();
    if (done !== undefined) return done;
    if (isTerminal(status) || this.#state.closed) return { outcome: 'not_open' };
    if (dispatchedTo === undefined) return { outcome: 'not_running' };
    const session = this.#session();
    const { endsWithSession = false } = this.#request;
    if (endsWithSession && this.#sentTo !== undefined && session !== this.#sentTo) return this.#interrupted();
    if (session === undefined) return this.#begun ? undefined : { outcome: 'agent_away' };
    // It is dispatched, and will run soon.
    if (status !== 'running') return undefined;
    this.#begun = true;
    if (this.#sentTo !== session && !this.#begin(session)) return { outcome: 'no_writers' };
    const taken = this.#taken;
    if (taken === undefined) return undefined;
    this.#start ??= this.#offset ?? taken;
    if (this.#start > (this.#writer?.offset ?? taken)) return { outcome: 'bad_offset' };
    this.#sendPieces(session, this.#start, taken);
    return this.#answer();
  }

  /** Ends the write of a client that has disconnected. The next request has to wait until the offset after the sent bytes is known. */
  #leave(): StdinAttempt | undefined {
    const taken = this.#taken;
    const { closed } = this.#state;
    const onTheWay = this.#sentTo !== undefined && taken !== undefined && this.#sent > taken && !closed;
    const settled = isTerminal(this.#execution.status) || this.#session() !== this.#sentTo;
    return onTheWay && !settled ? undefined : this.#interrupted();
  }

  /** Returns the outcome of a write that did not reach its end: nothing was sent before its offset was known. */
  #interrupted(): StdinAttempt {
    const { endsWithSession = false } = this.#request;
    if (!endsWithSession || this.#start === undefined) return { outcome: 'agent_away' };
    return { outcome: 'interrupted', offset: this.#start };
  }

  /** Returns the answer, once the runner has all bytes of this request. */
  #answer(): StdinAttempt | undefined {
    const { taken: offset = 0, closed } = this.#state;
    const taken = this.#taken;
    const start = this.#start ?? this.#offset;
    if (taken === undefined || start === undefined || taken < start + this.#request.bytes.length) return undefined;
    if (this.#request.close && !closed) return undefined;
    // For an empty request the acknowledged offset does not prove that stdin was open.
    if (closed && this.#request.bytes.length === 0 && !this.#request.close) return undefined;
    return { outcome: 'written', offset, closed };
  }

  /** Begins on a new session: sends an empty piece to learn the runner's offset, unless it is known, and sends unacknowledged pieces again. False: it knows no writers. */
  #begin(session: AgentSession): boolean {
    this.#sentTo = session;
    this.#sent = this.#taken ?? 0;
    this.#closeSent = false;
    return this.#taken !== undefined || this.#send(session, this.#request.writer?.offset ?? 0, NOTHING, false);
  }

  #sendPieces(session: AgentSession, start: number, taken: number): void {
    const { bytes, close } = this.#request;
    const end = start + bytes.length;
    this.#sent = Math.max(this.#sent, taken, start);
    while (this.#sent < end && this.#sent < taken + AGENT_LIMITS.stdinInFlight) {
      const until = Math.min(end, this.#sent + AGENT_LIMITS.stdinPiece);
      const last = close && until === end;
      this.#send(session, this.#sent, bytes.subarray(this.#sent - start, until - start), last);
      this.#closeSent ||= last;
      this.#sent = until;
    }
    if (close && !this.#closeSent && this.#sent >= end) {
      this.#send(session, end, NOTHING, true);
      this.#closeSent = true;
    }
  }

  #send(session: AgentSession, offset: number, bytes: Buffer, close: boolean): boolean {
    const { writer } = this.#request;
    const at = writer === undefined ? { offset } : { offset: 0, writer: { id: writer.id, offset } };
    return session.sendStdin({ execution_id: this.#state.executionId, close, ...at }, bytes);
  }
}

/** Whether a write has to read the execution again. A commit of output alone does not require it. */
function matters(before: ExecutionStatus, after: ExecutionStatus): boolean {
  return before !== after;
}
