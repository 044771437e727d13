/** The connections of this server to the others, one to each. They save the database work; everything happens without them too. */
import type { Socket } from 'node:net';
import type { Server } from 'node:tls';
import type { Logger } from 'pino';
import { ConfigError } from '../../../../node/config-error.ts';
import { LOG_KEY } from '../../../../node/log-keys.ts';
import type { ClusterStore, Hint, LivingReplica } from '../../../../store/store.ts';
import type { PeerFrame, PeerHello } from './frames.ts';
import { PeerLink, type PeerLinkListener } from './peer-link.ts';
import { connectToPeer, listenForPeers, type PeerAddress, portOf, readPeerAddress } from './peer-socket.ts';

/** Machines that one message names. */
const PLACES_A_FRAME = 2000;

export interface PeersDeps {
  cluster: Pick<ClusterStore, 'replicaId'>;
  /** Machines whose agents are connected here. */
  sessions: { get(machineId: string): unknown; machineIds(): Iterable<string> };
  /** The address at which the others reach this server. Absent: it has no connections to them. */
  address: PeerAddress | undefined;
  key: Buffer;
  version: string;
  received: (link: PeerLink, frame: PeerFrame) => void;
  closed: (link: PeerLink) => void;
  log: Pick<Logger, 'info'>;
}

/** Opens and keeps one connection to each living server. Owns its listening socket. */
export class Peers implements PeerLinkListener {
  readonly #deps: PeersDeps;
  /** Those that are open, by the other server's id. */
  readonly #links = new Map<number, PeerLink>();
  /** All of them, before their hello too. */
  readonly #all = new Set<PeerLink>();
  readonly #dialling = new Set<number>();
  #others: readonly LivingReplica[] = [];
  #replicaId = 0;
  #server: Server | undefined;
  #changedPlaces = new Set<string>();
  #stopped = false;

  constructor(deps: PeersDeps) {
    this.#deps = deps;
  }

  /** Rejects with ConfigError if it cannot listen. */
  async start(): Promise<void> {
    const { address, key } = this.#deps;
    if (address === undefined) return;
    this.#server = await listenForPeers(address, key, (socket) => this.#adopt(socket)).catch((cause: Error) => {
      throw new ConfigError(`EXECPLANE_CLUSTER_ADDRESS: the server cannot listen there: ${cause.message}`, { cause });
    });
  }

  stop(): void {
    this.#stopped = true;
    for (const link of [...this.#all]) link.close();
    this.#server?.close();
  }

  /** The address at which the others reach this server. Undefined without one. */
  get address(): string | undefined {
    const { address } = this.#deps;
    if (address === undefined || this.#server === undefined) return undefined;
    const host = address.host.includes(':') ? `[${address.host}]` : address.host;
    return `${host}:${portOf(this.#server)}`;
  }

  /** The other servers that live now. Connects to those that started before this one, and waits for the connections of later ones. */
  living(others: readonly LivingReplica[]): void {
    const { replicaId } = this.#deps.cluster;
    this.#others = others;
    // Under another id it holds other machines.
    if (replicaId !== this.#replicaId) for (const link of [...this.#all]) link.close();
    this.#replicaId = replicaId;
    const ids = new Set(others.map((other) => other.replicaId));
    for (const [id, link] of [...this.#links]) if (!ids.has(id)) link.close();
    for (const { replicaId: id, address } of others) {
      if (this.#server === undefined || address === undefined || id > replicaId) continue;
      if (!this.#links.has(id) && !this.#dialling.has(id)) void this.#dial(id, address);
    }
  }

  /** Whether there is a connection to each living server: hints need not go through the database. */
  get isComplete(): boolean {
    return this.#others.length > 0 && this.#others.every(({ replicaId }) => this.#links.has(replicaId));
  }

  /** The connection to the server that the machine's agent is connected to. */
  holderOf(machineId: string): PeerLink | undefined {
    for (const link of this.#links.values()) if (link.places.has(machineId)) return link;
    return undefined;
  }

  /** Sends hints to all others. */
  hint(hints: readonly Hint[]): void {
    for (const link of this.#links.values()) link.send({ type: 'hints', hints: [...hints] });
  }

  /** The machine's agent has connected here, or has left. */
  placeChanged(machineId: string): void {
    if (this.#links.size === 0) return;
    if (this.#changedPlaces.size === 0) setImmediate(() => this.#sendChangedPlaces());
    this.#changedPlaces.add(machineId);
  }

  greeted({ from, to, version }: PeerHello): { answer?: PeerHello } | undefined {
    if (this.#stopped || to !== this.#deps.cluster.replicaId || version !== this.#deps.version) return undefined;
    return from < to ? {} : { answer: this.#helloTo(from) };
  }

  opened(link: PeerLink): void {
    const { replicaId = 0 } = link;
    this.#links.get(replicaId)?.close();
    this.#links.set(replicaId, link);
    this.#deps.log.info({ [LOG_KEY.server]: replicaId }, 'connected to another server');
    this.#sendPlaces([link], [...this.#deps.sessions.machineIds()]);
  }

  received(link: PeerLink, frame: PeerFrame): void {
    if (frame.type !== 'places') {
      this.#deps.received(link, frame);
      return;
    }
    for (const machineId of frame.left) link.places.delete(machineId);
    for (const machineId of frame.taken) link.places.add(machineId);
  }

  closed(link: PeerLink): void {
    this.#all.delete(link);
    const { replicaId } = link;
    if (replicaId === undefined) return;
    if (this.#links.get(replicaId) === link) this.#links.delete(replicaId);
    this.#deps.log.info({ [LOG_KEY.server]: replicaId }, 'the connection to another server is lost');
    this.#deps.closed(link);
  }

  #adopt(socket: Socket): PeerLink {
    const link = new PeerLink(socket, this);
    this.#all.add(link);
    if (this.#stopped) link.close();
    return link;
  }

  async #dial(replicaId: number, text: string): Promise<void> {
    const address = readPeerAddress(text);
    if (address === undefined) return;
    this.#dialling.add(replicaId);
    try {
      this.#adopt(await connectToPeer(address, this.#deps.key)).send(this.#helloTo(replicaId));
    } catch {
      // It is tried again after the next heartbeat. Until then everything goes through the database.
    } finally {
      this.#dialling.delete(replicaId);
    }
  }

  #helloTo(replicaId: number): PeerHello {
    const { cluster, version } = this.#deps;
    return { type: 'hello', from: cluster.replicaId, to: replicaId, version };
  }

  #sendChangedPlaces(): void {
    const changed = [...this.#changedPlaces];
    this.#changedPlaces = new Set();
    this.#sendPlaces([...this.#links.values()], changed);
  }

  #sendPlaces(links: readonly PeerLink[], machineIds: readonly string[]): void {
    const { sessions } = this.#deps;
    for (let at = 0; at < machineIds.length; at += PLACES_A_FRAME) {
      const part = machineIds.slice(at, at + PLACES_A_FRAME);
      const { taken = [], left = [] } = Object.groupBy(part, (id) =>
        sessions.get(id) === undefined ? 'left' : 'taken',
      );
      for (const link of links) link.send({ type: 'places', taken, left });
    }
  }
}
