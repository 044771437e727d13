/** Polls the database for changes whose hints were lost: orders, answers, waiting executions, cancels, awaited commits, lost connections. */
import type { Logger } from 'pino';
import { CLOSE } from '../../../core/protocol.ts';
import type { ClusterStore } from '../../../store/store.ts';
import type { AgentSessions } from '../agents/sessions.ts';
import type { LocalCommands } from '../commands/machine-commands.ts';
import { type Live, progressOf } from '../live/live.ts';
import { Poll } from '../../poll.ts';
import type { HintedParts } from './hint-channel.ts';
import type { OrderDesk } from './order-desk.ts';
import type { PendingAnswers } from './pending-answers.ts';

const POLL_INTERVAL_MS = 1000;
/** Number of polls between two comparisons of the connections held here with the database's. */
const COMPARE_EVERY = 5;

export interface RepairDeps {
  cluster: ClusterStore;
  sessions: AgentSessions;
  local: LocalCommands;
  desk: OrderDesk;
  answers: PendingAnswers;
  live: Live;
  log: Pick<Logger, 'warn'>;
}

/** Reads changes of other servers, at hints and in polls. */
export class Repair implements Omit<HintedParts, 'status' | 'batch'> {
  readonly #deps: RepairDeps;
  /** Executions whose cancel was sent to the agent, so that it is sent once. */
  #sentCancels = new Set<string>();
  /** Executions to read because a client waits for them here. */
  readonly #hinted = new Set<string>();
  #reading: Promise<void> | undefined;
  readonly #poll: Poll;
  #polls = 0;

  constructor(deps: RepairDeps) {
    this.#deps = deps;
    this.#poll = new Poll({
      work: () => this.#repair(),
      intervalMs: POLL_INTERVAL_MS,
      failed: (cause) => this.#failed(cause),
    });
  }

  start(): void {
    this.#poll.start();
  }

  async stop(): Promise<void> {
    await this.#poll.stop();
    await this.#reading;
    await this.#deps.desk.stop();
  }

  execution(executionId: string, progress: number): void {
    if (!this.#deps.live.isBehind(executionId, progress)) return;
    this.#hinted.add(executionId);
    this.#reading ??= this.#readHinted().finally(() => {
      this.#reading = undefined;
    });
  }

  machine(machineId: string): void {
    if (this.#deps.sessions.get(machineId) !== undefined) this.#deps.local.waiting(machineId);
  }

  cancel(machineId: string): void {
    if (this.#deps.sessions.get(machineId) !== undefined) this.#now(() => this.#tellCancels());
  }

  inbox(): void {
    this.#now(() => this.#readInbox());
  }

  everything(): void {
    this.#polls = 0;
    this.#now(() => this.#repair());
  }

  #now(work: () => Promise<void>): void {
    if (!this.#poll.stopped) work().catch((cause: unknown) => this.#failed(cause));
  }

  #failed(cause: unknown): void {
    this.#deps.log.warn({ err: cause }, 'reading the changes of other servers failed; trying again');
  }

  async #repair(): Promise<void> {
    const { cluster, local, live } = this.#deps;
    await this.#readInbox();
    for (const machineId of await cluster.machinesWithWork()) local.waiting(machineId);
    await this.#tellCancels();
    for (const executionId of live.waitedFor()) this.#hinted.add(executionId);
    await this.#readHinted();
    if (this.#polls % COMPARE_EVERY === 0) await this.#compareConnections();
    this.#polls += 1;
  }

  async #readInbox(): Promise<void> {
    await this.#deps.desk.takeOrders();
    await this.#deps.answers.takeAnswers();
  }

  async #tellCancels(): Promise<void> {
    const pending = await this.#deps.cluster.cancelsPending();
    const sentCancels = new Set<string>();
    for (const { machineId, executionId } of pending) {
      sentCancels.add(executionId);
      if (!this.#sentCancels.has(executionId)) this.#deps.sessions.ready(machineId)?.cancel(executionId);
    }
    this.#sentCancels = sentCancels;
  }

  async #readHinted(): Promise<void> {
    while (this.#hinted.size > 0) {
      const executionIds = [...this.#hinted];
      this.#hinted.clear();
      for (const execution of await this.#deps.cluster.getExecutions({ executionIds })) {
        if (this.#deps.live.isBehind(execution.executionId, progressOf(execution)))
          this.#deps.live.committed(execution);
      }
    }
  }

  /** Closes sessions that the database no longer has as the connection of their machine. Their agents are elsewhere, or reconnect. */
  async #compareConnections(): Promise<void> {
    const before = new Map(this.#deps.sessions.connections());
    const held = new Map(
      (await this.#deps.cluster.connectionsHeld()).map(({ machineId, epoch }) => [machineId, epoch]),
    );
    for (const [machineId, epoch] of before) {
      if (held.get(machineId) === epoch) continue;
      const session = this.#deps.sessions.get(machineId);
      if (session?.epoch === epoch) session.close(CLOSE.restart, 'this is no longer the connection of the machine');
    }
  }
}
