/** Constructs this server's part among several servers on one database (docs/cluster.md). */
import type { Logger } from 'pino';
import { CLOSE } from '../../../core/protocol.ts';
import type { ClusterStore, Hint, Store } from '../../../store/store.ts';
import type { AgentSessions } from '../agents/sessions.ts';
import type { LocalCommands, MachineCommands } from '../commands/machine-commands.ts';
import type { CommitListener } from '../live/commit-notifier.ts';
import type { Live } from '../live/live.ts';
import { Balance } from './balance.ts';
import { ClusterCommands } from './cluster-commands.ts';
import { HintChannel, type HintedParts } from './hint-channel.ts';
import { OrderDesk } from './order-desk.ts';
import { PendingAnswers } from './pending-answers.ts';
import { Repair } from './repair.ts';
import { type ClusterClock, Replica } from './replica.ts';

/** Time over which the agents of a server that stops, or is cut off, are disconnected, ms. */
const DRAIN_MS = 5000;
const SHED_MS = 30_000;

export interface ClusterDeps {
  cluster: ClusterStore;
  store: Store;
  clock: ClusterClock;
  sessions: AgentSessions;
  local: LocalCommands;
  live: Live;
  log: Pick<Logger, 'info' | 'warn'>;
  elsewhere: ChangedElsewhere;
}

/** A change that a request on another server may wait for. */
export type ChangeHint = Extract<Hint, { about: 'status' | 'batch' }>;

/** The callbacks for changes by other servers that a request here may wait for. */
export type ChangedElsewhere = Pick<HintedParts, 'status' | 'batch'>;

/** The parts of a server that shares its database: replica, hints, orders and repair. */
export class Cluster {
  /** Sends commands to machines on any server. */
  readonly machines: MachineCommands;
  /** Sends hints about commits of this server to the others. */
  readonly commits: CommitListener;
  readonly #replica: Replica;
  readonly #hints: HintChannel;
  readonly #repair: Repair;
  readonly #answers: PendingAnswers;
  readonly #sessions: AgentSessions;
  readonly #balance: Balance;

  constructor(deps: ClusterDeps) {
    const { cluster, store, clock, sessions, local, live, log, elsewhere } = deps;
    this.#sessions = sessions;
    this.#answers = new PendingAnswers(cluster);
    this.#hints = new HintChannel({
      cluster,
      isAlone: () => this.#replica.isAlone,
      parts: {
        execution: (executionId, progress) => this.#repair.execution(executionId, progress),
        machine: (machineId) => this.#repair.machine(machineId),
        cancel: (machineId) => this.#repair.cancel(machineId),
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
    this.#balance = new Balance({ cluster, sessions, log, servers: () => this.#replica.live });
    this.#replica = new Replica({
      cluster,
      clock,
      log,
      reaped: () => void sessions.closeAll(CLOSE.restart, 'the server was declared dead', 0),
      cutOff: () => void sessions.closeAll(CLOSE.restart, 'the server cannot reach its database', SHED_MS),
    });
  }

  /** Whether this server accepts agents and requests now. */
  get ready(): boolean {
    return this.#replica.ready;
  }

  /** Number of servers that share the load, at least one. */
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
    this.#balance.start();
  }

  /** Moves the agents to the other servers. Settles when they were disconnected. */
  async drain(): Promise<void> {
    await this.#balance.stop();
    await this.#replica.drain();
    await this.#sessions.closeAll(CLOSE.restart, 'the server stops', DRAIN_MS);
  }

  async stop(): Promise<void> {
    this.#answers.close();
    await this.#balance.stop();
    await this.#repair.stop();
    await this.#hints.stop();
    await this.#replica.stop();
  }
}
