/** Delivers callbacks: posts each ended Execution to its callback_url, signed, until it is accepted or a day has passed. */
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { Callback, CallbackStore, Execution } from '../../../store/store.ts';
import { readOrCreateKeyFile } from '../../../node/key-file.ts';
import type { ProxySelection } from '../../../node/proxy.ts';
import { deliver, MAX_ATTEMPT_MS } from './deliver.ts';
import { type Deliverable, DeliveryQueue } from './delivery-queue.ts';
import { freshSecret, signedHeaders } from './signature.ts';
import { LOG_KEY } from '../../../node/log-keys.ts';

/** Maximum number of callbacks claimed in one transaction. */
const CLAIM_BATCH = 256;
/** Duration of a claim, ms: longer than an attempt. Afterwards the callback is claimed again, in case the server died or had no room. */
const LEASE_MS = 60_000;
const FIRST_RETRY_MS = 5000;
const MAX_RETRY_MS = 2 * 3_600_000;
/** Age of a callback from which on a failed attempt is the last one. */
const MAX_AGE_MS = 24 * 3_600_000;
const STORE_RETRY_MS = 5000;

export interface WebhookDeps {
  store: CallbackStore;
  log: Pick<Logger, 'info' | 'warn'>;
  /** ms since the epoch. */
  now: () => number;
  /** `whsec_…`. */
  secret: string;
  /** Converts an execution to the API's form. */
  wire: (execution: Execution) => unknown;
  userAgent: string;
  allowPrivate: boolean;
  proxyFor: ProxySelection;
  /** Maximum delay before the next claim, ms: a clock may be set, and another server may die. */
  pollMs: number;
}

type Claimed = Callback & Deliverable;

function claimed(callback: Callback, at: number): Claimed {
  const host = URL.parse(callback.url)?.host ?? '';
  return { ...callback, host, createdBy: callback.execution.createdBy, beginBy: at + LEASE_MS - MAX_ATTEMPT_MS };
}

/** Returns the signing secret of the data directory (`webhook.secret`, 0600), created at the first start. */
export function readWebhookSecret(dataDir: string): string {
  return readOrCreateKeyFile(join(dataDir, 'webhook.secret'), {
    make: freshSecret,
    pattern: /^whsec_[A-Za-z0-9+/]{32,}={0,2}$/,
    expected: 'whsec_ and at least 24 bytes in base64',
  });
}

/** Returns the ms between an attempt (1 is the first) and the next. `random` from 0 to 1 spreads them. */
export function retryDelayMs(attempt: number, random: number): number {
  return Math.min(FIRST_RETRY_MS * 4 ** Math.min(attempt - 1, 10), MAX_RETRY_MS) * (0.75 + random / 2);
}

/** Delivers the callbacks of this server. Owns its timer and its deliveries. */
export class Webhooks {
  readonly #deps: WebhookDeps;
  readonly #stopping = new AbortController();
  readonly #active = new Set<Promise<void>>();
  readonly #queue = new DeliveryQueue<Claimed>();
  #claiming: Promise<void> | undefined;
  /** Whether a callback may have become due since the claim under way began. */
  #wakened = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(deps: WebhookDeps) {
    this.#deps = deps;
  }

  /** Claims callbacks now. Also starts the deliveries when the server starts. */
  wake(): void {
    if (this.#stopping.signal.aborted) return;
    this.#wakened = true;
    clearTimeout(this.#timer);
    this.#claiming ??= this.#claim().finally(() => {
      this.#claiming = undefined;
      if (this.#wakened) this.wake();
    });
  }

  /** Aborts deliveries under way, which are tried again after the next start. Settles when none is left. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    clearTimeout(this.#timer);
    await this.#claiming;
    await Promise.all(this.#active);
  }

  /** Claims some of the due callbacks, of all keys, and sleeps until the next one is due. */
  async #claim(): Promise<void> {
    const { store, log, now } = this.#deps;
    this.#wakened = false;
    try {
      const at = now();
      const callbacks = await store.claimCallbacks({ now: at, retryAt: at + LEASE_MS, limit: CLAIM_BATCH });
      for (const callback of callbacks) this.#queue.push(claimed(callback, at));
      this.#beginMore();
      if (callbacks.length === CLAIM_BATCH) this.#wakened = true;
      else this.#sleepUntil((await store.nextCallback()) ?? Number.POSITIVE_INFINITY);
    } catch (cause) {
      log.warn({ err: cause }, 'callbacks wait because the database is unavailable; trying again in 5 s');
      this.#sleepUntil(now() + STORE_RETRY_MS);
    }
  }

  #beginMore(): void {
    if (this.#stopping.signal.aborted) return;
    for (let next = this.#queue.take(this.#deps.now()); next !== undefined; next = this.#queue.take(this.#deps.now())) {
      const callback = next;
      const attempt = this.#attempt(callback).finally(() => {
        this.#active.delete(attempt);
        this.#queue.done(callback);
        this.#beginMore();
      });
      this.#active.add(attempt);
    }
  }

  async #attempt(callback: Callback): Promise<void> {
    const { store, log, now, secret, wire, userAgent, allowPrivate, proxyFor } = this.#deps;
    const { callbackId, attempt, url, execution } = callback;
    const body = JSON.stringify(wire(execution));
    const signed = signedHeaders(secret, { id: execution.executionId, at: now(), body });
    const headers = { ...signed, 'user-agent': userAgent };
    const { signal } = this.#stopping;
    const result = await deliver({ url, body, headers, allowPrivate, proxyFor, signal });
    if (signal.aborted) return;
    const over = result.outcome !== 'failed' || now() - callback.createdAt >= MAX_AGE_MS;
    if (result.outcome !== 'delivered') {
      const { executionId } = execution;
      log.warn(
        { [LOG_KEY.executionId]: executionId, [LOG_KEY.attempt]: attempt, ...result, [LOG_KEY.givenUp]: over },
        over ? 'a callback was not accepted, and is given up' : 'a callback was not accepted; trying again later',
      );
    }
    try {
      if (over) await store.finishCallback({ callbackId });
      else await this.#retry(callback);
    } catch (cause) {
      // The callback is claimed again when its claim has expired.
      log.warn({ err: cause }, 'the outcome of a callback could not be written; it may be delivered again');
    }
  }

  async #retry({ callbackId, attempt }: Callback): Promise<void> {
    const at = Math.round(this.#deps.now() + retryDelayMs(attempt, Math.random()));
    await this.#deps.store.retryCallback({ callbackId, at });
    this.wake();
  }

  #sleepUntil(due: number): void {
    clearTimeout(this.#timer);
    if (this.#stopping.signal.aborted) return;
    const sleepMs = Math.min(Math.max(0, due - this.#deps.now()), this.#deps.pollMs);
    this.#timer = setTimeout(() => this.wake(), sleepMs);
    this.#timer.unref();
  }
}
