/** This server among those on the database: its heartbeats, its clock, and whether it may take on anything now. */
import type { Logger } from 'pino';
import type { ClusterStore } from '../../../store/store.ts';

const HEARTBEAT_INTERVAL_MS = 2000;
/** Without a heartbeat for so long this server is not ready: another may soon take it for dead. */
const READY_FOR_MS = 5000;
/** So long it keeps the connections of agents although the database cannot be reached; closing all at once helps nobody. */
const KEEP_SESSIONS_MS = 30_000;

/** The clock that all servers share: the database's. Times of an execution do not depend on which server wrote them. */
export class ClusterClock {
  /** The database's clock minus this server's, ms. */
  offsetMs = 0;

  /** ms since the epoch. */
  readonly now = (): number => Date.now() + this.offsetMs;
}

export interface ReplicaDeps {
  cluster: Pick<ClusterStore, 'heartbeat' | 'leave'>;
  clock: ClusterClock;
  log: Pick<Logger, 'warn'>;
  /** This server was taken for dead: its connections are no longer the machines'. */
  reaped: () => void;
  /** The database has been away for long: agents are to look for another server. */
  cutOff: () => void;
}

export class Replica {
  readonly #deps: ReplicaDeps;
  #timer: NodeJS.Timeout | undefined;
  #beating: Promise<void> = Promise.resolve();
  /** Of a monotonic clock, ms. */
  #lastBeatAt = Number.NEGATIVE_INFINITY;
  #live = 1;
  #draining = false;
  #stopped = false;
  #shed = false;

  constructor(deps: ReplicaDeps) {
    this.#deps = deps;
  }

  /** Settles after the first heartbeat; rejects where it fails. */
  async start(): Promise<void> {
    await this.#beat();
    this.#beatLater();
  }

  get ready(): boolean {
    return !this.#draining && performance.now() - this.#lastBeatAt < READY_FOR_MS;
  }

  /** Servers that share the load, at least one. */
  get live(): number {
    return Math.max(1, this.#live);
  }

  /** Tells the others that this server stops: balancers see it by `ready`, agents are sent away by whoever calls this. */
  async drain(): Promise<void> {
    this.#draining = true;
    await this.#beat().catch(() => {});
  }

  /** Leaves the others; what cannot be written any more is found out by them. */
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
      if (silentMs < READY_FOR_MS) this.#deps.log.warn({ err: cause }, 'the database cannot be reached');
      if (silentMs < KEEP_SESSIONS_MS || this.#shed) return;
      this.#shed = true;
      this.#deps.cutOff();
    }
  }

  async #beat(): Promise<void> {
    const { outcome, live, clockOffsetMs } = await this.#deps.cluster.heartbeat({ draining: this.#draining });
    this.#lastBeatAt = performance.now();
    this.#shed = false;
    this.#live = live;
    this.#deps.clock.offsetMs = clockOffsetMs;
    if (outcome === 'reaped') this.#deps.reaped();
  }
}
