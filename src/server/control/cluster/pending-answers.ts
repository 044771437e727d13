/** Orders of this server that wait for their answers. */
import type { ClusterStore } from '../../../store/store.ts';
import { type Answer, readAnswer } from './order-schemas.ts';

/** An order that waits for its answer from the server `replicaId`. */
export interface SentOrder {
  orderId: number;
  replicaId: number;
}

/** Why there is no answer: not in time (or the caller has left), or the other server is dead or the database has lost the order. */
export type NoAnswer = 'late' | 'lost';

/** Time for which an order may wait for a server that is not among the living, ms: it may have started just now. */
const NEW_SERVER_MS = 5000;

interface Waiting {
  replicaId: number;
  /** Time of a monotonic clock, ms. */
  since: number;
  settle: (answer: Answer | NoAnswer) => void;
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

  /** Settles with the answer. `late`: after `timeoutMs`, or when `signal` aborts. The same order can be waited for again. */
  wait({ orderId, replicaId }: SentOrder, timeoutMs: number, signal?: AbortSignal): Promise<Answer | NoAnswer> {
    if (signal?.aborted === true) return Promise.resolve('late');
    return new Promise((resolve) => {
      const settle = (answer: Answer | NoAnswer): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', giveUp);
        this.#waiting.delete(orderId);
        resolve(answer);
      };
      const giveUp = (): void => settle('late');
      const timer = setTimeout(giveUp, timeoutMs);
      signal?.addEventListener('abort', giveUp);
      this.#waiting.set(orderId, { replicaId, since: performance.now(), settle });
    });
  }

  /** Ends the waits for servers that are dead. `living`: the ids of those that live. */
  living(living: ReadonlySet<number>): void {
    for (const { replicaId, since, settle } of [...this.#waiting.values()]) {
      if (!living.has(replicaId) && performance.now() - since > NEW_SERVER_MS) settle('lost');
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
        this.#waiting.get(orderId)?.settle(readAnswer(answer) ?? 'lost');
      }
    }
  }

  /** Ends all waits without an answer, when the server stops. */
  close(): void {
    for (const { settle } of [...this.#waiting.values()]) settle('lost');
  }
}
