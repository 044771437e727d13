/** Several servers on one store, with hints in memory. Tests can lose hints and declare servers dead. */
import type { ClusterStore, Hint, HintListener, LivingReplica, Order, Store } from '../../src/store/store.ts';

interface Held {
  replicaId: number;
  epoch: number;
}

interface InboxRow extends Order {
  orderId: number;
  replicaId: number;
  taken: boolean;
  answer?: unknown;
}

/** A server of the cluster. */
export interface Member {
  readonly store: Store & { readonly cluster: ClusterStore };
  /** Disconnects the server from the database. */
  cutOff(): void;
  /** Reconnects the server, even if it was declared dead. */
  reconnect(): void;
}

export class MemoryCluster {
  readonly #shared: Store;
  readonly #held = new Map<string, Held>();
  readonly #listeners = new Map<number, HintListener>();
  readonly #inbox: InboxRow[] = [];
  readonly #live = new Set<number>();
  readonly #addresses = new Map<number, string>();
  #lastReplica = 0;
  #lastOrder = 0;
  /** Whether hints are lost. */
  dropHints = false;
  /** The number of orders to take whose taking is not answered: they are taken in the database, and the server does not know. */
  unansweredTakes = 0;
  /** The number of answers to orders that cannot be written. */
  failedAnswers = 0;
  /** Whether servers cannot read their inboxes. */
  blocksInboxes = false;
  /** Kinds of orders that no server knows, as if all had an earlier version. */
  readonly unknownKinds = new Set<string>();
  /** The offset of the database's clock, ms. */
  clockOffsetMs = 0;

  /** The caller closes `shared`. */
  constructor(shared: Store) {
    this.#shared = shared;
  }

  /** Adds a server. */
  join(): Member {
    let replicaId = this.#register();
    let reachable = true;
    const reached = (): void => {
      if (!reachable) throw new Error('the database cannot be reached');
    };
    const cluster = this.#roleOf(() => replicaId, {
      reached,
      registerAnew: () => {
        replicaId = this.#register();
      },
    });
    const store: Member['store'] = {
      ...this.#shared,
      cluster,
      close: async () => {},
      machineConnected: async (p) => {
        reached();
        const held = this.#held.get(p.machineId);
        const elsewhere = held !== undefined && held.replicaId !== replicaId && this.#live.has(held.replicaId);
        const machine = elsewhere ? await this.#shared.getMachine(p) : undefined;
        if (machine !== undefined && machine.runnerInstance !== p.runnerInstance) return { outcome: 'held' };
        const connected = await this.#shared.machineConnected(p);
        if (connected.outcome === 'applied') this.#held.set(p.machineId, { replicaId, epoch: connected.epoch });
        return connected;
      },
      machineDisconnected: async (p) => {
        reached();
        if (this.#held.get(p.machineId)?.epoch === p.epoch) this.#held.delete(p.machineId);
        return this.#shared.machineDisconnected(p);
      },
    };
    return {
      store,
      cutOff: () => {
        reachable = false;
      },
      reconnect: () => {
        reachable = true;
      },
    };
  }

  /** Declares the server dead, which frees its machines. */
  async kill(member: Member): Promise<void> {
    const { replicaId } = member.store.cluster;
    this.#live.delete(replicaId);
    this.#listeners.delete(replicaId);
    for (const [machineId, held] of [...this.#held]) {
      if (held.replicaId !== replicaId) continue;
      this.#held.delete(machineId);
      await this.#shared.machineDisconnected({ machineId, epoch: held.epoch, now: Date.now() });
    }
  }

  #living(replicaId: number): LivingReplica {
    const address = this.#addresses.get(replicaId);
    return { replicaId, ...(address !== undefined && { address }) };
  }

  #register(): number {
    this.#lastReplica += 1;
    this.#live.add(this.#lastReplica);
    return this.#lastReplica;
  }

  #machinesOf(replicaId: number): [string, Held][] {
    return [...this.#held].filter(([, held]) => held.replicaId === replicaId);
  }

  #roleOf(id: () => number, p: { reached: () => void; registerAnew: () => void }): ClusterStore {
    const put = (replicaId: number, order: Order): number => {
      this.#lastOrder += 1;
      this.#inbox.push({ ...order, orderId: this.#lastOrder, replicaId, taken: false });
      return this.#lastOrder;
    };
    const undone = async (machineId: string) =>
      (await this.#shared.listDispatched({ machineId, aboveNumber: Number.MAX_SAFE_INTEGER })).map(
        ({ execution }) => execution,
      );
    return {
      get replicaId() {
        return id();
      },
      heartbeat: async ({ address }) => {
        p.reached();
        const alive = this.#live.has(id());
        if (!alive) p.registerAnew();
        if (address !== undefined) this.#addresses.set(id(), address);
        const others = [...this.#live]
          .filter((replicaId) => replicaId !== id())
          .map((replicaId) => this.#living(replicaId));
        return {
          outcome: alive ? 'alive' : 'reaped',
          live: this.#live.size,
          isAlone: alive && this.#live.size === 1,
          others,
          clockOffsetMs: Date.now() - performance.now() + this.clockOffsetMs,
        };
      },
      claimKey: async () => true,
      sealedSecrets: async () => undefined,
      takeDuty: async () => true,
      countConnections: async () => this.#held.size,
      leave: async () => void this.#live.delete(id()),
      connectionsHeld: async () => this.#machinesOf(id()).map(([machineId, { epoch }]) => ({ machineId, epoch })),
      machinesWithWork: async () => this.#machinesOf(id()).map(([machineId]) => machineId),
      cancelsPending: async () => {
        const all = await Promise.all(this.#machinesOf(id()).map(([machineId]) => undone(machineId)));
        return all.flat().filter(({ cancelRequestedAt }) => cancelRequestedAt !== undefined);
      },
      getExecutions: async ({ executionIds }) => {
        const machines = await this.#shared.listMachines({ limit: 500 });
        const found = executionIds.flatMap((executionId) =>
          machines.items.map(({ machineId }) => this.#shared.getExecution({ machineId, executionId })),
        );
        return (await Promise.all(found)).filter((execution) => execution !== undefined);
      },
      sendOrder: async (order) => {
        p.reached();
        const held = this.#held.get(order.machineId);
        if (held === undefined || !this.#live.has(held.replicaId)) return undefined;
        return { orderId: put(held.replicaId, order), replicaId: held.replicaId };
      },
      sendToAll: async (order) => {
        const others = [...this.#live].filter((replicaId) => replicaId !== id());
        for (const replicaId of others) put(replicaId, order);
        return others;
      },
      takeOrders: async ({ known }) => {
        p.reached();
        if (this.blocksInboxes) throw new Error('the inbox cannot be read');
        const mine = this.#inbox.filter(
          ({ replicaId, orderId, answer }) => replicaId === id() && answer === undefined && !known.includes(orderId),
        );
        for (const row of mine) row.taken = true;
        if (mine.length > 0 && this.unansweredTakes > 0) {
          this.unansweredTakes -= 1;
          throw new Error('the connection is lost');
        }
        return mine.map((row) => (this.unknownKinds.has(row.kind) ? { ...row, body: { from: 0, ask: {} } } : row));
      },
      answerOrder: async ({ orderId, answer }) => {
        if (this.failedAnswers > 0) {
          this.failedAnswers -= 1;
          throw new Error('the connection is lost');
        }
        const row = this.#inbox.find((order) => order.orderId === orderId);
        if (row !== undefined) row.answer = answer;
      },
      withdrawOrder: async ({ orderId }) => {
        p.reached();
        const at = this.#inbox.findIndex((order) => order.orderId === orderId && !order.taken);
        if (at >= 0) this.#inbox.splice(at, 1);
        return at >= 0;
      },
      takeAnswers: async ({ orderIds }) =>
        this.#inbox.flatMap(({ orderId, answer }) =>
          orderIds.includes(orderId) && answer !== undefined ? [{ orderId, answer }] : [],
        ),
      hint: async (hints) => {
        p.reached();
        if (!this.dropHints) this.#tell(hints);
      },
      listen: (listener) => {
        this.#listeners.set(id(), listener);
        return async () => void this.#listeners.delete(id());
      },
    };
  }

  #tell(hints: readonly Hint[]): void {
    for (const listener of [...this.#listeners.values()]) for (const hint of hints) listener.hinted(hint);
  }
}
