/** Answers with the bytes of an artifact, whole or a range, in a form that a browser never runs. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Artifact, Store } from '../../../store/store.ts';
import type { HttpContext } from '../http-context.ts';
import { Problem } from '../replies/problem.ts';
import { matchesEtag, readRange } from './byte-range.ts';
import { streamReply } from './stream-reply.ts';

const PIECE_BYTES = 262_144;

/** Sends the requested part of the artifact. `open` counts it as an open request. */
export async function answerArtifact(
  context: HttpContext,
  request: FastifyRequest,
  reply: FastifyReply,
  { artifact, open }: { artifact: Artifact; open: () => AbortSignal },
): Promise<void> {
  const { artifactId, bytes, name, sha256 } = artifact;
  const etag = `"${sha256}"`;
  reply.headers({
    'accept-ranges': 'bytes',
    'cache-control': 'private, no-cache',
    'content-disposition': disposition(name),
    'content-security-policy': 'sandbox',
    'x-content-type-options': 'nosniff',
    etag,
  });
  if (matchesEtag(request.headers['if-none-match'], etag)) {
    await reply.code(304).send();
    return;
  }
  const ifRange = request.headers['if-range'];
  const range = ifRange === undefined || ifRange === etag ? readRange(request.headers.range, bytes) : 'whole';
  if (range === 'unsatisfiable') {
    throw new Problem(416, 'The artifact has no such bytes.', { headers: { 'content-range': `bytes */${bytes}` } });
  }
  const { start, end } = range === 'whole' ? { start: 0, end: bytes } : range;
  if (range !== 'whole') reply.code(206).header('content-range', `bytes ${start}-${end - 1}/${bytes}`);
  // Not the media type of the file: a browser must not show it as a page of this server.
  reply.type('application/octet-stream').header('content-length', end - start);
  const signal = open();
  const chunks = pieces(context.store, { artifactId, start, end });
  await streamReply(reply, { chunks, signal, logger: context.logger });
}

/** Returns the Content-Disposition (RFC 6266): the last segment of the name, and an ASCII form for old clients. */
function disposition(name: string): string {
  const file = name.slice(name.lastIndexOf('/') + 1);
  const plain = file.replace(/[^ -~]|["\\%]/g, '_');
  const encoded = encodeURIComponent(file.toWellFormed()).replace(/['()*]/g, (c) => `%${c.charCodeAt(0).toString(16)}`);
  return `attachment; filename="${plain}"; filename*=UTF-8''${encoded}`;
}

/** Yields the bytes. Throws if the artifact is deleted meanwhile, so that the answer is not taken for complete. */
async function* pieces(
  store: Pick<Store, 'readArtifact'>,
  p: { artifactId: string; start: number; end: number },
): AsyncGenerator<Buffer> {
  for (let offset = p.start; offset < p.end; ) {
    const maxBytes = Math.min(PIECE_BYTES, p.end - offset);
    const bytes = await store.readArtifact({ artifactId: p.artifactId, offset, maxBytes });
    if (bytes.length === 0) throw new Error(`the artifact ends at ${offset} of ${p.end} bytes`);
    offset += bytes.length;
    yield bytes;
  }
}
