/** Reads If-Match: the revision of a machine that the caller has seen. */
import type { FastifyRequest } from 'fastify';
import { invalid } from '../../replies/problem.ts';

const REVISION = /^(?:W\/)?"([0-9]+)"$|^([0-9]+)$/;

/** Parses `"7"`, `7` or `W/"7"`. Undefined if absent or `*`. Throws a 422 for anything else. */
export function readIfMatch(request: FastifyRequest): number | undefined {
  const header = request.headers['if-match'];
  if (header === undefined || header.trim() === '*') return undefined;
  const [, quoted, plain] = REVISION.exec(header.trim()) ?? [];
  const revision = Number(quoted ?? plain);
  if (Number.isSafeInteger(revision)) return revision;
  throw invalid([{ location: 'header.if-match', message: 'must be a revision such as "7", or *' }]);
}
