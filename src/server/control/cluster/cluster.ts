/** This server among several on one database (docs/cluster.md), put together. */
import type { Logger } from 'pino';
import { CLOSE } from '../../../core/protocol.ts';
import type { ClusterStore, Hint, Store } from '../../../store/store.ts';
import type { AgentSessions } from '../agents/sessions.ts';
import type { LocalCommands, MachineCommands } from '../commands/machine-commands.ts';
import type { CommitListener } from '../live/commit-notifier.ts';
import type { Live } from '../live/live.ts';
import { ClusterCommands } from './cluster-commands.ts';
import { HintChannel, type HintedParts } from './hint-channel.ts';
import { OrderDesk } from './order-desk.ts';
import { PendingAnswers } from './pending-answers.ts';
import { Repair } from './repair.ts';
import { type ClusterClock, Replica } from './replica.ts';

/** Agents of a server that stops, or that is cut off, are sent away over so long, ms. */
const DRAIN_MS = 5000;
const SHED_MS = 30_000;

export interface ClusterDeps {
  cluster: ClusterStore;
  store: Store;
  clock: ClusterClock;
  sessions: AgentSessions;
  local: LocalCommands;
  live: Live;
  log: Pick<Logger, 'warn'>;
  elsewhere: ChangedElsewhere;
}

/** A change that somebody on another server may wait for. */
export type ChangeHint = Extract<Hint, { about: 'status' | 'batch' }>;

/** Told of what other servers have changed, and that somebody here may wait for. */
export type ChangedElsewhere = Pick<HintedParts, 'status' | 'batch'>;

export class Cluster {
  /** Commands to machines, whichever server holds them. */
  readonly machines: MachineCommands;
  /** Tells the other servers of what is committed here. */
  readonly commits: CommitListener;
  readonly #replica: Replica;
  readonly #hints: HintChannel;
  readonly #repair: Repair;
  readonly #answers: PendingAnswers;
  readonly #sessions: AgentSessions;

  constructor(deps: ClusterDeps) {
    const { cluster, store, clock, sessions, local, live, log, elsewhere } = deps;
    this.#sessions = sessions;
    this.#answers = new PendingAnswers(cluster);
    this.#hints = new HintChannel({
      cluster,
      parts: {
        execution: (executionId, sequence) => this.#repair.execution(executionId, sequence),
        machine: (machineId) => this.#repair.machine(machineId),
        status: (machineId) => elsewhere.status(machineId),
        batch: (batchId) => elsewhere.batch(batchId),
        inbox: () => this.#repair.inbox(),
        everything: () => this.#repair.everything(),
      },
    });
    const desk = new OrderDesk({ cluster, store, local, hints: this.#hints, log });
    this.#repair = new Repair({ cluster, sessions, local, desk, answers: this.#answers, live, log });
    this.machines = new ClusterCommands({ cluster, sessions, local, hints: this.#hints, answers: this.#answers });
    this.commits = this.#hints;
    this.#replica = new Replica({
      cluster,
      clock,
      log,
      reaped: () => void sessions.closeAll(CLOSE.restart, 'the server was taken for dead', 0),
      cutOff: () => void sessions.closeAll(CLOSE.restart, 'the server cannot reach its database', SHED_MS),
    });
  }

  /** Whether agents and requests may be taken now. */
  get ready(): boolean {
    return this.#replica.ready;
  }

  /** Servers that share the load, at least one. */
  get live(): number {
    return this.#replica.live;
  }

  tell(hint: ChangeHint): void {
    this.#hints.send(hint);
  }

  async start(): Promise<void> {
    await this.#replica.start();
    this.#hints.start();
    this.#repair.start();
  }

  /** Hands the agents over to the other servers; settles when they have been sent away. */
  async drain(): Promise<void> {
    await this.#replica.drain();
    await this.#sessions.closeAll(CLOSE.restart, 'the server stops', DRAIN_MS);
  }

  async stop(): Promise<void> {
    this.#answers.close();
    await this.#repair.stop();
    await this.#hints.stop();
    await this.#replica.stop();
  }
}
