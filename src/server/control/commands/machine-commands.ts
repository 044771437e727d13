/** Commands to the agent of a machine, addressed by machine: the caller does not know which server holds the connection. */
import { isTerminal } from '../../../core/execution.ts';
import type { TerminalSize } from '../../../core/launch-options.ts';
import { CLOSE } from '../../../core/protocol.ts';
import type { UsagePayload } from '../../../core/report.ts';
import type { Execution } from '../../../store/store.ts';
import type { AgentSessions } from '../agents/sessions.ts';
import type { StdinOutcome, StdinRelay, StdinRequest } from './stdin.ts';
import type { UsageQueries } from './usage-queries.ts';

export type Sent = 'sent' | 'agent_away';

export interface MachineCommands {
  /** An execution waits in the store for this machine. */
  waiting(machineId: string): void;
  /** A cancel of an execution that the agent has was committed. It is state as well: an offline agent is told when it reconnects. */
  cancelled(execution: Execution): void;
  signal(p: { machineId: string; executionId: string; signal: string }): Promise<Sent>;
  resize(p: { machineId: string; executionId: string; size: TerminalSize }): Promise<Sent>;
  /** Returns what the command has used so far. Undefined if it does not run, or its agent is offline or cannot tell. */
  usage(p: { machineId: string; executionId: string }): Promise<UsagePayload | undefined>;
  /** `busy`: too many requests wait to write this stdin. */
  writeStdin(request: StdinRequest): Promise<StdinOutcome | { outcome: 'busy' }>;
  /** Output was released, or is not waited for any more. It is state as well: an offline agent is told when it reconnects. */
  outputLimited(execution: Execution): Promise<void>;
  /** Asks the agent to enrol again with this join token. */
  rotateCredential(p: { machineId: string; joinToken: string }): Promise<Sent>;
  /** The credential of the machine was replaced or revoked: closes its connection. */
  credentialChanged(machineId: string): Promise<void>;
  machineRemoved(machineId: string): Promise<void>;
  /** The machine is put to sleep: disconnects its agent. Settles when that is written. */
  detach(machineId: string): Promise<void>;
  /** Another instance wants the machine's place: the connected agent has to give a sign of life. */
  probe(machineId: string): Promise<void>;
}

/** For the agents that are connected to this server. */
export class LocalCommands implements MachineCommands {
  readonly #sessions: AgentSessions;
  readonly #stdin: StdinRelay;
  readonly #usage: UsageQueries;

  constructor(p: { sessions: AgentSessions; stdin: StdinRelay; usage: UsageQueries }) {
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

  async outputLimited(execution: Execution): Promise<void> {
    if (!isTerminal(execution.status)) await this.#sessions.ready(execution.machineId)?.limitOutput(execution);
  }

  writeStdin(request: StdinRequest): Promise<StdinOutcome | { outcome: 'busy' }> {
    return this.#stdin.write(request);
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
