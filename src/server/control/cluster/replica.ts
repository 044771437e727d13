/** The membership of this server in the cluster: its heartbeats, its clock, and its readiness. */
import type { Logger } from 'pino';
import type { ClusterStore, LivingReplica } from '../../../store/store.ts';

const HEARTBEAT_INTERVAL_MS = 2000;
/** Time after the last heartbeat for which this server is ready, ms. After it another server may soon declare it dead. */
const READY_FOR_MS = 5000;
/** Time for which this server keeps the connections of agents while the database cannot be reached, ms. */
const KEEP_SESSIONS_MS = 30_000;

/** The database's clock, which all servers use, so that the times of an execution do not depend on the server that wrote them. */
export class ClusterClock {
  /** The database's clock minus performance.now(), ms: the clock of the host may be set at any time. Its own until the first heartbeat. */
  offsetMs = performance.timeOrigin;

  /** ms since the epoch. */
  readonly now = (): number => Math.round(performance.now() + this.offsetMs);
}

export interface ReplicaDeps {
  cluster: Pick<ClusterStore, 'heartbeat' | 'leave'>;
  clock: ClusterClock;
  log: Pick<Logger, 'warn'>;
  /** The address at which the other servers reach this one. */
  address: () => string | undefined;
  /** Called with the other servers that live, after each heartbeat. */
  others: (others: readonly LivingReplica[]) => void;
  /** Called when this server was declared dead: its connections are no longer those of the machines. */
  reaped: () => void;
  /** Called when the database was unreachable for long: agents should connect to another server. */
  cutOff: () => void;
}

/** This server's membership in the cluster. */
export class Replica {
  readonly #deps: ReplicaDeps;
  #timer: NodeJS.Timeout | undefined;
  #beating: Promise<void> = Promise.resolve();
  /** Time of a monotonic clock, ms. */
  #lastBeatAt = Number.NEGATIVE_INFINITY;
  #live = 1;
  #isAlone = false;
  #draining = false;
  #stopped = false;
  #shed = false;

  constructor(deps: ReplicaDeps) {
    this.#deps = deps;
  }

  /** Settles after the first heartbeat. Rejects if it fails. */
  async start(): Promise<void> {
    await this.#beat();
    this.#beatLater();
  }

  get ready(): boolean {
    return !this.#draining && performance.now() - this.#lastBeatAt < READY_FOR_MS;
  }

  /** Number of servers that share the load, at least one. */
  get live(): number {
    return Math.max(1, this.#live);
  }

  /** No other server was registered at the last heartbeat. One that registers later is known after the next. */
  get isAlone(): boolean {
    return this.#isAlone;
  }

  /** Records that this server stops, and makes it not ready for load balancers. The caller disconnects the agents. */
  async drain(): Promise<void> {
    this.#draining = true;
    await this.#beat().catch(() => {});
  }

  /** Leaves the cluster. If that cannot be written, the other servers notice it by the missing heartbeats. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#beating;
    await this.#deps.cluster.leave().catch(() => {});
  }

  #beatLater(): void {
    if (this.#stopped) return;
    this.#timer = setTimeout(() => {
      this.#beating = this.#beatOrReport().finally(() => this.#beatLater());
    }, HEARTBEAT_INTERVAL_MS);
  }

  async #beatOrReport(): Promise<void> {
    const silentMs = performance.now() - this.#lastBeatAt;
    try {
      await this.#beat();
    } catch (cause) {
      if (silentMs < READY_FOR_MS)
        this.#deps.log.warn(
          { err: cause },
          'the heartbeat to the database failed; trying again: after 5 s this server is not ready, after 30 s it disconnects its agents',
        );
      if (silentMs < KEEP_SESSIONS_MS || this.#shed) return;
      this.#shed = true;
      this.#deps.cutOff();
    }
  }

  async #beat(): Promise<void> {
    const { cluster, address } = this.#deps;
    const { outcome, live, isAlone, others, clockOffsetMs } = await cluster.heartbeat({
      draining: this.#draining,
      address: address(),
    });
    this.#lastBeatAt = performance.now();
    this.#shed = false;
    this.#live = live;
    this.#isAlone = isAlone;
    this.#deps.clock.offsetMs = clockOffsetMs;
    if (outcome === 'reaped') this.#deps.reaped();
    this.#deps.others(others);
  }
}
