/** Bodies: JSON as RFC 8259 has it, octets where a route asks for them; everything else is a wrong media type. */
import { isUtf8 } from 'node:buffer';
import type { FastifyRequest } from 'fastify';
import type { App } from '../http-context.ts';
import { nestsDeeperThan } from '../../../core/json-depth.ts';
import { type FieldError, invalid, Problem } from '../replies/problem.ts';
import { locationOf } from '../replies/field-errors.ts';

type Done = (error: Error | null, body?: unknown) => void;

/** Replaces the framework's parsers. An empty body is no body, whatever media type it claims (clients say so on DELETE). */
export function useJsonBodies(app: App, maxDepth: number): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body: Buffer, done: Done) => {
    try {
      done(null, body.length === 0 ? undefined : parseJson(body, maxDepth));
    } catch (error) {
      done(error as Error);
    }
  });
  app.addContentTypeParser('*', (request, _payload, done: Done) => {
    if (isEmpty(request)) done(null, undefined);
    else done(new Problem(415, 'The body must be application/json.', { headers: { connection: 'close' } }));
  });
}

/** For the routes of this scope: `application/octet-stream`, or no media type, is taken as bytes. */
export function useOctetBodies(app: App): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/octet-stream', { parseAs: 'buffer' }, (_request, body: Buffer, done: Done) =>
    done(null, body),
  );
  app.addContentTypeParser('*', (request, _payload, done: Done) => {
    if (isEmpty(request)) done(null, undefined);
    else done(new Problem(415, 'The body must be application/octet-stream.', { headers: { connection: 'close' } }));
  });
}

function isEmpty(request: FastifyRequest): boolean {
  const { 'content-length': length, 'transfer-encoding': coding } = request.headers;
  return coding === undefined && (length === undefined || length === '0');
}

/** The parser's own message is never passed on: it quotes the body, and bodies hold secrets. */
function parseJson(body: Buffer, maxDepth: number): unknown {
  if (!isUtf8(body)) throw new Problem(400, 'The body is not UTF-8.');
  if (nestsDeeperThan(maxDepth, body)) throw new Problem(400, 'The body is nested too deep.');
  const text = body.toString('utf8');
  const parsed = tryParse(text);
  if (parsed === undefined) throw new Problem(400, 'The body is not JSON.');
  // In valid UTF-8 a lone surrogate can only come from an escape.
  if (/\\u[dD][89a-fA-F]/.test(text)) refuseLoneSurrogates(parsed.value);
  return parsed.value;
}

function tryParse(text: string): { value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) as unknown };
  } catch {
    return undefined;
  }
}

/** A lone surrogate has no UTF-8 form: a command would silently get another argument than the one asked for. */
function refuseLoneSurrogates(body: unknown): void {
  const errors: FieldError[] = [];
  const pending: { value: unknown; path: string[] }[] = [{ value: body, path: [] }];
  for (let entry = pending.pop(); entry !== undefined; entry = pending.pop()) {
    const { value, path } = entry;
    if (typeof value === 'string' && !value.isWellFormed()) {
      errors.push({ location: locationOf(path, body).toWellFormed(), message: 'must not hold a lone surrogate' });
    }
    if (typeof value !== 'object' || value === null) continue;
    for (const [key, child] of Object.entries(value)) {
      if (!key.isWellFormed()) {
        const location = locationOf([...path, key], body).toWellFormed();
        errors.push({ location, message: 'the name must not hold a lone surrogate' });
      }
      // Deeper than any request goes: the schema will refuse it.
      if (path.length < 8) pending.push({ value: child, path: [...path, key] });
    }
  }
  if (errors.length > 0) throw invalid(errors.slice(0, 100));
}
