import type { FastifyReply } from 'fastify';
import { ApiError } from '../../../core/errors.ts';
import type { CreateOutcome, Execution } from '../../../store/store.ts';
import { replayedResource } from '../requests/idempotency.ts';
import { notFound } from './problem.ts';

/** What a create made, or the id of what an earlier request with its Idempotency-Key made; throws for a refusal. */
export function createdExecution(made: CreateOutcome, reply: FastifyReply): Execution | string {
  switch (made.outcome) {
    case 'created':
      return made.execution;
    case 'machine_not_found':
      throw notFound('There is no such machine.');
    case 'machine_removed':
      throw new ApiError('INVALID_STATE', { message: 'The machine is destroyed.' });
    case 'queue_full':
      throw new ApiError('RATE_LIMITED', { message: 'The queue of the machine is full.' });
    default:
      return replayedResource(made, reply);
  }
}
