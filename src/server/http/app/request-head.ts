/** Checks of the head of a request that apply to all routes. */
import type { FastifyRequest } from 'fastify';
import { Problem } from '../replies/problem.ts';

/**
 * Throws a 400 without exactly one `Host` (RFC 9112 §3.2) or for two `Authorization`, of which a proxy may read the other one, and a 417 for an
 * `Expect` other than 100-continue.
 */
export function assertHead({ raw }: FastifyRequest): void {
  const { expect } = raw.headers;
  if (occurrences(raw.rawHeaders, 'host') !== 1 && !isHttp10(raw.httpVersion)) {
    throw new Problem(400, 'The request needs exactly one Host header.');
  }
  if (occurrences(raw.rawHeaders, 'authorization') > 1) {
    throw new Problem(400, 'The request has more than one Authorization header.');
  }
  if (expect !== undefined && expect.toLowerCase() !== '100-continue') {
    throw new Problem(417, 'The only supported expectation is 100-continue.');
  }
}

/** Throws a 415 for a body that is compressed or otherwise encoded: no content coding is supported. */
export function assertNoContentCoding({ method, headers }: FastifyRequest): void {
  // The bodies of these methods are not read.
  if (method === 'GET' || method === 'HEAD') return;
  const coding = headers['content-encoding']?.trim().toLowerCase();
  if (coding === undefined || coding === '' || coding === 'identity') return;
  throw new Problem(415, 'The body must be sent without a Content-Encoding.', {
    headers: { 'accept-encoding': 'identity' },
  });
}

/** Returns how often a header is present. `name` in lower case. */
function occurrences(rawHeaders: readonly string[], name: string): number {
  let count = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const header = rawHeaders[at];
    if (header?.length === name.length && header.toLowerCase() === name) count += 1;
  }
  return count;
}

function isHttp10(version: string): boolean {
  return version === '1.0';
}
