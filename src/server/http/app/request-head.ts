/** Checks of the head of a request that apply to all routes. */
import type { FastifyRequest } from 'fastify';
import { Problem } from '../replies/problem.ts';

/** Throws a 400 without exactly one `Host` (RFC 9112 §3.2), and a 417 for an `Expect` other than 100-continue. */
export function assertHead({ raw }: FastifyRequest): void {
  const { expect } = raw.headers;
  if (hosts(raw.rawHeaders) !== 1 && !isHttp10(raw.httpVersion)) {
    throw new Problem(400, 'The request needs exactly one Host header.');
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

function hosts(rawHeaders: readonly string[]): number {
  let count = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) if (rawHeaders[at]?.toLowerCase() === 'host') count += 1;
  return count;
}

function isHttp10(version: string): boolean {
  return version === '1.0';
}
