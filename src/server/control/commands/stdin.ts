/**
 * Live stdin: requests on one execution take turns. Pieces are sent with their offset until the runner acknowledges them. After a broken
 * connection they are sent again, and the runner skips bytes that it has.
 */
import type { StdinAck, StdinWriter } from '../../../core/protocol.ts';
import type { Execution } from '../../../store/store.ts';
import type { Live } from '../live/live.ts';
import { AGENT_LIMITS } from '../agents/connection/limits.ts';
import type { AgentSession } from '../agents/session.ts';
import type { StdinListener } from '../agents/session-deps.ts';
import { StdinWrite } from './stdin-write.ts';

/**
 * A piece of live stdin. `offset`: position of its first byte. Absent: after all earlier bytes. `writer`: the piece belongs there among the bytes
 * of this writer, so that a repetition is not written twice, whatever others have written meanwhile.
 */
export interface StdinRequest {
  execution: Execution;
  bytes: Buffer;
  offset?: number;
  writer?: StdinWriter;
  close: boolean;
  signal: AbortSignal;
}

/** `endsWithSession`: the write ends when the agent's connection is lost, because the agent may come back to another server. */
export interface StdinAttemptRequest extends StdinRequest {
  endsWithSession?: true;
}

/**
 * The outcome of a write. `offset`: bytes of stdin that the runner has acknowledged so far. `agent_away`: nothing was written. `unknown`: the
 * bytes may have been written, because the server that holds the agent's connection has not answered. `no_writers`: nothing was written, because
 * the agent's version does not know writers.
 */
export type StdinOutcome =
  | { outcome: 'written'; offset: number; closed: boolean }
  | { outcome: 'not_open' | 'not_running' | 'agent_away' | 'bad_offset' | 'no_writers' | 'unknown' };

/** The outcome of a write on one connection of the agent. `interrupted`: it was lost. At `offset` the same bytes are not written twice. */
export type StdinAttempt = StdinOutcome | { outcome: 'interrupted'; offset: number };

/** The number of executions without a writing request whose stdin state is kept in memory. */
const MAX_IDLE = 1000;
/** The number of writers whose positions are kept in one state. The runner is asked for others. */
const MAX_WRITERS = 16;

/** The runner has all bytes of a writer before `offset`. They end at `end` of the whole stdin. */
type WriterPosition = Pick<NonNullable<StdinAck['writer']>, 'offset' | 'end'>;

/** The state of one execution's stdin. */
export interface StdinState {
  readonly executionId: string;
  readonly machineId: string;
  /** Bytes that the runner has acknowledged; unknown until its first acknowledgement on this session. */
  taken: number | undefined;
  /** The positions of writers that the runner has reported on this session, the last one at the end. */
  readonly writers: Map<string, WriterPosition>;
  closed: boolean;
  /** Waiting requests, the writing one first. */
  queue: (() => void)[];
  /** Wakes the writing request: an acknowledgement, a new connection, an end. */
  changed: () => void;
}

/** Passes live stdin of all executions on to their agents. */
export class StdinRelay implements StdinListener {
  readonly #session: (machineId: string) => AgentSession | undefined;
  readonly #live: Live;
  readonly #states = new Map<string, StdinState>();
  /**
   * States without a request, oldest first, so that the next write to a terminal need not query the runner's offset first. They are dropped
   * with the session: another server may write after it.
   */
  readonly #idle = new Map<string, StdinState>();

  /** `session`: returns the session of a machine if it is ready. */
  constructor(p: { session: (machineId: string) => AgentSession | undefined; live: Live }) {
    this.#session = p.session;
    this.#live = p.live;
  }

  /** Settles when the runner has acknowledged the bytes; `busy` if too many requests wait for their turn. */
  async write(request: StdinAttemptRequest): Promise<StdinAttempt | { outcome: 'busy' }> {
    const { execution, signal } = request;
    if (execution.stdinMode !== 'open') return { outcome: 'not_open' };
    const state = this.#stateOf(execution);
    if (state.queue.length > AGENT_LIMITS.stdinQueue) return { outcome: 'busy' };
    await new Promise<void>((resolve) => {
      state.queue.push(resolve);
      if (state.queue.length === 1) resolve();
    });
    try {
      if (signal.aborted) return { outcome: 'agent_away' };
      const write = new StdinWrite({ state, request, session: () => this.#session(execution.machineId) });
      return await write.run(this.#live);
    } finally {
      state.queue.shift();
      state.changed = nothing;
      const next = state.queue[0];
      if (next === undefined) this.#rest(state);
      else next();
    }
  }

  /** Handles an acknowledgement of the runner. */
  acknowledged(machineId: string, ack: StdinAck): void {
    const state = this.#states.get(ack.execution_id);
    if (state === undefined || state.machineId !== machineId) return;
    state.taken = Math.max(state.taken ?? 0, ack.offset);
    state.closed ||= ack.closed;
    if (ack.writer !== undefined) noteWriter(state, ack.writer);
    state.changed();
  }

  /** Handles that the machine has another session or none. */
  sessionChanged(machineId: string): void {
    for (const [id, state] of this.#idle) if (state.machineId === machineId) this.#idle.delete(id);
    for (const state of this.#states.values()) {
      if (state.machineId !== machineId) continue;
      state.taken = undefined;
      state.writers.clear();
      state.changed();
    }
  }

  /** Keeps the state as idle, because no request waits for it. */
  #rest(state: StdinState): void {
    const { executionId, machineId, taken, closed } = state;
    this.#states.delete(executionId);
    if (taken === undefined || closed || this.#session(machineId) === undefined) return;
    this.#idle.set(executionId, state);
    const [oldest] = this.#idle.keys();
    if (this.#idle.size > MAX_IDLE && oldest !== undefined) this.#idle.delete(oldest);
  }

  #stateOf({ executionId, machineId }: Execution): StdinState {
    const known = this.#states.get(executionId) ?? this.#idle.get(executionId);
    if (known !== undefined) {
      this.#idle.delete(executionId);
      this.#states.set(executionId, known);
      return known;
    }
    const unknown = { taken: undefined, writers: new Map<string, WriterPosition>() };
    const state: StdinState = { executionId, machineId, ...unknown, closed: false, queue: [], changed: nothing };
    this.#states.set(executionId, state);
    return state;
  }
}

function noteWriter({ writers }: StdinState, { id, ...position }: NonNullable<StdinAck['writer']>): void {
  writers.delete(id);
  writers.set(id, position);
  const [oldest] = writers.keys();
  if (writers.size > MAX_WRITERS && oldest !== undefined) writers.delete(oldest);
}

function nothing(): void {}
