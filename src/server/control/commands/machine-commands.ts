/** The interface for commands to the agent of a machine. They are addressed by machine, whichever server holds its connection. */
import { isTerminal } from '../../../core/execution.ts';
import type { TerminalSize } from '../../../core/launch-options.ts';
import { CLOSE } from '../../../core/protocol.ts';
import type { UsagePayload } from '../../../core/report.ts';
import type { Execution } from '../../../store/store.ts';
import type { AgentSessions } from '../agents/sessions.ts';
import type { Released } from '../agents/session-deps.ts';
import type { StdinAttempt, StdinOutcome, StdinRelay, StdinRequest } from './stdin.ts';
import type { TerminalLimit, TerminalLimits } from './terminal-limits.ts';
import type { UsageQueries } from './usage-queries.ts';

/** `agent_away`: nothing was sent, because no agent is connected. `unknown`: another server does not answer, and may have sent it. */
export type Sent = 'sent' | 'agent_away' | 'unknown';

export interface MachineCommands {
  /** Reports that an execution waits in the store for the machine. */
  waiting(machineId: string): void;
  /** Sends a committed cancel to the agent. It is also state: an offline agent receives it when it reconnects. */
  cancelled(execution: Execution): void;
  signal(p: { machineId: string; executionId: string; signal: string }): Promise<Sent>;
  resize(p: { machineId: string; executionId: string; size: TerminalSize }): Promise<Sent>;
  /** Returns the usage of a command so far. Undefined if it does not run, or its agent is offline or does not report usage. */
  usage(p: { machineId: string; executionId: string }): Promise<UsagePayload | undefined>;
  /** `busy`: too many requests wait to write this stdin. */
  writeStdin(request: StdinRequest): Promise<StdinOutcome | { outcome: 'busy' }>;
  /**
   * Sends new output limits to the agent. They are also state: an offline agent receives them when it reconnects. `released`: offsets; absent:
   * as stored.
   */
  outputLimited(execution: Execution, released?: Released): Promise<void>;
  /** Sets the output limit of a terminal for its clients on this server and their number, or removes them. `full`: too many clients. */
  limitTerminal(limit: TerminalLimit): Promise<Sent | 'full'>;
  /** Makes the agent enrol again with a join token. */
  rotateCredential(p: { machineId: string; joinToken: string }): Promise<Sent>;
  /** Closes the connection of a machine whose credential was replaced or revoked. */
  credentialChanged(machineId: string): Promise<void>;
  machineRemoved(machineId: string): Promise<void>;
  /** Disconnects the agent of a machine that is put to sleep. Settles when the disconnect is written. */
  detach(machineId: string): Promise<void>;
  /** Ends the machine's connection unless its agent answers, because another instance claims the machine. */
  probe(machineId: string): Promise<void>;
}

/** Commands to agents that are connected to this server. */
export class LocalCommands implements MachineCommands {
  readonly #sessions: AgentSessions;
  readonly #stdin: StdinRelay;
  readonly #usage: UsageQueries;
  readonly #limits: TerminalLimits;

  constructor(p: { sessions: AgentSessions; stdin: StdinRelay; usage: UsageQueries; limits: TerminalLimits }) {
    this.#limits = p.limits;
    this.#sessions = p.sessions;
    this.#stdin = p.stdin;
    this.#usage = p.usage;
  }

  waiting(machineId: string): void {
    this.#sessions.get(machineId)?.noteWaiting();
  }

  cancelled({ machineId, executionId, status }: Execution): void {
    if (!isTerminal(status)) this.#sessions.get(machineId)?.cancel(executionId);
  }

  async signal(p: { machineId: string; executionId: string; signal: string }): Promise<Sent> {
    const session = this.#sessions.ready(p.machineId);
    session?.tell({ type: 'signal', execution_id: p.executionId, signal: p.signal });
    return session === undefined ? 'agent_away' : 'sent';
  }

  async resize(p: { machineId: string; executionId: string; size: TerminalSize }): Promise<Sent> {
    const session = this.#sessions.ready(p.machineId);
    session?.tell({ type: 'resize', execution_id: p.executionId, ...p.size });
    return session === undefined ? 'agent_away' : 'sent';
  }

  async usage(p: { machineId: string; executionId: string }): Promise<UsagePayload | undefined> {
    const session = this.#sessions.ready(p.machineId);
    return session && this.#usage.ask(p, () => session.tell({ type: 'usage_query', execution_id: p.executionId }));
  }

  async outputLimited(execution: Execution, released?: Released): Promise<void> {
    if (!isTerminal(execution.status))
      await this.#sessions.ready(execution.machineId)?.limitOutput(execution, released);
  }

  async limitTerminal(limit: TerminalLimit): Promise<Sent | 'full'> {
    return this.#limits.set(limit);
  }

  async writeStdin(request: StdinRequest): Promise<StdinOutcome | { outcome: 'busy' }> {
    const written = await this.#stdin.write(request);
    return written.outcome === 'interrupted' ? { outcome: 'agent_away' } : written;
  }

  /** As `writeStdin`, on the present connection of the agent only. */
  tryStdin(request: StdinRequest): Promise<StdinAttempt | { outcome: 'busy' }> {
    return this.#stdin.write({ ...request, endsWithSession: true });
  }

  async rotateCredential(p: { machineId: string; joinToken: string }): Promise<Sent> {
    const session = this.#sessions.ready(p.machineId);
    session?.rotateCredential(p.joinToken);
    return session === undefined ? 'agent_away' : 'sent';
  }

  async credentialChanged(machineId: string): Promise<void> {
    this.#sessions.get(machineId)?.close(CLOSE.revoked, 'the credential is not valid any more');
  }

  async machineRemoved(machineId: string): Promise<void> {
    this.#sessions.get(machineId)?.machineRemoved();
  }

  detach(machineId: string): Promise<void> {
    return this.#sessions.detach(machineId);
  }

  async probe(machineId: string): Promise<void> {
    this.#sessions.get(machineId)?.probe();
  }
}
