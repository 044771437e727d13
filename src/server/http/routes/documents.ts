/** Serves the OpenAPI document and its page. No key is needed. */
import type { RouteOptions } from 'fastify';
import { docsPage } from '../documents/docs-page.ts';
import type { App } from '../http-context.ts';
import { openApiDocument } from '../documents/openapi.ts';

/** Registers the routes. `routes`: all routes of the document. It is built at the first request, except for the URL of the server. */
export function documentRoutes(
  app: App,
  p: { routes: readonly RouteOptions[]; version: string; publicUrl: string | undefined },
): void {
  const config = { access: 'public' } as const;
  const make = () => {
    const document = openApiDocument(p.routes, p.version);
    return { document, page: docsPage(document) };
  };
  let made: ReturnType<typeof make> | undefined;
  const documents = () => {
    made ??= make();
    return made;
  };
  app.get('/openapi.json', { config, schema: { hide: true } }, async (request, reply) => {
    const url = (p.publicUrl ?? `${request.protocol}://${request.host}`).replace(/\/$/, '');
    reply.type('application/json; charset=utf-8').header('cache-control', 'no-cache');
    return reply.serializer(String).send(JSON.stringify({ ...documents().document, servers: [{ url }] }));
  });
  app.get('/docs', { config, schema: { hide: true } }, async (_request, reply) => {
    const { html, policy } = documents().page;
    reply.type('text/html; charset=utf-8').header('cache-control', 'no-cache');
    return reply.header('content-security-policy', policy).header('referrer-policy', 'no-referrer').send(html);
  });
}
