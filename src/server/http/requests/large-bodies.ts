/** Handles large bodies in steps, with a turn of the event loop between them, so that other requests wait for one step only. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { atOnce, inTurns } from '../../turns.ts';

/** Size from which a body is large, in bytes. A shorter body takes at most 2 ms from its parsing to its answer. */
const LARGE_BYTES = 262_144;

const large = new WeakSet<FastifyRequest>();

/** Records whether the body of this request is large. */
export function noteBody(request: FastifyRequest, body: Buffer): void {
  if (body.length > LARGE_BYTES) large.add(request);
}

/** Settles immediately, or in the next turn of the event loop if the body of this request is large. */
export async function pauseIfLarge(request: FastifyRequest): Promise<void> {
  if (large.has(request)) await nextTurn();
}

/** Runs all `steps`: synchronously, or one in each turn of the event loop if the body of this request is large. */
export function runSteps<T>(request: FastifyRequest, steps: Iterator<void, T>): T | Promise<T> {
  return large.has(request) ? inTurns(steps) : atOnce(steps);
}

/** A hook of Fastify between two of its own steps. */
export function pauseHook(request: FastifyRequest, _reply: FastifyReply, done: () => void): void {
  if (large.has(request)) setImmediate(done);
  else done();
}
