/** Sends commands to machines, through an order to another server if that server holds the machine's connection. */
import { isTerminal } from '../../../core/execution.ts';
import type { TerminalSize } from '../../../core/launch-options.ts';
import type { UsagePayload } from '../../../core/report.ts';
import type { ClusterStore, Execution } from '../../../store/store.ts';
import { pause } from '../../pause.ts';
import type { AgentSessions } from '../agents/sessions.ts';
import type { Released } from '../agents/session-deps.ts';
import type { LocalCommands, MachineCommands, Sent } from '../commands/machine-commands.ts';
import type { StdinAttempt, StdinOutcome, StdinRequest } from '../commands/stdin.ts';
import type { TerminalLimit } from '../commands/terminal-limits.ts';
import type { HintChannel } from './hint-channel.ts';
import type { Answer, Ask, OrderBody } from './order-schemas.ts';
import type { PendingAnswers, SentOrder } from './pending-answers.ts';

/** Time to wait for the answer to an order, ms. After it the order is withdrawn if the other server has not taken it. */
const ANSWER_TIMEOUT_MS = 5000;
/** Further time to wait for the answer to an order that writes stdin and was taken, ms: the answer waits for the runner. */
const STDIN_TIMEOUT_MS = 50_000;
/** Delay before stdin whose connection was lost is sent again, ms. */
const STDIN_RETRY_MS = 100;

export interface ClusterCommandsDeps {
  cluster: Pick<ClusterStore, 'replicaId' | 'sendOrder' | 'sendToAll' | 'withdrawOrder'>;
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
    return answer.outcome === 'usage' ? answer.usage : undefined;
  }

  async rotateCredential(p: { machineId: string; joinToken: string }): Promise<Sent> {
    const here = await this.#deps.local.rotateCredential(p);
    if (here === 'sent') return here;
    return sentOr(await this.#ask(p.machineId, { kind: 'rotate', join_token: p.joinToken }));
  }

  /** Once a connection is lost under a write, its offset is known: it is tried on the next connection, wherever that is. */
  async writeStdin(request: StdinRequest): Promise<StdinOutcome | { outcome: 'busy' }> {
    const { signal } = request;
    let interrupted: { offset?: number } = {};
    for (;;) {
      const attempt = await this.#tryStdin({ ...request, ...interrupted });
      if (attempt.outcome === 'interrupted') interrupted = { offset: attempt.offset };
      else if (interrupted.offset === undefined || !REPEATABLE.has(attempt.outcome)) return attempt;
      if (signal.aborted) return AWAY;
      await pause(STDIN_RETRY_MS, signal);
    }
  }

  async #tryStdin(request: StdinRequest): Promise<StdinAttempt | { outcome: 'busy' }> {
    const { execution, bytes, signal } = request;
    const { machineId, stdinMode, dispatchedTo } = execution;
    if (stdinMode !== 'open' || this.#deps.sessions.get(machineId) !== undefined) {
      return this.#deps.local.tryStdin(request);
    }
    const ask = stdinAsk(request);
    const sent = await this.#send(machineId, ask, bytes);
    if (sent === undefined) return dispatchedTo === undefined ? { outcome: 'not_running' } : AWAY;
    const answer = await this.#stdinAnswer(sent, signal);
    if (ask.kind === 'numbered_stdin' && isOfEarlierVersion(answer)) return { outcome: 'no_writers' };
    return NOT_OF_STDIN.has(answer.outcome) ? AWAY : (answer as StdinAttempt);
  }

  async outputLimited(execution: Execution, released?: Released): Promise<void> {
    const { sessions, local } = this.#deps;
    const { machineId, executionId, status } = execution;
    if (sessions.get(machineId) !== undefined) await local.outputLimited(execution, released);
    else if (!isTerminal(status)) await this.#ask(machineId, { kind: 'output_limited', execution_id: executionId });
  }

  async limitTerminal(limit: TerminalLimit): Promise<Sent | 'full'> {
    const here = await this.#deps.local.limitTerminal(limit);
    if (here !== 'agent_away') return here;
    const { machineId, executionId, offset, clients = 0 } = limit;
    const ask: Ask = {
      kind: 'terminal_limit',
      execution_id: executionId,
      clients,
      ...(offset !== undefined && { offset }),
    };
    const answer = await this.#ask(machineId, ask);
    return answer.outcome === 'full' ? 'full' : sentOr(answer);
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

  /**
   * Returns the answer of the server that holds the machine's connection. `agent_away`: no server does, or the order was not taken in time
   * and never will be. `unknown`: the order may have been carried out.
   */
  async #ask(machineId: string, ask: Ask): Promise<Answer> {
    const sent = await this.#send(machineId, ask);
    if (sent === undefined) return AWAY;
    const answer = await this.#deps.answers.wait(sent, ANSWER_TIMEOUT_MS);
    return typeof answer === 'string' ? this.#withdraw(sent) : answer;
  }

  async #stdinAnswer(sent: SentOrder, signal: AbortSignal): Promise<Answer> {
    const { answers } = this.#deps;
    const early = await answers.wait(sent, ANSWER_TIMEOUT_MS, signal);
    if (typeof early !== 'string') return early;
    // A client that has left does not learn the outcome: what it sent takes its course.
    if (signal.aborted) return UNKNOWN;
    const withdrawn = await this.#withdraw(sent);
    if (withdrawn === AWAY || early === 'lost') return withdrawn;
    const answer = await answers.wait(sent, STDIN_TIMEOUT_MS, signal);
    return typeof answer === 'string' ? UNKNOWN : answer;
  }

  async #withdraw({ orderId }: SentOrder): Promise<Answer> {
    const isWithdrawn = await this.#deps.cluster.withdrawOrder({ orderId }).catch(() => false);
    return isWithdrawn ? AWAY : UNKNOWN;
  }

  /** Sends an order to the server that holds the machine's connection. Undefined if no server does. */
  async #send(machineId: string, ask: Ask, payload?: Buffer): Promise<SentOrder | undefined> {
    const { cluster, hints } = this.#deps;
    const body: OrderBody = { from: cluster.replicaId, ask };
    const bytes = payload === undefined ? {} : { payload };
    const sent = await cluster.sendOrder({ machineId, kind: ask.kind, body, ...bytes });
    if (sent !== undefined) hints.send({ about: 'inbox', replicaId: sent.replicaId });
    return sent;
  }

  async #tellAll(machineId: string, ask: Ask): Promise<void> {
    const { cluster, hints } = this.#deps;
    const body: OrderBody = { from: cluster.replicaId, ask };
    for (const replicaId of await cluster.sendToAll({ machineId, kind: ask.kind, body })) {
      hints.send({ about: 'inbox', replicaId });
    }
  }
}

/** Outcomes after which a write is tried again, if its offset is known. */
const REPEATABLE: ReadonlySet<string> = new Set(['agent_away', 'unknown']);
/** Outcomes of orders that are not about stdin. */
const NOT_OF_STDIN: ReadonlySet<Answer['outcome']> = new Set<Answer['outcome']>(['sent', 'done', 'usage']);
const AWAY = { outcome: 'agent_away' } as const;
const UNKNOWN = { outcome: 'unknown' } as const;

function stdinAsk({ execution, offset, writer, close }: StdinRequest): Ask {
  const to = { execution_id: execution.executionId, close };
  if (writer !== undefined) return { kind: 'numbered_stdin', ...to, writer };
  return { kind: 'stdin', ...to, ...(offset !== undefined && { offset }) };
}

/** Whether the server that answered does not know this kind of order. It has written nothing. */
function isOfEarlierVersion(answer: Answer): boolean {
  return answer !== AWAY && answer.outcome === 'agent_away' && answer.understood !== true;
}

function sentOr({ outcome }: Answer): Sent {
  return outcome === 'sent' || outcome === 'unknown' ? outcome : 'agent_away';
}
