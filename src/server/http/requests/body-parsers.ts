/** Parses bodies: JSON according to RFC 8259, and bytes for routes that accept them. Any other media type is refused. */
import { isUtf8 } from 'node:buffer';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { boundSteps, type JsonBounds } from '../../../core/json.ts';
import { locationOf } from '../replies/field-errors.ts';
import { type FieldError, invalid, Problem } from '../replies/problem.ts';
import { noteBody, runSteps } from './large-bodies.ts';

/** Maximum number of errors in a 422. */
const MAX_ERRORS = 100;

type Parsers = Pick<FastifyInstance, 'addContentTypeParser' | 'removeAllContentTypeParsers'>;
type Done = (error: Error | null, body?: unknown) => void;

/** Replaces the framework's parsers. An empty body is no body, whatever its media type (clients send one on DELETE). */
export function useJsonBodies(app: Parsers, bounds: JsonBounds): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body: Buffer, done: Done) => {
    noteBody(request, body);
    try {
      const parsed = body.length === 0 ? undefined : runSteps(request, parseJson(body, bounds));
      if (parsed instanceof Promise) parsed.then((value) => done(null, value), done);
      else done(null, parsed);
    } catch (error) {
      done(error as Error);
    }
  });
  app.addContentTypeParser('*', (request, _payload, done: Done) => {
    if (isEmpty(request)) done(null, undefined);
    else done(new Problem(415, 'The body must be application/json.'));
  });
}

/** Fastify's preParsing hook for routes that accept JSON without a media type: sets the media type if a client has sent none. */
export function assumeJson(request: FastifyRequest, _reply: unknown, _payload: unknown, done: () => void): void {
  if (!isEmpty(request)) request.headers['content-type'] ??= 'application/json';
  done();
}

/** Fastify's preParsing hook for routes that accept bytes: sets the media type if a client has sent none. */
export function assumeOctets(request: FastifyRequest, _reply: unknown, _payload: unknown, done: () => void): void {
  if (!isEmpty(request)) request.headers['content-type'] ??= 'application/octet-stream';
  done();
}

/** Makes the routes of a scope accept `application/octet-stream`, or no media type, as bytes. */
export function useOctetBodies(app: Parsers): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/octet-stream', { parseAs: 'buffer' }, (request, body: Buffer, done: Done) => {
    noteBody(request, body);
    done(null, body);
  });
  app.addContentTypeParser('*', (request, _payload, done: Done) => {
    if (isEmpty(request)) done(null, undefined);
    else done(new Problem(415, 'The body must be application/octet-stream.'));
  });
}

function isEmpty(request: FastifyRequest): boolean {
  const { 'content-length': length, 'transfer-encoding': coding } = request.headers;
  return coding === undefined && (length === undefined || length === '0');
}

const BYTE_ORDER_MARK = Buffer.from('\ufeff');

/** Parses in steps. The parser's own message is never returned: it quotes the body, which may contain secrets. */
function* parseJson(sent: Buffer, bounds: JsonBounds): Generator<void, unknown> {
  const marked = sent.subarray(0, BYTE_ORDER_MARK.length).equals(BYTE_ORDER_MARK);
  const body = marked ? sent.subarray(BYTE_ORDER_MARK.length) : sent;
  if (!isUtf8(body)) throw new Problem(400, 'The body is not UTF-8.');
  const exceeded = yield* boundSteps(bounds, body);
  if (exceeded === 'depth') throw new Problem(400, 'The body is nested too deep.');
  if (exceeded === 'digits') {
    throw invalid([{ location: 'body', message: `must not contain a number of more than ${bounds.digits} digits` }]);
  }
  if (exceeded !== undefined) {
    throw invalid([{ location: 'body', message: `must not have more than ${bounds[exceeded]} ${exceeded} in total` }]);
  }
  yield;
  const text = body.toString('utf8');
  const parsed = tryParse(text);
  if (parsed === undefined) throw new Problem(400, 'The body is not JSON.');
  yield;
  // In valid UTF-8 only an escape can give a lone surrogate.
  if (body.includes('\\u') && /\\u[dD][89a-fA-F]/.test(text)) refuseLoneSurrogates(parsed.value);
  yield;
  return parsed.value;
}

function tryParse(text: string): { value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) as unknown };
  } catch {
    return undefined;
  }
}

/** Throws a 422 for lone surrogates. They have no UTF-8 form, so a command would get another argument than the requested one. */
function refuseLoneSurrogates(body: unknown): void {
  const errors: FieldError[] = [];
  collectLoneSurrogates(body, [], errors);
  if (errors.length > 0) throw invalid(errors);
}

function collectLoneSurrogates(value: unknown, path: readonly (string | number)[], errors: FieldError[]): void {
  if (typeof value === 'string') {
    if (value.isWellFormed()) return;
    errors.push({ location: locationOf(path).toWellFormed(), message: 'must not contain a lone surrogate' });
  }
  if (typeof value !== 'object' || value === null) return;
  const isArray = Array.isArray(value);
  for (const [key, child] of Object.entries(value)) {
    if (errors.length >= MAX_ERRORS) return;
    if (!key.isWellFormed()) {
      const location = locationOf([...path, key]).toWellFormed();
      errors.push({ location, message: 'the name must not contain a lone surrogate' });
    }
    const isFine = typeof child === 'string' ? child.isWellFormed() : typeof child !== 'object';
    if (!isFine) collectLoneSurrogates(child, [...path, isArray ? Number(key) : key], errors);
  }
}
