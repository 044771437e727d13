/** Serves the console: the same page at each of its paths, and its files. No key is needed. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { App } from '../http-context.ts';
import { codingFor, type ConsoleFile, readConsoleFiles } from './files.ts';
import { notFound } from '../replies/problem.ts';

/** The first part of every path that the console shows (src/console/routes.tsx). */
const PAGES = [
  'machines',
  'run',
  'executions',
  'terminals',
  'batches',
  'schedules',
  'keys',
  'tokens',
  'webhooks',
  'audit',
  'sign-in',
] as const;

/** The Content-Security-Policy: nothing inline, nothing from another host, and no text that becomes markup or script. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ');

const PAGE_HEADERS = {
  'cache-control': 'no-cache',
  'content-security-policy': POLICY,
  'cross-origin-opener-policy': 'same-origin',
};
/** Headers of assets, which can be cached forever because their names change with their content. */
const ASSET_HEADERS = { 'cache-control': 'public, max-age=31536000, immutable' };

/** Registers the pages and the files of the console. */
export function consoleRoutes(app: App): void {
  const options = { config: { access: 'public' }, schema: { hide: true } } as const;
  const files = readConsoleFiles();
  const page = async (request: FastifyRequest, reply: FastifyReply) => {
    const file = files.get('index.html');
    if (file === undefined) throw notFound('This build has no console. Run "npm run build".');
    return send(file, request, reply.headers(PAGE_HEADERS));
  };
  app.get('/', options, page);
  for (const name of PAGES) {
    app.get(`/${name}`, options, page);
    app.get(`/${name}/*`, options, page);
  }
  app.get('/console/*', options, async (request, reply) => {
    const path = (request.params as { '*': string })['*'];
    const file = path === 'index.html' ? undefined : files.get(path);
    if (file === undefined) throw notFound();
    return send(
      file,
      request,
      reply.headers(path.startsWith('assets/') ? ASSET_HEADERS : { 'cache-control': 'no-cache' }),
    );
  });
}

function send(file: ConsoleFile, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const coding = codingFor(file, request.headers['accept-encoding']);
  if (coding !== undefined) reply.header('content-encoding', coding);
  return reply
    .type(file.mediaType)
    .header('vary', 'accept-encoding')
    .send(file.coded.get(coding ?? '') ?? file.plain);
}
