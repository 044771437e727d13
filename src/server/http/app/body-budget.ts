/** Limits the memory of request bodies, in total and for each API key. Bytes count from their receipt until the answer. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ApiError } from '../../../core/errors.ts';

export interface BodyBudget {
  /** Fastify's preParsing hook. */
  hook(request: FastifyRequest, reply: FastifyReply, payload: NodeJS.ReadableStream, done: () => void): void;
}

/** `total`: for all bodies together. One key may use half of it, or one largest body if that is more. */
export function createBodyBudget(p: { total: number; maxBodyBytes: number }): BodyBudget {
  const perKey = Math.max(p.total / 2, p.maxBodyBytes);
  const ofKey = new Map<string, number>();
  let inAll = 0;

  const add = (key: string, bytes: number): void => {
    inAll += bytes;
    const left = (ofKey.get(key) ?? 0) + bytes;
    if (left === 0) ofKey.delete(key);
    else ofKey.set(key, left);
  };
  const refusal = (key: string): ApiError | undefined => {
    if ((ofKey.get(key) ?? 0) > perKey) {
      return new ApiError('RATE_LIMITED', {
        message: 'Requests of this API key are sending too many bytes at once. Try again.',
      });
    }
    if (inAll > Math.max(p.total, p.maxBodyBytes)) {
      return new ApiError('DEPENDENCY_UNAVAILABLE', {
        message: 'The server is receiving too many bytes of request bodies. Try again.',
      });
    }
    return undefined;
  };

  return {
    hook(request, reply, payload, done) {
      if (!hasBody(request)) {
        done();
        return;
      }
      const key = request.principal?.apiKeyId ?? '';
      let counted = 0;
      const count = (chunk: Buffer): void => {
        counted += chunk.length;
        add(key, chunk.length);
        const refused = refusal(key);
        if (refused === undefined) return;
        payload.off('data', count);
        // The reader of the body stops, and answers with this error.
        if (payload.listenerCount('error') > 0) payload.emit('error', refused);
      };
      payload.on('data', count);
      reply.raw.once('close', () => {
        payload.off('data', count);
        add(key, -counted);
      });
      done();
    },
  };
}

function hasBody({ headers }: FastifyRequest): boolean {
  return headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined;
}
