/** What the API is, for programs and for people; without a key. */
import type { RouteOptions } from 'fastify';
import { docsPage } from '../documents/docs-page.ts';
import type { App } from '../http-context.ts';
import { openApiDocument } from '../documents/openapi.ts';

/** `routes` is what was registered before; the document is made once, when it is first asked for. */
export function documentRoutes(app: App, p: { routes: readonly RouteOptions[]; version: string }): void {
  const config = { access: 'public' } as const;
  const make = () => {
    const document = openApiDocument(p.routes, p.version);
    return { json: JSON.stringify(document), page: docsPage(document) };
  };
  let made: ReturnType<typeof make> | undefined;
  const documents = () => {
    made ??= make();
    return made;
  };
  app.get('/openapi.json', { config, schema: { hide: true } }, async (_request, reply) => {
    reply.type('application/json; charset=utf-8').header('cache-control', 'no-cache');
    return reply.serializer(String).send(documents().json);
  });
  app.get('/docs', { config, schema: { hide: true } }, async (_request, reply) => {
    const { html, policy } = documents().page;
    reply.type('text/html; charset=utf-8').header('cache-control', 'no-cache');
    return reply.header('content-security-policy', policy).header('referrer-policy', 'no-referrer').send(html);
  });
}
