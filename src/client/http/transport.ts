/** HTTP requests to one server: headers, retries, timeouts and errors. */
import { backoffMs, pause } from './backoff.ts';
import {
  ExecplaneError,
  isRetryable,
  parseObject,
  RefusedError,
  readRefusal,
  UnexpectedAnswerError,
  UnreachableError,
} from './errors.ts';
import { hasShape, mismatch, type Shape } from './shape.ts';

/** The part of the platform's `Response` that the client uses. */
export interface HttpResponse extends Pick<Response, 'ok' | 'status' | 'body' | 'text' | 'arrayBuffer'> {
  headers: Pick<Headers, 'get' | 'has'>;
}

/** A request, as it is passed to `fetch`. */
export interface HttpRequest {
  method: string;
  headers?: Record<string, string>;
  body?: string | Uint8Array<ArrayBuffer>;
  redirect?: 'manual';
  signal?: AbortSignal;
}

/** The part of the platform's `fetch` that the client uses. */
export type Fetch = (url: string, request: HttpRequest) => Promise<HttpResponse>;

/** The server's address and the credential for it. */
export interface TransportOptions {
  /** Address of the server, such as `https://execplane.example.com`. A path before `/v1` is kept. */
  url: string | URL;
  /** Sent as `Authorization: Bearer`. Without it the cookies of the page are used. */
  apiKey?: string;
  /** Replaces the platform's `fetch`. */
  fetch?: Fetch;
  /** Replaces the platform's `WebSocket`, for terminals. */
  webSocket?: (url: string) => WebSocket;
  /** Sent with every request. */
  headers?: Readonly<Record<string, string>>;
  /** Number of attempts for each request. Default: 4. */
  attempts?: number;
  /** Returns an idempotency key that was never used. Default: 128 random bits of `crypto`. */
  newKey?: () => string;
}

type QueryValue = string | number | boolean | undefined;
/** A list is sent as several parameters of the same name. */
export type Query = Readonly<Record<string, QueryValue | readonly string[]>>;

/** The options that every request has. */
export interface RequestOptions {
  /** Aborting it ends the request, which then rejects with the reason. */
  signal?: AbortSignal | undefined;
}

/** One request. */
export interface Call extends RequestOptions {
  query?: Query | undefined;
  headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  body?: unknown;
  /** Sent unchanged. A repetition must be harmless: these have no Idempotency-Key. */
  bytes?: Uint8Array<ArrayBuffer>;
  /** Number of attempts. */
  attempts?: number;
  /** Time limit for each answer, ms. Default: longer than a server waits for an end. */
  timeoutMs?: number;
}

/** Time limit for an answer, ms. A server that waits for an end answers within a minute. */
const ANSWER_TIMEOUT_MS = 70_000;
const DEFAULT_ATTEMPTS = 4;
const RETRY = { firstMs: 250, maxMs: 10_000 };

/** Sends requests to one server: adds the key, retries, and turns refusals into errors. */
export class Transport {
  /** Address of the server, without a slash at the end. */
  readonly base: string;
  readonly origin: string;
  readonly #options: TransportOptions;

  constructor(options: TransportOptions) {
    const url = new URL(options.url);
    this.origin = url.origin;
    this.base = `${url.origin}${url.pathname.replace(/\/$/, '')}`;
    this.#options = options;
  }

  /** Returns the JSON of the answer, which has the shape. Repeats the request if an answer breaks off. Throws ExecplaneError. */
  json<T>(method: string, path: string, shape: Shape<T>, call: Call = {}): Promise<T> {
    return this.#retry(method, path, call, async (response) => {
      const value = parseObject(await response.text());
      if (value === undefined) throw new UnexpectedAnswerError(response, { origin: this.origin });
      if (hasShape(value, shape)) return value;
      throw new UnexpectedAnswerError(response, { origin: this.origin, mismatch: mismatch(value, shape) });
    });
  }

  /** Returns the bytes of the answer. Repeats the request if an answer breaks off. Throws ExecplaneError. */
  bytes(method: string, path: string, call: Call = {}): Promise<Uint8Array<ArrayBuffer>> {
    return this.#retry(method, path, call, async (response) => new Uint8Array(await response.arrayBuffer()));
  }

  /** Returns a successful response once its headers have arrived. The caller reads the body. Throws ExecplaneError. */
  open(method: string, path: string, call: Call = {}): Promise<HttpResponse> {
    return this.#retry(method, path, call, (response) => response);
  }

  /** Opens a WebSocket. It is authenticated by its query, because browsers cannot set headers on a WebSocket. */
  webSocket(path: string, query: Query): WebSocket {
    const url = this.#url(path, query).replace(/^http/, 'ws');
    return this.#options.webSocket?.(url) ?? new WebSocket(url);
  }

  async #retry<T>(
    method: string,
    path: string,
    call: Call,
    read: (response: HttpResponse) => T | Promise<T>,
  ): Promise<T> {
    const request = this.#request(method, call);
    const attempts = call.attempts ?? this.#options.attempts ?? DEFAULT_ATTEMPTS;
    for (let failures = 0; ; failures += 1) {
      try {
        return await this.#attempt(path, call, request, read);
      } catch (error) {
        call.signal?.throwIfAborted();
        if (!isRetryable(error) || failures + 1 >= attempts) throw error;
        const requestedMs = error instanceof RefusedError ? error.retryAfterMs : undefined;
        await pause(Math.min(requestedMs ?? backoffMs(failures, RETRY), RETRY.maxMs), call.signal);
      }
    }
  }

  /** Headers that are the same for every attempt, above all the Idempotency-Key. */
  #request(method: string, call: Call): HttpRequest {
    const headers: Record<string, string> = { accept: 'application/json', ...this.#options.headers, ...call.headers };
    if (this.#options.apiKey !== undefined) headers['authorization'] = `Bearer ${this.#options.apiKey}`;
    const body = call.bytes ?? (call.body === undefined ? undefined : JSON.stringify(call.body));
    if (body !== undefined) {
      headers['content-type'] ??= call.bytes === undefined ? 'application/json' : 'application/octet-stream';
    }
    if (method !== 'GET' && method !== 'HEAD' && call.bytes === undefined) {
      headers['idempotency-key'] = (this.#options.newKey ?? randomKey)();
    }
    // A redirect would send the key to another server, and turn a POST into a GET.
    return { method, headers, redirect: 'manual', ...(body === undefined ? {} : { body }) };
  }

  async #attempt<T>(
    path: string,
    call: Call,
    request: HttpRequest,
    read: (response: HttpResponse) => T | Promise<T>,
  ): Promise<T> {
    const timeout = new AbortController();
    const signal = call.signal === undefined ? timeout.signal : AbortSignal.any([call.signal, timeout.signal]);
    const timer = setTimeout(
      () => timeout.abort(new ExecplaneError('no answer in time')),
      call.timeoutMs ?? ANSWER_TIMEOUT_MS,
    );
    const send: Fetch = this.#options.fetch ?? fetch;
    try {
      const response = await send(this.#url(path, call.query), { ...request, signal });
      if (response.ok) return await read(response);
      throw await readRefusal(response, this.base, path);
    } catch (cause) {
      if (cause instanceof ExecplaneError && cause !== timeout.signal.reason) throw cause;
      throw new UnreachableError(this.origin, { cause });
    } finally {
      clearTimeout(timer);
    }
  }

  #url(path: string, query: Query = {}): string {
    const search = new URLSearchParams();
    for (const [name, value] of Object.entries(query)) {
      for (const item of Array.isArray(value) ? value : [value])
        if (item !== undefined) search.append(name, String(item));
    }
    return `${this.base}${path}${search.size === 0 ? '' : `?${search}`}`;
  }
}

/** 128 random bits. `crypto.randomUUID` is missing on pages that came by plain http. */
function randomKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
