/** Orders of this server that wait for their answers. */
import type { ClusterStore } from '../../../store/store.ts';
import { type Answer, readAnswer } from './order-schemas.ts';

/** An order that waits for its answer from the server `replicaId`. */
export interface SentOrder {
  orderId: number;
  replicaId: number;
}

/** Time for which an order may wait for a server that is not among the living, ms: it may have started just now. */
const NEW_SERVER_MS = 5000;

interface Waiting {
  replicaId: number;
  /** Time of a monotonic clock, ms. */
  since: number;
  settle: (answer: Answer | undefined) => void;
}

/** The orders of this server that wait for an answer. */
export class PendingAnswers {
  readonly #cluster: Pick<ClusterStore, 'takeAnswers'>;
  readonly #waiting = new Map<number, Waiting>();
  #reading: Promise<void> | undefined;
  #readAgain = false;

  constructor(cluster: Pick<ClusterStore, 'takeAnswers'>) {
    this.#cluster = cluster;
  }

  /** Settles with the answer, or with `undefined` after `timeoutMs`, when `signal` aborts, or when the other server is dead. */
  wait({ orderId, replicaId }: SentOrder, timeoutMs: number, signal?: AbortSignal): Promise<Answer | undefined> {
    if (signal?.aborted === true) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      const settle = (answer: Answer | undefined): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', giveUp);
        this.#waiting.delete(orderId);
        resolve(answer);
      };
      const giveUp = (): void => settle(undefined);
      const timer = setTimeout(giveUp, timeoutMs);
      signal?.addEventListener('abort', giveUp);
      this.#waiting.set(orderId, { replicaId, since: performance.now(), settle });
    });
  }

  /** Ends the waits for servers that are dead. `living`: the ids of those that live. */
  living(living: ReadonlySet<number>): void {
    for (const { replicaId, since, settle } of [...this.#waiting.values()]) {
      if (!living.has(replicaId) && performance.now() - since > NEW_SERVER_MS) settle(undefined);
    }
  }

  /** Reads the answers that have arrived, and ends the waits for orders that are lost. One read at a time: a second would miss what the first takes. */
  takeAnswers(): Promise<void> {
    this.#readAgain = true;
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  async #read(): Promise<void> {
    while (this.#readAgain && this.#waiting.size > 0) {
      this.#readAgain = false;
      for (const { orderId, answer } of await this.#cluster.takeAnswers({ orderIds: [...this.#waiting.keys()] })) {
        this.#waiting.get(orderId)?.settle(readAnswer(answer));
      }
    }
  }

  /** Ends all waits without an answer, when the server stops. */
  close(): void {
    for (const { settle } of [...this.#waiting.values()]) settle(undefined);
  }
}
