/**
 * How far the terminals of this server's agents may print: as far as their slowest client allows, whichever server it is connected to. Without
 * a client, a terminal prints on, and the server keeps the last part.
 */
import { type Execution, isTerminal } from '../../../core/execution.ts';
import type { AgentSession } from '../agents/session.ts';
import { TERMINAL_AHEAD_BYTES } from '../agents/start-frame.ts';
import type { CommitListener } from '../live/commit-notifier.ts';

/** A server with clients repeats its limit more often. After this time without it, it has died. */
const SERVER_LIMIT_MS = 30_000;
/** Stands for this server, which withdraws its limits by itself; the numbers of servers begin with 1. */
const HERE = 0;

/** The limit that the clients on one server set. */
export interface TerminalLimit {
  machineId: string;
  executionId: string;
  /** Undefined: it has no client there any more. */
  offset: number | undefined;
  /** Absent: this one. */
  replicaId?: number;
}

interface LimitedTerminal {
  machineId: string;
  /** By server. */
  limits: Map<number, { offset: number; at: number }>;
  /** All output before this offset is stored. */
  end: number;
  /** The limit that the agent was told, in this session. */
  told: { offset: number; session: AgentSession | undefined };
  /** When something was heard of it, ms. */
  changedAt: number;
}

export interface TerminalLimitsDeps {
  /** Returns the session of a machine if it is ready. */
  session: (machineId: string) => AgentSession | undefined;
  /** ms. */
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

  /** The clients on a server have taken more, or have gone. Returns false if the agent is not connected here. */
  set({ machineId, executionId, offset, replicaId = HERE }: TerminalLimit): boolean {
    if (this.#session(machineId) === undefined) {
      this.#terminals.delete(executionId);
      return false;
    }
    if (offset === undefined && !this.#terminals.has(executionId)) return true;
    const terminal = this.#terminal(machineId, executionId);
    if (offset === undefined) terminal.limits.delete(replicaId);
    else terminal.limits.set(replicaId, { offset, at: this.#now() });
    this.#tell(executionId, terminal);
    return true;
  }

  /** The lowest limit of the clients on other servers. Undefined: there are none. */
  elsewhere(executionId: string): number | undefined {
    const limits = this.#terminals.get(executionId)?.limits ?? new Map();
    const offsets = [...limits].flatMap(([replicaId, { offset }]) => (replicaId === HERE ? [] : [offset]));
    return offsets.length === 0 ? undefined : Math.min(...offsets);
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
    this.#tell(executionId, terminal);
  }

  /** Drops the limits of servers that have died. Forgets terminals whose agents are connected elsewhere now, and those that are quiet. */
  sweep(): void {
    const before = this.#now() - SERVER_LIMIT_MS;
    for (const [executionId, terminal] of this.#terminals) {
      for (const [replicaId, { at }] of terminal.limits)
        if (replicaId !== HERE && at < before) terminal.limits.delete(replicaId);
      this.#tell(executionId, terminal);
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
      told: { offset: 0, session: undefined },
      changedAt,
    };
    terminal.changedAt = changedAt;
    this.#terminals.set(executionId, terminal);
    return terminal;
  }

  /** Without a client, the limit is raised when half of what it allows is used. */
  #tell(executionId: string, { machineId, limits, end, told }: LimitedTerminal): void {
    const session = this.#session(machineId);
    if (session === undefined) return;
    // What an earlier connection was told may not have arrived.
    if (told.session !== session) Object.assign(told, { offset: 0, session });
    const hasClients = limits.size > 0;
    const offset = hasClients
      ? Math.min(...[...limits.values()].map((limit) => limit.offset))
      : end + TERMINAL_AHEAD_BYTES;
    if (offset <= told.offset || (!hasClients && told.offset - end > TERMINAL_AHEAD_BYTES / 2)) return;
    told.offset = offset;
    const limit = { stdout: offset, stderr: offset, past_limit: 'wait' } as const;
    session.tell({ type: 'output_limit', execution_id: executionId, ...limit });
  }
}
