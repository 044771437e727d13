/** The client side of every bench: one keep-alive pool, with as little work per request as possible. */
import { Pool } from 'undici';

export interface Requests {
  post: (path: string, body: unknown) => Promise<{ status: number; json: Record<string, unknown> }>;
  get: (path: string) => Promise<{ status: number; json: Record<string, unknown> }>;
  /** Reads a body to its end and counts its bytes. */
  drain: (path: string, headers?: Record<string, string>) => Promise<number>;
  /** ms from the request to the first match of `mark` in the body. The stream is closed then. */
  firstMatch: (path: string, mark: string, headers: Record<string, string>) => Promise<number>;
  close: () => Promise<void>;
}

/** A pool of `connections` to `origin` with the API key `key`. */
export function requestsTo(origin: string, key: string, connections: number): Requests {
  const pool = new Pool(origin, { connections, pipelining: 1, headersTimeout: 0, bodyTimeout: 0 });
  const authorization = `Bearer ${key}`;
  const ask = async (method: 'GET' | 'POST', path: string, body?: string) => {
    const headers = body === undefined ? { authorization } : { authorization, 'content-type': 'application/json' };
    const answer = await pool.request({ method, path, headers, ...(body === undefined ? {} : { body }) });
    return { status: answer.statusCode, json: (await answer.body.json()) as Record<string, unknown> };
  };
  return {
    post: (path, body) => ask('POST', path, JSON.stringify(body)),
    get: (path) => ask('GET', path),
    drain: async (path, headers = {}) => {
      const answer = await pool.request({ method: 'GET', path, headers: { authorization, ...headers } });
      let bytes = 0;
      for await (const chunk of answer.body as AsyncIterable<Buffer>) bytes += chunk.length;
      return bytes;
    },
    firstMatch: async (path, mark, headers) => {
      const from = performance.now();
      const answer = await pool.request({ method: 'GET', path, headers: { authorization, ...headers } });
      let received = '';
      for await (const chunk of answer.body as AsyncIterable<Buffer>) {
        received += chunk.toString('latin1');
        if (received.includes(mark)) break;
      }
      return performance.now() - from;
    },
    close: () => pool.close(),
  };
}
