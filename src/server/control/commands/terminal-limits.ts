/**
 * Output limits of terminals, and the numbers of their clients. A terminal may print up to the limit of its slowest client on any server.
 * Without a client it prints without limit, and the server keeps the last part.
 */
import { type Execution, isTerminal } from '../../../core/execution.ts';
import type { AgentSession } from '../agents/session.ts';
import { TERMINAL_AHEAD_BYTES } from '../agents/start-frame.ts';
import type { CommitListener } from '../live/commit-notifier.ts';

/** A server with clients repeats its limit more often than this, ms. A limit that is older belongs to a dead server. */
const SERVER_LIMIT_MS = 30_000;
/** The replica id for this server, which removes its limits itself. The ids of other servers begin with 1. */
const HERE = 0;

/** The limit of the clients of one terminal, on all servers together. */
export const MAX_CLIENTS = 8;

/** The limit that the clients on one server set. */
export interface TerminalLimit {
  machineId: string;
  executionId: string;
  /** Undefined: no client on that server limits the output. */
  offset: number | undefined;
  /** Number of clients on that server. Absent: an earlier version sent the limit. */
  clients?: number;
  /** Absent: this server. */
  replicaId?: number;
}

interface ServerLimit {
  /** Infinity: its clients do not limit the output yet. */
  offset: number;
  clients: number;
  at: number;
}

interface LimitedTerminal {
  machineId: string;
  /** The limits by replica id. */
  limits: Map<number, ServerLimit>;
  /** All output before this offset is stored. */
  end: number;
  /** The limit that was last sent to the agent, with its session. */
  lastSent: { offset: number; session: AgentSession | undefined };
  /** The time of the last change, ms. */
  changedAt: number;
}

export interface TerminalLimitsDeps {
  /** Returns the session of a machine if it is ready. */
  session: (machineId: string) => AgentSession | undefined;
  /** Returns the present time, ms. */
  now?: () => number;
}

/** The limits of the terminals whose agents are connected to this server. */
export class TerminalLimits implements CommitListener {
  readonly #session: TerminalLimitsDeps['session'];
  readonly #now: () => number;
  readonly #terminals = new Map<string, LimitedTerminal>();

  constructor({ session, now = () => performance.now() }: TerminalLimitsDeps) {
    this.#session = session;
    this.#now = now;
  }

  /**
   * Sets or removes the limit of the clients on one server, and their number. `full`: with the clients on other servers there are too many,
   * and only the permitted number is recorded. `agent_away`: the agent is not connected to this server.
   */
  set({
    machineId,
    executionId,
    offset,
    clients = 0,
    replicaId = HERE,
  }: TerminalLimit): 'sent' | 'full' | 'agent_away' {
    if (this.#session(machineId) === undefined) {
      this.#terminals.delete(executionId);
      return 'agent_away';
    }
    const isGone = offset === undefined && clients === 0;
    if (isGone && !this.#terminals.has(executionId)) return 'sent';
    const terminal = this.#terminal(machineId, executionId);
    const permitted = Math.max(0, MAX_CLIENTS - clientsElsewhere(terminal, replicaId));
    const limit = {
      offset: offset ?? Number.POSITIVE_INFINITY,
      clients: Math.min(clients, permitted),
      at: this.#now(),
    };
    if (isGone) terminal.limits.delete(replicaId);
    else terminal.limits.set(replicaId, limit);
    this.#sendLimit(executionId, terminal);
    return clients > permitted ? 'full' : 'sent';
  }

  /** The lowest limit of the clients on other servers; undefined if there are none. */
  elsewhere(executionId: string): number | undefined {
    const limits = this.#terminals.get(executionId)?.limits ?? new Map();
    const offsets = [...limits].flatMap(([replicaId, { offset }]) => (replicaId === HERE ? [] : [offset]));
    const lowest = Math.min(...offsets);
    return lowest === Number.POSITIVE_INFINITY ? undefined : lowest;
  }

  committed(execution: Execution): void {
    const { executionId, machineId, status } = execution;
    if (execution.isTerminal === undefined) return;
    if (isTerminal(status)) {
      this.#terminals.delete(executionId);
      return;
    }
    if (status !== 'running' || this.#session(machineId) === undefined) return;
    const terminal = this.#terminal(machineId, executionId);
    terminal.end = execution.stdout.bytes;
    this.#sendLimit(executionId, terminal);
  }

  /** Removes the limits of dead servers, terminals whose agents are not connected to this server, and terminals without recent changes. */
  sweep(): void {
    const before = this.#now() - SERVER_LIMIT_MS;
    for (const [executionId, terminal] of this.#terminals) {
      for (const [replicaId, { at }] of terminal.limits)
        if (replicaId !== HERE && at < before) terminal.limits.delete(replicaId);
      this.#sendLimit(executionId, terminal);
      const isQuiet = terminal.limits.size === 0 && terminal.changedAt < before;
      if (isQuiet || this.#session(terminal.machineId) === undefined) this.#terminals.delete(executionId);
    }
  }

  #terminal(machineId: string, executionId: string): LimitedTerminal {
    const known = this.#terminals.get(executionId);
    const changedAt = this.#now();
    const terminal = known ?? {
      machineId,
      limits: new Map(),
      end: 0,
      lastSent: { offset: 0, session: undefined },
      changedAt,
    };
    terminal.changedAt = changedAt;
    this.#terminals.set(executionId, terminal);
    return terminal;
  }

  /** Sends the limit to the agent if it has risen. Without a client, the limit is raised when half of it is used. */
  #sendLimit(executionId: string, { machineId, limits, end, lastSent }: LimitedTerminal): void {
    const session = this.#session(machineId);
    if (session === undefined) return;
    // A limit that was sent in an earlier session may not have arrived.
    if (lastSent.session !== session) Object.assign(lastSent, { offset: 0, session });
    const lowest = Math.min(...[...limits.values()].map((limit) => limit.offset));
    const hasClients = lowest !== Number.POSITIVE_INFINITY;
    const offset = hasClients ? lowest : end + TERMINAL_AHEAD_BYTES;
    if (offset <= lastSent.offset || (!hasClients && lastSent.offset - end > TERMINAL_AHEAD_BYTES / 2)) return;
    lastSent.offset = offset;
    const limit = { stdout: offset, stderr: offset, past_limit: 'wait' } as const;
    session.tell({ type: 'output_limit', execution_id: executionId, ...limit });
  }
}

/** Returns the number of clients on all servers but one. */
function clientsElsewhere({ limits }: LimitedTerminal, replicaId: number): number {
  return [...limits].reduce((sum, [id, { clients }]) => (id === replicaId ? sum : sum + clients), 0);
}
