/** Constructs this server's part among several servers on one database (docs/cluster.md). */
import type { Logger } from 'pino';
import { CLOSE } from '../../../core/protocol.ts';
import type { ClusterStore, Hint, Store } from '../../../store/store.ts';
import type { AgentSessions } from '../agents/sessions.ts';
import type { ExecutionCreator } from '../commands/create-request.ts';
import type { LocalCommands, MachineCommands } from '../commands/machine-commands.ts';
import type { CommitListener } from '../live/commit-notifier.ts';
import type { Live } from '../live/live.ts';
import { Balance } from './balance.ts';
import { ClusterCommands } from './cluster-commands.ts';
import { HintChannel, type HintedParts } from './hint-channel.ts';
import { CreateForwarder } from './links/create-forwarder.ts';
import { ForwardedCreates } from './links/forwarded-creates.ts';
import type { PeerFrame } from './links/frames.ts';
import type { PeerLink } from './links/peer-link.ts';
import { Peers, type PeersDeps } from './links/peers.ts';
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
  /** Creates on this server. */
  creator: ExecutionCreator;
  peers: PeerSettings;
}

/** The connections to the other servers. `address`: where they reach this one; absent: there are no connections. */
export type PeerSettings = Pick<PeersDeps, 'address' | 'key' | 'version'>;

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
  readonly #live: Live;
  readonly #balance: Balance;
  readonly #peers: Peers;
  readonly #forwarder: CreateForwarder;
  readonly #forwarded: ForwardedCreates;

  constructor(deps: ClusterDeps) {
    const { cluster, store, clock, sessions, local, live, log, elsewhere, creator } = deps;
    this.#sessions = sessions;
    this.#live = live;
    this.#peers = new Peers({
      ...{ cluster, sessions, log, ...deps.peers },
      received: (link, frame) => this.#received(link, frame),
      closed: (link) => {
        this.#forwarder.closed(link);
        this.#forwarded.closed(link);
      },
    });
    this.#forwarder = new CreateForwarder({ creator, sessions, peers: this.#peers, live, now: clock.now });
    this.#forwarded = new ForwardedCreates({ creator, sessions });
    this.#answers = new PendingAnswers(cluster);
    this.#hints = new HintChannel({
      cluster,
      peers: this.#peers,
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
    this.commits = {
      committed: (execution) => {
        this.#forwarded.committed(execution);
        this.#hints.committed(execution);
      },
    };
    this.#balance = new Balance({ cluster, sessions, log, servers: () => this.#replica.live });
    this.#replica = new Replica({
      cluster,
      clock,
      log,
      address: () => this.#peers.address,
      others: (others) => {
        this.#peers.living(others);
        this.#answers.living(new Set([cluster.replicaId, ...others.map(({ replicaId }) => replicaId)]));
      },
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

  /** Creates executions, at the server that the machine's agent is connected to if possible. */
  get creator(): ExecutionCreator {
    return this.#forwarder;
  }

  /** The machine's agent has connected here, or has left. */
  placeChanged(machineId: string): void {
    this.#peers.placeChanged(machineId);
  }

  tell(hint: ChangeHint): void {
    this.#hints.send(hint);
  }

  async start(): Promise<void> {
    await this.#peers.start();
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
    this.#peers.stop();
  }

  #received(link: PeerLink, frame: PeerFrame): void {
    switch (frame.type) {
      case 'hints':
        for (const hint of frame.hints) this.#hints.hinted(hint);
        break;
      case 'create':
        void this.#forwarded.create(link, frame.id, frame.create);
        break;
      case 'created':
        this.#forwarder.answered(frame.id, frame.answer);
        break;
      case 'changed':
        this.#live.remember(frame.execution);
        this.#live.committed(frame.execution);
        break;
    }
  }
}
