import { randomUUID } from 'node:crypto';
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { setTimeout as delay } from 'node:timers/promises';
import { ApiFailure, readFailure, UnreachableError } from './api-failure.ts';
import type { ClientConfig } from '../config.ts';

export interface Call {
  query?: Readonly<Record<string, string | number | boolean | undefined>>;
  headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  body?: unknown;
  /** Sent as they are; repeating it has to be harmless by itself. */
  bytes?: Uint8Array;
  signal?: AbortSignal;
  /** How often it is tried in all; 1 for streams that resume by themselves. */
  attempts?: number;
}

/** A server that waits for the end of something answers within a minute. */
const ANSWER_TIMEOUT_MS = 70_000;
const CONNECT_TIMEOUT_MS = 10_000;
const ATTEMPTS = 5;
const FIRST_DELAY_MS = 250;
const MAX_DELAY_MS = 10_000;

/** The HTTP API. Every write carries an Idempotency-Key, so that what may have been lost on the way is simply sent again. */
export class Api {
  readonly url: URL;
  readonly #config: ClientConfig;
  readonly #agent: HttpAgent | HttpsAgent;

  constructor(config: ClientConfig) {
    this.url = config.url;
    this.#config = config;
    const options = { keepAlive: true, noDelay: true };
    this.#agent =
      config.url.protocol === 'https:'
        ? new HttpsAgent({ ...options, ...(config.ca === undefined ? {} : { ca: config.ca }) })
        : new HttpAgent(options);
  }

  /** Calls a route and returns its JSON. Throws ApiFailure (the server refused) or UnreachableError. */
  async json<T>(method: string, path: string, call: Call = {}): Promise<T> {
    const response = await this.open(method, path, call);
    response.setEncoding('utf8');
    let text = '';
    for await (const chunk of response) text += chunk;
    return JSON.parse(text) as T;
  }

  /** Calls a route and returns the response once it is known to be a good one; its body is the caller's to read. */
  async open(method: string, path: string, call: Call = {}): Promise<IncomingMessage> {
    const body = call.bytes ?? (call.body === undefined ? undefined : Buffer.from(JSON.stringify(call.body)));
    const headers = this.#headers(method, call, body);
    const attempts = call.attempts ?? ATTEMPTS;
    for (let attempt = 1; ; attempt += 1) {
      const failure = await this.#attempt(method, path, call, headers, body);
      if (!(failure instanceof Error)) return failure;
      call.signal?.throwIfAborted();
      const again = failure instanceof UnreachableError || (failure instanceof ApiFailure && failure.isTransient);
      if (!again || attempt >= attempts) throw failure;
      const asked = failure instanceof ApiFailure ? failure.retryAfterMs : undefined;
      const pause = asked ?? FIRST_DELAY_MS * 2 ** (attempt - 1) * (0.5 + Math.random() / 2);
      await delay(Math.min(pause, MAX_DELAY_MS), undefined, call.signal === undefined ? {} : { signal: call.signal });
    }
  }

  async #attempt(
    method: string,
    path: string,
    call: Call,
    headers: Record<string, string>,
    body: Uint8Array | undefined,
  ): Promise<IncomingMessage | Error> {
    const url = new URL(`${this.url.pathname.replace(/\/$/, '')}${path}`, this.url);
    for (const [name, value] of Object.entries(call.query ?? {})) {
      if (value !== undefined) url.searchParams.set(name, String(value));
    }
    try {
      const response = await this.#send(
        url,
        { method, headers, ...(call.signal ? { signal: call.signal } : {}) },
        body,
      );
      return (response.statusCode ?? 0) < 300 ? response : await readFailure(response, url);
    } catch (error) {
      return new UnreachableError(this.url, error as Error);
    }
  }

  #send(url: URL, options: RequestOptions, body: Uint8Array | undefined): Promise<IncomingMessage> {
    const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
    return new Promise((resolve, reject) => {
      const request = send(url, { ...options, agent: this.#agent });
      let timer = setTimeout(() => request.destroy(new Error('no connection in time')), CONNECT_TIMEOUT_MS);
      request.once('socket', (socket) => {
        const connected = () => {
          clearTimeout(timer);
          timer = setTimeout(() => request.destroy(new Error('no answer in time')), ANSWER_TIMEOUT_MS);
        };
        if (socket.connecting) socket.once('connect', connected);
        else connected();
      });
      request.once('response', (response) => {
        clearTimeout(timer);
        resolve(response);
      });
      request.on('error', (error) => {
        clearTimeout(timer);
        reject(error);
      });
      request.end(body);
    });
  }

  #headers(method: string, call: Call, body: Uint8Array | undefined): Record<string, string> {
    const headers: Record<string, string> = {
      authorization: `Bearer ${this.#config.apiKey}`,
      accept: 'application/json',
      ...call.headers,
    };
    if (body !== undefined) {
      headers['content-type'] ??= call.bytes === undefined ? 'application/json' : 'application/octet-stream';
      headers['content-length'] = String(body.length);
    }
    if (method !== 'GET' && call.bytes === undefined) headers['idempotency-key'] = randomUUID();
    return headers;
  }
}
