/** Orders of this server that wait for their answers. */
import type { ClusterStore } from '../../../store/store.ts';
import { type Answer, readAnswer } from './order-schemas.ts';

/** The orders of this server that wait for an answer. */
export class PendingAnswers {
  readonly #cluster: Pick<ClusterStore, 'takeAnswers'>;
  readonly #waiting = new Map<number, (answer: Answer | undefined) => void>();

  constructor(cluster: Pick<ClusterStore, 'takeAnswers'>) {
    this.#cluster = cluster;
  }

  /** Settles with the answer, or with `undefined` after `timeoutMs`, or when `signal` aborts. */
  wait(orderId: number, timeoutMs: number, signal?: AbortSignal): Promise<Answer | undefined> {
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
      this.#waiting.set(orderId, settle);
    });
  }

  /** Reads the answers that have arrived. */
  async takeAnswers(): Promise<void> {
    if (this.#waiting.size === 0) return;
    for (const { orderId, answer } of await this.#cluster.takeAnswers({ orderIds: [...this.#waiting.keys()] })) {
      this.#waiting.get(orderId)?.(readAnswer(answer));
    }
  }

  /** Ends all waits without an answer, when the server stops. */
  close(): void {
    for (const settle of [...this.#waiting.values()]) settle(undefined);
  }
}
