/** Sends commands to machines, through an order to another server if that server holds the machine's connection. */
import { isTerminal } from '../../../core/execution.ts';
import type { TerminalSize } from '../../../core/launch-options.ts';
import type { UsagePayload } from '../../../core/report.ts';
import type { ClusterStore, Execution } from '../../../store/store.ts';
import type { AgentSessions } from '../agents/sessions.ts';
import type { LocalCommands, MachineCommands, Sent } from '../commands/machine-commands.ts';
import type { StdinOutcome, StdinRequest } from '../commands/stdin.ts';
import type { TerminalLimit } from '../commands/terminal-limits.ts';
import type { HintChannel } from './hint-channel.ts';
import type { Answer, Ask, OrderBody } from './order-schemas.ts';
import type { PendingAnswers } from './pending-answers.ts';

/** Time to wait for the answer to an order, ms. After it the agent counts as offline. */
const ANSWER_TIMEOUT_MS = 5000;
/** Time to wait for the answer to an order that writes stdin, ms: the answer waits for the runner. */
const STDIN_TIMEOUT_MS = 55_000;

export interface ClusterCommandsDeps {
  cluster: Pick<ClusterStore, 'replicaId' | 'sendOrder' | 'sendToAll'>;
  sessions: AgentSessions;
  local: LocalCommands;
  hints: Pick<HintChannel, 'send'>;
  answers: PendingAnswers;
}

/** Sends commands to the agent of a machine, on this server or through an order to another one. */
export class ClusterCommands implements MachineCommands {
  readonly #deps: ClusterCommandsDeps;

  constructor(deps: ClusterCommandsDeps) {
    this.#deps = deps;
  }

  waiting(machineId: string): void {
    const { sessions, local, hints } = this.#deps;
    if (sessions.get(machineId) !== undefined) local.waiting(machineId);
    else hints.send({ about: 'machine', machineId });
  }

  cancelled(execution: Execution): void {
    const { sessions, local, hints } = this.#deps;
    const { machineId, status } = execution;
    if (sessions.get(machineId) !== undefined) local.cancelled(execution);
    else if (!isTerminal(status)) hints.send({ about: 'cancel', machineId });
  }

  async signal(p: { machineId: string; executionId: string; signal: string }): Promise<Sent> {
    const here = await this.#deps.local.signal(p);
    if (here === 'sent') return here;
    const { machineId, executionId, signal } = p;
    return sentOr(await this.#ask(machineId, { kind: 'signal', execution_id: executionId, signal }));
  }

  async resize(p: { machineId: string; executionId: string; size: TerminalSize }): Promise<Sent> {
    const here = await this.#deps.local.resize(p);
    if (here === 'sent') return here;
    const { machineId, executionId, size } = p;
    return sentOr(await this.#ask(machineId, { kind: 'resize', execution_id: executionId, ...size }));
  }

  async usage(p: { machineId: string; executionId: string }): Promise<UsagePayload | undefined> {
    const { machineId, executionId } = p;
    if (this.#deps.sessions.get(machineId) !== undefined) return this.#deps.local.usage(p);
    const answer = await this.#ask(machineId, { kind: 'usage', execution_id: executionId });
    return answer?.outcome === 'usage' ? answer.usage : undefined;
  }

  async rotateCredential(p: { machineId: string; joinToken: string }): Promise<Sent> {
    const here = await this.#deps.local.rotateCredential(p);
    if (here === 'sent') return here;
    return sentOr(await this.#ask(p.machineId, { kind: 'rotate', join_token: p.joinToken }));
  }

  async writeStdin(request: StdinRequest): Promise<StdinOutcome | { outcome: 'busy' }> {
    const { execution, bytes, offset, close } = request;
    const { machineId, executionId } = execution;
    if (execution.stdinMode !== 'open' || this.#deps.sessions.get(machineId) !== undefined) {
      return this.#deps.local.writeStdin(request);
    }
    const at = offset === undefined ? {} : { offset };
    const ask: Ask = { kind: 'stdin', execution_id: executionId, close, ...at };
    const options = { payload: bytes, timeoutMs: STDIN_TIMEOUT_MS, signal: request.signal };
    const answer = await this.#ask(machineId, ask, options);
    if (answer === undefined) return execution.dispatchedTo === undefined ? { outcome: 'not_running' } : AWAY;
    return NOT_OF_STDIN.has(answer.outcome) ? AWAY : (answer as StdinOutcome);
  }

  async outputLimited(execution: Execution): Promise<void> {
    const { sessions, local } = this.#deps;
    const { machineId, executionId, status } = execution;
    if (sessions.get(machineId) !== undefined) await local.outputLimited(execution);
    else if (!isTerminal(status)) await this.#ask(machineId, { kind: 'output_limited', execution_id: executionId });
  }

  async limitTerminal(limit: TerminalLimit): Promise<Sent> {
    const here = await this.#deps.local.limitTerminal(limit);
    if (here === 'sent') return here;
    const { machineId, executionId, offset } = limit;
    const ask: Ask = { kind: 'terminal_limit', execution_id: executionId, ...(offset !== undefined && { offset }) };
    return sentOr(await this.#ask(machineId, ask));
  }

  async detach(machineId: string): Promise<void> {
    if (this.#deps.sessions.get(machineId) !== undefined) await this.#deps.local.detach(machineId);
    else await this.#ask(machineId, { kind: 'detach' });
  }

  async credentialChanged(machineId: string): Promise<void> {
    await this.#deps.local.credentialChanged(machineId);
    await this.#tellAll(machineId, { kind: 'credential_changed' });
  }

  async machineRemoved(machineId: string): Promise<void> {
    await this.#deps.local.machineRemoved(machineId);
    await this.#tellAll(machineId, { kind: 'machine_removed' });
  }

  async probe(machineId: string): Promise<void> {
    await this.#deps.local.probe(machineId);
    await this.#tellAll(machineId, { kind: 'probe' });
  }

  /** Returns the answer of the server that holds the machine's connection. Undefined if no server does, or it does not answer in time. */
  async #ask(
    machineId: string,
    ask: Ask,
    options: { payload?: Buffer; timeoutMs?: number; signal?: AbortSignal } = {},
  ): Promise<Answer | undefined> {
    const { cluster, hints, answers } = this.#deps;
    const { payload, timeoutMs = ANSWER_TIMEOUT_MS, signal } = options;
    const body: OrderBody = { from: cluster.replicaId, ask };
    const bytes = payload === undefined ? {} : { payload };
    const sent = await cluster.sendOrder({ machineId, kind: ask.kind, body, ...bytes });
    if (sent === undefined) return undefined;
    hints.send({ about: 'inbox', replicaId: sent.replicaId });
    return answers.wait(sent.orderId, timeoutMs, signal);
  }

  async #tellAll(machineId: string, ask: Ask): Promise<void> {
    const { cluster, hints } = this.#deps;
    const body: OrderBody = { from: cluster.replicaId, ask };
    for (const replicaId of await cluster.sendToAll({ machineId, kind: ask.kind, body })) {
      hints.send({ about: 'inbox', replicaId });
    }
  }
}

/** Outcomes of orders that are not about stdin. */
const NOT_OF_STDIN: ReadonlySet<Answer['outcome']> = new Set<Answer['outcome']>(['sent', 'done', 'usage']);
const AWAY = { outcome: 'agent_away' } as const;

function sentOr(answer: Answer | undefined): Sent {
  return answer?.outcome === 'sent' ? 'sent' : 'agent_away';
}
