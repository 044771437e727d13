/** Serves the Model Context Protocol (streamable HTTP). Its tools call this server's own API with the key of the caller. */
import type { FastifyRequest } from 'fastify';
import { Execplane } from '../../../client/main.ts';
import type { App } from '../http-context.ts';
import { Problem } from '../replies/problem.ts';

/** Base URL of the requests of the tools. It is never resolved: the requests are passed to the app. */
const OWN_URL = 'http://execplane.internal';
const CREDENTIALS = ['authorization', 'x-api-key'] as const;
/** Responses that have no body (Fetch standard, "null body status"). */
const NO_BODY = new Set([204, 205, 304]);

/** Registers `/mcp`. `version`: version of this server. */
export function mcpRoutes(app: App, version: string): void {
  const config = { access: 'any_key' } as const;
  app.post('/mcp', { config, schema: { hide: true } }, async (request, reply) => {
    // The library is loaded at the first request of this route.
    const { answerMcp } = await import('../../../mcp/main.ts');
    const client = new Execplane({ url: OWN_URL, fetch: fetchWithin(app, request) });
    for (const [name, value] of Object.entries(reply.getHeaders())) {
      if (value !== undefined) reply.raw.setHeader(name, value);
    }
    reply.hijack();
    await answerMcp({ client, version }, { request: request.raw, response: reply.raw, body: request.body });
    return reply;
  });
  // The protocol requires 405 if a server sends no messages of its own and keeps no sessions.
  for (const method of ['GET', 'DELETE'] as const) {
    app.route({
      method,
      url: '/mcp',
      config,
      schema: { hide: true },
      handler: async () => {
        throw new Problem(405, 'This address accepts only POST: no session is kept.', { headers: { allow: 'POST' } });
      },
    });
  }
}

/** Returns a fetch that passes requests to the app with the caller's key, so that its scopes and limits apply. */
function fetchWithin(app: App, { headers, ip }: FastifyRequest): typeof fetch {
  const own = CREDENTIALS.flatMap((name) => (headers[name] === undefined ? [] : [[name, String(headers[name])]]));
  return async (input, init = {}) => {
    const { pathname, search } = new URL(String(input));
    const answer = await app.inject({
      method: (init.method ?? 'GET') as 'GET' | 'HEAD' | 'POST' | 'DELETE',
      url: `${pathname}${search}`,
      headers: { ...(init.headers as Record<string, string>), ...Object.fromEntries(own) },
      remoteAddress: ip,
      ...(init.body === undefined || init.body === null
        ? {}
        : { payload: Buffer.from(init.body as string | Uint8Array) }),
      ...(init.signal ? { signal: init.signal } : {}),
    });
    const headerList = Object.entries(answer.headers).map(([name, value]): [string, string] => [name, String(value)]);
    const body = NO_BODY.has(answer.statusCode) ? null : new Uint8Array(answer.rawPayload);
    return new Response(body, { status: answer.statusCode, headers: headerList });
  };
}
